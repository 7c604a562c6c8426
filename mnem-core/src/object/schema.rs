//! Schema entries: what is agreed on properties and on models of vectors.
//!
//! The schema is a map from [`SchemaKey`] to the CID of such an entry.

use std::sync::Arc;

use super::Unknown;
use super::fields::{self, Broken, FieldReader, FieldWriter, Layout, rule};
use super::word::words;
use crate::codec::{DecodeError, Reader};
use crate::value::PROPERTY_NAME_BYTES_MAX;

/// Where a schema entry stands: its kind and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SchemaKey {
    /// A model of vectors.
    Model(Arc<str>),
    /// A property, whatever it is a property of.
    Property(Arc<str>),
}

impl SchemaKey {
    /// Returns the key in the map: `m` or `p`, then the name.
    pub fn to_key(&self) -> Vec<u8> {
        let (kind, name) = match self {
            SchemaKey::Model(name) => (b'm', name),
            SchemaKey::Property(name) => (b'p', name),
        };
        [&[kind], name.as_bytes()].concat()
    }

    /// Reads what [`to_key`](Self::to_key) made.
    pub fn from_key(key: &[u8]) -> Option<SchemaKey> {
        let (kind, name) = key.split_first()?;
        let name = str::from_utf8(name).ok().filter(|name| is_name(name))?;
        match kind {
            b'm' => Some(SchemaKey::Model(name.into())),
            b'p' => Some(SchemaKey::Property(name.into())),
            _ => None,
        }
    }
}

fn is_name(name: &str) -> bool {
    !matches!(name, "" | "/") && name.len() <= PROPERTY_NAME_BYTES_MAX
}

words! {
    /// What a property may hold.
    ValueType {
        /// Anything.
        Any = "any",
        /// True or false.
        Bool = "bool",
        /// An integer.
        Int = "int",
        /// A float.
        Float = "float",
        /// Text.
        Text = "text",
        /// Bytes.
        Bytes = "bytes",
        /// A link.
        Link = "link",
        /// A list.
        List = "list",
        /// A map.
        Map = "map",
    }
}

words! {
    /// How two changes of a property become one.
    MergeType {
        /// They do not: they are in conflict.
        Atomic = "atomic",
        /// A map from session to integer, read as the sum, merged key by key.
        Counter = "counter",
        /// A list of entries with ids; both sides' additions stay.
        AppendLog = "append-log",
        /// The later one stays.
        Lww = "lww",
    }
}

words! {
    /// How near two vectors are.
    Metric {
        /// By the angle between them.
        Cosine = "cosine",
        /// By their dot product.
        Dot = "dot",
        /// By the distance between them.
        L2 = "l2",
    }
}

/// What is agreed on a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// Its name.
    pub name: Arc<str>,
    /// What it may hold.
    pub value_type: ValueType,
    /// How changes become one.
    pub merge_type: MergeType,
    /// Whether it can be looked up by value.
    pub indexed: bool,
    /// Whether no two entities may have the same value.
    pub unique: bool,
    /// Fields of newer versions.
    pub unknown: Unknown,
}

impl Layout for Property {
    const KIND: &'static str = "property";
    const FIELDS: &'static [&'static str] = &["name", "value_type", "merge_type", "indexed", "unique"];

    fn write(&self, out: &mut FieldWriter) {
        out.field("name", |w| w.text(&self.name));
        out.field("value_type", |w| w.text(self.value_type.as_str()));
        out.field("merge_type", |w| w.text(self.merge_type.as_str()));
        out.field("indexed", |w| w.bool(self.indexed));
        out.field("unique", |w| w.bool(self.unique));
    }

    fn read(fields: &mut FieldReader<'_>) -> Result<Property, DecodeError> {
        Ok(Property {
            name: fields.required("name", fields::text)?,
            value_type: fields.required("value_type", |r| r.text().map(ValueType::from))?,
            merge_type: fields.required("merge_type", |r| r.text().map(MergeType::from))?,
            indexed: fields.required("indexed", Reader::bool)?,
            unique: fields.required("unique", Reader::bool)?,
            unknown: fields.rest(),
        })
    }

    fn check(&self) -> Result<(), Broken> {
        rule(is_name(&self.name), "name", "is empty, `/` or too long")
    }

    fn unknown(&self) -> &Unknown {
        &self.unknown
    }
}

/// A model of vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its name.
    pub name: Arc<str>,
    /// How many numbers a vector has.
    pub dim: u32,
    /// How near two vectors are.
    pub metric: Metric,
    /// Fields of newer versions.
    pub unknown: Unknown,
}

impl Layout for Model {
    const KIND: &'static str = "model";
    const FIELDS: &'static [&'static str] = &["name", "dim", "metric"];

    fn write(&self, out: &mut FieldWriter) {
        out.field("name", |w| w.text(&self.name));
        out.uint("dim", self.dim.into());
        out.field("metric", |w| w.text(self.metric.as_str()));
    }

    fn read(fields: &mut FieldReader<'_>) -> Result<Model, DecodeError> {
        Ok(Model {
            name: fields.required("name", fields::text)?,
            dim: fields.required("dim", fields::number)?,
            metric: fields.required("metric", |r| r.text().map(Metric::from))?,
            unknown: fields.rest(),
        })
    }

    fn check(&self) -> Result<(), Broken> {
        rule(is_name(&self.name), "name", "is empty, `/` or too long")?;
        rule(self.dim > 0, "dim", "is zero")
    }

    fn unknown(&self) -> &Unknown {
        &self.unknown
    }
}
