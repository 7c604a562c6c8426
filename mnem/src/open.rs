//! From a URL to a store: the one place that knows every backend by name.

use std::path::Path;
use std::sync::Arc;

use mnem_core::Store;
use mnem_core::memory::MemoryStore;

use crate::error::Error;
use crate::url::{BadUrl, StoreUrl};

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
        StoreUrl::Native(_) => Err(not_built_in("native", "use simple:PATH or redb:PATH")),
    }
}

fn not_built_in(kind: &'static str, hint: &'static str) -> Error {
    Error::Url(BadUrl::NotBuiltIn { kind, hint })
}

fn simple(_: &Path, _: How) -> Result<Arc<dyn Store>, Error> {
    Err(not_built_in("simple", "build mnem with the feature `simple`"))
}

fn redb(_: &Path, _: How) -> Result<Arc<dyn Store>, Error> {
    Err(not_built_in("redb", "build mnem with the feature `redb`"))
}
