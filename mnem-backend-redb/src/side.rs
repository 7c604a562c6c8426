//! Derived rows, and the table of nearest-neighbour edges.
//!
//! A row carries a check of its key and value, because redb checks nothing when it reads: a damaged row is absent
//! and gets computed again.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use mnem_core::port::{Fault, Row, RowStream, RowTable, SideError, SideTable, check_rows};
use mnem_core::{Block, Cid, Codec};
use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use crate::RedbStore;
use crate::store::{Durable, ENTRY_BYTES, Outcome};
use crate::tables::{KNN_EDGES_TABLE, SIDE, cid_key, key_cid, row_key, rows_prefix};
use crate::trouble::Trouble;

/// Length of the check in front of a row's value.
const CHECK_BYTES: usize = 16;

/// A page of rows ends after so many bytes.
const PAGE_BYTES: usize = 1 << 20;

/// A row of a page weighs so much beside its bytes: pages of empty rows end too.
const PAGE_ROW_BYTES: usize = 256;

/// Largest blob of nearest-neighbour edges.
pub const KNN_EDGES_BYTES_MAX: usize = mnem_core::BLOCK_BYTES_MAX;

/// Rows of this table whose key is that of a block, and whose value is what it names, lie in [`KNN_EDGES_TABLE`]: the key
/// is their check. No other row of it is taken.
const BLOB_ROWS: RowTable = RowTable::new("knn-edges");

/// Returns the block that a row of [`BLOB_ROWS`] is; `None` if its value is not what its key names.
fn blob(key: &[u8], value: &[u8]) -> Option<Block> {
    let cid = key_cid(key.try_into().ok()?)?;
    Block::verify(cid, Bytes::copy_from_slice(value)).ok()
}

/// Hashes a row. The key includes the table's name and is told apart from the value by its length.
fn check(key: &[u8], value: &[u8]) -> [u8; CHECK_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_le_bytes()).update(key).update(value);
    *hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes")
}

/// Returns the value of a row, if it is what was stored.
fn checked(key: &[u8], stored: &[u8]) -> Option<Bytes> {
    let (found, value) = stored.split_first_chunk::<CHECK_BYTES>()?;
    (*found == check(key, value)).then(|| Bytes::copy_from_slice(value))
}

/// Changes rows within the transaction of whatever they go with. Returns what they weigh.
pub(crate) fn change(transaction: &WriteTransaction, rows: &[Row]) -> Result<u64, Trouble> {
    if rows.is_empty() {
        return Ok(0);
    }
    let mut table = transaction.open_table(SIDE)?;
    let mut blobs = transaction.open_table(KNN_EDGES_TABLE)?;
    let mut weight = 0;
    for row in rows {
        if row.table == BLOB_ROWS {
            weight += ENTRY_BYTES;
            match (&row.value, <&[u8; 33]>::try_from(&*row.key)) {
                // What is not under its own hash could not be told from damage: it is as if it had been lost.
                (Some(value), Ok(key)) if blob(key, value).is_some() => {
                    weight += value.len() as u64;
                    blobs.insert(key, value.as_ref())?;
                }
                (_, Ok(key)) => drop(blobs.remove(key)?),
                (_, Err(_)) => {}
            }
            continue;
        }
        let key = row_key(row.table, &row.key);
        weight += ENTRY_BYTES;
        match &row.value {
            Some(value) => {
                let stored = [&check(&key, value), value.as_ref()].concat();
                weight += stored.len() as u64;
                table.insert(key.as_slice(), stored.as_slice())?;
            }
            None => {
                table.remove(key.as_slice())?;
            }
        }
    }
    Ok(weight)
}

