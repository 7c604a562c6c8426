//! The commits behind a state: walking them, finding one by distance or by time, and what two have in common.

use std::collections::BTreeSet;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use super::dag;
use super::error::RepoError;
use super::handle::Repo;
use super::newest::Newest;
use super::read::read;
use super::resolve::IntoRevision;
use super::snapshot::Snapshot;
use super::state::State;
use crate::id::{ActorId, CommitId};
use crate::object::{Commit, Time};

impl Repo {
    /// Walks the commits behind a state, newest first: a commit before those that it follows.
    pub fn log(&self, from: &Snapshot) -> Log {
        Log {
            newest: Newest::new(Arc::clone(&from.state.blocks)),
            from: from.at.as_ref().map(|at| (at.id, at.commit.clone())),
            first_parents: false,
            actors: None,
            after: Bound::Unbounded,
            until: Bound::Unbounded,
            ended: false,
            state: Arc::clone(&from.state),
        }
    }

    /// Returns the state so many commits back along first parents, if the history is that long.
    pub fn back(&self, from: &Snapshot, count: u64) -> Result<Option<Snapshot>, RepoError> {
        let Some(at) = &from.at else { return Ok(None) };
        let Some(depth) = at.commit.depth.checked_sub(count) else { return Ok(None) };
        let found = dag::at_depth(&*from.state.blocks, at.id, depth)?;
        found.map(|commit| self.snapshot(Arc::clone(&from.state), Some(commit))).transpose()
    }

    /// Returns the last state along first parents that was committed by `time`, if there is one.
    pub fn as_of(&self, from: &Snapshot, time: Time) -> Result<Option<Snapshot>, RepoError> {
        let Some(at) = &from.at else { return Ok(None) };
        let found = dag::made_by(&*from.state.blocks, at.id, time)?;
        found.map(|commit| self.snapshot(Arc::clone(&from.state), Some(commit))).transpose()
    }

    /// Returns the best common ancestors of two states: those that no other common ancestor follows. There are several
    /// where histories crossed, and none where they never met. One that the other follows is the only one.
    pub fn merge_bases(
        &self,
        left: impl IntoRevision,
        right: impl IntoRevision,
    ) -> Result<Vec<CommitId>, RepoError> {
        let (left, right) = (left.into_revision()?, right.into_revision()?);
        let state = self.state()?;
        let (left, right) = (self.resolve_in(&state, &left)?, self.resolve_in(&state, &right)?);
        dag::merge_bases(&*state.blocks, &[left], &[right])
    }

    /// Says whether `ancestor` is `descendant` or comes before it.
    pub fn is_ancestor(
        &self,
        ancestor: impl IntoRevision,
        descendant: impl IntoRevision,
    ) -> Result<bool, RepoError> {
        let (ancestor, descendant) = (ancestor.into_revision()?, descendant.into_revision()?);
        let state = self.state()?;
        let (older, newer) = (self.resolve_in(&state, &ancestor)?, self.resolve_in(&state, &descendant)?);
        dag::is_ancestor(&*state.blocks, older, newer)
    }
}

/// Commits, newest first. Ends after its first error; where older history was cut off, with
/// [`Pruned`](RepoError::Pruned). For the first few, take no more of them.
#[must_use = "a log reads nothing until it is walked"]
pub struct Log {
    newest: Newest<Commit>,
    /// Where it starts, until it has.
    from: Option<(CommitId, Commit)>,
    first_parents: bool,
    actors: Option<BTreeSet<ActorId>>,
    after: Bound<Time>,
    until: Bound<Time>,
    ended: bool,
    /// Keeps what is walked.
    state: Arc<State>,
}

impl Log {
    /// Goes along first parents only: the line of the branch, without what was merged into it.
    pub fn first_parents(mut self) -> Log {
        self.first_parents = true;
        self
    }

    /// Leaves out what others did. Called again, it adds another actor.
    pub fn by(mut self, actor: ActorId) -> Log {
        self.actors.get_or_insert_default().insert(actor);
        self
    }

    /// Leaves out commits of other times. Along first parents what is too new is skipped, not walked.
    pub fn between(mut self, times: impl RangeBounds<Time>) -> Log {
        (self.after, self.until) = (times.start_bound().cloned(), times.end_bound().cloned());
        self
    }

    fn start(&mut self, (id, commit): (CommitId, Commit)) -> Result<(), RepoError> {
        let blocks = &*self.state.blocks;
        let newest = match self.until {
            Bound::Included(time) => Some(time),
            Bound::Excluded(time) => time.checked_add(-1),
            Bound::Unbounded => None,
        };
        match newest {
            Some(time) if self.first_parents && commit.time > time => {
                if let Some(found) = dag::made_by(blocks, id, time)? {
                    let commit = read(blocks, found.cid())?;
                    self.newest.push(*found.cid(), commit);
                }
            }
            _ => self.newest.push(*id.cid(), commit),
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<Option<(CommitId, Commit)>, RepoError> {
        if let Some(from) = self.from.take() {
            self.start(from)?;
        }
        let (first_parents, after) = (self.first_parents, self.after);
        loop {
            let next = self.newest.advance(|commit, parents| {
                if !is_after(&after, commit.time) {
                    parents.clear(); // older still
                } else if first_parents {
                    parents.truncate(1);
                }
            })?;
            let Some((cid, commit)) = next else { return Ok(None) };
            let by_one_of_them = self.actors.as_ref().is_none_or(|actors| actors.contains(&commit.actor));
            if by_one_of_them && (self.after, self.until).contains(&commit.time) {
                return Ok(Some((CommitId::new(cid), commit)));
            }
        }
    }
}

fn is_after(bound: &Bound<Time>, time: Time) -> bool {
    (*bound, Bound::Unbounded).contains(&time)
}

impl Iterator for Log {
    type Item = Result<(CommitId, Commit), RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.advance().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

impl std::iter::FusedIterator for Log {}
