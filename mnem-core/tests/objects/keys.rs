//! Keys of indexes: their order, their ranges, their bytes.

use std::cmp::Ordering;
use std::ops::Bound;

use mnem_core::key::*;
use mnem_core::object::{EdgeType, SchemaKey};
use mnem_core::tree::{KEY_BYTES_MAX, KeyRange};
use mnem_core::value::{Value, compare_numbers};
use mnem_core::{EdgeId, NodeId};
use proptest::prelude::*;

use crate::{arbitrary, kit};

const ID: [u8; 16] = [0xaa; 16];

fn key(value: &Value) -> Vec<u8> {
    let keys = PropertyKey::keys_of("p", value, &ID);
    assert_eq!(keys.len(), 1, "{value:?}");
    keys.into_iter().next().expect("one")
}

fn content(value: &Value) -> Option<&[u8]> {
    match value {
        Value::Text(text) => Some(text.as_bytes()),
        Value::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}

/// The order that keys promise: that of the values, and of the first 256 bytes where both are cut.
fn promised(a: &Value, b: &Value) -> Option<Ordering> {
    match (content(a), content(b)) {
        (Some(x), Some(y))
            if a.kind() == b.kind() && x.len() > 256 && y.len() > 256 && x[..256] == y[..256] =>
        {
            (a == b).then_some(Ordering::Equal)
        }
        _ => Some(a.cmp(b)),
    }
}

fn bound() -> impl Strategy<Value = Bound<Value>> {
    prop_oneof![
        4 => kit::scalar().prop_map(Bound::Included),
        4 => kit::scalar().prop_map(Bound::Excluded),
        1 => Just(Bound::Unbounded)
    ]
}

fn number_bound() -> impl Strategy<Value = Bound<Value>> {
    let near = prop_oneof![Just(i64::MAX), Just(i64::MIN), Just(1 << 53), Just(-(1 << 53)), Just(0)];
    let near = (near, -3i64..4).prop_map(|(base, off)| base.saturating_add(off));
    let number = prop_oneof![
        kit::int().prop_map(Value::Int),
        kit::float().prop_map(Value::Float),
        near.clone().prop_map(Value::Int),
        near.prop_map(|it| Value::try_from(it as f64).expect("finite")),
    ];
    (number, 0..5).prop_map(|(number, how)| match how {
        0 => Bound::Unbounded,
        1 | 2 => Bound::Included(number),
        _ => Bound::Excluded(number),
    })
}

fn is_between(
    value: &Value,
    lower: Bound<&Value>,
    upper: Bound<&Value>,
    order: fn(&Value, &Value) -> Ordering,
) -> bool {
    let above = match lower {
        Bound::Included(it) => order(value, it).is_ge(),
        Bound::Excluded(it) => order(value, it).is_gt(),
        Bound::Unbounded => true,
    };
    let below = match upper {
        Bound::Included(it) => order(value, it).is_le(),
        Bound::Excluded(it) => order(value, it).is_lt(),
        Bound::Unbounded => true,
    };
    above && below
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn keys_stand_in_the_order_of_their_values(a in kit::scalar(), b in kit::scalar()) {
        if let Some(order) = promised(&a, &b) {
            prop_assert_eq!(key(&a).cmp(&key(&b)), order);
        }
    }

    #[test]
    fn long_values_stand_in_the_order_of_their_start(
        stem in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(255)], 250..260),
        tails in prop::array::uniform2(prop::collection::vec(prop_oneof![Just(0u8), Just(255)], 0..9)),
    ) {
        let [a, b] = tails.map(|tail| Value::from([&*stem, &*tail].concat()));
        if let Some(order) = promised(&a, &b) {
            prop_assert_eq!(key(&a).cmp(&key(&b)), order);
        }
    }

    #[test]
    fn a_key_is_read_back(property in kit::name(), value in kit::scalar(), id in any::<[u8; 16]>()) {
        let [key] = &PropertyKey::keys_of(&property, &value, &id)[..] else { panic!("one key") };
        prop_assert!(key.len() <= KEY_BYTES_MAX);
        let read = PropertyKey::from_key(key).expect("a key");
        prop_assert_eq!((&*read.property, read.id), (&*property, id));
        match read.value {
            KeyValue::Whole(found) => {
                prop_assert!(is_whole(&value));
                prop_assert_eq!(found, value);
            }
            KeyValue::Cut { text, start, .. } => {
                prop_assert!(!is_whole(&value));
                prop_assert_eq!(text, matches!(value, Value::Text(_)));
                prop_assert_eq!(&start[..], &content(&value).expect("text or bytes")[..256]);
            }
        }
    }

    #[test]
    fn what_is_read_as_a_key_is_one(bytes in kit::scalar().prop_flat_map(|it| kit::damaged(key(&it)))) {
        if let Some(PropertyKey { property, value: KeyValue::Whole(value), id }) = PropertyKey::from_key(&bytes) {
            prop_assert_eq!(PropertyKey::keys_of(&property, &value, &id), vec![bytes]);
        }
    }

    #[test]
    fn a_range_holds_what_is_between_its_bounds(value in kit::scalar(), lower in bound(), upper in bound()) {
        let ranges = PropertyRanges::new("p");
        for (lower, upper) in [(lower.as_ref(), upper.as_ref()), (lower.as_ref(), Bound::Unbounded)] {
            let kinds: Vec<_> = [lower, upper].into_iter().filter_map(|it| match it {
                Bound::Included(it) | Bound::Excluded(it) => Some(it.kind()),
                Bound::Unbounded => None,
            }).collect();
            let same_kind = !kinds.is_empty() && kinds.iter().all(|kind| *kind == value.kind());
            let expected = same_kind && is_between(&value, lower, upper, Value::cmp);
            let found = ranges.between(lower, upper).contains(&key(&value));
            let whole = [lower, upper].into_iter().all(|it| match it {
                Bound::Included(it) | Bound::Excluded(it) => is_whole(it),
                Bound::Unbounded => true,
            });
            // More only where something was cut.
            prop_assert!(found == expected || found && !whole && !is_whole(&value), "{} {}", found, expected);
        }
    }

    #[test]
    fn numbers_of_both_kinds_are_found_by_size(value in number_bound(), lower in number_bound(), upper in number_bound()) {
        let (Bound::Included(value) | Bound::Excluded(value)) = value else { return Ok(()) };
        let (lower, upper) = (lower.as_ref(), upper.as_ref());
        let order: fn(&Value, &Value) -> Ordering = |a, b| compare_numbers(a, b).expect("numbers");
        let ranges = PropertyRanges::new("p").numbers(lower, upper);
        let found = ranges.iter().any(|range| range.contains(&key(&value)));
        prop_assert_eq!(found, is_between(&value, lower, upper, order));
    }

    #[test]
    fn equal_values_are_found_and_no_others(a in kit::scalar(), b in kit::scalar()) {
        let ranges = PropertyRanges::new("p");
        prop_assert!(ranges.equal(&a).contains(&key(&a)));
        prop_assert_eq!(ranges.equal(&a).contains(&key(&b)), a == b);
        prop_assert!(ranges.all().contains(&key(&a)));
        prop_assert!(!PropertyRanges::new("p\0").all().contains(&key(&a)));
    }

    #[test]
    fn text_is_found_by_its_start(text in kit::text(), other in kit::text(), cut in any::<prop::sample::Index>()) {
        let ends: Vec<usize> = (0..=text.len()).filter(|at| text.is_char_boundary(*at)).collect();
        let start = &text[..*cut.get(&ends)];
        let range = PropertyRanges::new("p").text_prefix(start);
        prop_assert!(range.contains(&key(&Value::Text(text.clone()))));
        let found = range.contains(&key(&Value::Text(other.clone())));
        prop_assert!(found == other.starts_with(start) || found && start.len() > 256);
        prop_assert!(!range.contains(&key(&Value::from(text.as_bytes()))));
        prop_assert!(PropertyRanges::new("p").bytes_prefix(start.as_bytes()).contains(&key(&Value::from(text.as_bytes()))));
    }

    #[test]
    fn edges_are_found_from_both_ends(edge in arbitrary::edge(), other in kit::name()) {
        let (out, back) = (AdjacencyKey::outgoing(&edge), AdjacencyKey::incoming(&edge));
        prop_assert_eq!((out.near, back.near), (edge.src, edge.dst));
        let other = EdgeType::new(other).expect("short");
        for key in [out, back] {
            let bytes = key.to_key();
            prop_assert!(AdjacencyKey::at(key.near).contains(&bytes));
            prop_assert!(AdjacencyKey::between(key.near, &key.edge_type, key.far).contains(&bytes));
            prop_assert_eq!(AdjacencyKey::of_type(key.near, &other).contains(&bytes), other == key.edge_type);
            prop_assert_eq!(AdjacencyKey::from_key(&bytes), Some(key));
        }
    }

    #[test]
    fn labels_are_found_whole(label in kit::name(), other in kit::name(), id in any::<[u8; 16]>()) {
        let node = NodeId::from_bytes(id);
        let key = LabelKey::key_of(&label, node);
        prop_assert_eq!(LabelKey::with_label(&other).contains(&key), label == other);
        prop_assert_eq!(LabelKey::from_key(&key), Some(LabelKey { label: label.to_string(), node }));
    }

    #[test]
    fn conflicts_are_found_by_their_map(name in kit::name(), id in any::<[u8; 16]>()) {
        let node = NodeId::from_bytes(id);
        let keys = [
            ConflictKey::Edge(EdgeId::from_bytes(id)),
            ConflictKey::Node(node),
            ConflictKey::Schema(SchemaKey::Model(name.clone())),
            ConflictKey::Schema(SchemaKey::Property(name.clone())),
            ConflictKey::Vector { model: name, node },
        ];
        prop_assert!(keys.is_sorted_by(|a, b| a.to_key() < b.to_key()));
        for key in keys {
            prop_assert_eq!(ConflictKey::nodes().contains(&key.to_key()), matches!(key, ConflictKey::Node(_)));
            prop_assert_eq!(ConflictKey::edges().contains(&key.to_key()), matches!(key, ConflictKey::Edge(_)));
            prop_assert_eq!(ConflictKey::from_key(&key.to_key()), Some(key));
        }
    }
}

