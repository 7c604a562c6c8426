//! Vectors of nodes: what is taken, what is refused, and that they are versioned like the rest.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which the lint does not see as such")]

mod kit;

use std::sync::Arc;

use mnem_core::object::{Metric, Model, SchemaKey};
use mnem_core::repo::{Actor, Repo, RepoError, Snapshot, Transaction, VectorError};
use mnem_core::{MemoryStore, NodeId, props};

/// A repository with a model of three numbers, under the angle, and one of two, under the distance.
fn fresh() -> Repo {
    let repo = Repo::init(Arc::new(MemoryStore::new()), kit::options(1)).unwrap();
    change(&repo, |tx| {
        tx.declare(Model::new("three", 3, Metric::Cosine)).unwrap();
        tx.declare(Model::new("two", 2, Metric::L2)).unwrap();
    });
    repo
}

fn change(repo: &Repo, edit: impl FnOnce(&mut Transaction)) -> Snapshot {
    let mut tx = repo.begin(&Actor::named("ada")).unwrap();
    edit(&mut tx);
    tx.commit("change").unwrap()
}

fn node(number: u8) -> NodeId {
    NodeId::from_bytes([number; 16])
}

fn add(tx: &mut Transaction, number: u8) {
    tx.add_node_as(node(number), "Thing", props! {}).unwrap();
}

#[test]
fn vectors_are_versioned_with_the_rest() {
    let repo = fresh();
    let then = change(&repo, |tx| {
        add(tx, 1);
        tx.set_vector(node(1), "three", &[1.0, 0.5, -2.0]).unwrap();
        assert_eq!(tx.vector(node(1), "three").unwrap(), Some(vec![1.0, 0.5, -2.0]), "its own writes");
    });
    let version = then.version_of(node(1)).unwrap();
    let now = change(&repo, |tx| tx.set_vector(node(1), "three", &[0.0, 1.0, 0.0]).unwrap());
    assert_eq!(then.vector(node(1), "three").unwrap(), Some(vec![1.0, 0.5, -2.0]));
    assert_eq!(now.vector(node(1), "three").unwrap(), Some(vec![0.0, 1.0, 0.0]));
    assert_eq!(now.vector(node(1), "two").unwrap(), None);
    assert_eq!(now.version_of(node(1)).unwrap(), version, "a vector is no part of the node");
    let gone = change(&repo, |tx| assert!(tx.unset_vector(node(1), "three").unwrap()));
    assert_eq!(gone.vector(node(1), "three").unwrap(), None);
    assert_eq!(
        gone.commit().unwrap().vectors,
        repo.back(&then, 1).unwrap().unwrap().commit().unwrap().vectors
    );
}

#[test]
fn a_model_streams_in_the_order_of_its_nodes_and_counts() {
    let repo = fresh();
    let now = change(&repo, |tx| {
        for number in [9, 3, 7] {
            add(tx, number);
            tx.set_vector(node(number), "two", &[f32::from(number), 0.0]).unwrap();
        }
        tx.set_vector(node(3), "three", &[1.0; 3]).unwrap();
    });
    let all: Vec<_> = now.vectors("two").unwrap().map(Result::unwrap).collect();
    assert_eq!(all, [3, 7, 9].map(|number| (node(number), vec![f32::from(number), 0.0])));
    assert_eq!((now.vector_count("two").unwrap(), now.vector_count("three").unwrap()), (3, 1));
    assert_eq!(now.vector_models().unwrap(), ["three", "two"]);
    let before = repo.back(&now, 1).unwrap().unwrap();
    assert_eq!((before.vector_count("two").unwrap(), before.vectors("two").unwrap().count()), (0, 0));
}

#[track_caller]
fn refused(edit: impl FnOnce(&mut Transaction) -> Result<(), RepoError>) -> RepoError {
    let repo = fresh();
    change(&repo, |tx| add(tx, 1));
    let mut tx = repo.begin(&Actor::named("ada")).unwrap();
    let why = edit(&mut tx).unwrap_err();
    assert!(tx.is_empty(), "what was refused left something behind");
    why
}

#[test]
fn what_is_no_vector_of_the_model_is_refused_by_name() {
    let (it, three) = (node(1), || "three".to_owned());
    let why = |edit: &dyn Fn(&mut Transaction) -> Result<(), RepoError>| match refused(edit) {
        RepoError::Vector(why) => why,
        other => panic!("{other}"),
    };
    assert_eq!(
        why(&|tx| tx.set_vector(it, "three", &[1.0; 4])),
        VectorError::Dimension { node: it, model: three(), expected: 3, found: 4 }
    );
    assert_eq!(
        why(&|tx| tx.set_vector(it, "three", &[])),
        VectorError::Dimension { node: it, model: three(), expected: 3, found: 0 }
    );
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(
            why(&|tx| tx.set_vector(it, "three", &[1.0, bad, 1.0])),
            VectorError::NotFinite { node: it, model: three(), at: 1 }
        );
    }
    assert_eq!(
        why(&|tx| tx.set_vector(it, "three", &[0.0, -0.0, 0.0])),
        VectorError::Zero { node: it, model: three() }
    );
    let unknown = VectorError::NoSuchModel { model: "one".to_owned() };
    assert_eq!(why(&|tx| tx.set_vector(it, "one", &[1.0])), unknown);
    assert_eq!(why(&|tx| tx.unset_vector(it, "one").map(|_| ())), unknown);
    assert_eq!(why(&|tx| tx.vector(it, "one").map(|_| ())), unknown);
    assert_eq!(why(&|tx| tx.base().vectors("one").map(|_| ())), unknown);
    assert_eq!(why(&|tx| tx.base().vector_count("one").map(|_| ())), unknown);
    assert!(matches!(
        refused(|tx| tx.set_vector(node(2), "three", &[1.0; 3])),
        RepoError::NoSuchEntity { id } if id == node(2).into()
    ));
}

