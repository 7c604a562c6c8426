//! The changes of a transaction as a log record holds them.
//!
//! Bytes: FORMAT.md, "Native backend", "Log record".
//!
//! Used by: `engine` (encodes), `recovery` (decodes).

use bytes::Bytes;

use crate::bytes::Reader;
use crate::keys::KEY_BYTES_MAX;
use crate::memtable::Change;

const PUT: u8 = 1;
const REMOVE: u8 = 2;

/// Lays changes out: kind, length of the key, length of the value, key, value.
pub(crate) fn encode(changes: &[Change]) -> Vec<u8> {
    let bytes = |(key, value): &Change| 7 + key.len() + value.as_ref().map_or(0, Bytes::len);
    let mut out = Vec::with_capacity(changes.iter().map(bytes).sum());
    for (key, value) in changes {
        out.push(if value.is_some() { PUT } else { REMOVE });
        out.extend(u16::try_from(key.len()).expect("keys are bounded").to_le_bytes());
        let length = value.as_ref().map_or(0, Bytes::len);
        out.extend(u32::try_from(length).expect("values are bounded").to_le_bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(value.as_deref().unwrap_or_default());
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
            PUT if value.is_empty() => Some(Bytes::new()),
            PUT => Some(raw.slice_ref(value)),
            REMOVE if value.is_empty() => None,
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
            (b"a".as_slice().into(), Some(Bytes::from_static(b"value"))),
            (b"b".as_slice().into(), Some(Bytes::new())),
            (b"c".as_slice().into(), None),
        ];
        let encoded = encode(&changes);
        assert_eq!(decode(encoded.clone()), Some(changes));
        for cut in 1..encoded.len() {
            let whole = [13, 21].contains(&cut);
            assert_eq!(decode(encoded[..cut].to_vec()).is_some(), whole, "cut at {cut}");
        }
        assert_eq!(decode(vec![3, 1, 0, 0, 0, 0, 0, b'k']), None, "an unknown kind");
        assert_eq!(decode(vec![1, 0, 0, 0, 0, 0, 0]), None, "an empty key");
    }
}
