//! The codes of a state as a tree, kept beside the commits: derived from the map of vectors, and from nothing else.
//!
//! Bytes: FORMAT.md, "Vector codes". Found by a row of the map that it is made of, like any index. A tree of a state is
//! made of one of a state nearby by what differs, or anew; both give the same root.
//!
//! Invariants
//!  T1  The root depends on the map of vectors alone.
//!  T2  A tree that cannot be read, or has not the nodes of its map, is no part of an answer: its row goes.
//!
//! Used by: `cache` (reads), `vectors` (keeps). Threads: no state.

use std::collections::BTreeMap;

use bytes::Bytes;
use mnem_core::codec::{Reader, Writer};
use mnem_core::object::{Commit, Model, Object};
use mnem_core::progress::Listener;
use mnem_core::repo::{RepoError, Snapshot};
use mnem_core::tree::{BlockSink, Edit, KeyRange, Order, Tree, TreeError, value_link};
use mnem_core::{Cid, NodeId};

use crate::codec::{CodeDamage, Encoder, HEAD_BYTES, write};
use crate::error::SearchError;
use crate::progress::Watched;
use crate::question::{Nearness, unfit};
use crate::table::Table;
use crate::vectors::CODING;
use crate::view::View;

/// How many commits are gone back for a tree to start from.
const ANCESTORS_MAX: usize = 64;

/// Names how codes are made. Another way needs another name.
pub(crate) fn definition(dim: u32) -> String {
    format!("vector-codes/1 {dim}")
}

/// Why a kept tree is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexDamage {
    /// It cannot be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// An entry of it is none.
    #[error("an entry is none: {0}")]
    Code(#[from] CodeDamage),
    /// An entry of it is none.
    #[error("an entry is none")]
    Entry,
    /// It has other nodes than the map that it should be made of.
    #[error("it has {found} entries, and there are {expected} vectors")]
    Count {
        /// How many vectors there are.
        expected: u64,
        /// How many entries.
        found: u64,
    },
}

/// Reads the code of an entry.
fn code(value: &[u8]) -> Result<&[u8], IndexDamage> {
    let mut reader = Reader::new(value);
    let bytes = reader.bytes().map_err(|_| IndexDamage::Entry)?;
    reader.end().map_err(|_| IndexDamage::Entry)?;
    Ok(bytes)
}

/// Reads the node of an entry.
pub(crate) fn node_of(key: &[u8]) -> Result<NodeId, IndexDamage> {
    key.try_into().map(NodeId::from_bytes).map_err(|_| IndexDamage::Entry)
}

/// Reads a kept tree of a map with so many vectors.
pub(crate) fn read_table(tree: &Tree, dim: usize, expected: u64) -> Result<Table, IndexDamage> {
    let found = tree.len()?;
    if found != expected {
        return Err(IndexDamage::Count { expected, found });
    }
    let mut table = Table::with_capacity(dim, expected);
    for entry in tree.iter() {
        let entry = entry?;
        table.push_bytes(node_of(&entry.key)?, code(&entry.value)?)?;
    }
    Ok(table)
}

/// Checks what decodes as a value of the tree. For fuzzing.
#[doc(hidden)]
pub fn check_code(value: &[u8], dim: usize) -> Result<(), IndexDamage> {
    let mut table = Table::with_capacity(dim, 1);
    let bytes = code(value)?;
    table.push_bytes(NodeId::from_bytes([0; 16]), bytes)?;
    let mut again = Vec::new();
    write(table.head(0), table.codes(0), &mut again);
    assert_eq!(again, bytes, "what is read is what would be written");
    Ok(())
}

fn value(table: &Table, at: usize, out: &mut Vec<u8>) -> Bytes {
    out.clear();
    write(table.head(at), table.codes(at), out);
    let mut writer = Writer::with_capacity(HEAD_BYTES + table.dim + 8);
    writer.bytes(out);
    writer.into_bytes().into()
}

/// Codes every vector of a state.
pub(crate) fn encode_all(
    snapshot: &Snapshot,
    model: &Model,
    watch: &mut Watched<'_>,
) -> Result<Table, SearchError> {
    let total = snapshot.vector_count(&model.name)?;
    let dim = dim(model);
    let mut table = Table::with_capacity(dim, total);
    let mut encoder = Encoder::new(dim);
    for entry in snapshot.vectors(&model.name)? {
        let (node, vector) = entry?;
        check(model, node, &vector)?;
        table.push(&mut encoder, node, &vector);
        watch.step(total)?;
    }
    Ok(table)
}

pub(crate) fn dim(model: &Model) -> usize {
    usize::try_from(model.dim).expect("a count of 32 bits has room")
}

/// Refuses a vector that was written when the model was another one. That it is all zeros is found when it is compared.
fn check(model: &Model, node: NodeId, vector: &[f32]) -> Result<(), SearchError> {
    match unfit(model.dim, Nearness::Dot, vector) {
        None => Ok(()),
        Some(why) => Err(SearchError::Node { node, model: model.name.to_string(), why }),
    }
}

/// What becomes of the codes from one map of vectors to another: the code of each node that differs, if it still has one.
pub(crate) struct Changed {
    pub(crate) nodes: Vec<NodeId>,
    /// The codes of those of them that still have one.
    pub(crate) table: Table,
}

