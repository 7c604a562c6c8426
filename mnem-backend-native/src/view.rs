//! What a reader sees: one moment of the store.
//!
//! Invariants
//!  V1  A tip never changes. Publishing a newer one is one pointer: no reader sees half a commit.
//!  V2  As long as somebody holds a tip, no page that it reaches is written over (`space`, F2).
//!
//! Used by: `engine` (publishes), `ports`, `snapshot`, `checkpoint`. Threads: any.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use mnem_core::port::{Fault, Namespace};
use mnem_core::{Block, Cid, OperationId};

use crate::data::{DataFile, Seen};
use crate::group::Locator;
use crate::index::{self, Tree};
use crate::keys::{self, Key};
use crate::memtable::{Memtable, Value};
use crate::space::PageMap;
use crate::wal::Lsn;

/// The heads of every namespace.
pub(crate) type Heads = BTreeMap<Namespace, BTreeSet<OperationId>>;

/// The pages of one checkpoint, and what was committed since.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) index: Tree,
    pub(crate) seen: Seen,
    pub(crate) used: Arc<PageMap>,
    /// What a checkpoint is moving into the pages.
    pub(crate) frozen: Option<Arc<Memtable>>,
    /// What was committed after that.
    pub(crate) table: Arc<Memtable>,
}

impl Version {
    /// Says whether everything is in the pages.
    pub(crate) fn is_settled(&self) -> bool {
        self.frozen.is_none() && self.table.is_empty()
    }

    /// Returns what is known of a key at a position that is not in the pages: a value, that it is deleted, or nothing.
    pub(crate) fn changed(&self, key: &[u8], at: Lsn) -> Option<Option<Value>> {
        self.table.get(key, at).or_else(|| self.frozen.as_ref()?.get(key, at))
    }

    /// Lists changes in order. With as many as asked for, what is behind the returned key is for the next time.
    pub(crate) fn changes(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        at: Lsn,
        most: usize,
    ) -> (BTreeMap<Key, Option<Value>>, Option<Key>) {
        let mut until: Option<Key> = None;
        let mut changes = BTreeMap::new();
        // The newer ones come last, and win.
        for table in self.frozen.iter().chain([&self.table]) {
            let found = table.range(from, to, at, most);
            if let Some((last, _)) = found.last().filter(|_| found.len() == most) {
                until = Some(until.map_or_else(|| last.clone(), |until| until.min(last.clone())));
            }
            changes.extend(found);
        }
        if let Some(until) = &until {
            changes.retain(|key, _| key <= until);
        }
        (changes, until)
    }
}

/// One moment.
#[derive(Clone, Debug)]
pub(crate) struct Tip {
    /// The last log record that counts.
    pub(crate) lsn: Lsn,
    pub(crate) heads: Arc<Heads>,
    pub(crate) version: Arc<Version>,
}

/// Where a listed value is.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Memory(Value),
    /// What the leaf says.
    Stored(Vec<u8>),
}

impl Tip {
    /// Returns the heads of all namespaces.
    pub(crate) fn all_heads(&self) -> Vec<Cid> {
        self.heads.values().flatten().map(|head| *head.cid()).collect()
    }

    /// Reads a block and proves that it is what its name says.
    pub(crate) fn block(&self, data: &DataFile, cid: &Cid) -> Result<Option<Block>, Fault> {
        let seen = self.version.seen;
        let key = keys::block_key(cid);
        let found = match self.version.changed(&key, self.lsn) {
            Some(changed) => self.found(data, cid, changed)?,
            None => match data.block_in_memory(cid, seen) {
                Some(block) => return Ok(Some(block)),
                None => self.stored(data, &key)?.map(Found::At),
            },
        };
        match found {
            None => Ok(None),
            Some(Found::Here(block)) => Ok(Some(block)),
            Some(Found::At(locator)) => data.block_again(&locator, cid, seen).map(Some),
        }
    }

    /// Finds a block without reading it from its group.
    pub(crate) fn find(&self, data: &DataFile, cid: &Cid) -> Result<Option<Found>, Fault> {
        let key = keys::block_key(cid);
        match self.version.changed(&key, self.lsn) {
            Some(changed) => self.found(data, cid, changed),
            None => Ok(self.stored(data, &key)?.map(Found::At)),
        }
    }

    fn found(&self, data: &DataFile, cid: &Cid, changed: Option<Value>) -> Result<Option<Found>, Fault> {
        Ok(match changed {
            None => None,
            Some(Value::Block(block)) => Some(Found::Here(block)),
            Some(Value::Placed(locator) | Value::Moved(locator)) => Some(Found::At(locator)),
            Some(Value::Bytes(bytes)) => match Block::verify(*cid, bytes) {
                Ok(block) => Some(Found::Here(block)),
                Err(_) => return Err(data.corrupt("a block", format_args!("in memory, {cid}"))),
            },
        })
    }

