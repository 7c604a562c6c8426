//! Which operations are kept, and where the log ends since the others went.
//!
//! Bytes: FORMAT.md, "Horizon". It is written before anything goes, by an operation of its own; so whoever reads the
//! names after that knows where the log ends, and does not look behind it even while something is there.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::Retention;
use crate::cid::Cid;
use crate::codec::{Reader, Writer};
use crate::id::OperationId;
use crate::object::{Operation, Time};
use crate::port::BlockRead;
use crate::repo::error::{RepoError, damaged_key};
use crate::repo::newest::Newest;
use crate::repo::operations;
use crate::repo::state::State;
use crate::staged::Staged;
use crate::tree::{Edit, KeyRange, Order, TreeStore};

const PREFIX: &[u8] = b"h/";
const OLDEST: &[u8] = b"h";

/// How many places are remembered where the log ended.
const PLACES_MAX: usize = 4096;

/// Says whether a setting is part of the horizon. It belongs to the store's log, and is never taken back.
pub(in crate::repo) fn is_key(key: &[u8]) -> bool {
    key == OLDEST || key.starts_with(PREFIX)
}

/// Reads which operations the log of a view ends before.
pub(in crate::repo) fn read(trees: &TreeStore, config: Cid) -> Result<HashSet<Cid>, RepoError> {
    Ok(recorded(trees, config)?.into_keys().collect())
}

/// The same, each with the time of the oldest operation that was kept when it was recorded.
fn recorded(trees: &TreeStore, config: Cid) -> Result<HashMap<Cid, i64>, RepoError> {
    let entries = trees.tree(config).range(KeyRange::prefix(PREFIX), Order::Ascending);
    let read = |key: &[u8], value: &[u8]| {
        let cid = Cid::from_bytes(key.get(PREFIX.len()..)?).ok()?;
        Some((cid, Reader::new(value).int().ok()?))
    };
    entries
        .map(|entry| {
            let entry = entry?;
            read(&entry.key, &entry.value).ok_or_else(damaged_key)
        })
        .collect()
}

/// The oldest operation that was kept when the horizon was last moved: its generation and its time.
pub(super) fn oldest(state: &State) -> Result<(u64, Time), RepoError> {
    let first = (1, Time::MIN);
    let Some(value) = state.trees.tree(state.view.config).get(OLDEST)? else { return Ok(first) };
    let mut reader = Reader::new(&value);
    let read = reader.list().and_then(|_| Ok((reader.uint()?, reader.int()?))).ok();
    Ok(read.and_then(|(generation, time)| Some((generation, Time::from_micros(time)?))).unwrap_or(first))
}

/// What becomes of the log.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Those that go, though they are there.
    pub(super) expired: HashSet<Cid>,
    /// Those that what is kept follows, and that are not kept: there or not.
    pub(super) horizon: BTreeSet<Cid>,
    /// Generation and time of the last of those that stay.
    pub(super) oldest: Option<(u64, Time)>,
}

struct Met {
    cid: Cid,
    generation: u64,
    time: Time,
    parents: Vec<OperationId>,
}

/// Finds out which operations behind a state are kept, some at a time.
pub(super) struct Looking {
    newest: Newest<Operation>,
    met: Vec<Met>,
    /// Heads, and what leases are on: these stay, and the way from the head to them.
    pinned: HashSet<Cid>,
    #[expect(dead_code, reason = "its lease keeps what is looked at")]
    state: State,
}

impl Looking {
    pub(super) fn new(state: State, pinned: HashSet<Cid>) -> Result<Looking, RepoError> {
        Ok(Looking { newest: operations::operations(&state)?, met: Vec::new(), pinned, state })
    }

    pub(super) fn len(&self) -> usize {
        self.met.len()
    }

    /// Reads so many operations. Says whether that was all.
    pub(super) fn step(&mut self, count: usize) -> Result<bool, RepoError> {
        for _ in 0..count {
            match self.newest.advance(|_, _| {}) {
                Ok(Some((cid, it))) => {
                    self.met.push(Met { cid, generation: it.generation, time: it.time, parents: it.parents });
                }
                Ok(None) | Err(RepoError::Pruned { .. }) => return Ok(true), // told when all that is there was given
                Err(why) => return Err(why),
            }
        }
        Ok(false)
    }

    /// Decides: the newest are kept, by count or by age, whichever are more, and all on a path between two that are.
    pub(super) fn decide(&self, retention: &Retention, now: Time) -> Kept {
        let by_age = |time: Time| now.micros_since(time) <= retention.micros();
        let count = usize::try_from(retention.operations).unwrap_or(usize::MAX).max(1);
        let mut is_kept: HashMap<Cid, bool> = HashMap::with_capacity(self.met.len());
        // Oldest first: what follows a kept one leads from it to the head.
        for (age, met) in self.met.iter().enumerate().rev() {
            let follows = met.parents.iter().any(|parent| is_kept.get(parent.cid()) == Some(&true));
            let is_pinned = self.pinned.contains(&met.cid);
            is_kept.insert(met.cid, follows || is_pinned || age < count || by_age(met.time));
        }
        let mut kept = Kept::default();
        for met in &self.met {
            if is_kept.get(&met.cid) != Some(&true) {
                kept.expired.insert(met.cid);
                continue;
            }
            kept.oldest = Some((met.generation, met.time));
            let gone = |parent: &&OperationId| is_kept.get(parent.cid()) != Some(&true);
            kept.horizon.extend(met.parents.iter().filter(gone).map(|parent| *parent.cid()));
        }
        kept
    }
}

impl Kept {
    /// Returns the settings with this horizon added. Where the log ended before stays: somebody may be about to publish
    /// what follows an operation between the two. Of very many places those that were recorded first go.
    pub(super) fn write(&self, state: &State, staged: &Arc<Staged>) -> Result<Cid, RepoError> {
        let trees = state.trees.over(Arc::clone(staged) as Arc<dyn BlockRead>);
        let now = self.oldest.map_or(0, |(_, time)| time.micros());
        let mut known = recorded(&trees, state.view.config)?;
        let new: Vec<Cid> = self.horizon.iter().filter(|cid| !known.contains_key(cid)).copied().collect();
        known.extend(new.iter().map(|cid| (*cid, now)));
        let mut by_age: Vec<(i64, Cid)> = known.into_iter().map(|(cid, since)| (since, cid)).collect();
        by_age.sort_unstable();
        let gone = by_age.len().saturating_sub(PLACES_MAX);
        let key = |cid: &Cid| [PREFIX, &cid.to_bytes()].concat();
        let mut edits: Vec<_> = by_age[..gone].iter().map(|(_, cid)| (key(cid), None)).collect();
        edits.extend(by_age[gone..].iter().filter(|(_, cid)| new.contains(cid)).map(|(since, cid)| {
            let mut writer = Writer::new();
            writer.int(*since);
            (key(cid), Some(writer.into_bytes().into()))
        }));
        if let Some((generation, time)) = self.oldest {
            let mut writer = Writer::new();
            writer.list(2);
            writer.uint(generation);
            writer.int(time.micros());
            edits.push((OLDEST.to_vec(), Some(writer.into_bytes().into())));
        }
        edits.sort_unstable();
        let edits = edits.into_iter().map(|(key, value)| Edit { key: key.into(), value });
        Ok(*trees.tree(state.view.config).mutate(edits, &mut Arc::clone(staged))?.root())
    }
}
