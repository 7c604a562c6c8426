//! Laws of the operation log, on random programs of three actors: history that others write is never undone with one's
//! own, and what was can always be read as it was.

use std::collections::{BTreeMap, BTreeSet};

use mnem_core::port::Namespace;
use mnem_core::repo::{Actor, Repo, RepoError, Scope, Snapshot, Transaction};
use mnem_core::{ActorId, Commit, CommitId, NodeId, Object, OperationId, Value, props};

use crate::kit::{Bench, united};

const NAMES: [&str; 3] = ["ada", "bob", "eve"];
const PROPS: [&str; 3] = ["p", "q", "r"];

/// What a state shows: nodes with their properties, edges, and every name.
type Shot = (BTreeMap<String, Vec<String>>, Vec<(String, CommitId)>, Vec<(String, CommitId)>);

fn shot(repo: &Repo) -> Shot {
    let mut facts = BTreeMap::new();
    for (branch, _) in repo.branches().unwrap() {
        facts.insert(branch.clone(), content(&repo.on(&branch).unwrap().head().unwrap()));
    }
    (facts, repo.branches().unwrap(), repo.tags().unwrap())
}

fn content(of: &Snapshot) -> Vec<String> {
    let nodes = of.nodes().map(|node| format!("{:?}", node.unwrap()));
    let edges = of.edges().map(|edge| format!("{:?}", edge.unwrap()));
    nodes.chain(edges).chain([format!("{:?}", of.conflicts().unwrap())]).collect()
}

struct World {
    bench: Bench,
    repos: Vec<Repo>,
    open: Vec<Option<(Transaction, Vec<Write>)>>,
    seed: u64,
    number: i64,
    /// Who wrote a property of a node last, as far as the order of commits says, and what.
    last: BTreeMap<(NodeId, &'static str), (usize, Value)>,
    minutes: u32,
    tags: usize,
}

#[derive(Clone)]
struct Write {
    node: NodeId,
    name: &'static str,
    value: Value,
}

impl World {
    fn new(seed: u64) -> World {
        let bench = Bench::new();
        let repos = (0..3).map(|who| bench.again(seed * 10 + who + 2)).collect();
        World {
            bench,
            repos,
            open: (0..3).map(|_| None).collect(),
            seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            number: 0,
            last: BTreeMap::new(),
            minutes: 0,
            tags: 0,
        }
    }

    fn below(&mut self, end: usize) -> usize {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.seed >> 33).unwrap() % end
    }

    fn tick(&mut self) {
        self.minutes += 1;
        let (hour, minute) = (8 + self.minutes / 60, self.minutes % 60);
        self.bench.at(&format!("2026-11-{:02} {:02}:{minute:02}", 1 + hour / 24, hour % 24));
    }

    fn actor(who: usize) -> Actor {
        Actor::named(NAMES[who])
    }

    /// Changes something in a transaction, and says what is written.
    fn edit(&mut self, tx: &mut Transaction) -> Vec<Write> {
        let nodes: Vec<NodeId> = tx.base().nodes().map(|node| node.unwrap().id).collect();
        let mut writes = Vec::new();
        for _ in 0..=self.below(3) {
            self.number += 1;
            let number = self.number;
            if nodes.len() < 3 || self.below(6) == 0 {
                let name = PROPS[self.below(3)];
                let node = tx.add_node("N", props! { name: number }).unwrap();
                writes.push(Write { node, name, value: Value::from(number) });
                tx.set(node, name, number).unwrap();
                continue;
            }
            let (node, other) = (nodes[self.below(nodes.len())], nodes[self.below(nodes.len())]);
            let name = PROPS[self.below(3)];
            match self.below(6) {
                0 => drop(tx.add_edge(node, "to", other, props! { n: number })),
                1 => drop(tx.remove(node)),
                _ => {
                    // Of few values, so that one writes what another had written before.
                    let (value, before) = (number % 3, tx.get(node).unwrap());
                    let same = before.is_some_and(|it| it.props.value(name) == Some(&Value::from(value)));
                    if !same && tx.set(node, name, value).is_ok() {
                        writes.push(Write { node, name, value: Value::from(value) });
                    }
                }
            }
        }
        writes
    }

