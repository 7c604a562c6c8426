//! Reads canonical DAG-CBOR, item by item, under the house rules.

use super::walk;
use super::{DecodeError, Malformed, Rules};
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

    /// Starts at byte `at`, so that errors name the place in the whole block.
    pub(crate) const fn starting_at(bytes: &'a [u8], at: usize) -> Reader<'a> {
        Reader { bytes, at }
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
                _ => Err(self.error(walk::not_simple(*first))),
            },
        }
    }

    /// Refuses what does not begin as an item of this major type.
    fn expect(&self, major: u8, expected: &'static str) -> Result<(), DecodeError> {
        match self.bytes.get(self.at) {
            None => Err(self.error(Malformed::Truncated)),
            Some(first) if first >> 5 == major => Ok(()),
            Some(_) => Err(self.error(Malformed::Expected { expected })),
        }
    }

    /// Steps over what was read.
    fn step<T>(&mut self, (value, next): (T, usize)) -> T {
        self.at = next;
        value
    }

    fn integer(&mut self, major: u8, expected: &'static str) -> Result<i64, DecodeError> {
        self.expect(major, expected)?;
        let (value, next) = walk::argument(self.bytes, self.at)?;
        let value = i64::try_from(value).map_err(|_| self.error(Malformed::IntegerRange))?;
        Ok(self.step((value, next)))
    }

    /// Reads a number. As every integer of our own objects it fits `i64`.
    pub fn uint(&mut self) -> Result<u64, DecodeError> {
        self.integer(0, "a number").map(i64::unsigned_abs)
    }

    /// Reads a number with sign.
    pub fn int(&mut self) -> Result<i64, DecodeError> {
        if self.bytes.get(self.at).is_some_and(|first| first >> 5 == 1) {
            self.integer(1, "an integer").map(|value| -1 - value)
        } else {
            self.integer(0, "an integer")
        }
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
        self.expect(2, "bytes")?;
        let read = walk::string(self.bytes, self.at)?;
        Ok(self.step(read))
    }

    /// Reads text.
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        self.expect(3, "text")?;
        let read = walk::text(self.bytes, self.at)?;
        Ok(self.step(read))
    }

    /// Reads a link.
    pub fn link(&mut self) -> Result<Cid, DecodeError> {
        self.expect(6, "a link")?;
        let (cid, next) = walk::link(self.bytes, self.at)?;
        let cid = Cid::from_bytes(cid).map_err(|why| self.error(Malformed::Link(why)))?;
        Ok(self.step((cid, next)))
    }

    /// Enters a list and returns how many items follow. Each is at least one byte, so the count is bounded by the
    /// bytes that are left and may be allocated for.
    pub fn list(&mut self) -> Result<usize, DecodeError> {
        self.expect(4, "a list")?;
        let read = walk::container(self.bytes, self.at, 1)?;
        Ok(self.step(read))
    }

    /// Enters a map and returns a reader of its keys.
    pub fn map(&mut self) -> Result<Keys<'a>, DecodeError> {
        self.expect(5, "a map")?;
        let read = walk::container(self.bytes, self.at, 2)?;
        Ok(Keys { left: self.step(read), previous: None })
    }

    /// Checks the next item, whatever it is, and returns its encoding. It may nest `depth` levels deep.
    pub fn item(&mut self, depth: usize) -> Result<&'a [u8], DecodeError> {
        let start = self.at;
        self.at = walk::item(self.bytes, self.at, Rules::House, depth)?;
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
        let read = walk::key(reader.bytes, reader.at, Rules::House, self.previous)?;
        let key = reader.step(read);
        self.left -= 1;
        self.previous = Some(key);
        Ok(Some(key))
    }
}
