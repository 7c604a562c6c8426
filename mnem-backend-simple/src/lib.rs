//! mnem on plain files: one file per block, one per head, one per row.
//!
//! Bytes: FORMAT.md, "Simple backend". Order of writes and why it suffices: DURABILITY.md, "Simple backend".
//!
//! Invariants
//!  I1  A file below `objects` has had its content synced before it got its name there.
//!  I2  A head is made only after the names of all blocks stored before were synced.
//!  I3  A block is renamed into `objects` under the store's shared lock, and out of it under the exclusive one.
//!  I4  After a failed sync the handle writes nothing.
//!
//! What lies where: `layout`. Who excludes whom: `locks`. Then `objects` (reading), `write` (storing), `heads`,
//! `collect` (leases, cycles, deleting), `snapshot`, `rows`, and `open`.
//!
//! Threads and processes: any number, on one folder; every operation opens the lock files for itself, and files
//! that exclude threads exclude processes.

mod collect;
mod disk;
mod heads;
mod layout;
mod locks;
mod objects;
mod open;
mod rows;
mod snapshot;
mod write;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};

use mnem_core::port::{Fault, LeaseId};

use crate::collect::{Collecting, HeldLease};
use crate::disk::Disk;
use crate::layout::Layout;

/// A store of plain files. Several may be open on one folder, in one process or many.
#[derive(Debug)]
pub struct SimpleStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    disk: Disk,
    layout: Layout,
    read_only: bool,
    /// Whether the system can sync a whole file system; not known before the first write.
    syncs_whole: OnceLock<bool>,
    /// What failed, if a sync did.
    poisoned: OnceLock<&'static str>,
    /// Numbers this handle's temporary files.
    temps: AtomicU64,
    /// Stale temporary files were looked for.
    cleaned: OnceLock<()>,
    leases: Mutex<BTreeMap<LeaseId, Arc<HeldLease>>>,
    /// The cycle that this handle announced last, unless it is over.
    collecting: Mutex<Option<Collecting>>,
}

impl Inner {
    fn new(disk: Disk, layout: Layout, read_only: bool) -> Inner {
        Inner {
            disk,
            layout,
            read_only,
            syncs_whole: OnceLock::new(),
            poisoned: OnceLock::new(),
            temps: AtomicU64::new(0),
            cleaned: OnceLock::new(),
            leases: Mutex::default(),
            collecting: Mutex::default(),
        }
    }

    /// The check before every write.
    fn refuse_writes(&self) -> Result<(), Fault> {
        match self.poisoned.get() {
            _ if self.read_only => Err(Fault::ReadOnly),
            Some(action) => Err(Fault::Poisoned { action }),
            None => Ok(()),
        }
    }

    /// Passes a result on; a failure is the last thing this handle does to the disk.
    fn or_poison<T>(&self, action: &'static str, result: Result<T, Fault>) -> Result<T, Fault> {
        if result.is_err() {
            // Set before by somebody else: then that is what is reported from now on.
            let _ = self.poisoned.set(action);
        }
        result
    }
}
