//! Which state a revision means.

use mnem_core::repo::{Actor, RepoError, Snapshot};
use mnem_core::{Cid, CommitId, NodeId};

use crate::kit::{Bench, add, me, set, tip, without};

/// One commit a day from the first of November on: `n` is the day.
fn days(bench: &Bench, count: i64) -> (NodeId, Vec<Snapshot>) {
    bench.at("2026-11-01 09:00");
    let node = add(&bench.repo, "Day", "today");
    let mut states = vec![bench.repo.head().unwrap()];
    for day in 2..=count {
        bench.at(&format!("2026-11-{day:02} 09:00"));
        states.push(set(&bench.repo, &me(), node, "n", day));
    }
    (node, states)
}

#[track_caller]
fn means(bench: &Bench, spec: &str, expected: &Snapshot) {
    assert_eq!(bench.repo.at(spec).unwrap().commit_id(), expected.commit_id(), "{spec}");
    assert_eq!(bench.repo.resolve(spec).unwrap(), expected.commit_id().unwrap(), "{spec}");
}

#[test]
fn every_spelling_of_a_state_means_it() {
    let bench = Bench::new();
    let (_, states) = days(&bench, 20);
    let id = states[4].commit_id().unwrap();
    bench.repo.create_tag(&me(), "v1", id).unwrap();
    let text = id.to_string();
    for spec in [
        "v1",
        "tag:v1",
        "main~15",
        "branch:main~15",
        "~15",
        "~5~10",
        "~14^",
        "~14^1~0",
        &text,
        &text[..20],
        &id.short(),
        "*2026-11-05 09:00",
        "*2026-11-06",
        "main*2026-11-06 08:59:59.999999",
        "main*2026-11-07 01:00+02:00*2026-11-06",
        "main@{2026-11-06 03:00}",
        "@{2026-11-05 09:00}",
        "@{2026-11-09}~3",
    ] {
        means(&bench, spec, &states[4]);
    }
    means(&bench, "", &states[19]);
    means(&bench, "main", &states[19]);
    assert_eq!(bench.repo.at(id).unwrap().commit_id(), Some(id));
    assert_eq!(bench.repo.at("v1").unwrap().branch(), "main");
}

#[test]
fn moments_without_a_zone_are_those_of_the_options() {
    let bench = Bench::new();
    let (_, states) = days(&bench, 9);
    let store = std::sync::Arc::clone(bench.repo.store());
    let mut options =
        mnem_core::repo::Options::new(std::sync::Arc::new(bench.clock.clone()), std::sync::Arc::new(Zeros));
    options.zone_minutes = -10 * 60;
    let far = mnem_core::repo::Repo::open(store, options).unwrap();
    // Nine in the morning in UTC is eleven at night of the day before there.
    assert_eq!(far.at("*2026-11-05").unwrap().commit_id(), states[4].commit_id());
    assert_eq!(far.at("*2026-11-05 00:00Z").unwrap().commit_id(), states[3].commit_id());
}

