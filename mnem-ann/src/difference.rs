//! What entered and left the nearest between two states.

use std::fmt;

use mnem_core::NodeId;
use mnem_core::repo::Snapshot;

use crate::error::SearchError;
use crate::hits::{Hit, Hits};
use crate::top::Top;
use crate::vectors::Vectors;

/// The nearest of two states.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchDiff {
    /// Those of the first.
    pub before: Hits,
    /// Those of the second.
    pub after: Hits,
}

impl SearchDiff {
    /// Returns those of the second state that are not among those of the first, the nearest first.
    pub fn entered(&self) -> impl Iterator<Item = &Hit> {
        self.after.iter().filter(|hit| find(&self.before, hit.node).is_none())
    }

    /// Returns those of the first state that are not among those of the second, the nearest first.
    pub fn left(&self) -> impl Iterator<Item = &Hit> {
        self.before.iter().filter(|hit| find(&self.after, hit.node).is_none())
    }

    /// Returns those of both whose score differs, with the hit before and after.
    pub fn moved(&self) -> impl Iterator<Item = (&Hit, &Hit)> {
        let both = self.after.iter().filter_map(|hit| Some((find(&self.before, hit.node)?, hit)));
        both.filter(|(before, after)| before.score.total_cmp(&after.score).is_ne())
    }
}

fn find(hits: &Hits, node: NodeId) -> Option<&Hit> {
    hits.iter().find(|hit| hit.node == node)
}

impl fmt::Display for SearchDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entered().try_for_each(|hit| writeln!(f, "+ {:.3}  {}", hit.score, hit.node))?;
        self.moved().try_for_each(|(before, after)| {
            writeln!(f, "~ {:.3} -> {:.3}  {}", before.score, after.score, after.node)
        })?;
        self.left().try_for_each(|hit| writeln!(f, "- {:.3}  {}", hit.score, hit.node))
    }
}

impl Vectors {
    /// Searches two states for the same, and returns what they have among the nearest.
    pub fn search_diff(
        &self,
        before: &Snapshot,
        after: &Snapshot,
        vector: &[f32],
        top: &Top,
    ) -> Result<SearchDiff, SearchError> {
        Ok(SearchDiff { before: self.search(before, vector, top)?, after: self.search(after, vector, top)? })
    }
}
