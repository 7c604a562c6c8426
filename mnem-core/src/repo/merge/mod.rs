//! Two states as one: three ways, entity by entity and field by field.
//!
//! Invariants
//!  G1  The result is a function of the three states: which side is left does not show.
//!  G2  Nothing that a side changed is dropped: it is in the result, or a term of a conflict.
//!  G3  No edge of the result lacks an end.
//!
//! What is merged: nodes, edges, tombs, conflicts. A schema or vectors that both sides changed are refused, as nothing
//! writes them yet.

pub(super) mod fields;
pub(super) mod versions;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::dag;
use super::entity;
use super::error::RepoError;
use super::read::read;
use crate::block::Block;
use crate::cid::Cid;
use crate::id::{ActorId, ChangeId, CommitId, EdgeId, NodeId, SessionId};
use crate::key::ConflictKey;
use crate::object::{Commit, Conflict, Edge, Merged, Node, Object, Time, Unknown, Why};
use crate::port::{BlockRead, BlockReadExt};
use crate::staged::Staged;
use crate::tree::{Dispute, Edit, KeyRange, Order, Tree, TreeStore, link_value};
use fields::Fields;
use versions::Terms;

/// Version of the merge rules that this program knows.
pub(super) const RULES: u64 = 1;

/// Roots of the maps of one state.
#[derive(Clone, Copy)]
struct Maps {
    nodes: Cid,
    edges: Cid,
    tombs: Cid,
    conflicts: Cid,
    schema: Cid,
    vectors: Cid,
}

impl Maps {
    fn of(commit: &Commit) -> Maps {
        let Commit { nodes, edges, tombs, conflicts, schema, vectors, .. } = commit;
        Maps {
            nodes: *nodes,
            edges: *edges,
            tombs: *tombs,
            conflicts: *conflicts,
            schema: *schema,
            vectors: *vectors,
        }
    }

