//! Two states as one: three ways, entity by entity and field by field.
//!
//! Bytes: FORMAT.md, "Merging" and "Conflicts".
//!
//! Invariants
//!  G1  The result is a function of the three states: which side is left does not show.
//!  G2  Nothing that a side changed is dropped: it is in the result, or a side of a conflict.
//!  G3  No edge of the result lacks an end, and no vector its node.
//!  G4  What is read is what changed on a side, not what is there.
//!
//! `fields` has the rule and applies it to parts, `types` to properties that merge by themselves; `versions` reads and
//! writes what lies at a key; here the maps of a state are put together.
//!
//! Used by: `unite` (heads), `transaction` (what a program merges, picks and takes back).

mod ends;
pub(super) mod fields;
mod lines;
pub(super) mod open;
pub(super) mod schema;
mod select;
pub(super) mod types;
pub(super) mod vectors;
pub(super) mod versions;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::commit::Made;
use super::dag;
use super::entity;
use super::error::{RepoError, damaged_key};
use super::read::read;
use crate::cid::Cid;
use crate::id::{ActorId, ChangeId, CommitId, EdgeId, NodeId, SessionId};
use crate::key::ConflictKey;
use crate::object::{Commit, Edge, Model, Node, Object, Property, SchemaKey, Time, Unknown};
use crate::port::BlockRead;
use crate::staged::Staged;
use crate::tree::{Dispute, Edit, Tree, TreeStore, link_value};
use fields::Three;
use open::Fields;
use schema::Types;
use versions::{Decided, Versions};

/// Version of the merge rules that this program knows.
pub(super) const RULES: u64 = 1;

/// Conflicts by their key in the map of conflicts; `None` where there is none any more.
type Conflicts = BTreeMap<Vec<u8>, Option<Cid>>;

/// What a state is made of.
#[derive(Clone, PartialEq)]
pub(super) struct Maps {
    pub(super) nodes: Cid,
    pub(super) edges: Cid,
    pub(super) tombs: Cid,
    pub(super) conflicts: Cid,
    pub(super) schema: Cid,
    pub(super) vectors: Cid,
    pub(super) unknown: Unknown,
}

impl Maps {
    pub(super) fn of(commit: &Commit) -> Maps {
        let Commit { nodes, edges, tombs, conflicts, schema, vectors, unknown, .. } = commit;
        Maps {
            nodes: *nodes,
            edges: *edges,
            tombs: *tombs,
            conflicts: *conflicts,
            schema: *schema,
            vectors: *vectors,
            unknown: unknown.clone(),
        }
    }

    pub(super) fn empty(root: Cid) -> Maps {
        Maps {
            nodes: root,
            edges: root,
            tombs: root,
            conflicts: root,
            schema: root,
            vectors: root,
            unknown: Unknown::default(),
        }
    }
}

/// What a merge is made of: the base, if it is known, and the two commits, the lesser one first.
type Sides = (Option<CommitId>, [CommitId; 2]);

/// Merges commits. What is made goes to `staged`, over which `trees` reads.
pub(super) struct Merge<'a> {
    trees: &'a TreeStore,
    staged: &'a Arc<Staged>,
    /// What was made of two commits and their base. Histories that cross often ask for the same again and again: without
    /// this, each crossing would double the work.
    made: RefCell<BTreeMap<Sides, CommitId>>,
}

