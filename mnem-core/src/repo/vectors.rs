//! Vectors of nodes: for each model a map from nodes to blocks of numbers, versioned with the rest, no part of a node.
//!
//! Bytes: FORMAT.md, "Vectors".
//!
//! Invariants
//!  N1  Where a vector is, its node is: it goes with the node.
//!  N2  What is written has the dimension that its model had then, is finite, and under `cosine` is not all zeros.
//!  N3  Equal vectors are equal blocks: zero has no sign.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::entity;
use super::error::{RepoError, damaged_key};
use super::merge::{vectors, versions};
use super::schema::Schema;
use super::snapshot::Snapshot;
use super::transaction::Transaction;
use crate::block::Block;
use crate::cid::{Cid, Codec};
use crate::codec::{DecodeError, Malformed};
use crate::id::NodeId;
use crate::key::ConflictKey;
use crate::object::{Metric, Model, OBJECT_BYTES_MAX, ObjectError};
use crate::port::{BlockRead, BlockReadExt};
use crate::staged::Staged;
use crate::tree::{self, Cursor, Edit, KeyRange, Order, link_value};

/// Why a vector was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VectorError {
    /// Nothing is agreed on this model, or sides of a merge disagree: `declare` it.
    #[error("there is no model `{model}` in this state; declare it first")]
    NoSuchModel {
        /// Its name.
        model: String,
    },
    /// A vector has as many numbers as its model says.
    #[error("the vector of node {node} for `{model}` has {found} numbers, not {expected}")]
    Dimension {
        /// The node.
        node: NodeId,
        /// The model.
        model: String,
        /// As many as the model says.
        expected: u32,
        /// As many as were given.
        found: usize,
    },
    /// A number is infinite, or none at all.
    #[error("the vector of node {node} for `{model}`: number {at} is not finite")]
    NotFinite {
        /// The node.
        node: NodeId,
        /// The model.
        model: String,
        /// Which number, from zero.
        at: usize,
    },
    /// All zeros have no angle to anything.
    #[error("the vector of node {node} for `{model}` is all zeros, which has no angle to others")]
    Zero {
        /// The node.
        node: NodeId,
        /// The model.
        model: String,
    },
}

/// Refuses what is no vector of a model, and returns its block.
fn block_of(model: &Model, node: NodeId, vector: &[f32]) -> Result<Block, RepoError> {
    let name = || model.name.to_string();
    if u32::try_from(vector.len()) != Ok(model.dim) {
        let (expected, found) = (model.dim, vector.len());
        return Err(VectorError::Dimension { node, model: name(), expected, found }.into());
    }
    if let Some(at) = vector.iter().position(|number| !number.is_finite()) {
        return Err(VectorError::NotFinite { node, model: name(), at }.into());
    }
    if model.metric == Metric::Cosine && vector.iter().all(|number| *number == 0.0) {
        return Err(VectorError::Zero { node, model: name() }.into());
    }
    let found_bytes = vector.len() * 4;
    if found_bytes > OBJECT_BYTES_MAX {
        return Err(ObjectError::TooLarge { kind: "vector", found_bytes, max_bytes: OBJECT_BYTES_MAX }.into());
    }
    // Adding zero takes the sign off minus zero, and leaves everything else as it is.
    let bytes: Vec<u8> = vector.iter().flat_map(|number| (number + 0.0).to_le_bytes()).collect();
    Ok(Block::new(Codec::Raw, bytes))
}

/// Reads the numbers of a block.
pub(super) fn numbers(block: &Block) -> Result<Vec<f32>, RepoError> {
    let (chunks, rest) = block.bytes().as_chunks::<4>();
    let numbers: Vec<f32> = chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect();
    let is_sound = block.cid().codec() == Codec::Raw
        && rest.is_empty()
        && numbers.iter().all(|number| number.is_finite() && (*number != 0.0 || number.is_sign_positive()));
    let why =
        || DecodeError { what: Malformed::Expected { expected: "finite numbers of four bytes" }, at: 0 };
    if is_sound {
        Ok(numbers)
    } else {
        Err(RepoError::Damaged { what: "vector", cid: *block.cid(), why: why() })
    }
}

/// Reads the block of what lies at `cid`: a vector, or a conflict, of which the first side that has one.
fn shown(blocks: &dyn BlockRead, cid: &Cid) -> Result<Block, RepoError> {
    shown_of(blocks, blocks.require(cid)?)
}