    fn commit(&mut self, who: usize) {
        let Some((tx, mut writes)) = self.open[who].take() else { return };
        // What is as it was in the end was not written.
        writes.retain(|write| {
            let was = tx.base().get(write.node).unwrap().and_then(|it| it.props.value(write.name).cloned());
            let is = tx.get(write.node).unwrap().and_then(|it| it.props.value(write.name).cloned());
            is.as_ref() == Some(&write.value) && was != is
        });
        tx.commit("a step").unwrap();
        for write in writes {
            self.last.insert((write.node, write.name), (who, write.value));
        }
    }

    /// A step that makes an operation by itself.
    fn step(&mut self) {
        self.tick();
        let who = self.below(3);
        let repo = self.repos[who].clone();
        match self.below(8) {
            0 => {
                if let Some(commit) = repo.head().unwrap().commit_id() {
                    self.tags += 1;
                    repo.create_tag(&World::actor(who), &format!("t{}", self.tags), commit).unwrap();
                }
            }
            1 => drop(repo.undo(&World::actor(who), Scope::Own).unwrap()),
            2 => drop(repo.redo(&World::actor(who), Scope::Own).unwrap()),
            _ if self.open[who].is_some() => self.commit(who),
            _ => {
                let mut tx = repo.begin(&World::actor(who)).unwrap();
                let writes = self.edit(&mut tx);
                self.open[who] = Some((tx, writes));
            }
        }
    }

    fn commit_all(&mut self) {
        (0..3).for_each(|who| self.commit(who));
    }
}

fn run(seed: u64, steps: usize) -> World {
    let mut world = World::new(seed);
    (0..steps).for_each(|_| world.step());
    world.commit_all();
    world
}

fn heads(world: &World) -> Vec<OperationId> {
    world.bench.repo.store().heads(&Namespace::default()).unwrap()
}

/// O3
#[test]
fn o3_heads_follow_none_of_each_other_once_they_are_reconciled() {
    for seed in 0..6 {
        let world = run(seed, 40);
        world.bench.repo.reconcile().unwrap();
        assert_eq!(heads(&world).len(), 1);
        for (id, before) in
            world.bench.repo.op_log().unwrap().map(Result::unwrap).map(|it| (it.id, it.operation.parents))
        {
            let log: Vec<OperationId> = before
                .iter()
                .flat_map(|parent| world.bench.repo.at_op(*parent).unwrap().op_log().unwrap())
                .map(|it| it.unwrap().id)
                .collect();
            assert!(!log.contains(&id));
            let unique: BTreeSet<_> = before.iter().collect();
            assert_eq!(unique.len(), before.len());
        }
    }
}

/// O4
#[test]
fn o4_heads_unite_alike_in_whichever_order_they_came_and_whoever_does_it() {
    for seed in 0..6 {
        let mut world = run(seed, 30);
        for who in 0..3 {
            if world.open[who].is_none() {
                let mut tx = world.repos[who].begin(&World::actor(who)).unwrap();
                let writes = world.edit(&mut tx);
                world.open[who] = Some((tx, writes));
            }
        }
        world.commit_all();
        let mut heads = heads(&world);
        let expected = world.bench.repo.head().unwrap();
        let store = world.bench.repo.store();
        for _ in 0..3 {
            heads.rotate_left(1);
            let other = world.bench.over(united(&[&**store], &heads));
            let now = other.head().unwrap();
            assert_eq!((now.operation(), now.commit_id()), (expected.operation(), expected.commit_id()));
            assert_eq!(other.reconcile().unwrap().operation(), expected.operation());
        }
    }
}

