//! The bytes of one file: pages that are shared until they are written to.
//!
//! Invariants
//!  C1  Bytes at or beyond `len` are not returned; pages may hold some: kept writes of an extension that did
//!      not survive, until a later extension or the end of the crash settles the length.
//!  C2  An absent page reads as zeros. A page of zeros and an absent one hash alike.
//!
//! Used by: `file` (durable and current bytes) and `crash` (images).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::hash::Hasher;

pub(super) const PAGE_BYTES: usize = 4096;

/// Thousands of images share a page that no crash touches: it is hashed once.
#[derive(Clone, Debug)]
struct Page {
    bytes: [u8; PAGE_BYTES],
    /// Absent inside: all zeros.
    hash: OnceLock<Option<u128>>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    len: u64,
    pages: Arc<BTreeMap<u64, Arc<Page>>>,
    hash: OnceLock<u128>,
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Space on the disk: whole pages, holes are free.
    pub(super) fn pages(&self) -> u64 {
        self.pages.len() as u64
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let available = self.len.saturating_sub(offset).min(buffer.len() as u64);
        let buffer = &mut buffer[..index(available)];
        for part in parts(offset, buffer.len()) {
            match self.pages.get(&part.page) {
                Some(page) => buffer[part.outer].copy_from_slice(&page.bytes[part.inner]),
                None => buffer[part.outer].fill(0),
            }
        }
        buffer.len()
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; index(self.len)];
        self.read(&mut bytes, 0);
        bytes
    }

    /// Writes without regard to the length (C1).
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        for part in parts(offset, bytes.len()) {
            self.page_mut(part.page)[part.inner].copy_from_slice(&bytes[part.outer]);
        }
    }

    /// Sets the length; what lies beyond a shorter one is gone.
    pub(super) fn set_len(&mut self, len: u64) {
        self.hash = OnceLock::new();
        if len < self.len {
            self.discard_from(len);
        }
        self.len = len;
    }

    /// Discards pages beyond the end, so that they cannot come back with a later extension.
    pub(super) fn trim(&mut self) {
        self.discard_from(self.len);
    }

    /// Gives `range` pages of its own, holding what they held.
    pub(super) fn reserve(&mut self, range: &Range<u64>) {
        for page in pages_of(range) {
            self.page_mut(page);
        }
    }

    /// Takes the pages that hold `range` from `other`, sharing them.
    pub(super) fn adopt(&mut self, other: &Content, range: &Range<u64>) {
        self.hash = OnceLock::new();
        let pages = Arc::make_mut(&mut self.pages);
        for page in pages_of(range) {
            match other.pages.get(&page) {
                Some(bytes) => pages.insert(page, bytes.clone()),
                None => pages.remove(&page),
            };
        }
    }

    pub(super) fn flip(&mut self, bit: u64) {
        let byte = bit / 8;
        if byte < self.len {
            self.page_mut(byte / PAGE_BYTES as u64)[index(byte % PAGE_BYTES as u64)] ^= 1 << (bit % 8);
        }
    }

    /// Returns how many of `len` bytes at `offset` can be written if only `free` new pages are left.
    pub(super) fn prefix_that_fits(&self, offset: u64, len: usize, free: u64) -> usize {
        let mut free = free;
        for part in parts(offset, len) {
            if !self.pages.contains_key(&part.page) {
                match free.checked_sub(1) {
                    Some(left) => free = left,
                    None => return part.outer.start,
                }
            }
        }
        len
    }

    /// Returns how many pages `reserve` would add.
    pub(super) fn missing(&self, range: &Range<u64>) -> u64 {
        pages_of(range).filter(|page| !self.pages.contains_key(page)).count() as u64
    }

    pub(super) fn hash(&self) -> u128 {
        *self.hash.get_or_init(|| {
            let mut hasher = Hasher::new();
            hasher.number(self.len);
            for (number, page) in self.pages.iter() {
                if let Some(hash) = page.hash() {
                    hasher.number(*number);
                    hasher.bytes(&hash.to_le_bytes());
                }
            }
            hasher.finish()
        })
    }

    fn discard_from(&mut self, len: u64) {
        let beyond = len.div_ceil(PAGE_BYTES as u64);
        let inner = index(len % PAGE_BYTES as u64);
        let last = len / PAGE_BYTES as u64;
        let has_tail = inner > 0
            && self.pages.get(&last).is_some_and(|page| page.bytes[inner..].iter().any(|byte| *byte != 0));
        if has_tail {
            self.page_mut(last)[inner..].fill(0);
        }
        if self.pages.range(beyond..).next().is_some() {
            self.hash = OnceLock::new();
            Arc::make_mut(&mut self.pages).split_off(&beyond);
        }
    }

    fn page_mut(&mut self, page: u64) -> &mut [u8; PAGE_BYTES] {
        self.hash = OnceLock::new();
        let page = Arc::make_mut(&mut self.pages).entry(page).or_insert_with(|| Arc::new(Page::zeros()));
        let page = Arc::make_mut(page);
        page.hash = OnceLock::new();
        &mut page.bytes
    }
}

