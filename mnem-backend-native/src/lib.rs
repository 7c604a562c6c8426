//! mnem on pages and a log of its own: the engine for the hot path.
//!
//! Bytes: FORMAT.md, "Native backend". Order of writes and why it suffices: DURABILITY.md, "Native backend".
//!
//! A commit is one append to a log that was written with zeros before, and one sync. What is in the log is also in memory;
//! a checkpoint moves it into value groups and a copy-on-write index in the data file, and a superblock says so. Opening
//! reads the superblock and replays the log.
//!
//! What lies where, from the disk upwards: `page`, `group`, `superblock` (bytes), `wal` (the log), `space` (free pages),
//! `pool` and `data` (reading), `index` (the tree), `memtable`, `view` (what a reader sees), `plan`, `direct` and `engine`
//! (writing), `groups`, `checkpoint`, `background` and `compact`, `recovery` and `open`, `ports`. Beside them, on the files of a store that is not
//! open: `doctor`.
//!
//! What it does not do yet: small commits are written twice (log, then pages), groups of rows are not repacked, space comes
//! back when somebody asks for it, one process at a time has a store open.
//!
//! Threads: any number, through clones of one handle.

mod background;
mod bytes;
mod changes;
mod check;
mod checkpoint;
mod compact;
mod data;
mod direct;
pub mod doctor;
mod engine;
#[cfg(test)]
mod golden;
mod group;
mod groups;
mod health;
mod index;
mod json;
mod keys;
mod load;
mod memtable;
mod metrics;
mod open;
mod options;
mod page;
mod plan;
mod pool;
mod ports;
mod recovery;
mod retired;
mod shared;
mod snapshot;
mod space;
mod superblock;
mod view;
mod wal;
mod walk;

pub use bytes::StoreId;
pub use compact::Compacted;
pub use doctor::Doctor;
pub use engine::StorageEngine;
pub use metrics::StorageMetrics;
pub use open::KIND;
pub use options::{Compression, MaintenancePolicy, StorageMode, StorageOptions, WalCommitPolicy};
pub use page::{PAGE_DATA_SIZE, PAGE_SIZE, Page, PageFault, PageHeader, PageId, PageType};
pub use recovery::RecoveryReport;
pub use wal::Lsn;
pub use walk::StorageOrder;
