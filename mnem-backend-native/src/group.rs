//! Value groups: several values as one unit of reading, checking and compression.
//!
//! Bytes: FORMAT.md, "Native backend", "Value group".
//!
//! Invariants
//!  G1  A group is final once it is placed: nothing in it changes, and its address is in its checksum.
//!  G2  A decoded group has exactly the length that its header states, and every slot lies inside.
//!
//! Used by: `checkpoint` (writes), `data` (reads).

use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;
use mnem_core::{Block, Cid};

use crate::bytes::{StoreId, after, align_up, get, get_u16, get_u32, put, wide};
use crate::options::Compression;
use crate::page::PAGE_SIZE;

/// Groups begin at multiples of this.
pub(crate) const GRANULE_BYTES: u64 = 64;

/// Most bytes of a group's values and slots. One value of 16 MiB fits.
pub(crate) const GROUP_BYTES_MAX: usize = (16 << 20) + 4096;

const HEADER_BYTES: usize = 40;
const SLOT_BYTES: usize = 5;

const CRC: Range<usize> = 0..4;
const KIND: Range<usize> = after(&CRC, 1);
const FLAGS: Range<usize> = after(&KIND, 1);
const SLOTS: Range<usize> = after(&FLAGS, 2);
const STORED: Range<usize> = after(&SLOTS, 4);
const RAW: Range<usize> = after(&STORED, 4);
const ADDRESS: Range<usize> = after(&RAW, 8);
const GENERATION: Range<usize> = after(&ADDRESS, 8);
const ZERO: Range<usize> = after(&GENERATION, 4);
const PAYLOAD_CRC: Range<usize> = after(&ZERO, 4);
const _: () = assert!(PAYLOAD_CRC.end == HEADER_BYTES);

const FLAG_LZ4: u64 = 1;

/// LZ4 grows by less than this factor: a header that states more lies.
const LZ4_RATIO_MAX: u64 = 255;

/// What a group holds. Zero is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum GroupKind {
    /// Blocks; a slot's class is that of the block's CID.
    Blocks = 1,
    /// Values of rows, apart from blocks: damage to what is derived takes no block with it.
    Rows = 2,
}

/// Where a value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Locator {
    /// Start of the group, in granules from the start of the file.
    pub(crate) granule: u64,
    /// Length of the group with its padding, in granules.
    pub(crate) granules: u32,
    /// Which of its values.
    pub(crate) slot: u16,
    /// The checksum in the group's header: a lost or stale write is found out.
    pub(crate) crc: u32,
}

/// Bytes of a locator.
pub(crate) const LOCATOR_BYTES: usize = 14;

const LOC_GRANULE: Range<usize> = 0..5;
const LOC_GRANULES: Range<usize> = after(&LOC_GRANULE, 3);
const LOC_SLOT: Range<usize> = after(&LOC_GRANULES, 2);
const LOC_CRC: Range<usize> = after(&LOC_SLOT, 4);
const _: () = assert!(LOC_CRC.end == LOCATOR_BYTES);

impl Locator {
    /// Returns the pages that the value lies in.
    pub(crate) fn pages(&self) -> Range<u64> {
        let range = self.range();
        let page = wide(PAGE_SIZE);
        range.start / page..range.end.div_ceil(page)
    }

    pub(crate) fn encode(&self) -> [u8; LOCATOR_BYTES] {
        let mut bytes = [0; LOCATOR_BYTES];
        put(&mut bytes, LOC_GRANULE, self.granule);
        put(&mut bytes, LOC_GRANULES, self.granules);
        put(&mut bytes, LOC_SLOT, self.slot);
        put(&mut bytes, LOC_CRC, self.crc);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Locator> {
        let bytes: &[u8; LOCATOR_BYTES] = bytes.try_into().ok()?;
        Some(Locator {
            granule: get(bytes, LOC_GRANULE),
            granules: get_u32(bytes, LOC_GRANULES),
            slot: get_u16(bytes, LOC_SLOT),
            crc: get_u32(bytes, LOC_CRC),
        })
    }

    /// Returns the bytes of the group in the file.
    pub(crate) fn range(&self) -> Range<u64> {
        let start = self.granule * GRANULE_BYTES;
        start..start + u64::from(self.granules) * GRANULE_BYTES
    }
}

/// A group that has no place yet.
#[derive(Debug)]
pub(crate) struct Draft {
    kind: GroupKind,
    is_lz4: bool,
    slots: u16,
    raw_len: u32,
    payload: Vec<u8>,
}

impl Draft {
    /// Lays values out, each with its class, and compresses them where that makes them smaller.
    pub(crate) fn new(kind: GroupKind, values: &[(u8, Bytes)], compression: Compression) -> Draft {
        let mut raw = Vec::with_capacity(values.iter().map(|(_, value)| value.len() + SLOT_BYTES).sum());
        let mut end = 0;
        for (class, value) in values {
            end += value.len();
            raw.extend(u32::try_from(end).expect("values of a group are bounded").to_le_bytes());
            raw.push(*class);
        }
        values.iter().for_each(|(_, value)| raw.extend_from_slice(value));
        assert!(raw.len() <= GROUP_BYTES_MAX, "a group is bounded");
        let raw_len = u32::try_from(raw.len()).expect("a group is bounded");
        let packed = compression.shrink(&raw);
        Draft {
            kind,
            is_lz4: packed.is_some(),
            slots: u16::try_from(values.len()).expect("a group has few values"),
            raw_len,
            payload: packed.unwrap_or(raw),
        }
    }

