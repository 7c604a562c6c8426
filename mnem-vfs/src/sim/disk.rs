//! The simulated disk: names, files, and the space they take.
//!
//! Invariants
//!  D1  Every node that `names` mentions is a directory there or a file here.
//!  D2  A file without a name is kept as long as a handle is open, or a crash may bring its name back.
//!
//! Used by: the calls in `sim`, and `crash`. Threads: under the lock of `sim`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::Path;

use super::content::PAGE_BYTES;
use super::file::FileNode;
use super::names::{Names, Slot};
use super::{NodeId, Seq};
use crate::port::{DirEntry, Kind, Metadata, OpenMode};

/// Offsets beyond this no system takes.
const FILE_BYTES_MAX: u64 = 1 << 43;

/// Fewest removed files that are worth a sweep.
const SWEEP_FILES_MIN: usize = 64;

#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    pub(super) names: Names,
    pub(super) files: BTreeMap<NodeId, FileNode>,
    pub(super) capacity_bytes: Option<u64>,
    /// How many handles are open.
    open: BTreeMap<NodeId, u32>,
    next_node: u64,
    next_seq: u64,
    removed_since_sweep: usize,
}

impl Disk {
    /// A fresh image, all of it durable.
    pub(super) fn settled(names: Names, files: BTreeMap<NodeId, FileNode>, before: &Disk) -> Disk {
        Disk {
            names,
            files,
            capacity_bytes: before.capacity_bytes,
            next_node: before.next_node,
            next_seq: before.next_seq,
            ..Disk::default()
        }
    }

