//! Taking back what was done, beside what others did.

use mnem_core::object::{Metric, Model, OperationKind};
use mnem_core::repo::{Actor, Expected, RefKind, Repo, RepoError, Scope};
use mnem_core::{CommitId, NodeId, OperationId, props};

use crate::kit::{Bench, add, me, set, tip, without};

fn bob() -> Actor {
    Actor::named("bob")
}

type Names = Vec<(String, CommitId)>;

fn names(repo: &Repo) -> (Names, Names) {
    (repo.branches().unwrap(), repo.tags().unwrap())
}

fn undo(repo: &Repo, actor: &Actor) -> Option<String> {
    repo.undo(actor, Scope::Own).unwrap().map(|undone| undone.summary())
}

fn redo(repo: &Repo, actor: &Actor) -> Option<String> {
    repo.redo(actor, Scope::Own).unwrap().map(|undone| undone.summary())
}

fn value(repo: &Repo, id: NodeId, name: &str) -> Option<i64> {
    repo.head().unwrap().get(id).unwrap().and_then(|node| node.get(name).unwrap())
}

fn op(repo: &Repo) -> OperationId {
    repo.head().unwrap().operation()
}

#[test]
fn undo_goes_back_step_by_step_and_redo_forth_again() {
    let bench = Bench::new();
    let repo = &bench.repo;
    let mut states = vec![names(repo)];
    let node = add(repo, "N", "n");
    states.push(names(repo));
    for n in 1..5 {
        set(repo, &me(), node, "n", n);
        states.push(names(repo));
    }
    repo.create_tag(&me(), "v1", tip(repo)).unwrap();
    states.push(names(repo));
    for _ in 0..2 {
        for state in states.iter().rev().skip(1) {
            assert!(undo(repo, &me()).is_some());
            assert_eq!(names(repo), *state);
        }
        assert_eq!(undo(repo, &me()), None);
        for state in states.iter().skip(1) {
            assert!(redo(repo, &me()).is_some());
            assert_eq!(names(repo), *state);
        }
        assert_eq!(redo(repo, &me()), None);
    }
    assert_eq!(undo(repo, &me()).unwrap(), format!("tag v1 none -> {}", tip(repo).short()));
    assert_eq!(undo(repo, &me()).unwrap(), "set n");
}

#[test]
fn what_others_did_since_stays() {
    let bench = Bench::new();
    let repo = &bench.repo;
    let node = add(repo, "N", "n");
    set(repo, &me(), node, "mine", 1);
    set(repo, &me(), node, "both", 1);
    let mut tx = repo.begin(&bob()).unwrap();
    tx.set(node, "his", 2).unwrap();
    tx.set(node, "both", 2).unwrap();
    let his = tx.add_node("N", props! {}).unwrap();
    tx.add_edge(his, "knows", node, props! {}).unwrap();
    let bobs = tx.commit("bob's").unwrap();
    let then = names(repo);
    assert_eq!(undo(repo, &me()).unwrap(), "set both");
    assert_eq!(value(repo, node, "both"), Some(2), "he wrote it last");
    assert_eq!(tip(repo), bobs.commit_id().unwrap(), "nothing was left of it");
    assert_eq!(undo(repo, &me()).unwrap(), "set mine");
    assert_eq!((value(repo, node, "mine"), value(repo, node, "his")), (None, Some(2)));
    let now = repo.head().unwrap();
    assert_eq!(now.commit().unwrap().parents, [bobs.commit_id().unwrap()]);
    assert_eq!(&*now.commit().unwrap().message, "undo set mine");
    assert_eq!(undo(repo, &me()).unwrap(), "add n");
    let now = repo.head().unwrap();
    assert!(now.get(node).unwrap().is_some(), "his edge needs it, and he wrote in it");
    assert_eq!((now.edge_count().unwrap(), now.conflicts().unwrap().len()), (1, 0));
    assert_eq!(undo(repo, &me()), None);
    assert_eq!(undo(repo, &bob()).unwrap(), "bob's", "each has a stack of their own");
    for _ in 0..3 {
        assert!(redo(repo, &me()).is_some());
    }
    assert!(redo(repo, &bob()).is_some());
    assert_eq!((value(repo, node, "mine"), value(repo, node, "both")), (Some(1), Some(2)));
    assert_eq!(value(repo, node, "his"), Some(2));
    assert!(names(repo).0.len() == then.0.len());
}

