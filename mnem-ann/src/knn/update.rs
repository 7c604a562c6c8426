//! Brings edges from one state to another, exactly, at the cost of what differs.
//!
//! A code that is new is compared with all others: that gives its own list, and, as near is near from both sides, every
//! list in which it has a place. Where a list lost somebody it is made anew.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use mnem_core::repo::Snapshot;
use mnem_core::tree::{Edit, TreeError};
use mnem_core::{Cid, NodeId};

use super::{KnnEdgeIndex, pairs, store};
use crate::code_tree::{Changed, encode_changed};
use crate::error::SearchError;
use crate::vectors::Vectors;

/// What an update did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Updated {
    /// How many vectors differ.
    pub vectors: u64,
    /// How many lists were made anew.
    pub compared: u64,
    /// How many lists differ.
    pub lists: u64,
}

impl KnnEdgeIndex {
    /// Takes the edges to another state of the same model.
    pub fn update(&mut self, vectors: &Vectors, snapshot: &Snapshot) -> Result<Updated, SearchError> {
        let model = vectors.model_at(snapshot)?;
        let root = vectors.state_root(snapshot)?;
        let before = self.source;
        if root == before && model.dim == self.model.dim {
            return Ok(Updated::default());
        }
        let changed = if model.dim == self.model.dim {
            encode_changed(snapshot, &model, (&before, &root), self.len() / 4 + 64)?
        } else {
            None
        };
        match changed {
            Some(changed) => self.apply(snapshot, &root, &changed),
            None => {
                let knn = super::Knn { k: self.k, metric: Some(self.model.metric.clone()) };
                *self = KnnEdgeIndex::open(vectors, snapshot, &knn)?;
                let all = self.len() as u64;
                Ok(Updated { vectors: all, compared: all, lists: all })
            }
        }
    }

    /// Applies what differs. `root` is that of the map of vectors as it is then.
    pub(super) fn apply(
        &mut self,
        snapshot: &Snapshot,
        root: &Cid,
        changed: &Changed,
    ) -> Result<Updated, SearchError> {
        let gone: BTreeSet<u32> = changed.nodes.iter().filter_map(|node| self.rows.remove(*node)).collect();
        let new: Vec<u32> = (0..changed.table.len()).map(|at| self.rows.push(&changed.table, at)).collect();
        self.lists.grow(self.rows.slots());
        let result = self.rows.check(&self.model, self.nearness);
        let mut fresh: BTreeSet<u32> = new.iter().copied().collect();
        for slot in (0..).take(self.rows.slots()) {
            let has_lost =
                !gone.is_empty() && self.lists.of(slot).iter().any(|(other, _)| gone.contains(other));
            // One that is not full had all there were: what comes is shown to it like to the others.
            if self.rows.is_alive(slot) && has_lost {
                fresh.insert(slot);
            }
        }
        let compared: Vec<u32> = fresh.iter().copied().collect();
        compared.iter().chain(&gone).for_each(|slot| self.lists.clear(*slot));
        let is_new: BTreeSet<u32> = new.into_iter().collect();
        let mut touched = fresh.clone();
        let (rows, lists) = (&self.rows, &mut self.lists);
        pairs::some(rows, &compared, |slot, other, measure| {
            if measure >= lists.bar(slot) {
                lists.show(slot, other, measure, rows);
            }
            // Others are shown what is new alone: what they had they have.
            if measure >= lists.bar(other)
                && is_new.contains(&slot)
                && !fresh.contains(&other)
                && lists.show(other, slot, measure, rows)
            {
                touched.insert(other);
            }
        });
        self.source = *root;
        self.write(snapshot, changed, &touched)?;
        result?;
        let (compared, lists) = (compared.len() as u64, touched.len() as u64);
        Ok(Updated { vectors: changed.nodes.len() as u64, compared, lists })
    }

    fn write(
        &mut self,
        snapshot: &Snapshot,
        changed: &Changed,
        touched: &BTreeSet<u32>,
    ) -> Result<(), SearchError> {
        let mut edits: BTreeMap<NodeId, Option<Bytes>> =
            changed.nodes.iter().map(|node| (*node, None)).collect();
        for slot in touched {
            let list = store::list_value(&self.rows, &self.lists, *slot);
            edits.insert(self.rows.node(*slot), Some(list));
        }
        let edits = edits
            .into_iter()
            .map(|(node, value)| Edit { key: Bytes::copy_from_slice(node.as_bytes()), value });
        let tree = store::trees(snapshot, &self.staged).tree(self.root);
        match tree.mutate(edits, &mut std::sync::Arc::clone(&self.staged)) {
            Ok(tree) => self.root = *tree.root(),
            // Parts of what was kept are gone: all that is in them is in memory.
            Err(TreeError::Missing { .. } | TreeError::Damaged { .. }) => {
                (self.staged, self.root) = store::build(snapshot, &self.rows, &self.lists)?;
            }
            Err(why) => return Err(why.into()),
        }
        Ok(())
    }
}
