//! Values and properties.

use std::collections::BTreeMap;
use std::sync::Arc;

use mnem_core::codec::{Malformed, Reader, Writer, key_order};
use mnem_core::props;
use mnem_core::value::{Float, IntoProps, List, Map, Props, VALUE_DEPTH_MAX, Value, ValueError};
use mnem_core::{Cid, Codec};
use proptest::prelude::*;

use crate::kit;

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(value in kit::value()) {
        prop_assert_eq!(Value::decode(&value.encode()), Ok(value));
    }

    #[test]
    fn what_is_decoded_encodes_to_the_same_bytes(bytes in kit::value().prop_flat_map(|v| kit::damaged(v.encode()))) {
        if let Ok(value) = Value::decode(&bytes) {
            prop_assert_eq!(value.encode(), bytes);
        }
    }

    #[test]
    fn properties_round_trip(props in kit::props()) {
        let mut writer = Writer::new();
        props.write(&mut writer);
        let bytes = writer.into_bytes();
        prop_assert_eq!(&bytes, &Value::from(props.as_map().clone()).encode());
        prop_assert_eq!(Props::read(&mut Reader::new(&bytes)), Ok(props));
    }

    #[test]
    fn values_are_equal_exactly_if_their_bytes_are(a in kit::scalar(), b in kit::scalar()) {
        prop_assert_eq!(a == b, a.encode() == b.encode());
        prop_assert_eq!(a == b, a.cmp(&b).is_eq());
    }

    #[test]
    fn a_map_behaves_like_a_model(edits in prop::collection::vec((kit::name(), prop::option::of(kit::value())), 0..12)) {
        let (mut map, mut model) = (Map::default(), BTreeMap::new());
        for (name, value) in edits {
            match value {
                Some(value) => {
                    let old = model.insert(name.clone(), value.clone());
                    prop_assert_eq!(map.insert(name, value), Ok(old));
                }
                None => prop_assert_eq!(map.remove(&name), model.remove(&name)),
            }
        }
        let mut names: Vec<_> = model.keys().cloned().collect();
        names.sort_by(|a, b| key_order(a, b));
        prop_assert_eq!(map.iter().map(|(name, _)| name).collect::<Vec<_>>(), names.iter().map(|it| &**it).collect::<Vec<_>>());
        // Built at once: the same value, so the depth has followed every edit.
        prop_assert_eq!(Ok(map), Map::new(model));
    }
}

#[test]
fn one_and_one_point_zero_are_different_values() {
    assert_ne!(Value::from(1), Value::try_from(1.0).unwrap());
}

#[test]
fn minus_zero_becomes_zero() {
    assert_eq!(Float::new(-0.0), Float::new(0.0));
    assert!(Float::new(-0.0).unwrap().get().is_sign_positive());
}

#[test]
fn numbers_without_encoding_are_refused_when_made() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(Float::new(number), Err(ValueError::NotFinite { found: number.to_string() }));
        assert!(props! { x: number }.is_err());
    }
    assert_eq!(Value::try_from(u64::MAX), Err(ValueError::OutOfRange { found: u64::MAX.to_string() }));
}

fn nested(levels: usize) -> Result<Value, ValueError> {
    (0..levels).try_fold(Value::from(1), |inner, level| match level % 2 {
        0 => Value::try_from(vec![inner]),
        _ => Map::new([("a".into(), inner)]).map(Value::Map),
    })
}

#[test]
fn nesting_has_a_limit_when_made_and_when_read() {
    let deepest = nested(VALUE_DEPTH_MAX).unwrap();
    assert_eq!(deepest.depth(), VALUE_DEPTH_MAX);
    assert_eq!(Value::decode(&deepest.encode()), Ok(deepest.clone()));
    assert_eq!(nested(VALUE_DEPTH_MAX + 1), Err(ValueError::TooDeep));
    assert_eq!(Map::default().insert("a", deepest.clone()), Err(ValueError::TooDeep));
    assert_eq!(props! { a: deepest.clone() }, Err(ValueError::TooDeep));
    let one_more = [&[0x81], &*deepest.encode()].concat();
    assert_eq!(Value::decode(&one_more).unwrap_err().what, Malformed::Depth);
    let hostile = vec![0x81; 1 << 20];
    assert_eq!(Value::decode(&hostile).unwrap_err().what, Malformed::Depth);
}

#[test]
fn what_is_no_value_is_refused() {
    let cases: [(&str, Malformed); 9] = [
        ("f6", Malformed::Expected { expected: "a value, which null is not" }),
        ("fb8000000000000000", Malformed::Float),
        ("fb7ff8000000000000", Malformed::Float),
        ("fb7ff0000000000000", Malformed::Float),
        ("1b8000000000000000", Malformed::IntegerRange),
        ("a16000", Malformed::KeyReserved),
        ("a1612f00", Malformed::KeyReserved),
        ("a2616100616100", Malformed::KeyOrder),
        ("a262616100616200", Malformed::KeyOrder),
    ];
    for (bytes, what) in cases {
        assert_eq!(Value::decode(&kit::unhex(bytes)).unwrap_err().what, what, "{bytes}");
    }
}

