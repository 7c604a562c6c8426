//! The past: every state that was ever read, read again, and found by every way that leads back to it.

use std::collections::BTreeMap;

use mnem_core::CommitId;
use mnem_core::object::Commit;

use crate::check;
use crate::program::{Kept, World};

pub(crate) fn check(world: &World) {
    for kept in &world.kept {
        assert_eq!(check::read(&kept.snapshot, &world.history, &world.known), kept.shot);
    }
    let mut by_commit: BTreeMap<CommitId, &Kept> = BTreeMap::new();
    for kept in &world.kept {
        let Some(id) = kept.snapshot.commit_id() else { continue };
        let first = by_commit.entry(id).or_insert(kept);
        assert_eq!((&first.shot, &first.seen), (&kept.shot, &kept.seen), "one commit, two states");
    }
    for (id, kept) in &by_commit {
        line(world, kept, &by_commit);
        // A commit that nobody stored is known to the snapshots that made it, and to nobody else.
        if world.store.has(id.cid()).unwrap() {
            let again = world.repos[1].at(*id).unwrap();
            assert_eq!(check::read(&again, &world.history, &world.known), kept.shot, "by its id");
        }
    }
    names(world);
}

/// Walks the line of first parents by every means.
fn line(world: &World, from: &Kept, by_commit: &BTreeMap<CommitId, &Kept>) {
    let repo = &world.repos[0];
    let line: Vec<(CommitId, Commit)> =
        repo.log(&from.snapshot).first_parents().map(Result::unwrap).collect();
    assert_eq!(line.first().map(|(id, _)| *id), from.snapshot.commit_id());
    assert!(line.last().is_none_or(|(_, commit)| commit.parents.is_empty()));
    for pair in line.windows(2) {
        assert_eq!(pair[0].1.parents.first(), Some(&pair[1].0));
        assert!(pair[0].1.time > pair[1].1.time && pair[0].1.generation > pair[1].1.generation);
    }
    for (back, (id, commit)) in line.iter().enumerate() {
        let found = repo.back(&from.snapshot, u64::try_from(back).unwrap()).unwrap().unwrap();
        assert_eq!(found.commit_id(), Some(*id));
        assert_eq!(found.commit(), Some(commit));
        let by_time = repo.as_of(&from.snapshot, commit.time).unwrap().unwrap();
        assert_eq!(by_time.commit_id(), Some(*id));
        let before = commit.time.checked_add(-1).unwrap();
        let earlier = repo.as_of(&from.snapshot, before).unwrap().and_then(|found| found.commit_id());
        assert_eq!(earlier, line.get(back + 1).map(|(id, _)| *id));
        if let Some(known) = by_commit.get(id).filter(|_| back % 5 == 1) {
            assert_eq!(check::read(&found, &world.history, &world.known), known.shot, "{back} commits back");
        }
    }
    let beyond = u64::try_from(line.len()).unwrap();
    assert!(repo.back(&from.snapshot, beyond).unwrap().is_none());
}

fn names(world: &World) {
    let expected = world.names_now();
    for repo in &world.repos {
        let branches = repo.branches().unwrap();
        assert!(branches.iter().map(|(name, _)| name).eq(expected.keys()));
        for (name, commit) in &branches {
            assert_eq!(repo.on(name).unwrap().head().unwrap().commit_id(), Some(*commit));
        }
        assert!(repo.tags().unwrap().into_iter().eq(world.tags.clone()));
    }
}
