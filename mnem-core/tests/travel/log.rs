//! The commits behind a state, in every order and selection, against a walk that reads all of them.

use std::collections::{BTreeMap, BTreeSet};

use mnem_core::repo::{Actor, Log, RepoError};
use mnem_core::{Cid, Commit, CommitId, NodeId, Object, Time};

use crate::kit::{Bench, add, me, set, tip, without};

type Commits = BTreeMap<CommitId, Commit>;

/// Two branches of three actors that cross: some commits are made side by side, and united.
fn crossing() -> (Bench, NodeId) {
    let bench = Bench::new();
    let node = add(&bench.repo, "N", "n");
    let actors = ["ada", "bob", "eve"].map(Actor::named);
    for round in 0..8i64 {
        bench.at(&format!("2026-11-{:02} 09:00", round + 2));
        let repos = [bench.again(10), bench.again(11), bench.again(12)];
        let mut open: Vec<_> =
            repos.iter().zip(&actors).map(|(repo, actor)| repo.begin(actor).unwrap()).collect();
        open.truncate(1 + usize::try_from(round % 3).unwrap());
        for (who, mut tx) in open.into_iter().enumerate() {
            tx.set(node, &format!("p{who}"), round).unwrap();
            tx.commit("round").unwrap();
        }
    }
    bench.repo.reconcile().unwrap();
    (bench, node)
}

fn all(bench: &Bench, from: CommitId) -> Commits {
    let mut found = Commits::new();
    let mut open = vec![from];
    while let Some(id) = open.pop() {
        let block = bench.repo.store().get(id.cid()).unwrap().unwrap();
        let commit = Commit::from_block(&block).unwrap();
        open.extend(&commit.parents);
        found.insert(id, commit);
    }
    found
}

fn newest_first(commits: &Commits) -> Vec<CommitId> {
    let mut sorted: Vec<_> = commits.iter().map(|(id, it)| (it.generation, it.time, *id)).collect();
    sorted.sort();
    sorted.into_iter().rev().map(|(_, _, id)| id).collect()
}

fn ids(log: Log) -> Vec<CommitId> {
    log.map(|entry| entry.unwrap().0).collect()
}

#[test]
fn a_log_has_every_commit_once_and_children_before_their_parents() {
    let (bench, _) = crossing();
    let head = bench.repo.head().unwrap();
    let commits = all(&bench, tip(&bench.repo));
    let found = ids(bench.repo.log(&head));
    assert_eq!(found, newest_first(&commits));
    assert!(commits.values().any(|commit| commit.parents.len() == 2), "something was merged");
    let mut seen = BTreeSet::new();
    for id in &found {
        assert!(commits[id].parents.iter().all(|parent| !seen.contains(parent)));
        seen.insert(*id);
    }
}

#[test]
fn first_parents_are_the_line_alone() {
    let (bench, _) = crossing();
    let head = bench.repo.head().unwrap();
    let found = ids(bench.repo.log(&head).first_parents());
    let commits = all(&bench, found[0]);
    assert!(found.len() < commits.len());
    for pair in found.windows(2) {
        assert_eq!(commits[&pair[0]].parents.first(), Some(&pair[1]));
    }
    assert!(commits[found.last().unwrap()].parents.is_empty());
}

#[test]
fn what_is_asked_for_is_what_is_left_of_all() {
    let (bench, _) = crossing();
    let head = bench.repo.head().unwrap();
    let commits = all(&bench, tip(&bench.repo));
    let (everything, line) = (ids(bench.repo.log(&head)), ids(bench.repo.log(&head).first_parents()));
    let times: BTreeSet<Time> = commits.values().map(|commit| commit.time).collect();
    let (ada, eve) = (Actor::named("ada").id(), Actor::named("eve").id());
    assert_eq!(
        ids(bench.repo.log(&head).by(ada).by(eve)),
        everything.iter().copied().filter(|id| [ada, eve].contains(&commits[id].actor)).collect::<Vec<_>>()
    );
    for from in times.iter().step_by(2) {
        for to in times.iter().step_by(3) {
            let within = |of: &[CommitId]| -> Vec<CommitId> {
                of.iter().copied().filter(|id| (*from..=*to).contains(&commits[id].time)).collect()
            };
            assert_eq!(ids(bench.repo.log(&head).between(*from..=*to)), within(&everything));
            assert_eq!(ids(bench.repo.log(&head).first_parents().between(*from..=*to)), within(&line));
            let before = line.iter().copied().filter(|id| commits[id].time < *to && commits[id].actor == ada);
            assert_eq!(
                ids(bench.repo.log(&head).between(..*to).by(ada).first_parents()),
                before.collect::<Vec<_>>()
            );
        }
    }
    let empty = Bench::new();
    assert_eq!(empty.repo.log(&empty.repo.head().unwrap()).count(), 0);
}

