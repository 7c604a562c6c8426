//! Calls that are cut short: nothing is half there, and what arrived is not moved again.

use std::ops::ControlFlow;
use std::sync::Arc;

use mnem::memory::MemoryStore;
use mnem::testing::labs;
use mnem::{Fetch, Origin, Push, Repo, Store, SyncError, quiet};

use crate::failing::{Failing, Fuse};
use crate::kit::{
    assert_has_all, assert_says_the_same, fresh, me, note, options, reached, repo_namespace, story,
};

/// More calls than any of these need.
const CALLS_MAX: u64 = 100_000;

/// Steps between the calls that fail: small ones at first.
fn next(call: u64) -> u64 {
    call + 1 + call / 8
}

#[test]
fn a_clone_that_is_cut_short_at_any_call_leaves_no_repository_and_is_taken_up_again() {
    let first = fresh();
    story(&first);
    let whole = {
        let store = Arc::new(MemoryStore::new());
        first.clone_to(store, options(2), &me(), &Origin::default(), &mut quiet).unwrap().1
    };
    for lab in labs() {
        let (mut call, mut moved, mut cuts) = (1, 0, 0);
        loop {
            let store = lab.open().unwrap();
            let fuse = Fuse::new(call);
            let failing = Failing::over(Arc::clone(&store), &fuse);
            let cloned = first.clone_to(failing, options(2), &me(), &Origin::default(), &mut quiet);
            match cloned {
                Ok((copy, synced)) => {
                    moved += synced.blocks;
                    drop(copy);
                    let copy = Repo::open(store, options(3)).unwrap();
                    assert_has_all(&copy, &first);
                    assert!(synced.blocks < whole.blocks / 2, "{}: most was there already", lab.name());
                    break;
                }
                Err(why) => {
                    assert!(matches!(why, SyncError::Repo(_)), "{why}");
                    let is_made = !store.heads(&repo_namespace()).unwrap().is_empty();
                    if is_made {
                        // It failed after the one commit, when the copy was opened.
                        let copy = Repo::open(store, options(3)).unwrap();
                        assert_has_all(&copy, &first);
                        break;
                    }
                    cuts += 1;
                }
            }
            call = next(call);
            assert!(call < CALLS_MAX);
        }
        assert!(cuts > 10, "{}: {cuts} cuts, {moved} blocks", lab.name());
    }
}

#[test]
fn a_clone_whose_source_fails_at_any_call_leaves_no_repository() {
    let first = fresh();
    story(&first);
    let (mut call, mut cuts) = (1, 0);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    loop {
        let fuse = Fuse::new(call);
        let opened = Repo::open(Failing::over(Arc::clone(first.store()), &fuse), options(4));
        let cloned = opened.map_err(SyncError::from).and_then(|source| {
            source.clone_to(Arc::clone(&store), options(2), &me(), &Origin::default(), &mut quiet)
        });
        if let Ok((copy, _)) = cloned {
            assert_has_all(&copy, &first);
            break;
        }
        assert!(store.heads(&repo_namespace()).unwrap().is_empty());
        (call, cuts) = (next(call), cuts + 1);
        assert!(call < CALLS_MAX);
    }
    assert!(cuts > 10, "{cuts} cuts");
}

#[test]
fn fetches_and_pushes_that_are_cut_short_move_no_name_and_are_taken_up_again() {
    let first = fresh();
    note(&first, "start");
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let (copy, _) =
        first.clone_to(Arc::clone(&store), options(2), &me(), &Origin::default(), &mut quiet).unwrap();
    story(&first);
    let before = copy.remotes().unwrap();
    let mut call = 1;
    loop {
        let fuse = Fuse::new(call);
        let fetched = Repo::open(Failing::over(Arc::clone(&store), &fuse), options(3))
            .map_err(SyncError::from)
            .and_then(|copy| copy.fetch_from(&me(), &first, &Fetch::from("origin"), &mut quiet));
        reached(&store);
        if fetched.is_ok() {
            break;
        }
        assert!(fuse.is_blown());
        assert_eq!(copy.remotes().unwrap(), before);
        call = next(call);
        assert!(call < CALLS_MAX);
    }
    assert!(call > 20);

    let other = fresh_copy_of(&copy);
    note(&other, "pushed");
    let names = first.branches().unwrap();
    let mut call = 1;
    loop {
        let fuse = Fuse::new(call);
        let pushed = Repo::open(Failing::over(Arc::clone(first.store()), &fuse), options(5))
            .map_err(SyncError::from)
            .and_then(|first| other.push_to(&me(), &first, None, &Push::branch("pushed"), &mut quiet));
        reached(first.store());
        if pushed.is_ok() {
            break;
        }
        assert_eq!(first.branches().unwrap(), names);
        call = next(call);
        assert!(call < CALLS_MAX);
    }
    assert_eq!(first.branches().unwrap().len(), names.len() + 1);
}

/// A clone that works on a branch of its own.
fn fresh_copy_of(repo: &Repo) -> Repo {
    let store = Arc::new(MemoryStore::new());
    let (copy, _) = repo.clone_to(store, options(6), &me(), &Origin::default(), &mut quiet).unwrap();
    copy.create_branch(&me(), "pushed", &copy.at("origin/main").unwrap()).unwrap()
}

#[test]
fn a_listener_can_stop_a_clone_and_the_next_one_goes_on() {
    let first = fresh();
    story(&first);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut told = 0;
    let stopped =
        first.clone_to(Arc::clone(&store), options(2), &me(), &Origin::default(), &mut |progress| {
            told = progress.done;
            if progress.done >= 128 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    assert!(matches!(stopped, Err(SyncError::Stopped)), "told of {told}");
    assert!(store.heads(&repo_namespace()).unwrap().is_empty());
    let (copy, synced) = first.clone_to(store, options(2), &me(), &Origin::default(), &mut quiet).unwrap();
    let all = reached(first.store()).len() as u64;
    assert!(synced.blocks <= all - 128, "{} of {all}", synced.blocks);
    assert_says_the_same(&copy, &first);
}

#[test]
fn a_block_that_is_missing_at_the_source_is_named_and_nothing_is_taken() {
    let first = fresh();
    story(&first);
    let node = *reached(first.store()).iter().next_back().unwrap();
    let holed = MemoryStore::new();
    for cid in reached(first.store()).into_iter().filter(|cid| *cid != node) {
        mnem::Blockstore::put(&holed, &mnem::port::BlockRead::get(&**first.store(), &cid).unwrap().unwrap())
            .unwrap();
    }
    let add = first.store().heads(&repo_namespace()).unwrap();
    let heads = mnem::port::HeadsUpdate { add, ..Default::default() };
    assert_eq!(mnem::OpHeadsStore::update(&holed, &heads).unwrap(), mnem::port::Swap::Done);
    let source = Repo::open(Arc::new(holed), options(5)).unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let refused = source.clone_to(Arc::clone(&store), options(2), &me(), &Origin::default(), &mut quiet);
    assert!(matches!(refused, Err(SyncError::Incomplete { cid, .. }) if cid == node));
    assert!(store.heads(&repo_namespace()).unwrap().is_empty());
}
