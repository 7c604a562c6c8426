//! Taking back what one commit did, under what others did since.
//!
//! From the state `made` back to `before`: what still is as `made` has it becomes as `before` has it, and what was
//! changed since stays. Of a node or edge that was changed since, each label, property and other field is looked at by
//! itself.
//!
//! Invariants
//!  B1  A field that was written after `made` is not touched, even if it was written as it had been: nobody's later work
//!      is undone with it.
//!  B2  No edge of the result lacks an end: a node stays while an edge needs it, an edge stays away without its ends.
//!  B3  What was erased stays erased.

mod vectors;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::commit::Made;
use super::dag;
use super::delta::Field;
use super::entity::{self, Entity};
use super::error::{RepoError, damaged_key};
use super::history::{self, Blame};
use super::merge::{Maps, versions};
use super::options::Actor;
use super::read::read;
use super::shared::Shared;
use super::snapshot::Snapshot;
use super::state::State;
use crate::cid::Cid;
use crate::id::{CommitId, EdgeId, EntityId, NodeId};
use crate::key::ConflictKey;
use crate::object::{Commit, Edge, Labels, Node, Object, Unknown};
use crate::port::{BlockRead, BlockReadExt, Row};
use crate::staged::Staged;
use crate::tree::{Edit, KeyRange, Order, Tree, link_value};
use crate::value::{Map, Props, Value, ValueError};

/// The three states of one way back.
#[derive(Clone, Copy)]
pub(super) struct Way {
    pub(super) now: CommitId,
    pub(super) made: CommitId,
    pub(super) before: CommitId,
}

/// Makes the commit that follows `now` and takes back what led from `before` to `made`; `None` if nothing of that is
/// left.
pub(super) fn put_back(
    shared: &Arc<Shared>,
    state: &Arc<State>,
    way: Way,
    (actor, word): (&Actor, &str),
    staged: &Arc<Staged>,
) -> Result<Option<(CommitId, Vec<Row>)>, RepoError> {
    let blocks: &dyn BlockRead = &**staged;
    let commit = |id: CommitId| -> Result<Commit, RepoError> { read(blocks, id.cid()) };
    let (now, made, before) = (commit(way.now)?, commit(way.made)?, commit(way.before)?);
    let snapshot = Snapshot::new(Arc::clone(shared), Arc::clone(state), "".into(), Some(way.now))?;
    let work = Work { state, staged, snapshot, made: way.made };
    let edges = work.entities::<Edge>([&now.edges, &made.edges, &before.edges], EdgeId::from_bytes)?;
    let mut nodes = work.entities::<Node>([&now.nodes, &made.nodes, &before.nodes], NodeId::from_bytes)?;
    work.keep_needed(&mut nodes, &edges, [&now.vectors, &made.vectors])?;
    let edges = work.drop_edges_without_ends(edges, &nodes)?;
    let mut conflicts = work.conflicts(&nodes, &edges, &before.conflicts)?;
    let vectors = work.vectors([&now.vectors, &made.vectors, &before.vectors], &nodes, &mut conflicts)?;
    let there = Maps::of(&now);
    let maps = Maps {
        nodes: work.mutate(now.nodes, nodes)?,
        edges: work.mutate(now.edges, edges)?,
        conflicts: work.mutate(now.conflicts, conflicts)?,
        schema: work.map([&now.schema, &made.schema, &before.schema])?,
        vectors,
        tombs: there.tombs,
        unknown: Unknown::default(),
    };
    if maps == (Maps { unknown: Unknown::default(), ..there }) {
        return Ok(None);
    }
    let mut parents = vec![way.now];
    if !dag::is_ancestor(blocks, way.before, way.now)? {
        parents.push(way.before); // some of what it says comes from there
    }
    let place = dag::place(blocks, &parents)?;
    let message = format!("{word} {}", made.message);
    let made = Made {
        params: shared.params_cid,
        parents,
        change: shared.draw_change(),
        actor: actor.id(),
        session: shared.session,
        time: shared.time_after(place.latest)?,
        message: message.trim_end(),
    };
    let block = made.commit(&place, maps).to_block()?;
    let id = CommitId::new(*block.cid());
    staged.put(block)?;
    let rows = history::record(shared, state, id, staged)?;
    Ok(Some((id, rows)))
}

/// What becomes of keys of a map.
type Edits = BTreeMap<Bytes, Option<Bytes>>;

struct Work<'a> {
    state: &'a State,
    staged: &'a Arc<Staged>,
    /// The present state.
    snapshot: Snapshot,
    /// The commit that is taken back.
    made: CommitId,
}

