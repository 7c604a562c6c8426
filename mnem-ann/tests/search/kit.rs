//! Repositories with vectors that look random.

use std::collections::BTreeMap;
use std::sync::Arc;

use mnem::object::{Metric, Model};
use mnem::{Actor, NodeId, Repo, Snapshot, Store, Transaction, props};

pub(crate) const MODEL: &str = "m";

pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn vector(&mut self, dim: usize) -> Vec<f32> {
        (0..dim).map(|_| (self.next() >> 40) as f32 / 8_388_608.0 - 1.0).collect()
    }
}

pub(crate) fn node(number: u64) -> NodeId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    NodeId::from_bytes(bytes)
}

pub(crate) fn on(store: Arc<dyn Store>, dim: u32, metric: Metric) -> Repo {
    let repo = Repo::init(store, mnem::system_options()).unwrap();
    change(&repo, |tx| tx.declare(Model::new(MODEL, dim, metric)).unwrap());
    repo
}

pub(crate) fn fresh(dim: u32, metric: Metric) -> Repo {
    on(Arc::new(mnem::memory::MemoryStore::new()), dim, metric)
}

pub(crate) fn change(repo: &Repo, edit: impl FnOnce(&mut Transaction)) -> Snapshot {
    let mut tx = repo.begin(&Actor::named("ada")).unwrap();
    edit(&mut tx);
    tx.commit("change").unwrap()
}

/// Vectors by the number of their node, as they should be.
pub(crate) type State = BTreeMap<u64, Vec<f32>>;

/// Makes the vectors of a repository those of `to`.
pub(crate) fn turn_into(repo: &Repo, from: &State, to: &State) -> Snapshot {
    change(repo, |tx| {
        for number in from.keys().filter(|number| !to.contains_key(number)) {
            if number % 2 == 0 {
                tx.remove(node(*number)).unwrap();
            } else {
                tx.unset_vector(node(*number), MODEL).unwrap();
            }
        }
        for (number, vector) in to.iter().filter(|(number, vector)| from.get(number) != Some(vector)) {
            if tx.get(node(*number)).unwrap().is_none() {
                let label = if number % 3 == 0 { "Third" } else { "Other" };
                tx.add_node_as(node(*number), label, props! { number: i64::try_from(*number).unwrap() })
                    .unwrap();
            }
            tx.set_vector(node(*number), MODEL, vector).unwrap();
        }
    })
}

/// A state some changes after another: vectors new, changed, gone, and equal ones at several nodes.
pub(crate) fn after(random: &mut Random, before: &State, changes: u64, dim: usize) -> State {
    let mut state = before.clone();
    for _ in 0..changes {
        let number = random.below(400);
        match random.below(5) {
            0 => drop(state.remove(&number)),
            1 => {
                if let Some(vector) = state.values().next().cloned() {
                    state.insert(number, vector);
                }
            }
            _ => drop(state.insert(number, random.vector(dim))),
        }
    }
    state
}
