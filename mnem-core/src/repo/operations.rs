//! The operation log: who moved which names, when, and from where to where.

use std::fmt;
use std::sync::Arc;

use super::error::RepoError;
use super::handle::Repo;
use super::newest::Newest;
use super::read::{decode, read};
use super::refs::{NameKind, RefKind, Target};
use super::state::State;
use crate::cid::Cid;
use crate::id::{CommitId, OperationId};
use crate::object::{Commit, Operation, OperationKind, View};
use crate::tree::{KeyRange, Order};

/// One operation of the log, with what it did to the names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Which operation.
    pub id: OperationId,
    /// What is recorded of it.
    pub operation: Operation,
    /// The names that it moved; of one that united others, against the first of them.
    pub moved: Moved,
    /// Of an operation that made a commit, the message.
    pub message: Option<Arc<str>>,
}

impl Recorded {
    /// Says in a few words what was done.
    pub fn summary(&self) -> String {
        match (&self.operation.kind, &self.message) {
            (OperationKind::Commit, Some(message)) if !message.is_empty() => message.to_string(),
            (OperationKind::Merge, _) => format!("unite {} operations", self.operation.parents.len()),
            (OperationKind::Restore { to }, _) => format!("restore {}", to.short()),
            (OperationKind::Revert { of }, _) => format!("revert {}", of.short()),
            (OperationKind::Undo { of }, _) => format!("undo {}", of.short()),
            (OperationKind::Redo { of }, _) => format!("redo {}", of.short()),
            (OperationKind::Refs, _) if !self.moved.names.is_empty() => self.moved.to_string(),
            (kind, _) => kind.name().to_owned(),
        }
    }
}

/// What differs between the names of two moments: branches, tags, names of other repositories, each in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// The names that differ.
    pub names: Vec<NameChange>,
}

/// A name that was made, moved or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameChange {
    /// What kind of name.
    pub kind: RefKind,
    /// The name.
    pub name: String,
    /// Where it pointed: nowhere if it was not there, to several commits while sides disagreed.
    pub old: Vec<CommitId>,
    /// Where it points.
    pub new: Vec<CommitId>,
}

/// `branch main b6rjt3wk -> gd5xk2ya`
impl fmt::Display for NameChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |commits: &[CommitId]| {
            let ids: Vec<String> = commits.iter().map(CommitId::short).collect();
            if ids.is_empty() { "none".to_owned() } else { ids.join(" or ") }
        };
        write!(f, "{} {} {} -> {}", self.kind.word(), self.name, shown(&self.old), shown(&self.new))
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.names
            .iter()
            .enumerate()
            .try_for_each(|(index, name)| write!(f, "{}{name}", if index > 0 { ", " } else { "" }))
    }
}

impl Repo {
    /// Walks all operations, newest first: an operation before those that it follows.
    pub fn op_log(&self) -> Result<OpLog, RepoError> {
        let state = self.state()?;
        Ok(OpLog { newest: operations(&state)?, state, ended: false })
    }

    /// Returns which names differ between two operations, and where they pointed and point.
    pub fn op_diff(&self, from: OperationId, to: OperationId) -> Result<Moved, RepoError> {
        let state = self.state()?;
        let view = |id| view_of(&state, &operation(&state, id)?);
        moved(&state, &view(from)?, &view(to)?)
    }

    /// Returns one operation and what it did.
    pub fn op(&self, id: OperationId) -> Result<Recorded, RepoError> {
        let state = self.state()?;
        recorded(&state, id, operation(&state, id)?)
    }
}

/// The operation log. Ends after its first error; where older operations are not kept any more, with
/// [`Pruned`](RepoError::Pruned).
#[must_use = "a log reads nothing until it is walked"]
pub struct OpLog {
    newest: Newest<Operation>,
    state: Arc<State>,
    ended: bool,
}

impl Iterator for OpLog {
    type Item = Result<Recorded, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.newest.advance(|_, _| {}).transpose()?;
        let next = next.and_then(|(cid, operation)| recorded(&self.state, OperationId::new(cid), operation));
        self.ended = next.is_err();
        Some(next)
    }
}

impl std::iter::FusedIterator for OpLog {}

