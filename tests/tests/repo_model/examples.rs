//! What the random programs found, or cannot reach, one by one.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use mnem_core::key::ConflictKey;
use mnem_core::object::Operation;
use mnem_core::port::{BlockReadExt, HeadsUpdate, Namespace};
use mnem_core::repo::{Actor, Clock, Entity, Options, Repo, RepoError, Resolve, Snapshot, Transaction};
use mnem_core::{EdgeId, MemoryStore, Node, NodeId, Object, OpHeadsStore, Props, Store, Time, props};

use crate::support::options;

fn fresh() -> (MemoryStore, Repo) {
    let store = MemoryStore::new();
    let repo = Repo::init(Arc::new(store.clone()), usual()).unwrap();
    (store, repo)
}

fn usual() -> Options {
    options(&Arc::new(AtomicI64::new(0)), 1, 0)
}

fn me() -> Actor {
    Actor::named("ada")
}

fn change(repo: &Repo, with: impl FnOnce(&mut Transaction)) -> Snapshot {
    let mut transaction = repo.begin(&me()).unwrap();
    with(&mut transaction);
    transaction.commit("a change").unwrap()
}

/// Sides that start from the same state and commit without seeing each other.
fn sides<const N: usize>(repo: &Repo, with: [&dyn Fn(&mut Transaction); N]) -> Snapshot {
    let begun = with.map(|with| (repo.begin(&me()).unwrap(), with));
    for (mut transaction, with) in begun {
        with(&mut transaction);
        let _one = transaction.commit("a side").unwrap();
    }
    repo.head().unwrap()
}

fn settle<E>(transaction: &mut Transaction, id: E, change: impl FnOnce(&mut E::Object))
where
    E: Entity + Into<ConflictKey>,
    E::Object: Into<Resolve>,
{
    let mut version = transaction.require(id).unwrap();
    change(&mut version);
    transaction.resolve(id, version).unwrap();
}

fn add(repo: &Repo) -> NodeId {
    let id = NodeId::of_key("person", b"ada");
    change(repo, |tx| tx.add_node_as(id, "Person", props! { name: "Ada", born: 0 }).unwrap());
    id
}

fn born(snapshot: &Snapshot, id: NodeId) -> Option<i64> {
    snapshot.require(id).unwrap().get("born").unwrap()
}

#[test]
fn a_node_removed_on_one_side_is_shown_as_the_other_side_has_it() {
    let (_, repo) = fresh();
    let ada = add(&repo);
    let now = sides(&repo, [&|tx| tx.remove(ada).unwrap(), &|tx| tx.set(ada, "born", 1815).unwrap()]);
    let shown = now.require(ada).unwrap();
    assert!(shown.labels.has("Person"));
    assert_eq!(shown.get::<&str>("name").unwrap(), "Ada");
    assert_eq!(now.conflict(ada).unwrap(), Some(Vec::new()), "no field is in dispute");
    assert_eq!(now.labelled("Person").unwrap().count(), 1);
}

#[test]
fn a_disputed_property_shows_what_a_side_made_it_not_what_it_was() {
    let (_, repo) = fresh();
    let ada = add(&repo);
    for n in 1..12 {
        let now = sides(
            &repo,
            [
                &|tx| tx.set(ada, "born", n * 10).unwrap(),
                &|tx| tx.set(ada, "born", n * 10 + 1).unwrap(),
                &|tx| tx.set(ada, "other", n).unwrap(),
            ],
        );
        assert!([n * 10, n * 10 + 1].contains(&born(&now, ada).unwrap()));
        change(&repo, |tx| settle(tx, ada, |_| ()));
    }
}

#[test]
fn a_refused_change_settles_nothing() {
    let (_, repo) = fresh();
    let ada = add(&repo);
    sides(&repo, [&|tx| tx.set(ada, "born", 1).unwrap(), &|tx| tx.set(ada, "born", 2).unwrap()]);
    let now = change(&repo, |tx| {
        assert!(matches!(tx.add_node_as(ada, "Person", props! {}), Err(RepoError::Taken { .. })));
        assert!(matches!(tx.set(ada, "born", 3), Err(RepoError::InConflict { .. })));
        let other =
            Node::new(NodeId::of_key("person", b"bob"), mnem_core::object::Labels::default(), Props::new());
        assert!(matches!(tx.resolve(ada, other), Err(RepoError::OtherId { .. })));
        tx.add_node("Other", props! {}).unwrap();
    });
    assert_eq!(now.conflict(ada).unwrap(), Some(vec!["born".to_owned()]));
}

#[test]
fn a_conflict_that_two_settle_differently_is_between_what_they_chose() {
    let choices = [[1, 2], [1, 3], [3, 4], [0, 1], [0, 3]];
    for [one, two] in choices {
        let (_, repo) = fresh();
        let ada = add(&repo);
        sides(&repo, [&|tx| tx.set(ada, "born", 1).unwrap(), &|tx| tx.set(ada, "born", 2).unwrap()]);
        let choose = |born: i64, name: &'static str| {
            move |tx: &mut Transaction| {
                settle(tx, ada, |ada| {
                    ada.props.set("born", born).unwrap();
                    ada.props.set(name, true).unwrap();
                });
            }
        };
        let now = sides(&repo, [&choose(one, "one"), &choose(two, "two")]);
        assert_eq!(now.conflict(ada).unwrap(), Some(vec!["born".to_owned()]), "{one} or {two}");
        assert!([one, two].contains(&born(&now, ada).unwrap()), "{one} or {two}");
        let shown = now.require(ada).unwrap();
        assert!(shown.get::<bool>("one").unwrap() && shown.get::<bool>("two").unwrap());
    }
}

