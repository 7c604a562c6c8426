//! What commits write in graphs of some size, and what the past costs, against the figures that were promised.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use mnem_core::codec::{DEPTH_MAX, Reader};
use mnem_core::object::{Property, ValueType};
use mnem_core::port::{BlockReadExt, RowTable, SideTable};
use mnem_core::repo::{Actor, Repo, Transaction};
use mnem_core::{Cid, NodeId, Store, props};

use crate::counting::{CountingStore, Written};
use crate::support::{Random, options};

/// How much is changed between two commits while a graph is built.
const BATCH: u64 = 1_000_000;

fn me() -> Actor {
    Actor::named("ada")
}

struct Graph {
    store: CountingStore,
    repo: Repo,
    nodes: Vec<NodeId>,
    random: Random,
}

impl Graph {
    /// Nodes with one property that is indexed and one that is not, and edges between random ones.
    fn new(nodes: u64, edges: u64) -> Graph {
        let store = CountingStore::default();
        let options = options(&Arc::new(AtomicI64::new(0)), 1, 0);
        let repo = Repo::init(Arc::new(store.clone()), options).unwrap();
        let mut graph = Graph { store, repo, nodes: Vec::new(), random: Random::new(nodes) };
        graph.commit(|tx, _, _| tx.declare(Property::new("indexed", ValueType::Int).indexed()).unwrap());
        graph.in_batches(nodes, |tx, nodes, random| {
            let value = random.next().cast_signed();
            nodes.push(tx.add_node("A", props! { plain: value, indexed: value }).unwrap());
        });
        graph.in_batches(edges, |tx, nodes, random| add_edge(tx, nodes, random));
        graph
    }

    fn in_batches(&mut self, count: u64, add: impl Fn(&mut Transaction, &mut Vec<NodeId>, &mut Random)) {
        for start in (0..count).step_by(usize::try_from(BATCH).unwrap()) {
            self.commit(|tx, nodes, random| {
                (start..count.min(start + BATCH)).for_each(|_| add(tx, nodes, random));
            });
        }
    }

    fn commit(&mut self, change: impl FnOnce(&mut Transaction, &mut Vec<NodeId>, &mut Random)) -> Written {
        let mut tx = self.repo.begin(&me()).unwrap();
        change(&mut tx, &mut self.nodes, &mut self.random);
        self.store.take_written();
        tx.commit("a change").unwrap();
        let written = self.store.take_written();
        assert_eq!(written.commits, 1, "one step of the store");
        written
    }

    /// Median and worst of the bytes that so many changes of one property write.
    fn one_property(&mut self, name: &str, commits: usize) -> [u64; 2] {
        let one = |tx: &mut Transaction, nodes: &mut Vec<NodeId>, random: &mut Random| {
            let value = random.next().cast_signed();
            tx.set(*random.of(nodes).unwrap(), name, value).unwrap();
        };
        let mut bytes: Vec<u64> = (0..commits).map(|_| self.commit(one).bytes).collect();
        bytes.sort_unstable();
        [bytes[commits / 2], bytes[commits - 1]]
    }

    /// The most blocks on a way from a root to a leaf, in any map or index of any commit that has a row.
    fn longest_path(&self) -> u64 {
        let head = self.repo.head().unwrap();
        let commit = head.commit().unwrap();
        let maps = [commit.nodes, commit.edges];
        let rows = self.store.rows(RowTable::new("index"), b"").unwrap();
        let root = |value: &[u8]| {
            let mut reader = Reader::new(value);
            reader.list().unwrap();
            reader.link().unwrap()
        };
        let indexes = rows.map(|row| root(&row.unwrap().1));
        maps.into_iter().chain(indexes).map(|root| self.blocks_on_a_path(&root)).max().unwrap()
    }

    fn blocks_on_a_path(&self, root: &Cid) -> u64 {
        let block = self.store.require(root).unwrap();
        let mut reader = Reader::new(block.bytes());
        let mut fields = reader.map().unwrap();
        assert_eq!(fields.next(&mut reader).unwrap(), Some("e"));
        reader.item(DEPTH_MAX - 1).unwrap();
        assert_eq!(fields.next(&mut reader).unwrap(), Some("l"));
        reader.uint().unwrap() + 1
    }
}

fn add_edge(tx: &mut Transaction, nodes: &[NodeId], random: &mut Random) {
    let ends = [(); 2].map(|()| *random.of(nodes).unwrap());
    tx.add_edge(ends[0], "knows", ends[1], props! {}).unwrap();
}