    pub(super) fn open(&mut self, path: &Path, mode: OpenMode) -> io::Result<NodeId> {
        let slot = match self.names.current.slot(path) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy => {
                return Err(ErrorKind::IsADirectory.into());
            }
            slot => slot?,
        };
        let node = match (self.names.current.at(&slot), mode) {
            (Some(_), OpenMode::CreateNew) => return Err(ErrorKind::AlreadyExists.into()),
            (Some(node), _) if self.names.current.is_dir(node) => {
                return Err(ErrorKind::IsADirectory.into());
            }
            (Some(node), _) => node,
            (None, OpenMode::CreateNew | OpenMode::OpenOrCreate) => self.create_file(slot),
            (None, OpenMode::Read | OpenMode::ReadWrite) => return Err(ErrorKind::NotFound.into()),
        };
        *self.open.entry(node).or_default() += 1;
        Ok(node)
    }

    fn create_file(&mut self, slot: Slot) -> NodeId {
        let (node, seq) = (self.node(), self.seq());
        self.files.insert(node, FileNode::default());
        self.names.link(seq, node, slot, false);
        node
    }

    pub(super) fn close(&mut self, node: NodeId) {
        if let Some(handles) = self.open.get_mut(&node) {
            *handles -= 1;
            if *handles == 0 {
                self.open.remove(&node);
            }
        }
    }

    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        let slot = match self.names.current.slot(path) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy => {
                return Err(ErrorKind::AlreadyExists.into());
            }
            slot => slot?,
        };
        if self.names.current.at(&slot).is_some() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let (node, seq) = (self.node(), self.seq());
        self.names.link(seq, node, slot, true);
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        let slot = self.names.current.slot(path)?;
        let node = self.names.current.at(&slot).ok_or(ErrorKind::NotFound)?;
        if self.names.current.is_dir(node) {
            return Err(ErrorKind::IsADirectory.into());
        }
        let seq = self.seq();
        self.names.unlink(seq, node, slot);
        self.removed();
        Ok(())
    }

    pub(super) fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        let slot = self.names.current.slot(path)?;
        let node = self.names.current.at(&slot).ok_or(ErrorKind::NotFound)?;
        self.check_empty_dir(node)?;
        let seq = self.seq();
        self.names.unlink(seq, node, slot);
        Ok(())
    }

    fn check_empty_dir(&self, node: NodeId) -> io::Result<()> {
        if !self.names.current.is_dir(node) {
            return Err(ErrorKind::NotADirectory.into());
        }
        if !self.names.current.is_empty(node) {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (self.names.current.slot(from)?, self.names.current.slot(to)?);
        let node = self.names.current.at(&from).ok_or(ErrorKind::NotFound)?;
        if from == to {
            return Ok(());
        }
        self.check_rename(node, &from, &to)?;
        let seq = self.seq();
        self.names.rename(seq, node, from, to);
        self.removed();
        Ok(())
    }

    fn check_rename(&self, node: NodeId, from: &Slot, to: &Slot) -> io::Result<()> {
        let names = &self.names.current;
        let is_dir = names.is_dir(node);
        if is_dir && names.is_above(node, to.dir) {
            return Err(ErrorKind::InvalidInput.into());
        }
        match names.at(to) {
            // Before anything else about the target, as systems do.
            Some(target) if names.is_above(target, from.dir) => {
                return Err(ErrorKind::DirectoryNotEmpty.into());
            }
            Some(target) if is_dir => self.check_empty_dir(target)?,
            Some(target) if names.is_dir(target) => return Err(ErrorKind::IsADirectory.into()),
            _ => {}
        }
        // Two directories that move into each other could both be lost in a crash: not modelled.
        if is_dir && from.dir != to.dir {
            return Err(ErrorKind::Unsupported.into());
        }
        Ok(())
    }

    pub(super) fn metadata(&self, path: &Path) -> io::Result<Option<Metadata>> {
        match self.names.current.resolve(path) {
            Ok(node) => Ok(Some(self.metadata_of(node))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn metadata_of(&self, node: NodeId) -> Metadata {
        match self.files.get(&node) {
            Some(file) => Metadata { kind: Kind::File, len: file.current.len() },
            None => Metadata { kind: Kind::Dir, len: 0 },
        }
    }

    pub(super) fn entry_after(&self, dir: NodeId, last: Option<&DirEntry>) -> Option<DirEntry> {
        let after = last.map(|entry| entry.name.as_os_str());
        let (name, node) = self.names.current.entry_after(dir, after)?;
        Some(DirEntry { name, kind: self.metadata_of(node).kind })
    }

    /// Writes as much as there is room for.
    pub(super) fn write(&mut self, node: NodeId, bytes: &[u8], offset: u64) -> io::Result<usize> {
        check_range(offset, bytes.len() as u64)?;
        let free = self.free_pages();
        let mut next_seq = self.next_seq;
        let file = self.file_mut(node);
        let fits = file.current.prefix_that_fits(offset, bytes.len(), free);
        if fits == 0 && !bytes.is_empty() {
            return Err(no_space());
        }
        if fits > 0 {
            file.write(&bytes[..fits], offset, || take(&mut next_seq));
        }
        self.next_seq = next_seq;
        Ok(fits)
    }

    pub(super) fn set_len(&mut self, node: NodeId, len: u64) -> io::Result<()> {
        check_range(0, len)?;
        let seq = self.seq();
        self.file_mut(node).set_len(len, || seq);
        Ok(())
    }

    pub(super) fn allocate(&mut self, node: NodeId, range: &Range<u64>) -> io::Result<()> {
        let free = self.free_pages();
        let seq = self.seq();
        let file = self.file_mut(node);
        if file.current.missing(range) > free {
            return Err(no_space());
        }
        file.allocate(range, || seq);
        Ok(())
    }

    pub(super) fn sync_file_system(&mut self) {
        self.files.values_mut().for_each(FileNode::sync);
        self.names.sync_all();
    }

    pub(super) fn fail_sync_file_system(&mut self) {
        self.files.values_mut().for_each(FileNode::fail_sync);
        self.names.fail_sync_all();
    }

    pub(super) fn file(&self, node: NodeId) -> &FileNode {
        &self.files[&node]
    }

    pub(super) fn file_mut(&mut self, node: NodeId) -> &mut FileNode {
        self.files.get_mut(&node).expect("an open file is kept (D2)")
    }

    /// Files that some crash image, or a process, can see.
    pub(super) fn within_reach(&self) -> BTreeSet<NodeId> {
        let mut nodes = self.names.durable.reachable();
        nodes.extend(self.names.current.reachable());
        nodes.extend(self.names.changes.values().map(|change| change.node));
        nodes
    }

    fn free_pages(&self) -> u64 {
        let Some(capacity) = self.capacity_bytes else {
            return u64::MAX;
        };
        let seen = |node: &NodeId| self.names.current.place(*node).is_some() || self.open.contains_key(node);
        let used: u64 =
            self.files.iter().filter(|(node, _)| seen(node)).map(|(_, f)| f.current.pages()).sum();
        (capacity / PAGE_BYTES as u64).saturating_sub(used)
    }

    /// Forgets files that are out of reach, once they may be half of all.
    fn removed(&mut self) {
        self.removed_since_sweep += 1;
        if self.removed_since_sweep > SWEEP_FILES_MIN.max(self.files.len() / 2) {
            let reach = self.within_reach();
            self.files.retain(|node, _| reach.contains(node) || self.open.contains_key(node));
            self.removed_since_sweep = 0;
        }
    }

    fn node(&mut self) -> NodeId {
        NodeId(1 + take(&mut self.next_node).0)
    }

    fn seq(&mut self) -> Seq {
        take(&mut self.next_seq)
    }
}

fn take(next: &mut u64) -> Seq {
    *next += 1;
    Seq(*next - 1)
}

/// Checks that `len` bytes at `offset` are a range a file can have.
pub(super) fn check_range(offset: u64, len: u64) -> io::Result<()> {
    match offset.checked_add(len) {
        Some(end) if end <= FILE_BYTES_MAX => Ok(()),
        _ => Err(ErrorKind::FileTooLarge.into()),
    }
}

pub(super) fn no_space() -> io::Error {
    rustix::io::Errno::NOSPC.into()
}
