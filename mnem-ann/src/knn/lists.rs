//! The nearest of every slot, as far as they were compared.

use super::rows::Rows;

/// Lists of at most `k` slots each.
#[derive(Clone)]
pub(super) struct Lists {
    k: usize,
    /// `k` places for each slot, filled from the first on, in no order.
    places: Vec<(u32, f32)>,
    filled: Vec<u16>,
    /// How near one must be to have a place: that of the farthest, once a list is full.
    bars: Vec<f32>,
}

impl Lists {
    pub(super) fn new(slots: usize, k: usize) -> Lists {
        let mut lists = Lists { k, places: Vec::new(), filled: Vec::new(), bars: Vec::new() };
        lists.grow(slots);
        lists
    }

    /// Makes room for more slots.
    pub(super) fn grow(&mut self, slots: usize) {
        self.places.resize(slots * self.k, (0, 0.0));
        self.filled.resize(slots, 0);
        self.bars.resize(slots, f32::NEG_INFINITY);
    }

    pub(super) fn k(&self) -> usize {
        self.k
    }

    #[inline(always)]
    pub(super) fn bar(&self, slot: u32) -> f32 {
        self.bars[slot as usize]
    }

    pub(super) fn clear(&mut self, slot: u32) {
        self.filled[slot as usize] = 0;
        self.bars[slot as usize] = f32::NEG_INFINITY;
    }

    pub(super) fn of(&self, slot: u32) -> &[(u32, f32)] {
        let slot = slot as usize;
        &self.places[slot * self.k..][..usize::from(self.filled[slot])]
    }

    /// Gives `other` a place in the list of `slot` if it is nearer than one that has one. Says whether it did.
    pub(super) fn show(&mut self, slot: u32, other: u32, measure: f32, rows: &Rows) -> bool {
        let at = slot as usize;
        let filled = usize::from(self.filled[at]);
        let list = &mut self.places[at * self.k..][..self.k];
        let is_farther =
            |a: (u32, f32), b: (u32, f32)| a.1 < b.1 || (a.1 == b.1 && rows.node(a.0) > rows.node(b.0));
        if filled < self.k {
            list[filled] = (other, measure);
            self.filled[at] += 1;
        } else {
            let farthest = farthest(list, is_farther);
            if !is_farther(list[farthest], (other, measure)) {
                return false;
            }
            list[farthest] = (other, measure);
        }
        if usize::from(self.filled[at]) == self.k {
            self.bars[at] = list[farthest(list, is_farther)].1;
        }
        true
    }

    /// Returns the list of a slot, the nearest first.
    pub(super) fn sorted(&self, slot: u32, rows: &Rows) -> Vec<(u32, f32)> {
        let mut list = self.of(slot).to_vec();
        list.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| rows.node(a.0).cmp(&rows.node(b.0))));
        list
    }

    /// Walks the slots whose lists have `wanted`.
    pub(super) fn holding(&self, wanted: u32) -> impl Iterator<Item = (u32, f32)> {
        (0_u32..).zip(&self.filled).flat_map(move |(slot, _)| {
            self.of(slot).iter().find(|(other, _)| *other == wanted).map(|(_, measure)| (slot, *measure))
        })
    }

    /// Takes what the lists of others have.
    pub(super) fn merge(&mut self, others: &Lists, rows: &Rows) {
        for slot in 0..u32::try_from(self.filled.len()).expect("slots have numbers of 32 bits") {
            for (other, measure) in others.of(slot) {
                self.show(slot, *other, *measure, rows);
            }
        }
    }
}

#[inline(always)]
fn farthest(list: &[(u32, f32)], is_farther: impl Fn((u32, f32), (u32, f32)) -> bool) -> usize {
    let mut farthest = 0;
    for at in 1..list.len() {
        if is_farther(list[at], list[farthest]) {
            farthest = at;
        }
    }
    farthest
}
