//! What differs between two states, against states that are compared entity by entity.

use std::collections::{BTreeMap, BTreeSet};

use mnem_core::repo::{Actor, Change, ChangeKind, Changed, Only, Snapshot};
use mnem_core::{EdgeId, EntityId, NodeId, Value, props};

use crate::kit::{Bench, add, me, set};

#[derive(Clone, Debug, PartialEq)]
enum Shown {
    Node(mnem_core::Node, Option<Vec<String>>),
    Edge(mnem_core::Edge, Option<Vec<String>>),
}

fn all(of: &Snapshot) -> BTreeMap<EntityId, Shown> {
    let nodes = of.nodes().map(Result::unwrap).map(|node| {
        let disputed = of.conflict(node.id).unwrap();
        (node.id.into(), Shown::Node(node, disputed))
    });
    let edges = of.edges().map(Result::unwrap).map(|edge| {
        let disputed = of.conflict(edge.id).unwrap();
        (edge.id.into(), Shown::Edge(edge, disputed))
    });
    nodes.chain(edges).collect()
}

fn sides(change: &Change) -> [Option<Shown>; 2] {
    match change.clone() {
        Change::Node(Changed { old, new, old_disputed, new_disputed }) => {
            [old.map(|it| Shown::Node(it, old_disputed)), new.map(|it| Shown::Node(it, new_disputed))]
        }
        Change::Edge(Changed { old, new, old_disputed, new_disputed }) => {
            [old.map(|it| Shown::Edge(it, old_disputed)), new.map(|it| Shown::Edge(it, new_disputed))]
        }
    }
}

/// States of a graph that changes at random, conflicts included.
fn states() -> (Bench, Vec<Snapshot>) {
    let bench = Bench::new();
    let mut states = vec![bench.repo.head().unwrap()];
    let mut seed = 7u64;
    let mut random = move |end: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % end
    };
    for round in 0..30i64 {
        let other = bench.again(100 + u64::try_from(round).unwrap());
        let mut sides = [bench.repo.begin(&me()).unwrap(), other.begin(&Actor::named("bob")).unwrap()];
        let nodes: Vec<NodeId> = states.last().unwrap().nodes().map(|node| node.unwrap().id).collect();
        let edges: Vec<EdgeId> = states.last().unwrap().edges().map(|edge| edge.unwrap().id).collect();
        for tx in &mut sides {
            for _ in 0..random(6) {
                let label = ["A", "B"][random(2)];
                match random(6) {
                    0 | 1 if nodes.len() < 7 => {
                        tx.add_node(label, props! { name: "x", n: round }).map(drop).unwrap();
                    }
                    2 if nodes.len() > 1 => {
                        let (a, b) = (nodes[random(nodes.len())], nodes[random(nodes.len())]);
                        drop(tx.add_edge(a, "to", b, props! { n: round }));
                    }
                    3 if !nodes.is_empty() => drop(tx.remove(nodes[random(nodes.len())])),
                    4 if !edges.is_empty() => drop(tx.set(edges[random(edges.len())], "n", round)),
                    _ if !nodes.is_empty() => {
                        let name = ["n", "m"][random(2)];
                        drop(tx.set(nodes[random(nodes.len())], name, i64::try_from(random(9)).unwrap()));
                    }
                    _ => {}
                }
            }
        }
        for tx in sides {
            tx.commit("round").unwrap();
        }
        states.push(bench.repo.reconcile().unwrap());
    }
    (bench, states)
}

#[test]
fn a_difference_is_what_comparing_every_entity_finds() {
    let (_bench, states) = states();
    let mut kinds = BTreeSet::new();
    for (i, from) in states.iter().enumerate().step_by(5) {
        for (j, to) in states.iter().enumerate().step_by(4) {
            let (before, after) = (all(from), all(to));
            let ids: BTreeSet<EntityId> = before.keys().chain(after.keys()).copied().collect();
            let expected: Vec<(EntityId, [Option<Shown>; 2])> = ids
                .into_iter()
                .map(|id| (id, [before.get(&id).cloned(), after.get(&id).cloned()]))
                .filter(|(_, [old, new])| old != new)
                .collect();
            let found: Vec<Change> = from.diff_to(to).map(Result::unwrap).collect();
            let shown: Vec<_> = found.iter().map(|change| (change.entity(), sides(change))).collect();
            // Conflicts may differ in terms that do not show.
            let silent =
                |change: &&Change| change.deltas().is_empty() && change.kind() == ChangeKind::Changed;
            let told: Vec<_> = shown.iter().filter(|(_, [old, new])| old != new).cloned().collect();
            assert_eq!(told, expected, "{i} to {j}");
            assert!(found.iter().filter(silent).count() >= shown.len() - told.len());
            kinds.extend(found.iter().map(Change::kind));

            let back: Vec<Change> = to.diff_to(from).map(Result::unwrap).collect();
            for (there, back) in found.iter().zip(&back) {
                let [old, new] = sides(there);
                assert_eq!(sides(back), [new, old], "the way back is the opposite");
            }
            let stat = from.diff_to(to).stat().unwrap();
            let count = |added: bool, removed: bool, nodes: bool| {
                let is = |(id, [old, new]): &&(EntityId, [Option<Shown>; 2])| {
                    matches!(id, EntityId::Node(_)) == nodes
                        && (old.is_none(), new.is_none()) == (added, removed)
                };
                u64::try_from(shown.iter().filter(is).count()).unwrap()
            };
            assert_eq!(stat.nodes.added, count(true, false, true));
            assert_eq!(stat.nodes.removed, count(false, true, true));
            assert_eq!(stat.nodes.changed, count(false, false, true));
            assert_eq!(stat.edges.added, count(true, false, false));
            assert_eq!(stat.edges.removed, count(false, true, false));
            assert_eq!(stat.edges.changed, count(false, false, false));
            for at in (0..found.len()).step_by(4) {
                let rest = from.diff_to(to).after(found[at].entity()).map(Result::unwrap);
                assert!(rest.eq(found[at + 1..].iter().cloned()), "behind {at}");
            }
            filtered(from, to, &found);
        }
    }
    assert_eq!(kinds.len(), 5, "every kind of change was seen: {kinds:?}");
}

