//! Every kind of damage is made, and must be named.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use mnem_core::cid::Codec;
use mnem_core::port::{
    Blockstore, Collector, HeadsUpdate, Namespace, OpHeadsStore, OpenError, Row, RowTable, SideTable, Store,
    Swap, WriteBatch,
};
use mnem_core::{Block, Cid, OperationId};
use mnem_vfs::sim::{Calls, Fault, Keep, When};
use mnem_vfs::{Call, OpenMode, SimVfs, Vfs, VfsFileExt};

use super::{Ailment, Doctor, Examination, Level, PAGE_BYTES};
use crate::bytes::{StoreId, get, get_u32, put, wide};
use crate::group::Locator;
use crate::options::{Compression, MaintenancePolicy, StorageMode, StorageOptions, WalCommitPolicy};
use crate::page::{PAGE_HEADER_BYTES, PAGE_SIZE, PageId};
use crate::superblock::{SUPERBLOCK_BYTES, SpaceRun, Superblock};
use crate::wal::Lsn;
use crate::wal::record::{RECORD_HEADER_BYTES, Record, RecordHeader};
use crate::wal::segment::SegmentHeader;
use crate::{StorageEngine, changes, keys};

const OPTIONS: StorageOptions = StorageOptions {
    mode: StorageMode::Single,
    policy: WalCommitPolicy::Always,
    compression: Compression::None,
    group_bytes: 4 << 10,
    pool_bytes: 1 << 20,
    segment_bytes_max: 32 << 10,
    checkpoint_bytes: 64 << 10,
    direct_bytes: 32 << 10,
    maintenance: MaintenancePolicy::Inline,
};
const TABLE: RowTable = RowTable::new("sample");
const DATA: &str = "/store/data.nd";

fn block(seed: u32) -> Block {
    let length = usize::try_from(seed % 700 + 4).unwrap();
    let mut bytes = seed.to_le_bytes().to_vec();
    bytes.resize(length, b'a' + u8::try_from(seed % 26).unwrap());
    Block::new(Codec::Raw, bytes)
}

fn commit(store: &StorageEngine, blocks: &[Block]) {
    let old = store.heads(&Namespace::default()).unwrap();
    let head = OperationId::new(*blocks.last().unwrap().cid());
    let heads = HeadsUpdate::advance(Namespace::default(), &old, head);
    let lease = store.lease(&[]).unwrap();
    assert_eq!(store.commit(&lease, &WriteBatch { blocks, heads: &heads, rows: &[] }).unwrap(), Swap::Done);
}

/// A store with an index of two levels, a head and a row; closed, or with two commits in its log.
fn patient(is_closed: bool) -> Patient {
    let disk = SimVfs::new();
    let store = StorageEngine::open_or_init_with(Arc::new(disk.clone()), "/store", OPTIONS).unwrap();
    for first in (0..400).step_by(20) {
        commit(&store, &(first..first + 20).map(block).collect::<Vec<_>>());
    }
    let row = Row { table: TABLE, key: "key".into(), value: Some("value".into()) };
    store.put_rows(&[row]).unwrap();
    store.sync().unwrap();
    store.checkpoint().unwrap();
    if is_closed {
        drop(store);
        return Patient(disk.restart(Keep::All));
    }
    commit(&store, &[block(1000)]);
    commit(&store, &[block(1001)]);
    disk.cut_power();
    Patient(disk.restart(Keep::All))
}

struct Patient(SimVfs);

impl Patient {
    fn again(&self) -> Patient {
        Patient(self.0.restart(Keep::All))
    }