#[test]
fn links_that_cannot_be_followed_are_refused() {
    let link = |cid: &[u8]| {
        let mut writer = Writer::new();
        writer.encoded(&[0xd8, 42]);
        writer.bytes(&[&[0], cid].concat());
        Value::decode(&writer.into_bytes())
    };
    let whole = Cid::of(Codec::Raw, b"x");
    assert_eq!(link(&whole.to_bytes()), Ok(Value::from(whole)));
    let identity = [&[1, 0x55, 0, 3][..], b"abc"].concat();
    assert!(matches!(link(&identity).unwrap_err().what, Malformed::Link(_)));
    let version_0 = [&[0x12, 0x20], &whole.digest()[..]].concat();
    assert!(matches!(link(&version_0).unwrap_err().what, Malformed::Link(_)));
}

#[test]
fn properties_are_made_and_read_by_type() {
    let name = String::from("Ada");
    let props = props! { name: &name, born: 1815, height: 1.6, "known as": ["Ada", "Countess"] }.unwrap();
    assert_eq!(props.get("name"), Ok("Ada"));
    assert_eq!(props.get::<&str>("name"), Ok(&*name));
    assert_eq!(props.get("born"), Ok(1815i64));
    assert_eq!(props.get("height"), Ok(1.6));
    assert_eq!(props.get::<&List>("known as").unwrap()[1], Value::from("Countess"));
    assert_eq!(props.get::<Option<i64>>("died"), Ok(None));
    assert_eq!(props.get::<Option<i64>>("born"), Ok(Some(1815)));
    assert_eq!(props.get::<i64>("died"), Err(ValueError::Missing { property: "died".into() }));
    let wrong = ValueError::WrongType { property: "born".into(), expected: "text", found: "int" };
    assert_eq!(wrong.to_string(), "property `born` is int, not text");
    assert_eq!(props.get::<&str>("born"), Err(wrong.clone()));
    assert_eq!(props.get::<Option<&str>>("born"), Err(wrong));
    assert_eq!((&props).into_props(), Ok(props.clone()));
    assert_eq!(props! {}, Ok(Props::new()));
}

#[test]
fn properties_stand_in_canonical_order() {
    let props = props! { bb: 1, c: 2, a: 3, "é": 4 }.unwrap();
    assert_eq!(props.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "c", "bb", "é"]);
    let last = Props::from_entries([("a".into(), Value::from(1)), (Arc::from("a"), Value::from(2))]).unwrap();
    assert_eq!(last.get("a"), Ok(2i64));
}

#[test]
fn names_of_properties_have_limits() {
    for name in ["", "/"] {
        assert!(matches!(Props::new().set(name, 1), Err(ValueError::Name { .. })));
        assert!(matches!(Map::new([(name.into(), Value::from(1))]), Err(ValueError::Name { .. })));
    }
    assert_eq!(Props::new().set(&"a".repeat(200), 1), Ok(None));
    let long = "a".repeat(201);
    let refused =
        Err(ValueError::TooLong { what: "the name of a property", found_bytes: 201, max_bytes: 200 });
    assert_eq!(Props::new().set(&long, 1), refused);
    let map = Map::new([(long.into(), Value::from(1))]).unwrap();
    assert!(Props::try_from(map).is_err());
}

#[test]
fn cloning_copies_no_content() {
    let text = Value::from("a long text");
    let (Value::Text(a), Value::Text(b)) = (&text, &text.clone()) else { panic!("not text") };
    assert!(Arc::ptr_eq(a, b));
}

/// FORMAT.md, "Values".
#[test]
fn bytes_and_order_of_values_are_frozen() {
    let map = props! { b: 2, aa: 1 }.unwrap().as_map().clone();
    let float = |it| Value::try_from(it).unwrap();
    let list = |items: Vec<Value>| Value::try_from(items).unwrap();
    let ascending: [Value; 27] = [
        false.into(),
        true.into(),
        i64::MIN.into(),
        (-25).into(),
        (-1).into(),
        0.into(),
        24.into(),
        i64::MAX.into(),
        float(f64::MIN),
        float(-1.5),
        float(-5e-324),
        float(-0.0),
        float(1.0),
        float(f64::MAX),
        "".into(),
        "Ada".into(),
        "a".into(),
        "é".into(),
        Value::from(&b""[..]),
        Value::from(&b"\x00"[..]),
        Value::from(&b"\xff"[..]),
        Cid::of(Codec::Raw, b"").into(),
        list(vec![]),
        list(vec![1.into(), "a".into()]),
        list(vec![2.into()]),
        Map::default().into(),
        map.into(),
    ];
    assert!(ascending.is_sorted_by(|a, b| a < b));
    let lines: Vec<_> =
        ascending.iter().map(|it| format!("{} {}", it.kind(), kit::hex(&it.encode()))).collect();
    kit::golden(include_str!("../../../tests/fixtures/v1/values.txt"), &lines);
}
