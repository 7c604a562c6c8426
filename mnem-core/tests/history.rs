//! What became of a fact, who wrote it, and when.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which the lint does not see as such")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use mnem_core::repo::{
    Actor, Clock, Delta, Field, Options, Randomness, Repo, Snapshot, Transaction, Version,
};
use mnem_core::{MemoryStore, NodeId, Time, Value, props};

/// A clock that moves on by a minute each time it is read.
struct Minutes(AtomicI64);

impl Clock for Minutes {
    fn now(&self) -> Time {
        Time::from_micros(self.0.fetch_add(60_000_000, Ordering::Relaxed)).unwrap()
    }
}

struct Counted(AtomicU64);

impl Randomness for Counted {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).to_be_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

/// The first commit is made at ten, 2026-11-21.
fn fresh() -> Repo {
    let ten_us = 1_795_255_200_000_000;
    let options =
        Options::new(Arc::new(Minutes(AtomicI64::new(ten_us))), Arc::new(Counted(AtomicU64::new(1))));
    Repo::init(Arc::new(MemoryStore::new()), options).unwrap()
}

fn change(repo: &Repo, who: &str, message: &str, edit: impl FnOnce(&mut Transaction)) -> Snapshot {
    let mut tx = repo.begin(&Actor::named(who)).unwrap();
    edit(&mut tx);
    tx.commit(message).unwrap()
}

fn set(repo: &Repo, who: &str, id: NodeId, name: &str, value: impl Into<Value>) -> Snapshot {
    change(repo, who, &format!("set {name}"), |tx| tx.set(id, name, value).unwrap())
}

fn add(repo: &Repo) -> NodeId {
    let id = NodeId::of_key("person", b"ada");
    change(repo, "ada", "add Ada", |tx| {
        tx.add_node_as(id, "Person", props! { name: "Ada", born: 1815 }).unwrap();
    });
    id
}

/// Messages and deltas, newest first.
fn told(versions: impl Iterator<Item = Result<Version, mnem_core::repo::RepoError>>) -> Vec<String> {
    let line = |version: Version| format!("{}: {}", version.writer.message, version.deltas);
    versions.map(|version| line(version.unwrap())).collect()
}

#[test]
fn a_history_tells_each_change_with_who_and_when() {
    let repo = fresh();
    let id = add(&repo);
    set(&repo, "grace", id, "born", 1816);
    let other = NodeId::of_key("person", b"other");
    change(&repo, "ada", "somebody else", |tx| tx.add_node_as(other, "Person", props! {}).unwrap());
    change(&repo, "ada", "forget", |tx| tx.remove(id).unwrap());
    let now = change(&repo, "ada", "back", |tx| tx.add_node_as(id, "Person", props! { born: 1815 }).unwrap());
    let lines: Vec<String> = now.history(id).map(|version| version.unwrap().to_string()).collect();
    let minutes: Vec<&str> = lines.iter().map(|line| &line[..18]).collect();
    assert!(minutes.is_sorted_by(|a, b| a > b) && minutes[0].starts_with("2026-11-21 10:"), "{minutes:?}");
    let lines: Vec<&str> = lines.iter().map(|line| &line[18..]).collect();
    assert_eq!(
        lines,
        [
            "ada  back  labels Person, born 1815",
            "ada  forget  removed",
            "grace  set born  born 1815 -> 1816",
            "ada  add Ada  labels Person, born 1815, name Ada",
        ]
    );
}

#[test]
fn an_older_state_knows_the_older_history() {
    let repo = fresh();
    let id = add(&repo);
    let then = set(&repo, "ada", id, "born", 1816);
    set(&repo, "ada", id, "born", 1817);
    assert_eq!(told(then.history(id))[0], "set born: born 1815 -> 1816");
    assert_eq!(then.history(id).count(), 2);
    assert_eq!(then.history(NodeId::of_key("person", b"nobody")).count(), 0);
}

#[test]
fn a_history_follows_both_sides_of_a_merge_and_says_nothing_twice() {
    let repo = fresh();
    let id = add(&repo);
    let letters = repo.begin(&Actor::named("letters")).unwrap();
    let mut letters = letters;
    letters.set(id, "died", 1852).unwrap();
    set(&repo, "ada", id, "born", 1816);
    letters.commit("letters say so").unwrap();
    let now = repo.reconcile().unwrap();
    let versions: Vec<Version> = now.history(id).map(Result::unwrap).collect();
    let told = told(versions.iter().cloned().map(Ok));
    // The merge has her unlike either side, but no field of its own.
    assert_eq!(
        told,
        [
            ": ",
            "letters say so: died 1852",
            "set born: born 1815 -> 1816",
            "add Ada: labels Person, born 1815, name Ada"
        ]
    );
    assert_eq!(versions[0].old.len(), 2);
    assert!(versions[0].to_string().ends_with("  system  merged"), "{}", versions[0]);
    let blame = now.blame(id).unwrap().unwrap();
    assert_eq!(&*blame.property("born").unwrap().message, "set born");
    assert_eq!(&*blame.property("died").unwrap().message, "letters say so");
    assert_eq!(&*blame.property("name").unwrap().message, "add Ada");
}

