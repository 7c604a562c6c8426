//! Nearest-neighbour edges: of every node the `k` nodes that are nearest to it by their codes.
//!
//! How near two codes are is an integer product, scaled alike from both sides: so the edges are exact by that measure, are
//! the same on every machine, and of equally near nodes the lesser id comes first. They are a tree from the id of a node to
//! its list, kept in the side table of the store. Bytes: FORMAT.md, "Nearest-neighbour edges".
//!
//! Invariants
//!  E1  The root depends on the vectors, the metric and `k` alone: bringing up to date equals building.
//!  E2  A kept tree that cannot be read or belongs to other nodes is dropped, and the edges are made anew.
//!
//! Used by: callers. Threads: an index is `Send`; it changes only through `update`.

mod lists;
mod near;
mod pairs;
mod rows;
mod store;
mod update;

use std::sync::Arc;

use mnem_core::object::{Metric, Model};
use mnem_core::progress::{Listener, quiet};
use mnem_core::repo::Snapshot;
use mnem_core::tree::{Executor, Serial};
use mnem_core::{Cid, NodeId, Staged};

pub use near::{Link, NearEdge, NearStep, Provenance};
pub use store::{KNN_BLOCKS, KNN_ROWS};
pub use update::Updated;

use crate::error::SearchError;
use crate::progress::Watched;
use crate::question::Nearness;
use crate::vectors::Vectors;
use lists::Lists;
use rows::Rows;

/// Most neighbours of a node: a list lies in one entry of a tree.
pub const NEIGHBORS_MAX: usize = 1024;

/// Which edges are wanted. A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knn {
    k: usize,
    metric: Option<Metric>,
}

impl Knn {
    /// Asks for the `k` nearest of every node: 1 to [`NEIGHBORS_MAX`], by the metric of the model.
    ///
    /// # Panics
    /// If `k` is out of range.
    pub const fn k(k: usize) -> Knn {
        assert!(k >= 1 && k <= NEIGHBORS_MAX, "a node has 1 to 1024 neighbours");
        Knn { k, metric: None }
    }

    /// Goes by another metric than the model's.
    #[must_use]
    pub fn by(self, metric: Metric) -> Knn {
        Knn { metric: Some(metric), ..self }
    }
}

/// The nearest neighbours of every node of one state. [`update`](Self::update) takes it to another state at the cost of
/// what differs.
pub struct KnnEdgeIndex {
    model: Model,
    nearness: Nearness,
    k: usize,
    /// Root of the map of vectors.
    source: Cid,
    root: Cid,
    rows: Rows,
    lists: Lists,
    /// Blocks of the tree that are not kept yet.
    staged: Arc<Staged>,
    dropped: Option<String>,
}

impl KnnEdgeIndex {
    /// Opens the edges of a state: as they were kept of it, or of a commit before it and brought up to date, or made of its
    /// codes. Nothing is written before [`keep`](Self::keep).
    pub fn open(vectors: &Vectors, snapshot: &Snapshot, knn: &Knn) -> Result<KnnEdgeIndex, SearchError> {
        KnnEdgeIndex::open_with(vectors, snapshot, knn, &Serial, &mut quiet)
    }

    /// The same. Where all edges have to be made, `executor` works side by side if it can, and `listener` hears how far it
    /// has come and may stop it.
    pub fn open_with<'a>(
        vectors: &Vectors,
        snapshot: &Snapshot,
        knn: &Knn,
        executor: &dyn Executor,
        listener: &'a mut Listener<'a>,
    ) -> Result<KnnEdgeIndex, SearchError> {
        let mut model = vectors.model_at(snapshot)?;
        if let Some(metric) = &knn.metric {
            model.metric = metric.clone();
        }
        let nearness = Nearness::of(&model)?;
        let root = vectors.state_root(snapshot)?;
        let mut dropped = None;
        if let Some(index) = KnnEdgeIndex::kept(vectors, snapshot, &model, knn.k, &root, &mut dropped)? {
            return Ok(KnnEdgeIndex { dropped, ..index });
        }
        let view = vectors.cache.view(snapshot, &model, &root)?;
        let rows = Rows::of(&view, nearness);
        rows.check(&model, nearness)?;
        let lists = pairs::all(&rows, knn.k, executor, &mut Watched::new("comparing vectors", listener))?;
        let (staged, tree) = store::build(snapshot, &rows, &lists)?;
        let k = knn.k;
        Ok(KnnEdgeIndex { model, nearness, k, source: root, root: tree, rows, lists, staged, dropped })
    }

    /// Returns the root of the tree: equal edges, equal root.
    pub const fn root(&self) -> &Cid {
        &self.root
    }

    /// Returns how many nodes have neighbours.
    pub fn len(&self) -> usize {
        self.rows.alive()
    }

    /// Says whether no node has a vector.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns what was wrong with a kept tree, if one was dropped when this was opened.
    pub fn dropped(&self) -> Option<&str> {
        self.dropped.as_deref()
    }

    /// Returns what its edges are derived from.
    pub fn provenance(&self) -> Provenance {
        Provenance {
            model: Arc::clone(&self.model.name),
            metric: self.model.metric.clone(),
            k: self.k,
            vectors: self.source,
        }
    }

    /// Returns the neighbours of a node, the nearest first; none if it has no vector.
    pub fn neighbors(&self, node: NodeId) -> Vec<NearEdge> {
        let Some(slot) = self.rows.slot(node) else { return Vec::new() };
        self.lists
            .sorted(slot, &self.rows)
            .into_iter()
            .map(|(dst, measure)| self.edge(node, dst, measure))
            .collect()
    }

    /// Returns the nodes that have `node` among their neighbours, by their ids.
    pub fn neighbors_of(&self, node: NodeId) -> Vec<NearEdge> {
        let Some(slot) = self.rows.slot(node) else { return Vec::new() };
        let mut found: Vec<NearEdge> = self
            .lists
            .holding(slot)
            .map(|(src, measure)| self.edge(self.rows.node(src), slot, measure))
            .collect();
        found.sort_by_key(|edge| edge.src);
        found
    }

    fn edge(&self, src: NodeId, dst: u32, measure: f32) -> NearEdge {
        NearEdge { src, dst: self.rows.node(dst), weight: self.nearness.score(measure) }
    }
}

impl std::fmt::Debug for KnnEdgeIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KnnEdgeIndex({} of {} nodes, {})", self.k, self.len(), self.root)
    }
}