#[test]
fn a_conflict_settled_by_picking_either_side_stays_one() {
    let (_, repo) = fresh();
    let ada = add(&repo);
    sides(&repo, [&|tx| tx.set(ada, "born", 1).unwrap(), &|tx| tx.set(ada, "born", 2).unwrap()]);
    let pick = |born: i64| {
        move |tx: &mut Transaction| settle(tx, ada, |ada| drop(ada.props.set("born", born).unwrap()))
    };
    let now = sides(&repo, [&pick(1), &pick(2)]);
    assert_eq!(now.conflict(ada).unwrap(), Some(vec!["born".to_owned()]));
    assert!([1, 2].contains(&born(&now, ada).unwrap()));
    let now = sides(&repo, [&pick(7), &pick(7)]);
    assert_eq!((now.conflict(ada).unwrap(), born(&now, ada)), (None, Some(7)), "alike is no conflict");
}

#[test]
fn a_removal_that_one_keeps_and_another_confirms_is_in_conflict() {
    for kept in [1815, 1816, 0] {
        let (_, repo) = fresh();
        let ada = add(&repo);
        sides(&repo, [&|tx| tx.remove(ada).unwrap(), &|tx| tx.set(ada, "born", 1815).unwrap()]);
        let keep = |tx: &mut Transaction| settle(tx, ada, |ada| drop(ada.props.set("born", kept).unwrap()));
        let now = sides(&repo, [&keep, &|tx| tx.remove(ada).unwrap()]);
        assert_eq!(born(&now, ada), Some(kept));
        assert!(now.conflict(ada).unwrap().is_some());
    }
}

#[test]
fn an_edge_keeps_a_node_in_conflict_that_the_other_side_removed() {
    let (_, repo) = fresh();
    let ada = add(&repo);
    sides(&repo, [&|tx| tx.set(ada, "born", 1).unwrap(), &|tx| tx.set(ada, "born", 2).unwrap()]);
    let edge = EdgeId::of_unique(ada, "knows", ada, b"");
    let now = sides(
        &repo,
        [&|tx| tx.remove(ada).unwrap(), &|tx| tx.add_edge_as(edge, ada, "knows", ada, props! {}).unwrap()],
    );
    assert_eq!(now.conflict(ada).unwrap(), Some(vec!["born".to_owned()]));
    assert!([1, 2].contains(&born(&now, ada).unwrap()));
    assert_eq!(now.edges_out(ada, ..).unwrap().count(), 1);
    let now = change(&repo, |tx| tx.remove(ada).unwrap());
    assert_eq!((now.node_count().unwrap(), now.edge_count().unwrap()), (0, 0));
    assert_eq!(now.conflicts().unwrap(), []);
}

#[test]
fn an_edge_that_two_made_with_other_ends_is_found_at_all_of_them() {
    let (_, repo) = fresh();
    let [a, b, c] = [b"a", b"b", b"c"].map(|key| NodeId::of_key("n", key));
    change(&repo, |tx| [a, b, c].iter().for_each(|id| tx.add_node_as(*id, "N", props! {}).unwrap()));
    let edge = EdgeId::of_unique(a, "to", b, b"");
    let make =
        |dst: NodeId| move |tx: &mut Transaction| tx.add_edge_as(edge, a, "to", dst, props! {}).unwrap();
    let now = sides(&repo, [&make(b), &make(c)]);
    assert_eq!(now.conflict(edge).unwrap(), Some(vec!["ends".to_owned()]));
    for node in [b, c] {
        assert_eq!(now.edges_in(node, ..).unwrap().count(), 1);
    }
    let mut missing = repo.begin(&me()).unwrap();
    missing.remove(c).unwrap();
    assert_eq!(missing.get(edge).unwrap(), None, "it may end there");
    let mut missing = repo.begin(&me()).unwrap();
    let mut version = missing.require(edge).unwrap();
    version.dst = NodeId::of_key("n", b"nobody");
    assert!(matches!(missing.resolve(edge, version), Err(RepoError::MissingEnd { .. })));
    let now = change(&repo, |tx| settle(tx, edge, |edge| edge.dst = b));
    assert_eq!(now.edges_in(b, ..).unwrap().count(), 1);
    assert_eq!(now.edges_in(c, ..).unwrap().count(), 0);
}

