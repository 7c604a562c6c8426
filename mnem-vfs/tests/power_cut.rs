//! The fault model of the simulated disk, clause by clause: what a power cut may leave, and what it must.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use common::*;
use mnem_vfs::sim::{Budget, Crash, Keep, Rest, SimVfs, is_power_cut};
use mnem_vfs::{Call, Vfs, VfsFileExt};

const OLD: [u8; 2048] = [b'o'; 2048];
const NEW: [u8; 2048] = [b'n'; 2048];

/// A disk with one durable file, overwritten in place without a sync.
fn overwritten() -> SimVfs {
    let disk = SimVfs::new();
    write_durably(&disk, "/a", &OLD);
    write(&disk, "/a", &NEW);
    disk
}

fn names(image: &BTreeMap<String, Vec<u8>>) -> Vec<&str> {
    image.keys().map(String::as_str).collect()
}

fn some(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(bytes.to_vec())
}

#[test]
fn m1_what_was_synced_survives_in_every_image() {
    let disk = SimVfs::new();
    write_durably(&disk, "/synced", b"kept");
    write(&disk, "/other", &NEW);
    write(&disk, "/third", &NEW);
    rename(&disk, "/third", "/fourth");
    for image in images(&disk) {
        assert_eq!(image["synced"], b"kept");
    }
}

#[test]
fn m1_a_sync_of_the_file_system_covers_everything() {
    let disk = SimVfs::new();
    create_dir(&disk, "/d");
    write(&disk, "/d/a", b"a");
    write(&disk, "/b", b"b");
    rename(&disk, "/b", "/d/c");
    disk.sync_file_system(Path::new("/d")).unwrap();
    assert!(disk.unsynced().is_empty());
    assert_eq!(surviving(&disk), ["d/", "d/a", "d/c"]);
    assert_eq!(images(&disk).len(), 1);
}

#[test]
fn m1_a_sync_covers_writes_through_handles_that_are_closed() {
    let disk = SimVfs::new();
    write_durably(&disk, "/a", b"old");
    write(&disk, "/a", b"new");
    open(&disk, "/a").sync_data().unwrap();
    assert_eq!(outcomes(&disk, "/a"), [some(b"new")]);
}

#[test]
fn m2_an_unsynced_write_is_kept_or_dropped() {
    assert_eq!(outcomes(&overwritten(), "/a"), [some(&NEW), some(&OLD)]);
}

#[test]
fn m2_a_write_tears_at_sectors() {
    let disk = overwritten();
    let mut seen = BTreeSet::new();
    for seed in 0..64 {
        let image = disk.restart(Crash { keep: Keep::Nothing, rest: Rest::Torn(seed) });
        let bytes = read(&image, "/a").unwrap();
        let sectors: Vec<u8> = bytes.chunks(512).map(|sector| sector[0]).collect();
        assert!(bytes.chunks(512).all(|sector| sector.iter().all(|byte| *byte == sector[0])));
        seen.insert(sectors);
    }
    assert_eq!(seen.len(), 16, "any of the four sectors survive: {seen:?}");
}

#[test]
fn m2_garbage_stays_within_the_write_and_one_sector() {
    let disk = SimVfs::new();
    write_durably(&disk, "/a", &OLD);
    open(&disk, "/a").write_all_at(&NEW[..1000], 100).unwrap();
    let mut is_garbage_seen = false;
    for seed in 0..64 {
        let image = disk.restart(Crash { keep: Keep::Nothing, rest: Rest::Garbage(seed) });
        let bytes = read(&image, "/a").unwrap();
        assert_eq!(bytes.len(), OLD.len());
        assert_eq!(bytes[..100], OLD[..100], "synced bytes of the same sector");
        assert_eq!(bytes[1100..], OLD[1100..], "synced bytes of the same sector");
        let is_garbage = |sector: &&[u8]| sector.iter().any(|byte| ![b'o', b'n'].contains(byte));
        let garbage = bytes.chunks(512).filter(is_garbage).count();
        assert!(garbage <= 1);
        is_garbage_seen |= garbage == 1;
    }
    assert!(is_garbage_seen);
}

