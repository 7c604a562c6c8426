//! The data file: pages and groups, read through the pool and checked on the way.
//!
//! Invariant: what comes out of here passed its own checksum and the one that its parent states.
//!
//! Used by: `view`, `checkpoint`, `recovery`. Threads: any.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use mnem_core::port::Fault;
use mnem_core::{Block, Cid};
use mnem_vfs::{Advice, VfsFile, VfsFileExt};

use crate::bytes::StoreId;
use crate::group::{GROUP_BYTES_MAX, Group, Locator};
use crate::health::Health;
use crate::index::{Node, Nodes};
use crate::metrics::Counters;
use crate::page::{PAGE_SIZE, Page, PageId};
use crate::pool::{BufferPool, Frame, FrameKey, Presence};
use crate::superblock::Pointer;

/// Most bytes of a group in the file: header and padding are less than a page.
const STORED_BYTES_MAX: usize = GROUP_BYTES_MAX + PAGE_SIZE;

/// Which pages a reader sees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// The checkpoint that made them.
    pub(crate) generation: u64,
    pub(crate) presence: Presence,
}

/// The data file of an open store.
pub(crate) struct DataFile {
    pub(crate) file: Box<dyn VfsFile>,
    pub(crate) path: PathBuf,
    pub(crate) store: StoreId,
    pub(crate) pool: BufferPool,
    pub(crate) counters: Arc<Counters>,
    pub(crate) health: Arc<Health>,
    /// Held while the file is synced.
    pub(crate) syncing: Mutex<()>,
}

impl DataFile {
    pub(crate) fn fault(&self, action: &'static str, error: std::io::Error) -> Fault {
        Fault::io(action, self.path.display().to_string(), error)
    }

    pub(crate) fn corrupt(&self, what: &'static str, place: impl fmt::Display) -> Fault {
        Fault::Corrupt { what, at: format!("{}, {place}", self.path.display()) }
    }

    pub(crate) fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = vec![0; length];
        let read = self.file.read_up_to_at(&mut bytes, offset).map_err(|error| self.fault("read", error))?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Returns how many pages the file has.
    pub(crate) fn pages(&self) -> u64 {
        self.file.len().map_or(0, |length| length.div_ceil(PAGE_SIZE as u64))
    }

    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Fault> {
        self.file.write_all_at(bytes, offset).map_err(|error| self.fault("write", error))
    }

    /// Makes everything durable that was written before. One at a time: an error of the system is told once, and whoever
    /// comes next must find the store poisoned by then.
    pub(crate) fn sync(&self) -> Result<(), Fault> {
        let _syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        self.health.check()?;
        self.counters.data_syncs.add(1);
        self.file.sync_data().map_err(|error| {
            self.health.fail("sync");
            self.fault("sync", error)
        })
    }

    /// Reads the value that a leaf points at. `what` is what messages call it.
    pub(crate) fn value(&self, locator: &Locator, what: &'static str) -> Result<Bytes, Fault> {
        let group = self.group(locator, what)?;
        if !group.is_intact() {
            return Err(self.damaged(locator, what));
        }
        group.value(locator.slot).ok_or_else(|| self.damaged(locator, what))
    }

    /// Reads a block and proves that it is what its name says. Damage beside it in its group does no harm.
    pub(crate) fn block(&self, locator: &Locator, cid: &Cid) -> Result<Block, Fault> {
        const WHAT: &str = "a block";
        // Twice: what was read may have been damaged in memory since.
        for _ in 0..2 {
            if let Some(block) = self.group(locator, WHAT)?.block(locator.slot, cid) {
                return Ok(block);
            }
            self.pool.remove(&group_key(locator));
        }
        Err(self.damaged(locator, WHAT))
    }

    /// Reads a block as [`Self::block`] does, for who may read it again: the second time it gets a frame of its own.
    pub(crate) fn block_again(&self, locator: &Locator, cid: &Cid, seen: Seen) -> Result<Block, Fault> {
        let is_again = self.group_in_memory(locator).is_some_and(|group| group.is_proven(locator.slot));
        let block = self.block(locator, cid)?;
        if is_again {
            // Its own copy: a share of the group would keep all of it in memory.
            let own = block.detached();
            self.pool.insert(FrameKey::block(seen.presence, cid), Frame::Block(own, seen.generation));
        }
        Ok(block)
    }

