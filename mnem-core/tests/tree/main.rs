//! Trees, seen from outside: golden roots, laws, forged nodes, counted reads.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod laws;
mod reading;
mod roots;
mod support;
