//! Derived rows: which go with their sources, and which trees the rest keeps.

use std::collections::HashSet;

use bytes::Bytes;

use crate::cid::{CID_BYTES, Cid};
use crate::port::{Row, RowStream, RowTable, SideTable};
use crate::repo::error::RepoError;
use crate::repo::{history, index};

/// Every table whose rows begin with a namespace, a zero and what they are derived from.
const TABLES: [RowTable; 2] = [index::ROWS, history::ROWS];

/// Goes through the rows of all tables, some at a time.
#[derive(Default)]
pub(super) struct Rows {
    table: usize,
    stream: Option<RowStream>,
}

impl Rows {
    /// Returns up to so many rows; none at the end.
    pub(super) fn take(&mut self, side: &dyn SideTable, count: usize) -> Result<Vec<Row>, RepoError> {
        while let Some(table) = TABLES.get(self.table).copied() {
            let stream = match &mut self.stream {
                Some(stream) => stream,
                none => none.insert(side.rows(table, b"").map_err(history::side)?),
            };
            let some =
                stream.take(count).collect::<Result<Vec<(Bytes, Bytes)>, _>>().map_err(history::side)?;
            if !some.is_empty() {
                let row = |(key, value)| Row { table, key, value: Some(value) };
                return Ok(some.into_iter().map(row).collect());
            }
            self.table += 1;
            self.stream = None;
        }
        Ok(Vec::new())
    }
}

/// Returns what a row is derived from: the root of a map, or a commit.
pub(super) fn source(row: &Row) -> Option<Cid> {
    let end = row.key.iter().position(|byte| *byte == 0)?;
    Cid::from_bytes(row.key.get(end + 1..end + 1 + CID_BYTES)?).ok()
}

/// Returns the tree that a row names, if it is one that names a tree.
pub(super) fn tree(row: &Row) -> Option<Cid> {
    if row.table == index::ROWS { index::root_of(row) } else { None }
}

/// What rows were derived from before the collection began: a row that came since may be of a commit that it does not
/// know.
#[derive(Default)]
pub(super) struct Sources(HashSet<Cid>);

impl Sources {
    pub(super) fn add(&mut self, rows: &[Row]) {
        self.0.extend(rows.iter().filter_map(source));
    }

    /// Says whether a row goes: what it is derived from was there when the collection began and is not marked, or it is
    /// no row at all.
    pub(super) fn is_dead(&self, row: &Row, is_marked: impl FnOnce(&Cid) -> bool) -> bool {
        source(row).is_none_or(|source| self.0.contains(&source) && !is_marked(&source))
    }
}
