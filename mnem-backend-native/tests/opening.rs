//! What can be at a place, and what opening says of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use common::{Known, OPTIONS, block, look, run};
use mnem_backend_native::{PAGE_SIZE, StorageEngine, StorageOptions, WalCommitPolicy};
use mnem_core::port::{BlockRead, Blockstore, Fault, OpenError, Store};
use mnem_vfs::sim::{Calls, Fault as DiskFault, Keep, When};
use mnem_vfs::{CountingVfs, OpenMode, RealVfs, SimVfs, Vfs, VfsFileExt};

fn allocated_bytes(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| fs::symlink_metadata(path).unwrap().blocks() * 512).sum()
}

fn open(disk: &SimVfs) -> Result<StorageEngine, OpenError> {
    StorageEngine::open_with(Arc::new(disk.clone()), "/store", OPTIONS)
}

/// A store after the script, closed.
fn closed() -> (SimVfs, Known) {
    let (disk, mut known) = (SimVfs::new(), Known::default());
    run(&disk, &mut known).unwrap();
    (disk.restart(Keep::All), known)
}

/// A store with commits in its log.
fn with_log() -> SimVfs {
    let (disk, mut known) = (SimVfs::new(), Known::default());
    disk.cut_at(closed_calls() - 6);
    let _ = run(&disk, &mut known);
    disk.restart(Keep::All)
}

fn closed_calls() -> u64 {
    let (disk, mut known) = (SimVfs::new(), Known::default());
    run(&disk, &mut known).unwrap();
    disk.calls()
}

fn write(disk: &SimVfs, path: &str, at: u64, bytes: &[u8]) {
    disk.open(Path::new(path), OpenMode::OpenOrCreate).unwrap().write_all_at(bytes, at).unwrap();
}

#[test]
fn an_empty_store_takes_at_most_128_kib() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("store");
    let store = StorageEngine::open_or_init(&place, StorageOptions::default()).unwrap();
    assert_eq!(store.kind(), "native");
    let bytes = allocated_bytes(&place);
    println!("an empty store takes {bytes} bytes");
    assert!(bytes <= 128 << 10, "{bytes}");
}

#[test]
fn nothing_there_is_missing_and_stays_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("store");
    let opened = StorageEngine::open(&place, StorageOptions::default());
    assert!(matches!(opened, Err(OpenError::Missing { .. })));
    assert!(!place.exists());
}

#[test]
fn a_store_is_not_made_where_one_is() {
    let (disk, known) = closed();
    let made = StorageEngine::init_with(Arc::new(disk.clone()), "/store", OPTIONS);
    assert!(matches!(made, Err(OpenError::Exists { .. })), "{made:?}");
    look(&disk, &known).unwrap();
}

#[test]
fn what_is_no_store_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let foreign = folder.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("notes.txt"), "mine").unwrap();
    for place in [&file, &foreign] {
        let opened = StorageEngine::open_or_init(place, StorageOptions::default());
        assert!(matches!(opened, Err(OpenError::NotAStore { .. })), "{opened:?}");
    }
    assert_eq!(fs::read_dir(&foreign).unwrap().count(), 1);
}

#[test]
fn the_marker_says_what_can_be_opened() {
    let check = |text: &[u8]| {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mnem-store"), text).unwrap();
        let error = StorageEngine::open_or_init(folder.path(), StorageOptions::default()).unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is created");
        error
    };
    let other = check(b"mnem simple 1\n");
    assert!(matches!(&other, OpenError::OtherKind { found, wanted: "native", .. } if found == "simple"));
    assert!(matches!(check(b"mnem native 2\n"), OpenError::NewerFormat { found: 2, readable: 1, .. }));
    assert!(matches!(check(b"mnem nat"), OpenError::Fault(Fault::Corrupt { what: "the marker", .. })));
    let lost = check(b"mnem native 1\n");
    assert!(lost.to_string().contains("data.nd"), "{lost}");
}

