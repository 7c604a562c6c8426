//! Laws of names after power cuts, on random histories.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use common::{contents, sync_parent};
use mnem_vfs::sim::{Crash, SimVfs};
use mnem_vfs::{OpenMode, Vfs, VfsFileExt};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    CreateFile(&'static str),
    CreateDir(&'static str),
    RemoveFile(&'static str),
    RemoveDir(&'static str),
    Rename(&'static str, &'static str),
    SyncDir(&'static str),
    SyncAllDirs,
}

const DIRS: [&str; 4] = ["/d", "/e", "/d/f", "/d/g"];
const NAMES: [&str; 11] =
    ["/a", "/b", "/d", "/e", "/d/a", "/d/b", "/e/a", "/d/f", "/d/g", "/d/f/a", "/d/g/a"];

fn step() -> impl Strategy<Value = Step> {
    let name = || prop::sample::select(&NAMES);
    let dir = || prop::sample::select(&DIRS);
    prop_oneof![
        5 => name().prop_map(Step::CreateFile),
        4 => dir().prop_map(Step::CreateDir),
        2 => name().prop_map(Step::RemoveFile),
        2 => dir().prop_map(Step::RemoveDir),
        9 => (name(), name()).prop_map(|(from, to)| Step::Rename(from, to)),
        2 => prop_oneof![dir(), Just("/")].prop_map(Step::SyncDir),
        1 => Just(Step::SyncAllDirs),
    ]
}

/// A disk on which every file holds a number of its own, and what must be true of it.
struct History {
    disk: SimVfs,
    next: u32,
    /// Files by number, as they are now.
    now: BTreeMap<u32, String>,
    /// Files whose name was durable at some time, and that nobody removed since.
    must_be: BTreeSet<u32>,
    /// Where such a file was since its name was durable.
    places: BTreeMap<u32, BTreeSet<String>>,
    /// Files that were durably removed.
    must_not_be: BTreeSet<u32>,
    gone: BTreeSet<u32>,
    /// Directories changed their names: then paths mix, and `places` says too little.
    has_moved_dirs: bool,
    /// Directories came or went: then a directory that survives need not be the one that was synced.
    has_other_dirs: bool,
}

fn files(disk: &SimVfs) -> Vec<(u32, String)> {
    let is_file = |(path, _): &(String, Vec<u8>)| !path.ends_with('/');
    let number = |bytes: Vec<u8>| u32::from_le_bytes(bytes.try_into().expect("a synced number"));
    contents(disk, Path::new("/")).into_iter().filter(is_file).map(|(path, b)| (number(b), path)).collect()
}

impl History {
    fn new() -> History {
        History {
            disk: SimVfs::new(),
            next: 0,
            now: BTreeMap::new(),
            must_be: BTreeSet::new(),
            places: BTreeMap::new(),
            must_not_be: BTreeSet::new(),
            gone: BTreeSet::new(),
            has_moved_dirs: false,
            has_other_dirs: false,
        }
    }

    fn run(&mut self, step: &Step) {
        let is_dir = |path: &str| self.disk.list(Path::new(path)).is_ok();
        self.has_moved_dirs |= matches!(step, Step::Rename(from, _) if is_dir(from));
        self.has_other_dirs |= matches!(step, Step::CreateDir(_) | Step::RemoveDir(_));
        match step {
            Step::CreateFile(path) => self.create(path),
            // Refusals are part of the history.
            Step::CreateDir(path) => drop(self.disk.create_dir(Path::new(path))),
            Step::RemoveFile(path) => drop(self.disk.remove_file(Path::new(path))),
            Step::RemoveDir(path) => drop(self.disk.remove_dir(Path::new(path))),
            Step::Rename(from, to) => drop(self.disk.rename(Path::new(from), Path::new(to))),
            Step::SyncDir(path) => self.sync_dir(path),
            Step::SyncAllDirs => self.sync_all_dirs(),
        }
        self.note_changes();
    }

    fn create(&mut self, path: &str) {
        if let Ok(file) = self.disk.open(Path::new(path), OpenMode::CreateNew) {
            file.write_all_at(&self.next.to_le_bytes(), 0).unwrap();
            file.sync_all().unwrap();
            self.next += 1;
        }
    }

    /// Every name in a synced directory is there after the worst power cut, if the directory is.
    fn sync_dir(&self, path: &str) {
        if self.disk.sync_dir(Path::new(path)).is_err() {
            return;
        }
        let list = |disk: &SimVfs| -> Option<BTreeSet<_>> {
            Some(disk.list(Path::new(path)).ok()?.map(Result::unwrap).collect())
        };
        let image = self.disk.restart(Crash::KEEPS_SYNCED);
        if let Some(found) = list(&image)
            && !self.has_moved_dirs
            && !self.has_other_dirs
        {
            let expected = list(&self.disk).unwrap();
            assert!(found.is_superset(&expected), "{path}: {found:?} lacks some of {expected:?}");
        }
    }

    fn sync_all_dirs(&mut self) {
        let dirs = contents(&self.disk, Path::new("/")).into_keys().filter(|path| path.ends_with('/'));
        dirs.for_each(|dir| self.disk.sync_dir(Path::new(&dir)).unwrap());
        sync_parent(&self.disk, "/d");
        self.must_be = self.now.keys().copied().collect();
        self.must_not_be = self.gone.clone();
        self.places.clear();
        self.has_moved_dirs = false;
        self.has_other_dirs = false;
    }

    fn note_changes(&mut self) {
        let now: BTreeMap<u32, String> = files(&self.disk).into_iter().collect();
        self.gone.extend(self.now.keys().filter(|number| !now.contains_key(number)));
        self.must_be.retain(|number| now.contains_key(number));
        for number in &self.must_be {
            self.places.entry(*number).or_default().insert(now[number].clone());
        }
        self.now = now;
    }

    fn check(&self, image: &SimVfs) {
        let files = files(image);
        let found: BTreeMap<u32, String> = files.iter().cloned().collect();
        assert_eq!(found.len(), files.len(), "a file has two names: {files:?}");
        for number in &self.must_be {
            let place = found.get(number).unwrap_or_else(|| panic!("file {number} is lost: {files:?}"));
            let places = &self.places[number];
            assert!(self.has_moved_dirs || places.contains(place), "file {number} never was at {place}");
        }
        for number in &self.must_not_be {
            assert!(!found.contains_key(number), "file {number} is back: {files:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_power_cut_loses_doubles_or_revives_a_file(steps in vec(step(), 1..40)) {
        let mut history = History::new();
        steps.iter().for_each(|step| history.run(step));
        for seed in 0..16 {
            history.check(&history.disk.restart(Crash::random(seed)));
        }
        history.check(&history.disk.restart(Crash::KEEPS_SYNCED));
        let kept = history.disk.restart(Crash::KEEPS_ALL);
        prop_assert_eq!(kept.image_hash(), history.disk.image_hash());
    }
}
