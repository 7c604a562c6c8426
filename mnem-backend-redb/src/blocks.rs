//! Blocks: what exists.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use mnem_core::collection::Stale;
use mnem_core::port::{BlockRead, Blockstore, CidStream, Fault, LeaseId, StoreError, check_size};
use mnem_core::{Block, Cid};
use redb::{ReadTransaction, ReadableTable, Table, WriteTransaction};

use crate::RedbStore;
use crate::store::{Durable, ENTRY_BYTES, Inner, Outcome};
use crate::tables::{CidKey, OBJECTS, cid_key, key_cid};
use crate::trouble::Trouble;

/// So many CIDs of a scan are in memory at once.
const SCAN_CIDS: usize = 1024;

/// Reads blocks. Each must be what its key says: redb does not check what it reads.
pub(crate) fn get_many(
    transaction: &ReadTransaction,
    cids: &[Cid],
    at: &str,
) -> Result<Vec<Option<Block>>, Trouble> {
    let objects = transaction.open_table(OBJECTS)?;
    let mut blocks = Vec::with_capacity(cids.len());
    for cid in cids {
        let stored = objects.get(&cid_key(cid))?;
        let block = stored.map(|value| verified(cid, value.value(), at)).transpose()?;
        blocks.push(block);
    }
    Ok(blocks)
}

/// Returns the block that is stored as `cid`, if it is that block.
pub(crate) fn verified(cid: &Cid, bytes: &[u8], at: &str) -> Result<Block, Fault> {
    Block::verify(*cid, Bytes::copy_from_slice(bytes))
        .map_err(|_| Fault::Corrupt { what: "a block", at: format!("{at} ({cid})") })
}

/// Looks which blocks are there.
pub(crate) fn has_many(transaction: &ReadTransaction, cids: &[Cid]) -> Result<Vec<bool>, Trouble> {
    let objects = transaction.open_table(OBJECTS)?;
    cids.iter().map(|cid| Ok(objects.get(&cid_key(cid))?.is_some())).collect()
}

/// Adds those of `blocks` that are not there. Returns what they weigh.
pub(crate) fn insert(transaction: &WriteTransaction, blocks: &[Block]) -> Result<u64, Trouble> {
    let mut objects: Table<'_, &CidKey, &[u8]> = transaction.open_table(OBJECTS)?;
    let mut weight = 0;
    for block in blocks {
        let key = cid_key(block.cid());
        if objects.get(&key)?.is_none() {
            objects.insert(&key, block.bytes().as_ref())?;
            weight += block.bytes().len() as u64 + ENTRY_BYTES;
        }
    }
    Ok(weight)
}

impl Inner {
    /// Stores what is not there, under a lease or under none.
    pub(crate) fn put(&self, lease: Option<LeaseId>, blocks: &[Block]) -> Result<(), StoreError> {
        check_size(blocks)?;
        self.check_writable()?;
        let cids: Vec<Cid> = blocks.iter().map(|block| *block.cid()).collect();
        // Locked until the look is over: a cycle begins, and a delete decides, before this put or after it.
        let there =
            self.read_guarded(|transaction, collection| match collection.record_put(lease, &cids) {
                Ok(()) => Ok(Ok(has_many(&transaction, &cids)?)),
                Err(stale) => Ok(Err(stale)),
            })??;
        // Most puts of a graph that changes little are repeated: these cost a look and no transaction.
        if there.into_iter().all(|there| there) {
            return Ok(());
        }
        let put: Result<(), Stale> = self.write(Durable::Later, |transaction| {
            // Once more: a cycle may have begun since, and none begins before this transaction ends.
            if let Err(stale) = self.collection().record_put(lease, &cids) {
                return Ok((Err(stale), Outcome::Abort));
            }
            let weight = insert(transaction, blocks)?;
            Ok((Ok(()), if weight == 0 { Outcome::Abort } else { Outcome::Commit(weight) }))
        })?;
        Ok(put?)
    }
}

impl BlockRead for RedbStore {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        Ok(self.get_many(std::slice::from_ref(cid))?.pop().flatten())
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        Ok(self.inner.read(|transaction| get_many(transaction, cids, self.inner.at()))?)
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.has_many(std::slice::from_ref(cid))? == [true])
    }

    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        Ok(self.inner.read(|transaction| has_many(transaction, cids))?)
    }

    fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
        let inner = Arc::clone(&self.inner);
        Ok(Box::new(Scan::new(after, move |after| {
            // A transaction for each page: a scan that is left lying keeps nothing from being freed.
            inner.read(|transaction| scan_page(transaction, after, inner.at()))
        })))
    }
}

impl Blockstore for RedbStore {
    fn put(&self, block: &Block) -> Result<(), StoreError> {
        self.put_many(std::slice::from_ref(block))
    }

    fn put_many(&self, blocks: &[Block]) -> Result<(), StoreError> {
        self.inner.put(None, blocks)
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(self.inner.sync()?)
    }
}

/// Reads the CIDs that follow `after`, at most [`SCAN_CIDS`].
pub(crate) fn scan_page(
    transaction: &ReadTransaction,
    after: Option<Cid>,
    at: &str,
) -> Result<VecDeque<Cid>, Trouble> {
    let objects = transaction.open_table(OBJECTS)?;
    let after = after.as_ref().map(cid_key);
    let from = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut cids = VecDeque::new();
    for entry in ReadableTable::range::<&CidKey>(&objects, (from, Bound::Unbounded))?.take(SCAN_CIDS) {
        let (key, _) = entry?;
        let unknown = || Fault::Corrupt { what: "a block's key", at: format!("{at} ({:02x?})", key.value()) };
        cids.push_back(key_cid(key.value()).ok_or_else(unknown)?);
    }
    Ok(cids)
}

/// A scan, page by page.
pub(crate) struct Scan<F> {
    read: F,
    page: VecDeque<Cid>,
    after: Option<Cid>,
    over: bool,
}

impl<F> Scan<F> {
    pub(crate) fn new(after: Option<Cid>, read: F) -> Scan<F> {
        Scan { read, page: VecDeque::new(), after, over: false }
    }
}

impl<F: FnMut(Option<Cid>) -> Result<VecDeque<Cid>, Fault>> Iterator for Scan<F> {
    type Item = Result<Cid, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty() && !self.over {
            match (self.read)(self.after) {
                Ok(page) => {
                    self.over = page.len() < SCAN_CIDS;
                    self.page = page;
                }
                Err(fault) => {
                    self.over = true;
                    return Some(Err(fault.into()));
                }
            }
        }
        self.after = self.page.front().copied();
        self.page.pop_front().map(Ok)
    }
}
