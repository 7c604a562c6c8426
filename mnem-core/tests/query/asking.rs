//! What predicates mean, and what cannot be asked.

use mnem_core::object::{Property, ValueType};
use mnem_core::repo::query::{Predicate, Query, QueryError, edge_type, from, label, prop, to};
use mnem_core::repo::{Actor, RepoError, Snapshot};
use mnem_core::value::{List, Value};
use mnem_core::{NodeId, props};

use crate::kit::{change, fresh};

/// Ada, Grace and Alan, who know each other in this order; and a machine.
fn people() -> (Snapshot, [NodeId; 4]) {
    let mut ids = None;
    let state = change(&fresh(1), |tx| {
        let ada = tx.add_node("Person", props! { name: "Ada", born: 1815, died: 1852, height: 1.0 }).unwrap();
        let grace =
            tx.add_node("Person", props! { name: "Grace", born: 1906, died: 1992, height: 1 }).unwrap();
        let alan = tx.add_node(["Person", "Runner"], props! { name: "Alan", born: 1912 }).unwrap();
        let machine = tx.add_node("Machine", props! { name: "Engine", parts: ["mill", "store"] }).unwrap();
        tx.add_edge(ada, "knows", grace, props! { since: 1 }).unwrap();
        tx.add_edge(grace, "knows", alan, props! {}).unwrap();
        tx.add_edge(ada, "described", machine, props! { year: 1843 }).unwrap();
        ids = Some([ada, grace, alan, machine]);
    });
    (state, ids.unwrap())
}

fn names(state: &Snapshot, predicate: Predicate) -> Vec<String> {
    let found = state.find(&Query::nodes(predicate)).unwrap();
    found.map(|node| node.unwrap().get("name").unwrap()).collect()
}

#[test]
fn predicates_mean_what_they_say() {
    let (state, _) = people();
    let person = || label("Person");
    for (predicate, expected) in [
        (person(), &["Ada", "Grace", "Alan"][..]),
        (person().and(label("Runner")), &["Alan"]),
        (person().and(!label("Runner")), &["Ada", "Grace"]),
        (label("Machine").or(label("Runner")), &["Alan", "Engine"]),
        (prop("born").between(1800..1906), &["Ada"]),
        (prop("born").between(1800..=1906), &["Ada", "Grace"]),
        (prop("born").at_least(1906), &["Grace", "Alan"]),
        (prop("born").above(1906), &["Alan"]),
        (prop("born").at_most(1906), &["Ada", "Grace"]),
        (prop("born").below(1906.5), &["Ada", "Grace"]),
        (prop("died").present(), &["Ada", "Grace"]),
        (prop("died").absent(), &["Alan", "Engine"]),
        (prop("name").starts_with("A"), &["Ada", "Alan"]),
        (prop("name").one_of(["Ada", "Engine", "Nobody"]), &["Ada", "Engine"]),
        (prop("name").one_of(Vec::<&str>::new()), &[]),
        (prop("parts").equals("mill"), &["Engine"]),
        (prop("parts").equals("wheel"), &[]),
        (Predicate::anything(), &["Ada", "Grace", "Alan", "Engine"]),
        (Predicate::nothing(), &[]),
        (label("Nothing"), &[]),
    ] {
        let text = predicate.to_string();
        assert_eq!(names(&state, predicate), expected, "{text}");
    }
}

#[test]
fn numbers_are_equal_by_size_and_different_values_all_the_same() {
    let (state, _) = people();
    assert_eq!(names(&state, prop("height").equals(1)), ["Ada", "Grace"]);
    assert_eq!(names(&state, prop("height").equals(1.0)), ["Ada", "Grace"]);
    let list = |value: Value| Value::List(List::new([value]).unwrap());
    let in_lists = change(&fresh(2), |tx| {
        tx.add_node("L", props! { name: "ints", of: list(1.into()) }).unwrap();
        tx.add_node("L", props! { name: "floats", of: list(Value::try_from(1.0).unwrap()) }).unwrap();
    });
    assert_eq!(names(&in_lists, prop("of").equals(1)).len(), 2, "an element is compared as a number");
    assert_eq!(names(&in_lists, prop("of").equals(list(1.into()))), ["ints"], "a whole list as a value");
}

