//! The trees of mnem, on the store in memory, behind a cache that holds all of them.

use std::sync::Arc;

use mnem_core::port::Blockstore;
use mnem_core::tree::{
    BlockSink, Dispute, Edit, KeyRange, NodeCache, Order, Tree, TreeError, TreeParams, TreeStore, link_value,
};
use mnem_core::{Block, Cid, CidClass, MemoryStore};

use super::Entries;

pub(crate) struct Lab {
    blocks: Arc<MemoryStore>,
    tree: Tree,
}

struct Sink<'a>(&'a MemoryStore);

impl BlockSink for Sink<'_> {
    fn put(&mut self, block: Block) -> Result<(), mnem_core::port::StoreError> {
        self.0.put(&block)
    }
}

fn value(n: u64) -> bytes::Bytes {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&n.to_be_bytes());
    link_value(&Cid::from_parts(CidClass::DagCborBlake3, digest))
}

impl Lab {
    pub(crate) fn new(entries: &Entries) -> Lab {
        let blocks = Arc::new(MemoryStore::new());
        let cache = Arc::new(NodeCache::new(&TreeParams::V1, 1 << 30).expect("sound"));
        let store = TreeStore::with_cache(blocks.clone(), cache);
        let entries = entries.iter().map(|(key, n)| (key, value(*n)));
        let tree = store.build(entries, &mut Sink(&blocks)).expect("keys ascend");
        Lab { blocks, tree }
    }

    pub(crate) fn get(&self, key: &[u8]) -> bool {
        self.tree.get(key).expect("all nodes are there").is_some()
    }

    /// The same tree, every node decoded anew each time.
    pub(crate) fn uncached(&self) -> Tree {
        TreeStore::new(self.blocks.clone(), &TreeParams::V1).expect("sound").tree(*self.tree.root())
    }

    pub(crate) fn mutate(&self, edits: &Entries) -> Tree {
        let edits = edits
            .iter()
            .map(|(key, n)| Edit { key: bytes::Bytes::copy_from_slice(key), value: Some(value(*n)) });
        self.tree.mutate(edits, &mut Sink(&self.blocks)).expect("all nodes are there")
    }

    pub(crate) fn diff(&self, other: &Tree) -> usize {
        let diff = self.tree.diff(other, KeyRange::ALL, Order::Ascending);
        diff.map(|change| change.expect("all nodes are there")).fold(0, |count, _| count + 1)
    }

    pub(crate) fn merge(&self, left: &Tree, right: &Tree) {
        let greater = |dispute: Dispute| Ok::<_, TreeError>(dispute.left.max(dispute.right));
        left.merge(&self.tree, right, greater, &mut Sink(&self.blocks)).expect("all nodes are there");
    }
}
