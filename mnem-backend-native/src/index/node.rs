//! One page of the index: entries in ascending order of their keys.
//!
//! Invariant: a [`Node`] was checked as a whole when it was made, so looking into it cannot fail.

use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::bytes::{StoreId, get, get_u16, put};
use crate::keys::KEY_BYTES_MAX;
use crate::page::{PAGE_HEADER_BYTES, PAGE_SIZE, Page, PageHeader, PageId, PageType};
use crate::superblock::Pointer;

/// Bytes of a value in an inner page: the child's page and checksum.
const CHILD_BYTES: usize = 9;

/// An entry takes its place in the table of offsets and two lengths beside its bytes.
const OFFSET_BYTES: usize = 2;
const ENTRY_HEADER_BYTES: usize = 4;

/// Pages are filled so far, and not further: the next changes need not split them at once.
const FILL_BYTES: usize = PAGE_SIZE * 9 / 10;

/// A page that is filled less is joined with what follows it.
const THIN_BYTES: usize = PAGE_SIZE * 2 / 5;

const _: () = assert!(
    PAGE_HEADER_BYTES + 3 * (OFFSET_BYTES + ENTRY_HEADER_BYTES + KEY_BYTES_MAX + 16) <= FILL_BYTES,
    "any three entries fit a page: so a tree gets smaller from level to level"
);

/// A page of the index that passed every check.
#[derive(Debug)]
pub(crate) struct Node {
    page: Page,
    /// So many bytes begin all keys.
    prefix: usize,
    /// The four bytes of each key behind the prefix, as numbers: a search looks at these first, which lie together.
    heads: Box<[u32]>,
    /// Children that are inner pages themselves, as far as a lookup has read them.
    held: Box<[OnceLock<Arc<Node>>]>,
}

/// Returns the first four bytes of what follows a prefix, padded with zeros: in the order of the keys.
fn head(rest: &[u8]) -> u32 {
    let mut head = [0; 4];
    let length = rest.len().min(4);
    head[..length].copy_from_slice(&rest[..length]);
    u32::from_be_bytes(head)
}

impl Node {
    /// Checks the entries of a page.
    pub(crate) fn new(page: Page) -> Option<Node> {
        let mut node = Node { page, prefix: 0, heads: Box::default(), held: Box::default() };
        (0..node.len()).try_for_each(|entry| node.check(entry))?;
        let ascends = (1..node.len()).all(|entry| node.key(entry - 1) < node.key(entry));
        if !ascends || node.len() == 0 {
            return None;
        }
        let (first, last) = (node.key(0), node.key(node.len() - 1));
        node.prefix = first.iter().zip(last).take_while(|(one, other)| one == other).count();
        node.heads = (0..node.len()).map(|entry| head(&node.key(entry)[node.prefix..])).collect();
        if node.level() > 1 {
            node.held = (0..node.len()).map(|_| OnceLock::new()).collect();
        }
        Some(node)
    }

    /// Returns the page as it is written.
    pub(crate) fn image(&self) -> &Bytes {
        self.page.bytes()
    }

    /// Returns how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        PAGE_SIZE + size_of_val(&*self.heads) + size_of_val(&*self.held)
    }

    fn check(&self, entry: usize) -> Option<()> {
        let bytes = self.page.bytes();
        let offset = PAGE_HEADER_BYTES + entry * OFFSET_BYTES;
        let start = usize::from(get_u16(bytes.get(offset..offset + 2)?, 0..2));
        let lengths = bytes.get(start..start + ENTRY_HEADER_BYTES)?;
        let value = usize::from(get_u16(lengths, 2..4));
        let length = usize::from(get_u16(lengths, 0..2)) + value;
        bytes.get(start..start + ENTRY_HEADER_BYTES + length)?;
        (self.level() == 0 || value == CHILD_BYTES).then_some(())
    }

    pub(crate) fn level(&self) -> u8 {
        self.page.header().level
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.page.header().count)
    }

    fn entry(&self, entry: usize) -> (usize, usize, usize) {
        let bytes = self.page.bytes();
        let offset = PAGE_HEADER_BYTES + entry * OFFSET_BYTES;
        let start = usize::from(get_u16(bytes, offset..offset + 2));
        let key = usize::from(get_u16(bytes, start..start + 2));
        let value = usize::from(get_u16(bytes, start + 2..start + 4));
        (start + ENTRY_HEADER_BYTES, key, value)
    }

    pub(crate) fn key(&self, entry: usize) -> &[u8] {
        let (start, key, _) = self.entry(entry);
        &self.page.bytes()[start..start + key]
    }

    pub(crate) fn value(&self, entry: usize) -> &[u8] {
        let (start, key, value) = self.entry(entry);
        &self.page.bytes()[start + key..start + key + value]
    }

    pub(crate) fn child(&self, entry: usize) -> Pointer {
        let value = self.value(entry);
        let crc = u32::try_from(get(value, 5..9)).expect("four bytes");
        Pointer { page: PageId(get(value, 0..5)), crc }
    }

    /// Returns where an inner child is held once it was read. On level 2 and above.
    pub(crate) fn held(&self, entry: usize) -> &OnceLock<Arc<Node>> {
        &self.held[entry]
    }

    /// Returns the first entry whose key is not below `key`, and whether it is `key`.
    pub(crate) fn search(&self, key: &[u8]) -> (usize, bool) {
        let prefix = &self.key(0)[..self.prefix];
        let Some(rest) = key.strip_prefix(prefix) else {
            return (if key < prefix { 0 } else { self.len() }, false);
        };
        let head = head(rest);
        let low = self.heads.partition_point(|other| *other < head);
        // Keys that share these four bytes are few, mostly one.
        for entry in low..self.len() {
            if self.heads[entry] != head {
                return (entry, false);
            }
            match self.key(entry).cmp(key) {
                Ordering::Less => {}
                Ordering::Equal => return (entry, true),
                Ordering::Greater => return (entry, false),
            }
        }
        (self.len(), false)
    }

    /// Returns the child that holds `key`, if any does.
    pub(crate) fn child_for(&self, key: &[u8]) -> usize {
        let (entry, is_there) = self.search(key);
        if is_there { entry } else { entry.saturating_sub(1) }
    }
}

