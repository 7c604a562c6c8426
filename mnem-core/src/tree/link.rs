//! From a node straight to a child that was checked against it: no search by CID, no second check.
//!
//! A link does not keep the child: what the cache lets go of is gone, and the link is dead until the child is read
//! again. So memory stays bounded by the cache, which counts for each link what a dead child leaves behind.
//!
//! Threads: any number; the lock is held to copy a pointer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::node::Node;

/// The place of one child.
#[derive(Debug, Default)]
pub(crate) struct Link(Mutex<Weak<Node>>);

/// What a link takes, with the counters and the shell of a child that is gone.
pub(crate) const LINK_BYTES: usize = size_of::<Link>() + size_of::<Node>() + 2 * size_of::<usize>();

impl Link {
    /// Returns the child, if it is in memory.
    pub(crate) fn get(&self) -> Option<Arc<Node>> {
        self.lock().upgrade()
    }

    /// Takes a child that was checked as a pair with the node that has the link.
    pub(crate) fn set(&self, child: &Arc<Node>) {
        *self.lock() = Arc::downgrade(child);
    }

    fn lock(&self) -> MutexGuard<'_, Weak<Node>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
