//! What crates above derive from the maps of a commit: trees like the indexes, found by the same rows.
//!
//! Bytes of the rows: FORMAT.md, "Index rows". A definition names what is made of a map, and how: another way needs
//! another name. The rules are those of `index`: what is derived depends on its map alone, is dropped where it turns out
//! to be damaged, and made anew.
//!
//! Used by: `mnem-ann`. Threads: as the snapshots that are read from.

use std::sync::Arc;

use super::error::RepoError;
use super::index::{find_defined, remove_defined_if, row_defined};
use super::query::Query;
use super::snapshot::Snapshot;
use super::vectors;
use crate::block::Block;
use crate::cid::Cid;
use crate::id::NodeId;
use crate::port::{BlockRead, Namespace, Store, StoreError};
use crate::tree::{BlockSink, Tree, TreeStore};

/// How many bytes of blocks are handed to the store at once.
const BATCH_BYTES: usize = 4 << 20;

impl Snapshot {
    /// Returns where the blocks of this state are read.
    pub fn blocks(&self) -> Arc<dyn BlockRead> {
        Arc::clone(&self.state.blocks)
    }

    /// Returns where the trees of this state are read.
    pub fn trees(&self) -> &TreeStore {
        &self.state.trees
    }

    /// Returns the store below. It may have moved on since.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    /// Returns the namespace of the repository.
    pub fn namespace(&self) -> &Namespace {
        &self.shared.options.namespace
    }

    /// Returns the tree that a row names as derived from the map `source`; `None` if there is no such row, or its tree is
    /// not there. Of the empty map it is the empty tree.
    pub fn derived(&self, definition: &str, source: &Cid) -> Result<Option<Tree>, RepoError> {
        let root = find_defined(&self.shared, &self.state, definition, source)?;
        Ok(root.map(|root| self.tree(root)))
    }

    /// Starts to store a derived tree.
    pub fn derived_writer(&self) -> DerivedWriter {
        DerivedWriter { snapshot: self.clone(), waiting: Vec::new(), bytes: 0, written: 0 }
    }

    /// Removes the row of a tree that turned out to be damaged or incomplete, if it still names this one.
    pub fn drop_derived(&self, definition: &str, source: &Cid, root: &Cid) {
        remove_defined_if(&self.shared, definition, source, |named| named == root);
    }

    /// Returns the ids of the nodes of which a query holds, in ascending order, whatever order it asks for.
    pub fn find_ids(&self, query: &Query<NodeId>) -> Result<Vec<NodeId>, RepoError> {
        self.matches(query, None)?.map(|node| Ok(node?.id)).collect()
    }

    /// Reads the vector that a map of vectors links to. Of what is in conflict, the first side that has one.
    pub fn read_vector(&self, cid: &Cid) -> Result<Vec<f32>, RepoError> {
        vectors::read(&*self.state.blocks, cid)
    }

    /// Returns the vectors of many nodes in a model, in the order of the question.
    pub fn vectors_of(&self, nodes: &[NodeId], model: &str) -> Result<Vec<Option<Vec<f32>>>, RepoError> {
        let Some(root) = self.vectors_root(model)? else { return Ok(vec![None; nodes.len()]) };
        let keys: Vec<&[u8; 16]> = nodes.iter().map(NodeId::as_bytes).collect();
        let links = self.tree(root).get_many(&keys)?;
        let links: Vec<Option<Cid>> = links
            .iter()
            .map(|link| link.as_ref().map(|link| super::entity::link(&root, link)).transpose())
            .collect::<Result<_, _>>()?;
        let cids: Vec<Cid> = links.iter().copied().flatten().collect();
        let mut blocks = self.state.blocks.get_many(&cids)?.into_iter();
        links
            .iter()
            .map(|link| match link {
                None => Ok(None),
                Some(cid) => {
                    let block = blocks.next().flatten().ok_or(StoreError::Absent { cid: *cid })?;
                    vectors::read_block(&*self.state.blocks, block).map(Some)
                }
            })
            .collect()
    }
}

/// Takes the blocks of a derived tree, children before their parents, and then names it. A block of it that is in the store
/// already may be left out only if it belongs to a tree that a row names.
pub struct DerivedWriter {
    snapshot: Snapshot,
    waiting: Vec<Block>,
    bytes: usize,
    written: u64,
}

impl DerivedWriter {
    /// Writes the row that names the tree of which all blocks were taken. Returns how many bytes they have.
    pub fn name(mut self, definition: &str, source: &Cid, root: &Cid) -> Result<u64, RepoError> {
        self.flush()?;
        let shared = &self.snapshot.shared;
        let row = row_defined(&shared.options.namespace, definition, source, root);
        shared.store.put_rows(&[row]).map_err(StoreError::from)?;
        Ok(self.written)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.snapshot.shared.store.put_leased(self.snapshot.state.lease(), &self.waiting)?;
        self.waiting.clear();
        self.written += self.bytes as u64;
        self.bytes = 0;
        Ok(())
    }
}

impl BlockSink for DerivedWriter {
    fn put(&mut self, block: Block) -> Result<(), StoreError> {
        self.bytes += block.bytes().len();
        self.waiting.push(block);
        if self.bytes > BATCH_BYTES { self.flush() } else { Ok(()) }
    }
}
