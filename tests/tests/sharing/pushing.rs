//! What a push may move, and what it costs.

use std::collections::BTreeSet;
use std::sync::Arc;

use mnem::memory::MemoryStore;
use mnem::port::BlockReadExt as _;
use mnem::{Actor, CommitId, Fetch, NodeId, Origin, Push, Repo, RepoError, SyncError, props, quiet};

use crate::kit::{assert_states, commit, fresh, me, note, options, reached, set};

fn clone(of: &Repo, seed: u64) -> Repo {
    let store = Arc::new(MemoryStore::new());
    of.clone_to(store, options(seed), &me(), &Origin::default(), &mut quiet).unwrap().0
}

fn tip(repo: &Repo) -> CommitId {
    repo.head().unwrap().commit_id().unwrap()
}

fn push(from: &Repo, to: &Repo, how: &Push) -> Result<mnem::Synced, SyncError> {
    from.push_to(&me(), to, Some("origin"), how, &mut quiet)
}

#[test]
fn a_branch_that_went_another_way_stays_unless_it_is_forced() {
    let first = fresh();
    note(&first, "start");
    let copy = clone(&first, 2);
    note(&first, "theirs");
    note(&copy, "ours");
    let (theirs, ours) = (tip(&first), tip(&copy));
    for known in [false, true] {
        let refused = push(&copy, &first, &Push::branch("main")).unwrap_err();
        let SyncError::NotFastForward { branch, ours: given, theirs: found } = refused else {
            panic!("{refused}")
        };
        assert_eq!((branch.as_str(), given, found), ("main", ours, Some(theirs)), "known: {known}");
        assert_eq!(tip(&first), theirs);
        copy.fetch_from(&me(), &first, &Fetch::from("origin"), &mut quiet).unwrap();
    }
    let looked = push(&copy, &first, &Push::branch("main").force().dry_run()).unwrap();
    assert_eq!((looked.names[0].old[0], looked.names[0].new[0]), (theirs, ours));
    assert_eq!(tip(&first), theirs, "it was only looked at");
    let forced = push(&copy, &first, &Push::branch("main").force()).unwrap();
    assert_eq!((forced.blocks, forced.bytes), (looked.blocks, looked.bytes));
    assert_eq!(tip(&first), ours);
    assert!(
        first.op_log().unwrap().any(|op| op.unwrap().moved.names.iter().any(|name| name.old == [theirs]))
    );
}

#[test]
fn fetching_and_merging_makes_a_push_go() {
    let first = fresh();
    note(&first, "start");
    let copy = clone(&first, 2);
    note(&first, "theirs");
    note(&copy, "ours");
    copy.fetch_from(&me(), &first, &Fetch::from("origin"), &mut quiet).unwrap();
    commit(&copy, |tx| tx.merge("origin/main").unwrap());
    push(&copy, &first, &Push::branch("main")).unwrap();
    assert_states(&first, &copy);
    assert_eq!(first.head().unwrap().node_count().unwrap(), 3);
}

#[test]
fn all_branches_go_unless_some_are_named_and_tags_when_they_are_asked_for() {
    let first = fresh();
    note(&first, "start");
    let copy = clone(&first, 2);
    let side = copy.create_branch(&me(), "side", &copy.head().unwrap()).unwrap();
    note(&side, "aside");
    note(&copy, "more");
    copy.create_tag(&me(), "v1", tip(&copy)).unwrap();
    push(&copy, &first, &Push::branch("side")).unwrap();
    assert_eq!(first.branches().unwrap().len(), 2);
    assert_ne!(tip(&first), tip(&copy));
    push(&copy, &first, &Push::all()).unwrap();
    assert_eq!(first.branches().unwrap(), copy.branches().unwrap());
    assert!(first.tags().unwrap().is_empty());
    push(&copy, &first, &Push::branch("main").tag("v1")).unwrap();
    assert_eq!(first.tags().unwrap(), copy.tags().unwrap());

    first.move_tag(&me(), "v1", tip(&copy), tip(&side)).unwrap();
    assert!(
        matches!(push(&copy, &first, &Push::default().tags()), Err(SyncError::TagTaken { tag }) if tag == "v1")
    );
    let fetched = copy.fetch_from(&me(), &first, &Fetch::from("origin"), &mut quiet).unwrap();
    assert_eq!(fetched.tags_kept, ["v1"]);
    push(&copy, &first, &Push::default().tags().force()).unwrap();
    assert_eq!(first.tags().unwrap(), copy.tags().unwrap());

    push(&copy, &first, &Push::default().delete("side")).unwrap();
    assert_eq!(first.branches().unwrap().len(), 1);
    assert!(!copy.remotes().unwrap().iter().any(|(name, _)| name == "origin/side"));
    let unknown = push(&copy, &first, &Push::branch("mian")).unwrap_err();
    assert!(matches!(unknown, SyncError::Repo(RepoError::Unknown { similar, .. }) if similar == ["main"]));
}

