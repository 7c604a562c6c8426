//! What became of one entity, commit by commit: its versions, who made them, and when.
//!
//! A commit touches an entity if it has it otherwise than every parent. So of a merge, what comes from one side is no
//! touch of the merge: it is one of the commit on that side.
//!
//! Invariants
//!  H1  The answer is a function of the commits behind the snapshot. Rows of the side table (FORMAT.md, "History rows")
//!      make it cheap; any of them may be missing.
//!  H2  A row is made of commits that are there, and never changes: commits do not.
//!
//! Used by: [`Snapshot`] (questions), `Transaction` (rows of what it commits).

mod blame;
mod prints;
mod record;
mod rows;
mod touched;
mod verify;
mod version;
mod walk;

use std::ops::{Bound, Range, RangeBounds};
use std::sync::Arc;

use super::dag::read_ancestor;
use super::entity::Entity;
use super::error::RepoError;
use super::handle::Repo;
use super::read::read;
use super::shared::Shared;
use super::snapshot::Snapshot;
use super::state::State;
use crate::id::CommitId;
use crate::object::{Commit, Time};
use crate::port::{BlockRead, Row};
use crate::staged::Staged;
use record::Recorder;
use rows::Rows;
use version::Versions;
use walk::{OfEntity, Touch, Within};

pub use blame::Blame;
pub(super) use rows::{ROWS, side};
pub(super) use verify::{HistoryCheck, RowState};
pub use version::{Version, Writer};

impl Snapshot {
    /// Walks the versions of a node or edge, newest first: one for each commit behind this state that has it otherwise
    /// than every parent, its removal included. Follows all parents of merges. Lazy: what is not taken is not read.
    pub fn history<E: Entity>(&self, id: E) -> History {
        self.versions(id, ..)
    }

    /// Walks the versions that were made in a span of time, newest first.
    pub fn versions<E: Entity>(&self, id: E, span: impl RangeBounds<Time>) -> History {
        History::new(self, span, |snapshot, _| Box::new(OfEntity::new(snapshot, id.into())))
    }

    /// Walks all that was touched in a span of time: newest commits first, in each nodes, then edges, by id.
    pub fn changed_between(&self, span: impl RangeBounds<Time>) -> History {
        History::new(self, span, |snapshot, span| Box::new(Within::new(snapshot, span)))
    }

    /// Returns who touched a node or edge last, its removal included; `None` if it was never there.
    pub fn last_modified<E: Entity>(&self, id: E) -> Result<Option<Writer>, RepoError> {
        let Some(touch) = OfEntity::new(self, id.into()).next() else { return Ok(None) };
        Versions::new(self).writer(touch?.commit).map(Some)
    }

    /// Returns who wrote each field of a node or edge last; `None` if it is not there.
    pub fn blame<E: Entity>(&self, id: E) -> Result<Option<Blame>, RepoError> {
        blame::blame(self, id)
    }

    /// Reads a commit behind this one.
    fn ancestor(&self, id: CommitId) -> Result<Commit, RepoError> {
        let blocks = &*self.state.blocks;
        match &self.at {
            Some(at) => read_ancestor(blocks, id, &at.commit),
            None => read(blocks, id.cid()),
        }
    }
}

impl Repo {
    /// Makes the rows that are missing of the commits behind a state, and returns how many commits that were. Commits
    /// made here have theirs; those that came from elsewhere answer slower until this is done.
    pub fn reindex_history(&self, of: &Snapshot) -> Result<u64, RepoError> {
        reindex(of)
    }
}

/// Versions, newest first. Ends after its first error.
pub struct History {
    span: Range<Time>,
    versions: Versions,
    touches: Option<Touches>,
}

type Touches = Box<dyn Iterator<Item = Result<Touch, RepoError>> + Send>;

impl History {
    fn new(
        snapshot: &Snapshot,
        span: impl RangeBounds<Time>,
        touches: impl FnOnce(&Snapshot, Range<Time>) -> Touches,
    ) -> History {
        let span = half_open(&span);
        History { versions: Versions::new(snapshot), touches: Some(touches(snapshot, span.clone())), span }
    }

    fn advance(&mut self) -> Result<Option<Version>, RepoError> {
        let Some(touches) = &mut self.touches else { return Ok(None) };
        for touch in touches {
            let touch = touch?;
            if touch.time < self.span.start {
                break;
            }
            if touch.time < self.span.end {
                return self.versions.version(touch.commit, touch.touched).map(Some);
            }
        }
        Ok(None)
    }
}

impl Iterator for History {
    type Item = Result<Version, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.touches = None;
        }
        next
    }
}

/// No commit has the last time there is: its successor could not be younger.
fn half_open(span: &impl RangeBounds<Time>) -> Range<Time> {
    let after = |time: &Time| time.checked_add(1).unwrap_or(Time::MAX);
    let start = match span.start_bound() {
        Bound::Included(time) => *time,
        Bound::Excluded(time) => after(time),
        Bound::Unbounded => Time::MIN,
    };
    let end = match span.end_bound() {
        Bound::Included(time) => after(time),
        Bound::Excluded(time) => *time,
        Bound::Unbounded => Time::MAX,
    };
    start..end
}

/// Makes the rows of a commit that is about to be published.
pub(super) fn record(
    shared: &Shared,
    state: &State,
    commit: CommitId,
    staged: &Arc<Staged>,
) -> Result<Vec<Row>, RepoError> {
    let blocks = Arc::clone(staged) as Arc<dyn BlockRead>;
    let trees = state.trees.over(Arc::clone(&blocks));
    let mut recorder = Recorder::new(Rows::of(shared), &*blocks, trees, shared.empty_root);
    recorder.record(commit)?;
    Ok(recorder.take())
}

/// How many commits are worked on between writes.
const COMMITS_AT_ONCE: usize = 256;

fn reindex(of: &Snapshot) -> Result<u64, RepoError> {
    let Snapshot { shared, state, .. } = of;
    let rows = Rows::of(shared);
    let recorder = Recorder::new(rows, &*state.blocks, state.trees.clone(), shared.empty_root);
    let mut recorder = recorder.unbounded();
    let missing = recorder.missing(of.commit_id())?;
    for some in missing.chunks(COMMITS_AT_ONCE) {
        some.iter().try_for_each(|commit| recorder.make(*commit))?;
        shared.store.put_rows(&recorder.take()).map_err(side)?;
    }
    Ok(u64::try_from(missing.len()).unwrap_or(u64::MAX))
}

impl<'a> Rows<'a> {
    fn of(shared: &'a Shared) -> Rows<'a> {
        Rows { namespace: &shared.options.namespace, table: &*shared.store }
    }
}
