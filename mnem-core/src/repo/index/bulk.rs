//! Extending an index by more keys than memory holds.
//!
//! Keys come in the order of their entities, trees want them in their own. So what fits into memory is sorted and written
//! as a tree by itself, a run; in the end all runs are read side by side, and what they say together is the one batch of
//! edits that the index is changed by. Runs are garbage afterwards.
//!
//! Used by: `import`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use bytes::Bytes;

use super::edits::{KeyEdits, When};
use super::property::elements;
use super::words::{self, Totals};
use super::{Index, keep, rows};
use crate::cid::Cid;
use crate::codec::Writer;
use crate::id::NodeId;
use crate::key::PropertyKey;
use crate::object::{Commit, Edge, Node};
use crate::port::Row;
use crate::repo::entity;
use crate::repo::error::{RepoError, damaged_key};
use crate::repo::shared::Shared;
use crate::repo::state::State;
use crate::staged::Staged;
use crate::tree::{BlockSink, Cursor, Edit, Entry, KeyRange, Order, Tree, TreeError, TreeStore};
use crate::value::Value;

/// An index on its way from one map to the next.
pub(in crate::repo) struct Bulk {
    index: Index,
    /// What it starts from.
    base: Cid,
    edits: KeyEdits,
    /// Earlier ones first.
    runs: Vec<Cid>,
    totals: [Totals; 2],
}

impl Bulk {
    /// Starts from the index of a commit. If nobody keeps that, it is made anew from the whole map.
    pub(in crate::repo) fn start(
        (shared, state): (&Shared, &State),
        index: Index,
        base: Option<&Commit>,
        (trees, sink): (&TreeStore, &mut dyn BlockSink),
        spill_bytes: usize,
    ) -> Result<Bulk, RepoError> {
        let source = *base.map_or(&shared.empty_root, |base| index.source(base));
        let mut bulk = Bulk {
            edits: KeyEdits::new(&index),
            index,
            base: shared.empty_root,
            runs: Vec::new(),
            totals: [Totals::default(); 2],
        };
        if let Some(root) = rows::find(shared, state, &bulk.index, &source)? {
            bulk.base = root;
            return Ok(bulk);
        }
        let staged = Arc::new(Staged::new(Arc::clone(&state.blocks)));
        if let Some(base) = base
            && let Some(tree) = keep::derive(shared, state, &bulk.index, base, &staged)?
        {
            bulk.base = *tree.root();
            staged.take().into_iter().try_for_each(|block| sink.put(block))?;
            return Ok(bulk);
        }
        for entry in state.trees.tree(source).iter() {
            bulk.edits.entity(&*state.blocks, &entity::link(&source, &entry?.value)?, When::After)?;
            if bulk.bytes() > spill_bytes {
                bulk.spill(trees, sink)?;
            }
        }
        Ok(bulk)
    }

    /// Returns about how much memory this takes.
    pub(in crate::repo) const fn bytes(&self) -> usize {
        self.edits.bytes()
    }

    /// A node changes. Between two changes of one node there is a [`spill`](Self::spill).
    pub(in crate::repo) fn node(&mut self, before: &[Node], after: &Node) {
        self.edits.nodes(before, When::Before);
        self.edits.nodes(std::slice::from_ref(after), When::After);
    }

    /// An edge changes, likewise.
    pub(in crate::repo) fn edge(&mut self, before: &[Edge], after: &Edge) {
        before.iter().for_each(|version| self.edits.edge(version, When::Before));
        self.edits.edge(after, When::After);
    }

    /// Writes what is in memory as a run.
    pub(in crate::repo) fn spill(
        &mut self,
        trees: &TreeStore,
        sink: &mut dyn BlockSink,
    ) -> Result<(), RepoError> {
        let edits = std::mem::replace(&mut self.edits, KeyEdits::new(&self.index));
        let (edits, [before, after]) = edits.into_edits();
        for (sum, more) in self.totals.iter_mut().zip([before, after]) {
            *sum = sum.changed(Totals::default(), more);
        }
        self.push_run(edits, trees, sink)
    }

    fn push_run(
        &mut self,
        edits: impl Iterator<Item = Edit>,
        trees: &TreeStore,
        sink: &mut dyn BlockSink,
    ) -> Result<(), RepoError> {
        let mut edits = edits.peekable();
        if edits.peek().is_some() {
            let run = trees.build(edits.map(|edit| (edit.key, packed(edit.value.as_deref()))), sink)?;
            self.runs.push(*run.root());
        }
        Ok(())
    }

