//! Laying values out in groups, and groups in runs of pages.
//!
//! Used by: `checkpoint` (what the log held), `direct` (large commits), `compact`.

use std::ops::Range;
use std::thread;

use bytes::Bytes;
use mnem_core::port::Fault;

use crate::bytes::{align_up, wide};
use crate::data::DataFile;
use crate::group::{Draft, GRANULE_BYTES, GroupKind, Locator};
use crate::keys::Key;
use crate::options::StorageOptions;
use crate::page::PAGE_SIZE;
use crate::space::{RunId, Space};

const PAGE_BYTES: u64 = PAGE_SIZE as u64;
const GRANULES_PER_PAGE: u64 = PAGE_BYTES / GRANULE_BYTES;

/// Groups are written in runs of this many pages, where there is room.
const RUN_PAGES: u64 = 256;

/// A group has at most so many values.
const GROUP_VALUES_MAX: usize = 4096;

/// So many bytes of values are compressed at a time; from the smaller number on, on several cores.
const BATCH_BYTES: usize = 4 << 20;
const SHARED_BYTES_MIN: usize = 256 << 10;

/// A value on its way into a group.
pub(crate) struct Loose {
    pub(crate) key: Key,
    pub(crate) bytes: Bytes,
}

/// Writes groups one behind the other into runs of pages.
pub(crate) struct Groups<'a> {
    pub(crate) data: &'a DataFile,
    pub(crate) space: &'a Space,
    pub(crate) options: &'a StorageOptions,
    /// What the groups' headers say.
    pub(crate) generation: u64,
    /// The large commit whose pages these are; absent: a checkpoint.
    pub(crate) ahead: Option<RunId>,
    /// How many cores may compress.
    pub(crate) threads: usize,
    run: Option<Run>,
    /// Room for the next run's bytes, used before.
    spare: Vec<u8>,
    written: u64,
}

struct Run {
    pages: Range<u64>,
    bytes: Vec<u8>,
}

impl<'a> Groups<'a> {
    pub(crate) fn new(
        data: &'a DataFile,
        space: &'a Space,
        options: &'a StorageOptions,
        generation: u64,
        ahead: Option<RunId>,
    ) -> Groups<'a> {
        let threads = match ahead {
            Some(_) => thread::available_parallelism().map_or(1, usize::from).min(4),
            None => 1,
        };
        Groups { data, space, options, generation, ahead, threads, run: None, spare: Vec::new(), written: 0 }
    }

    /// Writes values in their order, and hands each one's key and place to `placed`.
    pub(crate) fn write_all(
        &mut self,
        kind: GroupKind,
        values: Vec<Loose>,
        mut placed: impl FnMut(Key, Locator),
    ) -> Result<(), Fault> {
        let mut groups = Vec::new();
        let (mut group, mut group_bytes, mut bytes) = (Vec::new(), 0, 0);
        for value in values {
            let is_full =
                group_bytes + value.bytes.len() > self.options.group_bytes || group.len() == GROUP_VALUES_MAX;
            if is_full && !group.is_empty() {
                groups.push(std::mem::take(&mut group));
                bytes += group_bytes;
                group_bytes = 0;
            }
            if bytes >= BATCH_BYTES {
                self.write_batch(kind, &groups, bytes, &mut placed)?;
                groups.clear();
                bytes = 0;
            }
            group_bytes += value.bytes.len();
            group.push(value);
        }
        if !group.is_empty() {
            groups.push(group);
        }
        self.write_batch(kind, &groups, bytes + group_bytes, &mut placed)
    }

    fn write_batch(
        &mut self,
        kind: GroupKind,
        groups: &[Vec<Loose>],
        bytes: usize,
        placed: &mut impl FnMut(Key, Locator),
    ) -> Result<(), Fault> {
        for (group, draft) in groups.iter().zip(self.drafts(kind, groups, bytes)) {
            let (granule, granules, crc) = self.place(&draft)?;
            for (slot, value) in (0..).zip(group) {
                placed(value.key.clone(), Locator { granule, granules, slot, crc });
            }
        }
        Ok(())
    }

    /// Compresses groups, on several cores if they are many.
    fn drafts(&self, kind: GroupKind, groups: &[Vec<Loose>], bytes: usize) -> Vec<Draft> {
        let compression = self.options.compression;
        let draft = |group: &Vec<Loose>| {
            let values: Vec<(u8, Bytes)> =
                group.iter().map(|value| (value.key[0], value.bytes.clone())).collect();
            Draft::new(kind, &values, compression)
        };
        if self.threads == 1 || bytes < SHARED_BYTES_MIN {
            return groups.iter().map(draft).collect();
        }
        let draft = &draft;
        thread::scope(|scope| {
            let mut parts = groups.chunks(groups.len().div_ceil(self.threads));
            let own = parts.next().unwrap_or_default();
            let others: Vec<_> =
                parts.map(|part| scope.spawn(move || part.iter().map(draft).collect::<Vec<_>>())).collect();
            let mut drafts: Vec<Draft> = own.iter().map(draft).collect();
            for other in others {
                drafts.extend(other.join().expect("compressing does not panic"));
            }
            drafts
        })
    }

    fn place(&mut self, draft: &Draft) -> Result<(u64, u32, u32), Fault> {
        let granules = draft.granules();
        let needed = u64::from(granules) * GRANULE_BYTES;
        let is_too_long =
            |run: &Run| wide(run.bytes.len()) + needed > (run.pages.end - run.pages.start) * PAGE_BYTES;
        if self.run.as_ref().is_some_and(is_too_long) {
            self.close()?;
        }
        let (space, ahead, spare) = (self.space, self.ahead, &mut self.spare);
        let run = self.run.get_or_insert_with(|| {
            let least = align_up(needed, PAGE_BYTES) / PAGE_BYTES;
            let most = least.max(RUN_PAGES);
            let pages = match ahead {
                Some(id) => space.take_ahead(id, least, most),
                None => space.take(least, most),
            };
            Run { pages, bytes: std::mem::take(spare) }
        });
        let granule = run.pages.start * GRANULES_PER_PAGE + wide(run.bytes.len()) / GRANULE_BYTES;
        let crc = draft.place(self.data.store, granule, self.generation, &mut run.bytes);
        Ok((granule, granules, crc))
    }

    /// Writes the run that is being filled, and gives back what it does not need. Returns how many bytes were written.
    pub(crate) fn close(&mut self) -> Result<u64, Fault> {
        if let Some(mut run) = self.run.take() {
            let pages = align_up(wide(run.bytes.len()), PAGE_BYTES) / PAGE_BYTES;
            let end = run.pages.start + pages;
            run.bytes.resize(usize::try_from(pages * PAGE_BYTES).expect("a run is bounded"), 0);
            self.data.write(run.pages.start * PAGE_BYTES, &run.bytes)?;
            self.written += wide(run.bytes.len());
            run.bytes.clear();
            self.spare = run.bytes;
            match self.ahead {
                _ if end == run.pages.end => {}
                Some(id) => self.space.shorten_ahead(id, end..run.pages.end),
                None => self.space.give_back(end..run.pages.end),
            }
        }
        Ok(self.written)
    }
}