#[test]
fn a_head_that_another_follows_adds_nothing() {
    let (store, repo) = fresh();
    let old = change(&repo, |tx| _ = tx.add_node("N", props! {}).unwrap());
    let new = change(&repo, |tx| _ = tx.add_node("N", props! {}).unwrap());
    let again = HeadsUpdate { add: vec![old.operation()], ..HeadsUpdate::default() };
    let _done = store.update(&again).unwrap();
    assert_eq!(store.heads(&Namespace::default()).unwrap().len(), 2);
    let head = repo.head().unwrap();
    assert_eq!((head.operation(), head.commit_id()), (new.operation(), new.commit_id()));
    change(&repo, |tx| _ = tx.add_node("N", props! {}).unwrap());
    assert_eq!(store.heads(&Namespace::default()).unwrap().len(), 1);
}

#[test]
fn a_branch_can_start_at_a_merge_that_nobody_stored() {
    let (_, repo) = fresh();
    let ada = add(&repo);
    let mut late = repo.begin(&me()).unwrap();
    let merge = sides(&repo, [&|tx| tx.set(ada, "a", 1).unwrap(), &|tx| tx.set(ada, "b", 2).unwrap()]);
    late.set(ada, "c", 3).unwrap();
    late.commit("the heads are others now").unwrap();
    let branch = repo.create_branch(&me(), "side", &merge).unwrap();
    drop(repo);
    let head = branch.head().unwrap();
    assert_eq!(head.commit_id(), merge.commit_id());
    assert_eq!(head.require(ada).unwrap().props.len(), 4);
    assert_eq!(branch.on("main").unwrap().head().unwrap().require(ada).unwrap().props.len(), 5);
}

/// A clock that lets somebody else make a name at the worst moment: when it is read for the nth time.
struct Intruder {
    reads: AtomicUsize,
    at: usize,
    other: OnceLock<Repo>,
}

impl Clock for Intruder {
    fn now(&self) -> Time {
        if self.reads.fetch_add(1, Ordering::Relaxed) == self.at
            && let Some(other) = self.other.get()
        {
            let commit = other.head().unwrap().commit_id().unwrap();
            other.create_tag(&me(), "v1", commit).unwrap();
        }
        Time::from_micros(1_800_000_000_000_000).unwrap()
    }
}

#[test]
fn of_two_who_make_a_name_at_the_same_time_one_does() {
    let mut refused = 0;
    for at in 0..6 {
        let (store, other) = fresh();
        let ada = add(&other);
        let first = other.head().unwrap().commit_id().unwrap();
        change(&other, |tx| tx.set(ada, "born", 1).unwrap());
        let intruder = Arc::new(Intruder { reads: AtomicUsize::new(0), at, other: OnceLock::new() });
        let mut slow = usual();
        slow.clock = Arc::clone(&intruder) as Arc<dyn Clock>;
        let repo = Repo::open(Arc::new(store.clone()), slow).unwrap();
        assert!(intruder.other.set(other.clone()).is_ok());
        match repo.create_tag(&me(), "v1", first) {
            Ok(()) => assert_eq!(other.tags().unwrap(), [("v1".to_owned(), first)]),
            Err(RepoError::NameTaken { .. }) => {
                refused += 1;
                assert_eq!(other.tags().unwrap().len(), 1);
                assert_ne!(other.tags().unwrap()[0].1, first);
            }
            Err(why) => panic!("{why}"),
        }
        assert_eq!(store.heads(&Namespace::default()).unwrap().len(), 1);
    }
    assert!(refused > 0, "the clock was never read at the worst moment");
}

#[test]
fn no_operation_is_older_than_what_it_follows() {
    struct Back(AtomicI64);
    impl Clock for Back {
        fn now(&self) -> Time {
            Time::from_micros(self.0.fetch_sub(1_000_000, Ordering::Relaxed)).unwrap()
        }
    }
    let mut back = usual();
    back.clock = Arc::new(Back(AtomicI64::new(1_800_000_000_000_000)));
    let store = MemoryStore::new();
    let repo = Repo::init(Arc::new(store.clone()), back).unwrap();
    add(&repo);
    repo.create_branch(&me(), "side", &repo.head().unwrap()).unwrap();
    let side = repo.on("side").unwrap();
    change(&side, |tx| _ = tx.add_node("N", props! {}).unwrap());
    repo.create_tag(&me(), "v1", repo.head().unwrap().commit_id().unwrap()).unwrap();
    let mut next = Some(repo.head().unwrap().operation());
    let mut times = Vec::new();
    while let Some(id) = next {
        let operation = Operation::from_block(&store.require(id.cid()).unwrap()).unwrap();
        times.push(operation.time);
        next = operation.parents.first().copied();
    }
    assert_eq!(times.len(), 5);
    assert!(times.is_sorted_by(|newer, older| newer >= older), "{times:?}");
}

#[test]
fn a_long_lived_snapshot_shows_its_state_on_every_backend() {
    mnem::testing::each_backend(|lab| {
        let store: Arc<dyn Store> = lab.open()?;
        let repo = Repo::init(store, usual()).unwrap();
        let ada = add(&repo);
        let old = repo.head().unwrap();
        for n in 1..30 {
            change(&repo, |tx| tx.set(ada, "born", n).unwrap());
        }
        assert_eq!((born(&old, ada), born(&repo.head().unwrap(), ada)), (Some(0), Some(29)));
        Ok(())
    })
    .unwrap();
}
