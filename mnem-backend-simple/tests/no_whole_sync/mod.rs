//! A disk on a system that cannot sync a whole file system.

use std::io::{self, ErrorKind};
use std::path::Path;

use mnem_vfs::{Listing, Metadata, OpenMode, SimVfs, Vfs, VfsFile};

#[derive(Debug)]
pub(crate) struct NoWholeSync(pub(crate) SimVfs);

impl Vfs for NoWholeSync {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn VfsFile>> {
        self.0.open(path, mode)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir(path)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.remove_file(path)
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.0.remove_dir(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn list(&self, dir: &Path) -> io::Result<Listing> {
        self.0.list(dir)
    }
    fn metadata(&self, path: &Path) -> io::Result<Option<Metadata>> {
        self.0.metadata(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.sync_dir(dir)
    }
    fn sync_file_system(&self, _: &Path) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
}
