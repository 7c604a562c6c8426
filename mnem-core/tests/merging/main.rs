//! Merging by hand: conflicts and answers to them, types, picks, and the laws of all of it.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which the lint does not see as such")]

mod conflicts;
#[path = "../kit/mod.rs"]
mod kit;
mod laws;
mod picks;
mod support;
mod types;
mod vectors;
