//! An edge: one version of one relation between two nodes.

use std::ops::Deref;
use std::sync::Arc;

use super::fields::{self, Broken, FieldReader, FieldWriter, Layout, rule};
use super::{Salt, Unknown};
use crate::codec::{DecodeError, Malformed, Reader};
use crate::id::{EdgeId, NodeId};
use crate::value::{FromValue, Map, Props, ValueError};

/// Longest type of an edge, in bytes: it is part of index keys.
pub const EDGE_TYPE_BYTES_MAX: usize = 256;

/// One version of an edge. Its ends and its type never change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Which edge.
    pub id: EdgeId,
    /// Where it starts.
    pub src: NodeId,
    /// Where it ends.
    pub dst: NodeId,
    /// What it says of the two.
    pub edge_type: EdgeType,
    /// What is known of it.
    pub props: Props,
    /// Keeps outsiders from guessing the content by its hash.
    pub salt: Option<Salt>,
    /// When those properties were set of which the latest value stays, in microseconds.
    pub times: Map,
    /// Fields of newer versions.
    pub unknown: Unknown,
}

impl Edge {
    /// Makes an edge without salt.
    pub fn new(id: EdgeId, src: NodeId, edge_type: EdgeType, dst: NodeId, props: Props) -> Edge {
        Edge {
            id,
            src,
            dst,
            edge_type,
            props,
            salt: None,
            times: Map::default(),
            unknown: Unknown::default(),
        }
    }

    /// Returns a property as a `T`; as an `Option<T>` if it may be absent.
    pub fn get<'a, T: FromValue<'a>>(&'a self, name: &str) -> Result<T, ValueError> {
        self.props.get(name)
    }
}

impl Layout for Edge {
    const KIND: &'static str = "edge";
    const FIELDS: &'static [&'static str] = &["id", "src", "dst", "type", "props", "salt", "times"];

    fn write(&self, out: &mut FieldWriter) {
        out.field("id", |w| w.bytes(self.id.as_bytes()));
        out.field("src", |w| w.bytes(self.src.as_bytes()));
        out.field("dst", |w| w.bytes(self.dst.as_bytes()));
        out.field("type", |w| w.text(&self.edge_type));
        out.field("props", |w| self.props.write(w));
        out.optional("salt", self.salt, |w, it| w.bytes(&it.0));
        out.optional("times", Some(&self.times).filter(|it| !it.is_empty()), |w, it| it.write(w));
    }

    fn read(fields: &mut FieldReader<'_>) -> Result<Edge, DecodeError> {
        Ok(Edge {
            id: fields.required("id", fields::array).map(EdgeId::from_bytes)?,
            src: fields.required("src", fields::array).map(NodeId::from_bytes)?,
            dst: fields.required("dst", fields::array).map(NodeId::from_bytes)?,
            edge_type: fields.required("type", EdgeType::read)?,
            props: fields.required("props", Props::read)?,
            salt: fields.optional("salt", fields::array)?.map(Salt),
            times: fields.optional("times", fields::times)?.unwrap_or_default(),
            unknown: fields.rest(),
        })
    }

    fn check(&self) -> Result<(), Broken> {
        rule(fields::are_times(&self.times), "times", "holds something else than times")
    }

    fn unknown(&self) -> &Unknown {
        &self.unknown
    }
}

/// The type of an edge: text of 1 to [`EDGE_TYPE_BYTES_MAX`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeType(Arc<str>);

impl EdgeType {
    /// Takes a text.
    pub fn new(text: impl Into<Arc<str>>) -> Result<EdgeType, ValueError> {
        let text = text.into();
        match text.len() {
            0 => Err(ValueError::Name { what: "the type of an edge", name: String::new() }),
            1..=EDGE_TYPE_BYTES_MAX => Ok(EdgeType(text)),
            found_bytes => Err(ValueError::TooLong {
                what: "the type of an edge",
                found_bytes,
                max_bytes: EDGE_TYPE_BYTES_MAX,
            }),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<EdgeType, DecodeError> {
        let refused = reader.error(Malformed::Field { name: "type", why: "is empty or too long" });
        EdgeType::new(reader.text()?).map_err(|_| refused)
    }
}

impl Deref for EdgeType {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}
