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
