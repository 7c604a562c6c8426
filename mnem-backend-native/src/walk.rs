//! All blocks in the order in which they lie on the disk: for walkers that want each once and in no order of their own.
//!
//! The index is in the order of CIDs, which is as good as random. So it is gone through once, or a few times where memory
//! is short, and each time the next entries by address are kept, up to a limit.
//!
//! Used by: callers of [`StorageEngine`] who export, count or check. Threads: one for each walk.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use mnem_core::port::{Fault, StoreError};
use mnem_core::{Block, Cid};

use crate::bytes::wide;
use crate::engine::{Handle, StorageEngine};
use crate::group::{Group, Locator};
use crate::index;
use crate::keys;
use crate::memtable::Value;
use crate::view::{Tip, locator};

/// So much is read at a time.
const WINDOW_BYTES: usize = 1 << 20;

/// How many changes in memory are listed at a time.
const BATCH_ITEMS: usize = 4096;

/// Least and most entries that are kept of the index at a time.
const ENTRIES_MIN: usize = 16 << 10;
const ENTRIES_MAX: usize = 4 << 20;

type Entry = (Locator, Cid);

/// Blocks of one moment, with their bytes. The bytes passed the checksum of their group; to prove them by their hash, make
/// a [`Block`] of them.
pub struct StorageOrder {
    inner: Arc<Handle>,
    tip: Arc<Tip>,
    /// What is in memory only.
    loose: VecDeque<(Cid, Bytes)>,
    /// What is in the pages but not in the index yet.
    placed: Vec<Entry>,
    /// The next ones, the last first.
    next: Vec<Entry>,
    /// Where the entries begin that were not looked at yet; absent: there are none.
    from: Option<u64>,
    window: (u64, Vec<u8>),
    group: Option<(Locator, Arc<Group>)>,
}

impl StorageEngine {
    /// Returns all blocks that are there now, in the order in which they lie on the disk.
    pub fn blocks_in_storage_order(&self) -> StorageOrder {
        // What cannot be read now is not seen: the blocks of the moment before are.
        let tip = self.inner.newest_to_keep().unwrap_or_else(|_| self.inner.tip_to_keep());
        let mut walk = StorageOrder {
            inner: self.inner.clone(),
            tip,
            loose: VecDeque::new(),
            placed: Vec::new(),
            next: Vec::new(),
            from: Some(0),
            window: (0, Vec::new()),
            group: None,
        };
        walk.list_changes();
        walk
    }
}

impl StorageOrder {
    /// Goes on at a place in the file.
    pub(crate) fn begin_at(&mut self, granule: u64) {
        self.from = Some(granule);
    }

    /// Returns where the next block lies that is in the pages.
    pub(crate) fn next_entry(&mut self) -> Result<Option<(Locator, Cid)>, Fault> {
        if self.next.is_empty()
            && let Err(error) = self.collect()
        {
            self.from = None;
            return Err(error);
        }
        Ok(self.next.pop())
    }

    pub(crate) fn damaged(&self, place: &Locator) -> Fault {
        self.inner.data.damaged(place, "a block")
    }

    fn list_changes(&mut self) {
        let mut from: Bound<keys::Key> = Bound::Unbounded;
        let end = [keys::HEADS];
        loop {
            let start = from.as_ref().map(|key| &**key);
            let (changes, until) =
                self.tip.version.changes(start, Bound::Excluded(&end), self.tip.lsn, BATCH_ITEMS);
            for (key, value) in changes {
                let Some(cid) = keys::cid(&key) else { continue };
                match value {
                    Some(Value::Placed(place) | Value::Moved(place)) => self.placed.push((place, cid)),
                    Some(Value::Block(block)) => self.loose.push_back((cid, block.bytes().clone())),
                    Some(Value::Bytes(bytes)) => self.loose.push_back((cid, bytes)),
                    None => {}
                }
            }
            match until {
                Some(until) => from = Bound::Excluded(until),
                None => return,
            }
        }
    }

    /// Collects the next entries by address.
    fn collect(&mut self) -> Result<(), Fault> {
        let Some(from) = self.from else { return Ok(()) };
        let most = (self.inner.options.pool_bytes / 4 / size_of::<Entry>()).clamp(ENTRIES_MIN, ENTRIES_MAX);
        let mut found: Vec<Entry> =
            self.placed.iter().filter(|(place, _)| place.granule >= from).copied().collect();
        // Entries from here on are for the next time: of a group all come, or none.
        let mut end = None;
        let mut cut = |found: &mut Vec<Entry>| {
            if found.len() >= 2 * most {
                let (_, (first, _), _) = found.select_nth_unstable_by_key(most, |(place, _)| place.granule);
                let first = first.granule;
                found.retain(|(place, _)| place.granule < first);
                end = Some(first);
            }
            end
        };
        let mut end = cut(&mut found);
        let (data, tip) = (&self.inner.data, &self.tip);
        let has_changes = !self.tip.version.is_settled();
        index::for_each_value(data, tip.version.index.root, &mut |_| {}, &mut |key, value| {
            let Some(cid) = keys::cid(key) else { return Ok(()) };
            let place = locator(data, value)?;
            let is_next = place.granule >= from && end.is_none_or(|end| place.granule < end);
            if is_next && !(has_changes && tip.version.changed(key, tip.lsn).is_some()) {
                found.push((place, cid));
                end = cut(&mut found);
            }
            Ok(())
        })?;
        found.sort_unstable_by_key(|(place, _)| {
            (std::cmp::Reverse(place.granule), std::cmp::Reverse(place.slot))
        });
        self.from = end;
        self.next = found;
        Ok(())
    }

    pub(crate) fn group(&mut self, place: &Locator) -> Result<Arc<Group>, Fault> {
        if let Some((at, group)) = &self.group
            && (at.granule, at.crc) == (place.granule, place.crc)
        {
            return Ok(group.clone());
        }
        let data = &self.inner.data;
        let group = match data.group_in_memory(place) {
            Some(group) => group,
            None => {
                let damaged = || data.damaged(place, "a block");
                let range = place.range();
                let length = usize::try_from(range.end - range.start).map_err(|_| damaged())?;
                let is_inside =
                    range.start >= self.window.0 && range.end <= self.window.0 + wide(self.window.1.len());
                if !is_inside {
                    self.window = (range.start, data.read(range.start, length.max(WINDOW_BYTES))?);
                }
                let start = usize::try_from(range.start - self.window.0).map_err(|_| damaged())?;
                let bytes = self.window.1.get(start..start + length).ok_or_else(damaged)?;
                Arc::new(Group::decode(data.store, place, bytes).ok_or_else(damaged)?)
            }
        };
        self.group = Some((*place, group.clone()));
        Ok(group)
    }

    fn read(&mut self, place: &Locator, cid: Cid) -> Result<(Cid, Bytes), Fault> {
        let group = self.group(place)?;
        let damaged = || self.damaged(place);
        if group.is_intact() {
            return Ok((cid, group.value(place.slot).ok_or_else(damaged)?));
        }
        let block: Block = group.block(place.slot, &cid).ok_or_else(damaged)?;
        Ok((cid, block.bytes().clone()))
    }
}

impl Iterator for StorageOrder {
    type Item = Result<(Cid, Bytes), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(loose) = self.loose.pop_front() {
            return Some(Ok(loose));
        }
        let (place, cid) = match self.next_entry() {
            Ok(next) => next?,
            Err(error) => return Some(Err(error.into())),
        };
        Some(self.read(&place, cid).map_err(StoreError::from))
    }
}
