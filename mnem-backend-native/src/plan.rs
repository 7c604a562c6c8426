//! Judging requests: what each changes, or why it is refused. No I/O but reads.
//!
//! Invariant: a request that is refused changes nothing that anybody sees.
//!
//! Used by: `engine`, under the writer's lock.

use std::collections::{BTreeSet, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use mnem_core::port::{
    CollectorError, Deleted, Fault, HeadsError, HeadsUpdate, LeaseId, Row, RowTable, StoreError,
};
use mnem_core::{Block, Cid, OperationId};

use crate::compact::{Move, Moves};
use crate::direct::Placed;
use crate::engine::Inner;
use crate::keys::{self, Key};
use crate::memtable::{Change, Value};
use crate::shared::is_touched;
use crate::space::RunId;
use crate::view::{Found, Heads, Tip};

/// So many rows are cleared with one record.
const CLEAR_ROWS_MAX: usize = 4096;

/// What a caller wants written.
#[derive(Debug)]
pub(crate) enum Request {
    Put { lease: Option<LeaseId>, blocks: Vec<Block>, placed: Option<Placed> },
    Commit { lease: LeaseId, blocks: Vec<Block>, placed: Option<Placed>, heads: HeadsUpdate, rows: Vec<Row> },
    Update(HeadsUpdate),
    Rows(Vec<Row>),
    Clear(RowTable),
    Delete { cycle: u64, cids: Vec<Cid> },
    Move(Moves),
    Sync,
}

/// What became of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Done,
    /// The heads were not the expected ones.
    Moved,
    Deleted(Deleted),
    /// So many rows went; if any, there may be more.
    Cleared(usize),
}

impl Request {
    /// It looks at the store as a whole: nothing else that waits may be half in it.
    pub(crate) fn is_alone(&self) -> bool {
        matches!(self, Request::Clear(_) | Request::Delete { .. } | Request::Move(_))
    }

    /// Its acknowledgement waits for the disk, if the policy says so.
    pub(crate) fn is_commit(&self) -> bool {
        matches!(self, Request::Commit { .. } | Request::Update(_))
    }

    pub(crate) fn is_sync(&self) -> bool {
        matches!(self, Request::Sync)
    }

    /// Returns which pages it has written.
    pub(crate) fn run(&self) -> Option<RunId> {
        match self {
            Request::Put { placed, .. } | Request::Commit { placed, .. } => Some(placed.as_ref()?.run),
            Request::Move(moves) => Some(moves.run),
            _ => None,
        }
    }

    /// Returns what it puts, and under which lease.
    pub(crate) fn puts(&self) -> Option<(Option<LeaseId>, &[Block], Option<&Placed>)> {
        match self {
            Request::Put { lease, blocks, placed } => Some((*lease, blocks, placed.as_ref())),
            Request::Commit { lease, blocks, placed, .. } => Some((Some(*lease), blocks, placed.as_ref())),
            _ => None,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        let of_blocks = |blocks: &[Block]| blocks.iter().map(|block| block.bytes().len() + 64).sum::<usize>();
        match self {
            Request::Put { blocks, placed, .. } => of_blocks(blocks) + placed_bytes(placed.as_ref()),
            Request::Commit { blocks, placed, rows, .. } => {
                of_blocks(blocks) + placed_bytes(placed.as_ref()) + rows_bytes(rows)
            }
            Request::Rows(rows) => rows_bytes(rows),
            _ => 0,
        }
    }
}

fn placed_bytes(placed: Option<&Placed>) -> usize {
    placed.map_or(0, |placed| placed.blocks.len() * 64)
}

pub(crate) fn rows_bytes(rows: &[Row]) -> usize {
    rows.iter().map(|row| 64 + row.key.len() + row.value.as_ref().map_or(0, bytes::Bytes::len)).sum()
}

/// Judges the requests of one flush, each after the effects of those before it.
pub(crate) struct Planner<'a> {
    inner: &'a Inner,
    tip: &'a Tip,
    heads: Heads,
    has_new_heads: bool,
    /// A head was added that no lease covers.
    ends_cycle: bool,
    /// Blocks that earlier requests of this flush store.
    coming: HashSet<Key>,
}

type Planned = Result<(Answer, Vec<Change>), StoreError>;