    /// Returns its length with padding, in granules.
    pub(crate) fn granules(&self) -> u32 {
        let bytes = align_up(wide(HEADER_BYTES + self.payload.len()), GRANULE_BYTES);
        u32::try_from(bytes / GRANULE_BYTES).expect("a group is bounded")
    }

    /// Appends the group as it must stand at `granule` to `out`, and returns the checksum for its locators.
    pub(crate) fn place(&self, store: StoreId, granule: u64, generation: u64, out: &mut Vec<u8>) -> u32 {
        let mut header = [0; HEADER_BYTES];
        put(&mut header, KIND, self.kind as u8);
        put(&mut header, FLAGS, if self.is_lz4 { FLAG_LZ4 } else { 0 });
        put(&mut header, SLOTS, self.slots);
        put(&mut header, STORED, wide(self.payload.len()));
        put(&mut header, RAW, self.raw_len);
        put(&mut header, ADDRESS, granule);
        put(&mut header, GENERATION, generation);
        put(&mut header, PAYLOAD_CRC, crc32c::crc32c(&self.payload));
        let crc = store.checksum(granule, &header[CRC.end..]);
        put(&mut header, CRC, crc);
        let end = out.len() + usize::try_from(u64::from(self.granules()) * GRANULE_BYTES).expect("bounded");
        out.extend_from_slice(&header);
        out.extend_from_slice(&self.payload);
        out.resize(end, 0);
        crc
    }
}

/// What is wrong with a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupFault {
    /// No group begins here.
    Header,
    /// A group begins here, but not the one that was asked for.
    Stale,
    /// Its payload is not what was written.
    Payload,
    /// It is what was written, and cannot be taken apart.
    Packing,
}

/// A group as it was read: checked and decompressed.
#[derive(Debug)]
pub(crate) struct Group {
    raw: Bytes,
    slots: usize,
    is_intact: bool,
    /// Its blocks, as far as somebody has proven them.
    blocks: Box<[OnceLock<Block>]>,
}

impl Group {
    /// Checks and decompresses what was read where `locator` points. `None`: nothing of it can be read. A group whose
    /// payload is damaged may still have whole blocks in it, which prove themselves: it is [not intact](Self::is_intact).
    pub(crate) fn decode(store: StoreId, locator: &Locator, bytes: &[u8]) -> Option<Group> {
        Group::decode_with(store, locator, bytes, unpack)
    }

    /// The same, with what can be had of a payload that cannot be decompressed to its end: zeros for the rest. Believe
    /// only what proves itself.
    pub(crate) fn salvage(store: StoreId, locator: &Locator, bytes: &[u8]) -> Option<Group> {
        Group::decode_with(store, locator, bytes, |stored, raw_len, is_lz4, bytes_max| {
            unpack(stored, raw_len, is_lz4, bytes_max).or_else(|| {
                let is_possible = is_lz4
                    && raw_len <= bytes_max
                    && wide(raw_len) <= wide(stored.len()).saturating_mul(LZ4_RATIO_MAX);
                let mut raw = vec![0; if is_possible { raw_len } else { 0 }];
                // It fails, and leaves behind what it had by then.
                let _ = lz4_flex::block::decompress_into(stored, &mut raw);
                is_possible.then_some(raw)
            })
        })
    }

    fn decode_with(
        store: StoreId,
        locator: &Locator,
        bytes: &[u8],
        unpack: impl FnOnce(&[u8], usize, bool, usize) -> Option<Vec<u8>>,
    ) -> Option<Group> {
        let header = bytes.get(..HEADER_BYTES)?;
        let crc = get_u32(header, CRC);
        let is_right = crc == locator.crc
            && crc == store.checksum(locator.granule, &header[CRC.end..])
            && get(header, ADDRESS) == locator.granule
            && matches!(get(header, KIND), 1 | 2);
        if !is_right {
            return None;
        }
        let stored = usize::try_from(get(header, STORED)).ok()?;
        let payload = bytes.get(HEADER_BYTES..HEADER_BYTES.checked_add(stored)?)?;
        let is_intact = crc32c::crc32c(payload) == get_u32(header, PAYLOAD_CRC);
        let raw_len = usize::try_from(get(header, RAW)).ok()?;
        let raw = unpack(payload, raw_len, get(header, FLAGS) & FLAG_LZ4 != 0, GROUP_BYTES_MAX)?;
        let slots = usize::try_from(get(header, SLOTS)).ok()?;
        let mut group = Group { raw: raw.into(), slots, is_intact, blocks: Box::default() };
        if !group.is_sound() {
            return None;
        }
        if get(header, KIND) == GroupKind::Blocks as u64 {
            group.blocks = (0..slots).map(|_| OnceLock::new()).collect();
        }
        Some(group)
    }

