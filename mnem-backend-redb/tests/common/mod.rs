//! A real file that counts what is done to it, and small things to store.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(dead_code, reason = "each test file uses its part")]

use std::fs::OpenOptions;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mnem_backend_redb::{RedbStore, StorageBackend};
use mnem_core::port::{HeadsUpdate, Namespace, Row, Store, StoreError, Swap, WriteBatch};
use mnem_core::{Block, Codec, OperationId};
use redb::BackendError;
use redb::backends::FileBackend;

/// What was done to a file.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    writes: AtomicU64,
    bytes: AtomicU64,
    syncs: AtomicU64,
    growths: AtomicU64,
}

/// The same at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) writes: u64,
    pub(crate) bytes: u64,
    pub(crate) syncs: u64,
    pub(crate) growths: u64,
}

impl Counters {
    pub(crate) fn now(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        Counts {
            writes: read(&self.writes),
            bytes: read(&self.bytes),
            syncs: read(&self.syncs),
            growths: read(&self.growths),
        }
    }

    /// What `action` did.
    pub(crate) fn of<T>(&self, action: impl FnOnce() -> T) -> (T, Counts) {
        let before = self.now();
        let value = action();
        let after = self.now();
        let counts = Counts {
            writes: after.writes - before.writes,
            bytes: after.bytes - before.bytes,
            syncs: after.syncs - before.syncs,
            growths: after.growths - before.growths,
        };
        (value, counts)
    }
}

/// A file behind counters.
#[derive(Debug)]
pub(crate) struct Counting {
    file: FileBackend,
    counters: Arc<Counters>,
}

impl Counting {
    pub(crate) fn open(path: &Path) -> (Counting, Arc<Counters>) {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap();
        let counters = Arc::new(Counters::default());
        (Counting { file: FileBackend::new(file).unwrap(), counters: Arc::clone(&counters) }, counters)
    }
}

impl StorageBackend for Counting {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if len > self.file.len()? {
            self.counters.growths.fetch_add(1, Ordering::SeqCst);
        }
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.counters.syncs.fetch_add(1, Ordering::SeqCst);
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.counters.writes.fetch_add(1, Ordering::SeqCst);
        self.counters.bytes.fetch_add(data.len() as u64, Ordering::SeqCst);
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

/// A store in a new file, with its counters.
pub(crate) fn counted(folder: &Path) -> (RedbStore, Arc<Counters>) {
    let path = folder.join("store.redb");
    let (file, counters) = Counting::open(&path);
    (RedbStore::open_with_backend(file, "store.redb").unwrap(), counters)
}

/// The block number `n`, of `len` bytes at least.
pub(crate) fn block(n: u64, len: usize) -> Block {
    let mut bytes = n.to_le_bytes().to_vec();
    bytes.resize(len.max(8), u8::try_from(n % 251).unwrap());
    Block::new(Codec::Raw, bytes)
}

pub(crate) fn blocks(numbers: std::ops::Range<u64>, len: usize) -> Vec<Block> {
    numbers.map(|n| block(n, len)).collect()
}

pub(crate) fn head(block: &Block) -> OperationId {
    OperationId::new(*block.cid())
}

pub(crate) fn main_heads(old: &[OperationId], new: OperationId) -> HeadsUpdate {
    HeadsUpdate::advance(Namespace::default(), old, new)
}

/// Commits under a lease on all heads.
pub(crate) fn commit(
    store: &RedbStore,
    blocks: &[Block],
    heads: &HeadsUpdate,
    rows: &[Row],
) -> Result<Swap, StoreError> {
    let snapshot = store.snapshot()?;
    store.commit(snapshot.lease(), &WriteBatch { blocks, heads, rows })
}
