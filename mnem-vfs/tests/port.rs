//! The clauses of the port, on the file system of the machine and on the simulated one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::io::{ErrorKind, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use mnem_vfs::sim::{SimVfs, is_killed, is_power_cut};
use mnem_vfs::{
    Advice, CountingVfs, DirEntry, Kind, LockKind, Metadata, OpenMode, RealVfs, Vfs, VfsExt, VfsFile,
    VfsFileExt,
};

/// A file system to test, and a directory in it to test in.
struct Lab {
    vfs: Arc<dyn Vfs>,
    root: PathBuf,
}

impl Lab {
    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn open(&self, name: &str, mode: OpenMode) -> Box<dyn VfsFile> {
        self.vfs.open(&self.path(name), mode).unwrap()
    }

    fn create(&self, name: &str, bytes: &[u8]) -> Box<dyn VfsFile> {
        let file = self.open(name, OpenMode::CreateNew);
        file.write_all_at(bytes, 0).unwrap();
        file
    }

    fn list(&self, name: &str) -> Vec<DirEntry> {
        let mut entries: Vec<_> = self.vfs.list(&self.path(name)).unwrap().map(Result::unwrap).collect();
        entries.sort();
        entries
    }
}

fn bytes_of(file: &dyn VfsFile) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn error(outcome: std::io::Result<impl Sized>) -> ErrorKind {
    outcome.map(|_| ()).unwrap_err().kind()
}

fn on_both(test: impl Fn(&Lab)) {
    let temp = tempfile::tempdir().unwrap();
    test(&Lab { vfs: Arc::new(RealVfs::new()), root: temp.path().to_owned() });
    test(&Lab { vfs: Arc::new(SimVfs::new()), root: "/".into() });
    test(&Lab { vfs: Arc::new(CountingVfs::new(SimVfs::new())), root: "/".into() });
}

#[test]
fn v1_changes_are_visible_through_other_handles() {
    on_both(|lab| {
        let (one, other) = (lab.create("a", b"1"), lab.open("a", OpenMode::Read));
        one.write_all_at(b"23", 1).unwrap();
        assert_eq!(bytes_of(&*other), b"123");
        one.set_len(2).unwrap();
        assert_eq!(other.len().unwrap(), 2);
    });
}

#[test]
fn v2_syncs_succeed_where_they_are_supported() {
    on_both(|lab| {
        lab.create("a", b"").sync_data().unwrap();
        lab.open("a", OpenMode::Read).sync_all().unwrap();
        lab.vfs.sync_dir(&lab.root).unwrap();
        if let Err(error) = lab.vfs.sync_file_system(&lab.root) {
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
        assert_eq!(error(lab.vfs.sync_dir(&lab.path("a"))), ErrorKind::NotADirectory);
    });
}

#[test]
fn v3_rename_replaces() {
    on_both(|lab| {
        lab.create("a", b"a");
        lab.create("b", b"b");
        lab.vfs.rename(&lab.path("a"), &lab.path("b")).unwrap();
        assert_eq!(bytes_of(&*lab.open("b", OpenMode::Read)), b"a");
        assert_eq!(lab.vfs.metadata(&lab.path("a")).unwrap(), None);
    });
}

#[test]
fn v4_one_of_several_callers_creates() {
    on_both(|lab| {
        let (files, dirs) = (AtomicU32::new(0), AtomicU32::new(0));
        let barrier = Barrier::new(4);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    barrier.wait();
                    let created = lab.vfs.open(&lab.path("file"), OpenMode::CreateNew).is_ok();
                    files.fetch_add(created.into(), Ordering::Relaxed);
                    dirs.fetch_add(lab.vfs.create_dir(&lab.path("dir")).is_ok().into(), Ordering::Relaxed);
                });
            }
        });
        assert_eq!((files.into_inner(), dirs.into_inner()), (1, 1));
        assert_eq!(error(lab.vfs.open(&lab.path("file"), OpenMode::CreateNew)), ErrorKind::AlreadyExists);
        assert_eq!(error(lab.vfs.create_dir(&lab.path("file"))), ErrorKind::AlreadyExists);
    });
}

#[test]
fn v5_absence_has_its_own_answer() {
    on_both(|lab| {
        let absent = lab.path("absent");
        assert_eq!(lab.vfs.metadata(&absent).unwrap(), None);
        assert_eq!(error(lab.vfs.open(&absent, OpenMode::Read)), ErrorKind::NotFound);
        assert_eq!(error(lab.vfs.open(&absent, OpenMode::ReadWrite)), ErrorKind::NotFound);
        assert_eq!(error(lab.vfs.remove_file(&absent)), ErrorKind::NotFound);
        assert_eq!(error(lab.vfs.remove_dir(&absent)), ErrorKind::NotFound);
        assert_eq!(error(lab.vfs.rename(&absent, &lab.path("b"))), ErrorKind::NotFound);
        assert_eq!(error(lab.vfs.list(&absent)), ErrorKind::NotFound);
        assert_eq!(error(lab.vfs.sync_dir(&absent)), ErrorKind::NotFound);
        assert_eq!(error(lab.vfs.create_dir(&absent.join("below"))), ErrorKind::NotFound);
        assert!(!lab.vfs.remove_file_if_exists(&absent).unwrap());
    });
}

