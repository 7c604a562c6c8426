//! Commits, leases, snapshots, and deleting.
//!
//! Cycles begin, heads change and blocks are deleted inside redb's write transaction, so these never overlap. A lease
//! is granted outside it, while the bookkeeping is locked: no cycle can begin and no delete can decide meanwhile, and
//! whatever was a head at that moment is covered (DURABILITY.md, "Collection").

use std::collections::VecDeque;
use std::sync::Arc;

use mnem_core::collection::Stale;
use mnem_core::port::{
    BlockRead, CidStream, Collector, CollectorError, Compact, Cycle, Deleted, Fault, HeadsError, Lease,
    LeaseId, LeaseKeeper, Namespace, Store, StoreError, StoreSnapshot, Swap, WriteBatch, check_rows,
    check_size,
};
use mnem_core::{Block, Cid, OperationId};
use redb::ReadTransaction;

use crate::blocks::{self, Scan};
use crate::heads::{self, Change};
use crate::store::{Durable, ENTRY_BYTES, Inner, Outcome};
use crate::tables::{OBJECTS, OP_HEADS, cid_key};
use crate::trouble::Trouble;
use crate::{RedbStore, side};

/// What redb does not do in place.
const TRACES: &str = "removing traces of what was deleted";

/// What a step under a lease or cycle came to.
type Step<T> = Result<T, Stale>;

impl Store for RedbStore {
    fn commit(&self, lease: &Lease, batch: &WriteBatch<'_>) -> Result<Swap, StoreError> {
        check_size(batch.blocks)?;
        check_rows(batch.rows)?;
        let change = self.inner.write(Durable::Now, |transaction| {
            let puts = batch.blocks.iter().map(Block::cid);
            if let Err(stale) = self.inner.collection().record_put(Some(lease.id()), puts) {
                return Ok((Err(stale), Outcome::Abort));
            }
            let mut weight = blocks::insert(transaction, batch.blocks)?;
            let change = heads::change(transaction, batch.heads, self.inner.at())?;
            let Change::Made { entries, .. } = &change else { return Ok((Ok(change), Outcome::Abort)) };
            weight += entries * ENTRY_BYTES;
            weight += side::change(transaction, batch.rows)?;
            Ok((Ok(change), Outcome::Commit(weight)))
        })?;
        match change? {
            Change::Made { .. } => Ok(Swap::Done),
            Change::Moved => Ok(Swap::Moved),
            Change::Refused(why) => Err(why.into()),
        }
    }

    fn snapshot(&self) -> Result<Box<dyn StoreSnapshot>, StoreError> {
        let inner = &self.inner;
        let lease = LeaseId::fresh();
        let transaction = inner.read_guarded(|transaction, collection| {
            let heads = heads::all(&transaction.open_table(OP_HEADS)?, inner.at())?;
            Ok(collection.grant(lease, &heads, &heads).map(|()| transaction))
        })??;
        let lease = Lease::new(lease, keeper(inner));
        let pinned = Arc::new(Pinned { transaction, inner: Arc::clone(inner) });
        Ok(Box::new(Snapshot { pinned, lease }))
    }

    fn kind(&self) -> &'static str {
        crate::KIND
    }
}

impl Collector for RedbStore {
    fn lease(&self, roots: &[Cid]) -> Result<Lease, CollectorError> {
        let lease = LeaseId::fresh();
        self.inner.read_guarded(|transaction, collection| {
            let heads = heads::all(&transaction.open_table(OP_HEADS)?, self.inner.at())?;
            Ok(collection.grant(lease, roots, &heads))
        })??;
        Ok(Lease::new(lease, keeper(&self.inner)))
    }

    fn put_leased(&self, lease: &Lease, blocks: &[Block]) -> Result<(), StoreError> {
        self.inner.put(Some(lease.id()), blocks)
    }

