//! Giving space back: live blocks move out of groups that are mostly dead, then out of the end of the file.
//!
//! A move is a change like others: the block is written ahead to free pages, and a record says where it lies now. So a
//! crash leaves it at the old place or the new one, and readers of older moments keep the old.
//!
//! Invariants
//!  Q1  A move counts only if the block is still where it was read from when the record is written.
//!  Q2  No more than [`BATCH_BYTES`] are in two places at once, and the file grows by no more than a few of these.
//!
//! Used by: callers of [`StorageEngine::compact`]. Threads: any; writers and readers go on.

use mnem_core::Cid;
use mnem_core::port::{Fault, StoreError};

use crate::engine::{Handle, StorageEngine};
use crate::group::{GRANULE_BYTES, GroupKind, Locator};
use crate::groups::{Groups, Loose};
use crate::keys;
use crate::page::PAGE_SIZE;
use crate::plan::Request;
use crate::space::RunId;

/// So many bytes of blocks move with one record.
const BATCH_BYTES: usize = 32 << 20;

/// A group of which less than this share lives is repacked, in sixteenths.
const LIVE_SIXTEENTHS: usize = 12;

/// How often the end of the file is moved down, at most.
const TAIL_ROUNDS_MAX: usize = 4;

const GRANULES_PER_PAGE: u64 = PAGE_SIZE as u64 / GRANULE_BYTES;

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Length of the data file before.
    pub bytes_before: u64,
    /// Length of the data file after.
    pub bytes_after: u64,
    /// Blocks that moved.
    pub moved_blocks: u64,
}

/// A block on its way to another place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Move {
    pub(crate) cid: Cid,
    pub(crate) from: Locator,
    pub(crate) to: Locator,
}

/// Blocks that were written to their new places.
#[derive(Debug)]
pub(crate) struct Moves {
    pub(crate) run: RunId,
    pub(crate) blocks: Vec<Move>,
}

/// A block, where it lies, and its bytes.
type Leaving = (Cid, Locator, Loose);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Sparse,
    All,
}

impl StorageEngine {
    /// Moves live blocks together and gives the rest of the file back.
    pub fn compact(&self) -> Result<Compacted, StoreError> {
        let inner = &self.inner;
        inner.checkpoint()?;
        let mut done = Compacted { bytes_before: file_bytes(inner)?, ..Compacted::default() };
        let end = inner.tip().version.used.end() * GRANULES_PER_PAGE;
        done.moved_blocks += self.repack(0, end, Which::Sparse)?;
        for _ in 0..TAIL_ROUNDS_MAX {
            let (used, end) = {
                let tip = inner.tip();
                (tip.version.used.count(), tip.version.used.end())
            };
            if end - used <= end / 64 + 16 {
                break;
            }
            let moved = self.repack(used * GRANULES_PER_PAGE, end * GRANULES_PER_PAGE, Which::All)?;
            done.moved_blocks += moved;
            if moved == 0 {
                break;
            }
        }
        done.bytes_after = file_bytes(inner)?;
        Ok(done)
    }

    /// Moves what lies between two places in the file. Returns how many blocks.
    fn repack(&self, from: u64, end: u64, which: Which) -> Result<u64, StoreError> {
        let mut moved = 0;
        let mut next = Some(from);
        while let Some(from) = next {
            let (batch, rest) = self.batch(from, end, which)?;
            moved += batch.len() as u64;
            if !batch.is_empty() {
                self.carry_out(batch)?;
                // The pages they came from are free when neither superblock reaches them.
                self.inner.checkpoint()?;
                self.inner.turn_over()?;
            }
            next = rest;
        }
        Ok(moved)
    }

    /// Collects what moves next, and says where to go on. What it reads is not held any longer than that.
    fn batch(&self, from: u64, end: u64, which: Which) -> Result<(Vec<Leaving>, Option<u64>), StoreError> {
        let mut walk = self.blocks_in_storage_order();
        walk.begin_at(from);
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut members: Vec<(Locator, Cid)> = Vec::new();
        while let Some((place, cid)) = walk.next_entry()? {
            if members.first().is_some_and(|(first, _)| first.granule != place.granule) {
                bytes += take(&mut walk, &mut members, which, &mut batch)?;
            }
            if place.granule >= end {
                return Ok((batch, None));
            }
            if bytes >= BATCH_BYTES {
                return Ok((batch, Some(place.granule)));
            }
            members.push((place, cid));
        }
        take(&mut walk, &mut members, which, &mut batch)?;
        Ok((batch, None))
    }

    fn carry_out(&self, batch: Vec<Leaving>) -> Result<(), StoreError> {
        let inner = &self.inner;
        inner.health.check()?;
        let _turn = inner.turn()?;
        let run = inner.space.begin_ahead();
        match write(inner, run, batch).and_then(|blocks| inner.need_run(run).map(|()| blocks)) {
            Ok(blocks) => inner.submit(Request::Move(Moves { run, blocks })).map(|_| ()),
            Err(error) => {
                inner.space.abandon(run);
                Err(error.into())
            }
        }
    }
}

/// Takes the members of one group into the batch, if they are to move. Returns how many bytes they have.
fn take(
    walk: &mut crate::walk::StorageOrder,
    members: &mut Vec<(Locator, Cid)>,
    which: Which,
    batch: &mut Vec<Leaving>,
) -> Result<usize, Fault> {
    let members = std::mem::take(members);
    let Some((first, _)) = members.first() else { return Ok(0) };
    let group = walk.group(first)?;
    let live: usize = members.iter().filter_map(|(place, _)| Some(group.value(place.slot)?.len())).sum();
    // A damaged group stays for those who repair.
    let is_due = which == Which::All || live * 16 < group.value_bytes() * LIVE_SIXTEENTHS;
    if !is_due || !group.is_intact() {
        return Ok(0);
    }
    for (place, cid) in members {
        let bytes = group.value(place.slot).ok_or_else(|| walk.damaged(&place))?;
        batch.push((cid, place, Loose { key: keys::block(&cid), bytes }));
    }
    Ok(live)
}

fn write(inner: &Handle, run: RunId, batch: Vec<Leaving>) -> Result<Vec<Move>, Fault> {
    let mut groups = Groups::new(&inner.data, &inner.space, &inner.options, 0, Some(run));
    let mut moves = Vec::with_capacity(batch.len());
    let mut values = Vec::with_capacity(batch.len());
    for (cid, from, value) in batch {
        moves.push(Move { cid, from, to: from });
        values.push(value);
    }
    let mut next = moves.iter_mut();
    groups.write_all(GroupKind::Blocks, values, |_, to| {
        next.next().expect("one place a block").to = to;
    })?;
    inner.counters.moved_bytes.add(groups.close()?);
    inner.data.sync()?;
    Ok(moves)
}

fn file_bytes(inner: &Handle) -> Result<u64, Fault> {
    inner.data.file.len().map_err(|error| inner.data.fault("measure", error))
}
