//! Blocks that were made but not stored yet, readable as if they were.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::Peekable;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::block::Block;
use crate::cid::Cid;
use crate::port::{BlockRead, CidStream, StoreError, check_size};
use crate::tree::BlockSink;

/// Lies over a store: takes new blocks in memory, reads them before the store's. A transaction makes its objects and
/// trees here and hands all of them to one commit.
pub struct Staged {
    base: Arc<dyn BlockRead>,
    new: Mutex<New>,
}

#[derive(Default)]
struct New {
    by_cid: BTreeMap<Cid, Block>,
    order: Vec<Cid>,
    bytes: usize,
}

impl Staged {
    /// Starts with nothing over `base`.
    pub fn new(base: Arc<dyn BlockRead>) -> Staged {
        Staged { base, new: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, New> {
        // Nothing panics while it is held, and each change is complete by itself.
        self.new.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a block.
    pub fn put(&self, block: Block) -> Result<(), StoreError> {
        check_size(std::slice::from_ref(&block))?;
        let mut new = self.lock();
        let cid = *block.cid();
        let bytes = block.bytes().len();
        if new.by_cid.insert(cid, block).is_none() {
            new.order.push(cid);
            new.bytes += bytes;
        }
        Ok(())
    }

    /// Returns how many bytes the blocks have.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Returns the blocks in the order in which they came. They stay readable here.
    pub fn blocks(&self) -> Vec<Block> {
        let new = self.lock();
        new.order.iter().filter_map(|cid| new.by_cid.get(cid).cloned()).collect()
    }

    /// Returns the blocks in the order in which they came, and starts again with none.
    pub fn take(&self) -> Vec<Block> {
        let New { mut by_cid, order, .. } = std::mem::take(&mut *self.lock());
        order.iter().filter_map(|cid| by_cid.remove(cid)).collect()
    }
}

impl BlockSink for &Staged {
    fn put(&mut self, block: Block) -> Result<(), StoreError> {
        Staged::put(self, block)
    }
}

impl BlockSink for Arc<Staged> {
    fn put(&mut self, block: Block) -> Result<(), StoreError> {
        Staged::put(self, block)
    }
}

impl BlockRead for Staged {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        let staged = self.lock().by_cid.get(cid).cloned();
        if staged.is_some() { Ok(staged) } else { self.base.get(cid) }
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        let mut found: Vec<Option<Block>> = {
            let new = self.lock();
            cids.iter().map(|cid| new.by_cid.get(cid).cloned()).collect()
        };
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
        let staged = self.lock().by_cid.contains_key(cid);
        if staged { Ok(true) } else { self.base.has(cid) }
    }

    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        let below = self.base.has_many(cids)?;
        let new = self.lock();
        Ok(cids.iter().zip(below).map(|(cid, below)| below || new.by_cid.contains_key(cid)).collect())
    }

    fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
        let new = self.lock();
        let cids: Vec<Cid> = new.by_cid.keys().copied().filter(|cid| Some(*cid) > after).collect();
        Ok(Box::new(Both::new(self.base.scan(after)?, cids.into_iter())))
    }
}

/// Two ascending streams as one, without what is in both twice.
pub(crate) struct Both<S: Iterator<Item = Cid>> {
    below: Peekable<CidStream>,
    staged: Peekable<S>,
}

impl<S: Iterator<Item = Cid>> Both<S> {
    pub(crate) fn new(below: CidStream, staged: S) -> Both<S> {
        Both { below: below.peekable(), staged: staged.peekable() }
    }
}

impl<S: Iterator<Item = Cid>> Iterator for Both<S> {
    type Item = Result<Cid, StoreError>;

    fn next(&mut self) -> Option<Result<Cid, StoreError>> {
        let below = match self.below.peek() {
            Some(Ok(cid)) => Some(*cid),
            Some(Err(_)) => {
                // The stream has ended with this: nothing more of either, as the order is lost.
                while self.staged.next().is_some() {}
                return self.below.next();
            }
            None => None,
        };
        match (below, self.staged.peek().copied()) {
            (None, _) => self.staged.next().map(Ok),
            (Some(below), Some(staged)) if staged < below => self.staged.next().map(Ok),
            (Some(below), staged) => {
                if staged == Some(below) {
                    self.staged.next();
                }
                self.below.next()
            }
        }
    }
}

impl fmt::Debug for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let new = self.lock();
        write!(f, "Staged({} blocks, {} bytes)", new.order.len(), new.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Codec;
    use crate::MemoryStore;
    use crate::port::Blockstore;

    fn block(n: u8) -> Block {
        Block::new(Codec::Raw, vec![n])
    }

    #[test]
    fn staged_blocks_are_read_before_and_beside_the_stored_ones() {
        let store = Arc::new(MemoryStore::new());
        let blocks: Vec<Block> = (0..6).map(block).collect();
        store.put_many(&blocks[..4]).unwrap();
        let staged = Staged::new(store);
        for block in &blocks[3..5] {
            staged.put(block.clone()).unwrap();
            staged.put(block.clone()).unwrap();
        }
        let cids: Vec<Cid> = blocks.iter().map(|block| *block.cid()).collect();
        let found: Vec<Option<Block>> = staged.get_many(&cids).unwrap();
        let expected: Vec<Option<Block>> = (0..6).map(|n| (n < 5).then(|| block(n))).collect();
        assert_eq!(found, expected);
        assert_eq!(cids.iter().map(|cid| staged.get(cid).unwrap()).collect::<Vec<_>>(), expected);
        let present: Vec<bool> = expected.iter().map(Option::is_some).collect();
        assert_eq!(staged.has_many(&cids).unwrap(), present);
        assert_eq!(cids.iter().map(|cid| staged.has(cid).unwrap()).collect::<Vec<_>>(), present);

        let mut all = cids[..5].to_vec();
        all.sort();
        let scan = |after| staged.scan(after).unwrap().map(|cid| cid.unwrap()).collect::<Vec<_>>();
        assert_eq!(scan(None), all);
        for (i, cid) in all.iter().enumerate() {
            assert_eq!(scan(Some(*cid)), all[i + 1..]);
        }
        assert_eq!(staged.bytes(), 2);
        assert_eq!(staged.take(), blocks[3..5]);
        assert_eq!((staged.bytes(), staged.take()), (0, Vec::new()));
        assert!(!staged.has(&cids[4]).unwrap());
    }
}
