//! Repair: every good block of a damaged store goes to a new one, and what is lost is named. The damaged one is only read.
//!
//! First the index and the log are followed, as far as they go. If anything was in the way, every page is looked at for
//! leaves of the index that nothing leads to any more, then every 64 bytes for groups that no leaf names. A block proves
//! itself: whatever is found under a CID is right.
//!
//! Rows are not taken along: they are computed again.

use std::collections::{BTreeMap, BTreeSet};

use mnem_core::object::{Object as _, Operation};
use mnem_core::port::{
    CollectorError, HeadsUpdate, Lease, Namespace, OpenError, Store, StoreError, WriteBatch,
};
use mnem_core::{Block, Cid, CidClass, OperationId};
use mnem_vfs::{OpenMode, VfsFileExt};

use super::tree::{for_each_leaf, is_inside, read_page};
use super::values::for_each_value;
use super::{
    Ailment, Changes, Data, Doctor, Examination, PAGE_BYTES, Progress, examine_maps, examine_superblocks, log,
};
use crate::bytes::StoreId;
use crate::group::{GRANULE_BYTES, Group, Locator};
use crate::index::Node;
use crate::keys;
use crate::memtable::Value;
use crate::page::{Page, PageId, PageType};
use crate::space::PageMap;
use crate::superblock::Superblock;
use crate::wal::segment::{self, SegmentHeader};

/// So many bytes of blocks are put at once.
const PIECE_BYTES: usize = 4 << 20;

/// So much is looked through at a time for groups.
const WINDOW_BYTES: usize = 1 << 20;

/// So many lost blocks are named.
const NAMED_MAX: usize = 1000;

/// What a repair saved, and what not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// Blocks in the new store.
    pub blocks: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Blocks that the index or the log names, and of which no good copy was found: the first thousand.
    pub lost: Vec<Cid>,
    /// How many more of them there are.
    pub more_lost: u64,
    /// Heads of the new store.
    pub heads: Vec<(Namespace, OperationId)>,
    /// Heads whose blocks are lost.
    pub lost_heads: Vec<(Namespace, OperationId)>,
    /// The heads could not be read: these are operations that no other follows, or those of an older moment.
    pub heads_are_guessed: bool,
    /// Something was in the way of the index, so there may be more that is lost and cannot be named, and blocks may be
    /// among those saved that were deleted before.
    pub index_was_damaged: bool,
}

/// Why there was no repair.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepairError {
    /// The damaged store cannot be looked at.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The new store cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing in the files says whose they are: neither a superblock nor a log segment passes.
    #[error("nothing in {at} can be told from random bytes")]
    Nothing {
        /// The place.
        at: String,
    },
}

impl Doctor {
    /// Copies every good block, and the heads, to a store that is new. Whoever writes to the damaged one waits, or is in the
    /// way: then it is `Locked`.
    pub fn repair(&self, to: &dyn Store, progress: &mut Progress<'_>) -> Result<Repaired, RepairError> {
        let mut report = Examination::default();
        let segments = self.look_around(&mut report)?;
        let at = || self.root.display().to_string();
        let data = self.open_data()?.ok_or_else(|| OpenError::Missing { at: at() })?;
        let slots = examine_superblocks(&data, &mut report);
        let store = match &slots {
            Some(slots) => slots.newest.id,
            None => self.owner(&segments).ok_or_else(|| RepairError::Nothing { at: at() })?,
        };
        let data = Data { store, ..data };
        // If a superblock is damaged, it may have been the newer one: then the other's map lacks what came last.
        let is_newest = !report.findings.iter().any(|it| it.ailment == Ailment::SuperblockDamaged);
        let used =
            slots.as_ref().and_then(|slots| examine_maps(&data, slots, &mut report)).filter(|_| is_newest);
        let superblock = slots.map(|slots| slots.newest);
        let before = report.findings.len();
        let changes = match &superblock {
            Some(superblock) => log::examine(self, &segments, superblock, &mut report)?,
            None => Changes::new(),
        };
        let is_log_whole = report.findings[before..].iter().all(|it| it.ailment == Ailment::LogTail);
        let lease = to.lease(&[]).map_err(|error| match error {
            CollectorError::Fault(fault) => StoreError::Fault(fault),
            _ => StoreError::Stale,
        })?;
        let mut rescue = Rescue {
            data: &data,
            to,
            lease,
            changes: &changes,
            progress,
            piece: Vec::new(),
            piece_bytes: 0,
            missing: BTreeSet::new(),
            heads: BTreeMap::new(),
            group: None,
            repaired: Repaired::default(),
        };
        rescue.log()?;
        let is_whole = match &superblock {
            Some(superblock) => rescue.tree(superblock)?,
            None => false,
        };
        if !(is_whole && is_newest && is_log_whole) {
            rescue.repaired.index_was_damaged = true;
            rescue.leaves(used.as_ref())?;
            rescue.groups(used.as_ref())?;
        }
        rescue.finish(is_whole && is_newest, used.is_some())
    }