    fn examine(&self, level: Level) -> Examination {
        Doctor::with(Arc::new(self.0.clone()), "/store").examine(level, &mut |_, _, _| {}).unwrap()
    }

    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let names = self.0.list(Path::new("/store")).unwrap();
        let mut files: Vec<_> = names
            .map(|entry| {
                let path = format!("/store/{}", entry.unwrap().name.to_str().unwrap());
                let bytes = self.0.peek(&path).unwrap();
                (path, bytes)
            })
            .collect();
        files.sort();
        files
    }

    fn write(&self, path: &str, at: u64, bytes: &[u8]) {
        let file = self.0.open(Path::new(path), OpenMode::OpenOrCreate).unwrap();
        file.write_all_at(bytes, at).unwrap();
    }

    fn flip(&self, path: &str, at: u64) {
        let byte = self.0.peek(path).unwrap()[usize::try_from(at).unwrap()];
        self.write(path, at, &[byte ^ 1]);
    }

    fn remove(&self, path: &str) {
        self.0.remove_file(Path::new(path)).unwrap();
    }

    fn slot(&self, slot: u64) -> Superblock {
        let at = usize::try_from(Superblock::slot_offset(slot)).unwrap();
        let bytes = self.0.peek(DATA).unwrap();
        Superblock::decode(bytes[at..at + SUPERBLOCK_BYTES].try_into().unwrap()).unwrap()
    }

    fn newest(&self) -> Superblock {
        let [one, other] = [self.slot(0), self.slot(1)];
        if one.generation > other.generation { one } else { other }
    }

    fn older(&self) -> Superblock {
        self.slot(self.newest().generation + 1)
    }

    fn change(&self, change: impl FnOnce(&mut Superblock)) {
        let mut superblock = self.newest();
        change(&mut superblock);
        self.write(DATA, Superblock::slot_offset(superblock.generation), &superblock.encode());
    }

    fn store(&self) -> StoreId {
        self.newest().id
    }

    fn page(&self, page: u64) -> Vec<u8> {
        let at = usize::try_from(page * PAGE_BYTES).unwrap();
        self.0.peek(DATA).unwrap()[at..at + PAGE_SIZE].to_vec()
    }

    /// Writes a page with the checksum that it then has, which it returns.
    fn seal(&self, page: u64, mut bytes: Vec<u8>) -> u32 {
        let crc = self.store().checksum(page, &bytes[4..]);
        put(&mut bytes, 0..4, crc);
        self.write(DATA, page * PAGE_BYTES, &bytes);
        crc
    }

    /// Changes the root, as if it had been written so.
    fn change_root(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let page = self.newest().root.unwrap().at.page.0;
        let mut bytes = self.page(page);
        change(&mut bytes);
        let crc = self.seal(page, bytes);
        self.change(|superblock| superblock.root.as_mut().unwrap().at.crc = crc);
    }

    fn child(&self, entry: usize) -> u64 {
        let root = self.page(self.newest().root.unwrap().at.page.0);
        get(&root, child_field(&root, entry).start..child_field(&root, entry).start + 5)
    }

    /// Changes a leaf, as if it had been written so.
    fn change_leaf(&self, entry: usize, change: impl FnOnce(&mut Vec<u8>)) {
        let page = self.child(entry);
        let mut bytes = self.page(page);
        change(&mut bytes);
        let crc = self.seal(page, bytes);
        self.change_root(|root| {
            let field = child_field(root, entry);
            put(root, field.start + 5..field.end, crc);
        });
    }

    fn last_leaf(&self) -> usize {
        count(&self.page(self.newest().root.unwrap().at.page.0)) - 1
    }

    /// The place of the first block.
    fn first_place(&self) -> Locator {
        let leaf = self.page(self.child(0));
        Locator::decode(&leaf[value_field(&leaf, 0)]).unwrap()
    }

    /// Moves the first block elsewhere, as far as the index knows.
    fn change_place(&self, change: impl FnOnce(&mut Locator)) {
        let mut place = self.first_place();
        change(&mut place);
        self.change_leaf(0, |leaf| {
            let field = value_field(leaf, 0);
            leaf[field].copy_from_slice(&place.encode());
        });
    }

    /// Changes the group of the first block, as if it had been written so.
    fn change_group(&self, change: impl FnOnce(&mut [u8])) -> u32 {
        let place = self.first_place();
        let range = place.range();
        let all = self.0.peek(DATA).unwrap();
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        let mut group = all[range.clone()].to_vec();
        change(&mut group);
        let stored = usize::try_from(get(&group, 8..12)).unwrap();
        let payload = crc32c::crc32c(&group[40..40 + stored]);
        put(&mut group, 36..40, payload);
        let crc = self.store().checksum(place.granule, &group[4..40]);
        put(&mut group, 0..4, crc);
        self.write(DATA, wide(range.start), &group);
        crc
    }

    /// Writes the map of used pages with a change.
    fn change_map(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let run = self.newest().space;
        let mut map = self.page(run.page.0);
        change(&mut map);
        self.write(DATA, run.page.0 * PAGE_BYTES, &map);
        let crc = self.store().checksum(run.page.0, &map);
        self.change(|superblock| superblock.space = SpaceRun { crc, ..run });
    }

    /// Finds where in which segment a log position lies.
    fn in_log(&self, lsn: Lsn) -> (String, u64) {
        self.files()
            .into_iter()
            .find_map(|(path, bytes)| {
                let header = SegmentHeader::decode(self.store(), &bytes)?;
                (path.contains("wal") && header.start <= lsn && lsn < header.end())
                    .then(|| (path, lsn.0 - header.start.0))
            })
            .unwrap()
    }

    /// Writes a record with this payload over the first one that opening would apply.
    fn forge(&self, raw: &[u8]) {
        let superblock = self.newest();
        let (path, at) = self.in_log(superblock.lsn);
        let bytes = self.0.peek(&path).unwrap();
        let record = Record::read(superblock.id, superblock.lsn, &bytes[usize::try_from(at).unwrap()..]);
        let header = record.unwrap().header;
        let raw_len = u32::try_from(raw.len()).unwrap();
        let mut forged = Vec::new();
        RecordHeader { raw_len, is_lz4: false, ..header }.append(superblock.id, raw, &mut forged);
        self.write(&path, at, &forged);
    }

    /// A segment that the newest superblock does not need.
    fn idle_segment(&self) -> String {
        let needed = self.in_log(Lsn(self.newest().segment.0)).0;
        let mut paths = self.files().into_iter().map(|(path, _)| path).filter(|path| path.contains("wal"));
        paths.find(|path| *path != needed).unwrap()
    }
}

