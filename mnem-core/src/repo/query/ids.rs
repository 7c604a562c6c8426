//! Ids in ascending order, from indexes and from what is joined of them.

use super::plan::{Look, Lookup, Plan};
use crate::cid::Cid;
use crate::repo::entity::link;
use crate::repo::error::{RepoError, damaged_key};
use crate::repo::index::IndexTree;
use crate::tree::{Entry, KeyRange, Order, Tree};

/// Bytes of an id.
pub(super) type Id = [u8; 16];

/// How many keys are passed one by one before the tree is entered anew: about what one block holds.
const STEPS_MAX: usize = 64;

/// An entity that may be part of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) id: Id,
    /// Whether the indexes decide that it is, unless it is in conflict: those have keys of every side.
    pub(super) sure: bool,
    /// Where its version lies, if the walk has come by.
    pub(super) version: Option<Cid>,
}

/// Candidates by id, to be entered anywhere.
pub(super) trait Ids: Send {
    /// Returns the first at or after `id`. From call to call `id` must not descend.
    fn seek(&mut self, id: &Id) -> Result<Option<Candidate>, RepoError>;
}

/// Returns the id after this one; `None` after the last.
pub(super) fn after(id: &Id) -> Option<Id> {
    u128::from_be_bytes(*id).checked_add(1).map(u128::to_be_bytes)
}

/// Returns the candidates of a plan. `map` is the map of the entities.
pub(super) fn candidates(plan: &Plan, map: &Tree) -> Result<Box<dyn Ids>, RepoError> {
    let all = |plans: &[Plan]| plans.iter().map(|plan| candidates(plan, map)).collect::<Result<Vec<_>, _>>();
    let ids: Box<dyn Ids> = match &plan.look {
        Look::Nowhere => Box::new(Sorted { ids: Vec::new(), at: 0, sure: true }),
        Look::Everywhere => Box::new(Walk::new(Keys::Map(map.clone()), KeyRange::ALL, plan.decides)),
        Look::Index(lookup) => from_index(lookup, plan.decides)?,
        Look::Both(plans) => Box::new(Both { of: all(plans)?, decides: plan.decides }),
        Look::Either(plans) => Box::new(Either { of: all(plans)?, decides: plan.decides }),
    };
    Ok(ids)
}

fn from_index(lookup: &Lookup, sure: bool) -> Result<Box<dyn Ids>, RepoError> {
    if !lookup.ascending {
        let mut ids = Vec::new();
        for range in &lookup.ranges {
            for entry in lookup.tree.range(range.clone(), Order::Ascending) {
                ids.push(id_of(&entry?.key)?);
            }
        }
        ids.sort_unstable();
        ids.dedup();
        return Ok(Box::new(Sorted { ids, at: 0, sure }));
    }
    let walk = |range: &KeyRange| -> Box<dyn Ids> {
        Box::new(Walk::new(Keys::Index(lookup.tree.clone()), range.clone(), sure))
    };
    Ok(match &*lookup.ranges {
        [range] => walk(range),
        ranges => Box::new(Either { of: ranges.iter().map(walk).collect(), decides: sure }),
    })
}

/// The keys of every map and of every index end in the id.
fn id_of(key: &[u8]) -> Result<Id, RepoError> {
    key.last_chunk().copied().ok_or_else(damaged_key)
}

/// Where keys are read.
enum Keys {
    /// The map of the entities.
    Map(Tree),
    Index(IndexTree),
}

type Entries = Box<dyn Iterator<Item = Result<Entry, RepoError>> + Send>;

impl Keys {
    fn range(&self, range: KeyRange) -> Entries {
        match self {
            Keys::Map(tree) => Box::new(tree.range(range, Order::Ascending).map(|entry| Ok(entry?))),
            Keys::Index(tree) => Box::new(tree.range(range, Order::Ascending)),
        }
    }
}

/// Keys that differ in the id alone: they ascend as the ids do.
struct Walk {
    keys: Keys,
    range: KeyRange,
    sure: bool,
    /// What stands before the id in every key, once one was seen.
    start: Option<Vec<u8>>,
    entries: Option<Entries>,
    now: Option<Candidate>,
}

impl Walk {
    fn new(keys: Keys, range: KeyRange, sure: bool) -> Walk {
        Walk { keys, range, sure, start: None, entries: None, now: None }
    }

    fn enter(&mut self, id: &Id) -> Result<(), RepoError> {
        let range = match &self.start {
            Some(start) => self.range.intersection(&KeyRange::new([&**start, id].concat()..)),
            None => self.range.clone(),
        };
        self.entries = Some(self.keys.range(range));
        self.step()
    }

    fn step(&mut self) -> Result<(), RepoError> {
        self.now = None;
        let Some(entry) = self.entries.as_mut().and_then(Iterator::next).transpose()? else { return Ok(()) };
        let id = id_of(&entry.key)?;
        if self.start.is_none() {
            self.start = Some(entry.key[..entry.key.len() - id.len()].to_vec());
        }
        let version = match &self.keys {
            Keys::Map(tree) => Some(link(tree.root(), &entry.value)?),
            Keys::Index(_) => None,
        };
        self.now = Some(Candidate { id, sure: self.sure, version });
        Ok(())
    }
}

impl Ids for Walk {
    fn seek(&mut self, id: &Id) -> Result<Option<Candidate>, RepoError> {
        if self.entries.is_none() {
            self.enter(id)?;
            // The first key told where ids stand: now they can be entered.
            if self.now.is_some_and(|now| now.id < *id) {
                self.enter(id)?;
            }
        }
        for _ in 0..STEPS_MAX {
            match &self.now {
                Some(now) if now.id < *id => self.step()?,
                _ => return Ok(self.now),
            }
        }
        self.enter(id)?;
        Ok(self.now)
    }
}

/// Ids that were collected.
struct Sorted {
    ids: Vec<Id>,
    at: usize,
    sure: bool,
}

impl Ids for Sorted {
    fn seek(&mut self, id: &Id) -> Result<Option<Candidate>, RepoError> {
        self.at += self.ids[self.at..].partition_point(|other| other < id);
        Ok(self.ids.get(self.at).map(|id| Candidate { id: *id, sure: self.sure, version: None }))
    }
}

/// What all of them have.
struct Both {
    of: Vec<Box<dyn Ids>>,
    decides: bool,
}

impl Ids for Both {
    fn seek(&mut self, id: &Id) -> Result<Option<Candidate>, RepoError> {
        let mut target = *id;
        'target: loop {
            let mut sure = self.decides;
            for ids in &mut self.of {
                let Some(found) = ids.seek(&target)? else { return Ok(None) };
                if found.id > target {
                    target = found.id;
                    continue 'target;
                }
                sure &= found.sure;
            }
            return Ok(Some(Candidate { id: target, sure, version: None }));
        }
    }
}

/// What one of them has at least.
struct Either {
    of: Vec<Box<dyn Ids>>,
    decides: bool,
}

impl Ids for Either {
    fn seek(&mut self, id: &Id) -> Result<Option<Candidate>, RepoError> {
        let mut first: Option<Candidate> = None;
        for ids in &mut self.of {
            let Some(found) = ids.seek(id)? else { continue };
            let found = Candidate { sure: found.sure && self.decides, ..found };
            first = Some(match first {
                Some(first) if first.id < found.id => first,
                Some(first) if first.id == found.id => Candidate { sure: first.sure || found.sure, ..first },
                _ => found,
            });
        }
        Ok(first)
    }
}
