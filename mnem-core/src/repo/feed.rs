//! Following what changes: a feed of nodes and edges that can be laid down and taken up, and a watch on one state.
//!
//! A feed is the difference of two states: where its reader stands, and the present one when it asked. So an undo arrives
//! as the opposite change, a merge once, and what came and went between two questions not at all. A token names both
//! states by the heads that they were read from, which everyone unites alike, and the last change that was given:
//! whoever takes it up goes on behind that change, in the same difference.
//!
//! Invariants
//!  F1  What a reader has applied, up to any token, is the state at `from`, and of the way to the state at `to` what lies
//!      up to `after`. So nothing is missed and nothing comes twice, whatever others do in between.
//!  F2  A poll that fails leaves the token where it was.
//!
//! Threads: none. Nobody is woken: who wants to wait asks again after a while.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::change::Change;
use super::diff::{Diff, Only};
use super::error::RepoError;
use super::handle::Repo;
use super::operations::operations;
use super::resolve::IntoRevision;
use super::revision::Revision;
use super::snapshot::Snapshot;
use super::state::State;
use crate::id::{EdgeId, EntityId, NodeId, OperationId};

/// Where a reader of a feed stands. Its text is made to be stored with what the reader derives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FeedToken {
    branch: Option<Box<str>>,
    /// The state that was read to its end; none before the first.
    from: Vec<OperationId>,
    /// The state that is being read; none between two.
    to: Vec<OperationId>,
    /// What was given of it last.
    after: Option<EntityId>,
}

impl FeedToken {
    /// Before everything: the first poll gives all that is there.
    pub const START: FeedToken = FeedToken { branch: None, from: Vec::new(), to: Vec::new(), after: None };
}

/// One change, and the state that it led to.
#[derive(Clone, Debug)]
pub struct Event {
    /// The change.
    pub change: Change,
    /// The state that shows it. Of the events of one difference all have the same.
    pub snapshot: Snapshot,
}

impl Event {
    /// Returns which node or edge it is.
    pub fn entity(&self) -> EntityId {
        self.change.entity()
    }
}

impl Repo {
    /// Follows the branch from where a reader stands.
    pub fn changes(&self, since: &FeedToken) -> Result<Feed, RepoError> {
        if since.branch.as_ref().is_some_and(|branch| **branch != *self.branch) {
            return Err(RepoError::BadToken { why: "it is of another branch" });
        }
        Ok(Feed { repo: self.clone(), token: since.clone(), only: Vec::new(), reading: None })
    }

    /// Returns the token of a reader who knows all that is there now.
    pub fn feed_token(&self) -> Result<FeedToken, RepoError> {
        let from = self.state()?.heads.clone();
        Ok(FeedToken { branch: Some((*self.branch).into()), from, ..FeedToken::START })
    }

    /// Follows one node or edge from now on.
    pub fn watch_entity(&self, entity: impl Into<EntityId>) -> Result<Feed, RepoError> {
        Ok(self.changes(&self.feed_token()?)?.only(entity.into()))
    }

    /// Follows one state from now on, such as a branch of which others commit.
    pub fn watch(&self, spec: impl IntoRevision) -> Result<Watch, RepoError> {
        let spec = spec.into_revision()?;
        let last = self.there(&spec)?;
        Ok(Watch { repo: self.clone(), spec, last })
    }

    /// Returns the state that is meant, if there is one.
    fn there(&self, spec: &Revision) -> Result<Option<Snapshot>, RepoError> {
        match self.at(spec) {
            Ok(found) => Ok(Some(found).filter(|found| found.commit_id().is_some())),
            Err(
                RepoError::Unknown { .. } | RepoError::BeforeTheFirst { .. } | RepoError::NothingBy { .. },
            ) => Ok(None),
            Err(why) => Err(why),
        }
    }
}

/// The changes of a branch, as far as they were asked for.
#[must_use = "a feed gives nothing until it is polled"]
pub struct Feed {
    repo: Repo,
    token: FeedToken,
    only: Vec<Only>,
    reading: Option<(Diff, Snapshot)>,
}

impl Feed {
    /// Leaves out everything else. Called again, it leaves what both have in common.
    pub fn only(mut self, what: impl Into<Only>) -> Feed {
        self.only.push(what.into());
        self.reading = None;
        self
    }

    /// Returns where the reader stands, once it has applied all that was given.
    pub fn token(&self) -> &FeedToken {
        &self.token
    }

    /// Returns what changed, at most so many at once: fewer if there is no more now. Never waits.
    pub fn poll(&mut self, at_most: usize) -> Result<Vec<Event>, RepoError> {
        let before = self.token.clone();
        let events = self.collect(at_most);
        if events.is_err() {
            self.token = before;
            self.reading = None;
        }
        events
    }

    /// Says whether the branch has moved on, or something of its last move is left to give. Cheaper than a poll; one that
    /// follows may find nothing that is asked for.
    pub fn is_behind(&self) -> Result<bool, RepoError> {
        if !self.token.to.is_empty() {
            return Ok(true);
        }
        let state = self.repo.state()?;
        Ok(state.heads != self.token.from && self.now(&state)? != self.then(&state)?.commit_id())
    }

    fn collect(&mut self, at_most: usize) -> Result<Vec<Event>, RepoError> {
        let mut events = Vec::new();
        while events.len() < at_most {
            if self.reading.is_none() && !self.aim()? {
                break;
            }
            let Some((diff, to)) = &mut self.reading else { break };
            match diff.next().transpose()? {
                Some(change) => {
                    self.token.after = Some(change.entity());
                    events.push(Event { change, snapshot: to.clone() });
                }
                None => {
                    self.token.from = std::mem::take(&mut self.token.to);
                    self.token.after = None;
                    self.reading = None;
                }
            }
        }
        Ok(events)
    }

