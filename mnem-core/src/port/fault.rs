//! What can go wrong below any port.

use std::io;

/// A failure of the medium or of the state a store is in. Every port's error can be one of these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Stored bytes are damaged. Other blocks may be intact: check the store.
    #[error("{what} is damaged at {at}")]
    Corrupt {
        /// What is damaged.
        what: &'static str,
        /// Where it lies.
        at: String,
    },
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
    /// There is no room left. What was acknowledged is kept; nothing of this call is.
    #[error("no room left at {at}")]
    Full {
        /// Where: a path, or the cap of a store in memory.
        at: String,
    },
    /// Somebody else holds the store, and waiting was not asked for.
    #[error("{at} is in use by {by}")]
    Locked {
        /// The store.
        at: String,
        /// Who holds it, as far as is known.
        by: String,
    },
    /// An earlier write or sync failed, so what reached the disk is unknown. Open the store anew: that finds out.
    #[error("the store takes no writes after a failed {action}; open it anew")]
    Poisoned {
        /// What failed.
        action: &'static str,
    },
    /// The store was opened for reading.
    #[error("the store is open for reading only")]
    ReadOnly,
    /// The backend or the system below it cannot do this.
    #[error("{what} is not supported here")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
    },
}

impl Fault {
    /// Files a system error where it belongs: a full disk is [`Fault::Full`].
    pub fn io(action: &'static str, at: impl Into<String>, source: io::Error) -> Fault {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Fault::Full { at: at.into() },
            _ => Fault::Io { action, at: at.into(), source },
        }
    }
}
