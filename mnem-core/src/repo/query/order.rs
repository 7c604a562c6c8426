//! In which order an answer comes.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::tree::Order;
use crate::value::{Props, Value, compare_numbers};

/// One property to order by: made by [`Prop::ascending`](super::Prop::ascending) and
/// [`Prop::descending`](super::Prop::descending).
///
/// Values of different kinds stand apart: false and true, then numbers by size, text, bytes, links. Equal numbers of
/// both kinds stand together, the integer first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderBy {
    pub(super) property: Arc<str>,
    pub(super) order: Order,
}

/// Where an entity stands: for each property of the order its value, or that there is none.
pub(super) type Place = Vec<Option<Value>>;

/// Returns where an entity with these properties stands.
pub(super) fn place(props: &Props, by: &[OrderBy]) -> Place {
    by.iter().map(|by| props.value(&by.property).and_then(|value| speaker(value, by.order))).collect()
}

/// Returns which value speaks for a property: of a list the first element in this order. Lists and maps inside have no
/// place.
fn speaker(value: &Value, order: Order) -> Option<Value> {
    let elements = match value {
        Value::List(items) => items,
        value => std::slice::from_ref(value),
    };
    let placed = elements.iter().filter(|value| !matches!(value, Value::List(_) | Value::Map(_)));
    placed.min_by(|a, b| directed(compare(a, b), order)).cloned()
}

/// Compares two places. What has no value comes last, whichever the direction.
pub(super) fn compare_places(a: &Place, b: &Place, by: &[OrderBy]) -> Ordering {
    by.iter().zip(a.iter().zip(b)).fold(Ordering::Equal, |so_far, (by, (a, b))| {
        so_far.then_with(|| match (a, b) {
            (Some(a), Some(b)) => directed(compare(a, b), by.order),
            (a, b) => b.is_some().cmp(&a.is_some()),
        })
    })
}

const fn directed(ordering: Ordering, order: Order) -> Ordering {
    match order {
        Order::Ascending => ordering,
        Order::Descending => ordering.reverse(),
    }
}

/// The order of values, in which numbers of both kinds stand together.
fn compare(a: &Value, b: &Value) -> Ordering {
    match compare_numbers(a, b) {
        Some(order) => order.then_with(|| a.cmp(b)),
        // By kind, and within one kind by value: no other kind lies between the two of numbers.
        None => a.cmp(b),
    }
}
