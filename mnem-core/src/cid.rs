//! Content identifiers: the hash of a block and how its bytes are to be read.
//!
//! mnem writes CIDv1 with BLAKE3-256 over DAG-CBOR or raw bytes. SHA2-256 is read and verified, so that blocks of
//! other systems can be imported; everything else is refused. That leaves four classes, so a [`Cid`] is one class
//! byte and 32 bytes of digest: 33 bytes, `Copy`, compared and hashed without decoding. The 36-byte binary form
//! and the base32 text exist only at the edge.
//!
//! Invariant: the order of `Cid` values is the order of their binary forms.

use std::fmt;
use std::str::FromStr;

use sha2::Digest as _;

/// Length of every binary CID that mnem accepts.
pub const CID_BYTES: usize = 36;

/// Longest digest of a CID of others, in links that the general codec carries.
pub const FOREIGN_DIGEST_BYTES_MAX: usize = 64;

/// How the bytes of a block are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// Bytes without structure: they hold no links.
    Raw,
    /// Canonical DAG-CBOR.
    DagCbor,
}

impl Codec {
    /// Returns the multicodec number.
    pub const fn code(self) -> u8 {
        match self {
            Codec::Raw => 0x55,
            Codec::DagCbor => 0x71,
        }
    }
}

/// The hash functions that mnem can verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashAlgorithm {
    /// Read and verified, never written by default.
    Sha2_256,
    /// What mnem writes.
    Blake3,
}

impl HashAlgorithm {
    /// Returns the multihash number.
    pub const fn code(self) -> u8 {
        match self {
            HashAlgorithm::Sha2_256 => 0x12,
            HashAlgorithm::Blake3 => 0x1e,
        }
    }

    /// Hashes `bytes`.
    pub fn digest(self, bytes: &[u8]) -> [u8; 32] {
        match self {
            HashAlgorithm::Sha2_256 => sha2::Sha256::digest(bytes).into(),
            HashAlgorithm::Blake3 => *blake3::hash(bytes).as_bytes(),
        }
    }
}

/// Codec and hash function together: all of a CID but its digest, in one byte.
///
/// The numbers are format: engines store them. They ascend as the binary CIDs do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum CidClass {
    /// Raw bytes under SHA2-256.
    RawSha2 = 0,
    /// Raw bytes under BLAKE3-256.
    RawBlake3 = 1,
    /// DAG-CBOR under SHA2-256.
    DagCborSha2 = 2,
    /// DAG-CBOR under BLAKE3-256.
    DagCborBlake3 = 3,
}

impl CidClass {
    /// Every class, in order.
    pub const ALL: [CidClass; 4] =
        [CidClass::RawSha2, CidClass::RawBlake3, CidClass::DagCborSha2, CidClass::DagCborBlake3];

    /// Returns the class of `codec` under `hash`.
    pub const fn of(codec: Codec, hash: HashAlgorithm) -> CidClass {
        match (codec, hash) {
            (Codec::Raw, HashAlgorithm::Sha2_256) => CidClass::RawSha2,
            (Codec::Raw, HashAlgorithm::Blake3) => CidClass::RawBlake3,
            (Codec::DagCbor, HashAlgorithm::Sha2_256) => CidClass::DagCborSha2,
            (Codec::DagCbor, HashAlgorithm::Blake3) => CidClass::DagCborBlake3,
        }
    }

    /// Returns the class with this number, if there is one.
    pub const fn from_number(number: u8) -> Option<CidClass> {
        match number {
            0 => Some(CidClass::RawSha2),
            1 => Some(CidClass::RawBlake3),
            2 => Some(CidClass::DagCborSha2),
            3 => Some(CidClass::DagCborBlake3),
            _ => None,
        }
    }

    /// Returns the number that engines store.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Returns the codec half.
    pub const fn codec(self) -> Codec {
        match self {
            CidClass::RawSha2 | CidClass::RawBlake3 => Codec::Raw,
            CidClass::DagCborSha2 | CidClass::DagCborBlake3 => Codec::DagCbor,
        }
    }

