//! Which index is used, said in words.

use mnem_core::object::{Property, ValueType};
use mnem_core::repo::Snapshot;
use mnem_core::repo::query::{Group, Grouping, Predicate, Query, edge_type, from, label, prop, to};
use mnem_core::{NodeId, props};

use crate::kit::{change, fresh};

/// A hundred nodes in a ring, all labelled, every tenth once more.
fn ring() -> (Snapshot, Vec<NodeId>) {
    let mut nodes = Vec::new();
    let state = change(&fresh(1), |tx| {
        for n in 0..100 {
            let labels = if n % 10 == 0 { &["All", "Tenth"][..] } else { &["All"] };
            nodes.push(tx.add_node(labels, props! { n: n }).unwrap());
        }
        for at in 0..100 {
            tx.add_edge(nodes[at], "next", nodes[(at + 1) % 100], props! {}).unwrap();
        }
    });
    (state, nodes)
}

#[test]
fn explain_names_each_index_and_each_scan() {
    let (state, nodes) = ring();
    let nodes_of = |predicate| state.explain(&Query::nodes(predicate)).unwrap().to_string();
    for (predicate, expected) in [
        (Predicate::anything(), "scan all nodes (100 entries)"),
        (Predicate::nothing(), "nothing to find among nodes (0 entries)"),
        (label("None"), "nothing to find among nodes (0 entries)"),
        (label("Tenth"), "index: nodes by label, \"Tenth\" (10 entries)"),
        (
            // The wide index would not narrow the answer by what it costs.
            label("All").and(label("Tenth")).and(!label("Odd")),
            "index: nodes by label, \"Tenth\" (10 entries)\ncheck: (label \"All\") and ",
        ),
        (
            label("Tenth").or(label("Nine")).or(label("Tenth").and(prop("n").above(5))),
            "what is in one of (20 entries)\n  index: nodes by label, \"Tenth\" (10 entries)",
        ),
        (
            label("Tenth").or(prop("n").above(5)),
            "scan all nodes (100 entries)\ncheck: label \"Tenth\" or n > 5",
        ),
        (!label("Tenth"), "scan all nodes (100 entries)\ncheck: not (label \"Tenth\")"),
    ] {
        let found = nodes_of(predicate);
        let expected = expected.replace("(label \"All\") and ", "label \"All\" and ");
        assert!(found.starts_with(&expected), "{found}\n\n{expected}");
    }
    let edges_of = |predicate| state.explain(&Query::edges(predicate)).unwrap();
    let both = edges_of(from(nodes[3]).and(to(nodes[4])).and(edge_type("next")));
    let text = format!(
        "what is in all of (1 entry)\n  index: edges by source, {}, type \"next\" (1 entry)\n  \
         index: edges by target, {}, type \"next\" (1 entry)",
        nodes[3], nodes[4]
    );
    assert_eq!(both.to_string(), text);
    assert!(!both.scans());
    assert!(edges_of(edge_type("next")).scans());
    let sorted = Query::nodes(label("Tenth")).order_by(prop("n").descending());
    assert!(state.explain(&sorted).unwrap().to_string().ends_with("\nsort by n descending"));
}

#[test]
fn a_count_checks_what_an_index_leaves_open() {
    let (state, _) = ring();
    let either = label("Tenth").or(label("None").or(label("Tenth").and(label("All"))));
    for (predicate, expected) in [
        (either.clone(), 10),
        (either.clone().and(prop("n").below(50)), 5),
        (label("All").and(prop("n").below(50)), 50),
        (either.and(!label("All")), 0),
    ] {
        assert_eq!(state.count(&Query::nodes(predicate.clone())).unwrap(), expected, "{predicate}");
    }
}

/// Beyond 256 bytes an index has the order of hashes.
#[test]
fn long_text_is_in_order_whether_or_not_an_index_says_so() {
    let repo = fresh(2);
    let text = |n: usize| "a".repeat(254 + n % 3) + &format!("{:02}", n * 7 % 30);
    let now = change(&repo, |tx| {
        for n in 0..30 {
            tx.add_node("Text", props! { text: text(n) }).unwrap();
        }
    });
    let indexed = change(&repo, |tx| tx.declare(Property::new("text", ValueType::Text).indexed()).unwrap());
    let all = || Query::nodes(Predicate::anything()).page_size(4);
    for query in [all().order_by(prop("text").ascending()), all().order_by(prop("text").descending())] {
        let texts = |state: &Snapshot| -> Vec<String> {
            state.find(&query).unwrap().map(|node| node.unwrap().get("text").unwrap()).collect()
        };
        assert!(indexed.explain(&query).unwrap().to_string().starts_with("index: nodes by text"));
        let expected = texts(&now);
        assert!(expected.is_sorted() || expected.iter().rev().is_sorted());
        assert_eq!(texts(&indexed), expected);
        let (mut page, mut paged) = (indexed.page(&query, None).unwrap(), Vec::new());
        loop {
            paged.extend(page.items().iter().map(|node| node.get::<String>("text").unwrap()));
            let Some(next) = page.next() else { break };
            page = indexed.page(&query, Some(next)).unwrap();
        }
        assert_eq!(paged, expected);
    }
    let groups = |state: &Snapshot| -> Vec<Group> {
        let by = Grouping::by("text");
        state.group_by(&Query::nodes(Predicate::anything()), &by).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(groups(&indexed), groups(&now));
}
