//! Whatever is backed up comes back, whatever is damaged is refused, and whatever is cut short changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mnem_core::cid::Codec;
use mnem_core::memory::MemoryStore;
use mnem_core::port::{HeadsUpdate, Namespace, OpHeadsStore as _, Store, Swap, WriteBatch};
use mnem_core::progress::quiet;
use mnem_core::{Block, Cid, OperationId, Time};
use mnem_vfs::sim::{Calls, Fault, Keep, When};
use mnem_vfs::{SimVfs, Vfs};

use super::frame::Change;
use super::read::{Backup, StreamInput};
use super::{Added, BackupError, Backups, CHAIN_MAX, Info, Source, restore, stream};
use crate::error::Error;
use crate::store;
use crate::url::StoreUrl;

const NOW: Time = Time::from_micros(1_700_000_000_000_000).unwrap();

fn block(seed: u32) -> Block {
    let mut bytes = format!("block {seed} ").into_bytes();
    bytes.resize(usize::try_from(20 + seed * 37 % 3000).unwrap(), b'.');
    Block::new(Codec::Raw, bytes)
}

fn commit(store: &dyn Store, blocks: &[Block]) {
    let old = store.heads(&Namespace::default()).unwrap();
    let head = OperationId::new(*blocks.last().unwrap().cid());
    let heads = HeadsUpdate::advance(Namespace::default(), &old, head);
    let lease = store.lease(&[]).unwrap();
    let batch = WriteBatch { blocks, heads: &heads, rows: &[] };
    assert_eq!(store.commit(&lease, &batch).unwrap(), Swap::Done);
}

fn delete(store: &dyn Store, seeds: std::ops::Range<u32>) {
    let cids: Vec<Cid> = seeds.map(|seed| *block(seed).cid()).collect();
    let cycle = store.begin_cycle().unwrap();
    store.delete_if_untouched(&cycle, &cids).unwrap();
}

/// All blocks and heads of a store.
fn content(store: &dyn Store) -> (BTreeMap<Cid, Block>, BTreeSet<(Namespace, OperationId)>) {
    let cids = store.scan(None).unwrap().map(Result::unwrap);
    let blocks = cids.map(|cid| (cid, store.get(&cid).unwrap().unwrap())).collect();
    let mut heads = BTreeSet::new();
    for namespace in store.namespaces().unwrap() {
        heads.extend(store.heads(&namespace).unwrap().into_iter().map(|head| (namespace.clone(), head)));
    }
    (blocks, heads)
}

fn add(backups: &Backups, store: &dyn Store) -> Info {
    match backups.add(store, false, NOW, &mut quiet).unwrap() {
        Added::Made(info) => info,
        Added::Unchanged(_) => panic!("there was something to keep"),
    }
}

fn streamed(store: &dyn Store) -> Vec<u8> {
    let mut out = Vec::new();
    stream(store, NOW, &mut out, &mut quiet).unwrap();
    out
}

fn sample() -> MemoryStore {
    let store = MemoryStore::new();
    commit(&store, &(0..120).map(block).collect::<Vec<_>>());
    let other = Namespace::new("other").unwrap();
    let update = HeadsUpdate::advance(other, &[], OperationId::new(*block(3).cid()));
    assert_eq!(store.update(&update).unwrap(), Swap::Done);
    store
}

fn url(kind: &str, path: &Path) -> StoreUrl {
    format!("{kind}:{}", path.display()).parse().unwrap()
}

fn back(source: Source<'_>, to: &StoreUrl) -> Result<Arc<dyn Store>, Error> {
    restore(source, to, &mut quiet)?;
    store::open(&to.to_string())
}

#[test]
fn backup_bytes_are_frozen() {
    let store = MemoryStore::new();
    commit(&store, &[Block::new(Codec::Raw, "one"), Block::new(Codec::Raw, "two")]);
    let hex: String = streamed(&store).iter().map(|byte| format!("{byte:02x}")).collect();
    let golden: String = include_str!("../../../tests/fixtures/v1/backup.hex").split_whitespace().collect();
    assert_eq!(hex, golden, "other bytes mean a new version of the format");
}