    /// Finds out from the log whose store this is.
    fn owner(&self, segments: &[u32]) -> Option<StoreId> {
        segments.iter().find_map(|number| {
            let file = self.vfs.open(&segment::path(&self.root, *number), OpenMode::Read).ok()?;
            let mut bytes = [0; segment::HEADER_BYTES];
            file.read_exact_at(&mut bytes, 0).ok()?;
            let store = SegmentHeader::owner(&bytes)?;
            SegmentHeader::decode(store, &bytes).map(|_| store)
        })
    }
}

struct Rescue<'a, 'p> {
    data: &'a Data,
    to: &'a dyn Store,
    lease: Lease,
    changes: &'a Changes,
    progress: &'a mut Progress<'p>,
    piece: Vec<Block>,
    piece_bytes: usize,
    /// Named, and not found yet.
    missing: BTreeSet<Cid>,
    /// By the generation of the leaf that names them.
    heads: BTreeMap<u64, BTreeSet<(Namespace, OperationId)>>,
    group: Option<(Locator, Option<Group>)>,
    repaired: Repaired,
}

impl Rescue<'_, '_> {
    fn put(&mut self, block: Block) -> Result<(), StoreError> {
        self.piece_bytes += block.bytes().len();
        self.piece.push(block);
        if self.piece_bytes >= PIECE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.to.put_leased(&self.lease, &self.piece)?;
        self.piece.clear();
        self.piece_bytes = 0;
        Ok(())
    }

    /// Says whether the log removes a block.
    fn is_removed(&self, cid: &Cid) -> bool {
        self.changes.get(&keys::block_key(cid)[..]).is_some_and(Option::is_none)
    }

    /// Takes the blocks that lie in the log itself.
    fn log(&mut self) -> Result<(), StoreError> {
        for (key, value) in self.changes {
            let (Some(cid), Some(Value::Bytes(bytes))) = (keys::cid(key), value) else { continue };
            match Block::verify(cid, bytes.clone()) {
                Ok(block) => self.put(block)?,
                Err(_) => drop(self.missing.insert(cid)),
            }
        }
        Ok(())
    }

    /// Takes a block from where it is said to lie.
    fn take(&mut self, place: &Locator, cid: &Cid) -> Result<(), StoreError> {
        if self.is_removed(cid) {
            return Ok(());
        }
        let is_same = |other: &Locator| (other.granule, other.crc) == (place.granule, place.crc);
        if !self.group.as_ref().is_some_and(|(other, _)| is_same(other)) {
            let range = place.range();
            let bytes = usize::try_from(range.end - range.start)
                .ok()
                .and_then(|length| self.data.read(range.start, length, &mut Examination::default()));
            let group = bytes.and_then(|bytes| Group::salvage(self.data.store, place, &bytes));
            self.group = Some((*place, group));
        }
        let group = self.group.as_ref().and_then(|(_, group)| group.as_ref());
        let value = group.and_then(|group| group.value(place.slot));
        match value.and_then(|value| Block::verify(*cid, value).ok()) {
            Some(block) => self.put(block),
            None => {
                self.missing.insert(*cid);
                Ok(())
            }
        }
    }

