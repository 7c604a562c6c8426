//! The laws of the codec on random values, and on valid encodings that were damaged a little.

mod codec_laws;

use std::collections::BTreeMap;

use codec_laws::{
    a_cid_has_one_form, links_are_those_of_the_value, one_value_one_encoding, what_is_read_is_canonical,
};
use ipld_core::ipld::Ipld;
use mnem_core::codec::{Rules, check, decode, encode};
use mnem_core::{Cid, CidClass};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// `MNEM_CASES` asks for more, or for fewer.
fn cases() -> u32 {
    let asked = std::env::var("MNEM_CASES").ok();
    asked.map_or(1000, |cases| cases.parse().expect("MNEM_CASES is a number"))
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() }
}

fn ours() -> impl Strategy<Value = Cid> {
    (0..4usize, any::<[u8; 32]>()).prop_map(|(class, digest)| Cid::from_parts(CidClass::ALL[class], digest))
}

/// CIDs that mnem cannot follow: other codecs and hashes, identity, version 0.
fn foreign() -> impl Strategy<Value = cid::Cid> {
    let hash = |code, digest: &[u8]| multihash::Multihash::wrap(code, digest).expect("at most 64 bytes");
    prop_oneof![
        (0u64..1 << 40, 1u64..1 << 40, vec(any::<u8>(), 0..=64))
            .prop_filter("not one of ours", |(_, code, _)| !matches!(code, 0x12 | 0x1e))
            .prop_map(move |(codec, code, digest)| cid::Cid::new_v1(codec, hash(code, &digest))),
        vec(any::<u8>(), 0..=40).prop_map(move |data| cid::Cid::new_v1(0x55, hash(0, &data))),
        any::<[u8; 32]>().prop_map(move |digest| {
            cid::Cid::new_v0(hash(0x12, &digest)).expect("a SHA2-256 multihash makes a version 0")
        }),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![20 => "[a-c]{1,4}", 5 => "\\PC{1,40}", 1 => Just(String::new()), 1 => Just("/".to_owned())]
}

fn integer() -> impl Strategy<Value = i128> {
    let edges = [23, 24, 0xff, 0x100, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000, i128::from(i64::MAX)];
    prop_oneof![
        10 => any::<i64>().prop_map(i128::from),
        10 => (prop::sample::select(edges.to_vec()), -2..=2i128, any::<bool>())
            .prop_map(|(edge, off, negative)| if negative { -edge - off } else { edge + off }),
        1 => -(1i128 << 64)..1 << 64,
    ]
}

fn float() -> impl Strategy<Value = f64> {
    use prop::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL};
    prop_oneof![NORMAL | SUBNORMAL | POSITIVE | NEGATIVE, Just(0.0), Just(f64::MIN), Just(f64::MAX)]
}

fn value() -> impl Strategy<Value = Ipld> {
    let leaf = prop_oneof![
        1 => Just(Ipld::Null),
        1 => any::<bool>().prop_map(Ipld::Bool),
        3 => integer().prop_map(Ipld::Integer),
        2 => float().prop_map(Ipld::Float),
        2 => "\\PC{0,30}".prop_map(Ipld::String),
        2 => vec(any::<u8>(), 0..300).prop_map(Ipld::Bytes),
        3 => ours().prop_map(|cid| Ipld::Link(cid.into())),
        1 => foreign().prop_map(Ipld::Link),
    ];
    leaf.prop_recursive(5, 40, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Ipld::List),
            btree_map(key(), inner, 0..8).prop_map(Ipld::Map),
        ]
    })
}

/// A value whose links are all our own, some of them repeated.
fn linked() -> impl Strategy<Value = Ipld> {
    vec(ours(), 1..4).prop_flat_map(|cids| {
        let leaf = prop_oneof![
            3 => prop::sample::select(cids).prop_map(|cid| Ipld::Link(cid.into())),
            1 => any::<i64>().prop_map(|value| Ipld::Integer(value.into())),
        ];
        leaf.prop_recursive(5, 40, 8, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..8).prop_map(Ipld::List),
                btree_map("[a-c]{1,4}", inner, 0..8).prop_map(Ipld::Map),
            ]
        })
    })
}