fn shown_of(blocks: &dyn BlockRead, block: Block) -> Result<Block, RepoError> {
    if block.cid().codec() == Codec::Raw {
        return Ok(block);
    }
    match versions::conflict(&block)?.and_then(|conflict| conflict.adds.into_iter().flatten().next()) {
        Some(side) => Ok(blocks.require(&side)?),
        None => Ok(block),
    }
}

/// Says whether a vector stayed only because its node might: see FORMAT.md, "Merging".
pub(super) fn is_kept(blocks: &dyn BlockRead, cid: &Cid) -> Result<bool, RepoError> {
    if cid.codec() == Codec::Raw {
        return Ok(false);
    }
    Ok(versions::conflict(&blocks.require(cid)?)?.is_some_and(|conflict| vectors::is_kept(&conflict)))
}

/// Reads the vector that lies at `cid`.
pub(super) fn read(blocks: &dyn BlockRead, cid: &Cid) -> Result<Vec<f32>, RepoError> {
    read_block(blocks, blocks.require(cid)?)
}

/// Reads the vector in a block.
pub(super) fn read_block(blocks: &dyn BlockRead, block: Block) -> Result<Vec<f32>, RepoError> {
    numbers(&shown_of(blocks, block)?)
}

impl Snapshot {
    /// Returns the names of the models that nodes have vectors of.
    pub fn vector_models(&self) -> Result<Vec<String>, RepoError> {
        let Some(at) = &self.at else { return Ok(Vec::new()) };
        let names = self.tree(at.commit.vectors).iter();
        names.map(|entry| String::from_utf8(entry?.key.to_vec()).map_err(|_| damaged_key())).collect()
    }

    /// Returns the vector of a node in a model, if it has one. Of what is in conflict, the first side that has one.
    pub fn vector(&self, node: NodeId, model: &str) -> Result<Option<Vec<f32>>, RepoError> {
        match self.vector_cid(node, model)? {
            Some(cid) => numbers(&shown(&*self.state.blocks, &cid)?).map(Some),
            None => {
                check_model(&self.schema()?, model, self.vectors_root(model)?)?;
                Ok(None)
            }
        }
    }

    /// Returns how many nodes have a vector in a model, without reading them.
    pub fn vector_count(&self, model: &str) -> Result<u64, RepoError> {
        let root = self.vectors_root(model)?;
        check_model(&self.schema()?, model, root)?;
        root.map_or(Ok(0), |root| Ok(self.tree(root).len()?))
    }

    /// Walks the vectors of a model, in the order of their nodes.
    pub fn vectors(&self, model: &str) -> Result<ModelVectors, RepoError> {
        let root = self.vectors_root(model)?;
        check_model(&self.schema()?, model, root)?;
        let cursor = root.map(|root| (root, self.tree(root).iter()));
        Ok(ModelVectors { snapshot: self.clone(), cursor })
    }

    /// Returns the root of a model's map: equal roots are equal vectors of equal nodes. `None` if there are none.
    pub fn vectors_root(&self, model: &str) -> Result<Option<Cid>, RepoError> {
        let Some(at) = &self.at else { return Ok(None) };
        let root = at.commit.vectors;
        let value = self.tree(root).get(model.as_bytes())?;
        value.map(|value| entity::link(&root, &value)).transpose()
    }

    /// Walks the vectors of a model that must change in this state to make it the other, in the order of their nodes.
    /// Costs what differs; no vector is read.
    pub fn vector_changes(&self, other: &Snapshot, model: &str) -> Result<VectorDiff, RepoError> {
        let side = |of: &Snapshot| -> Result<Cid, RepoError> {
            let root = of.vectors_root(model)?;
            check_model(&of.schema()?, model, root)?;
            Ok(root.unwrap_or(of.shared.empty_root))
        };
        let (from, to) = (side(self)?, side(other)?);
        let diff = self.tree(from).diff(&other.tree(to), KeyRange::ALL, Order::Ascending);
        Ok(VectorDiff { roots: [from, to], diff: Some(diff), _states: [self.clone(), other.clone()] })
    }

    fn vector_cid(&self, node: NodeId, model: &str) -> Result<Option<Cid>, RepoError> {
        let Some(root) = self.vectors_root(model)? else { return Ok(None) };
        let value = self.tree(root).get(node.as_bytes())?;
        value.map(|value| entity::link(&root, &value)).transpose()
    }
}