fn count(page: &[u8]) -> usize {
    usize::try_from(get(page, 6..8)).unwrap()
}

fn entry(page: &[u8], entry: usize) -> (usize, usize, usize) {
    let number = |at: usize| usize::try_from(get(page, at..at + 2)).unwrap();
    let start = number(PAGE_HEADER_BYTES + entry * 2);
    (start + 4, number(start), number(start + 2))
}

fn value_field(page: &[u8], number: usize) -> std::ops::Range<usize> {
    let (start, key, value) = entry(page, number);
    start + key..start + key + value
}

fn child_field(page: &[u8], number: usize) -> std::ops::Range<usize> {
    value_field(page, number)
}

type Harm = fn(&Patient);

/// On a store that was closed.
const CLOSED: &[(Ailment, Harm)] = &[
    (Ailment::MarkerMissing, |it| it.remove("/store/mnem-store")),
    (Ailment::MarkerDamaged, |it| it.write("/store/mnem-store", 0, b"x")),
    (Ailment::OtherKind, |it| {
        it.remove("/store/mnem-store");
        it.write("/store/mnem-store", 0, b"mnem simple 1\n");
    }),
    (Ailment::NewerFormat, |it| it.write("/store/mnem-store", 0, b"mnem native 2\n")),
    (Ailment::DataMissing, |it| it.remove(DATA)),
    (Ailment::DataShort, |it| {
        let pages = it.newest().file_pages;
        it.0.open(Path::new(DATA), OpenMode::ReadWrite).unwrap().set_len((pages - 1) * PAGE_BYTES).unwrap();
    }),
    (Ailment::SuperblocksLost, |it| {
        it.flip(DATA, 40);
        it.flip(DATA, PAGE_BYTES + 40);
    }),
    (Ailment::SuperblockDamaged, |it| it.flip(DATA, Superblock::slot_offset(it.older().generation) + 100)),
    (Ailment::SuperblockForeign, |it| {
        let other = Superblock { id: StoreId([9; 16]), ..it.older() };
        it.write(DATA, Superblock::slot_offset(other.generation), &other.encode());
    }),
    (Ailment::MapDamaged, |it| it.flip(DATA, it.newest().space.page.0 * PAGE_BYTES + 9)),
    (Ailment::OlderMapDamaged, |it| it.flip(DATA, it.older().space.page.0 * PAGE_BYTES + 9)),
    (Ailment::Unreadable, |it| it.0.inject(When::Nth(Calls::Of(Call::ReadAt), 12), Fault::Eio)),
    (Ailment::PageDamaged, |it| it.flip(DATA, it.child(1) * PAGE_BYTES + 900)),
    (Ailment::PageStale, |it| {
        let page = it.child(1);
        let mut bytes = it.page(page);
        put(&mut bytes, 16..24, 1_u64);
        it.seal(page, bytes);
    }),
    (Ailment::PageMisplaced, |it| it.write(DATA, it.child(1) * PAGE_BYTES, &it.page(it.child(2)))),
    (Ailment::PageSenseless, |it| it.change_leaf(1, |leaf| put(leaf, 6..8, 5000_u64))),
    (Ailment::PageLevel, |it| it.change(|superblock| superblock.root.as_mut().unwrap().level += 1)),
    (Ailment::PageOutside, |it| {
        it.change_root(|root| {
            let field = child_field(root, 1);
            put(root, field.start..field.start + 5, 1_u64 << 30);
        });
    }),
    (Ailment::PageTwice, |it| {
        it.change_root(|root| {
            let child = root[child_field(root, 0)].to_vec();
            let field = child_field(root, 1);
            root[field].copy_from_slice(&child);
        });
    }),
    (Ailment::PageShared, |it| {
        let root = it.newest().root.unwrap().at.page.0;
        it.change_place(|place| place.granule = root * 64);
    }),
    (Ailment::PageUnmarked, |it| {
        let page = usize::try_from(it.child(0)).unwrap();
        it.change_map(|map| map[page / 8] &= !(1 << (page % 8)));
    }),
    (Ailment::PagesLeaked, |it| it.change(|superblock| superblock.root = None)),
    (Ailment::KeyOrder, |it| {
        it.change_root(|root| {
            let (one, other) = (child_field(root, 1), child_field(root, 2));
            let (first, second) = (root[one.clone()].to_vec(), root[other.clone()].to_vec());
            root[one].copy_from_slice(&second);
            root[other].copy_from_slice(&first);
        });
    }),
    (Ailment::KeyUnknown, |it| {
        it.change_leaf(it.last_leaf(), |leaf| {
            let (start, ..) = entry(leaf, count(leaf) - 1);
            leaf[start] = 0x40;
        });
    }),
    (Ailment::KeyCount, |it| it.change(|superblock| superblock.keys += 1)),
    (Ailment::LocatorBad, |it| it.change_place(|place| place.granule = 3)),
    (Ailment::HeadAbsent, |it| {
        it.change_leaf(it.last_leaf(), |leaf| {
            let (start, length, _) = entry(leaf, count(leaf) - 2);
            leaf[start + length - 1] ^= 1;
        });
    }),
    (Ailment::LogSegmentMissing, |it| it.remove(&it.in_log(it.newest().segment).0)),
    (Ailment::LogSegmentDamaged, |it| it.flip(&it.idle_segment(), 30)),
    (Ailment::LogSegmentForeign, |it| {
        let header = SegmentHeader { start: Lsn(0), size: 32 << 10, epoch: 1 };
        it.write(&it.idle_segment(), 0, &header.encode(StoreId([9; 16])));
    }),
    (Ailment::GroupDamaged, |it| it.flip(DATA, it.first_place().range().start + 9)),
    (Ailment::GroupStale, |it| {
        it.change_group(|group| group[24] ^= 1);
    }),
    (Ailment::GroupPayload, |it| it.flip(DATA, it.first_place().range().start + 60)),
    (Ailment::GroupSenseless, |it| {
        let crc = it.change_group(|group| put(group, 6..8, 60_000_u64));
        it.change_place(|place| place.crc = crc);
    }),
    (Ailment::SlotAbsent, |it| it.change_place(|place| place.slot = 900)),
    (Ailment::BlockWrong, |it| {
        let slot = usize::from(it.first_place().slot);
        let crc = it.change_group(|group| {
            let values = usize::try_from(get(group, 6..8)).unwrap();
            let start = if slot == 0 { 0 } else { get_u32(group, 40 + slot * 5 - 5..40 + slot * 5 - 1) };
            group[40 + values * 5 + usize::try_from(start).unwrap()] ^= 1;
        });
        // Every other block of the group is told to be elsewhere now, too: its checksum has changed.
        it.change_place(|place| place.crc = crc);
    }),
    (Ailment::RowDamaged, |it| {
        let leaf = it.page(it.child(it.last_leaf()));
        let place = Locator::decode(&leaf[value_field(&leaf, count(&leaf) - 1)]).unwrap();
        it.flip(DATA, place.range().start + 46);
    }),
    (Ailment::Leftover, |it| it.write("/store/mnem-store.new", 0, b"")),
    (Ailment::ForeignFile, |it| it.write("/store/notes.txt", 0, b"mine")),
];

