//! The bytes of a backup: frames, each proven by a hash, and what ties them together.
//!
//! Bytes: FORMAT.md, "Backup".
//!
//! Invariants
//!  Y1  Nothing that a frame says is believed before its hash is checked; lengths are bounded before memory is taken.
//!  Y2  The last frame's hash covers everything: it is the backup's id.
//!
//! Used by: `write`, `read`.

use std::ops::Range;

use mnem_core::port::Namespace;
use mnem_core::{BLOCK_BYTES_MAX, Cid, CidClass, HashAlgorithm, OperationId, Time};

use super::Id;

/// Bytes of a frame's header.
pub(super) const HEADER_BYTES: usize = 88;

/// A frame is closed when its blocks are so many bytes, or its entries so many.
pub(super) const FRAME_BYTES: usize = 1 << 20;
pub(super) const FRAME_ENTRIES: usize = 16 << 10;

/// Most bytes of a frame's blocks: one more block than a closed frame has.
const RAW_BYTES_MAX: usize = FRAME_BYTES + BLOCK_BYTES_MAX;

/// Most bytes of a list: heads may be many.
const LISTED_BYTES_MAX: usize = 64 << 20;

/// LZ4 grows by less than this factor: a header that states more lies.
const LZ4_RATIO_MAX: usize = 255;

/// Bytes behind the last frame: where it begins, and the magic.
pub(super) const TRAILER_BYTES: usize = 16;

/// The version that is written, and the newest that is read.
pub(super) const FORMAT: u32 = 1;

const FRAME_MAGIC: [u8; 4] = *b"mbkf";
const BEGIN_MAGIC: [u8; 8] = *b"mnemBAK1";
const TRAILER_MAGIC: [u8; 8] = *b"mnemBEND";
const FLAG_LZ4: u8 = 1;

const MAGIC: Range<usize> = 0..4;
const KIND: usize = 4;
const FLAGS: usize = 5;
const LISTED: Range<usize> = 8..12;
const STORED: Range<usize> = 12..16;
const RAW: Range<usize> = 16..20;
const PAYLOAD_HASH: Range<usize> = 24..56;
const HASH: Range<usize> = 56..88;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Begin = 1,
    Changes = 2,
    End = 3,
}

/// What a header says, before its hash is checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    bytes: [u8; HEADER_BYTES],
    pub(super) kind: Kind,
    is_lz4: bool,
    pub(super) listed: usize,
    pub(super) stored: usize,
    raw: usize,
}

/// A frame whose list is proven. Its payload is not, yet.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) header: Header,
    pub(super) list: Vec<u8>,
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    HashAlgorithm::Blake3.digest(bytes)
}

/// The hash of all frames so far and one more.
pub(super) fn fold(root: &[u8; 32], frame: &[u8; 32]) -> [u8; 32] {
    hash(&[*root, *frame].concat())
}

fn number(bytes: &[u8]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
}

impl Header {
    /// Reads a header. `None`: no frame begins so.
    pub(super) fn read(bytes: [u8; HEADER_BYTES]) -> Option<Header> {
        let kind = match bytes[KIND] {
            1 => Kind::Begin,
            2 => Kind::Changes,
            3 => Kind::End,
            _ => return None,
        };
        let header = Header {
            bytes,
            kind,
            is_lz4: bytes[FLAGS] & FLAG_LZ4 != 0,
            listed: number(&bytes[LISTED])?,
            stored: number(&bytes[STORED])?,
            raw: number(&bytes[RAW])?,
        };
        let is_possible = bytes[MAGIC] == FRAME_MAGIC
            && bytes[FLAGS] <= FLAG_LZ4
            && header.listed <= LISTED_BYTES_MAX
            && header.raw <= RAW_BYTES_MAX
            && header.stored <= header.raw
            && header.raw <= header.stored.saturating_mul(LZ4_RATIO_MAX);
        is_possible.then_some(header)
    }