#[test]
fn a_dispute_is_part_of_the_history() {
    let repo = fresh();
    let id = add(&repo);
    let mut letters = repo.begin(&Actor::named("letters")).unwrap();
    letters.set(id, "born", 1817).unwrap();
    set(&repo, "ada", id, "born", 1816);
    letters.commit("letters say so").unwrap();
    let merged = repo.reconcile().unwrap();
    let newest = merged.history(id).next().unwrap().unwrap();
    assert_eq!(newest.disputed, ["born"]);
    assert!(newest.to_string().ends_with("system  in conflict: born"), "{newest}");
    let by_merge = merged.blame(id).unwrap().unwrap();
    assert_eq!(by_merge.property("born").unwrap().commit, merged.commit_id().unwrap());
    let mut settled = repo.head().unwrap().require(id).unwrap();
    settled.props.set("born", 1815).unwrap();
    let now = change(&repo, "ada", "settle", |tx| tx.resolve(id, settled).unwrap());
    assert_eq!(&*now.blame(id).unwrap().unwrap().property("born").unwrap().message, "settle");
    assert_eq!(&*now.blame(id).unwrap().unwrap().property("name").unwrap().message, "add Ada");
}

#[test]
fn blame_names_the_last_commit_that_gave_each_field_what_it_has() {
    let repo = fresh();
    let id = add(&repo);
    set(&repo, "ada", id, "born", 1816);
    set(&repo, "grace", id, "born", 1815);
    set(&repo, "grace", id, "name", "Ada");
    let now = change(&repo, "eve", "label", |tx| tx.set_labels(id, ["Person", "Author"]).unwrap());
    let blame = now.blame(id).unwrap().unwrap();
    let actor = |field: &Field| blame.field(field).map(|writer| writer.name.as_deref().unwrap().to_owned());
    assert_eq!(actor(&Field::Labels).as_deref(), Some("eve"));
    assert_eq!(actor(&Field::Property("born".into())).as_deref(), Some("grace"), "back to what it was");
    assert_eq!(actor(&Field::Property("name".into())).as_deref(), Some("ada"), "nothing was changed since");
    assert_eq!(blame.property("died"), None);
    assert_eq!(blame.iter().count(), 3);
    assert!(blame.to_string().starts_with("labels  2026-11-21 10:"), "{blame}");
    let gone = change(&repo, "ada", "forget", |tx| tx.remove(id).unwrap());
    assert_eq!(gone.blame(id).unwrap(), None);
    assert_eq!(&*gone.last_modified(id).unwrap().unwrap().message, "forget");
}

#[test]
fn a_span_of_time_holds_what_was_made_in_it() {
    let repo = fresh();
    let id = add(&repo);
    let snapshots: Vec<Snapshot> = (0..5).map(|n| set(&repo, "ada", id, "n", n)).collect();
    let time = |n: usize| snapshots[n].commit().unwrap().time;
    let now = repo.head().unwrap();
    let within = told(now.versions(id, time(1)..time(3)));
    assert_eq!(within, ["set n: n 1 -> 2", "set n: n 0 -> 1"]);
    assert_eq!(told(now.versions(id, time(1)..=time(3))).len(), 3);
    assert_eq!(told(now.versions(id, time(4)..)).len(), 1);
    assert_eq!(told(now.changed_between(..time(0))), ["add Ada: labels Person, born 1815, name Ada"]);
    assert_eq!(told(now.changed_between(time(0)..time(0))).len(), 0);
}

#[test]
fn an_edge_has_a_history_too() {
    let repo = fresh();
    let (a, b) = (add(&repo), NodeId::of_key("machine", b"engine"));
    let mut edge = None;
    change(&repo, "ada", "link", |tx| {
        tx.add_node_as(b, "Machine", props! {}).unwrap();
        edge = Some(tx.add_edge(a, "described", b, props! { year: 1843 }).unwrap());
    });
    let edge = edge.unwrap();
    let now = change(&repo, "ada", "remove Ada", |tx| tx.remove(a).unwrap());
    let versions: Vec<Version> = now.history(edge).map(Result::unwrap).collect();
    assert_eq!(versions.len(), 2);
    assert!(matches!(&versions[1].deltas[0], Delta::Ends { old: None, new: Some(ends) } if ends.src == a));
    assert_eq!(versions[0].new, None);
    // Both ends of a change are there: what was removed, and the node with it.
    assert_eq!(now.changed_between(versions[0].writer.time..).count(), 2);
    assert_eq!(versions[1].deltas.len(), 2);
}
