//! fjall, with its defaults; values in the tree, or apart from it.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};
use mnem_core::{Block, Cid};

use super::engines::{Engine, Memory};

pub(crate) struct Fjall {
    database: Database,
    blocks: Keyspace,
    heads: Keyspace,
}

pub(crate) fn open(path: &Path, memory: Memory) -> Box<dyn Engine> {
    open_with(path, memory, false)
}

pub(crate) fn open_separated(path: &Path, memory: Memory) -> Box<dyn Engine> {
    open_with(path, memory, true)
}

fn open_with(path: &Path, memory: Memory, apart: bool) -> Box<dyn Engine> {
    let mut builder = Database::builder(path.join("fjall"));
    if matches!(memory, Memory::Large) {
        builder = builder.cache_size(1536 << 20);
    }
    let database = builder.open().expect("open");
    let options = move || {
        let options = KeyspaceCreateOptions::default();
        if apart { options.with_kv_separation(Some(KvSeparationOptions::default())) } else { options }
    };
    let blocks = database.keyspace("blocks", options).expect("open");
    let heads = database.keyspace("heads", KeyspaceCreateOptions::default).expect("open");
    Box::new(Fjall { database, blocks, heads })
}

impl Engine for Fjall {
    fn commit(&self, head: usize, blocks: &[Block]) {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for block in blocks {
            batch.insert(&self.blocks, block.cid().to_bytes(), &block.bytes()[..]);
        }
        let last = blocks.last().expect("a commit has blocks").cid().to_bytes();
        batch.insert(&self.heads, head.to_le_bytes(), last);
        batch.commit().expect("commit");
    }
    fn get(&self, cid: &Cid, see: &mut dyn FnMut(&[u8])) -> bool {
        self.blocks.get(cid.to_bytes()).expect("get").map(|value| see(&value)).is_some()
    }
    fn scan(&self, see: &mut dyn FnMut(&[u8])) {
        self.blocks.iter().for_each(|entry| see(&entry.value().expect("scan")));
    }
    fn delete(&self, cids: &[Cid]) {
        for cids in cids.chunks(10_000) {
            let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
            cids.iter().for_each(|cid| batch.remove(&self.blocks, cid.to_bytes()));
            batch.commit().expect("commit");
        }
    }
    fn reclaim(&self) {
        self.blocks.rotate_memtable_and_wait().expect("flush");
        self.blocks.major_compact().expect("compact");
    }
}
