//! Opening: what is refused and why, and that nothing is changed by it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use common::*;
use mnem_backend_redb::{RedbBlockstore, RedbOpHeadsStore, RedbStore, open_or_init};
use mnem_core::port::{
    BlockRead, Blockstore, Collector, Fault, Namespace, OpHeadsStore, OpenError, StoreError, Swap,
};
use redb::{Database, TableDefinition};

const META: TableDefinition<'static, &str, &str> = TableDefinition::new("meta");

/// Bytes and time of a file that was last changed long ago.
fn aged(path: &Path) -> (Vec<u8>, SystemTime) {
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
    (fs::read(path).unwrap(), long_ago)
}

fn assert_unchanged(path: &Path, (bytes, time): &(Vec<u8>, SystemTime)) {
    assert_eq!(fs::metadata(path).unwrap().modified().unwrap(), *time);
    assert!(fs::read(path).unwrap() == *bytes, "the file's bytes changed");
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A store with one block and one head.
fn made(path: &Path) {
    let store = open_or_init(path).unwrap();
    let operation = block(1, 100);
    let heads = main_heads(&[], head(&operation));
    assert_eq!(commit(&store, &[operation], &heads, &[]).unwrap(), Swap::Done);
}

/// Refusals leave the file and its folder as they are.
fn refuses(path: &Path) -> OpenError {
    let before = path.is_file().then(|| aged(path));
    let folder = path.parent().unwrap();
    let beside = names(folder);
    let read_only = RedbStore::open_read_only(path).unwrap_err();
    let opened = RedbStore::open(path).unwrap_err();
    assert_eq!(opened.to_string(), read_only.to_string());
    let inited = open_or_init(path).unwrap_err();
    assert_eq!(opened.to_string(), inited.to_string());
    assert_eq!(opened.to_string(), RedbStore::init(path).unwrap_err().to_string());
    if let Some(before) = before {
        assert_unchanged(path, &before);
    }
    assert_eq!(names(folder), beside);
    opened
}

#[test]
fn opening_and_closing_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    made(&path);
    let before = aged(&path);
    for open in [RedbStore::open, RedbStore::open_read_only, open_or_init] as [fn(_) -> _; 3] {
        let store = open(path.clone()).unwrap();
        assert_eq!(store.get(block(1, 100).cid()).unwrap(), Some(block(1, 100)));
        assert_eq!(store.heads(&Namespace::default()).unwrap(), [head(&block(1, 100))]);
        drop(store);
        assert_unchanged(&path, &before);
    }
    assert_eq!(names(folder.path()), ["store.redb"]);
}

#[test]
fn both_halves_are_found_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_or_init(folder.path().join("store.redb")).unwrap();
    let (blocks, heads): (RedbBlockstore, RedbOpHeadsStore) = (store.clone(), store);
    blocks.put(&block(1, 10)).unwrap();
    let _ = heads.update(&main_heads(&[], head(&block(1, 10)))).unwrap();
    assert_eq!(heads.namespaces().unwrap(), [Namespace::default()]);
}

#[test]
fn missing_store_is_named_and_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    assert!(matches!(RedbStore::open(&path), Err(OpenError::Missing { .. })));
    assert!(matches!(RedbStore::open_read_only(&path), Err(OpenError::Missing { .. })));
    let nowhere = folder.path().join("no").join("store.redb");
    assert!(matches!(open_or_init(&nowhere), Err(OpenError::Fault(Fault::Io { action: "create", .. }))));
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

#[test]
fn init_makes_a_store_only_where_nothing_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = RedbStore::init(&path).unwrap();
    assert!(matches!(RedbStore::init(&path), Err(OpenError::Locked { .. })));
    drop(store);
    assert!(matches!(RedbStore::init(&path), Err(OpenError::Exists { .. })));
    assert!(matches!(
        RedbStore::init(folder.path()),
        Err(OpenError::NotAStore { found: "it is a folder", .. })
    ));
    RedbStore::open(&path).unwrap();
}

#[test]
fn folders_and_strange_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    fs::create_dir(&path).unwrap();
    assert_eq!(
        refuses(&path).to_string(),
        format!("{} is not a store: it is a folder; choose an empty or new place", path.display())
    );
    fs::write(path.join("mnem-store"), "mnem simple 1\n").unwrap();
    match refuses(&path) {
        OpenError::OtherKind { found, wanted: "redb", .. } => assert_eq!(found, "simple"),
        other => panic!("{other}"),
    }
    for text in ["", "hello", &"long text ".repeat(1000)] {
        let file = folder.path().join("text");
        fs::write(&file, text).unwrap();
        assert!(matches!(refuses(&file), OpenError::NotAStore { .. }), "{text}");
    }
}

