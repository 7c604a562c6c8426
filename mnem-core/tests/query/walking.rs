//! Walks, paths and groups: small ones, and what is refused.

use mnem_core::repo::query::{
    End, Grouping, Path, Predicate, Query, QueryError, Walk, edge_type, label, prop, query_two,
};
use mnem_core::repo::{RepoError, Snapshot};
use mnem_core::{NodeId, Value, props};

use crate::kit::{change, fresh};

/// A chain of five, each knowing the next, with a short cut from the first to the fourth by another type.
fn chain() -> (Snapshot, Vec<NodeId>) {
    let mut nodes = Vec::new();
    let state = change(&fresh(1), |tx| {
        for n in 0..5 {
            let label = if n % 2 == 0 { "Even" } else { "Odd" };
            nodes.push(tx.add_node(label, props! { n: n }).unwrap());
        }
        for pair in nodes.windows(2) {
            tx.add_edge(pair[0], "knows", pair[1], props! { weight: 1 }).unwrap();
        }
        tx.add_edge(nodes[0], "cites", nodes[3], props! { weight: 9 }).unwrap();
    });
    (state, nodes)
}

fn numbers(state: &Snapshot, walk: &Walk) -> Vec<i64> {
    state.walk(walk).unwrap().map(|step| step.unwrap().node.get("n").unwrap()).collect()
}

#[test]
fn a_walk_goes_along_its_edges_nearest_first() {
    let (state, nodes) = chain();
    let from = |at: usize| Walk::from(nodes[at]);
    for (walk, expected) in [
        (from(0).out("knows"), &[1][..]),
        (from(0).out("knows").hops(1..=2), &[1, 2]),
        (from(0).out("knows").hops(0..3), &[0, 1, 2]),
        (from(0).out("knows").hops(2..=2), &[2]),
        (from(0).out("knows").hops(..), &[0, 1, 2, 3, 4]),
        (from(0).out(..), &[3, 1]),
        (from(0).out("knows").out("cites"), &[1, 3]),
        (from(0).out(..).hops(1..), &[3, 1, 4, 2]),
        (from(2).back("knows").hops(1..), &[1, 0]),
        (from(2).out("knows").back("knows"), &[3, 1]),
        (from(0).out("knows").hops(1..).only(label("Even")), &[2, 4]),
        (from(0).out(..).hops(1..).along(prop("weight").below(5)), &[1, 2, 3, 4]),
        (from(0).out("nothing").hops(1..), &[]),
        (from(0), &[]),
    ] {
        assert_eq!(numbers(&state, &walk), expected, "{walk:?}");
    }
}

#[test]
fn a_step_says_how_it_was_met() {
    let (state, nodes) = chain();
    let steps: Vec<_> =
        state.walk(&Walk::from(nodes[0]).out("knows").hops(0..=1)).unwrap().map(Result::unwrap).collect();
    assert_eq!((steps[0].hops, steps[0].via.is_none()), (0, true));
    let via = steps[1].via.as_ref().unwrap();
    assert_eq!((steps[1].hops, via.from, &*via.edge_type), (1, nodes[0], "knows"));
    assert_eq!(state.require(via.edge).unwrap().dst, nodes[1]);
}

#[test]
fn a_limit_that_is_reached_is_told_from_the_end() {
    let (state, nodes) = chain();
    let all = Walk::from(nodes[0]).out("knows").hops(1..).only(label("Even"));
    for (limit, found, end) in [(1, 1, End::Limit), (2, 2, End::Limit), (3, 2, End::All), (0, 0, End::Limit)]
    {
        let mut steps = state.walk(&all.clone().limit(limit)).unwrap();
        assert_eq!(steps.end(), None);
        assert_eq!(steps.by_ref().count(), found, "a limit counts what is reported");
        assert_eq!(steps.end(), Some(end));
    }
}

#[test]
fn a_walk_starts_somewhere_and_asks_what_can_be_asked() {
    let (state, nodes) = chain();
    let nowhere = Walk::from(NodeId::of_key("", b"nowhere")).out(..);
    assert!(matches!(state.walk(&nowhere), Err(RepoError::NoSuchEntity { .. })));
    assert!(matches!(state.shortest_path(&nowhere, nodes[0]), Err(RepoError::NoSuchEntity { .. })));
    for walk in [
        Walk::from(nodes[0]).out(..).only(edge_type("knows")),
        Walk::from(nodes[0]).out(..).along(label("Even")),
    ] {
        assert!(matches!(state.walk(&walk), Err(RepoError::Query(QueryError::NotAskable { .. }))));
    }
}