/// Adds nodes with an edge from each to the one before.
fn add_chain(tx: &mut Transaction) {
    let mut before = None;
    for n in 0..100 {
        let node = tx.add_node("A", props! { plain: n }).unwrap();
        before.map(|before| tx.add_edge(node, "follows", before, props! {}).unwrap());
        before = Some(node);
    }
}

fn commits_keep_to_the_figures(nodes: u64, edges: u64, commits: usize, tree_blocks_of_random_edges: u64) {
    let mut graph = Graph::new(nodes, edges);
    let plain = graph.one_property("plain", commits);
    let indexed = graph.one_property("indexed", commits);
    let chains = (0..20).map(|_| graph.commit(|tx, _, _| add_chain(tx)).tree_blocks).max().unwrap();
    let random = (0..20)
        .map(|_| {
            graph.commit(|tx, nodes, random| (0..100).for_each(|_| add_edge(tx, nodes, random))).tree_blocks
        })
        .max()
        .unwrap();
    let path = graph.longest_path();
    println!(
        "{nodes} nodes, {edges} edges: one property {plain:?} bytes (median, worst), indexed {indexed:?}; \
         tree blocks of a chain {chains}, of random edges {random}; {path} blocks on a path"
    );
    assert!(plain[0] <= 17_000 && plain[1] <= 24_000, "{plain:?}");
    assert!(indexed[0] <= 45_000 && indexed[1] <= 60_000, "{indexed:?}");
    assert!(chains <= 60, "{chains}");
    assert!(random <= tree_blocks_of_random_edges, "{random}");
    assert!(path <= 5, "{path}");
}

fn the_past_costs_what_the_present_costs(commits: u64) {
    let mut graph = Graph::new(1_000, 1_000);
    let mut times = Vec::new();
    for _ in 0..commits {
        graph.commit(|tx, nodes, random| {
            let value = random.next().cast_signed();
            tx.set(*random.of(nodes).unwrap(), "plain", value).unwrap();
        });
        times.push(graph.repo.head().unwrap().commit().unwrap().time);
    }
    let node = graph.nodes[500];
    let cold_get = |back: u64| {
        let options = options(&Arc::new(AtomicI64::new(0)), 2, 0);
        let repo = Repo::open(Arc::new(graph.store.clone()) as Arc<dyn Store>, options).unwrap();
        let at = repo.back(&repo.head().unwrap(), back).unwrap().unwrap();
        graph.store.take_reads();
        at.require(node).unwrap();
        graph.store.take_reads()
    };
    let (now, then) = (cold_get(0), cold_get(commits));
    let head = graph.repo.head().unwrap();
    let mut random = Random::new(7);
    let mut most = 0;
    for _ in 0..500 {
        let time = *random.of(&times).unwrap();
        graph.store.take_reads();
        let found = graph.repo.as_of(&head, time).unwrap().unwrap();
        most = most.max(graph.store.take_reads());
        assert_eq!(found.commit().unwrap().time, time);
    }
    let limit = 2.5 * (commits as f64).log2() + 4.0;
    println!(
        "{commits} commits: get reads {now} blocks now, {then} then; as_of at most {most} of {limit:.0}"
    );
    assert_eq!(now, then);
    assert!(most as f64 <= limit, "{most}");
}

/// Few edges: to make half a million takes a minute. The long checks have them.
#[test]
fn counted_commits_keep_to_the_figures() {
    commits_keep_to_the_figures(100_000, 50_000, 200, 420);
}

#[test]
#[ignore = "takes minutes and some gigabytes"]
fn counted_commits_keep_to_the_figures_at_half_a_million_edges() {
    commits_keep_to_the_figures(100_000, 500_000, 1_000, 420);
}

#[test]
#[ignore = "takes minutes and some gigabytes"]
fn counted_commits_keep_to_the_figures_at_five_million_edges() {
    commits_keep_to_the_figures(1_000_000, 5_000_000, 1_000, 560);
}

#[test]
fn counted_the_past_costs_what_the_present_costs() {
    the_past_costs_what_the_present_costs(1_000);
}

#[test]
#[ignore = "takes minutes"]
fn counted_the_past_costs_what_the_present_costs_after_100_000_commits() {
    the_past_costs_what_the_present_costs(100_000);
}
