//! What can be asked for: nodes and edges, as predicates see them.

use std::sync::Arc;

use super::predicate::Form;
use crate::id::{EdgeId, NodeId};
use crate::key::ConflictKey;
use crate::object::{Edge, Node};
use crate::repo::entity::Entity;
use crate::tree::KeyRange;

/// What can be asked for: nodes or edges, named by their ids.
pub trait Subject: Entity + std::fmt::Debug {
    /// `nodes` or `edges`.
    #[doc(hidden)]
    const WORD: &'static str;

    /// Whether indexes by the value of a property have this kind.
    #[doc(hidden)]
    const HAS_PROPERTY_INDEX: bool;

    #[doc(hidden)]
    fn from_key(key: [u8; 16]) -> Self;

    /// Returns the labels, or the type.
    #[doc(hidden)]
    fn kinds(version: &Self::Object) -> Vec<Arc<str>>;

    #[doc(hidden)]
    fn conflict_key(self) -> Vec<u8>;

    #[doc(hidden)]
    fn conflict_keys() -> KeyRange;

    /// Says whether what only this kind has is as `form` says; `None` if it does not have it.
    #[doc(hidden)]
    fn holds(version: &Self::Object, form: &Form) -> Option<bool>;

    /// Names what `form` asks for and this kind does not have, and who has it.
    #[doc(hidden)]
    fn lacks(form: &Form) -> Option<(&'static str, &'static str)>;
}

impl Subject for NodeId {
    const WORD: &'static str = "nodes";
    const HAS_PROPERTY_INDEX: bool = true;

    fn from_key(key: [u8; 16]) -> NodeId {
        NodeId::from_bytes(key)
    }

    fn kinds(version: &Node) -> Vec<Arc<str>> {
        version.labels.to_vec()
    }

    fn conflict_key(self) -> Vec<u8> {
        ConflictKey::Node(self).to_key()
    }

    fn conflict_keys() -> KeyRange {
        ConflictKey::nodes()
    }

    fn holds(version: &Node, form: &Form) -> Option<bool> {
        match form {
            Form::Label(label) => Some(version.labels.has(label)),
            _ => None,
        }
    }

    fn lacks(form: &Form) -> Option<(&'static str, &'static str)> {
        match form {
            Form::EdgeType(_) => Some(("a type", EdgeId::WORD)),
            Form::From(_) | Form::To(_) => Some(("an end", EdgeId::WORD)),
            _ => None,
        }
    }
}

impl Subject for EdgeId {
    const WORD: &'static str = "edges";
    const HAS_PROPERTY_INDEX: bool = false;

    fn from_key(key: [u8; 16]) -> EdgeId {
        EdgeId::from_bytes(key)
    }

    fn kinds(version: &Edge) -> Vec<Arc<str>> {
        vec![Arc::from(&*version.edge_type)]
    }

    fn conflict_key(self) -> Vec<u8> {
        ConflictKey::Edge(self).to_key()
    }

    fn conflict_keys() -> KeyRange {
        ConflictKey::edges()
    }

    fn holds(version: &Edge, form: &Form) -> Option<bool> {
        match form {
            Form::EdgeType(edge_type) => Some(*version.edge_type == **edge_type),
            Form::From(node) => Some(version.src == *node),
            Form::To(node) => Some(version.dst == *node),
            _ => None,
        }
    }

    fn lacks(form: &Form) -> Option<(&'static str, &'static str)> {
        matches!(form, Form::Label(_)).then_some(("a label", NodeId::WORD))
    }
}
