//! What an open store keeps in memory. `MNEM_LONG=1` loads 5 GiB.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;

use common::block;
use mnem_backend_native::{StorageEngine, StorageOptions};
use mnem_core::Block;
use mnem_core::port::{BlockRead, Blockstore};

/// Reads a figure of this process that the system gives in KiB.
fn kib(figure: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(figure)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn a_load_far_above_the_cap_stays_within_it() {
    const CAP: usize = 64 << 20;
    let load: usize = if std::env::var_os("MNEM_LONG").is_some() { 5 << 30 } else { 256 << 20 };
    let folder = tempfile::tempdir().unwrap();
    let store = StorageEngine::init(folder.path().join("store"), StorageOptions::within(CAP)).unwrap();
    let before = kib("VmRSS");
    let (mut bytes, mut number) = (0, 0);
    let mut some = Vec::new();
    while bytes < load {
        // Of each ten batches, nine small ones and one that goes ahead of its record.
        let count = if number % 10 == 0 { 200 } else { 20 };
        let batch: Vec<Block> = (0..count).map(|index| block(number * 1000 + index, 8000)).collect();
        bytes += batch.iter().map(|block| block.bytes().len()).sum::<usize>();
        some.push(*batch[0].cid());
        store.put_many(&batch).unwrap();
        number += 1;
    }
    for cid in &some {
        assert!(store.get(cid).unwrap().is_some());
    }
    assert_eq!(store.blocks_in_storage_order().map(|found| found.unwrap().1.len()).sum::<usize>(), bytes);
    let peak = kib("VmHWM") - before;
    println!("{} MiB loaded, {} MiB at most in memory", bytes >> 20, peak >> 10);
    assert!(peak << 10 <= (CAP + CAP / 10 + (16 << 20)) as u64, "{peak} KiB");
}
