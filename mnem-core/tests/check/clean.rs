//! Stores in which nothing is wrong.

use std::sync::Arc;

use mnem_core::progress::quiet;
use mnem_core::repo::{Actor, CheckLevel, CheckOptions, Repo, Retention};
use mnem_core::tree::Executor;
use mnem_core::{Cid, MemoryStore, Object, Operation, Store};

use crate::forge::Forge;
use crate::kit::{checked, commit, full, me, node, options, rich, shown};

fn none() -> Vec<String> {
    Vec::new()
}

#[test]
fn a_repository_with_something_of_everything_is_clean() {
    let store = MemoryStore::new();
    let repo = rich(&store, 1, 60);
    let report = full(store.clone());
    assert_eq!(shown(&report), none());
    assert!(report.is_clean());
    let checked = report.checked;
    assert!(checked.commits >= 20 && checked.operations >= 20 && checked.blocks >= 800, "{checked:?}");
    assert!(checked.rows >= 100, "{checked:?}");
    drop(repo);
}

#[test]
fn two_heads_that_nobody_united_are_clean() {
    let store = MemoryStore::new();
    let repo = rich(&store, 2, 40);
    let (mut one, mut two) = (repo.begin(&me()).unwrap(), repo.begin(&Actor::named("bob")).unwrap());
    one.set(node(9), "name", "nine").unwrap();
    two.set(node(9), "name", "ten").unwrap();
    one.commit("one").unwrap();
    two.commit("two").unwrap();
    assert_eq!(shown(&full(store)), none());
}

#[test]
fn a_repository_in_which_nothing_was_recorded_is_clean() {
    let store = MemoryStore::new();
    assert_eq!(full(store.clone()).checked.namespaces, 0);
    Repo::init(Arc::new(store.clone()) as Arc<dyn Store>, options(1)).unwrap();
    assert_eq!(shown(&full(store)), none());
}

#[test]
fn a_fast_check_reads_less_and_says_the_same_of_what_is_sound() {
    let store = MemoryStore::new();
    drop(rich(&store, 3, 60));
    let store: Arc<dyn Store> = Arc::new(store);
    let fast = CheckOptions { level: CheckLevel::Fast, ..CheckOptions::new() };
    let (fast, full) = (checked(&store, &fast), checked(&store, &CheckOptions::new()));
    assert!(fast.is_clean());
    assert_eq!(fast.checked.commits, full.checked.commits);
    assert!(fast.checked.blocks * 2 < full.checked.blocks, "{:?} {:?}", fast.checked, full.checked);
}

/// Runs every task on a thread of its own.
struct Threads;

impl Executor for Threads {
    fn run<'a>(&self, tasks: Vec<Box<dyn FnOnce() + Send + 'a>>) {
        std::thread::scope(|scope| tasks.into_iter().for_each(|task| drop(scope.spawn(task))));
    }

    fn width(&self) -> usize {
        3
    }
}

#[test]
fn on_several_threads_the_answer_is_the_same() {
    let store = MemoryStore::new();
    drop(rich(&store, 4, 40));
    let store: Arc<dyn Store> = Arc::new(store);
    let report = checked(&store, &CheckOptions { executor: &Threads, ..CheckOptions::new() });
    assert_eq!(shown(&report), none());
    assert_eq!(report.checked.commits, checked(&store, &CheckOptions::new()).checked.commits);
}

#[test]
fn what_a_commit_shares_with_the_one_before_is_not_read_again() {
    let store = MemoryStore::new();
    let repo = rich(&store, 5, 60);
    let before = full(store.clone()).checked.blocks;
    for n in 0..10 {
        commit(&repo, |tx| tx.set(node(11), "name", format!("{n}")).unwrap());
    }
    let after = full(store).checked.blocks;
    assert!(after - before < 10 * 80, "{} more blocks for ten small commits", after - before);
}

#[test]
fn what_may_be_absent_is_no_finding_and_what_lies_before_it_is_not_asked_for() {
    let store = MemoryStore::new();
    drop(rich(&store, 6, 40));
    let forge = Forge::of(&store);
    // The oldest operations went, and the commits that only they led to did not.
    let of_operation = |cid: &Cid| Operation::from_block(&forge.blocks[cid]).ok();
    let old = |cid: &&Cid| of_operation(cid).is_some_and(|it| it.generation <= 5);
    let gone: Vec<Cid> = forge.blocks.keys().filter(old).copied().collect();
    let mut partial = forge.clone();
    partial.blocks.retain(|cid, _| !gone.contains(cid));
    let store: Arc<dyn Store> = Arc::new(partial.store());
    assert!(!checked(&store, &CheckOptions::new()).is_clean());
    let may_be_absent = Arc::new(gone.into_iter().collect());
    let report = checked(&store, &CheckOptions { may_be_absent, ..CheckOptions::new() });
    assert_eq!(shown(&report), none());
}

#[test]
fn what_a_collection_leaves_is_clean() {
    let store = MemoryStore::new();
    let repo = rich(&store, 7, 40);
    let before = full(store.clone()).checked.operations;
    let retention = Retention { operations: 5, days: 0 };
    let collected = repo.collect(retention, &mut quiet).unwrap();
    assert!(collected.deleted.blocks > 0);
    let report = full(store);
    assert_eq!(shown(&report), none());
    assert!(report.checked.operations < before, "{} of {before} operations", report.checked.operations);
}
