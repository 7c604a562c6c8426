//! Changing what a query finds, and facts that end.

use mnem_core::object::{Property, ValueType};
use mnem_core::repo::query::{Predicate, Query, ended_by, label, prop, valid_at};
use mnem_core::repo::{Actor, RepoError};
use mnem_core::{Time, Value, props};

use crate::kit::{change, fresh, me};

#[test]
fn an_update_sees_what_the_transaction_wrote_and_not_what_it_writes() {
    let repo = fresh(1);
    change(&repo, |tx| {
        for n in 0..3 {
            tx.add_node("N", props! { n: n }).unwrap();
        }
    });
    let mut tx = repo.begin(&me()).unwrap();
    tx.add_node("N", props! { n: 3 }).unwrap();
    let first = tx.base().labelled("N").unwrap().next().unwrap().unwrap().id;
    tx.remove(first).unwrap();
    let small = Query::nodes(label("N").and(prop("n").below(10)));
    let add = |node: &mut mnem_core::Node| {
        let n: i64 = node.get("n")?;
        node.props.set("n", n + 1).map(drop)
    };
    assert_eq!(tx.update_where(&small, add).unwrap(), 3, "each once, though each is still small");
    let now = tx.commit("add").unwrap();
    let mut found: Vec<i64> =
        now.labelled("N").unwrap().map(|node| node.unwrap().get("n").unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, [2, 3, 4]);
}

#[test]
fn an_update_that_is_refused_changes_nothing() {
    let repo = fresh(2);
    change(&repo, |tx| {
        tx.declare(Property::new("n", ValueType::Int)).unwrap();
        for n in 0..3 {
            tx.add_node("N", props! { n: n, text: "a" }).unwrap();
        }
    });
    let all = Query::nodes(Predicate::anything());
    let mut tx = repo.begin(&me()).unwrap();
    let mut count = 0;
    let wrong = tx.update_where(&all, |node| {
        count += 1;
        let value = if count == 3 { Value::from("x") } else { Value::from(9) };
        node.props.set("n", value).map(drop)
    });
    assert!(matches!(wrong, Err(RepoError::Value(_))), "{wrong:?}");
    let fails = tx.update_where(&all, |node| node.get::<i64>("text").map(drop));
    assert!(matches!(fails, Err(RepoError::Value(_))));
    let moves = tx.update_where(&all, |node| {
        node.id = mnem_core::NodeId::from_bytes([9; 16]);
        Ok(())
    });
    assert!(matches!(moves, Err(RepoError::OtherId { .. })));
    assert!(tx.is_empty());
    assert_eq!(tx.update_where(&all, |_| Ok(())).unwrap(), 0, "what stays as it is does not count");
}

#[test]
fn what_is_in_conflict_is_not_updated_and_can_be_removed() {
    let repo = fresh(3);
    let mut id = None;
    change(&repo, |tx| id = Some(tx.add_node("N", props! {}).unwrap()));
    let id = id.unwrap();
    let (mut one, mut two) = (repo.begin(&me()).unwrap(), repo.begin(&Actor::named("two")).unwrap());
    one.set(id, "n", 1).unwrap();
    two.set(id, "n", 2).unwrap();
    one.commit("one").unwrap();
    two.commit("two").unwrap();
    let mut tx = repo.begin(&me()).unwrap();
    let all = Query::nodes(label("N"));
    let update = tx.update_where(&all, |node| node.props.set("m", 1).map(drop));
    assert!(matches!(update, Err(RepoError::InConflict { .. })));
    assert_eq!(tx.remove_where(&all).unwrap(), 1);
    assert_eq!(tx.commit("gone").unwrap().node_count().unwrap(), 0);
}

#[test]
fn removing_nodes_takes_their_edges() {
    let repo = fresh(4);
    change(&repo, |tx| {
        let nodes: Vec<_> = (0..4).map(|n| tx.add_node("N", props! { n: n }).unwrap()).collect();
        for pair in nodes.windows(2) {
            tx.add_edge(pair[0], "next", pair[1], props! {}).unwrap();
        }
    });
    let mut tx = repo.begin(&me()).unwrap();
    assert_eq!(tx.remove_where(&Query::nodes(prop("n").one_of([0, 1]))).unwrap(), 2);
    let now = tx.commit("gone").unwrap();
    assert_eq!((now.node_count().unwrap(), now.edge_count().unwrap()), (2, 1));
}

