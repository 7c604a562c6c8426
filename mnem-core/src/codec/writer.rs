//! Writes canonical DAG-CBOR, item by item.

use crate::cid::Cid;

/// Appends items to a buffer. Lengths, integers and floats come out canonical; that the items of a map come in the
/// order of [`key_order`](super::key_order), and as many as were announced, is the caller's part.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Starts with an empty buffer.
    pub const fn new() -> Writer {
        Writer { bytes: Vec::new() }
    }

    /// Starts with a buffer that takes `capacity` bytes before it grows.
    pub fn with_capacity(capacity: usize) -> Writer {
        Writer { bytes: Vec::with_capacity(capacity) }
    }

    /// Returns what was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Returns what was written so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Starts again with the buffer emptied.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    fn head(&mut self, major: u8, value: u64) {
        let be = value.to_be_bytes();
        match value {
            0..=23 => self.bytes.push(major << 5 | be[7]),
            24..=0xff => self.bytes.extend([major << 5 | 24, be[7]]),
            0x100..=0xffff => self.bytes.extend([major << 5 | 25, be[6], be[7]]),
            0x1_0000..=0xffff_ffff => self.bytes.extend([major << 5 | 26, be[4], be[5], be[6], be[7]]),
            _ => {
                self.bytes.push(major << 5 | 27);
                self.bytes.extend(be);
            }
        }
    }

    /// Returns how many bytes announce a text, byte string, list or map of this length.
    pub const fn head_bytes(value: u64) -> usize {
        match value {
            0..=23 => 1,
            24..=0xff => 2,
            0x100..=0xffff => 3,
            0x1_0000..=0xffff_ffff => 5,
            _ => 9,
        }
    }

    /// Writes a number.
    ///
    /// # Panics
    /// Above `i64::MAX`, which no reader of our own objects accepts.
    pub fn uint(&mut self, value: u64) {
        assert!(i64::try_from(value).is_ok(), "{value} is no integer of our own objects");
        self.head(0, value);
    }

    /// Writes a number with sign.
    pub fn int(&mut self, value: i64) {
        match u64::try_from(value) {
            Ok(value) => self.head(0, value),
            Err(_) => self.head(1, value.unsigned_abs() - 1),
        }
    }

    /// Writes a float. Minus zero becomes zero.
    ///
    /// # Panics
    /// On NaN and infinities, which have no encoding: values refuse them when they are made.
    pub fn float(&mut self, value: f64) {
        assert!(value.is_finite(), "{value} has no encoding");
        let value = if value == 0.0 { 0.0 } else { value };
        self.bytes.push(0xfb);
        self.bytes.extend(value.to_be_bytes());
    }

    /// Writes true or false.
    pub fn bool(&mut self, value: bool) {
        self.bytes.push(if value { 0xf5 } else { 0xf4 });
    }

    /// Writes null.
    pub fn null(&mut self) {
        self.bytes.push(0xf6);
    }

    /// Writes a byte string.
    pub fn bytes(&mut self, value: &[u8]) {
        self.head(2, value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    /// Writes text.
    pub fn text(&mut self, value: &str) {
        self.head(3, value.len() as u64);
        self.bytes.extend_from_slice(value.as_bytes());
    }

    /// Writes a link.
    pub fn link(&mut self, cid: &Cid) {
        self.bytes.extend([0xd8, 42, 0x58, 37, 0]);
        self.bytes.extend(cid.to_bytes());
    }

    /// Announces a list of `len` items.
    pub fn list(&mut self, len: usize) {
        self.head(4, len as u64);
    }

    /// Announces a map of `len` entries, each a [`text`](Self::text) key and a value.
    pub fn map(&mut self, len: usize) {
        self.head(5, len as u64);
    }

    /// Appends an item that is encoded already.
    pub fn encoded(&mut self, item: &[u8]) {
        self.bytes.extend_from_slice(item);
    }
}