    /// Returns a block that has a frame of its own, if it was in the pages of this generation.
    pub(crate) fn block_in_memory(&self, cid: &Cid, seen: Seen) -> Option<Block> {
        match self.pool.get(&FrameKey::block(seen.presence, cid)) {
            Some(Frame::Block(block, since)) if since <= seen.generation && block.cid() == cid => Some(block),
            _ => None,
        }
    }

    /// Asks the system to fetch the groups at these places, as far as they are not in memory.
    pub(crate) fn prefetch(&self, locators: impl Iterator<Item = Locator>) {
        let mut last = None;
        for locator in locators {
            let range = locator.range();
            if last != Some(locator.granule) && !self.pool.contains(&group_key(&locator)) {
                // A hint: what it fails to fetch is read later.
                let _ = self.file.advise(Advice::WillNeed, range);
            }
            last = Some(locator.granule);
        }
    }

    /// Returns a group that is in memory.
    pub(crate) fn group_in_memory(&self, locator: &Locator) -> Option<Arc<Group>> {
        match self.pool.get(&group_key(locator)) {
            Some(Frame::Group(group)) => Some(group),
            _ => None,
        }
    }

    pub(crate) fn damaged(&self, locator: &Locator, what: &'static str) -> Fault {
        self.corrupt(what, format_args!("byte {}", locator.range().start))
    }

    fn group(&self, locator: &Locator, what: &'static str) -> Result<Arc<Group>, Fault> {
        let key = group_key(locator);
        if let Some(Frame::Group(group)) = self.pool.get(&key) {
            return Ok(group);
        }
        let range = locator.range();
        let length =
            usize::try_from(range.end - range.start).ok().filter(|length| *length <= STORED_BYTES_MAX);
        let length = length.ok_or_else(|| self.damaged(locator, what))?;
        self.counters.pool_misses.add(1);
        let bytes = self.read(range.start, length)?;
        let group = Group::decode(self.store, locator, &bytes).ok_or_else(|| self.damaged(locator, what))?;
        let group = Arc::new(group);
        if group.is_intact() {
            self.pool.insert(key, Frame::Group(group.clone()));
        }
        Ok(group)
    }

    /// Puts a page into the pool that was just written.
    pub(crate) fn keep(&self, at: Pointer, node: Node) {
        self.pool.insert(node_key(at), Frame::Node(Arc::new(node)));
    }
}

impl Nodes for DataFile {
    fn node(&self, at: Pointer, level: u8) -> Result<Arc<Node>, Fault> {
        let damaged = || self.corrupt("an index page", format_args!("page {}", at.page.0));
        let checked = |node: &Arc<Node>| if node.level() == level { Ok(()) } else { Err(damaged()) };
        if let Some(Frame::Node(node)) = self.pool.get(&node_key(at)) {
            checked(&node)?;
            return Ok(node);
        }
        let offset = at.page.offset_bytes().ok_or_else(damaged)?;
        self.counters.pool_misses.add(1);
        let bytes = self.read(offset, PAGE_SIZE)?;
        let page = Page::open(self.store, at.page, at.crc, bytes).map_err(|_| damaged())?;
        let node = Arc::new(Node::new(page).ok_or_else(damaged)?);
        checked(&node)?;
        self.pool.insert(node_key(at), Frame::Node(node.clone()));
        Ok(node)
    }

    fn node_in_memory(&self, at: Pointer, level: u8) -> Option<Arc<Node>> {
        match self.pool.get(&node_key(at)) {
            Some(Frame::Node(node)) if node.level() == level => Some(node),
            _ => None,
        }
    }
}

fn node_key(at: Pointer) -> FrameKey {
    let Pointer { page: PageId(page), crc } = at;
    FrameKey::Node { page, crc }
}

fn group_key(locator: &Locator) -> FrameKey {
    FrameKey::Group { granule: locator.granule, crc: locator.crc }
}

impl fmt::Debug for DataFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataFile").field("path", &self.path).finish_non_exhaustive()
    }
}
