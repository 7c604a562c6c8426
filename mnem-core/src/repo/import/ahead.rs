//! Blocks that go to the store ahead of the commit that will refer to them, some megabytes at a time.

use std::sync::Arc;

use crate::block::Block;
use crate::port::{Store, StoreError, check_size};
use crate::repo::state::State;
use crate::tree::BlockSink;

/// What is put at once, however much memory there is: a larger batch is no faster.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// Takes blocks, children first. A crash leaves what was put as garbage.
pub(super) struct Ahead {
    store: Arc<dyn Store>,
    /// Holds the lease under which blocks are put.
    state: Arc<State>,
    blocks: Vec<Block>,
    bytes: usize,
    batch_bytes: usize,
}

impl Ahead {
    pub(super) fn new(store: Arc<dyn Store>, state: Arc<State>, memory_bytes: usize) -> Ahead {
        let batch_bytes = (memory_bytes / 4).min(BATCH_BYTES_MAX);
        Ahead { store, state, blocks: Vec::new(), bytes: 0, batch_bytes }
    }

    /// Returns how many bytes wait.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Puts what waits. From then on the store can be asked for it.
    pub(super) fn put_all(&mut self) -> Result<(), StoreError> {
        if !self.blocks.is_empty() {
            self.store.put_leased(self.state.lease(), &self.blocks)?;
            self.blocks.clear();
            self.bytes = 0;
        }
        Ok(())
    }
}

impl BlockSink for Ahead {
    fn put(&mut self, block: Block) -> Result<(), StoreError> {
        check_size(std::slice::from_ref(&block))?;
        self.bytes += block.bytes().len();
        self.blocks.push(block);
        if self.bytes >= self.batch_bytes { self.put_all() } else { Ok(()) }
    }
}
