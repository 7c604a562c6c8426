//! Whether a store may still be written: no more after the first sync or log write that failed.
//!
//! Invariant: the flag is set before the lock of what failed is let go, and looked at before every acknowledgement. The
//! system reports a failed write-back once: whoever syncs next hears nothing of it.
//!
//! Used by: `data` and `wal` (set it), `engine`, `checkpoint` and `direct` (heed it). Threads: any.

use std::sync::OnceLock;

use mnem_core::port::Fault;

/// Set once, for as long as the store is open.
#[derive(Debug, Default)]
pub(crate) struct Health(OnceLock<&'static str>);

impl Health {
    /// The check before every write and every acknowledgement.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        match self.0.get() {
            Some(action) => Err(Fault::Poisoned { action }),
            None => Ok(()),
        }
    }

    /// What reached the disk is unknown from now on.
    pub(crate) fn fail(&self, action: &'static str) {
        let _ = self.0.set(action);
    }
}