#[test]
fn a_backup_becomes_the_same_store_again_of_any_kind() {
    let folder = tempfile::tempdir().unwrap();
    let source = sample();
    let backups = Backups::at(folder.path().join("kept"));
    let info = add(&backups, &source);
    let bytes = streamed(&source);
    for kind in ["simple", "redb", "native"] {
        for (name, source) in [("folder", true), ("stream", false)] {
            let to = url(kind, &folder.path().join(format!("{kind}-{name}")));
            let from = &mut &bytes[..];
            let from = if source { Source::Folder(&backups, &info) } else { Source::Stream(from) };
            assert_eq!(content(back(from, &to).unwrap().as_ref()), content(&sample()), "{to}");
        }
    }
    let left: BTreeSet<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 7, "nothing else is left: {left:?}");
}

/// Five increments, with blocks that go and come again, restore like one that holds everything; each is as large as what
/// changed.
#[test]
fn a_chain_of_increments_equals_a_full_backup_and_costs_what_changed() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("source");
    let source = store::init(&url("native", &place).to_string()).unwrap();
    commit(source.as_ref(), &(0..2000).map(block).collect::<Vec<_>>());
    let backups = Backups::at(folder.path().join("kept"));
    let full = add(&backups, source.as_ref());
    assert_eq!((full.number, full.parent, full.put, full.blocks), (1, None, 2000, 2000));
    for round in 0..5_u32 {
        delete(source.as_ref(), round * 5..round * 5 + 8);
        commit(source.as_ref(), &[block(round * 5), block(3000 + round)]);
        let info = add(&backups, source.as_ref());
        assert_eq!(info.parent, Some(backups.list().unwrap()[usize::try_from(round).unwrap()].id));
        assert!(info.put <= 2 && info.gone <= 8, "{info:?}");
        assert!(info.file_bytes < full.file_bytes / 50, "{} of {}", info.file_bytes, full.file_bytes);
    }
    let unchanged = backups.add(source.as_ref(), false, NOW, &mut quiet).unwrap();
    assert!(matches!(unchanged, Added::Unchanged(info) if info.number == 6));
    let newest = backups.find(None).unwrap();
    assert_eq!(backups.chain(&newest).unwrap().len(), 6);
    let whole = Backups::at(folder.path().join("whole"));
    let one = add(&whole, source.as_ref());
    assert_eq!((one.blocks, &one.heads), (newest.blocks, &newest.heads));
    let from_chain =
        back(Source::Folder(&backups, &newest), &url("native", &folder.path().join("chain"))).unwrap();
    let from_one = back(Source::Folder(&whole, &one), &url("native", &folder.path().join("one"))).unwrap();
    assert_eq!(content(from_chain.as_ref()), content(from_one.as_ref()));
    assert_eq!(content(from_chain.as_ref()), content(source.as_ref()));
    // An earlier moment, by its number and by its name.
    for wanted in ["3".to_owned(), backups.list().unwrap()[2].id.short()] {
        assert_eq!(backups.find(Some(&wanted)).unwrap().number, 3);
    }
    assert!(matches!(backups.find(Some("99")), Err(BackupError::Unknown { .. })));
}

#[test]
fn a_chain_that_is_long_begins_anew() {
    let source = MemoryStore::new();
    let backups = Backups::with(Arc::new(SimVfs::new()), "/kept");
    for round in 0..=u32::try_from(CHAIN_MAX).unwrap() {
        commit(&source, &[block(round)]);
        add(&backups, &source);
    }
    let all = backups.list().unwrap();
    assert!(all[CHAIN_MAX].parent.is_none() && all[CHAIN_MAX - 1].parent.is_some());
    assert!(
        matches!(backups.add(&source, true, NOW, &mut quiet).unwrap(), Added::Made(info) if info.parent.is_none())
    );
}

