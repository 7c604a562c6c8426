//! Reading a store: superblocks, the map of used pages, heads, and what the log holds behind them. Changes nothing.
//!
//! Used by: `recovery` (opening), `shared` (catching up with other processes).

use std::ops::{Bound, Range};
use std::path::Path;
use std::sync::Arc;

use mnem_core::port::{Fault, OpenError};
use mnem_vfs::{VfsFile, VfsFileExt};

use crate::changes;
use crate::data::{DataFile, Seen};
use crate::index::{self, Tree};
use crate::keys;
use crate::memtable::{Change, Memtable, Value};
use crate::page::PAGE_SIZE;
use crate::pool::Presence;
use crate::space::PageMap;
use crate::superblock::{FORMAT, SUPERBLOCK_BYTES, SlotFault, Superblock};
use crate::view::{Heads, Version};
use crate::wal::Lsn;
use crate::wal::scan::{End, From, Segments, scan};

/// The superblocks that pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slots {
    pub(crate) newest: Superblock,
    pub(crate) other: Option<Superblock>,
}

/// What was read.
pub(crate) struct Loaded {
    pub(crate) slots: Slots,
    pub(crate) version: Version,
    pub(crate) heads: Heads,
    /// The last record that counts.
    pub(crate) last: Lsn,
    /// Pages that records refer to which are not in the superblock's map.
    pub(crate) ahead: Vec<(Lsn, Vec<Range<u64>>)>,
    /// Bytes of changes that were found in the log.
    pub(crate) pending_bytes: u64,
    pub(crate) end: End,
}

/// Reads what the newest superblock reaches and the log behind it, to its end or as far as `until`.
pub(crate) fn load(
    data: &DataFile,
    slots: Slots,
    segments: &Segments<'_>,
    until: Option<Lsn>,
) -> Result<Loaded, Fault> {
    let superblock = slots.newest;
    let used = map(data, &superblock)?;
    let length = data.file.len().map_err(|error| data.fault("measure", error))?;
    if length < used.end() * PAGE_SIZE as u64 {
        return Err(data.corrupt("the data file (it is cut short)", format_args!("byte {length}")));
    }
    let table = Arc::new(Memtable::default());
    let index = Tree::new(superblock.root);
    // Whatever blocks were found by name before may have been taken out since.
    let seen = Seen { generation: superblock.generation, presence: Presence::begin() };
    let version = Version { index, seen, used: Arc::new(used), frozen: None, table };
    let mut heads = heads(data, &version)?;
    let from = From {
        position: superblock.lsn,
        segment: superblock.segment,
        chain: superblock.chain,
        epoch: superblock.epoch,
        txn: superblock.txn,
    };
    let mut last = superblock.lsn;
    let mut pending_bytes = 0;
    let mut ahead = Vec::new();
    let end = scan(segments, from, until, |lsn, raw| {
        pending_bytes += raw.len() as u64;
        let changes = changes::decode(raw)?;
        replay_heads(&mut heads, &changes)?;
        ahead.extend(pages_ahead(&changes).map(|pages| (lsn, pages)));
        version.table.apply(lsn, changes);
        last = lsn;
        Some(())
    })?;
    Ok(Loaded { slots, version, heads, last, ahead, pending_bytes, end })
}

impl Slots {
    /// Returns them with the one of `generation` as the newest: what was written behind it does not count yet.
    pub(crate) fn with(self, generation: u64, at: &str) -> Result<Slots, Fault> {
        let Slots { newest, other } = self;
        let what = "the superblock (the one that was published)";
        match other {
            _ if newest.generation == generation => Ok(self),
            Some(other) if other.generation == generation => Ok(Slots { newest: other, other: Some(newest) }),
            _ => Err(Fault::Corrupt { what, at: at.to_owned() }),
        }
    }

    /// Returns the pages that the other superblock reaches. If its map cannot be read, all of its pages may be in use.
    pub(crate) fn previous(&self, data: &DataFile) -> Result<PageMap, Fault> {
        let Some(other) = self.other else { return Ok(PageMap::of_slots()) };
        let length = data.file.len().map_err(|error| data.fault("measure", error))?;
        Ok(map(data, &other).unwrap_or_else(|_| {
            let mut all = PageMap::of_slots();
            all.insert(0..other.file_pages.min(length / PAGE_SIZE as u64));
            all
        }))
    }
}

