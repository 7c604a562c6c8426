//! Keys by which the edges of a node are found.

use super::{put_text, take_text};
use crate::id::{EdgeId, NodeId};
use crate::object::{EDGE_TYPE_BYTES_MAX, Edge, EdgeType};
use crate::tree::KeyRange;

/// One key of the index of edges by their source, or by their target: one layout, seen from the one end or the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdjacencyKey {
    /// The node that is asked about.
    pub near: NodeId,
    /// The edge's type.
    pub edge_type: EdgeType,
    /// The node at the other end.
    pub far: NodeId,
    /// The edge.
    pub edge: EdgeId,
}

impl AdjacencyKey {
    /// Returns the key under which an edge is found from its source.
    pub fn outgoing(edge: &Edge) -> AdjacencyKey {
        AdjacencyKey { near: edge.src, edge_type: edge.edge_type.clone(), far: edge.dst, edge: edge.id }
    }

    /// Returns the key under which an edge is found from its target.
    pub fn incoming(edge: &Edge) -> AdjacencyKey {
        AdjacencyKey { near: edge.dst, edge_type: edge.edge_type.clone(), far: edge.src, edge: edge.id }
    }

    /// Returns the bytes.
    pub fn to_key(&self) -> Vec<u8> {
        let mut key = prefix(self.near, Some(&self.edge_type), Some(self.far));
        key.extend(self.edge.as_bytes());
        key
    }

    /// Reads what [`to_key`](Self::to_key) made.
    pub fn from_key(key: &[u8]) -> Option<AdjacencyKey> {
        let (near, rest) = key.split_first_chunk::<16>()?;
        let (edge_type, rest) = take_text(rest, EDGE_TYPE_BYTES_MAX)?;
        let (far, edge) = rest.split_first_chunk::<16>()?;
        Some(AdjacencyKey {
            near: NodeId::from_bytes(*near),
            edge_type: EdgeType::new(edge_type).ok()?,
            far: NodeId::from_bytes(*far),
            edge: EdgeId::from_bytes(edge.try_into().ok()?),
        })
    }

    /// Returns the keys of all edges at a node.
    pub fn at(near: NodeId) -> KeyRange {
        KeyRange::prefix(&prefix(near, None, None))
    }

    /// Returns the keys of all edges of one type at a node.
    pub fn of_type(near: NodeId, edge_type: &EdgeType) -> KeyRange {
        KeyRange::prefix(&prefix(near, Some(edge_type), None))
    }

    /// Returns the keys of all edges of one type from a node to another.
    pub fn between(near: NodeId, edge_type: &EdgeType, far: NodeId) -> KeyRange {
        KeyRange::prefix(&prefix(near, Some(edge_type), Some(far)))
    }
}

fn prefix(near: NodeId, edge_type: Option<&EdgeType>, far: Option<NodeId>) -> Vec<u8> {
    let mut key = near.as_bytes().to_vec();
    if let Some(edge_type) = edge_type {
        put_text(edge_type, &mut key);
    }
    if let Some(far) = far {
        key.extend(far.as_bytes());
    }
    key
}
