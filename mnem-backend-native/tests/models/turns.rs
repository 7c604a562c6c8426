//! Publishing, needing and using again: a writer who commits and makes checkpoints and is killed at any moment, the next
//! writer, two readers who come, look and go; and the power, which may fail in every state.
//!
//! A checkpoint is one page here, a log record one segment. What is written and not synced may be there after a power cut
//! or not.

use super::{Model, check};

const PAGES: usize = 4;
const SEGMENTS: usize = 1;
const COMMITS: u8 = 2;
const CHECKPOINTS: u8 = 3;
const KILLS: u8 = 1;

/// What is in a place now, and what a power cut leaves for certain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Cell<T> {
    now: T,
    durable: T,
}

impl<T: Copy> Cell<T> {
    fn sync(&mut self) {
        self.durable = self.now;
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Superblock {
    generation: u8,
    page: u8,
    /// Records up to here are in the page.
    lsn: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    Idle,
    Opened,
    Appended,
    Synced,
    PageWritten(u8),
    PageSynced(u8),
    SlotOpened(u8),
    SlotWritten,
    SlotSynced,
    Published,
    Dead,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reader {
    Away,
    Looked { generation: u8 },
    Read { generation: u8, page: u8 },
    Needs { generation: u8, page: u8 },
    Reads { generation: u8, page: u8 },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    pages: [Cell<u8>; PAGES],
    slots: [Cell<Superblock>; 2],
    log: [Cell<u8>; SEGMENTS],
    /// The board.
    generation: u8,
    lsn: u8,
    is_open: bool,
    /// In the writer's memory.
    step: Step,
    busy: u8,
    /// Segments with records up to here may be used again.
    released: u8,
    own_generation: u8,
    own_lsn: u8,
    readers: [Reader; 2],
    checkpoints: u8,
    kills: u8,
}

struct Turns {
    without: Option<&'static str>,
}

const RULES: [&str; 5] = [
    "look again after needing",
    "heed needs",
    "sync the log, then publish",
    "sync pages, then the superblock",
    "sync the superblock, then use again",
];

impl Turns {
    fn has(&self, rule: &str) -> bool {
        assert!(RULES.contains(&rule));
        self.without != Some(rule)
    }

    fn busy(&self, state: &State) -> u8 {
        let mut busy = 0;
        for slot in &state.slots {
            busy |= 1 << slot.now.page;
        }
        for reader in &state.readers {
            if let (Reader::Needs { page, .. } | Reader::Reads { page, .. }, true) =
                (reader, self.has("heed needs"))
            {
                busy |= 1 << page;
            }
        }
        busy
    }

    fn newest(state: &State) -> Superblock {
        let [one, other] = state.slots.map(|slot| slot.now);
        if one.generation > other.generation { one } else { other }
    }

    fn writer(&self, state: &State) -> Vec<(&'static str, State)> {
        let mut moves = Vec::new();
        let mut go = |name, change: &dyn Fn(&mut State)| {
            let mut next = state.clone();
            change(&mut next);
            moves.push((name, next));
        };
        match state.step {
            Step::Idle => {
                let lsn = state.own_lsn + 1;
                let is_free = lsn as usize <= SEGMENTS || lsn - SEGMENTS as u8 <= state.released;
                if state.own_lsn < COMMITS && is_free {
                    go("open", &|next| (next.is_open, next.step) = (true, Step::Opened));
                }
                if state.checkpoints < CHECKPOINTS {
                    // The first that is free: so pages are used again as soon as they may.
                    if let Some(page) = (0..PAGES as u8).find(|page| state.busy & (1 << page) == 0) {
                        go("write page", &|next| {
                            next.pages[page as usize].now = next.own_generation + 1;
                            next.busy |= 1 << page;
                            next.checkpoints += 1;
                            next.step = Step::PageWritten(page);
                        });
                    }
                }
            }
            Step::Opened => go("append", &|next| {
                next.own_lsn += 1;
                next.log[next.own_lsn as usize % SEGMENTS].now = next.own_lsn;
                next.step =
                    if self.has("sync the log, then publish") { Step::Appended } else { Step::Synced };
            }),
            Step::Appended => go("sync log", &|next| {
                next.log.iter_mut().for_each(Cell::sync);
                next.step = Step::Synced;
            }),
            Step::Synced => go("publish commit", &|next| {
                (next.lsn, next.is_open, next.step) = (next.own_lsn, false, Step::Idle);
            }),
            Step::PageWritten(page) => go("sync page", &|next| {
                if self.has("sync pages, then the superblock") {
                    next.pages[page as usize].sync();
                }
                next.step = Step::PageSynced(page);
            }),
            Step::PageSynced(page) => go("say open", &|next| {
                next.is_open = true;
                next.step = Step::SlotOpened(page);
            }),
            Step::SlotOpened(page) => go("write superblock", &|next| {
                let generation = next.own_generation + 1;
                next.slots[generation as usize & 1].now = Superblock { generation, page, lsn: next.own_lsn };
                next.step = Step::SlotWritten;
            }),
            Step::SlotWritten => go("sync superblock", &|next| {
                if self.has("sync the superblock, then use again") {
                    next.slots.iter_mut().for_each(Cell::sync);
                }
                next.step = Step::SlotSynced;
            }),
            Step::SlotSynced => go("publish checkpoint", &|next| {
                next.own_generation += 1;
                (next.generation, next.is_open) = (next.own_generation, false);
                next.step = Step::Published;
            }),
            Step::Published => go("ask", &|next| {
                next.busy = self.busy(next);
                next.released = Turns::newest(next).lsn;
                next.step = Step::Idle;
            }),
            Step::Dead => go("next writer", &|next| self.take_turn(next)),
        }
        if state.kills < KILLS && state.step != Step::Dead {
            go("kill", &|next| {
                next.kills += 1;
                next.step = Step::Dead;
            });
        }
        moves
    }

    fn take_turn(&self, next: &mut State) {
        (next.own_generation, next.own_lsn) = (next.generation, next.lsn);
        if next.is_open {
            next.slots.iter_mut().for_each(Cell::sync);
            next.log.iter_mut().for_each(Cell::sync);
            next.pages.iter_mut().for_each(Cell::sync);
            let newest = Turns::newest(next);
            next.own_generation = newest.generation;
            next.own_lsn = newest.lsn;
            while next.log[(next.own_lsn + 1) as usize % SEGMENTS].now == next.own_lsn + 1 {
                next.own_lsn += 1;
            }
            (next.generation, next.lsn) = (next.own_generation, next.own_lsn);
        }
        next.is_open = false;
        let own = next.slots.iter().find(|slot| slot.now.generation == next.own_generation);
        next.released = own.map_or(0, |slot| slot.now.lsn);
        next.busy = self.busy(next);
        next.step = Step::Idle;
    }

    fn reader(&self, state: &State, which: usize) -> Vec<(&'static str, State)> {
        let go = |name, reader| {
            let mut next = state.clone();
            next.readers[which] = reader;
            (name, next)
        };
        match state.readers[which] {
            Reader::Away => vec![go("look", Reader::Looked { generation: state.generation })],
            Reader::Looked { generation } => {
                let slot = state.slots.iter().find(|slot| slot.now.generation == generation);
                // What does not pass its checksum is read anew.
                let read = slot.filter(|slot| state.pages[slot.now.page as usize].now == generation);
                vec![match read {
                    Some(slot) => go("read", Reader::Read { generation, page: slot.now.page }),
                    None => go("again", Reader::Away),
                }]
            }
            Reader::Read { generation, page } => vec![go("need", Reader::Needs { generation, page })],
            Reader::Needs { generation, page } => {
                let stays = generation == state.generation || !self.has("look again after needing");
                vec![if stays {
                    go("stay", Reader::Reads { generation, page })
                } else {
                    go("again", Reader::Away)
                }]
            }
            // It leaves, or is killed: its lock is free, and what it needs is forgotten.
            Reader::Reads { .. } => vec![go("leave", Reader::Away)],
        }
    }
}

impl Model for Turns {
    type State = State;

    fn start(&self) -> State {
        let first = Superblock { generation: 1, page: 0, lsn: 0 };
        let mut state = State {
            pages: [Cell::default(); PAGES],
            slots: [Cell::default(), Cell { now: first, durable: first }],
            log: [Cell::default(); SEGMENTS],
            generation: 1,
            lsn: 0,
            is_open: false,
            step: Step::Idle,
            busy: 1,
            released: 0,
            own_generation: 1,
            own_lsn: 0,
            readers: [Reader::Away; 2],
            checkpoints: 0,
            kills: 0,
        };
        state.pages[0] = Cell { now: 1, durable: 1 };
        state
    }

    fn moves(&self, state: &State) -> Vec<(&'static str, State)> {
        let mut moves = self.writer(state);
        moves.extend(self.reader(state, 0));
        // The two are alike: the second one moves only when the first is busy.
        if state.readers[0] != Reader::Away {
            moves.extend(self.reader(state, 1));
        }
        moves
    }

    fn broken(&self, state: &State) -> Option<&'static str> {
        for reader in &state.readers {
            if let Reader::Reads { generation, page } = reader
                && state.pages[*page as usize].now != *generation
            {
                return Some("a page that somebody reads was overwritten");
            }
        }
        // The power fails: each slot has what it has now, what it had, or, if these differ, nothing whole.
        let outcomes = |slot: &Cell<Superblock>| {
            let torn = (slot.now != slot.durable).then(Superblock::default);
            [Some(slot.now), Some(slot.durable), torn].into_iter().flatten().collect::<Vec<_>>()
        };
        for one in outcomes(&state.slots[0]) {
            for other in outcomes(&state.slots[1]) {
                let newest = if one.generation > other.generation { one } else { other };
                let is_whole = |cell: &Cell<u8>, what: u8| cell.now == what && cell.durable == what;
                if newest.generation == 0 || !is_whole(&state.pages[newest.page as usize], newest.generation)
                {
                    return Some("the newest superblock reaches what is not there");
                }
                let mut needed = newest.lsn + 1..=state.lsn;
                if !needed.all(|lsn| is_whole(&state.log[lsn as usize % SEGMENTS], lsn)) {
                    return Some("what was published cannot be recovered");
                }
            }
        }
        None
    }
}

#[test]
fn what_is_read_stays_and_what_is_published_can_be_recovered() {
    check("turns", &RULES, |without| Turns { without });
}
