//! Archives: bytes, limits, and what anybody may have written.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../car_laws/mod.rs"]
mod car_laws;

mod car;
