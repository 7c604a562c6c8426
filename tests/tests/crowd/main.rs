//! Many writers at once, threads and processes, some of them killed: what was acknowledged stays, heads are never gone,
//! and whoever looks sees the same.
//!
//! A child is this test program again, told by its environment where to write. It says each commit that was acknowledged
//! on a line of its own; it never ends by itself, so one that does has failed.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which the lint does not see as such")]

mod children;
mod collecting;
mod looking;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use mnem::testing::each_backend;
use mnem::{Actor, CommitId, NodeId, Repo, Store, props, system_options};
use mnem_core::MemoryStore;
use mnem_core::port::Namespace;

use children::{Crowd, PLACE};
use looking::Looking;

const READERS: usize = 16;

/// What a commit said it has recorded.
#[derive(Clone, Copy, Debug)]
struct Acknowledged {
    commit: CommitId,
    node: NodeId,
}

fn open(store: &Arc<dyn Store>) -> Repo {
    Repo::open(Arc::clone(store), system_options()).unwrap()
}

/// Makes a repository with a node that all others will point at.
fn start(store: &Arc<dyn Store>) -> NodeId {
    let repo = Repo::init(Arc::clone(store), system_options()).unwrap();
    let mut tx = repo.begin(&Actor::named("first")).unwrap();
    let centre = tx.add_node("Centre", props! {}).unwrap();
    tx.commit("start").unwrap();
    centre
}

fn centre(repo: &Repo) -> NodeId {
    repo.head().unwrap().labelled("Centre").unwrap().next().unwrap().unwrap().id
}

/// Commits a node, and an edge to one that everybody points at.
fn write(repo: &Repo, centre: NodeId, who: &Actor) -> Acknowledged {
    let mut tx = repo.begin(who).unwrap();
    let node = tx.add_node("Fact", props! { by: who.name() }).unwrap();
    tx.add_edge(node, "about", centre, props! {}).unwrap();
    let commit = tx.commit("fact").unwrap().commit_id().unwrap();
    Acknowledged { commit, node }
}

/// Looks until told to stop, at heads and at what they say, through a store that takes no operation. A state never holds
/// less than one that was looked at before.
fn look(store: &Arc<dyn Store>, stop: &AtomicBool, looks: &AtomicUsize) {
    let store: Arc<dyn Store> = Arc::new(Looking::new(Arc::clone(store)));
    let repo = open(&store);
    let mut least = 0;
    while !stop.load(Ordering::Relaxed) {
        assert!(!store.heads(&Namespace::default()).unwrap().is_empty());
        let head = repo.head().unwrap();
        let count = head.node_count().unwrap();
        assert!(count >= least, "{count} nodes after {least}");
        least = count;
        looks.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(50));
    }
}

/// Runs readers beside `work`.
fn watched<T>(store: &Arc<dyn Store>, readers: usize, work: impl FnOnce() -> T) -> T {
    /// Also when the work panics: readers that go on would keep the test from ending.
    struct StopOnDrop<'a>(&'a AtomicBool);
    impl Drop for StopOnDrop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let (stop, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
    let result = thread::scope(|scope| {
        for _ in 0..readers {
            scope.spawn(|| look(store, &stop, &looks));
        }
        let _stopped = StopOnDrop(&stop);
        work()
    });
    assert!(readers == 0 || looks.load(Ordering::Relaxed) > 0, "nobody looked");
    result
}

/// Checks that all is there, by history, by id and by index, and that everyone who looks sees the same.
fn check(store: &Arc<dyn Store>, centre: NodeId, acknowledged: &[Acknowledged]) {
    let copy = MemoryStore::new();
    mnem::copy(&**store, &copy, &mut mnem::quiet).unwrap();
    let copy: Arc<dyn Store> = Arc::new(copy);
    let heads: Vec<_> = [store, store, &copy].map(|store| open(store).head().unwrap()).to_vec();
    let seen: BTreeSet<_> = heads.iter().map(|head| (head.operation(), head.commit_id())).collect();
    assert_eq!(seen.len(), 1, "{seen:?}");
    let repo = open(store);
    let head = repo.reconcile().unwrap();
    assert!(seen.contains(&(head.operation(), head.commit_id())));
    assert_eq!(store.heads(&Namespace::default()).unwrap(), [head.operation()]);

    let history: BTreeSet<CommitId> = repo.log(&head).map(|entry| entry.unwrap().0).collect();
    let around: BTreeSet<NodeId> =
        head.edges_in(centre, "about").unwrap().map(|edge| edge.unwrap().src).collect();
    let labelled: BTreeSet<NodeId> = head.labelled("Fact").unwrap().map(|node| node.unwrap().id).collect();
    for Acknowledged { commit, node } in acknowledged {
        assert!(history.contains(commit), "{commit} is lost");
        assert!(head.get(*node).unwrap().is_some(), "{node} is lost");
        assert!(around.contains(node) && labelled.contains(node), "{node} is not found");
    }
    collecting::assert_whole(store);
    // What was not acknowledged may be there, but never by half.
    assert_eq!((&around, around.len() as u64 + 1), (&labelled, head.node_count().unwrap()));
}

