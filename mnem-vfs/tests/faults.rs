//! Faults on request: what each one does, and what it leaves.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::io::ErrorKind;
use std::path::Path;

use common::*;
use mnem_vfs::sim::{Calls, Crash, Fault, SimVfs, When};
use mnem_vfs::{Advice, Call, OpenMode, Vfs, VfsFileExt};

const EIO: i32 = 5;
const ROOT: &str = "/";

fn after_power_cut(disk: &SimVfs, path: &str) -> Option<Vec<u8>> {
    read(&disk.restart(Crash::KEEPS_ALL), path)
}

/// A disk with one durable file, overwritten, and the sync of that failed.
fn failed_sync() -> SimVfs {
    let disk = SimVfs::new();
    write_durably(&disk, "/a", b"old");
    write(&disk, "/a", b"new");
    disk.inject(When::Nth(Calls::Syncs, 0), Fault::Eio);
    let error = open(&disk, "/a").sync_data().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(EIO));
    disk
}

#[test]
fn m5_after_a_failed_sync_the_next_succeeds_without_the_bytes() {
    let disk = failed_sync();
    assert_eq!(read(&disk, "/a").unwrap(), b"new", "the cache still has it");
    open(&disk, "/a").sync_all().unwrap();
    disk.sync_file_system(Path::new(ROOT)).unwrap();
    assert_eq!(read(&disk, "/a").unwrap(), b"new");
    assert_eq!(after_power_cut(&disk, "/a").unwrap(), b"old");
}

#[test]
fn m5_dropping_the_cache_shows_what_a_failed_sync_lost() {
    let disk = failed_sync();
    let file = open(&disk, "/a");
    file.write_all_at(b"N", 0).unwrap();
    file.advise(Advice::DontNeed, 0..3).unwrap();
    assert_eq!(read(&disk, "/a").unwrap(), b"Nld", "dirty bytes stay");
}

#[test]
fn m5_what_is_written_after_a_failed_sync_is_synced_by_the_next() {
    let disk = failed_sync();
    open(&disk, "/a").write_all_at(b"er", 3).unwrap();
    open(&disk, "/a").sync_data().unwrap();
    assert_eq!(after_power_cut(&disk, "/a").unwrap(), b"older");
}

#[test]
fn m5_a_failed_directory_sync_loses_its_changes() {
    let disk = SimVfs::new();
    write_durably(&disk, "/a", b"a");
    rename(&disk, "/a", "/b");
    disk.inject(When::Nth(Calls::Of(Call::SyncDir), 0), Fault::Eio);
    disk.sync_dir(Path::new(ROOT)).unwrap_err();
    disk.sync_dir(Path::new(ROOT)).unwrap();
    assert_eq!(read(&disk, "/b").unwrap(), b"a");
    assert_eq!(surviving(&disk), ["a"]);
}

#[test]
fn m5_a_failed_file_system_sync_loses_everything_unsynced() {
    let disk = SimVfs::new();
    write(&disk, "/a", b"a");
    disk.inject(When::Nth(Calls::Any, 0), Fault::Eio);
    disk.sync_file_system(Path::new(ROOT)).unwrap_err();
    assert!(disk.unsynced().is_empty());
    assert!(surviving(&disk).is_empty());
}

#[test]
fn an_ignored_sync_makes_nothing_durable() {
    let disk = SimVfs::new();
    write(&disk, "/a", b"a");
    disk.inject(When::Every(Calls::Syncs), Fault::IgnoredSync);
    open(&disk, "/a").sync_all().unwrap();
    disk.sync_dir(Path::new(ROOT)).unwrap();
    disk.sync_file_system(Path::new(ROOT)).unwrap();
    assert!(surviving(&disk).is_empty());
    assert_eq!(disk.faults_fired(), 3);
    disk.clear_faults();
    disk.sync_file_system(Path::new(ROOT)).unwrap();
    assert_eq!(surviving(&disk), ["a"]);
}

#[test]
fn a_failed_read_or_write_does_nothing_and_is_over() {
    let disk = SimVfs::new();
    let file = open(&disk, "/a");
    file.write_all_at(b"old", 0).unwrap();
    disk.inject(When::Nth(Calls::Of(Call::WriteAt), 1), Fault::Eio);
    disk.inject(When::Nth(Calls::Of(Call::ReadAt), 0), Fault::Eio);
    file.write_all_at(b"x", 0).unwrap();
    assert_eq!(file.write_all_at(b"y", 1).unwrap_err().raw_os_error(), Some(EIO));
    assert_eq!(file.read_at(&mut [0], 0).unwrap_err().raw_os_error(), Some(EIO));
    assert_eq!(read(&disk, "/a").unwrap(), b"xld");
}

#[test]
fn a_fault_strikes_at_the_call_with_its_number() {
    let disk = SimVfs::new();
    disk.inject(When::Call(1), Fault::NoSpace);
    disk.create_dir(Path::new("/a")).unwrap();
    assert_eq!(disk.create_dir(Path::new("/b")).unwrap_err().kind(), ErrorKind::StorageFull);
    disk.create_dir(Path::new("/b")).unwrap();
    assert_eq!((disk.calls(), disk.faults_fired()), (3, 1));
}

