//! Writers, readers and the checkpoints of the background at the same time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::{OPTIONS, block};
use mnem_backend_native::{MaintenancePolicy, StorageEngine, StorageOptions};
use mnem_core::port::{BlockRead, Collector, HeadsUpdate, Namespace, OpHeadsStore, Store, Swap, WriteBatch};
use mnem_core::{Block, OperationId};
use mnem_vfs::SimVfs;
use mnem_vfs::sim::Keep;

const BACKGROUND: StorageOptions =
    StorageOptions { maintenance: MaintenancePolicy::Background, pool_bytes: 256 << 10, ..OPTIONS };

fn name(writer: u64) -> Namespace {
    Namespace::new(&format!("writer-{writer}")).unwrap()
}

/// Small commits, large ones, and deletes of what was committed before; returns what must be there at the end.
fn write(store: &StorageEngine, writer: u64, commits: u64) -> Vec<Block> {
    let mut kept = Vec::new();
    for number in 0..commits {
        let seed = writer * 1_000_000 + number * 100;
        let sizes: &[usize] = if number % 5 == 0 { &[20_000, 15_000, 300] } else { &[700, 60] };
        let blocks: Vec<Block> = (0..).zip(sizes).map(|(index, size)| block(seed + index, *size)).collect();
        let old = store.heads(&name(writer)).unwrap();
        let head = OperationId::new(*blocks.last().unwrap().cid());
        let heads = HeadsUpdate::advance(name(writer), &old, head);
        let lease = store.lease(&[]).unwrap();
        let batch = WriteBatch { blocks: &blocks, heads: &heads, rows: &[] };
        assert_eq!(store.commit(&lease, &batch).unwrap(), Swap::Done);
        kept.extend(blocks);
    }
    kept
}

#[test]
fn what_is_acknowledged_while_others_write_read_and_checkpoint_is_there_after_a_power_cut() {
    let disk = SimVfs::new();
    let store = StorageEngine::open_or_init_with(Arc::new(disk.clone()), "/store", BACKGROUND).unwrap();
    let is_over = AtomicBool::new(false);
    let kept: Vec<Block> = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let snapshot = store.snapshot().unwrap();
                    let seen: Vec<_> = snapshot.scan(None).unwrap().map(Result::unwrap).collect();
                    // Everything that a moment lists can be read in it, however much is moved meanwhile.
                    for cid in seen.iter().step_by(7) {
                        assert_eq!(snapshot.get(cid).unwrap().unwrap().cid(), cid);
                    }
                    for writer in 0..3 {
                        let heads = snapshot.heads(&name(writer)).unwrap();
                        assert!(heads.iter().all(|head| snapshot.has(head.cid()).unwrap()));
                    }
                }
            });
        }
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                scope.spawn({
                    let store = &store;
                    move || write(store, writer, 60)
                })
            })
            .collect();
        let kept = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        is_over.store(true, Ordering::Relaxed);
        kept
    });
    let checkpoints = store.metrics().checkpoints;
    assert!(checkpoints > 3, "{checkpoints} checkpoints");
    let image = disk.restart(Keep::Nothing);
    for disk in [image, {
        drop(store);
        disk
    }] {
        let store = StorageEngine::open_with(Arc::new(disk), "/store", OPTIONS).unwrap();
        store.check().unwrap();
        for block in &kept {
            assert_eq!(store.get(block.cid()).unwrap().as_ref(), Some(block));
        }
    }
}

#[test]
fn a_closed_store_can_be_opened_at_once_whatever_the_background_does() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let store = StorageEngine::open_or_init(folder.path().join("store"), BACKGROUND).unwrap();
        let kept = write(&store, round, 12);
        drop(store);
        let store = StorageEngine::open(folder.path().join("store"), BACKGROUND).unwrap();
        assert!(store.report().clean, "closing leaves nothing in the log");
        assert!(kept.iter().all(|block| store.has(block.cid()).unwrap()));
    }
}
