//! Two states at once, and several rankings at once.

use mnem::object::{Metric, Property, ValueType};
use mnem::query::Walk;
use mnem::{label, props};
use mnem_ann::{Hybrid, Top, Vectors};

use crate::kit::{MODEL, State, change, fresh, node, turn_into};

#[test]
fn what_entered_and_left_the_nearest_is_told() {
    let repo = fresh(1, Metric::L2);
    let at = |places: &[(u64, f32)]| -> State { places.iter().map(|(n, x)| (*n, vec![*x])).collect() };
    let first = at(&[(1, 1.0), (2, 2.0), (3, 3.0), (4, 9.0)]);
    let second = at(&[(1, 1.0), (2, 8.0), (3, 2.5), (5, 0.5)]);
    let before = turn_into(&repo, &State::new(), &first);
    let after = turn_into(&repo, &first, &second);
    let diff = Vectors::of(MODEL).search_diff(&before, &after, &[0.0], &Top::k(3)).unwrap();
    assert_eq!(diff.entered().map(|hit| hit.node).collect::<Vec<_>>(), [node(5)]);
    assert_eq!(diff.left().map(|hit| hit.node).collect::<Vec<_>>(), [node(2)]);
    let moved: Vec<(f32, f32)> = diff.moved().map(|(old, new)| (old.score, new.score)).collect();
    assert_eq!(moved, [(-3.0, -2.5)]);
    let text = diff.to_string();
    assert!(text.starts_with("+ -0.500  ") && text.lines().count() == 3, "{text}");
}

#[test]
fn who_is_high_up_in_several_rankings_is_before_who_is_first_in_one() {
    let repo = fresh(1, Metric::L2);
    change(&repo, |tx| tx.declare(Property::new("says", ValueType::Text).with_words()).unwrap());
    let now = change(&repo, |tx| {
        for (number, place, says) in [
            (1, 0.0, "nothing of it"),
            (2, 1.0, "music and music"),
            (3, 2.0, "music"),
            (4, 90.0, "music music music"),
            (5, 50.0, "silence"),
        ] {
            let label = if number == 4 { "Loud" } else { "Quiet" };
            tx.add_node_as(node(number), label, props! { says: says }).unwrap();
            tx.set_vector(node(number), MODEL, &[place]).unwrap();
        }
        tx.add_edge(node(5), "knows", node(3), props! {}).unwrap();
    });
    let vectors = Vectors::of(MODEL);
    let find = |hybrid: &Hybrid| -> Vec<_> {
        vectors.search_hybrid(&now, hybrid).unwrap().into_iter().map(|hit| hit.node).collect()
    };
    let both = Hybrid::new(Top::k(2)).vector(&[0.0]).words("music");
    assert_eq!(find(&both)[0], node(2));
    let three = both.clone().walk(&Walk::from(node(5)).out("knows"));
    assert_eq!(find(&three)[0], node(3));
    let hits = vectors.search_hybrid(&now, &three).unwrap();
    assert_eq!((hits[0].hops, hits[0].nearness), (Some(1), Some(-2.0)));
    assert!(hits[0].words.is_some());
    let quiet = Hybrid::new(Top::k(9).among(label("Quiet"))).words("music");
    assert_eq!(find(&quiet).len(), 2);
    assert!(find(&Hybrid::new(Top::k(3))).is_empty());
}
