//! The same questions asked the slow way, by code that shares nothing with the query: a tree of its own, evaluated on
//! every entity, and an order of its own.

use std::cmp::Ordering;
use std::ops::Bound;

use mnem_core::repo::query::{OrderBy, Predicate, Prop, edge_type, from, label, prop, to};
use mnem_core::value::{List, Map};
use mnem_core::{Edge, Node, NodeId, Props, Value};

use crate::kit::Random;

pub(crate) const LABELS: [&str; 4] = ["A", "B", "Big", "Äh"];
pub(crate) const TYPES: [&str; 3] = ["x", "y", "x\0y"];
pub(crate) const PROPS: [&str; 4] = ["p", "q", "r", "p\0"];

/// A question.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    And(Vec<Ask>),
    Or(Vec<Ask>),
    Not(Box<Ask>),
    Label(&'static str),
    Type(&'static str),
    From(NodeId),
    To(NodeId),
    Present(&'static str),
    Equals(&'static str, Value),
    StartsWith(&'static str, Value),
    Range(&'static str, Bound<Value>, Bound<Value>),
}

/// What can be asked about: a node, or an edge.
pub(crate) trait Asked {
    fn props(&self) -> &Props;
    fn has_label(&self, label: &str) -> bool;
    fn ends(&self) -> Option<(NodeId, &str, NodeId)>;
    fn key(&self) -> [u8; 16];
}

impl Asked for Node {
    fn props(&self) -> &Props {
        &self.props
    }

    fn has_label(&self, label: &str) -> bool {
        self.labels.iter().any(|it| &**it == label)
    }

    fn ends(&self) -> Option<(NodeId, &str, NodeId)> {
        None
    }

    fn key(&self) -> [u8; 16] {
        *self.id.as_bytes()
    }
}

impl Asked for Edge {
    fn props(&self) -> &Props {
        &self.props
    }

    fn has_label(&self, _: &str) -> bool {
        false
    }

    fn ends(&self) -> Option<(NodeId, &str, NodeId)> {
        Some((self.src, &self.edge_type, self.dst))
    }

    fn key(&self) -> [u8; 16] {
        *self.id.as_bytes()
    }
}

impl Ask {
    pub(crate) fn predicate(&self) -> Predicate {
        let all = |of: &[Ask], none: Predicate, join: fn(Predicate, Predicate) -> Predicate| {
            of.iter().map(Ask::predicate).reduce(join).unwrap_or(none)
        };
        match self {
            Ask::And(of) => all(of, Predicate::anything(), Predicate::and),
            Ask::Or(of) => all(of, Predicate::nothing(), Predicate::or),
            Ask::Not(it) => !it.predicate(),
            Ask::Label(it) => label(*it),
            Ask::Type(it) => edge_type(*it),
            Ask::From(it) => from(*it),
            Ask::To(it) => to(*it),
            Ask::Present(name) => prop(*name).present(),
            Ask::Equals(name, value) => prop(*name).equals(value),
            Ask::StartsWith(name, value) => prop(*name).starts_with(value),
            Ask::Range(name, lower, upper) => prop(*name).between((lower.clone(), upper.clone())),
        }
    }

    pub(crate) fn holds(&self, of: &impl Asked) -> bool {
        let some = |name: &str, test: &dyn Fn(&Value) -> bool| match of.props().value(name) {
            Some(Value::List(items)) => items.iter().any(test) || of.props().value(name).is_some_and(test),
            Some(value) => test(value),
            None => false,
        };
        match self {
            Ask::And(all) => all.iter().all(|it| it.holds(of)),
            Ask::Or(any) => any.iter().any(|it| it.holds(of)),
            Ask::Not(it) => !it.holds(of),
            Ask::Label(it) => of.has_label(it),
            Ask::Type(it) => of.ends().is_some_and(|(_, found, _)| found == *it),
            Ask::From(it) => of.ends().is_some_and(|(src, ..)| src == *it),
            Ask::To(it) => of.ends().is_some_and(|(.., dst)| dst == *it),
            Ask::Present(name) => of.props().value(name).is_some(),
            Ask::Equals(name, other) => some(name, &|value| match (halves(value), halves(other)) {
                (Some(a), Some(b)) => a == b,
                _ => value == other,
            }),
            Ask::StartsWith(name, start) => some(name, &|value| match (value, start) {
                (Value::Text(value), Value::Text(start)) => value.as_bytes().starts_with(start.as_bytes()),
                (Value::Bytes(value), Value::Bytes(start)) => value.starts_with(start),
                _ => false,
            }),
            Ask::Range(name, lower, upper) => some(name, &|value| {
                let against = |bound: &Value| in_range_order(value, bound);
                let above = match lower {
                    Bound::Included(it) => against(it).is_some_and(|it| it != Ordering::Less),
                    Bound::Excluded(it) => against(it) == Some(Ordering::Greater),
                    Bound::Unbounded => true,
                };
                above
                    && match upper {
                        Bound::Included(it) => against(it).is_some_and(|it| it != Ordering::Greater),
                        Bound::Excluded(it) => against(it) == Some(Ordering::Less),
                        Bound::Unbounded => true,
                    }
            }),
        }
    }
}

/// All numbers here are whole or halves: twice their size is exact.
fn halves(value: &Value) -> Option<i128> {
    match value {
        Value::Int(it) => Some(i128::from(*it) * 2),
        #[expect(clippy::cast_possible_truncation, reason = "made of an integer in `value`")]
        Value::Float(it) => Some((it.get() * 2.0) as i128),
        _ => None,
    }
}

fn in_range_order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Text(a), Value::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (Value::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
        _ => Some(halves(a)?.cmp(&halves(b)?)),
    }
}

/// An order: a property and whether it descends.
pub(crate) type By = (&'static str, bool);

pub(crate) fn order_by((name, descending): By) -> OrderBy {
    let prop: Prop = prop(name);
    if descending { prop.descending() } else { prop.ascending() }
}

/// The rank of a value's kind, and its size.
type Rank = (u8, i128, Vec<u8>);

pub(crate) fn rank(value: &Value) -> Option<Rank> {
    Some(match value {
        Value::Bool(it) => (0, i128::from(*it), Vec::new()),
        Value::Int(_) | Value::Float(_) => (1, halves(value)?, Vec::new()),
        Value::Text(it) => (2, 0, it.as_bytes().to_vec()),
        Value::Bytes(it) => (3, 0, it.to_vec()),
        _ => return None,
    })
}

/// Sorts as the query should: what has no place last, what stands in one place by id in the first direction.
pub(crate) fn sort<T: Asked>(found: &mut [T], by: &[By]) {
    let place = |it: &T, name: &str| it.props().value(name).and_then(rank);
    found.sort_by(|a, b| {
        let mut order = Ordering::Equal;
        for (name, descending) in by {
            order = order.then(match (place(a, name), place(b, name)) {
                (Some(a), Some(b)) if *descending => b.cmp(&a),
                (Some(a), Some(b)) => a.cmp(&b),
                (a, b) => a.is_none().cmp(&b.is_none()),
            });
        }
        let by_id = a.key().cmp(&b.key());
        order.then(if by.first().is_some_and(|(_, descending)| *descending) {
            by_id.reverse()
        } else {
            by_id
        })
    });
}

/// Values of all kinds that repeat often, among them some that an index cuts.
pub(crate) fn scalar(random: &mut Random) -> Value {
    let long = |more: &str| "a".repeat(254) + more;
    match random.below(12) {
        0 => random.percent(50).into(),
        1..=3 => (i64::try_from(random.below(9)).unwrap() - 4).into(),
        4 => Value::try_from(f64::from(u8::try_from(random.below(9)).unwrap()) / 2.0 - 2.0).unwrap(),
        5 => Value::from((1i64 << 53) + i64::try_from(random.below(3)).unwrap()),
        6 => {
            Value::try_from(9_007_199_254_740_992.0 + 2.0 * f64::from(u8::from(random.percent(50)))).unwrap()
        }
        7 => Value::from(random.of(&["", "a", "ab", "a\0b", "b", "é"])),
        8 => Value::from(long(random.of(&["a", "aa", "aaa", "aab", "aabbbb", "b\0", "ba"]))),
        9 => Value::from(long(random.of(&["", "aa", "ab", "aaz"])).into_bytes()),
        10 => Value::from(vec![u8::try_from(random.below(3)).unwrap(); random.below(3)]),
        _ => Value::from(i64::try_from(random.below(3)).unwrap()),
    }
}

pub(crate) fn value(random: &mut Random) -> Value {
    match random.below(12) {
        0 | 1 => list((0..random.below(4)).map(|_| scalar(random)).collect()),
        2 => {
            let inner = list(vec![scalar(random)]);
            list(vec![inner, scalar(random)])
        }
        3 => Value::Map(Map::new([("k".into(), scalar(random))]).unwrap()),
        _ => scalar(random),
    }
}

fn list(items: Vec<Value>) -> Value {
    Value::List(List::new(items).unwrap())
}

/// A random question, to nodes or, where some are given as ends, to edges.
pub(crate) fn ask(random: &mut Random, ends: Option<&[NodeId]>, levels: usize) -> Ask {
    let some =
        |random: &mut Random| (0..random.below(4)).map(|_| ask(random, ends, levels - 1)).collect::<Vec<_>>();
    match random.below(if levels > 0 { 12 } else { 8 }) {
        0 | 1 => match ends {
            None => Ask::Label(random.of(&LABELS)),
            Some(nodes) => match random.below(3) {
                0 => Ask::Type(random.of(&TYPES)),
                1 => Ask::From(random.of(nodes)),
                _ => Ask::To(random.of(nodes)),
            },
        },
        2 => Ask::Present(random.of(&PROPS)),
        3 | 4 => Ask::Equals(random.of(&PROPS), value(random)),
        5 => {
            let start = match scalar(random) {
                start @ (Value::Text(_) | Value::Bytes(_)) => start,
                _ => Value::from("a"),
            };
            Ask::StartsWith(random.of(&PROPS), start)
        }
        6 | 7 => range(random),
        8 | 9 => Ask::And(some(random)),
        10 => Ask::Or(some(random)),
        _ => Ask::Not(Box::new(ask(random, ends, levels - 1))),
    }
}

/// A range that has an order and stands upright.
fn range(random: &mut Random) -> Ask {
    let name = random.of(&PROPS);
    loop {
        let (a, b) = (scalar(random), scalar(random));
        let Some(order) = in_range_order(&a, &b) else { continue };
        let (lower, upper) = if order == Ordering::Greater { (b, a) } else { (a, b) };
        let mut bound = |value| match random.below(5) {
            0 => Bound::Unbounded,
            1 | 2 => Bound::Included(value),
            _ => Bound::Excluded(value),
        };
        let (lower, upper) = (bound(lower), bound(upper));
        if (&lower, &upper) != (&Bound::Unbounded, &Bound::Unbounded) {
            return Ask::Range(name, lower, upper);
        }
    }
}