#[test]
fn a_log_ends_by_telling_that_older_history_was_cut_off() {
    let (bench, _) = crossing();
    let found = ids(bench.repo.log(&bench.repo.head().unwrap()));
    let gone: Vec<Cid> = found[6..].iter().map(|id| *id.cid()).collect();
    let cut = bench.over(without(&**bench.repo.store(), &gone));
    let mut log = cut.log(&cut.head().unwrap());
    let kept: Vec<CommitId> = log.by_ref().map_while(Result::ok).map(|(id, _)| id).collect();
    assert_eq!(kept, found[..6]);
    assert!(log.next().is_none(), "it ends after its first error");
    let told = cut.log(&cut.head().unwrap()).last().unwrap();
    assert!(matches!(told, Err(RepoError::Pruned { .. })), "{told:?}");
    let newest = cut.head().unwrap().commit().unwrap().time;
    assert_eq!(cut.log(&cut.head().unwrap()).between(newest..).map(Result::unwrap).count(), 1);
}

fn ancestors(commits: &Commits, of: CommitId) -> BTreeSet<CommitId> {
    let mut found = BTreeSet::new();
    let mut open = vec![of];
    while let Some(id) = open.pop() {
        if found.insert(id) {
            open.extend(&commits[&id].parents);
        }
    }
    found
}

#[test]
fn merge_bases_are_all_best_common_ancestors() {
    let (bench, _) = crossing();
    let commits = all(&bench, tip(&bench.repo));
    for left in commits.keys() {
        for right in commits.keys() {
            let (of_left, of_right) = (ancestors(&commits, *left), ancestors(&commits, *right));
            let common: BTreeSet<CommitId> = of_left.intersection(&of_right).copied().collect();
            let is_best = |id: &CommitId| {
                !common.iter().any(|other| other != id && ancestors(&commits, *other).contains(id))
            };
            let best: Vec<CommitId> = common.iter().copied().filter(is_best).collect();
            assert_eq!(bench.repo.merge_bases(*left, *right).unwrap(), best);
            assert_eq!(bench.repo.is_ancestor(*left, *right).unwrap(), of_right.contains(left));
        }
    }
    assert!(matches!(bench.repo.merge_bases("main", "letters"), Err(RepoError::Unknown { .. })));
}

#[test]
fn merge_bases_of_what_was_cut_off_are_unknown_not_none() {
    let bench = Bench::new();
    let node = add(&bench.repo, "N", "n");
    let first = bench.repo.head().unwrap();
    let side = bench.repo.create_branch(&me(), "side", &first).unwrap();
    set(&side, &me(), node, "a", 1);
    let forked = set(&bench.repo, &me(), node, "a", 2);
    set(&bench.repo, &me(), node, "a", 3);
    assert_eq!(bench.repo.merge_bases("main", "side").unwrap(), [first.commit_id().unwrap()]);
    let cut = bench.over(without(&**bench.repo.store(), &[*first.commit_id().unwrap().cid()]));
    let unknown = cut.merge_bases("main", "side").unwrap_err();
    assert!(matches!(unknown, RepoError::Pruned { what: "commit", .. }), "{unknown}");
    assert!(matches!(cut.is_ancestor("side", "main"), Ok(false) | Err(RepoError::Pruned { .. })));
    // What lies on this side of the cut is found as before.
    assert_eq!(cut.merge_bases("main", "~1").unwrap(), [forked.commit_id().unwrap()]);
    assert!(cut.is_ancestor("~1", "main").unwrap());
}

#[test]
fn heads_whose_common_operation_was_cut_off_keep_every_name() {
    let bench = Bench::new();
    let node = add(&bench.repo, "N", "n");
    bench.repo.create_tag(&me(), "v1", tip(&bench.repo)).unwrap();
    let common = bench.repo.head().unwrap().operation();
    let (one, two) = (bench.again(2), bench.again(3));
    let (mut left, mut right) = (one.begin(&me()).unwrap(), two.begin(&me()).unwrap());
    left.set(node, "a", 1).unwrap();
    right.set(node, "b", 2).unwrap();
    left.commit("a").unwrap();
    right.commit("b").unwrap();
    let cut = bench.over(without(&**bench.repo.store(), &[*common.cid()]));
    let now = cut.head().unwrap();
    let node = now.require(node).unwrap();
    assert_eq!((node.get("a").unwrap(), node.get("b").unwrap()), (1, 2));
    assert_eq!(now.conflicts().unwrap(), []);
    assert_eq!(cut.tags().unwrap().len(), 1);
    assert_eq!(now.commit_id(), bench.repo.head().unwrap().commit_id(), "the commits met all the same");
}
