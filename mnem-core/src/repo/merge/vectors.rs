//! Vectors: for each model a map from nodes to raw blocks, merged node by node.
//!
//! A vector belongs to its node. One that changed counts as a change of the node, and a node that stays although one side
//! removed it keeps its vectors. A vector that nobody changed is then marked as kept, by a conflict of it with its own
//! absence: else a later merge, whose base lacks the node, would take it for one that was added. It counts as what it was
//! all along, and whatever decides about the node takes the mark away.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::fields::{Again, Three, unite};
use super::versions::{Decided, conflict};
use super::{Conflicts, Maps, Merge, link_of, node_id};
use crate::cid::{Cid, Codec};
use crate::id::NodeId;
use crate::key::ConflictKey;
use crate::object::{Conflict, Object, Why};
use crate::port::BlockReadExt;
use crate::repo::error::{RepoError, damaged_key};
use crate::tree::{Edit, KeyRange, Order, Tree, link_value};

/// What lies at a node in the map of a model.
struct Vectors {
    /// `None` where there is none.
    all: BTreeSet<Option<Cid>>,
    base: Option<Cid>,
    is_settled_apart: bool,
    /// Nobody set it since the node was removed elsewhere.
    is_kept: bool,
}

/// A vector at a model and node of the result.
struct Put {
    model: Arc<str>,
    node: NodeId,
    vector: Option<Cid>,
}

