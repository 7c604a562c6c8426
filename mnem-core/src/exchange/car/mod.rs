//! CAR, version 1: blocks in a file, each with its CID, behind a header that names the roots.
//!
//! Bytes: FORMAT.md, "Archives".
//!
//! Invariants
//!  A1  A block that is read has the hash that the file gives it; none is passed on unchecked.
//!  A2  A length is compared with its limit before anything is done with it, and memory grows with the bytes that are
//!      there, not with those that are claimed.
//!  A3  The end of the file is where a section ends; anything else is an error that names the byte.
//!
//! Used by: export and import of archives. Threads: one, through `&mut`.

mod read;
mod write;

use std::io;

use crate::block::{BLOCK_BYTES_MAX, CidMismatch};
use crate::cid::CidError;
use crate::codec::DecodeError;

pub use read::CarReader;
pub use write::CarWriter;

/// Largest header that is read.
pub const CAR_HEADER_BYTES_MAX: usize = 1 << 16;

/// Most roots that are read.
pub const CAR_ROOTS_MAX: usize = 1024;

/// A number in front of a header or a section has at most so many bytes.
const VARINT_BYTES_MAX: usize = 9;

/// The version of the format, in its header.
const VERSION: u64 = 1;

/// An archive could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CarError {
    /// Whatever gives the bytes failed.
    #[error("cannot read the archive at byte {at}")]
    Io {
        /// Where, counted from the start of the archive.
        at: u64,
        /// What was said.
        #[source]
        source: io::Error,
    },
    /// The archive was cut off.
    #[error("the archive ends at byte {at}, inside {inside}")]
    Truncated {
        /// Where it ends.
        at: u64,
        /// What is not whole.
        inside: &'static str,
    },
    /// Not an archive, or not a sound one.
    #[error("the archive is refused at byte {at}: {why}")]
    Refused {
        /// Where what is refused begins.
        at: u64,
        /// Why.
        why: CarDamage,
    },
}

/// What is wrong with an archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CarDamage {
    /// A length has needless bytes, or too many.
    #[error("a length that is not in its shortest form, or beyond any limit")]
    Length,
    /// The header is over the limit.
    #[error("a header of {found_bytes} bytes; at most {CAR_HEADER_BYTES_MAX} are read")]
    HeaderTooLarge {
        /// Its length.
        found_bytes: u64,
    },
    /// The header is no header.
    #[error("the header: {0}")]
    Header(DecodeError),
    /// The header lacks a field, or has others.
    #[error("a header that does not have exactly the fields `roots` and `version`")]
    HeaderFields,
    /// Another version of the format.
    #[error("version {found}; only version 1 is read")]
    Version {
        /// Which.
        found: u64,
    },
    /// The header names too many roots.
    #[error("{found} roots; at most {CAR_ROOTS_MAX} are read")]
    TooManyRoots {
        /// How many.
        found: usize,
    },
    /// A section without a CID.
    #[error("a section that is too short for a CID")]
    NoCid,
    /// A block is over the limit.
    #[error("a block of {found_bytes} bytes; at most {BLOCK_BYTES_MAX} are read")]
    BlockTooLarge {
        /// Its length.
        found_bytes: u64,
    },
    /// A block under a CID that mnem cannot check or follow.
    #[error("the name of a block: {0}")]
    Cid(CidError),
    /// A block is not what its CID says.
    #[error("{0}")]
    Mismatch(CidMismatch),
}
