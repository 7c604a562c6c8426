//! What exists: immutable blocks under their CIDs.

use super::fault::Fault;
use super::heads::HeadsError;
use super::side::SideError;
use crate::block::{BLOCK_BYTES_MAX, Block};
use crate::cid::Cid;

/// CIDs in ascending order. Owned: it may outlive the call that made it, and ends after its first error.
pub type CidStream = Box<dyn Iterator<Item = Result<Cid, StoreError>> + Send>;

/// The reading half of a block store; a snapshot has only this half.
///
///  S4  `get` returns the stored bytes or an error, never other bytes.
///  S5  The empty block is a block.
///  S6  The `_many` forms answer in the order of the question, repeated CIDs included.
///  S7  `scan` ascends, gives each CID once, all those that are present from its start to its end, and needs memory
///      that does not grow with the store.
pub trait BlockRead: Send + Sync {
    /// Absence is `None`, not an error.
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError>;

    /// The same for many.
    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError>;

    /// Says whether a block is present.
    fn has(&self, cid: &Cid) -> Result<bool, StoreError>;

    /// The same for many.
    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError>;

    /// Lists the CIDs of all blocks after `after`, or of all.
    fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError>;
}

/// Keeps immutable blocks, each under the hash of its bytes. Deleting is the collector's: [`Collector`](super::Collector).
///
///  S1  A stored block is readable until it is deleted.
///  S2  Storing a block again succeeds and changes nothing.
///  S3  Once `sync` returns, every block stored before the call survives a power cut.
///  S8  A block over 16 MiB is refused, and with it all that were given in the same call, before anything is written.
pub trait Blockstore: BlockRead {
    /// Visible on return; durable only after [`sync`](Self::sync). Nothing keeps a block that no head and no lease
    /// reaches: what is to be committed is put [under a lease](super::Collector::put_leased).
    fn put(&self, block: &Block) -> Result<(), StoreError>;

    /// The same for many.
    fn put_many(&self, blocks: &[Block]) -> Result<(), StoreError>;

    /// Makes durable what was stored before.
    fn sync(&self) -> Result<(), StoreError>;
}

/// Conveniences outside the port, which a backend cannot override.
pub trait BlockReadExt: BlockRead {
    /// Returns a block that must be there.
    fn require(&self, cid: &Cid) -> Result<Block, StoreError> {
        self.get(cid)?.ok_or(StoreError::Absent { cid: *cid })
    }
}

impl<S: BlockRead + ?Sized> BlockReadExt for S {}

/// Refuses blocks that are over the limit: the check behind S8, for backends to call before they write.
pub fn check_size(blocks: &[Block]) -> Result<(), StoreError> {
    match blocks.iter().find(|block| block.bytes().len() > BLOCK_BYTES_MAX) {
        Some(block) => Err(StoreError::TooLarge { cid: *block.cid(), bytes: block.bytes().len() }),
        None => Ok(()),
    }
}

/// Why blocks could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The medium failed, or the store is in a state that forbids this.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// A block that must exist does not.
    #[error("block {cid} is missing")]
    Absent {
        /// The block.
        cid: Cid,
    },
    /// A block is over the limit of 16 MiB. Cut it up: larger content is a list of chunks.
    #[error("block {cid} has {bytes} bytes, more than {BLOCK_BYTES_MAX}")]
    TooLarge {
        /// The block.
        cid: Cid,
        /// Its size.
        bytes: usize,
    },
    /// The lease has ended, or a collection began that does not know what it rests on. Read again and retry.
    #[error("the state that this was based on may have been collected; read again and retry")]
    Stale,
    /// The heads half of an atomic step was refused.
    #[error(transparent)]
    Heads(#[from] HeadsError),
    /// The rows of an atomic step were refused.
    #[error(transparent)]
    Side(#[from] SideError),
}
