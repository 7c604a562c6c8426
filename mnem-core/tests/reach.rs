//! Walking what blocks reach: all of it, once, and what is missing by name.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which the lint does not see as such")]

mod kit;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use mnem_core::object::{Metric, Model};
use mnem_core::port::{BlockRead, Namespace};
use mnem_core::repo::reach::{Bond, Bounds, Place, ReachError, Reached, Walk, links};
use mnem_core::repo::{Actor, Repo, Transaction};
use mnem_core::{
    Block, Blockstore, Cid, Codec, EdgeId, EntityId, MemoryStore, NodeId, OpHeadsStore, Value, props,
};

fn node(number: u8) -> NodeId {
    NodeId::from_bytes([number; 16])
}

fn edge(number: u8) -> EdgeId {
    EdgeId::from_bytes([number; 16])
}

fn change(repo: &Repo, edit: impl FnOnce(&mut Transaction)) -> mnem_core::repo::Snapshot {
    let mut tx = repo.begin(&Actor::named("ada")).unwrap();
    edit(&mut tx);
    tx.commit("change").unwrap()
}

/// A history with nodes, edges, vectors, a conflict, a tag, and several operations.
fn sample() -> (Arc<MemoryStore>, Repo) {
    let store = Arc::new(MemoryStore::new());
    let repo = Repo::init(Arc::clone(&store) as _, kit::options(1)).unwrap();
    change(&repo, |tx| {
        tx.declare(Model::new("three", 3, Metric::L2)).unwrap();
        for number in 1..=200 {
            tx.add_node_as(node(number), "Thing", props! { number: i64::from(number) }).unwrap();
        }
        tx.set_vector(node(1), "three", &[1.0, 2.0, 3.0]).unwrap();
        tx.add_edge_as(edge(1), node(1), "knows", node(2), props! { since: 1 }).unwrap();
    });
    let mut one = repo.begin(&Actor::named("one")).unwrap();
    let mut two = repo.begin(&Actor::named("two")).unwrap();
    one.set(node(3), "number", 33).unwrap();
    two.set(node(3), "number", 34).unwrap();
    one.commit("one").unwrap();
    two.commit("two").unwrap();
    let head = repo.reconcile().unwrap();
    assert_eq!(head.conflicts().unwrap().len(), 1);
    repo.create_tag(&Actor::named("ada"), "v1", head.commit_id().unwrap()).unwrap();
    (store, repo)
}

fn heads(store: &MemoryStore) -> Vec<Cid> {
    store.heads(&Namespace::default()).unwrap().iter().map(|id| *id.cid()).collect()
}

fn walk(store: &Arc<MemoryStore>, bounds: Bounds) -> Walk {
    let mut walk = Walk::new(Arc::clone(store) as Arc<dyn BlockRead>, bounds);
    heads(store).into_iter().rev().for_each(|head| walk.add(head, Place::Object));
    walk
}

fn all(store: &Arc<MemoryStore>, bounds: Bounds) -> Vec<Reached> {
    walk(store, bounds).collect::<Result<_, _>>().unwrap()
}

fn cids(reached: &[Reached]) -> BTreeSet<Cid> {
    reached.iter().map(|reached| *reached.block.cid()).collect()
}

/// A store with the heads of another, and its blocks but for some.
fn without(store: &MemoryStore, left_out: &[Cid]) -> Arc<MemoryStore> {
    let other = Arc::new(MemoryStore::new());
    for cid in store.scan(None).unwrap() {
        let cid = cid.unwrap();
        if !left_out.contains(&cid) {
            other.put(&store.get(&cid).unwrap().unwrap()).unwrap();
        }
    }
    let namespace = Namespace::default();
    let add = store.heads(&namespace).unwrap();
    let update = mnem_core::port::HeadsUpdate { namespace, expected: None, add, remove: Vec::new() };
    let _swap = other.update(&update).unwrap();
    other
}

#[test]
fn every_block_comes_once_and_after_one_that_leads_to_it() {
    let (store, _repo) = sample();
    let reached = all(&store, Bounds::default());
    assert_eq!(cids(&reached).len(), reached.len());
    let mut before = HashSet::new();
    for Reached { block, from, .. } in &reached {
        assert!(from.is_none_or(|from| before.contains(&from)), "{} came before {from:?}", block.cid());
        before.insert(*block.cid());
    }
    // What is not reached is derived, or was staged by a loser: no object of any kind.
    for cid in store.scan(None).unwrap() {
        let block = store.get(&cid.unwrap()).unwrap().unwrap();
        if let Some(kind) = mnem_core::object::kind_of(&block).unwrap() {
            assert!(before.contains(block.cid()), "{kind} {} was not reached", block.cid());
        }
    }
}

