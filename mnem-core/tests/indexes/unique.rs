//! Values that no two nodes may have.

use mnem_core::object::{Property, ValueType};
use mnem_core::repo::query::Violation;
use mnem_core::repo::{Repo, RepoError};
use mnem_core::{NodeId, Value, props};

use crate::kit::{commit, fresh, me};

fn with_unique_email() -> Repo {
    let repo = fresh();
    commit(&repo, |tx| tx.declare(Property::new("email", ValueType::Any).unique()).unwrap());
    repo
}

fn add(repo: &Repo, email: impl Into<Value>) -> NodeId {
    let email = email.into();
    let mut id = NodeId::from_bytes([0; 16]);
    commit(repo, |tx| id = tx.add_node("Person", props! { email: email }).unwrap());
    id
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, RepoError>) -> (String, Value, [NodeId; 2]) {
    match outcome {
        Err(RepoError::NotUnique { property, value, nodes }) => (property, value, nodes),
        other => panic!("{other:?}"),
    }
}

fn violations(repo: &Repo) -> Vec<Violation> {
    repo.head().unwrap().violations().unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_value_that_another_node_has_is_refused_by_name() {
    let repo = with_unique_email();
    let ada = add(&repo, "a@b");
    let mut tx = repo.begin(&me()).unwrap();
    let other = tx.add_node("Person", props! { email: "a@b" }).unwrap();
    let why = refused(tx.commit("twice"));
    assert_eq!(why, ("email".to_owned(), Value::from("a@b"), [other, ada]));
    let mut tx = repo.begin(&me()).unwrap();
    let two = [(); 2].map(|()| tx.add_node("Person", props! { email: "new" }).unwrap());
    assert_eq!(refused(tx.commit("twice at once")).2, two);
}

#[test]
fn each_element_of_a_list_counts_and_types_differ() {
    let repo = with_unique_email();
    let ada = add(&repo, Value::try_from(["a@b", "c@d"]).unwrap());
    add(&repo, 1);
    add(&repo, Value::try_from(1.0).unwrap());
    let mut tx = repo.begin(&me()).unwrap();
    let other = tx.add_node("Person", props! { email: ["x", "c@d"] }).unwrap();
    assert_eq!(refused(tx.commit("an element")), ("email".to_owned(), Value::from("c@d"), [other, ada]));
}

#[test]
fn values_may_be_swapped_and_given_on_in_one_commit() {
    let repo = with_unique_email();
    let (ada, grace) = (add(&repo, "a@b"), add(&repo, "c@d"));
    commit(&repo, |tx| {
        tx.set(ada, "email", "c@d").unwrap();
        tx.set(grace, "email", "a@b").unwrap();
    });
    commit(&repo, |tx| {
        tx.remove(ada).unwrap();
        tx.add_node("Person", props! { email: "c@d" }).unwrap();
    });
    assert_eq!(violations(&repo), []);
}

#[test]
fn two_that_did_not_see_each_other_are_listed_and_hinder_nobody() {
    let repo = with_unique_email();
    let mut sides = [repo.begin(&me()).unwrap(), repo.begin(&me()).unwrap()];
    let long = "x".repeat(300);
    let mut nodes = sides.each_mut().map(|side| side.add_node("Person", props! { email: &long }).unwrap());
    sides.into_iter().for_each(|side| drop(side.commit("a side").unwrap()));
    nodes.sort_unstable();
    let expected = Violation { property: "email".into(), value: Value::from(long), nodes: nodes.to_vec() };
    assert_eq!(violations(&repo), [expected]);
    commit(&repo, |tx| tx.set(nodes[0], "name", "Ada").unwrap());
    commit(&repo, |tx| tx.set(nodes[0], "email", "other").unwrap());
    assert_eq!(violations(&repo), []);
}

#[test]
fn what_was_there_before_the_declaration_is_listed() {
    let repo = fresh();
    let nodes = [add(&repo, 7), add(&repo, 7), add(&repo, 7), add(&repo, 8)];
    commit(&repo, |tx| tx.declare(Property::new("email", ValueType::Int).unique()).unwrap());
    let [Violation { value, nodes: two, .. }] = &violations(&repo)[..] else { panic!("one") };
    assert_eq!((value, &two[..]), (&Value::from(7), &nodes[..3]));
    let mut tx = repo.begin(&me()).unwrap();
    tx.set(nodes[3], "email", 7).unwrap();
    refused(tx.commit("another"));
}

#[test]
fn who_expects_it_is_refused_what_was_given_meanwhile() {
    for strict in [false, true] {
        let repo = with_unique_email();
        let mut late = repo.begin(&me()).unwrap();
        if strict {
            late.expect_unique();
        }
        let second = late.add_node("Person", props! { email: "a@b" }).unwrap();
        let first = add(&repo, "a@b");
        let outcome = late.commit("late");
        if strict {
            assert_eq!(refused(outcome).2, [second, first]);
        } else {
            outcome.unwrap();
            assert_eq!(violations(&repo).len(), 1);
        }
    }
}
