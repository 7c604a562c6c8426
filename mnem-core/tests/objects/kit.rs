//! Arbitrary values, and bytes as text.

use std::sync::Arc;

use mnem_core::codec::{DEPTH_MAX, Reader};
use mnem_core::value::{Float, List, Map, Props, Value};
use mnem_core::{Block, Cid, CidClass};
use proptest::collection::vec;
use proptest::prelude::*;

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "{text}");
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex digits"))
        .collect()
}

/// Small numbers and the ends of the range: where encodings change their length.
pub(crate) fn int() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i64>(),
        -300i64..300,
        Just(i64::MIN),
        Just(i64::MAX),
        Just(1 << 53),
        Just((1 << 53) + 1)
    ]
}

pub(crate) fn float() -> impl Strategy<Value = Float> {
    prop_oneof![any::<f64>(), -3.0..3.0f64, int().prop_map(|it| it as f64), Just(-0.0)]
        .prop_filter_map("finite", |it| Float::new(it).ok())
}

pub(crate) fn text() -> impl Strategy<Value = Arc<str>> {
    prop_oneof!["[a-c\u{0}é]{0,3}", ".{0,12}", "[ab\u{0}]{250,262}"].prop_map(Arc::from)
}

pub(crate) fn bytes() -> impl Strategy<Value = bytes::Bytes> {
    prop_oneof![
        vec(any::<u8>(), 0..12),
        vec(prop_oneof![Just(0u8), Just(1), Just(255)], 0..4),
        vec(prop_oneof![Just(0u8), Just(255)], 254..259)
    ]
    .prop_map(bytes::Bytes::from)
}

pub(crate) fn cid() -> impl Strategy<Value = Cid> {
    (0u8..4, any::<[u8; 32]>()).prop_map(|(class, digest)| {
        Cid::from_parts(CidClass::from_number(class).expect("one of four"), digest)
    })
}

pub(crate) fn name() -> impl Strategy<Value = Arc<str>> {
    prop_oneof!["[a-c]{1,3}", ".{1,9}", "é{100}"]
        .prop_filter("not reserved", |it| it != "/")
        .prop_map(Arc::from)
}

pub(crate) fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        int().prop_map(Value::Int),
        float().prop_map(Value::Float),
        text().prop_map(Value::Text),
        bytes().prop_map(Value::Bytes),
        cid().prop_map(Value::Link),
    ]
}

pub(crate) fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(|items| Value::List(List::new(items).expect("few levels"))),
            vec((name(), inner), 0..5).prop_map(|entries| Value::Map(Map::new(entries).expect("few levels"))),
        ]
    })
}

pub(crate) fn props() -> impl Strategy<Value = Props> {
    vec((name(), value()), 0..5).prop_map(|entries| Props::from_entries(entries).expect("few levels"))
}

/// Encodings near a valid one: a byte changed, taken out or put in, or the end cut off.
pub(crate) fn damaged(valid: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    (Just(valid), any::<prop::sample::Index>(), any::<u8>(), 0..4u8).prop_map(|(mut bytes, at, byte, how)| {
        let at = at.index(bytes.len());
        match how {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            2 => drop(bytes.remove(at)),
            _ => bytes.truncate(at),
        }
        bytes
    })
}

/// Compares what is encoded now with what was recorded: other bytes are another format.
pub(crate) fn golden(recorded: &str, lines: &[String]) {
    let now = lines.join("\n") + "\n";
    let old: String =
        recorded.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    assert!(old == now, "recorded:\n{old}\nnow:\n{now}");
}

/// The fields of an object, each with its encoding.
pub(crate) type Fields = Vec<(String, Vec<u8>)>;

pub(crate) fn fields(block: &Block) -> Fields {
    let mut reader = Reader::new(block.bytes());
    let mut keys = reader.map().expect("a map");
    let mut fields = Vec::new();
    while let Some(name) = keys.next(&mut reader).expect("a key") {
        fields.push((name.to_owned(), reader.item(DEPTH_MAX - 1).expect("an item").to_vec()));
    }
    fields
}
