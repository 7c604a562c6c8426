//! Random graphs, changed by writers who do not see each other, and random questions to every state.

use std::cell::Cell;

use mnem_core::repo::query::{Cursor, Query, Subject};
use mnem_core::repo::{Actor, Repo, RepoError, Snapshot, Transaction};
use mnem_core::{EdgeId, NodeId};

use crate::kit::{Random, for_each_seed, fresh};
use crate::model::{Ask, Asked, By, LABELS, PROPS, TYPES, ask, order_by, sort, value};

/// However it is planned, in whatever state, an answer is what a full scan finds: all at once, counted, and in pages.
#[test]
fn an_answer_is_what_a_full_scan_finds() {
    let conflicts = Cell::new(0);
    for_each_seed(60, |seed| {
        let mut random = Random::new(seed);
        let repo = fresh(seed);
        let states = grow(&repo, &mut random);
        for _ in 0..8 {
            let state = &states[random.below(states.len())];
            conflicts.set(conflicts.get() + state.conflicts().unwrap().len());
            let ends: Vec<NodeId> = state.nodes().map(|node| node.unwrap().id).collect();
            check::<NodeId>(state, &ask(&mut random, None, 3), &mut random);
            if !ends.is_empty() {
                check::<EdgeId>(state, &ask(&mut random, Some(&ends), 3), &mut random);
            }
        }
    });
    assert!(conflicts.get() > 0 || std::env::var("MNEM_SEED").is_ok(), "some states have conflicts");
}

/// Makes a graph in some commits, and returns the states on the way: old ones, and merges that nobody stored.
fn grow(repo: &Repo, random: &mut Random) -> Vec<Snapshot> {
    let mut states = vec![repo.head().unwrap()];
    for _ in 0..2 + random.below(4) {
        let mut one = repo.begin(&Actor::named("one")).unwrap();
        let mut two = repo.begin(&Actor::named("two")).unwrap();
        let seen: Vec<NodeId> = one.base().nodes().map(|node| node.unwrap().id).collect();
        edit(&mut one, random, seen.clone());
        if random.percent(60) {
            edit(&mut two, random, seen);
        }
        states.push(one.commit("one").unwrap());
        two.commit("two").unwrap();
        states.push(repo.head().unwrap());
    }
    states
}

fn edit(tx: &mut Transaction, random: &mut Random, mut nodes: Vec<NodeId>) {
    let mut edges: Vec<EdgeId> = tx.base().edges().map(|edge| edge.unwrap().id).collect();
    for _ in 0..random.below(30) {
        let done = match random.below(10) {
            0..=3 => {
                let labels: Vec<&str> = LABELS.into_iter().filter(|_| random.percent(40)).collect();
                nodes.push(tx.add_node(&*labels, props(random)).unwrap());
                Ok(())
            }
            4 | 5 if !nodes.is_empty() => {
                let (src, dst) = (random.of(&nodes), random.of(&nodes));
                tx.add_edge(src, random.of(&TYPES), dst, props(random)).map(|id| edges.push(id))
            }
            6 | 7 if !nodes.is_empty() => tx.set(random.of(&nodes), random.of(&PROPS), value(random)),
            8 if !edges.is_empty() => tx.set(random.of(&edges), random.of(&PROPS), value(random)),
            9 if !nodes.is_empty() && random.percent(40) => tx.remove(random.of(&nodes)),
            9 if !nodes.is_empty() => {
                let labels: Vec<&str> = LABELS.into_iter().filter(|_| random.percent(40)).collect();
                tx.set_labels(random.of(&nodes), &*labels)
            }
            _ => Ok(()),
        };
        match done {
            // It was removed before, or nobody has settled it.
            Ok(())
            | Err(
                RepoError::NoSuchEntity { .. } | RepoError::MissingEnd { .. } | RepoError::InConflict { .. },
            ) => {}
            Err(why) => panic!("{why}"),
        }
    }
}

fn props(random: &mut Random) -> mnem_core::Props {
    let mut props = mnem_core::Props::new();
    for name in PROPS {
        if random.percent(50) {
            props.set(name, value(random)).unwrap();
        }
    }
    props
}

/// What differs between nodes and edges.
trait Kind: Subject {
    fn query(ask: &Ask) -> Query<Self>;
    fn all(state: &Snapshot) -> Vec<Self::Object>;
}

impl Kind for NodeId {
    fn query(ask: &Ask) -> Query<NodeId> {
        Query::nodes(ask.predicate())
    }

    fn all(state: &Snapshot) -> Vec<mnem_core::Node> {
        state.nodes().map(Result::unwrap).collect()
    }
}

impl Kind for EdgeId {
    fn query(ask: &Ask) -> Query<EdgeId> {
        Query::edges(ask.predicate())
    }

    fn all(state: &Snapshot) -> Vec<mnem_core::Edge> {
        state.edges().map(Result::unwrap).collect()
    }
}

fn check<E: Kind>(state: &Snapshot, ask: &Ask, random: &mut Random)
where
    E::Object: Asked,
{
    let by: Vec<By> = (0..random.below(3)).map(|_| (random.of(&PROPS), random.percent(50))).collect();
    let mut expected: Vec<E::Object> = E::all(state).into_iter().filter(|it| ask.holds(it)).collect();
    sort(&mut expected, &by);
    let size = 1 + u32::try_from(random.below(9)).unwrap();
    let query = by.iter().fold(E::query(ask), |query, by| query.order_by(order_by(*by))).page_size(size);

    let plan = || format!("{ask:?} by {by:?}\n{}", state.explain(&query).unwrap());
    let found: Vec<E::Object> = state.find(&query).unwrap().map(Result::unwrap).collect();
    assert_eq!(found, expected, "{}", plan());
    let count = state.count(&query).unwrap();
    assert_eq!(count, u64::try_from(expected.len()).unwrap(), "{}", plan());
    assert_eq!(pages(state, &query, size), expected, "{}", plan());

    let sent = serde_json::to_string(&query).unwrap();
    assert_eq!(serde_json::from_str::<Query<E>>(&sent).unwrap(), query, "{sent}");
}

/// All pages, each but the last full, with the cursor sent as text in between.
fn pages<E: Subject>(state: &Snapshot, query: &Query<E>, size: u32) -> Vec<E::Object> {
    let mut found = Vec::new();
    let mut cursor: Option<Cursor> = None;
    loop {
        let (items, next) = state.page(query, cursor.as_ref()).unwrap().into_parts();
        let count = u32::try_from(items.len()).unwrap();
        found.extend(items);
        let Some(next) = next else {
            assert!(count <= size);
            return found;
        };
        assert_eq!(count, size, "more follows");
        cursor = Some(next.to_string().parse().unwrap());
    }
}
