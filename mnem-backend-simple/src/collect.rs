//! Leases, cycles, and deleting. The rules: DURABILITY.md, "Collection"; their files: FORMAT.md, "Simple backend".
//!
//! A lease lives while the lock of its file is held, a cycle while that of its file `live` is: both end with the
//! process. Nothing here outlives a power cut, so nothing here is synced but deletes.
//!
//! Numbers of leases and generations share one order: a file set aside in generation n may be needed by leases
//! below n, and by no other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mnem_core::port::{
    Collector, CollectorError, Compact, Cycle, Deleted, Fault, Lease, LeaseId, LeaseKeeper, Namespace,
    StoreError,
};
use mnem_core::{Block, Cid};
use mnem_vfs::{LockKind, VfsFile, VfsFileExt};

use crate::layout::{Tree, number};
use crate::locks::lock;
use crate::{Inner, SimpleStore};

/// Most blocks that are deleted while others wait.
const DELETE_BATCH_BLOCKS_MAX: usize = 256;

/// A record of a lease: its kind, and a binary CID.
const RECORD_BYTES: usize = 1 + mnem_core::cid::CID_BYTES;

/// Records read at once.
const RECORDS_READ_MAX: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Record {
    Root = 0,
    Put = 1,
}

/// A lease of this handle. Its lock goes with it.
#[derive(Debug)]
pub(crate) struct HeldLease {
    /// Locked. A handle that cannot write holds the readers' lock instead, and has no path.
    file: Box<dyn VfsFile>,
    path: Option<PathBuf>,
    /// Length of what counts.
    end_bytes: Mutex<u64>,
}

/// The cycle of this handle.
#[derive(Debug)]
pub(crate) struct Collecting {
    number: u64,
    #[expect(dead_code, reason = "its lock says that the cycle lives")]
    live: Box<dyn VfsFile>,
    /// Put under leases that lived when the cycle began. What was put since lies in a folder of the cycle.
    touched: BTreeSet<Cid>,
}

impl Collector for SimpleStore {
    fn lease(&self, roots: &[Cid]) -> Result<Lease, CollectorError> {
        self.inner.begin_write()?;
        let _shared = self.inner.lock_shared()?;
        let mut others = Vec::new();
        for root in roots {
            if !self.inner.is_head(root)? {
                others.push(root);
            }
        }
        // Almost always all roots are heads, and what others have leased need not be read.
        if !others.is_empty() {
            let leased = self.inner.leased_roots()?;
            if !others.into_iter().all(|root| leased.contains(root)) {
                return Err(CollectorError::Stale);
            }
        }
        Ok(self.inner.grant(roots)?.0)
    }

    fn put_leased(&self, lease: &Lease, blocks: &[Block]) -> Result<(), StoreError> {
        self.inner.put_blocks(Some(lease.id()), blocks)
    }

    fn begin_cycle(&self) -> Result<Cycle, CollectorError> {
        self.inner.begin_write()?;
        let (number, roots) = self.inner.announce()?;
        let cycle = Cycle::new(number, roots, self.inner.clone());
        self.inner.purge()?;
        Ok(cycle)
    }

    fn delete_if_untouched(&self, cycle: &Cycle, cids: &[Cid]) -> Result<Deleted, CollectorError> {
        self.inner.begin_write()?;
        let mut deleted = self.inner.delete(cycle.number(), &[])?; // stale or not, even if nothing is asked for
        for batch in cids.chunks(DELETE_BATCH_BLOCKS_MAX) {
            deleted += self.inner.delete(cycle.number(), batch)?;
        }
        self.inner.purge()?;
        Ok(deleted)
    }

    fn compact(&self, how: Compact) -> Result<(), CollectorError> {
        self.inner.begin_write()?;
        self.inner.purge()?;
        let is_clean = self.inner.disk.entries(&self.inner.layout.file("aside"))?.next().is_none();
        match how {
            // Each block is a file of its own: its room is the file system's again.
            Compact::Traces if !is_clean => {
                let by = "somebody who may still read what was deleted".to_owned();
                Err(Fault::Locked { at: self.inner.layout.root().display().to_string(), by }.into())
            }
            Compact::Room | Compact::Traces => Ok(()),
        }
    }
}

