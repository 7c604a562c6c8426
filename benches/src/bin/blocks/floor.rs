//! The floor: a log in a file that was written with zeros before, one write and one sync a commit, and a map in memory.
//! Nothing durable can be faster here.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;

use mnem_core::{Block, Cid};

use crate::engines::{Engine, Memory};

const CHUNK_BYTES: u64 = 64 << 20;

pub(crate) struct Floor {
    file: File,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    end: u64,
    zeroed: u64,
    places: HashMap<Cid, (u64, usize)>,
}

impl Floor {
    pub(crate) fn open(path: &Path, _memory: Memory) -> Box<dyn Engine> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(true);
        Box::new(Floor { file: options.open(path.join("log")).expect("open"), state: Mutex::default() })
    }
}

impl Engine for Floor {
    fn commit(&self, _head: usize, blocks: &[Block]) {
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
        while state.end + bytes.len() as u64 > state.zeroed {
            let zeros = vec![0; CHUNK_BYTES as usize];
            self.file.write_all_at(&zeros, state.zeroed).expect("write");
            self.file.sync_all().expect("sync");
            state.zeroed += CHUNK_BYTES;
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
    fn scan(&self, _see: &mut dyn FnMut(&[u8])) {}
    fn delete(&self, _cids: &[Cid]) {}
    fn reclaim(&self) {}
}
