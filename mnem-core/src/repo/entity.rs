//! Nodes and edges as one: what differs is their id, their object and the map they stand in.

use super::delta::Differ;
use super::error::RepoError;
use super::merge::open::Fields;
use super::transaction::{Changes, Transaction};
use crate::cid::Cid;
use crate::id::{EdgeId, EntityId, NodeId};
use crate::object::{Commit, Edge, Node, Object};
use crate::tree::{Damage, TreeError, value_link};
use crate::value::{Map, Props};

/// An id of a node or of an edge. No other type is one.
pub trait Entity: Copy + Ord + Into<EntityId> + sealed::Sealed + 'static {
    /// What it names.
    type Object: Object + Fields + Differ + Clone + PartialEq + std::fmt::Debug;

    #[doc(hidden)]
    fn key(&self) -> &[u8; 16];
    #[doc(hidden)]
    fn root(commit: &Commit) -> &Cid;
    #[doc(hidden)]
    fn id(version: &Self::Object) -> Self;
    /// Refuses a version that cannot be there.
    #[doc(hidden)]
    fn check(version: &Self::Object, of: &Transaction) -> Result<(), RepoError>;
    #[doc(hidden)]
    fn props(version: &Self::Object) -> &Props;
    #[doc(hidden)]
    fn props_mut(version: &mut Self::Object) -> &mut Props;
    #[doc(hidden)]
    fn times_mut(version: &mut Self::Object) -> &mut Map;
    #[doc(hidden)]
    fn changes(of: &Transaction) -> &Changes<Self>;
    #[doc(hidden)]
    fn changes_mut(of: &mut Transaction) -> &mut Changes<Self>;
    /// Takes notice of a version that is staged.
    #[doc(hidden)]
    fn note(version: &Self::Object, of: &mut Transaction);
    /// Does what has to be done before the entity goes.
    #[doc(hidden)]
    fn before_removal(self, of: &mut Transaction) -> Result<(), RepoError>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::NodeId {}
    impl Sealed for super::EdgeId {}
}

impl Entity for NodeId {
    type Object = Node;

    fn key(&self) -> &[u8; 16] {
        self.as_bytes()
    }

    fn root(commit: &Commit) -> &Cid {
        &commit.nodes
    }

    fn id(version: &Node) -> NodeId {
        version.id
    }

    fn check(_: &Node, _: &Transaction) -> Result<(), RepoError> {
        Ok(())
    }

    fn props(version: &Node) -> &Props {
        &version.props
    }

    fn props_mut(version: &mut Node) -> &mut Props {
        &mut version.props
    }

    fn times_mut(version: &mut Node) -> &mut Map {
        &mut version.times
    }

    fn changes(of: &Transaction) -> &Changes<NodeId> {
        &of.nodes
    }

    fn changes_mut(of: &mut Transaction) -> &mut Changes<NodeId> {
        &mut of.nodes
    }

    fn note(_: &Node, _: &mut Transaction) {}

    fn before_removal(self, of: &mut Transaction) -> Result<(), RepoError> {
        of.remove_edges_at(self)?;
        of.remove_vectors_of(self)
    }
}

impl Entity for EdgeId {
    type Object = Edge;

    fn key(&self) -> &[u8; 16] {
        self.as_bytes()
    }

    fn root(commit: &Commit) -> &Cid {
        &commit.edges
    }

    fn id(version: &Edge) -> EdgeId {
        version.id
    }

    fn check(version: &Edge, of: &Transaction) -> Result<(), RepoError> {
        of.check_ends(version)
    }

    fn props(version: &Edge) -> &Props {
        &version.props
    }

    fn props_mut(version: &mut Edge) -> &mut Props {
        &mut version.props
    }

    fn times_mut(version: &mut Edge) -> &mut Map {
        &mut version.times
    }

    fn changes(of: &Transaction) -> &Changes<EdgeId> {
        &of.edges
    }

    fn changes_mut(of: &mut Transaction) -> &mut Changes<EdgeId> {
        &mut of.edges
    }

    fn note(version: &Edge, of: &mut Transaction) {
        of.note_ends(version);
    }

    fn before_removal(self, _: &mut Transaction) -> Result<(), RepoError> {
        Ok(())
    }
}

/// Reads the link that stands at an entity's key.
pub(super) fn link(root: &Cid, value: &[u8]) -> Result<Cid, RepoError> {
    value_link(value).ok_or(RepoError::Tree(TreeError::Damaged { cid: *root, what: Damage::Shape }))
}
