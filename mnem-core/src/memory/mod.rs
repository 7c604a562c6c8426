//! All ports in memory: the reference implementation, and the model in tests.
//!
//! Invariants
//!  M1  One lock is the atomic domain. No call holds it while it hashes, waits or gives control to its caller:
//!      streams take it batch by batch.
//!  M2  A call checks all that can refuse it before it changes anything: what is refused leaves nothing.
//!
//! Nothing is durable: `sync` has nothing to do, and a store ends with its last handle. Used by: forks, tests, and
//! `memory:` URLs. Threads: any number, through clones of one handle.

mod snapshot;
mod state;
mod stream;
#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;

use crate::block::Block;
use crate::cid::Cid;
use crate::id::OperationId;
use crate::port::{
    BlockRead, Blockstore, CidStream, Collector, CollectorError, Compact, Cycle, Deleted, HeadsError,
    HeadsUpdate, Lease, LeaseId, LeaseKeeper, Namespace, OpHeadsStore, Row, RowStream, RowTable, SideError,
    SideTable, Store, StoreError, StoreSnapshot, Swap, WriteBatch,
};

use snapshot::MemorySnapshot;
use state::State;

/// A store in memory. A clone is another handle on the same store.
#[derive(Clone, Debug)]
pub struct MemoryStore(Arc<Shared>);

/// What all handles share.
#[derive(Debug)]
struct Shared(RwLock<State>);

impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        // Every change is checked first and then made without a call that can fail, so a panic of another thread
        // left no half of one. Handles are let go of while threads unwind: a second panic there would abort.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LeaseKeeper for Shared {
    fn end_lease(&self, lease: LeaseId) {
        self.write().end_lease(lease);
    }

    fn end_cycle(&self, number: u64) {
        self.write().end_cycle(number);
    }
}

impl MemoryStore {
    /// Makes an empty store without a limit.
    pub fn new() -> MemoryStore {
        MemoryStore::with_cap(u64::MAX)
    }

    /// Makes an empty store for at most `cap_bytes` bytes of blocks and rows. What would exceed it is refused as
    /// [`Fault::Full`](crate::port::Fault::Full).
    pub fn with_cap(cap_bytes: u64) -> MemoryStore {
        MemoryStore(Arc::new(Shared(RwLock::new(State::new(cap_bytes)))))
    }

    /// Ends a lease that its owner still holds, as if its time had run out: what it does next is `Stale`.
    pub fn end_lease(&self, lease: LeaseId) {
        self.0.end_lease(lease);
    }

    fn keeper(&self) -> Arc<dyn LeaseKeeper> {
        self.0.clone()
    }
}

impl Default for MemoryStore {
    fn default() -> MemoryStore {
        MemoryStore::new()
    }
}

impl BlockRead for MemoryStore {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        Ok(self.0.read().get(cid, None))
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        let state = self.0.read();
        Ok(cids.iter().map(|cid| state.get(cid, None)).collect())
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.0.read().has(cid, None))
    }

    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        let state = self.0.read();
        Ok(cids.iter().map(|cid| state.has(cid, None)).collect())
    }

    fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
        let shared = self.0.clone();
        Ok(stream::cids(after, move |after, most| shared.read().cids_after(after, most, None)))
    }
}

impl Blockstore for MemoryStore {
    fn put(&self, block: &Block) -> Result<(), StoreError> {
        self.put_many(std::slice::from_ref(block))
    }

    fn put_many(&self, blocks: &[Block]) -> Result<(), StoreError> {
        self.0.write().put(None, blocks)
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl OpHeadsStore for MemoryStore {
    fn namespaces(&self) -> Result<Vec<Namespace>, HeadsError> {
        Ok(self.0.read().namespaces())
    }

    fn heads(&self, namespace: &Namespace) -> Result<Vec<OperationId>, HeadsError> {
        Ok(self.0.read().heads(namespace))
    }

    fn update(&self, update: &HeadsUpdate) -> Result<Swap, HeadsError> {
        self.0.write().update(update)
    }
}

impl SideTable for MemoryStore {
    fn row(&self, table: RowTable, key: &[u8]) -> Result<Option<Bytes>, SideError> {
        Ok(self.0.read().row(table, key))
    }

    fn rows(&self, table: RowTable, from: &[u8]) -> Result<RowStream, SideError> {
        let shared = self.0.clone();
        let next = move |from: stream::From<'_>, most| shared.read().rows_from(table, from, most);
        Ok(stream::rows(Bytes::copy_from_slice(from), next))
    }

    fn put_rows(&self, rows: &[Row]) -> Result<(), SideError> {
        self.0.write().put_rows(rows)
    }

    fn clear_rows(&self, table: RowTable) -> Result<(), SideError> {
        self.0.write().clear_rows(table);
        Ok(())
    }
}

impl Collector for MemoryStore {
    fn lease(&self, roots: &[Cid]) -> Result<Lease, CollectorError> {
        let id = self.0.write().lease(roots)?;
        Ok(Lease::new(id, self.keeper()))
    }

    fn put_leased(&self, lease: &Lease, blocks: &[Block]) -> Result<(), StoreError> {
        self.0.write().put(Some(lease.id()), blocks)
    }

    fn begin_cycle(&self) -> Result<Cycle, CollectorError> {
        let (number, roots) = self.0.write().begin_cycle();
        Ok(Cycle::new(number, roots, self.keeper()))
    }

    fn delete_if_untouched(&self, cycle: &Cycle, cids: &[Cid]) -> Result<Deleted, CollectorError> {
        Ok(self.0.write().delete_if_untouched(cycle.number(), cids)?)
    }

    fn compact(&self, how: Compact) -> Result<(), CollectorError> {
        let (Compact::Room | Compact::Traces) = how; // what was deleted is nowhere
        Ok(())
    }
}

impl Store for MemoryStore {
    fn commit(&self, lease: &Lease, batch: &WriteBatch<'_>) -> Result<Swap, StoreError> {
        self.0.write().commit(lease.id(), batch)
    }

    fn snapshot(&self) -> Result<Box<dyn StoreSnapshot>, StoreError> {
        Ok(Box::new(MemorySnapshot::take(&self.0)?))
    }

    fn kind(&self) -> &'static str {
        "memory"
    }
}