impl LeaseKeeper for Inner {
    fn end_lease(&self, lease: LeaseId) {
        let held = self.leases().remove(&lease);
        if let Some(path) = held.as_ref().and_then(|held| held.path.as_ref()) {
            // If this fails the file stays, unlocked: the next cycle removes it.
            let _ = self.disk.remove(path);
        }
    }

    fn end_cycle(&self, number: u64) {
        let mut collecting = self.collecting();
        if collecting.as_ref().is_some_and(|cycle| cycle.number == number) {
            *collecting = None;
            // If this fails the file stays, unlocked, which says the same.
            let _ = self.disk.remove(&self.layout.cycle_live(number));
        }
    }
}

impl Inner {
    fn leases(&self) -> MutexGuard<'_, std::collections::BTreeMap<LeaseId, Arc<HeldLease>>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn collecting(&self) -> MutexGuard<'_, Option<Collecting>> {
        self.collecting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a lease to write under.
    pub(crate) fn held_lease(&self, lease: LeaseId) -> Result<Arc<HeldLease>, StoreError> {
        let held = self.leases().get(&lease).cloned().ok_or(StoreError::Stale)?;
        match held.path {
            Some(_) => Ok(held),
            // This handle writes, so it was for want of space that the lease could not be written down.
            None => Err(Fault::Full { at: self.layout.root().display().to_string() }.into()),
        }
    }

    /// Makes a lease, and returns it with its number. The caller holds the store and answers for the roots.
    pub(crate) fn grant(self: &Arc<Inner>, roots: &[Cid]) -> Result<(Lease, u64), Fault> {
        let newest = self.lease_numbers()?.last().copied().unwrap_or(0);
        let mut number = (newest + 1).max(self.generations()?.last().copied().unwrap_or(0));
        let (path, file) = loop {
            let path = self.layout.lease(number);
            match self.disk.create_new(&path)? {
                Some(file) => break (path, file),
                None => number += 1, // granted by somebody else at this moment
            }
        };
        let held = HeldLease { file, path: Some(path.clone()), end_bytes: Mutex::new(0) };
        let written = lock(&path, held.file.as_ref(), LockKind::Exclusive)
            .and_then(|()| self.append(&held, Record::Root, roots.iter()));
        if let Err(fault) = written {
            let _ = self.disk.remove(&path); // else it stays, unlocked
            return Err(fault);
        }
        Ok((self.hold(held), number))
    }

    /// Makes a lease that cannot be written under, and writes nothing: what is deleted while it lives is set aside.
    pub(crate) fn grant_reader(self: &Arc<Inner>) -> Result<Lease, Fault> {
        let file = self.lock_readers()?;
        Ok(self.hold(HeldLease { file, path: None, end_bytes: Mutex::new(0) }))
    }

    fn hold(self: &Arc<Inner>, held: HeldLease) -> Lease {
        let id = LeaseId::fresh();
        self.leases().insert(id, Arc::new(held));
        Lease::new(id, self.clone())
    }

    fn append<'a>(
        &self,
        lease: &HeldLease,
        kind: Record,
        cids: impl Iterator<Item = &'a Cid>,
    ) -> Result<(), Fault> {
        let mut records = Vec::new();
        for cid in cids {
            records.push(kind as u8);
            records.extend_from_slice(&cid.to_bytes());
        }
        let mut end_bytes = lease.end_bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let path = lease.path.as_deref().unwrap_or(Path::new(""));
        let written = lease.file.write_all_at(&records, *end_bytes);
        written.map_err(|error| crate::disk::fault("write", path, error))?;
        *end_bytes += records.len() as u64;
        Ok(())
    }

    /// Notes that blocks are put, whether or not they are there: with the lease, and with an announced cycle. The
    /// caller holds the store.
    pub(crate) fn record_put(&self, lease: Option<&HeldLease>, blocks: &[Block]) -> Result<(), Fault> {
        if let Some(lease) = lease {
            self.append(lease, Record::Put, blocks.iter().map(Block::cid))?;
        }
        if let Some(cycle) = self.announced_cycle()? {
            let touched = self.layout.touched(cycle);
            for block in blocks {
                self.disk.touch(&touched.join(block.cid().to_string()))?;
            }
        }
        Ok(())
    }

