//! Taking vectors back: a map for each model, node by node.

use bytes::Bytes;

use super::{Edits, Work};
use crate::cid::{Cid, Codec};
use crate::repo::entity;
use crate::repo::error::RepoError;
use crate::tree::{KeyRange, Order, link_value, value_link};

impl Work<'_> {
    /// Takes back what still is as it was made. A vector comes back only with its node; one in conflict stays.
    pub(super) fn vectors(&self, [now, made, before]: [&Cid; 3], nodes: &Edits) -> Result<Cid, RepoError> {
        let empty = self.snapshot.shared.empty_root;
        let mut models = Edits::new();
        for model in self.tree(made).diff(&self.tree(before), KeyRange::ALL, Order::Ascending) {
            let model = model?;
            let root = |map: &Cid, value: Option<&Bytes>| value.map_or(Ok(empty), |it| entity::link(map, it));
            let present = root(now, self.tree(now).get(&model.key)?.as_ref())?;
            let (made, before) = (root(made, model.before.as_ref())?, root(before, model.after.as_ref())?);
            let mut edits = Edits::new();
            for change in self.tree(&made).diff(&self.tree(&before), KeyRange::ALL, Order::Ascending) {
                let change = change?;
                let stands = self.tree(&present).get(&change.key)? == change.before;
                let is_plain = [&change.before, &change.after].into_iter().flatten().all(is_vector);
                if stands && is_plain && (change.after.is_none() || self.has_node(nodes, &change.key)?) {
                    edits.insert(change.key, change.after);
                }
            }
            let after = self.mutate(present, edits)?;
            models.insert(model.key, (after != empty).then(|| link_value(&after)));
        }
        self.mutate(*now, models)
    }

    /// Says whether a node has a vector that somebody set since, or that is in conflict.
    pub(super) fn has_later_vector(&self, now: &Cid, made: &Cid, node: &[u8]) -> Result<bool, RepoError> {
        for model in self.tree(now).iter() {
            let model = model?;
            let vector = self.tree(&entity::link(now, &model.value)?).get(node)?;
            let before = match self.tree(made).get(&model.key)? {
                Some(root) => self.tree(&entity::link(made, &root)?).get(node)?,
                None => None,
            };
            if vector != before || vector.is_some_and(|vector| !is_vector(&vector)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Vectors are raw blocks; conflicts are not.
fn is_vector(value: &Bytes) -> bool {
    value_link(value).is_some_and(|cid| cid.codec() == Codec::Raw)
}
