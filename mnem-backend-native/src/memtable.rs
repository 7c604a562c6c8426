//! What was committed since the last checkpoint: the same changes as in the log, by key.
//!
//! Invariants
//!  E1  The changes of a key ascend by their positions in the log; within one record the last one wins.
//!  E2  A reader at a position sees no change behind it: entries go in before the position is published.
//!
//! Used by: `engine` (writes, under its writer's lock), `view` (reads), `checkpoint`. Threads: any number of readers
//! beside one writer; no lock is held across I/O.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;
use mnem_core::Block;

use crate::group::Locator;
use crate::keys::Key;
use crate::wal::Lsn;

/// What a key becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// As the log has it: a row, a head, or a block that nobody has proven yet.
    Bytes(Bytes),
    /// A block, proven.
    Block(Block),
    /// A block that is in the pages already.
    Placed(Locator),
    /// A block that was in the pages and lies elsewhere now.
    Moved(Locator),
}

impl Value {
    /// Returns the bytes, unless they are in the pages.
    pub(crate) fn bytes(&self) -> Option<&Bytes> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            Value::Block(block) => Some(block.bytes()),
            Value::Placed(_) | Value::Moved(_) => None,
        }
    }
}

/// A key's new value, or that it has none.
pub(crate) type Change = (Key, Option<Value>);

/// Changes by key.
#[derive(Debug, Default)]
pub(crate) struct Memtable {
    keys: RwLock<BTreeMap<Key, Vec<Entry>>>,
    /// Spares readers the lock as long as there is nothing to read.
    has_some: AtomicBool,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) lsn: Lsn,
    /// Absent: deleted.
    pub(crate) value: Option<Value>,
}

impl Memtable {
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Key, Vec<Entry>>> {
        // Nothing panics while it is held for writing but a lack of memory.
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the changes of one record.
    pub(crate) fn apply(&self, lsn: Lsn, changes: Vec<Change>) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        self.has_some.store(self.has_some.load(Ordering::Relaxed) || !changes.is_empty(), Ordering::Release);
        for (key, value) in changes {
            let entries = keys.entry(key).or_default();
            match entries.last_mut() {
                Some(last) if last.lsn == lsn => last.value = value,
                last => {
                    debug_assert!(last.is_none_or(|last| last.lsn < lsn), "E1");
                    entries.push(Entry { lsn, value });
                }
            }
        }
    }

    /// Returns what is known of a key at a position: a value, that it is deleted, or nothing.
    pub(crate) fn get(&self, key: &[u8], at: Lsn) -> Option<Option<Value>> {
        if self.is_empty() {
            return None;
        }
        seen(self.read().get(key)?, at).map(|entry| entry.value.clone())
    }

    /// Lists at most `most` keys that have changed, from `from` to `to`, in order, with their values.
    pub(crate) fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, at: Lsn, most: usize) -> Vec<Change> {
        if self.is_empty() {
            return Vec::new();
        }
        let keys = self.read();
        let entries = keys.range::<[u8], _>((from, to));
        let seen = entries.filter_map(|(key, entries)| Some((key.clone(), seen(entries, at)?.value.clone())));
        seen.take(most).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.has_some.load(Ordering::Acquire)
    }

    /// Hands out every key with all its changes. For a checkpoint: nobody writes any more.
    pub(crate) fn all(&self) -> Vec<(Key, Vec<Entry>)> {
        self.read().iter().map(|(key, entries)| (key.clone(), entries.clone())).collect()
    }
}

fn seen(entries: &[Entry], at: Lsn) -> Option<&Entry> {
    entries.iter().rev().find(|entry| entry.lsn <= at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: &str, value: Option<&str>) -> Change {
        (key.as_bytes().into(), value.map(bytes))
    }

    fn bytes(value: &str) -> Value {
        Value::Bytes(Bytes::copy_from_slice(value.as_bytes()))
    }

    #[test]
    fn a_reader_sees_what_was_there_at_its_position() {
        let table = Memtable::default();
        table.apply(Lsn(1), vec![change("k", Some("one"))]);
        table.apply(Lsn(2), vec![change("k", None)]);
        table.apply(Lsn(3), vec![change("k", Some("three"))]);
        let get = |at| table.get(b"k", Lsn(at));
        assert_eq!(get(0), None);
        assert_eq!(get(1), Some(Some(bytes("one"))));
        assert_eq!(get(2), Some(None));
        assert_eq!(get(9), Some(Some(bytes("three"))));
        let all = (Bound::Unbounded, Bound::Unbounded);
        assert_eq!(table.range(all.0, all.1, Lsn(0), 10), []);
        assert_eq!(table.range(all.0, all.1, Lsn(2), 10), [change("k", None)]);
    }

    #[test]
    fn within_one_record_the_last_change_of_a_key_wins() {
        let table = Memtable::default();
        table.apply(Lsn(1), vec![change("k", Some("one")), change("k", None), change("k", Some("two"))]);
        assert_eq!(table.get(b"k", Lsn(1)), Some(Some(bytes("two"))));
        assert_eq!(table.all()[0].1.len(), 1);
    }
}
