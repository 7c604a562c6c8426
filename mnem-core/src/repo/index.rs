//! Derived indexes: what can be computed from a commit's maps, kept so that questions need not.
//!
//! An index is a tree of keys, history-independent like the maps it is derived from. A row of the side table says
//! which tree belongs to which maps: FORMAT.md, "Index rows". A commit extends the indexes of the commit that it
//! follows; where a row is missing it is extended from a parent's, and where that is missing too, built anew from the
//! whole map.
//!
//! Invariants
//!  D1  The tree of an index depends on the maps it reads, and on nothing else: extending equals building.
//!  D2  A row is written with its commit or later, never before, so a row never names a tree that is not there
//!      because its writer crashed. If the tree was collected since, it is built again.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::entity;
use super::error::RepoError;
use super::merge::versions::sides;
use super::read::decode;
use super::shared::Shared;
use super::state::State;
use crate::cid::Cid;
use crate::codec::{Reader, Writer};
use crate::key::{AdjacencyKey, LabelKey};
use crate::object::{Commit, Edge, Node};
use crate::port::{BlockRead, BlockReadExt, Namespace, Row, RowTable, SideError, StoreError};
use crate::staged::Staged;
use crate::tree::{Edit, KeyRange, Order, Tree, TreeError, TreeStore};

const ROWS: RowTable = RowTable::new("index");

/// What can be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Index {
    /// Edges by where they start.
    Out,
    /// Edges by where they end.
    In,
    /// Nodes by label.
    Label,
}

impl Index {
    pub(super) const ALL: [Index; 3] = [Index::Out, Index::In, Index::Label];

    /// Names how keys are made. Another way needs another name: rows are found by it.
    const fn definition(self) -> &'static str {
        match self {
            Index::Out => "adjacency-out/1",
            Index::In => "adjacency-in/1",
            Index::Label => "label/1",
        }
    }

    /// Returns the root of the map that it reads.
    pub(super) const fn source(self, commit: &Commit) -> &Cid {
        match self {
            Index::Out | Index::In => &commit.edges,
            Index::Label => &commit.nodes,
        }
    }
}

/// How a change of an entity changes the keys of an index: present ones are set, absent ones removed.
#[derive(Default)]
pub(super) struct KeyEdits(BTreeMap<Vec<u8>, bool>);

impl KeyEdits {
    /// Collects what becomes of an index when entities change from one version to another.
    ///
    /// Before and after there may be several: each side of a conflict has its keys.
    pub(super) fn of<'a>(
        index: Index,
        nodes: impl Iterator<Item = (&'a [Node], &'a [Node])>,
        edges: impl Iterator<Item = (&'a [Edge], &'a [Edge])>,
    ) -> KeyEdits {
        let mut edits = KeyEdits::default();
        for (before, after) in nodes {
            before.iter().for_each(|version| edits.node(index, version, false));
            after.iter().for_each(|version| edits.node(index, version, true));
        }
        for (before, after) in edges {
            before.iter().for_each(|version| edits.edge(index, version, false));
            after.iter().for_each(|version| edits.edge(index, version, true));
        }
        edits
    }

    pub(super) fn node(&mut self, index: Index, version: &Node, present: bool) {
        if index == Index::Label {
            for label in version.labels.iter() {
                self.0.insert(LabelKey::key_of(label, version.id), present);
            }
        }
    }

    pub(super) fn edge(&mut self, index: Index, version: &Edge, present: bool) {
        let key = match index {
            Index::Out => AdjacencyKey::outgoing(version),
            Index::In => AdjacencyKey::incoming(version),
            Index::Label => return,
        };
        self.0.insert(key.to_key(), present);
    }

    /// Every side of what lies at `cid`.
    fn entity(&mut self, index: Index, blocks: &Staged, cid: &Cid, present: bool) -> Result<(), RepoError> {
        let block = blocks.require(cid)?;
        match index {
            Index::Out | Index::In => {
                sides(blocks, &block)?.iter().for_each(|edge| self.edge(index, edge, present));
            }
            Index::Label => sides(blocks, &block)?.iter().for_each(|node| self.node(index, node, present)),
        }
        Ok(())
    }

    fn into_edits(self) -> impl Iterator<Item = Edit> {
        self.0.into_iter().map(|(key, present)| Edit { key: key.into(), value: present.then(empty_value) })
    }
}

/// The value of every key in an index: the keys say all.
fn empty_value() -> Bytes {
    Bytes::from_static(&[0x40])
}

/// Returns the tree of an index at a commit.
pub(super) fn index_tree(
    shared: &Shared,
    state: &State,
    commit: &Commit,
    index: Index,
) -> Result<Tree, RepoError> {
    let source = index.source(commit);
    if let Some(root) = find_row(shared, state, index, source)? {
        return Ok(state.trees.tree(root));
    }
    // Kept in memory: reading writes nothing.
    let staged = Arc::new(Staged::new(Arc::clone(&state.blocks)));
    match derive(shared, state, index, commit, &staged)? {
        Some(tree) => Ok(tree),
        None => build(state, index, source, &staged),
    }
}

