//! The one form of values for serde: what `--json` prints, and what queries are sent as.
//!
//! It is that of DAG-JSON: FORMAT.md, "Values as JSON". No map has the name `/`, so nothing else looks like bytes and
//! links.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::BASE64_NOPAD;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Float, List, Map, Props, VALUE_DEPTH_MAX, Value};
use crate::cid::Cid;

/// The name under which bytes and links stand.
const SLASH: &str = "/";

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Bool(it) => serializer.serialize_bool(*it),
            Value::Int(it) => serializer.serialize_i64(*it),
            Value::Float(it) => serializer.serialize_f64(it.get()),
            Value::Text(it) => serializer.serialize_str(it),
            Value::Bytes(it) => one_entry(serializer, SLASH, &Base64(it)),
            Value::Link(it) => one_entry(serializer, SLASH, &it.to_string()),
            Value::List(it) => {
                let mut items = serializer.serialize_seq(Some(it.len()))?;
                it.iter().try_for_each(|item| items.serialize_element(item))?;
                items.end()
            }
            Value::Map(it) => it.serialize(serializer),
        }
    }
}

impl Serialize for Map {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entries = serializer.serialize_map(Some(self.len()))?;
        self.iter().try_for_each(|(name, value)| entries.serialize_entry(name, value))?;
        entries.end()
    }
}

impl Serialize for Props {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_map().serialize(serializer)
    }
}

struct Base64<'a>(&'a Bytes);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        one_entry(serializer, "bytes", &BASE64_NOPAD.encode(self.0))
    }
}

fn one_entry<S: Serializer>(serializer: S, name: &str, value: &impl Serialize) -> Result<S::Ok, S::Error> {
    let mut entries = serializer.serialize_map(Some(1))?;
    entries.serialize_entry(name, value)?;
    entries.end()
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        Levels(VALUE_DEPTH_MAX).deserialize(deserializer)
    }
}

impl<'de> Deserialize<'de> for Props {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Props, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Map(map) => Props::try_from(map).map_err(D::Error::custom),
            other => Err(D::Error::custom(format_args!("properties are a map, not {}", other.kind()))),
        }
    }
}

/// Reads a value in which so many more lists and maps may nest: whoever sent it cannot exhaust the stack.
struct Levels(usize);

impl Levels {
    fn enter<E: Error>(&self) -> Result<usize, E> {
        let too_deep = || E::custom(format_args!("lists and maps nest at most {VALUE_DEPTH_MAX} deep"));
        self.0.checked_sub(1).ok_or_else(too_deep)
    }
}

impl<'de> DeserializeSeed<'de> for Levels {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Levels {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, which null is not")
    }

    fn visit_bool<E: Error>(self, it: bool) -> Result<Value, E> {
        Ok(Value::Bool(it))
    }

    fn visit_i64<E: Error>(self, it: i64) -> Result<Value, E> {
        Ok(Value::Int(it))
    }

    fn visit_u64<E: Error>(self, it: u64) -> Result<Value, E> {
        Value::try_from(it).map_err(E::custom)
    }

    fn visit_f64<E: Error>(self, it: f64) -> Result<Value, E> {
        Float::new(it).map(Value::Float).map_err(E::custom)
    }

    fn visit_str<E: Error>(self, it: &str) -> Result<Value, E> {
        Ok(Value::from(it))
    }

    fn visit_string<E: Error>(self, it: String) -> Result<Value, E> {
        Ok(Value::from(it))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let levels = self.enter()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Levels(levels))? {
            items.push(item);
        }
        List::new(items).map(Value::List).map_err(A::Error::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let levels = self.enter()?;
        let mut entries: Vec<(Arc<str>, Value)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == SLASH && entries.is_empty() {
                let value = map.next_value_seed(Slash)?;
                return only(&mut map, value);
            }
            entries.push((name.into(), map.next_value_seed(Levels(levels))?));
        }
        let found = entries.len();
        let map = Map::new(entries).map_err(A::Error::custom)?;
        if map.len() != found {
            return Err(A::Error::custom("a name stands twice in one map"));
        }
        Ok(Value::Map(map))
    }
}

/// Refuses further entries beside one that means the whole map.
fn only<'de, A: MapAccess<'de>>(map: &mut A, value: Value) -> Result<Value, A::Error> {
    match map.next_key::<String>()? {
        None => Ok(value),
        Some(_) => Err(A::Error::custom("`/` and `bytes` of a link or bytes stand alone")),
    }
}

/// What stands under `/`.
struct Slash;

impl<'de> DeserializeSeed<'de> for Slash {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Slash {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text of a CID, or `bytes` in base64 without padding")
    }

    fn visit_str<E: Error>(self, it: &str) -> Result<Value, E> {
        it.parse::<Cid>().map(Value::Link).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        if map.next_key::<String>()?.as_deref() != Some("bytes") {
            return Err(A::Error::invalid_value(Unexpected::Map, &self));
        }
        let text: String = map.next_value()?;
        let bytes = BASE64_NOPAD.decode(text.as_bytes()).map_err(A::Error::custom)?;
        only(&mut map, Value::Bytes(bytes.into()))
    }
}
