//! What a merge stages, and every answer to a conflict.

use mnem_core::key::ConflictKey;
use mnem_core::repo::{Actor, FastForward, RepoError, Resolve, Snapshot};
use mnem_core::{EdgeId, NodeId, Value, props};

use crate::support::{branch, commit, fresh, int, me, roots, set, two};

#[test]
fn a_merge_is_staged_and_dropping_it_is_a_dry_run() {
    let (repo, letters, ada) = two();
    set(&letters, ada, "died", 1852);
    let before = set(&repo, ada, "visits", 3);
    let mut tx = repo.begin(&me()).unwrap();
    let report = tx.merge("letters").unwrap();
    assert_eq!((report.nodes, report.fields, report.in_conflict, report.is_fast_forward), (1, 1, 0, false));
    assert_eq!(tx.require(ada).unwrap().get::<i64>("died").unwrap(), 1852, "it is there to be looked at");
    assert_eq!(tx.base().commit_id(), before.commit_id());
    assert!(!tx.is_empty());
    drop(tx);
    assert_eq!(repo.head().unwrap().operation(), before.operation());

    let mut tx = repo.begin(&me()).unwrap();
    tx.merge("letters").unwrap();
    let now = tx.commit("Merge letters").unwrap();
    let parents = &now.commit().unwrap().parents;
    assert_eq!(parents[..], [before.commit_id().unwrap(), letters.head().unwrap().commit_id().unwrap()]);
    assert_eq!((int(&now, ada, "died"), int(&now, ada, "visits")), (Some(1852), Some(3)));
    assert_eq!(now.labelled("Person").unwrap().count(), 1);
    let again = repo.begin(&me()).unwrap().merge("letters").unwrap();
    assert!(again.is_up_to_date);
}

/// main says 1814 and that she died, letters says 1816 and another year.
fn disputed() -> (mnem_core::repo::Repo, mnem_core::repo::Repo, NodeId) {
    let (repo, letters, ada) = two();
    commit(&letters, |tx| {
        tx.set(ada, "born", 1816).unwrap();
        tx.set(ada, "died", 1852).unwrap();
        tx.set(ada, "theirs", true).unwrap();
    });
    commit(&repo, |tx| {
        tx.set(ada, "born", 1814).unwrap();
        tx.set(ada, "died", 1851).unwrap();
        tx.set(ada, "ours", true).unwrap();
    });
    (repo, letters, ada)
}

#[test]
fn a_conflict_names_base_and_sides_of_each_disputed_field() {
    let (repo, _, ada) = disputed();
    let mut tx = repo.begin(&me()).unwrap();
    assert_eq!(tx.merge("letters").unwrap().in_conflict, 1);
    let conflicts = tx.conflicts().unwrap();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(*conflicts[0].key(), ConflictKey::Node(ada));
    let [born, died] = &conflicts[0].fields[..] else { panic!("{conflicts:?}") };
    let years = |years: [i64; 2]| years.map(|year| Some(Value::from(year))).to_vec();
    assert_eq!(
        (&*born.field, &born.base, &born.sides),
        ("born", &Some(Value::from(1815)), &years([1814, 1816]))
    );
    assert_eq!((&*died.field, &died.base, &died.sides), ("died", &None, &years([1851, 1852])));
}

fn settle(answers: impl IntoIterator<Item = Resolve>) -> (Snapshot, NodeId) {
    let (repo, _, ada) = disputed();
    let mut tx = repo.begin(&me()).unwrap();
    tx.merge("letters").unwrap();
    for answer in answers {
        tx.resolve(ada, answer).unwrap();
    }
    (tx.commit("Merge letters").unwrap(), ada)
}

#[track_caller]
fn years(now: &Snapshot, ada: NodeId) -> (Option<i64>, Option<i64>) {
    let node = now.require(ada).unwrap();
    assert!(node.get::<bool>("ours").unwrap() && node.get::<bool>("theirs").unwrap(), "the rest is merged");
    (node.get("born").unwrap(), node.get("died").unwrap())
}

