//! A simulated disk: in memory, the same in every run, and able to fail as real ones do.
//!
//! Fault model
//!  M1  What was synced survives: bytes and length by a sync of the file, an entry by a sync of its directory,
//!      everything by a sync of the file system.
//!  M2  Of the rest, each write survives a power cut or not, by itself and in any order. One that does not
//!      survive may leave any of its 512-byte sectors behind, and garbage in one of them. Bytes that were
//!      synced and not written since are never damaged.
//!  M3  A length survives or not, independently of the bytes that needed it. Where it does and they do not,
//!      the file shows zeros, or old content of the disk.
//!  M4  An entry survives or not, independently of the file. A rename survives as a whole; dropped, it leaves
//!      the old name, and the file it replaced. A file moved into a directory that did not survive is where it
//!      was. A file whose name never was durable may be gone after any of this.
//!  M5  A failed sync takes the bytes with it: readers see them until [`DontNeed`](crate::Advice::DontNeed) drops the cache,
//!      later syncs succeed, a power cut loses them ([`Fault::Eio`]).
//!  M6  Killing a process loses nothing but its locks and handles.
//!  M7  Calls fail, fall short and lie on request: [`Fault`].
//!
//! Not modelled: failing reads of single sectors, several devices, times, permissions, links, and directories
//! that move to another parent (`Unsupported`). Paths start at the root of the disk; `..` is refused.
//!
//! ```
//! use std::path::Path;
//! use mnem_vfs::sim::{Budget, SimVfs};
//! use mnem_vfs::{OpenMode, Vfs, VfsFileExt};
//!
//! fn store(disk: &dyn Vfs) -> std::io::Result<()> {
//!     let file = disk.open(Path::new("/a"), OpenMode::CreateNew)?;
//!     file.write_all_at(b"precious", 0)?;
//!     file.sync_data()?;
//!     disk.sync_dir(Path::new("/"))
//! }
//! let disk = SimVfs::new();
//! store(&disk)?;
//! for cut in 0..=disk.calls() {
//!     let disk = SimVfs::new();
//!     disk.cut_at(cut);
//!     let is_acknowledged = store(&disk).is_ok();
//!     for (crash, image) in disk.crash_images(Budget::default()) {
//!         let is_there = image.peek("/a").is_ok_and(|bytes| bytes == b"precious");
//!         assert!(is_there || !is_acknowledged, "cut at {cut}, {crash:?}: {:?}", disk.unsynced());
//!     }
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Invariants: in `disk`, `names`, `file` and `content`, one file each.
//!
//! Used by: tests of every backend. Threads: one mutex around all state; only waiting for a lock lets go of it.

mod content;
mod crash;
mod disk;
mod fault;
mod file;
mod handle;
mod hash;
mod lock;
mod names;
mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use self::disk::Disk;
use self::fault::Plan;
use self::handle::SimFile;
use self::lock::Locks;
use crate::call::{Call, Counts};
use crate::port::{DirEntry, Listing, Metadata, OpenMode, Vfs, VfsFile};

pub use self::crash::{Budget, Crash, CrashImages, Keep, Rest};
pub use self::fault::{Calls, Fault, When};

/// A file or a directory, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct NodeId(u64);

/// When an unsynced change was made, relative to all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seq(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct HandleId(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ProcessId(u64);

/// A simulated disk, seen by one process. Clones are the same process on the same disk.
#[derive(Clone)]
pub struct SimVfs {
    shared: Arc<Shared>,
    process: ProcessId,
}

struct Shared {
    state: Mutex<State>,
    /// Signalled when a lock is given up, a process killed, or the power cut.
    unblocked: Condvar,
}

struct State {
    disk: Disk,
    locks: Locks,
    plan: Plan,
    trace: Vec<Call>,
    counts: Counts,
    cut_at: Option<u64>,
    power_is_off: bool,
    killed: BTreeSet<ProcessId>,
    kill_at: BTreeMap<ProcessId, u64>,
    processes: u64,
    handles: u64,
}

impl SimVfs {
    /// Returns an empty disk without limits or faults.
    pub fn new() -> SimVfs {
        SimVfs::with_disk(Disk::default())
    }

    fn with_disk(disk: Disk) -> SimVfs {
        let state = State {
            disk,
            locks: Locks::default(),
            plan: Plan::default(),
            trace: Vec::new(),
            counts: Counts::default(),
            cut_at: None,
            power_is_off: false,
            killed: BTreeSet::new(),
            kill_at: BTreeMap::new(),
            processes: 1,
            handles: 0,
        };
        let shared = Shared { state: Mutex::new(state), unblocked: Condvar::new() };
        SimVfs { shared: Arc::new(shared), process: ProcessId(0) }
    }