    /// Returns the hash half.
    pub const fn algorithm(self) -> HashAlgorithm {
        match self {
            CidClass::RawSha2 | CidClass::DagCborSha2 => HashAlgorithm::Sha2_256,
            CidClass::RawBlake3 | CidClass::DagCborBlake3 => HashAlgorithm::Blake3,
        }
    }

    /// Returns the four bytes that precede the digest in a binary CID.
    pub const fn prefix(self) -> [u8; 4] {
        [1, self.codec().code(), self.algorithm().code(), 32]
    }
}

/// The hash of a block's bytes, and how they are to be read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cid {
    class: CidClass,
    digest: [u8; 32],
}

impl Cid {
    /// The least CID: every scan from the start begins here.
    pub const MIN: Cid = Cid { class: CidClass::RawSha2, digest: [0; 32] };

    /// Hashes `bytes` with BLAKE3.
    pub fn of(codec: Codec, bytes: &[u8]) -> Cid {
        Cid::of_class(CidClass::of(codec, HashAlgorithm::Blake3), bytes)
    }

    /// Hashes `bytes` with the hash function of `class`.
    pub fn of_class(class: CidClass, bytes: &[u8]) -> Cid {
        Cid { class, digest: class.algorithm().digest(bytes) }
    }

    /// Puts a CID together from its compact parts. Proves nothing: only [`Block`](crate::Block) does.
    pub const fn from_parts(class: CidClass, digest: [u8; 32]) -> Cid {
        Cid { class, digest }
    }

    /// Returns codec and hash function.
    pub const fn class(&self) -> CidClass {
        self.class
    }

    /// Returns how the block's bytes are to be read.
    pub const fn codec(&self) -> Codec {
        self.class.codec()
    }

    /// Returns the hash function.
    pub const fn algorithm(&self) -> HashAlgorithm {
        self.class.algorithm()
    }

    /// Returns the digest.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Returns the binary form.
    pub fn to_bytes(&self) -> [u8; CID_BYTES] {
        let mut bytes = [0; CID_BYTES];
        bytes[..4].copy_from_slice(&self.class.prefix());
        bytes[4..].copy_from_slice(&self.digest);
        bytes
    }

    /// Reads the binary form. All of `bytes` must be one CID of a class that mnem knows.
    pub fn from_bytes(bytes: &[u8]) -> Result<Cid, CidError> {
        if let Some((prefix, rest)) = bytes.split_first_chunk::<4>()
            && let Ok(digest) = <[u8; 32]>::try_from(rest)
            && let Some(class) = CidClass::ALL.into_iter().find(|class| class.prefix() == *prefix)
        {
            return Ok(Cid { class, digest });
        }
        Err(why_refused(bytes))
    }
}

/// Names the first thing that is wrong with a binary CID already known to be unacceptable.
fn why_refused(bytes: &[u8]) -> CidError {
    match diagnose(bytes) {
        Ok(()) | Err(CidError::Length { .. }) => CidError::Length { found: bytes.len() },
        Err(why) => why,
    }
}

fn diagnose(bytes: &[u8]) -> Result<(), CidError> {
    if bytes.len() == 34 && bytes.starts_with(&[0x12, 0x20]) {
        return Err(CidError::Version { found: 0 });
    }
    let (version, rest) = read_varint(bytes)?;
    if version != 1 {
        return Err(CidError::Version { found: version });
    }
    let (codec, rest) = read_varint(rest)?;
    let (hash, rest) = read_varint(rest)?;
    let (length, rest) = read_varint(rest)?;
    if hash == 0 {
        return Err(CidError::Identity);
    }
    if !matches!(hash, 0x12 | 0x1e) {
        return Err(CidError::UnknownHash { code: hash });
    }
    if !matches!(codec, 0x55 | 0x71) {
        return Err(CidError::UnknownCodec { code: codec });
    }
    if length != 32 || rest.len() != 32 {
        return Err(CidError::Length { found: bytes.len() });
    }
    Ok(())
}

