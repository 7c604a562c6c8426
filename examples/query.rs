//! Asking: queries as values, pages, counts, groups, walks, at any moment; and changing what a query finds.
//!
//! `cargo run -p mnem --example query`

use mnem::object::{Property, ValueType};
use mnem::query::{Grouping, Predicate, Query, Walk, label, prop, query_two, valid_at};
use mnem::{Actor, Error, NodeId, Snapshot, Time, props};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let repo = mnem::init("memory:")?;
    let me = Actor::named("curator");

    println!("1 Record. An index is kept of what is declared indexed.");
    let mut tx = repo.begin(&me)?;
    tx.declare(Property::new("born", ValueType::Int).indexed())?;
    let mut people: Vec<NodeId> = Vec::new();
    for (name, born, died) in PEOPLE {
        let mut person = props! { name: name, born: born }?;
        if let Some(died) = died {
            person.set("died", died)?;
        }
        people.push(tx.add_node("Person", person)?);
    }
    for pair in people.windows(2) {
        tx.add_edge(pair[0], "inspired", pair[1], props! {})?;
    }
    let now = tx.commit("Who was who")?;

    println!("2 Ask. A query is a value, and runs on any state.");
    let alive = prop("died").absent().or(prop("died").at_least(1950));
    let modern = Query::nodes(label("Person").and(prop("born").between(1890..1920)).and(alive))
        .order_by(prop("born").descending())
        .page_size(3);
    println!("  {} in all; as JSON: {}", now.count(&modern)?, serde_json::to_string(&modern)?);
    println!("  {}", now.explain(&modern)?.to_string().replace('\n', "\n  "));

    println!("3 Turn pages. Page two shows the state of page one, whatever is committed meanwhile.");
    let mut page = now.page(&modern, None)?;
    let mut tx = repo.begin(&me)?;
    tx.add_node("Person", props! { name: "Somebody else", born: 1919 })?;
    let later = tx.commit("Meanwhile")?;
    loop {
        println!("  {}", page.items().iter().map(name).collect::<Result<Vec<_>, _>>()?.join(", "));
        let Some(cursor) = page.next() else { break };
        page = repo.at_cursor(cursor)?.page(&modern, Some(cursor))?;
    }

    println!("4 Group and walk.");
    let everybody = Query::nodes(Predicate::anything());
    for group in now.group_by(&everybody, &Grouping::by_kind().measure("born"))? {
        let group = group?;
        let (Some(least), Some(greatest)) = (group.least, group.greatest) else { continue };
        println!("  {} x {}, born from {least} to {greatest}", group.count, group.value);
    }
    for step in now.walk(&Walk::from(people[0]).out("inspired").hops(1..=2))? {
        let step = step?;
        println!("  {} hops: {}", step.hops, name(&step.node)?);
    }
    let path = now.shortest_path(&Walk::from(people[0]).out(..), people[4])?;
    println!("  to {} it takes {}", name(&now.require(people[4])?)?, path.map_or(0, |path| path.edges.len()));

    println!("5 Change what a query finds, and compare two states.");
    let mut tx = repo.begin(&me)?;
    let early = Query::nodes(prop("born").below(1890));
    let changed = tx.update_where(&early, |node| node.props.set("era", "early").map(drop))?;
    let marked = tx.commit("Eras")?;
    println!("  {changed} changed");
    for pair in query_two(&later, &marked, &early)? {
        let (before, after) = pair?;
        let era = |node: Option<mnem::object::Node>| node.and_then(|node| node.get::<String>("era").ok());
        println!("  {:?} -> {:?}", era(before), era(after));
    }

    println!("6 Ask when it was true, which is not when it was recorded.");
    let at = |micros| Time::from_micros(micros).ok_or("a time");
    let mut tx = repo.begin(&me)?;
    tx.add_node("Office", props! { name: "old office", valid_to: 100 })?;
    tx.add_node("Office", props! { name: "new office", valid_from: 100 })?;
    let offices = tx.commit("Offices")?;
    for micros in [99, 100] {
        let then = Query::nodes(label("Office").and(valid_at(at(micros)?)));
        println!("  at {micros}: {}", names(&offices, &then)?.join(", "));
    }
    let mut tx = repo.begin(&me)?;
    println!("  {} ended and is removed", tx.remove_ended(at(100)?)?);
    tx.commit("Expire")?;
    println!("query ok");
    Ok(())
}

const PEOPLE: [(&str, i64, Option<i64>); 6] = [
    ("Ada", 1815, Some(1852)),
    ("Alonzo", 1903, Some(1995)),
    ("Kurt", 1906, Some(1978)),
    ("Grace", 1906, Some(1992)),
    ("Alan", 1912, Some(1954)),
    ("Emil", 1897, Some(1954)),
];

fn name(node: &mnem::object::Node) -> Result<String, Error> {
    Ok(node.get("name")?)
}

fn names(state: &Snapshot, query: &Query<NodeId>) -> Result<Vec<String>, Error> {
    state.find(query)?.map(|node| name(&node?)).collect()
}
