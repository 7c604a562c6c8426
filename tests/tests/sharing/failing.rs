//! A store whose every call fails from the n-th on, as if the medium had gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use mnem::port::{
    BlockRead, Blockstore, CidStream, Collector, CollectorError, Compact, Cycle, Deleted, Fault, HeadsError,
    HeadsUpdate, Lease, Namespace, OpHeadsStore, Row, RowStream, RowTable, SideError, SideTable, Store,
    StoreError, StoreSnapshot, Swap, WriteBatch,
};
use mnem::{Block, Cid, OperationId};

/// How many more calls go well.
#[derive(Clone)]
pub(crate) struct Fuse(Arc<AtomicU64>);

impl Fuse {
    pub(crate) fn new(calls: u64) -> Fuse {
        Fuse(Arc::new(AtomicU64::new(calls)))
    }

    /// Says whether it has blown.
    pub(crate) fn is_blown(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    fn burn(&self) -> Result<(), Fault> {
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        match left {
            Ok(left) if left > 1 => Ok(()),
            _ => Err(Fault::io("reach", "the store", std::io::Error::other("gone"))),
        }
    }
}

/// Forwards everything until the fuse blows.
pub(crate) struct Failing {
    inner: Arc<dyn Store>,
    fuse: Fuse,
}

impl Failing {
    pub(crate) fn over(inner: Arc<dyn Store>, fuse: &Fuse) -> Arc<dyn Store> {
        Arc::new(Failing { inner, fuse: fuse.clone() })
    }
}

struct Snapshot {
    inner: Box<dyn StoreSnapshot>,
    fuse: Fuse,
}

macro_rules! reads {
    ($($type:ty),*) => { $(
        impl BlockRead for $type {
            fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
                self.fuse.burn()?;
                self.inner.get(cid)
            }
            fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
                self.fuse.burn()?;
                self.inner.get_many(cids)
            }
            fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
                self.fuse.burn()?;
                self.inner.has(cid)
            }
            fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
                self.fuse.burn()?;
                self.inner.has_many(cids)
            }
            fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
                self.fuse.burn()?;
                self.inner.scan(after)
            }
        }
    )* };
}

reads!(Failing, Snapshot);

impl StoreSnapshot for Snapshot {
    fn heads(&self, namespace: &Namespace) -> Result<Vec<OperationId>, HeadsError> {
        self.fuse.burn()?;
        self.inner.heads(namespace)
    }

    fn lease(&self) -> &Lease {
        self.inner.lease()
    }
}

impl Blockstore for Failing {
    fn put(&self, block: &Block) -> Result<(), StoreError> {
        self.fuse.burn()?;
        self.inner.put(block)
    }

    fn put_many(&self, blocks: &[Block]) -> Result<(), StoreError> {
        self.fuse.burn()?;
        self.inner.put_many(blocks)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.fuse.burn()?;
        self.inner.sync()
    }
}

impl OpHeadsStore for Failing {
    fn namespaces(&self) -> Result<Vec<Namespace>, HeadsError> {
        self.fuse.burn()?;
        self.inner.namespaces()
    }

    fn heads(&self, namespace: &Namespace) -> Result<Vec<OperationId>, HeadsError> {
        self.fuse.burn()?;
        self.inner.heads(namespace)
    }

    fn update(&self, update: &HeadsUpdate) -> Result<Swap, HeadsError> {
        self.fuse.burn()?;
        self.inner.update(update)
    }
}

impl SideTable for Failing {
    fn row(&self, table: RowTable, key: &[u8]) -> Result<Option<Bytes>, SideError> {
        self.fuse.burn()?;
        self.inner.row(table, key)
    }

    fn rows(&self, table: RowTable, from: &[u8]) -> Result<RowStream, SideError> {
        self.fuse.burn()?;
        self.inner.rows(table, from)
    }

    fn put_rows(&self, rows: &[Row]) -> Result<(), SideError> {
        self.fuse.burn()?;
        self.inner.put_rows(rows)
    }

    fn clear_rows(&self, table: RowTable) -> Result<(), SideError> {
        self.fuse.burn()?;
        self.inner.clear_rows(table)
    }
}

impl Collector for Failing {
    fn lease(&self, roots: &[Cid]) -> Result<Lease, CollectorError> {
        self.fuse.burn()?;
        self.inner.lease(roots)
    }

    fn put_leased(&self, lease: &Lease, blocks: &[Block]) -> Result<(), StoreError> {
        self.fuse.burn()?;
        self.inner.put_leased(lease, blocks)
    }

    fn begin_cycle(&self) -> Result<Cycle, CollectorError> {
        self.fuse.burn()?;
        self.inner.begin_cycle()
    }

    fn delete_if_untouched(&self, cycle: &Cycle, cids: &[Cid]) -> Result<Deleted, CollectorError> {
        self.fuse.burn()?;
        self.inner.delete_if_untouched(cycle, cids)
    }

    fn compact(&self, how: Compact) -> Result<(), CollectorError> {
        self.fuse.burn()?;
        self.inner.compact(how)
    }
}

impl Store for Failing {
    fn commit(&self, lease: &Lease, batch: &WriteBatch<'_>) -> Result<Swap, StoreError> {
        self.fuse.burn()?;
        self.inner.commit(lease, batch)
    }

    fn snapshot(&self) -> Result<Box<dyn StoreSnapshot>, StoreError> {
        self.fuse.burn()?;
        Ok(Box::new(Snapshot { inner: self.inner.snapshot()?, fuse: self.fuse.clone() }))
    }

    fn kind(&self) -> &'static str {
        self.inner.kind()
    }
}
