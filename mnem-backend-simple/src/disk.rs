//! The file system, with errors that say what was tried on which path.
//!
//! Used by: every module here. Nobody else calls the file system.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mnem_core::port::Fault;
use mnem_vfs::{DirEntry, Kind, Metadata, OpenMode, Vfs, VfsExt, VfsFile, VfsFileExt};

#[derive(Clone, Debug)]
pub(crate) struct Disk {
    vfs: Arc<dyn Vfs>,
}

pub(crate) fn fault(action: &'static str, path: &Path, error: std::io::Error) -> Fault {
    Fault::io(action, path.display().to_string(), error)
}

/// Absence is an answer, not a failure. What should be a folder and is a file holds nothing either.
fn unless_absent<T>(result: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Disk {
    pub(crate) fn new(vfs: Arc<dyn Vfs>) -> Disk {
        Disk { vfs }
    }

    pub(crate) fn open(&self, path: &Path, mode: OpenMode) -> Result<Box<dyn VfsFile>, Fault> {
        self.vfs.open(path, mode).map_err(|error| fault("open", path, error))
    }

    /// Opens a file to read, if it is there.
    pub(crate) fn open_existing(&self, path: &Path) -> Result<Option<Box<dyn VfsFile>>, Fault> {
        unless_absent(self.vfs.open(path, OpenMode::Read)).map_err(|error| fault("open", path, error))
    }

    /// Creates a file; `None` if the name is taken.
    pub(crate) fn create_new(&self, path: &Path) -> Result<Option<Box<dyn VfsFile>>, Fault> {
        match self.vfs.open(path, OpenMode::CreateNew) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(fault("create", path, error)),
        }
    }

    /// Makes sure that there is a file: its name is all that counts.
    pub(crate) fn touch(&self, path: &Path) -> Result<(), Fault> {
        match self.vfs.open(path, OpenMode::OpenOrCreate) {
            Ok(_) => Ok(()),
            Err(error) => Err(fault("create", path, error)),
        }
    }

    /// Returns a file's bytes, if it is there; `limit_bytes + 1` of them if it has more than `limit_bytes`.
    pub(crate) fn read(&self, path: &Path, limit_bytes: u64) -> Result<Option<Vec<u8>>, Fault> {
        let Some(file) = self.open_existing(path)? else { return Ok(None) };
        let length = file.len().map_err(|error| fault("measure", path, error))?;
        let length = usize::try_from(length.min(limit_bytes.saturating_add(1))).expect("limits are small");
        let mut bytes = vec![0; length];
        let read = file.read_up_to_at(&mut bytes, 0).map_err(|error| fault("read", path, error))?;
        bytes.truncate(read);
        Ok(Some(bytes))
    }

    pub(crate) fn write(&self, path: &Path, file: &dyn VfsFile, parts: &[&[u8]]) -> Result<(), Fault> {
        let mut at = 0;
        for part in parts {
            file.write_all_at(part, at).map_err(|error| fault("write", path, error))?;
            at += part.len() as u64;
        }
        Ok(())
    }

    pub(crate) fn metadata(&self, path: &Path) -> Result<Option<Metadata>, Fault> {
        let found = unless_absent(self.vfs.metadata(path)).map_err(|error| fault("look at", path, error))?;
        Ok(found.flatten())
    }

    /// Returns the length of a file, if it is there.
    pub(crate) fn file_bytes(&self, path: &Path) -> Result<Option<u64>, Fault> {
        Ok(self.metadata(path)?.filter(|found| found.kind == Kind::File).map(|found| found.len))
    }

    pub(crate) fn ensure_dir(&self, path: &Path) -> Result<(), Fault> {
        self.vfs.ensure_dir(path).map(|_| ()).map_err(|error| fault("create folder", path, error))
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), Fault> {
        self.vfs.rename(from, to).map_err(|error| fault("rename to", to, error))
    }

    /// Removes a file, if it is there.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), Fault> {
        unless_absent(self.vfs.remove_file(path)).map(|_| ()).map_err(|error| fault("remove", path, error))
    }

    /// Removes a folder with all that is in it. Others may be removing it too.
    pub(crate) fn remove_tree(&self, path: &Path) -> Result<(), Fault> {
        for entry in self.entries(path)? {
            let entry = entry?;
            let inside = path.join(&entry.name);
            if entry.kind == Kind::Dir { self.remove_tree(&inside)? } else { self.remove(&inside)? }
        }
        unless_absent(self.vfs.remove_dir(path)).map(|_| ()).map_err(|error| fault("remove", path, error))
    }

    /// Lists a folder of any size; one that is absent is empty.
    pub(crate) fn entries(
        &self,
        dir: &Path,
    ) -> Result<impl Iterator<Item = Result<DirEntry, Fault>> + use<>, Fault> {
        let listing = unless_absent(self.vfs.list(dir)).map_err(|error| fault("list", dir, error))?;
        let dir: PathBuf = dir.to_owned();
        let named = move |entry: std::io::Result<DirEntry>| entry.map_err(|error| fault("list", &dir, error));
        Ok(listing.into_iter().flatten().map(named))
    }

    /// Lists those names of a small folder that `parse` knows, in order.
    pub(crate) fn names<T: Ord>(
        &self,
        dir: &Path,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, Fault> {
        let mut names = Vec::new();
        for entry in self.entries(dir)? {
            names.extend(entry?.name.to_str().and_then(&parse));
        }
        names.sort_unstable();
        Ok(names)
    }

    pub(crate) fn sync_file(&self, path: &Path, file: &dyn VfsFile) -> Result<(), Fault> {
        file.sync_data().map_err(|error| fault("sync", path, error))
    }

    pub(crate) fn sync_dir(&self, dir: &Path) -> Result<(), Fault> {
        self.vfs.sync_dir(dir).map_err(|error| fault("sync", dir, error))
    }

    /// Syncs all that was written to the file system that holds `dir`; `false` if it cannot.
    pub(crate) fn sync_file_system(&self, dir: &Path) -> Result<bool, Fault> {
        match self.vfs.sync_file_system(dir) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(false),
            Err(error) => Err(fault("sync", dir, error)),
        }
    }
}
