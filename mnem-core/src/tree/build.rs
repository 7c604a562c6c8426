//! Makes a tree from entries that come in order.

use std::sync::Arc;

use super::chunker::{Child, Chunker, Made, empty_leaf};
use super::node::{child_tail, entry_bytes};
use super::params::Rule;
use super::{BlockSink, ENTRY_BYTES_MAX, KEY_BYTES_MAX, Tree, TreeError, TreeStore, VALUE_DEPTH_MAX};
use crate::cid::Cid;
use crate::codec::Reader;

/// Refuses what has no room in a tree, or could not be read back.
pub(crate) fn check_entry(key: &[u8], value: &[u8]) -> Result<(), TreeError> {
    check_key(key)?;
    let bytes = entry_bytes(key.len(), value.len());
    if bytes > ENTRY_BYTES_MAX {
        return Err(TreeError::EntryTooLarge { bytes });
    }
    let mut reader = Reader::new(value);
    reader.item(VALUE_DEPTH_MAX).map_err(TreeError::Value)?;
    reader.end().map_err(TreeError::Value)
}

pub(crate) fn check_key(key: &[u8]) -> Result<(), TreeError> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(TreeError::KeyLength { bytes: key.len() });
    }
    Ok(())
}

/// Open nodes from one level up, as high as needed. Memory is that of one open node for each level.
#[derive(Debug)]
pub(crate) struct Levels {
    first: u8,
    open: Vec<Level>,
}

#[derive(Debug)]
struct Level {
    chunker: Chunker,
    made: u64,
    newest: Option<Cid>,
}

impl Levels {
    pub(crate) const fn new(first: u8) -> Levels {
        Levels { first, open: Vec::new() }
    }

    fn level(&mut self, at: usize) -> Result<&mut Level, TreeError> {
        if at == self.open.len() {
            let above = u8::try_from(at).ok().and_then(|at| self.first.checked_add(at));
            let chunker = Chunker::new(above.ok_or(TreeError::Overflow)?);
            self.open.push(Level { chunker, made: 0, newest: None });
        }
        Ok(&mut self.open[at])
    }

    /// Appends an entry to the lowest level.
    pub(crate) fn push(
        &mut self,
        rule: &Rule,
        key: &[u8],
        tail: &[u8],
        count: u64,
        sink: &mut dyn BlockSink,
    ) -> Result<(), TreeError> {
        match self.level(0)?.chunker.push(rule, key, tail, count)? {
            Some(made) => self.rise(rule, 0, made, sink),
            None => Ok(()),
        }
    }

    /// Appends a node of the level below the lowest.
    pub(crate) fn push_child(
        &mut self,
        rule: &Rule,
        child: &Child,
        sink: &mut dyn BlockSink,
    ) -> Result<(), TreeError> {
        self.push(rule, &child.last, &child_tail(&child.cid, child.count), child.count, sink)
    }

    /// Says whether the next entry begins a node of the lowest level.
    pub(crate) fn stands_between_nodes(&self) -> bool {
        self.open.first().is_none_or(|lowest| lowest.chunker.is_empty())
    }

    /// Appends a node of the lowest level that was made of the entries that come next.
    pub(crate) fn adopt(
        &mut self,
        rule: &Rule,
        made: Made,
        sink: &mut dyn BlockSink,
    ) -> Result<(), TreeError> {
        self.rise(rule, 0, made, sink)
    }

    /// Hands on a node that was made, and what it completes above.
    fn rise(
        &mut self,
        rule: &Rule,
        at: usize,
        made: Made,
        sink: &mut dyn BlockSink,
    ) -> Result<(), TreeError> {
        let mut at = at;
        let mut made = made;
        loop {
            let level = self.level(at)?;
            level.made += 1;
            level.newest = Some(made.child.cid);
            sink.put(made.block)?;
            at += 1;
            let Child { last, cid, count } = &made.child;
            match self.level(at)?.chunker.push(rule, last, &child_tail(cid, *count), *count)? {
                Some(next) => made = next,
                None => return Ok(()),
            }
        }
    }

    /// Ends all open nodes and returns the root; `None` if nothing was pushed.
    pub(crate) fn finish(mut self, rule: &Rule, sink: &mut dyn BlockSink) -> Result<Option<Cid>, TreeError> {
        for at in 0.. {
            if at == self.open.len() {
                break;
            }
            if let Some(made) = self.open[at].chunker.close() {
                self.rise(rule, at, made, sink)?;
            }
            // A level of one node is the top: what the level above holds open is never written.
            if self.open[at].made == 1 {
                return Ok(self.open[at].newest);
            }
        }
        Ok(None)
    }

    /// The same, with the empty leaf for nothing.
    pub(crate) fn finish_or_empty(self, rule: &Rule, sink: &mut dyn BlockSink) -> Result<Cid, TreeError> {
        if let Some(root) = self.finish(rule, sink)? {
            return Ok(root);
        }
        let empty = empty_leaf();
        let root = *empty.cid();
        sink.put(empty)?;
        Ok(root)
    }
}

/// Makes a tree from entries that are pushed in ascending order. Memory does not grow with the tree.
pub struct Builder<'s> {
    rule: Arc<Rule>,
    levels: Levels,
    sink: &'s mut dyn BlockSink,
    last: Vec<u8>,
    entries: u64,
}

impl Builder<'_> {
    /// Appends an entry. Its key must be above the last one's.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), TreeError> {
        check_entry(key, value)?;
        // No key is empty, so the first is above the empty one that stands for none.
        if key <= self.last.as_slice() {
            return Err(TreeError::Unsorted { at: self.entries });
        }
        self.last.clear();
        self.last.extend_from_slice(key);
        self.entries += 1;
        self.levels.push(&self.rule, key, value, 1, self.sink)
    }

    /// Returns where the nodes go, for blocks that entries are about to link to.
    pub fn sink(&mut self) -> &mut dyn BlockSink {
        self.sink
    }

    /// Writes what is still open and returns the root.
    pub fn finish(self) -> Result<Cid, TreeError> {
        self.levels.finish_or_empty(&self.rule, self.sink)
    }
}

impl TreeStore {
    /// Starts a new tree, whose nodes go to `sink`.
    pub fn builder<'s>(&self, sink: &'s mut dyn BlockSink) -> Builder<'s> {
        Builder { rule: Arc::clone(&self.rule), levels: Levels::new(0), sink, last: Vec::new(), entries: 0 }
    }

    /// Makes a tree from entries in ascending order.
    pub fn build<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        entries: impl IntoIterator<Item = (K, V)>,
        sink: &mut dyn BlockSink,
    ) -> Result<Tree, TreeError> {
        let mut builder = self.builder(sink);
        for (key, value) in entries {
            builder.push(key.as_ref(), value.as_ref())?;
        }
        let root = builder.finish()?;
        Ok(self.tree(root))
    }

    /// Makes the tree without entries.
    pub fn build_empty(&self, sink: &mut dyn BlockSink) -> Result<Tree, TreeError> {
        self.build::<&[u8], &[u8]>([], sink)
    }
}
