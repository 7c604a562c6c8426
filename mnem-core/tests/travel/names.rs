//! Branches, tags, names of other repositories, and settings.

use mnem_core::Value;
use mnem_core::repo::{Actor, Expected, RepoError};

use crate::kit::{Bench, add, me, set, tip};

#[test]
fn a_branch_moves_only_from_where_it_is_expected() {
    let bench = Bench::new();
    let repo = &bench.repo;
    let node = add(repo, "N", "n");
    let (first, second) = (tip(repo), set(repo, &me(), node, "n", 1).commit_id().unwrap());
    repo.move_branch(&me(), "side", Expected::Absent, first).unwrap();
    repo.move_branch(&me(), "side", first, second).unwrap();
    let moved = repo.move_branch(&me(), "side", first, second).unwrap_err();
    assert!(matches!(&moved, RepoError::NameMoved { kind: "branch", found, .. } if *found == [second]));
    assert_eq!(moved.to_string(), format!("branch `side` is at {second}"));
    assert!(matches!(
        repo.move_branch(&me(), "side", Expected::Absent, first),
        Err(RepoError::NameMoved { .. })
    ));
    repo.move_branch(&me(), "side", Expected::Any, first).unwrap();
    assert_eq!(repo.resolve("side").unwrap(), first);
    assert!(matches!(repo.delete_branch(&me(), "side", second), Err(RepoError::NameMoved { .. })));
    repo.delete_branch(&me(), "side", first).unwrap();
    assert!(matches!(
        repo.delete_branch(&me(), "mian", Expected::Any),
        Err(RepoError::Unknown { similar, .. }) if similar == ["main"]
    ));
    assert!(matches!(
        repo.move_branch(&me(), "side", first, second),
        Err(RepoError::NameMoved { found, .. }) if found.is_empty()
    ));
    assert!(repo.move_branch(&me(), "a b", Expected::Any, first).is_err());
    let nowhere = "bafyr4iajvkaenlaxdakz23rwabhkcube7xfked4zpjlvbift2a74paaaaa".parse().unwrap();
    assert!(repo.move_branch(&me(), "side", Expected::Any, nowhere).is_err());
    let names: Vec<String> = repo.branches().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["main"]);
}

#[test]
fn a_name_that_is_given_anew_goes_with_its_commit() {
    let bench = Bench::new();
    let repo = &bench.repo;
    add(repo, "N", "n");
    let commit = tip(repo);
    repo.create_tag(&me(), "v1", commit).unwrap();
    repo.create_tag(&me(), "v2", commit).unwrap();
    repo.rename_branch(&me(), "main", "trunk").unwrap();
    repo.rename_tag(&me(), "v1", "v1.0").unwrap();
    assert_eq!(tip(&repo.on("trunk").unwrap()), commit);
    assert_eq!(repo.head().unwrap().commit_id(), None);
    assert!(matches!(repo.rename_tag(&me(), "v1.0", "v2"), Err(RepoError::NameTaken { .. })));
    assert!(matches!(repo.rename_tag(&me(), "v1", "v3"), Err(RepoError::Unknown { .. })));
    assert!(matches!(repo.rename_tag(&me(), "v2", "v 3"), Err(RepoError::BadName { .. })));
    repo.delete_tag(&me(), "v2", commit).unwrap();
    let tags: Vec<String> = repo.tags().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(tags, ["v1.0"]);
}

#[test]
fn what_changes_nothing_makes_no_operation() {
    let bench = Bench::new();
    let repo = &bench.repo;
    add(repo, "N", "n");
    repo.set_setting(&me(), "color", Value::from("red")).unwrap();
    let before = repo.head().unwrap().operation();
    repo.move_branch(&me(), "main", tip(repo), tip(repo)).unwrap();
    repo.set_remotes(&me(), "origin", &[("main", None)]).unwrap();
    bench.at("2026-11-05");
    repo.set_setting(&me(), "color", Value::from("red")).unwrap();
    repo.set_setting(&me(), "size", None).unwrap();
    assert_eq!(repo.head().unwrap().operation(), before);
}

