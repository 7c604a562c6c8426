//! The general codec: any type that serde knows, any block that follows the rules of DAG-CBOR.

use std::convert::Infallible;

use cbor4ii::core::dec::{Read, Reference};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_ipld_dagcbor::de::Deserializer;

use super::{DecodeError, EncodeError, Malformed, Rules, check};

/// Reads a value. What does not come back byte for byte from [`encode`] is refused, so a type must keep all that
/// the block holds: to read only part of a block, decode it to `Ipld` and pick.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    // Checked first: so limits hold before the library allocates, and errors say where.
    check(bytes, Rules::General)?;
    let value = read(bytes).map_err(|why| DecodeError { what: Malformed::Shape(why), at: 0 })?;
    // Serde ignores fields that a type does not name, and the library misreads some enums: a unit variant leaves
    // its payload behind as the next item.
    if encode(&value).is_ok_and(|again| again == bytes) {
        Ok(value)
    } else {
        Err(DecodeError { what: Malformed::Lossy, at: 0 })
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut deserializer = Deserializer::from_reader(Checked { bytes });
    let value = T::deserialize(&mut deserializer).map_err(|why| why.to_string())?;
    deserializer.end().map_err(|why| why.to_string())?;
    Ok(value)
}

/// Writes a value. NaN and infinities have no encoding; minus zero becomes zero.
///
/// A value nested deeper than [`GENERAL_DEPTH_MAX`](super::GENERAL_DEPTH_MAX) is refused, but only once it has been
/// walked, on the stack, by its own `Serialize`: who makes values of unbounded depth bounds them.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let bytes = serde_ipld_dagcbor::to_vec(value).map_err(|why| EncodeError { what: why.to_string() })?;
    check(&bytes, Rules::General).map_err(|why| EncodeError { what: why.to_string() })?;
    Ok(bytes)
}

/// Bytes that [`check`] has passed.
///
/// The library's own reader counts steps, between one and three for each level depending on the type, and stops at
/// 256. That would refuse as `Ipld` what nests deeper than 127, our own objects at [`DEPTH_MAX`](super::DEPTH_MAX)
/// among them. Here the depth is bounded already.
struct Checked<'de> {
    bytes: &'de [u8],
}

impl<'de> Read<'de> for Checked<'de> {
    type Error = Infallible;

    fn fill<'short>(&'short mut self, want: usize) -> Result<Reference<'de, 'short>, Infallible> {
        Ok(Reference::Long(&self.bytes[..want.min(self.bytes.len())]))
    }

    fn advance(&mut self, n: usize) {
        self.bytes = &self.bytes[n.min(self.bytes.len())..];
    }
}
