//! D1, and what is found, on random histories: two writers that merge, and a schema that changes under them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::keep::build;
use super::{Index, ValueRange};
use crate::MemoryStore;
use crate::id::NodeId;
use crate::object::{Property, SchemaKey, ValueType};
use crate::port::{RowTable, SideTable, Store};
use crate::repo::{Actor, Clock, Options, Randomness, Repo, Snapshot, Transaction};
use crate::staged::Staged;
use crate::tree::Order;
use crate::value::{Props, Value};

struct Random(AtomicU64);

impl Random {
    fn below(&self, end: u64) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15_u64;
        let mut word = self.0.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (word ^ (word >> 31)) % end
    }

    fn of<T: Clone>(&self, items: &[T]) -> T {
        items[usize::try_from(self.below(items.len() as u64)).unwrap()].clone()
    }
}

impl Randomness for Random {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.iter_mut().for_each(|byte| *byte = u8::try_from(self.below(256)).unwrap());
    }
}

struct Ticks(AtomicI64);

impl Clock for Ticks {
    fn now(&self) -> crate::Time {
        crate::Time::from_micros(self.0.fetch_add(1_000, Ordering::Relaxed)).unwrap()
    }
}

const NAMES: [&str; 2] = ["p", "text"];

/// Writes something at random to nodes of a few.
fn change(tx: &mut Transaction, random: &Random) {
    let id = NodeId::from_bytes([u8::try_from(random.below(12)).unwrap(); 16]);
    let name = random.of(&NAMES);
    let words = ["the", "brown", "fox", "Fox!", "jumps", "over"];
    let text = (0..random.below(6)).map(|_| random.of(&words)).collect::<Vec<_>>().join(" ");
    let value = match random.below(4) {
        0 => Value::from(i64::try_from(random.below(4)).unwrap()),
        1 => Value::try_from(vec![text.as_str(), "end"]).unwrap(),
        _ => Value::from(text),
    };
    match (random.below(10), tx.get(id).unwrap().is_some()) {
        (0, true) => tx.remove(id).unwrap(),
        (_, false) => tx.add_node_as(id, "A", Props::new()).unwrap(),
        (1, true) => drop(tx.unset(id, name)),
        // What is in conflict cannot be edited.
        (_, true) => drop(tx.set(id, name, value)),
    }
}

fn change_schema(tx: &mut Transaction, random: &Random) {
    let name = random.of(&NAMES);
    match random.below(3) {
        0 => drop(tx.undeclare(&SchemaKey::Property(name.into())).unwrap()),
        _ => tx.declare(Property::new(name, ValueType::Any).indexed().with_words()).unwrap(),
    }
}

fn history(seed: u64) -> (MemoryStore, Vec<Snapshot>) {
    let (store, random) = (MemoryStore::new(), Arc::new(Random(AtomicU64::new(seed << 32))));
    let clock = Arc::new(Ticks(AtomicI64::new(1_800_000_000_000_000)));
    let options = Options::new(clock, Arc::clone(&random) as Arc<dyn Randomness>);
    let repo = Repo::init(Arc::new(store.clone()) as Arc<dyn Store>, options).unwrap();
    let begin = || repo.begin(&Actor::named("somebody")).unwrap();
    let mut kept = Vec::new();
    for _ in 0..8 {
        let mut schema = begin();
        change_schema(&mut schema, &random);
        kept.push(schema.commit("a schema").unwrap());
        let mut open = [begin(), begin()];
        for _ in 0..8 {
            let which = usize::try_from(random.below(2)).unwrap();
            change(&mut open[which], &random);
            if random.below(3) == 0 {
                kept.push(std::mem::replace(&mut open[which], begin()).commit("a change").unwrap());
                kept.push(repo.head().unwrap());
                open[which] = begin();
            }
        }
        kept.extend(open.into_iter().map(|tx| tx.commit("the rest").unwrap()));
        kept.push(repo.head().unwrap());
    }
    (store, kept)
}

/// Every side of every node.
fn nodes(at: &Snapshot) -> Vec<(NodeId, Vec<crate::Node>)> {
    at.nodes().map(|node| node.unwrap().id).map(|id| (id, at.sides(id).unwrap())).collect()
}

