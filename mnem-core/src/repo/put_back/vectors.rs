//! Taking vectors back: a map for each model, node by node.

use std::sync::Arc;

use bytes::Bytes;

use super::{Edits, Work, node_id};
use crate::cid::{Cid, Codec};
use crate::key::ConflictKey;
use crate::repo::entity;
use crate::repo::error::{RepoError, damaged_key};
use crate::repo::vectors::is_kept;
use crate::tree::{KeyRange, Order, link_value, value_link};

impl Work<'_> {
    /// Takes back what still is as it was made. A vector comes back only with its node; one in conflict stays. What is no
    /// longer kept, or is again, goes to `conflicts`.
    pub(super) fn vectors(
        &self,
        [now, made, before]: [&Cid; 3],
        nodes: &Edits,
        conflicts: &mut Edits,
    ) -> Result<Cid, RepoError> {
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
                let mut is_plain = true;
                for value in [&change.before, &change.after].into_iter().flatten() {
                    is_plain = is_plain && self.is_plain(value)?;
                }
                if stands && is_plain && (change.after.is_none() || self.has_node(nodes, &change.key)?) {
                    let key = ConflictKey::Vector { model: name(&model.key)?, node: node_id(&change.key)? };
                    conflicts.insert(key.to_key().into(), change.after.clone().filter(|it| !is_vector(it)));
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
            let is_plain = vector.as_ref().map_or(Ok(true), |vector| self.is_plain(vector))?;
            if vector != before || !is_plain {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Says whether this is a vector, be it one that is only kept.
    fn is_plain(&self, value: &Bytes) -> Result<bool, RepoError> {
        let Some(cid) = value_link(value) else { return Ok(false) };
        Ok(cid.codec() == Codec::Raw || is_kept(&**self.staged, &cid)?)
    }
}

fn name(key: &[u8]) -> Result<Arc<str>, RepoError> {
    str::from_utf8(key).map(Arc::from).map_err(|_| damaged_key())
}

/// Vectors are raw blocks; conflicts are not.
fn is_vector(value: &Bytes) -> bool {
    value_link(value).is_some_and(|cid| cid.codec() == Codec::Raw)
}
