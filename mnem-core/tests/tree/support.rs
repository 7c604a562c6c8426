//! Blocks in memory, and random numbers that are the same everywhere.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use mnem_core::port::{BlockRead, CidStream, StoreError};
use mnem_core::tree::{BlockSink, Tree, TreeParams, TreeStore};
use mnem_core::{Block, Cid, CidClass};

/// Parameters that make nodes of a few entries, so that small trees are high.
pub(crate) const SHRUNKEN: [TreeParams; 4] = [
    TreeParams { min: 64, max: 512, shift: 52, seed: [0; 32] },
    TreeParams { min: 100, max: 300, shift: 48, seed: [1; 32] },
    TreeParams { min: 0, max: 256, shift: 50, seed: [2; 32] },
    TreeParams { min: 128, max: 4096, shift: 47, seed: [3; 32] },
];

/// The model: what a tree should hold.
pub(crate) type Model = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Default)]
pub(crate) struct Blocks(Mutex<BTreeMap<Cid, Block>>);

impl Blocks {
    pub(crate) fn new() -> Arc<Blocks> {
        Arc::default()
    }

    pub(crate) fn add(&self, blocks: impl IntoIterator<Item = Block>) {
        self.0.lock().unwrap().extend(blocks.into_iter().map(|block| (*block.cid(), block)));
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl BlockSink for &Blocks {
    fn put(&mut self, block: Block) -> Result<(), StoreError> {
        self.add([block]);
        Ok(())
    }
}

impl BlockRead for Blocks {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        Ok(self.0.lock().unwrap().get(cid).cloned())
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        cids.iter().map(|cid| self.get(cid)).collect()
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.get(cid)?.is_some())
    }

    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        cids.iter().map(|cid| self.has(cid)).collect()
    }

    fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
        let cids: Vec<Cid> =
            self.0.lock().unwrap().keys().copied().filter(|cid| Some(*cid) > after).collect();
        Ok(Box::new(cids.into_iter().map(Ok)))
    }
}

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap()
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let words = len.div_ceil(8);
        let mut bytes: Vec<u8> = (0..words).flat_map(|_| self.next().to_be_bytes()).collect();
        bytes.truncate(len);
        bytes
    }

    pub(crate) fn link(&mut self) -> Vec<u8> {
        let digest = self.bytes(32).try_into().unwrap();
        mnem_core::tree::link_value(&Cid::from_parts(CidClass::DagCborBlake3, digest)).to_vec()
    }

    /// One entry of the kinds that the fixture knows: see tests/fixtures/v1/tree_roots.py.
    pub(crate) fn entry(&mut self, kind: u64) -> (Vec<u8>, Vec<u8>) {
        match kind {
            0 => (self.bytes(16), self.link()),
            1 => (u128::from(self.below(65536)).to_be_bytes().to_vec(), byte_string(b"")),
            _ => {
                let len = 1 + self.index(120);
                let key = self.bytes(len).into_iter().map(|byte| b'a' + byte % 6).collect();
                let len = self.index(300);
                (key, byte_string(&self.bytes(len)))
            }
        }
    }

    pub(crate) fn model(&mut self, n: u64, kind: u64) -> Model {
        (0..n).map(|_| self.entry(kind)).collect()
    }
}

/// The value that is a byte string.
pub(crate) fn byte_string(bytes: &[u8]) -> Vec<u8> {
    let mut writer = mnem_core::codec::Writer::new();
    writer.bytes(bytes);
    writer.into_bytes()
}

pub(crate) fn store(blocks: &Arc<Blocks>, params: &TreeParams) -> TreeStore {
    TreeStore::new(blocks.clone(), params).unwrap()
}

pub(crate) fn build(blocks: &Arc<Blocks>, params: &TreeParams, model: &Model) -> Tree {
    store(blocks, params).build(model, &mut blocks.as_ref()).unwrap()
}

pub(crate) fn owned(value: Option<&Vec<u8>>) -> Option<Bytes> {
    value.map(|value| Bytes::copy_from_slice(value))
}

/// Returns the seeds to run: `MNEM_CASES` says how many, `MNEM_SEED` names a single one.
pub(crate) fn cases() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    match number("MNEM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("MNEM_CASES").unwrap_or(60),
    }
}

/// Returns every node of a tree.
pub(crate) fn reachable(blocks: &Arc<Blocks>, root: &Cid) -> Vec<Cid> {
    let mut found = Vec::new();
    let mut open = vec![*root];
    while let Some(cid) = open.pop() {
        found.push(cid);
        let block = blocks.get(&cid).unwrap().expect("every node of a tree is there");
        let is_leaf = block.bytes().last() == Some(&0);
        if !is_leaf {
            open.extend(mnem_core::codec::links(cid.codec(), block.bytes()).unwrap());
        }
    }
    found
}