/// Extends the index of one commit by `edits` to that of the next, and returns the rows that are missing.
pub(super) fn extend(
    shared: &Shared,
    state: &State,
    index: Index,
    (base, commit): (Option<&Commit>, &Commit),
    edits: KeyEdits,
    staged: &Arc<Staged>,
) -> Result<Vec<Row>, RepoError> {
    let before = base.map_or(&shared.empty_root, |base| index.source(base));
    let after = index.source(commit);
    let named = |source, tree: &Tree| row(&shared.options.namespace, index, source, tree.root());
    let mut rows = Vec::new();
    let known = match (find_row(shared, state, index, before)?, base) {
        (Some(_), _) if before == after => return Ok(rows),
        (Some(root), _) => Some(over(state, staged).tree(root)),
        // A merge has no rows before somebody commits on top of it.
        (None, Some(base)) => {
            derive(shared, state, index, base, staged)?.inspect(|tree| rows.push(named(before, tree)))
        }
        (None, None) => None,
    };
    let tree = match known.map(|tree| tree.mutate(edits.into_edits(), &mut Arc::clone(staged))) {
        Some(Ok(tree)) => tree,
        // Of what a row names, parts may have been collected. It is derived: nothing is lost.
        None | Some(Err(TreeError::Missing { .. })) => build(state, index, after, staged)?,
        Some(Err(why)) => return Err(why.into()),
    };
    if before != after || rows.is_empty() {
        rows.push(named(after, &tree));
    }
    Ok(rows)
}

/// Extends the index of a parent, where one has it, by what changed since: a merge has one parent at least whose
/// indexes were written with it.
fn derive(
    shared: &Shared,
    state: &State,
    index: Index,
    commit: &Commit,
    staged: &Arc<Staged>,
) -> Result<Option<Tree>, RepoError> {
    for parent in &commit.parents {
        let Some(parent) = state.block(parent.cid())? else { continue };
        let parent: Commit = decode(&parent)?;
        let before = index.source(&parent);
        let Some(root) = find_row(shared, state, index, before)? else { continue };
        let edits = changed(state, index, before, index.source(commit), staged)?;
        match over(state, staged).tree(root).mutate(edits.into_edits(), &mut Arc::clone(staged)) {
            Err(TreeError::Missing { .. }) => {}
            tree => return Ok(Some(tree?)),
        }
    }
    Ok(None)
}

/// Collects what becomes of an index from one map to another.
fn changed(
    state: &State,
    index: Index,
    before: &Cid,
    after: &Cid,
    staged: &Arc<Staged>,
) -> Result<KeyEdits, RepoError> {
    let trees = over(state, staged);
    let mut edits = KeyEdits::default();
    for change in trees.tree(*before).diff(&trees.tree(*after), KeyRange::ALL, Order::Ascending) {
        let change = change?;
        for (root, value, present) in [(before, change.before, false), (after, change.after, true)] {
            if let Some(value) = value {
                edits.entity(index, staged, &entity::link(root, &value)?, present)?;
            }
        }
    }
    Ok(edits)
}

fn over(state: &State, staged: &Arc<Staged>) -> TreeStore {
    state.trees.over(Arc::clone(staged) as Arc<dyn BlockRead>)
}

/// Builds an index from the map `source`. Keys are sorted in memory.
fn build(state: &State, index: Index, source: &Cid, staged: &Arc<Staged>) -> Result<Tree, RepoError> {
    let trees = over(state, staged);
    let mut keys = KeyEdits::default();
    for entry in trees.tree(*source).iter() {
        keys.entity(index, staged, &entity::link(source, &entry?.value)?, true)?;
    }
    let entries = keys.0.into_keys().map(|key| (key, empty_value()));
    Ok(trees.build(entries, &mut Arc::clone(staged))?)
}

/// Returns the tree that a row names for these maps. The empty map has the empty index without a row.
fn find_row(shared: &Shared, state: &State, index: Index, source: &Cid) -> Result<Option<Cid>, RepoError> {
    if *source == shared.empty_root {
        return Ok(Some(shared.empty_root));
    }
    let key = row_key(&shared.options.namespace, index, source);
    let value = shared.store.row(ROWS, &key).map_err(side)?;
    let Some(root) = value.and_then(|value| decode_row(&key, &value)) else { return Ok(None) };
    // Named but collected is the same as not there.
    Ok(state.block(&root)?.map(|_| root))
}

pub(super) fn row(namespace: &Namespace, index: Index, source: &Cid, root: &Cid) -> Row {
    let key = row_key(namespace, index, source);
    let mut writer = Writer::new();
    writer.list(2);
    writer.link(root);
    writer.bytes(&check(&key, root));
    Row { table: ROWS, key: key.into(), value: Some(writer.into_bytes().into()) }
}

fn row_key(namespace: &Namespace, index: Index, source: &Cid) -> Vec<u8> {
    let definition = blake3::hash(index.definition().as_bytes());
    [namespace.as_str().as_bytes(), &[0], &source.to_bytes(), &definition.as_bytes()[..16]].concat()
}

fn decode_row(key: &[u8], value: &[u8]) -> Option<Cid> {
    let mut reader = Reader::new(value);
    if reader.list().ok()? != 2 {
        return None;
    }
    let root = reader.link().ok()?;
    let intact = reader.bytes().ok()? == check(key, &root);
    reader.end().ok().filter(|()| intact).map(|()| root)
}

fn check(key: &[u8], root: &Cid) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key("mnem index row v1");
    hasher.update(key);
    hasher.update(&root.to_bytes());
    let mut check = [0; 16];
    check.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    check
}

fn side(why: SideError) -> RepoError {
    RepoError::Store(StoreError::Side(why))
}
