//! The checkpoint: what is in memory and in the log goes into pages, and a new superblock says so.
//!
//! Order of writes and why it suffices: DURABILITY.md, "Native backend", "Checkpoint".
//!
//! Invariants
//!  C1  Nothing that a valid superblock or a reader reaches is written over.
//!  C2  A superblock is written only after all that it reaches, and the log before its position, is synced.
//!  C3  What fails before the superblock is written changes nothing: the next attempt begins anew with the same changes.
//!
//! Used by: `engine`, `background`, `recovery`. One at a time, under the lock of [`Maintenance`]; writers and readers go on.
//! Lock order: maintenance, writer.

use std::ops::Range;
use std::sync::Arc;

use mnem_core::port::Fault;

use crate::bytes::wide;
use crate::data::{DataFile, Seen};
use crate::engine::Inner;
use crate::group::{GroupKind, LOCATOR_BYTES, Locator};
use crate::groups::{Groups, Loose};
use crate::index::{self, Merge, Node, Sink, Tree};
use crate::keys::{self, Key};
use crate::memtable::{Memtable, Value};
use crate::page::{PAGE_SIZE, PageId};
use crate::pool::Presence;
use crate::shared::Writing;
use crate::space::{Counts, PageMap};
use crate::superblock::{Pointer, Root, SpaceRun, Superblock};
use crate::view::{Tip, Version, locator};
use crate::wal::Lsn;

const PAGE_BYTES: u64 = PAGE_SIZE as u64;

/// Index pages are written in runs of this many, where there is room.
const RUN_PAGES: u64 = 64;

/// What only checkpoints touch.
#[derive(Debug)]
pub(crate) struct Maintenance {
    /// The newest one that is durable.
    pub(crate) superblock: Superblock,
    /// Pages of the generation before it.
    pub(crate) previous: PageMap,
    /// What is frozen, if anything is.
    cut: Option<Cut>,
    /// Values in each page. Counted when the first one goes, kept up from then on.
    counts: Option<Counts>,
}

/// Where in the log the changes end that a checkpoint takes.
#[derive(Clone, Copy, Debug)]
struct Cut {
    lsn: Lsn,
    chain: u32,
    txn: u64,
    epoch: u32,
    segment: Lsn,
}

impl Maintenance {
    pub(crate) fn new(superblock: Superblock, previous: PageMap) -> Maintenance {
        Maintenance { superblock, previous, cut: None, counts: None }
    }
}

/// Moves everything from memory into the pages that was there when it began.
pub(crate) fn checkpoint(inner: &Inner, state: &mut Maintenance) -> Result<(), Fault> {
    run(inner, state, false)
}

/// The same, also if nothing has changed: so that neither superblock reaches what went before.
pub(crate) fn turn_over(inner: &Inner, state: &mut Maintenance) -> Result<(), Fault> {
    run(inner, state, true)
}

fn run(inner: &Inner, state: &mut Maintenance, even_if_empty: bool) -> Result<(), Fault> {
    inner.health.check()?;
    if state.cut.is_none() {
        state.cut = freeze(inner, even_if_empty);
    }
    let Some(cut) = state.cut else { return Ok(()) };
    let version = inner.tip().version.clone();
    let made = match make(inner, state, cut, &version) {
        Ok(made) => made,
        Err(error) => {
            settle_space(inner, state, &version.used);
            return Err(error);
        }
    };
    // Else it would count as one that somebody reads.
    drop(version);
    inner.need_pages(&made.used)?;
    let writing = inner.begin_writing()?;
    write_superblock(inner, cut, &made.superblock)?;
    install(inner, state, made, writing)?;
    inner.counters.checkpoints.add(1);
    Ok(())
}

