//! The commits behind a state: walking them, and finding one by distance or by time.

use std::sync::Arc;

use super::dag;
use super::error::RepoError;
use super::handle::Repo;
use super::read::read;
use super::snapshot::Snapshot;
use super::state::State;
use crate::id::CommitId;
use crate::object::{Commit, Time};
use crate::port::BlockRead;

impl Repo {
    /// Walks the commits behind a state, newest first along first parents.
    pub fn log(&self, from: &Snapshot) -> Log {
        Log {
            blocks: Arc::clone(&from.state.blocks),
            next: from.commit_id(),
            _state: Arc::clone(&from.state),
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
}

/// Commits along first parents, newest first. Ends after its first error.
pub struct Log {
    blocks: Arc<dyn BlockRead>,
    next: Option<CommitId>,
    /// Keeps what is walked.
    _state: Arc<State>,
}

impl Iterator for Log {
    type Item = Result<(CommitId, Commit), RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        let id = self.next.take()?;
        let commit: Result<Commit, RepoError> = read(&*self.blocks, id.cid());
        if let Ok(commit) = &commit {
            self.next = commit.parents.first().copied();
        }
        Some(commit.map(|commit| (id, commit)))
    }
}
