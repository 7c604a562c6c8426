//! The log by itself: what a scan accepts, and what it must not.

use std::path::Path;
use std::sync::Arc;

use mnem_core::port::Fault;
use mnem_vfs::sim::Keep;
use mnem_vfs::{OpenMode, SimVfs, Vfs, VfsFileExt};

use super::scan::{End, From, Segments, scan};
use super::segment::{self, SegmentHeader};
use super::{Body, Lsn, Parts, Placed, Resume, Wal};
use crate::bytes::StoreId;
use crate::metrics::Counters;
use crate::options::Compression;

const STORE: StoreId = StoreId([7; 16]);
const DIR: &str = "/log";
const SIZE: u64 = 32 << 10;
const START: From = From { position: Lsn(4096), segment: Lsn(0), chain: 0, epoch: 0, txn: 0 };

fn fresh() -> SimVfs {
    let disk = SimVfs::new();
    disk.create_dir(Path::new(DIR)).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    let file = segment::create(&disk, Path::new(DIR), 1, SIZE).unwrap();
    let header = SegmentHeader { start: Lsn(0), size: SIZE, epoch: 0 };
    file.write_all_at(&header.encode(STORE), 0).unwrap();
    file.sync_data().unwrap();
    disk
}

fn read(disk: &SimVfs, from: From) -> Result<(End, Vec<String>), Fault> {
    let segments = Segments::open(disk, Path::new(DIR), STORE, OpenMode::ReadWrite)?;
    let mut found = Vec::new();
    let end = scan(&segments, from, None, |_, raw| {
        found.push(String::from_utf8(raw).ok()?);
        Some(())
    })?;
    Ok((end, found))
}

/// What a writer finds and goes on from; epoch and nonce as it is told.
fn writer(disk: &SimVfs, epoch: u32, nonce: u32) -> Wal {
    let (end, _) = read(disk, START).unwrap();
    let segments = Segments::open(disk, Path::new(DIR), STORE, OpenMode::ReadWrite).unwrap();
    let number = segments.files[end.segment].0.number;
    let header = segments.files[end.segment].0.header.unwrap();
    let others = segments.files.iter().filter(|(file, _)| file.number != number).map(|(file, _)| Placed {
        number: file.number,
        bytes: file.bytes,
        end: file.header.map(|other| other.end()).filter(|end| *end <= header.start),
    });
    let others = others.collect();
    let parts = Parts {
        vfs: Arc::new(disk.clone()),
        dir: DIR.into(),
        store: STORE,
        compression: Compression::None,
        segment_bytes_max: SIZE,
        counters: Arc::new(Counters::default()),
        health: Arc::default(),
    };
    let at = Resume { position: end.position, chain: end.chain, txn: end.txn, epoch, nonce };
    Wal::resume(parts, segments.files.into_iter().nth(end.segment).unwrap().1, number, header, others, at)
}

fn body(text: &str) -> Body {
    Body::new(text.as_bytes().to_vec(), 1, Compression::None)
}

fn append(wal: &mut Wal, texts: &[&str]) {
    wal.append(&texts.iter().map(|text| body(text)).collect::<Vec<_>>()).unwrap();
}

/// Writes over what begins at a position of the first segment.
fn damage(disk: &SimVfs, at: Lsn) {
    let file = disk.open(Path::new("/log/wal-0001"), OpenMode::ReadWrite).unwrap();
    file.write_all_at(&[0xff; 80], at.0).unwrap();
}

#[test]
fn records_come_back_in_order_across_flushes_and_segments() {
    let disk = fresh();
    let mut wal = writer(&disk, 1, 1);
    let mut expected = Vec::new();
    for flush in 0..30 {
        let texts = [format!("{flush} a"), "x".repeat(100 * flush), format!("{flush} c")];
        append(&mut wal, &[&texts[0], &texts[1], &texts[2]]);
        expected.extend(texts);
    }
    wal.sync().unwrap();
    let (end, found) = read(&disk.restart(Keep::Nothing), START).unwrap();
    assert_eq!(found, expected);
    assert_eq!((end.position, end.records), (wal.position(), 90));
    assert!(segment::numbers(&disk, Path::new(DIR)).unwrap().len() > 3);
}

