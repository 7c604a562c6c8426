//! Compares stored rows with what follows from the commits.

use super::record::Recorder;
use super::rows::{CommitRow, Rows, Segment};
use crate::cid::Cid;
use crate::id::CommitId;
use crate::port::{BlockRead, Namespace, Row, SideTable};
use crate::repo::error::RepoError;
use crate::tree::TreeStore;

/// How many rows are kept in memory in the place of stored ones. Beyond that what rests on them is not compared.
const INSTEAD_MAX: usize = 4096;

/// What a stored row is.
#[derive(Debug)]
pub(in crate::repo) enum RowState {
    /// Not there, or nothing that can be compared.
    Unknown,
    /// As it should be.
    Sound,
    /// It says something else than the commits. These rows say what they say.
    Wrong(Vec<Row>),
}

/// Compares rows, those of ancestors first.
pub(in crate::repo) struct HistoryCheck<'a> {
    rows: Rows<'a>,
    recorder: Recorder<'a>,
}

impl<'a> HistoryCheck<'a> {
    /// `trees` reads over `blocks`; `empty` is the root of the empty map.
    pub(in crate::repo) fn new(
        namespace: &'a Namespace,
        table: &'a dyn SideTable,
        blocks: &'a dyn BlockRead,
        trees: TreeStore,
        empty: Cid,
    ) -> HistoryCheck<'a> {
        let rows = Rows { namespace, table };
        let recorder = Recorder::new(rows.clone(), blocks, trees, empty);
        HistoryCheck { rows, recorder }
    }

    /// Compares the row of a commit. An error means that what it is made of cannot be read.
    pub(in crate::repo) fn check(&mut self, commit: CommitId) -> Result<RowState, RepoError> {
        let stored = self.rows.get(commit)?;
        let sums_up = stored.as_ref().is_some_and(|row| row.segment.is_some());
        // What a merge brings is summed up by whoever had the time; where nobody did, there is nothing to compare.
        self.recorder.look_at(if sums_up { usize::MAX } else { 0 });
        self.recorder.make(commit)?;
        let (Some(made), kept) = self.recorder.made(commit) else { return Ok(RowState::Unknown) };
        let Some(stored) = stored else {
            if kept > INSTEAD_MAX {
                self.recorder.forget(commit);
            }
            return Ok(RowState::Unknown);
        };
        if self.is_alike(commit, &stored, made)? {
            if stored.segment.is_some() || kept > INSTEAD_MAX {
                self.recorder.forget(commit);
            }
            return Ok(RowState::Sound);
        }
        // Kept: what rests on it is compared with the right one.
        Ok(RowState::Wrong(self.rows.make(commit, made)))
    }

    fn is_alike(&self, commit: CommitId, stored: &CommitRow, made: &CommitRow) -> Result<bool, RepoError> {
        let is_own = stored.parents == made.parents && stored.skip == made.skip && stored.own == made.own;
        let segments = match (&stored.segment, &made.segment) {
            (Some(stored), Some(made)) => self.is_segment(commit, stored, made)?,
            _ => true,
        };
        Ok(is_own && segments)
    }

    fn is_segment(&self, commit: CommitId, stored: &Segment, made: &Segment) -> Result<bool, RepoError> {
        if stored.since != made.since || stored.bits != made.bits {
            return Ok(false);
        }
        // Parts that are missing say nothing, and nothing wrong.
        let (stored, made) = (self.rows.prints(commit, stored)?, self.rows.prints(commit, made)?);
        Ok(stored.is_none_or(|stored| Some(stored) == made))
    }

    /// Walks the rows that say nothing at all, and counts all rows.
    pub(in crate::repo) fn torn(&self, each: impl FnMut(Row)) -> Result<u64, RepoError> {
        self.rows.torn(each)
    }
}
