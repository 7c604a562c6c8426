//! What questions read, counted in blocks, by a handle that has read nothing yet.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use mnem_core::NodeId;
use mnem_core::object::{Property, ValueType};
use mnem_core::props;
use mnem_core::repo::query::{Grouping, Predicate, Query, Walk, label, prop};
use mnem_core::repo::{Actor, Repo, Snapshot};

use crate::counting::CountingStore;
use crate::support::{Random, options};

const NODES: u64 = 20_000;

struct Big {
    store: CountingStore,
    first: NodeId,
}

/// Nodes with a number that no other has, one of ten colours, and one of two labels; a chain of edges through the first.
fn big() -> Big {
    let store = CountingStore::default();
    let repo = Repo::init(Arc::new(store.clone()), options(&Arc::new(AtomicI64::new(0)), 1, 0)).unwrap();
    let mut random = Random::new(NODES);
    let mut tx = repo.begin(&Actor::named("ada")).unwrap();
    tx.declare(Property::new("n", ValueType::Int).indexed()).unwrap();
    tx.declare(Property::new("colour", ValueType::Int).indexed()).unwrap();
    let mut ids = Vec::new();
    for n in 0..i64::try_from(NODES).unwrap() {
        let id = NodeId::from_time_and_random(random.next() >> 20, [1; 10]);
        let label = if n % 100 == 0 { "Rare" } else { "Common" };
        tx.add_node_as(id, label, props! { n: n, colour: n % 10, plain: n }).unwrap();
        ids.push(id);
    }
    for pair in ids[..100].windows(2) {
        tx.add_edge(pair[0], "next", pair[1], props! {}).unwrap();
    }
    tx.commit("fill").unwrap();
    Big { store, first: ids[0] }
}

impl Big {
    /// Returns how many blocks an answer reads, and the answer.
    fn reads<T>(&self, ask: impl FnOnce(&Snapshot) -> T) -> (u64, T) {
        let options = options(&Arc::new(AtomicI64::new(0)), 2, 0);
        let now = Repo::open(Arc::new(self.store.clone()), options).unwrap().head().unwrap();
        self.store.take_reads();
        let answer = ask(&now);
        (self.store.take_reads(), answer)
    }

    /// Asks for a page and for the count.
    #[track_caller]
    fn check(&self, query: &Query<NodeId>, found: usize, page_reads: u64, count: u64, count_reads: u64) {
        let (reads, page) = self.reads(|now| now.page(query, None).unwrap());
        let explained = self.reads(|now| now.explain(query).unwrap()).1;
        println!("page: {reads} reads for {found}\n{explained}");
        assert_eq!(page.items().len(), found, "{explained}");
        assert!(reads <= page_reads, "{reads} reads for a page\n{explained}");
        let (reads, counted) = self.reads(|now| now.count(query).unwrap());
        println!("count: {reads} reads for {counted}");
        assert_eq!(counted, count, "{explained}");
        assert!(reads <= count_reads, "{reads} reads for a count\n{explained}");
    }
}

#[test]
fn a_selective_question_reads_what_it_finds_and_the_way_there() {
    let big = big();
    let all = || Query::nodes(Predicate::anything()).page_size(10);
    let with = |predicate| Query::nodes(predicate).page_size(10);
    big.check(&with(prop("n").equals(777)), 1, 20, 1, 12);
    big.check(&with(prop("n").equals(777.0).and(label("Common"))), 1, 25, 1, 25);
    big.check(&with(prop("n").between(500..520)), 10, 70, 20, 12);
    big.check(&with(prop("n").between(500..520).and(prop("plain").at_least(515))), 5, 90, 5, 90);
    big.check(&with(label("Rare")), 10, 60, 200, 10);
    // Two indexes of which one is not much wider than the other are joined: no entity is read in vain.
    big.check(&with(label("Rare").and(prop("n").below(1_000))), 10, 90, 10, 50);
    big.check(&with(prop("n").equals(3).or(prop("n").equals(4))), 2, 30, 2, 25);
    big.check(&all().order_by(prop("n").descending()), 10, 70, NODES, 8);
    big.check(&with(label("Common")).order_by(prop("n").ascending()), 10, 80, NODES - 200, 10);
    let (scan, _) = big.reads(|now| now.count(&with(prop("plain").equals(1))).unwrap());
    assert!(scan >= NODES, "without an index everything is read: {scan}");
}

#[test]
fn groups_and_walks_read_what_they_report_and_the_way_there() {
    let big = big();
    let all = Query::nodes(Predicate::anything());
    let (reads, groups) = big.reads(|now| {
        now.group_by(&all, &Grouping::by("colour")).unwrap().map(Result::unwrap).collect::<Vec<_>>()
    });
    println!("groups: {reads} reads");
    assert_eq!(groups.iter().map(|group| group.count).collect::<Vec<_>>(), [NODES / 10; 10]);
    assert!(reads <= 60, "{reads} reads for ten groups");
    let walk = Walk::from(big.first).out("next").hops(1..=5);
    let (reads, steps) = big.reads(|now| now.walk(&walk).unwrap().map(Result::unwrap).count());
    println!("walk: {reads} reads");
    assert_eq!(steps, 5);
    assert!(reads <= 50, "{reads} reads for five steps");
}
