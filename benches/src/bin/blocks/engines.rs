//! Who is measured, behind one small trait. Each syncs each commit, as its users get it by default.

use std::path::Path;
use std::sync::Arc;

use mnem_backend_native::{StorageEngine, StorageOptions};
use mnem_core::port::{BlockRead, HeadsUpdate, Namespace, Store, Swap, WriteBatch};
use mnem_core::{Block, Cid, OperationId};
use mnem_vfs::{CountingVfs, RealVfs};

/// A store that is open.
pub(crate) trait Engine: Send + Sync {
    /// Stores blocks, and the last one as the head called `head`, durable on return.
    fn commit(&self, head: usize, blocks: &[Block]);
    /// Reads a block, if it is there, and hands its bytes to `see`.
    fn get(&self, cid: &Cid, see: &mut dyn FnMut(&[u8])) -> bool;
    /// Reads many; several engines can do no better than one by one.
    fn get_many(&self, cids: &[Cid], see: &mut dyn FnMut(&[u8])) {
        cids.iter().for_each(|cid| assert!(self.get(cid, see)));
    }
    /// Hands every block's bytes to `see`, in the order that suits the engine best.
    fn scan(&self, see: &mut dyn FnMut(&[u8]));
    fn delete(&self, cids: &[Cid]);
    /// Gives back the space of what was deleted.
    fn reclaim(&self);
    /// How often it read a file since it was opened, if it counts that.
    fn reads(&self) -> Option<u64> {
        None
    }
}

/// How an engine is opened.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) open: fn(&Path, Memory) -> Box<dyn Engine>,
}

/// What an engine may keep in memory.
#[derive(Clone, Copy)]
pub(crate) enum Memory {
    Default,
    /// All data fits.
    Large,
}

pub(crate) fn heads(store: &dyn Store, head: usize, block: &Block) -> HeadsUpdate {
    let name = Namespace::new(&format!("head-{head}")).expect("a name");
    let old = store.heads(&name).expect("heads");
    HeadsUpdate::advance(name, &old, OperationId::new(*block.cid()))
}

fn commit(store: &dyn Store, head: usize, blocks: &[Block]) {
    let heads = heads(store, head, blocks.last().expect("a commit has blocks"));
    let lease = store.lease(&[]).expect("a lease");
    let batch = WriteBatch { blocks, heads: &heads, rows: &[] };
    assert_eq!(store.commit(&lease, &batch).expect("a commit"), Swap::Done);
}

fn delete(store: &dyn Store, cids: &[Cid]) {
    let cycle = store.begin_cycle().expect("a cycle");
    for cids in cids.chunks(10_000) {
        store.delete_if_untouched(&cycle, cids).expect("a delete");
    }
}

pub(crate) struct Native {
    store: StorageEngine,
    disk: CountingVfs<RealVfs>,
}

impl Native {
    pub(crate) fn open(path: &Path, memory: Memory) -> Box<dyn Engine> {
        let disk = CountingVfs::new(RealVfs::new());
        let mut options = StorageOptions::default();
        if matches!(memory, Memory::Large) {
            options.pool_bytes = 3 << 30;
        }
        let store = StorageEngine::open_or_init_with(Arc::new(disk.clone()), path, options).expect("open");
        Box::new(Native { store, disk })
    }
}

impl Engine for Native {
    fn commit(&self, head: usize, blocks: &[Block]) {
        commit(&self.store, head, blocks);
    }
    fn get(&self, cid: &Cid, see: &mut dyn FnMut(&[u8])) -> bool {
        self.store.get(cid).expect("get").map(|block| see(block.bytes())).is_some()
    }
    fn get_many(&self, cids: &[Cid], see: &mut dyn FnMut(&[u8])) {
        let blocks = self.store.get_many(cids).expect("get");
        blocks.into_iter().for_each(|block| see(block.expect("it is there").bytes()));
    }
    fn scan(&self, see: &mut dyn FnMut(&[u8])) {
        self.store.blocks_in_storage_order().for_each(|found| see(&found.expect("scan").1));
    }
    fn delete(&self, cids: &[Cid]) {
        delete(&self.store, cids);
    }
    fn reclaim(&self) {
        self.store.compact().expect("compact");
    }
    fn reads(&self) -> Option<u64> {
        Some(self.disk.counts().reads)
    }
}

pub(crate) struct Redb(mnem_backend_redb::RedbStore);

impl Redb {
    pub(crate) fn open(path: &Path, _memory: Memory) -> Box<dyn Engine> {
        Box::new(Redb(mnem_backend_redb::open_or_init(path.join("store")).expect("open")))
    }
}

impl Engine for Redb {
    fn commit(&self, head: usize, blocks: &[Block]) {
        commit(&self.0, head, blocks);
    }
    fn get(&self, cid: &Cid, see: &mut dyn FnMut(&[u8])) -> bool {
        self.0.get(cid).expect("get").map(|block| see(block.bytes())).is_some()
    }
    fn scan(&self, see: &mut dyn FnMut(&[u8])) {
        for cid in self.0.scan(None).expect("scan") {
            see(self.0.get(&cid.expect("scan")).expect("get").expect("it is there").bytes());
        }
    }
    fn delete(&self, cids: &[Cid]) {
        delete(&self.0, cids);
    }
    fn reclaim(&self) {
        self.0.compact().expect("compact");
    }
}
