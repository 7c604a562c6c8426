//! Changes, staged in memory until they are committed in one step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::dag;
use super::entity::Entity;
use super::error::RepoError;
use super::handle::Shared;
use super::index::{self, Index, KeyEdits};
use super::options::Actor;
use super::refs::{NameKind, Target};
use super::snapshot::{At, Snapshot};
use super::state::State;
use crate::block::Block;
use crate::cid::Cid;
use crate::id::{ChangeId, CommitId, EdgeId, EntityId, NodeId, OperationId};
use crate::key::ConflictKey;
use crate::object::{
    Commit, Edge, EdgeType, IntoLabels, Node, Object, Operation, OperationKind, Time, Unknown,
};
use crate::port::{BlockRead, HeadsUpdate, Row, Swap, WriteBatch};
use crate::staged::Staged;
use crate::tree::{Edit, Tree, link_value};
use crate::value::{IntoProps, Value};

/// How far ahead of the caller's clock a time may lie.
const AHEAD_MAX_US: i64 = 24 * 3600 * 1_000_000;

/// How often a change that rests on what others may change is tried.
pub(super) const ATTEMPTS_MAX: u32 = 64;

/// Changes to one branch. Reads see them; nothing is written before [`commit`](Self::commit), and dropping it leaves
/// nothing behind.
#[must_use = "a dropped transaction changes nothing"]
pub struct Transaction {
    base: Snapshot,
    actor: Actor,
    pub(super) nodes: Changes<NodeId>,
    pub(super) edges: Changes<EdgeId>,
    expected: BTreeMap<EntityId, Option<Cid>>,
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

    fn versions(&self) -> (&[T], &[T]) {
        (&self.before, &self.after)
    }

    fn now(&self) -> Option<&T> {
        self.after.first()
    }
}

impl Transaction {
    pub(super) fn new(base: Snapshot, actor: Actor) -> Transaction {
        Transaction { base, actor, nodes: BTreeMap::new(), edges: BTreeMap::new(), expected: BTreeMap::new() }
    }

    /// Returns the state that this started from.
    pub fn base(&self) -> &Snapshot {
        &self.base
    }

