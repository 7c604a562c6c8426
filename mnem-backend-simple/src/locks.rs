//! Who excludes whom. Order, where several are held: store, then heads.
//!
//! | lock    | shared by                                     | held alone by                                   |
//! |---------|-----------------------------------------------|-------------------------------------------------|
//! | store   | puts, changes of heads and rows, lease grants | begin of a cycle, each delete batch, cleaning   |
//! | heads   | nobody                                        | changes of heads, listing of heads              |
//! | readers | snapshots of handles that cannot write        | nobody; that it is free says there are none     |
//!
//! A lock belongs to the file handle it was taken through, so threads exclude each other as processes do.

use std::path::Path;

use mnem_core::port::Fault;
use mnem_vfs::{LockKind, OpenMode, VfsFile};

use crate::Inner;
use crate::disk::fault;

/// Held until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it unlocks"]
pub(crate) struct Held(Box<dyn VfsFile>);

impl Inner {
    /// Keeps blocks from being deleted and cycles from beginning.
    pub(crate) fn lock_shared(&self) -> Result<Held, Fault> {
        self.lock_store(LockKind::Shared)
    }

    /// Keeps everything else from changing the store.
    pub(crate) fn lock_alone(&self) -> Result<Held, Fault> {
        self.lock_store(LockKind::Exclusive)
    }

    /// Whoever waits for the store waits behind the gate: a stream of shared holders starves nobody.
    fn lock_store(&self, kind: LockKind) -> Result<Held, Fault> {
        let _gate = self.lock_file("lock-gate", LockKind::Exclusive)?;
        self.lock_file("lock", kind)
    }

    pub(crate) fn lock_heads(&self) -> Result<Held, Fault> {
        self.lock_file("lock-heads", LockKind::Exclusive)
    }

    pub(crate) fn lock_readers(&self) -> Result<Box<dyn VfsFile>, Fault> {
        Ok(self.lock_file("lock-readers", LockKind::Shared)?.0)
    }

    /// Says whether a handle that cannot write has a snapshot.
    pub(crate) fn has_readers(&self) -> Result<bool, Fault> {
        let path = self.layout.file("lock-readers");
        let file = self.disk.open(&path, self.lock_mode())?;
        Ok(!try_lock(&path, file.as_ref(), LockKind::Exclusive)?)
    }

    fn lock_file(&self, name: &str, kind: LockKind) -> Result<Held, Fault> {
        let path = self.layout.file(name);
        let file = self.disk.open(&path, self.lock_mode())?;
        lock(&path, file.as_ref(), kind)?;
        Ok(Held(file))
    }

    fn lock_mode(&self) -> OpenMode {
        if self.read_only { OpenMode::Read } else { OpenMode::ReadWrite }
    }

    /// Says whether somebody holds the lock of a file that the living hold alone.
    pub(crate) fn is_alive(&self, path: &Path) -> Result<bool, Fault> {
        match self.disk.open_existing(path)? {
            // Shared: two that ask at the same time must not take each other for the living.
            Some(file) => Ok(!try_lock(path, file.as_ref(), LockKind::Shared)?),
            None => Ok(false),
        }
    }
}

pub(crate) fn lock(path: &Path, file: &dyn VfsFile, kind: LockKind) -> Result<(), Fault> {
    file.lock(kind).map_err(|error| fault("lock", path, error))
}

fn try_lock(path: &Path, file: &dyn VfsFile, kind: LockKind) -> Result<bool, Fault> {
    file.try_lock(kind).map_err(|error| fault("lock", path, error))
}