    fn lease_numbers(&self) -> Result<Vec<u64>, Fault> {
        self.disk.names(&self.layout.file("leases"), number)
    }

    fn live_leases(&self) -> Result<Vec<u64>, Fault> {
        let mut live = Vec::new();
        for lease in self.lease_numbers()? {
            if self.is_alive(&self.layout.lease(lease))? {
                live.push(lease);
            }
        }
        Ok(live)
    }

    fn leased_roots(&self) -> Result<BTreeSet<Cid>, Fault> {
        let mut roots = BTreeSet::new();
        for lease in self.live_leases()? {
            self.read_lease(lease, |kind, cid| {
                if kind == Record::Root {
                    roots.insert(cid);
                }
            })?;
        }
        Ok(roots)
    }

    fn read_lease(&self, lease: u64, mut each: impl FnMut(Record, Cid)) -> Result<(), Fault> {
        let path = self.layout.lease(lease);
        // Gone: it ended just now.
        let Some(file) = self.disk.open_existing(&path)? else { return Ok(()) };
        let mut buffer = vec![0; RECORD_BYTES * RECORDS_READ_MAX];
        let mut at = 0;
        loop {
            let read = file.read_up_to_at(&mut buffer, at);
            let read = read.map_err(|error| crate::disk::fault("read", &path, error))?;
            // An incomplete record is one that could not be written: its put failed.
            for record in buffer[..read].chunks_exact(RECORD_BYTES) {
                let (kind, cid) = parse_record(record)
                    .ok_or_else(|| Fault::Corrupt { what: "a lease", at: path.display().to_string() })?;
                each(kind, cid);
            }
            if read < buffer.len() {
                return Ok(());
            }
            at += read as u64;
        }
    }

    fn cycles(&self) -> Result<Vec<u64>, Fault> {
        self.disk.names(&self.layout.file("cycles"), number)
    }

    /// Returns the cycle that is announced, if its collector lives. The caller holds the store.
    fn announced_cycle(&self) -> Result<Option<u64>, Fault> {
        match self.cycles()?.last() {
            Some(newest) if self.is_alive(&self.layout.cycle_live(*newest))? => Ok(Some(*newest)),
            _ => Ok(None),
        }
    }

    /// A head that no lease covers: the announced cycle may not have marked from it.
    pub(crate) fn end_announced_cycle(&self) -> Result<(), Fault> {
        match self.announced_cycle()? {
            Some(cycle) => self.disk.remove(&self.layout.cycle_live(cycle)),
            None => Ok(()),
        }
    }

    /// Announces a cycle, in one step with collecting its roots.
    fn announce(&self) -> Result<(u64, Vec<Cid>), Fault> {
        let mut collecting = self.collecting();
        let alone = self.lock_alone()?;
        self.clean_temps()?;
        self.sync_heads()?;
        let mut roots: BTreeSet<Cid> = self.all_heads()?.values().flatten().map(|head| *head.cid()).collect();
        let mut touched = BTreeSet::new();
        for lease in self.lease_numbers()? {
            if !self.is_alive(&self.layout.lease(lease))? {
                self.disk.remove(&self.layout.lease(lease))?;
                continue;
            }
            self.read_lease(lease, |kind, cid| {
                match kind {
                    Record::Root => roots.insert(cid),
                    Record::Put => touched.insert(cid),
                };
            })?;
        }
        let before = self.cycles()?;
        let number = before.last().map_or(1, |newest| newest + 1);
        self.disk.ensure_dir(&self.layout.cycle(number))?;
        self.disk.ensure_dir(&self.layout.touched(number))?;
        let path = self.layout.cycle_live(number);
        let live = self.disk.open(&path, mnem_vfs::OpenMode::OpenOrCreate)?;
        lock(&path, live.as_ref(), LockKind::Exclusive)?;
        *collecting = Some(Collecting { number, live, touched });
        drop(alone);
        // The newest keeps the count; what the older ones noted is of no use any more.
        before.iter().try_for_each(|older| self.disk.remove_tree(&self.layout.cycle(*older)))?;
        Ok((number, roots.into_iter().collect()))
    }

