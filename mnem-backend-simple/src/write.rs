//! Storing blocks, and the commit. Order of writes: DURABILITY.md, "Simple backend".
//!
//! Locks: a put holds the store shared from before it looks whether a block is there until it has its name.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::slice;

use mnem_core::port::{
    Blockstore, Fault, Lease, LeaseId, Store, StoreError, StoreSnapshot, Swap, WriteBatch, check_rows,
    check_size,
};
use mnem_core::{Block, Cid};
use mnem_vfs::{LockKind, OpenMode, VfsFile};

use crate::collect::HeldLease;
use crate::disk::Disk;
use crate::locks::lock;
use crate::{Inner, SimpleStore};

/// Names that are tried for a temporary file: others may have taken some.
const TEMP_ATTEMPTS_MAX: u32 = 1 << 16;

impl Blockstore for SimpleStore {
    fn put(&self, block: &Block) -> Result<(), StoreError> {
        self.inner.put_blocks(None, slice::from_ref(block))
    }

    fn put_many(&self, blocks: &[Block]) -> Result<(), StoreError> {
        self.inner.put_blocks(None, blocks)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.inner.refuse_writes()?;
        // Where this answers `false`, every put was durable when it returned.
        self.inner.sync_all()?;
        Ok(())
    }
}

impl Store for SimpleStore {
    fn commit(&self, lease: &Lease, batch: &WriteBatch<'_>) -> Result<Swap, StoreError> {
        self.inner.commit(lease.id(), batch)
    }

    fn snapshot(&self) -> Result<Box<dyn StoreSnapshot>, StoreError> {
        Ok(Box::new(self.inner.take_snapshot()?))
    }

    fn kind(&self) -> &'static str {
        crate::open::KIND
    }
}

impl Inner {
    pub(crate) fn put_blocks(&self, lease: Option<LeaseId>, blocks: &[Block]) -> Result<(), StoreError> {
        check_size(blocks)?;
        self.begin_write()?;
        let _shared = self.lock_shared()?;
        let lease = lease.map(|lease| self.held_lease(lease)).transpose()?;
        self.store_blocks(lease.as_deref(), blocks)?;
        let whole = match self.syncs_whole.get() {
            Some(whole) => *whole,
            None => self.sync_all()?,
        };
        if !whole {
            // No later sync will know which folders to sync: so duplicates, too, are made durable now.
            self.sync_names(blocks.iter().map(Block::cid))?;
        }
        Ok(())
    }

    fn commit(&self, lease: LeaseId, batch: &WriteBatch<'_>) -> Result<Swap, StoreError> {
        check_size(batch.blocks)?;
        check_rows(batch.rows)?;
        self.begin_write()?;
        let _shared = self.lock_shared()?;
        let lease = self.held_lease(lease)?;
        self.store_blocks(Some(&lease), batch.blocks)?;
        let rows = self.stage_rows(batch.rows)?;
        let swap = self.change_heads(batch.heads, batch.blocks, true)?;
        if swap == Swap::Done {
            // The heads are durable: a row that fails now would read as an older one.
            self.or_poison("change of rows", rows.publish())?;
        }
        Ok(swap)
    }

    /// What every write does first.
    pub(crate) fn begin_write(&self) -> Result<(), Fault> {
        self.refuse_writes()?;
        if self.cleaned.set(()).is_ok() {
            self.try_clean_temps()?;
        }
        Ok(())
    }

    /// Gives files to those blocks that have none. Their contents are durable then, their names are not yet.
    fn store_blocks(&self, lease: Option<&HeldLease>, blocks: &[Block]) -> Result<(), StoreError> {
        self.record_put(lease, blocks)?;
        let absent = self.absent(blocks)?;
        for cid in absent.keys() {
            let objects = self.layout.objects();
            self.disk.ensure_dir(&objects.class(cid.class()))?;
            self.disk.ensure_dir(&objects.folder_of(cid))?;
        }
        let mut staged = Staged::new(&self.disk);
        for (cid, block) in &absent {
            staged.add(self, self.layout.objects().block(cid), &[block.bytes()])?;
        }
        self.sync_contents(&staged)?;
        Ok(staged.publish()?)
    }

