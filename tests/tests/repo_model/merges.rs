//! Merges: the same for everyone, and nothing lost.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use mnem_core::MemoryStore;
use mnem_core::repo::{Repo, Snapshot};

use crate::check;
use crate::program::World;
use crate::support::{Random, for_each_seed, options, replica};

/// Opens copies of the store that have the blocks in other orders and no rows, and reads the branch on each.
fn read_elsewhere(world: &World, branch: &str) -> Vec<Snapshot> {
    let ticks = Arc::new(AtomicI64::new(7));
    (0..2)
        .map(|copy| {
            let store = replica(&*world.store, &mut Random::new(copy));
            let repo = Repo::open(Arc::new(store), options(&ticks, 99, copy)).unwrap();
            repo.on(branch).unwrap().head().unwrap()
        })
        .collect()
}

fn agree(world: &World) {
    for (branch, seen) in world.names_now() {
        let here = world.repos[0].on(&branch).unwrap().head().unwrap();
        for there in read_elsewhere(world, &branch) {
            assert_eq!((there.operation(), there.commit_id()), (here.operation(), here.commit_id()));
            let shot = check::read(&there, &world.history, &world.known);
            assert_eq!(shot, check::read(&here, &world.history, &world.known));
            check::compare(&shot, &world.history, &seen);
        }
    }
}

#[test]
fn heads_unite_alike_wherever_they_are_read() {
    for_each_seed(3, |seed| {
        let mut world = World::new(Arc::new(MemoryStore::new()), 4, seed);
        for _ in 0..5 {
            (0..12).for_each(|_| world.step());
            agree(&world);
        }
        world.commit_all();
        agree(&world);
    });
}

/// Lets several actors begin from one state, edit it, and commit without having seen each other.
fn fork(world: &mut World, actors: usize, edits: usize) {
    (0..actors).for_each(|who| world.begin(who, "main"));
    for who in 0..actors {
        (0..edits).for_each(|_| world.edit(who));
        world.commit(who);
    }
}

#[test]
fn two_three_and_four_heads_keep_what_each_side_did() {
    for_each_seed(5, |seed| {
        let mut world = World::new(Arc::new(MemoryStore::new()), 4, seed);
        fork(&mut world, 1, 25);
        for actors in [2, 3, 4, 4, 2] {
            fork(&mut world, actors, 6);
            world.look(0, "main");
        }
        world.commit_all();
    });
}

/// Two merge the same heads in part, each with others, and go on: what they have in common is several states.
#[test]
fn what_was_merged_crosswise_merges() {
    for_each_seed(8, |seed| {
        let mut world = World::new(Arc::new(MemoryStore::new()), 4, seed);
        fork(&mut world, 1, 25);
        for _ in 0..3 {
            (0..3).for_each(|who| world.begin(who, "main"));
            (0..3).for_each(|who| (0..4).for_each(|_| world.edit(who)));
            world.commit(0);
            world.commit(1);
            world.begin(3, "main");
            world.commit(2);
            world.begin(0, "main");
            for who in [0, 3] {
                (0..4).for_each(|_| world.edit(who));
                world.commit(who);
            }
            world.look(1, "main");
        }
        agree(&world);
    });
}

#[test]
fn reading_again_and_publishing_change_nothing_of_a_merge() {
    for_each_seed(3, |seed| {
        let mut world = World::new(Arc::new(MemoryStore::new()), 3, seed);
        fork(&mut world, 1, 20);
        fork(&mut world, 3, 5);
        let repo = &world.repos[0];
        let (first, second) = (repo.head().unwrap(), repo.head().unwrap());
        assert_eq!((first.operation(), first.commit_id()), (second.operation(), second.commit_id()));
        let mut publish = repo.begin(&mnem_core::repo::Actor::named("ada")).unwrap();
        publish.add_node_as(mnem_core::NodeId::of_key("n", b"new"), "A", mnem_core::Props::new()).unwrap();
        let next = publish.commit("on top of it").unwrap();
        assert_eq!(next.commit().unwrap().parents, first.commit_id().into_iter().collect::<Vec<_>>());
        let Some(stored) = repo.back(&next, 1).unwrap() else {
            assert_eq!(first.commit_id(), None, "what every side undid again is no commit");
            return;
        };
        let read = |snapshot| check::read(snapshot, &world.history, &world.known);
        assert_eq!(read(&stored), read(&first));
    });
}