#[test]
fn edges_are_found_by_type_and_by_their_ends() {
    let (state, [ada, grace, _, machine]) = people();
    let count = |predicate: Predicate| {
        let query = Query::edges(predicate);
        let found = state.find(&query).unwrap().map(Result::unwrap).count();
        assert_eq!(state.count(&query).unwrap(), u64::try_from(found).unwrap());
        found
    };
    assert_eq!(count(edge_type("knows")), 2);
    assert_eq!(count(from(ada)), 2);
    assert_eq!(count(from(ada).and(edge_type("knows"))), 1);
    assert_eq!(count(from(ada).and(edge_type("knows")).and(edge_type("described"))), 0);
    assert_eq!(count(to(grace).or(to(machine))), 2);
    assert_eq!(count(from(ada).and(to(machine))), 1);
    assert_eq!(count(from(ada).and(prop("year").present())), 1);
}

#[test]
fn what_cannot_be_asked_is_refused_with_the_reason() {
    let (state, [ada, ..]) = people();
    let nodes = |predicate| match state.find(&Query::nodes(predicate)) {
        Err(RepoError::Query(why)) => why,
        other => panic!("{other:?}"),
    };
    let (earlier, later) = (1800, 1900);
    let upside_down = prop("born").at_least(2).and(Predicate::anything());
    assert_eq!(names(&state, upside_down.and(prop("born").at_most(1))), Vec::<String>::new());
    assert!(matches!(
        nodes(prop("born").between(later..earlier)),
        QueryError::UpsideDown { property, .. } if property == "born"
    ));
    let kinds = (std::ops::Bound::Included(Value::from(1)), std::ops::Bound::Included(Value::from("a")));
    assert!(matches!(
        nodes(prop("born").between(kinds)),
        QueryError::NoOrder { lower: "int", upper: "text", .. }
    ));
    let list = Value::List(List::new([]).unwrap());
    assert!(matches!(nodes(prop("born").at_least(list)), QueryError::NoOrder { .. }));
    assert!(matches!(nodes(prop("born").at_least(f64::NAN)), QueryError::Value(_)));
    assert!(matches!(nodes(prop("born").starts_with(1)), QueryError::Value(_)));
    assert!(matches!(nodes(from(ada)), QueryError::NotAskable { asked: "nodes", .. }));
    assert!(matches!(nodes(!edge_type("knows")), QueryError::NotAskable { .. }));
    assert!(matches!(
        state.count(&Query::edges(label("Person"))),
        Err(RepoError::Query(QueryError::NotAskable { what: "a label", of: "nodes", asked: "edges" }))
    ));
    for size in [0, 100_001] {
        let query = Query::nodes(Predicate::anything()).page_size(size);
        assert!(matches!(
            state.page(&query, None),
            Err(RepoError::Query(QueryError::PageSize { found })) if found == u64::from(size)
        ));
    }
    let deep = (0..20).fold(label("A"), |inner, _| label("B").or(label("C").and(inner)));
    assert_eq!(nodes(deep), QueryError::TooDeep);
}

#[test]
fn a_disputed_property_is_found_as_it_is_shown() {
    let repo = fresh(3);
    let mut ada = None;
    change(&repo, |tx| {
        tx.declare(Property::new("born", ValueType::Int).indexed()).unwrap();
        ada = Some(tx.add_node("Person", props! { name: "Ada" }).unwrap());
    });
    let ada = ada.unwrap();
    let (mut one, mut two) =
        (repo.begin(&Actor::named("one")).unwrap(), repo.begin(&Actor::named("two")).unwrap());
    one.set(ada, "born", 1815).unwrap();
    two.set(ada, "born", 1816).unwrap();
    two.set_labels(ada, ["Person", "Poet"]).unwrap();
    one.commit("one").unwrap();
    two.commit("two").unwrap();
    let now = repo.head().unwrap();
    let shown: i64 = now.require(ada).unwrap().get("born").unwrap();
    assert!(now.conflict(ada).unwrap().is_some());
    for (year, expected) in [(shown, 1), (1815 + 1816 - shown, 0)] {
        // The index has the values of both sides.
        for predicate in [prop("born").equals(year), label("Poet").and(prop("born").equals(year))] {
            let query = Query::nodes(predicate);
            assert!(!now.explain(&query).unwrap().scans());
            assert_eq!(now.find(&query).unwrap().count(), expected);
            assert_eq!(now.count(&query).unwrap(), u64::try_from(expected).unwrap());
        }
    }
    assert_eq!(now.count(&Query::nodes(label("Poet"))).unwrap(), 1);
}