/// Lets threads write beside each other, each with a handle of its own.
fn write_on_threads(store: &Arc<dyn Store>, threads: usize, commits_each: usize) {
    let centre = start(store);
    let acknowledged = Mutex::new(Vec::new());
    watched(store, READERS, || {
        thread::scope(|scope| {
            for thread in 0..threads {
                let acknowledged = &acknowledged;
                scope.spawn(move || {
                    let (repo, who) = (open(store), Actor::named(&format!("thread {thread}")));
                    for _ in 0..commits_each {
                        let done = write(&repo, centre, &who);
                        acknowledged.lock().unwrap().push(done);
                    }
                });
            }
        });
    });
    let acknowledged = acknowledged.into_inner().unwrap();
    assert_eq!(acknowledged.len(), threads * commits_each);
    check(store, centre, &acknowledged);
}

#[test]
fn thirty_two_threads_lose_no_commit() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    write_on_threads(&store, 32, 1);
}

#[test]
fn eight_threads_lose_no_commit_on_any_backend() {
    each_backend(|lab| {
        write_on_threads(&lab.open()?, 8, 3);
        Ok(())
    })
    .unwrap();
}

#[test]
#[ignore = "long: 32 threads on every backend"]
fn thirty_two_threads_lose_none_of_ten_thousand_commits_on_any_backend() {
    each_backend(|lab| {
        write_on_threads(&lab.open()?, 32, 313);
        Ok(())
    })
    .unwrap();
}

/// How much is done until it is enough.
struct Amount {
    commits: usize,
    kills: usize,
    limit: Duration,
}

const SHORT: Amount = Amount { commits: 30, kills: 6, limit: Duration::from_secs(300) };
const LONG: Amount = Amount { commits: 10_000, kills: 500, limit: Duration::from_secs(4 * 3600) };

/// In a child: writes on several threads until it is killed.
fn write_until_killed(url: &str, threads: usize, collects: bool) {
    let store = mnem::store::open(url).unwrap();
    let centre = centre(&open(&store));
    thread::scope(|scope| {
        if collects {
            scope.spawn(|| collecting::again_and_again(&store, || false));
        }
        for thread in 0..threads {
            let store = &store;
            scope.spawn(move || {
                let (repo, who) = (open(store), Actor::named(&format!("{} {thread}", std::process::id())));
                loop {
                    let Acknowledged { commit, node } = write(&repo, centre, &who);
                    println!("\n!{commit} {node}");
                }
            });
        }
    });
}

/// Lets processes write at one place and kills one after the other; each is followed by a new one.
fn kill(test: &str, url: &str, processes: usize, threads: usize, readers: usize, amount: &Amount) {
    // By its name: that is all that a child is told.
    let collects = test.ends_with("while_all_collect");
    if let Ok(url) = std::env::var(PLACE) {
        return write_until_killed(&url, threads, collects);
    }
    let store = mnem::store::init(url).unwrap();
    let centre = start(&store);
    // One that only one process may have open is left to the children.
    let store = (readers > 0).then_some(store);
    let run = || {
        let mut crowd = Crowd::start(test, url, processes, amount.limit);
        for kill in 1..=amount.kills {
            crowd.wait_for(amount.commits * kill / (amount.kills + 1));
            crowd.replace_one();
        }
        crowd.wait_for(amount.commits);
        crowd.end()
    };
    let lines = match &store {
        Some(store) => watched(store, readers, run),
        None => run(),
    };
    let acknowledged: Vec<Acknowledged> = lines.iter().map(|line| parse(line)).collect();
    assert!(acknowledged.len() >= amount.commits);
    let store = store.unwrap_or_else(|| mnem::store::open(url).unwrap());
    check(&store, centre, &acknowledged);
    println!("{}: {} commits, {} kills", store.kind(), acknowledged.len(), amount.kills);
}

fn parse(line: &str) -> Acknowledged {
    let (commit, node) = line.split_once(' ').unwrap();
    Acknowledged { commit: commit.parse().unwrap(), node: node.parse().unwrap() }
}

fn url(kind: &str, folder: &Path) -> String {
    format!("{kind}:{}", folder.join("store").display())
}

#[test]
fn eight_processes_that_are_killed_lose_no_commit() {
    let folder = tempfile::tempdir().unwrap();
    let test = "eight_processes_that_are_killed_lose_no_commit";
    kill(test, &url("simple", folder.path()), 8, 1, READERS, &SHORT);
}

#[test]
#[ignore = "long: 10,000 commits by eight processes"]
fn eight_processes_that_are_killed_lose_none_of_ten_thousand_commits() {
    let folder = tempfile::tempdir().unwrap();
    let test = "eight_processes_that_are_killed_lose_none_of_ten_thousand_commits";
    kill(test, &url("simple", folder.path()), 8, 1, READERS, &LONG);
}

#[test]
fn a_process_that_is_killed_on_redb_loses_no_commit() {
    let folder = tempfile::tempdir().unwrap();
    kill("a_process_that_is_killed_on_redb_loses_no_commit", &url("redb", folder.path()), 1, 4, 0, &SHORT);
}

#[test]
fn a_process_that_is_killed_on_native_loses_no_commit() {
    let folder = tempfile::tempdir().unwrap();
    kill(
        "a_process_that_is_killed_on_native_loses_no_commit",
        &url("native", folder.path()),
        1,
        4,
        0,
        &SHORT,
    );
}