#[test]
fn each_element_of_a_list_has_a_key_and_nested_ones_have_none() {
    let list = |items: Vec<Value>| Value::try_from(items).unwrap();
    let inner = list(vec![7.into()]);
    let value = list(vec![2.into(), "a".into(), 2.into(), inner.clone(), value::map()]);
    let mut expected = vec![key(&2.into()), key(&"a".into())];
    expected.sort();
    assert_eq!(PropertyKey::keys_of("p", &value, &ID), expected);
    assert!(PropertyKey::keys_of("p", &value::map(), &ID).is_empty());
    let ranges = PropertyRanges::new("p");
    assert_eq!(ranges.equal(&inner), KeyRange::EMPTY);
    assert_eq!(ranges.between(Bound::Included(&inner), Bound::Unbounded), KeyRange::EMPTY);
    assert_eq!(ranges.between(Bound::Unbounded, Bound::Unbounded), KeyRange::EMPTY);
    assert!(!KeyRange::EMPTY.contains(&[]) && !KeyRange::EMPTY.contains(&[0]));
}

mod value {
    use super::Value;

    pub(super) fn map() -> Value {
        Value::Map(mnem_core::value::Map::default())
    }
}

#[test]
fn the_longest_keys_fit() {
    let zeros = |count| "\0".repeat(count);
    let longest = PropertyKey::keys_of(&zeros(200), &Value::from(zeros(300)), &ID);
    assert!(longest[0].len() <= KEY_BYTES_MAX, "{}", longest[0].len());
    assert!(PropertyKey::from_key(&longest[0]).is_some());
    let edge_type = EdgeType::new(zeros(256)).unwrap();
    let node = NodeId::from_bytes(ID);
    let key = AdjacencyKey { near: node, edge_type, far: node, edge: EdgeId::from_bytes(ID) };
    assert!(key.to_key().len() <= KEY_BYTES_MAX);
    assert_eq!(AdjacencyKey::from_key(&key.to_key()), Some(key));
}