    /// Finds the difference to read. There is none if nothing was committed since.
    fn aim(&mut self) -> Result<bool, RepoError> {
        let now = self.repo.state()?;
        let from = self.then(&now)?;
        let state = if self.token.to.is_empty() { now } else { self.state_of(&now, &self.token.to)? };
        let commit = state.branch_tip(&self.repo.branch)?;
        self.token.branch = Some((*self.repo.branch).into());
        if commit == from.commit_id() && self.token.to.is_empty() {
            // Other names may have moved: standing at the newest heads keeps the token from growing old.
            self.token.from.clone_from(&state.heads);
            return Ok(false);
        }
        self.token.to.clone_from(&state.heads);
        let to = self.repo.snapshot(state, commit)?;
        let mut diff = from.diff_to(&to);
        for only in &self.only {
            diff = diff.only(only.clone());
        }
        if let Some(after) = self.token.after {
            diff = diff.after(after);
        }
        self.reading = Some((diff, to));
        Ok(true)
    }

    fn now(&self, state: &State) -> Result<Option<crate::id::CommitId>, RepoError> {
        state.branch_tip(&self.repo.branch)
    }

    /// The state that was read to its end.
    fn then(&self, now: &Arc<State>) -> Result<Snapshot, RepoError> {
        if self.token.from.is_empty() {
            return self.repo.snapshot(Arc::clone(now), None);
        }
        let state = self.state_of(now, &self.token.from)?;
        let commit = state.branch_tip(&self.repo.branch)?;
        self.repo.snapshot(state, commit)
    }

    fn state_of(&self, now: &Arc<State>, heads: &[OperationId]) -> Result<Arc<State>, RepoError> {
        if now.heads == heads {
            return Ok(Arc::clone(now));
        }
        for head in heads {
            if now.block(head.cid())?.is_none() {
                return Err(gone(now, *head));
            }
        }
        Ok(Arc::new(self.repo.shared.state_of(heads.to_vec())?))
    }
}

/// A head that is not there was pruned, if older operations were; else it was never here.
fn gone(now: &State, head: OperationId) -> RepoError {
    let walk = || -> Result<(), RepoError> {
        let mut newest = operations(now)?;
        while newest.advance(|_, _| {})?.is_some() {}
        Ok(())
    };
    match walk() {
        Err(RepoError::Pruned { what, horizon, .. }) => RepoError::Pruned { what, cid: *head.cid(), horizon },
        Err(other) => other,
        Ok(()) => RepoError::BadToken { why: "it is of another repository" },
    }
}

/// One state, looked at again and again.
pub struct Watch {
    repo: Repo,
    spec: Revision,
    last: Option<Snapshot>,
}

/// What a watch saw: where it was, and where it is now; `None` where there is no such state.
pub type Turn = (Option<Snapshot>, Option<Snapshot>);

impl Watch {
    /// Returns what it is now and what it was, if that differs since the last time. Never waits.
    pub fn poll(&mut self) -> Result<Option<Turn>, RepoError> {
        let now = self.repo.there(&self.spec)?;
        let id = |of: &Option<Snapshot>| of.as_ref().and_then(Snapshot::commit_id);
        if id(&now) == id(&self.last) {
            return Ok(None);
        }
        Ok(Some((std::mem::replace(&mut self.last, now.clone()), now)))
    }
}

/// First word of the text of a token.
const VERSION: &str = "feed1";

/// `feed1:FROM:TO:AFTER:BRANCH`; several ids with `+` between them.
impl fmt::Display for FeedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(VERSION)?;
        for heads in [&self.from, &self.to] {
            f.write_str(":")?;
            for (index, head) in heads.iter().enumerate() {
                write!(f, "{}{head}", if index > 0 { "+" } else { "" })?;
            }
        }
        match self.after {
            None => f.write_str(":")?,
            Some(EntityId::Node(id)) => write!(f, ":n{id}")?,
            Some(EntityId::Edge(id)) => write!(f, ":e{id}")?,
        }
        write!(f, ":{}", self.branch.as_deref().unwrap_or_default())
    }
}

impl FromStr for FeedToken {
    type Err = RepoError;

    fn from_str(text: &str) -> Result<FeedToken, RepoError> {
        let refused = || RepoError::BadToken { why: "it is no text of a token" };
        let parts: Vec<&str> = text.split(':').collect();
        let [VERSION, from, to, after, branch] = parts[..] else { return Err(refused()) };
        let heads = |text: &str| -> Result<Vec<OperationId>, RepoError> {
            let ids = text.split('+').filter(|_| !text.is_empty());
            ids.map(|id| id.parse().map_err(|_| refused())).collect()
        };
        let after = match after.split_at_checked(1) {
            None => None,
            Some(("n", id)) => Some(EntityId::Node(id.parse::<NodeId>().map_err(|_| refused())?)),
            Some(("e", id)) => Some(EntityId::Edge(id.parse::<EdgeId>().map_err(|_| refused())?)),
            Some(_) => return Err(refused()),
        };
        let branch = Some(branch).filter(|name| !name.is_empty()).map(Into::into);
        let token = FeedToken { branch, from: heads(from)?, to: heads(to)?, after };
        // Behind nothing there is nothing to go on behind.
        let is_whole = (token.after.is_none() || !token.to.is_empty())
            && (token.branch.is_some() || token == FeedToken::START);
        if is_whole { Ok(token) } else { Err(refused()) }
    }
}
