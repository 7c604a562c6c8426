//! Goes through all states that a cast can reach, breadth first.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use crate::model::{Action, Cast, Collector, HEADS, Phase, Reader, Rules, Set, State, Writer};

/// What was found.
pub(crate) enum Found {
    /// The invariant holds in every state.
    Holds { states: usize },
    /// The shortest way to a state in which it does not.
    Broken { trace: Vec<(Action, State)> },
}

/// Looks for a state in which `invariant` does not hold.
pub(crate) fn explore(cast: &Cast, rules: &Rules, invariant: fn(&State) -> bool) -> Found {
    let mut known: HashSet<u128, BuildHasherDefault<Mixer>> = HashSet::default();
    let mut levels = vec![vec![State::start().pack()]];
    known.insert(State::start().pack());
    loop {
        let mut next = Vec::new();
        for state in levels.last().into_iter().flatten().map(|packed| State::unpack(*packed)) {
            for (_, after) in successors(&state, cast, rules) {
                let packed = after.pack();
                if !known.insert(packed) {
                    continue;
                }
                if !invariant(&after) {
                    return Found::Broken { trace: trace_to(after, &levels, cast, rules) };
                }
                next.push(packed);
            }
        }
        if next.is_empty() {
            return Found::Holds { states: known.len() };
        }
        levels.push(next);
    }
}

fn successors(state: &State, cast: &Cast, rules: &Rules) -> impl Iterator<Item = (Action, State)> {
    state.moves(cast, rules).into_iter().map(|action| {
        let mut after = *state;
        after.make(action, rules);
        (action, after.canonical(cast, rules))
    })
}

/// Goes back level by level: each state of a way has its predecessor one level up.
fn trace_to(end: State, levels: &[Vec<u128>], cast: &Cast, rules: &Rules) -> Vec<(Action, State)> {
    let mut trace = Vec::new();
    let mut target = end;
    for level in levels.iter().rev() {
        let step = level.iter().map(|packed| State::unpack(*packed)).find_map(|before| {
            let found = successors(&before, cast, rules).find(|(_, after)| *after == target);
            found.map(|(action, after)| (before, action, after))
        });
        let (before, action, after) = step.expect("every state was reached from the level above");
        trace.push((action, after));
        target = before;
    }
    trace.reverse();
    trace
}

/// Mixes keys that are states already packed: all their bits count, none is chosen by an enemy.
#[derive(Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are u128");
    }

    fn write_u128(&mut self, key: u128) {
        let [a, b] = [key >> 64, key & u128::from(u64::MAX)].map(|half| u64::try_from(half).expect("half"));
        let mixed = (a ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        self.0 = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    }
}

/// Puts fields into the low end of a number, and takes them out in reverse.
struct Bits(u128);

impl Bits {
    fn push(&mut self, value: u8, bits: u32) {
        debug_assert!(u32::from(value) < 1 << bits, "{value} in {bits} bits");
        self.0 = self.0 << bits | u128::from(value);
    }

    fn pop(&mut self, bits: u32) -> u8 {
        let value = u8::try_from(self.0 & ((1 << bits) - 1)).expect("fields are at most 8 bits");
        self.0 >>= bits;
        value
    }

    fn push_sets<const COUNT: usize>(&mut self, sets: [Set; COUNT]) {
        sets.into_iter().for_each(|set| self.push(set, 6));
    }

    /// Sets of what can be a head: two bits are never set.
    fn push_heads(&mut self, set: Set) {
        debug_assert_eq!(set & !HEADS, 0);
        self.push(set >> 2, 4);
    }

    fn pop_heads(&mut self) -> Set {
        self.pop(4) << 2
    }
}

impl State {
    fn pack(&self) -> u128 {
        let mut bits = Bits(0);
        for writer in &self.writers {
            let flags = u8::from(writer.holds) | u8::from(writer.live) << 1;
            bits.push(flags, 3);
            bits.push_heads(writer.roots);
            bits.push_sets([writer.put, writer.noted, writer.looked]);
        }
        for collector in &self.collectors {
            let phase = match collector.phase {
                Phase::Idle => 0,
                Phase::Listed => 1,
                Phase::Announced => 2,
            };
            bits.push(phase | u8::from(collector.newest) << 2, 3);
            bits.push_sets([collector.marked, collector.grey, collector.checked]);
        }
        bits.push(u8::from(self.reader.holds), 1);
        bits.push_heads(self.reader.roots);
        bits.push_heads(self.heads);
        bits.push_sets([self.reader.seen, self.present, self.aside, self.touched]);
        bits.0
    }

    fn unpack(packed: u128) -> State {
        let mut bits = Bits(packed);
        let [touched, aside, present, seen] = [0; 4].map(|_: u8| bits.pop(6));
        let heads = bits.pop_heads();
        let reader = Reader { roots: bits.pop_heads(), holds: bits.pop(1) == 1, seen };
        let collectors = [0; 2].map(|_: u8| {
            let [checked, grey, marked] = [0; 3].map(|_: u8| bits.pop(6));
            let flags = bits.pop(3);
            let phase = [Phase::Idle, Phase::Listed, Phase::Announced][usize::from(flags & 3)];
            Collector { phase, newest: flags & 4 != 0, marked, grey, checked }
        });
        let writers = [0; 2].map(|_: u8| {
            let [looked, noted, put] = [0; 3].map(|_: u8| bits.pop(6));
            let roots = bits.pop_heads();
            let flags = bits.pop(3);
            Writer { holds: flags & 1 != 0, live: flags & 2 != 0, roots, put, noted, looked }
        });
        let [first, second] = collectors;
        let [one, two] = writers;
        State { present, aside, heads, touched, reader, collectors: [second, first], writers: [two, one] }
    }
}
