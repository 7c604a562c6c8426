//! From what is on the disk to an open store.
//!
//! Order and argument: DURABILITY.md, "Native backend", "Opening".
//!
//! Invariant: nothing is read before it is synced and the cache dropped; else a later power cut could take away what
//! this open relied on, and a failed sync of an earlier process would go unnoticed.
//!
//! Used by: `open`.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex};

use mnem_core::port::{Fault, OpenError};
use mnem_vfs::{Advice, Vfs, VfsFile};

use crate::changes;
use crate::checkpoint::{Maintenance, begin_space, pages};
use crate::data::{DataFile, Seen};
use crate::engine::{Assembly, Inner};
use crate::health::Health;
use crate::index::{self, Tree};
use crate::keys;
use crate::memtable::{Memtable, Value};
use crate::metrics::Counters;
use crate::options::StorageOptions;
use crate::page::PAGE_SIZE;
use crate::pool::{BufferPool, Presence};
use crate::space::PageMap;
use crate::superblock::{FORMAT, SUPERBLOCK_BYTES, SlotFault, Superblock};
use crate::view::{Heads, Tip, Version};
use crate::wal::scan::{End, From, Segments, scan};
use crate::wal::{Lsn, Parts, Placed, Resume, Wal, segment};

/// What opening a store found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The last one to have it open closed it: there was nothing to do.
    pub clean: bool,
    /// The checkpoint that was found.
    pub generation: u64,
    /// The other superblock did not pass: a checkpoint was cut off, or it is damaged. No store but a new one has one only.
    pub lone_superblock: bool,
    /// Everything in the log before this was in the pages.
    pub checkpoint_lsn: Lsn,
    /// Where the log ended.
    pub end_lsn: Lsn,
    /// Log records that were applied.
    pub records: u64,
    /// Something stood behind the end of the log that was never acknowledged as durable. It was dropped.
    pub discarded_tail: bool,
    /// Heads in all namespaces.
    pub heads: u64,
}

/// Opens what is there. `data` is locked by the caller.
pub(crate) fn recover(
    vfs: Arc<dyn Vfs>,
    root: &Path,
    file: Box<dyn VfsFile>,
    options: StorageOptions,
) -> Result<Inner, OpenError> {
    let at = root.display().to_string();
    let path = root.join(crate::open::DATA);
    let fault = |action, error| Fault::io(action, path.display().to_string(), error);
    settle(file.as_ref()).map_err(|error| fault("sync", error))?;
    vfs.sync_dir(root).map_err(|error| Fault::io("sync", at.as_str(), error))?;
    let (superblock, other) = superblocks(file.as_ref(), &path, &at)?;
    let counters = Arc::new(Counters::default());
    let pool = BufferPool::new(options.pool_bytes);
    let health = Arc::new(Health::default());
    let data = DataFile {
        file,
        path: path.clone(),
        store: superblock.id,
        pool,
        counters: counters.clone(),
        health: health.clone(),
        syncing: Mutex::default(),
    };
    let used = map(&data, &superblock)?;
    let length = data.file.len().map_err(|error| fault("measure", error))?;
    if length < used.end() * PAGE_SIZE as u64 {
        return Err(data.corrupt("the data file (it is cut short)", format_args!("byte {length}")).into());
    }
    // If its map cannot be read, all its pages may be in use.
    let previous = other.map_or_else(PageMap::of_slots, |other| {
        map(&data, &other).unwrap_or_else(|_| {
            let mut all = PageMap::of_slots();
            all.insert(0..other.file_pages.min(length / PAGE_SIZE as u64));
            all
        })
    });
    let table = Arc::new(Memtable::default());
    let index = Tree::new(superblock.root);
    let seen = Seen { generation: superblock.generation, presence: Presence::begin() };
    let version = Version { index, seen, used: Arc::new(used), frozen: None, table };
    let mut heads = heads(&data, &version)?;
    let mut segments = Segments::open(vfs.as_ref(), root, superblock.id)?;
    for (segment, file) in &segments.files {
        let path = segment::path(root, segment.number);
        settle(file.as_ref()).map_err(|error| segment::fault("sync", &path, error))?;
    }
    segments = Segments::open(vfs.as_ref(), root, superblock.id)?;
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
    let end = scan(&segments, from, |lsn, raw| {
        pending_bytes += raw.len() as u64;
        let changes = changes::decode(raw)?;
        changes.iter().try_for_each(|(key, value)| replay_head(&mut heads, key, value.is_some()))?;
        let places = changes.iter().filter_map(|(_, value)| match value {
            Some(Value::Placed(place) | Value::Moved(place)) => Some(pages(place)),
            _ => None,
        });
        let mut places: Vec<_> = places.collect();
        places.dedup();
        ahead.push((lsn, places));
        version.table.apply(lsn, changes);
        last = lsn;
        Some(())
    })?;
    let report = RecoveryReport {
        clean: end.records == 0 && !end.has_tail,
        generation: superblock.generation,
        lone_superblock: other.is_none() && superblock.generation > 1,
        checkpoint_lsn: superblock.lsn,
        end_lsn: end.position,
        records: end.records,
        discarded_tail: end.has_tail,
        heads: heads.values().map(|heads| heads.len() as u64).sum(),
    };
    let parts = Parts {
        vfs,
        dir: root.to_owned(),
        store: superblock.id,
        compression: options.compression,
        segment_bytes_max: options.segment_bytes_max,
        counters,
        health,
    };
    let wal = resume(parts, segments, &end)?;
    let tip = Tip { lsn: last, heads: Arc::new(heads), version: Arc::new(version) };
    let maintenance = Maintenance::new(superblock, previous);
    let inner = Inner::new(Assembly { data, options, report, at, tip, wal, maintenance, pending_bytes });
    for (lsn, pages) in ahead.into_iter().filter(|(_, pages)| !pages.is_empty()) {
        inner.space.found_ahead(pages, lsn);
    }
    begin_space(&inner, &mut inner.maintenance());
    if report.records > 0 {
        // What was replayed is not written behind: a second crash would find it, and the new epoch is durable first.
        inner.checkpoint()?;
    }
    Ok(inner)
}