#[test]
fn the_form_of_a_walk_is_frozen() {
    let start: NodeId = "018bcfe5-6801-7000-8000-000000000000".parse().unwrap();
    let walk = Walk::from(start).out("knows").back(..).hops(1..=2).only(label("A")).limit(9);
    let json = concat!(
        r#"{"hops":[1,2],"only":{"label":"A"},"limit":9,"start":"018bcfe5-6801-7000-8000-000000000000","#,
        r#""follow":[{"way":"out","type":"knows"},{"way":"back"}]}"#
    );
    assert_eq!(serde_json::to_string(&walk).unwrap(), json);
    assert_eq!(serde_json::from_str::<Walk>(json).unwrap(), walk);
    for (from, to) in [
        ("[1,2]", "[1]"),
        ("[1,2]", "[1,-2]"),
        ("\"out\"", "\"in\""),
        ("\"way\":\"back\"", "\"way\":\"back\",\"more\":1"),
        (":9", ":-9"),
        ("limit", "limits"),
        ("018bcfe5", "018bcfe"),
        ("label", "type"),
    ] {
        assert!(serde_json::from_str::<Walk>(&json.replace(from, to)).is_err(), "{to}");
    }
}

#[test]
fn a_shortest_path_is_one_of_the_shortest() {
    let (state, nodes) = chain();
    let path = |walk: Walk, to: usize| state.shortest_path(&walk, nodes[to]).unwrap();
    let way = |path: Option<Path>| path.map(|path| path.nodes);
    let from = |at: usize| Walk::from(nodes[at]);
    assert_eq!(way(path(from(0).out(..), 4)), Some(vec![nodes[0], nodes[3], nodes[4]]));
    assert_eq!(path(from(0).out("knows"), 4).map(|path| path.edges.len()), Some(4));
    assert_eq!(way(path(from(0).out("knows").hops(1..=3), 4)), None);
    assert_eq!(way(path(from(4).out(..), 0)), None);
    assert_eq!(path(from(4).back("knows"), 0).map(|path| path.edges.len()), Some(4));
    assert_eq!(way(path(from(2), 2)), Some(vec![nodes[2]]));
}

#[test]
fn groups_count_and_measure() {
    let state = change(&fresh(2), |tx| {
        for (city, born) in [("Rome", Some(3)), ("Rome", Some(1)), ("Oslo", None), ("Rome", None)] {
            let mut props = props! { city: city }.unwrap();
            if let Some(born) = born {
                props.set("born", born).unwrap();
            }
            tx.add_node(if city == "Oslo" { &["A"][..] } else { &["A", "B"] }, props).unwrap();
        }
        tx.add_node("C", props! { born: 9 }).unwrap();
    });
    let all = Query::nodes(Predicate::anything());
    let groups = |by: &Grouping| -> Vec<(Value, u64, Option<Value>, Option<Value>)> {
        let groups = state.group_by(&all, by).unwrap().map(Result::unwrap);
        groups.map(|it| (it.value, it.count, it.least, it.greatest)).collect()
    };
    assert_eq!(
        groups(&Grouping::by("city").measure("born")),
        [("Oslo".into(), 1, None, None), ("Rome".into(), 3, Some(1.into()), Some(3.into()))]
    );
    assert_eq!(
        groups(&Grouping::by_kind()),
        [("A", 4), ("B", 3), ("C", 1)].map(|(label, count)| (label.into(), count, None, None))
    );
}

#[test]
fn two_states_are_asked_at_once() {
    let repo = fresh(3);
    let mut ids = Vec::new();
    let then = change(&repo, |tx| {
        ids = (0..4).map(|n| tx.add_node("P", props! { pay: n }).unwrap()).collect();
    });
    let now = change(&repo, |tx| {
        tx.set(ids[1], "pay", 10).unwrap();
        tx.set(ids[3], "pay", 0).unwrap();
        tx.remove(ids[2]).unwrap();
        tx.add_node("P", props! { pay: 5 }).unwrap();
    });
    let query = Query::nodes(label("P").and(prop("pay").at_least(1)));
    let pay = |node: Option<mnem_core::Node>| node.map(|node| node.get::<i64>("pay").unwrap());
    let found: Vec<_> = query_two(&then, &now, &query)
        .unwrap()
        .map(Result::unwrap)
        .map(|(then, now)| (pay(then), pay(now)))
        .collect();
    assert_eq!(found, [(Some(1), Some(10)), (Some(2), None), (Some(3), Some(0)), (None, Some(5))]);
}
