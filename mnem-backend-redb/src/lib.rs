//! mnem on redb: blocks, heads and derived rows in one file.
//!
//! A mapping and nothing else: each port becomes a table, each atomic step one transaction of redb, and a whole commit
//! one sync. Bytes: FORMAT.md, "redb backend". Why a commit survives: DURABILITY.md, "redb backend".
//!
//! ```
//! use mnem_backend_redb::open_or_init;
//! use mnem_core::port::{BlockRead, Blockstore};
//! use mnem_core::{Block, Codec};
//!
//! let folder = tempfile::tempdir()?;
//! let store = open_or_init(folder.path().join("memory.redb"))?;
//! let block = Block::new(Codec::Raw, &b"hello"[..]);
//! store.put(&block)?;
//! store.sync()?;
//! assert_eq!(store.get(block.cid())?, Some(block));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! * [`open_or_init`], [`RedbStore::open`], [`RedbStore::open_read_only`]: ways in.
//! * [`RedbStore`]: all ports. [`RedbBlockstore`] and [`RedbOpHeadsStore`] are the same type, named after the half
//!   that is meant; clones share one open file.
//! * [`store_knn_edges`], [`load_knn_edges`]: nearest-neighbour edges in [`KNN_EDGES_TABLE`].
//!
//! One process at a time has the file open for writing, or any number for reading. After a failed write, read or sync
//! redb refuses everything until the file is opened anew, reads too.
//!
//! Used by: the facade. Threads: any number; writers take turns, readers never wait for a write to reach the disk.

mod blocks;
mod collector;
mod gate;
mod heads;
mod open;
mod side;
mod store;
mod tables;
mod trouble;

pub use open::{FORMAT, KIND, REDB_MAJOR, open_or_init};
pub use redb::StorageBackend;
pub use side::{KNN_EDGES_BYTES_MAX, load_knn_edges, store_knn_edges};
pub use store::{RedbStore, UNSYNCED_BYTES_MAX};
pub use tables::KNN_EDGES_TABLE;

/// A redb store, as the keeper of blocks.
pub type RedbBlockstore = RedbStore;

/// A redb store, as the keeper of heads.
pub type RedbOpHeadsStore = RedbStore;
