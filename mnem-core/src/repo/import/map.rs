//! The map of nodes or of edges while an import changes it.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::ahead::Ahead;
use crate::cid::Cid;
use crate::repo::entity::{self, Entity};
use crate::repo::error::RepoError;
use crate::tree::{Edit, KeyRange, Order, TreeStore, link_value};

/// What an entry that waits takes in memory.
const ENTRY_BYTES: usize = 128;

pub(super) struct Map<E> {
    root: Cid,
    /// Not in the tree yet.
    waiting: BTreeMap<E, Cid>,
    /// The key of the last entry there is: beyond it nothing has to be looked for. Most imports come in order.
    last: Option<[u8; 16]>,
}

impl<E: Entity> Map<E> {
    pub(super) fn start(trees: &TreeStore, root: Cid) -> Result<Map<E>, RepoError> {
        let last = trees.tree(root).range(KeyRange::ALL, Order::Descending).next().transpose()?;
        let last = last.and_then(|entry| (&*entry.key).try_into().ok());
        Ok(Map { root, waiting: BTreeMap::new(), last })
    }

    pub(super) const fn root(&self) -> Cid {
        self.root
    }

    pub(super) fn bytes(&self) -> usize {
        self.waiting.len() * ENTRY_BYTES
    }

    pub(super) fn is_waiting(&self, id: E) -> bool {
        self.waiting.contains_key(&id)
    }

    pub(super) fn find(&self, trees: &TreeStore, id: E) -> Result<Option<Cid>, RepoError> {
        if self.last.is_none_or(|last| last < *id.key()) {
            return Ok(None);
        }
        if let Some(cid) = self.waiting.get(&id) {
            return Ok(Some(*cid));
        }
        let value = trees.tree(self.root).get(id.key())?;
        value.map(|value| entity::link(&self.root, &value)).transpose()
    }

    pub(super) fn put(&mut self, id: E, cid: Cid) {
        self.last = self.last.max(Some(*id.key()));
        self.waiting.insert(id, cid);
    }

    /// Changes the tree by what waits.
    pub(super) fn spill(&mut self, trees: &TreeStore, ahead: &mut Ahead) -> Result<(), RepoError> {
        let edits = std::mem::take(&mut self.waiting)
            .into_iter()
            .map(|(id, cid)| Edit { key: Bytes::copy_from_slice(id.key()), value: Some(link_value(&cid)) });
        self.root = *trees.tree(self.root).mutate(edits, ahead)?.root();
        Ok(())
    }
}