impl Page {
    fn zeros() -> Page {
        Page { bytes: [0; PAGE_BYTES], hash: OnceLock::new() }
    }

    /// Absent if the page is all zeros.
    fn hash(&self) -> Option<u128> {
        *self.hash.get_or_init(|| {
            let mut hasher = Hasher::new();
            hasher.bytes(&self.bytes);
            self.bytes.iter().any(|byte| *byte != 0).then(|| hasher.finish())
        })
    }
}

/// The share one page has of a longer range.
struct Part {
    page: u64,
    /// Within the page.
    inner: Range<usize>,
    /// Within the whole range.
    outer: Range<usize>,
}

fn parts(offset: u64, len: usize) -> impl Iterator<Item = Part> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let at = offset + done as u64;
        let start = index(at % PAGE_BYTES as u64);
        let count = (PAGE_BYTES - start).min(len - done);
        let part =
            Part { page: at / PAGE_BYTES as u64, inner: start..start + count, outer: done..done + count };
        done += count;
        Some(part)
    })
}

fn pages_of(range: &Range<u64>) -> Range<u64> {
    range.start / PAGE_BYTES as u64..range.end.div_ceil(PAGE_BYTES as u64)
}

/// A length that is known to fit into memory.
pub(super) fn index(bytes: u64) -> usize {
    usize::try_from(bytes).expect("simulated files fit into memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(bytes: &[u8]) -> Content {
        let mut content = Content::default();
        content.set_len(bytes.len() as u64);
        content.write(bytes, 0);
        content
    }

    #[test]
    fn clones_are_independent() {
        let original = content(b"original");
        let hash = original.hash();
        let mut clone = original.clone();
        clone.write(b"X", 0);
        assert_eq!((original.to_vec(), original.hash()), (b"original".to_vec(), hash));
        assert_ne!(clone.hash(), hash);
    }

    #[test]
    fn what_a_cut_removed_does_not_come_back() {
        let mut content = content(&[1; 10_000]);
        content.set_len(5000);
        content.set_len(10_000);
        assert!(content.to_vec()[5000..].iter().all(|byte| *byte == 0));
        assert_eq!(content.pages(), 2);
    }

    #[test]
    fn holes_and_zeros_hash_alike() {
        let mut hole = Content::default();
        hole.set_len(9000);
        assert_eq!(hole.hash(), content(&[0; 9000]).hash());
        assert_ne!(hole.hash(), content(&[0; 9001]).hash());
    }

    #[test]
    fn bytes_beyond_the_end_show_only_after_an_extension() {
        let mut content = content(b"ab");
        content.write(b"cd", 2);
        assert_eq!(content.to_vec(), b"ab");
        content.set_len(4);
        assert_eq!(content.to_vec(), b"abcd");
        content.set_len(3);
        content.write(b"X", 3);
        content.trim();
        content.set_len(4);
        assert_eq!(content.to_vec(), b"abc\0");
    }
}
