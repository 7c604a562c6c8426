//! What a node that one side removed is still needed for.
//!
//! An edge needs its ends, and a vector its node. Where a node went on one side while the other side made or changed an
//! edge at it, or its vector, the node stays, in conflict. Edges that nobody touched went with it, in the commit that
//! removed it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::fields::Three;
use super::versions::{Versions, sides};
use super::{Conflicts, Maps, Merge, link_of, node_id};
use crate::cid::Cid;
use crate::id::NodeId;
use crate::key::ConflictKey;
use crate::object::{Edge, Node, Why};
use crate::port::BlockReadExt;
use crate::repo::error::RepoError;
use crate::tree::{Edit, KeyRange, Order, Tree, link_value};

impl Merge<'_> {
    /// Returns the nodes with those that are needed.
    pub(super) fn keep_needed(
        &self,
        of: &Three<&Maps>,
        nodes: Tree,
        edges: &Tree,
        conflicts: &mut Conflicts,
    ) -> Result<Tree, RepoError> {
        let sides = [of.left, of.right];
        let touches = |side: &&Maps| side.edges != of.base.edges || side.vectors != of.base.vectors;
        if !sides.iter().any(touches) {
            return Ok(nodes);
        }
        let mut gone: BTreeMap<NodeId, Cid> = BTreeMap::new();
        for change in self.tree(of.base.nodes).diff(&nodes, KeyRange::ALL, Order::Ascending) {
            let change = change?;
            if let (Some(before), None) = (&change.before, &change.after) {
                gone.insert(node_id(&change.key)?, link_of(&of.base.nodes, before)?);
            }
        }
        if gone.is_empty() {
            return Ok(nodes);
        }
        let mut kept = BTreeMap::new();
        for side in sides {
            let of_vectors = self.nodes_of_changed_vectors(of.base, side)?;
            let of_edges = self.ends_of_changed_edges(of.base, side, edges)?;
            let whys = [(of_vectors, Why::Vector), (of_edges, Why::Edge)];
            for (node, why) in
                whys.into_iter().flat_map(|(nodes, why)| nodes.into_iter().map(move |it| (it, why.clone())))
            {
                if let Some(before) = gone.get(&node) {
                    kept.insert(node, (*before, why));
                }
            }
        }
        let mut edits = Vec::new();
        for (node, (before, why)) in kept {
            let conflict = self.kept(node, before, why, of)?;
            conflicts.insert(ConflictKey::Node(node).to_key(), Some(conflict));
            edits.push(Edit {
                key: Bytes::copy_from_slice(node.as_bytes()),
                value: Some(link_value(&conflict)),
            });
        }
        Ok(nodes.mutate(edits, &mut self.sink())?)
    }

    /// Returns the ends of those edges of the result that a side made or changed.
    fn ends_of_changed_edges(
        &self,
        base: &Maps,
        side: &Maps,
        edges: &Tree,
    ) -> Result<BTreeSet<NodeId>, RepoError> {
        let mut ends = BTreeSet::new();
        for change in self.tree(base.edges).diff(&self.tree(side.edges), KeyRange::ALL, Order::Ascending) {
            let Some(after) = edges.get(&change?.key)? else { continue };
            let cid = link_of(edges.root(), &after)?;
            for edge in sides::<Edge>(self.blocks(), &self.blocks().require(&cid)?)? {
                ends.extend([edge.src, edge.dst]);
            }
        }
        Ok(ends)
    }

    /// The node as the side has it that did not remove it, in conflict with its absence.
    fn kept(&self, node: NodeId, before: Cid, why: Why, of: &Three<&Maps>) -> Result<Cid, RepoError> {
        // Both removed it, and an edge was made at it all the same: it comes back as it was.
        let there = self.at(of.left.nodes, node)?.or(self.at(of.right.nodes, node)?).unwrap_or(before);
        let versions = Versions::<Node>::read(self.blocks(), Some(there))?;
        if versions.is_absent {
            return Ok(there); // somebody's removal is among its sides already
        }
        let before = Versions::read(self.blocks(), Some(before))?;
        versions.keep(&before, why, self.staged)
    }
}
