//! The history of every entity against the commits themselves: with all rows, with some, and with none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mnem_core::object::Commit;
use mnem_core::port::{BlockRead, BlockReadExt, Row, RowTable};
use mnem_core::repo::{Blame, Snapshot, Version, Writer};
use mnem_core::tree::{TreeParams, TreeStore, value_link};
use mnem_core::{Cid, CommitId, EntityId, Object, Time};

use crate::program::World;

const ROWS: RowTable = RowTable::new("history");

/// What a commit made of an entity, by definition: that it has it otherwise than each of its parents.
type Touch = (Time, CommitId, Vec<Option<Cid>>, Option<Cid>);

struct Commits {
    all: BTreeMap<CommitId, Commit>,
    trees: TreeStore,
}

impl Commits {
    fn behind(&mut self, world: &World, tip: Option<CommitId>) -> BTreeSet<CommitId> {
        let (mut seen, mut open) = (BTreeSet::new(), Vec::from_iter(tip));
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                let commit = self
                    .all
                    .entry(id)
                    .or_insert_with(|| Commit::from_block(&world.store.require(id.cid()).unwrap()).unwrap());
                open.extend(&commit.parents);
            }
        }
        seen
    }

    fn version(&self, commit: CommitId, entity: EntityId) -> Option<Cid> {
        let commit = &self.all[&commit];
        let (root, key) = match entity {
            EntityId::Node(id) => (commit.nodes, *id.as_bytes()),
            EntityId::Edge(id) => (commit.edges, *id.as_bytes()),
        };
        self.trees.tree(root).get(&key).unwrap().map(|value| value_link(&value).unwrap())
    }

    fn touches(&self, behind: &BTreeSet<CommitId>, entity: EntityId) -> Vec<Touch> {
        let mut touches: Vec<Touch> = behind
            .iter()
            .filter_map(|id| {
                let commit = &self.all[id];
                let new = self.version(*id, entity);
                let old: Vec<_> = commit.parents.iter().map(|it| self.version(*it, entity)).collect();
                let is_touched = if old.is_empty() { new.is_some() } else { !old.contains(&new) };
                is_touched.then_some((commit.time, *id, old, new))
            })
            .collect();
        touches.sort_unstable_by_key(|(time, id, ..)| std::cmp::Reverse((*time, *id)));
        touches
    }
}

/// Everything that can be asked of the past of an entity.
#[derive(Debug, PartialEq)]
struct Answers {
    history: Vec<Version>,
    last: Option<Writer>,
    blame: Option<Blame>,
}

fn ask(snapshot: &Snapshot, entity: EntityId) -> Answers {
    let (history, last, blame) = match entity {
        EntityId::Node(id) => (snapshot.history(id), snapshot.last_modified(id), snapshot.blame(id)),
        EntityId::Edge(id) => (snapshot.history(id), snapshot.last_modified(id), snapshot.blame(id)),
    };
    Answers { history: history.map(Result::unwrap).collect(), last: last.unwrap(), blame: blame.unwrap() }
}

/// Asks the same with all rows, without each of some, and without any, for some of the snapshots.
pub(crate) fn check(world: &mut World) {
    let blocks: Arc<dyn BlockRead> = Arc::clone(&world.store) as Arc<dyn BlockRead>;
    let trees = TreeStore::new(blocks, &TreeParams::V1).unwrap();
    let mut commits = Commits { all: BTreeMap::new(), trees };
    let step = (world.kept.len() / 6).max(1);
    let snapshots = world.kept.iter().rev().step_by(step).map(|kept| kept.snapshot.clone());
    // What several heads say together is a commit that nobody stored yet.
    let is_stored = |snapshot: &Snapshot| {
        snapshot.commit_id().is_none_or(|commit| world.store.has(commit.cid()).unwrap())
    };
    let snapshots: Vec<Snapshot> = snapshots.filter(is_stored).collect();
    let with_rows = check_all(world, &mut commits, &snapshots);
    lose_rows(world);
    let with_some = check_all(world, &mut commits, &snapshots);
    world.store.clear_rows(ROWS).unwrap();
    let without = check_all(world, &mut commits, &snapshots);
    assert!(with_rows == without && with_some == without, "rows change what is answered");
    let Some(head) = snapshots.first() else { return };
    assert!(world.repos[0].reindex_history(head).unwrap() > 0 || head.commit_id().is_none());
    assert_eq!(world.repos[0].reindex_history(head).unwrap(), 0, "all is there");
    assert!(check_all(world, &mut commits, &snapshots) == without, "made anew they say the same");
}

