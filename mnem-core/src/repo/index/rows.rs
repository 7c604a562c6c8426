//! Rows: which tree is the index of which map.
//!
//! Bytes: FORMAT.md, "Index rows".

use super::Index;
use crate::cid::Cid;
use crate::codec::{Reader, Writer};
use crate::port::{Namespace, Row, RowTable, SideError, SideTable, StoreError};
use crate::repo::error::RepoError;
use crate::repo::shared::Shared;
use crate::repo::state::State;

pub(in crate::repo) const ROWS: RowTable = RowTable::new("index");

/// Returns the tree that a row names for these maps. The empty map has the empty index without a row.
pub(super) fn find(
    shared: &Shared,
    state: &State,
    index: &Index,
    source: &Cid,
) -> Result<Option<Cid>, RepoError> {
    find_defined(shared, state, &index.definition(), source)
}

/// The same for what a definition makes of a map.
pub(in crate::repo) fn find_defined(
    shared: &Shared,
    state: &State,
    definition: &str,
    source: &Cid,
) -> Result<Option<Cid>, RepoError> {
    if *source == shared.empty_root {
        return Ok(Some(shared.empty_root));
    }
    let Some(root) = named(shared, definition, source)? else { return Ok(None) };
    // Named but collected is the same as not there.
    Ok(state.block(&root)?.map(|_| root))
}

fn named(shared: &Shared, definition: &str, source: &Cid) -> Result<Option<Cid>, RepoError> {
    named_defined(&*shared.store, &shared.options.namespace, definition, source)
}

/// Returns the tree that a row names, be it there or not.
pub(in crate::repo) fn named_in(
    table: &dyn SideTable,
    namespace: &Namespace,
    index: &Index,
    source: &Cid,
) -> Result<Option<Cid>, RepoError> {
    named_defined(table, namespace, &index.definition(), source)
}

fn named_defined(
    table: &dyn SideTable,
    namespace: &Namespace,
    definition: &str,
    source: &Cid,
) -> Result<Option<Cid>, RepoError> {
    let key = key(namespace, definition, source);
    let value = table.row(ROWS, &key).map_err(side)?;
    Ok(value.and_then(|value| decode(&key, &value)))
}

/// Walks the rows of a namespace that say nothing, and counts all.
pub(in crate::repo) fn torn(
    table: &dyn SideTable,
    namespace: &Namespace,
    mut each: impl FnMut(Row),
) -> Result<u64, RepoError> {
    let start = [namespace.as_str().as_bytes(), &[0]].concat();
    let mut rows = 0;
    for row in table.rows(ROWS, &start).map_err(side)? {
        let (key, value) = row.map_err(side)?;
        if !key.starts_with(&start) {
            break;
        }
        rows += 1;
        if decode(&key, &value).is_none() {
            each(Row { table: ROWS, key, value: None });
        }
    }
    Ok(rows)
}

/// Returns the row that names `root`.
pub(in crate::repo) fn row(namespace: &Namespace, index: &Index, source: &Cid, root: &Cid) -> Row {
    row_defined(namespace, &index.definition(), source, root)
}

/// The same for what a definition makes of a map.
pub(in crate::repo) fn row_defined(namespace: &Namespace, definition: &str, source: &Cid, root: &Cid) -> Row {
    let key = key(namespace, definition, source);
    let mut writer = Writer::new();
    writer.list(2);
    writer.link(root);
    writer.bytes(&check(&key, root));
    Row { table: ROWS, key: key.into(), value: Some(writer.into_bytes().into()) }
}

/// Removes a row, if it names a tree of which `is_bad` holds.
pub(super) fn remove_if(shared: &Shared, index: &Index, source: &Cid, is_bad: impl FnOnce(&Cid) -> bool) {
    remove_defined_if(shared, &index.definition(), source, is_bad);
}

/// The same for what a definition makes of a map.
pub(in crate::repo) fn remove_defined_if(
    shared: &Shared,
    definition: &str,
    source: &Cid,
    is_bad: impl FnOnce(&Cid) -> bool,
) {
    if let Ok(Some(root)) = named(shared, definition, source)
        && is_bad(&root)
    {
        let key = key(&shared.options.namespace, definition, source).into();
        // A store that takes no writes can be read all the same: then the next reader finds the same.
        let _removed = shared.store.put_rows(&[Row { table: ROWS, key, value: None }]);
    }
}

fn key(namespace: &Namespace, definition: &str, source: &Cid) -> Vec<u8> {
    let definition = blake3::hash(definition.as_bytes());
    [namespace.as_str().as_bytes(), &[0], &source.to_bytes(), &definition.as_bytes()[..16]].concat()
}

/// Returns the root that a row names, if it is a row of an index.
pub(in crate::repo) fn root_of(row: &Row) -> Option<Cid> {
    decode(&row.key, row.value.as_deref()?)
}

fn decode(key: &[u8], value: &[u8]) -> Option<Cid> {
    let mut reader = Reader::new(value);
    if reader.list().ok()? != 2 {
        return None;
    }
    let root = reader.link().ok()?;
    let intact = reader.bytes().ok()? == check(key, &root);
    reader.end().ok().filter(|()| intact).map(|()| root)
}

fn check(key: &[u8], root: &Cid) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key("mnem index row v1");
    hasher.update(key);
    hasher.update(&root.to_bytes());
    let mut check = [0; 16];
    check.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    check
}

fn side(why: SideError) -> RepoError {
    RepoError::Store(StoreError::Side(why))
}
