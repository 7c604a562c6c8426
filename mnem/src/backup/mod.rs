//! Backups: one moment of a store of any kind, to be kept elsewhere and made a store of again, of any kind.
//!
//! A backup is taken from a snapshot while others write. It holds all blocks that are there and the heads of all
//! namespaces; rows are derived and are made anew. In a folder the first one holds everything and each further one only
//! what came and went since: an increment. A stream is one backup that holds everything.
//!
//! Invariants
//!  Z1  A backup has its name when it is whole and durable, not before.
//!  Z2  Every byte of a backup is covered by hashes that its id covers: what is read was written.
//!  Z3  A restore puts a store in its place when all of it is read, proven and durable. Until then the place is untouched.
//!  Z4  Memory is bounded by a frame for each backup of a chain, not by the store.
//!
//! Bytes: FORMAT.md, "Backup". Order of writes: DURABILITY.md, "Backup".
//!
//! Used by: the `mnem` command. Threads: one for each call; a folder takes one writer at a time.

mod folder;
mod frame;
mod read;
mod restore;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use mnem_core::port::{CollectorError, Fault, HeadsError, Namespace, OpenError, Store, StoreError};
use mnem_core::{OperationId, Time};

use frame::{Begin, End};
use mnem_core::progress::Listener;
use write::Moment;

pub use folder::{Added, Backups, CHAIN_MAX, Verified};
#[cfg(feature = "native")]
pub(crate) use restore::staged;
pub use restore::{Restored, Source, restore};

/// Names a backup: the hash that covers all of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub [u8; 32]);

impl Id {
    /// Returns the first digits: enough to tell backups of a folder apart.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// Its place in the folder, from 1.
    pub number: u32,
    /// Its name.
    pub id: Id,
    /// What it builds on. Absent: it holds everything.
    pub parent: Option<Id>,
    /// When it was made.
    pub time: Time,
    /// What kind of store it was made of.
    pub kind: String,
    /// Blocks at that moment.
    pub blocks: u64,
    /// Those of them that this backup holds itself.
    pub put: u64,
    /// Bytes of these.
    pub put_bytes: u64,
    /// Blocks that went since the backup that it builds on.
    pub gone: u64,
    /// What was current.
    pub heads: Vec<(Namespace, Vec<OperationId>)>,
    /// Length of its file.
    pub file_bytes: u64,
    /// Its file.
    pub path: PathBuf,
}

impl Info {
    fn new(path: &Path, file_bytes: u64, begin: Begin, id: Id, end: End) -> Info {
        Info {
            number: begin.number,
            id,
            parent: begin.parent,
            time: begin.time,
            kind: begin.kind,
            blocks: end.blocks,
            put: end.put,
            put_bytes: end.put_bytes,
            gone: end.gone,
            heads: end.heads,
            file_bytes,
            path: path.to_owned(),
        }
    }
}

/// Writes everything that `store` shows now to a stream: a backup that builds on nothing. Returns its name.
pub fn stream(
    store: &dyn Store,
    time: Time,
    out: &mut dyn io::Write,
    listener: &mut Listener<'_>,
) -> Result<Id, BackupError> {
    let begin = Begin { number: 1, parent: None, time, kind: store.kind().to_owned() };
    let moment = Moment::of(store)?;
    let (id, _) = write::write(&moment, &begin, &mut std::iter::empty(), out, "the stream", listener)?;
    Ok(id)
}

/// Why a backup was not made, or could not be made a store of.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store failed.
    #[error(transparent)]
    Heads(#[from] HeadsError),
    /// The new store cannot be made.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The system refused.
    #[error("cannot {action} {at}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        at: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Bytes of a backup are not those that were written. Use an earlier backup, or another copy.
    #[error("{what} of the backup is damaged: {at}")]
    Damaged {
        /// What.
        what: &'static str,
        /// Where.
        at: String,
    },
    /// It is something else.
    #[error("{at} is no backup")]
    NotABackup {
        /// The place.
        at: String,
    },
    /// A newer mnem made it. Use that one.
    #[error("{at} has format {found}, this mnem reads up to {readable}; use a newer mnem")]
    NewerFormat {
        /// The place.
        at: String,
        /// Its format.
        found: u32,
        /// The newest that can be read.
        readable: u32,
    },
    /// A backup builds on one that is not there. Find its file, or take a backup before that one.
    #[error("backup {number} builds on {parent}, which is not in {at}")]
    ParentMissing {
        /// Which backup.
        number: u32,
        /// What it builds on.
        parent: Id,
        /// The folder.
        at: String,
    },
    /// Nothing in the folder has that number or name.
    #[error("there is no backup {wanted} in {at}")]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// The folder.
        at: String,
    },
    /// There is something where the store would go. Restore to a new place.
    #[error("there is something at {at} already; restore to a new or empty place")]
    Exists {
        /// The place.
        at: String,
    },
    /// Somebody else writes there.
    #[error("{at} is in use by another backup or restore")]
    Locked {
        /// The place.
        at: String,
    },
    /// The place cannot hold what was asked for.
    #[error("{what} at {at}")]
    Unsuitable {
        /// Why.
        what: &'static str,
        /// The place.
        at: String,
    },
    /// The listener asked for it.
    #[error("stopped as asked; nothing was changed")]
    Stopped,
}

impl BackupError {
    fn io(action: &'static str, at: impl fmt::Display, source: io::Error) -> BackupError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                BackupError::Store(Fault::Full { at: at.to_string() }.into())
            }
            _ => BackupError::Io { action, at: at.to_string(), source },
        }
    }
}

impl From<CollectorError> for BackupError {
    fn from(error: CollectorError) -> BackupError {
        match error {
            CollectorError::Fault(fault) => BackupError::Store(fault.into()),
            _ => BackupError::Store(StoreError::Stale),
        }
    }
}
