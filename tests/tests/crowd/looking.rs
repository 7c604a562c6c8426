//! A store for those who only look: an operation through it fails the test.

use std::sync::Arc;

use bytes::Bytes;
use mnem_core::port::{
    BlockRead, Blockstore, CidStream, Collector, CollectorError, Compact, Cycle, Deleted, HeadsError,
    HeadsUpdate, Lease, Namespace, OpHeadsStore, Row, RowStream, RowTable, SideError, SideTable, Store,
    StoreError, StoreSnapshot, Swap, WriteBatch,
};
use mnem_core::{Block, Cid, OperationId};

pub(crate) struct Looking(Arc<dyn Store>);

impl Looking {
    pub(crate) fn new(store: Arc<dyn Store>) -> Looking {
        Looking(store)
    }
}

impl BlockRead for Looking {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        self.0.get(cid)
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        self.0.get_many(cids)
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.0.has(cid)
    }

    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        self.0.has_many(cids)
    }

    fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
        self.0.scan(after)
    }
}

impl Blockstore for Looking {
    fn put(&self, _: &Block) -> Result<(), StoreError> {
        panic!("a reader puts a block")
    }

    fn put_many(&self, _: &[Block]) -> Result<(), StoreError> {
        panic!("a reader puts blocks")
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.0.sync()
    }
}

impl OpHeadsStore for Looking {
    fn namespaces(&self) -> Result<Vec<Namespace>, HeadsError> {
        self.0.namespaces()
    }

    fn heads(&self, namespace: &Namespace) -> Result<Vec<OperationId>, HeadsError> {
        self.0.heads(namespace)
    }

    fn update(&self, _: &HeadsUpdate) -> Result<Swap, HeadsError> {
        panic!("a reader moves heads")
    }
}

impl SideTable for Looking {
    fn row(&self, table: RowTable, key: &[u8]) -> Result<Option<Bytes>, SideError> {
        self.0.row(table, key)
    }

    fn rows(&self, table: RowTable, from: &[u8]) -> Result<RowStream, SideError> {
        self.0.rows(table, from)
    }

    fn put_rows(&self, rows: &[Row]) -> Result<(), SideError> {
        self.0.put_rows(rows)
    }

    fn clear_rows(&self, table: RowTable) -> Result<(), SideError> {
        self.0.clear_rows(table)
    }
}

impl Collector for Looking {
    fn lease(&self, roots: &[Cid]) -> Result<Lease, CollectorError> {
        self.0.lease(roots)
    }

    fn put_leased(&self, lease: &Lease, blocks: &[Block]) -> Result<(), StoreError> {
        self.0.put_leased(lease, blocks)
    }

    fn begin_cycle(&self) -> Result<Cycle, CollectorError> {
        panic!("a reader collects")
    }

    fn delete_if_untouched(&self, _: &Cycle, _: &[Cid]) -> Result<Deleted, CollectorError> {
        panic!("a reader deletes")
    }

    fn compact(&self, how: Compact) -> Result<(), CollectorError> {
        panic!("a reader gives room back: {how:?}")
    }
}

impl Store for Looking {
    fn commit(&self, _: &Lease, _: &WriteBatch<'_>) -> Result<Swap, StoreError> {
        panic!("a reader commits")
    }

    fn snapshot(&self) -> Result<Box<dyn StoreSnapshot>, StoreError> {
        self.0.snapshot()
    }

    fn kind(&self) -> &'static str {
        self.0.kind()
    }
}
