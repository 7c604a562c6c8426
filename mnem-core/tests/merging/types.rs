//! Properties that merge by themselves: the laws that hold for all types, and what each makes of changes.

use mnem_core::object::{MergeType, Property, ValueType};
use mnem_core::repo::{Repo, RepoError, Transaction};
use mnem_core::value::{List, Map};
use mnem_core::{NodeId, Value, props};

use crate::support::{Random, branch, commit, fresh, me, roots};

fn typed(merge_type: MergeType) -> (Repo, NodeId) {
    let repo = fresh();
    let id = NodeId::of_key("n", b"one");
    commit(&repo, |tx| tx.declare(Property::new("p", ValueType::Any).merged(merge_type)).unwrap());
    commit(&repo, |tx| tx.add_node_as(id, "N", props! {}).unwrap());
    (repo, id)
}

/// What a random edit does to the property.
fn edit(tx: &mut Transaction, id: NodeId, merge_type: &MergeType, random: &Random, line: usize) {
    let number = i64::try_from(random.below(9)).unwrap();
    match merge_type {
        MergeType::Counter => _ = tx.increment(id, "p", number - 4).unwrap(),
        MergeType::AppendLog => tx.append(id, "p", number).unwrap(),
        MergeType::Set => {
            let old = tx.require(id).unwrap().props.appended("p").unwrap();
            let mut items: Vec<Value> = old.into_iter().filter(|item| *item != Value::from(number)).collect();
            items.push(Value::from(number + 1));
            tx.set(id, "p", Value::List(List::new(items).unwrap())).unwrap();
        }
        MergeType::Text => {
            let old: Option<String> = tx.require(id).unwrap().get("p").unwrap();
            let text = old.unwrap_or_else(|| (0..12).map(|n| format!("line {n}\n")).collect());
            let changed = text
                .lines()
                .enumerate()
                .map(|(n, old)| if n == line { format!("{old} by {number}\n") } else { format!("{old}\n") });
            tx.set(id, "p", changed.collect::<String>()).unwrap();
        }
        _ if number == 0 => drop(tx.unset(id, "p").unwrap()),
        _ => tx.set(id, "p", number).unwrap(),
    }
}

fn types() -> [MergeType; 8] {
    use MergeType::{AppendLog, Atomic, Counter, Lww, Max, Min, Set, Text};
    [Atomic, Counter, Max, Min, Set, Lww, Text, AppendLog]
}

/// Commutes, absorbs ancestors, and of three sides the order does not show.
#[test]
fn merges_of_every_type_obey_the_laws() {
    for merge_type in types() {
        for seed in 0..12 {
            let random = Random::new(seed);
            let (repo, id) = typed(merge_type.clone());
            if random.below(2) == 0 || merge_type == MergeType::Text {
                commit(&repo, |tx| edit(tx, id, &merge_type, &random, 0));
            }
            let base = branch(&repo, "base");
            let names = ["a", "b", "c"];
            for (n, name) in names.into_iter().enumerate() {
                let side = branch(&repo, name);
                for _ in 0..random.below(3) {
                    commit(&side, |tx| edit(tx, id, &merge_type, &random, 2 + 3 * n));
                }
            }
            let merged = |order: [usize; 3]| {
                let into = repo.on(names[order[0]]).unwrap();
                let copy = branch(&into, &format!("{order:?}").replace([' ', '[', ']', ','], ""));
                order[1..].iter().for_each(|n| _ = commit(&copy, |tx| tx.merge(names[*n]).unwrap()));
                assert!(copy.begin(&me()).unwrap().merge("base").unwrap().is_up_to_date);
                let nothing = copy.begin(&me()).unwrap().merge(names[order[2]]).unwrap();
                assert!(nothing.is_up_to_date);
                roots(&copy.head().unwrap())
            };
            let first = merged([0, 1, 2]);
            for order in [[1, 0, 2], [2, 1, 0], [0, 2, 1]] {
                assert_eq!(merged(order), first, "{merge_type:?} seed {seed} {order:?}");
            }
            drop(base);
        }
    }
}

/// Merges what two sides make of a property, both ways round, and returns it.
fn merge(
    merge_type: MergeType,
    start: impl FnOnce(&mut Transaction, NodeId),
    left: impl FnOnce(&mut Transaction, NodeId),
    right: impl FnOnce(&mut Transaction, NodeId),
) -> (Option<Value>, bool) {
    let (repo, id) = typed(merge_type);
    commit(&repo, |tx| start(tx, id));
    let other = branch(&repo, "other");
    let mirror = branch(&repo, "mirror");
    commit(&repo, |tx| left(tx, id));
    commit(&other, |tx| right(tx, id));
    commit(&mirror, |tx| tx.merge("other").unwrap());
    let there = commit(&mirror, |tx| tx.merge("main").unwrap());
    let here = commit(&repo, |tx| tx.merge("other").unwrap());
    assert_eq!(roots(&here), roots(&there));
    let node = here.require(id).unwrap();
    (node.props.value("p").cloned(), here.conflict(id).unwrap().is_some())
}

