//! Histories to exchange, and what must be the same afterwards.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use mnem::object::{Metric, Model, Property, ValueType};
use mnem::port::BlockReadExt as _;
use mnem::testing::{Lab, labs};
use mnem::value::Value;
use mnem::{Actor, Cid, NodeId, Options, Repo, Scope, Snapshot, Store, Time, Transaction, props};
use mnem_core::port::BlockRead;
use mnem_core::repo::reach::{Bounds, Place, Walk};
use mnem_core::repo::{Clock, Randomness};

/// Numbers that follow from a seed.
struct Random(AtomicU64);

impl Randomness for Random {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let mut word = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(word ^ (word >> 31)).to_be_bytes()[..chunk.len()]);
        }
    }
}

/// A clock that moves on by a second each time it is read.
struct Ticks(AtomicI64);

impl Clock for Ticks {
    fn now(&self) -> Time {
        Time::from_micros(self.0.fetch_add(1_000_000, Ordering::Relaxed)).unwrap()
    }
}

pub(crate) fn options(seed: u64) -> Options {
    let clock = Ticks(AtomicI64::new(1_800_000_000_000_000));
    Options::new(Arc::new(clock), Arc::new(Random(AtomicU64::new(seed.wrapping_mul(0xd134_2543_de82_ef95)))))
}

pub(crate) fn me() -> Actor {
    Actor::named("ada")
}

pub(crate) fn fresh() -> Repo {
    Repo::init(Arc::new(mnem::memory::MemoryStore::new()), options(1)).unwrap()
}

/// Commits what `change` does.
pub(crate) fn commit<T>(repo: &Repo, change: impl FnOnce(&mut Transaction) -> T) -> Snapshot {
    let mut tx = repo.begin(&me()).unwrap();
    let _made = change(&mut tx);
    tx.commit("a change").unwrap()
}

pub(crate) fn note(repo: &Repo, text: &str) -> NodeId {
    let id = NodeId::of_key("note", text.as_bytes());
    commit(repo, |tx| tx.add_node_as(id, "Note", props! { text: text }).unwrap());
    id
}

pub(crate) fn set(repo: &Repo, id: NodeId, name: &str, value: impl Into<Value>) -> Snapshot {
    commit(repo, |tx| tx.set(id, name, value).unwrap())
}

/// Branches, tags, a tag of nobody's branch, an open conflict, vectors, a schema, a setting, removals, an undo, a branch
/// that is gone, and two heads.
pub(crate) fn story(repo: &Repo) {
    let people: Vec<NodeId> = commit_people(repo);
    repo.create_tag(&me(), "v1", repo.head().unwrap().commit_id().unwrap()).unwrap();
    let letters = repo.create_branch(&me(), "letters", &repo.head().unwrap()).unwrap();
    set(&letters, people[0], "born", 1816);
    set(repo, people[0], "born", 1814);
    commit(repo, |tx| tx.merge("letters").unwrap());
    assert_eq!(repo.head().unwrap().conflicts().unwrap().len(), 1);
    commit(repo, |tx| tx.remove(people[3]).unwrap());
    repo.set_setting(&me(), "colour", Value::from("blue")).unwrap();
    let side = repo.create_branch(&me(), "side", &repo.head().unwrap()).unwrap();
    let last = note(&side, "on a branch that goes");
    let gone = set(&side, last, "text", "changed").commit_id().unwrap();
    repo.create_tag(&me(), "of-nobody", gone).unwrap();
    repo.delete_branch(&me(), "side", gone).unwrap();
    note(repo, "to be undone");
    repo.undo(&me(), Scope::Own).unwrap().unwrap();
    let (mut one, mut other) = (repo.begin(&me()).unwrap(), repo.begin(&Actor::named("grace")).unwrap());
    one.set(people[1], "born", 1900).unwrap();
    other.set(people[2], "born", 1901).unwrap();
    one.commit("one").unwrap();
    other.commit("the other").unwrap();
    assert_eq!(repo.store().heads(&repo_namespace()).unwrap().len(), 2);
}