    /// Proves the list.
    pub(super) fn with_list(self, list: Vec<u8>) -> Option<Frame> {
        let covered = [&self.bytes[..HASH.start], &list].concat();
        (hash(&covered) == self.bytes[HASH]).then_some(Frame { header: self, list })
    }
}

impl Frame {
    /// Lays a frame out: its bytes, and its hash.
    pub(super) fn lay_out(kind: Kind, list: &[u8], raw: &[u8]) -> (Vec<u8>, [u8; 32]) {
        let packed = lz4_flex::block::compress(raw);
        let is_lz4 = packed.len() < raw.len() - raw.len() / 16;
        let payload = if is_lz4 { &packed[..] } else { raw };
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a frame is bounded").to_le_bytes();
        let mut header = [0; HEADER_BYTES];
        header[MAGIC].copy_from_slice(&FRAME_MAGIC);
        header[KIND] = kind as u8;
        header[FLAGS] = if is_lz4 { FLAG_LZ4 } else { 0 };
        header[LISTED].copy_from_slice(&length(list));
        header[STORED].copy_from_slice(&length(payload));
        header[RAW].copy_from_slice(&length(raw));
        header[PAYLOAD_HASH].copy_from_slice(&hash(payload));
        let own = hash(&[&header[..HASH.start], list].concat());
        header[HASH].copy_from_slice(&own);
        ([&header, list, payload].concat(), own)
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        self.header.bytes[HASH].try_into().expect("32 bytes")
    }

    /// Proves the payload, and undoes compression.
    pub(super) fn unpack(&self, payload: Vec<u8>) -> Option<Vec<u8>> {
        if payload.len() != self.header.stored || hash(&payload) != self.header.bytes[PAYLOAD_HASH] {
            return None;
        }
        if !self.header.is_lz4 {
            return (payload.len() == self.header.raw).then_some(payload);
        }
        let mut raw = vec![0; self.header.raw];
        let written = lz4_flex::block::decompress_into(&payload, &mut raw).ok()?;
        (written == raw.len()).then_some(raw)
    }
}

/// Takes bytes from the front, checking every length before it believes it.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn cid(&mut self) -> Option<Cid> {
        let [class] = self.array()?;
        Some(Cid::from_parts(CidClass::from_number(class)?, self.array()?))
    }

    fn text(&mut self) -> Option<&'a str> {
        let [length] = self.array()?;
        str::from_utf8(self.take(usize::from(length))?).ok()
    }
}

fn put_cid(cid: &Cid, out: &mut Vec<u8>) {
    out.push(cid.class().number());
    out.extend_from_slice(cid.digest());
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    out.push(u8::try_from(text.len()).expect("names are short"));
    out.extend_from_slice(text.as_bytes());
}

/// What the first frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Begin {
    pub(super) number: u32,
    pub(super) parent: Option<Id>,
    pub(super) time: Time,
    /// What kind of store it was made of.
    pub(super) kind: String,
}

/// Why a first frame cannot be used.
pub(super) enum BeginFault {
    Invalid,
    Newer(u32),
}

impl Begin {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = BEGIN_MAGIC.to_vec();
        out.extend(FORMAT.to_le_bytes());
        out.extend(0_u32.to_le_bytes());
        out.extend(self.number.to_le_bytes());
        out.extend(0_u32.to_le_bytes());
        out.extend(self.time.micros().to_le_bytes());
        out.extend(self.parent.map_or([0; 32], |parent| parent.0));
        put_text(&self.kind, &mut out);
        out
    }

    pub(super) fn decode(list: &[u8]) -> Result<Begin, BeginFault> {
        let mut reader = Reader(list);
        let [magic, needs] = [reader.take(8), reader.take(8)];
        let (Some(magic), Some(needs)) = (magic, needs) else { return Err(BeginFault::Invalid) };
        if magic != BEGIN_MAGIC {
            return Err(BeginFault::Invalid);
        }
        let (version, needs) = (Reader(needs).u32().unwrap_or(0), &needs[4..]);
        if version != FORMAT || needs != [0; 4] {
            return Err(BeginFault::Newer(version));
        }
        Begin::rest(reader).ok_or(BeginFault::Invalid)
    }

    fn rest(mut reader: Reader<'_>) -> Option<Begin> {
        let number = reader.u32()?;
        reader.u32()?;
        let time = Time::from_micros(i64::from_le_bytes(reader.array()?))?;
        let parent: [u8; 32] = reader.array()?;
        let kind = reader.text()?.to_owned();
        let parent = (parent != [0; 32]).then_some(Id(parent));
        reader.0.is_empty().then_some(Begin { number, parent, time, kind })
    }
}

