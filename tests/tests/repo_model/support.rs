//! Clocks, randomness and seeds that repeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use mnem_core::port::{Blockstore, HeadsUpdate, Namespace};
use mnem_core::repo::{Clock, Options, Randomness};
use mnem_core::{Block, Cid, MemoryStore, OperationId, Store, Time};

/// Numbers that follow from a seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Returns a number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    pub(crate) fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn of<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() { None } else { Some(&items[self.below(items.len())]) }
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }
}

/// Returns the seeds to run: `MNEM_CASES` says how many, `MNEM_SEED` names a single one.
pub(crate) fn for_each_seed(usual: u64, run: impl Fn(u64)) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seeds = match number("MNEM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("MNEM_CASES").unwrap_or(usual),
    };
    for seed in seeds {
        let named = SeedOnPanic(seed);
        run(seed);
        drop(named);
    }
}

struct SeedOnPanic(u64);

impl Drop for SeedOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("repeat with MNEM_SEED={}", self.0);
        }
    }
}

/// A clock that all actors share, and that each reads wrong in its own way.
struct Skewed {
    ticks: Arc<AtomicI64>,
    off_us: i64,
}

impl Clock for Skewed {
    fn now(&self) -> Time {
        let us = self.ticks.fetch_add(1_000, Ordering::Relaxed);
        Time::from_micros(1_800_000_000_000_000 + us + self.off_us).unwrap()
    }
}

struct Seeded(AtomicU64);

impl Randomness for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = Random::new(self.0.fetch_add(1, Ordering::Relaxed)).next().to_be_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

/// Returns options of an actor, whose clock is off by some milliseconds.
pub(crate) fn options(ticks: &Arc<AtomicI64>, seed: u64, actor: u64) -> Options {
    let off_us = i64::try_from(actor).unwrap() * 7_000 - 7_000;
    let seeded = Seeded(AtomicU64::new((seed << 20) + (actor << 50)));
    Options::new(Arc::new(Skewed { ticks: Arc::clone(ticks), off_us }), Arc::new(seeded))
}

/// Returns a store in memory with the same blocks, put in another order, and the same heads, but no rows.
pub(crate) fn replica(of: &dyn Store, random: &mut Random) -> MemoryStore {
    let copy = MemoryStore::new();
    let mut cids: Vec<Cid> = of.scan(None).unwrap().map(Result::unwrap).collect();
    random.shuffle(&mut cids);
    for cid in cids {
        let block: Block = of.get(&cid).unwrap().unwrap();
        copy.put(&block).unwrap();
    }
    let mut heads: Vec<OperationId> = of.heads(&Namespace::default()).unwrap();
    random.shuffle(&mut heads);
    for head in heads {
        let update = HeadsUpdate { add: vec![head], ..HeadsUpdate::default() };
        let _done = mnem_core::OpHeadsStore::update(&copy, &update).unwrap();
    }
    copy
}
