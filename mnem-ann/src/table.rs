//! Codes side by side in memory, in the order of their nodes.
//!
//! Used by: `view`, `knn`. Threads: never changes once it is made.

use mnem_core::NodeId;

use crate::codec::{CodeDamage, Encoder, Head, read};

/// Codes of some nodes. A code takes its numbers and 24 bytes.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) dim: usize,
    nodes: Vec<NodeId>,
    heads: Vec<Head>,
    codes: Vec<i8>,
}

impl Table {
    /// Makes room for so many codes, as far as that is believed: the count may come from outside.
    pub(crate) fn with_capacity(dim: usize, count: u64) -> Table {
        let count = usize::try_from(count).unwrap_or(0).min((64 << 20) / (dim + 24));
        Table {
            dim,
            nodes: Vec::with_capacity(count),
            heads: Vec::with_capacity(count),
            codes: Vec::with_capacity(count * dim),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn node(&self, at: usize) -> NodeId {
        self.nodes[at]
    }

    pub(crate) fn head(&self, at: usize) -> Head {
        self.heads[at]
    }

    pub(crate) fn codes(&self, at: usize) -> &[i8] {
        &self.codes[at * self.dim..][..self.dim]
    }

    /// Appends the code of a vector. Nodes must ascend.
    pub(crate) fn push(&mut self, encoder: &mut Encoder, node: NodeId, vector: &[f32]) {
        let at = self.codes.len();
        self.codes.resize(at + self.dim, 0);
        let head = encoder.encode(vector, &mut self.codes[at..]);
        self.heads.push(head);
        self.nodes.push(node);
    }

    /// Appends a code that was kept. Nodes must ascend.
    pub(crate) fn push_bytes(&mut self, node: NodeId, bytes: &[u8]) -> Result<(), CodeDamage> {
        let head = read(bytes, self.dim, &mut self.codes)?;
        self.heads.push(head);
        self.nodes.push(node);
        Ok(())
    }

    /// Appends a code of another table. Nodes must ascend.
    pub(crate) fn push_of(&mut self, other: &Table, at: usize) {
        self.nodes.push(other.nodes[at]);
        self.heads.push(other.heads[at]);
        self.codes.extend_from_slice(other.codes(at));
    }

    /// Returns where the code of a node is.
    pub(crate) fn find(&self, node: NodeId) -> Option<usize> {
        self.nodes.binary_search(&node).ok()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.codes.capacity()
            + self.nodes.capacity() * size_of::<NodeId>()
            + self.heads.capacity() * size_of::<Head>()
    }
}