#[test]
fn the_order_is_that_of_the_links_depth_first() {
    fn visit(store: &MemoryStore, cid: Cid, place: Place, order: &mut Vec<Cid>) {
        if order.contains(&cid) {
            return;
        }
        order.push(cid);
        let block = store.get(&cid).unwrap().unwrap();
        for link in links(&block, place, &HashSet::new()).unwrap() {
            visit(store, link.cid, link.place, order);
        }
    }
    let (store, _repo) = sample();
    let mut expected = Vec::new();
    heads(&store).into_iter().for_each(|head| visit(&store, head, Place::Object, &mut expected));
    let found: Vec<Cid> = all(&store, Bounds::default()).iter().map(|reached| *reached.block.cid()).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_missing_block_is_named_with_what_points_there_and_the_walk_goes_on() {
    let (store, _repo) = sample();
    let whole = all(&store, Bounds::default());
    for Reached { block, place, from } in whole.iter().step_by(7) {
        let Some(from) = *from else { continue };
        let mut walk = walk(&without(&store, &[*block.cid()]), Bounds::default());
        let mut errors = BTreeMap::new();
        let mut reached = BTreeSet::new();
        loop {
            match walk.advance() {
                Ok(Some(found)) => assert!(reached.insert(*found.block.cid())),
                Ok(None) => break,
                Err(ReachError::Missing { cid, place, from }) => {
                    errors.insert(from, (cid, place));
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(errors.get(&Some(from)), Some(&(*block.cid(), *place)), "of {errors:?}");
        assert!(errors.values().all(|(cid, _)| cid == block.cid()));
    }
}

#[test]
fn what_was_left_out_of_a_copy_may_be_absent_and_nothing_else() {
    let (store, repo) = sample();
    let first = repo.head().unwrap();
    let first = repo.log(&first).last().unwrap().unwrap();
    let first = *first.0.cid();
    let lacking = without(&store, &[first]);
    let error = walk(&lacking, Bounds::default()).find_map(Result::err).unwrap();
    assert!(matches!(error, ReachError::Missing { cid, .. } if cid == first), "{error}");
    let bounds = Bounds { may_be_absent: Arc::new(HashSet::from([first])), ..Bounds::default() };
    let found = cids(&all(&lacking, bounds.clone()));
    assert!(!found.contains(&first));
    assert!(cids(&all(&store, bounds)).contains(&first), "what is there is followed");
    let stop = Bounds { stop_at: Arc::new(HashSet::from([first])), ..Bounds::default() };
    assert!(!cids(&all(&store, stop)).contains(&first), "what is not to be entered is not");
}

#[test]
fn what_stands_under_an_erased_id_is_passed_by() {
    let (store, repo) = sample();
    let head = repo.head().unwrap();
    let version = head.version_of(node(1)).unwrap().unwrap();
    let link = head.version_of(edge(1)).unwrap().unwrap();
    let erased = |id: EntityId| Bounds { erased: Arc::new(HashSet::from([id])), ..Bounds::default() };
    let whole = cids(&all(&store, Bounds::default()));
    let left: BTreeSet<Cid> = &whole - &cids(&all(&store, erased(node(1).into())));
    let vector = whole.iter().find(|cid| cid.codec() == Codec::Raw).unwrap();
    assert_eq!(left, BTreeSet::from([version, *vector]));
    assert_eq!(&whole - &cids(&all(&store, erased(edge(1).into()))), BTreeSet::from([link]));
    let both_sides = &whole - &cids(&all(&store, erased(node(3).into())));
    assert_eq!(both_sides.len(), 4, "the first version, both sides, and the conflict");
}

#[test]
fn a_value_that_is_a_link_promises_nothing() {
    let (store, repo) = sample();
    let foreign = Block::new(Codec::DagCbor, mnem_core::codec::encode(&vec!["a list of others"]).unwrap());
    let absent = Cid::of(Codec::Raw, b"never stored");
    store.put(&foreign).unwrap();
    change(&repo, |tx| {
        tx.set(node(5), "seen", Value::Link(*foreign.cid())).unwrap();
        tx.set(node(6), "unseen", Value::Link(absent)).unwrap();
    });
    let found = cids(&all(&store, Bounds::default()));
    assert!(found.contains(foreign.cid()));
    assert!(!found.contains(&absent));
}

#[test]
fn operations_can_be_walked_one_by_one() {
    let (store, repo) = sample();
    let alone = Bounds { operations_alone: true, ..Bounds::default() };
    let is_operation = |reached: &&Reached| {
        mnem_core::object::kind_of(&reached.block).unwrap().is_some_and(|kind| kind == "operation")
    };
    assert_eq!(all(&store, alone.clone()).iter().filter(is_operation).count(), 1);
    let log: Vec<Cid> = repo.op_log().unwrap().map(|it| *it.unwrap().id.cid()).collect();
    let mut walk = walk(&store, alone);
    let mut reached: Vec<Reached> = walk.by_ref().collect::<Result<_, _>>().unwrap();
    for operation in log {
        walk.add(operation, Place::Object);
        reached.extend(walk.by_ref().map(Result::unwrap));
    }
    assert_eq!(cids(&reached), cids(&all(&store, Bounds::default())));
    assert_eq!(walk.len(), reached.len(), "more roots enter nothing anew");
}

#[test]
fn links_that_only_lead_back_are_not_parts() {
    let (store, repo) = sample();
    repo.undo(&Actor::named("ada"), mnem_core::repo::Scope::Own).unwrap().unwrap();
    let head = store.get(&heads(&store)[0]).unwrap().unwrap();
    let found = links(&head, Place::Object, &HashSet::new()).unwrap();
    let bonds: Vec<Bond> = found.iter().map(|link| link.bond).collect();
    assert_eq!(bonds, [Bond::Part, Bond::Parent], "the view, the parent, and not what was undone");
}
