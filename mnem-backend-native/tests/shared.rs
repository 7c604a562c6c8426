//! Several handles on one store, each as if it were of another process; and such as only read.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::sync::Arc;

use common::{OPTIONS, block};
use mnem_backend_native::{StorageEngine, StorageMode, StorageOptions};
use mnem_core::port::{
    BlockRead, Blockstore, Collector, Fault, HeadsUpdate, Namespace, OpHeadsStore, OpenError, Store,
    StoreError, Swap, WriteBatch,
};
use mnem_core::{Block, OperationId};
use mnem_vfs::sim::Keep;
use mnem_vfs::{CountingVfs, SimVfs, Vfs};

const SHARED: StorageOptions = StorageOptions { mode: StorageMode::Shared, ..OPTIONS };
const READ_ONLY: StorageOptions = StorageOptions { mode: StorageMode::ReadOnly, ..OPTIONS };

fn open_as(disk: &SimVfs, options: StorageOptions) -> Result<StorageEngine, OpenError> {
    StorageEngine::open_or_init_with(Arc::new(disk.clone()), "/store", options)
}

fn open(disk: &SimVfs) -> StorageEngine {
    open_as(disk, SHARED).unwrap()
}

fn commit(store: &StorageEngine, blocks: &[Block]) {
    let old = store.heads(&Namespace::default()).unwrap();
    let head = OperationId::new(*blocks.last().unwrap().cid());
    let heads = HeadsUpdate::advance(Namespace::default(), &old, head);
    let lease = store.lease(&[]).unwrap();
    assert_eq!(store.commit(&lease, &WriteBatch { blocks, heads: &heads, rows: &[] }).unwrap(), Swap::Done);
}

fn head(store: &StorageEngine) -> OperationId {
    match store.heads(&Namespace::default()).unwrap().as_slice() {
        [head] => *head,
        heads => panic!("{} heads", heads.len()),
    }
}

fn assert_there(store: &StorageEngine, blocks: &[Block]) {
    for block in blocks {
        assert_eq!(store.get(block.cid()).unwrap().as_ref(), Some(block));
    }
}

#[test]
fn what_one_commits_the_others_see_whoever_made_the_checkpoint() {
    let disk = SimVfs::new();
    let handles = [open(&disk), open(&disk.process()), open(&disk.process())];
    let mut all = Vec::new();
    for number in 0..120_u64 {
        let writer = &handles[usize::try_from(number % 3).unwrap()];
        let size = if number % 10 == 7 { 40_000 } else { 900 };
        let blocks = [block(number * 2, size), block(number * 2 + 1, 30)];
        commit(writer, &blocks);
        if number % 11 == 5 {
            writer.checkpoint().unwrap();
        }
        let newest = OperationId::new(*blocks[1].cid());
        for handle in &handles {
            assert_eq!(head(handle), newest, "commit {number}");
            assert_there(handle, &blocks);
        }
        all.extend(blocks);
    }
    for handle in &handles {
        assert_there(handle, &all);
        handle.check().unwrap();
    }
    let [one, two, three] = handles;
    drop((one, three));
    commit(&two, &[block(1000, 10)]);
    drop(two);
    let alone = open_as(&disk, OPTIONS).unwrap();
    assert!(alone.report().clean, "the last one to leave has made a checkpoint");
    assert_there(&alone, &all);
    alone.check().unwrap();
}

#[test]
fn a_store_is_used_alone_or_shared_not_both() {
    let disk = SimVfs::new();
    let alone = open_as(&disk, OPTIONS).unwrap();
    for options in [SHARED, READ_ONLY, OPTIONS] {
        assert!(matches!(open_as(&disk.process(), options), Err(OpenError::Locked { .. })));
    }
    drop(alone);
    let shared = open(&disk);
    assert!(matches!(open_as(&disk.process(), OPTIONS), Err(OpenError::Locked { .. })));
    drop((open(&disk.process()), open_as(&disk.process(), READ_ONLY).unwrap(), shared));
    drop(open_as(&disk, OPTIONS).unwrap());
}

