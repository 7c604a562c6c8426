//! A node: one version of one thing that is known.

use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use super::Unknown;
use super::fields::{self, Broken, FieldReader, FieldWriter, Layout, rule};
use crate::cid::Cid;
use crate::codec::{DecodeError, Kind, Malformed, Reader, Writer};
use crate::id::NodeId;
use crate::value::{FromValue, Map, Props, ValueError};

/// Longest label, in bytes: it is part of index keys.
pub const LABEL_BYTES_MAX: usize = 200;

/// Content of at most this many bytes lies in the node.
pub const CONTENT_INLINE_BYTES_MAX: usize = 1024;

/// One version of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Which node.
    pub id: NodeId,
    /// What kinds of thing it is.
    pub labels: Labels,
    /// What is known of it.
    pub props: Props,
    /// Bytes that belong to it.
    pub content: Option<Content>,
    /// Keeps outsiders from guessing the content by its hash.
    pub salt: Option<Salt>,
    /// When those properties were set of which the latest value stays, in microseconds.
    pub times: Map,
    /// Fields of newer versions.
    pub unknown: Unknown,
}

impl Node {
    /// Makes a node without content and salt.
    pub fn new(id: NodeId, labels: Labels, props: Props) -> Node {
        Node {
            id,
            labels,
            props,
            content: None,
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

impl Layout for Node {
    const KIND: &'static str = "node";
    const FIELDS: &'static [&'static str] = &["id", "labels", "props", "content", "salt", "times"];

    fn write(&self, out: &mut FieldWriter) {
        out.field("id", |w| w.bytes(self.id.as_bytes()));
        out.field("labels", |w| fields::write_texts(w, &self.labels));
        out.field("props", |w| self.props.write(w));
        out.optional("content", self.content.as_ref(), |w, it| it.write(w));
        out.optional("salt", self.salt, |w, it| w.bytes(&it.0));
        out.optional("times", Some(&self.times).filter(|it| !it.is_empty()), |w, it| it.write(w));
    }

    fn read(fields: &mut FieldReader<'_>) -> Result<Node, DecodeError> {
        Ok(Node {
            id: fields.required("id", fields::array).map(NodeId::from_bytes)?,
            labels: fields.required("labels", Labels::read)?,
            props: fields.required("props", Props::read)?,
            content: fields.optional("content", Content::read)?,
            salt: fields.optional("salt", fields::array)?.map(Salt),
            times: fields.optional("times", fields::times)?.unwrap_or_default(),
            unknown: fields.rest(),
        })
    }

    fn check(&self) -> Result<(), Broken> {
        let fits = match &self.content {
            Some(Content::Inline(bytes)) => bytes.len() <= CONTENT_INLINE_BYTES_MAX,
            _ => true,
        };
        rule(fits, "content", "has more than 1024 bytes in the node")?;
        rule(fields::are_times(&self.times), "times", "holds something else than times")
    }

    fn unknown(&self) -> &Unknown {
        &self.unknown
    }
}

/// Labels of a node: ascending by bytes, each once, each of 1 to [`LABEL_BYTES_MAX`] bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Arc<[Arc<str>]>);

impl Labels {
    /// Takes labels in any order; those that repeat count once.
    pub fn new<L: Into<Arc<str>>>(labels: impl IntoIterator<Item = L>) -> Result<Labels, ValueError> {
        let mut labels: Vec<Arc<str>> = labels.into_iter().map(Into::into).collect();
        labels.iter().try_for_each(|label| check_label(label))?;
        labels.sort_unstable();
        labels.dedup();
        Ok(Labels(labels.into()))
    }

    /// Says whether `label` is one of them.
    pub fn has(&self, label: &str) -> bool {
        self.0.binary_search_by(|other| (**other).cmp(label)).is_ok()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Labels, DecodeError> {
        let at = reader.at();
        let refused = |why| DecodeError { what: Malformed::Field { name: "labels", why }, at };
        let labels = fields::list(reader, fields::text)?;
        if !fields::ascends(&labels) {
            return Err(refused("does not ascend"));
        }
        Labels::new(labels).map_err(|_| refused("a label is empty or too long"))
    }
}

/// What is taken where labels are wanted: one, several, or [`Labels`].
pub trait IntoLabels {
    /// Returns the labels.
    fn into_labels(self) -> Result<Labels, ValueError>;
}

impl IntoLabels for Labels {
    fn into_labels(self) -> Result<Labels, ValueError> {
        Ok(self)
    }
}

impl IntoLabels for &str {
    fn into_labels(self) -> Result<Labels, ValueError> {
        Labels::new([self])
    }
}

impl<const N: usize> IntoLabels for [&str; N] {
    fn into_labels(self) -> Result<Labels, ValueError> {
        Labels::new(self)
    }
}

impl IntoLabels for &[&str] {
    fn into_labels(self) -> Result<Labels, ValueError> {
        Labels::new(self.iter().copied())
    }
}

impl Deref for Labels {
    type Target = [Arc<str>];

    fn deref(&self) -> &[Arc<str>] {
        &self.0
    }
}

fn check_label(label: &str) -> Result<(), ValueError> {
    match label.len() {
        0 => Err(ValueError::Name { what: "a label", name: String::new() }),
        1..=LABEL_BYTES_MAX => Ok(()),
        found_bytes => Err(ValueError::TooLong { what: "a label", found_bytes, max_bytes: LABEL_BYTES_MAX }),
    }
}

/// The bytes that belong to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// At most [`CONTENT_INLINE_BYTES_MAX`] bytes.
    Inline(Bytes),
    /// Root of the list of chunks.
    List(Cid),
}

impl Content {
    fn write(&self, writer: &mut Writer) {
        match self {
            Content::Inline(bytes) => writer.bytes(bytes),
            Content::List(root) => writer.link(root),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Content, DecodeError> {
        match reader.kind()? {
            Kind::Bytes => reader.bytes().map(|it| Content::Inline(Bytes::copy_from_slice(it))),
            Kind::Link => reader.link().map(Content::List),
            _ => Err(reader.error(Malformed::Expected { expected: "bytes or a link" })),
        }
    }
}

/// Random bytes in an object, so that its hash says nothing about what it holds. An edit keeps them; of two the
/// smaller one stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Salt(pub [u8; 16]);