#[test]
fn a_torn_last_record_is_dropped() {
    let disk = fresh();
    let mut wal = writer(&disk, 1, 1);
    append(&mut wal, &["a"]);
    wal.sync().unwrap();
    let torn = wal.position();
    append(&mut wal, &["b"]);
    damage(&disk, torn);
    let (end, found) = read(&disk, START).unwrap();
    assert_eq!((found, end.position), (vec!["a".to_owned()], torn));
}

#[test]
fn a_damaged_record_that_was_promised_is_refused() {
    let disk = fresh();
    let mut wal = writer(&disk, 1, 1);
    let first = wal.position();
    append(&mut wal, &["a"]);
    wal.sync().unwrap();
    append(&mut wal, &["b"]);
    damage(&disk, first);
    let error = read(&disk, START).unwrap_err();
    assert!(matches!(error, Fault::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("wal-0001, log position 4096"), "{error}");
}

#[test]
fn a_damaged_record_that_nobody_promised_ends_the_log() {
    let disk = fresh();
    let mut wal = writer(&disk, 1, 1);
    let first = wal.position();
    append(&mut wal, &["a"]);
    append(&mut wal, &["b"]);
    damage(&disk, first);
    let (end, found) = read(&disk, START).unwrap();
    assert!(found.is_empty() && end.has_tail);
}

/// The writer before was cut off: its first record is lost, its second is there. The next writer's first record is as
/// long, and even says the same.
fn cut_off_then_again(epochs: (u32, u32), nonces: (u32, u32)) -> Vec<String> {
    let disk = fresh();
    let mut wal = writer(&disk, epochs.0, nonces.0);
    let first = wal.position();
    append(&mut wal, &["same"]);
    append(&mut wal, &["ghost"]);
    damage(&disk, first);
    let mut again = writer(&disk, epochs.1, nonces.1);
    append(&mut again, &["same"]);
    again.sync().unwrap();
    read(&disk, START).unwrap().1
}

#[test]
fn a_record_of_a_writer_that_was_cut_off_is_not_taken_for_the_next() {
    assert_eq!(cut_off_then_again((1, 2), (1, 1)), ["same"]);
    assert_eq!(cut_off_then_again((1, 1), (1, 2)), ["same"]);
    // With neither a new epoch nor a new nonce, nothing could tell: so this test can see the ghost.
    assert_eq!(cut_off_then_again((1, 1), (1, 1)), ["same", "ghost"]);
}

#[test]
fn the_next_writer_takes_an_epoch_above_all_that_is_there() {
    let disk = fresh();
    let mut wal = writer(&disk, 5, 1);
    let first = wal.position();
    append(&mut wal, &["a"]);
    append(&mut wal, &["b"]);
    damage(&disk, first);
    assert_eq!(read(&disk, START).unwrap().0.epoch_seen, 5);
}

#[test]
fn a_record_of_an_earlier_lap_is_not_replayed() {
    let disk = fresh();
    let mut wal = writer(&disk, 1, 1);
    // Equal records fill the first segments; then all of it is covered by a checkpoint and used again.
    for _ in 0..20 {
        append(&mut wal, &["equal"]);
    }
    wal.sync().unwrap();
    let from = From {
        position: wal.position(),
        segment: wal.segment_start(),
        chain: wal.chain(),
        epoch: wal.epoch(),
        txn: wal.txn(),
    };
    wal.release(from.position);
    let before = segment::numbers(&disk, Path::new(DIR)).unwrap();
    for _ in 0..9 {
        append(&mut wal, &["equal"]);
    }
    wal.sync().unwrap();
    assert_eq!(segment::numbers(&disk, Path::new(DIR)).unwrap(), before, "no new segment");
    let (end, found) = read(&disk, from).unwrap();
    assert_eq!((found.len(), end.position), (9, wal.position()));
}

#[test]
fn a_segment_that_is_needed_is_not_used_again() {
    let disk = fresh();
    let mut wal = writer(&disk, 1, 1);
    for _ in 0..20 {
        append(&mut wal, &["text"]);
    }
    wal.release(Lsn(SIZE)); // the first segment only
    for _ in 0..20 {
        append(&mut wal, &["text"]);
    }
    wal.sync().unwrap();
    let from = From { position: Lsn(SIZE + 4096), segment: Lsn(SIZE), chain: 0, epoch: 1, txn: 7 };
    let header = Segments::open(&disk, Path::new(DIR), STORE, OpenMode::ReadWrite).unwrap();
    assert!(header.files.iter().any(|(file, _)| file.header.is_some_and(|header| header.start == Lsn(SIZE))));
    drop(header);
    // Its first record repeats a checksum that `from` does not know: so take it from the record itself.
    let segment = disk.peek("/log/wal-0002").unwrap();
    let record = super::record::Record::read(STORE, Lsn(SIZE + 4096), &segment[4096..]).unwrap();
    let (_, found) = read(&disk, From { chain: record.header.chain, ..from }).unwrap();
    assert_eq!(found.len(), 33);
}

#[test]
fn a_full_segment_is_synced_before_the_next_is_touched() {
    let disk = fresh();
    let mut wal = writer(&disk, 1, 1);
    while wal.segment_start() == Lsn(0) {
        append(&mut wal, &["text"]);
    }
    let found = read(&disk.restart(Keep::Nothing), START).unwrap().1;
    assert_eq!(found.len(), 7, "what fits the first segment, without a sync of the second");
}

#[test]
fn a_segment_that_is_missing_in_the_middle_is_refused() {
    let disk = fresh();
    let mut wal = writer(&disk, 1, 1);
    for _ in 0..20 {
        append(&mut wal, &["text"]);
        wal.sync().unwrap();
    }
    drop(wal);
    disk.remove_file(Path::new("/log/wal-0002")).unwrap();
    assert!(matches!(read(&disk, START), Err(Fault::Corrupt { .. })));
    disk.remove_file(Path::new("/log/wal-0001")).unwrap();
    assert!(matches!(read(&disk, START), Err(Fault::Corrupt { .. })));
}

#[test]
fn every_flipped_bit_of_a_record_ends_the_log_before_it() {
    let disk = fresh();
    let mut wal = writer(&disk, 1, 1);
    append(&mut wal, &["a", "bb"]);
    wal.sync().unwrap();
    for bit in 0..(64 + 1 + 64 + 2) * 8 {
        let disk = disk.restart(Keep::All);
        disk.flip_bit("/log/wal-0001", 4096 * 8 + bit).unwrap();
        let found = read(&disk, START).unwrap().1;
        let expected: &[&str] = if bit < 65 * 8 { &[] } else { &["a"] };
        assert_eq!(found, expected, "bit {bit}");
    }
}

#[test]
fn after_a_failed_sync_the_log_takes_nothing() {
    use mnem_vfs::sim::{Calls, Fault as DiskFault, When};
    let disk = fresh();
    let mut wal = writer(&disk, 1, 1);
    append(&mut wal, &["a"]);
    disk.inject(When::Nth(Calls::Syncs, 0), DiskFault::Eio);
    assert!(matches!(wal.sync(), Err(Fault::Io { action: "sync", .. })));
    assert!(matches!(wal.sync(), Err(Fault::Poisoned { action: "sync" })));
    assert!(matches!(wal.append(&[body("b")]), Err(Fault::Poisoned { .. })));
}

#[test]
fn a_full_disk_leaves_the_log_as_it_was() {
    let disk = fresh();
    let mut wal = writer(&disk, 1, 1);
    disk.set_capacity(Some(SIZE));
    while wal.append(&[body("text")]).is_ok() {}
    let error = wal.append(&[body("text")]).unwrap_err();
    assert!(matches!(error, Fault::Full { .. }), "{error}");
    disk.set_capacity(None);
    append(&mut wal, &["more"]);
    wal.sync().unwrap();
    assert_eq!(read(&disk, START).unwrap().1.len(), 8);
}
