//! Which commits one side lacks, found from both ends: costs how far the two went apart, not how long they are.

use std::collections::{BTreeMap, BinaryHeap, HashSet};

use super::error::SyncError;
use crate::cid::Cid;
use crate::id::CommitId;
use crate::port::BlockRead;
use crate::repo::dag::{DagId, Step};
use crate::repo::error::RepoError;

/// What one side lacks.
#[derive(Debug, Default)]
pub(super) struct Missing {
    /// Each after those that it follows.
    pub(super) commits: Vec<CommitId>,
    /// What of them follows, and is known.
    pub(super) known: HashSet<CommitId>,
    /// Where the history over there ends, though commits follow it.
    pub(super) left_out: HashSet<Cid>,
}

/// Two sides of an exchange.
pub(super) struct Sides<'a> {
    /// Whoever has what is wanted.
    pub(super) there: &'a dyn BlockRead,
    /// What that side may lack.
    pub(super) boundary: &'a HashSet<Cid>,
    /// Whoever lacks it.
    pub(super) here: &'a dyn BlockRead,
}

#[derive(Clone)]
struct Met {
    is_known: bool,
    step: Step<CommitId>,
}

impl Sides<'_> {
    /// Finds the commits that `wanted` reach and `known` do not.
    pub(super) fn missing(&self, wanted: &[CommitId], known: &[CommitId]) -> Result<Missing, SyncError> {
        let mut walk = Walk { sides: self, met: BTreeMap::new(), open: BinaryHeap::new(), wanted: 0 };
        let mut found = Missing::default();
        for id in known {
            walk.know(*id, u64::MAX)?;
        }
        for id in wanted {
            if !walk.want(*id, u64::MAX)? {
                return Err(SyncError::Incomplete { cid: *id.cid(), from: None });
            }
        }
        while walk.wanted > 0 {
            let Some((generation, id)) = walk.open.pop() else { break };
            let Some(Met { is_known, step }) = walk.met.get(&id).cloned() else { continue };
            if is_known {
                step.parents.iter().try_for_each(|parent| walk.know(*parent, generation))?;
                continue;
            }
            walk.wanted -= 1;
            found.commits.push(id);
            for parent in &step.parents {
                if !walk.want(*parent, generation)? {
                    if !self.boundary.contains(parent.cid()) {
                        return Err(SyncError::Incomplete { cid: *parent.cid(), from: Some(*id.cid()) });
                    }
                    found.left_out.insert(*parent.cid());
                }
            }
        }
        found.commits.reverse();
        let parents =
            found.commits.iter().filter_map(|id| walk.met.get(id)).flat_map(|met| &met.step.parents);
        found.known =
            parents.filter(|id| walk.met.get(id).is_some_and(|met| met.is_known)).copied().collect();
        Ok(found)
    }
}

struct Walk<'a> {
    sides: &'a Sides<'a>,
    met: BTreeMap<CommitId, Met>,
    /// Met, but not left yet; a known one may stand here twice.
    open: BinaryHeap<(u64, CommitId)>,
    /// How many of the open ones are wanted.
    wanted: usize,
}

impl Walk<'_> {
    /// Marks what is known. What is not here lies past the boundary: then nothing is known beyond it.
    fn know(&mut self, id: CommitId, below: u64) -> Result<(), SyncError> {
        if let Some(met) = self.met.get_mut(&id) {
            // It is still open: its generation is below that of the child that it is met from.
            self.wanted -= usize::from(!met.is_known);
            met.is_known = true;
            return Ok(());
        }
        if let Some(step) = id.find(self.sides.here)? {
            self.open(id, true, step, below)?;
        }
        Ok(())
    }

    /// Marks what is wanted, unless it is known. Says whether it was found.
    fn want(&mut self, id: CommitId, below: u64) -> Result<bool, SyncError> {
        if self.met.contains_key(&id) {
            return Ok(true);
        }
        let Some(step) = id.find(self.sides.there)? else { return Ok(false) };
        self.open(id, false, step, below)?;
        self.wanted += 1;
        Ok(true)
    }

    /// The order of the walk holds only if generations fall on the way back, so that is checked: histories come from
    /// others.
    fn open(
        &mut self,
        id: CommitId,
        is_known: bool,
        step: Step<CommitId>,
        below: u64,
    ) -> Result<(), RepoError> {
        crate::repo::dag::check_below(id, step.generation, below)?;
        self.open.push((step.generation, id));
        self.met.insert(id, Met { is_known, step });
        Ok(())
    }
}
