//! Laws of merging on random graphs, with removals, one-sided edits and conflicts.

use std::collections::{BTreeMap, BTreeSet};

use mnem_core::key::ConflictKey;
use mnem_core::repo::{Repo, Resolve, Snapshot};
use mnem_core::{EdgeId, NodeId, Value, props};

use crate::support::{Random, branch, commit, fresh, me, roots};

const NODES: usize = 8;

fn node(n: usize) -> NodeId {
    NodeId::of_key("n", &[u8::try_from(n).unwrap()])
}

/// Edits a graph at random; properties get values that nobody else writes.
fn edit(repo: &Repo, random: &Random, edits: usize) {
    let number = i64::try_from(random.next() >> 20).unwrap();
    commit(repo, |tx| {
        for n in 0..edits {
            let (one, two) = (node(random.below(NODES)), node(random.below(NODES)));
            let names = ["p", "q", "r"];
            let value = number + i64::try_from(n).unwrap();
            let is_there = tx.get(one).unwrap().is_some();
            let is_open = tx.conflicts().unwrap().iter().any(|it| *it.key() == ConflictKey::Node(one));
            match random.below(8) {
                _ if is_open => tx.resolve(one, Resolve::keep()).unwrap(),
                _ if !is_there => tx.add_node_as(one, "N", props! { p: value }).unwrap(),
                0 => tx.remove(one).unwrap(),
                1 | 2 if tx.get(two).unwrap().is_some() => {
                    let id = EdgeId::of_unique(one, "to", two, b"");
                    if tx.get(id).unwrap().is_none() {
                        tx.add_edge_as(id, one, "to", two, props! { p: value }).unwrap();
                    }
                }
                3 => drop(tx.unset(one, names[random.below(3)]).unwrap()),
                4 => tx.set_labels(one, ["N", "M"]).unwrap(),
                _ => tx.set(one, names[random.below(3)], value).unwrap(),
            }
        }
    });
}

/// A branch like this one with another merged into it.
fn merged(into: &Repo, other: &str, name: &str) -> Repo {
    let copy = branch(into, name);
    commit(&copy, |tx| tx.merge(other).unwrap());
    copy
}

/// All values that are there, in conflict or not, by node and property.
fn values(at: &Snapshot) -> BTreeSet<(NodeId, String, Option<Value>)> {
    let mut values = BTreeSet::new();
    for node in at.nodes() {
        let node = node.unwrap();
        let disputed: BTreeMap<String, Vec<Option<Value>>> = match at.conflict_at(node.id).unwrap() {
            Some(conflict) => conflict.fields.into_iter().map(|it| (it.field, it.sides)).collect(),
            None => BTreeMap::new(),
        };
        for name in ["p", "q", "r"] {
            let agreed = vec![node.props.value(name).cloned()];
            for value in disputed.get(name).unwrap_or(&agreed) {
                values.insert((node.id, name.to_owned(), value.clone()));
            }
        }
    }
    values
}

/// Whether a node counts as there, as gone, or as both.
fn presence(at: &Snapshot, id: NodeId) -> [bool; 2] {
    let is_removed = at.conflict_at(id).unwrap().is_some_and(|conflict| conflict.is_removed);
    let is_there = at.get(id).unwrap().is_some();
    [is_there, is_removed || !is_there]
}

fn check_graph(at: &Snapshot) {
    for edge in at.edges() {
        let edge = edge.unwrap();
        for end in [edge.src, edge.dst] {
            assert!(at.get(end).unwrap().is_some(), "edge {} dangles", edge.id);
        }
        let out: Vec<EdgeId> = at.edges_out(edge.src, ..).unwrap().map(|it| it.unwrap().id).collect();
        assert!(out.contains(&edge.id));
    }
    let by_label = at.labelled("N").unwrap().count();
    assert_eq!(by_label, at.nodes().filter(|node| node.as_ref().unwrap().labels.has("N")).count());
    let in_conflict: BTreeSet<ConflictKey> = at.conflicts().unwrap().into_iter().collect();
    let nodes = at.nodes().map(|it| ConflictKey::Node(it.unwrap().id));
    let edges = at.edges().map(|it| ConflictKey::Edge(it.unwrap().id));
    for key in nodes.chain(edges) {
        let found = match &key {
            ConflictKey::Node(id) => at.conflict(*id).unwrap(),
            ConflictKey::Edge(id) => at.conflict(*id).unwrap(),
            _ => None,
        };
        assert_eq!(found.is_some(), in_conflict.contains(&key), "{key}");
    }
}

