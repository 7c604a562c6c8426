//! The repository on the store in memory: what a program that embeds it sees.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which the lint does not see as such")]

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use mnem_core::repo::{Actor, Clock, Options, Randomness, Repo, RepoError, Snapshot};
use mnem_core::{EntityId, MemoryStore, NodeId, Time, Value, props};

/// A clock that moves on by a second each time it is read.
struct Ticks(AtomicI64);

impl Clock for Ticks {
    fn now(&self) -> Time {
        Time::from_micros(self.0.fetch_add(1_000_000, Ordering::Relaxed)).unwrap()
    }
}

/// Numbers that never repeat, the same in every run.
struct Counted(AtomicU64, Mutex<()>);

impl Randomness for Counted {
    fn fill(&self, bytes: &mut [u8]) {
        let _one_at_a_time = self.1.lock().unwrap();
        for chunk in bytes.chunks_mut(8) {
            let word = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).to_be_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

fn options(seed: u64) -> Options {
    let start_us = 1_800_000_000_000_000;
    Options::new(
        Arc::new(Ticks(AtomicI64::new(start_us))),
        Arc::new(Counted(AtomicU64::new(seed), Mutex::new(()))),
    )
}

fn fresh() -> Repo {
    Repo::init(Arc::new(MemoryStore::new()), options(1)).unwrap()
}

fn me() -> Actor {
    Actor::named("ada")
}

fn add(repo: &Repo, label: &str, name: &str) -> NodeId {
    let mut tx = repo.begin(&me()).unwrap();
    let id = tx.add_node(label, props! { name: name }).unwrap();
    tx.commit(&format!("add {name}")).unwrap();
    id
}

fn set(repo: &Repo, id: NodeId, name: &str, value: impl Into<Value>) -> Snapshot {
    let mut tx = repo.begin(&me()).unwrap();
    tx.set(id, name, value).unwrap();
    tx.commit("set").unwrap()
}

fn born(snapshot: &Snapshot, id: NodeId) -> Option<i64> {
    snapshot.require(id).unwrap().get("born").unwrap()
}

/// Two handles that start from the same state, and commit without seeing each other.
fn two_sides(
    repo: &Repo,
    left: impl FnOnce(&mut mnem_core::repo::Transaction),
    right: impl FnOnce(&mut mnem_core::repo::Transaction),
) -> Snapshot {
    let mut one = repo.begin(&Actor::named("one")).unwrap();
    let mut two = repo.begin(&Actor::named("two")).unwrap();
    left(&mut one);
    right(&mut two);
    one.commit("one").unwrap();
    two.commit("two").unwrap();
    repo.head().unwrap()
}

#[test]
fn actors_are_known_by_name_wherever_they_did_something() {
    let store: Arc<MemoryStore> = Arc::new(MemoryStore::new());
    let repo = Repo::init(store.clone(), options(1)).unwrap();
    let (grace, long) = (Actor::named("grace"), Actor::named(&"g".repeat(201)));
    let id = add(&repo, "Person", "Ada");
    repo.create_tag(&grace, "v1", repo.head().unwrap().commit_id().unwrap()).unwrap();
    let mut tx = repo.begin(&long).unwrap();
    tx.set(id, "born", 1815).unwrap();
    tx.commit("set").unwrap();
    let now = Repo::open(store, options(2)).unwrap().head().unwrap();
    let name = |actor: &Actor| now.actor_name(actor.id()).unwrap();
    assert_eq!((name(&me()), name(&grace)), (Some("ada".to_owned()), Some("grace".to_owned())));
    assert_eq!((name(&long), name(&Actor::named("nobody"))), (None, None));
}

#[test]
fn entities_are_found_by_the_first_digits_of_their_ids() {
    let repo = fresh();
    let (ada, grace) = (add(&repo, "Person", "Ada"), add(&repo, "Person", "Grace"));
    let mut tx = repo.begin(&me()).unwrap();
    let edge = tx.add_edge(ada, "knows", grace, props! {}).unwrap();
    let now = tx.commit("link").unwrap();
    let found = |digits: &str| now.starting_with(digits, 9).unwrap();
    assert_eq!(found(&ada.to_string()), [EntityId::from(ada)]);
    assert_eq!(found(&edge.to_string().replace('-', "")), [EntityId::from(edge)]);
    // Ids begin with the time: these three were made within a minute.
    assert_eq!(found(&ada.to_string()[..7]), [ada.into(), grace.into(), edge.into()]);
    assert_eq!(now.starting_with(&ada.to_string()[..7], 1).unwrap(), [ada.into(), edge.into()]);
    assert!(found("ffff").is_empty() && found("Person").is_empty());
}

#[test]
fn what_is_recorded_reads_back_with_its_edges() {
    let repo = fresh();
    let mut tx = repo.begin(&me()).unwrap();
    let ada = tx.add_node("Person", props! { name: "Ada", born: 1815 }).unwrap();
    let engine = tx.add_node(["Machine", "Idea"], props! { name: "Engine" }).unwrap();
    let edge = tx.add_edge(ada, "described", engine, props! { year: 1843 }).unwrap();
    assert_eq!(
        tx.require(ada).unwrap().get::<&str>("name").unwrap(),
        "Ada",
        "a transaction sees its own writes"
    );
    let now = tx.commit("What Ada worked on").unwrap();
    let found: Vec<_> = now.edges_out(ada, "described").unwrap().map(|edge| edge.unwrap().id).collect();
    assert_eq!(found, [edge]);
    assert_eq!(now.edges_in(engine, ..).unwrap().count(), 1);
    assert_eq!(now.edges_out(ada, "built").unwrap().count(), 0);
    assert_eq!(now.labelled("Idea").unwrap().map(|node| node.unwrap().id).collect::<Vec<_>>(), [engine]);
    assert_eq!((now.node_count().unwrap(), now.edge_count().unwrap()), (2, 1));
    assert_eq!(repo.head().unwrap().commit_id(), now.commit_id());
    assert_eq!(&*now.commit().unwrap().message, "What Ada worked on");
}

#[test]
fn an_empty_repository_has_a_head_without_a_commit() {
    let repo = fresh();
    let head = repo.head().unwrap();
    assert_eq!(head.commit_id(), None);
    assert_eq!(head.node_count().unwrap(), 0);
    assert_eq!(head.nodes().count(), 0);
    assert_eq!(repo.branches().unwrap(), []);
}

#[test]
fn a_dropped_or_empty_transaction_leaves_nothing() {
    let repo = fresh();
    let ada = add(&repo, "Person", "Ada");
    let before = repo.head().unwrap();
    let mut tx = repo.begin(&me()).unwrap();
    tx.set(ada, "born", 1815).unwrap();
    drop(tx);
    let mut tx = repo.begin(&me()).unwrap();
    tx.set(ada, "name", "Ada").unwrap();
    assert!(tx.is_empty(), "it is what it was");
    tx.commit("nothing").unwrap();
    let after = repo.head().unwrap();
    assert_eq!((after.commit_id(), after.operation()), (before.commit_id(), before.operation()));
}

#[test]
fn the_past_stays_as_it_was() {
    let repo = fresh();
    let ada = add(&repo, "Person", "Ada");
    let old: Vec<Snapshot> = (1800..1840).map(|year| set(&repo, ada, "born", year)).collect();
    for (year, snapshot) in (1800..).zip(&old) {
        assert_eq!(born(snapshot, ada), Some(year));
    }
    let head = repo.head().unwrap();
    for back in 0..40 {
        let then = repo.back(&head, back).unwrap().unwrap();
        assert_eq!(born(&then, ada), Some(1839 - i64::try_from(back).unwrap()));
        let time = then.commit().unwrap().time;
        let by_time = repo.as_of(&head, time).unwrap().unwrap();
        assert_eq!(by_time.commit_id(), then.commit_id());
        let just_before = repo.as_of(&head, time.checked_add(-1).unwrap()).unwrap();
        assert_eq!(
            just_before.and_then(|s| s.commit_id()),
            repo.back(&head, back + 1).unwrap().and_then(|s| s.commit_id())
        );
    }
    assert!(repo.back(&head, 41).unwrap().is_none());
    assert_eq!(repo.log(&head).count(), 41);
}

#[test]
fn commit_times_ascend_even_if_the_clock_stands_still() {
    struct Still;
    impl Clock for Still {
        fn now(&self) -> Time {
            Time::from_micros(5).unwrap()
        }
    }
    let mut frozen = options(1);
    frozen.clock = Arc::new(Still);
    let repo = Repo::init(Arc::new(MemoryStore::new()), frozen).unwrap();
    let ada = add(&repo, "Person", "Ada");
    let times: Vec<i64> = (0..3).map(|n| set(&repo, ada, "n", n).commit().unwrap().time.micros()).collect();
    assert_eq!(times, [6, 7, 8]);
}

#[test]
fn two_writers_never_lose_each_others_work() {
    let repo = fresh();
    let ada = add(&repo, "Person", "Ada");
    let now =
        two_sides(&repo, |tx| tx.set(ada, "born", 1815).unwrap(), |tx| tx.set(ada, "died", 1852).unwrap());
    let ada = now.require(ada).unwrap();
    assert_eq!((ada.get("born").unwrap(), ada.get("died").unwrap()), (1815, 1852));
    assert_eq!(now.conflicts().unwrap(), []);
    assert_eq!(now.commit().unwrap().parents.len(), 2);
}

#[test]
fn reading_several_heads_writes_nothing_and_gives_everyone_the_same() {
    let store = MemoryStore::new();
    let repo = Repo::init(Arc::new(store.clone()), options(1)).unwrap();
    let ada = add(&repo, "Person", "Ada");
    let one = two_sides(&repo, |tx| tx.set(ada, "a", 1).unwrap(), |tx| tx.set(ada, "b", 2).unwrap());
    let blocks = || mnem_core::port::BlockRead::scan(&store, None).unwrap().count();
    let before = blocks();
    let other = Repo::open(Arc::new(store.clone()), options(99)).unwrap();
    let two = other.head().unwrap();
    assert_eq!((one.commit_id(), one.operation()), (two.commit_id(), two.operation()));
    assert_eq!(blocks(), before);
    let heads = || mnem_core::OpHeadsStore::heads(&store, &Default::default()).unwrap().len();
    assert_eq!(heads(), 2);
    set(&other, ada, "c", 3);
    assert_eq!(heads(), 1, "the next writer publishes the merge");
    assert_eq!(repo.head().unwrap().require(ada).unwrap().props.len(), 4);
}

#[test]
fn a_property_that_both_changed_is_in_conflict_until_it_is_settled() {
    let repo = fresh();
    let ada = add(&repo, "Person", "Ada");
    let now = two_sides(
        &repo,
        |tx| {
            tx.set(ada, "born", 1815).unwrap();
            tx.set(ada, "left", true).unwrap();
        },
        |tx| tx.set(ada, "born", 1816).unwrap(),
    );
    assert_eq!(now.conflict(ada).unwrap(), Some(vec!["born".to_owned()]));
    assert_eq!(now.conflicts().unwrap().len(), 1);
    assert!(now.require(ada).unwrap().get::<bool>("left").unwrap(), "what is not disputed is there");
    assert!([1815, 1816].contains(&born(&now, ada).unwrap()));

    let mut tx = repo.begin(&me()).unwrap();
    assert!(
        matches!(tx.set(ada, "x", 1), Err(RepoError::InConflict { id: EntityId::Node(id) }) if id == ada)
    );
    let mut settled = tx.require(ada).unwrap();
    settled.props.set("born", 1815).unwrap();
    tx.resolve(ada, settled).unwrap();
    let now = tx.commit("settle").unwrap();
    assert_eq!(
        (now.conflict(ada).unwrap(), now.conflicts().unwrap().len(), born(&now, ada)),
        (None, 0, Some(1815))
    );
}

#[test]
fn a_node_that_one_side_removed_and_the_other_changed_does_not_vanish() {
    let repo = fresh();
    let ada = add(&repo, "Person", "Ada");
    let now = two_sides(&repo, |tx| tx.remove(ada).unwrap(), |tx| tx.set(ada, "born", 1815).unwrap());
    assert_eq!(born(&now, ada), Some(1815));
    assert_eq!(now.conflicts().unwrap().len(), 1);
    let mut tx = repo.begin(&me()).unwrap();
    tx.remove(ada).unwrap();
    let now = tx.commit("it goes").unwrap();
    assert_eq!((now.get(ada).unwrap(), now.conflicts().unwrap().len()), (None, 0));
}

#[test]
fn an_edge_keeps_a_node_that_the_other_side_removed() {
    let repo = fresh();
    let (ada, bob) = (add(&repo, "Person", "Ada"), add(&repo, "Person", "Bob"));
    let now = two_sides(
        &repo,
        |tx| tx.remove(ada).unwrap(),
        |tx| {
            tx.add_edge(bob, "knows", ada, props! {}).unwrap();
        },
    );
    let edges: Vec<_> = now.edges_out(bob, ..).unwrap().map(Result::unwrap).collect();
    assert_eq!(edges.len(), 1);
    assert!(now.get(edges[0].dst).unwrap().is_some(), "no edge without its ends");
    assert_eq!(now.conflicts().unwrap().len(), 1);
}

#[test]
fn removing_a_node_removes_its_edges() {
    let repo = fresh();
    let mut tx = repo.begin(&me()).unwrap();
    let ids: Vec<NodeId> = (0..4).map(|n| tx.add_node("N", props! { n: n }).unwrap()).collect();
    tx.add_edge(ids[0], "to", ids[1], props! {}).unwrap();
    tx.add_edge(ids[1], "to", ids[2], props! {}).unwrap();
    tx.add_edge(ids[2], "to", ids[3], props! {}).unwrap();
    tx.commit("a chain").unwrap();
    let mut tx = repo.begin(&me()).unwrap();
    tx.add_edge(ids[3], "to", ids[1], props! {}).unwrap();
    tx.remove(ids[1]).unwrap();
    let now = tx.commit("cut it").unwrap();
    assert_eq!(now.edges().map(|edge| edge.unwrap().src).collect::<Vec<_>>(), [ids[2]]);
    assert_eq!(now.edges_out(ids[0], ..).unwrap().count() + now.edges_in(ids[2], ..).unwrap().count(), 0);
}

#[test]
fn branches_are_nobody_elses_business() {
    let repo = fresh();
    let ada = add(&repo, "Person", "Ada");
    let letters = repo.create_branch(&me(), "letters", &repo.head().unwrap()).unwrap();
    set(&letters, ada, "born", 1816);
    set(&repo, ada, "born", 1814);
    assert_eq!(born(&letters.head().unwrap(), ada), Some(1816));
    assert_eq!(born(&repo.head().unwrap(), ada), Some(1814));
    let names: Vec<String> = repo.branches().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["letters", "main"]);
    let taken = repo.create_branch(&me(), "letters", &repo.head().unwrap());
    assert!(matches!(taken, Err(RepoError::NameTaken { kind: "branch", .. })));
    repo.create_tag(&me(), "v1", repo.head().unwrap().commit_id().unwrap()).unwrap();
    assert_eq!(repo.tags().unwrap().len(), 1);
}

#[test]
fn commits_on_two_branches_side_by_side_both_stay() {
    let repo = fresh();
    let ada = add(&repo, "Person", "Ada");
    let side = repo.create_branch(&me(), "side", &repo.head().unwrap()).unwrap();
    let mut on_main = repo.begin(&me()).unwrap();
    let mut on_side = side.begin(&me()).unwrap();
    on_main.set(ada, "n", 1).unwrap();
    on_side.set(ada, "n", 2).unwrap();
    let (main_id, side_id) =
        (on_main.commit("m").unwrap().commit_id(), on_side.commit("s").unwrap().commit_id());
    assert_eq!(repo.head().unwrap().commit_id(), main_id);
    assert_eq!(side.head().unwrap().commit_id(), side_id);
}

#[test]
fn an_expected_version_refuses_a_commit_that_rests_on_an_old_one() {
    let repo = fresh();
    let ada = add(&repo, "Person", "Ada");
    let seen = repo.head().unwrap().version_of(ada).unwrap();
    let mut late = repo.begin(&me()).unwrap();
    late.expect(ada, seen).unwrap();
    late.set(ada, "born", 1).unwrap();
    let mut unrelated = repo.begin(&me()).unwrap();
    unrelated.add_node("N", props! {}).unwrap();
    unrelated.commit("elsewhere").unwrap();
    late.commit("what was expected is there").unwrap();

    let seen = repo.head().unwrap().version_of(ada).unwrap();
    let mut late = repo.begin(&me()).unwrap();
    late.expect(ada, seen).unwrap();
    late.set(ada, "born", 2).unwrap();
    set(&repo, ada, "born", 3);
    assert!(matches!(late.commit("too late"), Err(RepoError::Changed { .. })));
    assert_eq!(born(&repo.head().unwrap(), ada), Some(3));
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let repo = fresh();
    let ada = add(&repo, "Person", "Ada");
    let nobody = NodeId::of_key("person", b"nobody");
    let mut tx = repo.begin(&me()).unwrap();
    assert!(
        matches!(tx.add_edge(ada, "knows", nobody, props! {}), Err(RepoError::MissingEnd { node, .. }) if node == nobody)
    );
    assert!(matches!(tx.set(nobody, "a", 1), Err(RepoError::NoSuchEntity { .. })));
    assert!(matches!(tx.remove(nobody), Err(RepoError::NoSuchEntity { .. })));
    assert!(matches!(tx.add_node_as(ada, "Person", props! {}), Err(RepoError::Taken { .. })));
    assert!(matches!(repo.on("a b"), Err(RepoError::BadName { .. })));
    assert!(matches!(repo.head().unwrap().require(nobody), Err(RepoError::NoSuchEntity { .. })));
    let store: Arc<dyn mnem_core::Store> = Arc::clone(repo.store());
    assert!(matches!(Repo::init(Arc::clone(&store), options(5)), Err(RepoError::Exists { .. })));
    let mut elsewhere = options(5);
    elsewhere.namespace = mnem_core::port::Namespace::new("other").unwrap();
    assert!(matches!(Repo::open(Arc::clone(&store), elsewhere.clone()), Err(RepoError::NoRepository { .. })));
    Repo::open_or_init(store, elsewhere).unwrap();
}

#[test]
fn many_writers_at_once_all_land() {
    let repo = fresh();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let repo = repo.clone();
            scope.spawn(move || {
                for n in 0..25 {
                    let mut tx = repo.begin(&Actor::named(&format!("writer {writer}"))).unwrap();
                    tx.add_node("Note", props! { by: writer, n: n }).unwrap();
                    tx.commit("note").unwrap();
                }
            });
        }
    });
    assert_eq!(repo.head().unwrap().labelled("Note").unwrap().count(), 200);
}

