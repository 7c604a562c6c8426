//! Keys by which entities are found by the value of a property.

use bytes::Bytes;

use super::{escape, put_text, take_text, unescape};
use crate::cid::{CID_BYTES, Cid};
use crate::value::{Float, PROPERTY_NAME_BYTES_MAX, Value};

/// Text and bytes up to this length stand in a key whole. Of longer ones it has this many bytes and a hash.
pub const WHOLE_BYTES_MAX: usize = 256;

/// Kinds of value, in the order of their keys.
pub(super) mod tag {
    pub(in crate::key) const FALSE: u8 = 0x01;
    pub(in crate::key) const TRUE: u8 = 0x02;
    pub(in crate::key) const INT: u8 = 0x10;
    pub(in crate::key) const FLOAT: u8 = 0x11;
    pub(in crate::key) const TEXT: u8 = 0x20;
    pub(in crate::key) const BYTES: u8 = 0x21;
    pub(in crate::key) const LINK: u8 = 0x30;
}

/// Follows the bytes of a value that was cut, where a whole one has its end: greater than any end.
pub(super) const CUT: [u8; 2] = [0xff, 0xff];

/// One key of a property index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyKey {
    /// The property's name.
    pub property: String,
    /// The value, or one element of a list.
    pub value: KeyValue,
    /// The node or edge that has it.
    pub id: [u8; 16],
}

/// What a key says of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyValue {
    /// The value itself.
    Whole(Value),
    /// The start of a value that is too long.
    Cut {
        /// Whether it is text; else bytes.
        text: bool,
        /// Its first [`WHOLE_BYTES_MAX`] bytes. They may end within a character.
        start: Bytes,
        /// First half of the BLAKE3 hash of all of it.
        hash: [u8; 16],
    },
}

/// Says whether a key holds all of `value`. If not, equal keys do not prove equal values.
pub fn is_whole(value: &Value) -> bool {
    match value {
        Value::Text(text) => text.len() <= WHOLE_BYTES_MAX,
        Value::Bytes(bytes) => bytes.len() <= WHOLE_BYTES_MAX,
        _ => true,
    }
}

impl PropertyKey {
    /// Returns the keys under which an entity is found whose `property` is `value`: one, or one for each distinct
    /// element of a list. Maps and lists within lists are not indexed.
    pub fn keys_of(property: &str, value: &Value, id: &[u8; 16]) -> Vec<Vec<u8>> {
        let elements = match value {
            Value::List(list) => list,
            value => std::slice::from_ref(value),
        };
        let mut keys: Vec<_> = elements.iter().filter_map(|value| key_of(property, value, id)).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Reads a key; `None` if no value has it.
    pub fn from_key(key: &[u8]) -> Option<PropertyKey> {
        let (rest, id) = key.split_last_chunk::<16>()?;
        let (property, rest) = take_text(rest, PROPERTY_NAME_BYTES_MAX)?;
        let value = take_value(rest)?;
        Some(PropertyKey { property, value, id: *id })
    }
}

fn key_of(property: &str, value: &Value, id: &[u8; 16]) -> Option<Vec<u8>> {
    let mut key = Vec::with_capacity(64);
    put_text(property, &mut key);
    put_value(value, &mut key)?;
    key.extend(id);
    Some(key)
}

/// Appends tag and value; `None` if such values are not indexed.
pub(super) fn put_value(value: &Value, key: &mut Vec<u8>) -> Option<()> {
    match value {
        Value::Bool(false) => key.push(tag::FALSE),
        Value::Bool(true) => key.push(tag::TRUE),
        Value::Int(int) => {
            key.push(tag::INT);
            key.extend((int.cast_unsigned() ^ 1 << 63).to_be_bytes());
        }
        Value::Float(float) => {
            key.push(tag::FLOAT);
            key.extend(ordered_bits(*float).to_be_bytes());
        }
        Value::Text(text) => put_string(tag::TEXT, text.as_bytes(), key),
        Value::Bytes(bytes) => put_string(tag::BYTES, bytes, key),
        Value::Link(cid) => {
            key.push(tag::LINK);
            key.extend(cid.to_bytes());
        }
        Value::List(_) | Value::Map(_) => return None,
    }
    Some(())
}

fn put_string(tag: u8, bytes: &[u8], key: &mut Vec<u8>) {
    key.push(tag);
    if bytes.len() <= WHOLE_BYTES_MAX {
        escape(bytes, key);
        super::end(key);
    } else {
        escape(&bytes[..WHOLE_BYTES_MAX], key);
        key.extend(CUT);
        key.extend(hash16(bytes));
    }
}

fn hash16(bytes: &[u8]) -> [u8; 16] {
    *blake3::hash(bytes).as_bytes().first_chunk().expect("a hash has 32 bytes")
}

/// Bits whose order as a number is the order of floats: all flipped below zero, else the sign.
fn ordered_bits(float: Float) -> u64 {
    let bits = float.get().to_bits();
    if bits >> 63 == 1 { !bits } else { bits ^ 1 << 63 }
}

fn from_ordered_bits(bits: u64) -> Option<Float> {
    let bits = if bits >> 63 == 1 { bits ^ 1 << 63 } else { !bits };
    let number = f64::from_bits(bits);
    // Minus zero would come back as zero, which has another key.
    Float::new(number).ok().filter(|float| float.get().to_bits() == bits)
}

fn take_value(bytes: &[u8]) -> Option<KeyValue> {
    let (tag, rest) = bytes.split_first()?;
    let whole = |value| Some(KeyValue::Whole(value));
    match *tag {
        tag::FALSE | tag::TRUE if rest.is_empty() => whole(Value::Bool(*tag == tag::TRUE)),
        tag::INT => {
            let bits = u64::from_be_bytes(rest.try_into().ok()?);
            whole(Value::Int((bits ^ 1 << 63).cast_signed()))
        }
        tag::FLOAT => {
            from_ordered_bits(u64::from_be_bytes(rest.try_into().ok()?)).and_then(|it| whole(it.into()))
        }
        tag::TEXT => take_string(rest, true),
        tag::BYTES => take_string(rest, false),
        tag::LINK if rest.len() == CID_BYTES => whole(Value::Link(Cid::from_bytes(rest).ok()?)),
        _ => None,
    }
}

fn take_string(rest: &[u8], text: bool) -> Option<KeyValue> {
    let (bytes, rest) = unescape(rest, WHOLE_BYTES_MAX)?;
    if let Some(hash) = rest.strip_prefix(&CUT) {
        let (start, hash) = (Bytes::from(bytes), hash.try_into().ok()?);
        return (start.len() == WHOLE_BYTES_MAX).then_some(KeyValue::Cut { text, start, hash });
    }
    if rest != [0, 0] {
        return None;
    }
    Some(KeyValue::Whole(match text {
        true => Value::from(String::from_utf8(bytes).ok()?),
        false => Value::from(bytes),
    }))
}
