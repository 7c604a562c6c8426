//! From Rust's types to values, and back.

use std::sync::Arc;

use bytes::Bytes;

use super::{Float, List, Map, Value, ValueError};
use crate::cid::Cid;

macro_rules! value_from {
    ($($from:ty: |$it:ident| $value:expr;)*) => {$(
        impl From<$from> for Value {
            fn from($it: $from) -> Value {
                $value
            }
        }
    )*};
}

value_from! {
    bool: |it| Value::Bool(it);
    i8: |it| Value::Int(it.into());
    i16: |it| Value::Int(it.into());
    i32: |it| Value::Int(it.into());
    i64: |it| Value::Int(it);
    u8: |it| Value::Int(it.into());
    u16: |it| Value::Int(it.into());
    u32: |it| Value::Int(it.into());
    Float: |it| Value::Float(it);
    &str: |it| Value::Text(it.into());
    &String: |it| Value::Text(it.as_str().into());
    String: |it| Value::Text(it.into());
    Arc<str>: |it| Value::Text(it);
    &[u8]: |it| Value::Bytes(Bytes::copy_from_slice(it));
    Vec<u8>: |it| Value::Bytes(it.into());
    Bytes: |it| Value::Bytes(it);
    Cid: |it| Value::Link(it);
    List: |it| Value::List(it);
    Map: |it| Value::Map(it);
    &Value: |it| it.clone();
}

macro_rules! value_try_from {
    ($($from:ty: |$it:ident| $value:expr;)*) => {$(
        impl TryFrom<$from> for Value {
            type Error = ValueError;

            fn try_from($it: $from) -> Result<Value, ValueError> {
                $value
            }
        }
    )*};
}

value_try_from! {
    f64: |it| Float::new(it).map(Value::Float);
    f32: |it| Float::new(it.into()).map(Value::Float);
    u64: |it| int(it);
    usize: |it| int(it);
    i128: |it| int(it);
    Vec<Value>: |it| List::new(it).map(Value::List);
    Vec<i64>: |it| list(it);
    Vec<f64>: |it| list(it);
    Vec<String>: |it| list(it);
    Vec<&str>: |it| list(it);
    &[&str]: |it| list(it.iter().copied());
}

impl<const N: usize> TryFrom<[&str; N]> for Value {
    type Error = ValueError;

    fn try_from(items: [&str; N]) -> Result<Value, ValueError> {
        list(items)
    }
}

fn int<T: TryInto<i64> + Copy + ToString>(number: T) -> Result<Value, ValueError> {
    number.try_into().map(Value::Int).map_err(|_| ValueError::OutOfRange { found: number.to_string() })
}

fn list<T>(items: impl IntoIterator<Item = T>) -> Result<Value, ValueError>
where
    T: TryInto<Value>,
    ValueError: From<T::Error>,
{
    let items = items.into_iter().map(T::try_into).collect::<Result<Vec<Value>, _>>()?;
    List::new(items).map(Value::List)
}

/// What a property can be read as. Nothing is converted: 1 is no float, 1.0 no integer.
pub trait FromValue<'a>: Sized {
    /// What is expected, in words.
    const EXPECTED: &'static str;

    /// Reads a value; `None` if it is of another type or out of range.
    fn from_value(value: &'a Value) -> Option<Self>;

    /// Returns what stands for an absent property, if anything does.
    fn absent() -> Option<Self>;
}

macro_rules! from_value {
    ($($to:ty, $expected:literal: $pattern:pat => $it:expr;)*) => {$(
        impl<'a> FromValue<'a> for $to {
            const EXPECTED: &'static str = $expected;

            fn from_value(value: &'a Value) -> Option<Self> {
                match value {
                    $pattern => $it,
                    _ => None,
                }
            }

            fn absent() -> Option<Self> {
                None
            }
        }
    )*};
}

from_value! {
    bool, "bool": Value::Bool(it) => Some(*it);
    i64, "int": Value::Int(it) => Some(*it);
    i32, "an int of 32 bits": Value::Int(it) => (*it).try_into().ok();
    u32, "an int of 32 bits without sign": Value::Int(it) => (*it).try_into().ok();
    u64, "an int without sign": Value::Int(it) => (*it).try_into().ok();
    usize, "an int without sign": Value::Int(it) => (*it).try_into().ok();
    f64, "float": Value::Float(it) => Some(it.get());
    Float, "float": Value::Float(it) => Some(*it);
    &'a str, "text": Value::Text(it) => Some(it);
    String, "text": Value::Text(it) => Some(it.as_ref().to_owned());
    Arc<str>, "text": Value::Text(it) => Some(it.clone());
    &'a [u8], "bytes": Value::Bytes(it) => Some(it);
    Bytes, "bytes": Value::Bytes(it) => Some(it.clone());
    Cid, "link": Value::Link(it) => Some(*it);
    &'a List, "list": Value::List(it) => Some(it);
    List, "list": Value::List(it) => Some(it.clone());
    &'a Map, "map": Value::Map(it) => Some(it);
    Map, "map": Value::Map(it) => Some(it.clone());
}

impl<'a> FromValue<'a> for &'a Value {
    const EXPECTED: &'static str = "a value";

    fn from_value(value: &'a Value) -> Option<Self> {
        Some(value)
    }

    fn absent() -> Option<Self> {
        None
    }
}

impl<'a> FromValue<'a> for Value {
    const EXPECTED: &'static str = "a value";

    fn from_value(value: &'a Value) -> Option<Self> {
        Some(value.clone())
    }

    fn absent() -> Option<Self> {
        None
    }
}

impl<'a, T: FromValue<'a>> FromValue<'a> for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_value(value: &'a Value) -> Option<Self> {
        T::from_value(value).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}
