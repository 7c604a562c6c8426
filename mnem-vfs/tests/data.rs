//! Laws of bytes and lengths after power cuts, on random histories.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::BTreeSet;

use common::{open, read, write_durably};
use mnem_vfs::sim::{Crash, Rest, SimVfs};
use mnem_vfs::{Vfs, VfsFileExt};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Write { at: u64, len: usize, byte: u8 },
    SetLen(u64),
    Allocate { at: u64, len: u64 },
    SyncFile,
    SyncFileSystem,
}

fn step() -> impl Strategy<Value = Step> {
    // Around the borders of sectors and pages.
    let at = || prop_oneof![0..40_u64, 500..530_u64, 4080..4110_u64];
    prop_oneof![
        6 => (at(), 0..600_usize, 1..=255_u8).prop_map(|(at, len, byte)| Step::Write { at, len, byte }),
        2 => at().prop_map(Step::SetLen),
        1 => (at(), 1..600_u64).prop_map(|(at, len)| Step::Allocate { at, len }),
        2 => Just(Step::SyncFile),
        1 => Just(Step::SyncFileSystem),
    ]
}

/// What may be found after a power cut.
#[derive(Default)]
struct Legal {
    durable: Vec<u8>,
    lens: BTreeSet<usize>,
    /// For each byte that was not left alone since the sync: its possible values.
    values: Vec<BTreeSet<u8>>,
}

impl Legal {
    fn synced(durable: Vec<u8>) -> Legal {
        Legal { lens: [durable.len()].into(), durable, values: vec![BTreeSet::new(); 5000] }
    }

    fn step(&mut self, step: &Step, len_after: usize) {
        self.lens.insert(len_after);
        if let Step::Write { at, len, byte } = step {
            let at = usize::try_from(*at).unwrap();
            for values in &mut self.values[at..at + len] {
                values.insert(*byte);
            }
        }
        // Once it was beyond an end, a byte may be a zero.
        for values in &mut self.values[len_after..] {
            values.insert(0);
        }
    }

    fn check(&self, found: &[u8], crash: Crash) {
        assert!(self.lens.contains(&found.len()), "length {} of {:?}", found.len(), self.lens);
        for (at, byte) in found.iter().enumerate() {
            let is_durable = self.durable.get(at) == Some(byte);
            let was_left_alone = self.values[at].is_empty() && at < self.durable.len();
            let is_garbage_legal = matches!(crash.rest, Rest::Garbage(_)) && !was_left_alone;
            let is_zero_legal = at >= self.durable.len() && *byte == 0;
            let is_legal = is_durable || self.values[at].contains(byte) || is_zero_legal || is_garbage_legal;
            assert!(is_legal, "byte {byte} at {at} after {crash:?}");
        }
    }
}

fn run(disk: &SimVfs, step: &Step) {
    let file = open(disk, "/a");
    match step {
        Step::Write { at, len, byte } => file.write_all_at(&vec![*byte; *len], *at).unwrap(),
        Step::SetLen(len) => file.set_len(*len).unwrap(),
        Step::Allocate { at, len } => file.allocate(*at, *len).unwrap(),
        Step::SyncFile => file.sync_data().unwrap(),
        Step::SyncFileSystem => disk.sync_file_system("/".as_ref()).unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_and_length_after_a_power_cut_was_there_before(steps in vec(step(), 1..20)) {
        let disk = SimVfs::new();
        write_durably(&disk, "/a", &[7; 4100]);
        let mut legal = Legal::synced(vec![7; 4100]);
        for step in &steps {
            run(&disk, step);
            let now = disk.peek("/a").unwrap();
            match step {
                Step::SyncFile | Step::SyncFileSystem => legal = Legal::synced(now),
                _ => legal.step(step, now.len()),
            }
        }
        let seeds = (0..16).map(Crash::random);
        for crash in seeds.chain([Crash::KEEPS_ALL, Crash::KEEPS_SYNCED]) {
            legal.check(&read(&disk.restart(crash), "/a").unwrap(), crash);
        }
        prop_assert_eq!(read(&disk.restart(Crash::KEEPS_SYNCED), "/a").unwrap(), legal.durable);
        prop_assert_eq!(disk.restart(Crash::KEEPS_ALL).image_hash(), disk.image_hash());
    }
}
