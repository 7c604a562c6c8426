//! Three actors, each with a handle of its own, who begin, wait, commit, and settle conflicts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use mnem_core::object::{Metric, Model};
use mnem_core::port::Namespace;
use mnem_core::repo::{Actor, Repo, Scope, Snapshot, Transaction};
use mnem_core::{CommitId, EntityId, OperationId, Store};

use crate::check::{self, Shot};
use crate::edit;
use crate::history::{Field, History, LABELS, MODEL, PROPS, Seen};
use crate::support::{Random, options};

/// A snapshot that was made, with all that was true of it then.
pub(crate) struct Kept {
    pub(crate) snapshot: Snapshot,
    pub(crate) seen: Seen,
    pub(crate) shot: Shot,
}

/// Branches as one operation has them.
type Names = BTreeMap<String, Seen>;

/// A transaction under way.
pub(crate) struct Open {
    pub(crate) transaction: Transaction,
    branch: String,
    names: Names,
    /// As the state was that it began from, and as it is to be.
    pub(crate) before: Shot,
    pub(crate) after: Shot,
    pub(crate) seen: Seen,
    pub(crate) settled: BTreeSet<EntityId>,
}

pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) repos: Vec<Repo>,
    pub(crate) history: History,
    pub(crate) kept: Vec<Kept>,
    /// Branches and tags, at which commits.
    pub(crate) tags: BTreeMap<String, CommitId>,
    pub(crate) random: Random,
    pub(crate) untold: usize,
    pub(crate) known: BTreeSet<EntityId>,
    names: BTreeMap<OperationId, Names>,
    pub(crate) open: Vec<Option<Open>>,
    pub(crate) number: i64,
    /// The operation of the last commit, and the one that it started from.
    last: Option<(OperationId, OperationId)>,
    /// How often something was taken back.
    pub(crate) undone: usize,
}

fn actor(number: usize) -> Actor {
    Actor::named(["ada", "bob", "eve", "joe"][number])
}

impl World {
    pub(crate) fn new(store: Arc<dyn Store>, actors: u64, seed: u64) -> World {
        let ticks = Arc::new(AtomicI64::new(0));
        let first = Repo::init(Arc::clone(&store), options(&ticks, seed, 0)).unwrap();
        let others = (1..actors).map(|n| Repo::open(Arc::clone(&store), options(&ticks, seed, n)).unwrap());
        let repos: Vec<Repo> = std::iter::once(first).chain(others).collect();
        let mut agree = repos[0].begin(&actor(0)).unwrap();
        agree.declare(Model::new(MODEL, 2, Metric::Cosine)).unwrap();
        let operation = agree.commit("agree on a model").unwrap().operation();
        World {
            open: repos.iter().map(|_| None).collect(),
            store,
            repos,
            history: History::default(),
            kept: Vec::new(),
            tags: BTreeMap::new(),
            random: Random::new(seed),
            untold: 0,
            known: BTreeSet::new(),
            names: BTreeMap::from([(operation, Names::from([("main".to_owned(), Seen::new())]))]),
            number: 0,
            last: None,
            undone: 0,
        }
    }

    fn heads(&self) -> Vec<OperationId> {
        self.store.heads(&Namespace::default()).unwrap()
    }

    /// What all heads have seen.
    pub(crate) fn names_now(&self) -> Names {
        let mut united = Names::new();
        for head in self.heads() {
            for (branch, seen) in &self.names[&head] {
                united.entry(branch.clone()).or_default().extend(seen);
            }
        }
        united
    }

    /// Compares a snapshot with the model, and keeps it.
    fn keep(&mut self, snapshot: Snapshot, seen: Seen) -> Shot {
        let shot = check::read(&snapshot, &self.history, &self.known);
        self.untold += check::compare(&shot, &self.history, &seen);
        self.kept.push(Kept { snapshot, seen, shot: shot.clone() });
        shot
    }

    pub(crate) fn look(&mut self, who: usize, branch: &str) {
        let snapshot = self.repos[who].on(branch).unwrap().head().unwrap();
        let seen = self.names_now().remove(branch).unwrap_or_default();
        self.keep(snapshot, seen);
    }

    pub(crate) fn begin(&mut self, who: usize, branch: &str) {
        let repo = self.repos[who].on(branch).unwrap();
        let names = self.names_now();
        let seen = names.get(branch).cloned().unwrap_or_default();
        let transaction = repo.begin(&actor(who)).unwrap();
        // A writer unites the heads it starts from: what it then starts from has seen what all of them have.
        self.names.entry(transaction.base().operation()).or_insert_with(|| names.clone());
        let before = self.keep(transaction.base().clone(), seen.clone());
        self.open[who] = Some(Open {
            transaction,
            branch: branch.to_owned(),
            names,
            after: before.clone(),
            before,
            seen,
            settled: BTreeSet::new(),
        });
    }

    pub(crate) fn commit(&mut self, who: usize) {
        let Some(open) = self.open[who].take() else { return };
        edit::compare(&open, self.known.iter().copied());
        let Open { transaction, branch, mut names, before, after, seen, settled } = open;
        let seen_after = record(&mut self.history, &before, &after, &settled, &seen);
        let is_empty = transaction.is_empty();
        assert_eq!(is_empty, seen_after == seen);
        let started = transaction.base().operation();
        let snapshot = transaction.commit("a step").unwrap();
        names.insert(branch, seen_after.clone());
        if !is_empty {
            self.names.insert(snapshot.operation(), names);
            self.last = Some((snapshot.operation(), started));
        }
        self.keep(snapshot, seen_after);
    }

