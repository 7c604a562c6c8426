//! The tree of codes: the same for the same vectors, whatever came before, wherever it lies.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use mnem::Cid;
use mnem::object::Metric;
use mnem::testing::{LabExt as _, each_backend};
use mnem_ann::{SearchError, Top, Vectors};

use crate::kit::{MODEL, Random, State, after, change, fresh, node, on, turn_into};

/// Keeps the tree of vectors that are all set at once, in a repository of their own.
fn root_of(state: &State, dim: u32) -> Option<Cid> {
    let repo = fresh(dim, Metric::Cosine);
    let now = turn_into(&repo, &State::new(), state);
    Vectors::of(MODEL).keep(&now).unwrap().map(|kept| kept.root)
}

#[test]
fn a_tree_that_was_brought_up_to_date_is_the_one_that_is_built_anew() {
    for seed in 0..6 {
        let mut random = Random::new(seed);
        let dim = 24;
        let repo = fresh(24, Metric::Cosine);
        let mut state = State::new();
        for round in 0..8 {
            let changes = if round == 0 { 300 } else { 1 + random.below(30) };
            let next = after(&mut random, &state, changes, dim);
            let now = turn_into(&repo, &state, &next);
            state = next;
            let vectors = Vectors::of(MODEL); // remembers nothing
            let kept = vectors.keep(&now).unwrap().unwrap();
            assert_eq!(Some(kept.root), root_of(&state, 24), "seed {seed} round {round}");
            assert_eq!(kept.entries, state.len() as u64);
            if round > 0 {
                assert!(kept.changed <= changes, "{kept:?}");
            }
            assert_eq!(vectors.verify(&now).unwrap(), Some(true));
            assert_eq!(vectors.keep(&now).unwrap().unwrap().changed, 0, "it is there");
        }
    }
}

#[test]
fn the_tree_is_the_same_in_any_order_and_on_every_backend() {
    let state = after(&mut Random::new(11), &State::new(), 500, 40);
    let expected = root_of(&state, 40);
    let mut roots = BTreeSet::new();
    each_backend(|lab| {
        let store = lab.open()?;
        let repo = on(Arc::clone(&store), 40, Metric::L2);
        // One after the other from the end, in three commits, with some that go again.
        let numbers: Vec<u64> = state.keys().rev().copied().collect();
        for part in numbers.chunks(numbers.len().div_ceil(3)) {
            let now = change(&repo, |tx| {
                for number in part {
                    tx.add_node_as(node(*number), "Thing", mnem::props! {}).unwrap();
                    tx.set_vector(node(*number), MODEL, &state[number]).unwrap();
                }
                let passing = node(1_000_000 + part[0]);
                tx.add_node_as(passing, "Thing", mnem::props! {}).unwrap();
                tx.set_vector(passing, MODEL, &state[&part[0]]).unwrap();
            });
            Vectors::of(MODEL).keep(&now).unwrap();
            change(&repo, |tx| tx.remove(node(1_000_000 + part[0])).unwrap());
        }
        let now = repo.head()?;
        let kept = Vectors::of(MODEL).keep(&now).unwrap().unwrap();
        assert!(kept.changed < 10, "{kept:?}");
        roots.insert(kept.root);
        drop((now, repo));
        // Another program finds what was kept, and makes nothing.
        let repo = mnem::Repo::open(lab.reopen(store)?, mnem::system_options())?;
        let vectors = Vectors::open(&repo, MODEL).unwrap();
        assert_eq!(vectors.search(&repo.head()?, &state[&numbers[0]], &Top::k(3)).unwrap()[0].score, 0.0);
        assert_eq!(vectors.stats().encoded, 0);
        Ok(())
    })
    .unwrap();
    assert_eq!(roots.into_iter().map(Some).collect::<Vec<_>>(), [expected]);
}

#[test]
fn making_all_codes_can_be_watched_and_stopped() {
    let repo = fresh(2, Metric::Dot);
    let mut random = Random::new(2);
    let state: State = (0..3000).map(|number| (number, random.vector(2))).collect();
    let now = turn_into(&repo, &State::new(), &state);
    let vectors = Vectors::of(MODEL);
    let mut seen = Vec::new();
    let stopped = vectors.keep_with(&now, &mut |progress| {
        seen.push(progress.done);
        if progress.done > 2000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(stopped, Err(SearchError::Cancelled)), "{stopped:?}");
    assert_eq!(seen, [1024, 2048]);
    assert_eq!(vectors.verify(&now).unwrap(), None, "nothing is kept");
    let mut last = None;
    vectors
        .keep_with(&now, &mut |progress| {
            last = Some(progress.clone());
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(last.map(|progress| (progress.done, progress.total)), Some((3000, Some(3000))));
}