impl Merge<'_> {
    /// Merges the maps of all models.
    pub(super) fn vectors(
        &self,
        of: &Three<&Maps>,
        nodes: &Tree,
        conflicts: &mut Conflicts,
    ) -> Result<Cid, RepoError> {
        let roots = of.map(|maps| maps.vectors);
        let empty = self.empty()?;
        if [roots.base, roots.left, roots.right] == [empty; 3] {
            return Ok(empty);
        }
        let decided: Vec<(NodeId, bool)> = conflicts.iter().filter_map(decided_node).collect();
        let merged = self.merge_maps(roots, |name, roots| {
            let model = model_name(name)?;
            let roots = roots.map(|root| root.unwrap_or(empty));
            let merged = self.model(&model, roots, of, nodes, conflicts)?;
            Ok(Some(merged).filter(|root| *root != empty))
        })?;
        let mut puts = Vec::new();
        for (node, is_disputed) in decided {
            if is_disputed {
                puts.extend(self.lost(node, of, &merged)?);
            } else {
                puts.extend(self.left_over(node, of, &merged)?);
            }
        }
        self.put_vectors(merged, puts, conflicts)
    }

    /// Puts vectors into the maps of their models, and what is in conflict into the map of conflicts.
    fn put_vectors(&self, models: Tree, puts: Vec<Put>, conflicts: &mut Conflicts) -> Result<Cid, RepoError> {
        let mut models = models;
        for Put { model, node, vector } in puts {
            let root =
                models.get(model.as_bytes())?.map(|value| link_of(models.root(), &value)).transpose()?;
            let map = self.tree(root.map_or_else(|| self.empty(), Ok)?);
            let key = bytes::Bytes::copy_from_slice(node.as_bytes());
            let value = vector.map(|vector| link_value(&vector));
            let map = *map.mutate([Edit { key, value }], &mut self.sink())?.root();
            let value = (map != self.empty()?).then(|| link_value(&map));
            let edit = Edit { key: bytes::Bytes::copy_from_slice(model.as_bytes()), value };
            models = models.mutate([edit], &mut self.sink())?;
            let conflict = vector.filter(|vector| vector.codec() != Codec::Raw);
            conflicts.insert(ConflictKey::Vector { model, node }.to_key(), conflict);
        }
        Ok(*models.root())
    }

    fn model(
        &self,
        model: &Arc<str>,
        roots: Three<Cid>,
        of: &Three<&Maps>,
        nodes: &Tree,
        conflicts: &mut Conflicts,
    ) -> Result<Cid, RepoError> {
        let merged = self.merge_maps(roots, |key, found| {
            let node = node_id(key)?;
            let decided = match (found.left, found.right) {
                (None, Some(vector)) | (Some(vector), None) if self.is_kept(node, of, nodes)? => {
                    as_it_is(vector)
                }
                _ => self.decide_vector(found, || self.is_in_doubt(node, nodes))?,
            };
            let key = ConflictKey::Vector { model: Arc::clone(model), node };
            conflicts.insert(key.to_key(), decided.conflict());
            Ok(decided.cid())
        })?;
        Ok(*merged.root())
    }

    /// `is_in_doubt`: whether the result has the node, in conflict with its absence.
    fn decide_vector(
        &self,
        found: Three<Option<Cid>>,
        is_in_doubt: impl FnOnce() -> Result<bool, RepoError>,
    ) -> Result<Decided, RepoError> {
        let Three { mut base, left, right } = Three {
            base: self.read_vector(found.base)?,
            left: self.read_vector(found.left)?,
            right: self.read_vector(found.right)?,
        };
        let kept: BTreeSet<Option<Cid>> = [&left, &right]
            .into_iter()
            .filter(|side| side.is_kept)
            .flat_map(|side| side.all.clone())
            .collect();
        // Made again on one side, and kept from removal on the other: what was removed is what both know.
        if base.all == BTreeSet::from([None]) && !kept.is_empty() {
            base.all.clone_from(&kept);
        }
        let again = Again {
            left: left.is_settled_apart != base.is_settled_apart,
            right: right.is_settled_apart != base.is_settled_apart,
        };
        let (all, apart) = unite(&Three { base: base.all.clone(), left: left.all, right: right.all }, again);
        if let (Some(one), 1) = (all.first(), all.len()) {
            return match one {
                Some(vector) if kept.contains(one) && is_in_doubt()? => self.keep_vector(*vector),
                one => Ok(Decided::One(*one)),
            };
        }
        let before = if base.all.len() > 1 { base.base } else { base.all.first().copied().flatten() };
        let is_settled_apart = base.is_settled_apart ^ (again.left || again.right || apart);
        let cancel = all.contains(&before);
        let why = (is_settled_apart || cancel).then_some(Why::Settled);
        let removes = vec![before; all.len() - 1];
        self.store(&Conflict::because(why, all.into_iter().collect(), removes))
    }

    /// Marks a vector that nobody changed, at a node that stays although somebody removed it.
    fn keep_vector(&self, vector: Cid) -> Result<Decided, RepoError> {
        if vector.codec() != Codec::Raw {
            return Ok(Decided::Conflict(vector));
        }
        self.store(&Conflict::because(Some(Why::Vector), vec![None, Some(vector)], vec![Some(vector)]))
    }

    fn store(&self, conflict: &Conflict) -> Result<Decided, RepoError> {
        let block = conflict.to_block()?;
        let cid = *block.cid();
        self.staged.put(block)?;
        Ok(Decided::Conflict(cid))
    }

    fn read_vector(&self, cid: Option<Cid>) -> Result<Vectors, RepoError> {
        let plain =
            |cid| Vectors { all: BTreeSet::from([cid]), base: None, is_settled_apart: false, is_kept: false };
        // The codec says it: of a vector itself nothing has to be read.
        let Some(cid) = cid.filter(|cid| cid.codec() != Codec::Raw) else { return Ok(plain(cid)) };
        let Some(conflict) = conflict(&self.blocks().require(&cid)?)? else { return Ok(plain(Some(cid))) };
        let is_kept = is_kept(&conflict);
        Ok(Vectors {
            is_settled_apart: conflict.why == Some(Why::Settled),
            all: conflict.adds.into_iter().filter(|add| !is_kept || add.is_some()).collect(),
            base: conflict.removes.into_iter().flatten().next(),
            is_kept,
        })
    }

    fn is_in_doubt(&self, node: NodeId, nodes: &Tree) -> Result<bool, RepoError> {
        let there = nodes.get(node.as_bytes())?.map(|value| link_of(nodes.root(), &value)).transpose()?;
        let Some(there) = there else { return Ok(false) };
        Ok(conflict(&self.blocks().require(&there)?)?.is_some_and(|conflict| conflict.adds.contains(&None)))
    }

    /// Says whether a node stays that one side removed.
    fn is_kept(&self, node: NodeId, of: &Three<&Maps>, nodes: &Tree) -> Result<bool, RepoError> {
        if nodes.get(node.as_bytes())?.is_none() {
            return Ok(false);
        }
        Ok(self.at(of.left.nodes, node)?.is_none() || self.at(of.right.nodes, node)?.is_none())
    }

    /// The vectors that the result has lost of a node which stays although one side removed it: as the side has them that
    /// did not.
    fn lost(&self, node: NodeId, of: &Three<&Maps>, merged: &Tree) -> Result<Vec<Put>, RepoError> {
        let side = match (self.at(of.left.nodes, node)?, self.at(of.right.nodes, node)?) {
            (Some(_), Some(_)) => return Ok(Vec::new()),
            (Some(_), None) => of.left,
            (None, Some(_)) => of.right,
            (None, None) => of.base,
        };
        let mut lost = Vec::new();
        for entry in self.tree(side.vectors).iter() {
            let entry = entry?;
            let Some(vector) = self.at(link_of(&side.vectors, &entry.value)?, node)? else { continue };
            if self.vector_at(merged, &entry.key, node)?.is_none() {
                let vector = self.keep_vector(vector)?.cid();
                lost.push(Put { model: model_name(&entry.key)?, node, vector });
            }
        }
        Ok(lost)
    }

    /// Decides about the vectors that only one side has kept, of a node that is in doubt no more.
    fn left_over(&self, node: NodeId, of: &Three<&Maps>, merged: &Tree) -> Result<Vec<Put>, RepoError> {
        let mut decided = Vec::new();
        for entry in merged.iter() {
            let key = entry?.key;
            let Some(there) = self.vector_at(merged, &key, node)? else { continue };
            if self.read_vector(Some(there))?.is_kept {
                let at = |maps: &Maps| self.vector_at(&self.tree(maps.vectors), &key, node);
                let found = Three { base: at(of.base)?, left: at(of.left)?, right: at(of.right)? };
                let vector = self.decide_vector(found, || Ok(false))?.cid();
                decided.push(Put { model: model_name(&key)?, node, vector });
            }
        }
        Ok(decided)
    }

    fn vector_at(&self, models: &Tree, model: &[u8], node: NodeId) -> Result<Option<Cid>, RepoError> {
        match models.get(model)? {
            Some(value) => self.at(link_of(models.root(), &value)?, node),
            None => Ok(None),
        }
    }

    /// Nodes whose vectors a side set or changed.
    pub(super) fn nodes_of_changed_vectors(
        &self,
        base: &Maps,
        side: &Maps,
    ) -> Result<BTreeSet<NodeId>, RepoError> {
        let mut nodes = BTreeSet::new();
        for change in self.tree(base.vectors).diff(&self.tree(side.vectors), KeyRange::ALL, Order::Ascending)
        {
            let change = change?;
            let map = |value: Option<&bytes::Bytes>| match value {
                Some(value) => link_of(&side.vectors, value),
                None => self.empty(),
            };
            let (before, after) = (map(change.before.as_ref())?, map(change.after.as_ref())?);
            for change in self.tree(before).diff(&self.tree(after), KeyRange::ALL, Order::Ascending) {
                let change = change?;
                let link = |value: Option<&bytes::Bytes>| value.map(|it| link_of(&after, it)).transpose();
                let (old, new) = (link(change.before.as_ref())?, link(change.after.as_ref())?);
                // A mark that it was kept is no change of it.
                if new.is_some() && self.read_vector(old)?.all != self.read_vector(new)?.all {
                    nodes.insert(node_id(&change.key)?);
                }
            }
        }
        Ok(nodes)
    }
}

/// Says whether this marks a vector that stayed with its node, and that nobody has set since.
pub(in crate::repo) fn is_kept(conflict: &Conflict) -> bool {
    conflict.why == Some(Why::Vector)
}

fn as_it_is(vector: Cid) -> Decided {
    if vector.codec() == Codec::Raw { Decided::One(Some(vector)) } else { Decided::Conflict(vector) }
}

/// A node that was decided about, and whether it is in conflict.
fn decided_node((key, conflict): (&Vec<u8>, &Option<Cid>)) -> Option<(NodeId, bool)> {
    match ConflictKey::from_key(key)? {
        ConflictKey::Node(node) => Some((node, conflict.is_some())),
        _ => None,
    }
}

fn model_name(key: &[u8]) -> Result<Arc<str>, RepoError> {
    str::from_utf8(key).map(Arc::from).map_err(|_| damaged_key())
}
