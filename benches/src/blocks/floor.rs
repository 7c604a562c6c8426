//! The floors: a log in a file that was written with zeros before, one write and one sync a commit; and a map in memory.
//! Nothing durable commits faster than the one, nothing reads faster than the other.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mnem_core::{Block, Cid};

use super::engines::{Engine, Memory};
use crate::random::Random;

const CHUNK_BYTES: u64 = 128 << 20;
/// What is larger is appended: to write zeros first would be twice the work.
const SMALL_BYTES: usize = 1 << 20;

pub(crate) struct Log {
    file: File,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    end: u64,
    zeroed: u64,
    places: HashMap<Cid, (u64, usize)>,
}

impl Log {
    pub(crate) fn open(path: &Path, _: Memory) -> Box<dyn Engine> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(true);
        let log = Log { file: options.open(path.join("log")).expect("open"), state: Mutex::default() };
        log.zero(&mut log.state.lock().expect("no panic"));
        Box::new(log)
    }

    fn zero(&self, state: &mut State) {
        let zeros = vec![0; CHUNK_BYTES as usize];
        self.file.write_all_at(&zeros, state.zeroed).expect("write");
        self.file.sync_all().expect("sync");
        state.zeroed += CHUNK_BYTES;
    }
}

impl Engine for Log {
    fn commit(&self, _: usize, blocks: &[Block]) {
        let mut state = self.state.lock().expect("no panic");
        let mut bytes = Vec::new();
        for block in blocks {
            bytes.extend_from_slice(&block.cid().to_bytes());
            bytes.extend_from_slice(&crc32c::crc32c(block.bytes()).to_le_bytes());
            let place = state.end + bytes.len() as u64;
            state.places.insert(*block.cid(), (place, block.bytes().len()));
            bytes.extend_from_slice(block.bytes());
        }
        bytes.resize(bytes.len().next_multiple_of(4096), 0);
        while bytes.len() < SMALL_BYTES && state.end + bytes.len() as u64 > state.zeroed {
            self.zero(&mut state);
        }
        self.file.write_all_at(&bytes, state.end).expect("write");
        self.file.sync_data().expect("sync");
        state.end += bytes.len() as u64;
    }

    fn get(&self, cid: &Cid, see: &mut dyn FnMut(&[u8])) -> bool {
        let place = self.state.lock().expect("no panic").places.get(cid).copied();
        let Some((at, length)) = place else { return false };
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, at).expect("read");
        see(&bytes);
        true
    }

    fn scan(&self, _: &mut dyn FnMut(&[u8])) {}
    fn delete(&self, _: &[Cid]) {}
    fn reclaim(&self) {}
}

/// Reads 16 KiB at random places of a file, past every cache, `count` times.
pub(crate) fn raw_reads(path: &Path, count: usize) -> Vec<Duration> {
    const BYTES: usize = 16 << 10;
    const DIRECT: i32 = 0o40_000;
    const PAGE: usize = 4096;
    let file = OpenOptions::new().read(true).custom_flags(DIRECT).open(path).expect("open");
    let places = file.metadata().expect("metadata").len() as usize / BYTES;
    let mut bytes = vec![0; BYTES + PAGE];
    let aligned = bytes.as_ptr().align_offset(PAGE);
    let bytes = &mut bytes[aligned..aligned + BYTES];
    let mut random = Random(5);
    let read = |_| {
        let start = Instant::now();
        file.read_exact_at(bytes, (random.below(places) * BYTES) as u64).expect("read");
        start.elapsed()
    };
    (0..count).map(read).collect()
}

#[derive(Default)]
pub(crate) struct Map(RwLock<HashMap<Cid, Bytes>>);

impl Map {
    pub(crate) fn open(_: &Path, _: Memory) -> Box<dyn Engine> {
        Box::new(Map::default())
    }
}

impl Engine for Map {
    fn commit(&self, _: usize, blocks: &[Block]) {
        let mut map = self.0.write().expect("no panic");
        map.extend(blocks.iter().map(|block| (*block.cid(), Bytes::copy_from_slice(block.bytes()))));
    }

    fn get(&self, cid: &Cid, see: &mut dyn FnMut(&[u8])) -> bool {
        self.0.read().expect("no panic").get(cid).map(|bytes| see(bytes)).is_some()
    }

    fn scan(&self, see: &mut dyn FnMut(&[u8])) {
        self.0.read().expect("no panic").values().for_each(|bytes| see(bytes));
    }

    fn delete(&self, cids: &[Cid]) {
        let mut map = self.0.write().expect("no panic");
        cids.iter().for_each(|cid| drop(map.remove(cid)));
    }

    fn reclaim(&self) {
        self.0.write().expect("no panic").shrink_to_fit();
    }
}