    fn empty(root: Cid) -> Maps {
        Maps { nodes: root, edges: root, tombs: root, conflicts: root, schema: root, vectors: root }
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
            None => self.common(parents)?,
        };
        let maps = self.maps_of_merge(&common, &self.maps(parents[0])?, &self.maps(parents[1])?)?;
        let commit = self.commit(parents, maps)?;
        self.made.borrow_mut().insert((base, parents), commit);
        Ok(commit)
    }

    fn blocks(&self) -> &dyn BlockRead {
        &**self.staged
    }

    fn maps(&self, commit: CommitId) -> Result<Maps, RepoError> {
        read(self.blocks(), commit.cid()).map(|commit: Commit| Maps::of(&commit))
    }

    /// The state that two commits have in common: that of their best common ancestor, or, of several, their merge.
    fn common(&self, of: [CommitId; 2]) -> Result<Maps, RepoError> {
        let bases = dag::merge_bases(self.blocks(), &of[..1], &of[1..])?;
        let Some((first, others)) = bases.split_first() else {
            return Ok(Maps::empty(*self.trees.build_empty(&mut Arc::clone(self.staged))?.root()));
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
        let commit = Commit {
            params: first.params.min(second.params),
            parents: parents.to_vec(),
            generation: place.generation,
            depth: place.depth,
            skip: place.skip,
            change: change_of(&parents),
            actor: ActorId::SYSTEM,
            session: SessionId::SYSTEM,
            author: None,
            time: latest.checked_add(1).ok_or(RepoError::TimeTooFarAhead { ahead_us: latest.micros() })?,
            message: "".into(),
            nodes: maps.nodes,
            edges: maps.edges,
            tombs: maps.tombs,
            conflicts: maps.conflicts,
            schema: maps.schema,
            vectors: maps.vectors,
            unknown: Unknown::default(),
        };
        let block = commit.to_block()?;
        let id = CommitId::new(*block.cid());
        self.staged.put(block)?;
        Ok(id)
    }

    fn maps_of_merge(&self, base: &Maps, left: &Maps, right: &Maps) -> Result<Maps, RepoError> {
        // Conflicts by their key in the map of conflicts; `None` where a conflict was settled.
        let mut conflicts: BTreeMap<Vec<u8>, Option<Cid>> = BTreeMap::new();
        let nodes = self.entities::<Node>(
            [base.nodes, left.nodes, right.nodes],
            |id| ConflictKey::Node(NodeId::from_bytes(id)),
            &mut conflicts,
        )?;
        let edges = self.entities::<Edge>(
            [base.edges, left.edges, right.edges],
            |id| ConflictKey::Edge(EdgeId::from_bytes(id)),
            &mut conflicts,
        )?;
        let nodes = self.keep_ends(base, left, right, &nodes, &edges, &mut conflicts)?;
        Ok(Maps {
            nodes: *nodes.root(),
            edges: *edges.root(),
            tombs: self.union([base.tombs, left.tombs, right.tombs])?,
            conflicts: self.conflicts([base.conflicts, left.conflicts, right.conflicts], conflicts)?,
            schema: self.unmergeable([base.schema, left.schema, right.schema], "merging of schemas")?,
            vectors: self.unmergeable([base.vectors, left.vectors, right.vectors], "merging of vectors")?,
        })
    }

    fn tree(&self, root: Cid) -> Tree {
        self.trees.tree(root)
    }

    fn entities<T: Object + Fields>(
        &self,
        [base, left, right]: [Cid; 3],
        key: impl Fn([u8; 16]) -> ConflictKey,
        conflicts: &mut BTreeMap<Vec<u8>, Option<Cid>>,
    ) -> Result<Tree, RepoError> {
        let decide = |dispute: Dispute| {
            let id = <[u8; 16]>::try_from(&*dispute.key).map_err(|_| super::error::damaged_key())?;
            let side = |value: &Option<Bytes>, root: &Cid| -> Result<Terms, RepoError> {
                let cid = value.as_ref().map(|value| entity::link(root, value)).transpose()?;
                Terms::read(self.blocks(), cid)
            };
            let from = side(&dispute.base, &base)?;
            let to = [side(&dispute.left, &left)?, side(&dispute.right, &right)?];
            let decided = match (Terms::sum(&to[0], &from, &to[1]), &dispute.base) {
                (Some(terms), _) => self.decide::<T>(terms)?,
                (None, Some(conflict)) => {
                    self.settled_twice::<T>(entity::link(&base, conflict)?, &from, to)?
                }
                (None, None) => unreachable!("absence is no conflict"),
            };
            let conflict = key(id).to_key();
            Ok(match decided {
                Decided::One(cid) => {
                    conflicts.insert(conflict, None);
                    cid.map(|cid| link_value(&cid))
                }
                Decided::Conflict(cid) => {
                    conflicts.insert(conflict, Some(cid));
                    Some(link_value(&cid))
                }
            })
        };
        let (base, right) = (self.tree(base), self.tree(right));
        self.tree(left).merge::<RepoError>(&base, &right, decide, &mut Arc::clone(self.staged))
    }

    /// Makes one version of the terms, field by field where all sides have the entity; else keeps them.
    fn decide<T: Object + Fields>(&self, terms: Terms) -> Result<Decided, RepoError> {
        let conflict = match Conflict::from_terms(terms.adds, terms.removes) {
            Merged::Resolved(cid) => return Ok(Decided::One(cid)),
            Merged::Conflict(conflict) => conflict,
        };
        // Sides that did the same do not disagree.
        if let Some((first, others)) = conflict.adds.split_first()
            && others.iter().all(|other| other == first)
        {
            return Ok(Decided::One(*first));
        }
        if let Some(block) = self.one_of::<T>(&conflict)? {
            let cid = *block.cid();
            self.staged.put(block)?;
            return Ok(Decided::One(Some(cid)));
        }
        let block = conflict.to_block()?;
        let cid = *block.cid();
        self.staged.put(block)?;
        Ok(Decided::Conflict(cid))
    }

    /// What becomes of a conflict that both sides settled, and not alike: what each chose stands against what the
    /// other chose. They started from what was not in dispute, and, of what was, from something that neither chose.
    fn settled_twice<T: Object + Fields>(
        &self,
        conflict: Cid,
        from: &Terms,
        [left, right]: [Terms; 2],
    ) -> Result<Decided, RepoError> {
        let adds = [left.adds, right.adds].concat();
        let mut removes = [left.removes, right.removes].concat();
        if removes.is_empty() && adds.iter().all(|add| from.adds.contains(add)) {
            return Ok(Decided::Conflict(conflict)); // each chose one of its sides
        }
        let sides = versions::present::<T>(self.blocks(), &adds)?;
        let start = versions::merged::<T>(self.blocks(), from, &sides)?.version.to_block()?;
        let made = Some(*start.cid());
        self.staged.put(start)?;
        // A side that kept what the other removed must not pass for unchanged.
        let is_removed = adds.contains(&None);
        let versions = from.removes.iter().chain(&from.adds).copied().filter(Option::is_some);
        let mut starts = std::iter::once(made).chain(versions);
        removes.push(starts.find(|start| !is_removed || !adds.contains(start)).unwrap_or(made));
        self.decide::<T>(Terms { adds, removes })
    }

    fn one_of<T: Object + Fields>(&self, conflict: &Conflict) -> Result<Option<Block>, RepoError> {
        if conflict.adds.contains(&None) {
            return Ok(None);
        }
        let terms = Terms { adds: conflict.adds.clone(), removes: conflict.removes.clone() };
        let merged = versions::merged::<T>(self.blocks(), &terms, &[])?;
        if !merged.disputed.is_empty() {
            return Ok(None);
        }
        // What grew over the limit by merging is in conflict as a whole.
        Ok(merged.version.to_block().ok())
    }

    /// An edge needs its ends. Where a node went on one side while the other side made or changed an edge at it, the
    /// node stays, in conflict. Edges that nobody touched went with it, in the commit that removed it.
    fn keep_ends(
        &self,
        base: &Maps,
        left: &Maps,
        right: &Maps,
        nodes: &Tree,
        edges: &Tree,
        conflicts: &mut BTreeMap<Vec<u8>, Option<Cid>>,
    ) -> Result<Tree, RepoError> {
        let mut gone: BTreeMap<NodeId, Cid> = BTreeMap::new();
        for change in self.tree(base.nodes).diff(nodes, KeyRange::ALL, Order::Ascending) {
            let change = change?;
            if let (Some(before), None) = (&change.before, &change.after) {
                gone.insert(node_id(&change.key)?, entity::link(&base.nodes, before)?);
            }
        }
        let mut needed = BTreeMap::new();
        for side in [left, right] {
            for node in self.ends_of_changed_edges(base, side, edges)? {
                if let Some(before) = gone.get(&node) {
                    needed.insert(node, self.kept_for_an_edge(node, *before, left, right)?);
                }
            }
        }
        let edits = needed.iter().map(|(node, conflict)| Edit {
            key: Bytes::copy_from_slice(node.as_bytes()),
            value: Some(link_value(conflict)),
        });
        let nodes = nodes.mutate(edits, &mut Arc::clone(self.staged))?;
        conflicts.extend(needed.into_iter().map(|(node, cid)| (ConflictKey::Node(node).to_key(), Some(cid))));
        Ok(nodes)
    }

    /// Returns the ends of those edges of the result that a side made or changed.
    fn ends_of_changed_edges(
        &self,
        base: &Maps,
        side: &Maps,
        edges: &Tree,
    ) -> Result<BTreeSet<NodeId>, RepoError> {
        let mut ends = BTreeSet::new();
        for change in self.tree(base.edges).diff(&self.tree(side.edges), KeyRange::ALL, Order::Ascending) {
            let Some(after) = edges.get(&change?.key)? else { continue };
            let cid = entity::link(edges.root(), &after)?;
            for edge in versions::sides::<Edge>(self.blocks(), &self.blocks().require(&cid)?)? {
                ends.extend([edge.src, edge.dst]);
            }
        }
        Ok(ends)
    }

    /// The node as the side has it that did not remove it, in conflict with its absence.
    fn kept_for_an_edge(
        &self,
        node: NodeId,
        before: Cid,
        left: &Maps,
        right: &Maps,
    ) -> Result<Cid, RepoError> {
        let at = |root: Cid| -> Result<Option<Cid>, RepoError> {
            let value = self.tree(root).get(node.as_bytes())?;
            value.map(|value| entity::link(&root, &value)).transpose()
        };
        // Both removed it, and an edge was made at it all the same: it comes back as it was.
        let kept = at(left.nodes)?.or(at(right.nodes)?).unwrap_or(before);
        let Terms { mut adds, mut removes } = Terms::read(self.blocks(), Some(kept))?;
        if adds.contains(&None) {
            return Ok(kept); // somebody's removal is among its sides already
        }
        let removed = Terms::read(self.blocks(), Some(before))?;
        adds.push(None);
        removes.push(removed.removes.into_iter().chain(removed.adds).flatten().next());
        let block = Conflict::because(Why::Edge, adds, removes).to_block()?;
        let cid = *block.cid();
        self.staged.put(block)?;
        Ok(cid)
    }

    fn union(&self, [base, left, right]: [Cid; 3]) -> Result<Cid, RepoError> {
        let either = |dispute: Dispute| Ok::<_, RepoError>(dispute.left.or(dispute.right));
        let (base, right) = (self.tree(base), self.tree(right));
        Ok(*self.tree(left).merge(&base, &right, either, &mut Arc::clone(self.staged))?.root())
    }

    fn conflicts(
        &self,
        [base, left, right]: [Cid; 3],
        decided: BTreeMap<Vec<u8>, Option<Cid>>,
    ) -> Result<Cid, RepoError> {
        // Keys that both sides changed are among the decided ones: what is said here of them is said again below.
        let either = |dispute: Dispute| Ok::<_, RepoError>(dispute.left);
        let (base, right) = (self.tree(base), self.tree(right));
        let merged = self.tree(left).merge(&base, &right, either, &mut Arc::clone(self.staged))?;
        let edits = decided
            .into_iter()
            .map(|(key, conflict)| Edit { key: key.into(), value: conflict.map(|cid| link_value(&cid)) });
        Ok(*merged.mutate(edits, &mut Arc::clone(self.staged))?.root())
    }

    fn unmergeable(&self, [base, left, right]: [Cid; 3], what: &str) -> Result<Cid, RepoError> {
        match () {
            () if left == right || right == base => Ok(left),
            () if left == base => Ok(right),
            () => Err(RepoError::Newer { needs: what.to_owned() }),
        }
    }
}

enum Decided {
    One(Option<Cid>),
    Conflict(Cid),
}

fn node_id(key: &[u8]) -> Result<NodeId, RepoError> {
    key.try_into().map(NodeId::from_bytes).map_err(|_| super::error::damaged_key())
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