impl<'a> Planner<'a> {
    pub(crate) fn new(inner: &'a Inner, tip: &'a Tip) -> Planner<'a> {
        let heads = (*tip.heads).clone();
        Planner { inner, tip, heads, has_new_heads: false, ends_cycle: false, coming: HashSet::new() }
    }

    /// Says whether a collection that is announced is over.
    pub(crate) fn ends_cycle(&self) -> bool {
        self.ends_cycle
    }

    /// Returns the heads after all requests.
    pub(crate) fn heads(self) -> Arc<Heads> {
        if self.has_new_heads { Arc::new(self.heads) } else { self.tip.heads.clone() }
    }

    pub(crate) fn plan(&mut self, request: &Request) -> Planned {
        match request {
            Request::Put { lease, blocks, placed } => self.put(*lease, blocks, placed.as_ref()),
            Request::Commit { lease, blocks, placed, heads, rows } => {
                self.commit(*lease, blocks, placed.as_ref(), heads, rows)
            }
            Request::Update(update) => self.update(update),
            Request::Rows(rows) => Ok((Answer::Done, rows.iter().map(row_change).collect())),
            Request::Clear(table) => self.clear(*table),
            Request::Delete { cycle, cids } => self.delete(*cycle, cids),
            Request::Move(moves) => self.moves(&moves.blocks),
            Request::Sync => Ok((Answer::Done, Vec::new())),
        }
    }

    fn put(&mut self, lease: Option<LeaseId>, blocks: &[Block], placed: Option<&Placed>) -> Planned {
        self.inner.collection().record_put(lease, cids(blocks, placed))?;
        let mut changes = self.new_blocks(blocks);
        self.add_placed(placed, &mut changes);
        Ok((Answer::Done, changes))
    }

    /// Blocks that were written ahead take their places. One that is there already keeps the place it has: the checkpoint
    /// sees to that.
    fn add_placed(&mut self, placed: Option<&Placed>, changes: &mut Vec<Change>) {
        for (cid, place) in placed.iter().flat_map(|placed| &placed.blocks) {
            let key = keys::block(cid);
            self.coming.insert(key.clone());
            changes.push((key, Some(Value::Placed(*place))));
        }
    }

    /// Returns what has to be stored of `blocks`. One that may be there already, but could only be found by reading the
    /// disk, is stored again: the checkpoint drops it.
    fn new_blocks(&mut self, blocks: &[Block]) -> Vec<Change> {
        let mut changes = Vec::new();
        for block in blocks {
            let key = keys::block(block.cid());
            let is_there =
                self.coming.contains(&key) || self.tip.has_in_memory(&self.inner.data, &key) == Some(true);
            if is_there {
                self.inner.counters.duplicates.add(1);
            } else {
                self.coming.insert(key.clone());
                changes.push((key, Some(Value::Block(block.clone()))));
            }
        }
        changes
    }

    fn commit(
        &mut self,
        lease: LeaseId,
        blocks: &[Block],
        placed: Option<&Placed>,
        heads: &HeadsUpdate,
        rows: &[Row],
    ) -> Planned {
        self.inner.collection().check_live(lease)?;
        let planned = self.plan_heads(heads, &|cid| cids(blocks, placed).any(|comes| comes == cid))?;
        let Some(planned) = planned else { return Ok((Answer::Moved, Vec::new())) };
        self.inner.collection().record_put(Some(lease), cids(blocks, placed))?;
        let mut changes = self.new_blocks(blocks);
        self.add_placed(placed, &mut changes);
        self.set_heads(heads, planned, &mut changes);
        changes.extend(rows.iter().map(row_change));
        Ok((Answer::Done, changes))
    }

    fn update(&mut self, update: &HeadsUpdate) -> Planned {
        let Some(planned) = self.plan_heads(update, &|_| false)? else {
            return Ok((Answer::Moved, Vec::new()));
        };
        let old = self.heads.get(&update.namespace);
        if planned.iter().any(|head| old.is_none_or(|old| !old.contains(head))) {
            self.inner.collection().head_added_outside_lease();
            self.ends_cycle = true;
        }
        let mut changes = Vec::new();
        self.set_heads(update, planned, &mut changes);
        Ok((Answer::Done, changes))
    }

    /// Checks a change that comes with blocks. `None`: the heads are not the expected ones.
    fn plan_heads(
        &self,
        update: &HeadsUpdate,
        comes: &dyn Fn(&Cid) -> bool,
    ) -> Result<Option<BTreeSet<OperationId>>, StoreError> {
        let old = self.heads.get(&update.namespace).cloned().unwrap_or_default();
        let is_expected =
            |expected: &Vec<OperationId>| expected.iter().copied().collect::<BTreeSet<_>>() == old;
        if !update.expected.as_ref().is_none_or(is_expected) {
            return Ok(None);
        }
        for head in &update.add {
            if !comes(head.cid()) && !self.is_present(head.cid())? {
                return Err(HeadsError::Absent { head: *head }.into());
            }
        }
        let mut heads = old;
        heads.retain(|head| !update.remove.contains(head));
        heads.extend(&update.add);
        if heads.is_empty() && !update.is_empty() {
            return Err(HeadsError::WouldBeEmpty { namespace: update.namespace.clone() }.into());
        }
        Ok(Some(heads))
    }

    fn is_present(&self, cid: &Cid) -> Result<bool, Fault> {
        let key = keys::block_key(cid);
        Ok(self.coming.contains(&key[..]) || self.tip.has(&self.inner.data, &key)?)
    }

    fn set_heads(&mut self, update: &HeadsUpdate, new: BTreeSet<OperationId>, changes: &mut Vec<Change>) {
        let namespace = &update.namespace;
        let old = self.heads.get(namespace).cloned().unwrap_or_default();
        let added = new
            .difference(&old)
            .map(|head| (keys::head(namespace, head), Some(Value::Bytes(bytes::Bytes::new()))));
        changes.extend(added);
        changes.extend(old.difference(&new).map(|head| (keys::head(namespace, head), None)));
        if new != old {
            self.has_new_heads = true;
            self.heads.insert(namespace.clone(), new);
        }
    }

    /// Those that are still where they were read from are elsewhere now.
    fn moves(&self, blocks: &[Move]) -> Planned {
        let mut changes = Vec::new();
        for Move { cid, from, to } in blocks {
            if matches!(self.tip.find(&self.inner.data, cid)?, Some(Found::At(place)) if place == *from) {
                changes.push((keys::block(cid), Some(Value::Moved(*to))));
            }
        }
        Ok((Answer::Done, changes))
    }

    fn clear(&self, table: RowTable) -> Planned {
        let from = keys::table(table);
        let end = after_prefix(&from);
        let rows = self.tip.list(&self.inner.data, Bound::Included(&from), &end, CLEAR_ROWS_MAX)?;
        Ok((Answer::Cleared(rows.len()), rows.into_iter().map(|(key, _)| (key, None)).collect()))
    }

    fn delete(&self, cycle: u64, cids: &[Cid]) -> Planned {
        let elsewhere = self.inner.touched_by_others(cycle).map_err(|error| match error {
            CollectorError::Fault(fault) => StoreError::Fault(fault),
            _ => StoreError::Stale,
        })?;
        let collection = self.inner.collection();
        collection.check_current(cycle)?;
        let touched: Vec<bool> = cids
            .iter()
            .map(|cid| Ok(!collection.may_delete(cycle, cid)? || is_touched(&elsewhere, cid)))
            .collect::<Result<_, StoreError>>()?;
        // Puts are judged by this thread: what is untouched now stays so until this is written.
        drop(collection);
        let mut deleted = Deleted::default();
        let mut changes: Vec<Change> = Vec::new();
        let mut seen = BTreeSet::new();
        for (cid, _) in cids.iter().zip(touched).filter(|(_, touched)| !touched) {
            let key = keys::block(cid);
            if !seen.insert(*cid) || !self.tip.has(&self.inner.data, &key)? {
                continue;
            }
            let bytes = match self.tip.value_bytes(&self.inner.data, &key) {
                Ok(bytes) => bytes.unwrap_or(0),
                // Damaged: it goes all the same.
                Err(Fault::Corrupt { .. }) => 0,
                Err(error) => return Err(error.into()),
            };
            deleted += Deleted { blocks: 1, bytes: bytes as u64 };
            changes.push((key, None));
        }
        Ok((Answer::Deleted(deleted), changes))
    }
}

/// Returns what comes with a request.
pub(crate) fn cids<'a>(blocks: &'a [Block], placed: Option<&'a Placed>) -> impl Iterator<Item = &'a Cid> {
    let placed = placed.into_iter().flat_map(|placed| &placed.blocks);
    blocks.iter().map(Block::cid).chain(placed.map(|(cid, _)| cid))
}

/// Returns the first key behind all that begin with `prefix`, which does not end with 0xff.
pub(crate) fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    let last = end.last_mut().expect("a prefix is not empty");
    *last = last.checked_add(1).expect("names are ASCII");
    end
}

fn row_change(row: &Row) -> Change {
    (keys::row(row.table, &row.key), row.value.clone().map(Value::Bytes))
}
