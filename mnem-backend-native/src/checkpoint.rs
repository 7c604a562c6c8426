//! The checkpoint: what is in memory and in the log goes into pages, and a new superblock says so.
//!
//! Order of writes and why it suffices: DURABILITY.md, "Native backend", "Checkpoint".
//!
//! Invariants
//!  C1  Nothing that a valid superblock or a reader reaches is written over.
//!  C2  A superblock is written only after all that it reaches, and the log before its position, is synced.
//!  C3  What fails before the superblock is written changes nothing: the next attempt begins anew.
//!
//! Used by: `engine`, `recovery`. Runs under the writer's lock; readers go on.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use mnem_core::port::Fault;

use crate::bytes::{align_up, wide};
use crate::data::DataFile;
use crate::engine::{Inner, Writer};
use crate::group::{Draft, GRANULE_BYTES, GroupKind, LOCATOR_BYTES, Locator};
use crate::index::{self, Merge, Merged};
use crate::keys::{self, Key};
use crate::memtable::Memtable;
use crate::options::StorageOptions;
use crate::page::{PAGE_SIZE, PageId};
use crate::space::{Allocator, PageMap, map_pages};
use crate::superblock::{Root, SpaceRun, Superblock};
use crate::view::{Tip, Version, locator};
use crate::wal::Lsn;

const PAGE_BYTES: u64 = PAGE_SIZE as u64;
const GRANULES_PER_PAGE: u64 = PAGE_BYTES / GRANULE_BYTES;

/// Groups are written in runs of this many pages, where there is room.
const RUN_PAGES: u64 = 64;

/// A group has at most so many values.
const GROUP_VALUES_MAX: usize = 4096;

/// A value on its way into a group.
struct Value {
    lsn: Lsn,
    key: Key,
    bytes: Bytes,
}

/// What a batch of changes asks of the pages.
#[derive(Default)]
struct Batch {
    blocks: Vec<Value>,
    rows: Vec<Value>,
    edits: Vec<(Key, Option<Vec<u8>>)>,
}

/// Moves everything from memory into the pages.
pub(crate) fn checkpoint(inner: &Inner, writer: &mut Writer) -> Result<(), Fault> {
    writer.wal.refuse_if_poisoned()?;
    let tip = inner.tip();
    if tip.version.table.is_empty() {
        return Ok(());
    }
    writer.read.retain(|(version, _)| version.strong_count() > 0);
    let made = make(inner, writer, &tip)?;
    let superblock = made.superblock;
    commit(&inner.data, writer, &superblock)?;
    // Readers of the old version keep its pages.
    writer.read.push((Arc::downgrade(&tip.version), tip.version.used.clone()));
    writer.previous = PageMap::clone(&tip.version.used);
    writer.superblock = superblock;
    writer.table_bytes = 0;
    writer.wal.release(superblock.lsn);
    let used = Arc::new(made.used);
    let version = Version { root: superblock.root, used: used.clone(), table: Memtable::default() };
    inner.publish(Tip { lsn: tip.lsn, heads: tip.heads.clone(), version: Arc::new(version) });
    inner.counters.checkpoints.add(1);
    drop(tip);
    cut_tail(inner, writer, &used);
    Ok(())
}

struct Made {
    superblock: Superblock,
    used: PageMap,
}

/// Writes groups, index and map. Nothing of it counts yet.
fn make(inner: &Inner, writer: &Writer, tip: &Tip) -> Result<Made, Fault> {
    let data = &inner.data;
    let old = &writer.superblock;
    let generation = old.generation + 1;
    let mut busy = PageMap::clone(&tip.version.used);
    busy.unite(&writer.previous);
    writer.read.iter().for_each(|(_, used)| busy.unite(used));
    let mut allocator = Allocator::new(busy);
    let mut batch = collect(data, tip)?;
    let mut groups = Groups { inner, generation, pages: Vec::new(), run: None };
    let mut edits = std::mem::take(&mut batch.edits);
    for (kind, values) in [(GroupKind::Blocks, batch.blocks), (GroupKind::Rows, batch.rows)] {
        groups.write_all(kind, values, &inner.options, &mut allocator, &mut edits)?;
    }
    groups.close(&mut allocator)?;
    let group_pages = groups.pages;
    edits.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    let mut merged = Merge::new(data, &mut allocator, data.store, generation).run(old.root, &edits)?;
    write_pages(inner, &mut merged)?;
    let mut used = if merged.displaced > 0 {
        reachable(data, merged.root)?
    } else {
        let mut used = PageMap::clone(&tip.version.used);
        let space = old.space.page.0..old.space.page.0 + u64::from(old.space.pages);
        space.for_each(|page| used.remove(PageId(page)));
        merged.dropped.iter().for_each(|page| used.remove(*page));
        group_pages.into_iter().for_each(|pages| used.insert(pages));
        merged.pages.iter().for_each(|page| used.insert(page.at.page.0..page.at.page.0 + 1));
        used
    };
    let space = write_map(inner, &mut allocator, &mut used)?;
    let superblock = Superblock {
        id: old.id,
        generation,
        epoch: writer.wal.epoch(),
        chain: writer.wal.chain(),
        lsn: writer.wal.position(),
        segment: writer.wal.segment_start(),
        txn: writer.wal.txn(),
        file_pages: used.end(),
        keys: old.keys + merged.added_keys - merged.removed_keys,
        root: merged.root,
        space,
    };
    // Pages that are read next: the ones just written.
    merged.pages.into_iter().for_each(|page| data.keep(page.at, page.node));
    Ok(Made { superblock, used })
}

