//! The repository against a naive model: random programs of several actors, merges, indexes, and what it all costs.
//!
//! `MNEM_SEED` repeats a run that failed, `MNEM_CASES` raises the number of runs.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which the lint does not see as such")]

mod check;
mod costs;
mod counted;
mod counting;
mod edit;
mod examples;
mod history;
mod merge_costs;
mod merges;
mod past;
mod program;
mod queries;
mod rows;
mod support;
mod versions;

use std::sync::Arc;

use mnem::testing::{Lab, each_backend};
use mnem_core::MemoryStore;

use program::World;
use support::for_each_seed;

fn run(world: &mut World, steps: usize) {
    (0..steps).for_each(|_| world.step());
    world.commit_all();
    let branches: Vec<String> =
        world.repos[0].branches().unwrap().into_iter().map(|(name, _)| name).collect();
    for branch in branches {
        (0..world.repos.len()).for_each(|who| world.look(who, &branch));
    }
    past::check(world);
    rows::check(world);
    versions::check(world);
}

#[test]
fn programs_of_three_actors_agree_with_the_model() {
    for_each_seed(6, |seed| {
        let mut world = World::new(Arc::new(MemoryStore::new()), 3, seed);
        run(&mut world, 60);
        assert!(world.undone > 0, "nothing was taken back");
    });
}

#[test]
fn programs_agree_with_the_model_on_every_backend() {
    each_backend(|lab: &dyn Lab| {
        let mut world = World::new(lab.open()?, 3, 1);
        run(&mut world, 25);
        Ok(())
    })
    .unwrap();
}
