//! The index: a copy-on-write B+tree from keys to locators, rebuilt from below by each checkpoint.
//!
//! Bytes: FORMAT.md, "Native backend", "Index page".
//!
//! Invariants
//!  X1  A page that is reachable from a superblock is never written again.
//!  X2  Keys ascend strictly within a page and from page to page; all leaves have the same distance from the root.
//!  X3  A child holds the keys from its separator up to the next one's; the first child also those below.
//!
//!  X4  What hangs below a root in memory ([`Tree`]) is what its pages say, and goes when the last version with that root goes.
//!
//! Used by: `view` (reads), `checkpoint` (merges). Threads: pages are immutable.

mod merge;
mod node;
mod read;

use std::sync::Arc;

use mnem_core::port::Fault;

use crate::superblock::Pointer;

pub(crate) use merge::{Merge, Sink};
pub(crate) use node::{Builder, Node};
pub(crate) use read::{Tree, for_each_value, get, get_in_memory, range};

/// Where pages of the index come from.
pub(crate) trait Nodes {
    /// Reads a page that must be of this level.
    fn node(&self, at: Pointer, level: u8) -> Result<Arc<Node>, Fault>;

    /// The same, if it takes no I/O.
    fn node_in_memory(&self, at: Pointer, level: u8) -> Option<Arc<Node>>;
}
