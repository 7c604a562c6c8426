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

use crate::data::DataFile;
use crate::group::Locator;
use crate::index;
use crate::keys::{self, Key};
use crate::memtable::Memtable;
use crate::space::PageMap;
use crate::superblock::Root;
use crate::wal::Lsn;

/// The heads of every namespace.
pub(crate) type Heads = BTreeMap<Namespace, BTreeSet<OperationId>>;

/// The pages of one checkpoint, and what was committed since.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) root: Option<Root>,
    pub(crate) used: Arc<PageMap>,
    pub(crate) table: Memtable,
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
    Memory(Bytes),
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
        const WHAT: &str = "a block";
        let key = keys::block(cid);
        if let Some(found) = self.version.table.get(&key, self.lsn) {
            let Some(bytes) = found else { return Ok(None) };
            return match Block::verify(*cid, bytes) {
                Ok(block) => Ok(Some(block)),
                Err(_) => Err(data.corrupt(WHAT, format_args!("in memory, {cid}"))),
            };
        }
        let Some(locator) = self.stored(data, &key)? else { return Ok(None) };
        // Twice: what was read may have been damaged in memory since.
        for _ in 0..2 {
            if let Ok(block) = Block::verify(*cid, data.value_to_prove(&locator, WHAT)?) {
                return Ok(Some(block));
            }
            data.forget(&locator);
        }
        Err(data.damaged(&locator, WHAT))
    }

    /// Says whether a key has a value.
    pub(crate) fn has(&self, data: &DataFile, key: &[u8]) -> Result<bool, Fault> {
        match self.version.table.get(key, self.lsn) {
            Some(found) => Ok(found.is_some()),
            None => Ok(index::get(data, self.version.root, key)?.is_some()),
        }
    }

    /// The same, if it takes no I/O.
    pub(crate) fn has_in_memory(&self, data: &DataFile, key: &[u8]) -> Option<bool> {
        match self.version.table.get(key, self.lsn) {
            Some(found) => Some(found.is_some()),
            None => index::get_in_memory(data, self.version.root, key),
        }
    }

    /// Reads the value of a row. A damaged one is absent: it can be derived again.
    pub(crate) fn row(&self, data: &DataFile, key: &[u8]) -> Result<Option<Bytes>, Fault> {
        match self.version.table.get(key, self.lsn) {
            Some(found) => Ok(found),
            None => match index::get(data, self.version.root, key)? {
                Some(stored) => row_value(data, &stored),
                None => Ok(None),
            },
        }
    }

    /// Returns how long a value is.
    pub(crate) fn value_bytes(&self, data: &DataFile, key: &[u8]) -> Result<Option<usize>, Fault> {
        match self.version.table.get(key, self.lsn) {
            Some(found) => Ok(found.map(|bytes| bytes.len())),
            None => match self.stored(data, key)? {
                Some(locator) => Ok(Some(data.value(&locator, "a block")?.len())),
                None => Ok(None),
            },
        }
    }

    fn stored(&self, data: &DataFile, key: &[u8]) -> Result<Option<Locator>, Fault> {
        let Some(value) = index::get(data, self.version.root, key)? else { return Ok(None) };
        Ok(Some(locator(data, &value)?))
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
            let mut stored = index::range(data, self.version.root, start, most)?;
            let is_all = stored.len() < most || stored.last().is_some_and(|(key, _)| **key >= *end);
            stored.retain(|(key, _)| **key < *end);
            let to = match stored.last() {
                Some((last, _)) if !is_all => Bound::Included(&**last),
                _ => Bound::Excluded(end),
            };
            let changed = self.version.table.range(start, to, self.lsn, most);
            // With as many changes as asked for, what is behind the last one is for the next time.
            let until = changed.last().filter(|_| changed.len() == most).map(|(key, _)| key.clone());
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

/// Reads what a leaf says of a row.
pub(crate) fn row_value(data: &DataFile, stored: &[u8]) -> Result<Option<Bytes>, Fault> {
    match data.value(&locator(data, stored)?, "a row") {
        Ok(value) => Ok(Some(value)),
        Err(Fault::Corrupt { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) fn locator(data: &DataFile, value: &[u8]) -> Result<Locator, Fault> {
    Locator::decode(value).ok_or_else(|| data.corrupt("an index page", "a value that points nowhere"))
}
