//! Keys of the indexes and of the map of conflicts: bytes whose order is the order that is asked for.
//!
//! Bytes: FORMAT.md, "Index keys".
//!
//! Invariants
//!  K1  Keys of one property and one kind of value stand in the order of the values, as far as a key holds them:
//!      text and bytes are cut after [`WHOLE_BYTES_MAX`].
//!  K2  No key is a prefix of another in the same index, and each is read back to what it was made from.
//!  K3  Every range holds all keys that it is asked for. It may hold more only where a value or a bound is cut:
//!      [`is_whole`] says so, and the reader checks again on the object.
//!  K4  Every key fits a tree: [`KEY_BYTES_MAX`](crate::tree::KEY_BYTES_MAX).
//!
//! Used by: `repo` (indexes, conflicts).

mod adjacency;
mod conflict;
mod label;
mod property;
mod range;

pub use adjacency::AdjacencyKey;
pub use conflict::ConflictKey;
pub use label::LabelKey;
pub use property::{KeyValue, PropertyKey, WHOLE_BYTES_MAX, is_whole};
pub use range::PropertyRanges;

/// Appends `bytes` so that they can be found again and order is kept: `00` becomes `00 FF`.
fn escape(bytes: &[u8], key: &mut Vec<u8>) {
    for byte in bytes {
        key.push(*byte);
        if *byte == 0 {
            key.push(0xff);
        }
    }
}

/// Ends what [`escape`] wrote: lower than any byte that could follow.
fn end(key: &mut Vec<u8>) {
    key.extend([0, 0]);
}

/// Appends `text` with its end.
fn put_text(text: &str, key: &mut Vec<u8>) {
    escape(text.as_bytes(), key);
    end(key);
}

/// Reads what was escaped, at most `max` bytes, up to its end or to a place where `max` bytes are read. Returns it
/// with what follows, the end included.
fn unescape(key: &[u8], max: usize) -> Option<(Vec<u8>, &[u8])> {
    let mut bytes = Vec::new();
    let mut rest = key;
    while bytes.len() < max {
        rest = match rest {
            [0, 0xff, rest @ ..] => {
                bytes.push(0);
                rest
            }
            [0, 0, ..] => break,
            [byte, rest @ ..] if *byte != 0 => {
                bytes.push(*byte);
                rest
            }
            _ => return None,
        };
    }
    Some((bytes, rest))
}

/// Reads text and its end.
fn take_text(key: &[u8], max: usize) -> Option<(String, &[u8])> {
    let (bytes, rest) = unescape(key, max)?;
    let rest = rest.strip_prefix(&[0, 0])?;
    Some((String::from_utf8(bytes).ok()?, rest))
}