/// Reads a stream to its end, and says whether all of it was proven.
fn is_proven(bytes: &[u8]) -> bool {
    let mut bytes = bytes;
    let Ok(mut backup) = Backup::open(StreamInput(&mut bytes), "it".to_owned()) else { return false };
    loop {
        match backup.next() {
            Ok(None) => return true,
            Ok(Some((cid, Change::Put(bytes)))) if backup.block(&cid, bytes).is_ok() => {}
            Ok(Some((_, Change::Gone))) => {}
            _ => return false,
        }
    }
}

#[test]
fn a_flipped_byte_anywhere_is_refused_and_the_target_is_untouched() {
    let source = MemoryStore::new();
    commit(&source, &(0..6).map(block).collect::<Vec<_>>());
    let bytes = streamed(&source);
    assert!(is_proven(&bytes));
    let folder = tempfile::tempdir().unwrap();
    let to = url("native", &folder.path().join("store"));
    let check = |bytes: &[u8], at: usize| {
        assert!(!is_proven(bytes), "byte {at}");
        if at.is_multiple_of(61) {
            assert!(restore(Source::Stream(&mut &bytes[..]), &to, &mut quiet).is_err(), "byte {at}");
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "byte {at}");
        }
    };
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        check(&flipped, at);
        check(&bytes[..at], at);
    }
    check(&[&bytes[..], b"x"].concat(), 0);
    restore(Source::Stream(&mut &bytes[..]), &to, &mut quiet).unwrap();
}

#[test]
fn a_damaged_file_of_a_chain_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let source = sample();
    let backups = Backups::at(folder.path().join("kept"));
    let first = add(&backups, &source);
    commit(&source, &[block(500)]);
    let second = add(&backups, &source);
    let whole = std::fs::read(&first.path).unwrap();
    let to = url("native", &folder.path().join("store"));
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&first.path, &bytes).unwrap();
        assert!(restore(Source::Folder(&backups, &second), &to, &mut quiet).is_err(), "byte {at}");
        assert!(backups.verify(None, &mut quiet).is_err(), "byte {at}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
    std::fs::remove_file(&first.path).unwrap();
    let refused = restore(Source::Folder(&backups, &second), &to, &mut quiet);
    assert!(matches!(refused, Err(Error::Backup(BackupError::ParentMissing { .. }))), "{refused:?}");
    std::fs::write(&first.path, &whole).unwrap();
    let verified = backups.verify(None, &mut quiet).unwrap();
    assert_eq!((verified.backups, verified.blocks), (2, 121));
}

#[test]
fn a_restore_takes_no_place_that_is_taken_and_clears_what_one_left_that_was_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = streamed(&sample());
    let path = folder.path().join("store");
    let to = url("native", &path);
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("mine"), "x").unwrap();
    let refused = restore(Source::Stream(&mut &bytes[..]), &to, &mut quiet);
    assert!(matches!(refused, Err(Error::Backup(BackupError::Exists { .. }))), "{refused:?}");
    assert_eq!(std::fs::read_to_string(path.join("mine")).unwrap(), "x");
    std::fs::remove_file(path.join("mine")).unwrap();
    // What a restore leaves that was killed: here a whole store, elsewhere a part of one.
    let staging = folder.path().join("store.restoring");
    std::fs::create_dir(&staging).unwrap();
    store::init(&url("native", &staging.join("store")).to_string()).unwrap();
    std::fs::create_dir(staging.join("store").join("deep")).unwrap();
    restore(Source::Stream(&mut &bytes[..]), &to, &mut quiet).unwrap();
    assert!(!staging.exists());
    std::fs::create_dir(&staging).unwrap();
    std::fs::write(staging.join("mine"), "x").unwrap();
    let elsewhere = restore(Source::Stream(&mut &bytes[..]), &to, &mut quiet);
    assert!(matches!(elsewhere, Err(Error::Backup(BackupError::Unsuitable { .. }))), "{elsewhere:?}");
    assert!(staging.join("mine").exists());
}

