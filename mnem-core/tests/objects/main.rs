//! Values and objects: what they accept, and that their bytes are those of the fixtures.

mod kit;
mod values;
