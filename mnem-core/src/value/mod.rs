//! What a property can hold: plain data with one encoding, one equality and one order.
//!
//! Bytes: FORMAT.md, "Values".
//!
//! Invariants
//!  V1  Every value has a canonical encoding: no float is NaN, infinite or minus zero, no map key is empty or `/`.
//!  V2  Lists and maps nest at most [`VALUE_DEPTH_MAX`] levels, so every recursion over a value, dropping included,
//!      is bounded, and an object that holds values stays within [`DEPTH_MAX`](crate::codec::DEPTH_MAX).
//!  V3  Two values are equal exactly if their encodings are: 1 and 1.0 differ.
//!  V4  The order is total: first by kind, in the order of [`Value`]'s variants; then false before true, numbers by
//!      size, text and bytes by bytes, links as CIDs, lists and maps entry by entry. Within a kind it is the order of
//!      the index keys, as far as those hold the whole value.
//!
//! Used by: `object` (properties), `key` (index keys). Cloning a value copies no content.

mod codec;
mod convert;
mod display;
mod error;
mod float;
mod json;
mod list;
mod map;
mod number;
mod props;

use std::sync::Arc;

use bytes::Bytes;

use crate::cid::Cid;

pub use convert::FromValue;
pub use error::ValueError;
pub use float::Float;
pub use list::List;
pub use map::Map;
pub use number::compare_numbers;
pub(crate) use number::{compare_int_float, whole};
pub use props::{IntoProps, PROPERTY_NAME_BYTES_MAX, Props};

/// How deep the lists and maps of one value may nest. Less than
/// [`DEPTH_MAX`](crate::codec::DEPTH_MAX), by the levels that objects put around their values.
pub const VALUE_DEPTH_MAX: usize = 120;

/// One value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A finite number.
    Float(Float),
    /// Text.
    Text(Arc<str>),
    /// Bytes.
    Bytes(Bytes),
    /// A link to a block.
    Link(Cid),
    /// Values in an order.
    List(List),
    /// Values under names.
    Map(Map),
}

impl Value {
    /// Returns a word for the kind of value.
    pub const fn kind(&self) -> &'static str {
        match self {
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::Text(_) => "text",
            Value::Bytes(_) => "bytes",
            Value::Link(_) => "link",
            Value::List(_) => "list",
            Value::Map(_) => "map",
        }
    }

    /// Returns how many levels of lists and maps there are: none in a plain value, one in an empty list.
    pub fn depth(&self) -> usize {
        match self {
            Value::List(list) => list.depth(),
            Value::Map(map) => map.depth(),
            _ => 0,
        }
    }
}

/// Returns the depth of a list or map of `values`, if it is allowed.
fn depth_around<'a>(values: impl IntoIterator<Item = &'a Value>) -> Result<u8, ValueError> {
    let inner = values.into_iter().map(Value::depth).max().unwrap_or(0);
    match u8::try_from(inner + 1) {
        Ok(depth) if usize::from(depth) <= VALUE_DEPTH_MAX => Ok(depth),
        _ => Err(ValueError::TooDeep),
    }
}
