//! Imports: what they record is what a transaction records, in bounded memory.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which the lint does not see as such")]

mod kit;

use std::sync::Arc;

use mnem_core::object::{Edge, EdgeType, IntoLabels, MergeType, Node, Property, ValueType};
use mnem_core::port::{Namespace, RowTable, SideTable};
use mnem_core::repo::query::{Query, prop};
use mnem_core::repo::{Commits, Import, ImportOptions, Present, Repo, RepoError, Scope, Snapshot};
use mnem_core::value::List;
use mnem_core::{Cid, EdgeId, MemoryStore, NodeId, OpHeadsStore, Props, Value, props};

use kit::{commit, me, options, repo_in};

/// A repository whose schema asks for every kind of index.
fn fresh() -> (MemoryStore, Repo) {
    let store = MemoryStore::new();
    let repo = repo_in(Arc::new(store.clone()));
    commit(&repo, |tx| {
        tx.declare(Property::new("n", ValueType::Int).indexed()).unwrap();
        tx.declare(Property::new("tags", ValueType::List).indexed()).unwrap();
        tx.declare(Property::new("text", ValueType::Text).with_words()).unwrap();
        tx.declare(Property::new("key", ValueType::Int).unique()).unwrap();
    });
    (store, repo)
}

fn node_id(n: u64) -> NodeId {
    NodeId::of_key("n", &n.to_be_bytes())
}

fn node(n: u64, times: i64) -> Node {
    let number = i64::try_from(n).unwrap();
    let props = props! {
        n: number % 17 * times,
        key: number,
        text: format!("word{} and more of it", n % 13),
        tags: Value::List(List::new(vec![Value::Int(number % 3), Value::Int(number % 5)]).unwrap()),
    }
    .unwrap();
    Node::new(node_id(n), ["A", "B"][usize::from(n.is_multiple_of(4))].into_labels().unwrap(), props)
}

fn edge(n: u64, of: u64) -> Edge {
    let (src, dst) = (node_id(n * 7 % of), node_id(n * 31 % of));
    let id = EdgeId::of_unique(src, "to", dst, &n.to_be_bytes());
    Edge::new(id, src, EdgeType::new("to").unwrap(), dst, Props::new())
}

fn small(memory_bytes: usize) -> ImportOptions {
    ImportOptions { memory_bytes, ..ImportOptions::default() }
}

fn fill(import: &mut Import, nodes: u64, edges: u64) {
    (0..nodes).for_each(|n| import.node(node(n, 1)).unwrap());
    (0..edges).for_each(|n| import.edge(edge(n, nodes)).unwrap());
}

