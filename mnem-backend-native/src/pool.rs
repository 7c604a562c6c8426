//! The buffer pool: pages and groups that were read, checked and decompressed, in a fixed amount of memory. A block that is
//! read again gets a frame of its own, by its CID: who finds that needs neither index nor group.
//!
//! A frame that was used since the hand last came by gets a second chance (CLOCK); one that only a scan touched gets none.
//! Frames are shared by counting: what is evicted while somebody reads it stays until the reader is done.
//!
//! Invariants
//!  K1  What the frames weigh together is at most the capacity; what weighs more than a shard is served uncached.
//!  K2  A key names content, not a place: its checksum is part of it. So a page that is written anew never meets a frame
//!      of what was there before.
//!  K3  The frame of a block says since when it has been in the pages. It serves who sees no older pages, until a
//!      checkpoint takes out blocks: from then on another [`Presence`] counts.
//!
//! Used by: `data`. Threads: any number; a lock is never held across I/O, and one that only reads shares it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use mnem_core::{Block, Cid};

use crate::group::Group;
use crate::index::Node;

const SHARDS_MAX: usize = 64;

/// A shard is at least this large, so that frames of all usual sizes fit.
const SHARD_BYTES_MIN: usize = 128 << 10;

/// A stretch of checkpoints none of which took out a block: what was in the pages stays there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Presence(u64);

impl Presence {
    /// Begins one that no other store or moment shares.
    pub(crate) fn begin() -> Presence {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Presence(LAST.fetch_add(1, Ordering::Relaxed))
    }
}

/// Where a frame's content lies, and its checksum; for a block, the first bytes of its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKey {
    Node { page: u64, crc: u32 },
    Group { granule: u64, crc: u32 },
    Block { presence: Presence, hash: u64 },
}

impl FrameKey {
    /// Returns the key of a block's frame.
    pub(crate) fn block(presence: Presence, cid: &Cid) -> FrameKey {
        let hash = cid.digest().first_chunk().expect("a hash has 32 bytes");
        FrameKey::Block { presence, hash: u64::from_le_bytes(*hash) }
    }

    /// Returns what is as good as random in it, and what tells apart those that share that.
    fn parts(&self) -> (u64, u64) {
        match self {
            FrameKey::Node { page: place, crc } | FrameKey::Group { granule: place, crc } => {
                (u64::from(*crc) << 32 | u64::from(*crc), *place)
            }
            FrameKey::Block { presence, hash } => (*hash, presence.0),
        }
    }

    fn number(&self) -> u64 {
        let (random, place) = self.parts();
        random ^ place.rotate_left(7)
    }
}

impl Hash for FrameKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.number());
    }
}

/// For keys that are checksums: one multiplication spreads them.
#[derive(Debug, Default)]
struct FrameHasher(u64);

impl Hasher for FrameHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Frame {
    Node(Arc<Node>),
    Group(Arc<Group>),
    /// A block, and the generation of the pages in which it was found.
    Block(Block, u64),
}

impl Frame {
    fn weight_bytes(&self) -> usize {
        const OVERHEAD_BYTES: usize = 160;
        OVERHEAD_BYTES
            + match self {
                Frame::Node(node) => node.bytes(),
                Frame::Group(group) => group.bytes(),
                Frame::Block(block, _) => block.bytes().len(),
            }
    }
}

#[derive(Debug)]
struct Slot {
    frame: Frame,
    was_used: AtomicBool,
}

#[derive(Debug, Default)]
struct Shard {
    slots: HashMap<FrameKey, Slot, BuildHasherDefault<FrameHasher>>,
    /// Every key that has a slot, and perhaps some that have none any more.
    ring: Vec<FrameKey>,
    hand: usize,
    bytes: usize,
    /// Here and not in one place, which the readers of all shards would fight for.
    hits: AtomicU64,
}

/// Frames in a fixed amount of memory.
#[derive(Debug)]
pub(crate) struct BufferPool {
    shards: Box<[RwLock<Shard>]>,
    shard_bytes_max: usize,
}

impl BufferPool {
    /// Makes an empty one for at most `bytes`.
    pub(crate) fn new(bytes: usize) -> BufferPool {
        let shards = (bytes / SHARD_BYTES_MIN).clamp(1, SHARDS_MAX);
        let shards = 1 << shards.ilog2();
        BufferPool {
            shards: (0..shards).map(|_| RwLock::default()).collect(),
            shard_bytes_max: bytes / shards,
        }
    }