#[test]
fn redb_file_of_another_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.redb");
    drop(Database::create(&path).unwrap());
    assert!(matches!(
        refuses(&path),
        OpenError::NotAStore { found: "it is the redb file of another program", .. }
    ));

    let db = Database::create(&path).unwrap();
    let transaction = db.begin_write().unwrap();
    transaction.open_table(META).unwrap().insert("kind", "cookbook").unwrap();
    transaction.commit().unwrap();
    drop(db);
    assert!(matches!(
        refuses(&path),
        OpenError::NotAStore { found: "it is the redb file of another program", .. }
    ));
}

fn with_meta(path: &Path, key: &str, value: &str) {
    made(path);
    let db = Database::create(path).unwrap();
    let transaction = db.begin_write().unwrap();
    transaction.open_table(META).unwrap().insert(key, value).unwrap();
    transaction.commit().unwrap();
}

#[test]
fn newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.redb");
    with_meta(&path, "format", "2");
    assert!(matches!(refuses(&path), OpenError::NewerFormat { found: 2, readable: 1, .. }));
}

#[test]
fn another_major_version_of_redb_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.redb");
    with_meta(&path, "redb", "5");
    assert!(matches!(refuses(&path), OpenError::Fault(Fault::Unsupported { .. })));
}

#[test]
fn second_writer_is_locked_out_and_readers_share() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    made(&path);
    let writer = RedbStore::open(&path).unwrap();
    let refused = RedbStore::open(&path).unwrap_err();
    assert!(matches!(refused, OpenError::Locked { .. }));
    assert!(refused.to_string().contains("is already open elsewhere"), "{refused}");
    assert!(matches!(open_or_init(&path), Err(OpenError::Locked { .. })));
    assert!(matches!(RedbStore::open_read_only(&path), Err(OpenError::Locked { .. })));
    drop(writer);
    let readers = [(); 3].map(|()| RedbStore::open_read_only(&path).unwrap());
    assert!(matches!(RedbStore::open(&path), Err(OpenError::Locked { .. })));
    drop(readers);
    RedbStore::open(&path).unwrap();
}

#[test]
fn file_is_released_with_the_last_handle_snapshot_and_lease() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    made(&path);
    let store = RedbStore::open(&path).unwrap();
    let second = store.clone();
    let lease = store.lease(&[]).unwrap();
    drop(store);
    assert!(matches!(RedbStore::open(&path), Err(OpenError::Locked { .. })));
    drop(second);
    assert!(matches!(RedbStore::open(&path), Err(OpenError::Locked { .. })));
    drop(lease);
    RedbStore::open(&path).unwrap();
}

#[test]
fn store_that_is_open_for_reading_takes_no_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    made(&path);
    let before = aged(&path);
    let store = RedbStore::open_read_only(&path).unwrap();
    let read_only = |result: Result<(), StoreError>| {
        assert!(matches!(result, Err(StoreError::Fault(Fault::ReadOnly))), "{result:?}");
    };
    read_only(store.put(&block(1, 100)));
    read_only(store.put(&block(2, 100)));
    read_only(store.sync());
    read_only(commit(&store, &[], &main_heads(&[], head(&block(1, 100))), &[]).map(|_| ()));
    assert!(store.begin_cycle().is_err());
    assert!(store.compact().is_err());
    drop(store);
    assert_unchanged(&path, &before);
}

#[cfg(unix)]
#[test]
fn file_without_permission_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    made(&path);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    if fs::File::options().write(true).open(&path).is_ok() {
        return; // whoever may write everything cannot be refused
    }
    assert!(matches!(RedbStore::open(&path), Err(OpenError::Fault(Fault::Io { action: "open", .. }))));
    RedbStore::open_read_only(&path).unwrap();
}

#[test]
fn racing_creators_end_up_with_one_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let (made, path) = (std::sync::atomic::AtomicU64::new(0), &path);
    std::thread::scope(|scope| {
        for n in 0..8 {
            let made = &made;
            scope.spawn(move || {
                loop {
                    match open_or_init(path) {
                        Ok(store) => {
                            store.put(&block(n, 100)).unwrap();
                            store.sync().unwrap();
                            made.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                            return;
                        }
                        Err(OpenError::Locked { .. }) => std::thread::yield_now(),
                        Err(other) => panic!("{other}"),
                    }
                }
            });
        }
    });
    let store = RedbStore::open(path).unwrap();
    assert_eq!(store.scan(None).unwrap().count(), 8);
    assert_eq!(names(folder.path()), ["store.redb"]);
}
