//! Running a query: candidates are read in batches, checked, and put in order.

use std::collections::VecDeque;

use super::ids::{Candidate, Id, Ids, after, candidates};
use super::in_order::{InOrder, Wanted};
use super::order::{Place, compare_places, place};
use super::plan::{Plan, Planner};
use super::predicate::Predicate;
use super::query::Query;
use super::subject::Subject;
use crate::repo::entity::Entity;
use crate::repo::error::RepoError;
use crate::repo::snapshot::Snapshot;

/// The first batch: the first answer should not wait for others.
const BATCH_MIN: usize = 4;

/// The largest batch.
const BATCH_MAX: usize = 256;

impl Snapshot {
    /// Finds what a query asks for, one after the other: by id, or in the order of the query. If no index has that order,
    /// all that is found is gone through first, and where each stands is kept in memory; to see the first few,
    /// [`page`](Self::page) needs less.
    pub fn find<E: Subject>(&self, query: &Query<E>) -> Result<Found<E>, RepoError> {
        let plan = self.plan(query)?;
        if query.order.is_empty() {
            return Ok(Found(Stream::ById(Matches::new(self, &plan, &query.predicate, None)?)));
        }
        if self.orders(query, &plan, Wanted::All)?.is_some()
            && let Some(placed) = self.in_order(query, None)?
        {
            let rest = Some((self.clone(), query.clone()));
            return Ok(Found(Stream::InOrder { placed: Box::new(placed), rest }));
        }
        Ok(Found(Stream::Sorted(self.sorted(query, |_| true)?)))
    }

    /// Puts what a query finds in order, as far as its place is one that is wanted.
    fn sorted<E: Subject>(
        &self,
        query: &Query<E>,
        is_wanted: impl Fn(&Place) -> bool,
    ) -> Result<Sorted<E>, RepoError> {
        let mut places = Vec::new();
        for version in self.matches(query, None)? {
            let version = version?;
            let place = place(E::props(&version), &query.order);
            if is_wanted(&place) {
                places.push((place, E::id(&version)));
            }
        }
        places.sort_by(|(a, a_id), (b, b_id)| compare_places((a, a_id), (b, b_id), &query.order));
        let ids = places.into_iter().map(|(_, id)| id).collect();
        Ok(Sorted { snapshot: self.clone(), ids, ready: VecDeque::new() })
    }

    pub(super) fn plan<E: Subject>(&self, query: &Query<E>) -> Result<Plan, RepoError> {
        query.check()?;
        Planner::<E>::new(self)?.plan(&query.predicate)
    }

    /// Finds what a query asks for by id, whatever its order, from an id on.
    pub(in crate::repo) fn matches<E: Subject>(
        &self,
        query: &Query<E>,
        from: Option<Id>,
    ) -> Result<Matches<E>, RepoError> {
        Matches::new(self, &self.plan(query)?, &query.predicate, from)
    }

    /// Finds the first `count` in the order of a query, behind what stands at `last`.
    pub(super) fn first_in_order<E: Subject>(
        &self,
        query: &Query<E>,
        last: Option<&(Place, E)>,
        count: usize,
    ) -> Result<Vec<E::Object>, RepoError> {
        let wanted = Wanted::First(u64::try_from(count).unwrap_or(u64::MAX));
        if self.orders(query, &self.plan(query)?, wanted)?.is_some()
            && let Some(placed) = self.in_order(query, last)?
        {
            let mut first = placed.take(count).collect::<Result<Vec<_>, _>>()?;
            let missing = count - first.len();
            if missing > 0 {
                first.extend(self.first_sorted(query, missing, |place, _| place == &[None])?);
            }
            return Ok(first);
        }
        self.first_sorted(query, count, |place, id| {
            last.is_none_or(|(last, last_id)| {
                compare_places((place, id), (last, last_id), &query.order).is_gt()
            })
        })
    }

    /// Finds the first `count` of those that are wanted, in the order of a query.
    fn first_sorted<E: Subject>(
        &self,
        query: &Query<E>,
        count: usize,
        is_wanted: impl Fn(&Place, &E) -> bool,
    ) -> Result<Vec<E::Object>, RepoError> {
        let compare = |(a, a_id, _): &Placed<E>, (b, b_id, _): &Placed<E>| {
            compare_places((a, a_id), (b, b_id), &query.order)
        };
        let mut first: Vec<Placed<E>> = Vec::new();
        for version in self.matches(query, None)? {
            let version = version?;
            let (place, id) = (place(E::props(&version), &query.order), E::id(&version));
            if is_wanted(&place, &id) {
                first.push((place, id, version));
            }
            // Sorted once for every `count` that are found: about as cheap as a heap, and shorter.
            if first.len() >= count.saturating_mul(2) {
                first.sort_by(compare);
                first.truncate(count);
            }
        }
        first.sort_by(compare);
        first.truncate(count);
        Ok(first.into_iter().map(|(_, _, version)| version).collect())
    }
}