#[test]
fn a_backup_that_is_cut_off_is_absent_or_whole_and_the_next_one_works() {
    let source = sample();
    let script = |disk: &SimVfs| -> Result<(), BackupError> {
        let backups = Backups::with(Arc::new(disk.clone()), "/kept");
        backups.add(&source, false, NOW, &mut quiet).map(drop)
    };
    let disk = SimVfs::new();
    script(&disk).unwrap();
    let mut absent = 0;
    for cut in 0..=disk.calls() {
        let disk = SimVfs::new();
        disk.cut_at(cut);
        let is_acknowledged = script(&disk).is_ok();
        for keep in [Keep::All, Keep::Nothing] {
            let image = disk.restart(keep);
            let backups = Backups::with(Arc::new(image.clone()), "/kept");
            let found = backups.list().unwrap();
            assert!(found.len() == 1 || !is_acknowledged, "cut at {cut}");
            backups.verify(None, &mut quiet).unwrap();
            absent += u32::from(found.is_empty());
            let again = backups.add(&source, false, NOW, &mut quiet).unwrap();
            assert_eq!(matches!(again, Added::Made(_)), found.is_empty());
            assert_eq!(backups.list().unwrap().len(), 1);
        }
    }
    assert!(absent > 4);
    let disk = SimVfs::new();
    disk.inject(When::Every(Calls::Growing), Fault::NoSpace);
    assert!(script(&disk).is_err());
    disk.clear_faults();
    script(&disk).unwrap();
}

#[test]
fn a_folder_of_others_and_a_folder_in_use_are_refused() {
    let disk = SimVfs::new();
    disk.create_dir(Path::new("/mine")).unwrap();
    disk.create_dir(Path::new("/mine/photos")).unwrap();
    let add = |disk: &SimVfs, at: &str| {
        Backups::with(Arc::new(disk.clone()), at).add(&sample(), false, NOW, &mut quiet).map(drop)
    };
    assert!(matches!(add(&disk, "/mine"), Err(BackupError::Unsuitable { .. })));
    add(&disk, "/kept").unwrap();
    let lock = disk.open(Path::new("/kept/lock"), mnem_vfs::OpenMode::ReadWrite).unwrap();
    lock.lock(mnem_vfs::LockKind::Exclusive).unwrap();
    assert!(matches!(add(&disk.process(), "/kept"), Err(BackupError::Locked { .. })));
}

/// Commits go on while a backup is made: it is one moment, and each head in it has all its blocks.
#[test]
fn a_backup_under_load_is_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let source = store::init(&url("native", &folder.path().join("source")).to_string()).unwrap();
    // Each commit brings the blocks `n` and `n + 1`; the head is `n + 1`.
    let pair = |number: u32| [block(number * 2), block(number * 2 + 1)];
    commit(source.as_ref(), &pair(0));
    let is_over = AtomicBool::new(false);
    let backups = Backups::at(folder.path().join("kept"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1.. {
                commit(source.as_ref(), &pair(number));
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        for _ in 0..4 {
            std::thread::sleep(std::time::Duration::from_millis(20));
            add(&backups, source.as_ref());
        }
        is_over.store(true, Ordering::Relaxed);
    });
    backups.verify(None, &mut quiet).unwrap();
    for info in backups.list().unwrap() {
        let to = url("native", &folder.path().join(format!("to-{}", info.number)));
        let restored = back(Source::Folder(&backups, &info), &to).unwrap();
        let [head] = restored.heads(&Namespace::default()).unwrap()[..] else { panic!("one head") };
        let last = (0..).find(|number| pair(*number)[1].cid() == head.cid()).unwrap();
        println!("backup {} has {} commits", info.number, last + 1);
        for number in 0..=last {
            assert!(pair(number).iter().all(|block| restored.has(block.cid()).unwrap()));
        }
    }
}
