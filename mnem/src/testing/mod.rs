//! Tests on every backend: yours with [`each_backend`], and the conformance suite for a backend of your own.
//!
//! A backend brings a [`Lab`]: a place for one store, and the accidents that can befall it there. It declares
//! [what it can show](Abilities); what is to be shown is the suite's part. Each numbered promise of the
//! [ports](crate::port) has one check or more, named after it:
//!
//! ```
//! mod my_backend {
//!     # use mnem::testing::MemoryLab as MyLab;
//!     mnem::conformance! { mine: MyLab::new() } // one #[test] for each check, in a module `mine`
//! }
//! ```
//!
//! Users: `tests/tests/conformance.rs` (the matrix of mnem's own backends), `examples/custom_backend`.

mod blocks;
mod blocks_scan;
mod collection;
mod collection_race;
mod damage;
mod each;
mod heads;
mod lab;
mod labs;
mod rows;
mod sample;
mod store;
mod store_race;
mod suite;
mod threads;

pub use damage::damage_files;
pub use each::each_backend;
pub use lab::{Abilities, Lab, LabExt};
pub use labs::*;
pub use suite::{Promise, Shown, check_all, promises, run};