/// Makes durable what an earlier process left in the cache, then drops the cache: what a failed sync lost must not be
/// read once more.
fn settle(file: &dyn VfsFile) -> std::io::Result<()> {
    file.sync_data()?;
    file.advise(Advice::DontNeed, 0..file.len()?)
}

/// Returns the newer superblock that passes, and the other one if it does too.
fn superblocks(
    file: &dyn VfsFile,
    path: &Path,
    at: &str,
) -> Result<(Superblock, Option<Superblock>), OpenError> {
    let mut valid = Vec::new();
    for slot in 0..2 {
        let mut bytes = [0; SUPERBLOCK_BYTES];
        mnem_vfs::VfsFileExt::read_up_to_at(file, &mut bytes, Superblock::slot_offset(slot))
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
    Ok((newest, other))
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

fn resume(parts: Parts, segments: Segments<'_>, end: &End) -> Result<Wal, Fault> {
    let epoch = end.epoch_seen.checked_add(1).ok_or_else(|| Fault::Corrupt {
        what: "the log (no epoch is left)",
        at: parts.dir.display().to_string(),
    })?;
    let (active, _) = &segments.files[end.segment];
    let header = active.header.expect("the scan ended in a segment with a header");
    let number = active.number;
    // Segments before the end are still needed, until the checkpoint that follows; those behind hold nothing.
    let others = segments.files.iter().filter(|(file, _)| file.number != number).map(|(file, _)| {
        let end = file.header.map(|other| other.end()).filter(|end| *end <= header.start);
        Placed { number: file.number, bytes: file.bytes, end }
    });
    let others = others.collect();
    let at = Resume { position: end.position, chain: end.chain, txn: end.txn, epoch, nonce: nonce() };
    let file = segments.files.into_iter().nth(end.segment).expect("it is there").1;
    Ok(Wal::resume(parts, file, number, header, others, at))
}

fn nonce() -> u32 {
    let bytes = random().to_le_bytes();
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// Returns a number that no other call returns, in this process or another, as far as the standard library's hash keys
/// are random.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
