//! The schema: versioned like the rest, and what it refuses.

use mnem_core::object::{MergeType, Metric, Model, Property, SchemaKey, ValueType};
use mnem_core::repo::RepoError;
use mnem_core::value::List;
use mnem_core::{NodeId, Props, Value, ValueError, props};

use crate::kit::{commit, fresh, me};

fn born() -> Property {
    Property::new("born", ValueType::Int).indexed()
}

fn is_wrong_type<T: std::fmt::Debug>(outcome: Result<T, RepoError>, of: &str) {
    match outcome {
        Err(RepoError::Value(ValueError::WrongType { property, .. })) => assert_eq!(property, of),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_schema_is_versioned_like_the_rest() {
    let repo = fresh();
    assert_eq!(repo.head().unwrap().schema().unwrap().properties().count(), 0);
    let first = commit(&repo, |tx| tx.declare(born()).unwrap());
    let second = commit(&repo, |tx| {
        tx.declare(born().merged(MergeType::Max)).unwrap();
        tx.declare(Model::new("minilm", 384, Metric::Cosine)).unwrap();
    });
    let third = commit(&repo, |tx| assert!(tx.undeclare(&SchemaKey::Property("born".into())).unwrap()));
    assert_eq!(first.schema().unwrap().property("born"), Some(&born()));
    assert_eq!(first.schema().unwrap().model("minilm"), None);
    let schema = second.schema().unwrap();
    assert_eq!(schema.property("born").unwrap().merge_type, MergeType::Max);
    assert_eq!(schema.models().map(|model| model.dim).collect::<Vec<_>>(), [384]);
    assert_eq!(third.schema().unwrap().properties().count(), 0);
    assert!(third.schema().unwrap().model("minilm").is_some());
    assert_eq!(repo.back(&third, 1).unwrap().unwrap().schema().unwrap(), schema);
}

#[test]
fn declaring_what_is_declared_changes_nothing() {
    let repo = fresh();
    let before = commit(&repo, |tx| tx.declare(born()).unwrap());
    let mut tx = repo.begin(&me()).unwrap();
    tx.declare(born().unique()).unwrap();
    assert!(!tx.is_empty());
    assert!(tx.schema().unwrap().property("born").unwrap().unique, "it sees its own writes");
    tx.declare(born()).unwrap();
    assert!(!tx.undeclare(&SchemaKey::Model("none".into())).unwrap());
    assert!(tx.is_empty());
    assert_eq!(tx.commit("nothing").unwrap().commit_id(), before.commit_id());
}

#[test]
fn a_value_of_another_type_is_refused_by_name_where_it_is_given() {
    let repo = fresh();
    commit(&repo, |tx| tx.declare(born()).unwrap());
    let mut tx = repo.begin(&me()).unwrap();
    is_wrong_type(tx.add_node("Person", props! { born: "1815" }), "born");
    let ada = tx.add_node("Person", props! { born: 1815 }).unwrap();
    is_wrong_type(tx.set(ada, "born", Value::try_from(1815.0).unwrap()), "born");
    is_wrong_type(tx.set(ada, "born", List::new([Value::from(1815)]).unwrap()), "born");
    is_wrong_type(tx.add_edge(ada, "knows", ada, props! { born: true }), "born");
    let mut other = tx.require(ada).unwrap();
    other.props.set("born", "late").unwrap();
    is_wrong_type(tx.resolve(ada, other), "born");
    let shown = tx.set(ada, "born", "1816").unwrap_err().to_string();
    assert_eq!(shown, "property `born` is text, not int");
    tx.set(ada, "name", true).unwrap();
    tx.set(ada, "born", 1816).unwrap();
    tx.commit("the rest").unwrap();
    assert_eq!(repo.head().unwrap().require(ada).unwrap().get::<i64>("born").unwrap(), 1816);
}

#[test]
fn every_type_admits_its_own_kind_of_value_alone() {
    let map = mnem_core::value::Map::default();
    let values = [
        Value::from(true),
        Value::from(1),
        Value::try_from(1.5).unwrap(),
        Value::from("a"),
        Value::from(&b"a"[..]),
        Value::from(*mnem_core::Block::new(mnem_core::Codec::Raw, "a").cid()),
        Value::try_from(vec![1_i64]).unwrap(),
        Value::from(map),
    ];
    for value_type in ValueType::KNOWN {
        let property = Property::new("p", value_type.clone());
        let admitted = values.iter().filter(|value| property.check_value(value).is_ok());
        let kinds: Vec<&str> = admitted.map(Value::kind).collect();
        match value_type {
            ValueType::Any => assert_eq!(kinds.len(), values.len()),
            one => assert_eq!(kinds, [one.as_str()]),
        }
    }
    let newer = Property::new("p", ValueType::from("a newer one"));
    assert!(values.iter().all(|value| newer.check_value(value).is_ok()));
}

#[test]
fn what_was_there_before_an_agreement_stays_and_may_be_edited() {
    let repo = fresh();
    let mut ada = NodeId::from_bytes([0; 16]);
    commit(&repo, |tx| ada = tx.add_node("Person", props! { born: "1815" }).unwrap());
    commit(&repo, |tx| tx.declare(born()).unwrap());
    let now = commit(&repo, |tx| {
        tx.set(ada, "name", "Ada").unwrap();
        let version = tx.require(ada).unwrap();
        tx.resolve(ada, version).unwrap();
    });
    assert_eq!(now.require(ada).unwrap().get::<&str>("born").unwrap(), "1815");
}

#[test]
fn an_agreement_is_refused_that_the_same_transaction_breaks() {
    let repo = fresh();
    let mut tx = repo.begin(&me()).unwrap();
    tx.add_node("Person", props! { born: "1815" }).unwrap();
    is_wrong_type(tx.declare(born()), "born");
    assert_eq!(tx.schema().unwrap().property("born"), None);
    tx.declare(Property::new("born", ValueType::Text)).unwrap();
    tx.commit("text then").unwrap();
}

#[test]
fn an_entry_that_breaks_a_rule_is_refused_where_it_is_given() {
    let repo = fresh();
    let mut tx = repo.begin(&me()).unwrap();
    for name in ["", "/", &"a".repeat(201)] {
        let refused = tx.declare(Property::new(name, ValueType::Any));
        assert!(matches!(refused, Err(RepoError::Object(_))), "{name}: {refused:?}");
    }
    assert!(matches!(tx.declare(Model::new("m", 0, Metric::Dot)), Err(RepoError::Object(_))));
    assert!(tx.is_empty());
}

#[test]
fn the_schema_of_a_branch_is_its_own() {
    let repo = fresh();
    commit(&repo, |tx| tx.add_node("Person", Props::new()).unwrap());
    let letters = repo.create_branch(&me(), "letters", &repo.head().unwrap()).unwrap();
    commit(&letters, |tx| tx.declare(born()).unwrap());
    commit(&repo, |tx| tx.add_node("Person", props! { born: "1815" }).unwrap());
    assert!(letters.head().unwrap().schema().unwrap().property("born").is_some());
    assert!(repo.head().unwrap().schema().unwrap().property("born").is_none());
}
