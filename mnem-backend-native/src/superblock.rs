//! The superblock: one sector that says where everything is. Two of them alternate.
//!
//! Bytes: FORMAT.md, "Native backend", "Superblock". When one is written: DURABILITY.md, "Native backend".
//!
//! Invariants
//!  B1  A superblock is one sector: a power cut leaves the old one or the new one, or one that does not pass.
//!  B2  Generation `g` lies in slot `g & 1`; so writing one leaves its predecessor alone.
//!
//! Used by: `open`, `recovery`, `checkpoint`.

use std::ops::Range;

use crate::bytes::{StoreId, after, get, get_u32, put};
use crate::page::{PAGE_SIZE, PageId};
use crate::wal::Lsn;

/// One sector: written whole or not at all.
pub(crate) const SUPERBLOCK_BYTES: usize = 512;

/// The version of the bytes that this program writes, and the newest that it reads.
pub(crate) const FORMAT: u32 = 1;

const MAGIC_WORD: u64 = u64::from_le_bytes(*b"mnemNAT1");

const MAGIC: Range<usize> = 0..8;
const VERSION: Range<usize> = after(&MAGIC, 4);
const NEEDS: Range<usize> = after(&VERSION, 4);
const UUID: Range<usize> = after(&NEEDS, 16);
const GENERATION: Range<usize> = after(&UUID, 8);
const EPOCH: Range<usize> = after(&GENERATION, 4);
const CHAIN: Range<usize> = after(&EPOCH, 4);
const LSN: Range<usize> = after(&CHAIN, 8);
const SEGMENT: Range<usize> = after(&LSN, 8);
const TXN: Range<usize> = after(&SEGMENT, 8);
const FILE_PAGES: Range<usize> = after(&TXN, 8);
const KEYS: Range<usize> = after(&FILE_PAGES, 8);
const ROOT_PAGE: Range<usize> = after(&KEYS, 8);
const ROOT_CRC: Range<usize> = after(&ROOT_PAGE, 4);
const ROOT_LEVEL: Range<usize> = after(&ROOT_CRC, 4);
const SPACE_PAGE: Range<usize> = after(&ROOT_LEVEL, 8);
const SPACE_PAGES: Range<usize> = after(&SPACE_PAGE, 4);
const SPACE_CRC: Range<usize> = after(&SPACE_PAGES, 4);
const CRC: Range<usize> = SUPERBLOCK_BYTES - 4..SUPERBLOCK_BYTES;
const _: () = assert!(SPACE_CRC.end <= CRC.start);

/// A page together with the checksum that it must have: so a lost or misdirected write is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    /// Where.
    pub(crate) page: PageId,
    /// The checksum in the page's own header.
    pub(crate) crc: u32,
}

/// The root of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    /// The page.
    pub(crate) at: Pointer,
    /// Its distance from the leaves.
    pub(crate) level: u8,
}

/// The run of pages that holds the map of used pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpaceRun {
    /// Its first page.
    pub(crate) page: PageId,
    /// How many pages it has.
    pub(crate) pages: u32,
    /// Checksum of all of it.
    pub(crate) crc: u32,
}

/// What one superblock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Superblock {
    /// Whose it is.
    pub(crate) id: StoreId,
    /// Counts checkpoints from 1.
    pub(crate) generation: u64,
    /// The highest epoch of log records before `lsn`; those after have it or a higher one.
    pub(crate) epoch: u32,
    /// Checksum of the last log record before `lsn`.
    pub(crate) chain: u32,
    /// All of the log before this is in the pages.
    pub(crate) lsn: Lsn,
    /// Start of the log segment that holds `lsn`, or ends there. It must exist.
    pub(crate) segment: Lsn,
    /// Number of the last transaction before `lsn`.
    pub(crate) txn: u64,
    /// No page at or beyond this one is used.
    pub(crate) file_pages: u64,
    /// How many keys the index has.
    pub(crate) keys: u64,
    /// Absent: the index is empty.
    pub(crate) root: Option<Root>,
    /// The map of used pages.
    pub(crate) space: SpaceRun,
}

/// Why a slot cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotFault {
    /// No superblock was ever written here whole.
    Invalid,
    /// A newer format, or a feature that this program does not know.
    Newer(u32),
}

impl Superblock {
    /// Returns where the slot of a generation begins in the data file.
    pub(crate) fn slot_offset(generation: u64) -> u64 {
        (generation & 1) * PAGE_SIZE as u64
    }