    /// Returns the same disk as seen by another, new process.
    pub fn process(&self) -> SimVfs {
        let mut state = self.shared.lock();
        let process = ProcessId(state.processes);
        state.processes += 1;
        SimVfs { shared: self.shared.clone(), process }
    }

    /// Kills this process: its locks are released, and its handles and this `SimVfs` fail from now on.
    /// What it wrote stays. Go on with [`process`](Self::process).
    pub fn kill(&self) {
        let mut state = self.shared.lock();
        state.killed.insert(self.process);
        state.locks.release_all_of(self.process);
        self.shared.unblocked.notify_all();
    }

    /// Kills this process at its first call with this number or a later one: that call has not happened.
    pub fn kill_at(&self, call: u64) {
        self.shared.lock().kill_at.insert(self.process, call);
    }

    /// Returns how many calls there were. Calls count from zero, so this is the number of the next one.
    pub fn calls(&self) -> u64 {
        self.shared.lock().trace.len() as u64
    }

    /// Returns the numbers of the calls that `wanted` picks.
    pub fn calls_where(&self, wanted: impl Fn(Call) -> bool) -> Vec<u64> {
        let state = self.shared.lock();
        (0..).zip(&state.trace).filter(|(_, call)| wanted(**call)).map(|(number, _)| number).collect()
    }

    /// Returns how many calls of each kind there were.
    pub fn counts(&self) -> Counts {
        self.shared.lock().counts
    }

    /// Cuts the power at the call with this number: it and all later ones fail, locks included. What it would
    /// have done has not happened; to see parts of it, cut one call later and [`restart`](Self::restart).
    pub fn cut_at(&self, call: u64) {
        self.shared.lock().cut_at = Some(call);
    }

    /// Cuts the power now.
    pub fn cut_power(&self) {
        self.shared.lock().power_is_off = true;
        self.shared.unblocked.notify_all();
    }

    /// Plans a fault.
    pub fn inject(&self, when: When, fault: Fault) {
        self.shared.lock().plan.add(when, fault);
    }

    /// Forgets all faults that are planned.
    pub fn clear_faults(&self) {
        self.shared.lock().plan.clear();
    }

    /// Returns how many faults met a call they fit.
    pub fn faults_fired(&self) -> u64 {
        self.shared.lock().plan.fired
    }

    /// Limits the space for files, in whole 4 KiB pages; holes are free, and so are names. `None`: no limit.
    /// A write that fits in part is short.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.shared.lock().disk.capacity_bytes = bytes;
    }

    /// Flips one bit of a file, counted from its first byte, as if it had rotted. Beyond the end, nothing happens.
    pub fn flip_bit(&self, path: impl AsRef<Path>, bit: u64) -> io::Result<()> {
        let mut state = self.shared.lock();
        let node = state.file_at(path.as_ref())?;
        state.disk.file_mut(node).flip(bit);
        Ok(())
    }

    /// Returns all bytes of a file as processes see them. No call: not counted, and never fails for a fault.
    pub fn peek(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let state = self.shared.lock();
        let node = state.file_at(path.as_ref())?;
        Ok(state.disk.file(node).current.to_vec())
    }
}

impl Default for SimVfs {
    fn default() -> SimVfs {
        SimVfs::new()
    }
}

impl fmt::Debug for SimVfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimVfs").field("process", &self.process.0).finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call: numbers it, and says what is to go wrong with it. Faults that end a call end it here.
    fn begin(&self, process: ProcessId, call: Call) -> io::Result<(MutexGuard<'_, State>, Option<Fault>)> {
        let mut state = self.lock();
        let begun = state.begin(process, call);
        if state.power_is_off || state.killed.contains(&process) {
            self.unblocked.notify_all();
        }
        Ok((state, begun?))
    }
}

impl State {
    fn begin(&mut self, process: ProcessId, call: Call) -> io::Result<Option<Fault>> {
        let number = self.trace.len() as u64;
        self.power_is_off |= self.cut_at.is_some_and(|cut| cut <= number);
        if self.kill_at.get(&process).is_some_and(|call| *call <= number) && self.killed.insert(process) {
            self.locks.release_all_of(process);
        }
        self.check_running(process)?;
        self.trace.push(call);
        self.counts.add(call);
        match self.plan.strike(number, call) {
            Some(Fault::Eio) if !call.is_sync() => Err(eio()),
            Some(Fault::NoSpace) => Err(disk::no_space()),
            Some(Fault::Interrupted) => Err(io::ErrorKind::Interrupted.into()),
            fault => Ok(fault),
        }
    }