fn commit_people(repo: &Repo) -> Vec<NodeId> {
    let mut tx = repo.begin(&me()).unwrap();
    tx.declare(Property { indexed: true, ..Property::new("born", ValueType::Any) }).unwrap();
    tx.declare(Model::new("tiny", 3, Metric::Cosine)).unwrap();
    let people: Vec<NodeId> = (0..60_i64)
        .map(|n| {
            let id = NodeId::of_key("person", &n.to_be_bytes());
            tx.add_node_as(id, "Person", props! { name: format!("person {n}"), born: 1800 + n }).unwrap();
            id
        })
        .collect();
    for pair in people[4..].windows(2) {
        tx.add_edge(pair[0], "knows", pair[1], props! {}).unwrap();
    }
    tx.set_vector(people[5], "tiny", &[1.0, 2.0, 3.0]).unwrap();
    tx.commit("people").unwrap();
    people
}

pub(crate) fn repo_namespace() -> mnem::port::Namespace {
    mnem::port::Namespace::default()
}

/// Everything that the heads of a store reach, all of which must be there.
pub(crate) fn reached(store: &Arc<dyn Store>) -> BTreeSet<Cid> {
    let mut walk = Walk::new(Arc::clone(store) as Arc<dyn BlockRead>, Bounds::default());
    for head in store.heads(&repo_namespace()).unwrap() {
        walk.add(*head.cid(), Place::Object);
    }
    walk.map(|reached| *reached.unwrap().block.cid()).collect()
}

/// Asserts that a copy has all that the other has, and says the same.
#[track_caller]
pub(crate) fn assert_has_all(copy: &Repo, of: &Repo) {
    let (there, here) = (reached(of.store()), reached(copy.store()));
    let lost: Vec<_> = there.difference(&here).collect();
    assert!(lost.is_empty(), "{} blocks were lost", lost.len());
    for cid in there {
        assert_eq!(copy.store().require(&cid).unwrap(), of.store().require(&cid).unwrap());
    }
    assert_says_the_same(copy, of);
    let operations =
        |repo: &Repo| -> BTreeSet<_> { repo.op_log().unwrap().map(|op| op.unwrap().id).collect() };
    assert!(operations(copy).is_superset(&operations(of)));
}

/// Asserts that branches, tags, settings and states are alike.
#[track_caller]
pub(crate) fn assert_says_the_same(copy: &Repo, of: &Repo) {
    assert_eq!(copy.branches().unwrap(), of.branches().unwrap());
    assert_eq!(copy.tags().unwrap(), of.tags().unwrap());
    let colour = |repo: &Repo| repo.setting("colour").unwrap();
    assert_eq!(colour(copy), colour(of));
    assert_states(copy, of);
}

/// Asserts that the state of the branch is alike, derived answers included.
#[track_caller]
pub(crate) fn assert_states(copy: &Repo, of: &Repo) {
    let (copy, of) = (copy.head().unwrap(), of.head().unwrap());
    assert_eq!(copy.commit_id(), of.commit_id());
    assert_eq!(copy.conflicts().unwrap(), of.conflicts().unwrap());
    let nodes = |at: &Snapshot| at.nodes().map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(nodes(&copy), nodes(&of));
    let edges = |at: &Snapshot| {
        let of_each =
            at.nodes().flat_map(|node| at.edges_out(node.unwrap().id, ..).unwrap().map(Result::unwrap));
        of_each.collect::<Vec<_>>()
    };
    assert_eq!(edges(&copy), edges(&of));
}

/// Runs `check` on every pair of backends, each with a fresh source and a fresh destination.
pub(crate) fn each_pair(check: impl Fn(&dyn Lab, &dyn Lab)) {
    for src in labs() {
        for dst in labs() {
            let fresh = labs().into_iter().find(|lab| lab.name() == src.name()).unwrap();
            println!("from {} to {}", fresh.name(), dst.name());
            check(&*fresh, &*dst);
        }
    }
}
