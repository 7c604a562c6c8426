//! FORMAT.md says the same as the code.

use mnem_core::content::{CHUNK_AIM_BYTES, CHUNK_MAX_BYTES, CHUNK_MIN_BYTES};
use mnem_core::key::WHOLE_BYTES_MAX;
use mnem_core::object::*;
use mnem_core::value::{PROPERTY_NAME_BYTES_MAX, VALUE_DEPTH_MAX};
use mnem_core::{Block, Commit, Edge, Node, Operation, View};

use crate::{examples, kit};

const FORMAT: &str = include_str!("../../../docs/FORMAT.md");

fn section(heading: &str) -> &'static str {
    let (_, after) = FORMAT.split_once(&format!("\n## {heading}\n")).expect("the heading is there");
    after.split("\n## ").next().expect("a split has a first part")
}

/// The cells of the row that begins with `name`.
fn row(section: &'static str, name: &str) -> Vec<&'static str> {
    let rows = section.lines().filter(|line| line.starts_with('|'));
    let mut cells = rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    cells.find(|cells| cells[0] == name).unwrap_or_else(|| panic!("no row for {name}"))
}

#[test]
fn limits_are_those_of_the_tables() {
    for (heading, name, value) in [
        ("Values", "`VALUE_DEPTH_MAX`", VALUE_DEPTH_MAX),
        ("Values", "`PROPERTY_NAME_BYTES_MAX`", PROPERTY_NAME_BYTES_MAX),
        ("Objects", "`OBJECT_BYTES_MAX`", OBJECT_BYTES_MAX),
        ("Objects", "`LABEL_BYTES_MAX`", LABEL_BYTES_MAX),
        ("Objects", "`EDGE_TYPE_BYTES_MAX`", EDGE_TYPE_BYTES_MAX),
        ("Objects", "`CONTENT_INLINE_BYTES_MAX`", CONTENT_INLINE_BYTES_MAX),
        ("Index keys", "`WHOLE_BYTES_MAX`", WHOLE_BYTES_MAX),
        ("Content", "`CHUNK_MIN_BYTES`", CHUNK_MIN_BYTES),
        ("Content", "`CHUNK_AIM_BYTES`", CHUNK_AIM_BYTES),
        ("Content", "`CHUNK_MAX_BYTES`", CHUNK_MAX_BYTES),
    ] {
        assert_eq!(row(section(heading), name)[1], value.to_string(), "{name}");
    }
}

/// The table names every field of the examples, and the examples have every field of the table.
#[test]
fn fields_are_those_of_the_table() {
    let block = |object: Result<Block, ObjectError>| object.expect("an example");
    let commit = Commit { unknown: Unknown::default(), ..examples::merge_commit() };
    let bundle = Bundle { unknown: Unknown::default(), ..examples::bundle() };
    let salt = Some(Salt([1; 16]));
    let edge = Edge { salt, ..examples::edge_with_times() };
    let node = Node { times: edge.times.clone(), ..examples::node() };
    for (kind, block) in [
        (Params::KIND, block(examples::params().to_block())),
        (Node::KIND, block(node.to_block())),
        (Edge::KIND, block(edge.to_block())),
        (Commit::KIND, block(commit.to_block())),
        (Operation::KIND, block(examples::operations()[0].to_block())),
        (View::KIND, block(examples::view().to_block())),
        (Conflict::KIND, block(examples::conflict_over_an_edge().to_block())),
        (Bundle::KIND, block(bundle.to_block())),
        (Property::KIND, block(examples::property().to_block())),
        (Model::KIND, block(examples::model().to_block())),
    ] {
        let cell = row(section("Objects"), kind)[1];
        let mut written: Vec<_> =
            cell.split(", ").map(|field| field.trim_end_matches('?').to_owned()).collect();
        written.push("_kind".to_owned());
        written.sort_unstable();
        let mut found: Vec<_> = kit::fields(&block).into_iter().map(|(name, _)| name).collect();
        found.sort_unstable();
        assert_eq!(found, written, "{kind}");
    }
}