    /// The same, and if it is not whole, why.
    pub(crate) fn judge(store: StoreId, locator: &Locator, bytes: &[u8]) -> Result<Group, GroupFault> {
        let header = bytes.get(..HEADER_BYTES).ok_or(GroupFault::Header)?;
        let crc = get_u32(header, CRC);
        if crc != store.checksum(locator.granule, &header[CRC.end..]) {
            return Err(GroupFault::Header);
        }
        if crc != locator.crc {
            return Err(GroupFault::Stale);
        }
        let stored = usize::try_from(get(header, STORED)).map_err(|_| GroupFault::Header)?;
        let payload = bytes.get(HEADER_BYTES..HEADER_BYTES + stored).ok_or(GroupFault::Header)?;
        if crc32c::crc32c(payload) != get_u32(header, PAYLOAD_CRC) {
            return Err(GroupFault::Payload);
        }
        Group::decode(store, locator, bytes).ok_or(GroupFault::Packing)
    }

    /// Finds out whether a group of blocks begins at `granule`, by its own word, and where it would end.
    pub(crate) fn identify(store: StoreId, granule: u64, bytes: &[u8]) -> Option<Locator> {
        let header = bytes.get(..HEADER_BYTES)?;
        // What most places fail comes first.
        if get(header, ADDRESS) != granule || get(header, KIND) != GroupKind::Blocks as u64 {
            return None;
        }
        let crc = get_u32(header, CRC);
        if crc != store.checksum(granule, &header[CRC.end..]) {
            return None;
        }
        let stored = usize::try_from(get(header, STORED)).ok().filter(|stored| *stored <= GROUP_BYTES_MAX)?;
        let granules = align_up(wide(HEADER_BYTES + stored), GRANULE_BYTES) / GRANULE_BYTES;
        Some(Locator { granule, granules: u32::try_from(granules).ok()?, slot: 0, crc })
    }

    /// Returns how many values it has.
    pub(crate) fn slots(&self) -> u16 {
        u16::try_from(self.slots).expect("the header has two bytes for it")
    }

    /// Says whether all of it is what was written. If not, believe only what proves itself.
    pub(crate) fn is_intact(&self) -> bool {
        self.is_intact
    }

    fn is_sound(&self) -> bool {
        let Some(data) = self.raw.len().checked_sub(self.slots * SLOT_BYTES) else { return false };
        let ends = (0..self.slots).map(|slot| self.end(slot));
        ends.clone().is_sorted() && ends.last().unwrap_or(0) == data
    }

    fn end(&self, slot: usize) -> usize {
        let at = slot * SLOT_BYTES;
        usize::try_from(get(&self.raw, at..at + 4)).expect("four bytes")
    }

    /// Returns a value. It shares the group's memory.
    pub(crate) fn value(&self, slot: u16) -> Option<Bytes> {
        let slot = usize::from(slot);
        if slot >= self.slots {
            return None;
        }
        let data = self.slots * SLOT_BYTES;
        let start = if slot == 0 { 0 } else { self.end(slot - 1) };
        Some(self.raw.slice(data + start..data + self.end(slot)))
    }

    /// Returns the class of a value: that of a block's CID, or that of rows.
    pub(crate) fn class(&self, slot: u16) -> Option<u8> {
        let slot = usize::from(slot);
        (slot < self.slots).then(|| self.raw[slot * SLOT_BYTES + SLOT_BYTES - 1])
    }

    /// Returns how many bytes its values have together.
    pub(crate) fn value_bytes(&self) -> usize {
        self.raw.len() - self.slots * SLOT_BYTES
    }

    /// Says whether somebody has read this block here.
    pub(crate) fn is_proven(&self, slot: u16) -> bool {
        self.blocks.get(usize::from(slot)).is_some_and(|block| block.get().is_some())
    }

    /// Returns a block, proven by its hash: once, as long as the group stays in memory.
    pub(crate) fn block(&self, slot: u16, cid: &Cid) -> Option<Block> {
        let known = self.blocks.get(usize::from(slot))?;
        if known.get().is_none() {
            let block = Block::verify(*cid, self.value(slot)?).ok()?;
            let _ = known.set(block);
        }
        known.get().filter(|block| block.cid() == cid).cloned()
    }