#[test]
fn m2_writes_survive_in_any_order() {
    let disk = SimVfs::new();
    write_durably(&disk, "/a", &[b'-'; 3]);
    let file = open(&disk, "/a");
    for at in 0..3 {
        file.write_all_at(b"x", at).unwrap();
    }
    let found = outcomes(&disk, "/a");
    assert_eq!(found.len(), 8, "{found:?}");
}

#[test]
fn m3_length_and_bytes_survive_independently() {
    let disk = SimVfs::new();
    write_durably(&disk, "/a", b"");
    write(&disk, "/a", b"xy");
    assert_eq!(outcomes(&disk, "/a"), [some(b""), some(b"\0\0"), some(b"xy")]);
}

#[test]
fn m3_a_cut_survives_or_not() {
    let disk = SimVfs::new();
    write_durably(&disk, "/a", b"abcd");
    let file = open(&disk, "/a");
    file.set_len(1).unwrap();
    file.set_len(3).unwrap();
    assert_eq!(outcomes(&disk, "/a"), [some(b"a"), some(b"a\0\0"), some(b"abc"), some(b"abcd")]);
}

#[test]
fn m3_an_extension_may_show_old_content_of_the_disk() {
    let disk = SimVfs::new();
    write_durably(&disk, "/secret", &OLD);
    write_durably(&disk, "/a", b"");
    open(&disk, "/a").set_len(2048).unwrap();
    let mut seen = BTreeSet::new();
    for seed in 0..64 {
        let image = disk.restart(Crash { keep: Keep::All, rest: Rest::Garbage(seed) });
        let bytes = read(&image, "/a").unwrap();
        assert_eq!(bytes.len(), 2048);
        seen.insert(if bytes == OLD {
            "old"
        } else if bytes == [0; 2048] {
            "zeros"
        } else {
            "garbage"
        });
    }
    assert_eq!(Vec::from_iter(seen), ["garbage", "old", "zeros"]);
}

#[test]
fn m3_a_synced_extension_shows_zeros_only() {
    let disk = SimVfs::new();
    write_durably(&disk, "/secret", &OLD);
    write_durably(&disk, "/a", b"");
    let file = open(&disk, "/a");
    file.allocate(0, 2048).unwrap();
    file.sync_data().unwrap();
    for image in images(&disk) {
        assert_eq!(image["a"], [0; 2048]);
    }
}

#[test]
fn m4_syncing_a_file_does_not_sync_its_name() {
    let disk = SimVfs::new();
    write(&disk, "/a", b"a");
    open(&disk, "/a").sync_all().unwrap();
    assert_eq!(outcomes(&disk, "/a"), [None, some(b"a")]);
}

#[test]
fn m4_syncing_a_directory_does_not_sync_its_files() {
    let disk = SimVfs::new();
    write(&disk, "/a", b"a");
    sync_parent(&disk, "/a");
    assert_eq!(outcomes(&disk, "/a"), [some(b""), some(b"\0"), some(b"a")]);
}

#[test]
fn m4_syncing_a_directory_does_not_sync_its_own_name() {
    let disk = SimVfs::new();
    create_dir(&disk, "/d");
    write_durably(&disk, "/d/a", b"a");
    assert!(surviving(&disk).is_empty());
    sync_parent(&disk, "/d");
    assert_eq!(surviving(&disk), ["d/", "d/a"]);
}

#[test]
fn m4_a_removal_survives_or_not() {
    let disk = SimVfs::new();
    write_durably(&disk, "/a", b"a");
    remove(&disk, "/a");
    assert_eq!(outcomes(&disk, "/a"), [None, some(b"a")]);
    sync_parent(&disk, "/a");
    assert_eq!(outcomes(&disk, "/a"), [None]);
}

