//! What commits write and what the way back reads, counted.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use mnem_core::port::RowTable;
use mnem_core::repo::{Actor, Repo};
use mnem_core::{NodeId, Props, SideTable};

use crate::counting::{CountingStore, Written};
use crate::support::{Random, options};

fn me() -> Actor {
    Actor::named("ada")
}

fn repo_with(nodes: u64) -> (CountingStore, Repo, Vec<NodeId>) {
    let store = CountingStore::default();
    let repo = Repo::init(Arc::new(store.clone()), options(&Arc::new(AtomicI64::new(0)), 1, 0)).unwrap();
    let mut random = Random::new(nodes);
    let mut fill = repo.begin(&me()).unwrap();
    let ids: Vec<NodeId> = (0..nodes)
        .map(|n| {
            let id = NodeId::from_time_and_random(random.next() >> 20, [1; 10]);
            let mut props = Props::new();
            props.set("n", i64::try_from(n).unwrap()).unwrap();
            fill.add_node_as(id, "A", props).unwrap();
            id
        })
        .collect();
    fill.commit("fill").unwrap();
    (store, repo, ids)
}

/// Mean of what a commit of one property writes.
fn one_property(nodes: u64) -> Written {
    let (store, repo, ids) = repo_with(nodes);
    let mut sum = Written::default();
    for n in 0..20 {
        let mut change = repo.begin(&me()).unwrap();
        change.set(ids[n * 37], "n", -1).unwrap();
        store.take_written();
        change.commit("one property").unwrap();
        let Written { commits, blocks, bytes, rows, .. } = store.take_written();
        assert_eq!(
            (commits, rows),
            (1, 2),
            "one step of the store, one index whose map changed, what it touched"
        );
        sum.blocks += blocks;
        sum.bytes += bytes;
    }
    Written { blocks: sum.blocks / 20, bytes: sum.bytes / 20, ..sum }
}

#[test]
fn a_commit_of_one_property_costs_about_the_same_in_any_graph() {
    let (small, large) = (one_property(1_000), one_property(20_000));
    println!("1,000 nodes: {small:?}; 20,000 nodes: {large:?}");
    assert!(large.blocks <= small.blocks + 2 && large.blocks <= 10, "{small:?}, {large:?}");
    assert!(large.bytes <= 20_000, "{large:?}");
}

#[test]
fn a_commit_on_top_of_a_merge_does_not_pay_for_the_whole_graph() {
    let (store, repo, ids) = repo_with(20_000);
    let mut sides = [repo.begin(&me()).unwrap(), repo.begin(&me()).unwrap()];
    sides[0].set(ids[1], "n", -1).unwrap();
    sides[1].set(ids[2], "n", -2).unwrap();
    sides.into_iter().for_each(|side| drop(side.commit("a side").unwrap()));
    let mut on_top = repo.begin(&me()).unwrap();
    on_top.set(ids[3], "n", -3).unwrap();
    store.take_written();
    store.take_reads();
    on_top.commit("on top").unwrap();
    let (written, reads) = (store.take_written(), store.take_reads());
    println!("on top of a merge: {written:?}, {reads} reads");
    assert!(written.blocks <= 30 && reads <= 200, "{written:?}, {reads} reads");
    store.take_reads();
    assert_eq!(repo.head().unwrap().edges_out(ids[3], ..).unwrap().count(), 0);
    assert_eq!(repo.head().unwrap().labelled("A").unwrap().take(3).count(), 3);
    let reads = store.take_reads();
    assert!(reads <= 60, "{reads} reads");
}

#[test]
fn the_way_back_through_thousands_of_commits_is_short() {
    const COMMITS: u64 = 5_000;
    let (store, repo, ids) = repo_with(100);
    for n in 1..COMMITS {
        let mut change = repo.begin(&me()).unwrap();
        change.set(ids[usize::try_from(n % 100).unwrap()], "n", -i64::try_from(n).unwrap()).unwrap();
        change.commit("a step").unwrap();
    }
    let head = repo.head().unwrap();
    let times: Vec<_> = repo
        .log(&head)
        .first_parents()
        .map(|entry| entry.unwrap())
        .map(|(id, commit)| (id, commit.time))
        .collect();
    let limit = (2.5 * (5_000_f64).log2() + 4.0).floor();
    let mut random = Random::new(5);
    let (mut most_back, mut most_as_of) = (0, 0);
    for back in (0..40).chain((0..300).map(|_| random.next() % COMMITS)) {
        let (id, time) = times[usize::try_from(back).unwrap()];
        store.take_reads();
        assert_eq!(repo.back(&head, back).unwrap().unwrap().commit_id(), Some(id));
        most_back = most_back.max(store.take_reads());
        assert_eq!(repo.as_of(&head, time).unwrap().unwrap().commit_id(), Some(id));
        most_as_of = most_as_of.max(store.take_reads());
    }
    println!("{COMMITS} commits: back reads {most_back} at most, as_of {most_as_of}");
    assert!(f64::from(u32::try_from(most_back.max(most_as_of)).unwrap()) <= limit, "limit {limit}");
}

/// One node is changed five times among many commits, far apart: what its history reads, with rows and without.
fn five_versions_among(commits: u64) {
    let (store, repo, ids) = repo_with(100);
    let [node, others @ ..] = &ids[..] else { unreachable!() };
    let mut expected = vec![repo.head().unwrap().commit_id().unwrap()];
    for n in 2..=commits {
        let mut change = repo.begin(&me()).unwrap();
        let is_its_turn = n.is_multiple_of(commits / 5) && n < commits;
        let id = if is_its_turn { node } else { &others[usize::try_from(n % 99).unwrap()] };
        change.set(*id, "n", -i64::try_from(n).unwrap()).unwrap();
        let made = change.commit("a step").unwrap().commit_id().unwrap();
        if is_its_turn {
            expected.insert(0, made);
        }
    }
    assert_eq!(expected.len(), 5);
    let fresh = |store: &CountingStore| {
        let repo = Repo::open(Arc::new(store.clone()), options(&Arc::default(), 2, 0)).unwrap();
        let head = repo.head().unwrap();
        store.take_reads();
        head
    };
    let head = fresh(&store);
    let versions: Vec<_> = head.history(*node).map(Result::unwrap).collect();
    let reads = store.take_reads();
    let made: Vec<_> = versions.iter().map(|version| version.writer.commit).collect();
    assert_eq!(made, expected);
    let head = fresh(&store);
    assert_eq!(head.last_modified(*node).unwrap().unwrap().commit, expected[0]);
    let reads_last = store.take_reads();
    store.clear_rows(RowTable::new("history")).unwrap();
    let without: Vec<_> = fresh(&store).history(*node).map(Result::unwrap).collect();
    let reads_without = store.take_reads();
    println!("{commits} commits: {reads} reads, {reads_last} for the last, {reads_without} without rows");
    assert_eq!(without, versions);
    assert!(reads <= 50 && reads_last <= 5 && reads_without >= commits, "{reads}, {reads_last}");
}

#[test]
fn a_node_with_five_versions_has_a_short_history_among_many_commits() {
    five_versions_among(10_000);
}

#[test]
#[ignore = "a minute: a hundred thousand commits"]
fn a_node_with_five_versions_has_a_short_history_among_a_hundred_thousand_commits() {
    five_versions_among(100_000);
}
