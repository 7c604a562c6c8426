//! What an open store has done so far.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::pool::BufferPool;

/// One number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters of one open store, shared by its parts.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) transactions: Counter,
    pub(crate) log_bytes: Counter,
    pub(crate) log_syncs: Counter,
    pub(crate) data_syncs: Counter,
    pub(crate) direct_bytes: Counter,
    pub(crate) moved_bytes: Counter,
    pub(crate) checkpoints: Counter,
    pub(crate) checkpoint_bytes: Counter,
    pub(crate) pool_misses: Counter,
    pub(crate) duplicates: Counter,
}

/// What an open store has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageMetrics {
    /// Records written to the log.
    pub transactions: u64,
    /// Bytes of log flushes, padding included.
    pub log_bytes: u64,
    /// Syncs of the log.
    pub log_syncs: u64,
    /// Syncs of the data file.
    pub data_syncs: u64,
    /// Bytes that large commits wrote to the data file.
    pub direct_bytes: u64,
    /// Bytes that compactions wrote to the data file.
    pub moved_bytes: u64,
    /// Checkpoints that succeeded.
    pub checkpoints: u64,
    /// Bytes that checkpoints wrote to the data file.
    pub checkpoint_bytes: u64,
    /// Pages, groups and blocks that were in memory when they were needed.
    pub pool_hits: u64,
    /// Pages and groups that were read from the disk.
    pub pool_misses: u64,
    /// Blocks that were put again and cost nothing.
    pub duplicates: u64,
}

impl Counters {
    pub(crate) fn read(&self, pool: &BufferPool) -> StorageMetrics {
        StorageMetrics {
            transactions: self.transactions.get(),
            log_bytes: self.log_bytes.get(),
            log_syncs: self.log_syncs.get(),
            data_syncs: self.data_syncs.get(),
            direct_bytes: self.direct_bytes.get(),
            moved_bytes: self.moved_bytes.get(),
            checkpoints: self.checkpoints.get(),
            checkpoint_bytes: self.checkpoint_bytes.get(),
            pool_hits: pool.hits(),
            pool_misses: self.pool_misses.get(),
            duplicates: self.duplicates.get(),
        }
    }
}
