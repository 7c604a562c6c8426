//! Values and objects: what they accept, and that their bytes are those of the fixtures.

mod arbitrary;
mod kit;
mod laws;
mod values;