#[test]
fn v6_listings_name_everything_once() {
    on_both(|lab| {
        lab.vfs.create_dir(&lab.path("dir")).unwrap();
        for number in 0..300 {
            lab.create(&format!("dir/{number}"), b"");
        }
        lab.vfs.create_dir(&lab.path("dir/sub")).unwrap();
        let entries = lab.list("dir");
        assert_eq!(entries.len(), 301);
        assert_eq!(entries[300], DirEntry { name: "sub".into(), kind: Kind::Dir });
        assert!(entries[..300].iter().all(|entry| entry.kind == Kind::File));
    });
}

#[test]
fn v7_removed_and_replaced_files_live_on_in_open_handles() {
    on_both(|lab| {
        let (removed, replaced) = (lab.create("a", b"a"), lab.create("b", b"b"));
        lab.vfs.remove_file(&lab.path("a")).unwrap();
        lab.create("c", b"c");
        lab.vfs.rename(&lab.path("c"), &lab.path("b")).unwrap();
        removed.write_all_at(b"A", 0).unwrap();
        removed.sync_all().unwrap();
        assert_eq!((bytes_of(&*removed), bytes_of(&*replaced)), (b"A".to_vec(), b"b".to_vec()));
    });
}

#[test]
fn directories_are_no_files_and_files_no_directories() {
    on_both(|lab| {
        lab.vfs.create_dir(&lab.path("dir")).unwrap();
        lab.create("file", b"123");
        for mode in [OpenMode::Read, OpenMode::ReadWrite, OpenMode::OpenOrCreate] {
            assert_eq!(error(lab.vfs.open(&lab.path("dir"), mode)), ErrorKind::IsADirectory);
        }
        assert_eq!(error(lab.vfs.remove_dir(&lab.path("file"))), ErrorKind::NotADirectory);
        assert_eq!(error(lab.vfs.list(&lab.path("file"))), ErrorKind::NotADirectory);
        assert!(lab.vfs.ensure_dir(&lab.path("new")).unwrap());
        assert!(!lab.vfs.ensure_dir(&lab.path("new")).unwrap());
        assert_eq!(error(lab.vfs.ensure_dir(&lab.path("file"))), ErrorKind::AlreadyExists);
        let file = Metadata { kind: Kind::File, len: 3 };
        assert_eq!(lab.vfs.metadata(&lab.path("file")).unwrap(), Some(file));
    });
}

#[test]
fn f1_reads_end_with_the_file() {
    on_both(|lab| {
        let file = lab.create("a", b"abc");
        let mut buffer = [0; 5];
        assert_eq!(file.read_up_to_at(&mut buffer, 1).unwrap(), 2);
        assert_eq!(buffer, *b"bc\0\0\0");
        assert_eq!(file.read_at(&mut buffer, 3).unwrap(), 0);
        assert_eq!(file.read_at(&mut [], 0).unwrap(), 0);
        assert_eq!(error(file.read_exact_at(&mut buffer, 0)), ErrorKind::UnexpectedEof);
    });
}

#[test]
fn f2_writes_extend_and_gaps_are_zeros() {
    on_both(|lab| {
        let file = lab.create("a", b"a");
        file.write_all_at(b"b", 3).unwrap();
        file.write_all_vectored_at(&mut [IoSlice::new(b"c"), IoSlice::new(b"d")], 5).unwrap();
        assert_eq!(file.write_at(b"", 100).unwrap(), 0);
        assert_eq!(bytes_of(&*file), b"a\0\0b\0cd");
        lab.open("a", OpenMode::Read).write_at(b"x", 0).unwrap_err();
    });
}

#[test]
fn f5_locks_exclude_handles_not_processes() {
    on_both(|lab| {
        let (one, other) = (lab.create("a", b""), lab.open("a", OpenMode::Read));
        one.lock(LockKind::Shared).unwrap();
        assert!(other.try_lock(LockKind::Shared).unwrap());
        assert!(!lab.open("a", OpenMode::Read).try_lock(LockKind::Exclusive).unwrap());
        one.unlock().unwrap();
        other.unlock().unwrap();
        assert!(one.try_lock(LockKind::Exclusive).unwrap());
        assert!(!other.try_lock(LockKind::Shared).unwrap());
        other.read_at(&mut [0], 0).unwrap();
        drop(one);
        assert!(other.try_lock(LockKind::Exclusive).unwrap());
    });
}