/// Makes everything durable that the superblock reaches, then the superblock. From the first failed sync on, nothing is
/// known of what is on the disk.
fn commit(data: &DataFile, writer: &mut Writer, superblock: &Superblock) -> Result<(), Fault> {
    writer.wal.sync()?;
    let sync = |writer: &mut Writer| {
        data.file.sync_data().map_err(|error| {
            writer.wal.poison("sync");
            data.fault("sync", error)
        })
    };
    sync(writer)?;
    let slot = Superblock::slot_offset(superblock.generation);
    data.write(slot, &superblock.encode()).inspect_err(|_| writer.wal.poison("write"))?;
    sync(writer)
}

/// Sorts out what the changes of each key come to.
fn collect(data: &DataFile, tip: &Tip) -> Result<Batch, Fault> {
    let mut batch = Batch::default();
    for (key, entries) in tip.version.table.all() {
        let was_deleted = entries.iter().any(|entry| entry.value.is_none());
        let last = entries.into_iter().next_back().expect("a key in the table has changed");
        let Some(bytes) = last.value else {
            batch.edits.push((key, None));
            continue;
        };
        if keys::is_head(&key) {
            batch.edits.push((key, Some(Vec::new())));
        } else if !keys::is_block(&key) {
            batch.rows.push(Value { lsn: last.lsn, key, bytes });
        } else if was_deleted || index::get(data, tip.version.root, &key)?.is_none() {
            // A block that was deleted in between takes its new place, wherever the old one was.
            batch.blocks.push(Value { lsn: last.lsn, key, bytes });
        }
    }
    // What was committed together lies together.
    batch.blocks.sort_by_key(|value| value.lsn);
    batch.rows.sort_by_key(|value| value.lsn);
    Ok(batch)
}

/// Writes groups one behind the other into runs of pages.
struct Groups<'a> {
    inner: &'a Inner,
    generation: u64,
    /// Pages that are written.
    pages: Vec<Range<u64>>,
    run: Option<Run>,
}

struct Run {
    pages: Range<u64>,
    bytes: Vec<u8>,
}

