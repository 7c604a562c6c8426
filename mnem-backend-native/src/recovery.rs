//! From what is on the disk to an open store.
//!
//! Order and argument: DURABILITY.md, "Native backend", "Opening".
//!
//! Invariant: unless somebody who has the store open answers for it, nothing is built upon before it is synced and the
//! cache dropped; else a later power cut could take away what this open relied on, and a failed sync of an earlier process
//! would go unnoticed.
//!
//! Used by: `open`, `shared`.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::Path;
use std::sync::{Arc, Mutex};

use mnem_core::port::{Fault, OpenError};
use mnem_vfs::{Advice, OpenMode, Vfs, VfsFile};

use crate::bytes::StoreId;
use crate::checkpoint::{Maintenance, begin_space};
use crate::data::DataFile;
use crate::engine::{Assembly, Inner};
use crate::health::Health;
use crate::load::{Loaded, Slots, load, superblocks};
use crate::metrics::Counters;
use crate::options::StorageOptions;
use crate::pool::BufferPool;
use crate::shared::{Notice, Sharing};
use crate::view::Tip;
use crate::wal::scan::{End, Segments};
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

impl RecoveryReport {
    fn of(loaded: &Loaded) -> RecoveryReport {
        let Slots { newest, other } = loaded.slots;
        let end = &loaded.end;
        RecoveryReport {
            clean: end.records == 0 && !end.has_tail,
            generation: newest.generation,
            lone_superblock: other.is_none() && newest.generation > 1,
            checkpoint_lsn: newest.lsn,
            end_lsn: end.position,
            records: end.records,
            discarded_tail: end.has_tail,
            heads: loaded.heads.values().map(|heads| heads.len() as u64).sum(),
        }
    }
}

/// Under what a writer writes its log records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) epoch: u32,
    pub(crate) nonce: u32,
}

impl Identity {
    pub(crate) fn at(self, position: Lsn, chain: u32, txn: u64) -> Resume {
        Resume { position, chain, txn, epoch: self.epoch, nonce: self.nonce }
    }
}

/// How far to believe what is there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trust {
    /// Whoever wrote it may be dead: it is synced and read past the cache.
    Nothing,
    /// The same, by one who only reads: nothing is synced.
    Disk,
    /// Others have it open and say how far it counts.
    Notice(Notice),
}

/// What was found at a place.
pub(crate) struct Found {
    data: DataFile,
    wal: Wal,
    pub(crate) identity: Identity,
    pub(crate) loaded: Loaded,
}

/// Opens what is there for one process alone. `file` is locked by the caller.
pub(crate) fn recover(
    vfs: Arc<dyn Vfs>,
    root: &Path,
    file: Box<dyn VfsFile>,
    options: StorageOptions,
) -> Result<Inner, OpenError> {
    let found = find(&vfs, root, file, &options, Trust::Nothing)?;
    let records = found.loaded.end.records;
    let inner = assemble(vfs, root, found, options, None)?;
    begin_space(&inner, &mut inner.maintenance());
    if records > 0 {
        // What was replayed is not written behind: a second crash would find it, and the new epoch is durable first.
        inner.checkpoint()?;
    }
    Ok(inner)
}

/// Reads what is there.
pub(crate) fn find(
    vfs: &Arc<dyn Vfs>,
    root: &Path,
    file: Box<dyn VfsFile>,
    options: &StorageOptions,
    trust: Trust,
) -> Result<Found, OpenError> {
    let at = root.display().to_string();
    let path = root.join(crate::open::DATA);
    if let Trust::Nothing = trust {
        settle_data(vfs.as_ref(), root, file.as_ref(), &path)?;
    }
    let mut slots = superblocks(file.as_ref(), &path, &at)?;
    if let Trust::Notice(notice) = trust {
        slots = slots.with(notice.generation, &at)?;
    }
    let store = slots.newest.id;
    if let Trust::Nothing = trust {
        settle_log(vfs.as_ref(), root, store)?;
    }
    let counters = Arc::new(Counters::default());
    let health = Arc::new(Health::default());
    let data = DataFile {
        file,
        path,
        store,
        pool: BufferPool::new(options.pool_bytes),
        counters: counters.clone(),
        health: health.clone(),
        syncing: Mutex::default(),
    };
    let mode = if options.mode.writes() { OpenMode::ReadWrite } else { OpenMode::Read };
    let segments = Segments::open(vfs.as_ref(), root, store, mode)?;
    let until = match trust {
        Trust::Notice(notice) => Some(notice.lsn),
        Trust::Nothing | Trust::Disk => None,
    };
    let loaded = load(&data, slots, &segments, until)?;
    let identity = match trust {
        Trust::Notice(notice) => Identity { epoch: notice.epoch, nonce: notice.nonce },
        Trust::Nothing | Trust::Disk => new_identity(&loaded.end, &at)?,
    };
    let parts = Parts {
        vfs: vfs.clone(),
        dir: root.to_owned(),
        store,
        compression: options.compression,
        segment_bytes_max: options.segment_bytes_max,
        counters,
        health,
    };
    let end = &loaded.end;
    let wal = resume(parts, segments, end.segment, identity.at(end.position, end.chain, end.txn));
    Ok(Found { data, wal, identity, loaded })
}

