//! What was found, the nearest first.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Deref;

use mnem_core::NodeId;

/// A node that is near.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// The node.
    pub node: NodeId,
    /// How near it is, the greater the nearer: the cosine, the dot product, or the distance below zero.
    pub score: f32,
}

impl Hit {
    /// Less is nearer; of equally near ones, the lesser id.
    pub(crate) fn order(&self, other: &Hit) -> Ordering {
        other.score.total_cmp(&self.score).then_with(|| self.node.cmp(&other.node))
    }
}

/// What a search took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearchStats {
    /// How many vectors, or codes of them, were looked at.
    pub visited: u64,
    /// How many exact scores were computed.
    pub exact: u64,
    /// How many nodes the filter let through, if there was one.
    pub among: Option<u64>,
}

/// What was found, the nearest first and of equally near ones the lesser id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hits {
    pub(crate) hits: Vec<Hit>,
    pub(crate) stats: SearchStats,
}

impl Hits {
    /// Returns what the search took.
    pub const fn stats(&self) -> &SearchStats {
        &self.stats
    }
}

impl Deref for Hits {
    type Target = [Hit];

    fn deref(&self) -> &[Hit] {
        &self.hits
    }
}

impl IntoIterator for Hits {
    type Item = Hit;
    type IntoIter = std::vec::IntoIter<Hit>;

    fn into_iter(self) -> Self::IntoIter {
        self.hits.into_iter()
    }
}

impl<'a> IntoIterator for &'a Hits {
    type Item = &'a Hit;
    type IntoIter = std::slice::Iter<'a, Hit>;

    fn into_iter(self) -> Self::IntoIter {
        self.hits.iter()
    }
}

/// Keeps the nearest of all that are shown to it.
pub(crate) struct Nearest {
    wanted: usize,
    /// The farthest of those that are kept is on top.
    kept: BinaryHeap<Farthest>,
}

struct Farthest(Hit);

impl PartialEq for Farthest {
    fn eq(&self, other: &Farthest) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Farthest {}

impl PartialOrd for Farthest {
    fn partial_cmp(&self, other: &Farthest) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Farthest {
    fn cmp(&self, other: &Farthest) -> Ordering {
        self.0.order(&other.0)
    }
}

impl Nearest {
    pub(crate) const fn new(wanted: usize) -> Nearest {
        Nearest { wanted, kept: BinaryHeap::new() }
    }

    pub(crate) fn show(&mut self, hit: Hit) {
        if self.kept.len() < self.wanted {
            self.kept.push(Farthest(hit));
        } else if let Some(mut top) = self.kept.peek_mut()
            && hit.order(&top.0).is_lt()
        {
            *top = Farthest(hit);
        }
    }

    /// Returns the farthest that is kept, once there are as many as wanted: what is not nearer has no place.
    pub(crate) fn bar(&self) -> Option<Hit> {
        if self.kept.len() < self.wanted { None } else { self.kept.peek().map(|top| top.0) }
    }

    pub(crate) fn into_hits(self) -> Vec<Hit> {
        self.kept.into_sorted_vec().into_iter().map(|kept| kept.0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(node: u8, score: f32) -> Hit {
        Hit { node: NodeId::from_bytes([node; 16]), score }
    }

    #[test]
    fn the_nearest_are_kept_whatever_their_order_and_of_equals_the_lesser_id() {
        let all = [hit(1, 0.5), hit(2, 0.9), hit(3, 0.5), hit(4, -1.0), hit(5, 0.5)];
        let expected = [hit(2, 0.9), hit(1, 0.5), hit(3, 0.5)];
        for turn in 0..5 {
            let mut nearest = Nearest::new(3);
            assert_eq!(nearest.bar(), None);
            all.iter().cycle().skip(turn).take(5).for_each(|hit| nearest.show(*hit));
            assert_eq!(nearest.bar(), Some(hit(3, 0.5)));
            assert_eq!(nearest.into_hits(), expected);
        }
        let mut none = Nearest::new(0);
        none.show(hit(1, 1.0));
        assert!(none.into_hits().is_empty());
    }
}
