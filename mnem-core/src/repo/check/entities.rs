//! What the maps of a state lead to: nodes, their content, edges, vectors.

use std::ops::Range;

use super::maps::State;
use super::work::{Spot, Work, readable};
use super::{CheckLevel, Flaw, Part};
use crate::block::Block;
use crate::cid::{Cid, Codec};
use crate::content::Chunker;
use crate::id::{EdgeId, NodeId};
use crate::key::ConflictKey;
use crate::object::{CONTENT_INLINE_BYTES_MAX, Content, Edge, Node, Object};
use crate::repo::error::RepoError;
use crate::repo::vectors;
use crate::tree::{Entry, KeyRange, Order, value_link};

impl Work<'_> {
    pub(super) fn node(
        &self,
        state: &State<'_>,
        cid: &Cid,
        id: NodeId,
        spot: &Spot,
    ) -> Result<(), RepoError> {
        if self.is_erased(id.into())? {
            return Ok(());
        }
        if self.level == CheckLevel::Fast {
            return self.presence(cid, spot);
        }
        let Some(block) = self.block(cid, spot)? else { return Ok(()) };
        let is_conflict = self.terms(cid, &block, spot, |side, block, _| {
            let Some(node) = self.decoded(side, Node::from_block(block), spot) else { return Ok(()) };
            if node.id != id {
                self.found(spot, Flaw::Object, Some(side), format!("it is node {}, not {id}", node.id));
            }
            match &node.content {
                Some(Content::List(root)) if self.is_new_content(root) => self.content(root, spot),
                _ => Ok(()),
            }
        })?;
        self.listed(state, &ConflictKey::Node(id), is_conflict.then_some(cid), spot)
    }

    pub(super) fn edge(
        &self,
        state: &State<'_>,
        cid: &Cid,
        id: EdgeId,
        spot: &Spot,
    ) -> Result<(), RepoError> {
        if self.is_erased(id.into())? {
            return Ok(());
        }
        if self.level == CheckLevel::Fast {
            return self.presence(cid, spot);
        }
        let Some(block) = self.block(cid, spot)? else { return Ok(()) };
        let is_conflict = self.terms(cid, &block, spot, |side, block, is_side| {
            let Some(edge) = self.decoded(side, Edge::from_block(block), spot) else { return Ok(()) };
            if edge.id != id {
                self.found(spot, Flaw::Object, Some(side), format!("it is edge {}, not {id}", edge.id));
            }
            for end in [edge.src, edge.dst] {
                if is_side && self.look(&state.commit.nodes, end.as_bytes())? == Some(None) {
                    self.dangling(state, id, end);
                }
            }
            Ok(())
        })?;
        self.listed(state, &ConflictKey::Edge(id), is_conflict.then_some(cid), spot)
    }

    pub(super) fn vector(
        &self,
        state: &State<'_>,
        cid: &Cid,
        key: &ConflictKey,
        node: NodeId,
        spot: &Spot,
    ) -> Result<(), RepoError> {
        if self.is_erased(node.into())? {
            return Ok(());
        }
        if self.look(&state.commit.nodes, node.as_bytes())? == Some(None) {
            self.vector_without_node(node, spot);
        }
        if self.level == CheckLevel::Fast {
            return self.presence(cid, spot);
        }
        let Some(block) = self.block(cid, spot)? else { return Ok(()) };
        let numbers = |side: &Cid, block: &Block, _| {
            if let Err(RepoError::Damaged { why, .. }) = vectors::numbers(block) {
                self.found(spot, Flaw::Object, Some(side), why.to_string());
            }
            Ok(())
        };
        let is_conflict = match cid.codec() {
            Codec::Raw => numbers(cid, &block, true).map(|()| false)?,
            Codec::DagCbor => self.terms(cid, &block, spot, numbers)?,
        };
        self.listed(state, key, is_conflict.then_some(cid), spot)
    }

    /// Large content: chunks that follow each other without a gap, cut where the rule cuts.
    fn content(&self, root: &Cid, of: &Spot) -> Result<(), RepoError> {
        let spot = Spot { part: Part::Content, ..of.clone() };
        let list = self.trees.tree(*root);
        let last = |range| readable(list.range(range, Order::Descending).next().transpose());
        let Some(end) = last(KeyRange::ALL)? else {
            self.walk(&spot, None, root, |_| Ok(()))?;
            return Ok(());
        };
        let length = end.as_ref().and_then(ends_at).unwrap_or(0);
        if length <= CONTENT_INLINE_BYTES_MAX as u64 {
            self.found(&spot, Flaw::Object, Some(root), "content that is short enough lies in its node");
        }
        let mut start = 0;
        self.walk(&spot, None, root, |change| {
            let Some(value) = change.after else { return Ok(()) };
            let entry = Entry { key: change.key, value };
            let spot = spot.clone().under(root).at_key(&entry.key);
            match (ends_at(&entry), value_link(&entry.value).filter(|cid| cid.codec() == Codec::Raw)) {
                (Some(end), Some(chunk)) => {
                    if let Some(block) = self.block(&chunk, &spot)? {
                        self.chunk(&block, start..end, end == length, &spot);
                    }
                    start = end;
                }
                _ => self.found(&spot, Flaw::Entry, None, "an entry that is no chunk"),
            }
            Ok(())
        })?;
        Ok(())
    }

    fn chunk(&self, block: &Block, range: Range<u64>, is_last: bool, spot: &Spot) {
        let bytes = block.bytes();
        if range.end.checked_sub(range.start) != Some(bytes.len() as u64) {
            self.found(spot, Flaw::Object, Some(block.cid()), "the chunk is not as long as its list says");
            return;
        }
        let mut chunker = Chunker::new();
        let mut cuts = Vec::new();
        let cut: Result<(), std::convert::Infallible> = chunker.push(bytes, |chunk| {
            cuts.push(chunk.len());
            Ok(())
        });
        let Ok(()) = cut;
        let is_whole = cuts == [bytes.len()] || (is_last && cuts.is_empty());
        if !is_whole {
            self.found(spot, Flaw::Object, Some(block.cid()), "the chunk is not cut where content is");
        }
    }
}

fn ends_at(entry: &Entry) -> Option<u64> {
    <[u8; 8]>::try_from(&entry.key[..]).ok().map(u64::from_be_bytes)
}
