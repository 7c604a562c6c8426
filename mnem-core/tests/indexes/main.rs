//! What is agreed on and what is looked up: the schema, and the indexes that follow from it.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which the lint does not see as such")]

#[path = "../kit/mod.rs"]
mod kit;
mod missing;
mod property;
mod schema;
mod unique;
