//! Clone, fetch, push and pull between all kinds of stores, closed and opened again after each step.

use mnem::testing::{Lab, LabExt as _};
use mnem::{Fetch, Origin, Push, Repo, quiet};

use crate::kit::{
    assert_has_all, assert_says_the_same, assert_states, commit, each_pair, me, note, options, story,
};

/// Closes a repository and opens it again.
fn reopened(lab: &dyn Lab, repo: Repo, seed: u64) -> Repo {
    let store = std::sync::Arc::clone(repo.store());
    drop(repo);
    Repo::open(lab.reopen(store).unwrap(), options(seed)).unwrap()
}

#[test]
fn a_clone_has_every_commit_operation_name_and_conflict_and_the_two_stay_in_step() {
    each_pair(|src, dst| {
        let first = Repo::init(src.open().unwrap(), options(1)).unwrap();
        story(&first);
        let first = reopened(src, first, 2);
        let origin = Origin::at("simple:there");
        let (copy, cloned) =
            first.clone_to(dst.open().unwrap(), options(3), &me(), &origin, &mut quiet).unwrap();
        assert!(cloned.blocks > 100 && cloned.bytes > 10_000 && cloned.commits > 5, "{cloned}");
        let copy = reopened(dst, copy, 4);
        assert_has_all(&copy, &first);
        assert_eq!(copy.remote_urls().unwrap(), [("origin".to_owned(), "simple:there".to_owned())]);
        let there: Vec<_> =
            first.branches().unwrap().into_iter().map(|(name, at)| (format!("origin/{name}"), at)).collect();
        assert_eq!(copy.remotes().unwrap(), there);

        // The first goes on, the copy fetches and takes it over.
        note(&first, "of the first");
        first.create_tag(&me(), "v2", first.head().unwrap().commit_id().unwrap()).unwrap();
        let first = reopened(src, first, 5);
        let fetched = copy.fetch_from(&me(), &first, &Fetch::from("origin"), &mut quiet).unwrap();
        assert_eq!(fetched.commits, 1);
        let copy = reopened(dst, copy, 6);
        assert_eq!(copy.tags().unwrap(), first.tags().unwrap());
        commit(&copy, |tx| tx.merge("origin/main").unwrap());
        assert_states(&copy, &first);

        // The copy goes on, and pushes.
        note(&copy, "of the copy");
        let copy = reopened(dst, copy, 7);
        let pushed = copy.push_to(&me(), &first, Some("origin"), &Push::branch("main"), &mut quiet).unwrap();
        assert_eq!((pushed.commits, pushed.names.len()), (1, 1));
        let (first, copy) = (reopened(src, first, 8), reopened(dst, copy, 9));
        assert_says_the_same(&copy, &first);
        assert_eq!(copy.remotes().unwrap().iter().find(|(name, _)| name == "origin/main").unwrap().1, {
            first.head().unwrap().commit_id().unwrap()
        });

        // Nothing is new: nothing moves, and no operation is made.
        let heads = copy.store().heads(&crate::kit::repo_namespace()).unwrap();
        let again = copy.fetch_from(&me(), &first, &Fetch::from("origin"), &mut quiet).unwrap();
        assert_eq!((again.blocks, again.commits, again.names.len()), (0, 0, 0));
        assert_eq!(copy.store().heads(&crate::kit::repo_namespace()).unwrap(), heads);
    });
}