/// Refuses a model that is neither declared nor has vectors from when it was.
fn check_model(schema: &Schema, model: &str, root: Option<Cid>) -> Result<(), VectorError> {
    let is_known = root.is_some() || schema.model(model).is_some();
    is_known.then_some(()).ok_or_else(|| VectorError::NoSuchModel { model: model.to_owned() })
}

/// The vectors of a model. Ends after its first error.
pub struct ModelVectors {
    snapshot: Snapshot,
    cursor: Option<(Cid, Cursor)>,
}

impl ModelVectors {
    fn vector(&self, root: &Cid, key: &[u8], value: &[u8]) -> Result<(NodeId, Vec<f32>), RepoError> {
        let node = key.try_into().map(NodeId::from_bytes).map_err(|_| damaged_key())?;
        Ok((node, numbers(&shown(&*self.snapshot.state.blocks, &entity::link(root, value)?)?)?))
    }
}

impl Iterator for ModelVectors {
    type Item = Result<(NodeId, Vec<f32>), RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (root, cursor) = self.cursor.as_mut()?;
        let (root, entry) = (*root, cursor.next()?);
        let vector =
            entry.map_err(RepoError::from).and_then(|entry| self.vector(&root, &entry.key, &entry.value));
        if vector.is_err() {
            self.cursor = None;
        }
        Some(vector)
    }
}

/// A node whose vector differs between two states. What is absent is `None`; what is in conflict has a CID of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangedVector {
    /// The node.
    pub node: NodeId,
    /// Its vector in the first state.
    pub old: Option<Cid>,
    /// Its vector in the second state.
    pub new: Option<Cid>,
}

/// The vectors of a model that differ between two states. Ends after its first error.
pub struct VectorDiff {
    roots: [Cid; 2],
    diff: Option<tree::Diff>,
    /// Keep what is walked.
    _states: [Snapshot; 2],
}

impl VectorDiff {
    fn changed(&self, change: &tree::Change) -> Result<ChangedVector, RepoError> {
        let node = (&*change.key).try_into().map(NodeId::from_bytes).map_err(|_| damaged_key())?;
        let link = |root, value: Option<&Bytes>| value.map(|value| entity::link(root, value)).transpose();
        let old = link(&self.roots[0], change.before.as_ref())?;
        Ok(ChangedVector { node, old, new: link(&self.roots[1], change.after.as_ref())? })
    }
}

impl Iterator for VectorDiff {
    type Item = Result<ChangedVector, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        let change = self.diff.as_mut()?.next()?;
        let changed = change.map_err(RepoError::from).and_then(|change| self.changed(&change));
        if changed.is_err() {
            self.diff = None;
        }
        Some(changed)
    }
}

/// What becomes of vectors, by model and node.
#[derive(Default)]
pub(super) struct VectorChanges(BTreeMap<Arc<str>, BTreeMap<NodeId, VectorChange>>);

struct VectorChange {
    /// As the map has it: a vector, or a conflict.
    before: Option<Cid>,
    after: Option<Block>,
}

impl VectorChange {
    fn is_none(&self) -> bool {
        self.before == self.after.as_ref().map(|block| *block.cid())
    }
}

impl VectorChanges {
    pub(super) fn is_none(&self) -> bool {
        self.0.values().flat_map(BTreeMap::values).all(VectorChange::is_none)
    }

    /// Returns what is settled by these changes, if it was in conflict.
    pub(super) fn keys(&self) -> impl Iterator<Item = ConflictKey> {
        self.0.iter().flat_map(|(model, nodes)| {
            nodes.keys().map(|node| ConflictKey::Vector { model: Arc::clone(model), node: *node })
        })
    }

    fn get(&self, node: NodeId, model: &str) -> Option<&VectorChange> {
        self.0.get(model)?.get(&node)
    }