/// Sets aside what is in memory, and begins a new table for what is committed from now on.
fn freeze(inner: &Inner, even_if_empty: bool) -> Option<Cut> {
    let writer = inner.writer();
    let tip = inner.tip();
    let old = &tip.version;
    if old.table.is_empty() && !even_if_empty {
        return None;
    }
    let frozen = Some(old.table.clone());
    let version = Version { frozen, table: Arc::default(), ..Version::clone(old) };
    inner.retired.add(old, &inner.space);
    inner.publish(Tip { lsn: tip.lsn, heads: tip.heads.clone(), version: Arc::new(version) });
    inner.begin_pending();
    let wal = &writer.wal;
    Some(Cut {
        lsn: wal.position(),
        chain: wal.chain(),
        txn: wal.txn(),
        epoch: wal.epoch(),
        segment: wal.segment_start(),
    })
}

/// Lets pages be handed out that nobody needs any more, and gives the end of the file back.
fn settle_space(inner: &Inner, state: &mut Maintenance, used: &PageMap) {
    let mut busy = used.clone();
    busy.unite(&state.previous);
    inner.retired.unite_into(&mut busy);
    inner.add_pages_of_others(&mut busy);
    inner.space.reset(busy, |end| {
        // A longer file than needed does no harm.
        if inner.data.file.len().is_ok_and(|length| length > end * PAGE_BYTES) {
            let _ = inner.data.file.set_len(end * PAGE_BYTES);
        }
    });
}

struct Made {
    superblock: Superblock,
    used: PageMap,
    lsn: Lsn,
    takes_out_blocks: bool,
    counts: Option<Counts>,
}

/// Writes groups, index and map. Nothing of it counts yet.
fn make(inner: &Inner, state: &mut Maintenance, cut: Cut, version: &Version) -> Result<Made, Fault> {
    let data = &inner.data;
    let old = &state.superblock;
    let generation = old.generation + 1;
    let frozen = version.frozen.as_ref().expect("a cut has what was frozen");
    let batch = collect(data, &version.index, frozen)?;
    let mut edits = batch.edits;
    let mut groups = Groups::new(data, &inner.space, &inner.options, generation, None);
    for (kind, values) in [(GroupKind::Blocks, batch.blocks), (GroupKind::Rows, batch.rows)] {
        groups.write_all(kind, values, |key, place| edits.push((key, Some(place.encode().to_vec()))))?;
    }
    inner.counters.checkpoint_bytes.add(groups.close()?);
    edits.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    let mut pages =
        IndexPages { inner, run: 0..0, bytes: Vec::new(), written: Vec::new(), displaced: Vec::new() };
    let merged = Merge::new(data, &mut pages, data.store, generation).run(old.root, &edits)?;
    pages.close()?;
    let mut used = PageMap::clone(&version.used);
    let space = old.space.page.0..old.space.page.0 + u64::from(old.space.pages);
    space.for_each(|page| used.remove(PageId(page)));
    merged.dropped.iter().for_each(|page| used.remove(*page));
    pages.written.iter().for_each(|page| used.insert(page.0..page.0 + 1));
    let counts = count(data, state, &mut used, &edits, &pages.displaced)?;
    let old = &state.superblock;
    let space = write_map(inner, &mut used)?;
    let superblock = Superblock {
        id: old.id,
        generation,
        epoch: cut.epoch,
        chain: cut.chain,
        lsn: cut.lsn,
        segment: cut.segment,
        txn: cut.txn,
        file_pages: used.end(),
        keys: old.keys + merged.added_keys - merged.removed_keys,
        root: merged.root,
        space,
    };
    let takes_out_blocks = edits.iter().any(|(key, value)| value.is_none() && keys::is_block(key));
    Ok(Made { superblock, used, lsn: cut.lsn, takes_out_blocks, counts })
}

/// Marks the pages of values that came as used, and those that no value is left in as free. Returns the new counts.
fn count(
    data: &DataFile,
    state: &mut Maintenance,
    used: &mut PageMap,
    edits: &[(Key, Option<Vec<u8>>)],
    displaced: &[Locator],
) -> Result<Option<Counts>, Fault> {
    let placed =
        edits.iter().filter_map(|(_, value)| Locator::decode(value.as_deref()?)).map(|at| at.pages());
    let mut counts = match state.counts.take() {
        Some(counts) => counts,
        None if displaced.is_empty() => {
            placed.for_each(|pages| used.insert(pages));
            return Ok(None);
        }
        None => counts_of(data, state.superblock.root)?,
    };
    // What comes first: it may lie beside what goes.
    placed.clone().for_each(|pages| counts.add(pages));
    displaced.iter().for_each(|at| counts.remove(at.pages(), |page| used.remove(page)));
    placed.for_each(|pages| used.insert(pages));
    Ok(Some(counts))
}

