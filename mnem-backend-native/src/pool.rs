//! The buffer pool: pages and groups that were read, checked and decompressed, in a fixed amount of memory.
//!
//! A frame that was used since the hand last came by gets a second chance (CLOCK). Frames are shared by counting: what
//! is evicted while somebody reads it stays until the reader is done.
//!
//! Invariants
//!  K1  What the frames weigh together is at most the capacity; what weighs more than a shard is served uncached.
//!  K2  A key names content, not a place: its checksum is part of it. So a page that is written anew never meets a frame
//!      of what was there before.
//!
//! Used by: `data`. Threads: any number; a lock is never held across I/O.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::group::Group;
use crate::index::Node;

const SHARDS: usize = 8;

/// Where a frame's content lies, and its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FrameKey {
    Node { page: u64, crc: u32 },
    Group { granule: u64, crc: u32 },
}

#[derive(Clone, Debug)]
pub(crate) enum Frame {
    Node(Arc<Node>),
    Group(Arc<Group>),
}

impl Frame {
    fn weight_bytes(&self) -> usize {
        const OVERHEAD_BYTES: usize = 160;
        OVERHEAD_BYTES
            + match self {
                Frame::Node(_) => crate::page::PAGE_SIZE,
                Frame::Group(group) => group.bytes(),
            }
    }
}

#[derive(Debug)]
struct Slot {
    key: FrameKey,
    frame: Frame,
    was_used: bool,
}

#[derive(Debug, Default)]
struct Shard {
    places: HashMap<FrameKey, usize>,
    slots: Vec<Slot>,
    hand: usize,
    bytes: usize,
}

/// Frames in a fixed amount of memory.
#[derive(Debug)]
pub(crate) struct BufferPool {
    shards: [Mutex<Shard>; SHARDS],
    shard_bytes_max: usize,
}

impl BufferPool {
    /// Makes an empty one for at most `bytes`.
    pub(crate) fn new(bytes: usize) -> BufferPool {
        BufferPool { shards: Default::default(), shard_bytes_max: bytes / SHARDS }
    }

    /// Returns what the frames weigh.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).bytes).sum()
    }

    fn shard(&self, key: &FrameKey) -> MutexGuard<'_, Shard> {
        let (FrameKey::Node { crc, .. } | FrameKey::Group { crc, .. }) = key;
        lock(&self.shards[*crc as usize % SHARDS])
    }

    pub(crate) fn get(&self, key: &FrameKey) -> Option<Frame> {
        let mut shard = self.shard(key);
        let place = *shard.places.get(key)?;
        let slot = &mut shard.slots[place];
        slot.was_used = true;
        Some(slot.frame.clone())
    }

    pub(crate) fn insert(&self, key: FrameKey, frame: Frame) {
        let weight = frame.weight_bytes();
        if weight > self.shard_bytes_max {
            return;
        }
        let mut shard = self.shard(&key);
        shard.remove(&key);
        while shard.bytes + weight > self.shard_bytes_max {
            shard.evict();
        }
        shard.bytes += weight;
        let place = shard.slots.len();
        shard.places.insert(key, place);
        shard.slots.push(Slot { key, frame, was_used: false });
    }

    /// Forgets a frame, for one whose content turned out wrong.
    pub(crate) fn remove(&self, key: &FrameKey) {
        self.shard(key).remove(key);
    }
}

impl Shard {
    fn evict(&mut self) {
        loop {
            self.hand %= self.slots.len();
            let slot = &mut self.slots[self.hand];
            if !std::mem::take(&mut slot.was_used) {
                let key = slot.key;
                return self.remove(&key);
            }
            self.hand += 1;
        }
    }

    fn remove(&mut self, key: &FrameKey) {
        if let Some(place) = self.places.remove(key) {
            let slot = self.slots.swap_remove(place);
            self.bytes -= slot.frame.weight_bytes();
            if let Some(moved) = self.slots.get(place) {
                self.places.insert(moved.key, place);
            }
        }
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // A cache: whatever a panic left in it is at worst a miss.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::StoreId;
    use crate::group::{Draft, GroupKind, Locator};
    use crate::options::Compression;

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
