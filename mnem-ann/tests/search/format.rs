//! FORMAT.md, "Vector codes": other bytes mean another definition.

use mnem::object::Metric;
use mnem_ann::Vectors;

use crate::kit::{MODEL, State, fresh, turn_into};

/// Vectors whose numbers can be written down.
fn examples() -> State {
    let ramp = |dim: u16| (0..dim).map(|at| f32::from(at) / 8.0 - 1.0).collect::<Vec<f32>>();
    let mut examples = State::new();
    for (number, size) in [(1, 1.0), (2, 1e-20), (3, 3e38), (4, 1e-44), (5, 0.0)] {
        examples.insert(number, ramp(12).iter().map(|number| number * size).collect());
    }
    examples.insert(6, [1.0].into_iter().chain([0.0; 11]).collect());
    examples
}

#[test]
fn codes_are_those_of_the_format() {
    let repo = fresh(12, Metric::L2);
    let now = turn_into(&repo, &State::new(), &examples());
    let root = Vectors::of(MODEL).keep(&now).unwrap().unwrap().root;
    let mut found = format!("root {root}\n");
    for entry in now.trees().tree(root).iter() {
        let entry = entry.unwrap();
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        found += &format!("{} {}\n", hex(&entry.key), hex(&entry.value));
    }
    assert_eq!(found, include_str!("../../../tests/fixtures/v1/vector_codes.txt"), "{found}");
}