/// Makes everything durable that the superblock reaches, then the superblock. From the first failed sync on, nothing is
/// known of what is on the disk.
fn write_superblock(inner: &Inner, cut: Cut, superblock: &Superblock) -> Result<(), Fault> {
    inner.writer().wal.sync_to(cut.lsn)?;
    inner.data.sync()?;
    let slot = Superblock::slot_offset(superblock.generation);
    inner.data.write(slot, &superblock.encode()).inspect_err(|_| inner.health.fail("write"))?;
    inner.data.sync()
}

/// From now on the new superblock counts.
fn install(inner: &Inner, state: &mut Maintenance, made: Made, writing: Writing<'_>) -> Result<(), Fault> {
    let used = Arc::new(made.used);
    {
        let mut writer = inner.writer();
        let tip = inner.tip();
        let table = tip.version.table.clone();
        let old = tip.version.seen.presence;
        let presence = if made.takes_out_blocks { Presence::begin() } else { old };
        let seen = Seen { generation: made.superblock.generation, presence };
        let index = Tree::new(made.superblock.root);
        let version = Version { index, seen, used: used.clone(), frozen: None, table };
        inner.retired.add(&tip.version, &inner.space);
        let mut previous = PageMap::clone(&tip.version.used);
        inner.space.add_ahead(&mut previous);
        state.previous = previous;
        inner.publish(Tip { lsn: tip.lsn, heads: tip.heads.clone(), version: Arc::new(version) });
        // Before anything is used again that the checkpoint before needs.
        writing.publish_checkpoint(made.superblock.generation)?;
        writer.wal.release(made.superblock.segment);
    }
    state.superblock = made.superblock;
    state.counts = made.counts;
    state.cut = None;
    inner.space.covered(made.lsn);
    settle_space(inner, state, &used);
    Ok(())
}

/// What a batch of changes asks of the pages.
#[derive(Default)]
struct Batch {
    blocks: Vec<Loose>,
    rows: Vec<Loose>,
    edits: Vec<(Key, Option<Vec<u8>>)>,
}

/// Sorts out what the changes of each key come to.
fn collect(data: &DataFile, index: &Tree, table: &Memtable) -> Result<Batch, Fault> {
    let mut batch = Batch::default();
    let (mut blocks, mut rows) = (Vec::new(), Vec::new());
    for (key, entries) in table.all() {
        let was_deleted = entries.iter().any(|entry| entry.value.is_none());
        let last = entries.into_iter().next_back().expect("a key in the table has changed");
        let Some(value) = last.value else {
            batch.edits.push((key, None));
            continue;
        };
        if keys::is_head(&key) {
            batch.edits.push((key, Some(Vec::new())));
            continue;
        }
        // A block that was deleted in between takes its new place, wherever the old one was.
        let is_new = !keys::is_block(&key) || was_deleted || index::get(data, index, &key, |_| ())?.is_none();
        match value {
            Value::Moved(place) => batch.edits.push((key, Some(place.encode().to_vec()))),
            _ if !is_new => {}
            Value::Placed(place) => batch.edits.push((key, Some(place.encode().to_vec()))),
            Value::Block(block) => blocks.push((last.lsn, Loose { key, bytes: block.bytes().clone() })),
            Value::Bytes(bytes) if keys::is_block(&key) => blocks.push((last.lsn, Loose { key, bytes })),
            Value::Bytes(bytes) => rows.push((last.lsn, Loose { key, bytes })),
        }
    }
    // What was committed together lies together.
    for (from, to) in [(blocks, &mut batch.blocks), (rows, &mut batch.rows)] {
        let mut from = from;
        from.sort_by_key(|(lsn, _)| *lsn);
        to.extend(from.into_iter().map(|(_, value)| value));
    }
    Ok(batch)
}

