//! Answers in the order of one property, by its index: nothing is sorted, and little more is read than is asked for.
//!
//! A node is taken where the index has the value that it is shown with. So one that is found several times, for a list
//! or for the sides of a conflict, is taken once at most, and what has no place is left to whoever asks for it.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::iter::Peekable;

use super::order::{Place, compare};
use super::plan::{Look, Plan};
use super::query::Query;
use super::subject::Subject;
use crate::key::{WHOLE_BYTES_MAX, is_whole};
use crate::repo::error::RepoError;
use crate::repo::index::{Hit, Hits, ValueRange};
use crate::repo::snapshot::Snapshot;
use crate::tree::Order;
use crate::value::Value;

const BATCH_MIN: usize = 4;
const BATCH_MAX: usize = 256;

/// How much of an answer is wanted.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    First(u64),
    All,
}

impl Snapshot {
    /// Returns how many entries the index has that brings an answer in its order; `None` if none does, or if sorting what
    /// is found reads less.
    pub(super) fn orders<E: Subject>(
        &self,
        query: &Query<E>,
        plan: &Plan,
        wanted: Wanted,
    ) -> Result<Option<u64>, RepoError> {
        let ([by], true) = (&*query.order, E::HAS_PROPERTY_INDEX) else { return Ok(None) };
        if matches!(plan.look, Look::Nowhere) {
            return Ok(None);
        }
        let Some(entries) = self.lookup_count(&by.property, &ValueRange::All)? else { return Ok(None) };
        let is_cheaper = match wanted {
            // Of the index every so manieth is part of the answer, as far as can be known.
            Wanted::First(count) => {
                u128::from(count) * u128::from(entries) < u128::from(plan.entries) * u128::from(plan.entries)
            }
            Wanted::All => entries <= plan.entries.saturating_mul(2),
        };
        Ok(Some(entries).filter(|_| is_cheaper))
    }

    /// Walks the index of the one property of an order, behind what stands at `last`; `None` if it cannot be entered
    /// there.
    pub(super) fn in_order<E: Subject>(
        &self,
        query: &Query<E>,
        last: Option<&(Place, E)>,
    ) -> Result<Option<InOrder<E>>, RepoError> {
        let [by] = &*query.order else { return Ok(None) };
        let Some(hits) = self.lookup(&by.property, &ValueRange::All, by.order)? else { return Ok(None) };
        let hits = match last.map(|(place, id)| (place.first(), id)) {
            None => hits,
            // Beyond what a key holds it has another order.
            Some((Some(Some(value)), id)) if is_whole(value) => {
                hits.beyond(&Hit { value: value.clone(), node: crate::NodeId::from_bytes(*id.key()) })
            }
            Some(_) => return Ok(None),
        };
        let query = query.clone();
        let order = by.order;
        let straight = Straight::new(
            hits,
            |hit: &Hit| &hit.value,
            move |a, b| {
                let by_node = || a.node.cmp(&b.node);
                let ascending = compare(&a.value, &b.value).then_with(by_node);
                if order == Order::Descending { ascending.reverse() } else { ascending }
            },
        );
        Ok(Some(InOrder {
            snapshot: self.clone(),
            query,
            hits: straight,
            ready: VecDeque::new(),
            batch: BATCH_MIN,
        }))
    }
}

/// What a query finds that has a place, in the order of its one property. Ends after its first error.
pub(super) struct InOrder<E: Subject> {
    snapshot: Snapshot,
    query: Query<E>,
    hits: Straight<Hits, Hit>,
    ready: VecDeque<E::Object>,
    batch: usize,
}

impl<E: Subject> InOrder<E> {
    fn fill(&mut self) -> Result<(), RepoError> {
        let Some(property) = self.query.order.first().map(|by| &by.property) else { return Ok(()) };
        while self.ready.is_empty() {
            let hits = self.hits.by_ref().take(self.batch).collect::<Result<Vec<Hit>, _>>()?;
            if hits.is_empty() {
                return Ok(());
            }
            self.batch = (self.batch * 2).min(BATCH_MAX);
            let ids: Vec<E> = hits.iter().map(|hit| E::from_key(*hit.node.as_bytes())).collect();
            for (hit, version) in hits.iter().zip(self.snapshot.require_many(&ids)?) {
                let is_here = E::props(&version).value(property) == Some(&hit.value);
                if is_here && self.query.predicate.holds::<E>(&version) {
                    self.ready.push_back(version);
                }
            }
        }
        Ok(())
    }
}

impl<E: Subject> Iterator for InOrder<E> {
    type Item = Result<E::Object, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(why) = self.fill() {
            self.hits.stop();
            return Some(Err(why));
        }
        self.ready.pop_front().map(Ok)
    }
}

type Compare<T> = Box<dyn Fn(&T, &T) -> Ordering + Send>;

/// Puts in order what an index has in the order of hashes: text and bytes that agree as far as keys hold them.
pub(super) struct Straight<I: Iterator, T> {
    inner: Option<Peekable<I>>,
    value: fn(&T) -> &Value,
    compare: Compare<T>,
    run: VecDeque<T>,
}

impl<T, I: Iterator<Item = Result<T, RepoError>>> Straight<I, T> {
    pub(super) fn new(
        inner: I,
        value: fn(&T) -> &Value,
        compare: impl Fn(&T, &T) -> Ordering + Send + 'static,
    ) -> Straight<I, T> {
        Straight { inner: Some(inner.peekable()), value, compare: Box::new(compare), run: VecDeque::new() }
    }

    fn stop(&mut self) {
        self.inner = None;
        self.run.clear();
    }

    /// Collects what follows `first` and agrees with it as far as keys hold it.
    fn collect_run(&mut self, first: T) -> Result<(), RepoError> {
        let value = self.value;
        let start = |item: &T| start_of_long(value(item)).map(|(is_text, bytes)| (is_text, bytes.to_vec()));
        let wanted = start(&first);
        let mut run = vec![first];
        let Some(inner) = self.inner.as_mut() else { return Ok(()) };
        let follows = |next: &Result<T, RepoError>| next.as_ref().map_or(true, |next| start(next) == wanted);
        while let Some(next) = inner.next_if(follows) {
            run.push(next?);
        }
        run.sort_by(&self.compare);
        self.run = run.into();
        Ok(())
    }
}

impl<T, I: Iterator<Item = Result<T, RepoError>>> Iterator for Straight<I, T> {
    type Item = Result<T, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(next) = self.run.pop_front() {
            return Some(Ok(next));
        }
        match self.inner.as_mut()?.next()? {
            Ok(first) if start_of_long((self.value)(&first)).is_some() => {
                if let Err(why) = self.collect_run(first) {
                    self.stop();
                    return Some(Err(why));
                }
                self.run.pop_front().map(Ok)
            }
            Ok(next) => Some(Ok(next)),
            Err(why) => {
                self.stop();
                Some(Err(why))
            }
        }
    }
}

/// Returns what a key holds of a value that is too long for it, and whether that is text.
fn start_of_long(value: &Value) -> Option<(bool, &[u8])> {
    match value {
        Value::Text(text) => {
            Some((true, text.as_bytes().get(..WHOLE_BYTES_MAX)?)).filter(|_| !is_whole(value))
        }
        Value::Bytes(bytes) => Some((false, bytes.get(..WHOLE_BYTES_MAX)?)).filter(|_| !is_whole(value)),
        _ => None,
    }
}