    /// Makes durable what the heads are now. A process that was killed may have changed them without a sync: if its
    /// change were lost after a delete, a head would come back without what it reaches.
    fn sync_heads(&self) -> Result<(), Fault> {
        if self.sync_all()? {
            return Ok(());
        }
        let namespaces = self.disk.names(&self.layout.file("heads"), Namespace::new)?;
        namespaces.iter().try_for_each(|namespace| self.sync_folder(&self.layout.heads(namespace)))
    }

    /// Deletes one batch. Its removals are durable before the next batch begins: children never go before parents.
    fn delete(&self, cycle: u64, batch: &[Cid]) -> Result<Deleted, CollectorError> {
        let collecting = self.collecting();
        let alone = self.lock_alone()?;
        let current = collecting.as_ref().filter(|current| current.number == cycle);
        let current = current.ok_or(CollectorError::Stale)?;
        if self.announced_cycle()? != Some(cycle) {
            return Err(CollectorError::Stale);
        }
        let aside = self.set_aside_to()?;
        let mut deleted = Deleted::default();
        let mut folders = BTreeSet::from_iter(aside.is_some().then(|| self.layout.file("aside")));
        for cid in batch {
            let touched = self.layout.touched(cycle).join(cid.to_string());
            if current.touched.contains(cid) || self.disk.file_bytes(&touched)?.is_some() {
                continue;
            }
            if let Some(bytes) = self.delete_block(cid, aside.as_ref())? {
                deleted += Deleted { blocks: 1, bytes };
                folders.insert(self.layout.objects().folder_of(cid));
                folders.extend(aside.iter().flat_map(|tree| tree.folders_above(cid)));
            }
        }
        drop(alone);
        if deleted.blocks > 0 && !self.sync_all()? {
            folders.iter().try_for_each(|folder| self.sync_folder(folder))?;
        }
        Ok(deleted)
    }

    /// Returns where deleted files go while somebody may still read them.
    fn set_aside_to(&self) -> Result<Option<Tree>, Fault> {
        if self.live_leases()?.is_empty() && !self.has_readers()? {
            return Ok(None);
        }
        let newest = self.lease_numbers()?.last().map_or(0, |newest| newest + 1);
        let generation = newest.max(self.generations()?.last().copied().unwrap_or(1));
        let tree = self.layout.aside(generation);
        self.disk.ensure_dir(tree.root())?;
        Ok(Some(tree))
    }

    fn delete_block(&self, cid: &Cid, aside: Option<&Tree>) -> Result<Option<u64>, Fault> {
        let path = self.layout.objects().block(cid);
        let Some(bytes) = self.disk.file_bytes(&path)? else { return Ok(None) };
        match aside {
            Some(tree) => {
                self.disk.ensure_dir(&tree.class(cid.class()))?;
                self.disk.ensure_dir(&tree.folder_of(cid))?;
                self.disk.rename(&path, &tree.block(cid))?;
            }
            None => self.disk.remove(&path)?,
        }
        Ok(Some(bytes))
    }

    /// Removes the files set aside that no lease can need any more.
    fn purge(&self) -> Result<(), Fault> {
        let aside = self.layout.file("aside");
        if self.disk.entries(&aside)?.next().is_none() {
            return Ok(());
        }
        let alone = self.lock_alone()?;
        let oldest = self.live_leases()?.first().copied().unwrap_or(u64::MAX);
        let has_readers = self.has_readers()?;
        for generation in self.generations()? {
            if generation <= oldest && !has_readers {
                // Renamed first, so that removing its many files keeps nobody waiting.
                let gone = aside.join(format!("gone-{generation}-{}", std::process::id()));
                self.disk.rename(self.layout.aside(generation).root(), &gone)?;
            }
        }
        drop(alone);
        let is_gone = |name: &str| name.starts_with("gone-").then(|| name.to_owned());
        let gone = self.disk.names(&aside, is_gone)?;
        gone.iter().try_for_each(|name| self.disk.remove_tree(&aside.join(name)))
    }
}

fn parse_record(record: &[u8]) -> Option<(Record, Cid)> {
    let (kind, cid) = record.split_first()?;
    let kind = match kind {
        0 => Record::Root,
        1 => Record::Put,
        _ => return None,
    };
    Some((kind, Cid::from_bytes(cid).ok()?))
}
