//! The power fails at every call to the disk, and what is left is opened.
//!
//! Oracles, for every image: opening succeeds; what was acknowledged is there, blocks, heads and rows of one commit; a
//! commit that was not acknowledged is whole or absent; every index page, group and block passes its checks; the map of
//! used pages is exactly what is reachable. `MNEM_LONG=1` looks at many more images.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use common::{Known, OPTIONS, go_on, look, run, run_as};
use mnem_backend_native::{StorageEngine, StorageMode, StorageOptions};
use mnem_vfs::sim::{Budget, Calls, Fault, Keep, When};
use mnem_vfs::{Call, SimVfs};

fn is_long() -> bool {
    std::env::var_os("MNEM_LONG").is_some()
}

fn budget() -> Budget {
    if is_long() {
        Budget { exhaustive_units_max: 12, each_max: 128, random: 2048, tears: 64 }
    } else {
        Budget { exhaustive_units_max: 8, each_max: 32, random: 64, tears: 4 }
    }
}

/// Runs the script until the power fails at `cut`.
fn until(cut: u64, prepare: impl Fn(&SimVfs)) -> (SimVfs, Known) {
    let disk = SimVfs::new();
    prepare(&disk);
    disk.cut_at(cut);
    let mut known = Known::default();
    let finished = run(&disk, &mut known).is_ok();
    assert!(finished || disk.calls() <= cut, "it ends early only at the cut");
    (disk, known)
}

fn script_calls() -> u64 {
    let disk = SimVfs::new();
    let mut known = Known::default();
    run(&disk, &mut known).unwrap();
    look(&disk, &known).unwrap();
    disk.calls()
}

#[test]
fn what_is_acknowledged_survives_a_power_cut_anywhere() {
    let calls = script_calls();
    let mut images: HashSet<u128> = HashSet::new();
    for cut in 0..=calls {
        let (disk, known) = until(cut, |_| {});
        for (crash, image) in disk.crash_images(budget()) {
            if images.insert(image.image_hash())
                && let Err(broken) = look(&image, &known)
            {
                panic!("cut at {cut} of {calls}, {crash:?}: {broken}\n{:#?}", disk.unsynced());
            }
        }
    }
    println!("{} distinct images of {calls} calls", images.len());
    assert!(images.len() > 2000);
}

/// The same script by one who shares the store. What shared stores have beside the pages and the log is never synced, and
/// means nothing after a power cut: whatever is left of it does no harm.
#[test]
fn what_is_acknowledged_in_shared_mode_survives_a_power_cut_anywhere() {
    let script = |disk: &SimVfs, known: &mut Known| run_as(StorageMode::Shared, disk, known);
    let disk = SimVfs::new();
    script(&disk, &mut Known::default()).unwrap();
    let calls = disk.calls();
    let few = Budget { exhaustive_units_max: 0, each_max: 6, random: 6, tears: 2 };
    let mut images: HashSet<u128> = HashSet::new();
    for cut in (0..=calls).step_by(if is_long() { 1 } else { 3 }) {
        let disk = SimVfs::new();
        disk.cut_at(cut);
        let mut known = Known::default();
        let _ = script(&disk, &mut known);
        for (crash, image) in disk.crash_images(few) {
            if images.insert(image.image_hash())
                && let Err(broken) = look(&image, &known)
            {
                panic!("cut at {cut} of {calls}, {crash:?}: {broken}");
            }
            // Shared again: what the session before has left is believed by nobody.
            let shared = StorageOptions { mode: StorageMode::Shared, ..OPTIONS };
            let image = image.restart(Keep::All);
            let opened = StorageEngine::open_or_init_with(Arc::new(image.clone()), "/store", shared);
            drop(opened.unwrap());
            look(&image, &known).unwrap();
        }
    }
    println!("{} distinct images of {calls} calls", images.len());
    assert!(images.len() > 1000);
}

#[test]
fn a_second_power_cut_during_recovery_loses_nothing_either() {
    let calls = script_calls();
    let step = if is_long() { 1 } else { 7 };
    let mut images: HashSet<u128> = HashSet::new();
    let few = Budget { exhaustive_units_max: 0, each_max: 4, random: 4, tears: 1 };
    for cut in (0..=calls).step_by(step) {
        let (disk, known) = until(cut, |_| {});
        for (first, image) in disk.crash_images(few) {
            if !images.insert(image.image_hash()) {
                continue;
            }
            // Cuts at every call of opening, until it gets through.
            for second in 0.. {
                let disk = image.restart(Keep::All);
                disk.cut_at(second);
                let vfs = Arc::new(disk.clone());
                let opened = StorageEngine::open_or_init_with(vfs, "/store", OPTIONS);
                let is_through = opened.is_ok();
                drop(opened);
                for (crash, image) in disk.crash_images(few) {
                    if images.insert(image.image_hash())
                        && let Err(broken) = look(&image, &known)
                    {
                        panic!("cut at {cut}, {first:?}, then at {second}, {crash:?}: {broken}");
                    }
                }
                if is_through {
                    break;
                }
            }
        }
    }
    println!("{} distinct images of a second cut", images.len());
}

