//! Values and their bytes.

use std::sync::Arc;

use bytes::Bytes;

use super::{Float, List, Map, Props, VALUE_DEPTH_MAX, Value, ValueError};
use crate::codec::{DecodeError, Kind, Malformed, Reader, Writer};

impl Value {
    /// Writes the one encoding.
    pub fn write(&self, writer: &mut Writer) {
        match self {
            Value::Bool(it) => writer.bool(*it),
            Value::Int(it) => writer.int(*it),
            Value::Float(it) => writer.float(it.get()),
            Value::Text(it) => writer.text(it),
            Value::Bytes(it) => writer.bytes(it),
            Value::Link(it) => writer.link(it),
            Value::List(it) => {
                writer.list(it.len());
                it.iter().for_each(|item| item.write(writer));
            }
            Value::Map(it) => it.write(writer),
        }
    }

    /// Returns the one encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        self.write(&mut writer);
        writer.into_bytes()
    }

    /// Reads the next item. Null is no value.
    pub fn read(reader: &mut Reader<'_>) -> Result<Value, DecodeError> {
        read(reader, VALUE_DEPTH_MAX)
    }

    /// Reads what [`encode`](Self::encode) made.
    pub fn decode(bytes: &[u8]) -> Result<Value, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = Value::read(&mut reader)?;
        reader.end()?;
        Ok(value)
    }
}

impl Map {
    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.map(self.len());
        for (name, value) in self.iter() {
            writer.text(name);
            value.write(writer);
        }
    }
}

impl Props {
    /// Writes the one encoding.
    pub fn write(&self, writer: &mut Writer) {
        self.as_map().write(writer);
    }

    /// Reads the next item.
    pub fn read(reader: &mut Reader<'_>) -> Result<Props, DecodeError> {
        let at = reader.at();
        // Properties are a map like any other: with their values they nest as deep as one value may.
        let entries = read_entries(reader, VALUE_DEPTH_MAX)?;
        Props::from_entries(entries).map_err(|why| refused(at, &why))
    }
}

/// `levels`: how many more lists and maps may be entered.
fn read(reader: &mut Reader<'_>, levels: usize) -> Result<Value, DecodeError> {
    let at = reader.at();
    Ok(match reader.kind()? {
        Kind::Bool => Value::Bool(reader.bool()?),
        Kind::Int => Value::Int(reader.int()?),
        Kind::Float => Value::Float(Float::new(reader.float()?).map_err(|why| refused(at, &why))?),
        Kind::Text => Value::Text(reader.text()?.into()),
        Kind::Bytes => Value::Bytes(Bytes::copy_from_slice(reader.bytes()?)),
        Kind::Link => Value::Link(reader.link()?),
        Kind::List => {
            let levels = enter(reader, levels)?;
            let items = (0..reader.list()?).map(|_| read(reader, levels)).collect::<Result<Vec<_>, _>>()?;
            Value::List(List::new(items).map_err(|why| refused(at, &why))?)
        }
        Kind::Map => Value::Map(Map::new(read_entries(reader, levels)?).map_err(|why| refused(at, &why))?),
        Kind::Null => {
            return Err(reader.error(Malformed::Expected { expected: "a value, which null is not" }));
        }
    })
}

fn read_entries(reader: &mut Reader<'_>, levels: usize) -> Result<Vec<(Arc<str>, Value)>, DecodeError> {
    let levels = enter(reader, levels)?;
    let mut keys = reader.map()?;
    let mut entries = Vec::new();
    while let Some(name) = keys.next(reader)? {
        entries.push((name.into(), read(reader, levels)?));
    }
    Ok(entries)
}

fn enter(reader: &Reader<'_>, levels: usize) -> Result<usize, DecodeError> {
    levels.checked_sub(1).ok_or_else(|| reader.error(Malformed::Depth))
}

/// The rules of values are checked by their constructors: what those refuse is an error at the value's first byte.
fn refused(at: usize, why: &ValueError) -> DecodeError {
    let what = match why {
        ValueError::TooDeep => Malformed::Depth,
        ValueError::NotFinite { .. } => Malformed::Float,
        ValueError::TooLong { .. } => Malformed::Field { name: "props", why: "a name is too long" },
        _ => Malformed::KeyReserved,
    };
    DecodeError { what, at }
}