#[test]
fn a_node_of_ones_own_goes_and_an_edge_comes_back_only_with_its_ends() {
    let bench = Bench::new();
    let repo = &bench.repo;
    let (a, b) = (add(repo, "N", "a"), add(repo, "N", "b"));
    let mut tx = repo.begin(&me()).unwrap();
    let edge = tx.add_edge(a, "to", b, props! {}).unwrap();
    tx.commit("edge").unwrap();
    let mut tx = repo.begin(&me()).unwrap();
    tx.remove(edge).unwrap();
    tx.set(a, "n", 1).unwrap();
    tx.commit("cut").unwrap();
    let mut tx = repo.begin(&bob()).unwrap();
    tx.remove(b).unwrap();
    tx.commit("b goes").unwrap();
    assert_eq!(undo(repo, &me()).unwrap(), "cut");
    let now = repo.head().unwrap();
    assert_eq!((now.edge_count().unwrap(), now.get(b).unwrap()), (0, None));
    assert_eq!(value(repo, a, "n"), None);
    assert_eq!(now.edges_out(a, ..).unwrap().count() + now.edges_in(b, ..).unwrap().count(), 0);
    assert_eq!(now.labelled("N").unwrap().count(), 1);
}

#[test]
fn branches_tags_and_settings_go_back_too() {
    let bench = Bench::new();
    let repo = &bench.repo;
    let node = add(repo, "N", "n");
    let (first, second) = (tip(repo), set(repo, &me(), node, "n", 1).commit_id().unwrap());
    repo.create_tag(&me(), "v1", first).unwrap();
    repo.move_tag(&me(), "v1", first, second).unwrap();
    repo.create_branch(&me(), "side", &repo.head().unwrap()).unwrap();
    repo.delete_branch(&me(), "side", second).unwrap();
    repo.set_setting(&me(), "color", mnem_core::Value::from("red")).unwrap();
    repo.set_remotes(&me(), "origin", &[("main", Some(first))]).unwrap();
    assert_eq!(repo.resolve("origin/main").unwrap(), first);
    assert_eq!(undo(repo, &me()).unwrap(), format!("remote origin/main none -> {}", first.short()));
    assert!(matches!(repo.resolve("origin/main"), Err(RepoError::Unknown { .. })));
    assert_eq!(undo(repo, &me()).unwrap(), "config");
    assert_eq!(repo.setting("color").unwrap(), None);
    assert!(undo(repo, &me()).is_some());
    assert_eq!(repo.resolve("branch:side").unwrap(), second);
    // Somebody else moved it meanwhile.
    let third = set(repo, &bob(), node, "m", 1).commit_id().unwrap();
    repo.move_tag(&bob(), "v1", Expected::Any, third).unwrap();
    assert!(undo(repo, &me()).is_some() && undo(repo, &me()).is_some());
    assert_eq!(repo.resolve("v1").unwrap(), third);
    assert_eq!(undo(repo, &me()).unwrap(), format!("tag v1 none -> {}", first.short()));
    assert_eq!(repo.resolve("v1").unwrap(), third, "bob has moved it there since");
    assert_eq!(repo.head().unwrap().actor_name(me().id()).unwrap().as_deref(), Some("ada"));
}

#[test]
fn the_newest_of_anyone_can_be_undone_and_is_not_undone_twice() {
    let bench = Bench::new();
    let repo = &bench.repo;
    let node = add(repo, "N", "n");
    set(repo, &bob(), node, "n", 1);
    let undone = repo.undo(&me(), Scope::Anyone).unwrap().unwrap();
    assert_eq!((undone.operation.actor, undone.summary()), (bob().id(), "set n".to_owned()));
    assert_eq!(undo(repo, &bob()), None, "it was undone already");
    assert_eq!(redo(repo, &bob()), None, "the undo was not his");
    assert_eq!(redo(repo, &me()).unwrap(), "set n");
    assert_eq!(value(repo, node, "n"), Some(1));
}

#[test]
fn redo_is_over_once_something_else_was_done() {
    let bench = Bench::new();
    let repo = &bench.repo;
    let node = add(repo, "N", "n");
    set(repo, &me(), node, "a", 1);
    assert!(undo(repo, &me()).is_some());
    let undone = op(repo);
    set(repo, &bob(), node, "b", 1);
    set(repo, &me(), node, "c", 1);
    assert_eq!(redo(repo, &me()), None);
    repo.revert_op(&me(), undone).unwrap();
    assert_eq!(["a", "b", "c"].map(|name| value(repo, node, name)), [Some(1); 3]);
}

