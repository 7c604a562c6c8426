//! Which state a revision means.
//!
//! A name that is there is meant, whatever ids begin like it: making a commit never changes what a name says. What is
//! none is the start of an id. What may be several things is refused with all of them, each in a spelling of its own:
//! `branch:x`, `tag:x`, `remote:origin/x`.

use std::sync::Arc;

use super::dag;
use super::digits;
use super::error::RepoError;
use super::handle::Repo;
use super::moment::{IntoMoment, Moment};
use super::read::read;
use super::refs::{NameKind, RefKind, Target};
use super::revision::{Base, Revision, Step};
use super::similar::similar;
use super::snapshot::Snapshot;
use super::state::State;
use crate::id::{CommitId, OperationId};
use crate::object::{Commit, Operation, Time};

/// What is taken where a state is wanted: a [`Revision`], its text, a [`CommitId`], or a [`Snapshot`].
pub trait IntoRevision {
    /// Returns the revision.
    fn into_revision(self) -> Result<Revision, RepoError>;
}

impl IntoRevision for Revision {
    fn into_revision(self) -> Result<Revision, RepoError> {
        Ok(self)
    }
}

impl IntoRevision for &Revision {
    fn into_revision(self) -> Result<Revision, RepoError> {
        Ok(self.clone())
    }
}

impl IntoRevision for &str {
    fn into_revision(self) -> Result<Revision, RepoError> {
        self.parse().map_err(|why| RepoError::Revision { spec: self.to_owned(), why })
    }
}

impl IntoRevision for &String {
    fn into_revision(self) -> Result<Revision, RepoError> {
        self.as_str().into_revision()
    }
}

impl IntoRevision for &Snapshot {
    fn into_revision(self) -> Result<Revision, RepoError> {
        self.commit_id()
            .ok_or_else(|| RepoError::BeforeTheFirst { spec: self.branch().to_owned() })?
            .into_revision()
    }
}

impl IntoRevision for CommitId {
    fn into_revision(self) -> Result<Revision, RepoError> {
        Ok(Revision { base: Base::Named(self.to_string()), steps: Vec::new() })
    }
}

impl Repo {
    /// Returns the state that a revision means. On a branch without commits that is the empty state.
    pub fn at(&self, spec: impl IntoRevision) -> Result<Snapshot, RepoError> {
        let found = self.find(&self.state()?, &spec.into_revision()?)?;
        Snapshot::new(Arc::clone(&self.shared), found.state, found.branch, found.commit)
    }

    /// Returns the commit that a revision means.
    pub fn resolve(&self, spec: impl IntoRevision) -> Result<CommitId, RepoError> {
        self.resolve_in(&self.state()?, &spec.into_revision()?)
    }

    /// The same, where several are to be of one state.
    pub(super) fn resolve_in(&self, state: &Arc<State>, spec: &Revision) -> Result<CommitId, RepoError> {
        self.find(state, spec)?.commit.ok_or_else(|| RepoError::BeforeTheFirst { spec: spec.to_string() })
    }

    /// Returns the time of a moment, in the zone of the options if it names none.
    pub fn time_of(&self, when: impl IntoMoment) -> Result<Time, RepoError> {
        let us = when.into_moment()?.at_offset(self.shared.options.zone_minutes);
        Ok(Time::from_micros(us).unwrap_or(if us < 0 { Time::MIN } else { Time::MAX }))
    }

    /// Returns all names as an operation left them, to be read only.
    pub fn at_op(&self, operation: OperationId) -> Result<Repo, RepoError> {
        let state = self.state()?;
        if operation == state.operation {
            return Ok(Repo { past: Some(state), ..self.clone() }); // it may be a union that nobody stored
        }
        if state.block(operation.cid())?.is_none() {
            return Err(RepoError::Unknown { spec: format!("op:{operation}"), similar: Vec::new() });
        }
        Ok(Repo { past: Some(Arc::new(self.shared.state_at(operation)?)), ..self.clone() })
    }

    /// Returns the operation that a text means: `op:` and its id, or the id alone, whole or by a unique prefix.
    pub fn resolve_op(&self, spec: &str) -> Result<OperationId, RepoError> {
        let state = self.state()?;
        self.find_operation(&state, spec.strip_prefix("op:").unwrap_or(spec), spec)
    }

