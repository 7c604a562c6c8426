//! The changes of a transaction as a log record holds them.
//!
//! Bytes: FORMAT.md, "Native backend", "Log record".
//!
//! Used by: `engine` (encodes), `load` and `shared` (decode).

use bytes::Bytes;

use crate::bytes::{Reader, wide};
use crate::group::Locator;
use crate::keys::KEY_BYTES_MAX;
use crate::memtable::{Change, Value};

const PUT: u8 = 1;
const REMOVE: u8 = 2;
const PLACED: u8 = 3;
const MOVED: u8 = 4;

/// What a change takes in memory beside its key and value.
const ENTRY_BYTES: u64 = 160;

/// Returns about how much memory changes take.
pub(crate) fn memory_bytes(changes: &[Change]) -> u64 {
    let bytes = |(key, value): &Change| {
        wide(key.len() + value.as_ref().and_then(Value::bytes).map_or(0, Bytes::len)) + ENTRY_BYTES
    };
    changes.iter().map(bytes).sum()
}

/// Lays changes out: kind, length of the key, length of the value, key, value.
pub(crate) fn encode(changes: &[Change]) -> Vec<u8> {
    let length =
        |(key, value): &Change| 21 + key.len() + value.as_ref().and_then(Value::bytes).map_or(0, Bytes::len);
    let mut out = Vec::with_capacity(changes.iter().map(length).sum());
    for (key, value) in changes {
        let place;
        let (kind, value): (u8, &[u8]) = match value {
            None => (REMOVE, &[]),
            Some(Value::Bytes(bytes)) => (PUT, bytes),
            Some(Value::Block(block)) => (PUT, block.bytes()),
            Some(Value::Placed(locator)) => {
                place = locator.encode();
                (PLACED, &place)
            }
            Some(Value::Moved(locator)) => {
                place = locator.encode();
                (MOVED, &place)
            }
        };
        out.push(kind);
        out.extend(u16::try_from(key.len()).expect("keys are bounded").to_le_bytes());
        out.extend(u32::try_from(value.len()).expect("values are bounded").to_le_bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(value);
    }
    out
}

/// Reads them back; values share the record's memory. `None`: these are no changes.
pub(crate) fn decode(raw: Vec<u8>) -> Option<Vec<Change>> {
    let raw = Bytes::from(raw);
    let mut reader = Reader(&raw);
    let mut changes = Vec::new();
    while !reader.0.is_empty() {
        let kind = reader.number(1)?;
        let key_bytes = reader.length(2)?;
        let value_bytes = reader.length(4)?;
        let key = reader.take(key_bytes).filter(|key| (1..=KEY_BYTES_MAX).contains(&key.len()))?;
        let value = reader.take(value_bytes)?;
        let value = match u8::try_from(kind).ok()? {
            PUT if value.is_empty() => Some(Value::Bytes(Bytes::new())),
            PUT => Some(Value::Bytes(raw.slice_ref(value))),
            REMOVE if value.is_empty() => None,
            PLACED => Some(Value::Placed(Locator::decode(value)?)),
            MOVED => Some(Value::Moved(Locator::decode(value)?)),
            _ => return None,
        };
        changes.push((key.into(), value));
    }
    Some(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_round_trip_and_cut_ones_are_refused() {
        let changes: Vec<Change> = vec![
            (b"a".as_slice().into(), Some(Value::Bytes(Bytes::from_static(b"value")))),
            (b"b".as_slice().into(), Some(Value::Bytes(Bytes::new()))),
            (b"c".as_slice().into(), None),
            (
                b"d".as_slice().into(),
                Some(Value::Placed(Locator { granule: 64, granules: 2, slot: 3, crc: 4 })),
            ),
        ];
        let encoded = encode(&changes);
        assert_eq!(decode(encoded.clone()), Some(changes));
        for cut in 1..encoded.len() {
            let whole = [13, 21, 29].contains(&cut);
            assert_eq!(decode(encoded[..cut].to_vec()).is_some(), whole, "cut at {cut}");
        }
        assert_eq!(decode(vec![5, 1, 0, 0, 0, 0, 0, b'k']), None, "an unknown kind");
        assert_eq!(decode(vec![1, 0, 0, 0, 0, 0, 0]), None, "an empty key");
    }
}
