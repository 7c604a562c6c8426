//! Nodes by the value of a property, against a scan.

use std::cmp::Ordering;
use std::ops::Bound;

use mnem_core::object::{Property, SchemaKey, ValueType};
use mnem_core::repo::{Hit, Repo, Snapshot, ValueRange};
use mnem_core::tree::Order;
use mnem_core::value::compare_numbers;
use mnem_core::{Block, Codec, NodeId, Value, props};

use crate::kit::{Random, commit, fresh, me};

/// Values that agree in much: numbers of both types, long text that differs behind the cut, links.
fn values() -> Vec<Value> {
    let long = |end: &str| Value::from(format!("{}{end}", "a".repeat(256)));
    let floats = [-1e300, -1.5, -1.0, 0.0, 0.5, 1.0, 9_007_199_254_740_992.0, 1e300];
    let mut values: Vec<Value> = floats.into_iter().map(|it| Value::try_from(it).unwrap()).collect();
    values.extend([i64::MIN, -2, -1, 0, 1, 2, (1 << 53) + 1, i64::MAX].map(Value::from));
    values.extend([true, false].map(Value::from));
    values.extend(["", "a", "a\0", "ab", "b", "é"].map(Value::from));
    values.extend([long(""), long("a"), long("b"), long("\u{10ffff}")]);
    values.extend([&b""[..], b"\0", b"a", b"\xff"].map(Value::from));
    values.push(Value::from(vec![b'a'; 300]));
    values.extend(["x", "y"].map(|it| Value::from(*Block::new(Codec::Raw, it).cid())));
    values
}

fn ranges() -> Vec<ValueRange> {
    let values = values();
    let mut ranges = vec![ValueRange::All, ValueRange::Between(Bound::Unbounded, Bound::Unbounded)];
    for value in &values {
        ranges.push(ValueRange::Equal(value.clone()));
        ranges.push(ValueRange::StartsWith(value.clone()));
        for bound in [Bound::Included(value.clone()), Bound::Excluded(value.clone())] {
            ranges.push(ValueRange::Between(bound.clone(), Bound::Unbounded));
            ranges.push(ValueRange::Between(Bound::Unbounded, bound));
        }
    }
    for (at, value) in values.iter().enumerate() {
        for other in values.iter().skip(at % 7).step_by(7) {
            ranges.push(ValueRange::Between(Bound::Excluded(value.clone()), Bound::Included(other.clone())));
        }
    }
    ranges
}

fn elements(value: &Value) -> Vec<Value> {
    let mut elements = match value {
        Value::List(list) => list.to_vec(),
        value => vec![value.clone()],
    };
    elements.sort();
    elements.dedup();
    elements
}

/// All that a walk of everything should find, by going through every node.
fn scan(at: &Snapshot, property: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    for node in at.nodes() {
        let node = node.unwrap();
        let Some(value) = node.props.value(property) else { continue };
        let values = elements(value).into_iter().filter(|value| ValueRange::All.contains(value));
        hits.extend(values.map(|value| Hit { value, node: node.id }));
    }
    hits.sort_by(compare);
    hits
}

fn rank(value: &Value) -> usize {
    let kinds: [&[&str]; 5] = [&["bool"], &["int", "float"], &["text"], &["bytes"], &["link"]];
    kinds.iter().position(|kind| kind.contains(&value.kind())).unwrap()
}

/// What a key has of text and bytes: the order behind the cut is that of hashes.
fn cut(value: &Value) -> (Vec<u8>, Option<blake3::Hash>) {
    let bytes = match value {
        Value::Text(text) => text.as_bytes(),
        Value::Bytes(bytes) => bytes,
        _ => return (Vec::new(), None),
    };
    let hash = (bytes.len() > 256).then(|| blake3::hash(bytes));
    (bytes[..bytes.len().min(256)].to_vec(), hash)
}

fn compare(a: &Hit, b: &Hit) -> Ordering {
    let by_value = || match compare_numbers(&a.value, &b.value) {
        Some(order) => order,
        None => {
            let ((a_start, a_hash), (b_start, b_hash)) = (cut(&a.value), cut(&b.value));
            let by_hash = a_hash.map(|it| *it.as_bytes()).cmp(&b_hash.map(|it| *it.as_bytes()));
            a_start.cmp(&b_start).then(by_hash).then_with(|| a.value.cmp(&b.value))
        }
    };
    let by_node = a.node.cmp(&b.node);
    rank(&a.value).cmp(&rank(&b.value)).then_with(by_value).then(by_node).then_with(|| a.value.cmp(&b.value))
}

fn found(at: &Snapshot, property: &str, range: &ValueRange, order: Order) -> Vec<Hit> {
    at.lookup(property, range, order).unwrap().expect("an index").map(Result::unwrap).collect()
}

/// Compares every question with a scan, in both directions.
fn check(at: &Snapshot, property: &str) {
    let all = scan(at, property);
    for range in ranges() {
        let mut expected: Vec<Hit> = all.iter().filter(|hit| range.contains(&hit.value)).cloned().collect();
        assert_eq!(found(at, property, &range, Order::Ascending), expected, "{range:?}");
        let counted = at.lookup_count(property, &range).unwrap().unwrap();
        assert!(counted >= u64::try_from(expected.len()).unwrap(), "{range:?}");
        expected.reverse();
        assert_eq!(found(at, property, &range, Order::Descending), expected, "{range:?}");
    }
}