/// O5
#[test]
fn o5_undo_gives_the_names_of_before_and_redo_those_of_after() {
    let mut undone = 0;
    for seed in 0..12 {
        let world = run(seed, 30);
        let repo = &world.bench.repo;
        repo.reconcile().unwrap();
        for who in 0..3 {
            let after = shot(repo);
            let newest =
                repo.op_log().unwrap().map(Result::unwrap).find(|it| it.operation.actor != ActorId::SYSTEM);
            let newest = newest.unwrap();
            let Some(first) = repo.undo(&World::actor(who), Scope::Own).unwrap() else { continue };
            if first.id == newest.id
                && newest.operation.parents.len() == 1
                && repo.at_op(newest.id).unwrap().branches().unwrap() == after.1
            {
                let before = repo.at_op(newest.operation.parents[0]).unwrap();
                assert_eq!(shot(repo), shot(&before));
            }
            let again = repo.redo(&World::actor(who), Scope::Own).unwrap().unwrap();
            assert_eq!(again.id, first.id);
            assert_eq!(shot(repo), after, "undo then redo is the identity");
            undone += 1;
        }
    }
    assert!(undone > 20, "{undone}");
}

/// Z1: the must of undo.
#[test]
fn undo_by_one_actor_never_changes_what_another_committed() {
    let (mut checked, mut changed) = (0, 0);
    for seed in 0..10 {
        let mut world = run(seed, 40);
        // From here on in one order, so that it is plain who wrote last.
        for _ in 0..12 {
            world.tick();
            let who = world.below(3);
            let mut tx = world.repos[who].begin(&World::actor(who)).unwrap();
            let writes = world.edit(&mut tx);
            world.open[who] = Some((tx, writes));
            world.commit(who);
        }
        for _ in 0..6 {
            world.tick();
            let who = world.below(3);
            let repo = world.repos[who].clone();
            let before = repo.reconcile().unwrap();
            let tags = repo.tags().unwrap();
            if repo.undo(&World::actor(who), Scope::Own).unwrap().is_none() {
                continue;
            }
            let after = repo.head().unwrap();
            changed += usize::from(after.commit_id() != before.commit_id());
            for ((node, name), (writer, value)) in &world.last {
                let of = |at: &Snapshot| at.get(*node).unwrap().and_then(|it| it.props.value(name).cloned());
                if *writer != who && of(&before).as_ref() == Some(value) {
                    assert_eq!(of(&after).as_ref(), Some(value), "seed {seed}: {name} of {node}");
                    checked += 1;
                }
            }
            for edge in after.edges().map(Result::unwrap) {
                assert!(after.get(edge.src).unwrap().is_some() && after.get(edge.dst).unwrap().is_some());
            }
            assert!(repo.tags().unwrap().iter().all(|tag| tags.contains(tag)));
        }
    }
    assert!(checked > 60 && changed > 12, "{checked} values of others, {changed} undone");
}

/// O6
#[test]
fn o6_what_an_operation_showed_is_the_same_after_all_that_follows() {
    for seed in 0..4 {
        let mut world = World::new(seed);
        let mut seen: Vec<(OperationId, Shot)> = Vec::new();
        for step in 0..60 {
            world.step();
            if step % 4 == 0 {
                let operation = world.bench.repo.reconcile().unwrap().operation();
                seen.push((operation, shot(&world.bench.repo)));
            }
        }
        world.commit_all();
        let middle = seen[seen.len() / 2].0;
        world.bench.repo.restore(&World::actor(0), middle).unwrap();
        world.bench.repo.revert_op(&World::actor(1), seen[5].0).or_else(not_undoable).unwrap();
        for (operation, then) in &seen {
            let there = world.bench.repo.at_op(*operation).unwrap();
            assert_eq!(shot(&there), *then);
            for (branch, _) in there.branches().unwrap() {
                let text = format!("op:{operation}");
                let on = world.bench.repo.on(&branch).unwrap();
                assert_eq!(content(&on.at(&*text).unwrap()), then.0[&branch]);
            }
        }
        // Every commit block is what its id says, and each is on record for good.
        for (_, commit) in &seen.last().unwrap().1.1 {
            let block = world.bench.repo.store().get(commit.cid()).unwrap().unwrap();
            assert!(Commit::from_block(&block).is_ok());
        }
    }
}

fn not_undoable(why: RepoError) -> Result<OperationId, RepoError> {
    match why {
        // Those that united others have to be taken back against one of them.
        RepoError::NotUndoable { operation, .. } => Ok(operation),
        other => Err(other),
    }
}
