//! Schema entries: what is agreed on properties and on models of vectors.
//!
//! The schema is a map from [`SchemaKey`] to the CID of such an entry.

use std::sync::Arc;

use super::Unknown;
use super::fields::{self, Broken, FieldReader, FieldWriter, Layout, rule};
use super::word::words;
use super::{Object, ObjectError};
use crate::block::Block;
use crate::codec::{DecodeError, Malformed, Reader};
use crate::value::{PROPERTY_NAME_BYTES_MAX, Value, ValueError};

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
        /// The greater one stays.
        Max = "max",
        /// The lesser one stays.
        Min = "min",
        /// A list without order: what one side put in or took out is put in or taken out.
        Set = "set",
        /// The later one stays.
        Lww = "lww",
        /// Text, merged line by line.
        Text = "text",
        /// A list of entries with ids; both sides' additions stay.
        AppendLog = "append-log",
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
    /// Whether no two nodes may have the same value.
    pub unique: bool,
    /// Whether nodes can be found by the words of its text.
    pub words: bool,
    /// Fields of newer versions.
    pub unknown: Unknown,
}

impl Property {
    /// Agrees on a type. Changes of both sides of a merge are in conflict, and there is no index: unless one says so.
    pub fn new(name: &str, value_type: ValueType) -> Property {
        Property {
            name: name.into(),
            value_type,
            merge_type: MergeType::Atomic,
            indexed: false,
            unique: false,
            words: false,
            unknown: Unknown::default(),
        }
    }

    /// The same, looked up by value.
    pub fn indexed(self) -> Property {
        Property { indexed: true, ..self }
    }

    /// The same, with no value at two nodes.
    pub fn unique(self) -> Property {
        Property { unique: true, ..self }
    }

    /// The same, found by its words.
    pub fn with_words(self) -> Property {
        Property { words: true, ..self }
    }

    /// The same, merged in another way.
    pub fn merged(self, merge_type: MergeType) -> Property {
        Property { merge_type, ..self }
    }

    /// Says whether an index of the property's values is kept: what is unique is looked up too.
    pub const fn is_looked_up(&self) -> bool {
        self.indexed || self.unique
    }

    /// Refuses a value of another type than was agreed on. Types of newer versions admit everything.
    pub fn check_value(&self, value: &Value) -> Result<(), ValueError> {
        let known = ValueType::KNOWN.iter().find(|known| **known == self.value_type);
        match known {
            None | Some(ValueType::Any) => Ok(()),
            Some(known) if known.as_str() == value.kind() => Ok(()),
            Some(known) => Err(ValueError::WrongType {
                property: self.name.to_string(),
                expected: known.as_str(),
                found: value.kind(),
            }),
        }
    }
}

impl Layout for Property {
    const KIND: &'static str = "property";
    const FIELDS: &'static [&'static str] =
        &["name", "value_type", "merge_type", "indexed", "unique", "words"];

    fn write(&self, out: &mut FieldWriter) {
        out.field("name", |w| w.text(&self.name));
        out.field("value_type", |w| w.text(self.value_type.as_str()));
        out.field("merge_type", |w| w.text(self.merge_type.as_str()));
        out.field("indexed", |w| w.bool(self.indexed));
        out.field("unique", |w| w.bool(self.unique));
        out.field("words", |w| w.bool(self.words));
    }

    fn read(fields: &mut FieldReader<'_>) -> Result<Property, DecodeError> {
        Ok(Property {
            name: fields.required("name", fields::text)?,
            value_type: fields.required("value_type", |r| r.text().map(ValueType::from))?,
            merge_type: fields.required("merge_type", |r| r.text().map(MergeType::from))?,
            indexed: fields.required("indexed", Reader::bool)?,
            unique: fields.required("unique", Reader::bool)?,
            words: fields.required("words", Reader::bool)?,
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

impl Model {
    /// Agrees on a model.
    pub fn new(name: &str, dim: u32, metric: Metric) -> Model {
        Model { name: name.into(), dim, metric, unknown: Unknown::default() }
    }
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

/// One entry of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaEntry {
    /// What is agreed on a property.
    Property(Property),
    /// A model of vectors.
    Model(Model),
}

impl SchemaEntry {
    /// Returns where it stands.
    pub fn key(&self) -> SchemaKey {
        match self {
            SchemaEntry::Property(property) => SchemaKey::Property(Arc::clone(&property.name)),
            SchemaEntry::Model(model) => SchemaKey::Model(Arc::clone(&model.name)),
        }
    }

    /// Encodes and hashes it.
    pub fn to_block(&self) -> Result<Block, ObjectError> {
        match self {
            SchemaEntry::Property(property) => property.to_block(),
            SchemaEntry::Model(model) => model.to_block(),
        }
    }

    /// Reads the entry that stands at `key`.
    pub fn from_block(key: &SchemaKey, block: &Block) -> Result<SchemaEntry, DecodeError> {
        let entry = match key {
            SchemaKey::Property(_) => SchemaEntry::Property(Property::from_block(block)?),
            SchemaKey::Model(_) => SchemaEntry::Model(Model::from_block(block)?),
        };
        let why = "is not the one that it stands under";
        let what = Malformed::Field { name: "name", why };
        if entry.key() == *key { Ok(entry) } else { Err(DecodeError { what, at: 0 }) }
    }
}

impl From<Property> for SchemaEntry {
    fn from(property: Property) -> SchemaEntry {
        SchemaEntry::Property(property)
    }
}

impl From<Model> for SchemaEntry {
    fn from(model: Model) -> SchemaEntry {
        SchemaEntry::Model(model)
    }
}