#[test]
fn all_zeros_are_a_vector_where_there_is_no_angle_and_zero_has_no_sign() {
    let repo = fresh();
    let now = change(&repo, |tx| {
        add(tx, 1);
        add(tx, 2);
        tx.set_vector(node(1), "two", &[0.0, -0.0]).unwrap();
        tx.set_vector(node(2), "two", &[0.0, 0.0]).unwrap();
    });
    let all: Vec<_> = now.vectors("two").unwrap().map(|vector| vector.unwrap().1).collect();
    assert!(all.iter().flatten().all(|number| number.to_bits() == 0), "{all:?}");
}

#[test]
fn a_vector_goes_with_its_node() {
    let repo = fresh();
    change(&repo, |tx| {
        add(tx, 1);
        add(tx, 2);
        [1, 2].iter().for_each(|number| tx.set_vector(node(*number), "two", &[1.0; 2]).unwrap());
    });
    let now = change(&repo, |tx| {
        tx.set_vector(node(1), "three", &[1.0; 3]).unwrap();
        tx.remove(node(1)).unwrap();
        add(tx, 1);
        assert_eq!(tx.vector(node(1), "two").unwrap(), None, "who comes back has nothing yet");
    });
    assert_eq!(now.vector_models().unwrap(), ["two"]);
    assert_eq!(now.vectors("two").unwrap().map(|vector| vector.unwrap().0).collect::<Vec<_>>(), [node(2)]);
}

#[test]
fn what_changes_nothing_commits_nothing() {
    let repo = fresh();
    change(&repo, |tx| {
        add(tx, 1);
        tx.set_vector(node(1), "two", &[1.0, 2.0]).unwrap();
    });
    let mut tx = repo.begin(&Actor::named("ada")).unwrap();
    tx.set_vector(node(1), "two", &[3.0, 4.0]).unwrap();
    assert!(!tx.is_empty());
    tx.set_vector(node(1), "two", &[1.0, 2.0]).unwrap();
    assert!(tx.is_empty());
    assert!(!tx.unset_vector(node(1), "three").unwrap());
    assert!(tx.is_empty());
}

#[test]
fn a_model_binds_what_is_written_from_then_on() {
    let repo = fresh();
    change(&repo, |tx| {
        add(tx, 1);
        tx.set_vector(node(1), "two", &[1.0, 2.0]).unwrap();
    });
    let now = change(&repo, |tx| tx.declare(Model::new("two", 4, Metric::Dot)).unwrap());
    assert_eq!(now.vector(node(1), "two").unwrap(), Some(vec![1.0, 2.0]));
    let mut tx = repo.begin(&Actor::named("ada")).unwrap();
    tx.set_vector(node(1), "two", &[1.0; 4]).unwrap();
    let refused = tx.declare(Model::new("two", 5, Metric::Dot)).unwrap_err();
    assert!(matches!(refused, RepoError::Vector(VectorError::Dimension { expected: 5, found: 4, .. })));
    drop(tx);
    let gone = change(&repo, |tx| assert!(tx.undeclare(&SchemaKey::Model("two".into())).unwrap()));
    assert_eq!(gone.vector(node(1), "two").unwrap(), Some(vec![1.0, 2.0]), "what was written stays");
    assert!(gone.vector(node(1), "three").unwrap().is_none());
}

#[test]
fn two_states_differ_in_the_vectors_that_came_went_or_changed() {
    let repo = fresh();
    let set = |tx: &mut Transaction, number, x| tx.set_vector(node(number), "two", &[x, 1.0]).unwrap();
    let from = change(&repo, |tx| {
        (1..=4).for_each(|number| add(tx, number));
        (1..=3).for_each(|number| set(tx, number, 1.0));
    });
    let to = change(&repo, |tx| {
        tx.remove(node(1)).unwrap();
        set(tx, 3, 2.0);
        set(tx, 4, 1.0);
    });
    let told = |from: &Snapshot, to: &Snapshot| -> Vec<(NodeId, bool, bool)> {
        let all = from.vector_changes(to, "two").unwrap().map(Result::unwrap);
        all.map(|change| (change.node, change.old.is_some(), change.new.is_some())).collect()
    };
    assert_eq!(told(&from, &to), [(node(1), true, false), (node(3), true, true), (node(4), false, true)]);
    assert_eq!(told(&to, &from), [(node(1), false, true), (node(3), true, true), (node(4), true, false)]);
    assert_eq!(told(&to, &to), []);
    let first = repo.back(&from, 1).unwrap().unwrap();
    assert_eq!(told(&first, &from).len(), 3);
    assert!(matches!(
        from.vector_changes(&to, "one"),
        Err(RepoError::Vector(VectorError::NoSuchModel { .. }))
    ));
}