/// Returns the pages that a record's changes refer to.
pub(crate) fn pages_ahead(changes: &[Change]) -> Option<Vec<Range<u64>>> {
    let places = changes.iter().filter_map(|(_, value)| match value {
        Some(Value::Placed(place) | Value::Moved(place)) => Some(place.pages()),
        _ => None,
    });
    let mut places: Vec<_> = places.collect();
    places.dedup();
    (!places.is_empty()).then_some(places)
}

/// Returns the newer superblock that passes, and the other one if it does too.
pub(crate) fn superblocks(file: &dyn VfsFile, path: &Path, at: &str) -> Result<Slots, OpenError> {
    let mut valid = Vec::new();
    for slot in 0..2 {
        let mut bytes = [0; SUPERBLOCK_BYTES];
        file.read_up_to_at(&mut bytes, Superblock::slot_offset(slot))
            .map_err(|error| Fault::io("read", path.display().to_string(), error))?;
        match Superblock::decode(&bytes) {
            Ok(superblock) if superblock.generation & 1 == slot => valid.push(superblock),
            Ok(_) | Err(SlotFault::Invalid) => {}
            Err(SlotFault::Newer(found)) => {
                return Err(OpenError::NewerFormat { at: at.to_owned(), found, readable: FORMAT });
            }
        }
    }
    valid.sort_by_key(|superblock| superblock.generation);
    let damaged = || Fault::Corrupt { what: "the superblock (both copies)", at: path.display().to_string() };
    let newest = valid.pop().ok_or_else(damaged)?;
    let other = valid.pop();
    if other.is_some_and(|other| other.id != newest.id) {
        return Err(damaged().into());
    }
    Ok(Slots { newest, other })
}

/// Reads the map of used pages.
fn map(data: &DataFile, superblock: &Superblock) -> Result<PageMap, Fault> {
    let run = superblock.space;
    let damaged = || data.corrupt("the map of used pages", format_args!("page {}", run.page.0));
    let length = data.file.len().map_err(|error| data.fault("measure", error))?;
    let bytes = u64::from(run.pages) * PAGE_SIZE as u64;
    let offset = run.page.offset_bytes().ok_or_else(damaged)?;
    // The file's length bounds what is allocated.
    let bytes = usize::try_from(bytes).ok().filter(|_| offset.saturating_add(bytes) <= length);
    let map = data.read(offset, bytes.ok_or_else(damaged)?)?;
    if data.store.checksum(run.page.0, &map) != run.crc {
        return Err(damaged());
    }
    Ok(PageMap::from_bytes(&map))
}

fn heads(data: &DataFile, version: &Version) -> Result<Heads, Fault> {
    const BATCH: usize = 256;
    let mut heads = Heads::new();
    let mut from: Bound<keys::Key> = Bound::Included([keys::HEADS].into());
    loop {
        let batch = index::range(data, version.index.root, from.as_ref().map(|key| &**key), BATCH)?;
        let is_last = batch.len() < BATCH;
        for (key, _) in &batch {
            if !keys::is_head(key) {
                return Ok(heads);
            }
            replay_head(&mut heads, key, true)
                .ok_or_else(|| data.corrupt("an index page", "the key of a head"))?;
        }
        match batch.into_iter().next_back() {
            Some((key, _)) if !is_last => from = Bound::Excluded(key),
            _ => return Ok(heads),
        }
    }
}

/// Follows changes, those of heads among them. `None`: one is no key.
pub(crate) fn replay_heads(heads: &mut Heads, changes: &[Change]) -> Option<()> {
    changes.iter().try_for_each(|(key, value)| replay_head(heads, key, value.is_some()))
}

/// Follows one change, if it is one of heads. `None`: it is no key.
fn replay_head(heads: &mut Heads, key: &[u8], is_added: bool) -> Option<()> {
    if !keys::is_head(key) {
        return Some(());
    }
    let (namespace, head) = keys::parse_head(key)?;
    let set = heads.entry(namespace).or_default();
    if is_added {
        set.insert(head)
    } else {
        set.remove(&head)
    };
    Some(())
}
