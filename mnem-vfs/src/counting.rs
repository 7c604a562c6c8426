//! A wrapper that counts calls and forwards everything.
//!
//! Used by: tests that promise an exact number of syncs, and statistics.
//! Threads: counts are shared by clones and by all files opened through them.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::call::{Call, Counts};
use crate::port::{Advice, Listing, LockKind, Metadata, OpenMode, Vfs, VfsFile};

/// Counts the calls to the [`Vfs`] inside, and to the files it opens.
#[derive(Clone, Debug)]
pub struct CountingVfs<V> {
    inner: V,
    counter: Counter,
}

impl<V: Vfs> CountingVfs<V> {
    /// Wraps `inner`; all counts are zero.
    pub fn new(inner: V) -> CountingVfs<V> {
        CountingVfs { inner, counter: Counter::default() }
    }

    /// Returns the counts so far. Subtract an earlier reading to measure one step.
    pub fn counts(&self) -> Counts {
        self.counter.with(|counts| *counts)
    }

    /// Returns what is inside. Calls made to it directly are not counted.
    pub fn inner(&self) -> &V {
        &self.inner
    }
}

#[derive(Clone, Debug, Default)]
struct Counter(Arc<Mutex<Counts>>);

impl Counter {
    fn add(&self, call: Call) {
        self.with(|counts| counts.add(call));
    }

    fn with<R>(&self, change: impl FnOnce(&mut Counts) -> R) -> R {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Debug)]
struct CountingFile {
    inner: Box<dyn VfsFile>,
    counter: Counter,
}

impl<V: Vfs> Vfs for CountingVfs<V> {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn VfsFile>> {
        self.counter.add(Call::Open);
        let inner = self.inner.open(path, mode)?;
        Ok(Box::new(CountingFile { inner, counter: self.counter.clone() }))
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.counter.add(Call::CreateDir);
        self.inner.create_dir(path)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.counter.add(Call::RemoveFile);
        self.inner.remove_file(path)
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.counter.add(Call::RemoveDir);
        self.inner.remove_dir(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.counter.add(Call::Rename);
        self.inner.rename(from, to)
    }
    fn list(&self, dir: &Path) -> io::Result<Listing> {
        self.counter.add(Call::List);
        self.inner.list(dir)
    }
    fn metadata(&self, path: &Path) -> io::Result<Option<Metadata>> {
        self.counter.add(Call::Metadata);
        self.inner.metadata(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.counter.add(Call::SyncDir);
        self.inner.sync_dir(dir)
    }
    fn sync_file_system(&self, dir: &Path) -> io::Result<()> {
        self.counter.add(Call::SyncFileSystem);
        self.inner.sync_file_system(dir)
    }
}

impl VfsFile for CountingFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.counter.add(Call::ReadAt);
        let read = self.inner.read_at(buffer, offset)?;
        self.counter.with(|counts| counts.bytes_read += read as u64);
        Ok(read)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.counter.add(Call::WriteAt);
        let written = self.inner.write_at(bytes, offset)?;
        self.counter.with(|counts| counts.bytes_written += written as u64);
        Ok(written)
    }
    fn write_vectored_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.counter.add(Call::WriteAt);
        let written = self.inner.write_vectored_at(slices, offset)?;
        self.counter.with(|counts| counts.bytes_written += written as u64);
        Ok(written)
    }
    fn len(&self) -> io::Result<u64> {
        self.counter.add(Call::Len);
        self.inner.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.counter.add(Call::SetLen);
        self.inner.set_len(len)
    }
    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.counter.add(Call::Allocate);
        self.inner.allocate(offset, len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.counter.add(Call::SyncData);
        self.inner.sync_data()
    }
    fn sync_all(&self) -> io::Result<()> {
        self.counter.add(Call::SyncAll);
        self.inner.sync_all()
    }
    fn lock(&self, kind: LockKind) -> io::Result<()> {
        self.inner.lock(kind)
    }
    fn try_lock(&self, kind: LockKind) -> io::Result<bool> {
        self.inner.try_lock(kind)
    }
    fn unlock(&self) -> io::Result<()> {
        self.inner.unlock()
    }
    fn advise(&self, advice: Advice, range: Range<u64>) -> io::Result<()> {
        self.counter.add(Call::Advise);
        self.inner.advise(advice, range)
    }
    fn start_writeback(&self, range: Range<u64>) -> io::Result<()> {
        self.counter.add(Call::StartWriteback);
        self.inner.start_writeback(range)
    }
}
