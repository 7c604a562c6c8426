//! Breadth first: the nodes that edges lead to, each once, nearest first.
//!
//! Of the same distance they come in the order in which they are met: of the nodes before them, of the kinds of edges as
//! they are named, then by type, far end and id of the edge. What was met is kept in memory.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::count::is_disputed;
use super::walk::{Follow, Walk, Way};
use crate::id::{EdgeId, NodeId};
use crate::key::AdjacencyKey;
use crate::object::EdgeType;
use crate::repo::error::{RepoError, damaged_key};
use crate::repo::index::{Index, IndexCursor, IndexTree};
use crate::repo::snapshot::Snapshot;
use crate::tree::{Order, Tree};

/// The edge by which a node was met first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// The edge.
    pub edge: EdgeId,
    /// Its type.
    pub edge_type: EdgeType,
    /// The node that it was followed from.
    pub from: NodeId,
}

/// A node that was met.
pub(super) struct Met {
    pub(super) node: NodeId,
    pub(super) hops: u32,
    pub(super) via: Via,
}

/// Goes from node to node.
pub(super) struct Reach {
    snapshot: Snapshot,
    walk: Walk,
    most: u32,
    out: Option<IndexTree>,
    back: Option<IndexTree>,
    /// The map of conflicts, if it has edges: the keys of those are of every side.
    disputed: Option<Tree>,
    /// Whether every edge has to be read.
    reads_edges: bool,
    met: HashSet<NodeId>,
    /// Nodes whose edges are to be followed: of this distance, and of the next.
    level: VecDeque<NodeId>,
    next_level: VecDeque<NodeId>,
    /// How far away is what is met now.
    hops: u32,
    at: Option<At>,
}

/// The edges that are followed now.
struct At {
    node: NodeId,
    way: Way,
    /// Which kind of edges comes next.
    follow: usize,
    cursor: IndexCursor,
}

impl Reach {
    /// Starts where the walk does. That node is met already.
    pub(super) fn new(snapshot: &Snapshot, walk: &Walk, most: u32) -> Result<Reach, RepoError> {
        walk.check()?;
        let tree = |way: Way, index: Index| {
            let is_used = walk.follow.iter().any(|follow| follow.way == way);
            is_used.then(|| snapshot.index(index)).transpose()
        };
        Ok(Reach {
            out: tree(Way::Out, Index::Out)?,
            back: tree(Way::Back, Index::In)?,
            disputed: snapshot.conflicts_of::<EdgeId>()?,
            reads_edges: !walk.along.is_anything(),
            met: HashSet::from([walk.start]),
            level: VecDeque::from([walk.start]),
            next_level: VecDeque::new(),
            hops: 1,
            at: None,
            snapshot: snapshot.clone(),
            walk: walk.clone(),
            most,
        })
    }

    /// Returns the next node that is met.
    pub(super) fn next(&mut self) -> Result<Option<Met>, RepoError> {
        while self.hops <= self.most {
            let Some(at) = &mut self.at else {
                if !self.enter_next()? {
                    return Ok(None);
                }
                continue;
            };
            let Some(entry) = at.cursor.next().transpose()? else {
                let (node, follow) = (at.node, at.follow);
                self.at = self.enter(node, follow)?;
                continue;
            };
            let key = AdjacencyKey::from_key(&entry.key).ok_or_else(damaged_key)?;
            let way = at.way;
            if self.met.contains(&key.far) || !self.is_followed(&key, way)? {
                continue;
            }
            self.met.insert(key.far);
            if self.hops < self.most {
                self.next_level.push_back(key.far);
            }
            let via = Via { edge: key.edge, edge_type: key.edge_type, from: key.near };
            return Ok(Some(Met { node: key.far, hops: self.hops, via }));
        }
        Ok(None)
    }

    /// Goes on with the next node, of this distance or of the next; `false` if there is none.
    fn enter_next(&mut self) -> Result<bool, RepoError> {
        if self.level.is_empty() {
            self.hops = self.hops.saturating_add(1);
            std::mem::swap(&mut self.level, &mut self.next_level);
        }
        let Some(node) = self.level.pop_front() else { return Ok(false) };
        self.at = self.enter(node, 0)?;
        Ok(true)
    }

    /// Starts with the edges of a node from one kind on.
    fn enter(&self, node: NodeId, first: usize) -> Result<Option<At>, RepoError> {
        for (follow, Follow { way, edge_type }) in self.walk.follow.iter().enumerate().skip(first) {
            let tree = if *way == Way::Out { &self.out } else { &self.back };
            let range = match edge_type.as_ref().map(|it| EdgeType::new(Arc::clone(it))) {
                Some(Ok(edge_type)) => AdjacencyKey::of_type(node, &edge_type),
                Some(Err(_)) => continue, // no edge has such a type
                None => AdjacencyKey::at(node),
            };
            if let Some(tree) = tree {
                let cursor = tree.range(range, Order::Ascending);
                return Ok(Some(At { node, way: *way, follow: follow + 1, cursor }));
            }
        }
        Ok(None)
    }

    /// Says whether the edge is as its key says, and one to be followed.
    fn is_followed(&self, key: &AdjacencyKey, way: Way) -> Result<bool, RepoError> {
        let disputed = is_disputed(self.disputed.as_ref(), key.edge)?;
        if !disputed && !self.reads_edges {
            return Ok(true);
        }
        let edge = self.snapshot.require(key.edge)?;
        let shown = match way {
            Way::Out => AdjacencyKey::outgoing(&edge),
            Way::Back => AdjacencyKey::incoming(&edge),
        };
        Ok(shown == *key && self.walk.along.holds::<EdgeId>(&edge))
    }
}
