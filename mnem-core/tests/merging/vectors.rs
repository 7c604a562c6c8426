//! Vectors merge whole, and stay with their nodes.

use mnem_core::key::ConflictKey;
use mnem_core::object::{Metric, Model, Why};
use mnem_core::repo::{Repo, Resolve, Snapshot};
use mnem_core::{NodeId, props};

use crate::support::{branch, commit, me, roots, set, two};

/// Two nodes with a vector each, and a branch of that.
fn vectors() -> (Repo, Repo, [NodeId; 2]) {
    let (repo, _, ada) = two();
    let bob = NodeId::of_key("person", b"bob");
    commit(&repo, |tx| {
        tx.declare(Model::new("m", 2, Metric::L2)).unwrap();
        tx.add_node_as(bob, "Person", props! {}).unwrap();
        tx.set_vector(ada, "m", &[1.0, 0.0]).unwrap();
        tx.set_vector(bob, "m", &[0.0, 1.0]).unwrap();
    });
    let side = branch(&repo, "side");
    (repo, side, [ada, bob])
}

/// Merges both ways round, and returns one.
fn merge(repo: &Repo, side: &Repo) -> Snapshot {
    let mirror = branch(side, "mirror");
    let there = commit(&mirror, |tx| tx.merge(repo.branch()).unwrap());
    let here = commit(repo, |tx| tx.merge(side.branch()).unwrap());
    assert_eq!(roots(&here), roots(&there));
    here
}

#[test]
fn vectors_of_different_nodes_do_not_disagree() {
    let (repo, side, [ada, bob]) = vectors();
    commit(&repo, |tx| tx.set_vector(ada, "m", &[2.0, 0.0]).unwrap());
    commit(&side, |tx| {
        tx.declare(Model::new("other", 1, Metric::L2)).unwrap();
        tx.set_vector(bob, "other", &[7.0]).unwrap();
        assert!(tx.unset_vector(bob, "m").unwrap());
    });
    let now = merge(&repo, &side);
    assert_eq!(now.vector(ada, "m").unwrap(), Some(vec![2.0, 0.0]));
    assert_eq!((now.vector(bob, "m").unwrap(), now.vector(bob, "other").unwrap()), (None, Some(vec![7.0])));
    assert_eq!(now.conflicts().unwrap(), []);
}

#[test]
fn a_vector_that_both_set_is_in_conflict_until_it_is_settled() {
    for (answer, expected) in [
        (Resolve::ours(), Some(vec![2.0, 0.0])),
        (Resolve::theirs(), Some(vec![3.0, 0.0])),
        (Resolve::remove(), None),
    ] {
        let (repo, side, [ada, bob]) = vectors();
        commit(&repo, |tx| tx.set_vector(ada, "m", &[2.0, 0.0]).unwrap());
        commit(&side, |tx| tx.set_vector(ada, "m", &[3.0, 0.0]).unwrap());
        let open = merge(&repo, &side);
        let key = ConflictKey::Vector { model: "m".into(), node: ada };
        assert_eq!(open.conflicts().unwrap(), std::slice::from_ref(&key));
        assert_eq!(open.conflict_at(&key).unwrap().unwrap().vectors.len(), 2);
        let now = commit(&repo, |tx| tx.resolve(&key, answer).unwrap());
        assert_eq!((now.conflicts().unwrap().len(), now.vector(ada, "m").unwrap()), (0, expected));
        assert_eq!(now.vector(bob, "m").unwrap(), Some(vec![0.0, 1.0]));
        let mut tx = repo.begin(&me()).unwrap();
        assert!(tx.resolve(&key, Resolve::keep()).is_err());
    }
}

#[test]
fn a_vector_that_changed_keeps_its_node() {
    let (repo, side, [ada, _]) = vectors();
    commit(&repo, |tx| tx.remove(ada).unwrap());
    commit(&side, |tx| tx.set_vector(ada, "m", &[2.0, 0.0]).unwrap());
    let now = merge(&repo, &side);
    let found = now.conflict_at(ada).unwrap().unwrap();
    assert!(found.is_removed && found.why == Some(Why::Vector));
    assert_eq!(now.vector(ada, "m").unwrap(), Some(vec![2.0, 0.0]));
    assert_eq!(now.conflicts().unwrap().len(), 1, "it is the node that is in dispute");
    let gone = commit(&branch(&repo, "gone"), |tx| tx.resolve(ada, Resolve::remove()).unwrap());
    assert_eq!((gone.vector(ada, "m").unwrap(), gone.vector_count("m").unwrap()), (None, 1));
}

