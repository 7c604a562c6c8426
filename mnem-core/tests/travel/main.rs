//! Time travel: every state that there was, found again by every spelling of it.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which the lint does not see as such")]

mod diff;
mod feed;
mod kit;
mod laws;
mod log;
mod names;
mod resolve;
mod undo;
