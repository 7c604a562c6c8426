//! mnem: opens a store by URL, copies between stores, and lets your tests run on every backend.
//!
//! ```
//! use mnem::{Block, Codec};
//!
//! let store = mnem::open("memory:")?;
//! let block = Block::new(Codec::Raw, &b"hello"[..]);
//! store.put(&block)?;
//! assert_eq!(store.get(block.cid())?, Some(block));
//! # Ok::<(), mnem::Error>(())
//! ```
//!
//! * [`open`], [`init`], [`open_or_init`]: from a URL to a [`Store`].
//! * [`copy`](copy()): everything from one store into another, of whichever kinds.
//! * [`testing`] (feature `testing`): the conformance suite for backends, and `each_backend` for your own tests.
//! * [`port`]: what a backend promises, by number.

pub mod copy;
mod error;
mod open;
mod progress;
#[cfg(feature = "testing")]
pub mod testing;
mod url;

pub use copy::{Copied, CopyError, copy};
pub use error::Error;
pub use mnem_core::{
    ActorId, BLOCK_BYTES_MAX, Block, Blockstore, ChangeId, Cid, CidClass, CidError, CidMismatch, Codec,
    Collector, CommitId, EdgeId, EntityId, HashAlgorithm, NodeId, OpHeadsStore, OperationId, RepoId,
    SessionId, SideTable, Store, codec, memory, object, port, tree, value,
};
pub use open::{init, open, open_or_init};
pub use progress::{Listener, Progress, quiet};
pub use url::{BadUrl, StoreUrl};
