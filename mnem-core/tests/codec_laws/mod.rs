//! What must hold of any bytes at all, whoever made them up: property tests and fuzzing share these laws.
//!
//! Each law compares the codec with a slow way to the same answer: the library, a value tree, or a reader of
//! single items. A law panics where they differ, and returns whether the bytes were accepted.

#![allow(unreachable_pub, reason = "public where fuzzing includes this file")]

use std::collections::BTreeMap;

use ipld_core::ipld::Ipld;
use mnem_core::codec::{
    DEPTH_MAX, DecodeError, Kind, Malformed, Reader, Rules, Writer, check, decode, encode, key_order, links,
};
use mnem_core::{Cid, Codec};

/// Checking, decoding, encoding, reading item by item and the library agree on what a block is and holds.
pub fn one_value_one_encoding(bytes: &[u8]) -> bool {
    let general = check(bytes, Rules::General);
    let house = check(bytes, Rules::House);
    let item_by_item = read(bytes);
    let decoded = decode::<Ipld>(bytes);
    let library = library(bytes);
    match (&general, &decoded) {
        (Ok(()), Ok(value)) => {
            assert_eq!(encode(value).as_deref(), Ok(bytes));
            // The library's own reader stops at half of our depth.
            assert!(library.as_ref() == Some(value) || depth(value) > 127, "the library refuses {value:?}");
            assert_eq!(house.is_ok(), is_house(value, DEPTH_MAX), "{house:?} {value:?}");
        }
        (Err(refused), Err(again)) => {
            assert_eq!(refused, again);
            assert!(house.is_err(), "the house rules accept what the general ones refuse: {refused}");
            assert!(library.is_none() || has_long_varint(bytes), "the library accepts: {refused}");
        }
        _ => panic!("check {general:?}, decode {decoded:?}"),
    }
    assert_eq!(house.is_ok(), item_by_item.is_ok(), "{house:?} {item_by_item:?}");
    if let (Ok(value), Ok(items)) = (&decoded, &item_by_item) {
        assert_eq!(items, value);
        let mut writer = Writer::new();
        write(&mut writer, value);
        assert_eq!(writer.as_bytes(), bytes);
        let mut whole = Reader::new(bytes);
        assert_eq!(whole.item(DEPTH_MAX), Ok(bytes));
        assert_eq!(whole.end(), Ok(()));
    }
    general.is_ok()
}

/// The link scanner finds what a walk over the decoded value finds: in order, with repeats, or nothing at all where
/// one link is none of ours.
pub fn links_are_those_of_the_value(bytes: &[u8]) -> bool {
    assert_eq!(links(Codec::Raw, bytes), Ok(Vec::new()));
    let fast = links(Codec::DagCbor, bytes);
    let slow = decode::<Ipld>(bytes).ok().and_then(|value| {
        let mut found = Vec::new();
        collect(&value, &mut found).then_some(found)
    });
    assert_eq!(fast.as_ref().ok(), slow.as_ref(), "{fast:?}");
    fast.is_ok()
}

/// What is accepted as a CID, binary or text, is the one form of that CID, and the `cid` crate reads the same.
pub fn a_cid_has_one_form(bytes: &[u8]) -> bool {
    let binary = Cid::from_bytes(bytes);
    if let Ok(cid) = binary {
        assert_eq!(cid.to_bytes(), bytes);
        assert_eq!(cid.to_string().parse(), Ok(cid));
        let theirs = cid::Cid::try_from(bytes).expect("the cid crate accepts what mnem does");
        assert_eq!(cid::Cid::from(cid), theirs);
        assert_eq!(Cid::try_from(&theirs), Ok(cid));
        assert_eq!(theirs.to_string(), cid.to_string());
    }
    let text = str::from_utf8(bytes).ok().and_then(|text| Some((text, text.parse::<Cid>().ok()?)));
    if let Some((text, cid)) = text {
        assert_eq!(cid.to_string(), text);
        assert_eq!(Cid::from_bytes(&cid.to_bytes()), Ok(cid));
    }
    // In a link, a CID of ours is accepted by both rules, any other one by the general rules at most.
    let link = link(bytes);
    assert_eq!(check(&link, Rules::House).is_ok(), binary.is_ok());
    one_value_one_encoding(&link);
    binary.is_ok() || text.is_some()
}

/// Encodes a link to these bytes, whatever they are.
fn link(cid: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.bytes(&[&[0], cid].concat());
    [&[0xd8, 42], writer.as_bytes()].concat()
}

/// Decodes with the library alone. It ignores what follows a CID in a link, so a value counts only if it comes back.
fn library(bytes: &[u8]) -> Option<Ipld> {
    let value: Ipld = serde_ipld_dagcbor::from_slice(bytes).ok()?;
    (serde_ipld_dagcbor::to_vec(&value).ok()? == bytes).then_some(value)
}

/// Says whether a number of ten bytes may be in there: the library reads such numbers in CIDs, their specification
/// stops at nine bytes.
fn has_long_varint(bytes: &[u8]) -> bool {
    bytes.windows(10).any(|digits| digits[9] == 1 && digits[..9].iter().all(|digit| digit & 0x80 != 0))
}

