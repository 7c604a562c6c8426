//! Derived rows over those of another store.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::port::{Row, RowStream, RowTable};

/// What was changed: rows, with `None` where one was removed, and tables of which nothing below shows any more.
#[derive(Default)]
pub(super) struct Rows(Mutex<Changed>);

#[derive(Default)]
struct Changed {
    rows: BTreeMap<RowTable, BTreeMap<Bytes, Option<Bytes>>>,
    cleared: BTreeSet<RowTable>,
}

impl Rows {
    fn lock(&self) -> MutexGuard<'_, Changed> {
        // Nothing panics while it is held, and each change is complete by itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes changes that were checked.
    pub(super) fn put(&self, rows: &[Row]) {
        let mut changed = self.lock();
        for row in rows {
            changed.rows.entry(row.table).or_default().insert(row.key.clone(), row.value.clone());
        }
    }

    pub(super) fn clear(&self, table: RowTable) {
        let mut changed = self.lock();
        changed.rows.remove(&table);
        changed.cleared.insert(table);
    }

    /// Says what a row is here; `None`: as it is below.
    pub(super) fn get(&self, table: RowTable, key: &[u8]) -> Option<Option<Bytes>> {
        let changed = self.lock();
        let here = changed.rows.get(&table).and_then(|rows| rows.get(key).cloned());
        here.or_else(|| changed.cleared.contains(&table).then_some(None))
    }

    /// Lists a table from `from` on, over what is below.
    pub(super) fn list(&self, table: RowTable, from: &[u8], below: RowStream) -> RowStream {
        let changed = self.lock();
        let here: Vec<(Bytes, Option<Bytes>)> = changed
            .rows
            .get(&table)
            .into_iter()
            .flat_map(|rows| rows.range::<[u8], _>((Bound::Included(from), Bound::Unbounded)))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let nothing: RowStream = Box::new(std::iter::empty());
        let below = if changed.cleared.contains(&table) { nothing } else { below };
        Box::new(Both { below: below.peekable(), here: here.into_iter().peekable() })
    }

    /// Returns every row that has a value here.
    pub(super) fn all(&self) -> Vec<Row> {
        let changed = self.lock();
        let tables = changed.rows.iter();
        tables
            .flat_map(|(table, rows)| rows.iter().map(|(key, value)| (*table, key, value)))
            .filter(|(_, _, value)| value.is_some())
            .map(|(table, key, value)| Row { table, key: key.clone(), value: value.clone() })
            .collect()
    }
}

/// Two ascending streams as one, in which what is here stands for what is below.
struct Both<H: Iterator> {
    below: Peekable<RowStream>,
    here: Peekable<H>,
}

impl<H: Iterator<Item = (Bytes, Option<Bytes>)>> Iterator for Both<H> {
    type Item = <RowStream as Iterator>::Item;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let below = match self.below.peek() {
                Some(Ok((key, _))) => Some(key),
                Some(Err(_)) => {
                    // The stream has ended with this: nothing more of either, as the order is lost.
                    while self.here.next().is_some() {}
                    return self.below.next();
                }
                None => None,
            };
            match (self.here.peek(), below) {
                (Some((here, _)), below) if below.is_none_or(|below| here <= below) => {
                    if below == Some(here) {
                        self.below.next();
                    }
                    if let Some((key, Some(value))) = self.here.next() {
                        return Some(Ok((key, value)));
                    }
                }
                _ => return self.below.next(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;
    use crate::port::SideTable;

    const TABLE: RowTable = RowTable::new("test");

    fn row(key: &'static str, value: Option<&'static str>) -> Row {
        Row { table: TABLE, key: key.into(), value: value.map(Bytes::from) }
    }

    #[test]
    fn rows_here_stand_before_those_below() {
        let below = MemoryStore::new();
        below.put_rows(&["b", "d", "f", "h"].map(|key| row(key, Some("below")))).unwrap();
        let rows = Rows::default();
        rows.put(&[
            row("a", Some("here")),
            row("d", Some("here")),
            row("f", None),
            row("g", None),
            row("i", Some("here")),
        ]);
        let list = |from: &str| {
            let rows = rows.list(TABLE, from.as_bytes(), below.rows(TABLE, from.as_bytes()).unwrap());
            let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
            rows.map(|row| row.map(|(key, value)| text(key) + " " + &text(value)).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(list(""), ["a here", "b below", "d here", "h below", "i here"]);
        assert_eq!(list("d"), ["d here", "h below", "i here"]);
        assert_eq!(rows.get(TABLE, b"d"), Some(Some("here".into())));
        assert_eq!((rows.get(TABLE, b"f"), rows.get(TABLE, b"b")), (Some(None), None));
        assert_eq!(rows.all(), [row("a", Some("here")), row("d", Some("here")), row("i", Some("here"))]);
        rows.clear(TABLE);
        rows.put(&[row("c", Some("here"))]);
        assert_eq!(list(""), ["c here"]);
        assert_eq!((rows.get(TABLE, b"b"), rows.all()), (Some(None), vec![row("c", Some("here"))]));
    }
}