#[test]
fn each_answer_settles_what_it_says() {
    let cases: [(&str, Vec<Resolve>, _); 6] = [
        ("ours", vec![Resolve::ours()], (Some(1814), Some(1851))),
        ("theirs", vec![Resolve::theirs()], (Some(1816), Some(1852))),
        ("keep", vec![Resolve::keep()], (Some(1814), Some(1851))),
        (
            "values",
            vec![Resolve::value("died", 1850), Resolve::value("born", 1815)],
            (Some(1815), Some(1850)),
        ),
        (
            "one each",
            vec![Resolve::ours().only("born"), Resolve::theirs().only("died")],
            (Some(1814), Some(1852)),
        ),
        ("absent", vec![Resolve::absent("died"), Resolve::ours()], (Some(1814), None)),
    ];
    for (what, answers, expected) in cases {
        let (now, ada) = settle(answers);
        assert_eq!(now.conflicts().unwrap(), [], "{what}");
        assert_eq!(now.conflict(ada).unwrap(), None, "{what}");
        assert_eq!(years(&now, ada), expected, "{what}");
    }
    let (now, ada) = settle([Resolve::remove()]);
    assert_eq!((now.get(ada).unwrap(), now.conflicts().unwrap().len()), (None, 0));
}

#[test]
fn a_conflict_travels_and_is_settled_field_by_field_by_others_later() {
    let (repo, _, ada) = disputed();
    let mut tx = repo.begin(&me()).unwrap();
    tx.merge("letters").unwrap();
    tx.resolve(ada, Resolve::value("born", 1815)).unwrap();
    assert!(matches!(tx.set(ada, "x", 1), Err(RepoError::InConflict { .. })));
    let now = tx.commit("Merge letters, one year open").unwrap();
    assert_eq!(now.conflict(ada).unwrap(), Some(vec!["died".to_owned()]));
    assert_eq!(years(&now, ada).0, Some(1815));
    commit(&repo, |tx| _ = tx.add_node("Other", props! {}).unwrap());

    let mut tx = repo.begin(&Actor::named("bob")).unwrap();
    let refused = tx.resolve(ada, Resolve::value("born", 1));
    assert!(matches!(refused, Err(RepoError::NotInConflict { .. })), "that is settled");
    assert!(matches!(tx.resolve(ada, Resolve::ours()), Err(RepoError::NoSides { .. })), "nobody merges here");
    let key = tx.conflicts().unwrap()[0].key().clone();
    tx.resolve(&key, Resolve::value("died", 1852)).unwrap();
    assert!(tx.conflicts().unwrap().is_empty());
    assert!(matches!(tx.resolve(&key, Resolve::keep()), Err(RepoError::NotInConflict { .. })));
    let now = tx.commit("It was 1852").unwrap();
    assert_eq!((now.conflicts().unwrap().len(), years(&now, ada)), (0, (Some(1815), Some(1852))));
}

#[test]
fn the_sides_of_a_merge_can_be_taken_in_the_commit_after_it() {
    let (repo, _, ada) = disputed();
    commit(&repo, |tx| tx.merge("letters").unwrap());
    let now = commit(&repo, |tx| tx.resolve(ada, Resolve::theirs()).unwrap());
    assert_eq!(years(&now, ada), (Some(1816), Some(1852)));
}

#[test]
fn a_removal_against_a_change_is_settled_either_way() {
    for (answer, born) in [
        (Resolve::ours(), None),
        (Resolve::theirs(), Some(1816)),
        (Resolve::keep(), Some(1816)),
        (Resolve::remove(), None),
    ] {
        let (repo, letters, ada) = two();
        set(&letters, ada, "born", 1816);
        commit(&repo, |tx| tx.remove(ada).unwrap());
        let mut tx = repo.begin(&me()).unwrap();
        tx.merge("letters").unwrap();
        let conflicts = tx.conflicts().unwrap();
        assert!(conflicts[0].is_removed && conflicts[0].fields.is_empty());
        tx.resolve(ada, answer).unwrap();
        let now = tx.commit("Merge").unwrap();
        let found = now.get(ada).unwrap().map(|node| node.get::<i64>("born").unwrap());
        assert_eq!((found, now.conflicts().unwrap().len()), (born, 0));
    }
}

