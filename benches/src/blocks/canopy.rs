//! canopydb, each commit synced.

use std::fs;
use std::path::Path;

use canopydb::{Database, DbOptions, EnvOptions};
use mnem_core::{Block, Cid};

use super::engines::{Engine, Memory};

struct Canopy(Database);

pub(crate) fn open(path: &Path, memory: Memory) -> Box<dyn Engine> {
    let path = path.join("canopy");
    fs::create_dir_all(&path).expect("a folder");
    let mut options = EnvOptions::new(path);
    if matches!(memory, Memory::Large) {
        options.page_cache_size = 3 << 30;
    }
    Box::new(Canopy(Database::with_options(options, DbOptions::default()).expect("open")))
}

impl Engine for Canopy {
    fn commit(&self, head: usize, blocks: &[Block]) {
        let txn = self.0.begin_write().expect("a transaction");
        {
            let mut tree = txn.get_or_create_tree(b"blocks").expect("a tree");
            for block in blocks {
                tree.insert(&block.cid().to_bytes(), block.bytes()).expect("insert");
            }
            let last = blocks.last().expect("a commit has blocks").cid().to_bytes();
            let mut heads = txn.get_or_create_tree(b"heads").expect("a tree");
            heads.insert(&head.to_le_bytes(), &last).expect("insert");
        }
        txn.commit_with(true).expect("commit");
    }

    fn get(&self, cid: &Cid, see: &mut dyn FnMut(&[u8])) -> bool {
        let txn = self.0.begin_read().expect("a transaction");
        let tree = txn.get_tree(b"blocks").expect("a tree").expect("it is there");
        tree.get(&cid.to_bytes()).expect("get").map(|value| see(&value)).is_some()
    }

    fn scan(&self, see: &mut dyn FnMut(&[u8])) {
        let txn = self.0.begin_read().expect("a transaction");
        let tree = txn.get_tree(b"blocks").expect("a tree").expect("it is there");
        tree.iter().expect("scan").for_each(|entry| see(&entry.expect("scan").1));
    }

    fn delete(&self, cids: &[Cid]) {
        for cids in cids.chunks(10_000) {
            let txn = self.0.begin_write().expect("a transaction");
            {
                let mut tree = txn.get_or_create_tree(b"blocks").expect("a tree");
                for cid in cids {
                    tree.delete(&cid.to_bytes()).expect("delete");
                }
            }
            txn.commit_with(true).expect("commit");
        }
    }

    fn reclaim(&self) {
        self.0.checkpoint().expect("checkpoint");
        self.0.compact().expect("compact");
    }
}