/// On a store with two records in its log.
const OPEN: &[(Ailment, Harm)] = &[
    (Ailment::LogLost, |it| {
        let (path, at) = it.in_log(it.newest().lsn);
        it.flip(&path, at + RECORD_HEADER_BYTES as u64);
    }),
    (Ailment::LogRecord, |it| it.forge(b"no change at all")),
    (Ailment::LogTail, |it| {
        let end = it.examine(Level::Outline).log_end;
        let (path, at) = it.in_log(Lsn(end.0 - 4096));
        let superblock = it.newest();
        let bytes = it.0.peek(&path).unwrap();
        let last = Record::read(superblock.id, Lsn(end.0 - 4096), &bytes[usize::try_from(at).unwrap()..]);
        let header = last.unwrap().header;
        let mut next = Vec::new();
        // As after a power cut: whole, but it follows one that is not there.
        let torn = RecordHeader { lsn: end, txn: header.txn + 2, durable: end, chain: 7, ..header };
        torn.append(superblock.id, b"", &mut next);
        it.write(&path, at + 4096, &next);
    }),
    (Ailment::LogBlock, |it| {
        let key: keys::Key = keys::block(block(1000).cid());
        let value = crate::memtable::Value::Bytes("other bytes".into());
        it.forge(&changes::encode(&[(key, Some(value))]));
    }),
];

