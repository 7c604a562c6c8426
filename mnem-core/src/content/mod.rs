//! Large content: cut where its own bytes say, so that equal stretches are stored once, and listed by end offset, so
//! that any stretch is found without reading what is before it.
//!
//! Bytes: FORMAT.md, "Content".
//!
//! Used by: `repo`, for the content of nodes.

mod chunker;
mod error;
mod read;
mod write;

pub use chunker::{CHUNK_AIM_BYTES, CHUNK_MAX_BYTES, CHUNK_MIN_BYTES, Chunker};
pub use error::ContentError;
pub use read::{ContentReader, ContentStream};
pub use write::ContentWriter;