impl<'a> Merge<'a> {
    pub(super) fn new(trees: &'a TreeStore, staged: &'a Arc<Staged>) -> Merge<'a> {
        Merge { trees, staged, made: RefCell::default() }
    }

    /// Makes the commit that follows two others on a branch that both moved from `base`.
    pub(super) fn automatic(
        &self,
        base: Option<CommitId>,
        left: CommitId,
        right: CommitId,
    ) -> Result<CommitId, RepoError> {
        let parents = [left.min(right), left.max(right)];
        if let Some(made) = self.made.borrow().get(&(base, parents)) {
            return Ok(*made);
        }
        let common = match base {
            Some(base) => self.maps(base)?,
            None => self.common(&parents[..1], parents[1])?,
        };
        let sides = [self.maps(parents[0])?, self.maps(parents[1])?];
        let maps = self.states(Three { base: &common, left: &sides[0], right: &sides[1] })?;
        let commit = self.commit(parents, maps)?;
        self.made.borrow_mut().insert((base, parents), commit);
        Ok(commit)
    }

    pub(super) fn staged(&self) -> &Staged {
        self.staged
    }

    fn blocks(&self) -> &dyn BlockRead {
        &**self.staged
    }

    pub(super) fn maps(&self, commit: CommitId) -> Result<Maps, RepoError> {
        read(self.blocks(), commit.cid()).map(|commit: Commit| Maps::of(&commit))
    }

    /// The state that commits have in common with another: that of their best common ancestor, or, of several, the merge
    /// of these. Histories that never met have nothing in common.
    pub(super) fn common(&self, ours: &[CommitId], theirs: CommitId) -> Result<Maps, RepoError> {
        let bases = dag::merge_bases(self.blocks(), ours, &[theirs])?;
        let Some((first, others)) = bases.split_first() else {
            return Ok(Maps::empty(self.empty()?));
        };
        let mut merged = *first;
        for next in others {
            merged = self.automatic(None, merged, *next)?;
        }
        self.maps(merged)
    }

    fn commit(&self, parents: [CommitId; 2], maps: Maps) -> Result<CommitId, RepoError> {
        let place = dag::place(self.blocks(), &parents)?;
        let first: Commit = read(self.blocks(), parents[0].cid())?;
        let second: Commit = read(self.blocks(), parents[1].cid())?;
        let latest = place.latest.unwrap_or(Time::MIN);
        let made = Made {
            params: first.params.min(second.params),
            parents: parents.to_vec(),
            change: change_of(&parents),
            actor: ActorId::SYSTEM,
            session: SessionId::SYSTEM,
            time: latest.checked_add(1).ok_or(RepoError::TimeTooFarAhead { ahead_us: latest.micros() })?,
            message: "",
        };
        let block = made.commit(&place, maps).to_block()?;
        let id = CommitId::new(*block.cid());
        self.staged.put(block)?;
        Ok(id)
    }

    /// Merges two states that started from a third.
    pub(super) fn states(&self, of: Three<&Maps>) -> Result<Maps, RepoError> {
        let mut conflicts = Conflicts::new();
        // First, because it says how the rest merges.
        let schema = self.schema(of.map(|maps| maps.schema), &mut conflicts)?;
        let types = Types::of_schema(self.tree(schema), self.blocks());
        let node = |id| ConflictKey::Node(NodeId::from_bytes(id));
        let nodes = self.entities::<Node>(of.map(|maps| maps.nodes), node, &types, &mut conflicts)?;
        let edge = |id| ConflictKey::Edge(EdgeId::from_bytes(id));
        let edges = self.entities::<Edge>(of.map(|maps| maps.edges), edge, &types, &mut conflicts)?;
        let nodes = self.keep_needed(&of, nodes, &edges, &mut conflicts)?;
        let vectors = self.vectors(&of, &nodes, &mut conflicts)?;
        Ok(Maps {
            nodes: *nodes.root(),
            edges: *edges.root(),
            tombs: self.union(of.map(|maps| maps.tombs))?,
            conflicts: self.conflicts(of.map(|maps| maps.conflicts), conflicts)?,
            schema,
            vectors,
            unknown: fields::unknown(&of.base.unknown, &of.left.unknown, &of.right.unknown),
        })
    }

    /// Returns a state with something else at one key.
    pub(super) fn with(&self, maps: &Maps, key: &ConflictKey, decided: Decided) -> Result<Maps, RepoError> {
        let mut maps = maps.clone();
        let put = |root: Cid, key: &[u8], cid: Option<Cid>| -> Result<Cid, RepoError> {
            let edit = Edit { key: Bytes::copy_from_slice(key), value: cid.map(|cid| link_value(&cid)) };
            Ok(*self.tree(root).mutate([edit], &mut self.sink())?.root())
        };
        match key {
            ConflictKey::Node(id) => maps.nodes = put(maps.nodes, id.as_bytes(), decided.cid())?,
            ConflictKey::Edge(id) => maps.edges = put(maps.edges, id.as_bytes(), decided.cid())?,
            ConflictKey::Schema(key) => maps.schema = put(maps.schema, &key.to_key(), decided.cid())?,
            ConflictKey::Vector { model, node } => {
                let value = self.tree(maps.vectors).get(model.as_bytes())?;
                let map = value.map_or_else(|| self.empty(), |value| link_of(&maps.vectors, &value))?;
                let map = put(map, node.as_bytes(), decided.cid())?;
                let map = Some(map).filter(|map| self.empty().is_ok_and(|empty| *map != empty));
                maps.vectors = put(maps.vectors, model.as_bytes(), map)?;
            }
        }
        maps.conflicts = put(maps.conflicts, &key.to_key(), decided.conflict())?;
        Ok(maps)
    }

    fn tree(&self, root: Cid) -> Tree {
        self.trees.tree(root)
    }

    fn sink(&self) -> Arc<Staged> {
        Arc::clone(self.staged)
    }

    fn empty(&self) -> Result<Cid, RepoError> {
        Ok(*self.trees.build_empty(&mut self.sink())?.root())
    }

    /// Returns where a map of nodes links to at `node`.
    fn at(&self, root: Cid, node: NodeId) -> Result<Option<Cid>, RepoError> {
        let value = self.tree(root).get(node.as_bytes())?;
        value.map(|value| link_of(&root, &value)).transpose()
    }

    /// Merges maps of links. `decide` says what becomes of a key that both sides changed.
    fn merge_maps(
        &self,
        of: Three<Cid>,
        mut decide: impl FnMut(&[u8], Three<Option<Cid>>) -> Result<Option<Cid>, RepoError>,
    ) -> Result<Tree, RepoError> {
        let resolve = |dispute: Dispute| -> Result<Option<Bytes>, RepoError> {
            let link = |value: &Option<Bytes>, root: &Cid| -> Result<Option<Cid>, RepoError> {
                value.as_ref().map(|value| link_of(root, value)).transpose()
            };
            let found = Three {
                base: link(&dispute.base, &of.base)?,
                left: link(&dispute.left, &of.left)?,
                right: link(&dispute.right, &of.right)?,
            };
            Ok(decide(&dispute.key, found)?.map(|cid| link_value(&cid)))
        };
        let (base, right) = (self.tree(of.base), self.tree(of.right));
        self.tree(of.left).merge::<RepoError>(&base, &right, resolve, &mut self.sink())
    }

    fn entities<T: Fields>(
        &self,
        of: Three<Cid>,
        key: impl Fn([u8; 16]) -> ConflictKey,
        types: &Types<'_>,
        conflicts: &mut Conflicts,
    ) -> Result<Tree, RepoError> {
        self.merge_maps(of, |id, found| {
            let key = key(id.try_into().map_err(|_| damaged_key())?);
            let decided = self.decide::<T>(found, types)?;
            conflicts.insert(key.to_key(), decided.conflict());
            Ok(decided.cid())
        })
    }

    fn schema(&self, of: Three<Cid>, conflicts: &mut Conflicts) -> Result<Cid, RepoError> {
        let types = Types::none();
        let merged = self.merge_maps(of, |key, found| {
            let key = SchemaKey::from_key(key).ok_or_else(damaged_key)?;
            let decided = match key {
                SchemaKey::Property(_) => self.decide::<Property>(found, &types)?,
                SchemaKey::Model(_) => self.decide::<Model>(found, &types)?,
            };
            conflicts.insert(ConflictKey::Schema(key).to_key(), decided.conflict());
            Ok(decided.cid())
        })?;
        Ok(*merged.root())
    }

    fn decide<T: Fields>(&self, found: Three<Option<Cid>>, types: &Types<'_>) -> Result<Decided, RepoError> {
        let read = |cid| Versions::<T>::read(self.blocks(), cid);
        let (base, left, right) = (read(found.base)?, read(found.left)?, read(found.right)?);
        versions::merge(Three { base: &base, left: &left, right: &right }, types, self.staged)
    }

    fn union(&self, of: Three<Cid>) -> Result<Cid, RepoError> {
        let either = |dispute: Dispute| Ok::<_, RepoError>(dispute.left.or(dispute.right));
        let (base, right) = (self.tree(of.base), self.tree(of.right));
        Ok(*self.tree(of.left).merge(&base, &right, either, &mut self.sink())?.root())
    }

    fn conflicts(&self, of: Three<Cid>, decided: Conflicts) -> Result<Cid, RepoError> {
        // Keys that both sides changed are among the decided ones: what is said here of them is said again below.
        let either = |dispute: Dispute| Ok::<_, RepoError>(dispute.left);
        let (base, right) = (self.tree(of.base), self.tree(of.right));
        let merged = self.tree(of.left).merge(&base, &right, either, &mut self.sink())?;
        let edits = decided
            .into_iter()
            .map(|(key, conflict)| Edit { key: key.into(), value: conflict.map(|cid| link_value(&cid)) });
        Ok(*merged.mutate(edits, &mut self.sink())?.root())
    }
}

fn link_of(root: &Cid, value: &[u8]) -> Result<Cid, RepoError> {
    entity::link(root, value)
}

fn node_id(key: &[u8]) -> Result<NodeId, RepoError> {
    key.try_into().map(NodeId::from_bytes).map_err(|_| damaged_key())
}

/// The same for everyone who merges the same commits.
fn change_of(parents: &[CommitId]) -> ChangeId {
    let mut hasher = blake3::Hasher::new();
    for parent in parents {
        hasher.update(&parent.cid().to_bytes());
    }
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    ChangeId::from_bytes(id)
}