#[test]
fn merges_of_random_graphs_commute_absorb_and_lose_nothing() {
    for seed in 0..60 {
        let random = Random::new(seed);
        let repo = fresh();
        edit(&repo, &random, 12);
        let base = repo.head().unwrap();
        let [a, b] = ["a", "b"].map(|name| branch(&repo, name));
        for _ in 0..=random.below(2) {
            edit(&a, &random, 4);
            edit(&b, &random, 4);
        }
        let (left, right) = (a.head().unwrap(), b.head().unwrap());
        let ab = merged(&a, "b", "ab");
        let ba = merged(&b, "a", "ba");
        let both = ab.head().unwrap();
        assert_eq!(roots(&both), roots(&ba.head().unwrap()), "seed {seed}");
        check_graph(&both);
        for other in ["a", "b", "main"] {
            assert!(ab.begin(&me()).unwrap().merge(other).unwrap().is_up_to_date);
        }
        // The two merges have all in common: one in the other changes nothing.
        let again = merged(&ab, "ba", "again").head().unwrap();
        assert_eq!(roots(&again), roots(&both), "seed {seed}");
        // What a side changed is there, unless the node went with both sides.
        let (before, here) = (values(&base), values(&both));
        for side in [&left, &right] {
            let was_there = |id: NodeId| before.iter().any(|(other, _, _)| *other == id);
            // Of a node that is new, what it has not is no change.
            let is_change =
                |change: &&(NodeId, String, Option<Value>)| change.2.is_some() || was_there(change.0);
            for change in values(side).difference(&before).filter(is_change) {
                assert!(here.contains(change), "seed {seed}: {change:?} is lost");
            }
        }
        for n in 0..NODES {
            let was = base.get(node(n)).unwrap().is_some();
            let (one, two) = (left.version_of(node(n)).unwrap(), right.version_of(node(n)).unwrap());
            let old = base.version_of(node(n)).unwrap();
            let [is_there, is_gone] = presence(&both, node(n));
            if was && one.is_none() && two != old && two.is_some() {
                assert!(is_there && is_gone, "seed {seed}: a removal and a change are both kept");
            }
            assert!(is_there || one.is_none() || two.is_none(), "seed {seed}: nobody removed it");
        }
    }
}

#[test]
fn the_order_of_a_many_way_merge_does_not_matter() {
    for seed in 0..40 {
        let random = Random::new(1000 + seed);
        let repo = fresh();
        edit(&repo, &random, 12);
        let names = ["a", "b", "c", "d"];
        for name in names {
            edit(&branch(&repo, name), &random, 3);
        }
        let fold = |order: [usize; 4]| {
            let name: String = order.iter().map(|n| names[*n]).collect();
            let into = branch(&repo.on(names[order[0]]).unwrap(), &format!("all-{name}"));
            for n in &order[1..] {
                commit(&into, |tx| tx.merge(names[*n]).unwrap());
            }
            let all = into.head().unwrap();
            check_graph(&all);
            roots(&all)
        };
        let first = fold([0, 1, 2, 3]);
        for order in [[3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]] {
            assert_eq!(fold(order), first, "seed {seed} {order:?}");
        }
    }
}

/// Both merge the other's earlier state, and go on: two states are best common ancestors.
#[test]
fn histories_that_cross_merge_over_the_merge_of_their_bases() {
    for seed in 0..25 {
        let random = Random::new(2000 + seed);
        let repo = fresh();
        edit(&repo, &random, 12);
        let [a, b] = ["a", "b"].map(|name| branch(&repo, name));
        edit(&a, &random, 3);
        edit(&b, &random, 3);
        let (old_a, old_b) = (branch(&a, "old-a"), branch(&b, "old-b"));
        commit(&a, |tx| tx.merge(old_b.branch()).unwrap());
        commit(&b, |tx| tx.merge(old_a.branch()).unwrap());
        edit(&a, &random, 2);
        let (left, crossed) = (a.head().unwrap(), b.head().unwrap());
        // Only one side went on: what it says holds, conflicts that it settled included.
        let ab = merged(&a, "b", "ab").head().unwrap();
        let ba = merged(&b, "a", "ba").head().unwrap();
        assert_eq!(roots(&ab), roots(&left), "seed {seed}: {crossed:?} adds nothing");
        assert_eq!(roots(&ba), roots(&left), "seed {seed}");
        edit(&b, &random, 2);
        let ab = merged(&a, "b", "ab2").head().unwrap();
        let ba = merged(&b, "a", "ba2").head().unwrap();
        assert_eq!(roots(&ab), roots(&ba), "seed {seed}");
        check_graph(&ab);
    }
}
