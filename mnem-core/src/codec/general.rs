//! The general codec: any type that serde knows, any block that follows the rules of DAG-CBOR.

use super::{DecodeError, EncodeError, Malformed, Rules, check};

/// Reads a value. What does not come back byte for byte from [`encode`] is refused.
pub fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    // Checked first: so limits hold before the library allocates, and errors say where.
    check(bytes, Rules::General)?;
    serde_ipld_dagcbor::from_slice(bytes)
        .map_err(|why| DecodeError { what: Malformed::Shape(why.to_string()), at: 0 })
}

/// Writes a value. NaN and infinities have no encoding; minus zero becomes zero.
pub fn encode<T: serde::Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let bytes = serde_ipld_dagcbor::to_vec(value).map_err(|why| EncodeError { what: why.to_string() })?;
    check(&bytes, Rules::General).map_err(|why| EncodeError { what: why.to_string() })?;
    Ok(bytes)
}
