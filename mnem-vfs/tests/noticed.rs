//! The simulator sees a missing sync: a protocol that is right never loses anything, and the same protocol
//! without any one of its syncs does.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::path::Path;

use common::{create_dir, read, rename, sync_parent, write};
use mnem_vfs::sim::{Budget, Fault, SimVfs, When, is_power_cut};
use mnem_vfs::{Call, OpenMode, Vfs, VfsFileExt};

const ROUNDS: u8 = 3;

/// Replaces a file, round by round, as every store does it: write aside, sync, rename, sync the directory.
/// Returns the last round that was acknowledged.
fn workload(disk: &SimVfs) -> Option<u8> {
    let mut acknowledged = None;
    if prepare(disk).is_ok() {
        for round in 0..ROUNDS {
            if replace(disk, round).is_err() {
                break;
            }
            acknowledged = Some(round);
        }
    }
    acknowledged
}

fn prepare(disk: &SimVfs) -> std::io::Result<()> {
    disk.create_dir(Path::new("/store"))?;
    disk.sync_dir(Path::new("/"))
}

fn replace(disk: &SimVfs, round: u8) -> std::io::Result<()> {
    let file = disk.open(Path::new("/store/head.new"), OpenMode::OpenOrCreate)?;
    file.set_len(0)?;
    file.write_all_at(&[round; 1500], 0)?;
    file.sync_data()?;
    disk.rename(Path::new("/store/head.new"), Path::new("/store/head"))?;
    disk.sync_dir(Path::new("/store"))
}

/// How many images, over cuts at every call, lack what was acknowledged, or show a torn file.
fn losses(fault: Option<(When, Fault)>) -> usize {
    let start = || {
        let disk = SimVfs::new();
        fault.into_iter().for_each(|(when, fault)| disk.inject(when, fault));
        disk
    };
    let whole = start();
    workload(&whole);
    let mut losses = 0;
    for cut in 0..=whole.calls() {
        let disk = start();
        disk.cut_at(cut);
        let acknowledged = workload(&disk);
        let images = disk.crash_images(Budget::default());
        losses += images.filter(|(_, image)| !holds(image, acknowledged)).count();
    }
    losses
}

fn holds(image: &SimVfs, acknowledged: Option<u8>) -> bool {
    let found = read(image, "/store/head");
    let whole = |round| found.as_deref() == Some(&[round; 1500]);
    match acknowledged {
        Some(round) => (round..ROUNDS).any(whole),
        None => found.is_none() || (0..ROUNDS).any(whole),
    }
}

#[test]
fn a_protocol_with_all_its_syncs_loses_nothing() {
    assert_eq!(losses(None), 0);
}

#[test]
fn each_missing_sync_is_noticed() {
    let disk = SimVfs::new();
    workload(&disk);
    let syncs = disk.calls_where(Call::is_sync);
    assert_eq!(syncs.len(), 1 + 2 * usize::from(ROUNDS));
    for sync in syncs {
        assert!(losses(Some((When::Call(sync), Fault::IgnoredSync))) > 0, "without the sync at call {sync}");
    }
}

#[test]
fn a_rename_into_a_directory_that_nobody_synced_is_noticed() {
    let disk = SimVfs::new();
    create_dir(&disk, "/store");
    write(&disk, "/store/temp", b"");
    disk.sync_file_system(Path::new("/")).unwrap();
    create_dir(&disk, "/store/ab");
    rename(&disk, "/store/temp", "/store/ab/object");
    sync_parent(&disk, "/store/ab/object");
    let finds = |disk: &SimVfs| read(disk, "/store/ab/object").is_some();
    assert!(!disk.crash_images(Budget::default()).all(|(_, image)| finds(&image)));
    sync_parent(&disk, "/store/ab");
    assert!(disk.crash_images(Budget::default()).all(|(_, image)| finds(&image)));
}

#[test]
fn a_workload_ends_at_the_cut() {
    let disk = SimVfs::new();
    disk.cut_at(5);
    workload(&disk);
    assert_eq!(disk.calls(), 5);
    assert!(is_power_cut(&disk.metadata(Path::new("/")).unwrap_err()));
}

#[test]
fn thousands_of_restarts_are_cheap() {
    let disk = SimVfs::new();
    for file in 0..20 {
        write(&disk, &format!("/file-{file}"), &[file; 256 * 1024]);
    }
    disk.sync_file_system(Path::new("/")).unwrap();
    for file in 0..12 {
        write(&disk, &format!("/file-{file}"), &[255; 600]);
    }
    assert!(disk.crash_images(Budget::default()).count() >= 4096);
}