#[test]
fn m4_a_rename_survives_as_a_whole() {
    let disk = SimVfs::new();
    write_durably(&disk, "/a", b"old");
    write_durably(&disk, "/a.new", b"new");
    rename(&disk, "/a.new", "/a");
    let mut found = images(&disk);
    found.sort();
    let new = BTreeMap::from([("a".to_owned(), b"new".to_vec())]);
    let old = [("a".to_owned(), b"old".to_vec()), ("a.new".to_owned(), b"new".to_vec())].into();
    assert_eq!(found, [new, old]);
    sync_parent(&disk, "/a");
    assert_eq!(surviving(&disk), ["a"]);
}

#[test]
fn m4_renames_of_different_files_survive_independently() {
    let disk = SimVfs::new();
    write_durably(&disk, "/a", b"");
    write_durably(&disk, "/b", b"");
    rename(&disk, "/a", "/a.new");
    rename(&disk, "/b", "/b.new");
    let images = images(&disk);
    let mut found = images.iter().map(names).collect::<Vec<_>>();
    found.sort();
    assert_eq!(found, [["a", "b"], ["a", "b.new"], ["a.new", "b"], ["a.new", "b.new"]]);
}

#[test]
fn m4_a_move_between_directories_is_durable_with_either_sync() {
    for synced in ["/d", "/e"] {
        let disk = SimVfs::new();
        create_dir(&disk, "/d");
        create_dir(&disk, "/e");
        sync_parent(&disk, "/d");
        write_durably(&disk, "/d/a", b"");
        rename(&disk, "/d/a", "/e/a");
        let images = images(&disk);
        let found = images.iter().map(names).collect::<Vec<_>>();
        assert_eq!(found, [["d/", "d/a", "e/"], ["d/", "e/", "e/a"]]);
        disk.sync_dir(Path::new(synced)).unwrap();
        assert_eq!(surviving(&disk), ["d/", "e/", "e/a"]);
    }
}

#[test]
fn m4_a_file_moved_into_a_directory_that_vanishes_is_where_it_was() {
    let disk = SimVfs::new();
    write_durably(&disk, "/a", b"");
    create_dir(&disk, "/d");
    rename(&disk, "/a", "/d/a");
    disk.sync_dir(Path::new("/d")).unwrap();
    assert_eq!(surviving(&disk), ["a"], "the name of the directory itself was not synced");
    disk.sync_dir(Path::new("/")).unwrap();
    assert_eq!(surviving(&disk), ["d/", "d/a"]);
}

#[test]
fn m4_a_name_given_up_by_a_rename_is_not_taken_before_it() {
    let disk = SimVfs::new();
    write_durably(&disk, "/log", b"old");
    rename(&disk, "/log", "/log.1");
    write(&disk, "/log", b"new");
    for image in images(&disk) {
        let is_old = |bytes: &&Vec<u8>| bytes.as_slice() == b"old";
        assert_eq!(image.values().filter(is_old).count(), 1, "{image:?}");
    }
}

#[test]
fn m4_a_removed_directory_does_not_take_moved_files_along() {
    let disk = SimVfs::new();
    create_dir(&disk, "/d");
    sync_parent(&disk, "/d");
    write_durably(&disk, "/d/a", b"a");
    rename(&disk, "/d/a", "/a");
    disk.remove_dir(Path::new("/d")).unwrap();
    for image in images(&disk) {
        assert_eq!(image.values().filter(|bytes| *bytes == b"a").count(), 1, "{image:?}");
    }
}

#[test]
fn small_disks_are_cut_in_every_way() {
    let disk = SimVfs::new();
    for name in ["/a", "/b", "/c"] {
        write_durably(&disk, name, b"old");
        write(&disk, name, b"new");
    }
    assert_eq!(disk.unsynced().len(), 3);
    assert_eq!(images(&disk).len() - garbage_images(&disk), 8);
}

/// Each of these writes lies in one sector: torn without garbage it is kept or dropped.
fn garbage_images(disk: &SimVfs) -> usize {
    disk.crash_images(Budget::default()).filter(|(crash, _)| matches!(crash.rest, Rest::Garbage(_))).count()
}

