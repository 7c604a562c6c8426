//! The seam to files: everything mnem does to a disk goes through [`Vfs`] and [`VfsFile`].
//!
//! * [`port`]: the two traits and what they promise. Clauses are numbered; tests carry the numbers.
//! * [`RealVfs`]: the file system of the machine. Thin: one system call a method.
//! * [`sim::SimVfs`]: a disk in memory that cuts the power, tears writes and fails on request.
//! * [`CountingVfs`]: wraps either of them and counts calls; tests count exact syncs with it.
//!
//! Invariants
//!  I1  `real.rs` is the only place that names `std::fs`.
//!  I2  The traits have no default methods; conveniences are extension traits nobody can override.
//!
//! Used by: every backend that keeps files. Uses nothing of ours.
//! Threads: every type here may be shared between threads.

mod call;
mod counting;
mod ext;
pub mod port;
mod real;
pub mod sim;

pub use call::{Call, Counts};
pub use counting::CountingVfs;
pub use ext::{VfsExt, VfsFileExt};
pub use port::{Advice, DirEntry, Kind, Listing, LockKind, Metadata, OpenMode, Vfs, VfsFile};
pub use real::RealVfs;
pub use sim::SimVfs;
