//! How many, and among which nodes.

use mnem_core::NodeId;
use mnem_core::repo::Snapshot;
use mnem_core::repo::query::{Predicate, Query};

use crate::error::SearchError;

/// How many hits are wanted, and among which nodes. A value: build it once, search any state with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Top {
    pub(crate) k: usize,
    predicate: Option<Predicate>,
    nodes: Option<Vec<NodeId>>,
}

impl Top {
    /// Asks for the `k` nearest.
    pub const fn k(k: usize) -> Top {
        Top { k, predicate: None, nodes: None }
    }

    /// Asks among the nodes of which this holds, in the state that is searched. Several calls: all must hold.
    #[must_use]
    pub fn among(mut self, predicate: Predicate) -> Top {
        self.predicate = Some(match self.predicate {
            Some(before) => before.and(predicate),
            None => predicate,
        });
        self
    }

    /// Asks among these nodes, such as a walk found. Several calls: a node must be in all.
    #[must_use]
    pub fn among_nodes(mut self, nodes: impl IntoIterator<Item = NodeId>) -> Top {
        let mut nodes: Vec<NodeId> = nodes.into_iter().collect();
        nodes.sort_unstable();
        nodes.dedup();
        if let Some(before) = &self.nodes {
            nodes.retain(|node| before.binary_search(node).is_ok());
        }
        self.nodes = Some(nodes);
        self
    }

    /// Returns the nodes that are let through, in ascending order; `None` for all.
    pub(crate) fn let_through(&self, snapshot: &Snapshot) -> Result<Option<Vec<NodeId>>, SearchError> {
        let Some(predicate) = &self.predicate else { return Ok(self.nodes.clone()) };
        let mut found = snapshot.find_ids(&Query::nodes(predicate.clone()))?;
        if let Some(nodes) = &self.nodes {
            found.retain(|node| nodes.binary_search(node).is_ok());
        }
        Ok(Some(found))
    }
}