/// As threads would, but the same in every run: each of eight writers begins and commits at moments of its own.
#[test]
fn writers_that_interleave_at_random_all_land_in_bounded_work() {
    for seed in 1..=6u64 {
        let store = MemoryStore::new();
        let repo = Repo::init(Arc::new(store.clone()), options(seed)).unwrap();
        let mut random = seed;
        let mut open: Vec<Option<mnem_core::repo::Transaction>> = (0..8).map(|_| None).collect();
        let mut committed = 0;
        while committed < 120 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // The higher the number, the rarer the writer: some commit from states that are long past.
            let writer = usize::try_from((random >> 40).trailing_zeros().min(7)).unwrap();
            open[writer] = match open[writer].take() {
                None => Some(repo.begin(&me()).unwrap()),
                Some(mut tx) => {
                    tx.add_node("Note", props! { by: i64::try_from(writer).unwrap() }).unwrap();
                    tx.commit("note").unwrap();
                    committed += 1;
                    None
                }
            };
        }
        assert_eq!(repo.head().unwrap().labelled("Note").unwrap().count(), 120);
    }
}

/// Heads that cross in every round: each writer starts from another pair of the heads before.
#[test]
fn histories_that_cross_again_and_again_unite_in_bounded_work() {
    let store = MemoryStore::new();
    let repo = Repo::init(Arc::new(store.clone()), options(1)).unwrap();
    let counter = add(&repo, "Counter", "c");
    for round in 0..24 {
        let mut open: Vec<_> = (0..3).map(|_| repo.begin(&me()).unwrap()).collect();
        // The first commits, another begins from that, and the rest commit from before: so the next bases cross.
        for (writer, mut tx) in open.drain(..).enumerate() {
            tx.set(counter, &format!("w{writer}"), round).unwrap();
            let mut late = repo.begin(&me()).unwrap();
            tx.commit("round").unwrap();
            late.set(counter, &format!("late{writer}"), round).unwrap();
            late.commit("late").unwrap();
        }
    }
    let now = repo.head().unwrap().require(counter).unwrap();
    for name in ["w0", "w1", "w2", "late0", "late1", "late2"] {
        assert_eq!(now.get::<i64>(name).unwrap(), 23, "{name}");
    }
}

