//! One tree node: its bytes, checked once, read in place.
//!
//! Bytes: FORMAT.md, "Trees".
//!
//! Invariants of a [`Node`]
//!  N1  The bytes are canonical, at most 1 MiB, and exactly a map of `e` and `l`.
//!  N2  Keys ascend and have 1 to 1024 bytes; an entry has at most [`ENTRY_BYTES_MAX`] bytes.
//!  N3  Level 0 has values, all others have children with counts, whose sum fits.
//!  N4  No entry but the last ends the node by the rule; `closed` says whether the last does.
//!
//! What takes two nodes to check is checked where one is read through the other: [`path`](super::path).

use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;

use super::link::{LINK_BYTES as LINK_MEMORY_BYTES, Link};
use super::params::Rule;
use super::{Damage, ENTRY_BYTES_MAX, KEY_BYTES_MAX, NODE_BYTES_MAX, TreeError, VALUE_DEPTH_MAX};
use crate::cid::{CID_BYTES, Cid, CidClass};
use crate::codec::{DecodeError, Malformed, Reader, Writer};

/// Highest sum of counts: our own objects hold no larger numbers.
pub(crate) const COUNT_MAX: u64 = i64::MAX.unsigned_abs();

/// A checked node.
#[derive(Debug)]
pub(crate) struct Node {
    cid: Cid,
    bytes: Bytes,
    level: u8,
    closed: bool,
    count: u64,
    /// One for each entry, and one that marks the end of the last.
    slots: Box<[Slot]>,
    /// How many bytes all keys begin with alike.
    shared: usize,
    /// Of each key the eight bytes after those: a search reads no key where these differ.
    heads: Box<[u64]>,
    /// One for each child.
    links: Box<[Link]>,
    visits: AtomicU8,
}

/// Of so many visits by a link the cache hears of one.
const VISITS_A_NOTE: u8 = 8;

/// Where an entry lies.
#[derive(Clone, Copy, Debug)]
struct Slot {
    start: u32,
    key: u16,
    key_bytes: u16,
}

impl Slot {
    fn new(start: usize, key: Range<usize>) -> Slot {
        Slot {
            start: u32::try_from(start).expect("a node is at most 1 MiB"),
            key: u16::try_from(key.start - start).expect("a key follows two short heads"),
            key_bytes: u16::try_from(key.len()).expect("a key is at most 1024 bytes"),
        }
    }

    fn key(self) -> Range<usize> {
        let start = self.start as usize + usize::from(self.key);
        start..start + usize::from(self.key_bytes)
    }
}

impl Node {
    /// Checks the bytes of the block `cid`.
    pub(crate) fn decode(rule: &Rule, cid: Cid, bytes: Bytes) -> Result<Node, Damage> {
        if cid.class() != CidClass::DagCborBlake3 {
            return Err(Damage::Class);
        }
        if bytes.len() > NODE_BYTES_MAX {
            return Err(Damage::Size);
        }
        let Parts { slots, level, count } = parse(&bytes)?;
        let children = if level == 0 { 0 } else { slots.len() - 1 };
        let mut node = Node {
            cid,
            bytes,
            level,
            closed: false,
            count,
            slots,
            shared: 0,
            heads: Box::default(),
            links: (0..children).map(|_| Link::default()).collect(),
            visits: AtomicU8::new(0),
        };
        node.closed = node.check_cuts(rule)?;
        node.index();
        Ok(node)
    }

    /// Checks N4 and the order of keys, and says whether the last entry ends the node.
    fn check_cuts(&self, rule: &Rule) -> Result<bool, Damage> {
        let mut closed = false;
        for i in 0..self.len() {
            if closed {
                return Err(Damage::Uncut(i - 1));
            }
            if i > 0 && self.key(i - 1) >= self.key(i) {
                return Err(Damage::Order(i));
            }
            closed =
                rule.ends(self.level, self.key(i), self.weight_before(i), self.weight_before(i + 1), i + 1);
        }
        Ok(closed)
    }

    /// Prepares searches, once it is known that keys ascend: so all share what the first and the last do.
    fn index(&mut self) {
        let Some(last) = self.last_key() else { return };
        self.shared = self.key(0).iter().zip(last).take_while(|(a, b)| a == b).count();
        self.heads = (0..self.len()).map(|i| head(&self.key(i)[self.shared..])).collect();
    }