/// Codes what differs between two maps. `None` if that is more than `most`, or the first map is not kept any more.
pub(crate) fn encode_changed(
    snapshot: &Snapshot,
    model: &Model,
    (before, after): (&Cid, &Cid),
    most: usize,
) -> Result<Option<Changed>, SearchError> {
    let trees = snapshot.trees();
    let mut links: BTreeMap<NodeId, Option<Cid>> = BTreeMap::new();
    for change in trees.tree(*before).diff(&trees.tree(*after), KeyRange::ALL, Order::Ascending) {
        let change = match change {
            Err(TreeError::Missing { .. }) => return Ok(None),
            change => change?,
        };
        let node = node_of(&change.key).map_err(|_| damaged(after))?;
        let link = change.after.map(|value| value_link(&value).ok_or_else(|| damaged(after)));
        links.insert(node, link.transpose()?);
        if links.len() > most {
            return Ok(None);
        }
    }
    let dim = dim(model);
    let mut encoder = Encoder::new(dim);
    let mut table = Table::with_capacity(dim, links.len() as u64);
    for (node, link) in &links {
        if let Some(cid) = link {
            let vector = snapshot.read_vector(cid)?;
            check(model, *node, &vector)?;
            table.push(&mut encoder, *node, &vector);
        }
    }
    Ok(Some(Changed { nodes: links.into_keys().collect(), table }))
}

fn damaged(root: &Cid) -> SearchError {
    SearchError::from(TreeError::Damaged { cid: *root, what: mnem_core::tree::Damage::Shape })
}

/// Returns the roots of the model's map in the commits before, the next first, each once.
pub(crate) fn sources_before(snapshot: &Snapshot, model: &str, own: &Cid) -> Result<Vec<Cid>, SearchError> {
    let mut sources: Vec<Cid> = Vec::new();
    let mut next: Vec<Cid> = parents(snapshot.commit());
    for _ in 0..ANCESTORS_MAX {
        let Some(cid) = (!next.is_empty()).then(|| next.remove(0)) else { break };
        // What is not kept any more is no place to start from.
        let Some(block) = snapshot.blocks().get(&cid)? else { continue };
        let commit =
            Commit::from_block(&block).map_err(|why| RepoError::Damaged { what: Commit::KIND, cid, why })?;
        // Of a merge each side is looked at; further back the first parent is enough.
        let before = parents(Some(&commit));
        next.extend(before.first());
        let root = match snapshot.trees().tree(commit.vectors).get(model.as_bytes()) {
            Err(TreeError::Missing { .. }) => continue,
            root => root?,
        };
        if let Some(root) = root.and_then(|value| value_link(&value)).filter(|root| root != own)
            && !sources.contains(&root)
        {
            sources.push(root);
        }
    }
    Ok(sources)
}

fn parents(commit: Option<&Commit>) -> Vec<Cid> {
    commit.iter().flat_map(|commit| &commit.parents).map(|parent| *parent.cid()).collect()
}

/// What was done so that a tree is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kept {
    /// The root of the tree.
    pub root: Cid,
    /// How many vectors it has.
    pub entries: u64,
    /// How many entries were written: all, unless there was a tree nearby to start from.
    pub changed: u64,
    /// How many bytes of blocks were written.
    pub bytes: u64,
}

/// Keeps the tree of a state: of one nearby by what differs, or anew from `view`.
pub(crate) fn keep<'a>(
    snapshot: &Snapshot,
    model: &Model,
    source: &Cid,
    mut all: impl FnMut(&mut Watched<'_>) -> Result<View, SearchError>,
    listener: &'a mut Listener<'a>,
) -> Result<Kept, SearchError> {
    let definition = definition(model.dim);
    let entries = snapshot.vector_count(&model.name)?;
    if let Some(tree) = snapshot.derived(&definition, source)?
        && tree.len().is_ok_and(|found| found == entries)
    {
        return Ok(Kept { root: *tree.root(), entries, changed: 0, bytes: 0 });
    }
    let mut watch = Watched::new(CODING, listener);
    for before in sources_before(snapshot, &model.name, source)? {
        let Some(tree) = snapshot.derived(&definition, &before)? else { continue };
        let most = usize::try_from(entries / 4).unwrap_or(usize::MAX).max(64);
        let Some(changed) = encode_changed(snapshot, model, (&before, source), most)? else { continue };
        let mut writer = snapshot.derived_writer();
        match tree.mutate(edits(&changed), &mut writer) {
            Ok(tree) if tree.len().is_ok_and(|found| found == entries) => {
                let bytes = writer.name(&definition, source, tree.root())?;
                return Ok(Kept { root: *tree.root(), entries, changed: changed.nodes.len() as u64, bytes });
            }
            // Of what a row names, parts may have been collected, or damaged. It is derived: nothing is lost.
            Ok(_) | Err(TreeError::Missing { .. } | TreeError::Damaged { .. }) => {
                snapshot.drop_derived(&definition, &before, tree.root());
            }
            Err(why) => return Err(why.into()),
        }
    }
    let view = all(&mut watch)?;
    let mut writer = snapshot.derived_writer();
    let root = build(snapshot, &view, &mut writer)?;
    let bytes = writer.name(&definition, source, &root)?;
    Ok(Kept { root, entries, changed: entries, bytes })
}

/// Builds the tree of all codes.
pub(crate) fn build(snapshot: &Snapshot, view: &View, sink: &mut dyn BlockSink) -> Result<Cid, SearchError> {
    let mut builder = snapshot.trees().builder(sink);
    let mut buffer = Vec::new();
    for (table, at) in view.iter() {
        builder.push(table.node(at).as_bytes(), &value(table, at, &mut buffer))?;
    }
    Ok(builder.finish()?)
}

fn edits(changed: &Changed) -> Vec<Edit> {
    let mut buffer = Vec::new();
    let edit = |node: &NodeId| Edit {
        key: Bytes::copy_from_slice(node.as_bytes()),
        value: changed.table.find(*node).map(|at| value(&changed.table, at, &mut buffer)),
    };
    changed.nodes.iter().map(edit).collect()
}
