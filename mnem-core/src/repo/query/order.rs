//! In which order an answer comes.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::tree::Order;
use crate::value::{Props, Value, compare_numbers};

/// One property to order by: made by [`Prop::ascending`](super::Prop::ascending) and
/// [`Prop::descending`](super::Prop::descending).
///
/// Values of different kinds stand apart: false and true, then numbers by size, text, bytes, links. Lists and maps have
/// no place: they come last, with what has no such property. What stands in one place comes by id, in the direction of
/// the first property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderBy {
    pub(super) property: Arc<str>,
    pub(super) order: Order,
}

/// Where an entity stands: for each property of the order its value, or that there is none.
pub(super) type Place = Vec<Option<Value>>;

/// Returns where an entity with these properties stands.
pub(super) fn place(props: &Props, by: &[OrderBy]) -> Place {
    by.iter().map(|by| props.value(&by.property).filter(|value| has_place(value)).cloned()).collect()
}

/// Returns the elements of a list, or the value itself.
pub(super) fn elements(value: &Value) -> &[Value] {
    match value {
        Value::List(items) => items,
        value => std::slice::from_ref(value),
    }
}

/// Says whether a value has a place in an order.
pub(super) const fn has_place(value: &Value) -> bool {
    !matches!(value, Value::List(_) | Value::Map(_))
}

/// Compares where two entities stand. What has no value comes last, whichever the direction; what stands in one place
/// comes by id, in the direction of the first property.
pub(super) fn compare_places<E: Ord>(a: (&Place, &E), b: (&Place, &E), by: &[OrderBy]) -> Ordering {
    let places = by.iter().zip(a.0.iter().zip(b.0)).fold(Ordering::Equal, |so_far, (by, (a, b))| {
        so_far.then_with(|| match (a, b) {
            (Some(a), Some(b)) => directed(compare_size(a, b), by.order),
            (a, b) => b.is_some().cmp(&a.is_some()),
        })
    });
    let first = by.first().map_or(Order::Ascending, |by| by.order);
    places.then_with(|| directed(a.1.cmp(b.1), first))
}

const fn directed(ordering: Ordering, order: Order) -> Ordering {
    match order {
        Order::Ascending => ordering,
        Order::Descending => ordering.reverse(),
    }
}

/// The order of values, in which numbers of both kinds stand together and are equal if their sizes are.
pub(super) fn compare_size(a: &Value, b: &Value) -> Ordering {
    // By kind, and within one kind by value: no other kind lies between the two of numbers.
    compare_numbers(a, b).unwrap_or_else(|| a.cmp(b))
}

/// The same, but of equal numbers the integer comes first.
pub(super) fn compare(a: &Value, b: &Value) -> Ordering {
    compare_size(a, b).then_with(|| a.cmp(b))
}
