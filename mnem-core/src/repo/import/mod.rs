//! Recording nodes and edges in any number, in bounded memory.
//!
//! New versions go to the store at once, under the lease of the state that the import began from, so that the commit in
//! the end has only names left to write. When memory is full, the maps are changed by what came since, and the keys of
//! each index are written as a sorted run; the indexes themselves are made once, from all runs.
//!
//! Invariants
//!  I1  Nothing is seen of an import before its commit, and all of it then. A crash before leaves garbage.
//!  I2  What comes out is what a transaction with the same changes commits: maps and indexes have the same roots.
//!  I3  Memory is `memory_bytes`, about, whatever comes: beside the cache of tree nodes and what the store takes.
//!
//! Used by: the command line. Threads: an import has one owner, and can be sent.

mod ahead;
mod finish;
mod map;

use std::sync::Arc;

use super::entity::Entity;
use super::error::RepoError;
use super::handle::Repo;
use super::index::{Bulk, Index};
use super::merge::versions;
use super::options::Actor;
use super::schema::Schema;
use super::snapshot::Snapshot;
use super::transaction::types::stamp;
use crate::cid::Cid;
use crate::id::{CommitId, EdgeId, NodeId};
use crate::object::{Edge, Node, Object};
use crate::port::{BlockRead, BlockReadExt};
use crate::progress::{self, Listener};
use crate::tree::{BlockSink, TreeStore};
use ahead::Ahead;
use map::Map;

/// What becomes of a node or edge that is there already in another version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Present {
    /// It is refused.
    #[default]
    Refuse,
    /// It is replaced.
    Replace,
}

/// When an import commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Commits {
    /// Once, in the end. An import that was cut short has left nothing, and starts again.
    #[default]
    One,
    /// After each so many nodes and edges, and in the end. An import that was cut short is gone on with by running it
    /// again: what is there as it comes is passed by.
    Each(u64),
}

/// How to import.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// About how much memory may be filled before it is emptied into the store: more of it, less is written twice.
    pub memory_bytes: usize,
    /// When to commit.
    pub commits: Commits,
    /// What becomes of what is there.
    pub present: Present,
    /// What the commits are about.
    pub message: String,
}

impl Default for ImportOptions {
    fn default() -> ImportOptions {
        ImportOptions {
            memory_bytes: 64 << 20,
            commits: Commits::default(),
            present: Present::default(),
            message: "import".to_owned(),
        }
    }
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportReport {
    /// Nodes that were recorded.
    pub nodes: u64,
    /// Edges that were recorded.
    pub edges: u64,
    /// Nodes and edges that were there already, as they came.
    pub present: u64,
    /// Commits that were made, oldest first.
    pub commits: Vec<CommitId>,
    /// How often memory was emptied into the store.
    pub spills: u64,
}

/// Nodes and edges on their way into a branch. Nothing is seen of them before the commit; dropping this leaves garbage
/// and nothing else.
#[must_use = "a dropped import records nothing"]
pub struct Import {
    repo: Repo,
    actor: Actor,
    options: ImportOptions,
    report: ImportReport,
    work: Work,
}

/// What one commit will be made of.
struct Work {
    base: Snapshot,
    schema: Schema,
    /// Reads the store itself, which has what was put ahead.
    trees: TreeStore,
    ahead: Ahead,
    nodes: Map<NodeId>,
    edges: Map<EdgeId>,
    indexes: Vec<Bulk>,
    recorded: u64,
}

impl Repo {
    /// Starts to record nodes and edges in any number, in bounded memory. Others may commit meanwhile.
    pub fn import(&self, actor: &Actor, options: ImportOptions) -> Result<Import, RepoError> {
        let work = Work::start(self.reconcile()?, options.memory_bytes)?;
        Ok(Import {
            repo: self.clone(),
            actor: actor.clone(),
            options,
            report: ImportReport::default(),
            work,
        })
    }
}

impl Import {
    /// Takes a node.
    pub fn node(&mut self, node: Node) -> Result<(), RepoError> {
        if self.take::<NodeId>(node)? {
            self.report.nodes += 1;
            self.recorded()?;
        }
        Ok(())
    }

    /// Takes an edge. Its ends are there, or came before it.
    pub fn edge(&mut self, edge: Edge) -> Result<(), RepoError> {
        for node in [edge.src, edge.dst] {
            if self.work.nodes.find(&self.work.trees, node)?.is_none() {
                return Err(RepoError::MissingEnd { edge: edge.id, node });
            }
        }
        if self.take::<EdgeId>(edge)? {
            self.report.edges += 1;
            self.recorded()?;
        }
        Ok(())
    }

    /// Returns what was done so far. Commits that are not made yet may still fail.
    pub const fn report(&self) -> &ImportReport {
        &self.report
    }

    /// Makes the commit and returns what was done. If all was there already, there is none.
    pub fn finish(self) -> Result<ImportReport, RepoError> {
        self.finish_with(&mut progress::quiet)
    }

    /// The same, with somebody who listens: to make the indexes of millions of nodes takes a while.
    pub fn finish_with(mut self, listener: &mut Listener<'_>) -> Result<ImportReport, RepoError> {
        self.commit(listener)?;
        Ok(self.report)
    }

    /// Takes a version, and says whether it is to be recorded.
    fn take<E: Imported>(&mut self, version: E::Object) -> Result<bool, RepoError> {
        let id = E::id(&version);
        let there = E::map(&self.work).find(&self.work.trees, id)?;
        let before = match there {
            None => None,
            Some(there) => match self.before::<E>(id, there, &version)? {
                None => {
                    self.report.present += 1;
                    return Ok(false);
                }
                before => before,
            },
        };
        self.work.record::<E>(id, before.as_slice(), version)?;
        Ok(true)
    }

