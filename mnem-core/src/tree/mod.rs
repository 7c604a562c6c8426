//! Ordered maps from keys to values, cut into blocks: every collection in a commit is one.
//!
//! Bytes and the rule that cuts: FORMAT.md, "Trees".
//!
//! Invariants
//!  R1  The same entries under the same parameters give the same root, whatever the history.
//!  R2  Work is proportional to the change: of what two trees share nothing is read, and nothing is written again.
//!  R3  A node is used only after it was checked: by itself when it is decoded, and against its parent wherever it
//!      is reached. So a forged tree is an error, never an endless walk, a wrong order or a wrong count.
//!  R4  What is written is what the new tree has and the old one has not.
//!
//! A [`TreeStore`] reads nodes, a [`Tree`] is one root in it. New nodes go to a [`BlockSink`]; [`Staged`](crate::Staged)
//! is one that can be read from before anything is stored. Nothing here is changed in place.
//!
//! Used by: everything above. Threads: all types are `Send`; readers share a [`NodeCache`].

mod build;
mod cache;
mod chunker;
mod cursor;
mod diff;
mod error;
mod link;
mod merge;
mod mutate;
mod node;
mod parallel;
mod params;
mod path;
mod range;
mod read;
mod verify;

use std::sync::Arc;

use bytes::Bytes;

pub use build::Builder;
pub use cache::NodeCache;
pub use cursor::Cursor;
pub(crate) use diff::Compared;
pub use diff::{Change, Diff};
pub use error::{Damage, TreeError};
pub use merge::Dispute;
pub use mutate::Edit;
pub use parallel::{Executor, Serial};
pub use params::{TreeParams, UnsoundParams};
pub use range::{KeyRange, Order};
pub(crate) use verify::{Met, Stretch};

use crate::block::Block;
use crate::cid::Cid;
use crate::codec::{DEPTH_MAX, Reader, Writer};
use crate::port::{BlockRead, StoreError};
use node::Node;
use params::Rule;

/// Longest key. The shortest has one byte.
pub const KEY_BYTES_MAX: usize = 1024;

/// Largest node.
pub const NODE_BYTES_MAX: usize = 1 << 20;

/// Largest entry, key and value as encoded: less than a node by what else a node may hold.
pub const ENTRY_BYTES_MAX: usize = NODE_BYTES_MAX - (64 << 10);

/// How deep a value may nest, the node around it being three levels.
pub const VALUE_DEPTH_MAX: usize = DEPTH_MAX - 3;

const _: () = assert!(ENTRY_BYTES_MAX + TreeParams::MAX_LIMIT as usize + 16 <= NODE_BYTES_MAX);

/// Takes the blocks that are made. A `Vec<Block>` is one.
pub trait BlockSink {
    /// Takes a block. Children come before their parents.
    fn put(&mut self, block: Block) -> Result<(), StoreError>;
}

impl BlockSink for Vec<Block> {
    fn put(&mut self, block: Block) -> Result<(), StoreError> {
        self.push(block);
        Ok(())
    }
}

/// A key and its value, an encoded DAG-CBOR item. Both lie in the node that they were read from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// The key.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
}

/// Returns the value that is a link to `cid`.
pub fn link_value(cid: &Cid) -> Bytes {
    let mut writer = Writer::with_capacity(41);
    writer.link(cid);
    writer.into_bytes().into()
}

/// Returns where a value links to, if it is a link and nothing else.
pub fn value_link(value: &[u8]) -> Option<Cid> {
    let mut reader = Reader::new(value);
    let cid = reader.link().ok()?;
    reader.end().is_ok().then_some(cid)
}

/// Reads the nodes of trees that were cut by one set of parameters.
#[derive(Clone)]
pub struct TreeStore {
    blocks: Arc<dyn BlockRead>,
    rule: Arc<Rule>,
    cache: Option<Arc<NodeCache>>,
}

impl TreeStore {
    /// Reads from `blocks`, every node each time it is needed.
    pub fn new(blocks: Arc<dyn BlockRead>, params: &TreeParams) -> Result<TreeStore, UnsoundParams> {
        Ok(TreeStore { blocks, rule: Arc::new(Rule::new(params)?), cache: None })
    }