    /// Returns how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.raw.len() + size_of_val(&*self.blocks)
    }
}

/// Undoes compression into exactly `raw_len` bytes, at most `bytes_max`. Nothing is allocated before that is checked.
pub(crate) fn unpack(stored: &[u8], raw_len: usize, is_lz4: bool, bytes_max: usize) -> Option<Vec<u8>> {
    if raw_len > bytes_max {
        return None;
    }
    if !is_lz4 {
        return (stored.len() == raw_len).then(|| stored.to_vec());
    }
    if wide(raw_len) > wide(stored.len()).saturating_mul(LZ4_RATIO_MAX) {
        return None;
    }
    let mut raw = vec![0; raw_len];
    let written = lz4_flex::block::decompress_into(stored, &mut raw).ok()?;
    (written == raw_len).then_some(raw)
}

/// The layouts as FORMAT.md has them.
#[cfg(test)]
pub(crate) const LAYOUT: [(&str, Range<usize>); 10] = [
    ("checksum", CRC),
    ("kind", KIND),
    ("flags", FLAGS),
    ("values", SLOTS),
    ("stored", STORED),
    ("raw", RAW),
    ("granule", ADDRESS),
    ("generation", GENERATION),
    ("zero", ZERO),
    ("payload checksum", PAYLOAD_CRC),
];
#[cfg(test)]
pub(crate) const LOCATOR_LAYOUT: [(&str, Range<usize>); 4] =
    [("granule", LOC_GRANULE), ("granules", LOC_GRANULES), ("slot", LOC_SLOT), ("checksum", LOC_CRC)];

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: StoreId = StoreId([7; 16]);

    fn placed(values: &[&[u8]], compression: Compression) -> (Locator, Vec<u8>) {
        let values: Vec<_> = values.iter().map(|value| (1, Bytes::copy_from_slice(value))).collect();
        let draft = Draft::new(GroupKind::Blocks, &values, compression);
        let mut bytes = Vec::new();
        let crc = draft.place(STORE, 128, 2, &mut bytes);
        (Locator { granule: 128, granules: draft.granules(), slot: 0, crc }, bytes)
    }

    #[test]
    fn values_come_back_compressed_or_not_also_empty_ones() {
        let long = [b'x'; 3000];
        let values: [&[u8]; 4] = [b"", b"one", &long, b""];
        for compression in [Compression::None, Compression::Lz4] {
            let (locator, bytes) = placed(&values, compression);
            assert_eq!(bytes.len() as u64, locator.range().end - locator.range().start);
            let group = Group::decode(STORE, &locator, &bytes).unwrap();
            for (slot, value) in (0..).zip(values) {
                assert_eq!(group.value(slot).unwrap(), value);
            }
            assert_eq!(group.value(4), None);
            assert_eq!(bytes.len() < 1000, compression == Compression::Lz4);
        }
    }

    #[test]
    fn every_flipped_bit_before_the_padding_is_found() {
        let (locator, bytes) = placed(&[b"some value", b"another"], Compression::None);
        let used = HEADER_BYTES + 2 * SLOT_BYTES + 17;
        for bit in 0..used * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let group = Group::decode(STORE, &locator, &bytes);
            assert!(group.is_none_or(|group| !group.is_intact()), "bit {bit}");
        }
    }

    #[test]
    fn a_group_elsewhere_or_of_others_or_older_than_its_locator_is_damaged() {
        let (locator, bytes) = placed(&[b"some value"], Compression::None);
        assert!(Group::decode(STORE, &Locator { granule: 64, ..locator }, &bytes).is_none());
        assert!(Group::decode(STORE, &Locator { crc: locator.crc ^ 1, ..locator }, &bytes).is_none());
        assert!(Group::decode(StoreId([8; 16]), &locator, &bytes).is_none());
        assert!(Group::decode(STORE, &locator, &bytes[..20]).is_none());
    }

    #[test]
    fn lengths_that_compression_cannot_reach_are_refused_before_memory_is_taken() {
        assert_eq!(unpack(&[0; 10], 2551, true, usize::MAX), None);
        assert_eq!(unpack(&[0; 10], 11, false, usize::MAX), None);
        assert_eq!(unpack(&[0; 10], 10, false, 9), None);
    }

    #[test]
    fn locators_round_trip_at_their_limits() {
        let locator = Locator { granule: (1 << 40) - 1, granules: (1 << 24) - 1, slot: u16::MAX, crc: 5 };
        assert_eq!(Locator::decode(&locator.encode()), Some(locator));
        assert_eq!(Locator::decode(&[0; 13]), None);
    }
}