#[test]
fn a_snapshot_keeps_its_pages_while_another_process_deletes_and_fills_them() {
    let disk = SimVfs::new();
    let reader = open(&disk);
    let writer = open(&disk.process());
    let old: Vec<Block> = (0..60).map(|number| block(number, 2000)).collect();
    commit(&writer, &old);
    writer.checkpoint().unwrap();
    let in_log = block(100, 700);
    writer.put(&in_log).unwrap();
    let snapshot = reader.snapshot().unwrap();
    let other = open(&disk.process());
    for (round, writer) in [&writer, &other, &writer, &other, &writer].into_iter().enumerate() {
        let cycle = writer.begin_cycle().unwrap();
        let cids: Vec<_> = old[..59].iter().chain([&in_log]).map(|block| *block.cid()).collect();
        let deleted = writer.delete_if_untouched(&cycle, &cids).unwrap().blocks;
        assert_eq!(deleted, if round == 0 { 60 } else { 0 });
        drop(cycle);
        let new: Vec<Block> = (0..60).map(|at| block(1000 * (round as u64 + 1) + at, 2000)).collect();
        writer.put_many(&new).unwrap();
        writer.checkpoint().unwrap();
        writer.check().unwrap();
        assert!(!reader.has(old[0].cid()).unwrap());
    }
    for block in old.iter().chain([&in_log]) {
        assert_eq!(snapshot.get(block.cid()).unwrap().as_ref(), Some(block));
    }
    let file_bytes = || disk.peek("/store/data.nd").unwrap().len();
    drop(snapshot);
    // What nobody reads any more is used again, after each has moved on twice.
    let fill = |rounds: std::ops::Range<u64>| {
        for round in rounds {
            let new: Vec<Block> = (0..10).map(|at| block(100_000 * (round + 1) + at, 2000)).collect();
            other.put_many(&new).unwrap();
            other.checkpoint().unwrap();
            reader.heads(&Namespace::default()).unwrap();
            writer.heads(&Namespace::default()).unwrap();
        }
        file_bytes()
    };
    let before = fill(0..3);
    let after = fill(3..6);
    assert!(after <= before + 8192, "{before} became {after}");
}

/// Opens, commits, large and small, makes a checkpoint, and closes; killed at one of its calls. Returns the heads that it
/// was acknowledged.
fn work_until_killed(process: &SimVfs, seed: u64) -> Vec<Block> {
    let mut acknowledged = Vec::new();
    let mut work = || -> Result<(), Box<dyn std::error::Error>> {
        let store = open_as(process, SHARED)?;
        let snapshot = store.snapshot()?;
        for (number, size) in [(1, 200), (2, 40_000), (3, 100)] {
            let block = block(seed * 10 + number, size);
            let old = store.heads(&Namespace::default())?;
            let heads = HeadsUpdate::advance(Namespace::default(), &old, OperationId::new(*block.cid()));
            let batch = WriteBatch { blocks: std::slice::from_ref(&block), heads: &heads, rows: &[] };
            assert_eq!(store.commit(snapshot.lease(), &batch)?, Swap::Done);
            acknowledged.push(block);
            if number == 2 {
                store.checkpoint()?;
            }
        }
        Ok(())
    };
    let _ = work();
    acknowledged
}

#[test]
fn a_writer_that_is_killed_anywhere_is_recovered_by_the_next() {
    let disk = SimVfs::new();
    let survivor = open(&disk);
    commit(&survivor, &[block(1, 100)]);
    let mut all: Vec<Block> = Vec::new();
    for call in 0.. {
        let process = disk.process();
        process.kill_at(disk.calls() + call);
        let acknowledged = work_until_killed(&process, 100 + call);
        let is_through = acknowledged.len() == 3;
        all.extend(acknowledged);
        // Who reads, who was there, who comes anew: all see what was acknowledged, and that every head has its block.
        let newest = head(&open_as(&disk.process(), READ_ONLY).unwrap());
        assert!(survivor.has(newest.cid()).unwrap());
        assert_there(&survivor, &all[all.len().saturating_sub(12)..]);
        assert_eq!(head(&survivor), newest, "call {call}");
        commit(&survivor, &[block(50_000 + call, 100)]);
        if call % 8 == 0 {
            let fresh = open(&disk.process());
            fresh.check().unwrap();
            assert_there(&fresh, &all);
        }
        if is_through {
            assert!(call > 50, "{call} calls");
            break;
        }
    }
    survivor.check().unwrap();
    assert_there(&survivor, &all);
    // None of the dead keeps a page: what is used is what is reachable.
    survivor.compact().unwrap();
    survivor.check().unwrap();
}

/// What it costs one process that others may come: counted, and the same each time.
#[test]
fn a_small_commit_in_shared_mode_syncs_as_often_as_alone_and_waits_for_nothing_else() {
    let wide = |mode| StorageOptions { mode, ..StorageOptions::default() };
    let counts = |mode| {
        let disk = CountingVfs::new(SimVfs::new());
        let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
        let store = StorageEngine::open_or_init_with(vfs, "/store", wide(mode)).unwrap();
        commit(&store, &[block(1, 300)]);
        let before = disk.counts();
        commit(&store, &[block(2, 300)]);
        disk.counts() - before
    };
    let (alone, shared) = (counts(StorageMode::Single), counts(StorageMode::Shared));
    assert_eq!((alone.syncs(), alone.writes, alone.reads), (1, 1, 0));
    // Beside the flush: that a write begins, that it is done; a lease, what is put under it, its end.
    assert_eq!((shared.syncs(), shared.writes), (1, 6));
    assert!(shared.bytes_written - alone.bytes_written < 512, "{}", shared.bytes_written);
    // The notice, each time that somebody could have gone on.
    assert_eq!(shared.reads, 5);
    assert_eq!((shared.opens, shared.renames, shared.removes, shared.lists), (0, 0, 0, 0));
}