fn random_value(random: &Random, values: &[Value]) -> Value {
    let below = |end: usize| usize::try_from(random.next() % u64::try_from(end).unwrap()).unwrap();
    let one = || values[below(values.len())].clone();
    match below(8) {
        0 => Value::try_from((0..below(4)).map(|_| one()).collect::<Vec<_>>()).unwrap(),
        1 => Value::from(mnem_core::value::Map::new([("a".into(), one())]).unwrap()),
        _ => one(),
    }
}

fn indexed(name: &str) -> Property {
    Property::new(name, ValueType::Any).indexed()
}

fn fill(repo: &Repo, random: &Random, count: u64) -> Snapshot {
    let values = values();
    commit(repo, |tx| {
        for n in 0..count {
            let id = NodeId::from_time_and_random(random.next() >> 30, [u8::try_from(n % 7).unwrap(); 10]);
            tx.add_node_as(id, "A", props! { p: random_value(random, &values) }).unwrap();
        }
    })
}

#[test]
fn what_is_looked_up_equals_a_scan() {
    let repo = fresh();
    commit(&repo, |tx| tx.declare(indexed("p")).unwrap());
    check(&fill(&repo, &Random::new(1), 300), "p");
}

#[test]
fn an_index_is_made_when_a_property_becomes_indexed() {
    let repo = fresh();
    let before = fill(&repo, &Random::new(2), 100);
    assert!(!before.is_indexed("p").unwrap());
    assert!(before.lookup("p", &ValueRange::All, Order::Ascending).unwrap().is_none());
    let after = commit(&repo, |tx| tx.declare(indexed("p")).unwrap());
    check(&after, "p");
    let never = commit(&repo, |tx| tx.undeclare(&SchemaKey::Property("p".into())).unwrap());
    assert!(never.lookup("p", &ValueRange::All, Order::Ascending).unwrap().is_none());
    let changed = fill(&repo, &Random::new(3), 50);
    assert!(changed.distinct("p", Order::Ascending).unwrap().is_none());
    check(&commit(&repo, |tx| tx.declare(Property::new("p", ValueType::Any).unique()).unwrap()), "p");
    check(&after, "p");
}

#[test]
fn a_walk_goes_on_behind_what_it_found_last() {
    let repo = fresh();
    commit(&repo, |tx| tx.declare(indexed("p")).unwrap());
    let at = fill(&repo, &Random::new(4), 120);
    let numbers = ValueRange::Between(Bound::Included((-2).into()), Bound::Excluded(i64::MAX.into()));
    for range in [ValueRange::All, numbers] {
        for order in [Order::Ascending, Order::Descending] {
            let all = found(&at, "p", &range, order);
            assert!(all.len() > 20);
            for (seen, last) in all.iter().enumerate() {
                let rest = at.lookup("p", &range, order).unwrap().unwrap().beyond(last);
                let rest: Vec<Hit> = rest.map(Result::unwrap).collect();
                assert_eq!(rest, all[seen + 1..], "{order:?} behind {last:?}");
            }
        }
    }
}

#[test]
fn distinct_values_come_once_each_with_their_count() {
    let repo = fresh();
    commit(&repo, |tx| tx.declare(indexed("p")).unwrap());
    let at = fill(&repo, &Random::new(5), 400);
    let mut expected: Vec<(Value, u64)> = Vec::new();
    let mut hits = scan(&at, "p");
    let by_type = |a: &Hit, b: &Hit| {
        let first = |hit: &Hit| Hit { node: NodeId::from_bytes([0; 16]), ..hit.clone() };
        compare(&first(a), &first(b))
    };
    hits.sort_by(by_type);
    for hit in hits {
        match expected.last_mut().filter(|(value, _)| *value == hit.value) {
            Some((_, count)) => *count += 1,
            None => expected.push((hit.value, 1)),
        }
    }
    let distinct = |order| -> Vec<(Value, u64)> {
        at.distinct("p", order).unwrap().unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(distinct(Order::Ascending), expected);
    expected.reverse();
    assert_eq!(distinct(Order::Descending), expected);
}

#[test]
fn each_side_of_a_conflict_is_found() {
    let repo = fresh();
    let mut node = NodeId::from_bytes([0; 16]);
    commit(&repo, |tx| {
        tx.declare(indexed("born")).unwrap();
        node = tx.add_node("Person", props! { born: 1815 }).unwrap();
    });
    let mut sides = [repo.begin(&me()).unwrap(), repo.begin(&me()).unwrap()];
    sides[0].set(node, "born", 1814).unwrap();
    sides[1].set(node, "born", 1816).unwrap();
    sides.into_iter().for_each(|side| drop(side.commit("a side").unwrap()));
    let years = |at: &Snapshot| -> Vec<Value> {
        found(at, "born", &ValueRange::All, Order::Ascending).into_iter().map(|hit| hit.value).collect()
    };
    let merged = repo.head().unwrap();
    assert!(merged.conflict(node).unwrap().is_some());
    assert_eq!(years(&merged), [Value::from(1814), Value::from(1816)]);
    let settled = commit(&repo, |tx| {
        let version = tx.require(node).unwrap();
        tx.resolve(node, version).unwrap();
        tx.set(node, "born", 1815).unwrap();
    });
    assert_eq!(years(&settled), [Value::from(1815)]);
}
