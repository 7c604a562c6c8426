//! FORMAT.md, "Trees", says the same as the code.

use mnem_core::tree::{ENTRY_BYTES_MAX, KEY_BYTES_MAX, NODE_BYTES_MAX, TreeParams, VALUE_DEPTH_MAX};

const FORMAT: &str = include_str!("../../../docs/FORMAT.md");

fn section() -> &'static str {
    let (_, rest) = FORMAT.split_once("\n## Trees\n").expect("there is a section on trees");
    rest.split("\n## ").next().unwrap()
}

#[test]
fn limits_of_trees_are_those_of_the_document() {
    for (name, value) in [
        ("KEY_BYTES_MAX", KEY_BYTES_MAX),
        ("ENTRY_BYTES_MAX", ENTRY_BYTES_MAX),
        ("NODE_BYTES_MAX", NODE_BYTES_MAX),
        ("VALUE_DEPTH_MAX", VALUE_DEPTH_MAX),
    ] {
        assert!(section().contains(&format!("| `{name}` | {value} |")), "{name}");
    }
}

#[test]
fn parameters_are_those_of_the_document() {
    let TreeParams { min, max, shift, seed } = TreeParams::V1;
    assert_eq!(seed, [0; 32]);
    assert!(section().contains(&format!("Version 1: {min}, {max}, {shift}, zero.")));
    assert!(section().contains(&format!("1 <= max <= {}, shift < 64", TreeParams::MAX_LIMIT)));
}

/// Golden roots of the document are those of roots.rs, which the code is held to.
#[test]
fn golden_roots_are_those_of_the_document() {
    let frozen = include_str!("roots.rs");
    let mut roots = 0;
    for line in section().lines().filter(|line| line.contains("`bafyr4")) {
        let cells: Vec<&str> =
            line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [entries, nodes, root] = cells[..] else { panic!("{line}") };
        assert!(frozen.contains(&format!("check({entries}, be128, \"{root}\", {nodes});")), "{line}");
        roots += 1;
    }
    assert_eq!(roots, 3);
}
