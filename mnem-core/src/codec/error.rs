//! Why bytes are not canonical, or a value has no encoding.

use crate::cid::CidError;

/// Bytes are not canonical DAG-CBOR, or not the object that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct DecodeError {
    /// What is wrong.
    pub what: Malformed,
    /// Where, counted from the start of the block.
    pub at: usize,
}

/// What is wrong with an encoding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The bytes end inside a value.
    #[error("the bytes end too early")]
    Truncated,
    /// Bytes follow the value.
    #[error("bytes follow the value")]
    Trailing,
    /// A length or number is written with more bytes than it needs.
    #[error("a number is not in its shortest form")]
    NotMinimal,
    /// A first byte that the format has no meaning for.
    #[error("a reserved form")]
    Reserved,
    /// A length is left open.
    #[error("an indefinite length")]
    Indefinite,
    /// Only tag 42, links, is allowed.
    #[error("a tag other than 42")]
    Tag,
    /// Of the simple values only false, true and null are allowed.
    #[error("a simple value other than false, true and null")]
    Simple,
    /// Floats have 64 bits, are finite, and zero has no sign.
    #[error("a float that is not 64 bits wide, not finite, or minus zero")]
    Float,
    /// Text is not UTF-8.
    #[error("text that is not UTF-8")]
    Utf8,
    /// A map key is not text.
    #[error("a map key that is not text")]
    KeyType,
    /// Map keys are out of order or repeated.
    #[error("map keys out of order or repeated")]
    KeyOrder,
    /// A map key is empty or `/`.
    #[error("a map key that is empty or `/`")]
    KeyReserved,
    /// Lists and maps nest too deep.
    #[error("nested too deep")]
    Depth,
    /// A link that is no link.
    #[error("a link that is none")]
    LinkForm,
    /// A link that mnem cannot follow.
    #[error("{0}")]
    Link(CidError),
    /// An integer below -2^63 or above 2^63 - 1.
    #[error("an integer that does not fit 64 bits with sign")]
    IntegerRange,
    /// Another kind of value is expected here.
    #[error("{expected} expected")]
    Expected {
        /// What is expected.
        expected: &'static str,
    },
    /// The bytes are an object, of another kind.
    #[error("a {found:?} where a {expected:?} belongs")]
    WrongKind {
        /// The kind that was asked for.
        expected: &'static str,
        /// The kind that is there, cut to 64 characters.
        found: String,
    },
    /// A field is absent.
    #[error("field `{name}` is missing")]
    Missing {
        /// The field's name.
        name: &'static str,
    },
    /// A field holds what it may not.
    #[error("field `{name}`: {why}")]
    Field {
        /// The field's name.
        name: &'static str,
        /// What rule is broken.
        why: &'static str,
    },
    /// More bytes than an object may have.
    #[error("larger than {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: usize,
    },
    /// The value does not have the shape of the type that was asked for.
    #[error("not the value that was asked for: {0}")]
    Shape(String),
    /// The value would not come back as these bytes.
    #[error("the type that was asked for does not keep all of the value")]
    Lossy,
}

/// A value has no canonical encoding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no canonical encoding: {what}")]
pub struct EncodeError {
    /// What cannot be encoded.
    pub what: String,
}
