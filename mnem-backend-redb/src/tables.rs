//! Tables and their keys. Bytes: FORMAT.md, "redb backend".
//!
//! Used by: everything else in this crate.

use mnem_core::port::{Namespace, RowTable};
use mnem_core::{Cid, CidClass, OperationId};
use redb::TableDefinition;

/// Class number and digest: the order of keys is the order of CIDs.
pub(crate) const CID_KEY_BYTES: usize = 33;

/// Key of a block.
pub(crate) type CidKey = [u8; CID_KEY_BYTES];

/// All blocks.
pub(crate) const OBJECTS: TableDefinition<'static, &'static CidKey, &'static [u8]> =
    TableDefinition::new("objects");

/// All heads: namespace, a zero byte, the head.
pub(crate) const OP_HEADS: TableDefinition<'static, &'static [u8], ()> = TableDefinition::new("op_heads");

/// Nearest-neighbour edges: blobs under the hash of their bytes. Derived; see
/// [`store_knn_edges`](crate::store_knn_edges) and [`load_knn_edges`](crate::load_knn_edges).
pub const KNN_EDGES_TABLE: TableDefinition<'static, &'static [u8; 33], &'static [u8]> =
    TableDefinition::new("knn_edges");

/// Derived rows: name of the table, a zero byte, the key.
pub(crate) const SIDE: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("side");

/// What the file says of itself.
pub(crate) const META: TableDefinition<'static, &'static str, &'static str> = TableDefinition::new("meta");

/// Returns a block's key.
pub(crate) fn cid_key(cid: &Cid) -> CidKey {
    let mut key = [cid.class().number(); CID_KEY_BYTES];
    key[1..].copy_from_slice(cid.digest());
    key
}

/// Reads a block's key.
pub(crate) fn key_cid(key: &CidKey) -> Option<Cid> {
    let (class, digest) = key.split_first()?;
    Some(Cid::from_parts(CidClass::from_number(*class)?, digest.try_into().ok()?))
}

/// Returns what the keys of a namespace's heads begin with.
pub(crate) fn heads_prefix(namespace: &Namespace) -> Vec<u8> {
    [namespace.as_str().as_bytes(), &[0]].concat()
}

/// Returns the key of a head.
pub(crate) fn head_key(namespace: &Namespace, head: &OperationId) -> Vec<u8> {
    [namespace.as_str().as_bytes(), &[0], &cid_key(head.cid())].concat()
}

/// Reads the key of a head.
pub(crate) fn key_head(key: &[u8]) -> Option<(Namespace, OperationId)> {
    let (front, head) = key.split_last_chunk::<CID_KEY_BYTES>()?;
    let name = str::from_utf8(front.strip_suffix(&[0])?).ok()?;
    Some((Namespace::new(name)?, OperationId::new(key_cid(head)?)))
}

/// Returns what the keys of a table's rows begin with. Names hold no zero byte, so no table's keys run into another's.
pub(crate) fn rows_prefix(table: RowTable) -> Vec<u8> {
    [table.name().as_bytes(), &[0]].concat()
}

/// Returns the key of a row.
pub(crate) fn row_key(table: RowTable, key: &[u8]) -> Vec<u8> {
    [table.name().as_bytes(), &[0], key].concat()
}

#[cfg(test)]
mod tests {
    use mnem_core::Codec;

    use super::*;

    #[test]
    fn keys_sort_as_cids_do_and_read_back() {
        let mut cids: Vec<Cid> = CidClass::ALL
            .into_iter()
            .flat_map(|class| (0..9).map(move |n| Cid::of_class(class, &[n])))
            .collect();
        cids.sort();
        assert!(cids.is_sorted_by_key(cid_key));
        assert!(cids.iter().all(|cid| key_cid(&cid_key(cid)) == Some(*cid)));
        assert_eq!(key_cid(&[4; 33]), None);
    }

    #[test]
    fn keys_of_heads_read_back() {
        let (name, head) = (Namespace::new("a-b").unwrap(), OperationId::new(Cid::of(Codec::DagCbor, b"x")));
        let key = head_key(&name, &head);
        assert!(key.starts_with(&heads_prefix(&name)));
        assert_eq!(key_head(&key), Some((name, head)));
        for cut in 0..key.len() {
            assert_eq!(key_head(&key[..cut]), None);
        }
    }
}
