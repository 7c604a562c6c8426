//! What a walk comes by, and the shortest path between two nodes.

use std::collections::{HashMap, VecDeque};

use super::reach::{Met, Reach, Via};
use super::walk::{Hops, Walk};
use crate::id::{EdgeId, NodeId};
use crate::object::Node;
use crate::repo::error::RepoError;
use crate::repo::snapshot::Snapshot;

/// How many nodes are read at once: at first few, so that the first answer waits for no others.
const BATCH_MIN: usize = 4;
const BATCH_MAX: usize = 64;

impl Snapshot {
    /// Walks along edges and reports each node once, nearest first. The start has to be there.
    pub fn walk(&self, walk: &Walk) -> Result<Steps, RepoError> {
        let start = self.require(walk.start)?;
        let hops = walk.hops.unwrap_or(Hops { least: 1, most: 1 });
        let reach = Reach::new(self, walk, hops.most)?;
        let mut steps = Steps {
            snapshot: self.clone(),
            least: hops.least,
            walk: walk.clone(),
            reach,
            ready: VecDeque::new(),
            batch: BATCH_MIN,
            reported: 0,
            end: None,
        };
        if hops.least == 0 && walk.only.holds::<NodeId>(&start) {
            steps.ready.push_back(Step { node: start, hops: 0, via: None });
        }
        Ok(steps)
    }

    /// Finds a shortest path from where the walk starts to `to`, along the edges that it follows: at most as long as its
    /// hops say, or of any length. What the walk reports makes no difference.
    pub fn shortest_path(&self, walk: &Walk, to: NodeId) -> Result<Option<Path>, RepoError> {
        self.require(walk.start)?;
        self.require(to)?;
        if walk.start == to {
            return Ok(Some(Path { nodes: vec![to], edges: Vec::new() }));
        }
        let mut reach = Reach::new(self, walk, walk.hops.map_or(u32::MAX, |hops| hops.most))?;
        let mut ways: HashMap<NodeId, Via> = HashMap::new();
        while let Some(Met { node, via, .. }) = reach.next()? {
            ways.insert(node, via);
            if node == to {
                return Ok(Some(Path::back_from(to, &ways)));
            }
        }
        Ok(None)
    }
}

/// A node that a walk came by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The node.
    pub node: Node,
    /// How many edges it is away.
    pub hops: u32,
    /// How it was met; `None` of the start.
    pub via: Option<Via>,
}

/// Why a walk has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing is left.
    All,
    /// The limit was reached. There may be more.
    Limit,
    /// It failed.
    Error,
}

/// What a walk comes by. Ends after its first error.
pub struct Steps {
    snapshot: Snapshot,
    walk: Walk,
    least: u32,
    reach: Reach,
    ready: VecDeque<Step>,
    batch: usize,
    reported: u64,
    end: Option<End>,
}

impl Steps {
    /// Says why the walk has ended; `None` while it goes on.
    pub const fn end(&self) -> Option<End> {
        self.end
    }

    fn fill(&mut self) -> Result<(), RepoError> {
        while self.ready.is_empty() {
            let mut met = Vec::new();
            while met.len() < self.batch {
                match self.reach.next()? {
                    Some(next) if next.hops < self.least => {}
                    Some(next) => met.push(next),
                    None => break,
                }
            }
            if met.is_empty() {
                return Ok(());
            }
            self.batch = (self.batch * 2).min(BATCH_MAX);
            let ids: Vec<NodeId> = met.iter().map(|met| met.node).collect();
            let nodes = self.snapshot.require_many(&ids)?;
            let steps = met.into_iter().zip(nodes);
            let steps = steps.filter(|(_, node)| self.walk.only.holds::<NodeId>(node));
            self.ready.extend(steps.map(|(met, node)| Step { node, hops: met.hops, via: Some(met.via) }));
        }
        Ok(())
    }
}

impl Iterator for Steps {
    type Item = Result<Step, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.end.is_some() {
            return None;
        }
        if self.walk.limit.is_some_and(|limit| self.reported >= limit) {
            self.end = Some(End::Limit);
            return None;
        }
        if let Err(why) = self.fill() {
            self.end = Some(End::Error);
            return Some(Err(why));
        }
        let next = self.ready.pop_front();
        match &next {
            Some(_) => self.reported += 1,
            None => self.end = Some(End::All),
        }
        next.map(Ok)
    }
}

/// A way from node to node: one node more than edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// From the start to the end.
    pub nodes: Vec<NodeId>,
    /// What leads from each to the next.
    pub edges: Vec<EdgeId>,
}

impl Path {
    fn back_from(to: NodeId, ways: &HashMap<NodeId, Via>) -> Path {
        let (mut nodes, mut edges) = (vec![to], Vec::new());
        let mut at = to;
        while let Some(via) = ways.get(&at) {
            edges.push(via.edge);
            nodes.push(via.from);
            at = via.from;
        }
        nodes.reverse();
        edges.reverse();
        Path { nodes, edges }
    }
}