/// What happened to a block since the backup before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It came; so many bytes.
    Put(usize),
    /// It went.
    Gone,
}

pub(super) fn put_change(cid: &Cid, change: Change, out: &mut Vec<u8>) {
    match change {
        Change::Put(bytes) => {
            out.push(1);
            put_cid(cid, out);
            out.extend(u32::try_from(bytes).expect("a block is bounded").to_le_bytes());
        }
        Change::Gone => {
            out.push(2);
            put_cid(cid, out);
        }
    }
}

/// Reads the list of a frame of changes.
pub(super) fn changes(list: &[u8]) -> Option<Vec<(Cid, Change)>> {
    let mut reader = Reader(list);
    let mut changes = Vec::new();
    while !reader.0.is_empty() {
        let [kind] = reader.array()?;
        let cid = reader.cid()?;
        let change = match kind {
            1 => Change::Put(usize::try_from(reader.u32()?).ok().filter(|bytes| *bytes <= BLOCK_BYTES_MAX)?),
            2 => Change::Gone,
            _ => return None,
        };
        changes.push((cid, change));
    }
    Some(changes)
}

/// What the last frame says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct End {
    /// The hash of all frames before.
    pub(super) root: [u8; 32],
    /// Blocks at that moment, here or in the backups before.
    pub(super) blocks: u64,
    /// Blocks in this one.
    pub(super) put: u64,
    pub(super) put_bytes: u64,
    /// Blocks that went since the one before.
    pub(super) gone: u64,
    pub(super) heads: Vec<(Namespace, Vec<OperationId>)>,
}

impl End {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = self.root.to_vec();
        let numbers = [self.blocks, self.put, self.put_bytes, self.gone, self.heads.len() as u64];
        numbers.iter().for_each(|number| out.extend(number.to_le_bytes()));
        for (namespace, heads) in &self.heads {
            put_text(namespace.as_str(), &mut out);
            out.extend(u32::try_from(heads.len()).expect("heads are few").to_le_bytes());
            heads.iter().for_each(|head| put_cid(head.cid(), &mut out));
        }
        out
    }

    pub(super) fn decode(list: &[u8]) -> Option<End> {
        let mut reader = Reader(list);
        let root = reader.array()?;
        let [blocks, put, put_bytes, gone, namespaces] =
            [reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?];
        let mut heads = Vec::new();
        for _ in 0..namespaces {
            let namespace = Namespace::new(reader.text()?)?;
            let count = reader.u32()?;
            let mut ids = Vec::new();
            for _ in 0..count {
                ids.push(OperationId::new(reader.cid()?));
            }
            heads.push((namespace, ids));
        }
        reader.0.is_empty().then_some(End { root, blocks, put, put_bytes, gone, heads })
    }
}

/// Returns what follows the last frame, which begins at `at`.
pub(super) fn trailer(at: u64) -> [u8; TRAILER_BYTES] {
    let mut bytes = [0; TRAILER_BYTES];
    bytes[..8].copy_from_slice(&at.to_le_bytes());
    bytes[8..].copy_from_slice(&TRAILER_MAGIC);
    bytes
}

/// Reads where the last frame begins.
pub(super) fn read_trailer(bytes: [u8; TRAILER_BYTES]) -> Option<u64> {
    (bytes[8..] == TRAILER_MAGIC).then(|| Reader(&bytes).u64()).flatten()
}
