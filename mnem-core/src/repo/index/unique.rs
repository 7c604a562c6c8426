//! Values that no two nodes may have: who may not be given one.
//!
//! Equality is that of values: 1 and 1.0 differ. Of a list each element counts.

use std::collections::BTreeMap;

use super::property::elements;
use super::{Index, IndexTree};
use crate::id::NodeId;
use crate::key::PropertyKey;
use crate::object::Node;
use crate::repo::error::{RepoError, damaged_key};
use crate::repo::snapshot::Snapshot;
use crate::repo::transaction::Transaction;
use crate::tree::{KeyRange, Order};
use crate::value::Value;

impl Transaction {
    /// Refuses values of unique properties that this transaction gives to a node while another one has them in `at`, or
    /// is given them too.
    pub(in crate::repo) fn check_unique(&self, at: &Snapshot) -> Result<(), RepoError> {
        let schema = self.schema()?;
        for property in schema.properties().filter(|property| property.unique) {
            let given = self.given(&property.name)?;
            if given.is_empty() {
                continue;
            }
            let index = at.index(Index::Property(property.name.clone()))?;
            for (key, (node, value)) in given {
                if let Some(other) = self.holder(&index, &key, node, &property.name)? {
                    let property = property.name.to_string();
                    return Err(RepoError::NotUnique { property, value, nodes: [node, other] });
                }
            }
        }
        Ok(())
    }

    /// Returns what nodes are given that did not have it, by what the keys of it begin with.
    fn given(&self, property: &str) -> Result<BTreeMap<Vec<u8>, (NodeId, Value)>, RepoError> {
        let mut given: BTreeMap<Vec<u8>, (NodeId, Value)> = BTreeMap::new();
        for (node, change) in &self.nodes {
            let (before, after) = change.versions();
            let old: Vec<(Vec<u8>, Value)> =
                before.iter().flat_map(|version| starts(version, property)).collect();
            for version in after {
                let new = starts(version, property).into_iter().filter(|start| !old.contains(start));
                for (start, value) in new {
                    if let Some((other, value)) =
                        given.insert(start, (*node, value)).filter(|(it, _)| it != node)
                    {
                        let property = property.to_owned();
                        return Err(RepoError::NotUnique { property, value, nodes: [other, *node] });
                    }
                }
            }
        }
        Ok(given)
    }

    /// Returns another node that has a value, as this transaction leaves it.
    fn holder(
        &self,
        index: &IndexTree,
        start: &[u8],
        node: NodeId,
        property: &str,
    ) -> Result<Option<NodeId>, RepoError> {
        for entry in index.range(KeyRange::prefix(start), Order::Ascending) {
            let entry = entry?;
            let other = entry.key.last_chunk().copied().map(NodeId::from_bytes).ok_or_else(damaged_key)?;
            let stays = self.nodes.get(&other).is_none_or(|change| {
                let (_, after) = change.versions();
                after.iter().any(|version| starts(version, property).iter().any(|(it, _)| it == start))
            });
            if other != node && stays {
                return Ok(Some(other));
            }
        }
        Ok(None)
    }
}

/// Returns what the keys of a node's values begin with, all but the id, each with its value.
fn starts(version: &Node, property: &str) -> Vec<(Vec<u8>, Value)> {
    let values = version.props.value(property).map(elements).unwrap_or_default();
    let start = |value: &Value| {
        let mut key = PropertyKey::keys_of(property, value, version.id.as_bytes()).pop()?;
        key.truncate(key.len().saturating_sub(16));
        Some((key, value.clone()))
    };
    values.iter().filter_map(start).collect()
}