#[test]
fn a_settled_conflict_stays_settled_beside_a_third_side() {
    let (repo, letters, ada) = two();
    let third = branch(&repo, "third");
    set(&repo, ada, "born", 1814);
    set(&letters, ada, "born", 1816);
    set(&third, ada, "born", 1817);
    let open = commit(&repo, |tx| tx.merge("letters").unwrap());
    assert_eq!(open.conflict(ada).unwrap().unwrap(), ["born"]);
    let other = branch(&repo, "other");
    // One settles what there is, the other takes in a third side.
    commit(&repo, |tx| tx.resolve(ada, Resolve::value("born", 1815)).unwrap());
    commit(&other, |tx| tx.merge("third").unwrap());
    let mut tx = repo.begin(&me()).unwrap();
    tx.merge("other").unwrap();
    let sides = &tx.conflicts().unwrap()[0].fields[0].sides;
    assert_eq!(*sides, [Some(Value::from(1815)), Some(Value::from(1817))]);
}

#[test]
fn of_three_who_settle_a_conflict_apart_nobody_is_dropped_whatever_the_order() {
    for order in [[0, 1, 2], [1, 2, 0], [2, 1, 0], [2, 0, 1]] {
        let (repo, letters, ada) = two();
        set(&repo, ada, "born", 1);
        set(&letters, ada, "born", 2);
        commit(&repo, |tx| tx.merge("letters").unwrap());
        let branches: Vec<_> = (1..=3)
            .map(|n| {
                let branch = branch(&repo, &format!("settled-{n}"));
                commit(&branch, |tx| tx.resolve(ada, Resolve::value("born", n)).unwrap());
                branch
            })
            .collect();
        let into = &branches[order[0]];
        for other in &order[1..] {
            commit(into, |tx| tx.merge(branches[*other].branch()).unwrap());
        }
        let found = into.head().unwrap().conflict_at(ada).unwrap().unwrap();
        let all: Vec<_> = (1..=3).map(|n| Some(Value::from(n))).collect();
        assert_eq!(found.fields[0].sides, all, "{order:?}");
    }
}

#[test]
fn a_node_made_anew_beside_one_that_was_kept_differs_from_what_was_removed() {
    let (repo, letters, ada) = two();
    let kept = branch(&repo, "kept");
    commit(&repo, |tx| tx.remove(ada).unwrap());
    set(&kept, ada, "born", 1816);
    commit(&letters, |tx| tx.merge("main").unwrap());
    commit(&letters, |tx| tx.add_node_as(ada, "Person", props! { name: "Augusta", born: 1815 }).unwrap());
    commit(&kept, |tx| tx.merge("main").unwrap());
    let now = commit(&letters, |tx| tx.merge("kept").unwrap());
    assert_eq!(now.conflict(ada).unwrap(), None, "the name changed on one side, the year on the other");
    assert_eq!(now.require(ada).unwrap().get::<&str>("name").unwrap(), "Augusta");
    assert_eq!(int(&now, ada, "born"), Some(1816));
}

#[test]
fn a_branch_that_did_not_move_moves_to_what_it_merges_unless_told_not_to() {
    let (repo, letters, ada) = two();
    let there = set(&letters, ada, "born", 1816);
    let mut tx = repo.begin(&me()).unwrap();
    assert!(tx.merge_with("letters", FastForward::Never).unwrap().nodes == 1);
    let own = tx.commit("A commit of its own").unwrap();
    assert_eq!(own.commit().unwrap().parents.len(), 2);

    let here = branch(&letters, "here");
    set(&letters, ada, "died", 1852);
    let mut tx = here.begin(&me()).unwrap();
    let report = tx.merge("letters").unwrap();
    assert!(report.is_fast_forward && report.fields == 1);
    assert!(report.to_string().contains("fast-forward"));
    let now = tx.commit("said nowhere").unwrap();
    assert_eq!(now.commit_id(), letters.head().unwrap().commit_id());
    assert_eq!(here.head().unwrap().commit_id(), now.commit_id());
    // What is staged on top is a commit of its own, that follows the other.
    let mut tx = branch(&repo, "more").begin(&me()).unwrap();
    tx.merge(&there).unwrap();
    tx.set(ada, "more", true).unwrap();
    assert!(tx.commit("nothing to merge, but more").unwrap().commit().unwrap().parents.len() == 1);
}