    fn check_running(&self, process: ProcessId) -> io::Result<()> {
        if self.power_is_off {
            return Err(io::Error::other(Stopped::PowerCut));
        }
        if self.killed.contains(&process) {
            return Err(io::Error::other(Stopped::Killed));
        }
        Ok(())
    }

    fn file_at(&self, path: &Path) -> io::Result<NodeId> {
        let node = self.disk.names.current.resolve(path)?;
        if self.disk.names.current.is_dir(node) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(node)
    }

    /// Carries out a sync, unless a fault has it fail or do nothing.
    fn sync(
        &mut self,
        fault: Option<Fault>,
        sync: impl FnOnce(&mut Disk),
        fail: impl FnOnce(&mut Disk),
    ) -> io::Result<()> {
        match fault {
            Some(Fault::IgnoredSync) => {}
            Some(Fault::Eio) => {
                fail(&mut self.disk);
                return Err(eio());
            }
            _ => sync(&mut self.disk),
        }
        Ok(())
    }
}

impl Vfs for SimVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn VfsFile>> {
        let (mut state, _) = self.shared.begin(self.process, Call::Open)?;
        let node = state.disk.open(path, mode)?;
        let handle = HandleId(state.handles);
        state.handles += 1;
        let writable = mode != OpenMode::Read;
        Ok(Box::new(SimFile { shared: self.shared.clone(), process: self.process, handle, node, writable }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.shared.begin(self.process, Call::CreateDir)?.0.disk.create_dir(path)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.shared.begin(self.process, Call::RemoveFile)?.0.disk.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.shared.begin(self.process, Call::RemoveDir)?.0.disk.remove_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.shared.begin(self.process, Call::Rename)?.0.disk.rename(from, to)
    }

    fn list(&self, dir: &Path) -> io::Result<Listing> {
        let (state, _) = self.shared.begin(self.process, Call::List)?;
        let dir = state.disk.names.current.resolve_dir(dir)?;
        Ok(Box::new(SimListing { vfs: self.clone(), dir, last: None, is_over: false }))
    }

    fn metadata(&self, path: &Path) -> io::Result<Option<Metadata>> {
        self.shared.begin(self.process, Call::Metadata)?.0.disk.metadata(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let (mut state, fault) = self.shared.begin(self.process, Call::SyncDir)?;
        let dir = state.disk.names.current.resolve_dir(dir)?;
        state.sync(fault, |disk| disk.names.sync_dir(dir), |disk| disk.names.fail_sync_dir(dir))
    }

    fn sync_file_system(&self, dir: &Path) -> io::Result<()> {
        let (mut state, fault) = self.shared.begin(self.process, Call::SyncFileSystem)?;
        state.disk.names.current.resolve_dir(dir)?;
        state.sync(fault, Disk::sync_file_system, Disk::fail_sync_file_system)
    }
}

/// Holds the last name only: a listing of any length needs the memory of one entry.
struct SimListing {
    vfs: SimVfs,
    dir: NodeId,
    last: Option<DirEntry>,
    is_over: bool,
}

impl Iterator for SimListing {
    type Item = io::Result<DirEntry>;

    fn next(&mut self) -> Option<io::Result<DirEntry>> {
        if self.is_over {
            return None;
        }
        let state = self.vfs.shared.lock();
        if let Err(error) = state.check_running(self.vfs.process) {
            self.is_over = true;
            return Some(Err(error));
        }
        self.last = state.disk.entry_after(self.dir, self.last.as_ref());
        self.is_over = self.last.is_none();
        self.last.clone().map(Ok)
    }
}

/// Why nothing works any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopped {
    PowerCut,
    Killed,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stopped::PowerCut => "the power is off",
            Stopped::Killed => "the process was killed",
        })
    }
}

impl Error for Stopped {}

/// Returns whether an error, or one that caused it, says that the power was cut.
pub fn is_power_cut(error: &(dyn Error + 'static)) -> bool {
    is_stopped(error, Stopped::PowerCut)
}

/// Returns whether an error, or one that caused it, says that the process was killed.
pub fn is_killed(error: &(dyn Error + 'static)) -> bool {
    is_stopped(error, Stopped::Killed)
}

fn is_stopped(error: &(dyn Error + 'static), why: Stopped) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if inside.and_then(|inside| inside.downcast_ref::<Stopped>()) == Some(&why) {
            return true;
        }
        next = error.source();
    }
    false
}

fn eio() -> io::Error {
    rustix::io::Errno::IO.into()
}