impl Groups<'_> {
    fn write_all(
        &mut self,
        kind: GroupKind,
        values: Vec<Value>,
        options: &StorageOptions,
        allocator: &mut Allocator,
        edits: &mut Vec<(Key, Option<Vec<u8>>)>,
    ) -> Result<(), Fault> {
        let mut group: Vec<Value> = Vec::new();
        let mut bytes = 0;
        for value in values {
            let is_full = bytes + value.bytes.len() > options.group_bytes || group.len() == GROUP_VALUES_MAX;
            if is_full && !group.is_empty() {
                self.write(kind, std::mem::take(&mut group), options, allocator, edits)?;
                bytes = 0;
            }
            bytes += value.bytes.len();
            group.push(value);
        }
        if group.is_empty() { Ok(()) } else { self.write(kind, group, options, allocator, edits) }
    }

    fn write(
        &mut self,
        kind: GroupKind,
        group: Vec<Value>,
        options: &StorageOptions,
        allocator: &mut Allocator,
        edits: &mut Vec<(Key, Option<Vec<u8>>)>,
    ) -> Result<(), Fault> {
        let values: Vec<(u8, Bytes)> =
            group.iter().map(|value| (value.key[0], value.bytes.clone())).collect();
        let draft = Draft::new(kind, &values, options.compression);
        let granules = draft.granules();
        let needed = u64::from(granules) * GRANULE_BYTES;
        let is_too_long =
            |run: &Run| wide(run.bytes.len()) + needed > (run.pages.end - run.pages.start) * PAGE_BYTES;
        if self.run.as_ref().is_some_and(is_too_long) {
            self.close(allocator)?;
        }
        let run = self.run.get_or_insert_with(|| {
            let least = align_up(needed, PAGE_BYTES) / PAGE_BYTES;
            Run { pages: allocator.take(least, least.max(RUN_PAGES)), bytes: Vec::new() }
        });
        let granule = run.pages.start * GRANULES_PER_PAGE + wide(run.bytes.len()) / GRANULE_BYTES;
        let crc = draft.place(self.inner.data.store, granule, self.generation, &mut run.bytes);
        for (slot, value) in (0..).zip(group) {
            let locator = Locator { granule, granules, slot, crc };
            edits.push((value.key, Some(locator.encode().to_vec())));
        }
        Ok(())
    }

    /// Writes the run that is being filled, and gives back what it does not need.
    fn close(&mut self, allocator: &mut Allocator) -> Result<(), Fault> {
        let Some(mut run) = self.run.take() else { return Ok(()) };
        let pages = align_up(wide(run.bytes.len()), PAGE_BYTES) / PAGE_BYTES;
        let end = run.pages.start + pages;
        if end < run.pages.end {
            allocator.give_back(end);
        }
        run.bytes.resize(usize::try_from(pages * PAGE_BYTES).expect("a run is bounded"), 0);
        write_run(self.inner, run.pages.start, &run.bytes)?;
        self.pages.push(run.pages.start..end);
        Ok(())
    }
}

fn write_run(inner: &Inner, page: u64, bytes: &[u8]) -> Result<(), Fault> {
    inner.counters.checkpoint_bytes.add(wide(bytes.len()));
    inner.data.write(page * PAGE_BYTES, bytes)
}

/// Writes the pages of the index, neighbours together.
fn write_pages(inner: &Inner, merged: &mut Merged) -> Result<(), Fault> {
    merged.pages.sort_unstable_by_key(|page| page.at.page);
    let mut pages = merged.pages.iter().peekable();
    while let Some(first) = pages.next() {
        let mut bytes = first.image.to_vec();
        let mut next = first.at.page.0 + 1;
        while let Some(page) = pages.next_if(|page| page.at.page.0 == next && wide(bytes.len()) < 1 << 20) {
            bytes.extend_from_slice(&page.image);
            next += 1;
        }
        write_run(inner, first.at.page.0, &bytes)?;
    }
    Ok(())
}

/// Writes the map of used pages, its own among them.
fn write_map(inner: &Inner, allocator: &mut Allocator, used: &mut PageMap) -> Result<SpaceRun, Fault> {
    let pages = map_pages(allocator.end());
    let run = allocator.take(pages, pages);
    used.insert(run.clone());
    let mut bytes = used.to_bytes(used.end());
    bytes.resize(usize::try_from(pages * PAGE_BYTES).expect("a map fits memory"), 0);
    write_run(inner, run.start, &bytes)?;
    let crc = inner.data.store.checksum(run.start, &bytes);
    let pages = u32::try_from(pages).expect("a map of 2^32 pages is of a larger file than any");
    Ok(SpaceRun { page: PageId(run.start), pages, crc })
}

/// Returns the pages that an index reaches, itself included. Goes through all of it: only after something was removed or
/// replaced, as no count of what lies in a page is kept.
pub(crate) fn reachable(data: &DataFile, root: Option<Root>) -> Result<PageMap, Fault> {
    let mut used = PageMap::of_slots();
    let mut pages = Vec::new();
    index::for_each_value(data, root, &mut |at| pages.push(at.page.0), &mut |_, value| {
        if value.len() == LOCATOR_BYTES {
            let range = locator(data, value)?.range();
            used.insert(range.start / PAGE_BYTES..range.end.div_ceil(PAGE_BYTES));
        }
        Ok(())
    })?;
    pages.into_iter().for_each(|page| used.insert(page..page + 1));
    Ok(used)
}

/// Gives the end of the file back, as far as neither superblock nor any reader reaches it.
fn cut_tail(inner: &Inner, writer: &Writer, used: &PageMap) {
    let read = writer.read.iter().filter(|(version, _)| version.strong_count() > 0);
    let end = read.map(|(_, used)| used.end()).fold(used.end().max(writer.previous.end()), u64::max);
    // A longer file than needed does no harm.
    if inner.data.file.len().is_ok_and(|length| length > end * PAGE_BYTES) {
        let _ = inner.data.file.set_len(end * PAGE_BYTES);
    }
}