/// What is derived of all states: which maps have which indexes.
fn rows(store: &MemoryStore) -> Vec<(Vec<u8>, Vec<u8>)> {
    let rows = store.rows(RowTable::new("index"), b"").unwrap();
    rows.map(Result::unwrap).map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

fn roots(at: &Snapshot) -> [Cid; 4] {
    let commit = at.commit().unwrap();
    [commit.nodes, commit.edges, commit.schema, commit.conflicts]
}

#[test]
fn an_import_makes_the_maps_and_the_indexes_that_a_transaction_makes() {
    let (one, there) = fresh();
    let mut tx = there.begin(&me()).unwrap();
    for n in 0..600 {
        let Node { id, labels, props, .. } = node(n, 1);
        tx.add_node_as(id, labels, &props).unwrap();
    }
    for n in 0..900 {
        let Edge { id, src, edge_type, dst, props, .. } = edge(n, 600);
        tx.add_edge_as(id, src, &edge_type, dst, &props).unwrap();
    }
    let expected = tx.commit("all").unwrap();
    for memory_bytes in [0, 40_000, 64 << 20] {
        let (two, here) = fresh();
        let mut import = here.import(&me(), small(memory_bytes)).unwrap();
        fill(&mut import, 600, 900);
        let report = import.finish().unwrap();
        assert_eq!((report.nodes, report.edges, report.present), (600, 900, 0));
        assert!(report.spills == 1 || memory_bytes < 1 << 20, "{report:?}");
        assert!(report.spills > 20 || memory_bytes > 1 << 20, "{report:?}");
        let head = here.head().unwrap();
        assert_eq!(report.commits, head.commit_id().into_iter().collect::<Vec<_>>());
        assert_eq!(roots(&head), roots(&expected));
        assert_eq!(rows(&two), rows(&one), "with {memory_bytes} bytes");
        assert_eq!(head.search_words("word3", 10).unwrap(), expected.search_words("word3", 10).unwrap());
        assert_eq!(head.history(node_id(5)).count(), 1);
    }
}

#[test]
fn what_is_there_is_passed_by_replaced_or_refused() {
    let (store, repo) = fresh();
    let mut import = repo.import(&me(), small(10_000)).unwrap();
    fill(&mut import, 100, 100);
    import.finish().unwrap();
    let before = repo.head().unwrap();

    let mut import = repo.import(&me(), small(10_000)).unwrap();
    fill(&mut import, 100, 100);
    let refused = import.node(node(3, 2)).unwrap_err();
    assert!(matches!(refused, RepoError::Differs { id } if id == node_id(3).into()));
    let report = import.finish().unwrap();
    assert_eq!((report.present, report.commits.len()), (200, 0));
    assert_eq!(repo.head().unwrap().commit_id(), before.commit_id(), "nothing is new");

    // Twice each: also what this import itself has recorded is replaced.
    let mut import =
        repo.import(&me(), ImportOptions { present: Present::Replace, ..small(10_000) }).unwrap();
    for times in [5, 2] {
        (0..100).for_each(|n| import.node(node(n, times)).unwrap());
    }
    import.finish().unwrap();
    let head = commit(&repo, |tx| tx.set(node_id(0), "n", 1).unwrap());
    let asked = |at: &Snapshot| -> Vec<NodeId> {
        let query = Query::nodes(prop("n").between(1..50));
        at.find(&query).unwrap().map(|node| node.unwrap().id).collect()
    };
    let scanned = head.nodes().map(Result::unwrap).filter(|node| node.get::<i64>("n").unwrap() > 0);
    let mut expected: Vec<NodeId> = scanned.map(|node| node.id).collect();
    expected.sort_unstable();
    assert_eq!(asked(&head), expected);
    assert!(expected.len() > 80);
    store.clear_rows(RowTable::new("index")).unwrap();
    let again = Repo::open(Arc::new(store), options(2)).unwrap().head().unwrap();
    assert_eq!(asked(&again), expected, "the indexes are those that are built anew");
}

#[test]
fn indexes_that_nobody_keeps_are_made_from_the_whole_map() {
    let made = [false, true].map(|is_cleared| {
        let (store, repo) = fresh();
        for nodes in [60, 120] {
            let mut import = repo.import(&me(), small(5_000)).unwrap();
            fill(&mut import, nodes, nodes);
            import.finish().unwrap();
            if is_cleared && nodes == 60 {
                store.clear_rows(RowTable::new("index")).unwrap();
            }
        }
        rows(&store)
    });
    let [kept, again] = made;
    assert_eq!(again.len(), 7, "one of each index");
    assert!(again.iter().all(|row| kept.contains(row)));
}

#[test]
fn what_cannot_be_there_is_refused_at_once_and_the_rest_goes_on() {
    let (_, repo) = fresh();
    let mut import = repo.import(&me(), small(1_000)).unwrap();
    import.node(node(1, 1)).unwrap();
    let refused = import.edge(edge(3, 5)).unwrap_err();
    assert!(matches!(refused, RepoError::MissingEnd { .. }), "{refused}");
    let wrong = Node::new(node_id(2), "A".into_labels().unwrap(), props! { n: "two" }.unwrap());
    assert!(matches!(import.node(wrong), Err(RepoError::Value(_))));
    import.node(node(2, 1)).unwrap();
    assert_eq!(import.finish().unwrap().nodes, 2);
}

#[test]
fn two_nodes_with_one_unique_value_are_refused_wherever_they_come_from() {
    let (_, repo) = fresh();
    let twin = |n: u64| {
        let mut twin = node(n, 1);
        twin.props.set("key", 1).unwrap();
        twin
    };
    let mut import = repo.import(&me(), small(1_000)).unwrap();
    import.node(node(1, 1)).unwrap();
    (10..60).for_each(|n| import.node(node(n, 1)).unwrap());
    import.node(twin(2)).unwrap();
    let refused = import.finish().unwrap_err();
    assert!(
        matches!(&refused, RepoError::NotUnique { property, value: Value::Int(1), .. } if property == "key")
    );
    assert_eq!(repo.head().unwrap().node_count().unwrap(), 0, "nothing is recorded");

    let mut import = repo.import(&me(), small(1_000)).unwrap();
    import.node(node(1, 1)).unwrap();
    import.finish().unwrap();
    let mut import = repo.import(&me(), small(1_000)).unwrap();
    import.node(twin(2)).unwrap();
    assert!(matches!(import.finish(), Err(RepoError::NotUnique { .. })));
    let mut import = repo.import(&me(), ImportOptions { present: Present::Replace, ..small(1_000) }).unwrap();
    import.node(node(1, 3)).unwrap();
    import.finish().unwrap();
}

#[test]
fn nothing_is_seen_before_the_commit_and_others_may_commit_beside_it() {
    let (store, repo) = fresh();
    let heads = store.heads(&Namespace::default()).unwrap();
    let mut import = repo.import(&me(), small(2_000)).unwrap();
    fill(&mut import, 50, 50);
    assert_eq!(store.heads(&Namespace::default()).unwrap(), heads);
    assert_eq!(repo.head().unwrap().node_count().unwrap(), 0);
    drop(import);
    assert_eq!(store.heads(&Namespace::default()).unwrap(), heads, "dropped, it has left nothing");

    let mut import = repo.import(&me(), small(2_000)).unwrap();
    fill(&mut import, 25, 0);
    let mut tx = repo.begin(&me()).unwrap();
    tx.add_node("Beside", props! {}).unwrap();
    tx.commit("beside").unwrap();
    fill(&mut import, 50, 50);
    import.finish().unwrap();
    let now = repo.head().unwrap();
    assert_eq!((now.node_count().unwrap(), now.edge_count().unwrap()), (51, 50));
    assert_eq!(now.labelled("Beside").unwrap().count(), 1);
    repo.undo(&me(), Scope::Own).unwrap().unwrap();
}

#[test]
fn an_import_that_was_cut_short_is_gone_on_with() {
    let (_, repo) = fresh();
    let each = || ImportOptions { commits: Commits::Each(40), ..small(1 << 20) };
    let mut cut = repo.import(&me(), each()).unwrap();
    (0..99).for_each(|n| cut.node(node(n, 1)).unwrap());
    assert_eq!(cut.report().commits.len(), 2);
    drop(cut);
    assert_eq!(repo.head().unwrap().node_count().unwrap(), 80);
    let mut again = repo.import(&me(), each()).unwrap();
    fill(&mut again, 99, 20);
    let report = again.finish().unwrap();
    assert_eq!((report.nodes, report.edges, report.present, report.commits.len()), (19, 20, 80, 1));
    assert_eq!(repo.head().unwrap().node_count().unwrap(), 99);
}

#[test]
fn the_time_of_what_is_set_last_is_noted() {
    let (_, repo) = fresh();
    let mut tx = repo.begin(&me()).unwrap();
    tx.declare(Property::new("last", ValueType::Int).merged(MergeType::Lww)).unwrap();
    tx.commit("agree").unwrap();
    let last =
        |value: i64| Node::new(node_id(1), "A".into_labels().unwrap(), props! { last: value }.unwrap());
    let time = |repo: &Repo| repo.head().unwrap().require(node_id(1)).unwrap().times.get("last").cloned();
    let mut times = Vec::new();
    for value in [1, 2, 2] {
        let mut import = repo.import(&me(), ImportOptions { present: Present::Replace, ..small(0) }).unwrap();
        import.node(last(value)).unwrap();
        import.finish().unwrap();
        times.push(time(&repo));
    }
    assert!(times[0].is_some() && times[0] < times[1]);
    assert_eq!(times[1], times[2], "it was there as it came");
}
