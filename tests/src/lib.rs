//! What the tests share: labs on the simulated disk, for everything that needs the power to fail.

pub mod redb;
mod sim_labs;

pub use sim_labs::{SimNativeLab, SimRedbLab, SimSharedNativeLab, SimSimpleLab};
