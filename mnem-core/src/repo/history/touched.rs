//! What a commit touches: the entities that it has otherwise than every parent.

use std::sync::Arc;

use super::rows::Touched;
use crate::cid::Cid;
use crate::id::{CommitId, EdgeId, EntityId, NodeId};
use crate::object::Commit;
use crate::repo::entity;
use crate::repo::error::{RepoError, damaged_key};
use crate::tree::{Change, Diff, KeyRange, Order, TreeStore};

/// A commit and where it lies.
pub(super) type Known = (CommitId, Arc<Commit>);

const KINDS: [Kind; 2] = [Kind::Node, Kind::Edge];

#[derive(Clone, Copy)]
enum Kind {
    Node,
    Edge,
}

impl Kind {
    const fn root(self, commit: &Commit) -> Cid {
        match self {
            Kind::Node => commit.nodes,
            Kind::Edge => commit.edges,
        }
    }

    fn entity(self, key: &[u8]) -> Result<EntityId, RepoError> {
        let id = key.try_into().map_err(|_| damaged_key())?;
        Ok(match self {
            Kind::Node => NodeId::from_bytes(id).into(),
            Kind::Edge => EdgeId::from_bytes(id).into(),
        })
    }
}

/// Returns what stands at an entity's place in a commit.
pub(super) fn version_at(
    trees: &TreeStore,
    commit: &Commit,
    entity: EntityId,
) -> Result<Option<Cid>, RepoError> {
    let (root, key) = match entity {
        EntityId::Node(id) => (commit.nodes, *id.as_bytes()),
        EntityId::Edge(id) => (commit.edges, *id.as_bytes()),
    };
    let value = trees.tree(root).get(&key)?;
    value.map(|value| entity::link(&root, &value)).transpose()
}

/// Returns the root of the map that an entity stands in.
pub(super) const fn root_of(commit: &Commit, entity: EntityId) -> Cid {
    match entity {
        EntityId::Node(_) => commit.nodes,
        EntityId::Edge(_) => commit.edges,
    }
}

/// Walks what a commit touches: nodes, then edges, each by id. Costs what differs from the first parent.
pub(super) struct AllTouched {
    trees: TreeStore,
    commit: Arc<Commit>,
    parents: Vec<Arc<Commit>>,
    empty: Cid,
    kinds: std::slice::Iter<'static, Kind>,
    open: Option<(Kind, Diff)>,
}

impl AllTouched {
    /// `parents` are those of the commit, in their order; `empty` is the root of the empty map.
    pub(super) fn new(
        trees: TreeStore,
        commit: Arc<Commit>,
        parents: Vec<Arc<Commit>>,
        empty: Cid,
    ) -> AllTouched {
        AllTouched { trees, commit, parents, empty, kinds: KINDS.iter(), open: None }
    }

    fn advance(&mut self) -> Result<Option<Touched>, RepoError> {
        loop {
            let Some((kind, diff)) = &mut self.open else {
                let Some(kind) = self.kinds.next() else { return Ok(None) };
                let before = self.parents.first().map_or(self.empty, |parent| kind.root(parent));
                let (before, after) = (self.trees.tree(before), self.trees.tree(kind.root(&self.commit)));
                self.open = Some((*kind, before.diff(&after, KeyRange::ALL, Order::Ascending)));
                continue;
            };
            let kind = *kind;
            match diff.next() {
                Some(change) => {
                    if let Some(touched) = self.touched(kind, &change?)? {
                        return Ok(Some(touched));
                    }
                }
                None => self.open = None,
            }
        }
    }

    fn touched(&self, kind: Kind, change: &Change) -> Result<Option<Touched>, RepoError> {
        let entity = kind.entity(&change.key)?;
        let root = kind.root(&self.commit);
        let link = |value: &Option<_>| {
            value.as_ref().map(|value: &bytes::Bytes| entity::link(&root, value)).transpose()
        };
        let (before, new) = (link(&change.before)?, link(&change.after)?);
        let mut old = Vec::with_capacity(self.parents.len());
        for (index, parent) in self.parents.iter().enumerate() {
            let version = if index == 0 { before } else { version_at(&self.trees, parent, entity)? };
            if version == new {
                return Ok(None);
            }
            old.push(version);
        }
        Ok(Some(Touched { entity, old, new }))
    }
}

impl Iterator for AllTouched {
    type Item = Result<Touched, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}
