//! Collection through the repository: what goes, what stays, and what is said of it.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which the lint does not see as such")]

mod kit;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kit::options;
use mnem_core::port::{
    BlockRead, Collector as _, Deleted, HeadsUpdate, Namespace, OpHeadsStore as _, RowTable, SideTable, Swap,
};
use mnem_core::progress::quiet;
use mnem_core::repo::reach::ReachError;
use mnem_core::repo::{
    Actor, Automatic, Collected, Options, Reason, Repo, RepoError, Retention, Scope, Snapshot, Transaction,
};
use mnem_core::{Block, Blockstore, Cid, Codec, MemoryStore, NodeId, Object as _, Store, props};

/// Only the newest so many stay: clocks of these tests pass a second with each look.
const fn newest(operations: u64) -> Retention {
    Retention { operations, days: 0 }
}

fn fresh() -> (Arc<MemoryStore>, Repo) {
    let store = Arc::new(MemoryStore::new());
    let repo = Repo::init(Arc::clone(&store) as Arc<dyn Store>, options(1)).unwrap();
    (store, repo)
}

fn ada() -> Actor {
    Actor::named("ada")
}

fn node(number: u8) -> NodeId {
    NodeId::from_bytes([number; 16])
}

fn change(repo: &Repo, edit: impl FnOnce(&mut Transaction)) -> Snapshot {
    let mut tx = repo.begin(&ada()).unwrap();
    edit(&mut tx);
    tx.commit("change").unwrap()
}

/// Commits that each give one node another number.
fn commits(repo: &Repo, count: i64) {
    for number in 0..count {
        change(repo, |tx| match tx.get(node(1)).unwrap() {
            Some(_) => tx.set(node(1), "number", number).unwrap(),
            None => tx.add_node_as(node(1), "Thing", props! { number: number }).unwrap(),
        });
    }
}

fn all(store: &MemoryStore) -> BTreeSet<Cid> {
    store.scan(None).unwrap().map(|cid| cid.unwrap()).collect()
}

fn collect(repo: &Repo, retention: Retention) -> Collected {
    repo.collect(retention, &mut quiet).unwrap()
}

fn rows(store: &MemoryStore) -> usize {
    let count = |table| store.rows(table, b"").unwrap().count();
    count(RowTable::new("index")) + count(RowTable::new("history"))
}

#[test]
fn nothing_goes_that_a_name_or_the_log_leads_to() {
    let (store, repo) = fresh();
    commits(&repo, 20);
    let before = (all(&store), rows(&store));
    let done = collect(&repo, Retention::default());
    assert_eq!((done.garbage(), done.deleted, done.rows), (Deleted::default(), Deleted::default(), 0));
    assert_eq!((all(&store), rows(&store)), before);
    assert_eq!(done.kept_blocks, before.0.len() as u64);
    assert_eq!(repo.op_log().unwrap().count(), 21);
}

#[test]
fn what_was_never_published_goes() {
    let (store, repo) = fresh();
    commits(&repo, 3);
    let before = all(&store);
    let lease = store.lease(&[]).unwrap();
    let blocks: Vec<Block> = (0..1000u32).map(|n| Block::new(Codec::Raw, n.to_be_bytes().to_vec())).collect();
    store.put_leased(&lease, &blocks).unwrap();
    assert_eq!(collect(&repo, Retention::default()).deleted.blocks, 0, "its writer is still at it");
    drop(lease);
    let done = collect(&repo, Retention::default());
    assert_eq!(done.garbage, BTreeMap::from([(Reason::Dropped, Deleted { blocks: 1000, bytes: 4000 })]));
    assert_eq!(done.deleted, done.garbage());
    assert_eq!(all(&store), before);
}

