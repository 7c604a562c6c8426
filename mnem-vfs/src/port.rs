//! The port: what a store may ask of a file system, and what it may rely on.
//!
//! Small enough to be simulated whole. What the system offers beyond it (links, times, permissions, mapping
//! into memory) no store uses.
//!
//! Used by: backends, as `Arc<dyn Vfs>`. Implemented by: [`RealVfs`](crate::RealVfs),
//! [`SimVfs`](crate::SimVfs), [`CountingVfs`](crate::CountingVfs).
//! Threads: all methods take `&self` and may run at the same time.

use std::ffi::OsString;
use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::Path;

/// A file system: names and directories.
///
///  V1  What a call did is visible to every later call, through any handle, in any process.
///  V2  A change of an entry is durable once `sync_dir` on its directory returned. A file's own sync says
///      nothing about its name, and a directory's own name is an entry of its parent.
///  V3  `rename` replaces the target in one step. After a power cut the file has its old or its new name,
///      never both and never neither; if the rename did not survive, the replaced file did.
///  V4  `open` with `CreateNew`, and `create_dir`, succeed for exactly one of several callers.
///  V5  Absence is `None` from `metadata`, and `NotFound` from everything else.
///  V6  `list` needs bounded memory and promises no order. Entries that come or go meanwhile may be in it or not.
///  V7  A removed or replaced file stays readable and writable through handles that are open.
pub trait Vfs: Debug + Send + Sync {
    /// Opens the file at `path`. A directory is refused with `IsADirectory`.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn VfsFile>>;
    /// Creates one directory; its parent must exist. `AlreadyExists` if anything has that name.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Removes a file's entry.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory. `DirectoryNotEmpty` if it is not.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Renames `from` to `to`, replacing a file (or an empty directory, by a directory) at `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Lists the entries of a directory, without `.` and `..`.
    fn list(&self, dir: &Path) -> io::Result<Listing>;
    /// Returns what is at `path`, following links.
    fn metadata(&self, path: &Path) -> io::Result<Option<Metadata>>;
    /// Makes the entries of `dir` durable (V2).
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes everything durable that was written to the file system holding `dir`: bytes, lengths, entries.
    /// `Unsupported` where the system has no such call: sync file by file, then directory by directory.
    fn sync_file_system(&self, dir: &Path) -> io::Result<()>;
}

/// An open file. Closing it (dropping it) syncs nothing.
///
///  F1  `read_at` returns the bytes last written, perhaps fewer than asked. Zero means end of file, or an
///      empty buffer.
///  F2  `write_at` stores a prefix of the bytes and returns its length. Beyond the end it extends the file;
///      a gap reads as zeros.
///  F3  Once `sync_data` or `sync_all` returned `Ok`, all bytes and the length written before the call,
///      through any handle, survive a power cut. Until then each of them survives or not by itself, whole or
///      by 512-byte sectors, in any order.
///  F4  After a failed sync the bytes may be gone while reads still show them, and the next sync may succeed
///      without them. Only a restart tells what survived.
///  F5  A lock belongs to the handle: two handles exclude each other within one process too. It ends with
///      `unlock`, with the handle, and with the process. It is advisory: reads and writes do not look at it.
///  F6  Locking a handle that holds the other kind gives up the held lock first; others may come in between.
///      Locking it with the kind it holds changes nothing.
///  F7  `allocate` never shortens a file and never changes bytes.
///  F8  `advise` and `start_writeback` are hints: to ignore them is correct.
#[expect(clippy::len_without_is_empty, reason = "a port is small, and zero is a length like any other")]
pub trait VfsFile: Debug + Send + Sync {
    /// Reads at `offset` into the front of `buffer` and returns how many bytes (F1).
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes a prefix of `bytes` at `offset` and returns its length (F2).
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Like [`write_at`](Self::write_at), for slices that follow each other in the file.
    fn write_vectored_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;
    /// Returns the length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Cuts the file, or extends it with zeros, to `len` bytes.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Reserves space for `len` bytes at `offset`, extending the file with zeros if it ends earlier.
    /// `Unsupported` where the system cannot: write zeros instead.
    fn allocate(&self, offset: u64, len: u64) -> io::Result<()>;
    /// Makes bytes and length durable (F3).
    fn sync_data(&self) -> io::Result<()>;
    /// Makes bytes, length and the rest of the inode (times, for example) durable (F3).
    fn sync_all(&self) -> io::Result<()>;
    /// Takes a lock, waiting for it (F5, F6).
    fn lock(&self, kind: LockKind) -> io::Result<()>;
    /// Takes a lock if nobody is in the way; `false` if somebody is.
    fn try_lock(&self, kind: LockKind) -> io::Result<bool>;
    /// Gives up the lock, if any is held.
    fn unlock(&self) -> io::Result<()>;
    /// Tells the system how `range` (bytes) will be used next.
    fn advise(&self, advice: Advice, range: Range<u64>) -> io::Result<()>;
    /// Asks for `range` (bytes) to be written soon. Spreads work before a sync; makes nothing durable.
    fn start_writeback(&self, range: Range<u64>) -> io::Result<()>;
}

/// How [`Vfs::open`] treats a file that exists, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpenMode {
    /// An existing file, to read only.
    Read,
    /// An existing file, to read and write.
    ReadWrite,
    /// A new file, to read and write; `AlreadyExists` if the name is taken.
    CreateNew,
    /// An existing or a new file, to read and write.
    OpenOrCreate,
}

/// How many handles may hold a lock at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockKind {
    /// Any number of handles, as long as none holds it exclusively.
    Shared,
    /// One handle, and no shared one.
    Exclusive,
}

/// What a range of a file will be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Advice {
    /// It is read soon: fetch it now.
    WillNeed,
    /// It is not read soon: drop clean pages of it from the cache.
    DontNeed,
}

/// What an entry names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// Anything else: a link (in listings), a socket, a device.
    Other,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirEntry {
    /// The name within its directory.
    pub name: OsString,
    /// What it names.
    pub kind: Kind,
}

/// What is known of a path without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Metadata {
    /// What is there.
    pub kind: Kind,
    /// Length in bytes of a file. Of other kinds it means nothing.
    pub len: u64,
}

/// The entries of a directory, one at a time (V6).
pub type Listing = Box<dyn Iterator<Item = io::Result<DirEntry>> + Send>;