fn sets(value: impl Into<Value>) -> impl FnOnce(&mut Transaction, NodeId) {
    let value = value.into();
    move |tx, id| tx.set(id, "p", value).unwrap()
}

fn list<const N: usize>(items: [i64; N]) -> Value {
    Value::List(List::new(items.map(Value::from).to_vec()).unwrap())
}

#[test]
fn each_type_makes_of_two_changes_what_it_is_for() {
    let of = |merge_type, start: Value, left: Value, right: Value| {
        merge(merge_type, sets(start), sets(left), sets(right))
    };
    let v = |n: i64| Value::from(n);
    assert!(of(MergeType::Atomic, v(1), v(2), v(3)).1);
    assert_eq!(of(MergeType::Max, v(9), v(2), v(3)), (Some(v(3)), false));
    assert_eq!(of(MergeType::Min, v(1), v(2), v(3)), (Some(v(2)), false));
    let float = Value::try_from(2.5).unwrap();
    assert_eq!(of(MergeType::Max, v(9), float.clone(), v(2)), (Some(float), false));
    assert!(of(MergeType::Max, v(9), Value::from("a"), v(3)).1, "text and numbers have no order");
    let merged = of(MergeType::Set, list([1, 2, 3]), list([3, 2, 4]), list([1, 2, 5]));
    assert_eq!(merged, (Some(list([2, 4, 5])), false));
    assert!(of(MergeType::Set, list([1]), v(1), list([2])).1);
    // The later one is right: it is committed later.
    assert_eq!(of(MergeType::Lww, v(1), v(3), v(2)), (Some(v(2)), false));
    let text = |lines: &str| Value::from(lines.replace(' ', "\n"));
    assert_eq!(
        of(MergeType::Text, text("a b c d "), text("x b c d "), text("a b c y ")).0,
        Some(text("x b c y "))
    );
    assert_eq!(of(MergeType::Text, text("a b c "), text("c "), text("a b c d ")).0, Some(text("c d ")));
    assert_eq!(of(MergeType::Text, text("b "), text("a b "), text("b c ")).0, Some(text("a b c ")));
    assert!(of(MergeType::Text, text("a b c "), text("a x c "), text("a y c ")).1);
    assert!(of(MergeType::Text, text("a b c "), text("x b c "), text("a y c ")).1, "they meet");
    assert!(of(MergeType::Text, text("a "), v(1), text("b ")).1);
}

#[test]
fn counters_add_up_what_both_counted() {
    let counts = |by: i64| move |tx: &mut Transaction, id: NodeId| _ = tx.increment(id, "p", by).unwrap();
    let merged = merge(MergeType::Counter, counts(5), counts(2), counts(2)).0.unwrap();
    let props = mnem_core::Props::from_entries([("p".into(), merged)]).unwrap();
    assert_eq!(props.count("p").unwrap(), 9);
    assert_eq!(props.count("none").unwrap(), 0);
    let merged = merge(MergeType::Counter, sets(5), counts(2), counts(-3)).0.unwrap();
    assert_eq!(mnem_core::Props::from_entries([("p".into(), merged)]).unwrap().count("p").unwrap(), 4);
    let (_, in_conflict) = merge(MergeType::Counter, counts(1), counts(i64::MAX - 1), counts(i64::MAX - 1));
    assert!(in_conflict, "the sum is no number");
    assert!(merge(MergeType::Counter, counts(1), counts(1), sets("two")).1);
    let (repo, id) = typed(MergeType::Counter);
    let mut tx = repo.begin(&me()).unwrap();
    assert_eq!(tx.increment(id, "p", 7).unwrap(), 7);
    assert_eq!(tx.increment(id, "p", 1).unwrap(), 8);
    assert!(matches!(tx.increment(id, "p", i64::MAX), Err(RepoError::CannotGrow { .. })));
    assert_eq!(tx.increment(id, "plain", 3).unwrap(), 3);
    assert_eq!(tx.require(id).unwrap().props.value("plain"), Some(&Value::from(3)));
}