    /// Writes vectors and maps, and returns the root of the map of models.
    pub(super) fn stage(&self, base: &Snapshot, root: Cid, staged: &Arc<Staged>) -> Result<Cid, RepoError> {
        let trees = base.state.trees.over(Arc::clone(staged) as Arc<dyn BlockRead>);
        let empty = base.shared.empty_root;
        let mut models = Vec::new();
        for (model, nodes) in &self.0 {
            let mut edits = Vec::new();
            for (node, change) in nodes.iter().filter(|(_, change)| !change.is_none()) {
                let value = change.after.as_ref().map(|block| link_value(block.cid()));
                change.after.clone().map_or(Ok(()), |block| staged.put(block))?;
                edits.push(Edit { key: Bytes::copy_from_slice(node.as_bytes()), value });
            }
            let before = base.vectors_root(model)?.unwrap_or(empty);
            let after = *trees.tree(before).mutate(edits, &mut Arc::clone(staged))?.root();
            let value = (after != empty).then(|| link_value(&after));
            models.push(Edit { key: Bytes::copy_from_slice(model.as_bytes()), value });
        }
        Ok(*trees.tree(root).mutate(models, &mut Arc::clone(staged))?.root())
    }
}

impl Transaction {
    /// Sets the vector of a node in a model that is declared. A conflict of it is settled.
    pub fn set_vector(&mut self, node: NodeId, model: &str, vector: &[f32]) -> Result<(), RepoError> {
        let schema = self.schema()?;
        let no_model = || VectorError::NoSuchModel { model: model.to_owned() };
        let block = block_of(schema.model(model).ok_or_else(no_model)?, node, vector)?;
        self.require(node)?;
        self.touch_vector(node, model)?.after = Some(block);
        Ok(())
    }

    /// Removes the vector of a node in a model, and says whether there was one. A conflict of it is settled.
    pub fn unset_vector(&mut self, node: NodeId, model: &str) -> Result<bool, RepoError> {
        self.require(node)?;
        let is_there = self.vector(node, model)?.is_some();
        if is_there {
            self.touch_vector(node, model)?.after = None;
        }
        Ok(is_there)
    }

    /// Returns the vector of a node in a model as this transaction has it.
    pub fn vector(&self, node: NodeId, model: &str) -> Result<Option<Vec<f32>>, RepoError> {
        if let Some(change) = self.vectors.get(node, model) {
            return change.after.as_ref().map(numbers).transpose();
        }
        let base = self.merged_base();
        if base.vectors_root(model)?.is_none() {
            check_model(&self.schema()?, model, None)?;
            return Ok(None);
        }
        base.vector(node, model)
    }

    /// A vector goes with its node.
    pub(super) fn remove_vectors_of(&mut self, node: NodeId) -> Result<(), RepoError> {
        let staged = self.vectors.0.keys().map(ToString::to_string);
        let models: BTreeSet<String> = staged.chain(self.merged_base().vector_models()?).collect();
        for model in models {
            let is_staged = self.vectors.get(node, &model).is_some();
            if is_staged || self.merged_base().vector_cid(node, &model)?.is_some() {
                self.touch_vector(node, &model)?.after = None;
            }
        }
        Ok(())
    }

    /// Vectors that only stayed because their node might, stay with it.
    pub(super) fn settle_kept_vectors(&mut self, node: NodeId) -> Result<(), RepoError> {
        for model in self.merged_base().vector_models()? {
            let base = self.merged_base();
            let Some(cid) = base.vector_cid(node, &model)? else { continue };
            if is_kept(&*base.state.blocks, &cid)? {
                self.touch_vector(node, &model)?;
            }
        }
        Ok(())
    }

    /// Refuses a schema that vectors which are to be written do not fit.
    pub(super) fn check_vectors(&self, schema: &Schema) -> Result<(), RepoError> {
        for (model, nodes) in &self.vectors.0 {
            let Some(model) = schema.model(model) else { continue };
            for (node, change) in nodes.iter().filter(|(_, change)| !change.is_none()) {
                if let Some(block) = &change.after {
                    block_of(model, *node, &numbers(block)?)?;
                }
            }
        }
        Ok(())
    }

    fn touch_vector(&mut self, node: NodeId, model: &str) -> Result<&mut VectorChange, RepoError> {
        if self.vectors.get(node, model).is_none() {
            let base = self.merged_base();
            let before = base.vector_cid(node, model)?;
            let after = before.map(|cid| shown(&*base.state.blocks, &cid)).transpose()?;
            let of_model = self.vectors.0.entry(model.into()).or_default();
            of_model.insert(node, VectorChange { before, after });
        }
        let change = self.vectors.0.get_mut(model).and_then(|nodes| nodes.get_mut(&node));
        Ok(change.expect("was there, or was inserted just now"))
    }
}