    /// Reads from `blocks` what `cache` does not have, by the parameters of the cache.
    pub fn with_cache(blocks: Arc<dyn BlockRead>, cache: Arc<NodeCache>) -> TreeStore {
        TreeStore { blocks, rule: Arc::clone(cache.rule()), cache: Some(cache) }
    }

    /// Returns the same with other blocks below: such as are staged but not stored.
    pub fn over(&self, blocks: Arc<dyn BlockRead>) -> TreeStore {
        TreeStore { blocks, ..self.clone() }
    }

    /// Returns how trees are cut.
    pub fn params(&self) -> &TreeParams {
        self.rule.params()
    }

    /// Returns the tree under `root`. Reads nothing yet.
    pub fn tree(&self, root: Cid) -> Tree {
        Tree { store: self.clone(), root }
    }

    /// Returns what it reads from.
    pub(crate) fn blocks(&self) -> &dyn BlockRead {
        &*self.blocks
    }

    /// Checks a node by itself, without what leads there.
    pub(crate) fn check_alone(&self, block: &Block) -> Result<(), Damage> {
        Node::decode(&self.rule, *block.cid(), block.bytes().clone()).map(drop)
    }

    /// Reads and checks a node.
    fn load(&self, cid: &Cid) -> Result<Arc<Node>, TreeError> {
        if let Some(node) = self.cache.as_ref().and_then(|cache| cache.get(cid)) {
            return Ok(node);
        }
        self.admit(cid, self.blocks.get(cid)?)
    }

    /// Returns child `i` of a node above level 0, checked as a pair with it.
    fn load_child(&self, parent: &Node, i: usize) -> Result<Arc<Node>, TreeError> {
        let Some(cache) = &self.cache else {
            let child = self.load(&parent.child(i).0)?;
            return parent.check_pair(i, &child).map(|()| child);
        };
        if let Some(child) = parent.link(i).get() {
            cache.touch(&child);
            return Ok(child);
        }
        let child = self.load(&parent.child(i).0)?;
        parent.check_pair(i, &child)?;
        parent.link(i).set(&child);
        Ok(child)
    }

    /// Reads and checks many nodes, in the order of the question.
    fn load_many(&self, cids: &[Cid]) -> Result<Vec<Arc<Node>>, TreeError> {
        let cached = |cid| self.cache.as_ref().and_then(|cache| cache.get(cid));
        let known: Vec<Option<Arc<Node>>> = cids.iter().map(cached).collect();
        let absent = cids.iter().zip(&known).filter(|(_, node)| node.is_none());
        let wanted: Vec<Cid> = absent.map(|(cid, _)| *cid).collect();
        let blocks = if wanted.is_empty() { Vec::new() } else { self.blocks.get_many(&wanted)? };
        let mut blocks = blocks.into_iter();
        known
            .into_iter()
            .zip(cids)
            .map(|(node, cid)| match node {
                Some(node) => Ok(node),
                None => self.admit(cid, blocks.next().flatten()),
            })
            .collect()
    }

    fn admit(&self, cid: &Cid, block: Option<Block>) -> Result<Arc<Node>, TreeError> {
        let block = block.ok_or(TreeError::Missing { cid: *cid })?;
        if block.cid() != cid {
            return Err(TreeError::Damaged { cid: *cid, what: Damage::OtherBlock(*block.cid()) });
        }
        let node = Node::decode(&self.rule, *cid, block.bytes().clone())
            .map_err(|what| TreeError::Damaged { cid: *cid, what })?;
        let node = Arc::new(node);
        if let Some(cache) = &self.cache {
            cache.insert(&node);
        }
        Ok(node)
    }
}

impl std::fmt::Debug for TreeStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TreeStore").field("params", self.params()).finish_non_exhaustive()
    }
}

/// One map: a root and where to read it. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Tree {
    store: TreeStore,
    root: Cid,
}

impl Tree {
    /// Returns the root. Equal roots, equal content.
    pub const fn root(&self) -> &Cid {
        &self.root
    }

    /// Returns where its nodes are read.
    pub const fn store(&self) -> &TreeStore {
        &self.store
    }
}
