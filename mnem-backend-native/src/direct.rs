//! Large commits: their values go to the pages at once, and only their places to the log.
//!
//! Order of writes: DURABILITY.md, "Native backend", "Large commit".
//!
//! Invariants
//!  D1  The data file is synced before a record refers to what was written to it.
//!  D2  A block that seems to be there already is judged again when the record is written: until then it may be deleted.
//!
//! Used by: `ports`. Threads: any number at the same time.

use std::collections::HashSet;

use mnem_core::port::{Fault, LeaseId, StoreError};
use mnem_core::{Block, Cid};

use crate::engine::Inner;
use crate::group::{GroupKind, Locator};
use crate::groups::{Groups, Loose};
use crate::keys;
use crate::space::RunId;

/// A record has at most so many places.
pub(crate) const PLACES_MAX: usize = 256 << 10;

/// Blocks that were written ahead of their record.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) run: RunId,
    pub(crate) blocks: Vec<(Cid, Locator)>,
}

/// Writes blocks to the pages, if they are many bytes. Returns what is still to go through the log, and what was written.
pub(crate) fn write_ahead(
    inner: &Inner,
    lease: Option<LeaseId>,
    blocks: &[Block],
) -> Result<(Vec<Block>, Option<Placed>), StoreError> {
    let bytes = |blocks: &[Block]| blocks.iter().map(|block| block.bytes().len()).sum::<usize>();
    if bytes(blocks) <= inner.options.direct_bytes {
        return Ok((blocks.to_vec(), None));
    }
    inner.health.check()?;
    // Before looking whether they are there: from now on no collection deletes them.
    inner.collection().record_put(lease, blocks.iter().map(Block::cid))?;
    let tip = inner.tip_to_keep();
    let mut seen = HashSet::new();
    let (there, new): (Vec<Block>, Vec<Block>) = blocks
        .iter()
        .filter(|block| seen.insert(*block.cid()))
        .cloned()
        .partition(|block| tip.has_in_memory(&inner.data, &keys::block_key(block.cid())) == Some(true));
    if bytes(&new) <= inner.options.direct_bytes {
        return Ok((blocks.to_vec(), None));
    }
    let run = inner.space.begin_ahead();
    match write(inner, run, &new).and_then(|placed| inner.need_run(run).map(|()| placed)) {
        Ok(blocks) => Ok((there, Some(Placed { run, blocks }))),
        Err(error) => {
            inner.space.abandon(run);
            Err(error.into())
        }
    }
}

fn write(inner: &Inner, run: RunId, blocks: &[Block]) -> Result<Vec<(Cid, Locator)>, Fault> {
    let mut placed = Vec::with_capacity(blocks.len());
    let mut groups = Groups::new(&inner.data, &inner.space, &inner.options, 0, Some(run));
    let values = blocks
        .iter()
        .map(|block| Loose { key: keys::block(block.cid()), bytes: block.bytes().clone() })
        .collect();
    let mut cids = blocks.iter().map(Block::cid);
    groups.write_all(GroupKind::Blocks, values, |_, place| {
        placed.push((*cids.next().expect("one place a block"), place));
    })?;
    inner.counters.direct_bytes.add(groups.close()?);
    inner.data.sync()?;
    Ok(placed)
}
