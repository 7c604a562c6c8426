//! The newest published tree of the same name, on its own store in memory. It has no way to change a tree but to build
//! it anew, and none to merge: both are put together here from what it has, with all entries at hand.

use std::collections::BTreeMap;

use rival::id::Cid;
use rival::prolly::{DiffEntry, ProllyKey, build_tree, diff, lookup};
use rival::store::MemoryBlockstore;

use super::Entries;

pub(crate) struct Lab {
    blocks: MemoryBlockstore,
    entries: BTreeMap<[u8; 16], Cid>,
    root: Cid,
}

fn value(n: u64) -> Cid {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&n.to_be_bytes());
    let bytes = [&[1, 0x71, 0x1e, 32][..], &digest].concat();
    Cid::from_bytes(&bytes).expect("a CID")
}

impl Lab {
    pub(crate) fn new(entries: &Entries) -> Lab {
        let blocks = MemoryBlockstore::new();
        let entries: BTreeMap<[u8; 16], Cid> = entries.iter().map(|(key, n)| (*key, value(*n))).collect();
        let root = build(&blocks, &entries);
        Lab { blocks, entries, root }
    }

    pub(crate) fn get(&self, key: &[u8; 16]) -> bool {
        lookup(&self.blocks, &self.root, &ProllyKey(*key)).expect("all nodes are there").is_some()
    }

    pub(crate) fn mutate(&self, edits: &Entries) -> Cid {
        let mut entries = self.entries.clone();
        entries.extend(edits.iter().map(|(key, n)| (*key, value(*n))));
        build(&self.blocks, &entries)
    }

    fn changes(&self, other: &Cid) -> Vec<DiffEntry> {
        diff(&self.blocks, &self.root, other).expect("all nodes are there")
    }

    pub(crate) fn diff(&self, other: &Cid) -> usize {
        self.changes(other).len()
    }

    pub(crate) fn merge(&self, left: &Cid, right: &Cid) {
        let mut entries = self.entries.clone();
        for change in self.changes(left).into_iter().chain(self.changes(right)) {
            match change {
                DiffEntry::Added { key, value } | DiffEntry::Changed { key, after: value, .. } => {
                    entries.insert(key.0, value);
                }
                DiffEntry::Removed { key, .. } => {
                    entries.remove(&key.0);
                }
            }
        }
        build(&self.blocks, &entries);
    }
}

fn build(blocks: &MemoryBlockstore, entries: &BTreeMap<[u8; 16], Cid>) -> Cid {
    let entries = entries.iter().map(|(key, value)| (ProllyKey(*key), value.clone()));
    build_tree(blocks, entries).expect("keys ascend")
}
