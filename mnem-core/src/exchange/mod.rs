//! Exchange: histories that go from one store to another, as archives or block by block.

pub mod car;

pub use car::{CarDamage, CarError, CarReader, CarWriter};
