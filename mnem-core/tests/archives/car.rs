//! The container: CARv1, bytes in and bytes out.

use std::io::{self, Read};

use mnem_core::exchange::car::{CAR_HEADER_BYTES_MAX, CAR_ROOTS_MAX};
use mnem_core::exchange::{CarDamage, CarError, CarReader, CarWriter};
use mnem_core::{BLOCK_BYTES_MAX, Block, Cid, CidClass, CidError, Codec};
use proptest::prelude::*;

use crate::car_laws::an_archive_is_refused_or_the_only_one_of_its_content;

/// Two roots, blocks of all classes, one of no bytes, one whose length takes two bytes.
fn example() -> (Vec<Cid>, Vec<Block>) {
    let mut blocks: Vec<Block> = CidClass::ALL
        .into_iter()
        .map(|class| Block::verify(Cid::of_class(class, &[0x63, b'A', b'd', b'a']), &b"\x63Ada"[..]).unwrap())
        .collect();
    blocks.push(Block::new(Codec::Raw, Vec::new()));
    blocks.push(Block::new(Codec::Raw, vec![7; 100]));
    (vec![*blocks[3].cid(), *blocks[4].cid()], blocks)
}

fn write(roots: &[Cid], blocks: &[Block]) -> Vec<u8> {
    let mut car = CarWriter::new(Vec::new(), roots).unwrap();
    blocks.iter().for_each(|block| car.put(block).unwrap());
    assert_eq!(car.blocks(), blocks.len() as u64);
    car.finish().unwrap()
}

fn read(bytes: &[u8]) -> Result<(Vec<Cid>, Vec<Block>), CarError> {
    let mut car = CarReader::new(bytes)?;
    let blocks = car.by_ref().collect::<Result<_, _>>()?;
    assert!(car.next().is_none(), "it has ended");
    Ok((car.roots().to_vec(), blocks))
}

/// FORMAT.md, "Archives". Other bytes would not be CARv1.
#[test]
fn bytes_of_archives_are_frozen() {
    let (roots, blocks) = example();
    let hex: String = write(&roots, &blocks).iter().map(|byte| format!("{byte:02x}")).collect();
    let golden: String = include_str!("../../../tests/fixtures/v1/car.hex").split_whitespace().collect();
    assert_eq!(hex, golden);
}

#[test]
fn an_archive_is_read_as_it_was_written() {
    let (roots, blocks) = example();
    assert_eq!(read(&write(&roots, &blocks)).unwrap(), (roots, blocks));
    assert_eq!(read(&write(&[], &[])).unwrap(), (Vec::new(), Vec::new()));
}

#[test]
fn blocks_that_come_twice_are_given_twice() {
    let (roots, mut blocks) = example();
    blocks.extend(blocks.clone());
    assert_eq!(read(&write(&roots, &blocks)).unwrap().1, blocks);
}

#[test]
fn an_archive_that_is_cut_off_anywhere_says_so_unless_a_block_ends_there() {
    let (roots, blocks) = example();
    let whole = write(&roots, &blocks);
    let ends: Vec<usize> = (0..=blocks.len()).map(|count| write(&roots, &blocks[..count]).len()).collect();
    for end in 0..=whole.len() {
        match read(&whole[..end]) {
            Ok((_, found)) => assert_eq!(Some(found.len()), ends.iter().position(|at| *at == end)),
            Err(CarError::Truncated { at, .. }) => {
                assert_eq!(at, end as u64);
                assert!(!ends.contains(&end), "{end}");
            }
            Err(other) => panic!("{end}: {other}"),
        }
    }
}

#[test]
fn a_changed_bit_is_found_wherever_it_is() {
    let (roots, blocks) = example();
    let whole = write(&roots, &blocks);
    let mut still_archives = 0;
    for bit in 0..whole.len() * 8 {
        let mut changed = whole.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        still_archives += usize::from(an_archive_is_refused_or_the_only_one_of_its_content(&changed));
    }
    // Nothing vouches for the digests of the roots but what is found under them.
    assert_eq!(still_archives, 2 * 256);
}

#[track_caller]
fn refusal(bytes: &[u8]) -> (u64, CarDamage) {
    match read(bytes) {
        Err(CarError::Refused { at, why }) => (at, why),
        other => panic!("{other:?}"),
    }
}

fn header(content: &[u8]) -> Vec<u8> {
    [&[u8::try_from(content.len()).unwrap()], content].concat()
}

