//! The state of a commit: its six maps, against those of its first parent.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Mutex;

use bytes::Bytes;

use super::commits::History;
use super::operations::Tell;
use super::work::{Spot, Work, legible, readable};
use super::{CheckLevel, Flaw, Part};
use crate::block::Block;
use crate::cid::Cid;
use crate::id::{CommitId, EdgeId, NodeId};
use crate::key::ConflictKey;
use crate::object::{Commit, Edge, Object, SchemaEntry, SchemaKey};
use crate::repo::error::RepoError;
use crate::repo::index::{self, Index};
use crate::repo::merge::versions;
use crate::tree::{Change, Executor, KeyRange, Order, value_link};

/// How many commits a task gets at a time.
const COMMITS_A_TASK: usize = 16;

/// A state under check.
pub(super) struct State<'c> {
    pub(super) id: CommitId,
    pub(super) commit: &'c Commit,
    pub(super) before: Option<&'c Commit>,
}

impl State<'_> {
    pub(super) fn spot(&self, part: Part) -> Spot {
        Spot::in_commit(part, self.id)
    }
}

impl Work<'_> {
    /// Looks at the states of all commits.
    pub(super) fn states(
        &self,
        history: &History,
        executor: &dyn Executor,
        tell: &mut Tell<'_>,
    ) -> Result<ControlFlow<()>, RepoError> {
        let total = history.order.len();
        let mut done = 0;
        for some in history.order.chunks(COMMITS_A_TASK * executor.width().max(1)) {
            if tell("states", done as u64, Some(total as u64)).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let failed: Mutex<Option<RepoError>> = Mutex::new(None);
            let tasks = some.chunks(COMMITS_A_TASK).map(|part| -> Box<dyn FnOnce() + Send + '_> {
                Box::new(|| {
                    if let Err(why) = part.iter().try_for_each(|id| self.state(*id, history)) {
                        *failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(why);
                    }
                })
            });
            executor.run(tasks.collect());
            if let Some(why) = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
                return Err(why);
            }
            done += some.len();
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Reads a commit that was read before: what is wrong with it was said then.
    pub(super) fn commit(&self, id: &CommitId) -> Result<Option<Commit>, RepoError> {
        Ok(self.source.read(id.cid())?.ok().and_then(|block| Commit::from_block(&block).ok()))
    }

    fn state(&self, id: CommitId, history: &History) -> Result<(), RepoError> {
        let Some(commit) = self.commit(&id)? else { return Ok(()) };
        let before = history.first_parent(&id).map(|parent| self.commit(&parent)).transpose()?.flatten();
        let state = State { id, commit: &commit, before: before.as_ref() };
        self.schema(&state)?;
        let removed = self.nodes(&state)?;
        self.edges(&state)?;
        self.conflicts(&state)?;
        self.grows(&state.spot(Part::Tombs), before.as_ref().map(|it| &it.tombs), &commit.tombs)?;
        self.models(&state)?;
        if !removed.is_empty() && self.level == CheckLevel::Full {
            self.nothing_at(&state, &removed)?;
        }
        Ok(())
    }

    fn schema(&self, state: &State<'_>) -> Result<(), RepoError> {
        let root = &state.commit.schema;
        let spot = state.spot(Part::Schema);
        self.walk(&spot, state.before.map(|it| &it.schema), root, |change| {
            let Some(cid) = self.entry(&spot, root, &change)? else { return Ok(()) };
            let spot = spot.clone().under(root).at_key(&change.key).traced(Part::Schema, &change.key, &cid);
            let Some(key) = SchemaKey::from_key(&change.key) else {
                self.found(
                    &spot,
                    Flaw::Entry,
                    None,
                    format!("a key that is none of a schema: {:?}", change.key),
                );
                return Ok(());
            };
            let listed = ConflictKey::Schema(key.clone());
            let Some(block) = self.block(&cid, &spot)? else { return Ok(()) };
            let is_conflict = self.terms(&cid, &block, &spot, |side, block, _| {
                self.decoded(side, SchemaEntry::from_block(&key, block), &spot);
                Ok(())
            })?;
            self.listed(state, &listed, is_conflict.then_some(&cid), &spot)
        })?;
        Ok(())
    }

    /// Returns the nodes that went.
    fn nodes(&self, state: &State<'_>) -> Result<HashSet<NodeId>, RepoError> {
        let root = &state.commit.nodes;
        let spot = state.spot(Part::Nodes);
        let mut removed = HashSet::new();
        self.walk(&spot, state.before.map(|it| &it.nodes), root, |change| {
            let Some(id) = self.id(&spot, root, &change) else { return Ok(()) };
            let id = NodeId::from_bytes(id);
            if change.after.is_none() {
                removed.insert(id);
            }
            let Some(cid) = self.entry(&spot, root, &change)? else {
                return self.gone(state, &ConflictKey::Node(id));
            };
            let spot = spot.clone().under(root).at_key(&change.key).entity(id);
            self.node(state, &cid, id, &spot.traced(Part::Nodes, &change.key, &cid))
        })?;
        Ok(removed)
    }

    fn edges(&self, state: &State<'_>) -> Result<(), RepoError> {
        let root = &state.commit.edges;
        let spot = state.spot(Part::Edges);
        self.walk(&spot, state.before.map(|it| &it.edges), root, |change| {
            let Some(id) = self.id(&spot, root, &change) else { return Ok(()) };
            let id = EdgeId::from_bytes(id);
            let Some(cid) = self.entry(&spot, root, &change)? else {
                return self.gone(state, &ConflictKey::Edge(id));
            };
            let spot = spot.clone().under(root).at_key(&change.key).entity(id);
            self.edge(state, &cid, id, &spot.traced(Part::Edges, &change.key, &cid))
        })?;
        Ok(())
    }

    /// Vectors: a map of maps.
    fn models(&self, state: &State<'_>) -> Result<(), RepoError> {
        let root = &state.commit.vectors;
        let spot = state.spot(Part::Models);
        let before = state.before.map(|it| it.vectors);
        self.walk(&spot, before.as_ref(), root, |change| {
            let Some(map) = self.entry(&spot, root, &change)? else { return Ok(()) };
            let at = spot.clone().under(root).at_key(&change.key).traced(Part::Models, &change.key, &map);
            let Ok(model) = std::str::from_utf8(&change.key) else {
                self.found(&at, Flaw::Entry, None, format!("a key that is no model: {:?}", change.key));
                return Ok(());
            };
            if map == self.empty {
                self.found(&at, Flaw::Entry, None, format!("the model {model} has a map without vectors"));
            }
            let old = change.before.as_ref().and_then(|value| value_link(value));
            let spot = Spot { part: Part::Vectors, ..at };
            self.walk(&spot, old.as_ref(), &map, |change| {
                let Some(id) = self.id(&spot, &map, &change) else { return Ok(()) };
                let node = NodeId::from_bytes(id);
                let key = ConflictKey::Vector { model: model.into(), node };
                let Some(cid) = self.entry(&spot, &map, &change)? else { return self.gone(state, &key) };
                let mut spot = spot.clone().under(&map).at_key(&change.key).entity(node);
                if let Some(trace) = &mut spot.trace {
                    (trace.inner, trace.target) = (Some(change.key.clone()), cid);
                }
                self.vector(state, &cid, &key, node, &spot)
            })?;
            Ok(())
        })?;
        Ok(())
    }

    /// The map of conflicts says what the others hold.
    fn conflicts(&self, state: &State<'_>) -> Result<(), RepoError> {
        let root = &state.commit.conflicts;
        let spot = state.spot(Part::Conflicts);
        self.walk(&spot, state.before.map(|it| &it.conflicts), root, |change| {
            let spot = spot.clone().under(root).at_key(&change.key);
            let Some(key) = ConflictKey::from_key(&change.key) else {
                self.found(
                    &spot,
                    Flaw::Entry,
                    None,
                    format!("a key that is no conflict's: {:?}", change.key),
                );
                return Ok(());
            };
            let claimed = self.entry(&spot, root, &change)?;
            if change.after.is_some() && claimed.is_none() {
                return Ok(());
            }
            let Some(held) = self.held(state.commit, &key)? else { return Ok(()) };
            let agrees = match claimed {
                Some(claimed) => held == Some(claimed),
                None => match held {
                    Some(held) => !self.is_conflict(&held)?,
                    None => true,
                },
            };
            if !agrees {
                let detail =
                    format!("{key} is not in conflict there, or otherwise than the list of conflicts says");
                self.found(&spot, Flaw::Conflicts, None, detail);
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Returns what a map holds that can be in conflict. `None`: it cannot be read.
    fn held(&self, commit: &Commit, key: &ConflictKey) -> Result<Option<Option<Cid>>, RepoError> {
        let link =
            |value: Option<Option<Bytes>>| value.map(|value| value.and_then(|value| value_link(&value)));
        Ok(link(match key {
            ConflictKey::Node(id) => self.look(&commit.nodes, id.as_bytes())?,
            ConflictKey::Edge(id) => self.look(&commit.edges, id.as_bytes())?,
            ConflictKey::Schema(key) => self.look(&commit.schema, &key.to_key())?,
            ConflictKey::Vector { model, node } => {
                match link(self.look(&commit.vectors, model.as_bytes())?) {
                    Some(Some(map)) => self.look(&map, node.as_bytes())?,
                    Some(None) => Some(None),
                    None => None,
                }
            }
        }))
    }

    fn is_conflict(&self, cid: &Cid) -> Result<bool, RepoError> {
        let block = self.source.read(cid)?.ok();
        Ok(block.is_some_and(|block| matches!(versions::conflict(&block), Ok(Some(_)))))
    }

    /// What is in conflict is listed, and nothing else is.
    pub(super) fn listed(
        &self,
        state: &State<'_>,
        key: &ConflictKey,
        conflict: Option<&Cid>,
        spot: &Spot,
    ) -> Result<(), RepoError> {
        let root = &state.commit.conflicts;
        let Some(listed) = self.look(root, &key.to_key())? else { return Ok(()) };
        if listed.and_then(|value| value_link(&value)).as_ref() != conflict {
            let detail = format!("{key} is in conflict otherwise than the list of conflicts says");
            self.found(spot, Flaw::Conflicts, None, detail);
        }
        Ok(())
    }

    fn gone(&self, state: &State<'_>, key: &ConflictKey) -> Result<(), RepoError> {
        self.listed(state, key, None, &state.spot(Part::Conflicts).under(&state.commit.conflicts))
    }

    /// Returns where an entry links to, if it is there and not erased.
    fn entry(&self, spot: &Spot, root: &Cid, change: &Change) -> Result<Option<Cid>, RepoError> {
        let Some(value) = &change.after else { return Ok(None) };
        let link = value_link(value);
        if link.is_none() {
            let spot = spot.clone().under(root).at_key(&change.key);
            self.found(&spot, Flaw::Entry, None, format!("the entry {:?} is no link", change.key));
        }
        Ok(link)
    }

    fn id(&self, spot: &Spot, root: &Cid, change: &Change) -> Option<[u8; 16]> {
        let id = <[u8; 16]>::try_from(&change.key[..]).ok();
        if id.is_none() {
            let spot = spot.clone().under(root).at_key(&change.key);
            self.found(&spot, Flaw::Entry, None, format!("a key that is no id: {:?}", change.key));
        }
        id
    }

    /// Nodes that went have left no edges and no vectors.
    fn nothing_at(&self, state: &State<'_>, removed: &HashSet<NodeId>) -> Result<(), RepoError> {
        self.no_edges_at(state, removed)?;
        let root = &state.commit.vectors;
        if *root == self.empty {
            return Ok(());
        }
        for model in self.trees.tree(*root).iter() {
            let Some(model) = readable(model)? else { break };
            let Some(map) = value_link(&model.value) else { continue };
            for node in removed {
                if self.look(&map, node.as_bytes())?.flatten().is_some() {
                    self.vector_without_node(*node, &state.spot(Part::Vectors).under(&map));
                }
            }
        }
        Ok(())
    }

    /// Asks the indexes of ends, where there are any, which are compared later; else looks at all edges.
    fn no_edges_at(&self, state: &State<'_>, removed: &HashSet<NodeId>) -> Result<(), RepoError> {
        let source = &state.commit.edges;
        if *source == self.empty {
            return Ok(());
        }
        let named = |index| index::named_in(&**self.store, &self.namespace, &index, source);
        if let (Some(out), Some(into)) = (named(Index::Out)?, named(Index::In)?) {
            for node in removed {
                for root in [&out, &into] {
                    let range = KeyRange::prefix(node.as_bytes());
                    let mut entries = self.trees.tree(*root).range(range, Order::Ascending);
                    let Some(first) = readable(entries.next().transpose())? else { continue };
                    let edge =
                        first.and_then(|entry| entry.key.last_chunk().copied()).map(EdgeId::from_bytes);
                    if let Some(edge) = edge
                        && self.look(source, edge.as_bytes())?.flatten().is_some()
                    {
                        self.dangling(state, edge, *node);
                    }
                }
            }
            return Ok(());
        }
        for entry in self.trees.tree(*source).iter() {
            let Some(entry) = readable(entry)? else { break };
            let Some(cid) = value_link(&entry.value) else { continue };
            let Ok(block) = self.source.read(&cid)? else { continue };
            let Some(sides) = legible(versions::sides::<Edge>(&*self.source, &block))? else { continue };
            for edge in sides {
                if let Some(end) = [edge.src, edge.dst].into_iter().find(|end| removed.contains(end)) {
                    self.dangling(state, edge.id, end);
                }
            }
        }
        Ok(())
    }

    pub(super) fn dangling(&self, state: &State<'_>, edge: EdgeId, node: NodeId) {
        let spot = state.spot(Part::Edges).under(&state.commit.edges).entity(edge);
        self.found(&spot, Flaw::Closure, None, format!("edge {edge} needs node {node}, which is not there"));
    }

    pub(super) fn vector_without_node(&self, node: NodeId, spot: &Spot) {
        let spot = spot.clone().entity(node);
        self.found(&spot, Flaw::Closure, None, format!("a vector of node {node}, which is not there"));
    }

    /// Looks at every term of what lies in a block, and says whether it is a conflict. `each` hears whether the term is a
    /// side, not what sides started from.
    pub(super) fn terms(
        &self,
        cid: &Cid,
        block: &Block,
        spot: &Spot,
        mut each: impl FnMut(&Cid, &Block, bool) -> Result<(), RepoError>,
    ) -> Result<bool, RepoError> {
        match versions::conflict(block) {
            Ok(None) => each(cid, block, true).map(|()| false),
            Ok(Some(conflict)) => {
                let adds = conflict.adds.iter().flatten().map(|term| (term, true));
                for (term, is_side) in adds.chain(conflict.removes.iter().flatten().map(|term| (term, false)))
                {
                    if let Some(block) = self.block(term, spot)? {
                        each(term, &block, is_side)?;
                    }
                }
                Ok(true)
            }
            Err(RepoError::Damaged { why, .. }) => {
                self.found(spot, Flaw::Object, Some(cid), why.to_string());
                Ok(false)
            }
            Err(why) => Err(why),
        }
    }
}
