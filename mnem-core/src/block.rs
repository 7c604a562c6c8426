//! Bytes together with their hash.

use bytes::Bytes;

use crate::cid::{Cid, Codec};

/// Largest block that a port accepts. Blocks that mnem makes itself are at most 1 MiB.
pub const BLOCK_BYTES_MAX: usize = 16 << 20;

/// Bytes together with their hash. Only the two constructors make one, and both hash: so no port needs a
/// "trusted" twin of `put`, and no backend can store bytes under a wrong name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    cid: Cid,
    bytes: Bytes,
}

impl Block {
    /// Hashes `bytes` with BLAKE3.
    pub fn new(codec: Codec, bytes: impl Into<Bytes>) -> Block {
        let bytes = bytes.into();
        Block { cid: Cid::of(codec, &bytes), bytes }
    }

    /// For bytes from outside (disk, network, import): hashes them with the function that `cid` names.
    pub fn verify(cid: Cid, bytes: impl Into<Bytes>) -> Result<Block, CidMismatch> {
        let bytes = bytes.into();
        let actual = Cid::of_class(cid.class(), &bytes);
        if actual != cid {
            return Err(CidMismatch { claimed: cid, actual });
        }
        Ok(Block { cid, bytes })
    }

    /// Copies the block into memory of its own, where its bytes are a share of something larger.
    pub fn detached(&self) -> Block {
        Block { cid: self.cid, bytes: Bytes::copy_from_slice(&self.bytes) }
    }

    /// Returns the hash.
    pub const fn cid(&self) -> &Cid {
        &self.cid
    }

    /// Returns the bytes. Cloning them copies nothing.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// Bytes are not what their CID says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bytes claimed to be {claimed} are {actual}")]
pub struct CidMismatch {
    /// What the bytes were said to be.
    pub claimed: Cid,
    /// What they are, under the same hash function.
    pub actual: Cid,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cid::{CidClass, HashAlgorithm};

    #[test]
    fn wrong_bytes_are_refused_with_both_cids() {
        for class in CidClass::ALL {
            let cid = Cid::of_class(class, b"right");
            assert_eq!(Block::verify(cid, &b"right"[..]).unwrap().cid(), &cid);
            let refused = Block::verify(cid, &b"wrong"[..]).unwrap_err();
            assert_eq!(refused, CidMismatch { claimed: cid, actual: Cid::of_class(class, b"wrong") });
        }
    }

    #[test]
    fn new_blocks_are_hashed_with_blake3() {
        let block = Block::new(Codec::DagCbor, vec![0xa0]);
        assert_eq!(block.cid().algorithm(), HashAlgorithm::Blake3);
        assert_eq!(block.cid().digest(), blake3::hash(&[0xa0]).as_bytes());
    }
}