#[test]
fn a_node_that_stays_keeps_its_vectors() {
    let (repo, side, [ada, bob]) = vectors();
    commit(&repo, |tx| {
        tx.remove(ada).unwrap();
        tx.remove(bob).unwrap();
    });
    set(&side, ada, "born", 1816);
    let now = merge(&repo, &side);
    assert_eq!(now.vector(ada, "m").unwrap(), Some(vec![1.0, 0.0]));
    assert_eq!((now.vector(bob, "m").unwrap(), now.vector_count("m").unwrap()), (None, 1));
    let kept = commit(&repo, |tx| tx.resolve(ada, Resolve::keep()).unwrap());
    assert_eq!(kept.vector(ada, "m").unwrap(), Some(vec![1.0, 0.0]));
}

#[test]
fn a_selection_takes_the_vectors_of_its_nodes() {
    let (repo, side, [ada, bob]) = vectors();
    commit(&side, |tx| {
        tx.set(ada, "born", 1816).unwrap();
        tx.set_vector(ada, "m", &[2.0, 0.0]).unwrap();
        tx.set_vector(bob, "m", &[0.0, 2.0]).unwrap();
    });
    let now = commit(&repo, |tx| tx.merge_only("side", |id| id == ada.into()).unwrap());
    assert_eq!(now.vector(ada, "m").unwrap(), Some(vec![2.0, 0.0]));
    assert_eq!(now.vector(bob, "m").unwrap(), Some(vec![0.0, 1.0]));
}

/// Where one has removed a node, another needs it for an edge and has merged the removal.
fn kept() -> (Repo, Repo, NodeId) {
    let (repo, side, [ada, bob]) = vectors();
    commit(&repo, |tx| tx.remove(ada).unwrap());
    commit(&side, |tx| tx.add_edge(bob, "knows", ada, props! {}).unwrap());
    let now = commit(&side, |tx| tx.merge(repo.branch()).unwrap());
    assert_eq!(now.vector(ada, "m").unwrap(), Some(vec![1.0, 0.0]));
    let key = ConflictKey::Vector { model: "m".into(), node: ada };
    assert_eq!(now.conflict_at(&key).unwrap().unwrap().why, Some(Why::Vector));
    (repo, side, ada)
}

#[test]
fn a_vector_that_was_kept_does_not_come_back_with_a_node_made_anew() {
    let (repo, side, ada) = kept();
    commit(&repo, |tx| tx.add_node_as(ada, "Person", props! { born: 1816 }).unwrap());
    let now = merge(&repo, &side);
    assert_eq!((now.vector(ada, "m").unwrap(), now.vector_count("m").unwrap()), (None, 1));
    assert_eq!(now.conflicts().unwrap(), []);
}

#[test]
fn a_vector_set_at_a_node_that_was_kept_does() {
    let (repo, side, ada) = kept();
    commit(&side, |tx| tx.set_vector(ada, "m", &[3.0, 0.0]).unwrap());
    commit(&repo, |tx| tx.add_node_as(ada, "Person", props! { born: 1816 }).unwrap());
    let now = merge(&repo, &side);
    assert_eq!(now.vector(ada, "m").unwrap(), Some(vec![3.0, 0.0]));
    assert_eq!(now.conflicts().unwrap(), []);
}

#[test]
fn a_vector_that_was_kept_yields_to_one_that_was_set() {
    let (repo, side, ada) = kept();
    commit(&repo, |tx| {
        tx.add_node_as(ada, "Person", props! { born: 1816 }).unwrap();
        tx.set_vector(ada, "m", &[4.0, 0.0]).unwrap();
    });
    let now = merge(&repo, &side);
    assert_eq!(now.vector(ada, "m").unwrap(), Some(vec![4.0, 0.0]));
    assert_eq!(now.conflicts().unwrap(), []);
}

#[test]
fn settling_a_node_settles_the_vectors_that_were_kept_with_it() {
    let (_, side, ada) = kept();
    let other = branch(&side, "other");
    let settled = commit(&side, |tx| tx.resolve(ada, Resolve::keep()).unwrap());
    assert_eq!(settled.conflicts().unwrap(), []);
    assert_eq!(settled.vector(ada, "m").unwrap(), Some(vec![1.0, 0.0]));
    commit(&other, |tx| tx.set_vector(ada, "m", &[5.0, 0.0]).unwrap());
    let now = merge(&side, &other);
    assert_eq!(now.conflicts().unwrap(), [], "to settle the node was no word about its vector");
    assert_eq!(now.vector(ada, "m").unwrap(), Some(vec![5.0, 0.0]));
}

#[test]
fn taking_back_a_merge_takes_the_mark_of_a_kept_vector_away() {
    let (_, side, ada) = kept();
    let merged = side.head().unwrap();
    commit(&side, |tx| tx.add_node("Person", props! {}).unwrap());
    let now = commit(&side, |tx| tx.revert_merge(merged.commit_id().unwrap(), 1).unwrap());
    assert_eq!(now.conflicts().unwrap(), []);
    assert_eq!(now.vector(ada, "m").unwrap(), Some(vec![1.0, 0.0]));
}