    /// A file of another length is damaged: it is written anew. What a file of the right length holds is found
    /// out by reading it.
    fn absent<'a>(&self, blocks: &'a [Block]) -> Result<BTreeMap<Cid, &'a Block>, Fault> {
        let mut absent = BTreeMap::new();
        for block in blocks {
            let found = self.block_bytes(&self.layout.objects(), block.cid())?;
            if found != Some(block.bytes().len() as u64) {
                absent.insert(*block.cid(), block);
            }
        }
        Ok(absent)
    }

    fn sync_contents(&self, staged: &Staged<'_>) -> Result<(), Fault> {
        match (staged.files.len(), self.syncs_whole.get()) {
            (0, _) => return Ok(()),
            (1, Some(true)) => {} // one small file costs less than all that others are writing
            _ if self.sync_all()? => return Ok(()),
            _ => {}
        }
        for (temp, _) in &staged.files {
            let file = self.disk.open(temp, OpenMode::ReadWrite)?;
            self.or_poison("sync", self.disk.sync_file(temp, file.as_ref()))?;
        }
        Ok(())
    }

    /// Makes durable all that was written by anybody; `false` where the system cannot.
    pub(crate) fn sync_all(&self) -> Result<bool, Fault> {
        if self.syncs_whole.get() == Some(&false) {
            return Ok(false);
        }
        let whole = self.or_poison("sync", self.disk.sync_file_system(self.layout.root()))?;
        Ok(*self.syncs_whole.get_or_init(|| whole))
    }

    /// Makes the names of these blocks durable, folder by folder. The folders' own names may be somebody else's
    /// work of just now, so they are synced too.
    pub(crate) fn sync_names<'a>(&self, cids: impl Iterator<Item = &'a Cid>) -> Result<(), Fault> {
        let objects = self.layout.objects();
        let folders: BTreeSet<PathBuf> = cids.flat_map(|cid| objects.folders_above(cid)).collect();
        folders.iter().try_for_each(|folder| self.sync_folder(folder))
    }

    pub(crate) fn sync_folder(&self, folder: &Path) -> Result<(), Fault> {
        self.or_poison("sync", self.disk.sync_dir(folder))
    }

    /// Removes what crashed writers left, if nobody writes right now.
    fn try_clean_temps(&self) -> Result<(), Fault> {
        let path = self.layout.file("lock");
        let file = self.disk.open(&path, OpenMode::ReadWrite)?;
        let is_alone = file.try_lock(LockKind::Exclusive);
        if is_alone.map_err(|error| crate::disk::fault("lock", &path, error))? {
            self.clean_temps()?;
        }
        Ok(())
    }

    /// The store is held alone: so nobody writes, and every file is stale whose own lock is free too.
    pub(crate) fn clean_temps(&self) -> Result<(), Fault> {
        let temp = self.layout.file("temp");
        for entry in self.disk.entries(&temp)? {
            let path = temp.join(entry?.name);
            if !self.is_alive(&path)? {
                self.disk.remove(&path)?;
            }
        }
        Ok(())
    }

    fn create_temp(&self) -> Result<(PathBuf, Box<dyn VfsFile>), Fault> {
        let process = std::process::id();
        for _ in 0..TEMP_ATTEMPTS_MAX {
            let number = self.temps.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let path = self.layout.file("temp").join(format!("{process}-{number}"));
            if let Some(file) = self.disk.create_new(&path)? {
                lock(&path, file.as_ref(), LockKind::Exclusive)?;
                return Ok((path, file));
            }
        }
        Err(Fault::Unsupported { what: "so many temporary files" })
    }
}

/// Files that are written but have no name yet that counts. Those that get none are removed.
pub(crate) struct Staged<'a> {
    disk: &'a Disk,
    /// Where each is, and where it goes.
    files: VecDeque<(PathBuf, PathBuf)>,
    /// What goes away in the same step.
    removals: Vec<PathBuf>,
}

impl<'a> Staged<'a> {
    pub(crate) fn new(disk: &'a Disk) -> Staged<'a> {
        Staged { disk, files: VecDeque::new(), removals: Vec::new() }
    }

    pub(crate) fn add(&mut self, inner: &Inner, target: PathBuf, parts: &[&[u8]]) -> Result<(), Fault> {
        let (temp, file) = inner.create_temp()?;
        self.files.push_back((temp.clone(), target));
        self.disk.write(&temp, file.as_ref(), parts)
    }

    pub(crate) fn remove(&mut self, target: PathBuf) {
        self.removals.push(target);
    }

    pub(crate) fn publish(mut self) -> Result<(), Fault> {
        while let Some((temp, target)) = self.files.front() {
            self.disk.rename(temp, target)?;
            self.files.pop_front();
        }
        self.removals.iter().try_for_each(|target| self.disk.remove(target))
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        for (temp, _) in &self.files {
            // What cannot be removed now is stale, and removed by a later writer.
            let _ = self.disk.remove(temp);
        }
    }
}