/// Starts a walk over all operations of a state.
pub(super) fn operations(state: &State) -> Result<Newest<Operation>, RepoError> {
    let mut newest = Newest::new(Arc::clone(&state.blocks)).ending_at(state.horizon()?);
    newest.push(*state.operation.cid(), operation(state, state.operation)?);
    Ok(newest)
}

/// Reads an operation that somebody asked for.
pub(super) fn operation(state: &State, id: OperationId) -> Result<Operation, RepoError> {
    let block = state.block(id.cid())?;
    let unknown = || RepoError::Unknown { spec: format!("op:{id}"), similar: Vec::new() };
    decode(&block.ok_or_else(unknown)?)
}

pub(super) fn view_of(state: &State, operation: &Operation) -> Result<View, RepoError> {
    read(&*state.blocks, &operation.view)
}

/// Reads an operation that what is to be written will rest on: it must be kept.
pub(super) fn kept_operation(state: &State, id: OperationId) -> Result<Operation, RepoError> {
    let found = operation(state, id)?;
    let mut newest = operations(state)?;
    loop {
        match newest.advance(|_, _| {}) {
            Ok(Some((cid, _))) if cid == *id.cid() => return Ok(found),
            Ok(Some((_, other))) if other.generation >= found.generation => {}
            Ok(Some((_, other))) => {
                return Err(RepoError::Pruned { what: "operation", cid: *id.cid(), horizon: other.time });
            }
            Ok(None) => return Err(RepoError::Unknown { spec: format!("op:{id}"), similar: Vec::new() }),
            Err(why) => return Err(why),
        }
    }
}

/// Reads the operation that another one follows.
pub(super) fn parent_of(
    state: &State,
    operation: &Operation,
    parent: OperationId,
) -> Result<Operation, RepoError> {
    let is_out = state.horizon()?.contains(parent.cid());
    match if is_out { None } else { state.block(parent.cid())? } {
        Some(block) => decode(&block),
        None => {
            let (what, cid) = ("operation", *parent.cid());
            Err(RepoError::Pruned { what, cid, horizon: operation.time })
        }
    }
}

/// Finds out what an operation did. If what it follows is not kept any more, that is not known: nothing is told.
pub(super) fn recorded(state: &State, id: OperationId, operation: Operation) -> Result<Recorded, RepoError> {
    let view = view_of(state, &operation)?;
    let before = match operation.parents.first() {
        Some(parent) if !state.horizon()?.contains(parent.cid()) => {
            state.block(parent.cid())?.map(|block| decode::<Operation>(&block)).transpose()?
        }
        _ => None,
    };
    let moved = match before {
        Some(before) => moved(state, &view_of(state, &before)?, &view)?,
        None => Moved::default(),
    };
    let made = moved.names.iter().find(|name| name.kind == RefKind::Branch);
    let message = match (&operation.kind, made.map(|name| name.new.as_slice())) {
        (OperationKind::Commit, Some([commit])) => {
            state.block(commit.cid())?.map(|block| decode::<Commit>(&block)).transpose()?.map(|it| it.message)
        }
        _ => None,
    };
    Ok(Recorded { id, operation, moved, message })
}

fn moved(state: &State, from: &View, to: &View) -> Result<Moved, RepoError> {
    let mut names = Vec::new();
    for (from, to, is_remote) in [(from.refs, to.refs, false), (from.remotes, to.remotes, true)] {
        let trees = &state.trees;
        for change in trees.tree(from).diff(&trees.tree(to), KeyRange::ALL, Order::Ascending) {
            let change = change?;
            let Some((kind, name)) = NameKind::from_key(&change.key) else { continue };
            let kind = match (kind, is_remote) {
                (_, true) => RefKind::Remote,
                (NameKind::Branch, false) => RefKind::Branch,
                (NameKind::Tag, false) => RefKind::Tag,
            };
            let target = |map: Cid, value: Option<&[u8]>| -> Result<Vec<CommitId>, RepoError> {
                let target = Target::decode(value).map_err(|why| RepoError::Damaged {
                    what: "name",
                    cid: map,
                    why,
                })?;
                Ok(target.adds.into_iter().flatten().collect())
            };
            names.push(NameChange {
                kind,
                name: name.to_owned(),
                old: target(from, change.before.as_deref())?,
                new: target(to, change.after.as_deref())?,
            });
        }
    }
    Ok(Moved { names })
}
