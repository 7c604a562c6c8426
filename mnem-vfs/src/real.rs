//! The file system of the machine: one system call a method, and the only `std::fs` in mnem.
//!
//! Locks are `flock`: on a network file system they may be weaker than F5 says.
//!
//! Used by: stores in production. Threads: the system serialises.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, IoSlice};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use crate::port::{Advice, DirEntry, Kind, Listing, LockKind, Metadata, OpenMode, Vfs, VfsFile};

/// Most slices one call passes on; systems refuse more. The rest is a short write (F2).
const SLICES_MAX: usize = 1024;

/// The file system of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealVfs;

impl RealVfs {
    /// Returns the file system of the machine.
    pub const fn new() -> RealVfs {
        RealVfs
    }
}

impl Vfs for RealVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn VfsFile>> {
        let file = options(mode).open(path)?;
        // Opened to be read only, a directory is not refused by the system.
        if mode == OpenMode::Read && file.metadata()?.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        Ok(Box::new(RealFile { file }))
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }
    fn list(&self, dir: &Path) -> io::Result<Listing> {
        Ok(Box::new(fs::read_dir(nameable(dir))?.map(|entry| dir_entry(&entry?))))
    }
    fn metadata(&self, path: &Path) -> io::Result<Option<Metadata>> {
        match fs::metadata(nameable(path)) {
            Ok(found) => Ok(Some(Metadata { kind: kind(found.file_type()), len: found.len() })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        open_dir(dir)?.sync_all()
    }
    fn sync_file_system(&self, dir: &Path) -> io::Result<()> {
        sync_file_system(&open_dir(dir)?)
    }
}

#[derive(Debug)]
struct RealFile {
    file: File,
}

impl VfsFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(bytes, offset)
    }
    fn write_vectored_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let slices = &slices[..slices.len().min(SLICES_MAX)];
        Ok(rustix::io::pwritev(&self.file, slices, offset)?)
    }
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        allocate(&self.file, offset, len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }
    fn lock(&self, kind: LockKind) -> io::Result<()> {
        match kind {
            LockKind::Shared => self.file.lock_shared(),
            LockKind::Exclusive => self.file.lock(),
        }
    }
    fn try_lock(&self, kind: LockKind) -> io::Result<bool> {
        let outcome = match kind {
            LockKind::Shared => self.file.try_lock_shared(),
            LockKind::Exclusive => self.file.try_lock(),
        };
        match outcome {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
    fn unlock(&self) -> io::Result<()> {
        self.file.unlock()
    }
    fn advise(&self, advice: Advice, range: Range<u64>) -> io::Result<()> {
        advise(&self.file, advice, &range)
    }
    /// Does nothing: the call that only starts writing has no safe binding.
    fn start_writeback(&self, _range: Range<u64>) -> io::Result<()> {
        Ok(())
    }
}

fn options(mode: OpenMode) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    match mode {
        OpenMode::Read => &mut options,
        OpenMode::ReadWrite => options.write(true),
        OpenMode::CreateNew => options.write(true).create_new(true),
        OpenMode::OpenOrCreate => options.write(true).create(true),
    };
    options
}

/// Refuses anything but a directory: a file would be synced, and its entry not.
fn open_dir(dir: &Path) -> io::Result<File> {
    let only_dirs = rustix::fs::OFlags::DIRECTORY.bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(only_dirs).open(nameable(dir))
}

/// The parent of a bare file name is the empty path, which the system does not take for the current directory.
fn nameable(dir: &Path) -> &Path {
    if dir.as_os_str().is_empty() { Path::new(".") } else { dir }
}

fn dir_entry(entry: &fs::DirEntry) -> io::Result<DirEntry> {
    Ok(DirEntry { name: entry.file_name(), kind: kind(entry.file_type()?) })
}

fn kind(found: fs::FileType) -> Kind {
    if found.is_file() {
        Kind::File
    } else if found.is_dir() {
        Kind::Dir
    } else {
        Kind::Other
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn sync_file_system(dir: &File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(dir)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn sync_file_system(_dir: &File) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn allocate(file: &File, offset: u64, len: u64) -> io::Result<()> {
    use rustix::io::Errno;
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), offset, len) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Err(ErrorKind::Unsupported.into()),
        outcome => Ok(outcome?),
    }
}

/// Elsewhere the call may cut the file to the given end, against F7.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn allocate(_file: &File, _offset: u64, _len: u64) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn advise(file: &File, advice: Advice, range: &Range<u64>) -> io::Result<()> {
    use std::num::NonZeroU64;
    if range.is_empty() {
        return Ok(());
    }
    // No length means to the end of the file, which no range the system cannot express goes beyond.
    let len = i64::try_from(range.end).ok().and_then(|_| NonZeroU64::new(range.end - range.start));
    let advice = match advice {
        Advice::WillNeed => rustix::fs::Advice::WillNeed,
        Advice::DontNeed => rustix::fs::Advice::DontNeed,
    };
    Ok(rustix::fs::fadvise(file, range.start, len, advice)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn advise(_file: &File, _advice: Advice, _range: &Range<u64>) -> io::Result<()> {
    Ok(())
}
