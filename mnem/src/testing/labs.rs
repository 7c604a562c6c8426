//! The labs of mnem's own backends, on the file system of the machine.

use std::sync::Arc;

#[cfg(any(feature = "simple", feature = "redb", feature = "native"))]
use super::damage::damage_files;
use super::lab::{Abilities, Lab};
use crate::Store;
use crate::port::OpenError;
use mnem_core::memory::MemoryStore;
#[cfg(any(feature = "simple", feature = "redb", feature = "native"))]
use tempfile::TempDir;

/// Returns a fresh lab of each backend that is built in.
pub fn labs() -> Vec<Box<dyn Lab>> {
    vec![
        Box::new(MemoryLab::new()),
        #[cfg(feature = "simple")]
        Box::new(SimpleLab::new()),
        #[cfg(feature = "redb")]
        Box::new(RedbLab::new()),
        #[cfg(feature = "native")]
        Box::new(NativeLab::shared()),
    ]
}

/// A store in memory, which stays as long as the lab.
#[derive(Debug, Default)]
pub struct MemoryLab {
    store: MemoryStore,
}

impl MemoryLab {
    /// Makes a fresh one.
    pub fn new() -> MemoryLab {
        MemoryLab::default()
    }
}

impl Lab for MemoryLab {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn abilities(&self) -> Abilities {
        // The same store again: it shares, and it is there as long as the lab is.
        Abilities { keeps: true, shares: true, ..Abilities::NONE }
    }

    fn open(&self) -> Result<Arc<dyn Store>, OpenError> {
        Ok(Arc::new(self.store.clone()))
    }

    fn damage(&self, _: &[u8], _: u64) {
        unreachable!("not declared");
    }

    fn cut_power(&self, _: u64, _: u64) {
        unreachable!("not declared");
    }
}

/// A store of plain files, in a folder that goes with the lab.
#[cfg(feature = "simple")]
#[derive(Debug)]
pub struct SimpleLab {
    folder: TempDir,
}

#[cfg(feature = "simple")]
impl SimpleLab {
    /// Makes a fresh one.
    ///
    /// # Panics
    /// If the system gives no folder.
    #[allow(clippy::new_without_default, reason = "it makes a folder: no value that is just there")]
    pub fn new() -> SimpleLab {
        SimpleLab { folder: folder() }
    }
}

#[cfg(feature = "simple")]
impl Lab for SimpleLab {
    fn name(&self) -> &'static str {
        "simple"
    }

    fn abilities(&self) -> Abilities {
        Abilities { keeps: true, shares: true, damages: true, ..Abilities::NONE }
    }

    fn open(&self) -> Result<Arc<dyn Store>, OpenError> {
        Ok(Arc::new(mnem_backend_simple::SimpleStore::open_or_init(self.folder.path().join("store"))?))
    }

    fn damage(&self, stored: &[u8], seed: u64) {
        damage_files(self.folder.path(), stored, seed);
    }

    fn cut_power(&self, _: u64, _: u64) {
        unreachable!("not declared");
    }
}

/// A store in a redb file, in a folder that goes with the lab.
#[cfg(feature = "redb")]
#[derive(Debug)]
pub struct RedbLab {
    folder: TempDir,
}

#[cfg(feature = "redb")]
impl RedbLab {
    /// Makes a fresh one.
    ///
    /// # Panics
    /// If the system gives no folder.
    #[allow(clippy::new_without_default, reason = "it makes a folder: no value that is just there")]
    pub fn new() -> RedbLab {
        RedbLab { folder: folder() }
    }
}

#[cfg(feature = "redb")]
impl Lab for RedbLab {
    fn name(&self) -> &'static str {
        "redb"
    }

    fn abilities(&self) -> Abilities {
        Abilities { keeps: true, damages: true, ..Abilities::NONE }
    }

    fn open(&self) -> Result<Arc<dyn Store>, OpenError> {
        Ok(Arc::new(mnem_backend_redb::open_or_init(self.folder.path().join("store.redb"))?))
    }

    fn damage(&self, stored: &[u8], seed: u64) {
        damage_files(self.folder.path(), stored, seed);
    }

    fn cut_power(&self, _: u64, _: u64) {
        unreachable!("not declared");
    }
}

/// A store of pages and a log, in a folder that goes with the lab. Uncompressed, so that damage finds its bytes.
#[cfg(feature = "native")]
#[derive(Debug)]
pub struct NativeLab {
    folder: TempDir,
    mode: mnem_backend_native::StorageMode,
}

#[cfg(feature = "native")]
impl NativeLab {
    /// Makes a fresh one.
    ///
    /// # Panics
    /// If the system gives no folder.
    #[allow(clippy::new_without_default, reason = "it makes a folder: no value that is just there")]
    pub fn new() -> NativeLab {
        NativeLab { folder: folder(), mode: mnem_backend_native::StorageMode::Single }
    }

    /// Makes a fresh one whose handles are as if each were of a process of its own.
    ///
    /// # Panics
    /// If the system gives no folder.
    pub fn shared() -> NativeLab {
        NativeLab { folder: folder(), mode: mnem_backend_native::StorageMode::Shared }
    }
}

#[cfg(feature = "native")]
impl Lab for NativeLab {
    fn name(&self) -> &'static str {
        match self.mode {
            mnem_backend_native::StorageMode::Shared => "native, shared",
            _ => "native",
        }
    }

    fn abilities(&self) -> Abilities {
        let shares = self.mode == mnem_backend_native::StorageMode::Shared;
        Abilities { keeps: true, shares, damages: true, ..Abilities::NONE }
    }

    fn open(&self) -> Result<Arc<dyn Store>, OpenError> {
        use mnem_backend_native::{Compression, StorageEngine, StorageOptions};
        let options =
            StorageOptions { mode: self.mode, compression: Compression::None, ..StorageOptions::default() };
        Ok(Arc::new(StorageEngine::open_or_init(self.folder.path().join("store"), options)?))
    }

    fn damage(&self, stored: &[u8], seed: u64) {
        damage_files(self.folder.path(), stored, seed);
    }

    fn cut_power(&self, _: u64, _: u64) {
        unreachable!("not declared");
    }
}

#[cfg(any(feature = "simple", feature = "redb", feature = "native"))]
fn folder() -> TempDir {
    tempfile::tempdir().unwrap_or_else(|error| panic!("no folder to test in: {error}"))
}