    pub(crate) const fn cid(&self) -> &Cid {
        &self.cid
    }

    pub(crate) const fn level(&self) -> u8 {
        self.level
    }

    /// Says whether the rule ends the node after its last entry. The right-most node of a level need not be closed.
    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Returns how many entries of level 0 lie below, or here.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// Returns how many entries the node itself has.
    pub(crate) const fn len(&self) -> usize {
        self.slots.len() - 1
    }

    /// Returns how much memory the node takes.
    pub(crate) fn memory_bytes(&self) -> usize {
        let index = size_of_val(&*self.slots) + size_of_val(&*self.heads);
        size_of::<Node>() + self.bytes.len() + index + self.links.len() * LINK_MEMORY_BYTES
    }

    /// Returns the way to child `i`.
    pub(crate) fn link(&self, i: usize) -> &Link {
        &self.links[i]
    }

    /// Counts a visit, and says whether the cache is to hear of it. A count that is lost to another thread does no harm.
    pub(crate) fn is_visit_noted(&self) -> bool {
        let visits = self.visits.load(Ordering::Relaxed).wrapping_add(1);
        self.visits.store(visits, Ordering::Relaxed);
        visits.is_multiple_of(VISITS_A_NOTE)
    }

    /// Checks a child against what the node alone says of it.
    pub(crate) fn check_pair(&self, i: usize, child: &Node) -> Result<(), TreeError> {
        let (_, count) = self.child(i);
        let expected = self.level - 1;
        let overlaps = |key: &[u8]| i > 0 && key <= self.key(i - 1);
        let what = if child.level != expected {
            Damage::Level { expected, found: u64::from(child.level) }
        } else if child.count != count {
            Damage::Count
        } else if child.last_key() != Some(self.key(i)) {
            Damage::LastKey
        } else if overlaps(child.key(0)) {
            Damage::FirstKey
        } else {
            return Ok(());
        };
        Err(TreeError::Damaged { cid: child.cid, what })
    }

    pub(crate) fn key(&self, i: usize) -> &[u8] {
        &self.bytes[self.slots[i].key()]
    }

    pub(crate) fn key_bytes(&self, i: usize) -> Bytes {
        self.bytes.slice(self.slots[i].key())
    }

    pub(crate) fn last_key(&self) -> Option<&[u8]> {
        self.len().checked_sub(1).map(|last| self.key(last))
    }

    fn tail_range(&self, i: usize) -> Range<usize> {
        self.slots[i].key().end..self.slots[i + 1].start as usize
    }

    /// Returns what follows the key in its entry: a value, or a child and its count.
    pub(crate) fn tail(&self, i: usize) -> &[u8] {
        &self.bytes[self.tail_range(i)]
    }

    /// Returns the value of an entry of a leaf, without copying it.
    pub(crate) fn value_bytes(&self, i: usize) -> Bytes {
        self.bytes.slice(self.tail_range(i))
    }

    /// Returns child and count of an entry above level 0.
    pub(crate) fn child(&self, i: usize) -> (Cid, u64) {
        let (link, count) = self.tail(i).split_at(LINK_BYTES);
        let digest = *link.last_chunk().expect("a link ends with its digest");
        let count = Reader::new(count).uint().expect("checked when the node was decoded");
        (Cid::from_parts(CidClass::DagCborBlake3, digest), count)
    }

    /// Returns how many entries of level 0 entry `i` stands for.
    pub(crate) fn entry_count(&self, i: usize) -> u64 {
        if self.level == 0 { 1 } else { self.child(i).1 }
    }

    /// Returns entry `i` as it is encoded.
    pub(crate) fn entry(&self, i: usize) -> &[u8] {
        self.entries(i..i + 1)
    }

    /// Returns entries as they are encoded, one after the other.
    pub(crate) fn entries(&self, entries: Range<usize>) -> &[u8] {
        &self.bytes[self.slots[entries.start].start as usize..self.slots[entries.end].start as usize]
    }