    /// Follows the index and the log. Returns whether nothing was in the way.
    fn tree(&mut self, superblock: &Superblock) -> Result<bool, StoreError> {
        let (data, changes) = (self.data, self.changes);
        let mut taken = Ok(());
        let mut done = 0;
        for_each_value(data, superblock, changes, &mut |(place, cid)| {
            done += 1;
            if done % 1024 == 0 {
                (self.progress)("blocks", done, superblock.keys);
            }
            if let (Some(cid), Ok(())) = (cid, &taken) {
                taken = self.take(place, cid);
            }
        });
        taken?;
        let mut keys = 0;
        let is_whole = for_each_leaf(data, superblock.root, &mut |leaf| {
            keys += leaf.len() as u64;
            self.note_heads(leaf, superblock.generation);
        });
        Ok(is_whole && keys == superblock.keys)
    }

    fn note_heads(&mut self, leaf: &Node, generation: u64) {
        let heads = (0..leaf.len()).filter_map(|entry| keys::parse_head(leaf.key(entry)));
        self.heads.entry(generation).or_default().extend(heads);
    }

    /// Looks at every page for leaves of the index.
    fn leaves(&mut self, used: Option<&PageMap>) -> Result<(), StoreError> {
        self.flush()?;
        let pages = self.data.length / PAGE_BYTES;
        for page in (2..pages).filter(|page| used.is_none_or(|used| used.contains(*page))) {
            (self.progress)("pages", page, pages);
            let Some((leaf, generation)) = self.leaf(page) else { continue };
            self.note_heads(&leaf, if used.is_some() { 0 } else { generation });
            for entry in 0..leaf.len() {
                let place = Locator::decode(leaf.value(entry)).filter(|place| is_inside(place, pages));
                if let (Some(cid), Some(place)) = (keys::cid(leaf.key(entry)), place)
                    && !self.to.has(&cid)?
                {
                    self.take(&place, &cid)?;
                }
            }
        }
        Ok(())
    }

    fn leaf(&self, page: u64) -> Option<(Node, u64)> {
        let bytes = read_page(self.data, PageId(page), &mut Examination::default())?;
        let (own, crc) = Page::identify(self.data.store, &bytes)?;
        let page = Page::open(self.data.store, own, crc, bytes).ok().filter(|_| own.0 == page)?;
        let header = *page.header();
        let node = (header.kind == PageType::Leaf).then(|| Node::new(page))??;
        Some((node, header.generation))
    }

    /// Looks everywhere for groups.
    fn groups(&mut self, used: Option<&PageMap>) -> Result<(), StoreError> {
        self.flush()?;
        let mut at = 2 * PAGE_BYTES;
        while at < self.data.length {
            (self.progress)("bytes", at, self.data.length);
            let window = self.data.read(at, WINDOW_BYTES, &mut Examination::default());
            let Some(window) = window.filter(|window| !window.is_empty()) else {
                // What cannot be read may be a single bad place.
                at += PAGE_BYTES;
                continue;
            };
            for (granule, bytes) in (at / GRANULE_BYTES..).zip(window.chunks(64)) {
                let page = granule * GRANULE_BYTES / PAGE_BYTES;
                if used.is_none_or(|used| used.contains(page))
                    && let Some(place) = Group::identify(self.data.store, granule, bytes)
                {
                    self.take_all(&place)?;
                }
            }
            at += WINDOW_BYTES as u64;
        }
        Ok(())
    }