    /// Writes the last run. What was written has to be readable before the rest is done.
    pub(in crate::repo) fn end(
        &mut self,
        trees: &TreeStore,
        sink: &mut dyn BlockSink,
    ) -> Result<(), RepoError> {
        self.spill(trees, sink)?;
        let [before, after] = self.totals;
        if before == after {
            return Ok(());
        }
        let tree = trees.tree(self.base);
        let held = tree.get(words::TOTALS_KEY)?;
        let value = Totals::read(held.as_deref(), tree.root())?.changed(before, after).encode();
        self.push_run([Edit { key: Bytes::from_static(words::TOTALS_KEY), value }].into_iter(), trees, sink)
    }

    /// Makes the index.
    pub(in crate::repo) fn finish(
        &self,
        trees: &TreeStore,
        sink: &mut dyn BlockSink,
    ) -> Result<Tree, RepoError> {
        Ok(trees.tree(self.base).try_mutate(Merged::of(&self.runs, trees)?, sink)?)
    }

    pub(in crate::repo) const fn index(&self) -> &Index {
        &self.index
    }

    /// Returns the row that names the index of a commit.
    pub(in crate::repo) fn row(&self, shared: &Shared, commit: &Commit, tree: &Tree) -> Row {
        rows::row(&shared.options.namespace, &self.index, self.index.source(commit), tree.root())
    }

    /// Refuses a value that a node was given while another has it in `finished`, the index as it came out.
    pub(in crate::repo) fn check_unique(
        &self,
        trees: &TreeStore,
        finished: &Tree,
        value_of: impl Fn(NodeId) -> Result<Option<Value>, RepoError>,
    ) -> Result<(), RepoError> {
        let Index::Property(name) = &self.index else { return Ok(()) };
        for edit in Merged::of(&self.runs, trees)? {
            let Edit { key, value: Some(_) } = edit? else { continue };
            let node = node_of(&key)?;
            for entry in finished.range(KeyRange::prefix(&key[..key.len() - 16]), Order::Ascending).take(2) {
                let other = node_of(&entry?.key)?;
                if other != node {
                    let value = value_of(node)?.map(|value| given(name, &value, node, &key));
                    let value = value.flatten().unwrap_or(Value::Bool(false));
                    return Err(RepoError::NotUnique {
                        property: name.to_string(),
                        value,
                        nodes: [node, other],
                    });
                }
            }
        }
        Ok(())
    }
}

/// Returns the element of a value that has this key.
fn given(name: &str, value: &Value, node: NodeId, key: &[u8]) -> Option<Value> {
    let has_key =
        |value: &&Value| PropertyKey::keys_of(name, value, node.as_bytes()).iter().any(|it| it == key);
    elements(value).iter().find(has_key).cloned()
}

fn node_of(key: &[u8]) -> Result<NodeId, RepoError> {
    key.last_chunk().copied().map(NodeId::from_bytes).ok_or_else(damaged_key)
}

/// A value in a run: a list of it, or of nothing where the key is to go.
fn packed(value: Option<&[u8]>) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.list(usize::from(value.is_some()));
    let mut bytes = writer.into_bytes();
    bytes.extend_from_slice(value.unwrap_or_default());
    bytes
}

/// Lists of less than 24 items begin with one byte.
fn unpacked(value: &Bytes) -> Option<Bytes> {
    Some(value.slice(1..)).filter(|value| !value.is_empty())
}

/// Runs read side by side, in the order of keys. Of what several say of a key the last counts.
struct Merged {
    cursors: Vec<Cursor>,
    heads: BinaryHeap<Reverse<(Bytes, Reverse<usize>, Bytes)>>,
    last: Bytes,
    failed: Option<TreeError>,
}

impl Merged {
    fn of(runs: &[Cid], trees: &TreeStore) -> Result<Merged, TreeError> {
        let cursors: Vec<Cursor> = runs.iter().map(|run| trees.tree(*run).iter()).collect();
        let mut merged = Merged { cursors, heads: BinaryHeap::new(), last: Bytes::new(), failed: None };
        (0..runs.len()).try_for_each(|run| merged.read(run))?;
        Ok(merged)
    }

    fn read(&mut self, run: usize) -> Result<(), TreeError> {
        if let Some(entry) = self.cursors[run].next() {
            let Entry { key, value } = entry?;
            self.heads.push(Reverse((key, Reverse(run), value)));
        }
        Ok(())
    }
}

impl Iterator for Merged {
    type Item = Result<Edit, TreeError>;

    fn next(&mut self) -> Option<Result<Edit, TreeError>> {
        if let Some(why) = self.failed.take() {
            self.heads.clear();
            return Some(Err(why));
        }
        loop {
            let Reverse((key, Reverse(run), value)) = self.heads.pop()?;
            self.failed = self.read(run).err();
            if key != self.last {
                self.last = key.clone();
                return Some(Ok(Edit { key, value: unpacked(&value) }));
            }
            if let Some(why) = self.failed.take() {
                self.heads.clear();
                return Some(Err(why));
            }
        }
    }
}