    /// Returns how many entries from `i` on are byte for byte those of `other` from `j` on.
    pub(crate) fn alike(&self, i: usize, other: &Node, j: usize) -> usize {
        let same = same_bytes(self.entries(i..self.len()), other.entries(j..other.len()));
        let start = self.slots[i].start as usize;
        // An entry says itself where it ends: where the bytes are the same, so are the ends.
        self.slots[i + 1..].partition_point(|slot| slot.start as usize - start <= same)
    }

    /// Returns how many bytes the first `i` entries have.
    pub(crate) fn weight_before(&self, i: usize) -> usize {
        (self.slots[i].start - self.slots[0].start) as usize
    }

    /// Returns how many keys come before the first that fails `below`, which must hold for a prefix of the keys.
    pub(crate) fn partition(&self, mut below: impl FnMut(&[u8]) -> bool) -> usize {
        self.slots[..self.len()].partition_point(|slot| below(&self.bytes[slot.key()]))
    }

    /// Returns how many keys are less than `key`.
    pub(crate) fn below(&self, key: &[u8]) -> usize {
        if self.len() == 0 {
            return 0;
        }
        let shared = &self.key(0)[..self.shared];
        let Some(rest) = key.strip_prefix(shared) else {
            return if key < shared { 0 } else { self.len() };
        };
        self.below_by_rest(key, rest)
    }

    /// The same for a key that begins as all do and goes on with `rest`.
    fn below_by_rest(&self, key: &[u8], rest: &[u8]) -> usize {
        let head = head(rest);
        let start = self.heads.partition_point(|other| *other < head);
        let alike = self.heads[start..].iter().take_while(|other| **other == head).count();
        let slots = &self.slots[start..start + alike];
        start + slots.partition_point(|slot| &self.bytes[slot.key()] < key)
    }

    /// Returns the entry with `key`, if there is one. That its beginning is the one that all keys share need not be
    /// looked at: an entry that is found has it.
    pub(crate) fn find(&self, key: &[u8]) -> Option<usize> {
        let i = self.below_by_rest(key, key.get(self.shared..)?);
        (i < self.len() && self.key(i) == key).then_some(i)
    }

    /// Returns the entry through which `key` is to be found: the first whose key is not below it, else the last.
    pub(crate) fn route(&self, key: &[u8]) -> usize {
        self.below(key).min(self.len().saturating_sub(1))
    }
}

/// Returns the first eight bytes of `key` as a number, in the order of keys but for what follows them.
fn head(key: &[u8]) -> u64 {
    let mut head = [0; 8];
    match key.first_chunk() {
        Some(first) => head = *first,
        None => head[..key.len()].copy_from_slice(key),
    }
    u64::from_be_bytes(head)
}

/// Returns how many bytes two strings begin with alike.
fn same_bytes(a: &[u8], b: &[u8]) -> usize {
    const STEP: usize = 32;
    let steps = a.chunks_exact(STEP).zip(b.chunks_exact(STEP)).take_while(|(a, b)| a == b).count() * STEP;
    steps + a[steps..].iter().zip(&b[steps..]).take_while(|(a, b)| a == b).count()
}

struct Parts {
    slots: Box<[Slot]>,
    level: u8,
    count: u64,
}

fn parse(bytes: &[u8]) -> Result<Parts, Damage> {
    let mut reader = Reader::new(bytes);
    let mut fields = reader.map()?;
    if fields.left() != 2 || fields.next(&mut reader)? != Some("e") {
        return Err(Damage::Shape);
    }
    let len = reader.list()?;
    // An entry has at least four bytes: so what is allocated stays in proportion to what is there.
    let mut slots = Vec::with_capacity(len.min(bytes.len() / 4) + 1);
    let mut count = 0u64;
    let mut leaf = true;
    for i in 0..len {
        let start = reader.at();
        let is_leaf = match reader.list()? {
            2 => true,
            3 => false,
            _ => return Err(Damage::Shape),
        };
        if i == 0 {
            leaf = is_leaf;
        } else if leaf != is_leaf {
            return Err(Damage::Shape);
        }
        let key_bytes = reader.bytes()?.len();
        let key_end = reader.at();
        if key_bytes == 0 || key_bytes > KEY_BYTES_MAX {
            return Err(Damage::KeyLength(i));
        }
        let below = if is_leaf {
            reader.item(VALUE_DEPTH_MAX)?;
            1
        } else {
            read_child(&mut reader)?.1
        };
        if reader.at() - start > ENTRY_BYTES_MAX {
            return Err(Damage::Size);
        }
        if below == 0 {
            return Err(Damage::Count);
        }
        count = count.checked_add(below).filter(|count| *count <= COUNT_MAX).ok_or(Damage::Count)?;
        slots.push(Slot::new(start, key_end - key_bytes..key_end));
    }
    slots.push(Slot::new(reader.at(), reader.at()..reader.at()));
    if fields.next(&mut reader)? != Some("l") {
        return Err(Damage::Shape);
    }
    let level = reader.uint()?;
    reader.end()?;
    match u8::try_from(level) {
        Ok(level) if (level == 0) == leaf => Ok(Parts { slots: slots.into_boxed_slice(), level, count }),
        _ => Err(Damage::Level { expected: u8::from(!leaf), found: level }),
    }
}

