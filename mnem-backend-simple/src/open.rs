//! Opening a folder as a store, and making one. The marker is written last: a folder without it is no store.

use std::path::Path;
use std::sync::Arc;

use mnem_core::port::{Fault, Marker, OpenError};
use mnem_vfs::{Kind, LockKind, OpenMode, RealVfs, Vfs};

use crate::disk::{Disk, fault};
use crate::layout::{FOLDERS, LOCKS, Layout, MARKER_TEMP};
use crate::locks::lock;
use crate::{Inner, SimpleStore};

pub(crate) const KIND: &str = "simple";

/// The newest format that this version reads, and the one that it writes.
const FORMAT: u32 = 1;

impl SimpleStore {
    /// Opens the store at `path`. Writes nothing.
    pub fn open(path: impl AsRef<Path>) -> Result<SimpleStore, OpenError> {
        SimpleStore::open_with(Arc::new(RealVfs::new()), path)
    }

    /// Opens the store at `path` for reading only. Writes nothing, now or later.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<SimpleStore, OpenError> {
        SimpleStore::open_read_only_with(Arc::new(RealVfs::new()), path)
    }

    /// Makes a store at `path`: a folder that is new or empty. Its parent must be there.
    pub fn init(path: impl AsRef<Path>) -> Result<SimpleStore, OpenError> {
        SimpleStore::init_with(Arc::new(RealVfs::new()), path)
    }

    /// Opens the store at `path`, or makes it.
    pub fn open_or_init(path: impl AsRef<Path>) -> Result<SimpleStore, OpenError> {
        SimpleStore::open_or_init_with(Arc::new(RealVfs::new()), path)
    }

    /// Like [`open`](Self::open), on another file system.
    pub fn open_with(vfs: Arc<dyn Vfs>, path: impl AsRef<Path>) -> Result<SimpleStore, OpenError> {
        open(Disk::new(vfs), path.as_ref(), How { may_make: false, may_exist: true, read_only: false })
    }

    /// Like [`open_read_only`](Self::open_read_only), on another file system.
    pub fn open_read_only_with(vfs: Arc<dyn Vfs>, path: impl AsRef<Path>) -> Result<SimpleStore, OpenError> {
        open(Disk::new(vfs), path.as_ref(), How { may_make: false, may_exist: true, read_only: true })
    }

    /// Like [`init`](Self::init), on another file system.
    pub fn init_with(vfs: Arc<dyn Vfs>, path: impl AsRef<Path>) -> Result<SimpleStore, OpenError> {
        open(Disk::new(vfs), path.as_ref(), How { may_make: true, may_exist: false, read_only: false })
    }

    /// Like [`open_or_init`](Self::open_or_init), on another file system.
    pub fn open_or_init_with(vfs: Arc<dyn Vfs>, path: impl AsRef<Path>) -> Result<SimpleStore, OpenError> {
        open(Disk::new(vfs), path.as_ref(), How { may_make: true, may_exist: true, read_only: false })
    }
}

#[derive(Clone, Copy)]
struct How {
    may_make: bool,
    may_exist: bool,
    read_only: bool,
}

fn open(disk: Disk, path: &Path, how: How) -> Result<SimpleStore, OpenError> {
    let at = || path.display().to_string();
    let layout = Layout::new(path);
    match look(&disk, &layout)? {
        Found::Store if !how.may_exist => {
            return Err(OpenError::Exists { at: at() });
        }
        Found::Store => {}
        Found::Nothing if !how.may_make => return Err(OpenError::Missing { at: at() }),
        Found::Nothing => make(&disk, &layout)?,
        Found::Foreign(found) => return Err(OpenError::NotAStore { at: at(), found }),
    }
    if !how.read_only {
        let lock = layout.file("lock");
        disk.open(&lock, OpenMode::ReadWrite)?; // tells now, and without writing, that writes would fail
    }
    Ok(SimpleStore { inner: Arc::new(Inner::new(disk, layout, how.read_only)) })
}

/// What is at a path.
enum Found {
    Store,
    /// Nothing, an empty folder, or a store whose making was cut short.
    Nothing,
    Foreign(&'static str),
}

fn look(disk: &Disk, layout: &Layout) -> Result<Found, OpenError> {
    match disk.metadata(layout.root())? {
        None => return Ok(Found::Nothing),
        Some(found) if found.kind != Kind::Dir => return Ok(Found::Foreign("it is a file")),
        Some(_) => {}
    }
    if let Some(text) = disk.read(&layout.marker(), Marker::BYTES_MAX as u64)? {
        return check_marker(layout, &text).map(|()| Found::Store);
    }
    for entry in disk.entries(layout.root())? {
        let entry = entry?;
        let path = layout.root().join(&entry.name);
        let is_ours = match (entry.name.to_str(), entry.kind) {
            (Some(MARKER_TEMP), Kind::File) => true,
            (Some(name), Kind::File) => LOCKS.contains(&name) && disk.file_bytes(&path)? == Some(0),
            (Some(name), Kind::Dir) => FOLDERS.contains(&name) && disk.entries(&path)?.next().is_none(),
            _ => false,
        };
        if !is_ours {
            return Ok(Found::Foreign("the folder holds other files"));
        }
    }
    Ok(Found::Nothing)
}

fn check_marker(layout: &Layout, text: &[u8]) -> Result<(), OpenError> {
    let at = || layout.root().display().to_string();
    let damaged = || Fault::Corrupt { what: "the marker", at: layout.marker().display().to_string() };
    let marker = Marker::parse(text).ok_or_else(damaged)?;
    if marker.kind != KIND {
        return Err(OpenError::OtherKind { at: at(), found: marker.kind, wanted: KIND });
    }
    if marker.format > FORMAT {
        return Err(OpenError::NewerFormat { at: at(), found: marker.format, readable: FORMAT });
    }
    Ok(())
}

/// Makes a store, or finishes making one. Several may do so at once.
fn make(disk: &Disk, layout: &Layout) -> Result<(), Fault> {
    let root = layout.root();
    disk.ensure_dir(root)?;
    if let Some(parent) = root.parent() {
        disk.sync_dir(parent)?;
    }
    FOLDERS.iter().try_for_each(|name| disk.ensure_dir(&layout.file(name)))?;
    LOCKS.iter().try_for_each(|name| disk.touch(&layout.file(name)))?;
    disk.sync_dir(root)?;
    let temp = layout.file(MARKER_TEMP);
    let file = disk.open(&temp, OpenMode::OpenOrCreate)?;
    lock(&temp, file.as_ref(), LockKind::Exclusive)?;
    if disk.metadata(&layout.marker())?.is_some() {
        // Somebody else was faster. Before the rename their file had this name; what has it now is of no use.
        disk.remove(&temp)?;
        return disk.sync_dir(root);
    }
    file.set_len(0).map_err(|error| fault("cut", &temp, error))?;
    let marker = Marker { kind: KIND.to_owned(), format: FORMAT };
    disk.write(&temp, file.as_ref(), &[marker.to_text().as_bytes()])?;
    disk.sync_file(&temp, file.as_ref())?;
    disk.rename(&temp, &layout.marker())?;
    disk.sync_dir(root)
}