fn check_all(world: &World, commits: &mut Commits, snapshots: &[Snapshot]) -> Vec<Answers> {
    let mut all = Vec::new();
    for snapshot in snapshots {
        let behind = commits.behind(world, snapshot.commit_id());
        let mut by_commit: BTreeMap<(Time, CommitId), BTreeSet<EntityId>> = BTreeMap::new();
        for entity in &world.known {
            let expected = commits.touches(&behind, *entity);
            let answers = ask(snapshot, *entity);
            let found: Vec<Touch> = answers.history.iter().map(touch).collect();
            assert_eq!(found, expected, "{entity}");
            assert_eq!(answers.last.as_ref(), answers.history.first().map(|version| &version.writer));
            check_spans(snapshot, *entity, &answers.history);
            for (time, commit, ..) in &expected {
                by_commit.entry((*time, *commit)).or_default().insert(*entity);
            }
            all.push(answers);
        }
        check_changed(snapshot, &by_commit);
    }
    all
}

fn touch(version: &Version) -> Touch {
    (version.writer.time, version.writer.commit, version.old.clone(), version.new)
}

/// A span holds what lies in it.
fn check_spans(snapshot: &Snapshot, entity: EntityId, history: &[Version]) {
    let Some(middle) = history.get(history.len() / 2).map(|version| version.writer.time) else { return };
    let Some(first) = history.last().map(|version| version.writer.time) else { return };
    let found: Vec<Version> = match entity {
        EntityId::Node(id) => snapshot.versions(id, first..middle).map(Result::unwrap).collect(),
        EntityId::Edge(id) => snapshot.versions(id, first..middle).map(Result::unwrap).collect(),
    };
    let expected: Vec<&Version> = history.iter().filter(|version| version.writer.time < middle).collect();
    assert_eq!(found.iter().collect::<Vec<_>>(), expected);
}

/// What changed in a span is what has a version in it.
fn check_changed(snapshot: &Snapshot, expected: &BTreeMap<(Time, CommitId), BTreeSet<EntityId>>) {
    let times: Vec<Time> = expected.keys().map(|(time, _)| *time).collect();
    let (Some(from), Some(to)) = (times.get(times.len() / 3), times.get(times.len() * 2 / 3)) else { return };
    let mut found: BTreeMap<(Time, CommitId), BTreeSet<EntityId>> = BTreeMap::new();
    for version in snapshot.changed_between(*from..=*to) {
        let version = version.unwrap();
        found.entry((version.writer.time, version.writer.commit)).or_default().insert(version.entity);
    }
    let within = expected.iter().filter(|((time, _), _)| (from..=to).contains(&time));
    let within: BTreeMap<_, _> = within.map(|(key, entities)| (*key, entities.clone())).collect();
    assert_eq!(found, within);
}

/// Takes out a third of the rows, and tears some.
fn lose_rows(world: &mut World) {
    let rows: Vec<_> = world.store.rows(ROWS, b"").unwrap().map(Result::unwrap).collect();
    let mut changed = Vec::new();
    for (key, value) in rows {
        let value = match world.random.below(6) {
            0 | 1 => None,
            2 => Some([&value[..value.len() - 1], &[!value[value.len() - 1]]].concat().into()),
            _ => continue,
        };
        changed.push(Row { table: ROWS, key, value });
    }
    world.store.put_rows(&changed).unwrap();
}
