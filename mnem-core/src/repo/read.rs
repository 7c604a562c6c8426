//! Reading objects out of blocks.

use super::error::RepoError;
use crate::block::Block;
use crate::cid::Cid;
use crate::object::Object;
use crate::port::{BlockRead, BlockReadExt};

/// Reads the object that must lie there.
pub(super) fn read<T: Object>(blocks: &dyn BlockRead, cid: &Cid) -> Result<T, RepoError> {
    decode(&blocks.require(cid)?)
}

/// Reads an object out of a block.
pub(super) fn decode<T: Object>(block: &Block) -> Result<T, RepoError> {
    T::from_block(block).map_err(|why| RepoError::Damaged { what: T::KIND, cid: *block.cid(), why })
}
