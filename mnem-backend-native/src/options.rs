//! How a store is to behave. Every option has an effect and a range.

use std::cell::RefCell;

use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

/// Smallest log segment, and the size of the first one.
pub(crate) const SEGMENT_BYTES_MIN: u64 = 32 << 10;

/// Who else may have the store open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum StorageMode {
    /// Nobody: the fewest calls to the system.
    #[default]
    Single,
    /// Others who share it, in this process and in others. Writers take turns, readers wait for nobody.
    Shared,
    /// Others who share it; this one only reads, and changes nothing in the store.
    ReadOnly,
}

impl StorageMode {
    pub(crate) fn writes(self) -> bool {
        self != StorageMode::ReadOnly
    }
}

/// When an acknowledgement waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum WalCommitPolicy {
    /// Each commit is durable when it returns.
    #[default]
    Always,
    /// At most this many commits less one may be lost by a power cut.
    Every(u32),
    /// Only `sync`, checkpoints and closing make commits durable. What survives is always a prefix of them.
    Never,
}

/// Who moves the log into the pages when it is long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MaintenancePolicy {
    /// One thread for all open stores of the process, while writers go on.
    #[default]
    Background,
    /// The writer who finds that it is time, before its call returns.
    Inline,
}

/// Whether stored bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Compression {
    /// As they are.
    None,
    /// LZ4 where it saves at least one byte in sixteen.
    #[default]
    Lz4,
}

impl Compression {
    /// Returns the compressed form, if there is to be one.
    pub(crate) fn shrink(self, raw: &[u8]) -> Option<Vec<u8>> {
        const WORTH_TRYING_BYTES: usize = 128;
        if self == Compression::None || raw.len() < WORTH_TRYING_BYTES {
            return None;
        }
        let most = raw.len() - raw.len() / 16;
        if raw.len() > SCRATCH_BYTES_MAX {
            return Some(lz4_flex::block::compress(raw)).filter(|packed| packed.len() < most);
        }
        SCRATCH.with_borrow_mut(|(table, packed)| {
            packed.resize(packed.len().max(get_maximum_output_size(raw.len())), 0);
            let length = compress_into_with_table(raw, packed, table).ok().filter(|length| *length < most)?;
            Some(packed[..length].to_vec())
        })
    }
}

/// Groups are shorter but for those of one long value: so what a thread keeps is little.
const SCRATCH_BYTES_MAX: usize = 64 << 10;

thread_local! {
    /// What compressing needs, once a thread and not once a group.
    static SCRATCH: RefCell<(CompressTable, Vec<u8>)> = RefCell::default();
}

/// How a store is to behave. Fixed while it is open, free to differ the next time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageOptions {
    /// Who else may have it open.
    pub mode: StorageMode,
    /// When commits are durable.
    pub policy: WalCommitPolicy,
    /// For values and log records.
    pub compression: Compression,
    /// So many bytes of values are read and compressed together: 1 KiB to 64 KiB. A larger value is alone.
    pub group_bytes: usize,
    /// Memory for pages and groups that were read: 64 KiB and more.
    pub pool_bytes: usize,
    /// Largest log segment that is used again and again: 32 KiB to 64 MiB.
    pub segment_bytes_max: u64,
    /// So many bytes of log lead to a checkpoint: 64 KiB to 1 GiB. They are also held in memory.
    pub checkpoint_bytes: u64,
    /// Blocks that are more than this together are written to the pages at once, and only their places to the log: 4 KiB to
    /// 16 MiB.
    pub direct_bytes: usize,
    /// Who runs checkpoints.
    pub maintenance: MaintenancePolicy,
}

impl Default for StorageOptions {
    fn default() -> StorageOptions {
        StorageOptions {
            mode: StorageMode::default(),
            policy: WalCommitPolicy::default(),
            compression: Compression::default(),
            group_bytes: 8 << 10,
            pool_bytes: 32 << 20,
            segment_bytes_max: 4 << 20,
            checkpoint_bytes: 32 << 20,
            direct_bytes: 1 << 20,
            maintenance: MaintenancePolicy::default(),
        }
    }
}

impl StorageOptions {
    /// Returns options under which an open store takes about so many bytes of memory, at least 1 MiB, beside what callers
    /// hold: half for what was read, the rest for what is not in the pages yet and for work in progress.
    pub fn within(memory_bytes: usize) -> StorageOptions {
        let memory_bytes = memory_bytes.max(1 << 20);
        let sixteenth = memory_bytes / 16;
        StorageOptions {
            pool_bytes: memory_bytes / 2,
            // What is gathered, what is being moved into the pages, each at most twice this, and the move's own lists.
            checkpoint_bytes: (sixteenth as u64 / 2).clamp(64 << 10, 32 << 20),
            segment_bytes_max: (sixteenth as u64).next_power_of_two().clamp(SEGMENT_BYTES_MIN, 4 << 20),
            direct_bytes: (sixteenth / 4).clamp(4 << 10, 1 << 20),
            ..StorageOptions::default()
        }
    }

    /// Returns what is out of range, if anything is.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.policy == WalCommitPolicy::Every(0) {
            return Err("the policy Every(0): it takes at least 1");
        }
        if !(1 << 10..=64 << 10).contains(&self.group_bytes) {
            return Err("group_bytes outside 1 KiB to 64 KiB");
        }
        if self.pool_bytes < 64 << 10 {
            return Err("pool_bytes below 64 KiB");
        }
        if !(SEGMENT_BYTES_MIN..=64 << 20).contains(&self.segment_bytes_max) {
            return Err("segment_bytes_max outside 32 KiB to 64 MiB");
        }
        if !(64 << 10..=1 << 30).contains(&self.checkpoint_bytes) {
            return Err("checkpoint_bytes outside 64 KiB to 1 GiB");
        }
        if !(4 << 10..=16 << 20).contains(&self.direct_bytes) {
            return Err("direct_bytes outside 4 KiB to 16 MiB");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_for_any_amount_of_memory_are_in_range() {
        for shift in 0..40 {
            assert_eq!(StorageOptions::within(1 << shift).check(), Ok(()));
        }
    }

    #[test]
    fn each_option_has_a_range() {
        let bad: [fn(&mut StorageOptions); 7] = [
            |options| options.policy = WalCommitPolicy::Every(0),
            |options| options.group_bytes = 100,
            |options| options.pool_bytes = 1,
            |options| options.segment_bytes_max = 4096,
            |options| options.checkpoint_bytes = 0,
            |options| options.checkpoint_bytes = u64::MAX,
            |options| options.direct_bytes = 1,
        ];
        for change in bad {
            let mut options = StorageOptions::default();
            assert_eq!(options.check(), Ok(()));
            change(&mut options);
            assert!(options.check().is_err(), "{options:?}");
        }
    }
}
