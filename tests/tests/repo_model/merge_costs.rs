//! What a merge of a few changes in a large graph reads, counted with the node cache off.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use mnem_core::repo::{Actor, MergeReport, Repo};
use mnem_core::{NodeId, props};

use crate::counting::CountingStore;
use crate::support::{Random, options};

const CHANGES: usize = 10;

fn me() -> Actor {
    Actor::named("ada")
}

/// A graph with as many edges as nodes, written in parts.
fn graph(nodes: usize) -> (CountingStore, Repo, Vec<NodeId>) {
    let store = CountingStore::default();
    let usual = options(&Arc::new(AtomicI64::new(0)), 1, 0);
    let repo = Repo::init(Arc::new(store.clone()), usual.clone()).unwrap();
    let mut random = Random::new(7);
    let ids: Vec<NodeId> =
        (0..nodes).map(|_| NodeId::from_time_and_random(random.next() >> 20, [1; 10])).collect();
    for part in ids.chunks(50_000) {
        let mut fill = repo.begin(&me()).unwrap();
        for (n, id) in part.iter().enumerate() {
            fill.add_node_as(*id, "A", props! { n: i64::try_from(n).unwrap() }).unwrap();
        }
        for pair in part.windows(2) {
            fill.add_edge(pair[0], "to", pair[1], props! {}).unwrap();
        }
        fill.commit("fill").unwrap();
    }
    let frugal = mnem_core::repo::Options { node_cache_bytes: 0, ..usual };
    let repo = Repo::open(Arc::new(store.clone()), frugal).unwrap();
    (store, repo, ids)
}

/// Ten changes on a branch: properties, two new nodes with edges, one node that goes. Of `shared` both branches change
/// the same property.
fn change(repo: &Repo, ids: &[NodeId], random: &mut Random, shared: &[NodeId], value: i64) {
    let mut tx = repo.begin(&me()).unwrap();
    let mut some = || ids[random.below(ids.len())];
    for id in shared {
        tx.set(*id, "n", value).unwrap();
    }
    for _ in shared.len()..CHANGES - 3 {
        tx.set(some(), "m", value).unwrap();
    }
    for _ in 0..2 {
        let new = tx.add_node("B", props! { n: value }).unwrap();
        tx.add_edge(new, "to", some(), props! {}).unwrap();
    }
    tx.remove(some()).unwrap();
    tx.commit("ten changes").unwrap();
}

/// Reads of a merge and of its commit, and what it did.
fn merge(nodes: usize) -> (u64, u64, MergeReport) {
    let (store, repo, ids) = graph(nodes);
    let other = repo.create_branch(&me(), "other", &repo.head().unwrap()).unwrap();
    let mut random = Random::new(11);
    change(&repo, &ids, &mut random, &ids[5..7], -1);
    change(&other, &ids, &mut random, &ids[5..7], -2);
    let mut tx = repo.begin(&me()).unwrap();
    store.take_reads();
    let report = tx.merge("other").unwrap();
    let merged = store.take_reads();
    tx.commit("merge").unwrap();
    let committed = store.take_reads();
    println!("{nodes} nodes: {merged} reads to merge, {committed} to commit: {report}");
    (merged, committed, report)
}

#[test]
fn a_merge_of_ten_changes_each_reads_what_changed() {
    let (small, _, _) = merge(4_000);
    let (large, committed, report) = merge(100_000);
    assert_eq!(report.in_conflict, 2);
    assert!(large <= 800 && committed <= 800, "{large} and {committed} reads");
    assert!(large <= small * 2, "{small} reads of 4,000 nodes, {large} of 100,000");
}

/// `cargo test --release -p mnem-tests --test repo_model merge_costs -- --ignored --nocapture`
#[test]
#[ignore = "builds a graph of a million nodes"]
fn a_merge_in_a_graph_of_a_million_nodes_reads_at_most_800_blocks() {
    let (reads, committed, _) = merge(1_000_000);
    assert!(reads <= 800 && committed <= 800, "{reads} and {committed} reads");
}
