//! What holds of every search, on random histories.

use mnem::label;
use mnem::object::Metric;
use mnem_ann::{Hit, Top, Vectors};

use crate::kit::{MODEL, Random, State, after, fresh, node, turn_into};

/// How near two vectors are, in 64 bits and any order.
fn score(metric: &Metric, a: &[f32], b: &[f32]) -> f64 {
    let pairs = || a.iter().zip(b).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let dot: f64 = pairs().map(|(a, b)| a * b).sum();
    let length = |of: &[f32]| of.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    match metric {
        Metric::Cosine => dot / (length(a) * length(b)),
        Metric::Dot => dot,
        _ => -pairs().map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt(),
    }
}

/// Refuses hits that are not the nearest of `state`, in their order, within what rounding explains.
fn check_nearest(hits: &[Hit], state: &State, metric: &Metric, question: &[f32], k: usize) {
    let mut expected: Vec<f64> = state.values().map(|vector| score(metric, question, vector)).collect();
    expected.sort_by(|a, b| b.total_cmp(a));
    expected.truncate(k);
    assert_eq!(hits.len(), expected.len());
    for (hit, expected) in hits.iter().zip(&expected) {
        assert!((f64::from(hit.score) - expected).abs() < 1e-4, "{hit:?} {expected}");
        let number = u64::from_be_bytes(hit.node.as_bytes()[8..].try_into().unwrap());
        assert!((score(metric, question, &state[&number]) - f64::from(hit.score)).abs() < 1e-4);
    }
    for pair in hits.windows(2) {
        let is_ordered =
            pair[0].score > pair[1].score || (pair[0].score == pair[1].score && pair[0].node < pair[1].node);
        assert!(is_ordered, "{pair:?}");
    }
}

#[test]
fn the_default_search_finds_what_the_exact_one_finds_at_every_commit() {
    for (seed, metric) in [(1, Metric::Cosine), (2, Metric::Dot), (3, Metric::L2)] {
        let mut random = Random::new(seed);
        for dim in [3, 33] {
            let repo = fresh(u32::try_from(dim).unwrap(), metric.clone());
            let vectors = Vectors::open(&repo, MODEL).unwrap();
            let mut states = vec![State::new()];
            let mut snapshots = Vec::new();
            for round in 0..8 {
                let last = states.last().unwrap();
                let next = after(&mut random, last, if round % 3 == 0 { 150 } else { 8 }, dim);
                snapshots.push(turn_into(&repo, last, &next));
                states.push(next);
                // Kept of some commits, so that others start from there.
                if round % 4 == 1 {
                    vectors.keep(snapshots.last().unwrap()).unwrap();
                }
            }
            let other = Vectors::of(MODEL);
            for (at, (snapshot, state)) in snapshots.iter().zip(&states[1..]).enumerate().rev() {
                let question = random.vector(dim);
                for k in [1, 10, 1000] {
                    let top = Top::k(k);
                    let exact = vectors.search_exact(snapshot, &question, &top).unwrap();
                    check_nearest(&exact, state, &metric, &question, k);
                    let found = vectors.search(snapshot, &question, &top).unwrap();
                    assert_eq!(found[..], exact[..], "{metric:?} {dim} commit {at} k {k}");
                    // By codes that came another way.
                    assert_eq!(other.search(snapshot, &question, &top).unwrap()[..], exact[..]);
                    let cold = Vectors::of(MODEL).search(snapshot, &question, &top).unwrap();
                    assert_eq!(cold[..], exact[..], "{metric:?} {dim} commit {at} k {k}, cold");
                }
            }
        }
    }
}

#[test]
fn a_filter_comes_before_the_ranking_however_few_it_lets_through() {
    let mut random = Random::new(5);
    let repo = fresh(16, Metric::Cosine);
    let state = after(&mut random, &State::new(), 600, 16);
    let now = turn_into(&repo, &State::new(), &state);
    let vectors = Vectors::open(&repo, MODEL).unwrap();
    let question = random.vector(16);
    let all = vectors.search_exact(&now, &question, &Top::k(usize::MAX)).unwrap();
    assert_eq!(all.len(), state.len());
    let number = |hit: &Hit| u64::from_be_bytes(hit.node.as_bytes()[8..].try_into().unwrap());
    let thirds: Vec<Hit> = all.iter().filter(|hit| number(hit) % 3 == 0).take(7).copied().collect();
    let top = Top::k(7).among(label("Third"));
    assert_eq!(vectors.search(&now, &question, &top).unwrap()[..], thirds[..]);
    assert_eq!(vectors.search_exact(&now, &question, &top).unwrap()[..], thirds[..]);

    let farthest = all.last().unwrap();
    for top in [
        Top::k(5).among(mnem::prop("number").equals(i64::try_from(number(farthest)).unwrap())),
        Top::k(5).among_nodes([farthest.node, node(100_000)]),
        Top::k(5).among_nodes([farthest.node, all[0].node]).among_nodes([farthest.node]),
    ] {
        let found = vectors.search(&now, &question, &top).unwrap();
        assert_eq!(found[..], [*farthest]);
        assert_eq!(found.stats().exact, 1);
        assert_eq!(vectors.search_exact(&now, &question, &top).unwrap()[..], [*farthest]);
    }
    let nobody = vectors.search(&now, &question, &Top::k(5).among(label("Nobody"))).unwrap();
    assert!(nobody.is_empty());
    assert_eq!(nobody.stats().among, Some(0));
}

#[test]
fn equally_near_nodes_come_by_their_ids() {
    let repo = fresh(4, Metric::L2);
    let state: State = (0..50).map(|number| (number, vec![1.0, 2.0, 3.0, 4.0])).collect();
    let now = turn_into(&repo, &State::new(), &state);
    let vectors = Vectors::open(&repo, MODEL).unwrap();
    let hits = vectors.search(&now, &[1.0, 2.0, 3.0, 4.0], &Top::k(5)).unwrap();
    let expected: Vec<Hit> = (0..5).map(|number| Hit { node: node(number), score: 0.0 }).collect();
    assert_eq!(hits[..], expected[..]);
}

#[test]
fn few_vectors_are_compared_exactly() {
    let mut random = Random::new(8);
    let repo = fresh(64, Metric::Cosine);
    let state: State = (0..2000).map(|number| (number, random.vector(64))).collect();
    let now = turn_into(&repo, &State::new(), &state);
    let vectors = Vectors::open(&repo, MODEL).unwrap();
    for _ in 0..20 {
        let hits = vectors.search(&now, &random.vector(64), &Top::k(10)).unwrap();
        assert_eq!(hits.stats().visited, 2000);
        assert!(hits.stats().exact <= 64, "{:?}", hits.stats());
    }
}
