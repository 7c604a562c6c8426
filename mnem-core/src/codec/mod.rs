//! Canonical DAG-CBOR: one value, one encoding, strict both ways.
//!
//! * [`Writer`] and [`Reader`] are for our own objects and tree nodes: no value tree in between, no copy on reading.
//! * [`check`] walks an encoding once, without allocating; [`links`] is the same walk.
//! * [`decode`] and [`encode`] are the general codec, for any type that serde knows and any block of others.
//!
//! All of them accept the same bytes: FORMAT.md, "Encoding". The house rules, for our own objects, refuse some more:
//! [`Rules`].
//!
//! Invariants
//!  C1  What is accepted is the only encoding of its value: decoding and encoding gives the same bytes.
//!  C2  A claimed length is compared with the bytes that are there before anything is done with it.
//!  C3  Nothing descends deeper than [`GENERAL_DEPTH_MAX`] levels: the stack is bounded.
//!
//! Used by: objects and trees (`Writer`, `Reader`), collector, copy and fsck (`links`), imports (`check`, `decode`).

mod error;
mod general;
mod reader;
mod walk;
mod writer;

pub use error::{DecodeError, EncodeError, Malformed};
pub use general::{decode, encode};
pub use reader::{Kind, Reader};
pub(crate) use walk::known_links;
pub use walk::{check, links};
pub use writer::Writer;

/// Which encodings are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// DAG-CBOR as specified: for blocks that others made.
    General,
    /// For our own objects. In addition: no empty map key, no key `/` (DAG-JSON reserves it), at most
    /// [`DEPTH_MAX`] levels, only integers that fit `i64`, and only links that are a [`Cid`](crate::Cid).
    House,
}

/// How deep lists and maps may nest in our own objects.
pub const DEPTH_MAX: usize = 128;

/// How deep lists and maps may nest in blocks of others. The format sets no limit: this one keeps a decoded `Ipld`
/// within half a megabyte of stack.
pub const GENERAL_DEPTH_MAX: usize = 256;

impl Rules {
    const fn depth_max(self) -> usize {
        match self {
            Rules::General => GENERAL_DEPTH_MAX,
            Rules::House => DEPTH_MAX,
        }
    }
}

/// Order of map keys: shorter first, then by bytes. The same as the order of the encoded keys.
pub fn key_order(a: &str, b: &str) -> std::cmp::Ordering {
    (a.len(), a.as_bytes()).cmp(&(b.len(), b.as_bytes()))
}
