//! A store in memory over the blocks and rows of another, which it never writes to.
//!
//! Heads are its own. A collection deletes what was written here; what lies below is not its to delete.
//!
//! Used by: forks. Threads: as the stores in it.

use std::sync::Arc;

use bytes::Bytes;

use super::rows::Rows;
use crate::block::Block;
use crate::cid::Cid;
use crate::id::OperationId;
use crate::memory::MemoryStore;
use crate::port::{
    BlockRead, BlockReadExt, Blockstore, CidStream, Collector, CollectorError, Compact, Cycle, Deleted,
    HeadsError, HeadsUpdate, Lease, Namespace, OpHeadsStore, Row, RowStream, RowTable, SideError, SideTable,
    Store, StoreError, StoreSnapshot, Swap, WriteBatch, check_rows,
};
use crate::staged::Both;

pub(super) struct Overlay {
    /// What the fork started from; kept from the collector by whoever holds it.
    base: Arc<dyn BlockRead>,
    /// For rows alone.
    below: Arc<dyn Store>,
    new: MemoryStore,
    rows: Rows,
}

impl Overlay {
    pub(super) fn new(base: Arc<dyn BlockRead>, below: Arc<dyn Store>) -> Overlay {
        Overlay { base, below, new: MemoryStore::new(), rows: Rows::default() }
    }

    /// Lets a repository begin at an operation, which is one of `blocks`.
    pub(super) fn started(
        self,
        namespace: &Namespace,
        blocks: &[Block],
        operation: OperationId,
    ) -> Result<Overlay, StoreError> {
        self.new.put_many(blocks)?;
        match self.new.update(&HeadsUpdate::advance(namespace.clone(), &[], operation))? {
            Swap::Done => Ok(self),
            Swap::Moved => unreachable!("nothing was expected of the heads"),
        }
    }

    pub(super) fn heads_now(&self, namespace: &Namespace) -> Result<Vec<OperationId>, HeadsError> {
        self.new.heads(namespace)
    }

    /// Returns all blocks that were written here.
    pub(super) fn new_blocks(&self) -> Result<Vec<Block>, StoreError> {
        self.new.scan(None)?.map(|cid| self.new.require(&cid?)).collect()
    }

    /// Returns the rows that were written here.
    pub(super) fn new_rows(&self) -> Vec<Row> {
        self.rows.all()
    }

    fn over(&self) -> Over<'_> {
        Over { new: &self.new, base: &*self.base }
    }
}

/// Two places to read from, the first one first.
struct Over<'a> {
    new: &'a dyn BlockRead,
    base: &'a dyn BlockRead,
}

impl BlockRead for Over<'_> {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        match self.new.get(cid)? {
            Some(block) => Ok(Some(block)),
            None => self.base.get(cid),
        }
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        let mut found = self.new.get_many(cids)?;
        let absent: Vec<usize> = (0..cids.len()).filter(|i| found[*i].is_none()).collect();
        let wanted: Vec<Cid> = absent.iter().map(|i| cids[*i]).collect();
        if !wanted.is_empty() {
            for (i, block) in absent.into_iter().zip(self.base.get_many(&wanted)?) {
                found[i] = block;
            }
        }
        Ok(found)
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.new.has(cid)? || self.base.has(cid)?)
    }

    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        let (new, base) = (self.new.has_many(cids)?, self.base.has_many(cids)?);
        Ok(new.into_iter().zip(base).map(|(new, base)| new || base).collect())
    }

    fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
        // Memory has no errors to leave out.
        let new = self.new.scan(after)?.filter_map(Result::ok);
        Ok(Box::new(Both::new(self.base.scan(after)?, new)))
    }
}

impl BlockRead for Overlay {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        self.over().get(cid)
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        self.over().get_many(cids)
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.over().has(cid)
    }

    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        self.over().has_many(cids)
    }

    fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
        self.over().scan(after)
    }
}

impl Blockstore for Overlay {
    fn put(&self, block: &Block) -> Result<(), StoreError> {
        self.new.put(block)
    }

    fn put_many(&self, blocks: &[Block]) -> Result<(), StoreError> {
        self.new.put_many(blocks)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.new.sync()
    }
}

impl OpHeadsStore for Overlay {
    fn namespaces(&self) -> Result<Vec<Namespace>, HeadsError> {
        self.new.namespaces()
    }

    fn heads(&self, namespace: &Namespace) -> Result<Vec<OperationId>, HeadsError> {
        self.new.heads(namespace)
    }

    fn update(&self, update: &HeadsUpdate) -> Result<Swap, HeadsError> {
        self.new.update(update)
    }
}

impl SideTable for Overlay {
    fn row(&self, table: RowTable, key: &[u8]) -> Result<Option<Bytes>, SideError> {
        match self.rows.get(table, key) {
            Some(here) => Ok(here),
            None => self.below.row(table, key),
        }
    }

    fn rows(&self, table: RowTable, from: &[u8]) -> Result<RowStream, SideError> {
        Ok(self.rows.list(table, from, self.below.rows(table, from)?))
    }

    fn put_rows(&self, rows: &[Row]) -> Result<(), SideError> {
        check_rows(rows)?;
        self.rows.put(rows);
        Ok(())
    }

    fn clear_rows(&self, table: RowTable) -> Result<(), SideError> {
        self.rows.clear(table);
        Ok(())
    }
}

impl Collector for Overlay {
    fn lease(&self, roots: &[Cid]) -> Result<Lease, CollectorError> {
        self.new.lease(roots)
    }

    fn put_leased(&self, lease: &Lease, blocks: &[Block]) -> Result<(), StoreError> {
        self.new.put_leased(lease, blocks)
    }

    fn begin_cycle(&self) -> Result<Cycle, CollectorError> {
        self.new.begin_cycle()
    }

    fn delete_if_untouched(&self, cycle: &Cycle, cids: &[Cid]) -> Result<Deleted, CollectorError> {
        self.new.delete_if_untouched(cycle, cids)
    }

    fn compact(&self, how: Compact) -> Result<(), CollectorError> {
        self.new.compact(how)
    }
}

impl Store for Overlay {
    fn commit(&self, lease: &Lease, batch: &WriteBatch<'_>) -> Result<Swap, StoreError> {
        check_rows(batch.rows)?;
        let swap = self.new.commit(lease, &WriteBatch { rows: &[], ..*batch })?;
        if swap == Swap::Done {
            // After the heads: rows may show later.
            self.rows.put(batch.rows);
        }
        Ok(swap)
    }

    fn snapshot(&self) -> Result<Box<dyn StoreSnapshot>, StoreError> {
        Ok(Box::new(OverlaySnapshot { new: self.new.snapshot()?, base: Arc::clone(&self.base) }))
    }

    fn kind(&self) -> &'static str {
        self.new.kind()
    }
}

struct OverlaySnapshot {
    new: Box<dyn StoreSnapshot>,
    base: Arc<dyn BlockRead>,
}

impl OverlaySnapshot {
    fn over(&self) -> Over<'_> {
        Over { new: &*self.new, base: &*self.base }
    }
}

impl BlockRead for OverlaySnapshot {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        self.over().get(cid)
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        self.over().get_many(cids)
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.over().has(cid)
    }

    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        self.over().has_many(cids)
    }

    fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
        self.over().scan(after)
    }
}

impl StoreSnapshot for OverlaySnapshot {
    fn heads(&self, namespace: &Namespace) -> Result<Vec<OperationId>, HeadsError> {
        self.new.heads(namespace)
    }

    fn lease(&self) -> &Lease {
        self.new.lease()
    }
}
