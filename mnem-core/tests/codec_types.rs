//! What the general codec does with types, depth and the stack.

use std::collections::BTreeMap;

use ipld_core::ipld::Ipld;
use mnem_core::codec::{
    DEPTH_MAX, GENERAL_DEPTH_MAX, Malformed, Reader, Rules, Writer, check, decode, encode, links,
};
use mnem_core::{Cid, Codec};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Person {
    name: String,
    age: u8,
    born: Option<f64>,
}

#[test]
fn a_struct_comes_back_with_its_fields_sorted() {
    let ada = Person { name: "Ada".to_owned(), age: 36, born: None };
    let bytes = encode(&ada).unwrap();
    assert_eq!(bytes, b"\xa3\x63age\x18\x24\x64born\xf6\x64name\x63Ada");
    assert_eq!(decode::<Person>(&bytes), Ok(ada));
}

#[track_caller]
fn is_lossy<T: Serialize + serde::de::DeserializeOwned + std::fmt::Debug>(bytes: &[u8]) {
    assert_eq!(check(bytes, Rules::General), Ok(()));
    assert_eq!(decode::<T>(bytes).map_err(|why| why.what).err(), Some(Malformed::Lossy));
}

#[test]
fn a_field_that_the_type_does_not_keep_is_refused() {
    is_lossy::<Person>(b"\xa4\x63age\x18\x24\x64born\xf6\x64name\x63Ada\x65extra\x01");
}

#[test]
fn a_field_that_the_type_would_add_is_refused() {
    is_lossy::<Person>(b"\xa2\x63age\x18\x24\x64name\x63Ada");
}

#[test]
fn enums_that_the_library_misreads_are_refused() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Unit,
        Wrapped(u8),
    }
    let shapes = vec![Shape::Unit, Shape::Wrapped(5)];
    assert_eq!(decode(&encode(&shapes).unwrap()), Ok(shapes));
    // The payload of a unit variant is left behind, a wrapped one then takes its own from further on.
    is_lossy::<(Shape, Shape, u8)>(b"\x83\xa1\x64Unit\x67Wrapped\x05\x06");
}

#[test]
fn another_shape_than_asked_for_is_refused() {
    for bytes in [&b"\x80"[..], b"\xa0", b"\x63Ada", b"\xa3\x63age\x19\x01\x24\x64born\xf6\x64name\x63Ada"] {
        assert!(matches!(decode::<Person>(bytes).unwrap_err().what, Malformed::Shape(_)), "{bytes:02x?}");
    }
}

#[test]
fn values_without_encoding_are_refused() {
    assert!(encode(&Ipld::Integer(1 << 64)).is_err());
    assert!(encode(&Ipld::Integer(-(1 << 64) - 1)).is_err());
    assert!(encode(&BTreeMap::from([(1, 2)])).is_err());
    assert!(encode(&Ipld::Float(f64::NAN)).is_err());
}

#[test]
fn integers_reach_from_minus_2_to_the_64_to_2_to_the_64_minus_1() {
    for value in [-(1i128 << 64), (1 << 64) - 1] {
        let bytes = encode(&Ipld::Integer(value)).unwrap();
        assert_eq!(bytes.len(), 9);
        assert_eq!(decode(&bytes), Ok(Ipld::Integer(value)));
    }
}

#[test]
fn raw_bytes_have_no_links() {
    let mut writer = Writer::new();
    writer.link(&Cid::of(Codec::Raw, b"x"));
    assert_eq!(links(Codec::Raw, writer.as_bytes()), Ok(vec![]));
    assert_eq!(links(Codec::DagCbor, writer.as_bytes()), Ok(vec![Cid::of(Codec::Raw, b"x")]));
    assert_eq!(links(Codec::Raw, b"no encoding at all \xff"), Ok(vec![]));
}

#[test]
#[should_panic(expected = "no integer of our own objects")]
fn numbers_that_no_reader_accepts_are_not_written() {
    Writer::new().uint(1 << 63);
}

/// Lists and maps in turn, with a link at the bottom.
fn deep(levels: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for level in 0..levels {
        bytes.extend_from_slice(if level % 2 == 0 { &b"\x81"[..] } else { b"\xa1\x61a" });
    }
    let mut link = Writer::new();
    link.link(&Cid::of(Codec::Raw, b"x"));
    [bytes.as_slice(), link.as_bytes()].concat()
}

/// Runs in a thread with this much stack; an overflow ends the process.
fn with_stack(stack_bytes: usize, run: fn()) {
    std::thread::Builder::new()
        .stack_size(stack_bytes)
        .spawn(run)
        .expect("a thread starts")
        .join()
        .expect("it ends well");
}

/// Threads have 2 MiB unless asked otherwise: a quarter of it is enough, so the caller may have used the rest.
#[test]
fn the_deepest_values_fit_a_small_stack() {
    with_stack(512 << 10, || {
        let bytes = deep(GENERAL_DEPTH_MAX);
        assert_eq!(check(&bytes, Rules::General), Ok(()));
        assert_eq!(links(Codec::DagCbor, &bytes).unwrap().len(), 1);
        let value: Ipld = decode(&bytes).unwrap();
        let copy = value.clone();
        assert_eq!(encode(&copy).unwrap(), bytes);
        drop((value, copy));
        let bytes = deep(DEPTH_MAX);
        assert_eq!(Reader::new(&bytes).item(DEPTH_MAX), Ok(bytes.as_slice()));
    });
}

/// The library counts two steps for each level of an `Ipld`, and one for the leaf: what it refuses at 128 levels is
/// read here.
#[test]
fn our_own_deepest_objects_decode() {
    let bytes = deep(DEPTH_MAX);
    assert_eq!(check(&bytes, Rules::House), Ok(()));
    assert!(serde_ipld_dagcbor::from_slice::<Ipld>(&bytes).is_err());
    assert!(serde_ipld_dagcbor::from_slice::<Ipld>(&deep(DEPTH_MAX - 1)).is_ok());
    assert_eq!(encode(&decode::<Ipld>(&bytes).unwrap()).unwrap(), bytes);
}

/// A type may recurse through options and enums, which take stack but no bytes.
#[test]
fn deep_values_of_other_types_fit_the_usual_stack() {
    #[derive(Serialize, Deserialize)]
    enum Chain {
        Next(Option<Box<Option<Box<Chain>>>>),
    }
    with_stack(2 << 20, || {
        let bytes = [b"\xa1\x64Next".repeat(GENERAL_DEPTH_MAX), vec![0xf6]].concat();
        assert_eq!(encode(&decode::<Chain>(&bytes).unwrap()).unwrap(), bytes);
    });
}

/// Values that were not decoded may nest deeper: they are refused, and cost no more stack than they should.
#[test]
fn values_that_nest_too_deep_are_refused_on_writing() {
    with_stack(2 << 20, || {
        for levels in [GENERAL_DEPTH_MAX + 1, 1000] {
            let value = (0..levels).fold(Ipld::Null, |value, _| Ipld::List(vec![value]));
            assert!(encode(&value).unwrap_err().what.contains("nested too deep"), "{levels}");
        }
    });
}