    /// Lays it out.
    pub(crate) fn encode(&self) -> [u8; SUPERBLOCK_BYTES] {
        let mut bytes = [0; SUPERBLOCK_BYTES];
        put(&mut bytes, MAGIC, MAGIC_WORD);
        put(&mut bytes, VERSION, FORMAT);
        bytes[UUID].copy_from_slice(&self.id.0);
        put(&mut bytes, GENERATION, self.generation);
        put(&mut bytes, EPOCH, self.epoch);
        put(&mut bytes, CHAIN, self.chain);
        put(&mut bytes, LSN, self.lsn.0);
        put(&mut bytes, SEGMENT, self.segment.0);
        put(&mut bytes, TXN, self.txn);
        put(&mut bytes, FILE_PAGES, self.file_pages);
        put(&mut bytes, KEYS, self.keys);
        if let Some(root) = self.root {
            put(&mut bytes, ROOT_PAGE, root.at.page.0);
            put(&mut bytes, ROOT_CRC, root.at.crc);
            put(&mut bytes, ROOT_LEVEL, root.level);
        }
        put(&mut bytes, SPACE_PAGE, self.space.page.0);
        put(&mut bytes, SPACE_PAGES, self.space.pages);
        put(&mut bytes, SPACE_CRC, self.space.crc);
        let crc = checksum(&bytes);
        put(&mut bytes, CRC, crc);
        debug_assert_eq!(Superblock::decode(&bytes), Ok(*self));
        bytes
    }

    /// Reads a slot. The checksum comes first: until it fits, nothing else means anything.
    pub(crate) fn decode(bytes: &[u8; SUPERBLOCK_BYTES]) -> Result<Superblock, SlotFault> {
        if get(bytes, MAGIC) != MAGIC_WORD || get_u32(bytes, CRC) != checksum(bytes) {
            return Err(SlotFault::Invalid);
        }
        let version = get_u32(bytes, VERSION);
        if version != FORMAT || get_u32(bytes, NEEDS) != 0 {
            return Err(SlotFault::Newer(version));
        }
        let mut id = StoreId([0; 16]);
        id.0.copy_from_slice(&bytes[UUID]);
        let page = PageId(get(bytes, ROOT_PAGE));
        let level = u8::try_from(get(bytes, ROOT_LEVEL)).map_err(|_| SlotFault::Invalid)?;
        // Page 0 is a superblock slot, never a root.
        let root = (page.0 != 0).then(|| Root { at: Pointer { page, crc: get_u32(bytes, ROOT_CRC) }, level });
        Ok(Superblock {
            id,
            generation: get(bytes, GENERATION),
            epoch: get_u32(bytes, EPOCH),
            chain: get_u32(bytes, CHAIN),
            lsn: Lsn(get(bytes, LSN)),
            segment: Lsn(get(bytes, SEGMENT)),
            txn: get(bytes, TXN),
            file_pages: get(bytes, FILE_PAGES),
            keys: get(bytes, KEYS),
            root,
            space: SpaceRun {
                page: PageId(get(bytes, SPACE_PAGE)),
                pages: get_u32(bytes, SPACE_PAGES),
                crc: get_u32(bytes, SPACE_CRC),
            },
        })
    }
}

/// Covers everything but itself.
fn checksum(bytes: &[u8; SUPERBLOCK_BYTES]) -> u32 {
    crc32c::crc32c(&bytes[..CRC.start])
}

/// The layout as FORMAT.md has it: name, offset, bytes.
#[cfg(test)]
pub(crate) const LAYOUT: [(&str, Range<usize>); 19] = [
    ("magic", MAGIC),
    ("format", VERSION),
    ("needs", NEEDS),
    ("uuid", UUID),
    ("generation", GENERATION),
    ("epoch", EPOCH),
    ("chain", CHAIN),
    ("lsn", LSN),
    ("segment", SEGMENT),
    ("txn", TXN),
    ("file pages", FILE_PAGES),
    ("keys", KEYS),
    ("root page", ROOT_PAGE),
    ("root checksum", ROOT_CRC),
    ("root level", ROOT_LEVEL),
    ("space page", SPACE_PAGE),
    ("space pages", SPACE_PAGES),
    ("space checksum", SPACE_CRC),
    ("checksum", CRC),
];
