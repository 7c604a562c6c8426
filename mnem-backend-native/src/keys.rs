//! The one key space: blocks, heads and rows lie in one index, told apart by the first byte.
//!
//! Bytes: FORMAT.md, "Native backend", "Keys". Blocks sort as their CIDs do, so a scan of keys is a scan of CIDs.
//!
//! Used by: `plan` and `ports` (make keys), `engine` (reads heads back).

use mnem_core::cid::CidClass;
use mnem_core::port::{Namespace, ROW_KEY_BYTES_MAX, RowTable};
use mnem_core::{Cid, OperationId};

/// A key. What it belongs to is in its first byte.
pub(crate) type Key = Box<[u8]>;

/// Longest key: that of a row in a table with the longest name.
pub(crate) const KEY_BYTES_MAX: usize = 2 + 32 + ROW_KEY_BYTES_MAX;

/// First byte of a head's key. Classes of CIDs, the first bytes of blocks' keys, are lower.
pub(crate) const HEADS: u8 = 0x20;
/// First byte of a row's key.
pub(crate) const ROWS: u8 = 0x30;

/// Bytes of a block's key.
pub(crate) const BLOCK_KEY_BYTES: usize = 33;

pub(crate) fn block(cid: &Cid) -> Key {
    block_key(cid).into()
}

/// Returns a block's key, for looking it up.
pub(crate) fn block_key(cid: &Cid) -> [u8; BLOCK_KEY_BYTES] {
    let mut key = [cid.class().number(); BLOCK_KEY_BYTES];
    key[1..].copy_from_slice(cid.digest());
    key
}

/// Reads a block's key.
pub(crate) fn cid(key: &[u8]) -> Option<Cid> {
    let (class, digest) = key.split_first()?;
    Some(Cid::from_parts(CidClass::from_number(*class)?, digest.try_into().ok()?))
}

pub(crate) fn is_block(key: &[u8]) -> bool {
    key.first().is_some_and(|first| *first < HEADS)
}

pub(crate) fn head(namespace: &Namespace, head: &OperationId) -> Key {
    let name = namespace.as_str().as_bytes();
    let length = u8::try_from(name.len()).expect("a name has at most 64 bytes");
    [&[HEADS, length], name, &block_key(head.cid())].concat().into()
}

pub(crate) fn is_head(key: &[u8]) -> bool {
    key.first() == Some(&HEADS)
}

/// Reads a head's key.
pub(crate) fn parse_head(key: &[u8]) -> Option<(Namespace, OperationId)> {
    let (length, rest) = key.strip_prefix(&[HEADS])?.split_first()?;
    let (name, compact) = rest.split_at_checked(usize::from(*length))?;
    let namespace = Namespace::new(str::from_utf8(name).ok()?)?;
    Some((namespace, OperationId::new(cid(compact)?)))
}

/// Returns what the keys of a table's rows begin with.
pub(crate) fn table(table: RowTable) -> Vec<u8> {
    let name = table.name().as_bytes();
    let length = u8::try_from(name.len()).expect("a name has at most 32 bytes");
    [&[ROWS, length], name].concat()
}

pub(crate) fn row(of: RowTable, key: &[u8]) -> Key {
    [&table(of), key].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mnem_core::cid::Codec;

    #[test]
    fn keys_tell_what_they_belong_to_and_are_read_back() {
        let id = Cid::of(Codec::Raw, b"x");
        assert_eq!(cid(&block(&id)), Some(id));
        assert!(is_block(&block(&id)));
        let name = Namespace::new("notes").unwrap();
        let key = head(&name, &OperationId::new(id));
        assert!(is_head(&key) && !is_block(&key));
        assert_eq!(parse_head(&key), Some((name, OperationId::new(id))));
        let key = row(RowTable::new("t"), b"k");
        assert_eq!(&*key, b"\x30\x01tk");
        assert!(!is_head(&key) && !is_block(&key));
    }

    #[test]
    fn no_table_is_within_another() {
        assert!(!row(RowTable::new("ab"), b"c").starts_with(&table(RowTable::new("a"))));
    }
}
