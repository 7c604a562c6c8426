//! What to find, in which order, how much at a time.

use std::marker::PhantomData;

use super::error::QueryError;
use super::order::OrderBy;
use super::predicate::Predicate;
use super::subject::Subject;
use crate::id::{EdgeId, NodeId};

/// Most items of one page: a page lies in memory.
pub const PAGE_SIZE_MAX: u32 = 100_000;

const PAGE_SIZE_USUAL: u32 = 100;

/// A question for nodes or for edges. A value: build it once, keep it, send it, run it on any
/// [`Snapshot`](crate::repo::Snapshot).
///
/// ```
/// use mnem_core::NodeId;
/// use mnem_core::repo::query::{Query, label, prop};
///
/// let alive = prop("died").absent().or(prop("died").at_least(1850));
/// let people = Query::nodes(label("Person").and(prop("born").between(1800..1900)).and(alive))
///     .order_by(prop("born").descending())
///     .page_size(20);
/// let json = serde_json::to_string(&people)?;
/// assert_eq!(serde_json::from_str::<Query<NodeId>>(&json)?, people);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<E> {
    pub(super) predicate: Predicate,
    pub(super) order: Vec<OrderBy>,
    pub(super) page_size: u32,
    subject: PhantomData<fn() -> E>,
}

impl Query<NodeId> {
    /// Asks for the nodes of which this holds.
    pub const fn nodes(predicate: Predicate) -> Query<NodeId> {
        Query::new(predicate)
    }
}

impl Query<EdgeId> {
    /// Asks for the edges of which this holds.
    pub const fn edges(predicate: Predicate) -> Query<EdgeId> {
        Query::new(predicate)
    }
}

impl<E> Query<E> {
    pub(super) const fn new(predicate: Predicate) -> Query<E> {
        Query { predicate, order: Vec::new(), page_size: PAGE_SIZE_USUAL, subject: PhantomData }
    }

    /// Orders the answer by a property; what is equal there, by the property of the next call, and in the end by id, in
    /// the direction of the first.
    #[must_use]
    pub fn order_by(mut self, order: OrderBy) -> Query<E> {
        self.order.push(order);
        self
    }

    /// Sets how many items a page has: 1 to [`PAGE_SIZE_MAX`], 100 unless set.
    #[must_use]
    pub const fn page_size(mut self, items: u32) -> Query<E> {
        self.page_size = items;
        self
    }

    /// Returns what must hold.
    pub const fn predicate(&self) -> &Predicate {
        &self.predicate
    }
}

impl<E: Subject> Query<E> {
    /// Refuses what cannot be asked.
    pub(in crate::repo) fn check(&self) -> Result<(), QueryError> {
        if !(1..=PAGE_SIZE_MAX).contains(&self.page_size) {
            return Err(QueryError::PageSize { found: self.page_size.into() });
        }
        self.predicate.check::<E>()
    }
}