#[test]
fn what_was_staged_before_a_merge_is_merged_with() {
    let (repo, letters, ada) = two();
    commit(&letters, |tx| {
        tx.set(ada, "born", 1816).unwrap();
        let bob = tx.add_node("Person", props! { name: "Bob" }).unwrap();
        tx.add_edge(ada, "knows", bob, props! {}).unwrap();
    });
    let mut tx = repo.begin(&me()).unwrap();
    tx.set(ada, "born", 1814).unwrap();
    let engine = tx.add_node("Machine", props! {}).unwrap();
    tx.add_edge(ada, "described", engine, props! {}).unwrap();
    assert_eq!(tx.merge("letters").unwrap().in_conflict, 1);
    tx.resolve(ada, Resolve::ours()).unwrap();
    tx.set(ada, "after", 1).unwrap();
    let now = tx.commit("both").unwrap();
    assert_eq!((int(&now, ada, "born"), int(&now, ada, "after")), (Some(1814), Some(1)));
    assert_eq!((now.edges_out(ada, ..).unwrap().count(), now.node_count().unwrap()), (2, 3));
    assert_eq!(now.labelled("Machine").unwrap().count(), 1);
}

#[test]
fn histories_that_never_met_merge_as_if_from_nothing() {
    let (repo, _, ada) = two();
    let island = repo.on("island").unwrap();
    let bob = NodeId::of_key("person", b"bob");
    commit(&island, |tx| {
        tx.add_node_as(ada, "Person", props! { name: "Ada", born: 1816 }).unwrap();
        tx.add_node_as(bob, "Person", props! {}).unwrap();
    });
    let mut tx = repo.begin(&me()).unwrap();
    tx.merge("island").unwrap();
    assert_eq!(tx.conflicts().unwrap()[0].fields[0].field, "born");
    tx.resolve(ada, Resolve::theirs()).unwrap();
    let now = tx.commit("Meet").unwrap();
    assert_eq!((now.node_count().unwrap(), int(&now, ada, "born")), (2, Some(1816)));
    assert_eq!(repo.merge_bases("main", "island").unwrap().len(), 1);
}

#[test]
fn settling_and_then_merging_what_changed_elsewhere_is_merging_and_then_settling() {
    let both = |settle_first: bool| {
        let (repo, _, ada) = disputed();
        let side = branch(&repo, "side");
        commit(&repo, |tx| tx.merge("letters").unwrap());
        set(&side, ada, "elsewhere", 1);
        let settle = |repo: &mnem_core::repo::Repo| {
            commit(repo, |tx| {
                tx.resolve(ada, Resolve::value("born", 1815)).unwrap();
                tx.resolve(ada, Resolve::value("died", 1852)).unwrap();
            })
        };
        if settle_first {
            settle(&repo);
        }
        let merged = commit(&repo, |tx| tx.merge("side").unwrap());
        roots(&if settle_first { merged } else { settle(&repo) })
    };
    assert_eq!(both(true), both(false));
}

#[test]
fn an_edge_keeps_the_end_that_was_removed_until_somebody_decides() {
    let (repo, letters, ada) = two();
    let bob = NodeId::of_key("person", b"bob");
    let edge = EdgeId::of_unique(bob, "knows", ada, b"");
    commit(&letters, |tx| {
        tx.add_node_as(bob, "Person", props! {}).unwrap();
        tx.add_edge_as(edge, bob, "knows", ada, props! {}).unwrap();
    });
    commit(&repo, |tx| tx.remove(ada).unwrap());
    let now = commit(&repo, |tx| tx.merge("letters").unwrap());
    let found = now.conflict_at(ada).unwrap().unwrap();
    assert!(found.is_removed && found.why == Some(mnem_core::object::Why::Edge));
    assert_eq!(now.edges_in(ada, ..).unwrap().count(), 1);
    let kept = branch(&repo, "kept");
    let now = commit(&kept, |tx| tx.resolve(ada, Resolve::keep()).unwrap());
    assert_eq!((now.conflicts().unwrap().len(), now.edges_in(ada, ..).unwrap().count()), (0, 1));
    let now = commit(&repo, |tx| tx.resolve(ada, Resolve::ours()).unwrap());
    assert_eq!((now.get(ada).unwrap(), now.get(edge).unwrap()), (None, None));
}

#[test]
fn a_merge_into_a_branch_without_commits_moves_it_there() {
    let (repo, _, ada) = two();
    let empty = repo.on("empty").unwrap();
    let now = commit(&empty, |tx| tx.merge("main").unwrap());
    assert_eq!(now.commit_id(), repo.head().unwrap().commit_id());
    assert!(empty.head().unwrap().get(ada).unwrap().is_some());
    let unchanged = fresh();
    assert!(unchanged.begin(&me()).unwrap().merge("nowhere").is_err());
}
