//! What reading the same again costs, and that memory never answers for pages that a reader does not see.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::sync::Arc;

use common::{OPTIONS, block};
use mnem_backend_native::{StorageEngine, StorageOptions};
use mnem_core::Block;
use mnem_core::port::{BlockRead, Blockstore, Collector, Store};
use mnem_vfs::{CountingVfs, SimVfs};

fn filled(options: StorageOptions, count: u64) -> (CountingVfs<SimVfs>, StorageEngine, Vec<Block>) {
    let disk = CountingVfs::new(SimVfs::new());
    let store = StorageEngine::init_with(Arc::new(disk.clone()), "/store", options).unwrap();
    let blocks: Vec<Block> = (0..count).map(|number| block(number, 300)).collect();
    store.put_many(&blocks).unwrap();
    store.checkpoint().unwrap();
    (disk, store, blocks)
}

/// Often enough that the block has a frame of its own.
fn read_often(store: &dyn BlockRead, block: &Block) {
    for _ in 0..3 {
        assert_eq!(store.get(block.cid()).unwrap().as_ref(), Some(block));
    }
}

#[test]
fn a_hot_block_takes_one_look_into_the_pool_and_an_absent_one_a_look_for_its_leaf() {
    // Enough for three levels of index.
    let (disk, store, blocks) = filled(StorageOptions::default(), 8000);
    blocks.iter().for_each(|block| read_often(&store, block));
    let (before, reads) = (store.metrics(), disk.counts().reads);
    for hot in &blocks {
        assert_eq!(store.get(hot.cid()).unwrap().as_ref(), Some(hot));
    }
    let after = store.metrics();
    assert_eq!(after.pool_hits - before.pool_hits, 8000);
    for number in 9000..9100 {
        assert!(!store.has(block(number, 300).cid()).unwrap());
    }
    assert_eq!(store.metrics().pool_hits - after.pool_hits, 100);
    assert_eq!((store.metrics().pool_misses, disk.counts().reads), (before.pool_misses, reads));
}

#[test]
fn a_hot_block_that_is_deleted_is_gone_for_all_but_those_who_saw_it() {
    let (_disk, store, blocks) = filled(OPTIONS, 40);
    let (hot, other) = (&blocks[3], &blocks[4]);
    read_often(&store, hot);
    let earlier = store.snapshot().unwrap();
    let cycle = store.begin_cycle().unwrap();
    assert_eq!(store.delete_if_untouched(&cycle, &[*hot.cid()]).unwrap().blocks, 1);
    drop(cycle);
    for round in 0..3 {
        assert_eq!(store.get(hot.cid()).unwrap(), None, "{round}");
        read_often(&store, other);
        // Reading it there must not bring it back here.
        read_often(&*earlier, hot);
        store.put(&block(100 + round, 10)).unwrap();
        store.checkpoint().unwrap();
    }
    store.put(hot).unwrap();
    read_often(&store, hot);
}

#[test]
fn a_hot_block_is_not_seen_by_those_who_looked_before_it_came() {
    let (_disk, store, _) = filled(OPTIONS, 40);
    let earlier = store.snapshot().unwrap();
    let new = block(100, 300);
    store.put(&new).unwrap();
    store.checkpoint().unwrap();
    read_often(&store, &new);
    assert_eq!(earlier.get(new.cid()).unwrap(), None);
    read_often(&store, &new);
}
