//! The backends of mnem, all through the port.

use std::path::Path;
use std::sync::Arc;

use mnem_backend_native::{StorageEngine, StorageMode, StorageOptions};
use mnem_backend_redb::RedbStore;
use mnem_backend_simple::SimpleStore;
use mnem_core::port::{HeadsUpdate, Namespace, Store, Swap, WriteBatch};
use mnem_core::{Block, Cid, MemoryStore, OperationId};
use mnem_vfs::{CountingVfs, RealVfs};

use super::engines::{Engine, Memory};

/// Hands every block's bytes to a function.
type Scan<S> = fn(&S, &mut dyn FnMut(&[u8]));

/// Any store, with what the port leaves to the backend.
struct Ours<S> {
    store: S,
    disk: Option<CountingVfs<RealVfs>>,
    scan: Scan<S>,
    reclaim: fn(&S),
}

pub(crate) fn native(path: &Path, memory: Memory) -> Box<dyn Engine> {
    native_as(StorageMode::Single, path, memory)
}

pub(crate) fn native_shared(path: &Path, memory: Memory) -> Box<dyn Engine> {
    native_as(StorageMode::Shared, path, memory)
}

fn native_as(mode: StorageMode, path: &Path, memory: Memory) -> Box<dyn Engine> {
    let disk = CountingVfs::new(RealVfs::new());
    let mut options = StorageOptions { mode, ..StorageOptions::default() };
    if matches!(memory, Memory::Large) {
        options.pool_bytes = 3 << 30;
    }
    let store = StorageEngine::open_or_init_with(Arc::new(disk.clone()), path, options).expect("open");
    let scan = |store: &StorageEngine, see: &mut dyn FnMut(&[u8])| {
        store.blocks_in_storage_order().for_each(|found| see(&found.expect("scan").1));
    };
    let reclaim = |store: &StorageEngine| {
        store.compact().expect("compact");
    };
    Box::new(Ours { store, disk: Some(disk), scan, reclaim })
}

pub(crate) fn redb(path: &Path, _: Memory) -> Box<dyn Engine> {
    let store = mnem_backend_redb::open_or_init(path.join("store")).expect("open");
    let reclaim = |store: &RedbStore| assert!(store.compact().is_ok());
    Box::new(Ours { store, disk: None, scan: scan_by_cid, reclaim })
}

pub(crate) fn simple(path: &Path, _: Memory) -> Box<dyn Engine> {
    let store = SimpleStore::open_or_init(path.join("store")).expect("open");
    Box::new(Ours { store, disk: None, scan: scan_by_cid, reclaim: |_| () })
}

pub(crate) fn memory(_: &Path, _: Memory) -> Box<dyn Engine> {
    Box::new(Ours { store: MemoryStore::new(), disk: None, scan: scan_by_cid, reclaim: |_| () })
}

fn scan_by_cid<S: Store>(store: &S, see: &mut dyn FnMut(&[u8])) {
    for cid in store.scan(None).expect("scan") {
        see(store.get(&cid.expect("scan")).expect("get").expect("it is there").bytes());
    }
}

impl<S: Store> Engine for Ours<S> {
    fn commit(&self, head: usize, blocks: &[Block]) {
        let name = Namespace::new(&format!("head-{head}")).expect("a name");
        let old = self.store.heads(&name).expect("heads");
        let last = OperationId::new(*blocks.last().expect("a commit has blocks").cid());
        let heads = HeadsUpdate::advance(name, &old, last);
        let lease = self.store.lease(&[]).expect("a lease");
        let batch = WriteBatch { blocks, heads: &heads, rows: &[] };
        assert_eq!(self.store.commit(&lease, &batch).expect("a commit"), Swap::Done);
    }

    fn get(&self, cid: &Cid, see: &mut dyn FnMut(&[u8])) -> bool {
        self.store.get(cid).expect("get").map(|block| see(block.bytes())).is_some()
    }

    fn get_many(&self, cids: &[Cid], see: &mut dyn FnMut(&[u8])) {
        let blocks = self.store.get_many(cids).expect("get");
        blocks.into_iter().for_each(|block| see(block.expect("it is there").bytes()));
    }

    fn scan(&self, see: &mut dyn FnMut(&[u8])) {
        (self.scan)(&self.store, see);
    }

    fn delete(&self, cids: &[Cid]) {
        let cycle = self.store.begin_cycle().expect("a cycle");
        for cids in cids.chunks(10_000) {
            self.store.delete_if_untouched(&cycle, cids).expect("a delete");
        }
    }

    fn reclaim(&self) {
        (self.reclaim)(&self.store);
    }

    fn reads(&self) -> Option<u64> {
        self.disk.as_ref().map(|disk| disk.counts().reads)
    }
}
