//! What writing costs, counted: syncs and bytes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::sync::{Arc, Barrier};
use std::thread;

use common::{OPTIONS, TABLE, block};
use mnem_backend_native::{StorageEngine, StorageOptions, WalCommitPolicy};
use mnem_core::port::{
    BlockRead, Blockstore, Collector, HeadsUpdate, Namespace, OpHeadsStore, Row, SideTable, Store, Swap,
    WriteBatch,
};
use mnem_core::{Block, OperationId};
use mnem_vfs::sim::{Crash, Keep};
use mnem_vfs::{CountingVfs, SimVfs};

type Disk = CountingVfs<SimVfs>;

fn fresh(options: StorageOptions) -> (Disk, StorageEngine) {
    let disk = CountingVfs::new(SimVfs::new());
    let store = StorageEngine::open_or_init_with(Arc::new(disk.clone()), "/store", options).unwrap();
    (disk, store)
}

/// Limits so wide that no checkpoint and no new segment comes in between.
fn wide(policy: WalCommitPolicy) -> StorageOptions {
    StorageOptions { policy, ..StorageOptions::default() }
}

fn commit(store: &StorageEngine, block: &Block) {
    let old = store.heads(&Namespace::default()).unwrap();
    let heads = HeadsUpdate::advance(Namespace::default(), &old, OperationId::new(*block.cid()));
    let lease = store.lease(&[]).unwrap();
    let batch = WriteBatch { blocks: std::slice::from_ref(block), heads: &heads, rows: &[] };
    assert_eq!(store.commit(&lease, &batch).unwrap(), Swap::Done);
}

#[test]
fn a_small_commit_is_one_write_and_one_sync_of_at_most_8_kib_more() {
    let (disk, store) = fresh(wide(WalCommitPolicy::Always));
    for (number, bytes) in (0..).zip([0, 10, 300, 2200, 3000]) {
        let before = disk.counts();
        commit(&store, &block(number, bytes));
        let counts = disk.counts() - before;
        assert_eq!((counts.syncs(), counts.sync_data, counts.writes), (1, 1, 1), "{bytes}");
        assert!(counts.bytes_written <= bytes as u64 + 8192, "{bytes}: {}", counts.bytes_written);
        assert_eq!(counts.reads, 0, "a put reads nothing");
    }
}

#[test]
fn a_large_record_is_compressed_in_the_log_and_comes_back_after_a_crash() {
    let (disk, store) = fresh(wide(WalCommitPolicy::Always));
    let value = b"much of the same ".repeat(3000);
    let row = |number: u8| Row { table: TABLE, key: vec![number].into(), value: Some(value.clone().into()) };
    let rows: Vec<Row> = (0..8).map(row).collect();
    store.put_rows(&rows).unwrap();
    store.sync().unwrap();
    assert!(store.metrics().log_bytes < 40_000, "{} bytes of log", store.metrics().log_bytes);
    let after = disk.inner().restart(Crash::random(1));
    let store = StorageEngine::open_with(Arc::new(after), "/store", OPTIONS).unwrap();
    for row in rows {
        assert_eq!(store.row(TABLE, &row.key).unwrap(), row.value);
    }
}

#[test]
fn a_duplicate_of_a_durable_block_writes_nothing() {
    let (disk, store) = fresh(wide(WalCommitPolicy::Always));
    let blocks = [block(1, 500), block(2, 600)];
    store.put_many(&blocks).unwrap();
    store.sync().unwrap();
    for part in ["in the log", "in the pages"] {
        let before = disk.counts();
        store.put_many(&blocks).unwrap();
        store.sync().unwrap();
        let counts = disk.counts() - before;
        assert_eq!((counts.writes, counts.syncs()), (0, 0), "{part}");
        store.checkpoint().unwrap();
    }
    assert_eq!(store.metrics().duplicates, 4);
}

