//! Changes, staged in memory until they are committed in one step.

mod bulk;
mod commit;
mod merge;
mod resolve;
pub(super) mod types;
mod upsert;

pub use merge::{FastForward, MergeReport};
pub use resolve::{Conflict, Resolve};

use std::collections::{BTreeMap, BTreeSet};

use super::entity::Entity;
use super::error::RepoError;
use super::merge::versions;
use super::options::Actor;
use super::schema::SchemaChange;
use super::snapshot::Snapshot;
use super::vectors::VectorChanges;
use crate::cid::Cid;
use crate::id::{EdgeId, EntityId, NodeId};
use crate::object::{Edge, EdgeType, IntoLabels, Node};
use crate::port::BlockReadExt;
use crate::value::{IntoProps, Value};

/// Changes to one branch. Reads see them; nothing is written before [`commit`](Self::commit), and dropping it leaves
/// nothing behind.
#[must_use = "a dropped transaction changes nothing"]
pub struct Transaction {
    base: Snapshot,
    actor: Actor,
    pub(super) nodes: Changes<NodeId>,
    pub(super) edges: Changes<EdgeId>,
    /// Edges that were given their ends here, by each of these. What became of them since stands in `edges`.
    ends: BTreeMap<NodeId, BTreeSet<EdgeId>>,
    expected: BTreeMap<EntityId, Option<Cid>>,
    expects_unique: bool,
    /// The schema as it is to be, if it was changed.
    pub(super) schema: Option<SchemaChange>,
    pub(super) vectors: VectorChanges,
    /// What was merged: then `base` is the state that this made, and edits are edits of that.
    merging: Option<merge::Merging>,
    /// The part of counters that is this transaction's own, once it counts.
    part: Option<String>,
}

/// What was touched, by id.
pub(super) type Changes<E> = BTreeMap<E, Change<<E as Entity>::Object>>;

/// One entity that was touched: how it was, and how it is to be.
pub struct Change<T> {
    /// Every side, if it was in conflict.
    before: Vec<T>,
    after: Vec<T>,
    was_in_conflict: bool,
}

impl<T: PartialEq> Change<T> {
    /// Says whether nothing is changed. What was in conflict is touched only to settle it.
    fn is_none(&self) -> bool {
        !self.was_in_conflict && self.before == self.after
    }

    pub(super) fn versions(&self) -> (&[T], &[T]) {
        (&self.before, &self.after)
    }

    fn now(&self) -> Option<&T> {
        self.after.first()
    }
}

impl Transaction {
    pub(super) fn new(base: Snapshot, actor: Actor) -> Transaction {
        Transaction {
            base,
            actor,
            nodes: BTreeMap::new(),
            edges: BTreeMap::new(),
            ends: BTreeMap::new(),
            expected: BTreeMap::new(),
            expects_unique: false,
            schema: None,
            vectors: VectorChanges::default(),
            merging: None,
            part: None,
        }
    }

    /// Returns the state that this started from.
    pub fn base(&self) -> &Snapshot {
        self.merging.as_ref().map_or(&self.base, merge::Merging::started)
    }

    /// Returns what edits are edits of: the state that this started from, with what was merged since.
    pub(super) const fn merged_base(&self) -> &Snapshot {
        &self.base
    }

    /// Says whether anything would be committed.
    pub fn is_empty(&self) -> bool {
        let is_schema_changed = self.schema.as_ref().is_some_and(|schema| !schema.entries().is_empty());
        !self.is_merge_of_anything()
            && !is_schema_changed
            && self.vectors.is_none()
            && self.nodes.values().all(Change::is_none)
            && self.edges.values().all(Change::is_none)
    }

    /// Records a new node and returns its id.
    pub fn add_node(&mut self, labels: impl IntoLabels, props: impl IntoProps) -> Result<NodeId, RepoError> {
        let (unix_ms, random) = self.base.shared.options.draw();
        let id = NodeId::from_time_and_random(unix_ms, random);
        self.add_node_as(id, labels, props)?;
        Ok(id)
    }

    /// Records a new node under an id of one's own, such as one of a natural key.
    pub fn add_node_as(
        &mut self,
        id: NodeId,
        labels: impl IntoLabels,
        props: impl IntoProps,
    ) -> Result<(), RepoError> {
        let node = Node::new(id, labels.into_labels()?, props.into_props()?);
        self.insert(id, node)
    }

    /// Records a new edge and returns its id.
    pub fn add_edge(
        &mut self,
        src: NodeId,
        edge_type: &str,
        dst: NodeId,
        props: impl IntoProps,
    ) -> Result<EdgeId, RepoError> {
        let (unix_ms, random) = self.base.shared.options.draw();
        let id = EdgeId::from_time_and_random(unix_ms, random);
        self.add_edge_as(id, src, edge_type, dst, props)?;
        Ok(id)
    }

    /// Records a new edge under an id of one's own, such as [`EdgeId::of_unique`].
    pub fn add_edge_as(
        &mut self,
        id: EdgeId,
        src: NodeId,
        edge_type: &str,
        dst: NodeId,
        props: impl IntoProps,
    ) -> Result<(), RepoError> {
        let edge = Edge::new(id, src, EdgeType::new(edge_type)?, dst, props.into_props()?);
        self.check_ends(&edge)?;
        self.insert(id, edge)
    }

    pub(super) fn check_ends(&self, edge: &Edge) -> Result<(), RepoError> {
        for node in [edge.src, edge.dst] {
            if self.get(node)?.is_none() {
                return Err(RepoError::MissingEnd { edge: edge.id, node });
            }
        }
        Ok(())
    }