    fn begin_cycle(&self) -> Result<Cycle, CollectorError> {
        let (number, roots) = self.inner.write(Durable::Later, |transaction| {
            let heads = heads::all(&transaction.open_table(OP_HEADS)?, self.inner.at())?;
            Ok((self.inner.collection().begin(&heads), Outcome::Abort))
        })?;
        Ok(Cycle::new(number, roots, keeper(&self.inner)))
    }

    fn delete_if_untouched(&self, cycle: &Cycle, cids: &[Cid]) -> Result<Deleted, CollectorError> {
        let deleted = self.inner.delete(cycle.number(), cids)??;
        Ok(deleted)
    }

    fn compact(&self, how: Compact) -> Result<(), CollectorError> {
        match how {
            Compact::Room => {
                let _won = RedbStore::compact(self)?;
                Ok(())
            }
            Compact::Traces => Err(Fault::Unsupported { what: TRACES }.into()),
        }
    }
}

impl Inner {
    fn delete(&self, cycle: u64, cids: &[Cid]) -> Result<Step<Deleted>, Fault> {
        self.write_guarded(|transaction, collection| {
            let mut deleted = Deleted::default();
            let mut objects = transaction.open_table(OBJECTS)?;
            if let Err(stale) = collection.check_current(cycle) {
                return Ok((Err(stale), Outcome::Abort));
            }
            for cid in cids {
                if collection.may_delete(cycle, cid) != Ok(true) {
                    continue;
                }
                if let Some(removed) = objects.remove(&cid_key(cid))? {
                    deleted += Deleted { blocks: 1, bytes: removed.value().len() as u64 };
                }
            }
            let weight = deleted.bytes + deleted.blocks * ENTRY_BYTES;
            Ok((Ok(deleted), if weight == 0 { Outcome::Abort } else { Outcome::Commit(weight) }))
        })
    }
}

impl LeaseKeeper for Inner {
    fn end_lease(&self, lease: LeaseId) {
        self.collection().end_lease(lease);
    }

    fn end_cycle(&self, number: u64) {
        self.collection().end(number);
    }
}

fn keeper(inner: &Arc<Inner>) -> Arc<dyn LeaseKeeper> {
    Arc::clone(inner) as Arc<dyn LeaseKeeper>
}

/// What a snapshot and its scans read from.
struct Pinned {
    // Before `inner`, which may close the database.
    transaction: ReadTransaction,
    inner: Arc<Inner>,
}

/// One moment: redb keeps its pages, and the lease what its heads reach.
struct Snapshot {
    pinned: Arc<Pinned>,
    lease: Lease,
}

impl Pinned {
    fn read<T>(&self, call: impl FnOnce(&ReadTransaction) -> Result<T, Trouble>) -> Result<T, Fault> {
        self.inner.contain(|| call(&self.transaction))
    }
}

impl BlockRead for Snapshot {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        Ok(self.get_many(std::slice::from_ref(cid))?.pop().flatten())
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        let at = self.pinned.inner.at();
        Ok(self.pinned.read(|transaction| blocks::get_many(transaction, cids, at))?)
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.has_many(std::slice::from_ref(cid))? == [true])
    }

    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        Ok(self.pinned.read(|transaction| blocks::has_many(transaction, cids))?)
    }

    fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
        let pinned = Arc::clone(&self.pinned);
        Ok(Box::new(Scan::new(after, move |after| -> Result<VecDeque<Cid>, Fault> {
            pinned.read(|transaction| blocks::scan_page(transaction, after, pinned.inner.at()))
        })))
    }
}

impl StoreSnapshot for Snapshot {
    fn heads(&self, namespace: &Namespace) -> Result<Vec<OperationId>, HeadsError> {
        let at = self.pinned.inner.at();
        let heads =
            self.pinned.read(|transaction| heads::list(&transaction.open_table(OP_HEADS)?, namespace, at))?;
        Ok(heads.into_iter().collect())
    }

    fn lease(&self) -> &Lease {
        &self.lease
    }
}