#[test]
fn policies_sync_as_often_as_they_say() {
    for (policy, syncs) in [
        (WalCommitPolicy::Always, 12),
        (WalCommitPolicy::Every(5), 2),
        (WalCommitPolicy::Every(1), 12),
        (WalCommitPolicy::Never, 0),
    ] {
        let options = StorageOptions { segment_bytes_max: 64 << 10, ..wide(policy) };
        let (disk, store) = fresh(options);
        // Into a segment that is large enough for what follows.
        (0..8).for_each(|number| commit(&store, &block(number, 10)));
        store.sync().unwrap();
        let before = disk.counts();
        (100..112).for_each(|number| commit(&store, &block(number, 10)));
        assert_eq!((disk.counts() - before).syncs(), syncs, "{policy:?}");
    }
}

#[test]
fn sync_makes_durable_what_any_policy_left_behind() {
    for policy in [WalCommitPolicy::Every(100), WalCommitPolicy::Never] {
        let (disk, store) = fresh(wide(policy));
        let kept = block(1, 100);
        commit(&store, &kept);
        store.put_rows(&[Row { table: TABLE, key: "k".into(), value: Some("v".into()) }]).unwrap();
        store.sync().unwrap();
        commit(&store, &block(2, 100));
        let image = disk.inner().restart(Keep::Nothing);
        let store = StorageEngine::open_with(Arc::new(image), "/store", OPTIONS).unwrap();
        assert_eq!(store.heads(&Namespace::default()).unwrap(), [OperationId::new(*kept.cid())]);
        assert_eq!(store.row(TABLE, b"k").unwrap().unwrap(), "v");
    }
}

#[test]
fn what_a_lax_policy_loses_is_the_end_of_the_log() {
    let (disk, store) = fresh(StorageOptions { policy: WalCommitPolicy::Every(4), ..OPTIONS });
    let blocks: Vec<Block> = (0..40).map(|number| block(number, 900)).collect();
    for (done, block) in (1_usize..).zip(&blocks) {
        commit(&store, block);
        for seed in 0..8 {
            let image = disk.inner().restart(Crash::random(seed));
            let store = StorageEngine::open_with(Arc::new(image), "/store", OPTIONS).unwrap();
            let head = store.heads(&Namespace::default()).unwrap();
            let reached = match head.as_slice() {
                [] => 0,
                [head] => 1 + blocks.iter().position(|block| block.cid() == head.cid()).unwrap(),
                _ => panic!("two heads"),
            };
            assert!(done - reached < 4, "{done} done, {reached} kept");
            assert!(blocks[..reached].iter().all(|block| store.has(block.cid()).unwrap()));
        }
    }
}

#[test]
fn threads_that_commit_at_once_share_syncs() {
    const THREADS: usize = 8;
    const EACH: usize = 50;
    let (disk, store) = fresh(wide(WalCommitPolicy::Always));
    let before = disk.counts();
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, barrier) = (&store, &barrier);
            scope.spawn(move || {
                barrier.wait();
                let name = Namespace::new(&format!("thread-{thread}")).unwrap();
                for number in 0..EACH {
                    let block = block((thread * 1000 + number) as u64, 100);
                    let heads = HeadsUpdate {
                        namespace: name.clone(),
                        expected: None,
                        add: vec![OperationId::new(*block.cid())],
                        remove: Vec::new(),
                    };
                    let lease = store.lease(&[]).unwrap();
                    let batch = WriteBatch { blocks: &[block], heads: &heads, rows: &[] };
                    assert_eq!(store.commit(&lease, &batch).unwrap(), Swap::Done);
                }
            });
        }
    });
    let counts = disk.counts() - before;
    println!("{} commits, {} syncs", THREADS * EACH, counts.sync_data);
    assert!(
        counts.sync_data <= (THREADS * EACH) as u64 + 20,
        "never more than one each, and a few for segments"
    );
    let heads: usize = store.namespaces().unwrap().iter().map(|name| store.heads(name).unwrap().len()).sum();
    assert_eq!(heads, THREADS * EACH);
}