#[test]
fn a_store_without_damage_has_no_finding() {
    for (is_closed, records) in [(true, 0), (false, 2)] {
        let patient = patient(is_closed);
        let before = patient.files();
        let report = patient.examine(Level::Blocks);
        assert!(report.is_clean(), "{report}");
        assert_eq!((report.blocks, report.rows, report.heads, report.log_records), (400, 1, 1, records));
        assert!(report.pages.inner == 1 && report.pages.leaf > 2 && report.pages.values > 2, "{report}");
        assert_eq!(patient.files(), before);
    }
    let disk = SimVfs::new();
    drop(StorageEngine::open_or_init_with(Arc::new(disk.clone()), "/store", OPTIONS).unwrap());
    assert!(Patient(disk).examine(Level::Blocks).is_clean(), "a new store");
}

#[test]
fn every_kind_of_damage_is_named_and_nothing_is_written() {
    let mut named = BTreeSet::new();
    for (is_closed, cases) in [(true, CLOSED), (false, OPEN)] {
        let well = patient(is_closed);
        for (ailment, harm) in cases {
            let patient = well.again();
            harm(&patient);
            let before = patient.files();
            let report = patient.examine(Level::Blocks);
            let found: Vec<Ailment> = report.findings.iter().map(|finding| finding.ailment).collect();
            assert!(found.contains(ailment), "{} is found as {found:?}", ailment.code());
            assert!(!report.is_clean() && report.to_json().contains(ailment.code()));
            assert_eq!(patient.files(), before, "{}", ailment.code());
            named.insert(*ailment);
        }
    }
    let missed: Vec<_> = Ailment::ALL.iter().filter(|ailment| !named.contains(*ailment)).collect();
    assert!(missed.is_empty(), "never made: {missed:?}");
    assert!(named.len() >= 40);
}

