//! What lies in a block: plain data, one file each.
//!
//! Bytes: FORMAT.md, "Objects".
//!
//! Invariants
//!  O1  An object has one encoding, and what is accepted encodes to the bytes that were read.
//!  O2  The rules that relate fields are checked by one function in both directions: what we write, we can read.
//!  O3  Fields that this version does not know are kept and written again in their canonical place.
//!  O4  An object is at most [`OBJECT_BYTES_MAX`] bytes; more is refused before anything is decoded.
//!
//! Used by: `repo`, and everything that looks into blocks.

mod bundle;
mod commit;
mod conflict;
mod edge;
mod fields;
mod node;
mod operation;
mod params;
mod schema;
mod skip;
mod time;
mod unknown;
mod view;
mod word;

use crate::block::Block;
use crate::cid::Codec;
use crate::codec::DecodeError;

pub use bundle::Bundle;
pub use commit::{Commit, Skip};
pub use conflict::{Conflict, Merged, Why};
pub use edge::{EDGE_TYPE_BYTES_MAX, Edge, EdgeType};
pub use node::{CONTENT_INLINE_BYTES_MAX, Content, IntoLabels, LABEL_BYTES_MAX, Labels, Node, Salt};
pub use operation::{Operation, OperationKind};
pub use params::Params;
pub use schema::{MergeType, Metric, Model, Property, SchemaEntry, SchemaKey, ValueType};
pub use skip::skip_depth;
pub use time::Time;
pub use unknown::Unknown;
pub use view::View;
pub use word::Word;

use fields::Layout;

/// Largest object that mnem makes or reads. Ports take more: blocks of others.
pub const OBJECT_BYTES_MAX: usize = 1 << 20;

/// The value of every entry in a set, such as that of erased entities: empty bytes.
pub const SET_VALUE: &[u8] = &[0x40];

/// A kind of object. Implemented by the types of this module and by nothing else.
pub trait Object: Sized {
    /// The text in its field `_kind`.
    const KIND: &'static str;

    /// Encodes and hashes it.
    fn to_block(&self) -> Result<Block, ObjectError>;

    /// Reads it. A block that holds another kind says which.
    fn from_block(block: &Block) -> Result<Self, DecodeError>;
}

impl<T: Layout> Object for T {
    const KIND: &'static str = <T as Layout>::KIND;

    fn to_block(&self) -> Result<Block, ObjectError> {
        let bytes = fields::encode(self)?;
        Ok(Block::new(Codec::DagCbor, bytes))
    }

    fn from_block(block: &Block) -> Result<T, DecodeError> {
        fields::decode(block)
    }
}

/// Returns the kind of object that a block holds; `None` if it holds none, like a tree node or raw bytes.
pub fn kind_of(block: &Block) -> Result<Option<String>, DecodeError> {
    fields::kind_of(block)
}

/// An object breaks a rule of its kind and was not encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// A field holds what it may not.
    #[error("{kind}: field `{field}`: {why}")]
    Field {
        /// The kind of object.
        kind: &'static str,
        /// The field's name.
        field: &'static str,
        /// What rule is broken.
        why: &'static str,
    },
    /// Large content belongs into chunks, large sets into trees.
    #[error("{kind} of {found_bytes} bytes, at most {max_bytes} are allowed")]
    TooLarge {
        /// The kind of object.
        kind: &'static str,
        /// Length of its encoding.
        found_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
}
