//! Codes to be compared with each other, in slots that stay.
//!
//! The measure of two codes is `dot * (f * f') * c + (g + g')`: symmetric to the last bit.

use std::collections::HashMap;

use mnem_core::NodeId;
use mnem_core::object::Model;

use crate::error::{SearchError, Unfit};
use crate::question::Nearness;
use crate::table::Table;
use crate::view::View;

/// What a code brings to the measure.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Factor {
    f: f32,
    g: f32,
}

/// Codes in slots.
pub(super) struct Rows {
    pub(super) dim: usize,
    double: f32,
    nodes: Vec<NodeId>,
    codes: Vec<i8>,
    factors: Vec<Factor>,
    is_alive: Vec<bool>,
    by_node: HashMap<NodeId, u32>,
    alive: usize,
    nearness: Nearness,
    /// The first node whose vector has no angle, if angles are asked for.
    zero: Option<NodeId>,
}

/// Terms whose sum has room in 32 bits: 127 * 127 * 65536 is below 2^31.
const TERMS_MAX: usize = 65_536;

#[inline(always)]
fn products(a: &[i8], b: &[i8]) -> i64 {
    let term = |(a, b): (&i8, &i8)| i32::from(*a) * i32::from(*b);
    a.chunks(TERMS_MAX)
        .zip(b.chunks(TERMS_MAX))
        .map(|(a, b)| i64::from(a.iter().zip(b).map(term).sum::<i32>()))
        .sum()
}

impl Rows {
    pub(super) fn of(view: &View, nearness: Nearness) -> Rows {
        let double = if nearness == Nearness::L2 { 2.0 } else { 1.0 };
        let mut rows = Rows {
            dim: view.base.dim,
            double,
            nodes: Vec::with_capacity(view.len()),
            codes: Vec::with_capacity(view.len() * view.base.dim),
            factors: Vec::with_capacity(view.len()),
            is_alive: Vec::with_capacity(view.len()),
            by_node: HashMap::with_capacity(view.len()),
            alive: 0,
            nearness,
            zero: None,
        };
        for (table, at) in view.iter() {
            rows.push(table, at);
        }
        rows
    }

    /// Takes a code into a new slot.
    pub(super) fn push(&mut self, table: &Table, at: usize) -> u32 {
        let (node, head, codes) = (table.node(at), table.head(at), table.codes(at));
        #[expect(clippy::cast_precision_loss, reason = "rounded, and from both sides alike")]
        let square = products(codes, codes) as f32;
        let factor = match self.nearness {
            Nearness::Dot => Factor { f: head.step(), g: 0.0 },
            Nearness::Cosine => Factor { f: if square > 0.0 { 1.0 / square.sqrt() } else { 0.0 }, g: 0.0 },
            Nearness::L2 => Factor { f: head.step(), g: -(square * head.step() * head.step()) },
        };
        if head.length == 0.0 && self.zero.is_none_or(|zero| node < zero) {
            self.zero = Some(node);
        }
        let slot = u32::try_from(self.nodes.len()).expect("fewer than 2^32 vectors are in memory");
        self.nodes.push(node);
        self.codes.extend_from_slice(codes);
        self.factors.push(factor);
        self.is_alive.push(true);
        self.by_node.insert(node, slot);
        self.alive += 1;
        slot
    }

    /// Empties the slot of a node.
    pub(super) fn remove(&mut self, node: NodeId) -> Option<u32> {
        let slot = self.by_node.remove(&node)?;
        self.is_alive[slot as usize] = false;
        self.alive -= 1;
        if self.zero == Some(node) {
            self.zero = None;
        }
        Some(slot)
    }

    /// Refuses vectors without an angle, if angles are asked for.
    pub(super) fn check(&self, model: &Model, nearness: Nearness) -> Result<(), SearchError> {
        match self.zero.filter(|_| nearness == Nearness::Cosine) {
            Some(node) => Err(SearchError::Node { node, model: model.name.to_string(), why: Unfit::Zero }),
            None => Ok(()),
        }
    }

    pub(super) fn slots(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn alive(&self) -> usize {
        self.alive
    }

    #[inline(always)]
    pub(super) fn is_alive(&self, slot: u32) -> bool {
        self.is_alive[slot as usize]
    }

    #[inline(always)]
    pub(super) fn node(&self, slot: u32) -> NodeId {
        self.nodes[slot as usize]
    }

    pub(super) fn slot(&self, node: NodeId) -> Option<u32> {
        self.by_node.get(&node).copied()
    }

    #[inline(always)]
    pub(super) fn codes(&self, slot: u32) -> &[i8] {
        &self.codes[slot as usize * self.dim..][..self.dim]
    }

    /// Returns how near two codes are that have this product: the greater the nearer.
    #[inline(always)]
    pub(super) fn measure(&self, a: u32, b: u32, dot: i64) -> f32 {
        let (a, b) = (self.factors[a as usize], self.factors[b as usize]);
        #[expect(clippy::cast_precision_loss, reason = "rounded, and from both sides alike")]
        let dot = dot as f32;
        let measure = dot * (a.f * b.f) * self.double + (a.g + b.g);
        // Codes at the ends of the range may give no number: they are as far as can be.
        if measure.is_nan() { f32::NEG_INFINITY } else { measure + 0.0 }
    }

    /// Returns the slots in use, in the order of their nodes.
    pub(super) fn in_order(&self) -> Vec<u32> {
        let mut slots: Vec<u32> = self.by_node.values().copied().collect();
        slots.sort_unstable_by_key(|slot| self.node(*slot));
        slots
    }
}