    /// One step of one actor.
    pub(crate) fn step(&mut self) {
        let who = self.random.below(self.repos.len());
        if self.open[who].is_none() {
            let branches: Vec<String> = self.names_now().into_keys().collect();
            let is_main = self.random.percent(75);
            let branch = if is_main { None } else { self.random.of(&branches).cloned() };
            let branch = branch.unwrap_or_else(|| "main".to_owned());
            match self.random.below(12) {
                0 => return self.create_branch(who),
                1 => return self.create_tag(who),
                2 => return self.look(who, &branch),
                3 => return self.undo(who),
                _ => self.begin(who, &branch),
            }
        }
        for _ in 0..=self.random.below(4) {
            self.edit(who);
        }
        if self.random.percent(55) {
            self.commit(who);
        }
    }

    /// Makes a commit, takes it back, and perhaps brings it again. Nobody else is under way: then all names are as in
    /// the operation that it started from. What was committed beside something taken back is another question.
    fn undo(&mut self, who: usize) {
        // What a dropped transaction did is nowhere.
        self.open.iter_mut().for_each(|open| drop(open.take()));
        // What another committed last is not this one's to take back.
        self.last = None;
        self.begin(who, "main");
        (0..3).for_each(|_| self.edit(who));
        self.commit(who);
        let Some((operation, started)) = self.last.take().filter(|(last, _)| self.heads() == [*last]) else {
            return;
        };
        let (before, after) = (self.names[&started].clone(), self.names[&operation].clone());
        let undone = self.repos[who].undo(&actor(who), Scope::Own).unwrap().expect("there is a commit");
        assert_eq!(undone.id, operation);
        self.undone += 1;
        self.took_up_all_heads(before);
        self.look_at_all();
        if self.random.percent(50) {
            self.repos[who].redo(&actor(who), Scope::Own).unwrap().expect("it was undone just now");
            self.took_up_all_heads(after);
            self.look_at_all();
        }
    }

    fn look_at_all(&mut self) {
        for branch in self.names_now().into_keys() {
            self.look(0, &branch);
        }
    }

    pub(crate) fn commit_all(&mut self) {
        (0..self.repos.len()).for_each(|who| self.commit(who));
    }

    fn create_branch(&mut self, who: usize) {
        let mut names = self.names_now();
        let Some(at) = (0..self.kept.len()).nth(self.random.below(self.kept.len().max(1))) else { return };
        let Kept { snapshot, seen, .. } = &self.kept[at];
        if snapshot.commit_id().is_none() || names.len() > 3 {
            return;
        }
        let name = format!("branch-{}", self.names.len());
        names.insert(name.clone(), seen.clone());
        let repo = self.repos[who].create_branch(&actor(who), &name, snapshot).unwrap();
        assert_eq!(repo.head().unwrap().commit_id(), snapshot.commit_id());
        self.took_up_all_heads(names);
    }

    fn create_tag(&mut self, who: usize) {
        let names = self.names_now();
        let Some(commit) = self.repos[who].head().unwrap().commit_id() else { return };
        let name = format!("tag-{}", self.names.len());
        self.repos[who].create_tag(&actor(who), &name, commit).unwrap();
        self.tags.insert(name, commit);
        self.took_up_all_heads(names);
    }

    fn took_up_all_heads(&mut self, names: Names) {
        let heads = self.heads();
        let [head] = heads[..] else { panic!("a change of names takes up all heads: {heads:?}") };
        self.names.insert(head, names);
    }
}

/// Writes down what a transaction changed, and returns what its state has seen.
fn record(
    history: &mut History,
    before: &Shot,
    after: &Shot,
    settled: &BTreeSet<EntityId>,
    past: &Seen,
) -> Seen {
    let mut seen = past.clone();
    let expected = history.expect(past);
    let ids: BTreeSet<EntityId> = before.keys().chain(after.keys()).copied().collect();
    for id in ids {
        let mut write = |field, value| {
            seen.insert(history.write(id, field, value, past));
        };
        match (before.get(&id), after.get(&id)) {
            (_, None) => write(Field::Exists, None),
            (None, Some(now)) => {
                write(Field::Exists, Some(1));
                for field in all_fields(id) {
                    write(field, now.fields.get(&field).copied());
                }
            }
            (Some(then), Some(now)) => {
                let is_settled = settled.contains(&id);
                if is_settled {
                    write(Field::Exists, Some(1));
                }
                for field in all_fields(id) {
                    let value = now.fields.get(&field).copied();
                    let values = expected[&id].fields.get(&field);
                    let was_disputed = field != Field::Vector // which is settled by being set
                        && values.is_none_or(|values| *values != BTreeSet::from([value]));
                    if value != then.fields.get(&field).copied() || (is_settled && was_disputed) {
                        write(field, value);
                    }
                }
            }
        }
    }
    seen
}

fn all_fields(id: EntityId) -> impl Iterator<Item = Field> {
    let labels: &[&str] = if matches!(id, EntityId::Node(_)) { &LABELS } else { &[] };
    let vector = matches!(id, EntityId::Node(_)).then_some(Field::Vector);
    labels.iter().map(|name| Field::Label(name)).chain(PROPS.into_iter().map(Field::Prop)).chain(vector)
}
