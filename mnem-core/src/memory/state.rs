//! What a store in memory holds, and every change of it as one step.
//!
//! Invariants
//!  * `used_bytes` is the sum of all blocks, set aside or not, and of all rows with their keys; at most `cap_bytes`.
//!  * A block is present, set aside, or unknown: never two of these.
//!  * What is set aside was deleted after the oldest live snapshot was taken.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;

use super::stream::From;
use crate::block::Block;
use crate::cid::Cid;
use crate::collection::{Collection, Stale};
use crate::id::OperationId;
use crate::port::{
    Deleted, Fault, HeadsError, HeadsUpdate, LeaseId, Namespace, Row, RowTable, SideError, StoreError, Swap,
    WriteBatch, check_rows, check_size,
};

/// Orders snapshots and deletes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

/// A deleted block that a snapshot may still read.
#[derive(Debug)]
struct Aside {
    deleted: Moment,
    block: Block,
}

/// What a snapshot is made of.
pub(super) struct Taken {
    pub(super) moment: Moment,
    pub(super) lease: LeaseId,
    pub(super) heads: BTreeMap<Namespace, Vec<OperationId>>,
}

/// A change of heads that passed every check.
struct PlannedHeads {
    heads: BTreeSet<OperationId>,
    gained: bool,
}

#[derive(Debug)]
pub(super) struct State {
    blocks: BTreeMap<Cid, Block>,
    aside: BTreeMap<Cid, Aside>,
    heads: BTreeMap<Namespace, BTreeSet<OperationId>>,
    rows: BTreeMap<RowTable, BTreeMap<Bytes, Bytes>>,
    collection: Collection,
    snapshots: BTreeSet<Moment>,
    newest: Moment,
    used_bytes: u64,
    cap_bytes: u64,
}

impl State {
    pub(super) fn new(cap_bytes: u64) -> State {
        State {
            blocks: BTreeMap::new(),
            aside: BTreeMap::new(),
            heads: BTreeMap::new(),
            rows: BTreeMap::new(),
            collection: Collection::new(),
            snapshots: BTreeSet::new(),
            newest: Moment::default(),
            used_bytes: 0,
            cap_bytes,
        }
    }

    // Blocks

    /// Reads what is present or, with a moment, what a snapshot of that moment shows.
    pub(super) fn get(&self, cid: &Cid, seen_at: Option<Moment>) -> Option<Block> {
        self.blocks.get(cid).or_else(|| self.set_aside(cid, seen_at)).cloned()
    }

    pub(super) fn has(&self, cid: &Cid, seen_at: Option<Moment>) -> bool {
        self.blocks.contains_key(cid) || self.set_aside(cid, seen_at).is_some()
    }

    fn set_aside(&self, cid: &Cid, seen_at: Option<Moment>) -> Option<&Block> {
        let aside = self.aside.get(cid)?;
        (aside.deleted > seen_at?).then_some(&aside.block)
    }

    /// Lists at most `most` CIDs in ascending order.
    pub(super) fn cids_after(&self, after: Option<Cid>, most: usize, seen_at: Option<Moment>) -> Vec<Cid> {
        let from = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let present = self.blocks.range(from).take(most).map(|(cid, _)| *cid);
        let Some(moment) = seen_at else { return present.collect() };
        let aside = self.aside.range(from).filter(|(_, aside)| aside.deleted > moment).take(most);
        let mut cids: Vec<Cid> = present.chain(aside.map(|(cid, _)| *cid)).collect();
        cids.sort_unstable();
        cids.truncate(most);
        cids
    }

    pub(super) fn put(&mut self, lease: Option<LeaseId>, blocks: &[Block]) -> Result<(), StoreError> {
        if let Some(lease) = lease {
            self.collection.check_live(lease)?;
        }
        check_size(blocks)?;
        self.check_room(self.growth_of_blocks(blocks), 0)?;
        Ok(self.insert_blocks(lease, blocks)?)
    }

    /// Stores what was checked.
    fn insert_blocks(&mut self, lease: Option<LeaseId>, blocks: &[Block]) -> Result<(), Stale> {
        self.collection.record_put(lease, blocks.iter().map(Block::cid))?;
        for block in blocks {
            if self.aside.remove(block.cid()).is_none() && !self.blocks.contains_key(block.cid()) {
                self.used_bytes += bytes_of(block);
            }
            self.blocks.entry(*block.cid()).or_insert_with(|| block.clone());
        }
        Ok(())
    }