fn filtered(from: &Snapshot, to: &Snapshot, found: &[Change]) {
    let carries = |change: &&Change| match change {
        Change::Node(node) => [&node.old, &node.new].into_iter().flatten().any(|it| it.labels.has("A")),
        Change::Edge(_) => false,
    };
    let of_label: Vec<Change> = found.iter().filter(carries).cloned().collect();
    let only = from.diff_to(to).only(Only::label("A")).map(Result::unwrap);
    assert!(only.eq(of_label.clone()));
    let stat = from.diff_to(to).only(Only::label("A")).stat().unwrap();
    let sum = stat.nodes.added + stat.nodes.removed + stat.nodes.changed;
    assert_eq!((usize::try_from(sum).unwrap(), stat.edges), (of_label.len(), Default::default()));
    let ids: Vec<EntityId> = found.iter().step_by(2).map(Change::entity).collect();
    let only = from.diff_to(to).only(Only::entities(ids.clone())).map(Result::unwrap);
    assert!(only.eq(found.iter().step_by(2).cloned()));
    if let Some(id) = ids.get(1) {
        let only = from.diff_to(to).only(Only::entities(ids.clone())).only(*id).map(Result::unwrap);
        assert_eq!(only.collect::<Vec<_>>(), [found[2].clone()]);
        let rest = from.diff_to(to).only(Only::entities(ids.clone())).after(*id).map(Result::unwrap);
        assert!(rest.eq(found.iter().step_by(2).skip(2).cloned()));
    }
    let nobody = NodeId::of_key("", b"nobody");
    assert_eq!(from.diff_to(to).only(nobody).count(), 0);
}

#[test]
fn a_change_reads_as_people_write_it() {
    let bench = Bench::new();
    let before = bench.repo.head().unwrap();
    let mut tx = bench.repo.begin(&me()).unwrap();
    let ada = NodeId::from_bytes([1; 16]);
    tx.add_node_as(ada, "Person", props! { name: "Ada", born: 1815 }).unwrap();
    let engine = tx.add_node("Machine", props! { year: 1843 }).unwrap();
    tx.add_edge(ada, "described", engine, props! { year: 1843 }).unwrap();
    let first = tx.commit("first").unwrap();
    let told = |from: &Snapshot, to: &Snapshot| -> Vec<String> {
        from.diff_to(to).map(|change| change.unwrap().to_string()).collect()
    };
    assert_eq!(
        told(&before, &first),
        [
            "+ Person/Ada  born 1815".to_owned(),
            format!("+ Machine/{engine}  year 1843"),
            format!("+ {ada} -described-> {engine}  year 1843"),
        ]
    );
    assert_eq!(before.diff_to(&first).stat().unwrap().to_string(), "nodes +2 -0 ~0, edges +1 -0 ~0");
    let mut tx = bench.repo.begin(&me()).unwrap();
    tx.set(ada, "born", 1816).unwrap();
    tx.set(ada, "died", 1852).unwrap();
    tx.remove(engine).unwrap();
    let second = tx.commit("second").unwrap();
    assert_eq!(
        told(&first, &second),
        [
            "~ Person/Ada  born 1815 -> 1816, died 1852".to_owned(),
            format!("- Machine/{engine}"),
            format!("- {ada} -described-> {engine}"),
        ]
    );
    assert_eq!(told(&second, &first)[0], "~ Person/Ada  born 1816 -> 1815, died 1852 -> none");
    assert_eq!(told(&second, &second), Vec::<String>::new());
}

#[test]
fn a_conflict_shows_when_it_comes_and_when_it_is_settled() {
    let bench = Bench::new();
    let ada = add(&bench.repo, "Person", "Ada");
    let base = bench.repo.head().unwrap();
    let mut late = bench.again(2).begin(&Actor::named("bob")).unwrap();
    late.set(ada, "born", 1816).unwrap();
    set(&bench.repo, &me(), ada, "born", 1815);
    late.commit("late").unwrap();
    let disputed = bench.repo.head().unwrap();
    let change = base.diff_to(&disputed).next().unwrap().unwrap();
    assert_eq!(change.kind(), ChangeKind::Disputed);
    assert!(change.to_string().starts_with("! Person/Ada  born 181"), "{change}");
    let mut tx = bench.repo.begin(&me()).unwrap();
    let mut settled = tx.require(ada).unwrap();
    settled.props.set("born", 1815).unwrap();
    tx.resolve(ada, settled).unwrap();
    let now = tx.commit("settle").unwrap();
    let change = disputed.diff_to(&now).next().unwrap().unwrap();
    assert_eq!(change.kind(), ChangeKind::Settled);
    let Change::Node(node) = &change else { panic!("a node") };
    assert_eq!(node.old_disputed, Some(vec!["born".to_owned()]));
    assert_eq!(node.new.as_ref().unwrap().props.value("born"), Some(&Value::Int(1815)));
}
