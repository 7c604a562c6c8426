//! Versions that are not the newest any more, but that somebody may still read: their pages stay.
//!
//! Used by: `checkpoint`, `shared`. Threads: any.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::space::{PageMap, Space};
use crate::view::Version;

/// Older versions, and the pages that they reach.
#[derive(Debug, Default)]
pub(crate) struct Retired(Mutex<Vec<(Weak<Version>, PageMap)>>);

impl Retired {
    fn versions(&self) -> MutexGuard<'_, Vec<(Weak<Version>, PageMap)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Readers of an old version keep its pages, and those that its table refers to.
    pub(crate) fn add(&self, version: &Arc<Version>, space: &Space) {
        let mut used = PageMap::clone(&version.used);
        space.add_ahead(&mut used);
        self.versions().push((Arc::downgrade(version), used));
    }

    /// Adds the pages of all that somebody reads to `pages`.
    pub(crate) fn unite_into(&self, pages: &mut PageMap) {
        let mut versions = self.versions();
        versions.retain(|(version, _)| version.strong_count() > 0);
        versions.iter().for_each(|(_, used)| pages.unite(used));
    }
}