/// A hundred transactions count, some beside each other: the parts stay few and the sum right.
#[test]
fn a_counter_stays_small_and_right() {
    let (repo, id) = typed(MergeType::Counter);
    for _ in 0..50 {
        let mut open: Vec<Transaction> = (0..2).map(|_| repo.begin(&me()).unwrap()).collect();
        open.iter_mut().for_each(|tx| _ = tx.increment(id, "p", 1).unwrap());
        open.into_iter().for_each(|tx| _ = tx.commit("count").unwrap());
    }
    let node = repo.head().unwrap().require(id).unwrap();
    assert_eq!(node.props.count("p").unwrap(), 100);
    let Some(Value::Map(parts)) = node.props.value("p") else { panic!("{node:?}") };
    assert!(parts.len() < 70, "{} parts", parts.len());
}

#[test]
fn a_log_keeps_what_both_appended_in_the_order_of_time() {
    let appends =
        |what: &'static str| move |tx: &mut Transaction, id: NodeId| tx.append(id, "p", what).unwrap();
    let merged = merge(MergeType::AppendLog, appends("first"), appends("left"), appends("right")).0.unwrap();
    let props = mnem_core::Props::from_entries([("p".into(), merged)]).unwrap();
    assert_eq!(props.appended("p").unwrap(), ["first", "left", "right"].map(Value::from));
    assert!(merge(MergeType::AppendLog, appends("first"), appends("left"), sets(1)).1);
}

/// The schema is merged before what it is about.
#[test]
fn a_type_that_one_side_declares_holds_for_the_merge() {
    let repo = fresh();
    let id = NodeId::of_key("n", b"one");
    commit(&repo, |tx| tx.add_node_as(id, "N", props! { p: 1 }).unwrap());
    let other = branch(&repo, "other");
    commit(&repo, |tx| tx.set(id, "p", 7).unwrap());
    commit(&other, |tx| {
        tx.declare(Property::new("p", ValueType::Any).merged(MergeType::Max)).unwrap();
        tx.set(id, "p", 5).unwrap();
    });
    let now = commit(&repo, |tx| tx.merge("other").unwrap());
    assert_eq!((now.conflict(id).unwrap(), now.require(id).unwrap().get("p")), (None, Ok(7)));
}

#[test]
fn a_schema_merges_by_field_and_an_entry_in_conflict_has_no_type() {
    let (repo, id) = typed(MergeType::Max);
    let declare = |repo: &Repo, property: Property| commit(repo, |tx| tx.declare(property).unwrap());
    let property = |merge_type| Property::new("p", ValueType::Any).merged(merge_type);
    let [left, right] = ["left", "right"].map(|name| branch(&repo, name));
    declare(&left, property(MergeType::Max).indexed());
    declare(&right, property(MergeType::Min));
    let now = commit(&left, |tx| tx.merge("right").unwrap());
    let merged = now.schema().unwrap().property("p").cloned().unwrap();
    assert!(merged.indexed && merged.merge_type == MergeType::Min);

    declare(&repo, property(MergeType::Lww));
    commit(&repo, |tx| tx.set(id, "p", 1).unwrap());
    commit(&left, |tx| tx.set(id, "p", 2).unwrap());
    let now = commit(&repo, |tx| tx.merge("left").unwrap());
    let key = mnem_core::object::SchemaKey::Property("p".into());
    let found = now.conflict_at(mnem_core::key::ConflictKey::Schema(key.clone())).unwrap().unwrap();
    assert_eq!(found.fields[0].field, "merge_type");
    assert_eq!(now.conflict(id).unwrap().unwrap(), ["p"], "nobody knows how to merge it");
    let mut tx = repo.begin(&me()).unwrap();
    tx.resolve(found.key(), mnem_core::repo::Resolve::value("merge_type", "max")).unwrap();
    let now = tx.commit("agree").unwrap();
    assert_eq!(now.schema().unwrap().property("p").unwrap().merge_type, MergeType::Max);
    assert_eq!(now.conflicts().unwrap().len(), 1, "the node is still to be settled");
}

#[test]
fn maps_merge_name_by_name() {
    let map = |entries: &[(&str, i64)]| {
        Value::Map(Map::new(entries.iter().map(|(name, n)| ((*name).into(), Value::from(*n)))).unwrap())
    };
    let (merged, in_conflict) = merge(
        MergeType::Atomic,
        sets(map(&[("a", 1), ("b", 1), ("c", 1)])),
        sets(map(&[("a", 2), ("b", 1)])),
        sets(map(&[("a", 1), ("b", 3), ("c", 1), ("d", 4)])),
    );
    assert_eq!((merged, in_conflict), (Some(map(&[("a", 2), ("b", 3), ("d", 4)])), false));
}