impl Work<'_> {
    fn tree(&self, root: &Cid) -> Tree {
        self.state.trees.over(Arc::clone(self.staged) as Arc<dyn BlockRead>).tree(*root)
    }

    fn mutate(&self, root: Cid, edits: Edits) -> Result<Cid, RepoError> {
        let edits = edits.into_iter().map(|(key, value)| Edit { key, value });
        Ok(*self.tree(&root).mutate(edits, &mut Arc::clone(self.staged))?.root())
    }

    /// Takes a map back whose values are not looked into.
    fn map(&self, [now, made, before]: [&Cid; 3]) -> Result<Cid, RepoError> {
        let mut edits = Edits::new();
        for change in self.tree(made).diff(&self.tree(before), KeyRange::ALL, Order::Ascending) {
            let change = change?;
            if self.tree(now).get(&change.key)? == change.before {
                edits.insert(change.key, change.after);
            }
        }
        self.mutate(*now, edits)
    }

    fn entities<T: PutBack>(
        &self,
        [now, made, before]: [&Cid; 3],
        id: impl Fn([u8; 16]) -> T::Id,
    ) -> Result<Edits, RepoError> {
        let mut edits = Edits::new();
        for change in self.tree(made).diff(&self.tree(before), KeyRange::ALL, Order::Ascending) {
            let change = change?;
            let entity = id(<[u8; 16]>::try_from(&*change.key).map_err(|_| damaged_key())?);
            if self.is_erased(entity.into())? {
                continue;
            }
            let present = self.tree(now).get(&change.key)?;
            if present == change.before && self.is_untouched(entity)? {
                edits.insert(change.key, change.after);
            } else if let (Some(here), Some(from), Some(to)) = (&present, &change.before, &change.after) {
                let versions = [(now, here), (made, from), (before, to)];
                if let Some(value) = self.fields::<T>(entity, versions)? {
                    edits.insert(change.key, Some(value));
                }
            }
        }
        Ok(edits)
    }

    fn is_erased(&self, entity: EntityId) -> Result<bool, RepoError> {
        Ok(self.tree(&self.state.view.erased).get(&entity.to_key())?.is_some())
    }

    /// Says whether nobody wrote an entity since. Equal versions do not say so: it may have been changed and put right.
    fn is_untouched<E: Entity>(&self, entity: E) -> Result<bool, RepoError> {
        match self.snapshot.last_modified(entity)? {
            Some(writer) => dag::is_ancestor(&**self.staged, writer.commit, self.made),
            None => Ok(true),
        }
    }

    /// Takes the fields of one entity back. One in conflict stays as it is: its sides are not ours to choose from.
    fn fields<T: PutBack>(
        &self,
        entity: T::Id,
        versions: [(&Cid, &Bytes); 3],
    ) -> Result<Option<Bytes>, RepoError> {
        let mut objects = Vec::with_capacity(3);
        for (root, value) in versions {
            let block = self.staged.require(&entity::link(root, value)?)?;
            if versions::conflict(&block)?.is_some() {
                return Ok(None);
            }
            objects.push(T::from_block(&block).map_err(|why| RepoError::Damaged {
                what: T::KIND,
                cid: *block.cid(),
                why,
            })?);
        }
        let [now, made, before] = &mut objects[..] else { unreachable!("three were read") };
        for (field, writer) in self.snapshot.blame(entity)?.iter().flat_map(Blame::iter) {
            if !dag::is_ancestor(&**self.staged, writer.commit, self.made)? {
                before.keep(made, field)?; // whatever was written since, be it the same, stays
            }
        }
        let version = now.put_back(made, before)?;
        // What would grow over its limit stays as well.
        let Ok(block) = version.to_block() else { return Ok(None) };
        let value = link_value(block.cid());
        self.staged.put(block)?;
        Ok(Some(value))
    }

    /// Keeps nodes that were to go again, while an edge that stays needs them, or somebody gave them a vector since.
    fn keep_needed(&self, nodes: &mut Edits, edges: &Edits, [now, made]: [&Cid; 2]) -> Result<(), RepoError> {
        let mut needed = BTreeSet::new();
        for (key, _) in nodes.iter().filter(|(_, value)| value.is_none()) {
            let node = node_id(key)?;
            let mut is_needed = self.has_later_vector(now, made, key)?;
            for edge in self.snapshot.edges_out(node, ..)?.chain(self.snapshot.edges_in(node, ..)?) {
                is_needed = is_needed || !matches!(edges.get(&edge?.id.as_bytes()[..]), Some(None));
            }
            if is_needed {
                needed.insert(key.clone());
            }
        }
        nodes.retain(|key, _| !needed.contains(key));
        Ok(())
    }

    /// Says whether a node will be there.
    fn has_node(&self, nodes: &Edits, key: &[u8]) -> Result<bool, RepoError> {
        match nodes.get(key) {
            Some(value) => Ok(value.is_some()),
            None => Ok(self.snapshot.version_of(node_id(key)?)?.is_some()),
        }
    }

    /// Leaves edges away that were to come again, and whose ends are gone.
    fn drop_edges_without_ends(&self, edges: Edits, nodes: &Edits) -> Result<Edits, RepoError> {
        let mut kept = Edits::new();
        for (key, value) in edges {
            let mut has_ends = true;
            if let Some(value) = &value {
                let block = self.staged.require(&entity::link(&self.state.view.refs, value)?)?;
                for edge in versions::sides::<Edge>(&**self.staged, &block)? {
                    has_ends = has_ends
                        && self.has_node(nodes, edge.src.as_bytes())?
                        && self.has_node(nodes, edge.dst.as_bytes())?;
                }
            }
            if has_ends {
                kept.insert(key, value);
            }
        }
        Ok(kept)
    }

    /// What is put back is in conflict if it was so before.
    fn conflicts(&self, nodes: &Edits, edges: &Edits, before: &Cid) -> Result<Edits, RepoError> {
        let id = |key: &Bytes| <[u8; 16]>::try_from(&**key).map_err(|_| damaged_key());
        let before = self.tree(before);
        let mut edits = Edits::new();
        for (key, value) in nodes {
            edits.insert(ConflictKey::Node(NodeId::from_bytes(id(key)?)).to_key().into(), value.clone());
        }
        for (key, value) in edges {
            edits.insert(ConflictKey::Edge(EdgeId::from_bytes(id(key)?)).to_key().into(), value.clone());
        }
        for (key, value) in &mut edits {
            if before.get(key)? != *value {
                *value = None;
            }
        }
        Ok(edits)
    }
}

