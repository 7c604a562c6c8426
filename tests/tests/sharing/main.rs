//! What goes from one store to another: between all kinds, cut short and taken up again, counted.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod archives;
mod failing;
mod kit;
mod pairs;
mod pushing;
mod short;
