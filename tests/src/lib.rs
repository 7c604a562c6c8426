//! What the tests share.

pub mod redb;