#[test]
fn operations_past_the_horizon_go_and_commits_of_branches_stay() {
    let (store, repo) = fresh();
    commits(&repo, 10);
    repo.create_branch(&ada(), "side", &repo.head().unwrap()).unwrap();
    let on_side = change(&repo.on("side").unwrap(), |tx| {
        tx.add_node_as(node(9), "Side", props! { number: 9 }).unwrap();
    });
    let lost = on_side.commit_id().unwrap();
    drop(on_side);
    repo.delete_branch(&ada(), "side", mnem_core::repo::Expected::Any).unwrap();
    commits(&repo, 5);
    let history = repo.log(&repo.head().unwrap()).count();
    let done = collect(&repo, newest(4));
    assert_eq!(
        done.expired_operations, 15,
        "of 19, and the one that records this follows the four that stay"
    );
    assert_eq!(done.garbage.keys().copied().collect::<Vec<_>>(), [Reason::Expired, Reason::Derived]);
    assert_eq!(done.deleted, done.garbage());
    assert!(done.rows > 0);
    assert!(!store.has(lost.cid()).unwrap());
    assert_eq!(repo.log(&repo.head().unwrap()).map(Result::unwrap).count(), history);
    let mut log: Vec<_> = repo.op_log().unwrap().collect();
    let end = log.pop().unwrap().unwrap_err();
    let oldest = log.last().unwrap().as_ref().unwrap().operation.time;
    assert!(
        matches!(end, RepoError::Pruned { what: "operation", horizon, .. } if horizon == oldest),
        "{end}"
    );
    assert_eq!(done.horizon, Some(oldest));
    assert_eq!(log[0].as_ref().unwrap().summary(), "gc");
    assert_eq!(log.len(), 5);
    assert!(matches!(repo.at("main@{2027-01-15}"), Err(RepoError::Pruned { .. })));
    let undone: Vec<_> = (0..4).map(|_| repo.undo(&ada(), Scope::Own)).collect();
    assert!(undone[..3].iter().all(|undone| matches!(undone, Ok(Some(_)))), "{undone:?}");
    assert!(matches!(undone[3], Err(RepoError::Pruned { .. })), "{:?}", undone[3]);
    let again = collect(&repo, Retention::default());
    assert_eq!(again.deleted, Deleted::default());
}

#[test]
fn a_dry_run_says_what_goes_and_changes_nothing() {
    let (store, repo) = fresh();
    commits(&repo, 12);
    store.put(&Block::new(Codec::Raw, &b"loose"[..])).unwrap();
    let before = (all(&store), rows(&store), repo.head().unwrap().operation());
    let said = repo.collectable(newest(2), &mut quiet).unwrap();
    assert_eq!((all(&store), rows(&store), repo.head().unwrap().operation()), before);
    let done = collect(&repo, newest(2));
    assert_eq!(said.garbage, done.garbage);
    assert_eq!(said.deleted, Deleted::default());
    assert_eq!((said.rows, said.horizon, said.expired_operations), (done.rows, done.horizon, 11));
}

#[test]
fn who_began_before_the_horizon_moved_keeps_what_was_there() {
    let (store, repo) = fresh();
    commits(&repo, 10);
    let oldest = repo.op_log().unwrap().last().unwrap().unwrap();
    let reader = repo.head().unwrap();
    assert_eq!(collect(&repo, newest(2)).deleted, Deleted::default());
    assert!(store.has(oldest.id.cid()).unwrap());
    assert!(repo.op_log().unwrap().any(|it| it.is_err()), "who comes now sees the log end");
    drop(reader);
    let done = collect(&repo, newest(2));
    assert!(!store.has(oldest.id.cid()).unwrap());
    assert_eq!(done.garbage.keys().copied().collect::<Vec<_>>(), [Reason::Expired]);
}