#[test]
fn what_is_no_header_is_refused_by_name() {
    let version = |number: u8| header(&[b"\xa2\x65roots\x80\x67version".as_slice(), &[number]].concat());
    assert_eq!(refusal(&version(2)), (1, CarDamage::Version { found: 2 }));
    // The first bytes of CARv2: a header without roots.
    assert_eq!(refusal(&header(b"\xa1\x67version\x02")), (1, CarDamage::Version { found: 2 }));
    assert_eq!(refusal(&header(b"\xa1\x67version\x01")).1, CarDamage::HeaderFields);
    assert_eq!(refusal(&header(b"\xa1\x65roots\x80")).1, CarDamage::HeaderFields);
    assert_eq!(refusal(&header(b"\xa3\x64more\x00\x65roots\x80\x67version\x01")).1, CarDamage::HeaderFields);
    for no_map in [&b"\x80"[..], b"", b"\xa0\x00", b"\xa2\x67version\x01\x65roots\x80", b"\xbf\xff"] {
        assert!(
            matches!(refusal(&header(no_map)).1, CarDamage::Header(_) | CarDamage::HeaderFields),
            "{no_map:?}"
        );
    }
    let foreign = header(
        b"\xa2\x65roots\x81\xd8\x2a\x58\x23\x00\x12\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x67version\x01",
    );
    assert!(matches!(refusal(&foreign).1, CarDamage::Header(_)), "a root that cannot be followed");
}

#[test]
fn lengths_are_refused_before_anything_is_made_room_for() {
    let huge = [&[0xff; 8][..], &[0x7f]].concat();
    assert!(matches!(refusal(&huge), (0, CarDamage::HeaderTooLarge { .. })));
    assert_eq!(refusal(&[0xff; 10]), (0, CarDamage::Length));
    assert_eq!(refusal(&[0x80, 0x00]), (0, CarDamage::Length), "not the shortest form");
    let start = write(&[], &[]);
    let after = |length: &[u8]| [start.as_slice(), length].concat();
    assert_eq!(refusal(&after(&[0xff; 9])), (start.len() as u64, CarDamage::Length));
    let too_large = BLOCK_BYTES_MAX as u64 + 1;
    assert_eq!(
        refusal(&after(&[0xa5, 0x80, 0x80, 0x08])),
        (start.len() as u64, CarDamage::BlockTooLarge { found_bytes: too_large })
    );
    // As long as it may be, but not there.
    let claimed = after(&[0xa4, 0x80, 0x80, 0x08]);
    assert!(matches!(read(&claimed), Err(CarError::Truncated { at, .. }) if at == claimed.len() as u64));
}

#[test]
fn a_header_with_too_many_roots_is_refused() {
    let root = *Block::new(Codec::Raw, Vec::new()).cid();
    assert_eq!(read(&write(&vec![root; 1024], &[])).unwrap().0.len(), 1024);
    assert_eq!(refusal(&write(&vec![root; 1025], &[])).1, CarDamage::TooManyRoots { found: 1025 });
    assert!(matches!(refusal(&write(&vec![root; 2000], &[])), (0, CarDamage::HeaderTooLarge { .. })));
}

#[test]
fn sections_without_a_name_that_can_be_checked_are_refused() {
    let start = write(&[], &[]);
    let section =
        |content: &[u8]| [start.as_slice(), &[u8::try_from(content.len()).unwrap()], content].concat();
    assert_eq!(refusal(&section(&[])).1, CarDamage::NoCid);
    assert_eq!(refusal(&section(&[1, 0x71])).1, CarDamage::Cid(CidError::Length { found: 2 }));
    let v0 = [&[0x12, 0x20][..], &[7; 32], b"content"].concat();
    assert_eq!(refusal(&section(&v0)).1, CarDamage::Cid(CidError::Version { found: 0 }));
    let identity = [&[1, 0x55, 0, 3][..], b"abc", &[7; 40]].concat();
    assert_eq!(refusal(&section(&identity)).1, CarDamage::Cid(CidError::Identity));
    let (_, blocks) = example();
    let wrong = [&blocks[0].cid().to_bytes()[..], b"other"].concat();
    let (at, why) = refusal(&section(&wrong));
    assert_eq!(at, start.len() as u64 + 1);
    assert!(matches!(why, CarDamage::Mismatch(mismatch) if mismatch.claimed == *blocks[0].cid()));
}

#[test]
fn a_reader_that_fails_is_told_apart_from_an_archive_that_is_cut_off() {
    struct Failing<'a>(&'a [u8]);
    impl Read for Failing<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            match self.0.read(into)? {
                0 => Err(io::Error::other("gone")),
                read => Ok(read),
            }
        }
    }
    let (roots, blocks) = example();
    let whole = write(&roots, &blocks);
    for end in 0..=whole.len() {
        let result = CarReader::new(Failing(&whole[..end])).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        assert!(matches!(result, Err(CarError::Io { at, .. }) if at == end as u64), "{end}: {result:?}");
    }
}

proptest! {
    #[test]
    fn random_bytes_are_no_archive(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        an_archive_is_refused_or_the_only_one_of_its_content(&bytes);
    }

    #[test]
    fn what_follows_a_header_is_refused_or_a_block(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        an_archive_is_refused_or_the_only_one_of_its_content(&[write(&[], &[]), bytes].concat());
    }
}

#[test]
fn limits_are_those_of_the_table() {
    let format = include_str!("../../../docs/FORMAT.md");
    let section = format.split("\n## Archives\n").nth(1).unwrap();
    for (name, value) in [("CAR_HEADER_BYTES_MAX", CAR_HEADER_BYTES_MAX), ("CAR_ROOTS_MAX", CAR_ROOTS_MAX)] {
        assert!(section.contains(&format!("| `{name}` | {value} |")), "{name}");
    }
}
