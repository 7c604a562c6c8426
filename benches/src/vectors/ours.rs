//! mnem-ann, on a repository in memory: the default search, and the exact one.

use std::collections::HashMap;
use std::time::Instant;

use mnem::object::{Metric, Model};
use mnem::{Actor, NodeId, Repo, Snapshot, props};
use mnem_ann::{Top, Vectors};

use super::{DIM, Index};

const MODEL: &str = "bench";

struct Ours {
    repo: Repo,
    head: Snapshot,
    vectors: Vectors,
    ids: Vec<NodeId>,
    numbers: HashMap<NodeId, usize>,
    exact: bool,
}

pub(crate) fn build(set: &[Vec<f32>]) -> Box<dyn Index> {
    open(set, false)
}

pub(crate) fn build_exact(set: &[Vec<f32>]) -> Box<dyn Index> {
    open(set, true)
}

fn open(set: &[Vec<f32>], exact: bool) -> Box<dyn Index> {
    let repo = mnem::init("memory:").expect("a repository");
    let mut tx = repo.begin(&Actor::named("bench")).expect("a transaction");
    tx.declare(Model::new(MODEL, DIM as u32, Metric::Cosine)).expect("a model");
    let mut ids = Vec::new();
    for vector in set {
        let id = tx.add_node("Thing", props! {}).expect("a node");
        tx.set_vector(id, MODEL, vector).expect("a vector");
        ids.push(id);
    }
    let head = tx.commit("all").expect("a commit");
    let vectors = Vectors::open(&repo, MODEL).expect("a model");
    vectors.keep(&head).expect("an index");
    let numbers = ids.iter().enumerate().map(|(number, id)| (*id, number)).collect();
    Box::new(Ours { repo, head, vectors, ids, numbers, exact })
}

impl Index for Ours {
    fn search(&mut self, question: &[f32], nearest: usize) -> Vec<usize> {
        let top = Top::k(nearest);
        let search = if self.exact { Vectors::search_exact } else { Vectors::search };
        let hits = search(&self.vectors, &self.head, question, &top).expect("a search");
        hits.iter().map(|hit| self.numbers[&hit.node]).collect()
    }

    fn change(&mut self, changes: &[(usize, Vec<f32>)]) -> Option<(f64, f64)> {
        let mut tx = self.repo.begin(&Actor::named("bench")).expect("a transaction");
        for (number, vector) in changes {
            tx.set_vector(self.ids[*number], MODEL, vector).expect("a vector");
        }
        self.head = tx.commit("some").expect("a commit");
        let start = Instant::now();
        let kept = self.vectors.keep(&self.head).expect("an index")?;
        Some((start.elapsed().as_secs_f64() * 1e3, kept.bytes as f64))
    }
}
