//! Little-endian numbers at fixed places, and checksums that know whose bytes they cover.
//!
//! Used by: everything that has a layout. A field is a range; its length is the number's width.

use std::ops::Range;

/// What belongs to one store: every checksum starts from it, so bytes of another store never pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreId(pub [u8; 16]);

impl StoreId {
    /// CRC32C over `bytes`, which belong at `address` of this store.
    pub(crate) fn checksum(self, address: u64, bytes: &[u8]) -> u32 {
        let seed = crc32c::crc32c_append(crc32c::crc32c(&self.0), &address.to_le_bytes());
        crc32c::crc32c_append(seed, bytes)
    }
}

/// Returns the field of `bytes` bytes that follows `previous`.
pub(crate) const fn after(previous: &Range<usize>, bytes: usize) -> Range<usize> {
    previous.end..previous.end + bytes
}

/// Reads a field of at most eight bytes. The caller's layout is known to lie inside `bytes`.
pub(crate) fn get(bytes: &[u8], field: Range<usize>) -> u64 {
    let mut number = [0; 8];
    number[..field.len()].copy_from_slice(&bytes[field]);
    u64::from_le_bytes(number)
}

/// Reads a field of at most four bytes.
pub(crate) fn get_u32(bytes: &[u8], field: Range<usize>) -> u32 {
    u32::try_from(get(bytes, field)).expect("the field has at most four bytes")
}

/// Reads a field of at most two bytes.
pub(crate) fn get_u16(bytes: &[u8], field: Range<usize>) -> u16 {
    u16::try_from(get(bytes, field)).expect("the field has at most two bytes")
}

/// Writes a field. The number must fit: what is too large is refused before anything is laid out.
pub(crate) fn put(bytes: &mut [u8], field: Range<usize>, number: impl Into<u64>) {
    let number = number.into().to_le_bytes();
    let width = field.len();
    assert!(number[width..].iter().all(|byte| *byte == 0), "the number does not fit its field");
    bytes[field].copy_from_slice(&number[..width]);
}

/// Takes bytes from the front, checking every length before it believes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    pub(crate) fn number(&mut self, width: usize) -> Option<u64> {
        self.take(width).map(|bytes| get(bytes, 0..width))
    }

    pub(crate) fn length(&mut self, width: usize) -> Option<usize> {
        usize::try_from(self.number(width)?).ok()
    }
}

/// Lengths in memory as 64-bit numbers.
pub(crate) fn wide(length: usize) -> u64 {
    u64::try_from(length).expect("a length fits 64 bits")
}

/// Rounds up to a multiple of `unit`, a power of two.
pub(crate) const fn align_up(number: u64, unit: u64) -> u64 {
    (number + unit - 1) & !(unit - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_as_wide_as_their_ranges() {
        let mut bytes = [0; 8];
        put(&mut bytes, 1..6, 0x01_0203_0405_u64);
        assert_eq!(bytes, [0, 5, 4, 3, 2, 1, 0, 0]);
        assert_eq!(get(&bytes, 1..6), 0x01_0203_0405);
        assert_eq!(get_u16(&bytes, 1..3), 0x0405);
    }

    #[test]
    fn a_checksum_depends_on_store_and_address() {
        let (one, other) = (StoreId([1; 16]), StoreId([2; 16]));
        assert_ne!(one.checksum(0, b"x"), other.checksum(0, b"x"));
        assert_ne!(one.checksum(0, b"x"), one.checksum(1, b"x"));
    }

    #[test]
    fn a_reader_takes_no_more_than_there_is() {
        let mut reader = Reader(&[1, 0, 9]);
        assert_eq!(reader.length(2), Some(1));
        assert_eq!(reader.take(2), None);
        assert_eq!(reader.take(1), Some(&[9][..]));
    }
}
