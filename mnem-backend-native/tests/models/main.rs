//! Small models of the rules that guard pages, log and moments. Each goes through every state that it can get into; with
//! any one rule taken away it finds one in which something is lost. The rules: DURABILITY.md, "Native backend".

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::cast_possible_truncation, reason = "the models count to a few")]
#![allow(clippy::modulo_one, reason = "a limit of a model may be one")]

mod epoch;
mod snapshot;
mod space;
mod turns;

use std::collections::{HashSet, VecDeque};
use std::fmt::Debug;
use std::hash::Hash;

/// Something that moves, and that must never be broken.
trait Model: Sized {
    type State: Clone + Eq + Hash + Debug;

    fn start(&self) -> Self::State;
    /// All that can happen next, with a name for each.
    fn moves(&self, state: &Self::State) -> Vec<(&'static str, Self::State)>;
    /// Says what is broken.
    fn broken(&self, state: &Self::State) -> Option<&'static str>;
}

/// Goes through all states, the nearest first. Returns how many there are, or how something breaks.
fn explore<M: Model>(model: &M) -> Result<usize, (&'static str, Vec<&'static str>)> {
    let mut seen: HashSet<M::State> = HashSet::from([model.start()]);
    // Each with the one that it came from: its place in the list, and the move.
    let mut came_from: Vec<(usize, &'static str)> = vec![(0, "")];
    let mut next = VecDeque::from([model.start()]);
    for at in 0.. {
        let Some(state) = next.pop_front() else { break };
        if let Some(what) = model.broken(&state) {
            let mut path = Vec::new();
            let mut here = at;
            while here > 0 {
                path.push(came_from[here].1);
                here = came_from[here].0;
            }
            path.reverse();
            return Err((what, path));
        }
        for (name, state) in model.moves(&state) {
            if seen.insert(state.clone()) {
                came_from.push((at, name));
                next.push_back(state);
            }
        }
    }
    Ok(seen.len())
}

/// With all rules nothing breaks; without any one of them something does.
fn check<M: Model>(name: &str, rules: &[&'static str], with: impl Fn(Option<&'static str>) -> M) {
    match explore(&with(None)) {
        Ok(states) => println!("{name}: {states} states"),
        Err((what, path)) => panic!("{name}: {what} after {path:?}"),
    }
    for rule in rules {
        match explore(&with(Some(rule))) {
            Ok(states) => panic!("{name}: nothing breaks without `{rule}`, in {states} states"),
            Err((what, path)) => println!("{name} without `{rule}`: {what} after {} moves", path.len()),
        }
    }
}
