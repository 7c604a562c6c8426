//! Stores by URL, for who works below repositories: the one place that knows every backend by name.

use std::path::Path;
use std::sync::Arc;

use mnem_core::Store;
use mnem_core::memory::MemoryStore;
#[cfg(feature = "simple")]
use mnem_core::port::OpenError;

use crate::error::Error;
#[cfg(not(all(feature = "simple", feature = "redb", feature = "native")))]
use crate::url::BadUrl;
use crate::url::StoreUrl;

/// Opens the store that is there. Creates nothing. A store in memory is always new.
pub fn open(url: &str) -> Result<Arc<dyn Store>, Error> {
    at(&url.parse()?, How::Open)
}

/// Makes a store where nothing is yet, and opens it.
pub fn init(url: &str) -> Result<Arc<dyn Store>, Error> {
    at(&url.parse()?, How::Init)
}

/// Opens the store that is there, or makes it.
pub fn open_or_init(url: &str) -> Result<Arc<dyn Store>, Error> {
    at(&url.parse()?, How::OpenOrInit)
}

#[derive(Clone, Copy)]
enum How {
    Open,
    Init,
    OpenOrInit,
}

fn at(url: &StoreUrl, how: How) -> Result<Arc<dyn Store>, Error> {
    match url {
        StoreUrl::Memory => Ok(Arc::new(MemoryStore::new())),
        StoreUrl::Simple(path) => simple(path, how),
        StoreUrl::Redb(path) => redb(path, how),
        StoreUrl::Native(path) => native(path, how),
    }
}

#[cfg(not(all(feature = "simple", feature = "redb", feature = "native")))]
fn not_built_in(kind: &'static str, hint: &'static str) -> Error {
    Error::Url(BadUrl::NotBuiltIn { kind, hint })
}

#[cfg(feature = "simple")]
fn simple(path: &Path, how: How) -> Result<Arc<dyn Store>, Error> {
    use mnem_backend_simple::SimpleStore;
    let opened = match how {
        How::Open => SimpleStore::open(path),
        How::Init => SimpleStore::init(path),
        How::OpenOrInit => SimpleStore::open_or_init(path),
    };
    let store =
        opened.map_err(|error| if is_redb(path) { other_kind(path, "redb", "simple") } else { error })?;
    Ok(Arc::new(store))
}

#[cfg(not(feature = "simple"))]
fn simple(_: &Path, _: How) -> Result<Arc<dyn Store>, Error> {
    Err(not_built_in("simple", "build mnem with the feature `simple`"))
}

#[cfg(feature = "redb")]
fn redb(path: &Path, how: How) -> Result<Arc<dyn Store>, Error> {
    use mnem_backend_redb::{RedbStore, open_or_init};
    let store = match how {
        How::Open => RedbStore::open(path)?,
        How::OpenOrInit => open_or_init(path)?,
        How::Init => RedbStore::init(path)?,
    };
    Ok(Arc::new(store))
}

#[cfg(not(feature = "redb"))]
fn redb(_: &Path, _: How) -> Result<Arc<dyn Store>, Error> {
    Err(not_built_in("redb", "build mnem with the feature `redb`"))
}

#[cfg(feature = "native")]
fn native(path: &Path, how: How) -> Result<Arc<dyn Store>, Error> {
    use mnem_backend_native::{StorageEngine, StorageMode, StorageOptions};
    // Other processes may have it open too: a command beside a program that runs, for example.
    let options = StorageOptions { mode: StorageMode::Shared, ..StorageOptions::default() };
    let store = match how {
        How::Open => StorageEngine::open(path, options)?,
        How::Init => StorageEngine::init(path, options)?,
        How::OpenOrInit => StorageEngine::open_or_init(path, options)?,
    };
    Ok(Arc::new(store))
}

#[cfg(not(feature = "native"))]
fn native(_: &Path, _: How) -> Result<Arc<dyn Store>, Error> {
    Err(not_built_in("native", "build mnem with the feature `native`"))
}

/// Says whether a store of redb is at `path`. Folders say for themselves what they are; a file does not.
#[cfg(all(feature = "simple", feature = "redb"))]
fn is_redb(path: &Path) -> bool {
    use mnem_backend_redb::RedbStore;
    path.is_file() && matches!(RedbStore::open_read_only(path), Ok(_) | Err(OpenError::Locked { .. }))
}

#[cfg(all(feature = "simple", not(feature = "redb")))]
fn is_redb(_: &Path) -> bool {
    false
}

#[cfg(feature = "simple")]
fn other_kind(path: &Path, found: &str, wanted: &'static str) -> OpenError {
    OpenError::OtherKind { at: path.display().to_string(), found: found.to_owned(), wanted }
}
