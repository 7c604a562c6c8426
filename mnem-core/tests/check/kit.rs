//! A small repository with something of everything, and how it is checked.

use std::sync::Arc;

use mnem_core::object::{MergeType, Metric, Model, Property, ValueType};
use mnem_core::progress::quiet;
use mnem_core::repo::{
    Actor, CheckOptions, CheckReport, Options, Repo, Resolve, Scope, Snapshot, Transaction, check,
};
use mnem_core::tree::TreeParams;
use mnem_core::{MemoryStore, NodeId, Store, Value, props};

pub(crate) use crate::shared::{self, Random, me};

/// Trees of several levels with few entries.
pub(crate) fn options(seed: u64) -> Options {
    let tree_params = TreeParams { min: 128, max: 1024, shift: 48, seed: [3; 32] };
    Options { tree_params, ..shared::options(seed) }
}

pub(crate) fn node(n: u64) -> NodeId {
    NodeId::from_time_and_random(n, [1; 10])
}

/// Commits what `change` does.
pub(crate) fn commit(repo: &Repo, change: impl FnOnce(&mut Transaction)) -> Snapshot {
    let mut tx = repo.begin(&me()).unwrap();
    change(&mut tx);
    tx.commit("a change").unwrap()
}

fn branch(repo: &Repo, name: &str) -> Repo {
    repo.create_branch(&me(), name, &repo.head().unwrap()).unwrap()
}

fn spread(tx: &mut Transaction, from: u64, to: u64) {
    for n in from..to {
        let name = format!("number {n} of many");
        let number = i64::try_from(n).unwrap();
        tx.add_node_as(node(n), "Thing", props! { name: name, number: number, tally: 0i64 }).unwrap();
        if n > 0 {
            tx.add_edge(node(n / 4), "has", node(n), props! { weight: 0.5 }).unwrap();
        }
        if n % 3 == 0 {
            let near = (n % 7) as f32;
            tx.set_vector(node(n), "m", &[1.0, near, 0.0, -1.0]).unwrap();
        }
    }
}

/// Something of everything: schema, indexes, vectors, merges with every kind of conflict, names, undo and redo.
pub(crate) fn rich(store: &MemoryStore, seed: u64, things: u64) -> Repo {
    let repo = Repo::init(Arc::new(store.clone()) as Arc<dyn Store>, options(seed)).unwrap();
    commit(&repo, |tx| {
        tx.declare(Property::new("name", ValueType::Text).indexed().with_words()).unwrap();
        tx.declare(Property::new("number", ValueType::Int).unique()).unwrap();
        tx.declare(Property::new("tally", ValueType::Any).merged(MergeType::Counter)).unwrap();
        tx.declare(Model::new("m", 4, Metric::Cosine)).unwrap();
    });
    commit(&repo, |tx| spread(tx, 0, things));
    let old = commit(&repo, |tx| {
        for n in (things / 2..things).step_by(5) {
            tx.remove(node(n)).unwrap();
        }
    });
    repo.create_tag(&me(), "v1", old.commit_id().unwrap()).unwrap();
    let left = branch(&repo, "left");
    let right = branch(&repo, "right");
    commit(&left, |tx| {
        tx.set(node(1), "name", "one by the left").unwrap();
        tx.set(node(2), "age", 3i64).unwrap();
        tx.increment(node(3), "tally", 2).unwrap();
        tx.set_vector(node(0), "m", &[0.0, 0.0, 1.0, 0.0]).unwrap();
        tx.declare(Property::new("age", ValueType::Int).indexed()).unwrap();
    });
    commit(&right, |tx| {
        tx.set(node(1), "name", "one by the right").unwrap();
        tx.remove(node(2)).unwrap();
        tx.increment(node(3), "tally", 5).unwrap();
        tx.set_vector(node(0), "m", &[0.0, 1.0, 1.0, 0.0]).unwrap();
        tx.declare(Property::new("age", ValueType::Float)).unwrap();
        tx.add_edge(node(4), "likes", node(5), props! {}).unwrap();
    });
    commit(&left, |tx| assert!(tx.merge("right").unwrap().in_conflict > 0));
    commit(&left, |tx| tx.set(node(6), "name", "six").unwrap());
    commit(&repo, |tx| {
        tx.merge("left").unwrap();
        tx.set(node(7), "name", "seven").unwrap();
    });
    commit(&repo, |tx| {
        let conflicts = tx.conflicts().unwrap();
        assert!(conflicts.len() >= 4, "{}", conflicts.len());
        tx.resolve(node(1), Resolve::value("name", "one")).unwrap();
    });
    for n in 0..6 {
        commit(&repo, |tx| tx.set(node(n + 8), "name", Value::from(format!("again {n}"))).unwrap());
    }
    repo.undo(&me(), Scope::Own).unwrap();
    repo.undo(&me(), Scope::Own).unwrap();
    repo.redo(&me(), Scope::Own).unwrap();
    repo.set_setting(&me(), "colour", Value::from("blue")).unwrap();
    // Two at once: there are two heads.
    let (mut one, mut two) = (repo.begin(&me()).unwrap(), repo.begin(&Actor::named("bob")).unwrap());
    one.set(node(9), "name", "nine").unwrap();
    two.set(node(10), "name", "ten").unwrap();
    one.commit("one").unwrap();
    two.commit("two").unwrap();
    commit(&repo, |tx| spread(tx, things, things + 4));
    commit(&repo, |tx| tx.remove(node(things + 2)).unwrap());
    repo
}

pub(crate) fn checked(store: &Arc<dyn Store>, options: &CheckOptions<'_>) -> CheckReport {
    check(store, options, &mut quiet).unwrap()
}

pub(crate) fn full(store: impl Store + 'static) -> CheckReport {
    let store: Arc<dyn Store> = Arc::new(store);
    checked(&store, &CheckOptions::new())
}

/// What was found, as text: for messages of tests.
pub(crate) fn shown(report: &CheckReport) -> Vec<String> {
    report.findings.iter().map(|finding| format!("{} {finding}", finding.flaw.word())).collect()
}
