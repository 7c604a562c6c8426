//! Reads canonical DAG-CBOR, item by item, under the house rules.

use super::walk;
use super::{DecodeError, Malformed, Rules, key_order};
use crate::cid::Cid;

/// What the next item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An integer.
    Int,
    /// A byte string.
    Bytes,
    /// Text.
    Text,
    /// A list.
    List,
    /// A map.
    Map,
    /// A link.
    Link,
    /// True or false.
    Bool,
    /// Null.
    Null,
    /// A float.
    Float,
}

/// Reads items off the front of a block. Nothing is copied and nothing is allocated: a claimed length is checked
/// against the bytes that are there before anything is done with it.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub const fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0 }
    }

    /// Returns where the next item starts.
    pub const fn at(&self) -> usize {
        self.at
    }

    /// Returns an error that points at the next item.
    pub const fn error(&self, what: Malformed) -> DecodeError {
        DecodeError { what, at: self.at }
    }

    /// Ends reading: all bytes must have been read.
    pub fn end(self) -> Result<(), DecodeError> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.error(Malformed::Trailing)) }
    }

    /// Says what the next item is, without reading it.
    pub fn kind(&self) -> Result<Kind, DecodeError> {
        let Some(first) = self.bytes.get(self.at) else { return Err(self.error(Malformed::Truncated)) };
        match first >> 5 {
            0 | 1 => Ok(Kind::Int),
            2 => Ok(Kind::Bytes),
            3 => Ok(Kind::Text),
            4 => Ok(Kind::List),
            5 => Ok(Kind::Map),
            6 => Ok(Kind::Link),
            _ => match first {
                0xf4 | 0xf5 => Ok(Kind::Bool),
                0xf6 => Ok(Kind::Null),
                0xfb => Ok(Kind::Float),
                0xf9 | 0xfa => Err(self.error(Malformed::Float)),
                _ => Err(self.error(Malformed::Simple)),
            },
        }
    }

    /// Reads one byte and the argument that it announces.
    fn head(&mut self, major: u8, expected: &'static str) -> Result<u64, DecodeError> {
        let Some(first) = self.bytes.get(self.at) else { return Err(self.error(Malformed::Truncated)) };
        if first >> 5 != major {
            return Err(self.error(Malformed::Expected { expected }));
        }
        let (value, next) = walk::argument(self.bytes, self.at)?;
        self.at = next;
        Ok(value)
    }

    fn take(&mut self, start: usize, length: u64) -> Result<&'a [u8], DecodeError> {
        let slice = walk::slice(self.bytes, self.at, length)
            .ok_or(DecodeError { what: Malformed::Truncated, at: start })?;
        self.at += slice.len();
        Ok(slice)
    }

    /// Reads a number.
    pub fn uint(&mut self) -> Result<u64, DecodeError> {
        self.head(0, "a number")
    }

    /// Reads a number with sign.
    pub fn int(&mut self) -> Result<i64, DecodeError> {
        let start = self.at;
        let negative = self.bytes.get(self.at).is_some_and(|first| first >> 5 == 1);
        let magnitude = self.head(u8::from(negative), "an integer")?;
        let value =
            i64::try_from(magnitude).map_err(|_| DecodeError { what: Malformed::IntegerRange, at: start })?;
        Ok(if negative { -1 - value } else { value })
    }

    /// Reads a float.
    pub fn float(&mut self) -> Result<f64, DecodeError> {
        if self.kind()? != Kind::Float {
            return Err(self.error(Malformed::Expected { expected: "a float" }));
        }
        let value = walk::float(self.bytes, self.at)?;
        self.at += 9;
        Ok(value)
    }

    /// Reads true or false.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        match self.kind()? {
            Kind::Bool => {
                self.at += 1;
                Ok(self.bytes[self.at - 1] == 0xf5)
            }
            _ => Err(self.error(Malformed::Expected { expected: "true or false" })),
        }
    }

    /// Reads null.
    pub fn null(&mut self) -> Result<(), DecodeError> {
        match self.kind()? {
            Kind::Null => {
                self.at += 1;
                Ok(())
            }
            _ => Err(self.error(Malformed::Expected { expected: "null" })),
        }
    }

    /// Reads a byte string.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let start = self.at;
        let length = self.head(2, "bytes")?;
        self.take(start, length)
    }

    /// Reads text.
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        let start = self.at;
        let length = self.head(3, "text")?;
        let bytes = self.take(start, length)?;
        str::from_utf8(bytes).map_err(|_| DecodeError { what: Malformed::Utf8, at: start })
    }

    /// Reads a link.
    pub fn link(&mut self) -> Result<Cid, DecodeError> {
        if self.kind()? != Kind::Link {
            return Err(self.error(Malformed::Expected { expected: "a link" }));
        }
        let (cid, next) = walk::link(self.bytes, self.at)?;
        let cid = Cid::from_bytes(cid).map_err(|why| self.error(Malformed::Link(why)))?;
        self.at = next;
        Ok(cid)
    }

    /// Enters a list and returns how many items follow. Each is at least one byte, so the count is bounded by the
    /// bytes that are left and may be allocated for.
    pub fn list(&mut self) -> Result<usize, DecodeError> {
        let start = self.at;
        let count = self.head(4, "a list")?;
        walk::count(self.bytes, self.at, count, 1)
            .ok_or(DecodeError { what: Malformed::Truncated, at: start })
    }

    /// Enters a map and returns a reader of its keys.
    pub fn map(&mut self) -> Result<Keys<'a>, DecodeError> {
        let start = self.at;
        let count = self.head(5, "a map")?;
        let left = walk::count(self.bytes, self.at, count, 2)
            .ok_or(DecodeError { what: Malformed::Truncated, at: start })?;
        Ok(Keys { left, previous: None })
    }

    /// Checks the next item, whatever it is, and returns its encoding. It may nest `depth` levels deep.
    pub fn item(&mut self, depth: usize) -> Result<&'a [u8], DecodeError> {
        let start = self.at;
        self.at = walk::item(self.bytes, self.at, Rules::House, depth, |_, _| Ok(()))?;
        Ok(&self.bytes[start..self.at])
    }
}

/// The keys of one map, in their order. After each key the caller reads its value from the [`Reader`].
#[derive(Clone, Debug)]
pub struct Keys<'a> {
    left: usize,
    previous: Option<&'a str>,
}

impl<'a> Keys<'a> {
    /// Returns how many entries are left.
    pub const fn left(&self) -> usize {
        self.left
    }

    /// Reads the next key; `None` at the end of the map.
    pub fn next(&mut self, reader: &mut Reader<'a>) -> Result<Option<&'a str>, DecodeError> {
        if self.left == 0 {
            return Ok(None);
        }
        let at = reader.at();
        if reader.kind()? != Kind::Text {
            return Err(DecodeError { what: Malformed::KeyType, at });
        }
        let key = reader.text()?;
        if self.previous.is_some_and(|previous| key_order(previous, key).is_ge()) {
            return Err(DecodeError { what: Malformed::KeyOrder, at });
        }
        if matches!(key, "" | "/") {
            return Err(DecodeError { what: Malformed::KeyReserved, at });
        }
        self.left -= 1;
        self.previous = Some(key);
        Ok(Some(key))
    }
}
