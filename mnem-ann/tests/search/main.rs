//! Search by nearness, at every commit.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which the lint does not see as such")]

mod damage;
mod format;
mod kept;
mod kit;
mod laws;
mod refusals;
mod several;