#[test]
fn a_block_of_16_mib_and_commits_larger_than_a_record_come_back() {
    let (disk, store) = fresh(OPTIONS);
    let large = block(1, 16 << 20);
    commit(&store, &large);
    let many: Vec<Block> = (10..30).map(|number| block(number, 1 << 20)).collect();
    let lease = store.lease(&[]).unwrap();
    let heads = HeadsUpdate::advance(Namespace::new("many").unwrap(), &[], OperationId::new(*many[3].cid()));
    let batch = WriteBatch { blocks: &many, heads: &heads, rows: &[] };
    assert_eq!(store.commit(&lease, &batch).unwrap(), Swap::Done);
    drop(lease);
    let image = disk.inner().restart(Keep::Nothing);
    drop(store);
    for disk in [image, disk.inner().clone()] {
        let store = StorageEngine::open_with(Arc::new(disk), "/store", OPTIONS).unwrap();
        store.check().unwrap();
        for block in many.iter().chain([&large]) {
            assert_eq!(store.get(block.cid()).unwrap().as_ref(), Some(block));
        }
    }
}

#[test]
fn deleted_blocks_give_their_room_back() {
    let (disk, store) = fresh(OPTIONS);
    let keep = block(1, 100);
    commit(&store, &keep);
    store.checkpoint().unwrap();
    let dead: Vec<Block> = (10..200).map(|number| block(number, 3000)).collect();
    store.put_many(&dead).unwrap();
    store.checkpoint().unwrap();
    let size = || disk.inner().peek("/store/data.nd").unwrap().len();
    let full = size();
    let cycle = store.begin_cycle().unwrap();
    let cids: Vec<_> = dead.iter().map(|block| *block.cid()).collect();
    assert_eq!(store.delete_if_untouched(&cycle, &cids).unwrap().blocks, 190);
    drop(cycle);
    // Two checkpoints later no superblock reaches them, and two more move what lies behind.
    for name in ["a", "b", "c", "d"] {
        let head = vec![OperationId::new(*keep.cid())];
        let namespace = Namespace::new(name).unwrap();
        let update = HeadsUpdate { namespace, expected: None, add: head, remove: Vec::new() };
        assert_eq!(store.update(&update).unwrap(), Swap::Done);
        store.checkpoint().unwrap();
        store.check().unwrap();
    }
    assert!(full > 500_000 && size() < 50_000, "{full} became {}", size());
    assert_eq!(store.get(keep.cid()).unwrap(), Some(keep));
}

/// However often it is overwritten, moved and freed: what was there when it was taken can be read from it.
#[test]
fn a_snapshot_holds_its_pages_through_checkpoints_and_deletes() {
    let (_disk, store) = fresh(OPTIONS);
    let old: Vec<Block> = (0..60).map(|number| block(number, 2000)).collect();
    store.put_many(&old).unwrap();
    store.checkpoint().unwrap();
    let in_log = block(100, 700);
    store.put(&in_log).unwrap();
    let snapshot = store.snapshot().unwrap();
    let cycle = store.begin_cycle().unwrap();
    let cids: Vec<_> = old.iter().chain([&in_log]).map(|block| *block.cid()).collect();
    assert_eq!(store.delete_if_untouched(&cycle, &cids).unwrap().blocks, 61);
    drop(cycle);
    for round in 0..6 {
        let new: Vec<Block> = (0..60).map(|number| block(1000 * (round + 1) + number, 2000)).collect();
        store.put_many(&new).unwrap();
        store.checkpoint().unwrap();
        store.check().unwrap();
    }
    for block in old.iter().chain([&in_log]) {
        assert_eq!(snapshot.get(block.cid()).unwrap().as_ref(), Some(block));
        assert!(!store.has(block.cid()).unwrap());
    }
    assert_eq!(snapshot.scan(None).unwrap().count(), 61);
}

