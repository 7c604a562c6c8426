//! One state of everything that is known, and all questions to it.

use std::sync::Arc;

use super::entity::{self, Entity};
use super::error::{RepoError, damaged_key};
use super::index::{Index, IndexCursor};
use super::merge::versions::{self, Versions};
use super::read::read;
use super::shared::Shared;
use super::state::State;
use crate::block::Block;
use crate::cid::Cid;
use crate::id::{CommitId, EdgeId, NodeId, OperationId};
use crate::key::{AdjacencyKey, ConflictKey, LabelKey};
use crate::object::{Commit, Edge, EdgeType, Node};
use crate::port::{BlockReadExt, StoreError};
use crate::tree::{Cursor, Order, Tree};
use crate::value::ValueError;

/// One state. Never changes; while it lives the collector keeps what it shows. Cloning is cheap.
#[derive(Clone)]
pub struct Snapshot {
    pub(super) shared: Arc<Shared>,
    pub(super) state: Arc<State>,
    pub(super) branch: Arc<str>,
    pub(super) at: Option<Arc<At>>,
}

/// The commit that is shown.
pub(super) struct At {
    pub(super) id: CommitId,
    pub(super) commit: Commit,
}

impl Snapshot {
    pub(super) fn new(
        shared: Arc<Shared>,
        state: Arc<State>,
        branch: Arc<str>,
        commit: Option<CommitId>,
    ) -> Result<Snapshot, RepoError> {
        let at = match commit {
            Some(id) => Some(Arc::new(At { id, commit: read(&*state.blocks, id.cid())? })),
            None => None,
        };
        Ok(Snapshot { shared, state, branch, at })
    }

    /// Returns which commit this is; `None` on a branch before its first.
    pub fn commit_id(&self) -> Option<CommitId> {
        self.at.as_ref().map(|at| at.id)
    }

    /// Returns what is recorded of the commit itself.
    pub fn commit(&self) -> Option<&Commit> {
        self.at.as_ref().map(|at| &at.commit)
    }

    /// Returns the operation that this state of the names belongs to.
    pub fn operation(&self) -> OperationId {
        self.state.operation
    }

    /// Returns the branch that was asked for.
    pub fn branch(&self) -> &str {
        &self.branch
    }

    /// Returns the node or edge, if it is there.
    pub fn get<E: Entity>(&self, id: E) -> Result<Option<E::Object>, RepoError> {
        match self.version_of(id)? {
            Some(cid) => Ok(Some(self.shown::<E>(&self.state.blocks.require(&cid)?)?)),
            None => Ok(None),
        }
    }

    /// Returns the names of the fields that sides of a merge disagree on. Of such a field, and of an entity that one
    /// side removed, [`get`](Self::get) shows the first side that has it. `None` if nothing is in conflict.
    pub fn conflict<E: Entity>(&self, id: E) -> Result<Option<Vec<String>>, RepoError> {
        let Some(cid) = self.version_of(id)? else { return Ok(None) };
        let block = self.state.blocks.require(&cid)?;
        if versions::conflict(&block)?.is_none() {
            return Ok(None);
        }
        let versions = Versions::<E::Object>::of(&*self.state.blocks, &block)?;
        let disputed = versions.disputed(&*self.state.blocks)?;
        Ok(Some(disputed.into_iter().map(|disputed| disputed.field).collect()))
    }

    /// Walks what is in conflict.
    pub fn conflicts(&self) -> Result<Vec<ConflictKey>, RepoError> {
        let Some(at) = &self.at else { return Ok(Vec::new()) };
        let keys = self.tree(at.commit.conflicts).iter();
        keys.map(|entry| ConflictKey::from_key(&entry?.key).ok_or_else(damaged_key)).collect()
    }

    fn shown<E: Entity>(&self, block: &Block) -> Result<E::Object, RepoError> {
        versions::shown_version(&*self.state.blocks, block)
    }

    /// Returns every side of the node or edge: one, unless it is in conflict.
    pub(super) fn sides<E: Entity>(&self, id: E) -> Result<Vec<E::Object>, RepoError> {
        match self.version_of(id)? {
            Some(cid) => versions::sides(&*self.state.blocks, &self.state.blocks.require(&cid)?),
            None => Ok(Vec::new()),
        }
    }

    /// Returns the node or edge, which must be there.
    pub fn require<E: Entity>(&self, id: E) -> Result<E::Object, RepoError> {
        self.get(id)?.ok_or(RepoError::NoSuchEntity { id: id.into() })
    }

    /// Returns many, in the order of the question.
    pub fn get_many<E: Entity>(&self, ids: &[E]) -> Result<Vec<Option<E::Object>>, RepoError> {
        let Some(root) = self.root::<E>() else { return Ok(ids.iter().map(|_| None).collect()) };
        let keys: Vec<&[u8; 16]> = ids.iter().map(Entity::key).collect();
        let found = self.tree(root).get_many(&keys)?;
        let cids =
            found.iter().flatten().map(|value| entity::link(&root, value)).collect::<Result<Vec<_>, _>>()?;
        let mut versions = self.read_versions::<E>(&cids)?.into_iter();
        Ok(found.iter().map(|value| value.as_ref().and_then(|_| versions.next())).collect())
    }

    /// Reads what lies at many places, as it is shown.
    pub(super) fn read_versions<E: Entity>(&self, cids: &[Cid]) -> Result<Vec<E::Object>, RepoError> {
        let blocks = self.state.blocks.get_many(cids)?;
        let blocks = cids.iter().zip(blocks);
        blocks.map(|(cid, block)| self.shown::<E>(&block.ok_or(StoreError::Absent { cid: *cid })?)).collect()
    }