impl SideTable for RedbStore {
    fn row(&self, table: RowTable, key: &[u8]) -> Result<Option<Bytes>, SideError> {
        if table == BLOB_ROWS {
            let Ok(key) = <&[u8; 33]>::try_from(key) else { return Ok(None) };
            return Ok(self.inner.read(|transaction| {
                let stored = transaction.open_table(KNN_EDGES_TABLE)?.get(key)?;
                Ok(stored.and_then(|stored| blob(key, stored.value())).map(|blob| blob.bytes().clone()))
            })?);
        }
        let key = row_key(table, key);
        Ok(self.inner.read(|transaction| {
            let stored = transaction.open_table(SIDE)?.get(key.as_slice())?;
            Ok(stored.and_then(|stored| checked(&key, stored.value())))
        })?)
    }

    fn rows(&self, table: RowTable, from: &[u8]) -> Result<RowStream, SideError> {
        let inner = Arc::clone(&self.inner);
        if table == BLOB_ROWS {
            return Ok(Box::new(Rows {
                prefix: Vec::new(),
                next: Bound::Included(from.to_vec()),
                page: VecDeque::new(),
                over: false,
                read: move |_: &[u8], next: &Bound<Vec<u8>>| {
                    inner.read(|transaction| blobs_page(transaction, next))
                },
            }));
        }
        let next = Bound::Included(row_key(table, from));
        Ok(Box::new(Rows {
            prefix: rows_prefix(table),
            next,
            page: VecDeque::new(),
            over: false,
            read: move |prefix: &[u8], next: &Bound<Vec<u8>>| {
                inner.read(|transaction| rows_page(transaction, prefix, next))
            },
        }))
    }

    fn put_rows(&self, rows: &[Row]) -> Result<(), SideError> {
        check_rows(rows)?;
        Ok(self.inner.write(Durable::Later, |transaction| {
            let weight = change(transaction, rows)?;
            Ok(((), if weight == 0 { Outcome::Abort } else { Outcome::Commit(weight) }))
        })?)
    }

    fn clear_rows(&self, table: RowTable) -> Result<(), SideError> {
        if table == BLOB_ROWS {
            return Ok(self.inner.write(Durable::Later, |transaction| {
                let mut weight = 0;
                transaction.open_table(KNN_EDGES_TABLE)?.retain(|_, value| {
                    weight += value.len() as u64 + ENTRY_BYTES;
                    false
                })?;
                Ok(((), if weight == 0 { Outcome::Abort } else { Outcome::Commit(weight) }))
            })?);
        }
        // The bytes after a name and its zero are those before the same name and a one.
        let end = [table.name().as_bytes(), &[1]].concat();
        Ok(self.inner.write(Durable::Later, |transaction| {
            let mut weight = 0;
            transaction.open_table(SIDE)?.retain_in(
                rows_prefix(table).as_slice()..end.as_slice(),
                |_, value| {
                    weight += value.len() as u64 + ENTRY_BYTES;
                    false
                },
            )?;
            Ok(((), if weight == 0 { Outcome::Abort } else { Outcome::Commit(weight) }))
        })?)
    }
}

/// Some rows, and where the next page begins, if there is one.
type Page = (VecDeque<(Bytes, Bytes)>, Option<Bound<Vec<u8>>>);

/// Reads some rows of one table, damaged ones left out.
fn rows_page(transaction: &ReadTransaction, prefix: &[u8], next: &Bound<Vec<u8>>) -> Result<Page, Trouble> {
    let table = transaction.open_table(SIDE)?;
    let from = next.as_ref().map(Vec::as_slice);
    let (mut rows, mut page_bytes) = (VecDeque::new(), 0);
    for entry in ReadableTable::range::<&[u8]>(&table, (from, Bound::Unbounded))? {
        let (key, value) = entry?;
        let Some(row) = key.value().strip_prefix(prefix) else { return Ok((rows, None)) };
        page_bytes += key.value().len() + value.value().len() + PAGE_ROW_BYTES;
        if let Some(value) = checked(key.value(), value.value()) {
            rows.push_back((Bytes::copy_from_slice(row), value));
        }
        if page_bytes > PAGE_BYTES {
            return Ok((rows, Some(Bound::Excluded(key.value().to_vec()))));
        }
    }
    Ok((rows, None))
}