fn node_id(key: &[u8]) -> Result<NodeId, RepoError> {
    <[u8; 16]>::try_from(key).map(NodeId::from_bytes).map_err(|_| damaged_key())
}

/// A version whose fields can be taken back one by one.
trait PutBack: Object {
    type Id: Entity<Object = Self>;

    /// Makes a field as it is in `made`: then there is nothing to take back in it.
    fn keep(&mut self, made: &Self, field: &Field) -> Result<(), ValueError>;

    /// Returns this version with those fields as in `before` that still are as in `made`.
    fn put_back(&self, made: &Self, before: &Self) -> Result<Self, ValueError>;
}

impl PutBack for Node {
    type Id = NodeId;

    fn keep(&mut self, made: &Node, field: &Field) -> Result<(), ValueError> {
        match field {
            Field::Labels => self.labels = made.labels.clone(),
            Field::Content => self.content.clone_from(&made.content),
            Field::Property(name) => keep(&mut self.props, &made.props, name)?,
            _ => {}
        }
        Ok(())
    }

    fn put_back(&self, made: &Node, before: &Node) -> Result<Node, ValueError> {
        let is_kept = |label: &&Arc<str>| !made.labels.has(label) || before.labels.has(label);
        let came_back = before.labels.iter().filter(|label| !made.labels.has(label));
        let labels = self.labels.iter().filter(is_kept).chain(came_back).cloned();
        let content = if self.content == made.content { &before.content } else { &self.content };
        Ok(Node {
            id: self.id,
            labels: Labels::new(labels.collect::<BTreeSet<_>>())?,
            props: props(&self.props, &made.props, &before.props)?,
            content: content.clone(),
            salt: self.salt,
            times: self.times.clone(),
            unknown: self.unknown.clone(),
        })
    }
}

impl PutBack for Edge {
    type Id = EdgeId;

    fn keep(&mut self, made: &Edge, field: &Field) -> Result<(), ValueError> {
        match field {
            Field::Property(name) => keep(&mut self.props, &made.props, name),
            _ => Ok(()),
        }
    }

    fn put_back(&self, made: &Edge, before: &Edge) -> Result<Edge, ValueError> {
        Ok(Edge { props: props(&self.props, &made.props, &before.props)?, ..self.clone() })
    }
}

fn keep(props: &mut Props, made: &Props, name: &str) -> Result<(), ValueError> {
    match made.value(name) {
        Some(value) => drop(props.set(name, value.clone())?),
        None => drop(props.unset(name)),
    }
    Ok(())
}

fn props(now: &Props, made: &Props, before: &Props) -> Result<Props, ValueError> {
    Props::try_from(map(now.as_map(), made.as_map(), before.as_map())?)
}

/// Name by name; where all three have a map under a name, that is looked into. The depth of values bounds this.
fn map(now: &Map, made: &Map, before: &Map) -> Result<Map, ValueError> {
    let mut result = now.clone();
    let names: BTreeSet<&str> = made.iter().chain(before.iter()).map(|(name, _)| name).collect();
    for name in names {
        let value = match (now.get(name), made.get(name), before.get(name)) {
            (now, made, before) if now == made => before.cloned(),
            (Some(Value::Map(now)), Some(Value::Map(made)), Some(Value::Map(before))) => {
                Some(Value::Map(map(now, made, before)?))
            }
            (now, _, _) => now.cloned(),
        };
        match value {
            Some(value) => drop(result.insert(name, value)?),
            None => drop(result.remove(name)),
        }
    }
    Ok(result)
}