struct Zeros;
impl mnem_core::repo::Randomness for Zeros {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

#[test]
fn an_operation_means_the_names_as_it_left_them() {
    let bench = Bench::new();
    let (node, states) = days(&bench, 6);
    let side = bench.repo.create_branch(&me(), "side", &states[1]).unwrap();
    let made = side.head().unwrap().operation();
    set(&side, &me(), node, "n", 99);
    set(&bench.repo, &me(), node, "n", 100);
    let then = bench.repo.at_op(made).unwrap();
    assert_eq!(tip(&then), states[5].commit_id().unwrap());
    assert_eq!(tip(&then.on("side").unwrap()), states[1].commit_id().unwrap());
    assert_eq!(then.branches().unwrap().len(), 2);
    assert_eq!((then.operation(), then.head().unwrap().operation()), (Some(made), made));
    let text = format!("op:{made}");
    means(&bench, &text, &states[5]);
    means(&bench, &format!("op:{}~2", made.short()), &states[3]);
    assert_eq!(bench.repo.resolve_op(&text).unwrap(), made);
    assert_eq!(bench.repo.resolve_op(&made.short()).unwrap(), made);
    let before = bench.repo.at_op(states[2].operation()).unwrap();
    assert_eq!(before.on("side").unwrap().head().unwrap().commit_id(), None, "it was not there yet");
    assert!(matches!(before.at("side"), Err(RepoError::Unknown { .. })));
    means(&bench, "@{2026-11-03 10:00}", &states[2]);
}

#[test]
fn the_past_is_read_only() {
    let bench = Bench::new();
    let (_, states) = days(&bench, 3);
    let then = bench.repo.at_op(states[0].operation()).unwrap();
    let id = states[0].commit_id().unwrap();
    let refused = [
        then.begin(&me()).err(),
        then.reconcile().err(),
        then.create_branch(&me(), "b", &states[0]).err(),
        then.create_tag(&me(), "t", id).err(),
    ];
    assert!(refused.iter().all(|it| matches!(it, Some(RepoError::Past { .. }))), "{refused:?}");
    assert_eq!(bench.repo.head().unwrap().operation(), states[2].operation());
}

#[test]
fn a_branch_that_was_moved_pointed_elsewhere_then() {
    let bench = Bench::new();
    let (node, states) = days(&bench, 4);
    bench.at("2026-11-10");
    let side = bench.repo.create_branch(&me(), "side", &states[3]).unwrap();
    bench.at("2026-11-11");
    let later = set(&side, &me(), node, "n", 50);
    bench.at("2026-11-12");
    means(&bench, "side@{2026-11-10}", &states[3]);
    means(&bench, "side@{2026-11-11 01:00}", &later);
    let too_early = bench.repo.at("side@{2026-11-09}").unwrap_err();
    assert!(matches!(too_early, RepoError::NothingBy { .. }), "{too_early}");
    assert!(
        matches!(bench.repo.at("sied@{2026-11-09}"), Err(RepoError::Unknown { similar, .. }) if similar == ["side"])
    );
    assert!(matches!(bench.repo.at("@{2026-10-01}"), Err(RepoError::NothingBy { .. })));
    assert!(
        matches!(bench.repo.at("@{2026-11-01 08:30}"), Err(RepoError::NothingBy { .. })),
        "no commit yet"
    );
}

#[test]
fn operations_that_ran_side_by_side_are_read_as_one_and_told_apart() {
    let bench = Bench::new();
    let (node, _) = days(&bench, 2);
    let (one, two, three) = (bench.again(2), bench.again(3), bench.again(4));
    let mut first = one.begin(&Actor::named("one")).unwrap();
    let mut second = two.begin(&Actor::named("two")).unwrap();
    let mut third = three.begin(&Actor::named("three")).unwrap();
    first.set(node, "a", 1).unwrap();
    second.set(node, "b", 2).unwrap();
    third.set(node, "c", 3).unwrap();
    bench.at("2026-11-05");
    first.commit("a").unwrap();
    bench.at("2026-11-06");
    second.commit("b").unwrap();
    let both = bench.repo.head().unwrap();
    bench.at("2026-11-08");
    third.commit("c").unwrap();
    bench.repo.reconcile().unwrap();
    let then = bench.repo.at("@{2026-11-07}").unwrap();
    assert_eq!((then.commit_id(), then.operation()), (both.commit_id(), both.operation()));
    let keys = |at: &Snapshot| at.require(node).unwrap().props.len();
    assert_eq!((keys(&then), keys(&bench.repo.head().unwrap())), (4, 5));
    let told = bench.repo.operation_at("2026-11-07").unwrap_err();
    assert!(matches!(told, RepoError::Ambiguous { ref candidates, .. } if candidates.len() == 2), "{told}");
    let alone = bench.repo.operation_at("2026-11-05 12:00").unwrap();
    assert_eq!(bench.repo.at_op(alone).unwrap().head().unwrap().require(node).unwrap().props.len(), 3);
}

#[test]
fn a_union_that_nobody_stored_can_be_visited() {
    let bench = Bench::new();
    let (node, _) = days(&bench, 2);
    let mut late = bench.again(2).begin(&me()).unwrap();
    late.set(node, "late", true).unwrap();
    set(&bench.repo, &me(), node, "n", 7);
    late.commit("late").unwrap();
    let now = bench.repo.head().unwrap();
    let id = now.commit_id().unwrap();
    assert!(bench.repo.store().get(id.cid()).unwrap().is_none(), "reading stored nothing");
    assert_eq!(bench.repo.at(id).unwrap().commit_id(), Some(id));
    assert_eq!(bench.repo.at(&*id.short()).unwrap().commit_id(), Some(id));
    let there = bench.repo.at_op(now.operation()).unwrap();
    assert_eq!(there.head().unwrap().commit_id(), Some(id));
    assert_eq!(now.commit().unwrap().parents.len(), 2);
    let parents: Vec<CommitId> =
        ["^", "^1", "^2"].map(|spec| bench.repo.resolve(spec).unwrap()).into_iter().collect();
    assert_eq!((parents[0], &parents[1..]), (parents[1], &now.commit().unwrap().parents[..]));
}

#[test]
fn what_may_be_several_things_is_refused_with_all_of_them() {
    let bench = Bench::new();
    let (_, states) = days(&bench, 12);
    bench.repo.create_tag(&me(), "both", states[2].commit_id().unwrap()).unwrap();
    bench.repo.create_branch(&me(), "both", &states[5]).unwrap();
    let refused = bench.repo.at("both~1").unwrap_err();
    assert!(
        matches!(&refused, RepoError::Ambiguous { spec, candidates }
            if spec == "both~1" && *candidates == ["branch:both", "tag:both"]),
        "{refused}"
    );
    assert_eq!(refused.to_string(), "`both~1` may be any of branch:both, tag:both");
    means(&bench, "tag:both~1", &states[1]);
    means(&bench, "branch:both~1", &states[4]);
}

#[test]
fn the_digits_of_several_commits_are_refused_with_all_of_them() {
    let bench = Bench::new();
    let (node, states) = days(&bench, 12);
    let mut ids: Vec<CommitId> = states.iter().map(|state| state.commit_id().unwrap()).collect();
    let alike = |ids: &[CommitId], id: &CommitId| -> Vec<String> {
        let begins = |other: &&CommitId| other.short()[..2] == id.short()[..2];
        let mut all: Vec<CommitId> = ids.iter().filter(begins).copied().collect();
        all.sort();
        all.iter().map(ToString::to_string).collect()
    };
    while ids.iter().all(|id| alike(&ids, id).len() == 1) {
        let n = i64::try_from(ids.len()).unwrap() + 100;
        ids.push(set(&bench.repo, &me(), node, "n", n).commit_id().unwrap());
    }
    for id in &ids {
        let expected = alike(&ids, id);
        match bench.repo.resolve(&id.short()[..2]) {
            Err(RepoError::Ambiguous { candidates, .. }) => assert_eq!(candidates, expected),
            found => assert_eq!((found.unwrap(), expected.len()), (*id, 1)),
        }
    }
}

#[test]
fn a_name_is_meant_before_any_id_that_begins_like_it() {
    let bench = Bench::new();
    let (_, states) = days(&bench, 3);
    let id = states[2].commit_id().unwrap();
    bench.repo.create_tag(&me(), &id.short(), states[0].commit_id().unwrap()).unwrap();
    means(&bench, &id.short(), &states[0]);
    means(&bench, &id.to_string(), &states[2]);
}

#[test]
fn what_is_not_there_is_refused_with_what_is_like_it() {
    let bench = Bench::new();
    let (_, states) = days(&bench, 3);
    bench.repo.create_tag(&me(), "v1.0", states[0].commit_id().unwrap()).unwrap();
    let similar = |spec: &str| match bench.repo.at(spec) {
        Err(RepoError::Unknown { similar, .. }) => similar,
        other => panic!("{spec}: {other:?}"),
    };
    assert_eq!(similar("mian~2"), ["main"]);
    assert_eq!(similar("tag:v1.1"), ["v1.0"]);
    assert_eq!(similar("quux"), Vec::<String>::new());
    assert_eq!(similar("bafyr4iaaaaaaaa"), Vec::<String>::new());
    let nowhere = "bafyr4iajvkaenlaxdakz23rwabhkcube7xfked4zpjlvbift2a74paaaaa";
    assert_eq!(similar(nowhere), Vec::<String>::new());
    assert!(matches!(bench.repo.resolve_op("op:aaaaaaaa"), Err(RepoError::Unknown { .. })));
    assert!(matches!(bench.repo.at_op(nowhere.parse().unwrap()), Err(RepoError::Unknown { .. })));
    assert!(matches!(bench.repo.at("~3"), Err(RepoError::BeforeTheFirst { spec }) if spec == "~3"));
    assert!(matches!(bench.repo.at("~2^"), Err(RepoError::BeforeTheFirst { .. })));
    assert!(matches!(bench.repo.at("^2"), Err(RepoError::NoParent { number: 2, parents: 1, .. })));
    assert!(matches!(bench.repo.at("*2026-10-31"), Err(RepoError::NothingBy { .. })));
    assert!(matches!(bench.repo.at("main*yesterday"), Err(RepoError::Revision { .. })));
    assert!(matches!(bench.repo.operation_at("noon"), Err(RepoError::Revision { .. })));
}

#[test]
fn a_branch_before_its_first_commit_is_an_empty_state() {
    let bench = Bench::new();
    for spec in ["", "main"] {
        assert_eq!(bench.repo.at(spec).unwrap().commit_id(), None);
        assert!(matches!(bench.repo.resolve(spec), Err(RepoError::BeforeTheFirst { .. })));
    }
    assert!(matches!(bench.repo.at("~1"), Err(RepoError::BeforeTheFirst { .. })));
    assert!(matches!(bench.repo.at("*2026-11-01"), Err(RepoError::BeforeTheFirst { .. })));
}

#[test]
fn what_was_cut_off_is_told_with_the_oldest_time_that_is_kept() {
    let bench = Bench::new();
    let (_, states) = days(&bench, 28);
    let ids: Vec<Cid> = states.iter().map(|state| *state.commit_id().unwrap().cid()).collect();
    for kept_from in [1, 2, 9, 20, 27] {
        let repo = bench.over(without(&**bench.repo.store(), &ids[..kept_from]));
        let oldest = states[kept_from].commit().unwrap().time;
        for (index, state) in states.iter().enumerate() {
            let back = format!("~{}", states.len() - 1 - index);
            let by_time = format!("*{}", state.commit().unwrap().time);
            for spec in [back, by_time] {
                match repo.at(&*spec) {
                    Ok(found) if index >= kept_from => assert_eq!(found.commit_id(), state.commit_id()),
                    Err(RepoError::Pruned { what: "commit", horizon, .. }) if index < kept_from => {
                        assert_eq!(horizon, oldest, "{spec}");
                    }
                    other => panic!("{spec} of {kept_from}: {other:?}"),
                }
            }
        }
        let parent = format!("~{}^", states.len() - 1 - kept_from);
        let refused = repo.at(&*parent).unwrap_err();
        assert!(matches!(refused, RepoError::Pruned { cid, .. } if cid == ids[kept_from - 1]), "{refused}");
    }
}
