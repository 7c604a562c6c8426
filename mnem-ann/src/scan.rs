//! Which codes may belong to one of the nearest: all whose bound reaches the bar.
//!
//! A code says how near its vector is, give or take. The bar is the `k`-th greatest of the scores that are reached at
//! least; what cannot reach it is not among the nearest, and what can is compared exactly. So the answer is that of the
//! exact search, for every set of vectors; only how many are compared exactly differs.
//!
//! Used by: `search`. Threads: no state.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use mnem_core::NodeId;

use crate::codec::{CodedQuestion, Head};
use crate::kernel::fast;
use crate::question::Nearness;
use crate::table::Table;
use crate::view::View;

/// A node that may be near: at most so near.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) node: NodeId,
    /// In the measure of the scan: see [`measure`].
    pub(crate) at_most: f32,
}

/// Returns an exact score in the measure of the scan, which is the score but for distances: those are squared.
pub(crate) fn measure(nearness: Nearness, score: f32) -> f32 {
    match nearness {
        Nearness::Cosine | Nearness::Dot => score,
        Nearness::L2 => -(score * score),
    }
}

/// Collects candidates.
pub(crate) struct Scan<'q> {
    question: &'q CodedQuestion,
    nearness: Nearness,
    wanted: usize,
    /// How much sums of this many terms may be off by rounding, in parts of the lengths.
    slack: f32,
    /// The greatest of the scores that are reached at least; the least of them on top.
    reached: BinaryHeap<Reverse<Ordered>>,
    bar: f32,
    found: Vec<Candidate>,
    pub(crate) visited: u64,
}

#[derive(Clone, Copy, PartialEq)]
struct Ordered(f32);

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Ordered) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Ordered) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl<'q> Scan<'q> {
    pub(crate) fn new(question: &'q CodedQuestion, nearness: Nearness, wanted: usize) -> Scan<'q> {
        // Each lane of an exact sum adds one in 32 of the terms, each with half a unit in the last place; the turn of both
        // vectors adds a few more. Twice that, to be sure.
        let slack = (question.codes.len() as f32 / 32.0 + 64.0) * f32::EPSILON;
        let (reached, bar) = (BinaryHeap::new(), f32::NEG_INFINITY);
        Scan { question, nearness, wanted, slack, reached, bar, found: Vec::new(), visited: 0 }
    }

    /// Looks at all codes of a view.
    pub(crate) fn all(&mut self, view: &View) {
        fast(
            #[inline(always)]
            || {
                for at in 0..view.base.len() {
                    if !view.is_gone(at) {
                        self.look(&view.base, at);
                    }
                }
                (0..view.added.len()).for_each(|at| self.look(&view.added, at));
            },
        );
    }

    /// Looks at the codes of some nodes, those that have one.
    pub(crate) fn some(&mut self, view: &View, nodes: &[NodeId]) {
        fast(
            #[inline(always)]
            || {
                for (table, at) in nodes.iter().filter_map(|node| view.find(*node)) {
                    self.look(table, at);
                }
            },
        );
    }

    #[inline(always)]
    fn look(&mut self, table: &Table, at: usize) {
        self.visited += 1;
        let (about, give) = self.estimate(table.head(at), self.question.dot(table.codes(at)));
        let (at_most, at_least) = (about + give, about - give);
        // Of what is no number nothing is known.
        if at_most >= self.bar || at_most.is_nan() {
            let is_known = at_most.is_finite() && at_least.is_finite();
            let unknown = (f32::INFINITY, f32::NEG_INFINITY);
            let (at_most, at_least) = if is_known { (at_most, at_least) } else { unknown };
            self.keep(table.node(at), at_most, at_least);
        }
    }

    /// Returns about how near the vector of a code is, and how much it may be off.
    #[inline(always)]
    fn estimate(&self, head: Head, dot: i64) -> (f32, f32) {
        let question = self.question;
        #[expect(
            clippy::cast_precision_loss,
            reason = "half a unit in the last place, for which there is slack"
        )]
        let about = dot as f32 * (head.step() * question.step);
        let reach = head.length + head.error();
        let give = question.length * head.error() + reach * (question.error + self.slack * question.length);
        match self.nearness {
            Nearness::Dot => (about, give),
            Nearness::Cosine => {
                let lengths = 1.0 / (question.length * head.length);
                (about * lengths, give * lengths)
            }
            Nearness::L2 => {
                let squares = question.length * question.length + head.length * head.length;
                (2.0 * about - squares, 2.0 * give + self.slack * squares)
            }
        }
    }

    #[cold]
    fn keep(&mut self, node: NodeId, at_most: f32, at_least: f32) {
        if self.reached.len() < self.wanted {
            self.reached.push(Reverse(Ordered(at_least)));
        } else if let Some(mut least) = self.reached.peek_mut()
            && Ordered(at_least) > least.0
        {
            *least = Reverse(Ordered(at_least));
        }
        if self.reached.len() >= self.wanted {
            self.bar = self.reached.peek().map_or(f32::INFINITY, |least| least.0.0);
        }
        self.found.push(Candidate { node, at_most });
    }

    /// Returns the candidates, what may be nearest first.
    pub(crate) fn into_candidates(self) -> Vec<Candidate> {
        let bar = self.bar;
        let mut found = self.found;
        found.retain(|candidate| candidate.at_most >= bar);
        found.sort_by(|a, b| b.at_most.total_cmp(&a.at_most).then_with(|| a.node.cmp(&b.node)));
        found
    }
}