/// Fills a page.
#[derive(Debug)]
pub(crate) struct Builder {
    level: u8,
    offsets: Vec<u16>,
    entries: Vec<u8>,
}

impl Builder {
    pub(crate) fn new(level: u8) -> Builder {
        Builder { level, offsets: Vec::new(), entries: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.offsets.len()
    }

    fn used(&self) -> usize {
        PAGE_HEADER_BYTES + self.offsets.len() * OFFSET_BYTES + self.entries.len()
    }

    pub(crate) fn is_thin(&self) -> bool {
        self.used() < THIN_BYTES
    }

    pub(crate) fn has_room(&self, key: &[u8], value: &[u8]) -> bool {
        self.used() + OFFSET_BYTES + ENTRY_HEADER_BYTES + key.len() + value.len() <= FILL_BYTES
    }

    /// Appends an entry. The caller has seen that there is room, and that keys ascend.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) {
        debug_assert!(self.has_room(key, value));
        self.offsets.push(u16::try_from(self.entries.len()).expect("inside a page"));
        for length in [key.len(), value.len()] {
            self.entries.extend(u16::try_from(length).expect("inside a page").to_le_bytes());
        }
        self.entries.extend_from_slice(key);
        self.entries.extend_from_slice(value);
    }

    /// Returns the value that points at a child.
    pub(crate) fn child(at: Pointer) -> [u8; CHILD_BYTES] {
        let mut value = [0; CHILD_BYTES];
        put(&mut value, 0..5, at.page.0);
        put(&mut value, 5..9, at.crc);
        value
    }

    /// Returns the first key.
    pub(crate) fn first_key(&self) -> &[u8] {
        let key = usize::from(get_u16(&self.entries, 0..2));
        &self.entries[ENTRY_HEADER_BYTES..ENTRY_HEADER_BYTES + key]
    }

    /// Returns the only child of an inner page that has but one.
    pub(crate) fn only_child(&self) -> Pointer {
        assert!(self.level > 0 && self.len() == 1, "an inner page with one child");
        let value = &self.entries[self.entries.len() - CHILD_BYTES..];
        let crc = u32::try_from(get(value, 5..9)).expect("four bytes");
        Pointer { page: PageId(get(value, 0..5)), crc }
    }

    /// Makes the page, and begins anew.
    pub(crate) fn seal(&mut self, store: StoreId, at: PageId, generation: u64) -> (Node, Pointer) {
        let table = PAGE_HEADER_BYTES + self.offsets.len() * OFFSET_BYTES;
        let used = self.used();
        let mut bytes = vec![0; PAGE_SIZE];
        for (entry, offset) in self.offsets.iter().enumerate() {
            let place = PAGE_HEADER_BYTES + entry * OFFSET_BYTES;
            put(&mut bytes, place..place + 2, table as u64 + u64::from(*offset));
        }
        bytes[table..used].copy_from_slice(&self.entries);
        let header = PageHeader {
            kind: if self.level == 0 { PageType::Leaf } else { PageType::Inner },
            level: self.level,
            count: u16::try_from(self.offsets.len()).expect("inside a page"),
            generation,
            used: u16::try_from(used).expect("inside a page"),
        };
        let (page, crc) = Page::seal(store, at, header, bytes);
        self.offsets.clear();
        self.entries.clear();
        (Node::new(page).expect("what we write, we can read"), Pointer { page: at, crc })
    }
}
