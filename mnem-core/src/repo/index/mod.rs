//! Derived indexes: what can be computed from a commit's maps, kept so that questions need not.
//!
//! An index is a tree of keys, history-independent like the maps it is derived from. A row of the side table says
//! which tree belongs to which maps: FORMAT.md, "Index rows". A commit extends the indexes of the commit that it
//! follows; where a row is missing it is extended from a parent's, and where that is missing too, built anew from the
//! whole map.
//!
//! Invariants
//!  D1  The tree of an index depends on the map it reads, and on nothing else: extending equals building.
//!  D2  A row is written with its commit or later, never before, so a row never names a tree that is not there
//!      because its writer crashed. If the tree was collected since, it is built again.
//!  D3  A reader gets all of an index or an error: where a block of the tree is missing, the row goes, the index is
//!      built again in memory, and the walk goes on where it was.
//!
//! Used by: `transaction` and `import` (keeping), `snapshot` and `query` (reading). Threads: as the snapshots that are read from.

mod bulk;
mod edits;
mod keep;
mod property;
mod read;
mod rows;
#[cfg(test)]
mod tests;
mod unique;
mod words;

use std::borrow::Cow;
use std::sync::Arc;

pub use property::{DistinctValues, Hit, Hits, ValueRange};
pub use words::WordHit;

pub(super) use bulk::Bulk;
pub(super) use edits::KeyEdits;
pub(super) use keep::extend;
pub(super) use keep::{anew, extended};
pub(super) use read::{Built, IndexCursor, IndexTree};
pub(super) use rows::{ROWS, find_defined, named_in, remove_defined_if, root_of, row, row_defined, torn};

use super::schema::Schema;
use crate::cid::Cid;
use crate::object::Commit;

/// What can be looked up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Index {
    /// Edges by where they start.
    Out,
    /// Edges by where they end.
    In,
    /// Nodes by label.
    Label,
    /// Nodes by the value of a property.
    Property(Arc<str>),
    /// Nodes by the words of a property.
    Words(Arc<str>),
}

impl Index {
    /// Returns the indexes that are kept under a schema.
    pub(super) fn kept(schema: &Schema) -> Vec<Index> {
        let mut kept = vec![Index::Out, Index::In, Index::Label];
        for property in schema.properties() {
            let name = || Arc::clone(&property.name);
            kept.extend(property.is_looked_up().then(|| Index::Property(name())));
            kept.extend(property.words.then(|| Index::Words(name())));
        }
        kept
    }

    /// Names how keys are made. Another way needs another name: rows are found by it.
    pub(super) fn definition(&self) -> Cow<'static, str> {
        match self {
            Index::Out => "adjacency-out/1".into(),
            Index::In => "adjacency-in/1".into(),
            Index::Label => "label/1".into(),
            Index::Property(name) => format!("property/1 {name}").into(),
            Index::Words(name) => words::definition(name).into(),
        }
    }

    /// Returns the root of the map that it reads.
    pub(super) const fn source<'a>(&self, commit: &'a Commit) -> &'a Cid {
        match self {
            Index::Out | Index::In => &commit.edges,
            Index::Label | Index::Property(_) | Index::Words(_) => &commit.nodes,
        }
    }
}
