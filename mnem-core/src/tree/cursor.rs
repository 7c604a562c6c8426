//! Entries of a range, in order, one after the other.

use super::path::Path;
use super::{Entry, KeyRange, Order, Tree, TreeError, TreeStore};
use crate::cid::Cid;

/// Walks the entries of a range. Owned: it may outlive the tree it came from. Nodes are read when they are reached;
/// after an error it has ended.
#[derive(Debug)]
pub struct Cursor {
    store: TreeStore,
    range: KeyRange,
    order: Order,
    state: State,
}

#[derive(Debug)]
enum State {
    Start(Cid),
    /// In the last frame, `at` is how many entries lie before the walk: the next one ascending has that index, the
    /// next one descending the index before.
    In(Path),
    End,
}

impl Tree {
    /// Walks all entries from the least key up.
    pub fn iter(&self) -> Cursor {
        self.range(KeyRange::ALL, Order::Ascending)
    }

    /// Walks the entries of a range.
    pub fn range(&self, range: KeyRange, order: Order) -> Cursor {
        Cursor { store: self.store.clone(), range, order, state: State::Start(self.root) }
    }

    /// Walks the entries whose key starts with `prefix`.
    pub fn prefix(&self, prefix: &[u8], order: Order) -> Cursor {
        self.range(KeyRange::prefix(prefix), order)
    }
}

impl Cursor {
    fn start(&self, root: &Cid) -> Result<Path, TreeError> {
        let mut path = Path::new(self.store.root_frame(root)?, 0);
        let range = &self.range;
        match self.order {
            Order::Ascending => {
                path.seek_where(&self.store, |key| range.starts_above(key))?;
                let leaf = path.leaf_mut();
                leaf.at = leaf.node.partition(|key| range.starts_above(key));
            }
            Order::Descending => {
                path.seek_where(&self.store, |key| !range.ends_below(key))?;
                let leaf = path.leaf_mut();
                leaf.at = leaf.node.partition(|key| !range.ends_below(key));
            }
        }
        Ok(path)
    }

    /// Returns the next entry of the tree, inside the range or not.
    fn advance(&mut self) -> Result<Option<Entry>, TreeError> {
        if let State::Start(root) = &self.state {
            self.state = State::In(self.start(root)?);
        }
        let State::In(path) = &mut self.state else { return Ok(None) };
        loop {
            let leaf = path.leaf_mut();
            let found = match self.order {
                Order::Ascending => Some(leaf.at).filter(|at| *at < leaf.node.len()),
                Order::Descending => leaf.at.checked_sub(1),
            };
            if let Some(at) = found {
                leaf.at = if self.order == Order::Ascending { at + 1 } else { at };
                return Ok(Some(Entry { key: leaf.node.key_bytes(at), value: leaf.node.value_bytes(at) }));
            }
            if !path.step(&self.store, self.order)? {
                return Ok(None);
            }
            let leaf = path.leaf_mut();
            leaf.at = if self.order == Order::Ascending { 0 } else { leaf.node.len() };
        }
    }
}

impl Iterator for Cursor {
    type Item = Result<Entry, TreeError>;

    fn next(&mut self) -> Option<Result<Entry, TreeError>> {
        match self.advance() {
            Ok(Some(entry)) if self.range.contains(&entry.key) => Some(Ok(entry)),
            Ok(_) => {
                self.state = State::End;
                None
            }
            Err(error) => {
                self.state = State::End;
                Some(Err(error))
            }
        }
    }
}

impl std::iter::FusedIterator for Cursor {}