fn check_built_alike(at: &Snapshot) {
    let Some(shown) = &at.at else { return };
    for index in Index::kept(&at.schema().unwrap()) {
        let staged = Arc::new(Staged::new(Arc::clone(&at.state.blocks)));
        let built = build(&at.state, &index, index.source(&shown.commit), &staged).unwrap();
        assert_eq!(at.index(index.clone()).unwrap().root(), built.root(), "{index:?} at {at:?}");
    }
}

fn check_values(at: &Snapshot, name: &str) {
    let Some(found) = at.lookup(name, &ValueRange::All, Order::Ascending).unwrap() else { return };
    let found: BTreeSet<(Value, NodeId)> =
        found.map(|hit| hit.unwrap()).map(|it| (it.value, it.node)).collect();
    let mut expected = BTreeSet::new();
    for (id, sides) in nodes(at) {
        let values = sides.iter().filter_map(|side| side.props.value(name));
        let values = values.flat_map(|value| match value {
            Value::List(list) => list.to_vec(),
            value => vec![value.clone()],
        });
        expected.extend(values.map(|value| (value, id)));
    }
    assert_eq!(found, expected, "{name} at {at:?}");
}

/// BM25 as it is written in books, over all words of all properties that are searched.
fn check_words(at: &Snapshot, query: &[&str]) {
    let mut expected: BTreeMap<NodeId, f64> = BTreeMap::new();
    let schema = at.schema().unwrap();
    for property in schema.properties().filter(|property| property.words) {
        let words = |node: &crate::Node| -> Vec<String> {
            let texts = match node.props.value(&property.name) {
                Some(Value::List(list)) => list.to_vec(),
                value => value.cloned().into_iter().collect(),
            };
            let text =
                texts.iter().filter_map(|it| if let Value::Text(it) = it { Some(&**it) } else { None });
            text.flat_map(str::split_whitespace).map(|it| it.trim_matches('!').to_lowercase()).collect()
        };
        let texts: Vec<(NodeId, Vec<Vec<String>>)> = nodes(at)
            .iter()
            .map(|(id, sides)| (*id, sides.iter().map(words).collect::<Vec<_>>()))
            .filter(|(_, sides)| sides.iter().any(|words| !words.is_empty()))
            .collect();
        let length = |sides: &[Vec<String>]| sides.iter().map(Vec::len).max().unwrap() as f64;
        let usual = texts.iter().map(|(_, sides)| length(sides)).sum::<f64>() / texts.len() as f64;
        for word in query {
            let times = |sides: &[Vec<String>]| {
                sides.iter().map(|side| side.iter().filter(|it| it == word).count()).max().unwrap() as f64
            };
            let having = texts.iter().filter(|(_, sides)| times(sides) > 0.0).count() as f64;
            let idf = ((texts.len() as f64 - having + 0.5) / (having + 0.5)).ln_1p();
            for (id, sides) in texts.iter().filter(|(_, sides)| times(sides) > 0.0) {
                let (f, norm) = (times(sides), 1.0 - 0.75 + 0.75 * length(sides) / usual);
                *expected.entry(*id).or_default() += idf * f * 2.2 / (f + 1.2 * norm);
            }
        }
    }
    let found = at.search_words(&query.join(", "), 100).unwrap();
    assert_eq!(found.len(), expected.len(), "{query:?} at {at:?}");
    for hit in &found {
        assert!((hit.score - expected[&hit.node]).abs() < 1e-9, "{query:?}: {hit:?}, {expected:?}");
    }
    let better_or_lesser = |two: &[super::WordHit]| (two[1].score, two[0].node) < (two[0].score, two[1].node);
    assert!(found.windows(2).all(|two| two[0].score > two[1].score || better_or_lesser(two)), "{found:?}");
    assert_eq!(at.search_words(&query.join(" "), 2).unwrap(), found[..found.len().min(2)]);
}

fn check(at: &Snapshot) {
    check_built_alike(at);
    NAMES.iter().for_each(|name| check_values(at, name));
    for query in [&["fox"][..], &["brown", "the"], &["over", "end", "none"]] {
        check_words(at, query);
    }
}

#[test]
fn an_index_is_what_a_rebuild_gives_and_what_a_scan_finds_at_every_commit() {
    for seed in 0..4 {
        let (store, kept) = history(seed);
        assert!(kept.iter().any(|at| !at.schema().unwrap().properties().all(|it| !it.words)), "seed {seed}");
        kept.iter().for_each(check);
        // And again without any row.
        store.clear_rows(RowTable::new("index")).unwrap();
        kept.iter().step_by(3).for_each(check);
    }
}
