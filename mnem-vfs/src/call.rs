//! The calls of the port, by name, and how many there were of each.
//!
//! Used by: [`CountingVfs`](crate::CountingVfs), which counts, and the simulated disk, which numbers.

use std::ops::Sub;

/// A call that touches the disk. Locks are not among them: they live in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the method of the same name")]
pub enum Call {
    Open,
    CreateDir,
    RemoveFile,
    RemoveDir,
    Rename,
    List,
    Metadata,
    SyncDir,
    SyncFileSystem,
    ReadAt,
    /// `write_at` and `write_vectored_at`.
    WriteAt,
    Len,
    SetLen,
    Allocate,
    SyncData,
    SyncAll,
    Advise,
    StartWriteback,
}

impl Call {
    /// Returns whether the call makes something durable.
    pub const fn is_sync(self) -> bool {
        matches!(self, Call::SyncDir | Call::SyncFileSystem | Call::SyncData | Call::SyncAll)
    }

    /// Returns whether the call may need more space on the disk.
    pub const fn grows(self) -> bool {
        matches!(self, Call::WriteAt | Call::SetLen | Call::Allocate)
    }
}

/// How often the port was called, failed calls included, and how many bytes went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each counts the calls of the method it is named after")]
pub struct Counts {
    pub opens: u64,
    pub create_dirs: u64,
    /// Files and directories.
    pub removes: u64,
    pub renames: u64,
    pub lists: u64,
    pub metadatas: u64,
    pub sync_dir: u64,
    pub sync_file_system: u64,
    pub reads: u64,
    pub bytes_read: u64,
    /// Plain and vectored.
    pub writes: u64,
    pub bytes_written: u64,
    pub lens: u64,
    pub set_lens: u64,
    pub allocates: u64,
    pub sync_data: u64,
    pub sync_all: u64,
    /// `advise` and `start_writeback`.
    pub hints: u64,
}

impl Counts {
    /// Returns the number of sync calls of any kind.
    pub const fn syncs(&self) -> u64 {
        self.sync_data + self.sync_all + self.sync_dir + self.sync_file_system
    }

    pub(crate) fn add(&mut self, call: Call) {
        *self.of(call) += 1;
    }

    fn of(&mut self, call: Call) -> &mut u64 {
        match call {
            Call::Open => &mut self.opens,
            Call::CreateDir => &mut self.create_dirs,
            Call::RemoveFile | Call::RemoveDir => &mut self.removes,
            Call::Rename => &mut self.renames,
            Call::List => &mut self.lists,
            Call::Metadata => &mut self.metadatas,
            Call::SyncDir => &mut self.sync_dir,
            Call::SyncFileSystem => &mut self.sync_file_system,
            Call::ReadAt => &mut self.reads,
            Call::WriteAt => &mut self.writes,
            Call::Len => &mut self.lens,
            Call::SetLen => &mut self.set_lens,
            Call::Allocate => &mut self.allocates,
            Call::SyncData => &mut self.sync_data,
            Call::SyncAll => &mut self.sync_all,
            Call::Advise | Call::StartWriteback => &mut self.hints,
        }
    }
}

/// What happened between two readings: `after - before`.
impl Sub for Counts {
    type Output = Counts;

    fn sub(self, before: Counts) -> Counts {
        Counts {
            opens: self.opens - before.opens,
            create_dirs: self.create_dirs - before.create_dirs,
            removes: self.removes - before.removes,
            renames: self.renames - before.renames,
            lists: self.lists - before.lists,
            metadatas: self.metadatas - before.metadatas,
            sync_dir: self.sync_dir - before.sync_dir,
            sync_file_system: self.sync_file_system - before.sync_file_system,
            reads: self.reads - before.reads,
            bytes_read: self.bytes_read - before.bytes_read,
            writes: self.writes - before.writes,
            bytes_written: self.bytes_written - before.bytes_written,
            lens: self.lens - before.lens,
            set_lens: self.set_lens - before.set_lens,
            allocates: self.allocates - before.allocates,
            sync_data: self.sync_data - before.sync_data,
            sync_all: self.sync_all - before.sync_all,
            hints: self.hints - before.hints,
        }
    }
}
