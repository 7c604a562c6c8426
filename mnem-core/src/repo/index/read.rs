//! Reading an index: as it lies in the store, or as it is built in memory where it is not there.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::keep::{build, derive};
use super::{Index, rows};
use crate::cid::Cid;
use crate::object::Commit;
use crate::repo::error::RepoError;
use crate::repo::read::read;
use crate::repo::snapshot::Snapshot;
use crate::staged::Staged;
use crate::tree::{Cursor, Entry, KeyRange, Order, Tree, TreeError};

/// How many indexes that were built for reading a state keeps.
const BUILT_MAX: usize = 16;

/// Indexes that were built for reading, by what they are built from.
#[derive(Default)]
pub(in crate::repo) struct Built(Mutex<Vec<(Index, Cid, Tree)>>);

impl Built {
    fn get(&self, index: &Index, source: &Cid) -> Option<Tree> {
        // Only whole entries are ever in it, whoever panicked.
        let built = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        built.iter().find(|(of, from, _)| of == index && from == source).map(|(_, _, tree)| tree.clone())
    }

    fn put(&self, index: &Index, source: &Cid, tree: &Tree) {
        let mut built = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        built.retain(|(of, from, _)| of != index || from != source);
        if built.len() >= BUILT_MAX {
            built.remove(0);
        }
        built.push((index.clone(), *source, tree.clone()));
    }
}

/// One index at one commit. Cloning is cheap.
#[derive(Clone)]
pub(in crate::repo) struct IndexTree(Arc<Place>);

struct Place {
    snapshot: Snapshot,
    index: Index,
    source: Cid,
    tree: Tree,
}

impl Snapshot {
    /// Returns an index at this commit, whether or not the schema asks for it: one that is not kept is built for this,
    /// from the whole map.
    pub(in crate::repo) fn index(&self, index: Index) -> Result<IndexTree, RepoError> {
        let empty = self.shared.empty_root;
        let source = self.at.as_ref().map_or(empty, |at| *index.source(&at.commit));
        let tree = match self.state.built.get(&index, &source) {
            Some(tree) => tree,
            None => match rows::find(&self.shared, &self.state, &index, &source)? {
                Some(root) => self.tree(root),
                None => self.build_index(&index, &source)?,
            },
        };
        Ok(IndexTree(Arc::new(Place { snapshot: self.clone(), index, source, tree })))
    }

    /// Makes an index that is not there, in memory: reading writes nothing.
    fn build_index(&self, index: &Index, source: &Cid) -> Result<Tree, RepoError> {
        let staged = Arc::new(Staged::new(Arc::clone(&self.state.blocks)));
        let derived = match &self.at {
            Some(at) => derive(&self.shared, &self.state, index, &at.commit, &staged)?,
            None => None,
        };
        let tree = match derived {
            Some(tree) => tree,
            None => build(&self.state, index, source, &staged)?,
        };
        self.state.built.put(index, source, &tree);
        Ok(tree)
    }
}

impl IndexTree {
    /// Walks the keys of a range.
    pub(in crate::repo) fn range(&self, range: KeyRange, order: Order) -> IndexCursor {
        let cursor = self.0.tree.range(range.clone(), order);
        IndexCursor { of: self.clone(), range, order, last: None, cursor }
    }

    /// Returns the root of the tree.
    pub(super) fn root(&self) -> &Cid {
        self.0.tree.root()
    }

    /// Returns what is held under a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, RepoError> {
        match self.0.tree.get(key) {
            Err(TreeError::Missing { .. }) => Ok(self.mended()?.0.tree.get(key)?),
            value => Ok(value?),
        }
    }

    /// Returns how many keys a range has, without walking it.
    pub(in crate::repo) fn count(&self, range: &KeyRange) -> Result<u64, RepoError> {
        match self.0.tree.count(range) {
            Err(TreeError::Missing { .. }) => Ok(self.mended()?.0.tree.count(range)?),
            count => Ok(count?),
        }
    }

    /// Returns the same index, built anew from the whole map, after a block of its tree turned out to be missing.
    ///
    /// The parents' rows go too: their trees share most blocks with this one, and the next commit would extend one of
    /// them without noticing what is missing.
    fn mended(&self) -> Result<IndexTree, RepoError> {
        let Place { snapshot, index, source, tree } = &*self.0;
        let Snapshot { shared, state, at, .. } = snapshot;
        rows::remove_if(shared, index, source, |root| root == tree.root());
        for parent in at.iter().flat_map(|at| &at.commit.parents) {
            if state.block(parent.cid())?.is_some() {
                let parent: Commit = read(&*state.blocks, parent.cid())?;
                rows::remove_if(shared, index, index.source(&parent), |_| true);
            }
        }
        let staged = Arc::new(Staged::new(Arc::clone(&state.blocks)));
        let tree = build(state, index, source, &staged)?;
        state.built.put(index, source, &tree);
        let (snapshot, index) = (snapshot.clone(), index.clone());
        Ok(IndexTree(Arc::new(Place { snapshot, index, source: *source, tree })))
    }
}

/// The keys of a range of an index, in order. Ends after its first error.
pub(in crate::repo) struct IndexCursor {
    of: IndexTree,
    range: KeyRange,
    order: Order,
    last: Option<Bytes>,
    cursor: Cursor,
}

impl IndexCursor {
    /// Passes over all keys that are `start` and an id.
    pub(super) fn pass_over(&mut self, start: &[u8]) {
        let id = match self.order {
            Order::Ascending => [0xff; 16],
            Order::Descending => [0; 16],
        };
        self.range = self.range.beyond(&[start, &id].concat(), self.order);
        self.last = None;
        self.cursor = self.of.0.tree.range(self.range.clone(), self.order);
    }

    fn mend(&mut self) -> Result<(), RepoError> {
        self.of = self.of.mended()?;
        let rest = match &self.last {
            Some(last) => self.range.beyond(last, self.order),
            None => self.range.clone(),
        };
        self.cursor = self.of.0.tree.range(rest, self.order);
        Ok(())
    }
}

impl Iterator for IndexCursor {
    type Item = Result<Entry, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut next = self.cursor.next();
        if let Some(Err(TreeError::Missing { .. })) = next {
            if let Err(why) = self.mend() {
                return Some(Err(why));
            }
            next = self.cursor.next();
        }
        if let Some(Ok(entry)) = &next {
            self.last = Some(entry.key.clone());
        }
        next.map(|entry| Ok(entry?))
    }
}