#[test]
fn f5_a_waiting_lock_is_granted_when_the_holder_goes() {
    on_both(|lab| {
        let holder = lab.create("a", b"");
        holder.lock(LockKind::Exclusive).unwrap();
        thread::scope(|scope| {
            let (granted, is_granted) = mpsc::channel();
            scope.spawn(move || {
                lab.open("a", OpenMode::Read).lock(LockKind::Shared).unwrap();
                granted.send(()).unwrap();
            });
            assert!(is_granted.recv_timeout(Duration::from_millis(30)).is_err());
            drop(holder);
            is_granted.recv().unwrap();
        });
    });
}

#[test]
fn f6_locking_again_converts() {
    on_both(|lab| {
        let (one, other) = (lab.create("a", b""), lab.open("a", OpenMode::Read));
        one.lock(LockKind::Shared).unwrap();
        one.lock(LockKind::Exclusive).unwrap();
        one.lock(LockKind::Exclusive).unwrap();
        assert!(!other.try_lock(LockKind::Shared).unwrap());
        one.lock(LockKind::Shared).unwrap();
        assert!(other.try_lock(LockKind::Shared).unwrap());
        assert!(!one.try_lock(LockKind::Exclusive).unwrap());
        assert!(other.try_lock(LockKind::Exclusive).unwrap(), "the failed conversion gave up the lock");
    });
}

#[test]
fn f7_allocation_changes_neither_bytes_nor_shortens() {
    on_both(|lab| {
        let file = lab.create("a", b"abc");
        match file.allocate(1, 5) {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported),
            Ok(()) => assert_eq!(bytes_of(&*file), b"abc\0\0\0"),
        }
        let len = file.len().unwrap();
        let _ = file.allocate(0, 1);
        assert_eq!(file.len().unwrap(), len);
    });
}

#[test]
fn f8_hints_change_nothing() {
    on_both(|lab| {
        let file = lab.create("a", b"abc");
        file.start_writeback(0..3).unwrap();
        file.advise(Advice::WillNeed, 0..3).unwrap();
        file.advise(Advice::DontNeed, 0..u64::MAX).unwrap();
        file.advise(Advice::DontNeed, 3..3).unwrap();
        assert_eq!(bytes_of(&*file), b"abc");
    });
}

#[test]
fn m6_a_killed_process_loses_its_locks_and_nothing_else() {
    let process = SimVfs::new();
    let file = process.open(Path::new("/a"), OpenMode::CreateNew).unwrap();
    file.lock(LockKind::Exclusive).unwrap();
    file.write_all_at(b"unsynced", 0).unwrap();
    let next = process.process();
    let other = next.open(Path::new("/a"), OpenMode::Read).unwrap();
    assert!(!other.try_lock(LockKind::Exclusive).unwrap());
    process.clone().kill();
    assert!(other.try_lock(LockKind::Exclusive).unwrap());
    assert_eq!(bytes_of(&*other), b"unsynced");
    assert!(is_killed(&file.write_at(b"x", 0).unwrap_err()));
    assert!(is_killed(&process.metadata(Path::new("/a")).unwrap_err()));
    drop(file);
    assert!(!next.open(Path::new("/a"), OpenMode::Read).unwrap().try_lock(LockKind::Shared).unwrap());
}

#[test]
fn who_waits_for_a_lock_learns_of_the_power_cut() {
    let disk = SimVfs::new();
    let holder = disk.open(Path::new("/a"), OpenMode::CreateNew).unwrap();
    holder.lock(LockKind::Exclusive).unwrap();
    thread::scope(|scope| {
        let waiter = disk.open(Path::new("/a"), OpenMode::Read).unwrap();
        let outcome = scope.spawn(move || waiter.lock(LockKind::Exclusive));
        disk.cut_at(disk.calls());
        holder.len().unwrap_err();
        assert!(is_power_cut(&outcome.join().unwrap().unwrap_err()));
    });
}

#[test]
fn waiting_for_oneself_is_a_deadlock() {
    let disk = SimVfs::new();
    let one = disk.open(Path::new("/a"), OpenMode::CreateNew).unwrap();
    let other = disk.open(Path::new("/a"), OpenMode::Read).unwrap();
    one.lock(LockKind::Exclusive).unwrap();
    assert_eq!(error(other.lock(LockKind::Shared)), ErrorKind::Deadlock);
}

#[test]
fn both_counters_count_the_same() {
    let counting = CountingVfs::new(SimVfs::new());
    let file = counting.open(Path::new("/a"), OpenMode::CreateNew).unwrap();
    let before = counting.counts();
    file.write_all_at(b"abc", 0).unwrap();
    file.read_exact_at(&mut [0; 2], 0).unwrap();
    file.sync_data().unwrap();
    counting.sync_dir(Path::new("/")).unwrap();
    counting.remove_file(Path::new("/b")).unwrap_err();
    let counts = counting.counts() - before;
    assert_eq!((counts.writes, counts.bytes_written), (1, 3));
    assert_eq!((counts.reads, counts.bytes_read), (1, 2));
    assert_eq!((counts.sync_data, counts.sync_dir, counts.syncs()), (1, 1, 2));
    assert_eq!(counts.removes, 1, "failed calls count too");
    assert_eq!(counting.counts(), counting.inner().counts());
}