#[test]
fn a_commit_that_was_found_by_its_id_is_kept_once_it_is_named() {
    let (store, repo) = fresh();
    commits(&repo, 3);
    repo.create_branch(&ada(), "side", &repo.head().unwrap()).unwrap();
    let side = repo.on("side").unwrap();
    let add = |tx: &mut Transaction| tx.add_node_as(node(9), "Side", props! { number: 9 }).unwrap();
    let lost = change(&side, add).commit_id().unwrap();
    repo.delete_branch(&ada(), "side", mnem_core::repo::Expected::Any).unwrap();
    commits(&repo, 3);
    // A cycle that has begun: it has not marked what nothing reaches, and may delete it at any moment.
    let horizon = repo.collectable(newest(1), &mut quiet).unwrap();
    assert!(horizon.garbage().blocks > 0);
    collect_names_only(&repo);
    let cycle = store.begin_cycle().unwrap();
    repo.create_tag(&ada(), "found", lost).unwrap();
    let everything: Vec<Cid> = all(&store).into_iter().collect();
    let marked = reached(&store, cycle.roots());
    let garbage: Vec<Cid> = everything.into_iter().filter(|cid| !marked.contains(cid)).collect();
    store.delete_if_untouched(&cycle, &garbage).unwrap();
    drop(cycle);
    assert_eq!(repo.at("found").unwrap().require(node(9)).unwrap().get::<i64>("number").unwrap(), 9);
    collect(&repo, newest(1));
    assert_eq!(repo.at("found").unwrap().require(node(9)).unwrap().get::<i64>("number").unwrap(), 9);
}

/// Moves the horizon, and deletes nothing, as a collection that was stopped.
fn collect_names_only(repo: &Repo) {
    let stop = |_: &mnem_core::progress::Progress| std::ops::ControlFlow::Break(());
    let mut calls = 0;
    let mut after_names = |progress: &mnem_core::progress::Progress| {
        calls += 1;
        if progress.step == "rows" { stop(progress) } else { std::ops::ControlFlow::Continue(()) }
    };
    repo.collect(newest(1), &mut after_names).unwrap();
    assert!(calls > 0);
}

fn reached(store: &Arc<MemoryStore>, roots: &[Cid]) -> BTreeSet<Cid> {
    use mnem_core::repo::reach::{Bounds, Place, Walk};
    let config = |root: &Cid| {
        let operation = mnem_core::Operation::from_block(&store.get(root).unwrap().unwrap()).unwrap();
        mnem_core::View::from_block(&store.get(&operation.view).unwrap().unwrap()).unwrap().config
    };
    let mut walk = Walk::new(Arc::clone(store) as Arc<dyn BlockRead>, Bounds::default());
    for root in roots {
        let tree = mnem_core::tree::TreeStore::new(Arc::clone(store) as _, &mnem_core::tree::TreeParams::V1);
        let keys = tree.unwrap().tree(config(root)).iter().map(|entry| entry.unwrap().key);
        let horizon = keys.filter_map(|key| Cid::from_bytes(key.strip_prefix(b"h/")?).ok()).collect();
        walk.bounds_mut().stop_at = Arc::new(horizon);
        walk.add(*root, Place::Object);
    }
    walk.map(|reached| *reached.unwrap().block.cid()).collect()
}

#[test]
fn where_something_is_missing_nothing_is_deleted() {
    let (store, repo) = fresh();
    commits(&repo, 5);
    let version = repo.head().unwrap().version_of(node(1)).unwrap().unwrap();
    let cycle = store.begin_cycle().unwrap();
    store.delete_if_untouched(&cycle, &[version]).unwrap();
    drop(cycle);
    store.put(&Block::new(Codec::Raw, &b"loose"[..])).unwrap();
    let before = all(&store);
    match repo.collect(newest(1), &mut quiet).unwrap_err() {
        RepoError::Reach(ReachError::Missing { cid, from: Some(_), .. }) => assert_eq!(cid, version),
        other => panic!("{other}"),
    }
    assert!(before.is_subset(&all(&store)));
}

#[test]
fn of_other_repositories_in_the_store_all_operations_stay() {
    let (store, repo) = fresh();
    let namespace = Namespace::new("other").unwrap();
    let other =
        Repo::init(Arc::clone(&store) as Arc<dyn Store>, Options { namespace, ..options(2) }).unwrap();
    commits(&repo, 6);
    commits(&other, 6);
    let done = collect(&repo, newest(1));
    assert!(done.expired_operations > 0);
    assert_eq!(other.op_log().unwrap().map(Result::unwrap).count(), 7);
    assert_eq!(repo.op_log().unwrap().filter(Result::is_ok).count(), 2);
}

