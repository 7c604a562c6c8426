//! What the codec refuses, case by case: checking, decoding, the link scanner and the reader of single items all
//! give the same reason. The rules are FORMAT.md, "Encoding".

use ipld_core::ipld::Ipld;
use mnem_core::codec::{
    DEPTH_MAX, DecodeError, GENERAL_DEPTH_MAX, Malformed, Reader, Rules, Writer, check, decode, encode, links,
};
use mnem_core::{Cid, CidError, Codec};

/// Reads one whole item with the reader of our own objects.
fn item(bytes: &[u8]) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes);
    reader.item(DEPTH_MAX)?;
    reader.end()
}

/// Both rules refuse `bytes`, for this reason, on every way in.
#[track_caller]
fn refused(bytes: &[u8], what: &Malformed) {
    let ways = [
        check(bytes, Rules::General),
        check(bytes, Rules::House),
        decode::<Ipld>(bytes).map(drop),
        links(Codec::DagCbor, bytes).map(drop),
        item(bytes),
    ];
    for (way, result) in ways.into_iter().enumerate() {
        assert_eq!(result.map_err(|why| why.what).as_ref(), Err(what), "way {way} for {bytes:02x?}");
    }
}

/// Blocks of others may be these bytes, our own objects may not.
#[track_caller]
fn refused_by_the_house(bytes: &[u8], what: &Malformed) {
    assert_eq!(check(bytes, Rules::General), Ok(()));
    let value: Ipld = decode(bytes).expect("the general rules accept it");
    assert_eq!(encode(&value).as_deref(), Ok(bytes));
    for (way, result) in [check(bytes, Rules::House), item(bytes)].into_iter().enumerate() {
        assert_eq!(result.map_err(|why| why.what).as_ref(), Err(what), "way {way} for {bytes:02x?}");
    }
}

/// A method of the reader refuses `bytes` for this reason.
#[track_caller]
fn reads<'a, T: std::fmt::Debug>(
    bytes: &'a [u8],
    read: impl Fn(&mut Reader<'a>) -> Result<T, DecodeError>,
    what: &Malformed,
) {
    let refused = read(&mut Reader::new(bytes)).map_err(|why| why.what);
    assert_eq!(refused.as_ref().err(), Some(what), "{refused:?} for {bytes:02x?}");
}

/// Reads a map whose values are single numbers.
fn keys(bytes: &[u8]) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut keys = reader.map()?;
    while keys.next(&mut reader)?.is_some() {
        reader.uint()?;
    }
    reader.end()
}

#[track_caller]
fn keys_refused(bytes: &[u8], what: &Malformed) {
    assert_eq!(keys(bytes).map_err(|why| why.what).as_ref(), Err(what), "{bytes:02x?}");
}

fn link(cid: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.bytes(&[&[0], cid].concat());
    [&[0xd8, 42], writer.as_bytes()].concat()
}

fn ours() -> [u8; 36] {
    Cid::of(Codec::Raw, b"x").to_bytes()
}

fn nested(levels: usize) -> Vec<u8> {
    [vec![0x81; levels], vec![0]].concat()
}

#[test]
fn keys_in_another_order_are_refused() {
    // Shorter keys come first, whatever their bytes.
    for map in
        [&b"\xa2\x61b\x01\x61a\x02"[..], b"\xa2\x62aa\x01\x61b\x02", b"\xa3\x61a\x01\x61c\x02\x61b\x03"]
    {
        refused(map, &Malformed::KeyOrder);
        keys_refused(map, &Malformed::KeyOrder);
    }
    assert_eq!(keys(b"\xa2\x61b\x01\x62aa\x02"), Ok(()));
}

#[test]
fn repeated_keys_are_refused() {
    for map in [&b"\xa2\x61a\x01\x61a\x02"[..], b"\xa3\x61a\x01\x61b\x02\x61b\x03"] {
        refused(map, &Malformed::KeyOrder);
    }
    keys_refused(b"\xa2\x61a\x01\x61a\x02", &Malformed::KeyOrder);
}