#[test]
fn one_operation_of_the_middle_is_reverted_and_that_too() {
    let bench = Bench::new();
    let repo = &bench.repo;
    let node = add(repo, "N", "n");
    set(repo, &me(), node, "a", 1);
    let middle = op(repo);
    set(repo, &bob(), node, "b", 2);
    set(repo, &me(), node, "c", 3);
    let revert = repo.revert_op(&bob(), middle).unwrap();
    assert_eq!(["a", "b", "c"].map(|name| value(repo, node, name)), [None, Some(2), Some(3)]);
    assert_eq!(repo.op(revert).unwrap().summary(), format!("revert {}", middle.short()));
    repo.revert_op(&me(), revert).unwrap();
    assert_eq!(["a", "b", "c"].map(|name| value(repo, node, name)), [Some(1), Some(2), Some(3)]);
    let first = repo.op_log().unwrap().last().unwrap().unwrap();
    assert_eq!(first.operation.kind, OperationKind::Init);
    assert!(matches!(repo.revert_op(&me(), first.id), Err(RepoError::NotUndoable { .. })));
    let nowhere = "bafyr4iajvkaenlaxdakz23rwabhkcube7xfked4zpjlvbift2a74paaaaa".parse().unwrap();
    assert!(matches!(repo.revert_op(&me(), nowhere), Err(RepoError::Unknown { .. })));
    assert!(matches!(repo.restore(&me(), nowhere), Err(RepoError::Unknown { .. })));
}

#[test]
fn a_union_is_reverted_against_one_of_its_sides() {
    let bench = Bench::new();
    let repo = &bench.repo;
    let node = add(repo, "N", "n");
    let mut late = bench.again(2).begin(&bob()).unwrap();
    late.set(node, "late", 2).unwrap();
    set(repo, &me(), node, "early", 1);
    let early = op(repo);
    late.commit("late").unwrap();
    let united = repo.reconcile().unwrap().operation();
    assert!(matches!(repo.revert_op(&me(), united), Err(RepoError::NotUndoable { .. })));
    assert!(matches!(repo.revert_op_against(&me(), united, united), Err(RepoError::NotUndoable { .. })));
    repo.revert_op_against(&me(), united, early).unwrap();
    assert_eq!((value(repo, node, "early"), value(repo, node, "late")), (Some(1), None));
}

#[test]
fn restore_puts_every_name_back_and_can_be_undone() {
    let bench = Bench::new();
    let repo = &bench.repo;
    let node = add(repo, "N", "n");
    let (then, old) = (names(repo), op(repo));
    set(repo, &bob(), node, "n", 1);
    repo.create_tag(&me(), "v1", tip(repo)).unwrap();
    repo.create_branch(&bob(), "side", &repo.head().unwrap()).unwrap();
    let (now, new) = (names(repo), op(repo));
    repo.restore(&me(), old).unwrap();
    assert_eq!(names(repo), then);
    assert_eq!(repo.head().unwrap().actor_name(bob().id()).unwrap().as_deref(), Some("bob"));
    let moved = repo.op_diff(old, new).unwrap();
    let kinds: Vec<(RefKind, &str)> =
        moved.names.iter().map(|name| (name.kind, name.name.as_str())).collect();
    assert_eq!(kinds, [(RefKind::Branch, "main"), (RefKind::Branch, "side"), (RefKind::Tag, "v1")]);
    let main = format!("branch main {} -> {}", then.0[0].1.short(), now.0[0].1.short());
    assert!(moved.to_string().starts_with(&main), "{moved}");
    assert_eq!(repo.op_diff(op(repo), old).unwrap().names, []);
    assert_eq!(undo(repo, &me()).unwrap(), format!("restore {}", old.short()));
    assert_eq!(names(repo), now);
}

#[test]
fn an_undo_beside_a_commit_is_not_undone_by_it() {
    let bench = Bench::new();
    let repo = &bench.repo;
    let node = add(repo, "N", "n");
    set(repo, &me(), node, "mine", 1);
    let mut late = bench.again(2).begin(&bob()).unwrap();
    late.set(node, "late", 2).unwrap();
    assert!(undo(repo, &me()).is_some());
    late.commit("late").unwrap();
    assert_eq!((value(repo, node, "mine"), value(repo, node, "late")), (None, Some(2)));
    assert!(redo(repo, &me()).is_some());
    assert_eq!((value(repo, node, "mine"), value(repo, node, "late")), (Some(1), Some(2)));
}