/// Puts an open store together. No page may be taken yet.
pub(crate) fn assemble(
    vfs: Arc<dyn Vfs>,
    root: &Path,
    found: Found,
    options: StorageOptions,
    sharing: Option<Sharing>,
) -> Result<Inner, Fault> {
    let Found { data, wal, loaded, .. } = found;
    let report = RecoveryReport::of(&loaded);
    let maintenance = Maintenance::new(loaded.slots.newest, loaded.slots.previous(&data)?);
    let tip = Tip { lsn: loaded.last, heads: Arc::new(loaded.heads), version: Arc::new(loaded.version) };
    let at = root.display().to_string();
    let pending_bytes = loaded.pending_bytes;
    let parts = Assembly {
        vfs,
        root: root.to_owned(),
        data,
        options,
        report,
        at,
        tip,
        wal,
        maintenance,
        pending_bytes,
        sharing,
    };
    let inner = Inner::new(parts);
    for (lsn, pages) in loaded.ahead {
        inner.space.found_ahead(pages, lsn);
    }
    Ok(inner)
}

/// Makes durable what an earlier process left in the cache, then drops the cache: what a failed sync lost must not be
/// read once more.
fn settle(file: &dyn VfsFile) -> std::io::Result<()> {
    file.sync_data()?;
    file.advise(Advice::DontNeed, 0..file.len()?)
}

fn settle_data(vfs: &dyn Vfs, root: &Path, file: &dyn VfsFile, path: &Path) -> Result<(), Fault> {
    let fault = |path: &Path, error| Fault::io("sync", path.display().to_string(), error);
    settle(file).map_err(|error| fault(path, error))?;
    vfs.sync_dir(root).map_err(|error| fault(root, error))
}

fn settle_log(vfs: &dyn Vfs, root: &Path, store: StoreId) -> Result<(), Fault> {
    for (segment, file) in &Segments::open(vfs, root, store, OpenMode::ReadWrite)?.files {
        let path = segment::path(root, segment.number);
        settle(file.as_ref()).map_err(|error| segment::fault("sync", &path, error))?;
    }
    Ok(())
}

/// The same for all files of a store that is open.
pub(crate) fn settle_all(vfs: &dyn Vfs, root: &Path, data: &DataFile) -> Result<(), Fault> {
    settle_data(vfs, root, data.file.as_ref(), &data.path)?;
    settle_log(vfs, root, data.store)
}

/// Returns the log, open for the next record in one of its segments.
pub(crate) fn resume(parts: Parts, segments: Segments<'_>, index: usize, at: Resume) -> Wal {
    let (active, _) = &segments.files[index];
    let header = active.header.expect("the log ends in a segment with a header");
    let number = active.number;
    // Segments before the end are still needed, as far as the newest superblock does not cover them; those behind hold
    // nothing.
    let others = segments.files.iter().filter(|(file, _)| file.number != number).map(|(file, _)| {
        let end = file.header.map(|other| other.end()).filter(|end| *end <= header.start);
        Placed { number: file.number, bytes: file.bytes, end }
    });
    let others = others.collect();
    let file = segments.files.into_iter().nth(index).expect("it is there").1;
    Wal::resume(parts, file, number, header, others, at)
}

/// Returns an identity that nothing in a log has which ends there.
pub(crate) fn new_identity(end: &End, at: &str) -> Result<Identity, Fault> {
    let none_left = || Fault::Corrupt { what: "the log (no epoch is left)", at: at.to_owned() };
    let epoch = end.epoch_seen.checked_add(1).ok_or_else(none_left)?;
    let bytes = random().to_le_bytes();
    Ok(Identity { epoch, nonce: u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) })
}

/// Returns a number that no other call returns, in this process or another, as far as the standard library's hash keys
/// are random.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