type Placed<E> = (Place, E, <E as Entity>::Object);

/// What a query found. Ends after its first error.
pub struct Found<E: Subject>(Stream<E>);

enum Stream<E: Subject> {
    ById(Matches<E>),
    Sorted(Sorted<E>),
    /// By an index; then what has no place there, from this state by this query.
    InOrder {
        placed: Box<InOrder<E>>,
        rest: Option<(Snapshot, Query<E>)>,
    },
}

impl<E: Subject> Iterator for Found<E> {
    type Item = Result<E::Object, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Stream::ById(matches) => matches.next(),
            Stream::Sorted(sorted) => sorted.next(),
            Stream::InOrder { placed, rest } => {
                match placed.next() {
                    None => {}
                    Some(Err(why)) => {
                        *rest = None;
                        return Some(Err(why));
                    }
                    found => return found,
                }
                let (state, query) = rest.take()?;
                match state.sorted(&query, |place| place == &[None]) {
                    Ok(sorted) => self.0 = Stream::Sorted(sorted),
                    Err(why) => return Some(Err(why)),
                }
                self.next()
            }
        }
    }
}

impl<E: Subject> std::fmt::Debug for Found<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Found")
    }
}

/// What a predicate holds of, by id.
pub(in crate::repo) struct Matches<E: Subject> {
    snapshot: Snapshot,
    predicate: Predicate,
    ids: Box<dyn Ids>,
    /// Where to go on; `None` at the end.
    from: Option<Id>,
    ready: VecDeque<E::Object>,
    batch: usize,
}

impl<E: Subject> Matches<E> {
    pub(super) fn new(
        snapshot: &Snapshot,
        plan: &Plan,
        predicate: &Predicate,
        from: Option<Id>,
    ) -> Result<Matches<E>, RepoError> {
        Ok(Matches {
            ids: candidates(plan, &snapshot.map::<E>())?,
            snapshot: snapshot.clone(),
            predicate: predicate.clone(),
            from: Some(from.unwrap_or([0; 16])),
            ready: VecDeque::new(),
            batch: BATCH_MIN,
        })
    }

    /// Returns the next candidates, which may be none of the answer.
    fn candidates(&mut self) -> Result<Vec<Candidate>, RepoError> {
        let mut found = Vec::new();
        while let Some(from) = self.from.filter(|_| found.len() < self.batch) {
            let next = self.ids.seek(&from)?;
            self.from = next.and_then(|candidate| after(&candidate.id));
            found.extend(next);
        }
        self.batch = (self.batch * 2).min(BATCH_MAX);
        Ok(found)
    }

    fn fill(&mut self) -> Result<(), RepoError> {
        while self.ready.is_empty() && self.from.is_some() {
            let found = self.candidates()?;
            let versions = self.snapshot.read_candidates::<E>(&found)?;
            let predicate = &self.predicate;
            self.ready.extend(versions.into_iter().filter(|version| predicate.holds::<E>(version)));
        }
        Ok(())
    }
}

impl<E: Subject> Iterator for Matches<E> {
    type Item = Result<E::Object, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(why) = self.fill() {
            self.from = None;
            return Some(Err(why));
        }
        self.ready.pop_front().map(Ok)
    }
}

/// Ids in their order; their entities are read again as they are asked for.
struct Sorted<E: Subject> {
    snapshot: Snapshot,
    ids: VecDeque<E>,
    ready: VecDeque<E::Object>,
}

impl<E: Subject> Iterator for Sorted<E> {
    type Item = Result<E::Object, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() {
            let count = self.ids.len().min(BATCH_MAX);
            let ids: Vec<E> = self.ids.drain(..count).collect();
            match self.snapshot.require_many(&ids) {
                Ok(versions) => self.ready.extend(versions),
                Err(why) => {
                    self.ids.clear();
                    return Some(Err(why));
                }
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

impl Snapshot {
    /// Reads what candidates are as it is shown. An index that names what is not there is damaged.
    pub(super) fn read_candidates<E: Subject>(
        &self,
        candidates: &[Candidate],
    ) -> Result<Vec<E::Object>, RepoError> {
        let versions: Option<Vec<_>> = candidates.iter().map(|candidate| candidate.version).collect();
        match versions {
            Some(cids) => self.read_versions::<E>(&cids),
            None => {
                let ids: Vec<E> = candidates.iter().map(|candidate| E::from_key(candidate.id)).collect();
                self.require_many(&ids)
            }
        }
    }

    pub(super) fn require_many<E: Subject>(&self, ids: &[E]) -> Result<Vec<E::Object>, RepoError> {
        let versions = self.get_many(ids)?;
        let pairs = ids.iter().zip(versions);
        pairs.map(|(id, version)| version.ok_or(RepoError::NoSuchEntity { id: (*id).into() })).collect()
    }
}
