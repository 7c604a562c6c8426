//! What a commit has in common with one that it follows: what need not be visited.

use std::collections::HashSet;

use bytes::Bytes;

use super::error::SyncError;
use crate::cid::Cid;
use crate::object::{Commit, Content, Node, Object};
use crate::tree::{Compared, TreeStore, value_link};

/// Two commits' maps, and where each is read.
pub(super) struct Alike<'a> {
    pub(super) before: &'a TreeStore,
    pub(super) after: &'a TreeStore,
}

impl Alike<'_> {
    /// Notes what both have in the same place: nodes of trees, and where unchanged entries lead.
    pub(super) fn note(&self, old: &Commit, new: &Commit, into: &mut HashSet<Cid>) -> Result<(), SyncError> {
        if old.params == new.params {
            into.insert(new.params);
        }
        for (old, new) in [
            (&old.edges, &new.edges),
            (&old.tombs, &new.tombs),
            (&old.conflicts, &new.conflicts),
            (&old.schema, &new.schema),
        ] {
            into.extend(self.compare(old, new)?.shared);
        }
        let vectors = self.compare(&old.vectors, &new.vectors)?;
        into.extend(vectors.shared);
        for change in &vectors.changes {
            if let (Some(old), Some(new)) = (link(&change.before), link(&change.after)) {
                into.extend(self.compare(&old, &new)?.shared);
            }
        }
        let nodes = self.compare(&old.nodes, &new.nodes)?;
        into.extend(nodes.shared);
        for change in &nodes.changes {
            let (Some(old), Some(new)) = (link(&change.before), link(&change.after)) else { continue };
            if let (Some(new), Some(old)) = (content(self.after, &new)?, content(self.before, &old)?) {
                into.extend(self.compare(&old, &new)?.shared);
            }
        }
        Ok(())
    }

    fn compare(&self, old: &Cid, new: &Cid) -> Result<Compared, SyncError> {
        Ok(self.before.tree(*old).compare(&self.after.tree(*new))?)
    }
}

fn link(value: &Option<Bytes>) -> Option<Cid> {
    value.as_deref().and_then(value_link)
}

/// Returns the list of a node's content, if the version is of a node and has one.
fn content(trees: &TreeStore, version: &Cid) -> Result<Option<Cid>, SyncError> {
    let node = trees.blocks().get(version)?.and_then(|block| Node::from_block(&block).ok());
    Ok(match node.and_then(|node| node.content) {
        Some(Content::List(list)) => Some(list),
        _ => None,
    })
}
