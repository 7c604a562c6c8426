//! What things cost: syncs, bytes written, and room in the file.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;

use common::*;
use mnem_backend_redb::{RedbStore, UNSYNCED_BYTES_MAX, open_or_init};
use mnem_core::port::{Blockstore, Collector, HeadsUpdate, Namespace, OpHeadsStore, Store, Swap};

/// A store that has been written to: the first write of a handle also says in the file that it is in use.
fn used(folder: &std::path::Path) -> (RedbStore, std::sync::Arc<Counters>) {
    let (store, counters) = counted(folder);
    store.put(&block(0, 100)).unwrap();
    store.sync().unwrap();
    (store, counters)
}

#[test]
fn a_commit_is_one_sync_and_one_for_each_growth_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (store, counters) = used(folder.path());
    let mut next = 1;
    let mut old = Vec::new();
    let mut growths = 0;
    for count in [1, 32, 10_000, 1, 10_000] {
        let batch = blocks(next..next + count, 300);
        next += count;
        let new = head(&batch[0]);
        let (done, cost) = counters.of(|| commit(&store, &batch, &main_heads(&old, new), &[]).unwrap());
        old = vec![new];
        assert_eq!(done, Swap::Done);
        assert_eq!(cost.syncs, 1 + cost.growths, "{count} blocks: {cost:?}");
        growths += cost.growths;
        eprintln!("{count} blocks: {cost:?}");
    }
    assert!(growths > 0, "the file grew");
}

#[test]
fn what_is_there_is_stored_again_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (store, counters) = used(folder.path());
    let batch = blocks(1..100, 500);
    let snapshot = store.snapshot().unwrap();
    store.put_many(&batch).unwrap();
    store.sync().unwrap();
    let ((), cost) = counters.of(|| {
        store.put(&batch[3]).unwrap();
        store.put_many(&batch).unwrap();
        store.put_leased(snapshot.lease(), &batch).unwrap();
        store.sync().unwrap();
        let nothing = HeadsUpdate { namespace: Namespace::default(), ..HeadsUpdate::default() };
        assert_eq!(commit(&store, &batch, &nothing, &[]).unwrap(), Swap::Done);
        assert_eq!(store.update(&nothing).unwrap(), Swap::Done);
    });
    assert_eq!((cost.bytes, cost.syncs, cost.growths), (0, 0, 0));
}

#[test]
fn first_write_of_a_handle_marks_the_file_and_storing_again_is_no_write() {
    let folder = tempfile::tempdir().unwrap();
    drop(used(folder.path()));
    let (store, counters) = counted(folder.path());
    let (_, cost) = counters.of(|| {
        store.put_many(&[block(0, 100), block(0, 100)]).unwrap();
        store.put_leased(&store.lease(&[]).unwrap(), &[block(0, 100)]).unwrap();
        store.sync().unwrap();
    });
    assert_eq!((cost.writes, cost.syncs), (0, 0), "the file is not even marked");
    let (_, cost) = counters.of(|| store.put(&block(1, 100)).unwrap());
    assert_eq!((cost.writes, cost.syncs - cost.growths), (1, 1), "the mark");
    let (_, cost) = counters.of(|| store.sync().unwrap());
    assert_eq!(cost.syncs, 1);
}

#[test]
fn puts_sync_nothing_until_asked_or_until_there_is_much() {
    let folder = tempfile::tempdir().unwrap();
    let (store, counters) = used(folder.path());
    let (_, cost) = counters.of(|| {
        for n in 1..200 {
            store.put(&block(n, 1000)).unwrap();
        }
    });
    assert_eq!(cost.syncs, cost.growths);
    let (_, cost) = counters.of(|| store.sync().unwrap());
    assert_eq!(cost.syncs, 1);
    let (_, cost) = counters.of(|| store.sync().unwrap());
    assert_eq!(cost.syncs, 0, "nothing is left to sync");

    let piece = 4 << 20;
    let pieces = UNSYNCED_BYTES_MAX / piece;
    let (_, cost) = counters.of(|| {
        for n in 1000..=1000 + pieces {
            store.put(&block(n, usize::try_from(piece).unwrap())).unwrap();
        }
    });
    assert_eq!(cost.syncs - cost.growths, 1, "more than {UNSYNCED_BYTES_MAX} bytes waited");
}

#[test]
fn an_empty_store_is_small_and_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    drop(open_or_init(&path).unwrap());
    let empty = fs::metadata(&path).unwrap().len();
    eprintln!("an empty store has {empty} bytes");
    assert!(empty <= 64 << 10, "{empty}");

    let store = open_or_init(&path).unwrap();
    store.put(&block(1, 10)).unwrap();
    drop(store);
    let used = fs::metadata(&path).unwrap().len();
    eprintln!("with a block it has {used} bytes");
    assert!(used <= 128 << 10, "{used}");
}

#[test]
fn compaction_gives_room_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = open_or_init(&path).unwrap();
    let kept = blocks(0..50, 1000);
    store.put_many(&kept).unwrap();
    let gone = blocks(1000..9000, 1000);
    store.put_many(&gone).unwrap();
    store.put_many(&blocks(50..100, 1000)).unwrap();
    store.sync().unwrap();
    let full = fs::metadata(&path).unwrap().len();
    let cycle = store.begin_cycle().unwrap();
    let cids: Vec<_> = gone.iter().map(|block| *block.cid()).collect();
    assert_eq!(store.delete_if_untouched(&cycle, &cids).unwrap().blocks, 8000);

    let snapshot = store.snapshot().unwrap();
    let refused = store.compact().unwrap_err();
    assert!(refused.to_string().contains("in use by a snapshot"), "{refused}");
    drop(snapshot);
    assert!(store.compact().unwrap());
    let compact = fs::metadata(&path).unwrap().len();
    eprintln!("full {full}, compact {compact}");
    assert!(compact < full / 10, "{full} -> {compact}");
    assert!(store.check().unwrap());
    store.put(&block(1, 1000)).unwrap();
}
