//! Walks over a history, newest first: commits for the log, operations for the log of the repository itself.
//!
//! Descendants come before their ancestors, as a parent's generation is below that of its child; of what has the same
//! generation the later comes first. An object is read when its turn comes nearer, so the first answer costs nothing
//! and each further one what it leads to.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashSet};
use std::sync::Arc;

use super::error::RepoError;
use super::read::decode;
use crate::cid::Cid;
use crate::object::{Commit, Object, Operation, Time};
use crate::port::BlockRead;

/// What follows others of its kind.
pub(super) trait Follows: Object {
    fn generation(&self) -> u64;
    fn time(&self) -> Time;
    fn parents(&self) -> Vec<Cid>;
}

impl Follows for Commit {
    fn generation(&self) -> u64 {
        self.generation
    }

    fn time(&self) -> Time {
        self.time
    }

    fn parents(&self) -> Vec<Cid> {
        self.parents.iter().map(|parent| *parent.cid()).collect()
    }
}

impl Follows for Operation {
    fn generation(&self) -> u64 {
        self.generation
    }

    fn time(&self) -> Time {
        self.time
    }

    fn parents(&self) -> Vec<Cid> {
        self.parents.iter().map(|parent| *parent.cid()).collect()
    }
}

/// Objects and all that they follow, newest first.
pub(super) struct Newest<T> {
    blocks: Arc<dyn BlockRead>,
    waiting: BinaryHeap<Waiting<T>>,
    seen: HashSet<Cid>,
    /// What was given last: its parents are not waiting yet.
    given: Vec<(Cid, Time)>,
    /// What is not followed, as if it were absent.
    horizon: HashSet<Cid>,
    /// Where the history was cut off. Told when all that is kept was given.
    cut: Option<RepoError>,
}

impl<T: Follows> Newest<T> {
    pub(super) fn new(blocks: Arc<dyn BlockRead>) -> Newest<T> {
        let (seen, horizon) = (HashSet::new(), HashSet::new());
        Newest { blocks, waiting: BinaryHeap::new(), seen, given: Vec::new(), horizon, cut: None }
    }

    /// Ends before these.
    pub(super) fn ending_at(mut self, horizon: &HashSet<Cid>) -> Newest<T> {
        self.horizon.clone_from(horizon);
        self
    }

    /// Adds an object to start from.
    pub(super) fn push(&mut self, cid: Cid, object: T) {
        if self.seen.insert(cid) {
            self.waiting.push(Waiting { key: (object.generation(), object.time(), cid), object });
        }
    }

    /// Returns the next object. The walk goes on behind it to those of its parents that `way` picks.
    pub(super) fn advance(
        &mut self,
        way: impl FnOnce(&T, &mut Vec<Cid>),
    ) -> Result<Option<(Cid, T)>, RepoError> {
        for (parent, horizon) in std::mem::take(&mut self.given) {
            if self.seen.contains(&parent) {
                continue;
            }
            let is_out = self.horizon.contains(&parent);
            match if is_out { None } else { self.blocks.get(&parent)? } {
                Some(block) => self.push(parent, decode(&block)?),
                None => {
                    let pruned = RepoError::Pruned { what: T::KIND, cid: parent, horizon };
                    self.cut.get_or_insert(pruned);
                }
            }
        }
        let Some(Waiting { key: (_, time, cid), object }) = self.waiting.pop() else {
            return self.cut.take().map_or(Ok(None), Err);
        };
        let mut parents = object.parents();
        way(&object, &mut parents);
        self.given = parents.into_iter().map(|parent| (parent, time)).collect();
        Ok(Some((cid, object)))
    }
}

struct Waiting<T> {
    key: (u64, Time, Cid),
    object: T,
}

impl<T> PartialEq for Waiting<T> {
    fn eq(&self, other: &Waiting<T>) -> bool {
        self.key == other.key
    }
}

impl<T> Eq for Waiting<T> {}

impl<T> PartialOrd for Waiting<T> {
    fn partial_cmp(&self, other: &Waiting<T>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Waiting<T> {
    fn cmp(&self, other: &Waiting<T>) -> Ordering {
        self.key.cmp(&other.key)
    }
}