#[test]
fn a_store_without_its_marker_is_not_made_anew() {
    let (disk, known) = closed();
    disk.remove_file(Path::new("/store/mnem-store")).unwrap();
    let opened = StorageEngine::open_or_init_with(Arc::new(disk.clone()), "/store", OPTIONS);
    assert!(matches!(opened, Err(OpenError::NotAStore { .. })), "{opened:?}");
    write(&disk, "/store/mnem-store", 0, b"mnem native 1\n");
    look(&disk, &known).unwrap();
}

#[test]
fn one_damaged_superblock_is_survived_two_are_refused() {
    let (disk, known) = closed();
    write(&disk, "/store/data.nd", 40, b"xxxx");
    // The older one alone: it needs a log that may be used again by now.
    match open(&disk).map(drop) {
        Ok(()) => look(&disk, &known).unwrap(),
        Err(error) => assert!(matches!(error, OpenError::Fault(Fault::Corrupt { .. })), "{error}"),
    }
    let (disk, _) = closed();
    write(&disk, "/store/data.nd", 40, b"xxxx");
    write(&disk, "/store/data.nd", PAGE_SIZE as u64 + 40, b"xxxx");
    let error = open(&disk).unwrap_err();
    let what = "the superblock (both copies)";
    assert!(
        matches!(&error, OpenError::Fault(Fault::Corrupt { what: found, .. }) if *found == what),
        "{error}"
    );
    assert!(error.to_string().contains("/store/data.nd"), "{error}");
}

/// The pages of the older superblock are whole as long as its log is, even while a newer checkpoint is being written.
#[test]
fn the_older_superblock_still_works_while_a_checkpoint_is_under_way() {
    let disk = SimVfs::new();
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let store = StorageEngine::open_or_init_with(vfs, "/store", StorageOptions::default()).unwrap();
    let blocks: Vec<_> = (0..4).map(|seed| block(seed, 1500)).collect();
    for block in &blocks[..3] {
        store.put(block).unwrap();
        store.checkpoint().unwrap();
    }
    store.put(&blocks[3]).unwrap();
    store.sync().unwrap();
    // The pages are written, the superblock is not.
    disk.inject(When::Nth(Calls::Syncs, 0), DiskFault::Interrupted);
    store.checkpoint().unwrap_err();
    drop(store);
    disk.clear_faults();
    let image = disk.restart(Keep::All);
    write(&image, "/store/data.nd", 40, b"xxxx");
    let store = StorageEngine::open_with(Arc::new(image), "/store", OPTIONS).unwrap();
    assert!(store.report().lone_superblock && store.report().generation == 3);
    store.check().unwrap();
    blocks.iter().for_each(|block| assert!(store.get(block.cid()).unwrap().is_some()));
}

#[test]
fn a_missing_log_segment_is_refused_and_named() {
    for disk in [closed().0, with_log()] {
        for number in 1..9 {
            let _ = disk.remove_file(Path::new(&format!("/store/wal-{number:04}")));
        }
        let error = open(&disk).unwrap_err();
        assert!(error.to_string().contains("segment"), "{error}");
        assert!(matches!(error, OpenError::Fault(Fault::Corrupt { .. })));
    }
}

#[test]
fn a_data_file_that_is_missing_or_cut_short_is_refused() {
    let (disk, _) = closed();
    let file = disk.open(Path::new("/store/data.nd"), OpenMode::ReadWrite).unwrap();
    file.set_len(file.len().unwrap() / 2).unwrap();
    drop(file);
    assert!(matches!(open(&disk), Err(OpenError::Fault(Fault::Corrupt { .. }))));
    disk.remove_file(Path::new("/store/data.nd")).unwrap();
    let error = StorageEngine::open_or_init_with(Arc::new(disk), "/store", OPTIONS).unwrap_err();
    assert!(matches!(error, OpenError::Fault(Fault::Corrupt { .. })), "{error}");
}