#[test]
fn keys_that_are_no_text_are_refused() {
    for map in [&b"\xa1\x01\x01"[..], b"\xa1\x41a\x01", b"\xa1\xf6\x01", b"\xa1\x81\x61a\x01"] {
        refused(map, &Malformed::KeyType);
        keys_refused(map, &Malformed::KeyType);
    }
}

#[test]
fn integers_longer_than_needed_are_refused() {
    for major in [0x00, 0x20] {
        for longer in [
            &[0x18, 23][..],
            &[0x19, 0, 0xff],
            &[0x1a, 0, 0, 0xff, 0xff],
            &[0x1b, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
        ] {
            let mut bytes = longer.to_vec();
            bytes[0] |= major;
            refused(&bytes, &Malformed::NotMinimal);
            reads(&bytes, Reader::int, &Malformed::NotMinimal);
        }
    }
    reads(&[0x18, 23], Reader::uint, &Malformed::NotMinimal);
}

#[test]
fn lengths_longer_than_needed_are_refused() {
    for bytes in [&[0x58, 1, 7][..], &[0x78, 1, b'a'], &[0x98, 1, 0], &[0xb8, 1, 0x61, b'a', 0], &[0xb8, 0]] {
        refused(bytes, &Malformed::NotMinimal);
    }
    reads(&[0x58, 1, 7], Reader::bytes, &Malformed::NotMinimal);
    reads(&[0x78, 1, b'a'], Reader::text, &Malformed::NotMinimal);
    reads(&[0x98, 1, 0], Reader::list, &Malformed::NotMinimal);
    reads(&[0xb8, 1, 0x61, b'a', 0], Reader::map, &Malformed::NotMinimal);
    refused(b"\xa1\x78\x01a\x00", &Malformed::NotMinimal);
    keys_refused(b"\xa1\x78\x01a\x00", &Malformed::NotMinimal);
    refused(&[&[0xd9, 0, 42, 0x58, 37, 0], &ours()[..]].concat(), &Malformed::NotMinimal);
    refused(&[&[0xd8, 42, 0x59, 0, 37, 0], &ours()[..]].concat(), &Malformed::NotMinimal);
    reads(&[0xd9, 0, 42, 0x40], Reader::link, &Malformed::NotMinimal);
}

#[test]
fn open_lengths_are_refused() {
    for bytes in [
        &b"\x5f\x41a\xff"[..],
        b"\x7f\x61a\xff",
        b"\x9f\x00\xff",
        b"\xbf\x61a\x00\xff",
        b"\xff",
        b"\x81\xff",
        b"\xd8\x2a\x5f\x41\x00\xff",
        b"\xa1\x7f\x61a\xff\x00",
    ] {
        refused(bytes, &Malformed::Indefinite);
    }
    reads(b"\x5f\x41a\xff", Reader::bytes, &Malformed::Indefinite);
    reads(b"\x7f\x61a\xff", Reader::text, &Malformed::Indefinite);
    reads(b"\x9f\x00\xff", Reader::list, &Malformed::Indefinite);
    reads(b"\xbf\x61a\x00\xff", Reader::map, &Malformed::Indefinite);
    reads(b"\xff", |reader| reader.kind(), &Malformed::Indefinite);
    keys_refused(b"\xa1\x7f\x61a\xff\x00", &Malformed::Indefinite);
}

#[test]
fn reserved_first_bytes_are_refused() {
    for major in 0..7u8 {
        for info in 28..31u8 {
            refused(&[major << 5 | info, 0, 0], &Malformed::Reserved);
        }
    }
}

#[test]
fn other_tags_are_refused() {
    for bytes in
        [&[0xc0, 0x60][..], &[0xc2, 0x41, 1], &[0xd8, 41, 0x40], &[0xd8, 43, 0x40], &[0xd9, 0xd9, 0xf7, 0]]
    {
        refused(bytes, &Malformed::Tag);
        reads(bytes, Reader::link, &Malformed::Tag);
    }
}

#[test]
fn tag_42_on_anything_but_a_cid_is_refused() {
    let cid = ours();
    for bytes in [
        vec![0xd8, 42, 0],
        vec![0xd8, 42, 0x60],
        vec![0xd8, 42, 0x40],
        vec![0xd8, 42, 0x41, 0],
        [&[0xd8, 42, 0x58, 36], &cid[..]].concat(),
        [&[0xd8, 42, 0x58, 37, 1], &cid[..]].concat(),
        link(&[&cid[..], &[0]].concat()),
        link(&cid[..35]),
        link(&[0x12, 0x20, 7]),
        link(&[2, 0x55, 0x1e, 0x20]),
        // A digest of more than 64 bytes.
        link(&[&[1, 0x55, 0, 65], &[7; 65][..]].concat()),
    ] {
        refused(&bytes, &Malformed::LinkForm);
        reads(&bytes, Reader::link, &Malformed::LinkForm);
    }
}

#[test]
fn varints_longer_than_needed_in_a_cid_are_refused() {
    let digest = [7; 32];
    for prefix in [
        &[0x81, 0x00, 0x55, 0x1e, 0x20][..],
        &[1, 0xd5, 0x00, 0x1e, 0x20],
        &[1, 0x55, 0x9e, 0x00, 0x20],
        &[1, 0x55, 0x1e, 0xa0, 0x00],
        // Ten bytes: one more than a number may have.
        &[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x1e, 0x20],
    ] {
        let bytes = link(&[prefix, &digest].concat());
        refused(&bytes, &Malformed::LinkForm);
        reads(&bytes, Reader::link, &Malformed::LinkForm);
    }
}

#[test]
fn nan_is_refused() {
    for nan in [f64::NAN.to_bits(), (-f64::NAN).to_bits(), 0x7ff0_0000_0000_0001, u64::MAX] {
        let bytes = [&[0xfb], &nan.to_be_bytes()[..]].concat();
        refused(&bytes, &Malformed::Float);
        reads(&bytes, Reader::float, &Malformed::Float);
    }
    assert!(encode(&f64::NAN).is_err());
}

#[test]
fn infinities_are_refused() {
    for infinity in [f64::INFINITY, f64::NEG_INFINITY] {
        let bytes = [&[0xfb], &infinity.to_be_bytes()[..]].concat();
        refused(&bytes, &Malformed::Float);
        reads(&bytes, Reader::float, &Malformed::Float);
        assert!(encode(&infinity).is_err());
    }
}

#[test]
fn minus_zero_is_refused_and_written_as_zero() {
    let bytes = [&[0xfb], &(-0.0f64).to_be_bytes()[..]].concat();
    refused(&bytes, &Malformed::Float);
    reads(&bytes, Reader::float, &Malformed::Float);
    assert_eq!(encode(&-0.0).unwrap(), encode(&0.0).unwrap());
    let mut writer = Writer::new();
    writer.float(-0.0);
    assert_eq!(writer.into_bytes(), encode(&0.0).unwrap());
}

#[test]
fn short_floats_are_refused() {
    for bytes in [&[0xf9, 0x3c, 0][..], &[0xfa, 0x3f, 0x80, 0, 0], &[0xf9], &[0xfa]] {
        refused(bytes, &Malformed::Float);
        reads(bytes, Reader::float, &Malformed::Float);
    }
}

#[test]
fn undefined_is_refused() {
    refused(&[0xf7], &Malformed::Simple);
    for read in [Reader::bool, |reader: &mut Reader<'_>| reader.null().map(|()| true)] {
        reads(&[0xf7], read, &Malformed::Simple);
    }
}

#[test]
fn other_simple_values_are_refused() {
    for first in (0xe0..=0xf3u8).chain([0xf8, 0xfc, 0xfd, 0xfe]) {
        refused(&[first, 0xff], &Malformed::Simple);
    }
    // False and true written in two bytes.
    refused(&[0xf8, 20], &Malformed::Simple);
    refused(&[0xf8, 21], &Malformed::Simple);
}

#[test]
fn bytes_after_the_value_are_refused() {
    for bytes in [&[0, 0][..], &[0x80, 0xf6], &[0x60, 0xff]] {
        refused(bytes, &Malformed::Trailing);
    }
}

#[test]
fn every_cut_of_a_value_is_refused() {
    let cid = Cid::of(Codec::Raw, b"x");
    let whole = encode(&Ipld::Map(
        [
            ("a".to_owned(), Ipld::List(vec![Ipld::Link(cid.into()), Ipld::Float(1.5)])),
            ("b".to_owned(), Ipld::Bytes(vec![7; 300])),
            ("c".to_owned(), Ipld::String("text".to_owned())),
        ]
        .into(),
    ))
    .unwrap();
    assert_eq!(check(&whole, Rules::House), Ok(()));
    for length in 0..whole.len() {
        refused(&whole[..length], &Malformed::Truncated);
    }
}

#[test]
fn claimed_lengths_beyond_the_bytes_are_refused_before_anything_is_allocated() {
    for claimed in [3, 1 << 16, 1 << 32, 1 << 40, 1 << 62, u64::MAX] {
        for major in [2u8, 3, 4, 5] {
            let mut writer = Writer::new();
            let head = match u8::try_from(claimed) {
                Ok(claimed) => vec![major << 5 | claimed],
                Err(_) if claimed <= u64::from(u32::MAX) => {
                    [&[major << 5 | 26], &u32::try_from(claimed).unwrap().to_be_bytes()[..]].concat()
                }
                Err(_) => [&[major << 5 | 27], &claimed.to_be_bytes()[..]].concat(),
            };
            writer.encoded(&head);
            writer.encoded(&[0x61, b'a']);
            let bytes = writer.into_bytes();
            refused(&bytes, &Malformed::Truncated);
            match major {
                2 => reads(&bytes, Reader::bytes, &Malformed::Truncated),
                3 => reads(&bytes, Reader::text, &Malformed::Truncated),
                4 => reads(&bytes, Reader::list, &Malformed::Truncated),
                _ => reads(&bytes, Reader::map, &Malformed::Truncated),
            }
        }
    }
    refused(&[0xd8, 42, 0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0], &Malformed::Truncated);
}

#[test]
fn text_and_keys_that_are_not_utf8_are_refused() {
    // A lone continuation byte, a surrogate, an overlong slash, beyond U+10FFFF.
    for text in
        [&[0x61, 0x80][..], &[0x63, 0xed, 0xa0, 0x80], &[0x62, 0xc0, 0xaf], &[0x64, 0xf4, 0x90, 0x80, 0x80]]
    {
        refused(text, &Malformed::Utf8);
        reads(text, Reader::text, &Malformed::Utf8);
        let map = [&[0xa1], text, &[0]].concat();
        refused(&map, &Malformed::Utf8);
        keys_refused(&map, &Malformed::Utf8);
    }
}

#[test]
fn nesting_beyond_the_general_limit_is_refused() {
    let deepest = nested(GENERAL_DEPTH_MAX);
    assert_eq!(check(&deepest, Rules::General), Ok(()));
    assert_eq!(encode(&decode::<Ipld>(&deepest).unwrap()).unwrap(), deepest);
    for levels in [GENERAL_DEPTH_MAX + 1, 1_000_000] {
        refused(&nested(levels), &Malformed::Depth);
        refused(&b"\xa1\x61a".repeat(levels), &Malformed::Depth);
    }
}

#[test]
fn nesting_over_128_levels_is_refused_by_the_house() {
    assert_eq!(check(&nested(128), Rules::House), Ok(()));
    assert_eq!(item(&nested(128)), Ok(()));
    refused_by_the_house(&nested(129), &Malformed::Depth);
    refused_by_the_house(&[b"\xa1\x61a".repeat(129), vec![0]].concat(), &Malformed::Depth);
    refused_by_the_house(&[vec![0x81; 128], vec![0x80]].concat(), &Malformed::Depth);
    assert_eq!(Reader::new(&nested(3)).item(2).map_err(|why| why.what), Err(Malformed::Depth));
    assert_eq!(Reader::new(&nested(0)).item(0), Ok(&[0][..]));
}

#[test]
fn empty_keys_are_refused_by_the_house() {
    refused_by_the_house(b"\xa1\x60\x01", &Malformed::KeyReserved);
    keys_refused(b"\xa1\x60\x01", &Malformed::KeyReserved);
}

#[test]
fn the_key_slash_is_refused_by_the_house() {
    refused_by_the_house(b"\xa2\x61/\x01\x61a\x02", &Malformed::KeyReserved);
    keys_refused(b"\xa2\x61/\x01\x61a\x02", &Malformed::KeyReserved);
    assert_eq!(keys(b"\xa1\x62//\x01"), Ok(()));
}

#[test]
fn integers_outside_64_bits_with_sign_are_refused_by_the_house() {
    let edge = (1u64 << 63).to_be_bytes();
    for bytes in
        [[&[0x1b], &edge[..]].concat(), [&[0x3b], &edge[..]].concat(), [&[0x1b], &[0xff; 8][..]].concat()]
    {
        refused_by_the_house(&bytes, &Malformed::IntegerRange);
        reads(&bytes, Reader::int, &Malformed::IntegerRange);
    }
    reads(&[0x1b, 0x80, 0, 0, 0, 0, 0, 0, 0], Reader::uint, &Malformed::IntegerRange);
    for value in [i64::MIN, i64::MAX] {
        let bytes = encode(&value).unwrap();
        assert_eq!(check(&bytes, Rules::House), Ok(()));
        assert_eq!(Reader::new(&bytes).int(), Ok(value));
    }
}

/// A link that the general rules carry, and that mnem refuses to follow for this reason.
#[track_caller]
fn not_followed(cid: &[u8], why: CidError) {
    let bytes = link(cid);
    let what = Malformed::Link(why);
    refused_by_the_house(&bytes, &what);
    reads(&bytes, Reader::link, &what);
    assert_eq!(links(Codec::DagCbor, &bytes).map_err(|why| why.what), Err(what.clone()));
    // Also behind links that are fine.
    let list = [&[0x82], &link(&ours())[..], &bytes].concat();
    refused_by_the_house(&list, &what);
    assert_eq!(links(Codec::DagCbor, &list), Err(DecodeError { what, at: 1 + link(&ours()).len() }));
}

#[test]
fn links_of_version_0_are_refused_by_the_house() {
    not_followed(&[&[0x12, 0x20], &[7; 32][..]].concat(), CidError::Version { found: 0 });
}

#[test]
fn identity_links_are_refused_by_the_house() {
    not_followed(&[1, 0x55, 0, 3, b'a', b'b', b'c'], CidError::Identity);
    not_followed(&[1, 0x55, 0, 0], CidError::Identity);
    not_followed(&[&[1, 0x71, 0, 32], &[7; 32][..]].concat(), CidError::Identity);
}

#[test]
fn links_under_unknown_hashes_are_refused_by_the_house() {
    not_followed(&[&[1, 0x71, 0x13, 0x40], &[7; 64][..]].concat(), CidError::UnknownHash { code: 0x13 });
    not_followed(&[&[1, 0x71, 0x1b, 0x20], &[7; 32][..]].concat(), CidError::UnknownHash { code: 0x1b });
}

#[test]
fn links_to_unknown_codecs_are_refused_by_the_house() {
    not_followed(&[&[1, 0x70, 0x12, 0x20], &[7; 32][..]].concat(), CidError::UnknownCodec { code: 0x70 });
    not_followed(
        &[&[1, 0xa9, 0x02, 0x1e, 0x20], &[7; 32][..]].concat(),
        CidError::UnknownCodec { code: 0x129 },
    );
}

#[test]
fn links_with_cut_digests_are_refused_by_the_house() {
    not_followed(&[&[1, 0x55, 0x1e, 20], &[7; 20][..]].concat(), CidError::Length { found: 24 });
}