    fn growth_of_blocks(&self, blocks: &[Block]) -> u64 {
        let known =
            |block: &&Block| self.blocks.contains_key(block.cid()) || self.aside.contains_key(block.cid());
        let new: BTreeMap<&Cid, u64> =
            blocks.iter().filter(|block| !known(block)).map(|block| (block.cid(), bytes_of(block))).collect();
        new.values().sum()
    }

    /// Refuses what the cap does not allow: the store would hold `more` bytes, and drop `less` that it holds now.
    fn check_room(&self, more: u64, less: u64) -> Result<(), Fault> {
        match (self.used_bytes - less).checked_add(more) {
            Some(used) if used <= self.cap_bytes => Ok(()),
            _ => Err(Fault::Full { at: format!("the cap of {} bytes in memory", self.cap_bytes) }),
        }
    }

    // Heads

    pub(super) fn namespaces(&self) -> Vec<Namespace> {
        self.heads.keys().cloned().collect()
    }

    pub(super) fn heads(&self, namespace: &Namespace) -> Vec<OperationId> {
        self.heads.get(namespace).into_iter().flatten().copied().collect()
    }

    /// Returns the heads of all namespaces.
    fn all_heads(&self) -> Vec<Cid> {
        self.heads.values().flatten().map(|head| *head.cid()).collect()
    }

    pub(super) fn update(&mut self, update: &HeadsUpdate) -> Result<Swap, HeadsError> {
        let Some(planned) = self.plan_heads(update, &[])? else { return Ok(Swap::Moved) };
        if planned.gained {
            self.collection.head_added_outside_lease();
        }
        self.set_heads(&update.namespace, planned);
        Ok(Swap::Done)
    }

    /// Checks a change that comes with `blocks`. `None`: the heads are not the expected ones.
    fn plan_heads(&self, update: &HeadsUpdate, blocks: &[Block]) -> Result<Option<PlannedHeads>, HeadsError> {
        let old = self.heads.get(&update.namespace).cloned().unwrap_or_default();
        if update
            .expected
            .as_ref()
            .is_some_and(|expected| expected.iter().copied().collect::<BTreeSet<_>>() != old)
        {
            return Ok(None);
        }
        let present = |head: &OperationId| {
            self.has(head.cid(), None) || blocks.iter().any(|block| block.cid() == head.cid())
        };
        if let Some(head) = update.add.iter().find(|head| !present(head)) {
            return Err(HeadsError::Absent { head: *head });
        }
        let mut heads = old.clone();
        heads.retain(|head| !update.remove.contains(head));
        heads.extend(&update.add);
        if heads.is_empty() && !update.is_empty() {
            return Err(HeadsError::WouldBeEmpty { namespace: update.namespace.clone() });
        }
        let gained = !heads.is_subset(&old);
        Ok(Some(PlannedHeads { heads, gained }))
    }

    fn set_heads(&mut self, namespace: &Namespace, planned: PlannedHeads) {
        if !planned.heads.is_empty() {
            self.heads.insert(namespace.clone(), planned.heads);
        }
    }

    // Rows

    pub(super) fn row(&self, table: RowTable, key: &[u8]) -> Option<Bytes> {
        self.rows.get(&table)?.get(key).cloned()
    }