#[test]
fn undo_says_so_where_the_log_was_cut_off() {
    let bench = Bench::new();
    let node = add(&bench.repo, "N", "n");
    let old = op(&bench.repo);
    for n in 0..3 {
        set(&bench.repo, &bob(), node, "n", n);
    }
    let cut = bench.over(without(&**bench.repo.store(), &[*old.cid()]));
    let told = cut.undo(&me(), Scope::Own).unwrap_err();
    assert!(matches!(told, RepoError::Pruned { what: "operation", .. }), "{told}");
    assert_eq!(undo(&cut, &bob()).unwrap(), "set n");
    assert_eq!(undo(&cut, &bob()).unwrap(), "set n");
    assert!(matches!(cut.undo(&bob(), Scope::Own), Err(RepoError::Pruned { .. })));
    let mut log = cut.op_log().unwrap();
    assert_eq!(log.by_ref().take_while(Result::is_ok).count(), 5);
    assert!(log.next().is_none());
    let then = cut.at_op(op(&cut)).unwrap();
    assert!(matches!(then.undo(&bob(), Scope::Own), Err(RepoError::Past { .. })));
}

#[test]
fn vectors_go_and_come_with_their_nodes_and_those_of_others_stay() {
    let bench = Bench::new();
    let repo = &bench.repo;
    let mut tx = repo.begin(&me()).unwrap();
    tx.declare(Model::new("m", 2, Metric::Dot)).unwrap();
    tx.commit("model").unwrap();
    let mut tx = repo.begin(&me()).unwrap();
    let ids = [1u8, 2, 3].map(|n| NodeId::from_bytes([n; 16]));
    for id in ids {
        tx.add_node_as(id, "N", props! {}).unwrap();
        tx.set_vector(id, "m", &[1.0, 2.0]).unwrap();
    }
    tx.commit("three").unwrap();
    let mut tx = repo.begin(&bob()).unwrap();
    tx.set_vector(ids[1], "m", &[3.0, 4.0]).unwrap();
    let other = tx.add_node("N", props! {}).unwrap();
    tx.set_vector(other, "m", &[5.0, 6.0]).unwrap();
    tx.add_edge(other, "to", ids[2], props! {}).unwrap();
    tx.commit("bob's").unwrap();
    let vectors = |of: &Repo| -> Vec<Option<Vec<f32>>> {
        let now = of.head().unwrap();
        [ids[0], ids[1], ids[2], other].map(|id| now.vector(id, "m").unwrap()).into_iter().collect()
    };
    let before = vectors(repo);
    assert_eq!(undo(repo, &me()).unwrap(), "three");
    let now = repo.head().unwrap();
    assert_eq!(ids.map(|id| now.get(id).unwrap().is_some()), [false, true, true]);
    assert_eq!(vectors(repo), [None, Some(vec![3.0, 4.0]), None, Some(vec![5.0, 6.0])]);
    set(repo, &bob(), other, "n", 1);
    assert_eq!(redo(repo, &me()).unwrap(), "three");
    assert_eq!(vectors(repo), before);
}

#[test]
fn what_another_wrote_anew_stays_even_if_it_is_the_same() {
    let bench = Bench::new();
    let repo = &bench.repo;
    let node = add(repo, "N", "n");
    set(repo, &me(), node, "p", 1);
    let mut tx = repo.begin(&me()).unwrap();
    tx.set(node, "p", 2).unwrap();
    tx.set(node, "q", 2).unwrap();
    let mine = tx.add_node("N", props! { n: 1 }).unwrap();
    let other = tx.add_node("N", props! { n: 1 }).unwrap();
    tx.commit("mine").unwrap();
    for n in [7, 2] {
        set(repo, &bob(), node, "p", n);
    }
    for n in [7, 1] {
        set(repo, &bob(), mine, "n", n);
    }
    assert_eq!(undo(repo, &me()).unwrap(), "mine");
    assert_eq!((value(repo, node, "p"), value(repo, node, "q")), (Some(2), None), "bob made it 2 again");
    assert_eq!((value(repo, mine, "n"), value(repo, other, "n")), (Some(1), None), "he worked on the one");
}
