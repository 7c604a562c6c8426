//! What an entity is made of, as far as merging goes: parts with names, whatever the kind of entity.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::id::NodeId;
use crate::object::{
    Content, Edge, EdgeType, Labels, MergeType, Metric, Model, Node, Object, Property, Salt, Unknown,
    ValueType,
};
use crate::value::{List, Map, Props, Value, ValueError};

/// One version, taken apart.
#[derive(Clone, Default)]
pub struct Parts {
    pub(super) labels: BTreeSet<Arc<str>>,
    pub(super) salt: Option<Salt>,
    /// What is merged whole.
    pub(super) fields: BTreeMap<Field, Value>,
    /// What is merged name by name.
    pub(super) props: Map,
    /// When properties were set of which the latest stays.
    pub(super) times: Map,
}

/// Which part is merged whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Known(&'static str),
    /// One that a newer version wrote; its value is its encoding.
    Unknown(Arc<str>),
}

impl Field {
    pub(super) fn name(&self) -> &str {
        match self {
            Field::Known(name) => name,
            Field::Unknown(name) => name,
        }
    }
}

/// What can be taken apart and put together again.
pub trait Fields: Object + Clone {
    /// Takes it apart.
    #[doc(hidden)]
    fn open(&self) -> Parts;

    /// Puts parts together as a version of the same thing as this one.
    #[doc(hidden)]
    fn close(&self, parts: Parts) -> Result<Self, ValueError>;
}

impl Parts {
    fn of(unknown: &Unknown) -> Parts {
        let fields =
            unknown.iter().map(|(name, item)| (Field::Unknown(name.into()), Value::Bytes(item.clone())));
        Parts { fields: fields.collect(), ..Parts::default() }
    }

    fn put(&mut self, name: &'static str, value: impl Into<Option<Value>>) {
        if let Some(value) = value.into() {
            self.fields.insert(Field::Known(name), value);
        }
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.fields.remove(&Field::Known(name))
    }

    fn take_text(&mut self, name: &'static str) -> Arc<str> {
        match self.take(name) {
            Some(Value::Text(text)) => text,
            _ => unreachable!("a merge gives a field a value that some version has"),
        }
    }

    fn take_bool(&mut self, name: &'static str) -> bool {
        matches!(self.take(name), Some(Value::Bool(true)))
    }

    /// What is left once the known fields were taken.
    fn unknown(self) -> Unknown {
        let mut unknown = Unknown::default();
        for (field, value) in self.fields {
            if let (Field::Unknown(name), Value::Bytes(item)) = (field, value) {
                unknown.insert(&name, item).expect("it was a field of a version");
            }
        }
        unknown
    }
}

impl Fields for Node {
    fn open(&self) -> Parts {
        let mut parts = Parts {
            labels: self.labels.iter().cloned().collect(),
            salt: self.salt,
            props: self.props.as_map().clone(),
            times: self.times.clone(),
            ..Parts::of(&self.unknown)
        };
        parts.put(
            "content",
            self.content.as_ref().map(|content| match content {
                Content::Inline(bytes) => Value::Bytes(bytes.clone()),
                Content::List(root) => Value::Link(*root),
            }),
        );
        parts
    }

    fn close(&self, mut parts: Parts) -> Result<Node, ValueError> {
        let content = match parts.take("content") {
            Some(Value::Bytes(bytes)) => Some(Content::Inline(bytes)),
            Some(Value::Link(root)) => Some(Content::List(root)),
            _ => None,
        };
        Ok(Node {
            id: self.id,
            labels: Labels::new(std::mem::take(&mut parts.labels))?,
            props: Props::try_from(std::mem::take(&mut parts.props))?,
            content,
            salt: parts.salt,
            times: std::mem::take(&mut parts.times),
            unknown: parts.unknown(),
        })
    }
}

impl Fields for Edge {
    fn open(&self) -> Parts {
        let mut parts = Parts {
            salt: self.salt,
            props: self.props.as_map().clone(),
            times: self.times.clone(),
            ..Parts::of(&self.unknown)
        };
        // Ends and type never change; two edges that were made under one id may differ in them all the same.
        let id = |id: NodeId| Value::Bytes(Bytes::copy_from_slice(id.as_bytes()));
        let ends = [id(self.src), Value::Text(Arc::from(&*self.edge_type)), id(self.dst)];
        parts.put("ends", List::new(ends).ok().map(Value::List));
        parts
    }

    fn close(&self, mut parts: Parts) -> Result<Edge, ValueError> {
        let (src, edge_type, dst) = match parts.take("ends") {
            Some(Value::List(ends)) => ends_of(&ends).expect("a merge takes ends whole, from a version"),
            _ => (self.src, self.edge_type.clone(), self.dst),
        };
        Ok(Edge {
            id: self.id,
            src,
            dst,
            edge_type,
            props: Props::try_from(std::mem::take(&mut parts.props))?,
            salt: parts.salt,
            times: std::mem::take(&mut parts.times),
            unknown: parts.unknown(),
        })
    }
}

fn ends_of(ends: &List) -> Option<(NodeId, EdgeType, NodeId)> {
    let mut ends = ends.iter();
    let id = |value: &Value| match value {
        Value::Bytes(id) => Some(NodeId::from_bytes((&**id).try_into().ok()?)),
        _ => None,
    };
    let src = id(ends.next()?)?;
    let Value::Text(edge_type) = ends.next()? else { return None };
    Some((src, EdgeType::new(Arc::clone(edge_type)).ok()?, id(ends.next()?)?))
}

impl Fields for Property {
    fn open(&self) -> Parts {
        let mut parts = Parts::of(&self.unknown);
        parts.put("value_type", Value::Text(self.value_type.as_str().into()));
        parts.put("merge_type", Value::Text(self.merge_type.as_str().into()));
        parts.put("indexed", Value::Bool(self.indexed));
        parts.put("unique", Value::Bool(self.unique));
        parts.put("words", Value::Bool(self.words));
        parts
    }

    fn close(&self, mut parts: Parts) -> Result<Property, ValueError> {
        Ok(Property {
            name: Arc::clone(&self.name),
            value_type: ValueType::from(&*parts.take_text("value_type")),
            merge_type: MergeType::from(&*parts.take_text("merge_type")),
            indexed: parts.take_bool("indexed"),
            unique: parts.take_bool("unique"),
            words: parts.take_bool("words"),
            unknown: parts.unknown(),
        })
    }
}

impl Fields for Model {
    fn open(&self) -> Parts {
        let mut parts = Parts::of(&self.unknown);
        parts.put("dim", Value::Int(self.dim.into()));
        parts.put("metric", Value::Text(self.metric.as_str().into()));
        parts
    }

    fn close(&self, mut parts: Parts) -> Result<Model, ValueError> {
        let dim = match parts.take("dim") {
            Some(Value::Int(dim)) => u32::try_from(dim).ok(),
            _ => None,
        };
        Ok(Model {
            name: Arc::clone(&self.name),
            dim: dim.expect("a merge gives a field a value that some version has"),
            metric: Metric::from(&*parts.take_text("metric")),
            unknown: parts.unknown(),
        })
    }
}
