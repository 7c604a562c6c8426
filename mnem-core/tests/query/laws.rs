//! Random graphs, changed by writers who do not see each other, and random questions to every state.

use std::cell::Cell;
use std::collections::BTreeMap;

use mnem_core::object::{Property, ValueType};
use mnem_core::repo::query::{Cursor, End, Group, Grouping, Groups, Predicate, Query, Subject, Walk};
use mnem_core::repo::{Actor, Repo, RepoError, Snapshot, Transaction};
use mnem_core::{EdgeId, Node, NodeId, Value};

use crate::kit::{Random, change, for_each_seed, fresh};
use crate::model::{Ask, Asked, By, LABELS, PROPS, TYPES, ask, order_by, rank, sort, value};

/// However it is planned, in whatever state, an answer is what a full scan finds: all at once, counted, and in pages.
#[test]
fn an_answer_is_what_a_full_scan_finds() {
    let (conflicts, indexed, ordered) = (Cell::new(0), Cell::new(0), Cell::new(0));
    for_each_seed(32, |seed| {
        let mut random = Random::new(seed);
        let repo = fresh(seed);
        let states = grow(&repo, &mut random);
        for _ in 0..8 {
            let state = &states[random.below(states.len())];
            conflicts.set(conflicts.get() + state.conflicts().unwrap().len());
            let ends: Vec<NodeId> = state.nodes().map(|node| node.unwrap().id).collect();
            let plan = check::<NodeId>(state, &ask(&mut random, None, 3), &mut random);
            indexed.set(indexed.get() + usize::from(plan.contains("nodes by ")));
            ordered.set(ordered.get() + usize::from(plan.contains("without a place")));
            if !ends.is_empty() {
                let _plan = check::<EdgeId>(state, &ask(&mut random, Some(&ends), 3), &mut random);
                groups(state, &mut random);
                kinds(state);
                walks(state, &ends, &mut random);
            }
        }
    });
    let is_one = std::env::var("MNEM_SEED").is_ok();
    let seen = [conflicts, indexed, ordered].map(|count| count.get());
    assert!(is_one || seen.iter().all(|count| *count > 0), "conflicts, indexes, their order: {seen:?}");
}

