//! The format, held fast: golden bytes, and the tables of FORMAT.md against the offsets in the code.

use std::ops::Range;

use bytes::Bytes;

use crate::bytes::StoreId;
use crate::group::{self, Draft, GroupKind, Locator};
use crate::index::Builder;
use crate::memtable::{Change, Value};
use crate::options::Compression;
use crate::page::{self, PageId};
use crate::superblock::{self, Pointer, Root, SpaceRun, Superblock};
use crate::wal::Lsn;
use crate::wal::record::{self, RecordHeader};
use crate::wal::segment::{self, SegmentHeader};
use crate::{changes, shared, space};

const STORE: StoreId = StoreId(*b"0123456789abcdef");

/// Compares with a fixture: hexadecimal, trailing zeros left out.
fn check(bytes: &[u8], golden: &str) {
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let hex: String = bytes[..used].iter().map(|byte| format!("{byte:02x}")).collect();
    let golden: String = golden.split_whitespace().collect();
    assert_eq!(hex, golden, "other bytes mean a new version of the format");
}

#[test]
fn superblock_bytes_are_frozen() {
    let superblock = Superblock {
        id: STORE,
        generation: 7,
        epoch: 3,
        chain: 0x0102_0304,
        lsn: Lsn(0x1_2000),
        segment: Lsn(0x1_0000),
        txn: 99,
        file_pages: 12,
        keys: 5,
        root: Some(Root { at: Pointer { page: PageId(4), crc: 0xa1a2_a3a4 }, level: 1 }),
        space: SpaceRun { page: PageId(9), pages: 1, crc: 0xb1b2_b3b4 },
    };
    check(&superblock.encode(), include_str!("../../tests/fixtures/v1/native_superblock.hex"));
}

#[test]
fn index_page_bytes_are_frozen() {
    let mut leaf = Builder::new(0);
    leaf.push(b"key", b"value");
    leaf.push(b"key 2", b"");
    let (leaf, at) = leaf.seal(STORE, PageId(5), 7);
    check(leaf.image(), include_str!("../../tests/fixtures/v1/native_leaf.hex"));
    let mut inner = Builder::new(1);
    inner.push(b"k", &Builder::child(at));
    let (inner, _) = inner.seal(STORE, PageId(6), 7);
    check(inner.image(), include_str!("../../tests/fixtures/v1/native_inner.hex"));
}

#[test]
fn value_group_bytes_are_frozen() {
    let values =
        [(1, Bytes::from_static(b"one")), (3, Bytes::from_static(b"")), (3, Bytes::from_static(b"three"))];
    let mut bytes = Vec::new();
    let draft = Draft::new(GroupKind::Blocks, &values, Compression::None);
    let crc = draft.place(STORE, 128, 7, &mut bytes);
    check(&bytes, include_str!("../../tests/fixtures/v1/native_group.hex"));
    let locator = Locator { granule: 128, granules: draft.granules(), slot: 2, crc };
    check(&locator.encode(), include_str!("../../tests/fixtures/v1/native_locator.hex"));
}

#[test]
fn log_bytes_are_frozen() {
    let header = SegmentHeader { start: Lsn(0x8000), size: 0x1_0000, epoch: 3 };
    check(&header.encode(STORE), include_str!("../../tests/fixtures/v1/native_segment.hex"));
    let batch: Vec<Change> = vec![
        (b"put".as_slice().into(), Some(Value::Bytes(Bytes::from_static(b"value")))),
        (b"remove".as_slice().into(), None),
    ];
    let raw = changes::encode(&batch);
    let header = RecordHeader {
        lsn: Lsn(0x9000),
        epoch: 3,
        nonce: 0x0506_0708,
        txn: 100,
        durable: Lsn(0x9000),
        changes: 2,
        chain: 0x0102_0304,
        raw_len: u32::try_from(raw.len()).unwrap(),
        is_lz4: false,
        is_last: true,
    };
    let mut bytes = Vec::new();
    header.append(STORE, &raw, &mut bytes);
    check(&bytes, include_str!("../../tests/fixtures/v1/native_record.hex"));
}

#[test]
fn a_map_has_the_first_page_in_the_lowest_bit() {
    let mut map = space::PageMap::of_slots();
    map.insert(9..10);
    assert_eq!(map.to_bytes(16), [0b11, 0b10]);
}

/// Fields in order.
type Layout<'a> = &'a [(&'static str, Range<usize>)];

/// Every layout of the code is a table of FORMAT.md, field by field.
#[test]
fn the_tables_of_the_document_are_the_offsets_of_the_code() {
    let document = include_str!("../../docs/FORMAT.md");
    let (_, native) = document.split_once("\n## Native backend\n").expect("the section is there");
    let tables: [(&str, Layout<'_>); 7] = [
        ("Processes", &shared::LAYOUT),
        ("Superblock", &superblock::LAYOUT),
        ("Page", &page::LAYOUT),
        ("Value group", &group::LAYOUT),
        ("Locator", &group::LOCATOR_LAYOUT),
        ("Log segment", &segment::LAYOUT),
        ("Log record", &record::LAYOUT),
    ];
    for (heading, layout) in tables {
        let (_, rest) = native.split_once(&format!("\n### {heading}\n")).expect(heading);
        let section = rest.split("\n### ").next().expect("there is always a first part");
        let rows: Vec<(usize, usize, &str)> = section.lines().filter_map(row).collect();
        let expected: Vec<(usize, usize, &str)> =
            layout.iter().map(|(name, range)| (range.start, range.len(), *name)).collect();
        assert_eq!(rows, expected, "{heading}");
    }
}

/// Reads `| offset | bytes | field | …`.
fn row(line: &str) -> Option<(usize, usize, &str)> {
    let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
    Some((cells.next()?.parse().ok()?, cells.next()?.parse().ok()?, cells.next()?))
}
