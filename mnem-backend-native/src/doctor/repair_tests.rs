//! Whatever is damaged, every block whose bytes are intact is saved, and the damaged store is not touched.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use mnem_core::cid::Codec;
use mnem_core::memory::MemoryStore;
use mnem_core::port::{
    BlockRead, Blockstore, Collector, HeadsUpdate, Namespace, OpHeadsStore, Store, Swap, WriteBatch,
};
use mnem_core::{Block, Cid, OperationId};
use mnem_vfs::sim::Keep;
use mnem_vfs::{OpenMode, SimVfs, Vfs, VfsFileExt};

use super::{Doctor, PAGE_BYTES, RepairError, Repaired};
use crate::StorageEngine;
use crate::options::{Compression, MaintenancePolicy, StorageMode, StorageOptions, WalCommitPolicy};
use crate::page::PAGE_SIZE;
use crate::view::Found;

const OPTIONS: StorageOptions = StorageOptions {
    mode: StorageMode::Single,
    policy: WalCommitPolicy::Never,
    compression: Compression::Lz4,
    group_bytes: 4 << 10,
    pool_bytes: 1 << 20,
    segment_bytes_max: 32 << 10,
    checkpoint_bytes: 64 << 10,
    direct_bytes: 32 << 10,
    maintenance: MaintenancePolicy::Inline,
};
const DATA: &str = "/store/data.nd";

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    *state >> 33
}

/// Half of it compresses.
fn block(seed: u64) -> Block {
    let mut state = seed;
    let length = usize::try_from(100 + random(&mut state) % 1500).unwrap();
    let mut bytes = format!("block {seed}").into_bytes();
    while bytes.len() < length {
        let byte = u8::try_from(random(&mut state) % 256).unwrap();
        bytes.extend([byte, b'-']);
    }
    Block::new(Codec::Raw, bytes)
}

fn commit(store: &StorageEngine, blocks: &[Block]) {
    let old = store.heads(&Namespace::default()).unwrap();
    let head = OperationId::new(*blocks.last().unwrap().cid());
    let heads = HeadsUpdate::advance(Namespace::default(), &old, head);
    let lease = store.lease(&[]).unwrap();
    assert_eq!(store.commit(&lease, &WriteBatch { blocks, heads: &heads, rows: &[] }).unwrap(), Swap::Done);
}

struct Patient {
    disk: SimVfs,
    blocks: Vec<Block>,
    /// For each block the pages that its group lies in.
    pages: Vec<std::ops::Range<u64>>,
}

/// A store of many blocks and one head, closed.
fn patient(blocks: u64) -> Patient {
    let disk = SimVfs::new();
    let store = StorageEngine::open_or_init_with(Arc::new(disk.clone()), "/store", OPTIONS).unwrap();
    let blocks: Vec<Block> = (0..blocks).map(block).collect();
    blocks.chunks(50).for_each(|piece| commit(&store, piece));
    store.checkpoint().unwrap();
    let tip = store.inner.tip_to_keep();
    let pages = blocks.iter().map(|block| match tip.find(&store.inner.data, block.cid()).unwrap() {
        Some(Found::At(place)) => place.pages(),
        found => panic!("{found:?}"),
    });
    let pages = pages.collect();
    drop((tip, store));
    Patient { disk: disk.restart(Keep::All), blocks, pages }
}

fn repair(disk: &SimVfs) -> (MemoryStore, Result<Repaired, RepairError>) {
    let to = MemoryStore::new();
    let before = disk.peek(DATA).unwrap();
    let repaired = Doctor::with(Arc::new(disk.clone()), "/store").repair(&to, &mut |_, _, _| {});
    assert_eq!(disk.peek(DATA).unwrap(), before, "the damaged store is not touched");
    (to, repaired)
}

fn zero(disk: &SimVfs, page: u64) {
    let file = disk.open(Path::new(DATA), OpenMode::ReadWrite).unwrap();
    file.write_all_at(&[0; PAGE_SIZE], page * PAGE_BYTES).unwrap();
}