/// Size of a link to a tree node: there is one way to write it.
const LINK_BYTES: usize = 5 + CID_BYTES;

fn read_child(reader: &mut Reader<'_>) -> Result<(Cid, u64), DecodeError> {
    let link = reader.clone();
    let cid = reader.link()?;
    if cid.class() != CidClass::DagCborBlake3 {
        return Err(link.error(Malformed::Expected { expected: "a link to a tree node" }));
    }
    Ok((cid, reader.uint()?))
}

/// Returns the size of an entry: its weight in the rule.
pub(crate) const fn entry_bytes(key_bytes: usize, tail_bytes: usize) -> usize {
    1 + Writer::head_bytes(key_bytes as u64) + key_bytes + tail_bytes
}

/// Encodes a child and its count: what follows the key above level 0.
pub(crate) fn child_tail(cid: &Cid, count: u64) -> Vec<u8> {
    let mut writer = Writer::with_capacity(50);
    writer.link(cid);
    writer.uint(count);
    writer.into_bytes()
}

/// Puts a node together from its encoded entries.
pub(crate) fn encode(level: u8, entries: usize, body: &[u8]) -> Vec<u8> {
    // No more than is needed: the buffer becomes the block.
    let heads = Writer::head_bytes(entries as u64) + Writer::head_bytes(u64::from(level));
    let mut writer = Writer::with_capacity(heads + body.len() + 5);
    writer.map(2);
    writer.text("e");
    writer.list(entries);
    writer.encoded(body);
    writer.text("l");
    writer.uint(u64::from(level));
    writer.into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec;
    use crate::tree::TreeParams;
    use ipld_core::ipld::Ipld;

    /// A node as the general codec sees it.
    fn ipld(level: u8, entries: &[(Vec<u8>, u64)]) -> Ipld {
        let link = |n: u64| Ipld::Link(Cid::of(crate::Codec::DagCbor, &n.to_be_bytes()).into());
        let entry = |(key, n): &(Vec<u8>, u64)| {
            let key = Ipld::Bytes(key.clone());
            Ipld::List(match (level, n % 3) {
                (0, 0) => vec![key, link(*n)],
                (0, 1) => vec![key, Ipld::Integer(i128::from(*n))],
                (0, _) => vec![key, Ipld::List(vec![Ipld::Null, Ipld::String(n.to_string())])],
                _ => vec![key, link(*n), Ipld::Integer(i128::from(*n))],
            })
        };
        let fields = [
            ("e".to_owned(), Ipld::List(entries.iter().map(entry).collect())),
            ("l".to_owned(), Ipld::Integer(i128::from(level))),
        ];
        Ipld::Map(fields.into())
    }

    fn uncut() -> Rule {
        let max = TreeParams::MAX_LIMIT;
        Rule::new(&TreeParams { min: max, max, ..TreeParams::V1 }).unwrap()
    }

    proptest! {
        #[test]
        fn a_node_is_what_the_general_codec_makes_of_it(
            level in prop_oneof![Just(0u8), 1..=255u8],
            entries in prop::collection::btree_map(prop::collection::vec(any::<u8>(), 1..40), 1..1u64 << 50, 0..40),
        ) {
            let entries: Vec<_> = entries.into_iter().collect();
            let level = if entries.is_empty() { 0 } else { level };
            let bytes = codec::encode(&ipld(level, &entries)).unwrap();
            let cid = Cid::of(crate::Codec::DagCbor, &bytes);
            let node = Node::decode(&uncut(), cid, bytes.clone().into()).unwrap();
            prop_assert_eq!(node.level(), level);
            prop_assert_eq!(node.len(), entries.len());
            let mut body = Writer::new();
            for (i, (key, n)) in entries.iter().enumerate() {
                prop_assert_eq!(node.key(i), key.as_slice());
                if level > 0 {
                    prop_assert_eq!(node.child(i), (Cid::of(crate::Codec::DagCbor, &n.to_be_bytes()), *n));
                }
                let before = body.as_bytes().len();
                body.list(if level == 0 { 2 } else { 3 });
                body.bytes(key);
                body.encoded(node.tail(i));
                prop_assert_eq!(body.as_bytes().len() - before, entry_bytes(key.len(), node.tail(i).len()));
                prop_assert_eq!(body.as_bytes().len(), node.weight_before(i + 1));
            }
            prop_assert_eq!(encode(level, entries.len(), body.as_bytes()), bytes);
        }

        /// Few letters and long keys, so that keys share beginnings of all lengths and have equal heads.
        #[test]
        fn a_search_counts_the_keys_below(
            start in prop::collection::vec(0..3u8, 0..20),
            keys in prop::collection::btree_set(prop::collection::vec(0..2u8, 1..16), 0..40),
            wanted in prop::collection::vec(prop::collection::vec(0..3u8, 0..24), 20),
        ) {
            let keys: Vec<Vec<u8>> = keys.into_iter().map(|key| [&*start, &key].concat()).collect();
            let entries: Vec<_> = keys.iter().map(|key| (key.clone(), 1)).collect();
            let bytes = codec::encode(&ipld(0, &entries)).unwrap();
            let node = Node::decode(&uncut(), Cid::of(crate::Codec::DagCbor, &bytes), bytes.into()).unwrap();
            let near = wanted.iter().map(|end| [&*start, end].concat());
            for key in wanted.iter().cloned().chain(near).chain(keys.iter().cloned()) {
                prop_assert_eq!(node.below(&key), keys.partition_point(|other| *other < key));
                prop_assert_eq!(node.find(&key), keys.binary_search(&key).ok());
            }
        }

        /// Values of a few kinds, so that runs begin and end anywhere.
        #[test]
        fn a_run_of_like_entries_is_as_long_as_one_by_one(
            left in prop::collection::vec(0..4u64, 1..40),
            changes in prop::collection::vec((any::<prop::sample::Index>(), 0..200u64), 0..4),
            from in any::<prop::sample::Index>(),
        ) {
            let mut right = left.clone();
            changes.iter().for_each(|(at, n)| right[at.index(left.len())] = *n);
            let node = |values: &[u64]| {
                let entries = values.iter().zip(0u8..).map(|(n, key)| (vec![key; 9], *n)).collect::<Vec<_>>();
                let bytes = codec::encode(&ipld(0, &entries)).unwrap();
                Node::decode(&uncut(), Cid::of(crate::Codec::DagCbor, &bytes), bytes.into()).unwrap()
            };
            let (left, right) = (node(&left), node(&right));
            let (i, end) = (from.index(left.len()), left.len());
            let expected = (i..end).take_while(|i| left.entry(*i) == right.entry(*i)).count();
            prop_assert_eq!(left.alike(i, &right, i), expected);
            prop_assert_eq!(left.alike(i, &left, i), end - i);
        }

        /// What decodes is canonical for the general codec too, and what changes by a byte is another node or none.
        #[test]
        fn a_damaged_node_is_refused_or_still_canonical(
            entries in prop::collection::btree_map(prop::collection::vec(any::<u8>(), 1..8), 1..300u64, 1..12),
            inner: bool,
            at: prop::sample::Index,
            byte: u8,
        ) {
            let entries: Vec<_> = entries.into_iter().collect();
            let mut bytes = codec::encode(&ipld(u8::from(inner), &entries)).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let cid = Cid::of(crate::Codec::DagCbor, &bytes);
            if Node::decode(&uncut(), cid, bytes.clone().into()).is_ok() {
                let value: Ipld = codec::decode(&bytes).unwrap();
                prop_assert_eq!(codec::encode(&value).unwrap(), bytes);
            }
        }
    }
}
