//! Walks along edges, as data: from where, along which edges, how far.

use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use super::error::QueryError;
use super::predicate::Predicate;
use crate::id::{EdgeId, NodeId};

/// A walk along edges: each node once, nearest first. A value, like a [`Query`](super::Query).
///
/// ```
/// use mnem_core::NodeId;
/// use mnem_core::repo::query::{Walk, label};
///
/// let ada = NodeId::of_key("person", b"ada");
/// let circle = Walk::from(ada).out("knows").back("knows").hops(1..=2).only(label("Person")).limit(100);
/// # let json = serde_json::to_string(&circle)?;
/// # assert_eq!(serde_json::from_str::<Walk>(&json)?, circle);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    pub(super) start: NodeId,
    pub(super) follow: Vec<Follow>,
    pub(super) hops: Option<Hops>,
    pub(super) only: Predicate,
    pub(super) along: Predicate,
    pub(super) limit: Option<u64>,
}

/// Edges that are followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Follow {
    pub(super) way: Way,
    /// All types, if none.
    pub(super) edge_type: Option<Arc<str>>,
}

/// Which way an edge is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From its source to its target.
    Out,
    /// From its target to its source.
    Back,
}

/// How many edges away, the bounds included. Upside down it is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hops {
    pub(super) least: u32,
    pub(super) most: u32,
}

/// What is taken where edges to follow are named: a type, or `..` for all.
pub trait FollowedTypes {
    /// Returns the one type, if it is one.
    fn one(self) -> Option<Arc<str>>;
}

impl FollowedTypes for &str {
    fn one(self) -> Option<Arc<str>> {
        Some(self.into())
    }
}

impl FollowedTypes for std::ops::RangeFull {
    fn one(self) -> Option<Arc<str>> {
        None
    }
}

impl Walk {
    /// Starts at a node.
    pub const fn from(start: NodeId) -> Walk {
        Walk {
            start,
            follow: Vec::new(),
            hops: None,
            only: Predicate::anything(),
            along: Predicate::anything(),
            limit: None,
        }
    }

    /// Follows edges of this type, or with `..` of all, from their sources to their targets. Adds to what is followed.
    #[must_use]
    pub fn out(self, types: impl FollowedTypes) -> Walk {
        self.follow(Way::Out, types)
    }

    /// Follows edges of this type, or with `..` of all, from their targets back to their sources. Adds to what is
    /// followed.
    #[must_use]
    pub fn back(self, types: impl FollowedTypes) -> Walk {
        self.follow(Way::Back, types)
    }

    fn follow(mut self, way: Way, types: impl FollowedTypes) -> Walk {
        self.follow.push(Follow { way, edge_type: types.one() });
        self
    }

    /// Reports the nodes that are so many edges away; without this, those that are one away. Zero is the start itself.
    #[must_use]
    pub fn hops(mut self, hops: impl RangeBounds<u32>) -> Walk {
        let least = match hops.start_bound() {
            Bound::Included(least) => Some(*least),
            Bound::Excluded(before) => before.checked_add(1),
            Bound::Unbounded => Some(0),
        };
        let most = match hops.end_bound() {
            Bound::Included(most) => Some(*most),
            Bound::Excluded(end) => end.checked_sub(1),
            Bound::Unbounded => Some(u32::MAX),
        };
        let none = Hops { least: 1, most: 0 };
        self.hops = Some(least.zip(most).map_or(none, |(least, most)| Hops { least, most }));
        self
    }

    /// Reports only nodes of which this holds. The walk goes through the others.
    #[must_use]
    pub fn only(mut self, predicate: Predicate) -> Walk {
        self.only = self.only.and(predicate);
        self
    }

    /// Follows only edges of which this holds. Each is read for it.
    #[must_use]
    pub fn along(mut self, predicate: Predicate) -> Walk {
        self.along = self.along.and(predicate);
        self
    }

    /// Stops after so many nodes were reported: [`Steps::end`](super::Steps::end) tells that from the end.
    #[must_use]
    pub const fn limit(mut self, nodes: u64) -> Walk {
        self.limit = Some(nodes);
        self
    }

    /// Refuses what cannot be asked.
    pub(super) fn check(&self) -> Result<(), QueryError> {
        self.only.check::<NodeId>()?;
        self.along.check::<EdgeId>()
    }
}
