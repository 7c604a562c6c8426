//! Checks of whole stores: clean ones have no finding, and of what is damaged nothing is overlooked.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod clean;
mod faults;
mod forge;
mod kit;
mod repair;
#[path = "../kit/mod.rs"]
mod shared;