#[test]
fn a_second_opener_is_told_that_the_store_is_open() {
    let disk = SimVfs::new();
    let store = StorageEngine::open_or_init_with(Arc::new(disk.clone()), "/store", OPTIONS).unwrap();
    assert!(matches!(open(&disk.process()), Err(OpenError::Locked { .. })));
    drop(store);
    open(&disk.process()).unwrap();
}

#[test]
fn a_snapshot_keeps_the_store_open() {
    let disk = SimVfs::new();
    let store = StorageEngine::open_or_init_with(Arc::new(disk.clone()), "/store", OPTIONS).unwrap();
    let snapshot = store.snapshot().unwrap();
    drop(store);
    assert!(matches!(open(&disk), Err(OpenError::Locked { .. })));
    drop(snapshot);
    open(&disk).unwrap();
}

#[test]
fn options_out_of_range_are_refused_before_anything_is_made() {
    let disk = SimVfs::new();
    let options = StorageOptions { policy: WalCommitPolicy::Every(0), ..OPTIONS };
    let opened = StorageEngine::open_or_init_with(Arc::new(disk.clone()), "/store", options);
    assert!(matches!(opened, Err(OpenError::Fault(Fault::Unsupported { .. }))));
    assert_eq!(disk.metadata(Path::new("/store")).unwrap(), None);
}

#[test]
fn opening_and_reading_a_closed_store_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = StorageEngine::init(folder.path(), StorageOptions::default()).unwrap();
    let kept = block(1, 500);
    store.put(&kept).unwrap();
    store.close().unwrap();
    let disk = CountingVfs::new(RealVfs::new());
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let store = StorageEngine::open_with(vfs, folder.path(), StorageOptions::default()).unwrap();
    assert!(store.report().clean, "{:?}", store.report());
    assert_eq!(store.get(kept.cid()).unwrap(), Some(kept));
    drop(store);
    let counts = disk.counts();
    let changes = counts.writes + counts.create_dirs + counts.removes + counts.renames + counts.set_lens;
    assert_eq!(changes, 0);
}

#[test]
fn the_report_says_what_was_replayed() {
    let disk = SimVfs::new();
    let store = StorageEngine::open_or_init_with(Arc::new(disk.clone()), "/store", OPTIONS).unwrap();
    assert!(store.report().clean && store.report().generation == 1);
    store.put_many(&[block(1, 10), block(2, 20)]).unwrap();
    store.put(&block(3, 30)).unwrap();
    store.sync().unwrap();
    store.put(&block(4, 30)).unwrap();
    disk.cut_power();
    let disk = disk.restart(Keep::Nothing);
    drop(store);
    let store = open(&disk).unwrap();
    let report = store.report();
    assert_eq!((report.clean, report.records, report.generation), (false, 2, 1));
    assert_eq!(report.end_lsn.0 - report.checkpoint_lsn.0, 2 * 4096);
    assert!(!report.lone_superblock && !report.discarded_tail);
    drop(store);
    assert!(open(&disk).unwrap().report().clean, "the recovery's checkpoint leaves nothing to do");
}

/// A flipped bit anywhere in the pages and the log: what is wrong is said, and nothing wrong is returned.
#[test]
fn a_flipped_bit_anywhere_is_an_error_or_does_no_harm() {
    for (disk, name) in [(closed().0, "data.nd"), (with_log(), "wal-0001"), (with_log(), "wal-0002")] {
        let path = format!("/store/{name}");
        let bits = disk.peek(&path).unwrap().len() as u64 * 8;
        let mut refused = 0;
        for bit in (0..bits).step_by(usize::try_from(bits / 500 + 1).unwrap()) {
            let disk = disk.restart(Keep::All);
            disk.flip_bit(&path, bit).unwrap();
            let Ok(store) = open(&disk) else {
                refused += 1;
                continue;
            };
            let Ok(listed) = store.scan(None) else { continue };
            for cid in listed.map_while(Result::ok) {
                // `Block` is proved by its hash: what comes back is right, or it is an error.
                refused += u32::from(store.get(&cid).is_err());
            }
        }
        println!("{name}: {refused} refusals");
    }
}