    /// Lists at most `most` rows in ascending order of their keys.
    pub(super) fn rows_from(&self, table: RowTable, from: From<'_>, most: usize) -> Vec<(Bytes, Bytes)> {
        let from = match from {
            From::At(key) => Bound::Included(key),
            From::After(key) => Bound::Excluded(key),
        };
        let rows = self
            .rows
            .get(&table)
            .into_iter()
            .flat_map(|rows| rows.range::<[u8], _>((from, Bound::Unbounded)));
        rows.take(most).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    pub(super) fn put_rows(&mut self, rows: &[Row]) -> Result<(), SideError> {
        check_rows(rows)?;
        let (more, less) = self.growth_of_rows(rows);
        self.check_room(more, less)?;
        self.insert_rows(rows);
        Ok(())
    }

    /// Stores what was checked.
    fn insert_rows(&mut self, rows: &[Row]) {
        for row in rows {
            let table = self.rows.entry(row.table).or_default();
            let old = match &row.value {
                Some(value) => {
                    self.used_bytes += bytes_of_row(&row.key, value);
                    table.insert(row.key.clone(), value.clone())
                }
                None => table.remove(&row.key),
            };
            self.used_bytes -= old.map_or(0, |old| bytes_of_row(&row.key, &old));
        }
    }

    /// Returns how many bytes `rows` add, and how many they take the place of.
    fn growth_of_rows(&self, rows: &[Row]) -> (u64, u64) {
        // The last change of a key is the one that stays.
        let last: BTreeMap<_, _> = rows.iter().map(|row| ((row.table, &row.key), &row.value)).collect();
        let added = |(key, value): (&Bytes, &Option<Bytes>)| {
            value.as_ref().map_or(0, |value| bytes_of_row(key, value))
        };
        let replaced = |table, key: &Bytes| self.row(table, key).map_or(0, |old| bytes_of_row(key, &old));
        let more = last.iter().map(|((_, key), value)| added((key, value))).sum();
        let less = last.keys().map(|(table, key)| replaced(*table, key)).sum();
        (more, less)
    }

    pub(super) fn clear_rows(&mut self, table: RowTable) {
        let rows = self.rows.remove(&table).unwrap_or_default();
        self.used_bytes -= rows.iter().map(|(key, value)| bytes_of_row(key, value)).sum::<u64>();
    }

    // Blocks, heads and rows in one step

    pub(super) fn commit(&mut self, lease: LeaseId, batch: &WriteBatch<'_>) -> Result<Swap, StoreError> {
        self.collection.check_live(lease)?;
        check_size(batch.blocks)?;
        check_rows(batch.rows)?;
        let Some(planned) = self.plan_heads(batch.heads, batch.blocks)? else { return Ok(Swap::Moved) };
        let (more, less) = self.growth_of_rows(batch.rows);
        self.check_room(self.growth_of_blocks(batch.blocks).saturating_add(more), less)?;
        self.insert_blocks(Some(lease), batch.blocks)?;
        self.set_heads(&batch.heads.namespace, planned);
        self.insert_rows(batch.rows);
        Ok(Swap::Done)
    }

    // Leases, snapshots, cycles

    pub(super) fn lease(&mut self, roots: &[Cid]) -> Result<LeaseId, Stale> {
        let lease = LeaseId::fresh();
        self.collection.grant(lease, roots, &self.all_heads())?;
        Ok(lease)
    }

    pub(super) fn end_lease(&mut self, lease: LeaseId) {
        self.collection.end_lease(lease);
    }

    pub(super) fn take_snapshot(&mut self) -> Result<Taken, Stale> {
        let lease = self.lease(&self.all_heads())?;
        let moment = self.next_moment();
        self.snapshots.insert(moment);
        let heads = self.heads.iter().map(|(name, heads)| (name.clone(), heads.iter().copied().collect()));
        Ok(Taken { moment, lease, heads: heads.collect() })
    }

    /// A snapshot is over: what was set aside for it alone goes.
    pub(super) fn release(&mut self, moment: Moment) {
        let was_oldest = self.snapshots.first() == Some(&moment);
        self.snapshots.remove(&moment);
        if !was_oldest {
            return;
        }
        let oldest = self.snapshots.first().copied();
        let used_bytes = &mut self.used_bytes;
        self.aside.retain(|_, aside| {
            let stays = oldest.is_some_and(|oldest| aside.deleted > oldest);
            if !stays {
                *used_bytes -= bytes_of(&aside.block);
            }
            stays
        });
    }

    pub(super) fn begin_cycle(&mut self) -> (u64, Vec<Cid>) {
        let heads = self.all_heads();
        self.collection.begin(&heads)
    }

    pub(super) fn end_cycle(&mut self, number: u64) {
        self.collection.end(number);
    }

    pub(super) fn delete_if_untouched(&mut self, number: u64, cids: &[Cid]) -> Result<Deleted, Stale> {
        self.collection.check_current(number)?;
        let moment = self.next_moment();
        let mut deleted = Deleted::default();
        for cid in cids {
            if self.collection.may_delete(number, cid)?
                && let Some(block) = self.blocks.remove(cid)
            {
                deleted += Deleted { blocks: 1, bytes: bytes_of(&block) };
                self.drop_or_set_aside(block, moment);
            }
        }
        Ok(deleted)
    }

    fn drop_or_set_aside(&mut self, block: Block, moment: Moment) {
        if self.snapshots.is_empty() {
            self.used_bytes -= bytes_of(&block);
        } else {
            self.aside.insert(*block.cid(), Aside { deleted: moment, block });
        }
    }

    fn next_moment(&mut self) -> Moment {
        self.newest.0 += 1;
        self.newest
    }
}

fn bytes_of(block: &Block) -> u64 {
    u64::try_from(block.bytes().len()).expect("a length fits into 64 bits")
}

fn bytes_of_row(key: &Bytes, value: &Bytes) -> u64 {
    u64::try_from(key.len() + value.len()).expect("a length fits into 64 bits")
}
