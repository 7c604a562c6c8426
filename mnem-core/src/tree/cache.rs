//! Nodes that were read, decoded and checked once.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::node::Node;
use super::params::Rule;
use super::{TreeParams, UnsoundParams};
use crate::cid::Cid;

/// Keeps decoded nodes up to a number of bytes, for all readers of trees with the same parameters: what is checked
/// under one rule would not be under another. Nodes never change, so nothing in it goes stale.
#[derive(Debug)]
pub struct NodeCache {
    rule: Arc<Rule>,
    nodes: Cache<Cid, Arc<Node>, Size>,
}

#[derive(Clone, Debug)]
struct Size;

impl Weighter<Cid, Arc<Node>> for Size {
    fn weight(&self, _: &Cid, node: &Arc<Node>) -> u64 {
        (size_of::<Cid>() + node.memory_bytes()) as u64
    }
}

/// What an average node takes, decoded: sizes the table, no more.
const NODE_BYTES_USUAL: u64 = 5 << 10;

impl NodeCache {
    /// Keeps at most `capacity_bytes`.
    pub fn new(params: &TreeParams, capacity_bytes: u64) -> Result<NodeCache, UnsoundParams> {
        let nodes = usize::try_from(capacity_bytes / NODE_BYTES_USUAL).unwrap_or(usize::MAX);
        let rule = Arc::new(Rule::new(params)?);
        Ok(NodeCache { rule, nodes: Cache::with_weighter(nodes, capacity_bytes, Size) })
    }

    /// Returns how many bytes are in use.
    pub fn bytes(&self) -> u64 {
        self.nodes.weight()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.nodes.clear();
    }

    pub(crate) const fn rule(&self) -> &Arc<Rule> {
        &self.rule
    }

    pub(crate) fn get(&self, cid: &Cid) -> Option<Arc<Node>> {
        self.nodes.get(cid)
    }

    /// Notes the use of a node that was reached by a link: else what is used most would look unused, and go first.
    pub(crate) fn touch(&self, node: &Arc<Node>) {
        if node.is_visit_noted() && self.nodes.get(node.cid()).is_none() {
            self.insert(node);
        }
    }

    pub(crate) fn insert(&self, node: &Arc<Node>) {
        self.nodes.insert(*node.cid(), Arc::clone(node));
    }
}
