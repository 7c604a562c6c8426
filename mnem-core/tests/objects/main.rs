//! Values and objects: what they accept, and that their bytes are those of the fixtures.

mod arbitrary;
mod chunks;
mod content;
mod examples;
mod format;
mod golden;
mod json;
mod keys;
mod kit;
mod laws;
mod refusals;
mod values;
