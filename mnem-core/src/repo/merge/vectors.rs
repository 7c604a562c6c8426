//! Vectors: for each model a map from nodes to raw blocks, merged node by node.
//!
//! A vector belongs to its node. One that changed counts as a change of the node, and a node that stays although one side
//! removed it keeps its vectors.

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
        let kept = if roots.base == self.empty()? { Vec::new() } else { self.kept_nodes(of, conflicts)? };
        let merged = self.merge_maps(roots, |name, roots| {
            let empty = self.empty()?;
            let model = model_name(name)?;
            let roots = roots.map(|root| root.unwrap_or(empty));
            let merged = self.model(&model, roots, of, nodes, conflicts)?;
            Ok(Some(merged).filter(|root| *root != empty))
        })?;
        let models = kept.iter().map(|(node, side)| self.restore(*node, side, &merged));
        let mut edits: Vec<(Vec<u8>, NodeId, Cid)> = Vec::new();
        models.collect::<Result<Vec<_>, _>>()?.into_iter().for_each(|restored| edits.extend(restored));
        let mut result = merged;
        for (model, node, vector) in edits {
            let root = result.get(&model)?.map(|value| link_of(result.root(), &value)).transpose()?;
            let map = self.tree(root.map_or_else(|| self.empty(), Ok)?);
            let key = bytes::Bytes::copy_from_slice(node.as_bytes());
            let map = map.mutate([Edit { key, value: Some(link_value(&vector)) }], &mut self.sink())?;
            let edit = Edit { key: model.into(), value: Some(link_value(map.root())) };
            result = result.mutate([edit], &mut self.sink())?;
        }
        Ok(*result.root())
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
                    Decided::One(Some(vector))
                }
                _ => self.decide_vector(found)?,
            };
            let key = ConflictKey::Vector { model: Arc::clone(model), node };
            conflicts.insert(key.to_key(), decided.conflict());
            Ok(decided.cid())
        })?;
        Ok(*merged.root())
    }

    fn decide_vector(&self, found: Three<Option<Cid>>) -> Result<Decided, RepoError> {
        let Three { base, left, right } = Three {
            base: self.read_vector(found.base)?,
            left: self.read_vector(found.left)?,
            right: self.read_vector(found.right)?,
        };
        let again = Again {
            left: left.is_settled_apart != base.is_settled_apart,
            right: right.is_settled_apart != base.is_settled_apart,
        };
        let (all, apart) = unite(&Three { base: base.all.clone(), left: left.all, right: right.all }, again);
        if let (Some(one), 1) = (all.first(), all.len()) {
            return Ok(Decided::One(*one));
        }
        let before = if base.all.len() > 1 { base.base } else { base.all.first().copied().flatten() };
        let is_settled_apart = base.is_settled_apart ^ (again.left || again.right || apart);
        let cancel = all.contains(&before);
        let why = (is_settled_apart || cancel).then_some(Why::Settled);
        let removes = vec![before; all.len() - 1];
        let block = Conflict::because(why, all.into_iter().collect(), removes).to_block()?;
        let cid = *block.cid();
        self.staged.put(block)?;
        Ok(Decided::Conflict(cid))
    }

    fn read_vector(&self, cid: Option<Cid>) -> Result<Vectors, RepoError> {
        let plain = |cid| Vectors { all: BTreeSet::from([cid]), base: None, is_settled_apart: false };
        // The codec says it: of a vector itself nothing has to be read.
        let Some(cid) = cid.filter(|cid| cid.codec() != Codec::Raw) else { return Ok(plain(cid)) };
        Ok(match conflict(&self.blocks().require(&cid)?)? {
            Some(conflict) => Vectors {
                all: conflict.adds.into_iter().collect(),
                base: conflict.removes.into_iter().flatten().next(),
                is_settled_apart: conflict.why == Some(Why::Settled),
            },
            None => plain(Some(cid)),
        })
    }

    /// Says whether a node stays that one side removed.
    fn is_kept(&self, node: NodeId, of: &Three<&Maps>, nodes: &Tree) -> Result<bool, RepoError> {
        if nodes.get(node.as_bytes())?.is_none() {
            return Ok(false);
        }
        Ok(self.at(of.left.nodes, node)?.is_none() || self.at(of.right.nodes, node)?.is_none())
    }

    /// The nodes that stay although one side removed them, and the side that has them.
    fn kept_nodes<'m>(
        &self,
        of: &Three<&'m Maps>,
        conflicts: &Conflicts,
    ) -> Result<Vec<(NodeId, &'m Maps)>, RepoError> {
        let mut kept = Vec::new();
        for key in conflicts.iter().filter(|(_, conflict)| conflict.is_some()).map(|(key, _)| key) {
            let Some(ConflictKey::Node(node)) = ConflictKey::from_key(key) else { continue };
            match (self.at(of.left.nodes, node)?, self.at(of.right.nodes, node)?) {
                (Some(_), Some(_)) => {}
                (Some(_), None) => kept.push((node, of.left)),
                (None, Some(_)) => kept.push((node, of.right)),
                (None, None) => kept.push((node, of.base)),
            }
        }
        Ok(kept)
    }

    /// The vectors of a node that a side has and the result has not.
    fn restore(
        &self,
        node: NodeId,
        side: &Maps,
        merged: &Tree,
    ) -> Result<Vec<(Vec<u8>, NodeId, Cid)>, RepoError> {
        let mut lost = Vec::new();
        for entry in self.tree(side.vectors).iter() {
            let entry = entry?;
            let Some(vector) = self.at(link_of(&side.vectors, &entry.value)?, node)? else { continue };
            let there = match merged.get(&entry.key)? {
                Some(value) => self.at(link_of(merged.root(), &value)?, node)?,
                None => None,
            };
            if there.is_none() {
                lost.push((entry.key.to_vec(), node, vector));
            }
        }
        Ok(lost)
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
                if change.after.is_some() {
                    nodes.insert(node_id(&change.key)?);
                }
            }
        }
        Ok(nodes)
    }
}

fn model_name(key: &[u8]) -> Result<Arc<str>, RepoError> {
    str::from_utf8(key).map(Arc::from).map_err(|_| damaged_key())
}
