//! Why a tree could not be read or made.

use crate::cid::Cid;
use crate::codec::DecodeError;
use crate::port::StoreError;
use crate::tree::{ENTRY_BYTES_MAX, KEY_BYTES_MAX, NODE_BYTES_MAX};

/// Why a tree could not be read, changed or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A node that must exist does not.
    #[error("tree node {cid} is missing")]
    Missing {
        /// The node.
        cid: Cid,
    },
    /// A node breaks a rule of the format. Other nodes may be intact.
    #[error("tree node {cid} is damaged: {what}")]
    Damaged {
        /// The node.
        cid: Cid,
        /// Which rule it breaks.
        what: Damage,
    },
    /// Keys were given out of order, or one of them twice.
    #[error("keys must ascend, and entry {at} does not")]
    Unsorted {
        /// Which entry of the input, counted from 0.
        at: u64,
    },
    /// A key has no room in the format.
    #[error("a key has {bytes} bytes; 1 to {KEY_BYTES_MAX} are allowed")]
    KeyLength {
        /// Its length.
        bytes: usize,
    },
    /// An entry is over the limit. Larger values are blocks of their own, and the entry links to them.
    #[error("an entry has {bytes} bytes, more than {ENTRY_BYTES_MAX}")]
    EntryTooLarge {
        /// Its size as encoded.
        bytes: usize,
    },
    /// A value is not one canonical item.
    #[error("a value is not canonical: {0}")]
    Value(DecodeError),
    /// The counts that nodes claim do not add up to a number, or the levels do not: only a forged tree can do that.
    #[error("the tree claims more entries or levels than there can be")]
    Overflow,
}

/// Which rule a tree node breaks: FORMAT.md, "Trees".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The bytes are not canonical.
    #[error("{0}")]
    Encoding(#[from] DecodeError),
    /// Tree nodes are DAG-CBOR under BLAKE3, nothing else.
    #[error("its CID is not that of a tree node")]
    Class,
    /// The store answered with another block.
    #[error("the store gave the block {0}")]
    OtherBlock(Cid),
    /// Over the limit.
    #[error("it is larger than {NODE_BYTES_MAX} bytes, or an entry larger than {ENTRY_BYTES_MAX}")]
    Size,
    /// Not a map of exactly `e` and `l`, or entries of different kinds.
    #[error("it does not have the fields of a tree node")]
    Shape,
    /// A key is empty or too long.
    #[error("the key of entry {0} is empty or too long")]
    KeyLength(usize),
    /// Keys do not ascend.
    #[error("entry {0} is out of order")]
    Order(usize),
    /// Counts do not add up.
    #[error("the entry counts do not add up")]
    Count,
    /// The level is not what the entries, or the parent, say.
    #[error("its level is {found}, not {expected}")]
    Level {
        /// What the entries or the parent say.
        expected: u8,
        /// What the node says.
        found: u64,
    },
    /// The last key is not the one by which the parent refers to the node.
    #[error("its last key is not the one its parent states")]
    LastKey,
    /// The first key is not above the left neighbour's last.
    #[error("its first key is not above its left neighbour's last")]
    FirstKey,
    /// The node should have ended after an earlier entry.
    #[error("it should end after entry {0}")]
    Uncut(usize),
    /// The node ends although the rule does not say so, and it is not the right-most of its level.
    #[error("it ends too early")]
    CutEarly,
    /// An empty node below the root, or a root with one child.
    #[error("it has too few entries")]
    TooFew,
}
