//! Takes the entries of one level from left to right and cuts them into nodes.

use std::ops::Range;

use bytes::Bytes;

use super::TreeError;
use super::node::{self, COUNT_MAX, Node};
use super::params::Rule;
use crate::block::Block;
use crate::cid::{Cid, Codec};
use crate::codec::Writer;

/// A node as its parent refers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Child {
    pub(crate) last: Bytes,
    pub(crate) cid: Cid,
    pub(crate) count: u64,
}

/// A node that was just made.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) block: Block,
    pub(crate) child: Child,
    pub(crate) level: u8,
}

/// The open node of one level. The same entries give the same cuts, whatever was there before.
#[derive(Debug)]
pub(crate) struct Chunker {
    level: u8,
    body: Writer,
    entries: usize,
    count: u64,
    last: Vec<u8>,
}

impl Chunker {
    pub(crate) const fn new(level: u8) -> Chunker {
        Chunker { level, body: Writer::new(), entries: 0, count: 0, last: Vec::new() }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.entries == 0
    }

    fn weight(&self) -> usize {
        self.body.as_bytes().len()
    }

    /// Says whether the open node is as long as the first `entries` entries of another that has `weight` bytes in
    /// them: then the rule, which knows nothing else of what went before, decides alike for what follows.
    pub(crate) fn stands_at(&self, entries: usize, weight: usize) -> bool {
        self.entries == entries && self.weight() == weight
    }

    /// Appends an entry, and returns the node if it ends there.
    pub(crate) fn push(
        &mut self,
        rule: &Rule,
        key: &[u8],
        tail: &[u8],
        count: u64,
    ) -> Result<Option<Made>, TreeError> {
        let before = self.weight();
        self.append(key, tail, count)?;
        let ends = rule.ends(self.level, key, before, self.weight(), self.entries);
        Ok(if ends { self.close() } else { None })
    }

    /// Appends entries of another node of the level, as one piece: up to the one after which the open node ends, or up to
    /// where it [stands](Self::stands_at) as the other did. Returns how many, at least one, and the node if it ends.
    pub(crate) fn push_until(
        &mut self,
        rule: &Rule,
        node: &Node,
        entries: Range<usize>,
    ) -> Result<(usize, Option<Made>), TreeError> {
        let (open, start) = (self.weight(), node.weight_before(entries.start));
        let weight_before = |i| open + node.weight_before(i) - start;
        let (mut end, mut ends) = (entries.start, false);
        while end < entries.end && !ends {
            let count = self.entries + (end - entries.start);
            let is_alike = count == end && weight_before(end) == node.weight_before(end);
            if is_alike && end > entries.start {
                break;
            }
            let (before, after) = (weight_before(end), weight_before(end + 1));
            ends = rule.ends(self.level, node.key(end), before, after, count + 1);
            end += 1;
        }
        let made = self.push_known(node, entries.start..end, ends)?;
        Ok((end - entries.start, made))
    }

    /// Appends entries of another node of the level, of which it is known that the open node does not end before the
    /// last of them, and whether it ends there. There is one at least.
    pub(crate) fn push_known(
        &mut self,
        node: &Node,
        entries: Range<usize>,
        ends: bool,
    ) -> Result<Option<Made>, TreeError> {
        for i in entries.clone() {
            self.add_count(node.entry_count(i))?;
        }
        self.entries += entries.len();
        self.note_last(node.key(entries.end - 1));
        self.body.encoded(node.entries(entries));
        Ok(if ends { self.close() } else { None })
    }

    fn append(&mut self, key: &[u8], tail: &[u8], count: u64) -> Result<(), TreeError> {
        self.add_count(count)?;
        self.body.list(if self.level == 0 { 2 } else { 3 });
        self.body.bytes(key);
        self.body.encoded(tail);
        self.note_last(key);
        self.entries += 1;
        Ok(())
    }

    fn add_count(&mut self, count: u64) -> Result<(), TreeError> {
        let sum = self.count.checked_add(count).filter(|sum| *sum <= COUNT_MAX);
        self.count = sum.ok_or(TreeError::Overflow)?;
        Ok(())
    }

    fn note_last(&mut self, key: &[u8]) {
        self.last.clear();
        self.last.extend_from_slice(key);
    }

    /// Ends the open node, if it has entries, and starts the next.
    pub(crate) fn close(&mut self) -> Option<Made> {
        if self.entries == 0 {
            return None;
        }
        let bytes = node::encode(self.level, self.entries, self.body.as_bytes());
        let block = Block::new(Codec::DagCbor, bytes);
        let child = Child { last: Bytes::copy_from_slice(&self.last), cid: *block.cid(), count: self.count };
        let made = Made { block, child, level: self.level };
        self.body.clear();
        self.entries = 0;
        self.count = 0;
        Some(made)
    }
}

/// Makes the empty tree: one leaf without entries.
pub(crate) fn empty_leaf() -> Block {
    Block::new(Codec::DagCbor, node::encode(0, 0, &[]))
}