    fn insert<E: Entity>(&mut self, id: E, version: E::Object) -> Result<(), RepoError> {
        // Looked at before it is touched: what is in conflict is settled by being touched.
        if self.get(id)?.is_some() {
            return Err(RepoError::Taken { id: id.into() });
        }
        let schema = self.schema()?;
        schema.check::<E>(&version, &[])?;
        let mut version = version;
        for name in E::props(&version).iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>() {
            self.stamp::<E>(&schema, &name, &mut version)?;
        }
        self.change_to(id, version)
    }

    /// Stages a whole version.
    fn change_to<E: Entity>(&mut self, id: E, version: E::Object) -> Result<(), RepoError> {
        E::note(&version, self);
        self.touch(id)?.after = vec![version];
        Ok(())
    }

    /// Notes the ends of an edge that is staged.
    pub(super) fn note_ends(&mut self, edge: &Edge) {
        for node in [edge.src, edge.dst] {
            self.ends.entry(node).or_default().insert(edge.id);
        }
    }

    /// Returns the node or edge as this transaction has it.
    pub fn get<E: Entity>(&self, id: E) -> Result<Option<E::Object>, RepoError> {
        match E::changes(self).get(&id) {
            Some(change) => Ok(change.now().cloned()),
            None => self.base.get(id),
        }
    }

    /// Returns the node or edge, which must be there.
    pub fn require<E: Entity>(&self, id: E) -> Result<E::Object, RepoError> {
        self.get(id)?.ok_or(RepoError::NoSuchEntity { id: id.into() })
    }

    /// Sets a property. Refused if the schema wants another type of it.
    pub fn set<E: Entity>(&mut self, id: E, name: &str, value: impl Into<Value>) -> Result<(), RepoError> {
        let value = value.into();
        self.schema()?.check_value(name, &value)?;
        self.put(id, name, Some(value))?;
        Ok(())
    }

    /// Removes a property and returns what it was.
    pub fn unset<E: Entity>(&mut self, id: E, name: &str) -> Result<Option<Value>, RepoError> {
        self.put(id, name, None)
    }

    /// Replaces the labels of a node.
    pub fn set_labels(&mut self, id: NodeId, labels: impl IntoLabels) -> Result<(), RepoError> {
        let labels = labels.into_labels()?;
        self.edit(id)?.labels = labels;
        Ok(())
    }

    /// Removes a node, with every edge at it and its vectors, or an edge.
    pub fn remove<E: Entity>(&mut self, id: E) -> Result<(), RepoError> {
        id.before_removal(self)?;
        let change = self.touch(id)?;
        if change.after.is_empty() {
            return Err(RepoError::NoSuchEntity { id: id.into() });
        }
        change.after.clear();
        Ok(())
    }

    /// Refuses the commit if the node or edge is not at this version, or, with `None`, if it is there.
    pub fn expect<E: Entity>(&mut self, id: E, version: impl Into<Option<Cid>>) -> Result<(), RepoError> {
        let expected = version.into();
        let found = self.base().version_of(id)?;
        if found != expected {
            return Err(RepoError::Changed { id: id.into(), expected, found });
        }
        self.expected.insert(id.into(), expected);
        Ok(())
    }

    /// Refuses the commit if a value of a unique property that it gives is at another node by then. Without this, and
    /// without [`expect`](Self::expect), only the state that this started from is looked at: whoever commits at the same
    /// time may give the same value, which [`violations`](Snapshot::violations) then shows.
    pub const fn expect_unique(&mut self) {
        self.expects_unique = true;
    }

    /// An edge needs both of its ends: it goes with the first of them.
    pub(super) fn remove_edges_at(&mut self, node: NodeId) -> Result<(), RepoError> {
        let mut gone: BTreeSet<EdgeId> = self.ends.remove(&node).unwrap_or_default();
        gone.retain(|id| self.edges.contains_key(id));
        for edge in self.base.edges_out(node, ..)?.chain(self.base.edges_in(node, ..)?) {
            gone.insert(edge?.id);
        }
        let ends_here = |edge: &Edge| edge.src == node || edge.dst == node;
        gone.retain(|id| self.edges.get(id).is_none_or(|change| change.now().is_some_and(ends_here)));
        for id in gone {
            self.touch(id)?.after.clear();
        }
        Ok(())
    }

    fn touch<E: Entity>(&mut self, id: E) -> Result<&mut Change<E::Object>, RepoError> {
        if !E::changes(self).contains_key(&id) {
            let change = self.untouched(id)?;
            E::changes_mut(self).insert(id, change);
        }
        Ok(E::changes_mut(self).get_mut(&id).expect("was there, or was inserted just now"))
    }

    /// Reads what a change starts from, with one look at the map and one at the version.
    fn untouched<E: Entity>(&self, id: E) -> Result<Change<E::Object>, RepoError> {
        let Some(cid) = self.base.version_of(id)? else {
            return Ok(Change { before: Vec::new(), after: Vec::new(), was_in_conflict: false });
        };
        let blocks = &*self.base.state.blocks;
        let block = blocks.require(&cid)?;
        let before = versions::sides(blocks, &block)?;
        let was_in_conflict = versions::conflict(&block)?.is_some();
        let after =
            if was_in_conflict { vec![versions::shown_version(blocks, &block)?] } else { before.clone() };
        Ok(Change { before, after, was_in_conflict })
    }

    fn edit<E: Entity>(&mut self, id: E) -> Result<&mut E::Object, RepoError> {
        if !E::changes(self).contains_key(&id) {
            let change = self.untouched(id)?;
            if change.was_in_conflict {
                return Err(RepoError::InConflict { id: id.into() });
            }
            E::changes_mut(self).insert(id, change);
        }
        self.touch(id)?.after.first_mut().ok_or(RepoError::NoSuchEntity { id: id.into() })
    }
}
