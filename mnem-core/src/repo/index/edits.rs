//! How a change of entities changes the keys of an index.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Index;
use super::words::{self, Totals};
use crate::cid::Cid;
use crate::key::{AdjacencyKey, LabelKey, PropertyKey};
use crate::object::{Edge, Node, SET_VALUE};
use crate::port::{BlockRead, BlockReadExt};
use crate::repo::error::RepoError;
use crate::repo::merge::versions::sides;
use crate::tree::{Edit, Tree, TreeError};

/// What the keys that entities had, and those that they get, are to hold.
pub(in crate::repo) struct KeyEdits {
    index: Index,
    keys: BTreeMap<Vec<u8>, Held>,
    /// Of an index of words, how many texts there are and how long they are together, before and after.
    totals: [Totals; 2],
    /// About how much memory the keys take.
    bytes: usize,
}

/// What a key takes in memory beside its bytes, values and the map around it among them.
const KEY_OVERHEAD_BYTES: usize = 160;

/// The value before and after; `None` where the key is not there.
#[derive(Default)]
struct Held {
    before: Option<Bytes>,
    after: Option<Bytes>,
}

/// Of which of the two states something is a version.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Before,
    After,
}

impl KeyEdits {
    pub(super) fn new(index: &Index) -> KeyEdits {
        KeyEdits { index: index.clone(), keys: BTreeMap::new(), totals: [Totals::default(); 2], bytes: 0 }
    }

    /// Collects what becomes of an index when entities change from one version to another.
    ///
    /// Before and after there may be several: each side of a conflict has its keys.
    pub(in crate::repo) fn of<'v>(
        index: &Index,
        nodes: impl Iterator<Item = (&'v [Node], &'v [Node])>,
        edges: impl Iterator<Item = (&'v [Edge], &'v [Edge])>,
    ) -> KeyEdits {
        let mut edits = KeyEdits::new(index);
        for (before, after) in nodes {
            edits.nodes(before, When::Before);
            edits.nodes(after, When::After);
        }
        for (before, after) in edges {
            before.iter().for_each(|version| edits.edge(version, When::Before));
            after.iter().for_each(|version| edits.edge(version, When::After));
        }
        edits
    }

    /// Every side of one node.
    pub(super) fn nodes(&mut self, sides: &[Node], when: When) {
        if let (Index::Words(name), Some(first)) = (&self.index, sides.first()) {
            let Some(text) = words::Text::of(sides, name) else { return };
            self.totals[usize::from(when == When::After)].add(&text);
            for (word, times) in &text.words {
                self.set(words::key(word, first.id), text.posting(*times), when);
            }
        }
        sides.iter().for_each(|node| self.node(node, when));
    }

    fn node(&mut self, version: &Node, when: When) {
        match &self.index {
            Index::Out | Index::In | Index::Words(_) => {}
            Index::Label => {
                for label in version.labels.iter() {
                    self.set(LabelKey::key_of(label, version.id), nothing(), when);
                }
            }
            Index::Property(name) => {
                let Some(value) = version.props.value(name) else { return };
                for key in PropertyKey::keys_of(name, value, version.id.as_bytes()) {
                    self.set(key, nothing(), when);
                }
            }
        }
    }

    pub(super) fn edge(&mut self, version: &Edge, when: When) {
        let key = match self.index {
            Index::Out => AdjacencyKey::outgoing(version),
            Index::In => AdjacencyKey::incoming(version),
            Index::Label | Index::Property(_) | Index::Words(_) => return,
        };
        self.set(key.to_key(), nothing(), when);
    }

    /// Every side of what lies at `cid`.
    pub(super) fn entity(&mut self, blocks: &dyn BlockRead, cid: &Cid, when: When) -> Result<(), RepoError> {
        let block = blocks.require(cid)?;
        match self.index {
            Index::Out | Index::In => {
                sides(blocks, &block)?.iter().for_each(|edge| self.edge(edge, when));
            }
            Index::Label | Index::Property(_) | Index::Words(_) => {
                self.nodes(&sides(blocks, &block)?, when);
            }
        }
        Ok(())
    }

    fn set(&mut self, key: Vec<u8>, value: Bytes, when: When) {
        self.bytes += key.len() + value.len() + KEY_OVERHEAD_BYTES;
        let held = self.keys.entry(key).or_default();
        match when {
            When::Before => held.before = Some(value),
            When::After => held.after = Some(value),
        }
    }

    /// Returns what changes in `tree`.
    pub(super) fn into_edits_of(mut self, tree: &Tree) -> Result<Vec<Edit>, TreeError> {
        let [before, after] = self.totals;
        if before != after {
            let held = tree.get(words::TOTALS_KEY)?;
            let totals = Totals::read(held.as_deref(), tree.root())?.changed(before, after);
            self.keys.insert(words::TOTALS_KEY.to_vec(), Held { before: held, after: totals.encode() });
        }
        Ok(self.into_edits().0.collect())
    }

    /// Returns what changes, whatever the tree, and the totals that go into it.
    pub(super) fn into_edits(self) -> (impl Iterator<Item = Edit>, [Totals; 2]) {
        let changes = self.keys.into_iter().filter(|(_, held)| held.before != held.after);
        (changes.map(|(key, held)| Edit { key: key.into(), value: held.after }), self.totals)
    }

    /// Returns about how much memory this takes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The value of keys that say all.
const fn nothing() -> Bytes {
    Bytes::from_static(SET_VALUE)
}