#[test]
fn a_fact_is_valid_from_its_beginning_on_and_before_its_end() {
    let at = |micros: i64| Time::from_micros(micros).unwrap();
    let repo = fresh(5);
    let now = change(&repo, |tx| {
        tx.declare(Property::new("valid_to", ValueType::Int).indexed()).unwrap();
        let always = tx.add_node("F", props! { name: "always" }).unwrap();
        let early = tx.add_node("F", props! { name: "early", valid_to: 10 }).unwrap();
        let late = tx.add_node("F", props! { name: "late", valid_from: 10 }).unwrap();
        tx.add_node("F", props! { name: "between", valid_from: 5, valid_to: 15 }).unwrap();
        tx.add_edge(always, "before", early, props! {}).unwrap();
        tx.add_edge(always, "for now", late, props! { valid_to: 9 }).unwrap();
    });
    let names = |predicate| -> Vec<String> {
        let found = now.find(&Query::nodes(predicate)).unwrap();
        found.map(|node| node.unwrap().get("name").unwrap()).collect()
    };
    for (micros, expected) in [
        (4, &["always", "early"][..]),
        (5, &["always", "early", "between"]),
        (9, &["always", "early", "between"]),
        (10, &["always", "late", "between"]),
        (15, &["always", "late"]),
    ] {
        assert_eq!(names(valid_at(at(micros))), expected, "at {micros}");
    }
    assert!(!now.explain(&Query::nodes(ended_by(at(10)))).unwrap().scans());
    let mut tx = repo.begin(&me()).unwrap();
    assert_eq!(tx.remove_ended(at(10)).unwrap(), 2, "an edge, and a node with the edge at it");
    let after = tx.commit("expire").unwrap();
    assert_eq!((after.node_count().unwrap(), after.edge_count().unwrap()), (3, 0));
    assert_eq!(now.node_count().unwrap(), 4, "the past keeps them");
}

#[test]
fn values_that_should_be_unique_and_are_not_are_listed_with_who_has_them() {
    let repo = fresh(6);
    let alike = Value::from("a".repeat(300));
    let mut ids = Vec::new();
    change(&repo, |tx| {
        for name in [Value::from(1), Value::from("a"), alike.clone()] {
            ids.push(tx.add_node("N", props! { name: name }).unwrap());
        }
        ids.push(tx.add_node("N", props! { name: ["b", "a"] }).unwrap());
        ids.push(tx.add_node("N", props! { name: alike.clone() }).unwrap());
        ids.push(tx.add_node("N", props! { name: 1.0 }).unwrap());
        ids.push(tx.add_node("N", props! { other: "a" }).unwrap());
    });
    let now = change(&repo, |tx| tx.declare(Property::new("name", ValueType::Any).unique()).unwrap());
    let found: Vec<_> =
        now.violations().unwrap().map(Result::unwrap).map(|it| (it.value, it.nodes)).collect();
    assert_eq!(found, [("a".into(), vec![ids[1], ids[3]]), (alike, vec![ids[2], ids[4]])]);
    let (mut one, mut two) = (repo.begin(&me()).unwrap(), repo.begin(&Actor::named("two")).unwrap());
    one.set(ids[1], "name", "e").unwrap();
    two.set(ids[1], "name", "f").unwrap();
    two.set(ids[6], "name", "e").unwrap();
    one.unset(ids[4], "name").unwrap();
    one.commit("one").unwrap();
    two.commit("two").unwrap();
    let disputed = repo.head().unwrap();
    let shown: String = disputed.require(ids[1]).unwrap().get("name").unwrap();
    let found: Vec<_> = disputed.violations().unwrap().map(|it| it.unwrap().nodes).collect();
    assert_eq!(found, if shown == "e" { vec![vec![ids[1], ids[6]]] } else { vec![] }, "as it is shown");
}
