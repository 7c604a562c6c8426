//! How a change of entities changes the keys of an index.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Index;
use crate::cid::Cid;
use crate::key::{AdjacencyKey, LabelKey, PropertyKey};
use crate::object::{Edge, Node, SET_VALUE};
use crate::port::BlockReadExt;
use crate::repo::error::RepoError;
use crate::repo::merge::versions::sides;
use crate::staged::Staged;
use crate::tree::Edit;

/// What the keys that entities had, and those that they get, are to hold.
pub(in crate::repo) struct KeyEdits<'a> {
    index: &'a Index,
    keys: BTreeMap<Vec<u8>, Held>,
}

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

impl<'a> KeyEdits<'a> {
    pub(super) fn new(index: &'a Index) -> KeyEdits<'a> {
        KeyEdits { index, keys: BTreeMap::new() }
    }

    /// Collects what becomes of an index when entities change from one version to another.
    ///
    /// Before and after there may be several: each side of a conflict has its keys.
    pub(in crate::repo) fn of<'v>(
        index: &'a Index,
        nodes: impl Iterator<Item = (&'v [Node], &'v [Node])>,
        edges: impl Iterator<Item = (&'v [Edge], &'v [Edge])>,
    ) -> KeyEdits<'a> {
        let mut edits = KeyEdits::new(index);
        for (before, after) in nodes {
            before.iter().for_each(|version| edits.node(version, When::Before));
            after.iter().for_each(|version| edits.node(version, When::After));
        }
        for (before, after) in edges {
            before.iter().for_each(|version| edits.edge(version, When::Before));
            after.iter().for_each(|version| edits.edge(version, When::After));
        }
        edits
    }

    fn node(&mut self, version: &Node, when: When) {
        match self.index {
            Index::Out | Index::In => {}
            Index::Label => {
                for label in version.labels.iter() {
                    self.set(LabelKey::key_of(label, version.id), when);
                }
            }
            Index::Property(name) => {
                let Some(value) = version.props.value(name) else { return };
                for key in PropertyKey::keys_of(name, value, version.id.as_bytes()) {
                    self.set(key, when);
                }
            }
        }
    }

    fn edge(&mut self, version: &Edge, when: When) {
        let key = match self.index {
            Index::Out => AdjacencyKey::outgoing(version),
            Index::In => AdjacencyKey::incoming(version),
            Index::Label | Index::Property(_) => return,
        };
        self.set(key.to_key(), when);
    }

    /// Every side of what lies at `cid`.
    pub(super) fn entity(&mut self, blocks: &Staged, cid: &Cid, when: When) -> Result<(), RepoError> {
        let block = blocks.require(cid)?;
        match self.index {
            Index::Out | Index::In => {
                sides(blocks, &block)?.iter().for_each(|edge| self.edge(edge, when));
            }
            Index::Label | Index::Property(_) => {
                sides(blocks, &block)?.iter().for_each(|node| self.node(node, when));
            }
        }
        Ok(())
    }

    /// The keys of most indexes say all.
    fn set(&mut self, key: Vec<u8>, when: When) {
        let held = self.keys.entry(key).or_default();
        let value = match when {
            When::Before => &mut held.before,
            When::After => &mut held.after,
        };
        *value = Some(Bytes::from_static(SET_VALUE));
    }

    /// Returns what changes.
    pub(super) fn into_edits(self) -> impl Iterator<Item = Edit> {
        let changes = self.keys.into_iter().filter(|(_, held)| held.before != held.after);
        changes.map(|(key, held)| Edit { key: key.into(), value: held.after })
    }
}