    /// Returns what the frames weigh.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| read(shard).bytes).sum()
    }

    fn shard(&self, key: &FrameKey) -> &RwLock<Shard> {
        let random = key.parts().0 % self.shards.len() as u64;
        &self.shards[usize::try_from(random).expect("one of few")]
    }

    /// Returns a frame, and notes that it is in use.
    pub(crate) fn get(&self, key: &FrameKey) -> Option<Frame> {
        let shard = read(self.shard(key));
        let slot = shard.slots.get(key)?;
        // Reading is cheaper than writing where others read too.
        if !slot.was_used.load(Ordering::Relaxed) {
            slot.was_used.store(true, Ordering::Relaxed);
        }
        shard.hits.fetch_add(1, Ordering::Relaxed);
        Some(slot.frame.clone())
    }

    /// Returns how often a frame was found.
    pub(crate) fn hits(&self) -> u64 {
        self.shards.iter().map(|shard| read(shard).hits.load(Ordering::Relaxed)).sum()
    }

    /// Says whether a frame is there.
    pub(crate) fn contains(&self, key: &FrameKey) -> bool {
        read(self.shard(key)).slots.contains_key(key)
    }

    pub(crate) fn insert(&self, key: FrameKey, frame: Frame) {
        let weight = frame.weight_bytes();
        if weight > self.shard_bytes_max {
            return;
        }
        let mut shard = write(self.shard(&key));
        shard.remove(&key);
        while shard.bytes + weight > self.shard_bytes_max {
            shard.evict();
        }
        shard.bytes += weight;
        shard.slots.insert(key, Slot { frame, was_used: AtomicBool::new(false) });
        shard.ring.push(key);
    }

    /// Forgets a frame, for one whose content turned out wrong.
    pub(crate) fn remove(&self, key: &FrameKey) {
        write(self.shard(key)).remove(key);
    }
}

impl Shard {
    /// Moves the hand by one, and takes out what it points at unless that was used.
    fn evict(&mut self) {
        self.hand %= self.ring.len();
        let key = self.ring[self.hand];
        if self.slots.get(&key).is_some_and(|slot| slot.was_used.swap(false, Ordering::Relaxed)) {
            self.hand += 1;
            return;
        }
        self.ring.swap_remove(self.hand);
        self.remove(&key);
    }

    fn remove(&mut self, key: &FrameKey) {
        if let Some(slot) = self.slots.remove(key) {
            self.bytes -= slot.frame.weight_bytes();
        }
    }
}

// A cache: whatever a panic left in it is at worst a miss.

fn read(shard: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(shard: &RwLock<Shard>) -> RwLockWriteGuard<'_, Shard> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::StoreId;
    use crate::group::{Draft, GroupKind, Locator};
    use crate::options::Compression;

    const SHARDS: usize = 1;

    fn frame(bytes: usize) -> Frame {
        let store = StoreId([1; 16]);
        let value = bytes::Bytes::from(vec![1; bytes]);
        let draft = Draft::new(GroupKind::Blocks, &[(1, value)], Compression::None);
        let mut placed = Vec::new();
        let crc = draft.place(store, 64, 1, &mut placed);
        let locator = Locator { granule: 64, granules: draft.granules(), slot: 0, crc };
        Frame::Group(Arc::new(Group::decode(store, &locator, &placed).unwrap()))
    }

    /// All of one shard.
    fn key(number: u64) -> FrameKey {
        FrameKey::Group { granule: number, crc: 8 }
    }

    #[test]
    fn frames_never_weigh_more_than_the_capacity() {
        let pool = BufferPool::new(SHARDS * 10_000);
        for number in 0..100 {
            pool.insert(key(number), frame(1000));
            assert!(pool.bytes() <= 10_000);
        }
        assert!(pool.bytes() > 8000);
        pool.insert(key(200), frame(20_000));
        assert!(pool.get(&key(200)).is_none(), "what is larger than a shard is not kept");
    }

    #[test]
    fn what_is_used_stays_longer_than_what_is_not() {
        let pool = BufferPool::new(SHARDS * 10_000);
        pool.insert(key(0), frame(1000));
        for number in 1..50 {
            assert!(pool.get(&key(0)).is_some(), "{number}");
            pool.insert(key(number), frame(1000));
        }
        assert!(pool.get(&key(1)).is_none());
    }

    #[test]
    fn a_frame_that_is_read_outlives_its_eviction() {
        let pool = BufferPool::new(SHARDS * 10_000);
        pool.insert(key(0), frame(1000));
        let held = pool.get(&key(0)).unwrap();
        pool.remove(&key(0));
        assert!(pool.get(&key(0)).is_none());
        let Frame::Group(group) = held else { panic!("a group") };
        assert_eq!(group.value(0).unwrap().len(), 1000);
        assert_eq!(pool.bytes(), 0);
    }
}