#[test]
fn a_fault_that_does_not_fit_its_call_does_nothing() {
    let disk = SimVfs::new();
    disk.inject(When::Call(0), Fault::Short(1));
    disk.inject(When::Call(1), Fault::IgnoredSync);
    create_dir(&disk, "/a");
    create_dir(&disk, "/b");
    assert_eq!(disk.faults_fired(), 0);
}

#[test]
fn a_full_disk_refuses_growth_and_nothing_else() {
    let disk = SimVfs::new();
    let file = open(&disk, "/a");
    for nth in 0..3 {
        disk.inject(When::Nth(Calls::Growing, nth), Fault::NoSpace);
    }
    assert_eq!(file.write_at(b"a", 0).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.set_len(5).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.allocate(0, 5).unwrap_err().kind(), ErrorKind::StorageFull);
    file.sync_all().unwrap();
    assert_eq!(file.len().unwrap(), 0);
}

#[test]
fn a_disk_with_a_limit_takes_what_fits() {
    let disk = SimVfs::new();
    disk.set_capacity(Some(2 * 4096));
    let file = open(&disk, "/a");
    assert_eq!(file.write_at(&[1; 10_000], 0).unwrap(), 8192, "a short write");
    assert_eq!(file.write_at(b"x", 8192).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.allocate(0, 8193).unwrap_err().kind(), ErrorKind::StorageFull);
    file.write_all_at(b"overwriting needs no space", 4090).unwrap();
    file.set_len(100).unwrap();
    write(&disk, "/b", &[1; 4096]);
    let third = open(&disk, "/c");
    assert_eq!(third.write_at(b"x", 0).unwrap_err().kind(), ErrorKind::StorageFull);
    remove(&disk, "/b");
    third.write_all_at(b"x", 0).unwrap();
    assert_eq!(file.len().unwrap(), 100);
}

#[test]
fn short_and_interrupted_calls_are_survived_by_loops() {
    let disk = SimVfs::new();
    let file = open(&disk, "/a");
    disk.inject(When::Nth(Calls::Any, 1), Fault::Interrupted);
    disk.inject(When::Nth(Calls::Any, 4), Fault::Interrupted);
    disk.inject(When::Every(Calls::Of(Call::WriteAt)), Fault::Short(3));
    disk.inject(When::Every(Calls::Of(Call::ReadAt)), Fault::Short(2));
    file.write_all_at(b"0123456789", 0).unwrap();
    let slices = &mut [b"ab".as_slice(), b"", b"cdef"].map(std::io::IoSlice::new);
    file.write_all_vectored_at(slices, 10).unwrap();
    let mut bytes = [0; 16];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"0123456789abcdef");
    assert_eq!(disk.counts().writes, 4 + 2 + 2, "10 bytes and 6 bytes by 3, and two interruptions");
}

#[test]
fn a_lost_write_is_acknowledged() {
    let disk = SimVfs::new();
    write_durably(&disk, "/a", b"old");
    disk.inject(When::Nth(Calls::Of(Call::WriteAt), 0), Fault::LostWrite);
    open(&disk, "/a").write_all_at(b"new!", 0).unwrap();
    open(&disk, "/a").sync_all().unwrap();
    assert_eq!(read(&disk, "/a").unwrap(), b"old\0");
    assert_eq!(after_power_cut(&disk, "/a").unwrap(), b"old\0");
}

#[test]
fn a_misdirected_write_lands_elsewhere() {
    let disk = SimVfs::new();
    write_durably(&disk, "/a", b"0123456789");
    disk.inject(When::Nth(Calls::Of(Call::WriteAt), 0), Fault::Misdirected(6));
    open(&disk, "/a").write_all_at(b"xy", 0).unwrap();
    assert_eq!(read(&disk, "/a").unwrap(), b"012345xy89");
}

#[test]
fn a_flipped_bit_is_in_every_image() {
    let disk = SimVfs::new();
    write_durably(&disk, "/a", &[0; 10]);
    open(&disk, "/a").write_all_at(&[0; 5], 5).unwrap();
    disk.flip_bit("/a", 9).unwrap();
    disk.flip_bit("/a", 8 * 7).unwrap();
    disk.flip_bit("/a", 8 * 10).unwrap();
    let rotten = [0, 2, 0, 0, 0, 0, 0, 1, 0, 0];
    assert_eq!(disk.peek("/a").unwrap(), rotten);
    assert_eq!(read(&disk.restart(Crash::KEEPS_SYNCED), "/a").unwrap(), rotten);
    assert_eq!(after_power_cut(&disk, "/a").unwrap(), rotten);
}

#[test]
fn removed_files_are_forgotten_but_not_too_early() {
    let disk = SimVfs::new();
    write_durably(&disk, "/kept", b"kept");
    let removed = open(&disk, "/kept");
    remove(&disk, "/kept");
    for _ in 0..1000 {
        write(&disk, "/temp", b"temp");
        remove(&disk, "/temp");
    }
    let mut bytes = [0; 4];
    removed.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"kept");
    assert_eq!(surviving(&disk), ["kept"]);
    disk.sync_dir(Path::new(ROOT)).unwrap();
    assert!(surviving(&disk).is_empty());
    removed.write_all_at(b"more", 4).unwrap();
    assert!(disk.unsynced().is_empty(), "no crash can show it");
    assert_eq!(disk.open(Path::new("/kept"), OpenMode::Read).unwrap_err().kind(), ErrorKind::NotFound);
}
