//! Values as JSON: the form that other languages read and send.

use mnem_core::value::{List, Map, Props, VALUE_DEPTH_MAX, Value};
use proptest::prelude::*;

use crate::kit::{props, value};

fn read(json: &str) -> Result<Value, String> {
    serde_json::from_str(json).map_err(|why| why.to_string())
}

proptest! {
    #[test]
    fn values_come_back_from_json_as_they_were(value in value()) {
        let json = serde_json::to_string(&value).expect("every value has a form");
        prop_assert_eq!(read(&json), Ok(value), "{}", json);
    }

    #[test]
    fn properties_come_back_from_json_as_they_were(props in props()) {
        let json = serde_json::to_string(&props).expect("every value has a form");
        prop_assert_eq!(serde_json::from_str::<Props>(&json).expect("what was written"), props);
    }
}

#[test]
fn json_is_that_of_dag_json() {
    let link = Value::Link(mnem_core::Cid::of(mnem_core::Codec::Raw, b"a"));
    let Value::Link(cid) = link else { unreachable!("a link") };
    for (value, json) in [
        (Value::from(true), "true".to_owned()),
        (Value::from(1), "1".to_owned()),
        (Value::try_from(1.0).unwrap(), "1.0".to_owned()),
        (Value::from("é"), "\"é\"".to_owned()),
        (Value::from(vec![255, 0]), r#"{"/":{"bytes":"/wA"}}"#.to_owned()),
        (link, format!(r#"{{"/":"{cid}"}}"#)),
        (Value::List(List::new([Value::from(1)]).unwrap()), "[1]".to_owned()),
        (
            Value::Map(Map::new([("bb".into(), 1.into()), ("c".into(), 2.into())]).unwrap()),
            r#"{"c":2,"bb":1}"#.to_owned(),
        ),
    ] {
        assert_eq!(serde_json::to_string(&value).unwrap(), json);
        assert_eq!(read(&json), Ok(value));
    }
}

#[test]
fn json_that_is_no_value_is_refused() {
    for json in [
        "null",
        "[null]",
        "18446744073709551615",
        "1e999",
        r#"{"":1}"#,
        r#"{"a":1,"a":2}"#,
        r#"{"/":1}"#,
        r#"{"/":"no cid"}"#,
        r#"{"/":{"bytes":"/wB"}}"#,
        r#"{"/":{"bytes":"/wA="}}"#,
        r#"{"/":{"bits":"/wA"}}"#,
        r#"{"/":{"bytes":"/wA","more":1}}"#,
        r#"{"/":{"bytes":"/wA"},"more":1}"#,
        r#"{"more":1,"/":{"bytes":"/wA"}}"#,
    ] {
        assert!(read(json).is_err(), "{json}");
    }
    assert!(serde_json::from_str::<Props>("[1]").is_err());
    assert!(serde_json::from_str::<Props>(&format!(r#"{{"{}":1}}"#, "n".repeat(201))).is_err());
}

/// The limit of the JSON reader is higher, and other formats have none.
#[test]
fn depth_is_bounded_whoever_parses() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert_eq!(read(&nested(VALUE_DEPTH_MAX)).map(|it| it.depth()), Ok(VALUE_DEPTH_MAX));
    let deep = read(&nested(VALUE_DEPTH_MAX + 1)).unwrap_err();
    assert!(deep.contains("at most 120"), "{deep}");
}
