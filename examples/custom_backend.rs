//! A backend of one's own, and the public suite run on it: every numbered promise, no line of test code.
//!
//! `cargo run -p mnem --example custom_backend --features testing`

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use mnem::memory::MemoryStore;
use mnem::port::{
    BlockRead, Blockstore, CidStream, Collector, CollectorError, Compact, Cycle, Deleted, HeadsError,
    HeadsUpdate, Lease, Namespace, OpHeadsStore, OpenError, Row, RowStream, RowTable, SideError, SideTable,
    Store, StoreError, StoreSnapshot, Swap, WriteBatch,
};
use mnem::testing::{Abilities, Lab, check_all};
use mnem::{Block, Cid, OperationId};

/// Keeps what was read once in memory, in front of any store. Forwards the rest, one line a method.
struct FastThenSlow<S> {
    fast: Mutex<HashMap<Cid, Block>>,
    slow: S,
}

impl<S: Store> FastThenSlow<S> {
    fn new(slow: S) -> FastThenSlow<S> {
        FastThenSlow { fast: Mutex::default(), slow }
    }

    fn fast(&self) -> MutexGuard<'_, HashMap<Cid, Block>> {
        self.fast.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Store> BlockRead for FastThenSlow<S> {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        // Held across both, or a block that is deleted in between would come back (C7).
        let mut fast = self.fast();
        if let Some(block) = fast.get(cid) {
            return Ok(Some(block.clone()));
        }
        let found = self.slow.get(cid)?;
        fast.extend(found.iter().map(|block| (*cid, block.clone())));
        Ok(found)
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        cids.iter().map(|cid| self.get(cid)).collect()
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.slow.has(cid)
    }

    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        self.slow.has_many(cids)
    }

    fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
        self.slow.scan(after)
    }
}

impl<S: Store> Blockstore for FastThenSlow<S> {
    fn put(&self, block: &Block) -> Result<(), StoreError> {
        self.slow.put(block)
    }

    fn put_many(&self, blocks: &[Block]) -> Result<(), StoreError> {
        self.slow.put_many(blocks)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.slow.sync()
    }
}

impl<S: Store> OpHeadsStore for FastThenSlow<S> {
    fn namespaces(&self) -> Result<Vec<Namespace>, HeadsError> {
        self.slow.namespaces()
    }

    fn heads(&self, namespace: &Namespace) -> Result<Vec<OperationId>, HeadsError> {
        self.slow.heads(namespace)
    }

    fn update(&self, update: &HeadsUpdate) -> Result<Swap, HeadsError> {
        self.slow.update(update)
    }
}

impl<S: Store> SideTable for FastThenSlow<S> {
    fn row(&self, table: RowTable, key: &[u8]) -> Result<Option<Bytes>, SideError> {
        self.slow.row(table, key)
    }

    fn rows(&self, table: RowTable, from: &[u8]) -> Result<RowStream, SideError> {
        self.slow.rows(table, from)
    }

    fn put_rows(&self, rows: &[Row]) -> Result<(), SideError> {
        self.slow.put_rows(rows)
    }

    fn clear_rows(&self, table: RowTable) -> Result<(), SideError> {
        self.slow.clear_rows(table)
    }
}

impl<S: Store> Collector for FastThenSlow<S> {
    fn lease(&self, roots: &[Cid]) -> Result<Lease, CollectorError> {
        self.slow.lease(roots)
    }

    fn put_leased(&self, lease: &Lease, blocks: &[Block]) -> Result<(), StoreError> {
        self.slow.put_leased(lease, blocks)
    }

    fn begin_cycle(&self) -> Result<Cycle, CollectorError> {
        self.slow.begin_cycle()
    }

    fn delete_if_untouched(&self, cycle: &Cycle, cids: &[Cid]) -> Result<Deleted, CollectorError> {
        let mut fast = self.fast();
        // Whatever becomes of the delete, forgetting costs time only.
        for cid in cids {
            fast.remove(cid);
        }
        self.slow.delete_if_untouched(cycle, cids)
    }

    fn compact(&self, how: Compact) -> Result<(), CollectorError> {
        self.slow.compact(how)
    }
}

impl<S: Store> Store for FastThenSlow<S> {
    fn commit(&self, lease: &Lease, batch: &WriteBatch<'_>) -> Result<Swap, StoreError> {
        self.slow.commit(lease, batch)
    }

    fn snapshot(&self) -> Result<Box<dyn StoreSnapshot>, StoreError> {
        self.slow.snapshot()
    }

    fn kind(&self) -> &'static str {
        self.slow.kind()
    }
}

/// A place for one such store. It declares what can be shown; what is shown is the suite's part.
struct FastThenSlowLab(Arc<FastThenSlow<MemoryStore>>);

impl Lab for FastThenSlowLab {
    fn name(&self) -> &'static str {
        "fast-then-slow"
    }

    fn abilities(&self) -> Abilities {
        Abilities { keeps: true, shares: true, ..Abilities::NONE }
    }

    fn open(&self) -> Result<Arc<dyn Store>, OpenError> {
        Ok(self.0.clone())
    }

    fn damage(&self, _: &[u8], _: u64) {
        unreachable!("not declared");
    }

    fn cut_power(&self, _: u64, _: u64) {
        unreachable!("not declared");
    }
}

fn main() {
    let kept = check_all(|| FastThenSlowLab(Arc::new(FastThenSlow::new(MemoryStore::new()))));
    println!("own backend ok: {kept} checks of the ports' promises passed");
}
