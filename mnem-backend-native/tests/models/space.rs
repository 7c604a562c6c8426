//! Which pages may be taken: a store with checkpoints, large commits that write ahead of their records, deletes, readers of
//! older versions, and a power cut after any step. A value is in one page; a page remembers who wrote it last.

use super::{Model, check};

const PAGES: usize = 3;
const VALUES: u8 = 3;
const CHECKPOINTS: u8 = 3;

/// What a superblock reaches: a set of values, each in its page.
type Values = [Option<u8>; PAGES];

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// Who wrote it last; 0: nobody.
    pages: [u8; PAGES],
    /// The two superblocks: generation, values, and how many records of the log they cover.
    slots: [(u8, Values, u8); 2],
    /// Records: the page and value of a large commit, or the delete of a value.
    log: Vec<(Option<u8>, u8)>,
    /// Written ahead, its record not yet.
    in_flight: Option<(u8, u8)>,
    /// What a reader sees.
    reader: Option<Values>,
    values: u8,
}

struct Space {
    without: Option<&'static str>,
}

const RULES: [&str; 4] = [
    "clear in both superblocks",
    "not in flight",
    "not referred to by a record that no checkpoint covers",
    "not of a version that somebody reads",
];

impl Space {
    fn has(&self, rule: &str) -> bool {
        self.without != Some(rule)
    }

    fn newest(state: &State) -> &(u8, Values, u8) {
        let [one, other] = &state.slots;
        if one.0 > other.0 { one } else { other }
    }

    /// What is there now: the superblock's values, and the log behind it.
    fn current(state: &State, slot: &(u8, Values, u8)) -> Values {
        let mut values = slot.1;
        for (page, value) in &state.log[slot.2 as usize..] {
            match page {
                Some(page) => values[*page as usize] = Some(*value),
                None => values.iter_mut().filter(|at| **at == Some(*value)).for_each(|at| *at = None),
            }
        }
        values
    }

    fn is_free(&self, state: &State, page: usize) -> bool {
        let newest = Space::newest(state);
        let in_slots = state.slots.iter().any(|slot| {
            slot.1[page].is_some() && (slot.0 == newest.0 || self.has("clear in both superblocks"))
        });
        let in_flight = state.in_flight.is_some_and(|(at, _)| at as usize == page);
        let in_log = state.log[newest.2 as usize..].iter().any(|(at, _)| *at == Some(page as u8));
        let is_read = state.reader.is_some_and(|values| values[page].is_some());
        !(in_slots
            || in_flight && self.has("not in flight")
            || in_log && self.has("not referred to by a record that no checkpoint covers")
            || is_read && self.has("not of a version that somebody reads"))
    }
}

impl Model for Space {
    type State = State;

    fn start(&self) -> State {
        State {
            pages: [0; PAGES],
            slots: [(0, [None; PAGES], 0), (1, [None; PAGES], 0)],
            log: Vec::new(),
            in_flight: None,
            reader: None,
            values: 0,
        }
    }

    fn moves(&self, state: &State) -> Vec<(&'static str, State)> {
        let mut moves = Vec::new();
        let newest = *Space::newest(state);
        let current = Space::current(state, &newest);
        for page in (0..PAGES).filter(|page| self.is_free(state, *page)) {
            if state.values < VALUES {
                // Several large commits may be under way: one that another overtakes is the one that is watched.
                let mut next = state.clone();
                next.values += 1;
                next.pages[page] = next.values;
                if next.in_flight.is_none() {
                    next.in_flight = Some((page as u8, next.values));
                } else {
                    next.log.push((Some(page as u8), next.values));
                }
                moves.push(("write ahead", next));
            }
        }
        if let Some((page, value)) = state.in_flight {
            let mut next = state.clone();
            next.in_flight = None;
            next.log.push((Some(page), value));
            moves.push(("write the record", next));
        }
        for value in current.iter().flatten() {
            let mut next = state.clone();
            next.log.push((None, *value));
            moves.push(("delete", next));
        }
        if newest.0 < CHECKPOINTS + 1 && (newest.2 as usize) < state.log.len() {
            let mut next = state.clone();
            next.slots[(newest.0 + 1) as usize & 1] = (newest.0 + 1, current, state.log.len() as u8);
            moves.push(("checkpoint", next));
        }
        let mut next = state.clone();
        next.reader = match state.reader {
            Some(_) => None,
            None => Some(current),
        };
        moves.push(("look", next));
        moves
    }

    fn broken(&self, state: &State) -> Option<&'static str> {
        let is_there = |values: &Values| {
            (0..PAGES).all(|page| values[page].is_none_or(|value| state.pages[page] == value))
        };
        if state.reader.is_some_and(|values| !is_there(&values)) {
            return Some("a page that somebody reads was overwritten");
        }
        if state.in_flight.is_some_and(|(page, value)| state.pages[page as usize] != value) {
            return Some("a page that was written ahead was overwritten");
        }
        if !is_there(&Space::current(state, Space::newest(state))) {
            return Some("the newest superblock and its log reach what was overwritten");
        }
        // The newest may rot: then the older one counts, with its pages.
        (!state.slots.iter().all(|slot| is_there(&slot.1)))
            .then_some("a superblock reaches what was overwritten")
    }
}

#[test]
fn a_page_is_taken_only_if_nobody_can_come_back_to_it() {
    check("space", &RULES, |without| Space { without });
}
