//! Derived rows: one file each, found torn by its checksum. Bytes: FORMAT.md, "Simple backend".
//!
//! Nothing here is synced: a row that a power cut takes is computed again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use mnem_core::Cid;
use mnem_core::cid::Codec;
use mnem_core::port::{
    Fault, ROW_KEY_BYTES_MAX, ROW_VALUE_BYTES_MAX, Row, RowStream, RowTable, SideError, SideTable, check_rows,
};

use crate::layout::{hex, unhex};
use crate::write::Staged;
use crate::{Inner, SimpleStore};

/// Longest key that is its file's name; of a longer one, the name has this many bytes and its hash.
const NAMED_KEY_BYTES_MAX: usize = 64;

/// The empty key has a name too.
const KEY_PREFIX: char = 'k';

const CHECKSUM_BYTES: usize = 32;
const HEADER_BYTES: usize = CHECKSUM_BYTES + 2;
const FILE_BYTES_MAX: u64 = (HEADER_BYTES + ROW_KEY_BYTES_MAX + ROW_VALUE_BYTES_MAX) as u64;

impl SideTable for SimpleStore {
    fn row(&self, table: RowTable, key: &[u8]) -> Result<Option<Bytes>, SideError> {
        Ok(self.inner.read_row(table, key)?)
    }

    /// Holds the table's keys in memory, never its values.
    fn rows(&self, table: RowTable, from: &[u8]) -> Result<RowStream, SideError> {
        let keys = self.inner.row_keys(table, from)?;
        let inner: Arc<Inner> = self.inner.clone();
        let mut failed = false;
        Ok(Box::new(
            keys.into_iter()
                .map_while(move |key| {
                    if failed {
                        return None;
                    }
                    let value = inner.read_row(table, &key);
                    failed = value.is_err();
                    Some(value.map(|value| value.map(|value| (key, value))).transpose())
                })
                .flatten()
                .map(|row| row.map_err(SideError::from)),
        ))
    }

    fn put_rows(&self, rows: &[Row]) -> Result<(), SideError> {
        check_rows(rows)?;
        self.inner.begin_write()?;
        let _shared = self.inner.lock_shared()?;
        Ok(self.inner.stage_rows(rows)?.publish()?)
    }

    fn clear_rows(&self, table: RowTable) -> Result<(), SideError> {
        self.inner.begin_write()?;
        let _shared = self.inner.lock_shared()?;
        let folder = self.inner.layout.rows(table);
        for entry in self.inner.disk.entries(&folder)? {
            self.inner.disk.remove(&folder.join(entry?.name))?;
        }
        Ok(())
    }
}

impl Inner {
    /// Writes rows that do not show yet. The last of several under one key counts.
    pub(crate) fn stage_rows(&self, rows: &[Row]) -> Result<Staged<'_>, Fault> {
        let last: BTreeMap<_, _> = rows.iter().map(|row| ((row.table, &row.key), &row.value)).collect();
        let mut staged = Staged::new(&self.disk);
        for ((table, key), value) in last {
            let path = self.layout.rows(table).join(file_name(key));
            match value {
                Some(value) => {
                    self.disk.ensure_dir(&self.layout.rows(table))?;
                    let header = header(key, value);
                    staged.add(self, path, &[&header, key, value])?;
                }
                None => staged.remove(path),
            }
        }
        Ok(staged)
    }

    fn read_row(&self, table: RowTable, key: &[u8]) -> Result<Option<Bytes>, Fault> {
        let row = self.read_row_file(&self.layout.rows(table).join(file_name(key)))?;
        Ok(row.filter(|(found, _)| *found == key).map(|(_, value)| value))
    }

    /// A file that is not whole is no row.
    fn read_row_file(&self, path: &Path) -> Result<Option<(Bytes, Bytes)>, Fault> {
        Ok(self.disk.read(path, FILE_BYTES_MAX)?.and_then(|bytes| parse(&Bytes::from(bytes))))
    }

    fn row_keys(&self, table: RowTable, from: &[u8]) -> Result<Vec<Bytes>, Fault> {
        let folder = self.layout.rows(table);
        let mut keys = Vec::new();
        for entry in self.disk.entries(&folder)? {
            let name = entry?.name;
            let Some(text) = name.to_str() else { continue };
            let key = match text.strip_prefix(KEY_PREFIX).and_then(unhex) {
                Some(key) => Some(Bytes::from(key)),
                None => self.read_row_file(&folder.join(text))?.map(|(key, _)| key),
            };
            keys.extend(key.filter(|key| key.as_ref() >= from));
        }
        keys.sort_unstable();
        Ok(keys)
    }
}

fn file_name(key: &[u8]) -> String {
    match key.split_at_checked(NAMED_KEY_BYTES_MAX) {
        None | Some((_, [])) => format!("{KEY_PREFIX}{}", hex(key)),
        Some((start, _)) => {
            format!("{KEY_PREFIX}{}-{}", hex(start), hex(Cid::of(Codec::Raw, key).digest()))
        }
    }
}

fn header(key: &[u8], value: &[u8]) -> [u8; HEADER_BYTES] {
    let key_bytes = u16::try_from(key.len()).expect("keys were checked against their limit").to_le_bytes();
    let mut header = [0; HEADER_BYTES];
    header[..CHECKSUM_BYTES].copy_from_slice(&checksum(&[&key_bytes, key, value].concat()));
    header[CHECKSUM_BYTES..].copy_from_slice(&key_bytes);
    header
}

fn checksum(rest: &[u8]) -> [u8; CHECKSUM_BYTES] {
    *Cid::of(Codec::Raw, rest).digest()
}

fn parse(file: &Bytes) -> Option<(Bytes, Bytes)> {
    let (found, rest) = file.split_first_chunk::<CHECKSUM_BYTES>()?;
    if *found != checksum(rest) {
        return None;
    }
    let (key_bytes, _) = rest.split_first_chunk::<2>()?;
    let value = HEADER_BYTES + usize::from(u16::from_le_bytes(*key_bytes));
    (value <= file.len()).then(|| (file.slice(HEADER_BYTES..value), file.slice(value..)))
}
