//! Collection in a loop beside those who write and read: only garbage goes, nobody waits long for it, and the room comes
//! back.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use mnem::port::{BlockRead, CollectorError, Compact, Fault, Namespace};
use mnem::{Actor, Cid, CommitId, Expected, Repo, RepoError, Retention, Store, props, quiet};
use mnem_core::object::{Object as _, Operation, View};
use mnem_core::repo::reach::{Bounds, Place, Walk};
use mnem_core::tree::{TreeParams, TreeStore};

use super::{open, url};

/// Few enough that operations go in a test of seconds.
const KEPT: Retention = Retention { operations: 12, days: 0 };

const WRITERS: usize = 8;
const READERS: usize = 8;

/// Checks that all that heads reach is there, as far as the horizon that each records.
pub(crate) fn assert_whole(store: &Arc<dyn Store>) {
    let blocks = || Arc::clone(store) as Arc<dyn BlockRead>;
    let trees = TreeStore::new(blocks(), &TreeParams::V1).unwrap();
    let mut walk = Walk::new(blocks(), Bounds::default());
    for head in store.heads(&Namespace::default()).unwrap() {
        let operation = Operation::from_block(&store.get(head.cid()).unwrap().unwrap()).unwrap();
        let view = View::from_block(&store.get(&operation.view).unwrap().unwrap()).unwrap();
        let keys = trees.tree(view.config).iter().map(|entry| entry.unwrap().key);
        let horizon: HashSet<Cid> =
            keys.filter_map(|key| Cid::from_bytes(key.strip_prefix(b"h/")?).ok()).collect();
        walk.bounds_mut().may_be_absent = Arc::new(horizon);
        walk.add(*head.cid(), Place::Object);
        walk.by_ref().for_each(|reached| drop(reached.unwrap()));
    }
    assert!(!walk.is_empty());
}

/// Collects until told to stop. Returns how often, and how many blocks went.
pub(crate) fn again_and_again(store: &Arc<dyn Store>, stop: impl Fn() -> bool) -> (u64, u64) {
    let repo = open(store);
    let (mut times, mut blocks) = (0, 0);
    while !stop() {
        match repo.collect(KEPT, &mut quiet) {
            Ok(done) => {
                times += 1;
                blocks += done.deleted.blocks;
            }
            Err(RepoError::Contended { .. }) => {} // others collect too
            Err(why) => panic!("{why}"),
        }
        thread::sleep(Duration::from_millis(5));
    }
    (times, blocks)
}

/// How long calls took, in microseconds.
#[derive(Default)]
struct Waits(Mutex<Vec<u64>>);

impl Waits {
    fn time<T>(&self, call: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = call();
        let took_us = u64::try_from(began.elapsed().as_micros()).unwrap();
        self.0.lock().unwrap().push(took_us);
        done
    }

    /// Half of the calls, 99 of 100, and all took no longer than this, in milliseconds.
    fn told(&self) -> String {
        let mut waits = std::mem::take(&mut *self.0.lock().unwrap());
        waits.sort_unstable();
        let of = |share: usize| match waits.len() {
            0 => 0.0,
            len => Duration::from_micros(waits[(len * share / 100).min(len - 1)]).as_secs_f64() * 1e3,
        };
        format!("{:.1} / {:.1} / {:.1} ms of {}", of(50), of(99), of(100), waits.len())
    }
}

/// Commits on a branch of its own. Some of it is garbage soon: a side branch that is deleted.
fn write(repo: &Repo, number: usize, round: usize, waits: &Waits) -> CommitId {
    let who = Actor::named(&format!("writer {number}"));
    let mut tx = repo.begin(&who).unwrap();
    let text = format!("{number} {round} ").repeat(40);
    tx.add_node("Fact", props! { by: who.name(), text: text.as_str() }).unwrap();
    let done = waits.time(|| tx.commit("fact")).unwrap();
    if round.is_multiple_of(3) {
        let name = format!("side {number}").replace(' ', "-");
        repo.create_branch(&who, &name, &done).unwrap();
        let side = repo.on(&name).unwrap();
        let mut tx = side.begin(&who).unwrap();
        tx.add_node("Draft", props! { text: text.as_str() }).unwrap();
        drop(tx.commit("draft").unwrap());
        repo.delete_branch(&who, &name, Expected::Any).unwrap();
    }
    done.commit_id().unwrap()
}

/// Reads a whole state, again and again, as of the moment when it began.
fn read(repo: &Repo, stop: &AtomicBool, waits: &Waits) {
    while !stop.load(Ordering::Relaxed) {
        let head = waits.time(|| repo.head()).unwrap();
        let count = waits.time(|| head.node_count()).unwrap();
        let nodes = waits.time(|| head.nodes().map(Result::unwrap).count());
        assert_eq!(nodes as u64, count);
        waits.time(|| repo.log(&head).take(20).for_each(|it| drop(it.unwrap())));
        thread::sleep(Duration::from_millis(2));
    }
}

