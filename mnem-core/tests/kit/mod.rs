//! What tests of repositories share: a clock, randomness, and repositories that come out alike in every run.

#![allow(dead_code, reason = "each test program uses its part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use mnem_core::repo::{Actor, Clock, Options, Randomness, Repo, Snapshot, Transaction};
use mnem_core::{MemoryStore, Store, Time};

/// Numbers that follow from a seed.
pub(crate) struct Random(AtomicU64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(AtomicU64::new(seed.wrapping_mul(0xd134_2543_de82_ef95)))
    }

    pub(crate) fn next(&self) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15_u64;
        let mut word = self.0.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Returns a number below `end`.
    pub(crate) fn below(&self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    /// Returns one of several.
    pub(crate) fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

impl Randomness for Random {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_be_bytes()[..chunk.len()]);
        }
    }
}

/// When the clocks of tests start.
pub(crate) const START_US: i64 = 1_800_000_000_000_000;

/// A clock that moves on by a second each time it is read.
struct Ticks(AtomicI64);

impl Clock for Ticks {
    fn now(&self) -> Time {
        Time::from_micros(self.0.fetch_add(1_000_000, Ordering::Relaxed)).unwrap()
    }
}

pub(crate) fn options(seed: u64) -> Options {
    Options::new(Arc::new(Ticks(AtomicI64::new(START_US))), Arc::new(Random::new(seed)))
}

pub(crate) fn repo_in(store: Arc<dyn Store>) -> Repo {
    Repo::init(store, options(1)).unwrap()
}

pub(crate) fn fresh() -> Repo {
    repo_in(Arc::new(MemoryStore::new()))
}

pub(crate) fn me() -> Actor {
    Actor::named("ada")
}

/// Commits what `change` does.
pub(crate) fn commit<T>(repo: &Repo, change: impl FnOnce(&mut Transaction) -> T) -> Snapshot {
    let mut tx = repo.begin(&me()).unwrap();
    let _made = change(&mut tx);
    tx.commit("a change").unwrap()
}
