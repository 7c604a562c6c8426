//! Opening and making stores, on the real file system and the simulated one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use mnem_backend_simple::SimpleStore;
use mnem_core::cid::Codec;
use mnem_core::port::{BlockRead, Blockstore, Fault, OpHeadsStore, OpenError, SideTable, Store, StoreError};
use mnem_core::{Block, port::RowTable};
use mnem_vfs::sim::{Calls, Fault as DiskFault, When};
use mnem_vfs::{CountingVfs, RealVfs, SimVfs, Vfs};

fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn allocated_bytes(path: &Path) -> u64 {
    let own = fs::symlink_metadata(path).unwrap();
    let inside = if own.is_dir() { names(path) } else { Vec::new() };
    own.blocks() * 512 + inside.iter().map(|name| allocated_bytes(&path.join(name))).sum::<u64>()
}

#[test]
fn an_empty_store_takes_less_than_64_kib() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("store");
    let store = SimpleStore::open_or_init(&place).unwrap();
    assert_eq!(store.kind(), "simple");
    let bytes = allocated_bytes(&place);
    println!("an empty store takes {bytes} bytes");
    assert!(bytes < 64 << 10, "{bytes}");
}

#[test]
fn nothing_there_is_missing_and_stays_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("store");
    for opened in [SimpleStore::open(&place), SimpleStore::open_read_only(&place)] {
        assert!(matches!(opened, Err(OpenError::Missing { .. })));
    }
    assert!(!place.exists());
    fs::create_dir(&place).unwrap();
    assert!(matches!(SimpleStore::open(&place), Err(OpenError::Missing { .. })));
    assert!(names(&place).is_empty());
}

#[test]
fn what_is_no_store_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let foreign = folder.path().join("foreign");
    fs::create_dir_all(foreign.join("objects/1")).unwrap();
    for place in [&file, &foreign] {
        for opened in [SimpleStore::open(place), SimpleStore::open_or_init(place), SimpleStore::init(place)] {
            assert!(matches!(opened, Err(OpenError::NotAStore { .. })), "{opened:?}");
        }
    }
    assert_eq!(names(&foreign), ["objects"]);
    assert_eq!(fs::read(&file).unwrap(), b"x");
}

#[test]
fn the_marker_says_what_can_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let with_marker = |name: &str, text: &[u8]| {
        let place = folder.path().join(name);
        fs::create_dir(&place).unwrap();
        fs::write(place.join("mnem-store"), text).unwrap();
        let error = SimpleStore::open_or_init(&place).unwrap_err();
        assert_eq!(names(&place), ["mnem-store"], "nothing is created");
        error
    };
    let other = with_marker("other", b"mnem redb 1\n");
    assert!(matches!(&other, OpenError::OtherKind { found, wanted: "simple", .. } if found == "redb"));
    assert!(other.to_string().contains("open it as redb:"), "{other}");
    let newer = with_marker("newer", b"mnem simple 2\n");
    assert!(matches!(newer, OpenError::NewerFormat { found: 2, readable: 1, .. }));
    for (name, text) in [("torn", &b"mnem sim"[..]), ("empty", b""), ("long", &[b'x'; 1000])] {
        let error = with_marker(name, text);
        assert!(matches!(error, OpenError::Fault(Fault::Corrupt { what: "the marker", .. })), "{error}");
    }
}

#[test]
fn init_refuses_a_place_that_holds_a_store() {
    let folder = tempfile::tempdir().unwrap();
    drop(SimpleStore::init(folder.path()).unwrap());
    assert!(matches!(SimpleStore::init(folder.path()), Err(OpenError::Exists { .. })));
    SimpleStore::open(folder.path()).unwrap();
}

#[test]
fn opening_and_reading_write_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let block = Block::new(Codec::Raw, &b"kept"[..]);
    SimpleStore::init(folder.path()).unwrap().put(&block).unwrap();
    let disk = CountingVfs::new(RealVfs::new());
    for read_only in [true, false] {
        let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
        let open = if read_only { SimpleStore::open_read_only_with } else { SimpleStore::open_with };
        let store = open(vfs, folder.path()).unwrap();
        assert_eq!(store.get(block.cid()).unwrap(), Some(block.clone()));
        assert_eq!(store.scan(None).unwrap().count(), 1);
        store.namespaces().unwrap();
        assert_eq!(store.rows(RowTable::new("t"), b"").unwrap().count(), 0);
    }
    let counts = disk.counts();
    let changes = counts.writes + counts.create_dirs + counts.removes + counts.renames + counts.set_lens;
    assert_eq!((changes, counts.syncs()), (0, 0));
}

#[test]
fn a_store_opened_for_reading_takes_no_write_and_gives_snapshots() {
    let folder = tempfile::tempdir().unwrap();
    drop(SimpleStore::init(folder.path()).unwrap());
    let before: Vec<_> = ["leases", "temp"].iter().map(|name| names(&folder.path().join(name))).collect();
    let store = SimpleStore::open_read_only(folder.path()).unwrap();
    let block = Block::new(Codec::Raw, &b"x"[..]);
    assert!(matches!(store.put(&block), Err(StoreError::Fault(Fault::ReadOnly))));
    assert!(matches!(store.sync(), Err(StoreError::Fault(Fault::ReadOnly))));
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.get(block.cid()).unwrap(), None);
    let after: Vec<_> = ["leases", "temp"].iter().map(|name| names(&folder.path().join(name))).collect();
    assert_eq!(before, after);
}

#[test]
fn a_place_that_refuses_writes_opens_for_reading_only() {
    let disk = SimVfs::new();
    drop(SimpleStore::init_with(Arc::new(disk.clone()), "/s").unwrap());
    // The first open of the lock file fails, as it does where the folder cannot be written.
    disk.inject(When::Nth(Calls::Of(mnem_vfs::Call::Open), 1), DiskFault::Eio);
    let refused = SimpleStore::open_with(Arc::new(disk.clone()), "/s").unwrap_err();
    assert!(matches!(refused, OpenError::Fault(Fault::Io { .. })), "{refused:?}");
    SimpleStore::open_read_only_with(Arc::new(disk), "/s").unwrap();
}

#[test]
fn stale_temporary_files_block_nothing_and_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    drop(SimpleStore::init(folder.path()).unwrap());
    let process = std::process::id();
    for number in 0..20 {
        fs::write(folder.path().join(format!("temp/{process}-{number}")), "stale").unwrap();
    }
    fs::write(folder.path().join("mnem-store.new"), "stale").unwrap();
    let held = fs::File::open(folder.path().join(format!("temp/{process}-3"))).unwrap();
    held.lock().unwrap();
    let store = SimpleStore::open_or_init(folder.path()).unwrap();
    let block = Block::new(Codec::Raw, &b"x"[..]);
    store.put(&block).unwrap();
    assert_eq!(store.get(block.cid()).unwrap(), Some(block));
    assert_eq!(names(&folder.path().join("temp")), [format!("{process}-3")], "only what is locked stays");
}
