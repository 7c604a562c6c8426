//! The codes of one state: a table, without those that are gone since, and a few that were added.
//!
//! States that are near to each other share a table. Which codes there are depends on the state alone, and so does every
//! answer.
//!
//! Used by: `cache` (makes them), `scan`, `knn`. Threads: never changes once it is made.

use std::sync::Arc;

use mnem_core::NodeId;

use crate::code_tree::Changed;
use crate::table::Table;

/// Codes of one state.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) base: Arc<Table>,
    gone: Option<Arc<Bits>>,
    pub(crate) added: Arc<Table>,
}

#[derive(Debug)]
struct Bits {
    words: Vec<u64>,
    count: usize,
}

impl View {
    pub(crate) fn whole(table: Table) -> View {
        let added = Table::with_capacity(table.dim, 0);
        View { base: Arc::new(table), gone: None, added: Arc::new(added) }
    }

    /// Returns the view of a state whose codes differ: `gone` says which nodes of the base have another code or none, and
    /// `added` has what they have now, and what is new.
    fn patched(base: Arc<Table>, gone: &[NodeId], added: Table) -> View {
        let mut bits = Bits { words: vec![0; base.len().div_ceil(64)], count: 0 };
        for at in gone.iter().filter_map(|node| base.find(*node)) {
            let (word, bit) = (&mut bits.words[at / 64], 1 << (at % 64));
            bits.count += usize::from(*word & bit == 0);
            *word |= bit;
        }
        let gone = (bits.count > 0).then(|| Arc::new(bits));
        View { base, gone, added: Arc::new(added) }
    }

    /// Returns the view of a state whose codes differ from these.
    pub(crate) fn with(&self, changed: &Changed) -> View {
        let is_changed = |node: &NodeId| changed.nodes.binary_search(node).is_ok();
        let mut added = Table::with_capacity(self.base.dim, 0);
        let (mut old, mut new) = (0, 0);
        loop {
            while old < self.added.len() && is_changed(&self.added.node(old)) {
                old += 1;
            }
            let (has_old, has_new) = (old < self.added.len(), new < changed.table.len());
            if has_old && (!has_new || self.added.node(old) < changed.table.node(new)) {
                added.push_of(&self.added, old);
                old += 1;
            } else if has_new {
                added.push_of(&changed.table, new);
                new += 1;
            } else {
                break;
            }
        }
        let before = (0..self.base.len()).filter(|at| self.is_gone(*at)).map(|at| self.base.node(at));
        let gone: Vec<NodeId> = before.chain(changed.nodes.iter().copied()).collect();
        View::patched(Arc::clone(&self.base), &gone, added)
    }

    pub(crate) fn len(&self) -> usize {
        self.base.len() - self.gone.as_ref().map_or(0, |gone| gone.count) + self.added.len()
    }

    /// How many codes are elsewhere than in the base.
    pub(crate) fn patches(&self) -> usize {
        self.gone.as_ref().map_or(0, |gone| gone.count) + self.added.len()
    }

    #[inline(always)]
    pub(crate) fn is_gone(&self, at: usize) -> bool {
        self.gone.as_ref().is_some_and(|gone| gone.words[at / 64] >> (at % 64) & 1 == 1)
    }

    /// Returns where the code of a node is: in which table, and at which place.
    pub(crate) fn find(&self, node: NodeId) -> Option<(&Table, usize)> {
        if let Some(at) = self.added.find(node) {
            return Some((&self.added, at));
        }
        self.base.find(node).filter(|at| !self.is_gone(*at)).map(|at| (&*self.base, at))
    }

    /// Walks all codes, in the order of their nodes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Table, usize)> {
        let (mut base, mut added) = (0, 0);
        std::iter::from_fn(move || {
            while base < self.base.len() && self.is_gone(base) {
                base += 1;
            }
            let has_base = base < self.base.len();
            let has_added = added < self.added.len();
            if has_added && (!has_base || self.added.node(added) < self.base.node(base)) {
                added += 1;
                return Some((&*self.added, added - 1));
            }
            has_base.then(|| {
                base += 1;
                (&*self.base, base - 1)
            })
        })
    }

    /// Copies all codes into one table.
    pub(crate) fn merged(&self) -> Table {
        let mut table = Table::with_capacity(self.base.dim, self.len() as u64);
        self.iter().for_each(|(of, at)| table.push_of(of, at));
        table
    }

    pub(crate) fn bytes(&self) -> usize {
        self.base.bytes() + self.added.bytes() + self.gone.as_ref().map_or(0, |gone| gone.words.len() * 8)
    }
}
