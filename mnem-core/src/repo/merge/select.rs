//! Some changes of a state, as if nothing else had changed there.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::versions::sides;
use super::{Maps, Merge, link_of};
use crate::cid::Cid;
use crate::id::{EdgeId, EntityId, NodeId};
use crate::key::ConflictKey;
use crate::object::Edge;
use crate::port::BlockReadExt;
use crate::repo::error::{RepoError, damaged_key};
use crate::tree::{Edit, KeyRange, Order, Tree, link_value};

impl Merge<'_> {
    /// The state before anything was recorded.
    pub(in crate::repo) fn nothing(&self) -> Result<Maps, RepoError> {
        Ok(Maps::empty(self.empty()?))
    }

    /// The base with those of another state's changes that are wanted, or needed by these.
    pub(in crate::repo) fn selected(
        &self,
        base: &Maps,
        other: &Maps,
        wanted: &dyn Fn(EntityId) -> bool,
    ) -> Result<Maps, RepoError> {
        let mut nodes = BTreeSet::new();
        let mut edges: Vec<Edit> = Vec::new();
        let mut picked_edges = BTreeSet::new();
        let id = |key: &[u8]| <[u8; 16]>::try_from(key).map_err(|_| damaged_key());
        let changes =
            |one: Cid, two: Cid| self.tree(one).diff(&self.tree(two), KeyRange::ALL, Order::Ascending);
        let mut went = BTreeSet::new();
        for change in changes(base.nodes, other.nodes) {
            let change = change?;
            let node = NodeId::from_bytes(id(&change.key)?);
            if wanted(node.into()) {
                nodes.insert(node);
                went.extend(change.after.is_none().then_some(node));
            }
        }
        for change in changes(base.edges, other.edges) {
            let change = change?;
            let edge = EdgeId::from_bytes(id(&change.key)?);
            let (root, value) = match (&change.after, &change.before) {
                (Some(after), _) => (&other.edges, after),
                (None, Some(before)) => (&base.edges, before),
                (None, None) => continue,
            };
            let sides = sides::<Edge>(self.blocks(), &self.blocks().require(&link_of(root, value)?)?)?;
            let mut ends = sides.iter().flat_map(|edge| [edge.src, edge.dst]);
            let goes = change.after.is_none() && ends.any(|end| went.contains(&end));
            if goes || wanted(edge.into()) {
                if change.after.is_some() {
                    nodes.extend(sides.iter().flat_map(|edge| [edge.src, edge.dst]));
                }
                picked_edges.insert(edge);
                edges.push(Edit { key: change.key, value: change.after });
            }
        }
        let edges = self.tree(base.edges).mutate(edges, &mut self.sink())?;
        let picked = self.picked(&self.tree(base.nodes), other.nodes, &nodes)?;
        let vectors = self.picked_vectors(base, other, &nodes)?;
        let is_picked = |key: &ConflictKey| match key {
            ConflictKey::Node(node) | ConflictKey::Vector { node, .. } => nodes.contains(node),
            ConflictKey::Edge(edge) => picked_edges.contains(edge),
            ConflictKey::Schema(_) => false,
        };
        let mut conflicts = Vec::new();
        for change in changes(base.conflicts, other.conflicts) {
            let change = change?;
            let key = ConflictKey::from_key(&change.key).ok_or_else(damaged_key)?;
            conflicts.extend(is_picked(&key).then_some(Edit { key: change.key, value: change.after }));
        }
        let conflicts = *self.tree(base.conflicts).mutate(conflicts, &mut self.sink())?.root();
        Ok(Maps { nodes: *picked.root(), edges: *edges.root(), vectors, conflicts, ..base.clone() })
    }

    /// A map of nodes with the values that another has of some.
    fn picked(&self, base: &Tree, other: Cid, nodes: &BTreeSet<NodeId>) -> Result<Tree, RepoError> {
        let mut edits = Vec::new();
        for node in nodes {
            let value = self.at(other, *node)?.map(|cid| link_value(&cid));
            edits.push(Edit { key: Bytes::copy_from_slice(node.as_bytes()), value });
        }
        Ok(base.mutate(edits, &mut self.sink())?)
    }

    fn picked_vectors(&self, base: &Maps, other: &Maps, nodes: &BTreeSet<NodeId>) -> Result<Cid, RepoError> {
        let mut models = Vec::new();
        let changes =
            self.tree(base.vectors).diff(&self.tree(other.vectors), KeyRange::ALL, Order::Ascending);
        for change in changes {
            let change = change?;
            let map = |value: &Option<Bytes>, root: &Cid| match value {
                Some(value) => link_of(root, value),
                None => self.empty(),
            };
            let (before, after) = (map(&change.before, &base.vectors)?, map(&change.after, &other.vectors)?);
            let picked = *self.picked(&self.tree(before), after, nodes)?.root();
            let value = (picked != self.empty()?).then(|| link_value(&picked));
            models.push(Edit { key: change.key, value });
        }
        Ok(*self.tree(base.vectors).mutate(models, &mut self.sink())?.root())
    }
}