    /// Reads the version that is to be replaced; `None` if it is what came.
    fn before<E: Imported>(
        &mut self,
        id: E,
        there: Cid,
        version: &E::Object,
    ) -> Result<Option<E::Object>, RepoError> {
        if there == *version.to_block()?.cid() {
            return Ok(None);
        }
        if E::map(&self.work).is_waiting(id) {
            // Keys are taken of one change of a node or edge at a time.
            self.spill()?;
        }
        let store = Arc::clone(&self.work.base.shared.store);
        let blocks: &dyn BlockRead = &*store;
        let block = blocks.require(&there)?;
        if versions::conflict(&block)?.is_some() {
            return Err(RepoError::InConflict { id: id.into() });
        }
        let mut before: E::Object = versions::shown_version(blocks, &block)?;
        // When something was written is no part of what is imported.
        let times = std::mem::take(E::times_mut(&mut before));
        if before == *version {
            return Ok(None);
        }
        if self.options.present == Present::Refuse {
            return Err(RepoError::Differs { id: id.into() });
        }
        *E::times_mut(&mut before) = times;
        Ok(Some(before))
    }

    /// Counts, and makes room.
    fn recorded(&mut self) -> Result<(), RepoError> {
        self.work.recorded += 1;
        if self.work.bytes() > self.options.memory_bytes {
            self.spill()?;
        }
        match self.options.commits {
            Commits::Each(some) if self.work.recorded >= some.max(1) => {
                let head = self.commit(&mut progress::quiet)?;
                if let Some(head) = head {
                    self.work = Work::start(head, self.options.memory_bytes)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn spill(&mut self) -> Result<(), RepoError> {
        self.report.spills += 1;
        self.work.spill()
    }
}

impl Work {
    fn start(base: Snapshot, memory_bytes: usize) -> Result<Work, RepoError> {
        let (shared, state) = (Arc::clone(&base.shared), Arc::clone(&base.state));
        let trees = shared.tree_store();
        let mut ahead = Ahead::new(Arc::clone(&shared.store), Arc::clone(&state), memory_bytes);
        // What heads say together may not be stored yet, and this will rest on it.
        state.pending.iter().try_for_each(|block| ahead.put(block.clone()))?;
        ahead.put_all()?;
        let schema = base.schema()?;
        let mut indexes = Vec::new();
        for index in Index::kept(&schema) {
            let at = (&*shared, &*state);
            let bulk = Bulk::start(at, index, base.commit(), (&trees, &mut ahead), memory_bytes)?;
            indexes.push(bulk);
        }
        ahead.put_all()?;
        let root = |root: Option<Cid>| root.unwrap_or(shared.empty_root);
        Ok(Work {
            nodes: Map::start(&trees, root(base.root::<NodeId>()))?,
            edges: Map::start(&trees, root(base.root::<EdgeId>()))?,
            base,
            schema,
            trees,
            ahead,
            indexes,
            recorded: 0,
        })
    }

    /// Returns about how much memory this takes.
    fn bytes(&self) -> usize {
        let keys: usize = self.indexes.iter().map(Bulk::bytes).sum();
        keys + self.nodes.bytes() + self.edges.bytes() + self.ahead.bytes()
    }

    fn record<E: Imported>(
        &mut self,
        id: E,
        before: &[E::Object],
        mut version: E::Object,
    ) -> Result<(), RepoError> {
        self.schema.check::<E>(&version, before)?;
        let old = before.first().map(E::props);
        let is_new = |(name, value): &(&str, _)| old.is_none_or(|old| old.value(name) != Some(*value));
        let names: Vec<String> =
            E::props(&version).iter().filter(is_new).map(|(name, _)| name.to_owned()).collect();
        if let [before] = before {
            *E::times_mut(&mut version) = E::times_mut(&mut before.clone()).clone();
        }
        for name in names {
            stamp::<E>(&self.schema, &name, &*self.base.shared.options.clock, &mut version)?;
        }
        let block = version.to_block()?;
        let cid = *block.cid();
        self.ahead.put(block)?;
        self.indexes.iter_mut().for_each(|index| E::keys(index, before, &version));
        E::map_mut(self).put(id, cid);
        Ok(())
    }

    /// Empties memory into the store.
    fn spill(&mut self) -> Result<(), RepoError> {
        self.nodes.spill(&self.trees, &mut self.ahead)?;
        self.edges.spill(&self.trees, &mut self.ahead)?;
        for index in &mut self.indexes {
            index.spill(&self.trees, &mut self.ahead)?;
        }
        Ok(self.ahead.put_all()?)
    }
}

/// Nodes and edges as one.
trait Imported: Entity {
    fn map(of: &Work) -> &Map<Self>;
    fn map_mut(of: &mut Work) -> &mut Map<Self>;
    fn keys(index: &mut Bulk, before: &[Self::Object], after: &Self::Object);
}

impl Imported for NodeId {
    fn map(of: &Work) -> &Map<NodeId> {
        &of.nodes
    }

    fn map_mut(of: &mut Work) -> &mut Map<NodeId> {
        &mut of.nodes
    }

    fn keys(index: &mut Bulk, before: &[Node], after: &Node) {
        index.node(before, after);
    }
}

impl Imported for EdgeId {
    fn map(of: &Work) -> &Map<EdgeId> {
        &of.edges
    }

    fn map_mut(of: &mut Work) -> &mut Map<EdgeId> {
        &mut of.edges
    }

    fn keys(index: &mut Bulk, before: &[Edge], after: &Edge) {
        index.edge(before, after);
    }
}