/// What the syncs of the script are for: without any one of them some power cut breaks a promise, or it is one of those
/// that DURABILITY.md, "Native backend", "Which syncs are proven to be needed" explains.
#[test]
fn no_sync_is_left_out_without_notice() {
    let disk = SimVfs::new();
    let mut whole = Known::default();
    run(&disk, &mut whole).unwrap();
    let calls = disk.calls();
    let few = Budget { exhaustive_units_max: 2, each_max: 4, random: 3, tears: 0 };
    let (mut unnoticed, mut noticed) = (BTreeMap::new(), BTreeMap::new());
    for call in [Call::SyncData, Call::SyncAll, Call::SyncDir] {
        for sync in disk.calls_where(|found| found == call) {
            let prepare = |disk: &SimVfs| disk.inject(When::Call(sync), Fault::IgnoredSync);
            // Opening syncs what other processes left: nothing, here.
            let window = match whole.part(sync) {
                "open" | "recover" => 20,
                "make" => 150,
                _ => 50,
            };
            let is_noticed = (sync + 1..=calls.min(sync + window)).any(|cut| {
                let (disk, known) = until(cut, prepare);
                disk.crash_images(few).any(|(_, image)| look(&image, &known).is_err())
            });
            let counts = if is_noticed { &mut noticed } else { &mut unnoticed };
            *counts.entry((whole.part(sync), call)).or_insert(0) += 1;
        }
    }
    println!("noticed: {noticed:#?}\nunnoticed: {unnoticed:#?}");
    let explained: BTreeMap<(&str, Call), i32> = BTreeMap::from(EXPLAINED);
    assert_eq!(unnoticed, explained);
}

/// How many syncs of each part of the script the test above can do without.
const EXPLAINED: [((&str, Call), i32); 11] = [
    (("checkpoint", Call::SyncData), 4),
    (("commit", Call::SyncAll), 2),
    (("compact", Call::SyncData), 1),
    (("make", Call::SyncDir), 3),
    (("make", Call::SyncData), 2),
    (("make", Call::SyncAll), 1),
    (("open", Call::SyncDir), 3),
    (("open", Call::SyncData), 8),
    // A checkpoint that the put before it made due.
    (("put", Call::SyncData), 1),
    (("recover", Call::SyncDir), 1),
    (("recover", Call::SyncData), 5),
];

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_until_the_store_is_opened_anew() {
    let disk = SimVfs::new();
    run(&disk, &mut Known::default()).unwrap();
    for sync in disk.calls_where(Call::is_sync) {
        let disk = SimVfs::new();
        disk.inject(When::Call(sync), Fault::Eio);
        let mut known = Known::default();
        let _ = run(&disk, &mut known);
        for (crash, image) in
            disk.crash_images(Budget { exhaustive_units_max: 2, each_max: 4, random: 4, tears: 1 })
        {
            if let Err(broken) = look(&image, &known) {
                panic!("sync {sync} failed, {crash:?}: {broken}");
            }
        }
        // The same without a power cut: what the failed sync lost must not be believed because a cache still shows it.
        disk.clear_faults();
        if let Err(broken) = look(&disk, &known) {
            panic!("sync {sync} failed, opened anew: {broken}");
        }
        // A name whose sync failed cannot be made durable by a later one: DURABILITY.md, "Native backend".
        if known.part(sync) == "make" {
            continue;
        }
        go_on(&disk, &mut known).unwrap();
        disk.cut_power();
        if let Err(broken) = look(&disk.restart(Keep::Nothing), &known) {
            panic!("sync {sync} failed, opened anew, went on, and the power failed: {broken}");
        }
    }
}

#[test]
fn a_failing_call_anywhere_is_an_error_and_loses_nothing() {
    let calls = script_calls();
    for fault in [Fault::Eio, Fault::NoSpace, Fault::Interrupted, Fault::Short(7)] {
        for call in 0..calls {
            let disk = SimVfs::new();
            disk.inject(When::Call(call), fault);
            let mut known = Known::default();
            let _ = run(&disk, &mut known);
            disk.clear_faults();
            let image = disk.restart(Keep::Nothing);
            if let Err(broken) = look(&image, &known) {
                panic!("{fault:?} at call {call}: {broken}");
            }
        }
    }
}

#[test]
fn a_disk_that_stays_full_refuses_and_keeps_what_it_has() {
    let disk = SimVfs::new();
    let mut known = Known::default();
    disk.set_capacity(Some(400 << 10));
    let _ = run(&disk, &mut known);
    disk.inject(When::Every(Calls::Growing), Fault::NoSpace);
    disk.clear_faults();
    disk.set_capacity(None);
    look(&disk.restart(Keep::Nothing), &known).unwrap();
}
