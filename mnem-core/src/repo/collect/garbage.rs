//! What is not marked: why, and in which order it goes.
//!
//! Parents go before their children, so that what is there always has all that it leads to, also after half a collection.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Reason;
use crate::block::Block;
use crate::cid::{Cid, Codec};
use crate::codec::{self, DecodeError};
use crate::object::{Object, Operation, kind_of};
use crate::port::{BlockRead, Deleted, StoreError};

/// What is not needed, and what leads to what. 48 bytes a block, beside its id.
#[derive(Default)]
pub(super) struct Garbage {
    cids: Vec<Cid>,
    counted: usize,
    known: HashMap<Cid, Known>,
    /// Nothing that is left leads to these.
    ready: Vec<Cid>,
    pub(super) by_reason: BTreeMap<Reason, Deleted>,
    pub(super) expired_operations: u64,
}

#[derive(Clone, Copy, Default)]
struct Known {
    /// How many links lead there from what is still to go.
    links: u32,
    reason: Option<Reason>,
}

/// What says why something went.
pub(super) struct Why<'a> {
    pub(super) expired: &'a HashSet<Cid>,
    pub(super) is_erased: &'a dyn Fn(&Cid) -> bool,
}

impl Garbage {
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn add(&mut self, cid: Cid) {
        self.cids.push(cid);
        self.known.insert(cid, Known::default());
    }

    /// Counts what leads to what, some blocks at a time. Says whether that was all.
    pub(super) fn count(&mut self, blocks: &dyn BlockRead, count: usize) -> Result<bool, StoreError> {
        let end = (self.counted + count).min(self.cids.len());
        for block in blocks.get_many(&self.cids[self.counted..end])?.into_iter().flatten() {
            for link in links(&block).unwrap_or_default() {
                if let Some(known) = self.known.get_mut(&link) {
                    known.links = known.links.saturating_add(1);
                }
            }
        }
        self.counted = end;
        if end < self.cids.len() {
            return Ok(false);
        }
        let free = |cid: &Cid| self.known.get(cid).is_some_and(|known| known.links == 0);
        self.ready = self.cids.drain(..).filter(free).collect();
        Ok(true)
    }

    /// Returns the next that may go; none at the end. Those that they lead to come later.
    pub(super) fn next(
        &mut self,
        blocks: &dyn BlockRead,
        count: usize,
        why: &Why<'_>,
    ) -> Result<Vec<Cid>, StoreError> {
        let batch = self.ready.split_off(self.ready.len().saturating_sub(count));
        for (cid, block) in batch.iter().zip(blocks.get_many(&batch)?) {
            let known = self.known.remove(cid).unwrap_or_default();
            let Some(block) = block else { continue };
            let reason = reason(&block, known.reason, why);
            *self.by_reason.entry(reason).or_default() +=
                Deleted { blocks: 1, bytes: u64::try_from(block.bytes().len()).unwrap_or(u64::MAX) };
            let is_operation = matches!(kind_of(&block), Ok(Some(kind)) if kind == Operation::KIND);
            self.expired_operations += u64::from(is_operation && reason == Reason::Expired);
            for link in links(&block).unwrap_or_default() {
                let Some(known) = self.known.get_mut(&link) else { continue };
                known.reason = Some(known.reason.map_or(reason, |other| other.min(reason)));
                known.links = known.links.saturating_sub(1);
                if known.links == 0 {
                    self.ready.push(link);
                }
            }
        }
        Ok(batch)
    }
}

fn links(block: &Block) -> Result<Vec<Cid>, DecodeError> {
    if block.cid().codec() == Codec::Raw { Ok(Vec::new()) } else { codec::known_links(block.bytes()) }
}

/// Says why a block goes, given why what leads there does.
fn reason(block: &Block, inherited: Option<Reason>, why: &Why<'_>) -> Reason {
    if why.expired.contains(block.cid()) {
        return Reason::Expired;
    }
    if (why.is_erased)(block.cid()) {
        return Reason::Erased;
    }
    inherited.unwrap_or_else(|| match kind_of(block) {
        Ok(None) if block.cid().codec() == Codec::DagCbor => Reason::Derived,
        _ => Reason::Dropped,
    })
}