/// Makes a graph in some commits, and returns the states on the way: old ones, and merges that nobody stored.
fn grow(repo: &Repo, random: &mut Random) -> Vec<Snapshot> {
    let mut states = vec![repo.head().unwrap()];
    change(repo, |tx| declare(tx, random));
    for _ in 0..2 + random.below(4) {
        let mut one = repo.begin(&Actor::named("one")).unwrap();
        let mut two = repo.begin(&Actor::named("two")).unwrap();
        let seen: Vec<NodeId> = one.base().nodes().map(|node| node.unwrap().id).collect();
        if random.percent(20) {
            declare(&mut one, random);
        }
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

/// Keeps indexes of some properties from now on.
fn declare(tx: &mut Transaction, random: &mut Random) {
    for name in PROPS {
        if random.percent(60) {
            tx.declare(Property::new(name, ValueType::Any).indexed()).unwrap();
        }
    }
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

    fn all(state: &Snapshot) -> Vec<Node> {
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

/// Returns how it was planned.
fn check<E: Kind>(state: &Snapshot, ask: &Ask, random: &mut Random) -> String
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
    plan()
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

/// Groups are what counting one by one gives.
fn groups(state: &Snapshot, random: &mut Random) {
    let ask = ask(random, None, 1);
    let found: Vec<Node> = NodeId::all(state).into_iter().filter(|node| ask.holds(node)).collect();
    let (by, measured) = (random.of(&PROPS), random.of(&PROPS));
    let elements = |node: &Node, name: &str| -> Vec<Value> {
        let values = match node.props.value(name) {
            Some(Value::List(items)) => items.to_vec(),
            value => value.into_iter().cloned().collect(),
        };
        values.into_iter().filter(|value| rank(value).is_some()).collect()
    };
    let mut expected: Vec<(Value, Vec<&Node>)> = Vec::new();
    for node in &found {
        let values = elements(node, by);
        for (at, value) in values.iter().enumerate() {
            if values[..at].contains(value) {
                continue;
            }
            match expected.iter_mut().find(|(other, _)| other == value) {
                Some((_, members)) => members.push(node),
                None => expected.push((value.clone(), vec![node])),
            }
        }
    }
    expected.sort_by_key(|(value, _)| (rank(value), matches!(value, Value::Float(_))));
    let measure = |members: &[&Node]| -> Vec<Value> {
        let mut values: Vec<Value> = members.iter().flat_map(|node| elements(node, measured)).collect();
        values.sort_by_key(|value| (rank(value), matches!(value, Value::Float(_))));
        values
    };
    let query = Query::nodes(ask.predicate());
    for is_measured in [false, true] {
        let grouping = Grouping::by(by);
        let grouping = if is_measured { grouping.measure(measured) } else { grouping };
        let groups: Vec<Group> = state.group_by(&query, &grouping).unwrap().map(Result::unwrap).collect();
        let expected: Vec<Group> = expected
            .iter()
            .map(|(value, members)| {
                let measured = if is_measured { measure(members) } else { Vec::new() };
                Group {
                    value: value.clone(),
                    count: u64::try_from(members.len()).unwrap(),
                    least: measured.first().cloned(),
                    greatest: measured.last().cloned(),
                }
            })
            .collect();
        assert_eq!(groups, expected, "{ask:?} by {by}, {measured}");
    }
}

/// Nodes by label, edges by type.
fn kinds(state: &Snapshot) {
    let mut expected: BTreeMap<Value, u64> = BTreeMap::new();
    for node in NodeId::all(state) {
        node.labels.iter().for_each(|label| *expected.entry(Value::from(&**label)).or_default() += 1);
    }
    let counted = |groups: Groups| groups.map(|it| it.map(|it| (it.value, it.count)).unwrap()).collect();
    let all = Query::nodes(Predicate::anything());
    let groups: BTreeMap<Value, u64> = counted(state.group_by(&all, &Grouping::by_kind()).unwrap());
    assert_eq!(groups, expected);
    let mut expected: BTreeMap<Value, u64> = BTreeMap::new();
    for edge in EdgeId::all(state) {
        *expected.entry(Value::from(&*edge.edge_type)).or_default() += 1;
    }
    let all = Query::edges(Predicate::anything());
    let groups: BTreeMap<Value, u64> = counted(state.group_by(&all, &Grouping::by_kind()).unwrap());
    assert_eq!(groups, expected);
}

/// A walk meets each node once, at the distance that relaxing every edge again and again gives.
fn walks(state: &Snapshot, nodes: &[NodeId], random: &mut Random) {
    let start = random.of(nodes);
    let (out, back) = (random.percent(70).then(|| random.of(&TYPES)), random.percent(40));
    let mut walk = Walk::from(start);
    if let Some(out) = out {
        walk = walk.out(out);
    }
    if back {
        walk = walk.back(..);
    }
    let edges = EdgeId::all(state);
    let mut far: BTreeMap<NodeId, u32> = BTreeMap::from([(start, 0)]);
    let mut is_nearer = true;
    while is_nearer {
        is_nearer = false;
        for edge in &edges {
            let mut relax = |from: NodeId, to: NodeId| {
                if let Some(hops) = far.get(&from).map(|hops| hops + 1) {
                    let known = far.entry(to).or_insert(u32::MAX);
                    is_nearer |= hops < *known;
                    *known = hops.min(*known);
                }
            };
            if out.is_some_and(|out| *edge.edge_type == *out) {
                relax(edge.src, edge.dst);
            }
            if back {
                relax(edge.dst, edge.src);
            }
        }
    }
    let (least, most) = (u32::from(random.percent(50)), 1 + u32::try_from(random.below(3)).unwrap());
    let only = ask(random, None, 1);
    let walk_only = walk.clone().hops(least..=most).only(only.predicate());
    let sent: Walk = serde_json::from_str(&serde_json::to_string(&walk_only).unwrap()).unwrap();
    assert_eq!(sent, walk_only);
    let mut steps = state.walk(&walk_only).unwrap();
    let found: Vec<(u32, NodeId)> =
        steps.by_ref().map(|step| step.map(|step| (step.hops, step.node.id)).unwrap()).collect();
    assert_eq!(steps.end(), Some(End::All));
    assert!(found.is_sorted_by_key(|(hops, _)| *hops), "nearest first");
    let mut expected: Vec<(u32, NodeId)> = far
        .iter()
        .filter(|(id, hops)| (least..=most).contains(*hops) && only.holds(&state.require(**id).unwrap()))
        .map(|(id, hops)| (*hops, *id))
        .collect();
    let mut sorted = found;
    sorted.sort_unstable();
    expected.sort_unstable();
    assert_eq!(sorted, expected, "{walk_only:?}");

    let to = random.of(nodes);
    let path = state.shortest_path(&walk, to).unwrap();
    assert_eq!(
        path.as_ref().map(|path| path.edges.len()),
        far.get(&to).map(|hops| usize::try_from(*hops).unwrap())
    );
    let Some(path) = path else { return };
    assert_eq!((path.nodes.first(), path.nodes.last()), (Some(&start), Some(&to)));
    for (ends, edge) in path.nodes.windows(2).zip(&path.edges) {
        let edge = state.require(*edge).unwrap();
        let is_out = out.is_some_and(|out| *edge.edge_type == *out) && [edge.src, edge.dst] == *ends;
        assert!(is_out || back && [edge.dst, edge.src] == *ends, "{edge:?} leads along {ends:?}");
    }
}