/// Reads some rows of [`KNN_EDGES_TABLE`], damaged ones left out.
fn blobs_page(transaction: &ReadTransaction, next: &Bound<Vec<u8>>) -> Result<Page, Trouble> {
    let table = transaction.open_table(KNN_EDGES_TABLE)?;
    // Keys have 33 bytes: the first at or after a shorter one is the first at or after it with zeros behind.
    let padded = |from: &Vec<u8>| {
        let mut key = [0; 33];
        let length = from.len().min(33);
        key[..length].copy_from_slice(&from[..length]);
        key
    };
    let from: Bound<[u8; 33]> = match next {
        Bound::Included(from) if from.len() > 33 => Bound::Excluded(padded(from)),
        next => next.as_ref().map(padded),
    };
    let (mut rows, mut page_bytes) = (VecDeque::new(), 0);
    for entry in ReadableTable::range::<&[u8; 33]>(&table, (from.as_ref(), Bound::Unbounded))? {
        let (key, value) = entry?;
        page_bytes += key.value().len() + value.value().len() + PAGE_ROW_BYTES;
        if let Some(blob) = blob(key.value(), value.value()) {
            rows.push_back((Bytes::copy_from_slice(key.value()), blob.bytes().clone()));
        }
        if page_bytes > PAGE_BYTES {
            return Ok((rows, Some(Bound::Excluded(key.value().to_vec()))));
        }
    }
    Ok((rows, None))
}

/// The rows of one table, page by page.
struct Rows<F> {
    prefix: Vec<u8>,
    next: Bound<Vec<u8>>,
    page: VecDeque<(Bytes, Bytes)>,
    over: bool,
    read: F,
}

impl<F: FnMut(&[u8], &Bound<Vec<u8>>) -> Result<Page, Fault>> Iterator for Rows<F> {
    type Item = Result<(Bytes, Bytes), SideError>;

    fn next(&mut self) -> Option<Self::Item> {
        // A page may be empty although more follow: all its rows were damaged.
        while self.page.is_empty() && !self.over {
            match (self.read)(&self.prefix, &self.next) {
                Ok((page, next)) => {
                    self.page = page;
                    match next {
                        Some(next) => self.next = next,
                        None => self.over = true,
                    }
                }
                Err(fault) => {
                    self.over = true;
                    return Some(Err(fault.into()));
                }
            }
        }
        self.page.pop_front().map(Ok)
    }
}

/// Stores a blob of nearest-neighbour edges under the hash of its bytes, which it returns. Visible on return, durable
/// with the next commit or sync.
pub fn store_knn_edges(store: &RedbStore, edges: impl Into<Bytes>) -> Result<Cid, SideError> {
    let blob = Block::new(Codec::Raw, edges);
    if blob.bytes().len() > KNN_EDGES_BYTES_MAX {
        return Err(Fault::Unsupported { what: "a blob of edges over 16 MiB" }.into());
    }
    store.inner.write(Durable::Later, |transaction| {
        let mut table = transaction.open_table(KNN_EDGES_TABLE)?;
        let key = cid_key(blob.cid());
        if table.get(&key)?.is_some_and(|stored| stored.value() == blob.bytes().as_ref()) {
            return Ok(((), Outcome::Abort));
        }
        table.insert(&key, blob.bytes().as_ref())?;
        Ok(((), Outcome::Commit(blob.bytes().len() as u64 + ENTRY_BYTES)))
    })?;
    Ok(*blob.cid())
}

/// Loads a blob of nearest-neighbour edges. `None` if it is not there, or not what was stored: either way it has to be
/// derived again.
pub fn load_knn_edges(store: &RedbStore, cid: &Cid) -> Result<Option<Bytes>, SideError> {
    Ok(store.inner.read(|transaction| {
        let stored = transaction.open_table(KNN_EDGES_TABLE)?.get(&cid_key(cid))?;
        let bytes = stored.map(|stored| Bytes::copy_from_slice(stored.value()));
        Ok(bytes.and_then(|bytes| Block::verify(*cid, bytes).ok()).map(|blob| blob.bytes().clone()))
    })?)
}