    /// Returns the CID of the version that is there: what [`Transaction::expect`](super::Transaction::expect) takes.
    pub fn version_of<E: Entity>(&self, id: E) -> Result<Option<Cid>, RepoError> {
        let Some(root) = self.root::<E>() else { return Ok(None) };
        let value = self.tree(root).get(id.key())?;
        value.map(|value| entity::link(&root, &value)).transpose()
    }

    /// Returns how many nodes there are, without reading them.
    pub fn node_count(&self) -> Result<u64, RepoError> {
        self.entity_count::<NodeId>()
    }

    /// Returns how many edges there are, without reading them.
    pub fn edge_count(&self) -> Result<u64, RepoError> {
        self.entity_count::<EdgeId>()
    }

    pub(super) fn entity_count<E: Entity>(&self) -> Result<u64, RepoError> {
        match self.root::<E>() {
            Some(root) => Ok(self.tree(root).len()?),
            None => Ok(0),
        }
    }

    /// Walks all nodes, in the order of their ids.
    pub fn nodes(&self) -> Entities<NodeId> {
        self.entities()
    }

    /// Walks all edges, in the order of their ids.
    pub fn edges(&self) -> Entities<EdgeId> {
        self.entities()
    }

    fn entities<E: Entity>(&self) -> Entities<E> {
        let cursor = self.root::<E>().map(|root| (root, self.tree(root).iter()));
        Entities { snapshot: self.clone(), cursor, id: std::marker::PhantomData }
    }

    /// Walks the edges that start at `node`, of one type or, with `..`, of all.
    pub fn edges_out(&self, node: NodeId, types: impl EdgeTypes) -> Result<Edges, RepoError> {
        self.adjacent(Index::Out, node, types)
    }

    /// Walks the edges that end at `node`, of one type or, with `..`, of all.
    pub fn edges_in(&self, node: NodeId, types: impl EdgeTypes) -> Result<Edges, RepoError> {
        self.adjacent(Index::In, node, types)
    }

    fn adjacent(&self, index: Index, node: NodeId, types: impl EdgeTypes) -> Result<Edges, RepoError> {
        let range = match types.one()? {
            Some(edge_type) => AdjacencyKey::of_type(node, &edge_type),
            None => AdjacencyKey::at(node),
        };
        let cursor = self.index(index)?.range(range, Order::Ascending);
        Ok(Edges { snapshot: self.clone(), cursor: Some(cursor) })
    }

    /// Walks the nodes that carry a label, in the order of their ids.
    pub fn labelled(&self, label: &str) -> Result<Labelled, RepoError> {
        let cursor = self.index(Index::Label)?.range(LabelKey::with_label(label), Order::Ascending);
        Ok(Labelled { snapshot: self.clone(), cursor: Some(cursor) })
    }

    pub(super) fn root<E: Entity>(&self) -> Option<Cid> {
        self.at.as_ref().map(|at| *E::root(&at.commit))
    }

    /// Returns the map of the nodes or of the edges.
    pub(super) fn map<E: Entity>(&self) -> Tree {
        self.tree(self.root::<E>().unwrap_or(self.shared.empty_root))
    }

    pub(super) fn tree(&self, root: Cid) -> Tree {
        self.state.trees.tree(root)
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snapshot({} at {:?})", self.branch, self.commit_id())
    }
}

/// Which edges: one type, or all with `..`.
pub trait EdgeTypes {
    /// Returns the one type, if it is one.
    fn one(self) -> Result<Option<EdgeType>, ValueError>;
}

impl EdgeTypes for &str {
    fn one(self) -> Result<Option<EdgeType>, ValueError> {
        EdgeType::new(self).map(Some)
    }
}

impl EdgeTypes for std::ops::RangeFull {
    fn one(self) -> Result<Option<EdgeType>, ValueError> {
        Ok(None)
    }
}

/// All nodes or edges of a state. Ends after its first error.
pub struct Entities<E> {
    snapshot: Snapshot,
    cursor: Option<(Cid, Cursor)>,
    id: std::marker::PhantomData<fn() -> E>,
}

impl<E: Entity> Iterator for Entities<E> {
    type Item = Result<E::Object, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (root, cursor) = self.cursor.as_mut()?;
        let entry = cursor.next()?;
        let read = entry.map_err(RepoError::from).and_then(|entry| entity::link(root, &entry.value));
        let version = read.and_then(|cid| {
            let block = self.snapshot.state.blocks.require(&cid)?;
            self.snapshot.shown::<E>(&block)
        });
        if version.is_err() {
            self.cursor = None;
        }
        Some(version)
    }
}

/// Edges of a node. Ends after its first error.
pub struct Edges {
    snapshot: Snapshot,
    cursor: Option<IndexCursor>,
}

impl Iterator for Edges {
    type Item = Result<Edge, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.cursor.as_mut()?.next()?;
        let edge = entry.and_then(|entry| {
            let key = AdjacencyKey::from_key(&entry.key).ok_or_else(damaged_key)?;
            self.snapshot.require(key.edge)
        });
        if edge.is_err() {
            self.cursor = None;
        }
        Some(edge)
    }
}

/// Nodes of a label. Ends after its first error.
pub struct Labelled {
    snapshot: Snapshot,
    cursor: Option<IndexCursor>,
}

impl Iterator for Labelled {
    type Item = Result<Node, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.cursor.as_mut()?.next()?;
        let node = entry.and_then(|entry| {
            let key = LabelKey::from_key(&entry.key).ok_or_else(damaged_key)?;
            self.snapshot.require(key.node)
        });
        if node.is_err() {
            self.cursor = None;
        }
        Some(node)
    }
}