/// Reads an unsigned LEB128 number of at most nine bytes, in its shortest form.
fn read_varint(bytes: &[u8]) -> Result<(u64, &[u8]), CidError> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().take(9).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            if *byte == 0 && index > 0 {
                return Err(CidError::NotMinimal);
            }
            return Ok((value, &bytes[index + 1..]));
        }
    }
    Err(CidError::Length { found: bytes.len() })
}

/// Says whether `bytes` are exactly one binary CID, of any version, codec and hash, with a digest of at most
/// [`FOREIGN_DIGEST_BYTES_MAX`]: mnem may not be able to follow it, but others can.
pub(crate) fn is_cid(bytes: &[u8]) -> bool {
    if bytes.starts_with(&[0x12, 0x20]) {
        return bytes.len() == 34;
    }
    let parts = || {
        let (version, rest) = read_varint(bytes)?;
        let (_codec, rest) = read_varint(rest)?;
        let (_hash, rest) = read_varint(rest)?;
        let (length, digest) = read_varint(rest)?;
        Ok::<_, CidError>((version, length, digest.len()))
    };
    parts().is_ok_and(|(version, length, found)| {
        version == 1 && found <= FOREIGN_DIGEST_BYTES_MAX && length == found as u64
    })
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&cid::Cid::from(*self), f)
    }
}

impl fmt::Debug for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Cid {
    type Err = CidError;

    /// Reads lower-case base32 text. Other bases and upper case are refused: a CID has one text.
    fn from_str(text: &str) -> Result<Cid, CidError> {
        if text.len() == 46 && text.starts_with("Qm") {
            return Err(CidError::Version { found: 0 });
        }
        let Some(digits) = text.strip_prefix('b') else { return Err(CidError::Text) };
        if text.len() > 128 || digits.bytes().any(|digit| digit.is_ascii_uppercase()) {
            return Err(CidError::Text);
        }
        let (_, bytes) = cid::multibase::decode(text).map_err(|_| CidError::Text)?;
        let cid = Cid::from_bytes(&bytes)?;
        // Trailing bits that the base ignores would give one CID several texts.
        if cid.to_string() != text {
            return Err(CidError::Text);
        }
        Ok(cid)
    }
}

impl From<Cid> for cid::Cid {
    fn from(value: Cid) -> cid::Cid {
        let hash = multihash::Multihash::wrap(u64::from(value.algorithm().code()), &value.digest)
            .expect("32 bytes fit into 64");
        cid::Cid::new_v1(u64::from(value.codec().code()), hash)
    }
}

impl TryFrom<&cid::Cid> for Cid {
    type Error = CidError;

    fn try_from(value: &cid::Cid) -> Result<Cid, CidError> {
        Cid::from_bytes(&value.to_bytes())
    }
}