#[test]
fn who_only_reads_sees_a_writers_commits_and_writes_nothing() {
    let disk = SimVfs::new();
    let writer = open(&disk);
    commit(&writer, &[block(1, 500)]);
    let counting = CountingVfs::new(disk.process());
    let vfs: Arc<dyn Vfs> = Arc::new(counting.clone());
    let reader = StorageEngine::open_with(vfs, "/store", READ_ONLY).unwrap();
    for number in 2..60 {
        let blocks = [block(number * 2, 3000), block(number * 2 + 1, 100)];
        commit(&writer, &blocks);
        if number % 7 == 0 {
            writer.checkpoint().unwrap();
        }
        assert_there(&reader, &blocks);
    }
    assert_eq!(head(&reader), head(&writer));
    assert_eq!(counting.counts().syncs(), 0);
    let refused = reader.put(&block(999, 10));
    assert!(matches!(refused, Err(StoreError::Fault(Fault::ReadOnly))), "{refused:?}");
    assert!(reader.begin_cycle().is_err() && reader.checkpoint().is_err());
    reader.check().unwrap();
    let newest = head(&writer);
    drop(writer);
    assert_eq!(head(&reader), newest);
    drop(open(&disk.process()));
    assert_eq!(head(&reader), newest);
}

#[test]
fn who_only_reads_sees_what_a_crash_left_and_leaves_it() {
    let disk = SimVfs::new();
    let writer = open(&disk);
    let blocks: Vec<Block> = (0..9).map(|number| block(number, 400)).collect();
    blocks.iter().for_each(|block| commit(&writer, std::slice::from_ref(block)));
    let image = disk.restart(Keep::Nothing);
    drop(writer);
    let before = [image.peek("/store/data.nd").unwrap(), image.peek("/store/wal-0001").unwrap()];
    let reader = StorageEngine::open_with(Arc::new(image.clone()), "/store", READ_ONLY).unwrap();
    assert!(!reader.report().clean);
    assert_there(&reader, &blocks);
    assert_eq!(reader.snapshot().unwrap().heads(&Namespace::default()).unwrap().len(), 1);
    drop(reader);
    assert_eq!(before, [image.peek("/store/data.nd").unwrap(), image.peek("/store/wal-0001").unwrap()]);
    assert_there(&open(&image), &blocks);
}

#[test]
fn leases_of_one_process_hold_back_the_collections_of_another() {
    let disk = SimVfs::new();
    let (one, two) = (open(&disk), open(&disk.process()));
    let blocks: Vec<Block> = (0..6).map(|number| block(number, 100)).collect();
    commit(&one, &blocks[..1]);
    let lease = one.lease(&[*blocks[0].cid()]).unwrap();
    commit(&two, &blocks[1..2]);
    one.put_leased(&lease, &blocks[2..3]).unwrap();
    assert!(two.lease(&[*blocks[0].cid()]).is_ok(), "a root of a live lease, elsewhere");
    let all: Vec<_> = blocks.iter().map(|block| *block.cid()).collect();
    one.put(&blocks[3]).unwrap();
    let cycle = two.begin_cycle().unwrap();
    assert!(cycle.roots().contains(blocks[0].cid()) && cycle.roots().contains(blocks[1].cid()));
    one.put(&blocks[4]).unwrap();
    one.put_leased(&lease, &blocks[5..]).unwrap();
    assert_eq!(two.delete_if_untouched(&cycle, &all[2..]).unwrap().blocks, 1);
    assert!(!one.has(blocks[3].cid()).unwrap(), "nothing held it");
    let newer = one.begin_cycle().unwrap();
    assert!(two.delete_if_untouched(&cycle, &all[2..]).is_err(), "it is not the newest any more");
    drop(newer);
    drop(lease);
    let cycle = two.begin_cycle().unwrap();
    assert_eq!(cycle.roots(), [*blocks[1].cid()]);
    assert_eq!(two.delete_if_untouched(&cycle, &all[2..]).unwrap().blocks, 3);
    let next = block(77, 10);
    one.put(&next).unwrap();
    let update = HeadsUpdate {
        expected: None,
        ..HeadsUpdate::advance(Namespace::default(), &[], OperationId::new(*next.cid()))
    };
    assert_eq!(one.update(&update).unwrap(), Swap::Done);
    assert!(two.delete_if_untouched(&cycle, &all[..1]).is_err(), "a head was added that no lease covers");
}