    /// Takes all blocks of a group that is whole: nobody else says what they are called.
    fn take_all(&mut self, place: &Locator) -> Result<(), StoreError> {
        let range = place.range();
        let Ok(length) = usize::try_from(range.end - range.start) else { return Ok(()) };
        let Some(bytes) = self.data.read(range.start, length, &mut Examination::default()) else {
            return Ok(());
        };
        let Ok(group) = Group::judge(self.data.store, place, &bytes) else { return Ok(()) };
        for slot in 0..group.slots() {
            let class = group.class(slot).and_then(CidClass::from_number);
            let (Some(class), Some(value)) = (class, group.value(slot)) else { continue };
            let cid = Cid::of_class(class, &value);
            if !self.is_removed(&cid)
                && !self.to.has(&cid)?
                && let Ok(block) = Block::verify(cid, value)
            {
                self.put(block)?;
            }
        }
        Ok(())
    }

    /// Writes the heads, and says what is lost.
    fn finish(mut self, is_whole: bool, is_map_good: bool) -> Result<Repaired, RepairError> {
        self.flush()?;
        let mut heads: BTreeSet<(Namespace, OperationId)> = if is_whole || is_map_good {
            std::mem::take(&mut self.heads).into_values().flatten().collect()
        } else {
            // Leaves of older moments may be among those that were found.
            self.repaired.heads_are_guessed = true;
            self.heads.retain(|_, heads| !heads.is_empty());
            self.heads.pop_last().map(|(_, heads)| heads).unwrap_or_default()
        };
        for (key, value) in self.changes {
            let Some(head) = keys::parse_head(key) else { continue };
            if value.is_some() {
                heads.insert(head)
            } else {
                heads.remove(&head)
            };
        }
        for (namespace, head) in heads {
            let is_there = self.to.has(head.cid())?;
            let list = if is_there { &mut self.repaired.heads } else { &mut self.repaired.lost_heads };
            list.push((namespace, head));
        }
        self.count()?;
        if self.repaired.heads.is_empty() && self.repaired.blocks > 0 && !is_whole {
            self.repaired.heads_are_guessed = true;
            let newest = self.newest_operations()?;
            self.repaired.heads = newest.into_iter().map(|head| (Namespace::default(), head)).collect();
        }
        self.write_heads()?;
        for cid in std::mem::take(&mut self.missing) {
            if self.to.has(&cid)? {
                continue;
            }
            if self.repaired.lost.len() < NAMED_MAX {
                self.repaired.lost.push(cid);
            } else {
                self.repaired.more_lost += 1;
            }
        }
        self.to.sync()?;
        Ok(self.repaired)
    }

    fn count(&mut self) -> Result<(), StoreError> {
        let mut cids = self.to.scan(None)?;
        loop {
            let piece = cids.by_ref().take(64).collect::<Result<Vec<_>, _>>()?;
            if piece.is_empty() {
                return Ok(());
            }
            for block in self.to.get_many(&piece)?.into_iter().flatten() {
                self.repaired.blocks += 1;
                self.repaired.bytes += block.bytes().len() as u64;
            }
        }
    }

    /// Returns the operations that no other follows.
    fn newest_operations(&self) -> Result<BTreeSet<OperationId>, StoreError> {
        let (mut all, mut followed) = (BTreeSet::new(), BTreeSet::new());
        for cid in self.to.scan(None)? {
            let Some(block) = self.to.get(&cid?)? else { continue };
            if let Ok(operation) = Operation::from_block(&block) {
                followed.extend(operation.parents.iter().copied());
                all.insert(OperationId::new(*block.cid()));
            }
        }
        Ok(all.difference(&followed).copied().collect())
    }

    fn write_heads(&mut self) -> Result<(), StoreError> {
        let mut by_namespace: BTreeMap<Namespace, Vec<OperationId>> = BTreeMap::new();
        for (namespace, head) in &self.repaired.heads {
            by_namespace.entry(namespace.clone()).or_default().push(*head);
        }
        for (namespace, add) in by_namespace {
            let heads = HeadsUpdate { namespace, expected: None, add, remove: Vec::new() };
            // Without an expectation there is no race to lose.
            let _ = self.to.commit(&self.lease, &WriteBatch { blocks: &[], heads: &heads, rows: &[] })?;
        }
        Ok(())
    }
}