/// Lets all work for so many rounds, with or without somebody who collects, and returns the commits and what is to be
/// told.
fn work(store: &Arc<dyn Store>, rounds: usize, collects: bool) -> (Vec<(String, CommitId)>, String) {
    let (stop, commits) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let (writes, reads) = (Waits::default(), Waits::default());
    let (times, went) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| read(&open(store), &stop, &reads));
        }
        if collects {
            scope.spawn(|| {
                let (did, blocks) = again_and_again(store, || stop.load(Ordering::Relaxed));
                times.store(did, Ordering::Relaxed);
                went.store(blocks, Ordering::Relaxed);
            });
        }
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| {
                let (commits, writes) = (&commits, &writes);
                scope.spawn(move || {
                    let branch = format!("b{number}");
                    let repo = open(store).on(&branch).unwrap();
                    for round in 0..rounds {
                        let commit = write(&repo, number, round, writes);
                        commits.lock().unwrap().push((branch.clone(), commit));
                    }
                })
            })
            .collect();
        let done: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        stop.store(true, Ordering::Relaxed);
        done.into_iter().for_each(|done| done.unwrap());
    });
    let (times, went) = (times.into_inner(), went.into_inner());
    let told =
        format!("commits {}, reads {}, {times} collections of {went} blocks", writes.told(), reads.told());
    (commits.into_inner().unwrap(), told)
}

fn bytes(path: &Path) -> u64 {
    let metadata = fs::symlink_metadata(path).unwrap();
    if metadata.is_dir() {
        return fs::read_dir(path).unwrap().map(|entry| bytes(&entry.unwrap().path())).sum();
    }
    metadata.len()
}

/// Returns how large the store is, and how large a fresh copy of it, both closed.
fn sizes(kind: &str, store: Arc<dyn Store>, folder: &Path) -> (u64, u64) {
    let copy = folder.join("copy");
    fs::create_dir(&copy).unwrap();
    let fresh = mnem::store::init(&url(kind, &copy)).unwrap();
    mnem::copy(&*store, &*fresh, &mut quiet).unwrap();
    drop((fresh, store));
    (bytes(&folder.join("store")), bytes(&copy))
}

fn beside(kind: &str, rounds: usize) {
    let folder = tempfile::tempdir().unwrap();
    let place = if kind == "memory" { "memory:".to_owned() } else { url(kind, folder.path()) };
    let store = mnem::store::init(&place).unwrap();
    super::start(&store);
    let (before, alone) = work(&store, rounds / 3, false);
    let (after, beside) = work(&store, rounds, true);
    println!("{kind}, nobody collects: {alone}\n{kind}, beside collection: {beside}");
    let repo = open(&store);
    for (branch, commit) in before.iter().chain(&after) {
        let tip = repo.at(branch.as_str()).unwrap();
        assert!(repo.is_ancestor(*commit, tip.commit_id().unwrap()).unwrap(), "{commit} is lost");
    }
    assert_whole(&store);
    let done = repo.collect(KEPT, &mut quiet).unwrap();
    assert_eq!(done.deleted, done.garbage(), "nobody is left who could have put it again");
    let again = repo.collectable(Retention::ALL, &mut quiet).unwrap();
    assert_eq!(again.garbage().blocks, 0, "{again:?}");
    drop(repo);
    assert_whole(&store);
    match store.compact(Compact::Room) {
        Ok(()) => {}
        Err(CollectorError::Fault(Fault::Unsupported { .. })) => return,
        Err(why) => panic!("{why}"),
    }
    if kind != "memory" {
        let (left, fresh) = sizes(kind, store, folder.path());
        println!("{kind}: {left} bytes, a fresh copy {fresh}");
        // Segments of a log are used again, not given back: a few megabytes at most.
        let log = if kind == "native" { 8 << 20 } else { 1 << 16 };
        assert!(left <= fresh * 13 / 10 + log, "{left} bytes, a fresh copy {fresh}");
    }
}

#[test]
fn collection_beside_writers_and_readers_takes_only_garbage_in_memory() {
    beside("memory", 6);
}

#[test]
fn collection_beside_writers_and_readers_takes_only_garbage_on_plain_files() {
    beside("simple", 4);
}

#[test]
fn collection_beside_writers_and_readers_takes_only_garbage_on_redb() {
    beside("redb", 6);
}

#[test]
fn collection_beside_writers_and_readers_takes_only_garbage_on_native() {
    beside("native", 6);
}

#[test]
#[ignore = "long: hundreds of commits by each of eight writers on every backend"]
fn collection_beside_many_commits_takes_only_garbage() {
    for kind in ["memory", "simple", "redb", "native"] {
        beside(kind, 300);
    }
}

#[test]
fn no_commit_is_lost_by_four_processes_that_are_killed_while_all_collect() {
    let folder = tempfile::tempdir().unwrap();
    let test = "collecting::no_commit_is_lost_by_four_processes_that_are_killed_while_all_collect";
    super::kill(test, &url("simple", folder.path()), 4, 1, 2, &super::SHORT);
}

#[test]
fn no_commit_is_lost_on_redb_by_one_that_is_killed_while_all_collect() {
    let folder = tempfile::tempdir().unwrap();
    let test = "collecting::no_commit_is_lost_on_redb_by_one_that_is_killed_while_all_collect";
    super::kill(test, &url("redb", folder.path()), 1, 4, 0, &super::SHORT);
}

#[test]
fn no_commit_is_lost_on_native_by_one_that_is_killed_while_all_collect() {
    let folder = tempfile::tempdir().unwrap();
    let test = "collecting::no_commit_is_lost_on_native_by_one_that_is_killed_while_all_collect";
    super::kill(test, &url("native", folder.path()), 1, 4, 0, &super::SHORT);
}

#[test]
#[ignore = "long: 500 kills while all collect"]
fn no_commit_is_lost_by_hundreds_of_kills_while_all_collect() {
    let folder = tempfile::tempdir().unwrap();
    let test = "collecting::no_commit_is_lost_by_hundreds_of_kills_while_all_collect";
    super::kill(test, &url("native", folder.path()), 1, 4, 0, &super::LONG);
}