    /// Says whether anything would be committed.
    pub fn is_empty(&self) -> bool {
        self.nodes.values().all(Change::is_none) && self.edges.values().all(Change::is_none)
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
        self.touch(id)?.after = vec![version];
        Ok(())
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

    /// Sets a property.
    pub fn set<E: Entity>(&mut self, id: E, name: &str, value: impl Into<Value>) -> Result<(), RepoError> {
        let version = self.edit(id)?;
        E::props(version).set(name, value.into())?;
        Ok(())
    }

    /// Removes a property and returns what it was.
    pub fn unset<E: Entity>(&mut self, id: E, name: &str) -> Result<Option<Value>, RepoError> {
        Ok(E::props(self.edit(id)?).unset(name))
    }

    /// Replaces the labels of a node.
    pub fn set_labels(&mut self, id: NodeId, labels: impl IntoLabels) -> Result<(), RepoError> {
        let labels = labels.into_labels()?;
        self.edit(id)?.labels = labels;
        Ok(())
    }

    /// Removes a node, with every edge at it, or an edge.
    pub fn remove<E: Entity>(&mut self, id: E) -> Result<(), RepoError> {
        id.before_removal(self)?;
        let change = self.touch(id)?;
        if change.after.is_empty() {
            return Err(RepoError::NoSuchEntity { id: id.into() });
        }
        change.after.clear();
        Ok(())
    }

    /// Settles a conflict: the node or edge is to be this version, whatever the sides say.
    pub fn resolve<E: Entity>(&mut self, id: E, version: E::Object) -> Result<(), RepoError> {
        if E::id(&version) != id {
            return Err(RepoError::OtherId { id: id.into(), found: E::id(&version).into() });
        }
        self.require(id)?;
        E::check(&version, self)?;
        self.touch(id)?.after = vec![version];
        Ok(())
    }

    /// Refuses the commit if the node or edge is not at this version, or, with `None`, if it is there.
    pub fn expect<E: Entity>(&mut self, id: E, version: impl Into<Option<Cid>>) -> Result<(), RepoError> {
        let expected = version.into();
        let found = self.base.version_of(id)?;
        if found != expected {
            return Err(RepoError::Changed { id: id.into(), expected, found });
        }
        self.expected.insert(id.into(), expected);
        Ok(())
    }

    /// An edge needs both of its ends: it goes with the first of them.
    pub(super) fn remove_edges_at(&mut self, node: NodeId) -> Result<(), RepoError> {
        let ends_here = |edge: &Edge| edge.src == node || edge.dst == node;
        let staged = self.edges.values().filter_map(Change::now);
        let mut gone: Vec<EdgeId> = staged.filter(|edge| ends_here(edge)).map(|edge| edge.id).collect();
        for edge in self.base.edges_out(node, ..)?.chain(self.base.edges_in(node, ..)?) {
            let id = edge?.id;
            if !self.edges.contains_key(&id) {
                gone.push(id);
            }
        }
        for id in gone {
            self.touch(id)?.after.clear();
        }
        Ok(())
    }

    fn touch<E: Entity>(&mut self, id: E) -> Result<&mut Change<E::Object>, RepoError> {
        if !E::changes(self).contains_key(&id) {
            let before = self.base.sides(id)?;
            let was_in_conflict = self.base.conflict(id)?.is_some();
            let after = self.base.get(id)?.into_iter().collect();
            E::changes_mut(self).insert(id, Change { before, after, was_in_conflict });
        }
        Ok(E::changes_mut(self).get_mut(&id).expect("was there, or was inserted just now"))
    }

    fn edit<E: Entity>(&mut self, id: E) -> Result<&mut E::Object, RepoError> {
        if self.base.conflict(id)?.is_some() && !E::changes(self).contains_key(&id) {
            return Err(RepoError::InConflict { id: id.into() });
        }
        self.touch(id)?.after.first_mut().ok_or(RepoError::NoSuchEntity { id: id.into() })
    }

    /// Makes the changes durable and visible, in one step, whatever others committed meanwhile. Returns the new state;
    /// without changes, the old one.
    pub fn commit(self, message: &str) -> Result<Snapshot, RepoError> {
        if self.is_empty() {
            return Ok(self.base);
        }
        let staged = Arc::new(Staged::new(Arc::clone(&self.base.state.blocks)));
        let (commit_id, commit) = self.stage_commit(message, &staged)?;
        let rows = self.stage_indexes(&commit, &staged)?;
        let operation = self.stage_operation(commit_id, &commit, &staged)?;
        self.publish(operation, &staged, &rows)?;
        let at = Some(Arc::new(At { id: commit_id, commit }));
        // Read again: the new state holds a lease on the new head, where this one holds the old.
        let state = Arc::new(self.base.shared.state_at(operation)?);
        Ok(Snapshot { shared: self.base.shared, state, branch: self.base.branch, at })
    }

    /// Writes the new versions, the new maps, and the commit.
    fn stage_commit(&self, message: &str, staged: &Arc<Staged>) -> Result<(CommitId, Commit), RepoError> {
        let shared = &self.base.shared;
        let parents: Vec<CommitId> = self.base.commit_id().into_iter().collect();
        let place = dag::place(&*self.base.state.blocks, &parents)?;
        let base = self.base.commit();
        let empty = shared.empty_root;
        let root = |of: fn(&Commit) -> Cid| base.map_or(empty, of);
        let commit = Commit {
            params: shared.params_cid,
            parents,
            generation: place.generation,
            depth: place.depth,
            skip: place.skip,
            change: self.draw_change(),
            actor: self.actor.id(),
            session: shared.session,
            author: None,
            time: self.time_after(place.latest)?,
            message: message.into(),
            nodes: self.stage_map(root(|c| c.nodes), &self.nodes, staged)?,
            edges: self.stage_map(root(|c| c.edges), &self.edges, staged)?,
            tombs: root(|c| c.tombs),
            conflicts: self.stage_conflicts(root(|c| c.conflicts), staged)?,
            schema: root(|c| c.schema),
            vectors: root(|c| c.vectors),
            unknown: Unknown::default(),
        };
        let block = commit.to_block()?;
        let id = CommitId::new(*block.cid());
        staged.put(block)?;
        Ok((id, commit))
    }

    fn draw_change(&self) -> ChangeId {
        let (unix_ms, random) = self.base.shared.options.draw();
        ChangeId::from_time_and_random(unix_ms, random)
    }

    /// Returns the present, or the moment after `latest` if the clock is behind it.
    fn time_after(&self, latest: Option<Time>) -> Result<Time, RepoError> {
        let now = self.base.shared.options.clock.now();
        let Some(latest) = latest.filter(|latest| *latest >= now) else { return Ok(now) };
        let ahead_us = latest.micros_since(now);
        latest
            .checked_add(1)
            .filter(|_| ahead_us <= AHEAD_MAX_US)
            .ok_or(RepoError::TimeTooFarAhead { ahead_us })
    }

    fn stage_map<E: Entity>(
        &self,
        root: Cid,
        changes: &Changes<E>,
        staged: &Arc<Staged>,
    ) -> Result<Cid, RepoError> {
        let mut edits = Vec::new();
        for (id, change) in changes.iter().filter(|(_, change)| !change.is_none()) {
            let value = match change.now() {
                Some(version) => {
                    let block = version.to_block()?;
                    let value = link_value(block.cid());
                    staged.put(block)?;
                    Some(value)
                }
                None => None,
            };
            edits.push(Edit { key: Bytes::copy_from_slice(id.key()), value });
        }
        Ok(*mutate(&self.base.state, root, edits, staged)?.root())
    }

    /// Takes what was settled out of the map of conflicts.
    fn stage_conflicts(&self, root: Cid, staged: &Arc<Staged>) -> Result<Cid, RepoError> {
        let nodes = self.nodes.iter().filter(|(_, change)| change.was_in_conflict);
        let edges = self.edges.iter().filter(|(_, change)| change.was_in_conflict);
        let keys: BTreeSet<Vec<u8>> = nodes
            .map(|(id, _)| ConflictKey::Node(*id).to_key())
            .chain(edges.map(|(id, _)| ConflictKey::Edge(*id).to_key()))
            .collect();
        let edits = keys.into_iter().map(|key| Edit { key: key.into(), value: None }).collect();
        Ok(*mutate(&self.base.state, root, edits, staged)?.root())
    }

    fn stage_indexes(&self, commit: &Commit, staged: &Arc<Staged>) -> Result<Vec<Row>, RepoError> {
        let Snapshot { shared, state, .. } = &self.base;
        let mut rows = Vec::new();
        for index in Index::ALL {
            let edits = KeyEdits::of(
                index,
                self.nodes.values().map(Change::versions),
                self.edges.values().map(Change::versions),
            );
            rows.extend(index::extend(shared, state, index, (self.base.commit(), commit), edits, staged)?);
        }
        Ok(rows)
    }

    /// Writes the names as they are to be, and the operation.
    fn stage_operation(
        &self,
        commit_id: CommitId,
        commit: &Commit,
        staged: &Arc<Staged>,
    ) -> Result<OperationId, RepoError> {
        let state = &self.base.state;
        let key = NameKind::Branch.key(&self.base.branch);
        let value = Target::commit(commit_id).encode();
        let refs = mutate(state, state.view.refs, vec![Edit { key: key.into(), value }], staged)?;
        let mut view = state.view.clone();
        view.refs = *refs.root();
        self.base.shared.stage_operation(
            state,
            &view,
            OperationKind::Commit,
            &self.actor,
            commit.time,
            staged,
        )
    }

    fn publish(&self, operation: OperationId, staged: &Staged, rows: &[Row]) -> Result<(), RepoError> {
        let state = &self.base.state;
        let shared = &self.base.shared;
        let blocks: Vec<Block> = state.pending.iter().cloned().chain(staged.blocks()).collect();
        let mut heads = HeadsUpdate::advance(shared.options.namespace.clone(), &state.heads, operation);
        for _ in 0..ATTEMPTS_MAX {
            if !self.expected.is_empty() {
                heads.expected = Some(self.check_expected()?);
            }
            let batch = WriteBatch { blocks: &blocks, heads: &heads, rows };
            match shared.store.commit(state.lease(), &batch)? {
                Swap::Done => return Ok(()),
                Swap::Moved => {} // somebody committed since the expectations were checked
            }
        }
        Err(RepoError::Contended { attempts: ATTEMPTS_MAX })
    }

    /// Checks what was expected against the present state, and returns the heads that it was read from.
    fn check_expected(&self) -> Result<Vec<OperationId>, RepoError> {
        let shared = &self.base.shared;
        let state = Arc::new(shared.state()?);
        let heads = state.heads.clone();
        let tip = state.branch_tip(&self.base.branch)?;
        let now = Snapshot::new(Arc::clone(shared), state, Arc::clone(&self.base.branch), tip)?;
        for (id, expected) in &self.expected {
            let found = match id {
                EntityId::Node(id) => now.version_of(*id)?,
                EntityId::Edge(id) => now.version_of(*id)?,
            };
            if found != *expected {
                return Err(RepoError::Changed { id: *id, expected: *expected, found });
            }
        }
        Ok(heads)
    }
}

fn mutate(state: &State, root: Cid, edits: Vec<Edit>, staged: &Arc<Staged>) -> Result<Tree, RepoError> {
    let blocks = Arc::clone(staged) as Arc<dyn BlockRead>;
    let mut sink = Arc::clone(staged);
    Ok(state.trees.over(blocks).tree(root).mutate(edits, &mut sink)?)
}

impl Shared {
    /// Writes a view and the operation that leads to it.
    pub(super) fn stage_operation(
        &self,
        state: &State,
        view: &crate::object::View,
        kind: OperationKind,
        actor: &Actor,
        time: Time,
        staged: &Staged,
    ) -> Result<OperationId, RepoError> {
        let view = view.to_block()?;
        let operation = Operation {
            parents: vec![state.operation],
            generation: dag::next_generation(state.generation)?,
            kind,
            details: Unknown::default(),
            actor: actor.id(),
            session: self.session,
            // However clocks run, no operation is older than what it follows.
            time: time.max(state.time),
            view: *view.cid(),
            unknown: Unknown::default(),
        };
        let block = operation.to_block()?;
        let id = OperationId::new(*block.cid());
        staged.put(view)?;
        staged.put(block)?;
        Ok(id)
    }
}