#[test]
fn branches_of_other_repositories_are_listed_and_meant() {
    let bench = Bench::new();
    let repo = &bench.repo;
    let node = add(repo, "N", "n");
    let (first, second) = (tip(repo), set(repo, &me(), node, "n", 1).commit_id().unwrap());
    repo.set_remotes(&me(), "origin", &[("main", Some(first)), ("a/b", Some(second))]).unwrap();
    repo.set_remotes(&me(), "backup", &[("main", Some(second))]).unwrap();
    let listed = |name: &str, commit| (name.to_owned(), commit);
    assert_eq!(
        repo.remotes().unwrap(),
        [listed("backup/main", second), listed("origin/a/b", second), listed("origin/main", first)]
    );
    assert_eq!(repo.resolve("origin/a/b~1").unwrap(), first);
    assert_eq!(repo.resolve("remote:backup/main").unwrap(), second);
    repo.set_remotes(&me(), "origin", &[("main", Some(second)), ("a/b", None)]).unwrap();
    assert_eq!(repo.remotes().unwrap(), [listed("backup/main", second), listed("origin/main", second)]);
    assert!(matches!(repo.set_remotes(&me(), "a/b", &[]), Err(RepoError::BadName { .. })));
    assert!(matches!(repo.set_remotes(&me(), "x", &[("b c", None)]), Err(RepoError::BadName { .. })));
    repo.create_branch(&me(), "origin/main", &repo.head().unwrap()).unwrap();
    assert!(matches!(
        repo.at("origin/main"),
        Err(RepoError::Ambiguous { candidates, .. })
            if candidates == ["branch:origin/main", "remote:origin/main"]
    ));
}

#[test]
fn of_what_two_saw_of_a_branch_elsewhere_the_newer_stays() {
    let bench = Bench::new();
    let node = add(&bench.repo, "N", "n");
    let (first, second) = (tip(&bench.repo), set(&bench.repo, &me(), node, "n", 1).commit_id().unwrap());
    let third = set(&bench.repo, &me(), node, "n", 2).commit_id().unwrap();
    bench.repo.set_remotes(&me(), "origin", &[("main", Some(first))]).unwrap();
    let mut tx = bench.again(2).begin(&Actor::named("bob")).unwrap();
    tx.set(node, "m", 1).unwrap();
    for commit in [second, third] {
        bench.repo.set_remotes(&me(), "origin", &[("main", Some(commit))]).unwrap();
    }
    tx.commit("beside").unwrap();
    assert_eq!(bench.repo.remotes().unwrap(), [("origin/main".to_owned(), third)]);
}

/// Two stores' worth of heads: what each wrote without seeing the other, united in both orders.
#[test]
fn of_two_settings_side_by_side_the_later_stays_whatever_their_bytes() {
    for (first, second) in [("a", "z"), ("z", "a")] {
        let bench = Bench::new();
        bench.repo.set_setting(&me(), "color", Value::from("before")).unwrap();
        let common = bench.repo.head().unwrap().operation();
        bench.at("2026-11-02");
        bench.repo.set_setting(&me(), "color", Value::from(first)).unwrap();
        bench.repo.set_setting(&me(), "mine", Value::from(1)).unwrap();
        let one = bench.repo.head().unwrap().operation();
        let fork = bench.over(crate::kit::as_of(&**bench.repo.store(), &[common]));
        bench.at("2026-11-03");
        fork.set_setting(&Actor::named("bob"), "color", Value::from(second)).unwrap();
        fork.set_setting(&Actor::named("bob"), "gone", Value::from(1)).unwrap();
        fork.set_setting(&Actor::named("bob"), "gone", None).unwrap();
        let two = fork.head().unwrap().operation();
        let both = bench.over(crate::kit::united(&[&**bench.repo.store(), &**fork.store()], &[one, two]));
        assert_eq!(both.setting("color").unwrap(), Some(Value::from(second)));
        let names: Vec<String> = both.settings().unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["color", "mine"]);
        assert_eq!(both.setting("gone").unwrap(), None);
    }
}