#[test]
fn commits_pay_for_collection_where_it_is_asked_for() {
    let store = Arc::new(MemoryStore::new());
    let automatic = Automatic { retention: newest(40), slice_ms: 5 };
    let options = Options { collect: Some(automatic), ..options(1) };
    let repo = Repo::init(Arc::clone(&store) as Arc<dyn Store>, options).unwrap();
    commits(&repo, 400);
    let kept = repo.op_log().unwrap().filter(Result::is_ok).count();
    assert!((40..300).contains(&kept), "{kept} operations are left");
    let operations = |cid: &Cid| {
        let kind = mnem_core::object::kind_of(&store.get(cid).unwrap().unwrap()).unwrap();
        kind.is_some_and(|kind| kind == "operation")
    };
    let there = all(&store).iter().filter(|cid| operations(cid)).count();
    assert!(there < 360, "{there} operations are still there");
    assert_eq!(repo.log(&repo.head().unwrap()).map(Result::unwrap).count(), 400);
}

#[test]
fn the_way_to_what_is_leased_stays() {
    let (_store, repo) = fresh();
    commits(&repo, 5);
    let reader = repo.head().unwrap();
    commits(&repo, 10);
    assert_eq!(collect(&repo, newest(2)).deleted, Deleted::default(), "the reader may still look back");
    let log: Vec<_> = repo.op_log().unwrap().filter_map(Result::ok).map(|it| it.id).collect();
    assert_eq!(log.last(), Some(&reader.operation()));
    assert_eq!(log.len(), 12, "ten commits, the operation that records the end, and what is leased");
}

#[test]
fn what_is_published_late_is_united_with_what_came_meanwhile() {
    let (store, repo) = fresh();
    commits(&repo, 5);
    let mut late = repo.begin(&Actor::named("late")).unwrap();
    late.add_node_as(node(7), "Late", props! { number: 7 }).unwrap();
    for _ in 0..3 {
        commits(&repo, 4);
        collect(&repo, newest(2));
    }
    late.commit("late").unwrap();
    for _ in 0..3 {
        commits(&repo, 4);
        collect(&repo, newest(2));
    }
    let head = repo.head().unwrap();
    assert_eq!(head.require(node(7)).unwrap().get::<i64>("number").unwrap(), 7);
    assert_eq!(repo.log(&head).map(Result::unwrap).count(), 5 + 24 + 2);
    drop(head);
    collect(&repo, newest(2));
    let heads: Vec<Cid> =
        store.heads(&Namespace::default()).unwrap().iter().map(|head| *head.cid()).collect();
    assert_eq!(
        reached(&store, &heads).len() as u64,
        collect(&repo, Retention::ALL).kept_blocks - derived(&store)
    );
}

/// How many blocks only rows lead to.
fn derived(store: &Arc<MemoryStore>) -> u64 {
    let heads: Vec<Cid> =
        store.heads(&Namespace::default()).unwrap().iter().map(|head| *head.cid()).collect();
    let marked = reached(store, &heads);
    all(store).iter().filter(|cid| !marked.contains(cid)).count() as u64
}

#[test]
fn a_head_that_was_left_behind_does_not_end_the_log_for_the_others() {
    let (store, repo) = fresh();
    commits(&repo, 5);
    let left_behind = repo.head().unwrap().operation();
    commits(&repo, 10);
    let namespace = Namespace::default();
    let update = HeadsUpdate { namespace, expected: None, add: vec![left_behind], remove: Vec::new() };
    assert_eq!(store.update(&update).unwrap(), Swap::Done);
    collect(&repo, newest(2));
    assert_eq!(store.heads(&Namespace::default()).unwrap().len(), 1);
    assert_eq!(repo.log(&repo.head().unwrap()).map(Result::unwrap).count(), 15);
    assert_eq!(repo.op_log().unwrap().filter(Result::is_ok).count(), 3);
}