    /// Returns the last operation that this store had seen by then. Where several ran side by side, each is a
    /// candidate.
    pub fn operation_at(&self, when: impl IntoMoment) -> Result<OperationId, RepoError> {
        let when = when.into_moment()?;
        let state = self.state()?;
        match self.operations_by(&state, &when, &when.to_string())?.as_slice() {
            [one] => Ok(*one),
            several => Err(RepoError::Ambiguous {
                spec: when.to_string(),
                candidates: several.iter().map(|id| format!("op:{id}")).collect(),
            }),
        }
    }

    fn find(&self, now: &Arc<State>, spec: &Revision) -> Result<Found, RepoError> {
        let text = spec.to_string();
        let mut steps = spec.steps.as_slice();
        let mut state = Arc::clone(now);
        let mut pointed_at = None;
        if let [Step::PointedAt(when), rest @ ..] = steps {
            let heads = self.operations_by(&state, when, &text)?;
            state = Arc::new(self.shared.state_of(heads)?);
            pointed_at = Some(*when);
            steps = rest;
        }
        let mut found = match &spec.base {
            Base::Here => self.find_here(state)?,
            Base::Operation(id) => {
                let operation = self.find_operation(&state, id, &text)?;
                self.at_op(operation)?.state().and_then(|state| self.find_here(state))?
            }
            Base::Named(name) => match self.find_named(now, &state, name, &text, pointed_at)? {
                Some(found) => found,
                None => return Err(unknown(now, name)?),
            },
        };
        if let (None, Some(moment)) = (found.commit, pointed_at) {
            return Err(RepoError::NothingBy { spec: text, moment });
        }
        for step in steps {
            let commit = found.commit.ok_or_else(|| RepoError::BeforeTheFirst { spec: text.clone() })?;
            found.commit = Some(self.step(&found.state, commit, step, &text)?);
        }
        Ok(found)
    }

    fn find_here(&self, state: Arc<State>) -> Result<Found, RepoError> {
        let commit = state.branch_tip(&self.branch)?;
        Ok(Found { state, branch: Arc::clone(&self.branch), commit })
    }

    fn find_named(
        &self,
        now: &State,
        state: &Arc<State>,
        name: &str,
        text: &str,
        pointed_at: Option<Moment>,
    ) -> Result<Option<Found>, RepoError> {
        let found = |branch: &str, commit| {
            Ok(Some(Found { state: Arc::clone(state), branch: branch.into(), commit }))
        };
        let mut meant = names(state, name)?;
        match (meant.pop(), meant.is_empty()) {
            (Some(Meant { kind: RefKind::Branch, name, target }), true) => {
                return found(name, target.adds.iter().flatten().next().copied());
            }
            (Some(Meant { target, .. }), true) => return found(&self.branch, sure(&target, text)?),
            (Some(last), false) => {
                let all = meant.iter().chain([&last]);
                let candidates = all.map(Meant::spelled).collect();
                return Err(RepoError::Ambiguous { spec: text.to_owned(), candidates });
            }
            (None, _) => {}
        }
        if let Some(moment) = pointed_at {
            // It may have come later; what is not there now either is unknown.
            let is_there = *name == *self.branch || !names(now, name)?.is_empty();
            let spec = text.to_owned();
            return if is_there { Err(RepoError::NothingBy { spec, moment }) } else { Ok(None) };
        }
        if *name == *self.branch {
            return found(name, None); // before its first commit
        }
        let ids = digits::find::<Commit>(&*state.blocks, name)?;
        match ids.as_slice() {
            [] => Ok(None),
            [id] => found(&self.branch, Some(CommitId::new(*id))),
            several => Err(digits::ambiguous(text, several)),
        }
    }

    fn find_operation(&self, state: &State, id: &str, text: &str) -> Result<OperationId, RepoError> {
        let ids = digits::find::<Operation>(&*state.blocks, id)?;
        match ids.as_slice() {
            [] => Err(RepoError::Unknown { spec: text.to_owned(), similar: Vec::new() }),
            [id] => Ok(OperationId::new(*id)),
            several => Err(digits::ambiguous(text, several)),
        }
    }