#[test]
fn branches_that_are_gone_there_are_forgotten_here_and_others_stay() {
    let first = fresh();
    note(&first, "start");
    first.create_branch(&me(), "side", &first.head().unwrap()).unwrap();
    let copy = clone(&first, 2);
    copy.set_remotes(&me(), "other", &[("main", Some(tip(&copy)))]).unwrap();
    first.delete_branch(&me(), "side", tip(&first)).unwrap();
    copy.fetch_from(&me(), &first, &Fetch::from("origin"), &mut quiet).unwrap();
    let names: Vec<_> = copy.remotes().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["origin/main", "other/main"]);
    copy.set_remote_url(&me(), "origin", Some("simple:there")).unwrap();
    copy.set_remote_url(&me(), "origin", None).unwrap();
    assert_eq!((copy.remote_urls().unwrap().len(), copy.remotes().unwrap().len()), (0, 1));
}

/// What is pushed is what is new: the blocks of the commits that the other lacks, and nothing that both have.
#[test]
fn a_push_of_few_changes_moves_little_more_than_the_new_blocks() {
    let first = fresh();
    let people: Vec<NodeId> = (0..5_000_u64).map(|n| NodeId::of_key("person", &n.to_be_bytes())).collect();
    commit(&first, |tx| {
        for id in &people {
            tx.add_node_as(*id, "Person", props! { name: id.to_string() }).unwrap();
        }
    });
    let copy = clone(&first, 2);
    for round in 0..3_i64 {
        for change in 0..10 {
            let which = usize::try_from(round * 997 + change * 331).unwrap();
            set(&copy, people[which % people.len()], "seen", round * 100 + change);
        }
        let before = reached(first.store());
        let pushed = push(&copy, &first, &Push::branch("main")).unwrap();
        let new: BTreeSet<_> = reached(first.store()).difference(&before).copied().collect();
        // Over there an operation, its view and the map of names are new too: these were made there.
        let bytes: u64 = new.iter().map(|cid| first.store().require(cid).unwrap().bytes().len() as u64).sum();
        assert!(pushed.bytes * 5 <= bytes * 6, "{} bytes for {bytes} new ones", pushed.bytes);
        assert!(pushed.blocks <= new.len() as u64, "{} blocks for {}", pushed.blocks, new.len());
        assert_eq!(pushed.commits, 10);
        assert_states(&first, &copy);
    }
}

#[test]
fn who_moves_names_during_a_push_is_seen() {
    let first = fresh();
    note(&first, "start");
    let copy = clone(&first, 2);
    note(&copy, "ours");
    let other = Repo::open(Arc::clone(first.store()), options(9)).unwrap();
    let mut theirs = None;
    let refused = copy.push_to(&me(), &first, None, &Push::branch("main"), &mut |progress| {
        // After the branch was looked at, and before it moves.
        if progress.step == "history" && theirs.is_none() {
            note(&other, "theirs");
            theirs = Some(tip(&other));
        }
        std::ops::ControlFlow::Continue(())
    });
    assert!(matches!(refused, Err(SyncError::NotFastForward { theirs: found, .. }) if found == theirs));
    assert_eq!(Some(tip(&first)), theirs);
}

#[test]
fn two_who_push_different_branches_at_once_both_succeed() {
    let first = fresh();
    note(&first, "start");
    let copies: Vec<Repo> = (0..4).map(|n| clone(&first, 10 + n)).collect();
    std::thread::scope(|scope| {
        for (n, copy) in copies.iter().enumerate() {
            let first = &first;
            scope.spawn(move || {
                let name = format!("branch-{n}");
                let branch = copy.create_branch(&me(), &name, &copy.head().unwrap()).unwrap();
                note(&branch, &name);
                copy.push_to(&Actor::named(&name), first, None, &Push::branch(&name), &mut quiet).unwrap();
            });
        }
    });
    assert_eq!(first.branches().unwrap().len(), 5);
    reached(first.store());
}

#[test]
fn trees_that_are_cut_otherwise_are_not_exchanged() {
    let first = fresh();
    note(&first, "start");
    let other = mnem::Options {
        tree_params: mnem::tree::TreeParams { seed: [7; 32], ..mnem::tree::TreeParams::V1 },
        ..options(3)
    };
    let other = Repo::init(Arc::new(MemoryStore::new()), other).unwrap();
    note(&other, "start");
    let fetched = first.fetch_from(&me(), &other, &Fetch::from("other"), &mut quiet);
    assert!(matches!(fetched, Err(SyncError::IncompatibleTrees)));
    assert!(matches!(push(&first, &other, &Push::all()), Err(SyncError::IncompatibleTrees)));
}
