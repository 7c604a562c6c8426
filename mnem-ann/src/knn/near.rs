//! Derived edges beside the authored ones, each with where it comes from.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use mnem_core::object::{Edge, Metric};
use mnem_core::repo::{EdgeTypes, Snapshot};
use mnem_core::{Cid, NodeId};

use super::KnnEdgeIndex;
use crate::error::SearchError;

/// An edge that nobody wrote: `dst` is among the nearest to `src`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearEdge {
    /// Whose neighbour it is.
    pub src: NodeId,
    /// The neighbour.
    pub dst: NodeId,
    /// How near it is by its code, the greater the nearer: about the cosine, the dot product, or the distance below zero.
    pub weight: f32,
}

/// What derived edges are derived from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Provenance {
    /// The model.
    pub model: Arc<str>,
    /// By which metric.
    pub metric: Metric,
    /// How many neighbours a node has.
    pub k: usize,
    /// Root of the map of the vectors.
    pub vectors: Cid,
}

/// An edge, and who made it.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    /// Somebody wrote it.
    Authored(Edge),
    /// It is derived: see [`KnnEdgeIndex::provenance`].
    Near(NearEdge),
}

impl Link {
    /// Returns where it leads.
    pub const fn dst(&self) -> NodeId {
        match self {
            Link::Authored(edge) => edge.dst,
            Link::Near(edge) => edge.dst,
        }
    }
}

/// A node that a walk came by.
#[derive(Clone, Debug, PartialEq)]
pub struct NearStep {
    /// The node.
    pub node: NodeId,
    /// How many edges it is away.
    pub hops: u32,
    /// By which edge it was met first.
    pub via: Link,
}

impl KnnEdgeIndex {
    /// Returns the edges from a node: first those that were written, of one type or, with `..`, of all; then the derived
    /// ones. The state must be the one that the edges are of.
    pub fn links(
        &self,
        snapshot: &Snapshot,
        node: NodeId,
        types: impl EdgeTypes,
    ) -> Result<Vec<Link>, SearchError> {
        let authored = snapshot.edges_out(node, types)?.map(|edge| Ok(Link::Authored(edge?)));
        let near = self.neighbors(node).into_iter().map(|edge| Ok(Link::Near(edge)));
        authored.chain(near).collect()
    }

    /// Walks both kinds of edges from a node, and returns each node once that is at most `hops` away, nearest first.
    pub fn walk(
        &self,
        snapshot: &Snapshot,
        start: NodeId,
        types: impl EdgeTypes + Copy,
        hops: u32,
    ) -> Result<Vec<NearStep>, SearchError> {
        snapshot.require(start)?;
        let mut seen = BTreeSet::from([start]);
        let mut next = VecDeque::from([(start, 0)]);
        let mut steps = Vec::new();
        while let Some((node, away)) = next.pop_front() {
            if away == hops {
                continue;
            }
            for via in self.links(snapshot, node, types)? {
                let node = via.dst();
                if seen.insert(node) {
                    next.push_back((node, away + 1));
                    steps.push(NearStep { node, hops: away + 1, via });
                }
            }
        }
        Ok(steps)
    }
}