/// Why bytes or text are no CID that mnem accepts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CidError {
    /// Neither mnem's length nor any other known one.
    #[error("a CID cannot be {found} bytes long")]
    Length {
        /// Length of what was given.
        found: usize,
    },
    /// Only version 1 is accepted; version 0 is a bare SHA2-256 multihash.
    #[error("CID version {found} is not accepted, only version 1 is")]
    Version {
        /// The version that was given.
        found: u64,
    },
    /// A number was written with more bytes than it needs.
    #[error("a number in the CID is not in its shortest form")]
    NotMinimal,
    /// The digest would be the data itself: such a CID refers to no block.
    #[error("identity CIDs are not accepted as block references")]
    Identity,
    /// A hash that cannot be verified is refused, never trusted.
    #[error("hash function {code:#x} cannot be verified, only BLAKE3-256 and SHA2-256 can")]
    UnknownHash {
        /// The multihash number.
        code: u64,
    },
    /// Only raw and DAG-CBOR blocks are stored.
    #[error("codec {code:#x} is not accepted, only raw and DAG-CBOR are")]
    UnknownCodec {
        /// The multicodec number.
        code: u64,
    },
    /// The text is not lower-case base32 in its one canonical form.
    #[error("not the base32 text of a CID")]
    Text,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_of_the_empty_block_are_frozen() {
        let cid = Cid::of(Codec::Raw, b"");
        assert_eq!(cid.to_string(), "bafkr4ifpcne3t5pzugtkaqcn5i3nzskjtpfslsnnyejlpte2spfoihzsmi");
        assert_eq!(cid.to_string().parse(), Ok(cid));
        assert_eq!(Cid::from_bytes(&cid.to_bytes()), Ok(cid));
        assert_eq!(size_of::<Cid>(), 33);
    }

    #[test]
    fn order_is_the_order_of_the_binary_form() {
        let mut cids: Vec<Cid> = CidClass::ALL
            .into_iter()
            .flat_map(|class| (0..50u8).map(move |n| Cid::of_class(class, &[n])))
            .collect();
        let mut bytes: Vec<_> = cids.iter().map(Cid::to_bytes).collect();
        cids.sort();
        bytes.sort();
        assert_eq!(cids.iter().map(Cid::to_bytes).collect::<Vec<_>>(), bytes);
    }

    #[test]
    fn conversion_to_the_cid_crate_is_lossless() {
        for class in CidClass::ALL {
            let ours = Cid::of_class(class, b"x");
            let theirs = cid::Cid::from(ours);
            assert_eq!(theirs.to_bytes(), ours.to_bytes());
            assert_eq!(Cid::try_from(&theirs), Ok(ours));
        }
    }

    #[track_caller]
    fn refuses(bytes: &[u8], why: &CidError) {
        assert_eq!(Cid::from_bytes(bytes).as_ref(), Err(why));
    }

    fn with_prefix(prefix: &[u8]) -> Vec<u8> {
        [prefix, &[7; 32]].concat()
    }

    #[test]
    fn version_0_is_refused() {
        refuses(&with_prefix(&[0x12, 0x20]), &CidError::Version { found: 0 });
        let text = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG";
        assert_eq!(text.parse::<Cid>(), Err(CidError::Version { found: 0 }));
    }

    #[test]
    fn unknown_version_is_refused() {
        refuses(&with_prefix(&[2, 0x71, 0x1e, 0x20]), &CidError::Version { found: 2 });
    }

    #[test]
    fn non_minimal_varint_is_refused() {
        refuses(&with_prefix(&[1, 0xf1, 0x00, 0x1e, 0x20]), &CidError::NotMinimal);
        refuses(&with_prefix(&[0x81, 0x00, 0x71, 0x1e, 0x20]), &CidError::NotMinimal);
    }

    #[test]
    fn identity_hash_is_refused() {
        refuses(&[1, 0x55, 0, 3, b'a', b'b', b'c'], &CidError::Identity);
    }

    #[test]
    fn unknown_hash_is_refused() {
        refuses(&with_prefix(&[1, 0x71, 0x13, 0x20]), &CidError::UnknownHash { code: 0x13 });
        refuses(&with_prefix(&[1, 0x71, 0xa0, 0xe4, 0x02, 0x20]), &CidError::UnknownHash { code: 0xb220 });
    }

    #[test]
    fn unknown_codec_is_refused() {
        refuses(&with_prefix(&[1, 0x70, 0x12, 0x20]), &CidError::UnknownCodec { code: 0x70 });
    }

    #[test]
    fn wrong_length_is_refused() {
        let whole = Cid::of(Codec::Raw, b"x").to_bytes();
        for length in 0..whole.len() {
            refuses(&whole[..length], &CidError::Length { found: length });
        }
        refuses(&[whole.as_slice(), &[0]].concat(), &CidError::Length { found: 37 });
        refuses(&[0xff; 40], &CidError::Length { found: 40 });
    }

    #[test]
    fn other_texts_of_a_cid_are_refused() {
        let cid = Cid::of(Codec::DagCbor, b"x");
        let text = cid.to_string();
        let base58 = cid::multibase::encode(cid::multibase::Base::Base58Btc, cid.to_bytes());
        for other in [text.to_uppercase(), format!("{text}="), format!(" {text}"), base58, String::new()] {
            assert_eq!(other.parse::<Cid>(), Err(CidError::Text), "{other}");
        }
    }
}
