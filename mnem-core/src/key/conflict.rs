//! Keys of the map of conflicts: which map is in conflict, and where.

use std::fmt;
use std::sync::Arc;

use super::{put_text, take_text};
use crate::id::{EdgeId, NodeId};
use crate::object::SchemaKey;
use crate::tree::KeyRange;
use crate::value::PROPERTY_NAME_BYTES_MAX;

/// What is in conflict. Keys begin with a letter for the map: `e` edges, `n` nodes, `s` schema, `v` vectors.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConflictKey {
    /// An edge.
    Edge(EdgeId),
    /// A node.
    Node(NodeId),
    /// An entry of the schema.
    Schema(SchemaKey),
    /// A node's vector.
    Vector {
        /// The model's name.
        model: Arc<str>,
        /// The node.
        node: NodeId,
    },
}

impl fmt::Display for ConflictKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConflictKey::Edge(id) => write!(f, "edge {id}"),
            ConflictKey::Node(id) => write!(f, "node {id}"),
            ConflictKey::Schema(SchemaKey::Model(name)) => write!(f, "model `{name}`"),
            ConflictKey::Schema(SchemaKey::Property(name)) => write!(f, "property `{name}` of the schema"),
            ConflictKey::Vector { model, node } => write!(f, "vector `{model}` of node {node}"),
        }
    }
}

impl From<NodeId> for ConflictKey {
    fn from(id: NodeId) -> ConflictKey {
        ConflictKey::Node(id)
    }
}

impl From<EdgeId> for ConflictKey {
    fn from(id: EdgeId) -> ConflictKey {
        ConflictKey::Edge(id)
    }
}

impl From<&ConflictKey> for ConflictKey {
    fn from(key: &ConflictKey) -> ConflictKey {
        key.clone()
    }
}

impl ConflictKey {
    /// Returns the bytes.
    pub fn to_key(&self) -> Vec<u8> {
        match self {
            ConflictKey::Edge(id) => [&b"e"[..], id.as_bytes()].concat(),
            ConflictKey::Node(id) => [&b"n"[..], id.as_bytes()].concat(),
            ConflictKey::Schema(key) => [&b"s"[..], &key.to_key()].concat(),
            ConflictKey::Vector { model, node } => {
                let mut key = vec![b'v'];
                put_text(model, &mut key);
                key.extend(node.as_bytes());
                key
            }
        }
    }

    /// Reads what [`to_key`](Self::to_key) made.
    pub fn from_key(key: &[u8]) -> Option<ConflictKey> {
        let (map, rest) = key.split_first()?;
        match map {
            b'e' => Some(ConflictKey::Edge(EdgeId::from_bytes(rest.try_into().ok()?))),
            b'n' => Some(ConflictKey::Node(NodeId::from_bytes(rest.try_into().ok()?))),
            b's' => SchemaKey::from_key(rest).map(ConflictKey::Schema),
            b'v' => {
                let (model, node) = take_text(rest, PROPERTY_NAME_BYTES_MAX)?;
                Some(ConflictKey::Vector {
                    model: model.into(),
                    node: NodeId::from_bytes(node.try_into().ok()?),
                })
            }
            _ => None,
        }
    }

    /// Returns the keys of all nodes in conflict.
    pub fn nodes() -> KeyRange {
        KeyRange::prefix(b"n")
    }

    /// Returns the keys of all edges in conflict.
    pub fn edges() -> KeyRange {
        KeyRange::prefix(b"e")
    }
}
