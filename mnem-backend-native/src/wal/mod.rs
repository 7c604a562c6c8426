//! The write-ahead log: the one place where a commit becomes durable.
//!
//! Bytes: FORMAT.md, "Native backend". Order of writes: DURABILITY.md, "Native backend".
//!
//! Invariants
//!  W1  A position counts the bytes of the endless log, headers of segments included; it is never used twice for
//!      records of one writer.
//!  W2  What is before `durable` survives a power cut; of what is behind it, an unbroken run from its start at most
//!      is ever applied.
//!  W3  A flush begins at a block of its own: no block that holds durable records is written again.
//!  W4  Not a byte goes into the next segment before the one before it is synced.
//!  W5  After a failed write or sync nothing is appended until the store is opened anew.
//!
//! Used by: `engine` (append, sync), `checkpoint` (release), `recovery` (scan). Nobody else opens the log.
//! Threads: one appender, through `&mut Wal`. A scan needs a log that nobody appends to.

pub(crate) mod record;
pub(crate) mod scan;
pub(crate) mod segment;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;

use crate::bytes::align_up;

pub(crate) use writer::Wal;
pub(crate) use writer::{Body, Parts, Placed, Resume};

/// A flush begins at a multiple of this: the unit that the system writes to a disk.
pub(crate) const BLOCK_BYTES: u64 = 4096;

/// A position in the log, in bytes since the store was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    pub(crate) const fn next_block(self) -> Lsn {
        Lsn(align_up(self.0, BLOCK_BYTES))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