/// One small damage. Some leave the encoding valid: another digit, another letter, another digest.
#[derive(Clone, Debug)]
enum Damage {
    Set(prop::sample::Index, u8),
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Truncate(prop::sample::Index),
    Repeat(prop::sample::Index, prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let telling =
        vec![0x00, 0x01, 0x18, 0x1b, 0x40, 0x60, 0x80, 0xa0, 0xd8, 0xf4, 0xf6, 0xf7, 0xf9, 0xfb, 0xff];
    let byte = || prop_oneof![any::<u8>(), prop::sample::select(telling.clone())];
    let at = any::<prop::sample::Index>;
    prop_oneof![
        4 => (at(), byte()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        8 => (at(), 0..8u8).prop_map(|(at, bit)| Damage::Flip(at, 1 << bit)),
        1 => (at(), byte()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        1 => at().prop_map(Damage::Remove),
        1 => at().prop_map(Damage::Truncate),
        1 => (at(), at()).prop_map(|(from, to)| Damage::Repeat(from, to)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        match damage {
            Damage::Set(at, byte) => bytes[at.index(length)] = *byte,
            Damage::Flip(at, bit) => bytes[at.index(length)] ^= bit,
            Damage::Insert(at, byte) => bytes.insert(at.index(length), *byte),
            Damage::Remove(at) => drop(bytes.remove(at.index(length))),
            Damage::Truncate(at) => bytes.truncate(at.index(length)),
            Damage::Repeat(from, to) => {
                let (from, to) = (from.index(length), to.index(length));
                let part = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.splice(to..to, part);
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_value_comes_back(value in value()) {
        let bytes = encode(&value).unwrap();
        prop_assert_eq!(decode::<Ipld>(&bytes), Ok(value));
        prop_assert!(one_value_one_encoding(&bytes));
    }

    #[test]
    fn the_order_of_entries_does_not_matter(entries in btree_map(key(), any::<i64>(), 0..20)) {
        let hashed: std::collections::HashMap<_, _> = entries.clone().into_iter().collect();
        prop_assert_eq!(encode(&hashed), encode(&entries));
        prop_assert_eq!(decode::<BTreeMap<String, i64>>(&encode(&hashed).unwrap()), Ok(entries));
    }

    #[test]
    fn links_of_foreign_values_are_found_or_refused(value in value()) {
        links_are_those_of_the_value(&encode(&value).unwrap());
    }

    #[test]
    fn links_of_own_values_are_found_in_order_with_repeats(value in linked()) {
        prop_assert!(links_are_those_of_the_value(&encode(&value).unwrap()));
    }

    #[test]
    fn any_calls_on_a_reader_read_canonical_items(calls in vec(any::<u8>(), 0..40), value in value(), flip in damage()) {
        let bytes = encode(&value).unwrap();
        what_is_read_is_canonical(&calls, &bytes);
        what_is_read_is_canonical(&calls, &damaged(bytes, &[flip]));
    }

    #[test]
    fn bytes_without_any_form_break_nothing(bytes in vec(any::<u8>(), 0..200)) {
        one_value_one_encoding(&bytes);
        links_are_those_of_the_value(&bytes);
        a_cid_has_one_form(&bytes);
    }
}

/// Tells which share of drawn values `law` accepts: a law that never sees the one or the other proves little.
fn share_accepted<S: Strategy>(strategy: &S, law: impl Fn(S::Value) -> bool) -> f64 {
    let mut runner = TestRunner::deterministic();
    // Fewer would leave the share to chance.
    let drawn = cases().max(300);
    let accepted = (0..drawn)
        .filter(|_| law(strategy.new_tree(&mut runner).expect("nothing is filtered out").current()))
        .count();
    accepted as f64 / f64::from(drawn)
}

#[test]
fn what_damage_leaves_valid_comes_back_and_the_rest_is_refused_by_all() {
    let strategy = (value(), vec(damage(), 1..3));
    let share = share_accepted(&strategy, |(value, damages)| {
        let bytes = damaged(encode(&value).unwrap(), &damages);
        links_are_those_of_the_value(&bytes);
        one_value_one_encoding(&bytes)
    });
    println!("accepted after damage: {share}");
    assert!((0.2..0.8).contains(&share), "{share}");
}

#[test]
fn house_rules_meet_both_kinds_of_values() {
    let share = share_accepted(&value(), |value| check(&encode(&value).unwrap(), Rules::House).is_ok());
    println!("within the house rules: {share}");
    assert!((0.2..0.9).contains(&share), "{share}");
}

#[test]
fn damaged_cids_are_refused_or_come_back() {
    let forms = prop_oneof![
        ours().prop_map(|cid| cid.to_bytes().to_vec()),
        ours().prop_map(|cid| cid.to_string().into_bytes()),
        foreign().prop_map(|cid| cid.to_bytes()),
        foreign().prop_map(|cid| cid.to_string().into_bytes()),
    ];
    let share = share_accepted(&(forms, vec(damage(), 0..2)), |(bytes, damages)| {
        a_cid_has_one_form(&damaged(bytes, &damages))
    });
    println!("accepted CIDs: {share}");
    assert!((0.1..0.9).contains(&share), "{share}");
}