/// What only the pages can show is not looked for at the level of the outline, and so on.
#[test]
fn each_level_looks_at_what_it_says() {
    let well = patient(true);
    let levels = [(Ailment::PageDamaged, Level::Pages), (Ailment::GroupPayload, Level::Blocks)];
    for (ailment, least) in levels {
        let patient = well.again();
        let (_, harm) = CLOSED.iter().find(|(other, _)| *other == ailment).unwrap();
        harm(&patient);
        for level in [Level::Outline, Level::Pages, Level::Blocks] {
            assert_eq!(patient.examine(level).has_errors(), level >= least, "{level:?}");
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_ends_in_a_report() {
    let well = patient(false);
    let mut found = 0;
    for (path, bytes) in well.files() {
        for at in (0..bytes.len()).step_by(bytes.len() / 150 + 1) {
            let patient = well.again();
            patient.flip(&path, wide(at));
            found += u32::from(!patient.examine(Level::Blocks).is_clean());
        }
    }
    println!("{found} flipped bits were in use");
    assert!(found > 50);
}

#[test]
fn a_store_that_somebody_has_open_is_left_alone() {
    let disk = SimVfs::new();
    let store = StorageEngine::open_or_init_with(Arc::new(disk.clone()), "/store", OPTIONS).unwrap();
    let doctor = Doctor::with(Arc::new(disk.process()), "/store");
    let refused = doctor.examine(Level::Outline, &mut |_, _, _| {});
    assert!(matches!(refused, Err(OpenError::Locked { .. })), "{refused:?}");
    drop(store);
    doctor.examine(Level::Outline, &mut |_, _, _| {}).unwrap();
    let nowhere = Doctor::with(Arc::new(disk), "/nowhere").examine(Level::Outline, &mut |_, _, _| {});
    assert!(matches!(nowhere, Err(OpenError::Missing { .. })));
}

#[test]
fn pages_records_and_superblocks_are_shown() {
    let patient = patient(false);
    let doctor = Doctor::with(Arc::new(patient.0.clone()), "/store");
    let [one, other] = doctor.superblocks().unwrap();
    assert!(one.to_string().contains("generation") && other.to_json().contains("\"is\":\"valid\""));
    let root = patient.newest().root.unwrap().at.page;
    assert!(doctor.page(root).unwrap().to_string().contains("an inner page of the index"));
    let leaf = doctor.page(PageId(patient.child(0))).unwrap().to_string();
    let first: Cid = keys::cid(&{
        let leaf = patient.page(patient.child(0));
        let (start, length, _) = entry(&leaf, 0);
        leaf[start..start + length].to_vec()
    })
    .unwrap();
    assert!(leaf.contains(&format!("block {first}")), "{leaf}");
    assert!(doctor.page(PageId(1 << 40)).unwrap().to_string().contains("outside"));
    let record = doctor.record(patient.newest().lsn).unwrap().to_string();
    assert!(record.contains(&format!("block {}", block(1000).cid())) && record.contains("head"), "{record}");
    assert!(doctor.record(Lsn(3)).unwrap().to_string().contains("no record"));
}
