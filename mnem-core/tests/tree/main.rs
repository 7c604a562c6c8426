//! Trees, seen from outside: golden roots, laws, forged nodes, counted reads.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cached;
mod cost;
mod damage;
mod edges;
mod format;
mod laws;
mod parallel;
mod reading;
mod roots;
mod support;
