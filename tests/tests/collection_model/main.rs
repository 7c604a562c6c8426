//! Collection beside running writers: the rules, and that each is needed. DURABILITY.md, "Collection".
//!
//! `model` is a store of five blocks with everybody who works on it, `explore` goes through all its states, and
//! `agreement` makes real stores move as the model does.

#[cfg(test)]
mod agreement;
mod explore;
mod model;

use explore::{Found, explore};
use model::{Cast, Rules, State};

/// Everybody, except that one writer cannot meet another.
const EVERYBODY: Cast = Cast { writers: 1, reader: true, collectors: 2, expiry: true, outsider: true };
/// An old cycle is refused everything, so a second collector would add no state.
const TWO_WRITERS: Cast = Cast { writers: 2, reader: false, collectors: 1, ..EVERYBODY };

/// Rules that guard only heads which are added outside leases.
const FOR_OUTSIDERS: [&str; 4] = ["outside_ends", "put_live", "children_first", "parents_first"];

fn sound(state: &State) -> bool {
    state.is_whole() && state.leasable_is_covered()
}

fn check_every_state(cast: &Cast) {
    match explore(cast, &Rules::ALL, sound) {
        Found::Holds { states } => {
            println!("{states} states of {cast:?}");
            assert!(states > 100_000, "the model lost most of its moves: {states} states");
        }
        Found::Broken { trace } => panic!("{trace:#?}"),
    }
}

#[test]
fn what_is_reachable_exists_whatever_everybody_does() {
    check_every_state(&EVERYBODY);
}

#[test]
fn what_is_reachable_exists_whatever_two_writers_do() {
    check_every_state(&TWO_WRITERS);
}

/// The table of the document has these columns: name, who keeps it, what it says, moves to the first loss without it.
#[test]
fn without_any_one_rule_something_is_lost_as_the_document_says() {
    let document = include_str!("../../../docs/DURABILITY.md");
    let (_, section) = document.split_once("\n## Collection\n").expect("the section");
    let section = section.split("\n## ").next().expect("its text");
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
    let expected: Vec<String> = Rules::each()
        .iter()
        .map(|rule| match explore(&EVERYBODY, &rule.without, State::is_whole) {
            Found::Broken { trace } => {
                println!("{}: {:?}", rule.name, trace.iter().map(|(action, _)| action).collect::<Vec<_>>());
                format!("| `{}` | {} | {} | {} |", rule.name, rule.kept_by, rule.text, trace.len())
            }
            Found::Holds { states } => panic!("nothing is lost without `{}` in {states} states", rule.name),
        })
        .collect();
    assert_eq!(rows, expected, "\n{}", expected.join("\n"));
}

#[test]
fn four_rules_guard_only_heads_added_outside_leases() {
    let cast = Cast { reader: false, outsider: false, ..EVERYBODY };
    for rule in Rules::each() {
        let for_reader = rule.name.starts_with("snapshot") || rule.name.starts_with("aside");
        let holds = matches!(explore(&cast, &rule.without, State::is_whole), Found::Holds { .. });
        assert_eq!(holds, for_reader || FOR_OUTSIDERS.contains(&rule.name), "{}", rule.name);
    }
}
