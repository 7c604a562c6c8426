//! Why content could not be read or written.

use crate::cid::Cid;
use crate::port::StoreError;
use crate::tree::TreeError;

/// Why content could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The list of chunks could not be read or written.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A chunk that must exist does not. Other chunks may be intact.
    #[error("chunk {cid} is missing")]
    Missing {
        /// The chunk.
        cid: Cid,
    },
    /// The list does not fit its chunks. Other stretches may be intact.
    #[error("the list of chunks is damaged where one ends at byte {end}: {why}")]
    Damaged {
        /// Where the chunk ends according to the list.
        end: u64,
        /// Which rule is broken.
        why: &'static str,
    },
}
