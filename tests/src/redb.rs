//! redb on the simulated disk: what lets power cuts reach it.
//!
//! redb rewrites the first sector of its file in place and counts on it being written whole or not at all
//! (DURABILITY.md, "What is assumed of the disk"). So crashes that leave garbage in a sector are not asked of it.

use std::io;
use std::path::Path;

use mnem_backend_redb::{RedbStore, StorageBackend};
use mnem_core::port::OpenError;
use mnem_vfs::sim::{Crash, Rest, SimVfs};
use mnem_vfs::{Advice, OpenMode, Vfs, VfsFile, VfsFileExt};

/// Where the file lies on a simulated disk.
pub const PATH: &str = "/store.redb";

/// A file of a [`Vfs`], for redb to use.
#[derive(Debug)]
pub struct VfsBackend {
    file: Box<dyn VfsFile>,
}

impl VfsBackend {
    /// Opens the file at `path`, or makes it. Like the store does with a real file, it brings what is read and what is
    /// on the disk together first.
    pub fn open(vfs: &dyn Vfs, path: &Path) -> io::Result<VfsBackend> {
        let file = vfs.open(path, OpenMode::OpenOrCreate)?;
        if let Some(folder) = path.parent() {
            vfs.sync_dir(folder)?;
        }
        file.sync_data()?;
        file.advise(Advice::DontNeed, 0..file.len()?)?;
        Ok(VfsBackend { file })
    }
}

impl StorageBackend for VfsBackend {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }
}

/// Opens the store on a simulated disk, or makes it.
pub fn open(disk: &SimVfs) -> Result<RedbStore, OpenError> {
    let file = VfsBackend::open(disk, Path::new(PATH))
        .map_err(|source| mnem_core::port::Fault::io("open", PATH, source))?;
    RedbStore::open_with_backend(file, PATH)
}

/// Any outcome of a power cut that redb is made for, by the seed.
pub fn crash(seed: u64) -> Crash {
    match Crash::random(seed) {
        Crash { keep, rest: Rest::Garbage(seed) } => Crash { keep, rest: Rest::Torn(seed) },
        other => other,
    }
}
