//! Keys by which nodes are found by a label.

use super::{put_text, take_text};
use crate::id::NodeId;
use crate::object::LABEL_BYTES_MAX;
use crate::tree::KeyRange;

/// One key of the index of nodes by their labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelKey {
    /// The label.
    pub label: String,
    /// A node that carries it.
    pub node: NodeId,
}

impl LabelKey {
    /// Returns the key of a node under one of its labels.
    pub fn key_of(label: &str, node: NodeId) -> Vec<u8> {
        let mut key = Vec::with_capacity(label.len() + 18);
        put_text(label, &mut key);
        key.extend(node.as_bytes());
        key
    }

    /// Reads what [`key_of`](Self::key_of) made.
    pub fn from_key(key: &[u8]) -> Option<LabelKey> {
        let (label, node) = take_text(key, LABEL_BYTES_MAX)?;
        Some(LabelKey { label, node: NodeId::from_bytes(node.try_into().ok()?) })
    }

    /// Returns the keys of all nodes that carry `label`.
    pub fn with_label(label: &str) -> KeyRange {
        let mut prefix = Vec::with_capacity(label.len() + 2);
        put_text(label, &mut prefix);
        KeyRange::prefix(&prefix)
    }
}
