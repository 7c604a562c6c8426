//! This process among those that share a store: a file that is locked while it lives, with what it still needs.
//!
//! Invariants
//!  M1  Under its name lies a list that is whole and locked, from the first moment on: it gets the name when it is.
//!  M2  What is written here is relied upon only after the board was looked at once more: whoever decides that something
//!      is not needed changes the board first, then reads the lists.
//!
//! Used by: `shared`. Threads: any.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mnem_core::Cid;
use mnem_core::port::{Fault, LeaseId};
use mnem_vfs::{LockKind, OpenMode, Vfs, VfsExt, VfsFile, VfsFileExt};

use super::journal::{Record, records};
use crate::bytes::wide;
use crate::recovery::random;
use crate::space::PageMap;

/// The folder of all members.
pub(crate) const FOLDER: &str = "members";

/// What ends so is not a member yet.
pub(crate) const UNFINISHED: &str = ".new";

/// A list is written anew when it is longer than this and than twice what was in it then.
const LIST_BYTES_MIN: u64 = 64 << 10;

pub(crate) fn folder(root: &Path) -> PathBuf {
    root.join(FOLDER)
}

pub(crate) fn fault(action: &'static str, path: &Path, error: std::io::Error) -> Fault {
    Fault::io(action, path.display().to_string(), error)
}

/// A member of this process.
#[derive(Debug)]
pub(crate) struct Member {
    vfs: Arc<dyn Vfs>,
    path: PathBuf,
    pub(crate) id: u64,
    is_writer: bool,
    list: Mutex<List>,
}

#[derive(Debug)]
struct List {
    /// Locked.
    file: Box<dyn VfsFile>,
    end: u64,
    /// Length when it was written anew.
    begun: u64,
    moves: u64,
    leases: HashMap<LeaseId, u64>,
    next_lease: u64,
}

impl Member {
    /// Joins those who share the store.
    pub(crate) fn join(vfs: &Arc<dyn Vfs>, root: &Path, is_writer: bool) -> Result<Member, Fault> {
        let folder = folder(root);
        vfs.ensure_dir(&folder).map_err(|error| fault("create folder", &folder, error))?;
        let id = random();
        let path = folder.join(format!("{id:016x}"));
        let mut bytes = Vec::new();
        Record::Hello { moves: 0, is_writer }.append(&mut bytes);
        let file = place(vfs.as_ref(), &path, &bytes)?;
        let list = List {
            file,
            end: wide(bytes.len()),
            begun: wide(bytes.len()),
            moves: 0,
            leases: HashMap::new(),
            next_lease: 1,
        };
        Ok(Member { vfs: vfs.clone(), path, id, is_writer, list: Mutex::new(list) })
    }

    fn list(&self) -> MutexGuard<'_, List> {
        // Each step is complete by itself: `end` moves last.
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, list: &mut List, record: &Record) -> Result<(), Fault> {
        let mut bytes = Vec::new();
        record.append(&mut bytes);
        list.file.write_all_at(&bytes, list.end).map_err(|error| fault("write", &self.path, error))?;
        list.end += wide(bytes.len());
        Ok(())
    }

    /// These pages must stay, and none of those that were named before.
    pub(crate) fn need_pages(&self, pages: PageMap) -> Result<(), Fault> {
        self.append(&mut self.list(), &Record::Pages(pages))
    }

    /// These pages must stay too.
    pub(crate) fn need_more_pages(&self, pages: Vec<Range<u64>>) -> Result<(), Fault> {
        self.append(&mut self.list(), &Record::MorePages(pages))
    }

    /// A lease of this process begins.
    pub(crate) fn begin_lease(&self, lease: LeaseId, roots: &[Cid]) -> Result<(), Fault> {
        let mut list = self.list();
        let number = list.next_lease;
        self.append(&mut list, &Record::Lease { number, roots: roots.to_vec() })?;
        list.next_lease += 1;
        list.leases.insert(lease, number);
        Ok(())
    }

    /// Blocks are put, under a lease of this process or under none.
    pub(crate) fn put(&self, lease: Option<LeaseId>, prints: Vec<u64>) -> Result<(), Fault> {
        let mut list = self.list();
        let number = lease.and_then(|lease| list.leases.get(&lease).copied()).unwrap_or(0);
        self.append(&mut list, &Record::Puts { number, prints })
    }

    /// A lease of this process is over. If this cannot be written, it lives for others as long as this process.
    pub(crate) fn end_lease(&self, lease: LeaseId) {
        let mut list = self.list();
        if let Some(number) = list.leases.remove(&lease) {
            let _ = self.append(&mut list, &Record::End { number });
        }
    }

    /// Writes the list anew if it has become long. While a collection is under way all puts stay in it; `is_collecting`
    /// is asked when nothing can be added any more.
    pub(crate) fn tidy(&self, is_collecting: impl FnOnce() -> bool) -> Result<(), Fault> {
        let mut list = self.list();
        if list.end < LIST_BYTES_MIN.max(list.begun * 2) {
            return Ok(());
        }
        let mut old = vec![0; usize::try_from(list.end).unwrap_or(0)];
        list.file.read_exact_at(&mut old, 0).map_err(|error| fault("read", &self.path, error))?;
        let keep_puts = is_collecting();
        let live: HashSet<u64> = list.leases.values().copied().collect();
        let found: Vec<Record> = records(&old).map(|(_, record)| record).collect();
        let pages = found.iter().rposition(|record| matches!(record, Record::Pages(_))).unwrap_or(0);
        let moves = list.moves + 1;
        let mut bytes = Vec::new();
        Record::Hello { moves, is_writer: self.is_writer }.append(&mut bytes);
        for (at, record) in found.iter().enumerate() {
            let stays = match record {
                Record::Hello { .. } => false,
                Record::Pages(_) | Record::MorePages(_) => at >= pages,
                Record::Lease { number, .. } => live.contains(number),
                Record::Puts { number, .. } => keep_puts || live.contains(number),
                Record::End { .. } => false,
            };
            if stays {
                record.append(&mut bytes);
            }
        }
        let file = place(self.vfs.as_ref(), &self.path, &bytes)?;
        list.file = file;
        (list.end, list.begun, list.moves) = (wide(bytes.len()), wide(bytes.len()), moves);
        Ok(())
    }

    /// Leaves. The list stays if a collection is under way, which has yet to read what was put.
    pub(crate) fn leave(&self, is_collecting: bool) {
        if !is_collecting {
            // If it stays it is unlocked, which says the same.
            let _ = self.vfs.remove_file(&self.path);
        }
        let _ = self.list().file.unlock();
    }
}

/// Puts a locked file with these bytes at `path`, in one step.
fn place(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> Result<Box<dyn VfsFile>, Fault> {
    let new = path.with_extension(&UNFINISHED[1..]);
    let file = vfs.open(&new, OpenMode::OpenOrCreate).map_err(|error| fault("create", &new, error))?;
    let placed = (|| {
        file.lock(LockKind::Exclusive)?;
        file.set_len(0)?;
        file.write_all_at(bytes, 0)?;
        vfs.rename(&new, path)
    })();
    match placed {
        Ok(()) => Ok(file),
        Err(error) => {
            drop(file);
            let _ = vfs.remove_file(&new);
            Err(fault("write", &new, error))
        }
    }
}