#[test]
fn a_block_that_is_deleted_and_put_again_before_a_checkpoint_stays() {
    let (disk, store) = fresh(OPTIONS);
    let block = block(1, 2000);
    store.put(&block).unwrap();
    store.checkpoint().unwrap();
    let cycle = store.begin_cycle().unwrap();
    assert_eq!(store.delete_if_untouched(&cycle, &[*block.cid()]).unwrap().blocks, 1);
    assert_eq!(store.get(block.cid()).unwrap(), None);
    drop(cycle);
    store.put(&block).unwrap();
    for _ in 0..3 {
        store.put(&common::block(50, 10)).unwrap();
        store.checkpoint().unwrap();
        store.check().unwrap();
        assert_eq!(store.get(block.cid()).unwrap().as_ref(), Some(&block));
    }
    drop(store);
    let store = StorageEngine::open_with(Arc::new(disk.inner().clone()), "/store", OPTIONS).unwrap();
    assert_eq!(store.get(block.cid()).unwrap(), Some(block));
}

#[test]
fn a_walk_in_storage_order_gives_each_block_once_with_its_bytes() {
    let (_disk, store) = fresh(StorageOptions { pool_bytes: 64 << 10, ..OPTIONS });
    // Large commits, small ones in the pages, small ones in the log, some deleted; more than are listed at a time.
    let mut blocks: Vec<Block> = (0..40_000).map(|number| block(number, 40)).collect();
    store.put_many(&blocks).unwrap();
    let small: Vec<Block> = (50_000..50_200).map(|number| block(number, 300)).collect();
    small.iter().for_each(|block| store.put(block).unwrap());
    let cycle = store.begin_cycle().unwrap();
    let dead: Vec<_> = blocks.drain(..500).map(|block| *block.cid()).collect();
    store.delete_if_untouched(&cycle, &dead).unwrap();
    drop(cycle);
    blocks.extend(small);
    for _ in 0..2 {
        let mut found: Vec<Block> = store
            .blocks_in_storage_order()
            .map(|found| found.unwrap())
            .map(|(cid, bytes)| Block::verify(cid, bytes).unwrap())
            .collect();
        found.sort_by_key(|block| *block.cid());
        blocks.sort_by_key(|block| *block.cid());
        assert!(found == blocks, "{} of {}", found.len(), blocks.len());
        store.checkpoint().unwrap();
    }
}

#[test]
fn compaction_gives_back_the_room_of_half_the_blocks_and_keeps_the_others() {
    let (disk, store) = fresh(OPTIONS);
    let size = || disk.inner().peek("/store/data.nd").unwrap().len();
    let blocks: Vec<Block> = (0..3000).map(|number| block(number, 700)).collect();
    store.put_many(&blocks).unwrap();
    store.checkpoint().unwrap();
    let full = size();
    let dead: Vec<_> = blocks.iter().step_by(2).map(|block| *block.cid()).collect();
    let snapshot = store.snapshot().unwrap();
    let cycle = store.begin_cycle().unwrap();
    store.delete_if_untouched(&cycle, &dead).unwrap();
    drop(cycle);
    store.compact().unwrap();
    store.check().unwrap();
    for block in &blocks {
        assert_eq!(snapshot.get(block.cid()).unwrap().as_ref(), Some(block), "an older moment stays");
    }
    drop(snapshot);
    let done = store.compact().unwrap();
    assert_eq!(done.bytes_after, size() as u64);
    assert!(size() * 100 < full * 56, "{full} became {}", size());
    store.check().unwrap();
    let reopened = StorageEngine::open_with(Arc::new(disk.inner().restart(Keep::Nothing)), "/store", OPTIONS);
    for store in [&store, &reopened.unwrap()] {
        for (number, block) in blocks.iter().enumerate() {
            assert_eq!(store.get(block.cid()).unwrap().is_some(), number % 2 == 1);
        }
    }
}
