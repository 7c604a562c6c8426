//! One ranking of three: by vectors, by words, by edges.
//!
//! Their scores have no common measure, their ranks have: a node gets 1 / (60 + rank) from each ranking that it is in, the
//! rank being one more than how many are strictly better. The sum is its score: who is high up in several is before who is
//! first in one.

use std::collections::BTreeMap;

use mnem_core::NodeId;
use mnem_core::repo::Snapshot;
use mnem_core::repo::query::Walk;

use crate::error::SearchError;
use crate::top::Top;
use crate::vectors::Vectors;

/// How little the first ranks differ.
const FLATTEN: f64 = 60.0;

/// How many of each ranking count, for each that is wanted.
const DEPTH: usize = 10;

/// What to rank by. A value: what is not asked for has no say.
#[derive(Clone, Debug, PartialEq)]
pub struct Hybrid {
    top: Top,
    vector: Option<Vec<f32>>,
    words: Option<String>,
    walk: Option<Walk>,
}

/// A node, and what each ranking says of it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct HybridHit {
    /// The node.
    pub node: NodeId,
    /// The sum of what its ranks give.
    pub score: f64,
    /// How near its vector is.
    pub nearness: Option<f32>,
    /// How much its words tell.
    pub words: Option<f64>,
    /// How many edges it is away.
    pub hops: Option<u32>,
}

impl Hybrid {
    /// Asks for so many, among those that it lets through.
    pub const fn new(top: Top) -> Hybrid {
        Hybrid { top, vector: None, words: None, walk: None }
    }

    /// Ranks by nearness to a vector.
    #[must_use]
    pub fn vector(self, vector: &[f32]) -> Hybrid {
        Hybrid { vector: Some(vector.to_vec()), ..self }
    }

    /// Ranks by words, of the properties that the schema wants found by them.
    #[must_use]
    pub fn words(self, words: &str) -> Hybrid {
        Hybrid { words: Some(words.to_owned()), ..self }
    }

    /// Ranks by how far a walk has to go. Give it a limit where the graph is large.
    #[must_use]
    pub fn walk(self, walk: &Walk) -> Hybrid {
        Hybrid { walk: Some(walk.clone()), ..self }
    }
}

impl Vectors {
    /// Finds the nodes that several rankings together put first; of equal ones the lesser id.
    pub fn search_hybrid(&self, snapshot: &Snapshot, hybrid: &Hybrid) -> Result<Vec<HybridHit>, SearchError> {
        let depth = hybrid.top.k.saturating_mul(DEPTH).max(100);
        let among = hybrid.top.let_through(snapshot)?;
        let lets = |node: &NodeId| among.as_ref().is_none_or(|among| among.binary_search(node).is_ok());
        let mut hits: BTreeMap<NodeId, HybridHit> = BTreeMap::new();
        if let Some(vector) = &hybrid.vector {
            let mut top = hybrid.top.clone();
            top.k = depth;
            let found: Vec<(NodeId, f32)> =
                self.search(snapshot, vector, &top)?.iter().map(|hit| (hit.node, hit.score)).collect();
            rank(&found, &mut hits, |hit, score| hit.nearness = Some(score));
        }
        if let Some(words) = &hybrid.words {
            let asked = if among.is_some() { usize::MAX } else { depth };
            let found = snapshot.search_words(words, asked)?;
            let found = found.iter().map(|hit| (hit.node, hit.score)).filter(|(node, _)| lets(node));
            rank(&found.take(depth).collect::<Vec<_>>(), &mut hits, |hit, score| hit.words = Some(score));
        }
        if let Some(walk) = &hybrid.walk {
            let mut found = Vec::new();
            for step in snapshot.walk(walk)? {
                let step = step?;
                if lets(&step.node.id) {
                    found.push((step.node.id, step.hops));
                }
            }
            rank(&found, &mut hits, |hit, hops| hit.hops = Some(hops));
        }
        let mut hits: Vec<HybridHit> = hits.into_values().collect();
        // Stable, and nodes ascend.
        hits.sort_by(|a, b| b.score.total_cmp(&a.score));
        hits.truncate(hybrid.top.k);
        Ok(hits)
    }
}

/// Adds what a ranking gives, the best first.
fn rank<T: Copy + PartialEq>(
    found: &[(NodeId, T)],
    hits: &mut BTreeMap<NodeId, HybridHit>,
    mut note: impl FnMut(&mut HybridHit, T),
) {
    let mut rank = 1;
    for (at, (node, value)) in found.iter().enumerate() {
        if at > 0 && found[at - 1].1 != *value {
            rank = at + 1;
        }
        let none = HybridHit { node: *node, score: 0.0, nearness: None, words: None, hops: None };
        let hit = hits.entry(*node).or_insert(none);
        #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
        let rank = rank as f64;
        hit.score += 1.0 / (FLATTEN + rank);
        note(hit, *value);
    }
}