#[test]
fn large_disks_are_cut_in_a_selection_of_ways() {
    let disk = SimVfs::new();
    write_durably(&disk, "/a", &[0; 100]);
    let file = open(&disk, "/a");
    for at in 0..100 {
        file.write_all_at(b"x", at).unwrap();
    }
    let budget = Budget { each_max: 100, random: 10, tears: 0, ..Budget::default() };
    // Nothing, all, 99 prefixes (the first one is also “only unit 0”, the last also “all but unit 99”), 100
    // alone, 100 left out, 10 at random.
    assert_eq!(disk.crash_images(budget).count(), 2 + 99 + 100 + 100 + 10 - 2);
    let tight = Budget { each_max: 10, ..budget };
    assert!(disk.crash_images(tight).count() <= 2 + 3 * 10 + 10);
}

#[test]
fn the_same_choice_gives_the_same_image() {
    let disk = overwritten();
    for seed in 0..32 {
        let crash = Crash::random(seed);
        assert_eq!(disk.restart(crash).image_hash(), disk.restart(crash).image_hash());
    }
    let seeds = (0..32).map(|seed| disk.restart(Crash::random(seed)).image_hash());
    assert!(BTreeSet::from_iter(seeds).len() > 3);
}

#[test]
fn images_are_named_by_what_is_in_them() {
    let disk = overwritten();
    let (kept, dropped) = (disk.restart(Crash::KEEPS_ALL), disk.restart(Crash::KEEPS_SYNCED));
    assert_eq!(kept.image_hash(), disk.image_hash());
    assert_ne!(kept.image_hash(), dropped.image_hash());
    write(&dropped, "/a", &NEW);
    assert_eq!(kept.image_hash(), dropped.image_hash());
}

#[test]
fn restarts_do_not_disturb_each_other() {
    let disk = overwritten();
    let images: Vec<SimVfs> = disk.crash_images(Budget::default()).map(|(_, image)| image).collect();
    let hashes: Vec<u128> = images.iter().map(SimVfs::image_hash).collect();
    write(&disk, "/a", b"later");
    write(&images[0], "/a", b"elsewhere");
    assert_eq!(images[1..].iter().map(SimVfs::image_hash).collect::<Vec<_>>(), hashes[1..]);
}

#[test]
fn units_are_described() {
    let disk = SimVfs::new();
    create_dir(&disk, "/d");
    write(&disk, "/d/a", b"xyz");
    rename(&disk, "/d/a", "/b");
    remove(&disk, "/b");
    let expected = ["create d", "create d/a", "b: length from 0 to 3"];
    assert_eq!(disk.unsynced()[..3], expected);
    assert_eq!(disk.unsynced()[4..], ["rename d/a to b", "remove b"]);
}

#[test]
fn every_call_from_the_cut_on_fails() {
    let disk = SimVfs::new();
    write_durably(&disk, "/a", b"a");
    let calls = disk.calls();
    assert_eq!(disk.calls_where(Call::is_sync).len(), 2);
    let file = open(&disk, "/a");
    disk.cut_at(calls + 2);
    file.write_all_at(b"b", 0).unwrap();
    assert!(is_power_cut(&file.write_all_at(b"c", 0).unwrap_err()));
    assert!(is_power_cut(&file.len().unwrap_err()));
    assert!(is_power_cut(&file.try_lock(mnem_vfs::LockKind::Shared).unwrap_err()));
    assert!(is_power_cut(&disk.metadata(Path::new("/a")).unwrap_err()));
    assert_eq!(disk.calls(), calls + 2);
    assert_eq!(outcomes(&disk, "/a"), [some(b"a"), some(b"b")]);
    assert_eq!(disk.restart(Crash::KEEPS_ALL).calls(), 0);
}

#[test]
fn a_listing_ends_with_the_power() {
    let disk = SimVfs::new();
    write(&disk, "/a", b"");
    write(&disk, "/b", b"");
    let mut listing = disk.list(Path::new("/")).unwrap();
    assert!(listing.next().unwrap().is_ok());
    disk.cut_power();
    assert!(is_power_cut(&listing.next().unwrap().unwrap_err()));
    assert!(listing.next().is_none());
}
