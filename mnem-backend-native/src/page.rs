//! Pages: the unit of the data file, each with a header that says which one it is.
//!
//! Bytes: FORMAT.md, "Native backend", "Page".
//!
//! Invariant: a [`Page`] exists only sealed or checked: its checksum, place and type are right.
//!
//! Used by: `index` and `space`.

use std::ops::Range;

use bytes::Bytes;

use crate::bytes::{StoreId, after, get, get_u16, get_u32, put};

/// Bytes of a page. A constant of the format, whatever the machine's own page size.
pub const PAGE_SIZE: usize = 4096;

/// Bytes of a page behind its header.
pub const PAGE_DATA_SIZE: usize = PAGE_SIZE - PAGE_HEADER_BYTES;

/// Bytes of a page's header.
pub(crate) const PAGE_HEADER_BYTES: usize = 32;

const CRC: Range<usize> = 0..4;
const TYPE: Range<usize> = after(&CRC, 1);
const LEVEL: Range<usize> = after(&TYPE, 1);
const COUNT: Range<usize> = after(&LEVEL, 2);
const SELF: Range<usize> = after(&COUNT, 8);
const GENERATION: Range<usize> = after(&SELF, 8);
const USED: Range<usize> = after(&GENERATION, 2);
const ZERO: Range<usize> = after(&USED, 6);
const _: () = assert!(ZERO.end == PAGE_HEADER_BYTES);

/// Position of a page in the data file. Pages 0 and 1 are the superblock slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageId(pub u64);

impl PageId {
    /// Returns where the page begins in the file; `None` beyond the end of any file.
    pub fn offset_bytes(self) -> Option<u64> {
        self.0.checked_mul(PAGE_SIZE as u64)
    }
}

/// What a page holds. Zero is none: a page of zeros is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PageType {
    /// Keys and values of the index.
    Leaf = 1,
    /// Keys and children of the index.
    Inner = 2,
}

impl PageType {
    fn from_number(number: u64) -> Option<PageType> {
        match number {
            1 => Some(PageType::Leaf),
            2 => Some(PageType::Inner),
            _ => None,
        }
    }
}

/// What a page's header says beside its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageHeader {
    /// What the page holds.
    pub kind: PageType,
    /// Distance from the leaves.
    pub level: u8,
    /// How many entries it has.
    pub count: u16,
    /// The checkpoint that wrote it.
    pub generation: u64,
    /// End of the bytes in use, from the start of the page.
    pub used: u16,
}

/// A page that passed every check of its header.
#[derive(Clone, Debug)]
pub struct Page {
    bytes: Bytes,
    header: PageHeader,
}

/// What is wrong with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageFault {
    /// Not the bytes that were written, or not those that the parent points at.
    Checksum,
    /// The bytes of another page.
    WrongPage,
    /// A type or length that no page has.
    Header,
}

impl Page {
    /// Writes header and checksum into `bytes`, whose data lies in place. Returns the page and its checksum.
    pub fn seal(store: StoreId, at: PageId, header: PageHeader, mut bytes: Vec<u8>) -> (Page, u32) {
        assert_eq!(bytes.len(), PAGE_SIZE, "a page is a page long");
        put(&mut bytes, TYPE, header.kind as u8);
        put(&mut bytes, LEVEL, header.level);
        put(&mut bytes, COUNT, header.count);
        put(&mut bytes, SELF, at.0);
        put(&mut bytes, GENERATION, header.generation);
        put(&mut bytes, USED, header.used);
        bytes[ZERO].fill(0);
        let crc = store.checksum(at.0, &bytes[CRC.end..]);
        put(&mut bytes, CRC, crc);
        (Page { bytes: bytes.into(), header }, crc)
    }

    /// Checks what was read at `at`, where the parent says that the checksum is `crc`.
    pub fn open(store: StoreId, at: PageId, crc: u32, bytes: Vec<u8>) -> Result<Page, PageFault> {
        // The parent's word and the page's own: a stale page passes the second alone.
        if bytes.len() != PAGE_SIZE
            || get_u32(&bytes, CRC) != crc
            || store.checksum(at.0, &bytes[CRC.end..]) != crc
        {
            return Err(PageFault::Checksum);
        }
        if get(&bytes, SELF) != at.0 {
            return Err(PageFault::WrongPage);
        }
        let kind = PageType::from_number(get(&bytes, TYPE)).ok_or(PageFault::Header)?;
        let header = PageHeader {
            kind,
            level: bytes[LEVEL.start],
            count: get_u16(&bytes, COUNT),
            generation: get(&bytes, GENERATION),
            used: get_u16(&bytes, USED),
        };
        if usize::from(header.used) > PAGE_SIZE || (header.kind == PageType::Leaf) != (header.level == 0) {
            return Err(PageFault::Header);
        }
        Ok(Page { bytes: bytes.into(), header })
    }

    /// Says which page these bytes are, if they are one: by its own word, whatever a parent says.
    pub(crate) fn identify(store: StoreId, bytes: &[u8]) -> Option<(PageId, u32)> {
        let crc = get_u32(bytes.get(CRC)?, 0..4);
        let page = get(bytes.get(..PAGE_HEADER_BYTES)?, SELF);
        (bytes.len() == PAGE_SIZE && store.checksum(page, &bytes[CRC.end..]) == crc)
            .then_some((PageId(page), crc))
    }

    /// Returns the header.
    pub const fn header(&self) -> &PageHeader {
        &self.header
    }

    /// Returns all bytes, the header included.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// The layout as FORMAT.md has it.
#[cfg(test)]
pub(crate) const LAYOUT: [(&str, Range<usize>); 8] = [
    ("checksum", CRC),
    ("type", TYPE),
    ("level", LEVEL),
    ("count", COUNT),
    ("page", SELF),
    ("generation", GENERATION),
    ("used", USED),
    ("zero", ZERO),
];

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: StoreId = StoreId([7; 16]);
    const HEADER: PageHeader =
        PageHeader { kind: PageType::Leaf, level: 0, count: 0, generation: 3, used: 32 };

    #[test]
    fn a_sealed_page_opens_as_what_it_is() {
        let (page, crc) = Page::seal(STORE, PageId(9), HEADER, vec![0; PAGE_SIZE]);
        let opened = Page::open(STORE, PageId(9), crc, page.bytes().to_vec()).unwrap();
        assert_eq!(opened.header(), &HEADER);
    }

    #[test]
    fn a_page_elsewhere_or_of_others_or_older_than_its_parent_does_not_open() {
        let (page, crc) = Page::seal(STORE, PageId(9), HEADER, vec![0; PAGE_SIZE]);
        let bytes = page.bytes().to_vec();
        assert_eq!(Page::open(STORE, PageId(8), crc, bytes.clone()).unwrap_err(), PageFault::Checksum);
        let other = StoreId([8; 16]);
        assert_eq!(Page::open(other, PageId(9), crc, bytes.clone()).unwrap_err(), PageFault::Checksum);
        assert_eq!(Page::open(STORE, PageId(9), crc ^ 1, bytes).unwrap_err(), PageFault::Checksum);
        assert_eq!(Page::open(STORE, PageId(9), 0, vec![0; PAGE_SIZE]).unwrap_err(), PageFault::Checksum);
    }

    #[test]
    fn every_flipped_bit_of_a_page_is_found() {
        let (page, crc) = Page::seal(STORE, PageId(9), HEADER, vec![5; PAGE_SIZE]);
        for bit in (0..PAGE_SIZE * 8).step_by(37) {
            let mut bytes = page.bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Page::open(STORE, PageId(9), crc, bytes).is_err(), "bit {bit}");
        }
    }
}
