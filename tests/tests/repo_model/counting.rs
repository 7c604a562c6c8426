//! A store in memory that counts what is read and written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use mnem_core::counting::Counting;
use mnem_core::object::kind_of;
use mnem_core::port::{
    BlockRead, Blockstore, CidStream, Collector, CollectorError, Compact, Cycle, Deleted, HeadsError,
    HeadsUpdate, Lease, Namespace, OpHeadsStore, Row, RowStream, RowTable, SideError, SideTable, Store,
    StoreError, StoreSnapshot, Swap, WriteBatch,
};
use mnem_core::{Block, Cid, MemoryStore, OperationId};

/// What was written by commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) commits: u64,
    pub(crate) blocks: u64,
    /// Of the blocks, those that are nodes of trees.
    pub(crate) tree_blocks: u64,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
}

#[derive(Default)]
struct Counts {
    commits: AtomicU64,
    blocks: AtomicU64,
    tree_blocks: AtomicU64,
    bytes: AtomicU64,
    rows: AtomicU64,
    reads: AtomicU64,
}

/// Forwards everything. Clones count together.
#[derive(Clone, Default)]
pub(crate) struct CountingStore {
    inner: MemoryStore,
    counts: Arc<Counts>,
}

impl CountingStore {
    pub(crate) fn take_written(&self) -> Written {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        let Counts { commits, blocks, tree_blocks, bytes, rows, .. } = &*self.counts;
        Written {
            commits: take(commits),
            blocks: take(blocks),
            tree_blocks: take(tree_blocks),
            bytes: take(bytes),
            rows: take(rows),
        }
    }

    /// Returns how many blocks were read through snapshots since the last call.
    pub(crate) fn take_reads(&self) -> u64 {
        self.counts.reads.swap(0, Ordering::Relaxed)
    }
}

#[deny(clippy::missing_trait_methods)]
impl BlockRead for CountingStore {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        self.inner.get(cid)
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        self.inner.get_many(cids)
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

#[deny(clippy::missing_trait_methods)]
impl Blockstore for CountingStore {
    fn put(&self, block: &Block) -> Result<(), StoreError> {
        self.inner.put(block)
    }

    fn put_many(&self, blocks: &[Block]) -> Result<(), StoreError> {
        self.inner.put_many(blocks)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.inner.sync()
    }
}

#[deny(clippy::missing_trait_methods)]
impl OpHeadsStore for CountingStore {
    fn namespaces(&self) -> Result<Vec<Namespace>, HeadsError> {
        self.inner.namespaces()
    }

    fn heads(&self, namespace: &Namespace) -> Result<Vec<OperationId>, HeadsError> {
        self.inner.heads(namespace)
    }

    fn update(&self, update: &HeadsUpdate) -> Result<Swap, HeadsError> {
        self.inner.update(update)
    }
}

#[deny(clippy::missing_trait_methods)]
impl SideTable for CountingStore {
    fn row(&self, table: RowTable, key: &[u8]) -> Result<Option<Bytes>, SideError> {
        self.inner.row(table, key)
    }

    fn rows(&self, table: RowTable, from: &[u8]) -> Result<RowStream, SideError> {
        self.inner.rows(table, from)
    }

    fn put_rows(&self, rows: &[Row]) -> Result<(), SideError> {
        self.inner.put_rows(rows)
    }

    fn clear_rows(&self, table: RowTable) -> Result<(), SideError> {
        self.inner.clear_rows(table)
    }
}

#[deny(clippy::missing_trait_methods)]
impl Collector for CountingStore {
    fn lease(&self, roots: &[Cid]) -> Result<Lease, CollectorError> {
        self.inner.lease(roots)
    }

    fn put_leased(&self, lease: &Lease, blocks: &[Block]) -> Result<(), StoreError> {
        self.inner.put_leased(lease, blocks)
    }

    fn begin_cycle(&self) -> Result<Cycle, CollectorError> {
        self.inner.begin_cycle()
    }

    fn delete_if_untouched(&self, cycle: &Cycle, cids: &[Cid]) -> Result<Deleted, CollectorError> {
        self.inner.delete_if_untouched(cycle, cids)
    }

    fn compact(&self, how: Compact) -> Result<(), CollectorError> {
        self.inner.compact(how)
    }
}

#[deny(clippy::missing_trait_methods)]
impl Store for CountingStore {
    fn commit(&self, lease: &Lease, batch: &WriteBatch<'_>) -> Result<Swap, StoreError> {
        let count = |of: &AtomicU64, more: usize| {
            of.fetch_add(u64::try_from(more).unwrap_or(u64::MAX), Ordering::Relaxed);
        };
        count(&self.counts.commits, 1);
        count(&self.counts.blocks, batch.blocks.len());
        let is_tree = |block: &&Block| kind_of(block).unwrap().is_none();
        count(&self.counts.tree_blocks, batch.blocks.iter().filter(is_tree).count());
        count(&self.counts.bytes, batch.blocks.iter().map(|block| block.bytes().len()).sum());
        count(&self.counts.rows, batch.rows.len());
        self.inner.commit(lease, batch)
    }

    fn snapshot(&self) -> Result<Box<dyn StoreSnapshot>, StoreError> {
        let inner: Arc<dyn StoreSnapshot> = Arc::from(self.inner.snapshot()?);
        let blocks = Counting::new(Arc::clone(&inner) as Arc<dyn BlockRead>);
        Ok(Box::new(Counted { inner, blocks, counts: Arc::clone(&self.counts) }))
    }

    fn kind(&self) -> &'static str {
        self.inner.kind()
    }
}

struct Counted {
    inner: Arc<dyn StoreSnapshot>,
    blocks: Counting,
    counts: Arc<Counts>,
}

impl Counted {
    fn note(&self) {
        self.counts.reads.fetch_add(self.blocks.take_reads(), Ordering::Relaxed);
    }
}

#[deny(clippy::missing_trait_methods)]
impl BlockRead for Counted {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        let found = self.blocks.get(cid);
        self.note();
        found
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        let found = self.blocks.get_many(cids);
        self.note();
        found
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.blocks.has(cid)
    }

    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        self.blocks.has_many(cids)
    }

    fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
        self.blocks.scan(after)
    }
}

#[deny(clippy::missing_trait_methods)]
impl StoreSnapshot for Counted {
    fn heads(&self, namespace: &Namespace) -> Result<Vec<OperationId>, HeadsError> {
        self.inner.heads(namespace)
    }

    fn lease(&self) -> &Lease {
        self.inner.lease()
    }
}