    /// Says whether a key has a value.
    pub(crate) fn has(&self, data: &DataFile, key: &[u8]) -> Result<bool, Fault> {
        match self.version.changed(key, self.lsn) {
            Some(found) => Ok(found.is_some()),
            None => Ok(index::get(data, &self.version.index, key, |_| ())?.is_some()),
        }
    }

    /// The same, if it takes no I/O.
    pub(crate) fn has_in_memory(&self, data: &DataFile, key: &[u8]) -> Option<bool> {
        match self.version.changed(key, self.lsn) {
            Some(found) => Some(found.is_some()),
            None => index::get_in_memory(data, &self.version.index, key),
        }
    }

    /// Reads the value of a row. A damaged one is absent: it can be derived again.
    pub(crate) fn row(&self, data: &DataFile, key: &[u8]) -> Result<Option<Bytes>, Fault> {
        match self.version.changed(key, self.lsn) {
            Some(found) => Ok(found.as_ref().and_then(Value::bytes).cloned()),
            None => match index::get(data, &self.version.index, key, Locator::decode)? {
                Some(stored) => row_value(data, &located(data, stored)?),
                None => Ok(None),
            },
        }
    }

    /// Returns how long a value is.
    pub(crate) fn value_bytes(&self, data: &DataFile, key: &[u8]) -> Result<Option<usize>, Fault> {
        match self.version.changed(key, self.lsn) {
            Some(None) => Ok(None),
            Some(Some(Value::Placed(locator) | Value::Moved(locator))) => {
                Ok(Some(data.value(&locator, "a block")?.len()))
            }
            Some(Some(value)) => Ok(value.bytes().map(Bytes::len)),
            None => match self.stored(data, key)? {
                Some(locator) => Ok(Some(data.value(&locator, "a block")?.len())),
                None => Ok(None),
            },
        }
    }

    fn stored(&self, data: &DataFile, key: &[u8]) -> Result<Option<Locator>, Fault> {
        let found = index::get(data, &self.version.index, key, Locator::decode)?;
        found.map(|locator| located(data, locator)).transpose()
    }

    /// Lists at most about `most` keys from `from` to before `end`, in order. Empty: there are no more.
    pub(crate) fn list(
        &self,
        data: &DataFile,
        from: Bound<&[u8]>,
        end: &[u8],
        most: usize,
    ) -> Result<Vec<(Key, Source)>, Fault> {
        let mut from: Bound<Key> = from.map(Key::from);
        loop {
            let start = from.as_ref().map(|key| &**key);
            let mut stored = index::range(data, self.version.index.root, start, most)?;
            let is_all = stored.len() < most || stored.last().is_some_and(|(key, _)| **key >= *end);
            stored.retain(|(key, _)| **key < *end);
            let to = match stored.last() {
                Some((last, _)) if !is_all => Bound::Included(&**last),
                _ => Bound::Excluded(end),
            };
            let (changed, until) = self.version.changes(start, to, self.lsn, most);
            let is_over = is_all && until.is_none();
            let next = until.clone().or_else(|| stored.last().map(|(key, _)| key.clone()));
            let within = |key: &Key| until.as_ref().is_none_or(|until| key <= until);
            let stored = stored.into_iter().filter(|(key, _)| within(key));
            let mut found: BTreeMap<Key, Source> =
                stored.map(|(key, value)| (key, Source::Stored(value))).collect();
            for (key, value) in changed {
                match value {
                    Some(value) => drop(found.insert(key, Source::Memory(value))),
                    None => drop(found.remove(&key)),
                }
            }
            match next {
                Some(next) if found.is_empty() && !is_over => from = Bound::Excluded(next),
                _ => return Ok(found.into_iter().collect()),
            }
        }
    }
}

/// Where a block is.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    Here(Block),
    At(Locator),
}

/// Reads what a leaf says of a row.
pub(crate) fn row_value(data: &DataFile, stored: &Locator) -> Result<Option<Bytes>, Fault> {
    match data.value(stored, "a row") {
        Ok(value) => Ok(Some(value)),
        Err(Fault::Corrupt { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) fn locator(data: &DataFile, value: &[u8]) -> Result<Locator, Fault> {
    located(data, Locator::decode(value))
}

fn located(data: &DataFile, locator: Option<Locator>) -> Result<Locator, Fault> {
    locator.ok_or_else(|| data.corrupt("an index page", "a value that points nowhere"))
}