    /// Returns the heads of a moment of the past.
    fn operations_by(&self, state: &State, when: &Moment, text: &str) -> Result<Vec<OperationId>, RepoError> {
        let heads = dag::operations_by(state, self.time_of(*when)?)?;
        if heads.is_empty() {
            return Err(RepoError::NothingBy { spec: text.to_owned(), moment: *when });
        }
        Ok(heads)
    }

    fn step(&self, state: &State, from: CommitId, step: &Step, text: &str) -> Result<CommitId, RepoError> {
        let blocks = &*state.blocks;
        let spec = || text.to_owned();
        match step {
            Step::Back(count) => {
                let commit: Commit = read(blocks, from.cid())?;
                let depth = commit.depth.checked_sub(u64::from(*count));
                let found = depth.map(|depth| dag::at_depth(blocks, from, depth)).transpose()?.flatten();
                found.ok_or_else(|| RepoError::BeforeTheFirst { spec: spec() })
            }
            Step::Parent(number) => {
                let commit: Commit = read(blocks, from.cid())?;
                let index = usize::try_from(*number).ok().and_then(|number| number.checked_sub(1));
                let Some(parent) = index.and_then(|index| commit.parents.get(index)) else {
                    return Err(match commit.parents.len() {
                        0 => RepoError::BeforeTheFirst { spec: spec() },
                        parents => RepoError::NoParent { spec: spec(), number: *number, parents },
                    });
                };
                dag::read_ancestor(blocks, *parent, &commit).map(|_| *parent)
            }
            Step::MadeBy(moment) => {
                let found = dag::made_by(blocks, from, self.time_of(*moment)?)?;
                found.ok_or_else(|| RepoError::NothingBy { spec: spec(), moment: *moment })
            }
            // The parser lets it follow a name only; where it comes later by other ways, the name is gone.
            Step::PointedAt(moment) => Err(RepoError::NothingBy { spec: spec(), moment: *moment }),
        }
    }
}

/// What a revision means.
struct Found {
    state: Arc<State>,
    branch: Arc<str>,
    commit: Option<CommitId>,
}

fn target_of(kind: RefKind, state: &State, name: &str) -> Result<Target, RepoError> {
    match kind {
        RefKind::Branch => state.target(NameKind::Branch, name),
        RefKind::Tag => state.target(NameKind::Tag, name),
        RefKind::Remote => state.remote(NameKind::Branch, name),
    }
}

/// Takes the word off that says which kind of name is meant.
fn without_word(kind: RefKind, spelled: &str) -> Option<&str> {
    spelled.strip_prefix(kind.word())?.strip_prefix(':')
}

struct Meant<'a> {
    kind: RefKind,
    name: &'a str,
    target: Target,
}

impl Meant<'_> {
    fn spelled(&self) -> String {
        format!("{}:{}", self.kind.word(), self.name)
    }
}

/// Returns all that a name is the name of.
fn names<'a>(state: &State, spelled: &'a str) -> Result<Vec<Meant<'a>>, RepoError> {
    let mut meant = Vec::new();
    for kind in RefKind::ALL {
        let name = match spelled.contains(':') {
            true => without_word(kind, spelled),
            false => Some(spelled),
        };
        let Some(name) = name else { continue };
        let target = target_of(kind, state, name)?;
        if target.settled() != Some(None) {
            meant.push(Meant { kind, name, target });
        }
    }
    Ok(meant)
}

/// Where a name stands that does not move with commits. While sides disagree, nothing is picked.
fn sure(target: &Target, text: &str) -> Result<Option<CommitId>, RepoError> {
    target.settled().ok_or_else(|| {
        let commits = target.adds.iter().flatten();
        RepoError::Ambiguous { spec: text.to_owned(), candidates: commits.map(ToString::to_string).collect() }
    })
}

fn unknown(state: &State, spec: &str) -> Result<RepoError, RepoError> {
    let (branches, tags) = (state.names(NameKind::Branch)?, state.names(NameKind::Tag)?);
    let known = branches.into_iter().chain(tags).chain(state.remotes()?).map(|(name, _)| name);
    let asked = RefKind::ALL.into_iter().find_map(|kind| without_word(kind, spec)).unwrap_or(spec);
    Ok(RepoError::Unknown { spec: spec.to_owned(), similar: similar(asked, known) })
}
