//! The end of the log: a writer is cut off in the middle of a flush, the next one writes shorter ones over it. What stands
//! behind them, of the first writer, must never be taken for what follows.
//!
//! A record is one cell. It passes if it repeats the checksum of the one before it; here the worst case: checksums of equal
//! content are equal, and two writers may have the same content.

use super::{Model, check};

const CELLS: usize = 3;
const CUTS: u8 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Record {
    epoch: u8,
    nonce: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    log: [Option<Record>; CELLS],
    writer: Record,
    position: usize,
    cuts: u8,
    /// What the last opening believed that nobody had acknowledged at the time, and that the writer had given up.
    has_ghost: bool,
    /// Less was found than was acknowledged.
    is_lost: bool,
    /// Records of writers that were cut off, and that later ones have written over or beside.
    given_up: Vec<(usize, Record)>,
}

struct Epochs {
    without: Option<&'static str>,
}

/// The chain alone cannot tell, here: equal content has equal checksums. Epoch or nonce has to.
const RULES: [&str; 1] = ["a new epoch, or a new nonce"];

impl Epochs {
    fn scan(&self, state: &State) -> usize {
        let mut end = 0;
        let mut last: Option<Record> = None;
        while let Some(Some(record)) = state.log.get(end) {
            let is_next = last.is_none_or(|last| {
                record.epoch >= last.epoch && (record.epoch != last.epoch || record.nonce == last.nonce)
            });
            if !is_next {
                break;
            }
            last = Some(*record);
            end += 1;
        }
        end
    }
}

impl Model for Epochs {
    type State = State;

    fn start(&self) -> State {
        State {
            log: [None; CELLS],
            writer: Record { epoch: 1, nonce: 1 },
            position: 0,
            cuts: 0,
            has_ghost: false,
            is_lost: false,
            given_up: Vec::new(),
        }
    }

    fn moves(&self, state: &State) -> Vec<(&'static str, State)> {
        let mut moves = Vec::new();
        if state.position < CELLS {
            let mut next = state.clone();
            next.log[state.position] = Some(state.writer);
            next.given_up.retain(|(at, _)| *at != state.position);
            next.position += 1;
            moves.push(("commit", next));
        }
        if state.cuts < CUTS {
            // The power fails during a flush of several records: any of them is there, or none.
            for written in 0..1_u8 << (CELLS - state.position) {
                let mut next = state.clone();
                next.cuts += 1;
                for at in state.position..CELLS {
                    if written & (1 << (at - state.position)) != 0 {
                        next.log[at] = Some(state.writer);
                    }
                }
                let end = self.scan(&next);
                next.is_lost = end < state.position;
                next.has_ghost =
                    next.given_up.iter().any(|(at, record)| *at < end && next.log[*at] == Some(*record));
                for at in end..CELLS {
                    if let Some(record) = next.log[at] {
                        next.given_up.push((at, record));
                    }
                }
                next.given_up.sort_by_key(|(at, record)| (*at, record.epoch, record.nonce));
                next.given_up.dedup();
                next.position = end;
                if self.without.is_none() {
                    let highest = next.log.iter().flatten().map(|record| record.epoch).max().unwrap_or(0);
                    next.writer = Record { epoch: highest.max(state.writer.epoch) + 1, nonce: next.cuts + 1 };
                }
                moves.push(("cut", next));
            }
        }
        moves
    }

    fn broken(&self, state: &State) -> Option<&'static str> {
        if state.is_lost {
            return Some("what was acknowledged is missing");
        }
        state.has_ghost.then_some("a record that was given up came back")
    }
}

#[test]
fn a_record_that_was_given_up_never_comes_back() {
    check("epochs", &RULES, |without| Epochs { without });
}