fn depth(value: &Ipld) -> usize {
    match value {
        Ipld::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Ipld::Map(entries) => 1 + entries.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// The house rules, told of a value instead of its encoding.
fn is_house(value: &Ipld, depth: usize) -> bool {
    match value {
        Ipld::Integer(value) => i64::try_from(*value).is_ok(),
        Ipld::Link(cid) => Cid::try_from(cid).is_ok(),
        Ipld::List(items) => depth > 0 && items.iter().all(|item| is_house(item, depth - 1)),
        Ipld::Map(entries) => {
            depth > 0
                && entries
                    .iter()
                    .all(|(key, value)| !matches!(key.as_str(), "" | "/") && is_house(value, depth - 1))
        }
        _ => true,
    }
}

/// Returns the entries of a map in the order of their encoding.
fn ordered(entries: &BTreeMap<String, Ipld>) -> Vec<(&String, &Ipld)> {
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by(|(a, _), (b, _)| key_order(a, b));
    entries
}

fn collect(value: &Ipld, found: &mut Vec<Cid>) -> bool {
    match value {
        Ipld::Link(cid) => Cid::try_from(cid).map(|cid| found.push(cid)).is_ok(),
        Ipld::List(items) => items.iter().all(|item| collect(item, found)),
        Ipld::Map(entries) => ordered(entries).into_iter().all(|(_, value)| collect(value, found)),
        _ => true,
    }
}

/// Reads a value through the methods of [`Reader`], as our own objects are read.
fn read(bytes: &[u8]) -> Result<Ipld, DecodeError> {
    let mut reader = Reader::new(bytes);
    let value = read_item(&mut reader, DEPTH_MAX)?;
    reader.end()?;
    Ok(value)
}

fn read_item(reader: &mut Reader<'_>, depth: usize) -> Result<Ipld, DecodeError> {
    let too_deep = reader.error(Malformed::Depth);
    Ok(match reader.kind()? {
        Kind::Int => Ipld::Integer(reader.int()?.into()),
        Kind::Bytes => Ipld::Bytes(reader.bytes()?.to_vec()),
        Kind::Text => Ipld::String(reader.text()?.to_owned()),
        Kind::Link => Ipld::Link(reader.link()?.into()),
        Kind::Bool => Ipld::Bool(reader.bool()?),
        Kind::Null => reader.null().map(|()| Ipld::Null)?,
        Kind::Float => Ipld::Float(reader.float()?),
        Kind::List => {
            let depth = depth.checked_sub(1).ok_or(too_deep)?;
            let items = reader.list()?;
            let mut list = Vec::with_capacity(items);
            for _ in 0..items {
                list.push(read_item(reader, depth)?);
            }
            Ipld::List(list)
        }
        Kind::Map => {
            let depth = depth.checked_sub(1).ok_or(too_deep)?;
            let mut keys = reader.map()?;
            let mut map = BTreeMap::new();
            while let Some(key) = keys.next(reader)? {
                map.insert(key.to_owned(), read_item(reader, depth)?);
            }
            Ipld::Map(map)
        }
    })
}

/// Writes a value through the methods of [`Writer`], as our own objects are written.
fn write(writer: &mut Writer, value: &Ipld) {
    match value {
        Ipld::Null => writer.null(),
        Ipld::Bool(value) => writer.bool(*value),
        Ipld::Integer(value) => writer.int(i64::try_from(*value).expect("the house rules hold")),
        Ipld::Float(value) => writer.float(*value),
        Ipld::String(value) => writer.text(value),
        Ipld::Bytes(value) => writer.bytes(value),
        Ipld::Link(cid) => writer.link(&Cid::try_from(cid).expect("the house rules hold")),
        Ipld::List(items) => {
            writer.list(items.len());
            items.iter().for_each(|item| write(writer, item));
        }
        Ipld::Map(entries) => {
            writer.map(entries.len());
            for (key, value) in ordered(entries) {
                writer.text(key);
                write(writer, value);
            }
        }
    }
}

/// Whatever is called in whatever order: an error moves nothing, and what was read is one canonical item.
pub fn what_is_read_is_canonical(calls: &[u8], block: &[u8]) {
    let mut reader = Reader::new(block);
    for call in calls {
        let start = reader.at();
        let is_head = matches!(call % 10, 7 | 8);
        let result = match call % 10 {
            0 => reader.uint().map(drop),
            1 => reader.int().map(drop),
            2 => reader.float().map(drop),
            3 => reader.bool().map(drop),
            4 => reader.null(),
            5 => reader.bytes().map(drop),
            6 => reader.text().map(drop),
            7 => reader.list().map(|items| assert!(items <= block.len() - start)),
            8 => read_key(&mut reader),
            _ => match reader.kind() {
                Ok(Kind::Link) => reader.link().map(drop),
                _ => reader.item(usize::from(call / 10)).map(drop),
            },
        };
        let read = &block[start..reader.at()];
        if result.is_err() {
            assert!(read.is_empty() || is_head, "{result:?} after {read:02x?}");
        } else if !is_head {
            assert_eq!(check(read, Rules::House), Ok(()), "{read:02x?}");
        }
    }
    assert_eq!(reader.at() == block.len(), reader.end().is_ok());
}

/// Enters a map and reads its first key, if it has one.
fn read_key(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let mut keys = reader.map()?;
    assert_eq!(keys.left() == 0, keys.next(reader)?.is_none());
    Ok(())
}