#[test]
fn a_store_without_damage_is_copied_and_nothing_is_lost() {
    let patient = patient(200);
    let (to, repaired) = repair(&patient.disk);
    let repaired = repaired.unwrap();
    assert!(repaired.lost.is_empty() && repaired.lost_heads.is_empty() && !repaired.index_was_damaged);
    assert_eq!((repaired.blocks, repaired.heads.len()), (200, 1));
    let head = to.heads(&Namespace::default()).unwrap();
    assert_eq!(head, [OperationId::new(*patient.blocks.last().unwrap().cid())]);
}

#[test]
fn every_block_whose_bytes_are_intact_is_saved_when_pages_are_zeros() {
    let patient = patient(1500);
    let pages = patient.disk.peek(DATA).unwrap().len() as u64 / PAGE_BYTES;
    let (mut lost_all, mut guessed) = (0, 0);
    for seed in 0..12 {
        let disk = patient.disk.restart(Keep::All);
        let mut state = seed * 7 + 1;
        let mut zeroed: BTreeSet<u64> = (0..pages / 100 + 1).map(|_| random(&mut state) % pages).collect();
        // In some rounds a superblock is among them.
        zeroed.extend((seed < 2).then_some(seed));
        zeroed.iter().for_each(|page| zero(&disk, *page));
        let (to, repaired) = repair(&disk);
        let repaired = repaired.unwrap();
        let lost: BTreeSet<Cid> = repaired.lost.iter().copied().collect();
        for (block, pages) in patient.blocks.iter().zip(&patient.pages) {
            let is_intact = pages.clone().all(|page| !zeroed.contains(&page));
            let found = to.get(block.cid()).unwrap();
            assert!(found.is_some() || !is_intact, "seed {seed}: {zeroed:?} {pages:?}");
            assert!(found.is_none() || !lost.contains(block.cid()));
            lost_all += u32::from(found.is_none());
        }
        guessed += u32::from(repaired.heads_are_guessed);
    }
    println!("{lost_all} blocks were in damaged places, {guessed} times the heads were guessed");
    assert!(lost_all > 0, "some groups were hit");
}

#[test]
fn a_lost_block_is_named_as_long_as_the_index_names_it() {
    let patient = patient(200);
    let page = patient.pages[20].start;
    zero(&patient.disk, page);
    let (to, repaired) = repair(&patient.disk);
    let repaired = repaired.unwrap();
    let absent: BTreeSet<Cid> =
        patient.blocks.iter().map(|block| *block.cid()).filter(|cid| !to.has(cid).unwrap()).collect();
    assert!(!absent.is_empty());
    assert_eq!(repaired.lost.iter().copied().collect::<BTreeSet<_>>(), absent);
}

#[test]
fn blocks_that_are_only_in_the_log_are_saved_and_deleted_ones_are_not() {
    let disk = SimVfs::new();
    let store = StorageEngine::open_or_init_with(Arc::new(disk.clone()), "/store", OPTIONS).unwrap();
    commit(&store, &[block(1), block(2)]);
    store.checkpoint().unwrap();
    commit(&store, &[block(3)]);
    let cycle = store.begin_cycle().unwrap();
    store.delete_if_untouched(&cycle, &[*block(1).cid()]).unwrap();
    store.sync().unwrap();
    disk.cut_power();
    let (to, repaired) = repair(&disk.restart(Keep::All));
    assert_eq!(repaired.unwrap().blocks, 2);
    assert!(to.has(block(3).cid()).unwrap() && !to.has(block(1).cid()).unwrap());
    assert_eq!(to.heads(&Namespace::default()).unwrap(), [OperationId::new(*block(3).cid())]);
}

#[test]
fn without_any_superblock_the_log_still_says_whose_store_it_was() {
    let patient = patient(300);
    zero(&patient.disk, 0);
    zero(&patient.disk, 1);
    let (to, repaired) = repair(&patient.disk);
    assert!(repaired.unwrap().index_was_damaged);
    assert!(patient.blocks.iter().all(|block| to.has(block.cid()).unwrap()));
    assert_eq!(to.heads(&Namespace::default()).unwrap(), [OperationId::new(*block(299).cid())]);
    for number in 1..20 {
        let _ = patient.disk.remove_file(Path::new(&format!("/store/wal-{number:04}")));
    }
    assert!(matches!(repair(&patient.disk).1, Err(RepairError::Nothing { .. })));
}