/// Takes pages of the index, and writes neighbours together.
struct IndexPages<'a> {
    inner: &'a Inner,
    /// What is left of the run that is being filled.
    run: Range<u64>,
    bytes: Vec<u8>,
    written: Vec<PageId>,
    displaced: Vec<Locator>,
}

impl Sink for IndexPages<'_> {
    fn take(&mut self) -> PageId {
        if self.run.is_empty() {
            self.run = self.inner.space.take(1, RUN_PAGES);
        }
        self.run.start += 1;
        PageId(self.run.start - 1)
    }

    fn write(&mut self, at: Pointer, node: Node) -> Result<(), Fault> {
        self.bytes.extend_from_slice(node.image());
        self.written.push(at.page);
        // It is read next: it was changed just now.
        self.inner.data.keep(at, node);
        if self.run.is_empty() { self.flush() } else { Ok(()) }
    }

    fn displaced(&mut self, value: &[u8]) {
        // A head has no value that takes room.
        self.displaced.extend(Locator::decode(value));
    }
}

impl IndexPages<'_> {
    /// Writes the pages that were taken since the last time, which are neighbours.
    fn flush(&mut self) -> Result<(), Fault> {
        if !self.bytes.is_empty() {
            let start = self.run.start * PAGE_BYTES - wide(self.bytes.len());
            write_run(self.inner, start / PAGE_BYTES, &self.bytes)?;
            self.bytes.clear();
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        self.flush()?;
        if !self.run.is_empty() {
            self.inner.space.give_back(self.run.clone());
        }
        Ok(())
    }
}

fn write_run(inner: &Inner, page: u64, bytes: &[u8]) -> Result<(), Fault> {
    inner.counters.checkpoint_bytes.add(wide(bytes.len()));
    inner.data.write(page * PAGE_BYTES, bytes)
}

/// Writes the map of used pages, its own among them.
fn write_map(inner: &Inner, used: &mut PageMap) -> Result<SpaceRun, Fault> {
    let run = inner.space.take_map();
    used.insert(run.clone());
    let pages = run.end - run.start;
    let mut bytes = used.to_bytes(used.end());
    bytes.resize(usize::try_from(pages * PAGE_BYTES).expect("a map fits memory"), 0);
    write_run(inner, run.start, &bytes)?;
    let crc = inner.data.store.checksum(run.start, &bytes);
    let pages = u32::try_from(pages).expect("a map of 2^32 pages is of a larger file than any");
    Ok(SpaceRun { page: PageId(run.start), pages, crc })
}

/// Counts the values in each page that an index reaches.
fn counts_of(data: &DataFile, root: Option<Root>) -> Result<Counts, Fault> {
    let mut counts = Counts::default();
    index::for_each_value(data, root, &mut |_| {}, &mut |_, value| {
        if value.len() == LOCATOR_BYTES {
            counts.add(locator(data, value)?.pages());
        }
        Ok(())
    })?;
    Ok(counts)
}

/// Returns the pages that an index reaches, and the superblock slots. Goes through all of it: for checks.
pub(crate) fn reachable(data: &DataFile, root: Option<Root>) -> Result<PageMap, Fault> {
    let mut used = PageMap::of_slots();
    let mut nodes = Vec::new();
    index::for_each_value(data, root, &mut |at| nodes.push(at.page.0), &mut |_, value| {
        if value.len() == LOCATOR_BYTES {
            used.insert(locator(data, value)?.pages());
        }
        Ok(())
    })?;
    nodes.into_iter().for_each(|page| used.insert(page..page + 1));
    Ok(used)
}

/// Sets free what an open store may use, once it is known what is in it.
pub(crate) fn begin_space(inner: &Inner, state: &mut Maintenance) {
    let used = inner.tip().version.used.clone();
    settle_space(inner, state, &used);
}
