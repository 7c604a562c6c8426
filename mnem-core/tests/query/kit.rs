//! Repositories in memory, and numbers that follow from a seed.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use mnem_core::repo::{Actor, Clock, Options, Randomness, Repo, Snapshot, Transaction};
use mnem_core::{MemoryStore, Time};

/// Numbers that follow from a seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0xd134_2543_de82_ef95))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    pub(crate) fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

/// Runs the seeds: `MNEM_CASES` says how many, `MNEM_SEED` names a single one.
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

struct Ticks(AtomicI64);

impl Clock for Ticks {
    fn now(&self) -> Time {
        Time::from_micros(self.0.fetch_add(1_000, Ordering::Relaxed)).unwrap()
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

pub(crate) fn options(seed: u64) -> Options {
    Options::new(
        Arc::new(Ticks(AtomicI64::new(1_800_000_000_000_000))),
        Arc::new(Seeded(AtomicU64::new(seed << 20))),
    )
}

pub(crate) fn fresh(seed: u64) -> Repo {
    Repo::init(Arc::new(MemoryStore::new()), options(seed)).unwrap()
}

pub(crate) fn me() -> Actor {
    Actor::named("ada")
}

/// One commit.
pub(crate) fn change(repo: &Repo, edit: impl FnOnce(&mut Transaction)) -> Snapshot {
    let mut tx = repo.begin(&me()).unwrap();
    edit(&mut tx);
    tx.commit("change").unwrap()
}
