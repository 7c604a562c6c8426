//! A wrapper that counts reads; for tests and statistics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::block::Block;
use crate::cid::Cid;
use crate::port::{BlockRead, CidStream, StoreError};

/// Forwards everything and counts the blocks that are asked for.
pub struct Counting {
    inner: Arc<dyn BlockRead>,
    reads: AtomicU64,
    bytes: AtomicU64,
}

impl Counting {
    /// Starts at zero.
    pub fn new(inner: Arc<dyn BlockRead>) -> Counting {
        Counting { inner, reads: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }

    /// Returns how many blocks were asked for since the last call. A call for many counts each.
    pub fn take_reads(&self) -> u64 {
        self.bytes.store(0, Ordering::Relaxed);
        self.reads.swap(0, Ordering::Relaxed)
    }

    /// Returns how many bytes the blocks had that were found since then.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn count(&self, block: Option<&Block>) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(block.map_or(0, |block| block.bytes().len() as u64), Ordering::Relaxed);
    }
}

#[deny(clippy::missing_trait_methods)]
impl BlockRead for Counting {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        let found = self.inner.get(cid)?;
        self.count(found.as_ref());
        Ok(found)
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        let found = self.inner.get_many(cids)?;
        found.iter().for_each(|block| self.count(block.as_ref()));
        Ok(found)
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.inner.has(cid)
    }

    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        self.inner.has_many(cids)
    }

    fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
        self.inner.scan(after)
    }
}

impl std::fmt::Debug for Counting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Counting({} reads)", self.reads.load(Ordering::Relaxed))
    }
}