#[test]
fn what_is_known_by_a_key_is_recorded_once() {
    let repo = fresh();
    let mut tx = repo.begin(&me()).unwrap();
    let id =
        tx.upsert_node("Person", "email", "ada@example.org", props! { name: "Ada", born: 1815 }).unwrap();
    // In the same transaction, too.
    assert_eq!(tx.upsert_node("Person", "email", "ada@example.org", props! { born: 1816 }).unwrap(), id);
    let first = tx.commit("ada").unwrap();
    assert_eq!((first.node_count().unwrap(), born(&first, id)), (1, Some(1816)));

    let mut tx = repo.begin(&me()).unwrap();
    tx.unset(id, "email").unwrap();
    tx.set_labels(id, "Author").unwrap();
    tx.commit("changed").unwrap();
    let mut tx = repo.begin(&me()).unwrap();
    assert_eq!(tx.upsert_node("Person", "email", "ada@example.org", props! { born: 1815 }).unwrap(), id);
    let node = tx.commit("again").unwrap().require(id).unwrap();
    assert_eq!(node.labels.iter().map(|label| &**label).collect::<Vec<_>>(), ["Author", "Person"]);
    assert_eq!(node.get::<String>("email").unwrap(), "ada@example.org");
    assert_eq!((node.get::<String>("name").unwrap(), node.get::<i64>("born").unwrap()), ("Ada".into(), 1815));

    // The same again changes nothing.
    let mut tx = repo.begin(&me()).unwrap();
    tx.upsert_node("Person", "email", "ada@example.org", props! { born: 1815 }).unwrap();
    assert!(tx.is_empty());

    let mut tx = repo.begin(&me()).unwrap();
    let others = [
        tx.upsert_node("Machine", "email", "ada@example.org", props! {}).unwrap(),
        tx.upsert_node("Person", "mail", "ada@example.org", props! {}).unwrap(),
        tx.upsert_node("Person", "email", "bob@example.org", props! {}).unwrap(),
        tx.upsert_node("Person", "email", 1, props! {}).unwrap(),
    ];
    let now = tx.commit("others").unwrap();
    assert!(others.iter().all(|other| *other != id));
    assert_eq!(now.node_count().unwrap(), 5);
}

#[test]
fn two_that_record_the_same_key_side_by_side_record_one_node() {
    let repo = fresh();
    let merged = two_sides(
        &repo,
        |tx| {
            tx.upsert_node("Person", "email", "a@b", props! { born: 1815 }).unwrap();
        },
        |tx| {
            tx.upsert_node("Person", "email", "a@b", props! { name: "Ada" }).unwrap();
        },
    );
    let id = NodeId::of_property("Person", "email", &Value::from("a@b"));
    assert_eq!((merged.node_count().unwrap(), born(&merged, id)), (1, Some(1815)));
    assert_eq!(merged.require(id).unwrap().get::<String>("name").unwrap(), "Ada");
    assert_eq!(merged.conflict(id).unwrap(), None);
}
