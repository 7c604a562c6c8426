//! Edges to nearest neighbours.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which the lint does not see as such")]
#![allow(dead_code, reason = "the kit is that of the tests of search")]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use mnem::memory::MemoryStore;
use mnem::object::Metric;
use mnem::port::{Row, SideTable as _};
use mnem::testing::{LabExt as _, each_backend};
use mnem::tree::Executor;
use mnem::{Cid, NodeId, Snapshot, props};
use mnem_ann::{KNN_BLOCKS, Knn, KnnEdgeIndex, Link, SearchError, Vectors};

#[path = "../search/kit.rs"]
mod kit;

use kit::{MODEL, Random, State, after, change, fresh, node, on, turn_into};

fn open(now: &Snapshot, knn: &Knn) -> KnnEdgeIndex {
    KnnEdgeIndex::open(&Vectors::of(MODEL), now, knn).unwrap()
}

/// Every edge, by where it starts.
fn edges(index: &KnnEdgeIndex, state: &State) -> BTreeMap<NodeId, Vec<(NodeId, u32)>> {
    let list = |number: &u64| {
        let near = index.neighbors(node(*number));
        (node(*number), near.iter().map(|edge| (edge.dst, edge.weight.to_bits())).collect())
    };
    state.keys().map(list).collect()
}

/// Runs tasks on threads.
struct Threads(usize);

impl Executor for Threads {
    fn run<'a>(&self, tasks: Vec<Box<dyn FnOnce() + Send + 'a>>) {
        std::thread::scope(|scope| tasks.into_iter().for_each(|task| drop(scope.spawn(task))));
    }

    fn width(&self) -> usize {
        self.0
    }
}

#[test]
fn every_node_has_its_nearest_as_far_as_codes_can_tell() {
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        let repo = fresh(20, metric.clone());
        let state = after(&mut Random::new(3), &State::new(), 300, 20);
        let now = turn_into(&repo, &State::new(), &state);
        let index = open(&now, &Knn::k(7));
        assert_eq!(index.len(), state.len());
        for (number, vector) in &state {
            let near = index.neighbors(node(*number));
            assert_eq!(near.len(), 7);
            let top = mnem_ann::Top::k(8);
            let exact = Vectors::of(MODEL).search_exact(&now, vector, &top).unwrap();
            let others: Vec<f32> =
                exact.iter().filter(|hit| hit.node != node(*number)).map(|hit| hit.score).collect();
            for (edge, exact) in near.iter().zip(others) {
                assert_eq!(edge.src, node(*number));
                assert!((edge.weight - exact).abs() < 0.1, "{metric:?} {edge:?} {exact}");
            }
            let is_ordered = near.windows(2).all(|pair| {
                pair[0].weight > pair[1].weight
                    || (pair[0].weight == pair[1].weight && pair[0].dst < pair[1].dst)
                    || metric == Metric::L2 && pair[0].weight == pair[1].weight
            });
            assert!(is_ordered, "{near:?}");
        }
    }
}

#[test]
fn edges_that_were_brought_up_to_date_are_those_that_are_made_anew() {
    for (seed, metric) in [(1, Metric::Cosine), (2, Metric::Dot), (3, Metric::L2), (4, Metric::L2)] {
        let mut random = Random::new(seed);
        let repo = fresh(9, metric);
        let knn = Knn::k(5);
        let vectors = Vectors::of(MODEL);
        // The first states have fewer nodes than a list has places.
        let mut state = after(&mut random, &State::new(), 3, 9);
        let mut index = open(&turn_into(&repo, &State::new(), &state), &knn);
        for round in 0..14 {
            let changes = if round == 4 { 200 } else { 1 + random.below(12) };
            let next = after(&mut random, &state, changes, 9);
            let now = turn_into(&repo, &state, &next);
            state = next;
            let updated = index.update(&vectors, &now).unwrap();
            let anew = open(&now, &knn);
            assert_eq!(edges(&index, &state), edges(&anew, &state), "seed {seed} round {round}");
            assert_eq!(index.root(), anew.root(), "seed {seed} round {round} {updated:?}");
            if round > 4 {
                assert!(updated.lists < state.len() as u64, "{updated:?}");
            }
        }
        let now = turn_into(&repo, &state, &State::new());
        index.update(&vectors, &now).unwrap();
        assert!(index.is_empty());
        assert_eq!(index.root(), open(&now, &knn).root());
    }
}

#[test]
fn work_side_by_side_gives_the_same_and_can_be_stopped() {
    let repo = fresh(9, Metric::Cosine);
    let state = after(&mut Random::new(8), &State::new(), 1500, 9);
    let now = turn_into(&repo, &State::new(), &state);
    let (vectors, knn) = (Vectors::of(MODEL), Knn::k(6));
    let alone = open(&now, &knn);
    for width in [2, 5] {
        let mut quiet = mnem::quiet;
        let together = KnnEdgeIndex::open_with(&vectors, &now, &knn, &Threads(width), &mut quiet).unwrap();
        assert_eq!(together.root(), alone.root());
    }
    let mut stop = |_: &mnem::Progress| ControlFlow::Break(());
    let stopped = KnnEdgeIndex::open_with(&vectors, &now, &knn, &Threads(2), &mut stop);
    assert!(matches!(stopped, Err(SearchError::Cancelled)));
}

