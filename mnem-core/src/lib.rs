//! What mnem stores, and the ports it is stored through.
//!
//! * [`Cid`], [`Block`] and the typed ids of [`id`]: identity. A block carries the hash of its bytes and cannot be
//!   made without hashing them.
//! * [`codec`]: canonical DAG-CBOR, strict both ways.
//! * [`value`]: what a property can hold.
//! * [`collection`]: who may still need a block, for backends that one process owns.
//! * [`content`]: large content, cut into chunks.
//! * [`exchange`]: archives, and what goes from one store to another.
//! * [`key`]: keys of indexes, whose order is the order that is asked for.
//! * [`memory`]: all ports in memory.
//! * [`object`]: what lies in a block: nodes, edges, commits, operations, views.
//! * [`port`]: the traits that a backend implements. Each promise has a number, and a test of that number in the
//!   conformance suite.
//! * [`progress`]: how long work says where it stands, and is stopped.
//! * [`tree`]: ordered maps cut into blocks, equal in root wherever they are equal in content. [`Staged`] holds the
//!   blocks of a transaction.
//!
//! This crate has no files, clocks, threads, environment or terminal of its own: time, randomness and an executor
//! come in as arguments.

pub mod block;
pub mod cid;
pub mod codec;
pub mod collection;
pub mod content;
pub mod counting;
pub mod exchange;
pub mod id;
pub mod key;
pub mod memory;
pub mod object;
pub mod port;
pub mod progress;
pub mod repo;
mod staged;
pub mod tree;
pub mod value;

pub use block::{BLOCK_BYTES_MAX, Block, CidMismatch};
pub use cid::{Cid, CidClass, CidError, Codec, HashAlgorithm};
pub use id::{ActorId, ChangeId, CommitId, EdgeId, EntityId, NodeId, OperationId, RepoId, SessionId};
pub use memory::MemoryStore;
pub use object::{Commit, Edge, Node, Object, ObjectError, Operation, Time, View};
pub use port::{Blockstore, Collector, OpHeadsStore, SideTable, Store};
pub use staged::Staged;
pub use value::{Props, Value, ValueError};