#[test]
fn names_beyond_their_limit_are_no_key() {
    let key = PropertyKey::keys_of(&"a".repeat(201), &1.into(), &ID).remove(0);
    assert_eq!(PropertyKey::from_key(&key), None);
}

/// FORMAT.md, "Index keys".
#[test]
fn bytes_and_order_of_keys_are_frozen() {
    let float = |it: f64| Value::try_from(it).unwrap();
    let long = |last: &str| format!("{}{last}", "x".repeat(256));
    let values: Vec<(String, Value)> = [
        ("false", false.into()),
        ("true", true.into()),
        ("-2^63", i64::MIN.into()),
        ("-1", (-1).into()),
        ("0", 0.into()),
        ("1", 1.into()),
        ("2^63-1", i64::MAX.into()),
        ("least float", float(f64::MIN)),
        ("-1.5", float(-1.5)),
        ("-5e-324", float(-5e-324)),
        ("0.0", float(0.0)),
        ("5e-324", float(5e-324)),
        ("1.0", float(1.0)),
        ("greatest float", float(f64::MAX)),
        ("empty text", "".into()),
        ("text 00", "\0".into()),
        ("text 00 01", "\0\u{1}".into()),
        ("text a", "a".into()),
        ("text a 00", "a\0".into()),
        ("text ab", "ab".into()),
        ("text 256 x", long("").into()),
        ("text 256 x b", long("b").into()),
        ("text 256 x a", long("a").into()),
        ("text y", "y".into()),
        ("empty bytes", (&b""[..]).into()),
        ("bytes 00", (&b"\x00"[..]).into()),
        ("bytes ff", (&b"\xff"[..]).into()),
        ("bytes ff ff", (&b"\xff\xff"[..]).into()),
        ("link", mnem_core::Cid::of(mnem_core::Codec::Raw, b"").into()),
    ]
    .map(|(what, value)| (what.to_owned(), value))
    .into();
    let keys: Vec<_> = values.iter().map(|(_, value)| key(value)).collect();
    assert!(keys.is_sorted_by(|a, b| a < b));
    let mut lines: Vec<_> =
        values.iter().zip(&keys).map(|((what, _), key)| format!("{what}: {}", kit::hex(key))).collect();
    let edge = crate::examples::edge();
    let node = ConflictKey::Node(edge.src);
    let vector = ConflictKey::Vector { model: "minilm".into(), node: edge.src };
    let others = [
        ("property b 00, true", PropertyKey::keys_of("b\0", &true.into(), &ID).remove(0)),
        ("out", AdjacencyKey::outgoing(&edge).to_key()),
        ("in", AdjacencyKey::incoming(&edge).to_key()),
        ("label Person", LabelKey::key_of("Person", edge.src)),
        ("conflict of an edge", ConflictKey::Edge(edge.id).to_key()),
        ("conflict of a node", node.to_key()),
        ("conflict of a property", ConflictKey::Schema(SchemaKey::Property("born".into())).to_key()),
        ("conflict of a vector", vector.to_key()),
    ];
    lines.extend(others.iter().map(|(what, key)| format!("{what}: {}", kit::hex(key))));
    kit::golden(include_str!("../../../tests/fixtures/v1/index_keys.txt"), &lines);
}