#[test]
fn kept_edges_are_found_again_on_every_backend_and_are_the_same() {
    let state = after(&mut Random::new(5), &State::new(), 300, 12);
    let knn = Knn::k(4).by(Metric::L2);
    let mut roots: BTreeSet<Cid> = BTreeSet::new();
    each_backend(|lab| {
        let store = lab.open()?;
        let repo = on(Arc::clone(&store), 12, Metric::Cosine);
        let now = turn_into(&repo, &State::new(), &state);
        let first = open(&now, &knn);
        assert!(first.keep(&now).unwrap() > 0);
        let root = *first.root();
        change(&repo, |tx| tx.set_vector(node(*state.keys().next().unwrap()), MODEL, &[1.0; 12]).unwrap());
        drop((now, repo, first));
        let store = lab.reopen(store)?;
        let rows = store.rows(KNN_BLOCKS, &[])?.count();
        assert!(rows > 1, "blocks are in the side table");
        let repo = mnem::Repo::open(Arc::clone(&store), mnem::system_options())?;
        let again = open(&repo.back(&repo.head()?, 1)?.unwrap(), &knn);
        let now = repo.head()?;
        assert_eq!((again.root(), again.dropped()), (&root, None));
        assert_eq!(again.keep(&now).unwrap(), 0, "nothing was made");
        // Of the commit after, from what was kept of the one before.
        let head = open(&now, &knn);
        let other = fresh(12, Metric::Cosine);
        let mut next = state.clone();
        *next.values_mut().next().unwrap() = vec![1.0; 12];
        assert_eq!(head.root(), open(&turn_into(&other, &State::new(), &next), &knn).root());
        assert!(head.keep(&now).unwrap() < 40 * 1024, "what differs is written");
        roots.extend([root, *head.root()]);
        Ok(())
    })
    .unwrap();
    assert_eq!(roots.len(), 2);
}

#[test]
fn kept_edges_that_are_damaged_are_dropped_and_made_anew() {
    let store = Arc::new(MemoryStore::new());
    let repo = on(Arc::clone(&store) as _, 6, Metric::Cosine);
    let state = after(&mut Random::new(6), &State::new(), 200, 6);
    let now = turn_into(&repo, &State::new(), &state);
    let knn = Knn::k(3);
    let index = open(&now, &knn);
    index.keep(&now).unwrap();
    let rows: Vec<_> = store.rows(KNN_BLOCKS, &[]).unwrap().map(|row| row.unwrap()).collect();
    for (key, value) in rows {
        let other = [&value[..value.len() - 1], &[value[value.len() - 1] ^ 1]].concat();
        for damaged in [None, Some(other.into())] {
            store.put_rows(&[Row { table: KNN_BLOCKS, key: key.clone(), value: damaged }]).unwrap();
            // Another program, which has nothing in memory.
            let now =
                mnem::Repo::open(Arc::clone(&store) as _, mnem::system_options()).unwrap().head().unwrap();
            let anew = open(&now, &knn);
            assert_eq!(anew.root(), index.root());
            assert!(anew.dropped().is_some());
            anew.keep(&now).unwrap();
            assert_eq!(open(&now, &knn).dropped(), None);
        }
    }
}

/// FORMAT.md, "Nearest-neighbour edges": other bytes mean another definition.
#[test]
fn edges_are_those_of_the_format() {
    let mut found = String::new();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        let store = Arc::new(MemoryStore::new());
        let repo = on(Arc::clone(&store) as _, 3, metric.clone());
        let state: State = [[1.0, 0.0, 0.5], [0.5, 0.25, 0.0], [-1.0, 2.0, 0.0], [8.0, 1.0, 4.0]]
            .map(Vec::from)
            .into_iter()
            .enumerate()
            .map(|(at, vector)| (at as u64, vector))
            .collect();
        let now = turn_into(&repo, &State::new(), &state);
        let index = open(&now, &Knn::k(2));
        index.keep(&now).unwrap();
        found += &format!("{} {}\n", metric.as_str(), index.root());
        for row in store.rows(KNN_BLOCKS, &[]).unwrap() {
            let (key, value) = row.unwrap();
            found += &format!("{} {}\n", hex(&key), hex(&value));
        }
    }
    assert_eq!(found, include_str!("../../../tests/fixtures/v1/knn_edges.txt"), "{found}");
}

#[test]
fn derived_edges_are_walked_beside_the_authored_ones_and_say_what_they_are() {
    let repo = fresh(2, Metric::L2);
    let place = |number: u64| vec![number as f32, 0.0];
    let state: State = (1..=4).map(|number| (number, place(number * number))).collect();
    turn_into(&repo, &State::new(), &state);
    let now = change(&repo, |tx| {
        tx.add_node_as(node(9), "Thing", props! {}).unwrap();
        tx.add_edge(node(1), "knows", node(9), props! {}).unwrap();
        tx.add_edge(node(9), "knows", node(4), props! {}).unwrap();
    });
    let index = open(&now, &Knn::k(1));
    let near = |src, dst| matches!(index.neighbors(node(src))[..], [edge] if edge.dst == node(dst));
    assert!(near(1, 2) && near(2, 1) && near(3, 2) && near(4, 3));
    assert_eq!(
        index.neighbors_of(node(2)).iter().map(|edge| edge.src).collect::<Vec<_>>(),
        [node(1), node(3)]
    );
    assert_eq!(index.neighbors(node(9)), []);

    let links = index.links(&now, node(1), "knows").unwrap();
    assert!(
        matches!(&links[..], [Link::Authored(edge), Link::Near(near)] if edge.dst == node(9) && near.dst == node(2))
    );
    let steps = index.walk(&now, node(1), .., 2).unwrap();
    let met: Vec<(NodeId, u32)> = steps.iter().map(|step| (step.node, step.hops)).collect();
    assert_eq!(met, [(node(9), 1), (node(2), 1), (node(4), 2)]);
    assert!(index.walk(&now, node(77), .., 2).is_err());
    let provenance = index.provenance();
    assert_eq!((&*provenance.model, provenance.k), (MODEL, 1));
    assert_eq!(Some(provenance.vectors), now.vectors_root(MODEL).unwrap());
}
