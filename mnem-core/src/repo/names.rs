//! Branches, tags, and the names of other repositories: making, moving, removing and listing them.
//!
//! Each change rests on what the name was: of several who change one at the same time, each sees what those before it
//! did, or is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cover::cover;
use super::error::RepoError;
use super::handle::Repo;
use super::options::Actor;
use super::read::read;
use super::refs::{NameKind, RefKind, Target, check_name};
use super::share::check_remote;
use super::similar::similar;
use super::snapshot::Snapshot;
use super::state::State;
use crate::block::Block;
use crate::cid::Cid;
use crate::id::{CommitId, OperationId};
use crate::object::{Commit, OperationKind, View};
use crate::port::{BlockRead, Swap};
use crate::staged::Staged;
use crate::tree::Edit;

/// Where a name has to be for it to be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Expected {
    /// Anywhere, or nowhere.
    Any,
    /// Nowhere: it is new.
    Absent,
    /// At this commit.
    At(CommitId),
}

impl From<CommitId> for Expected {
    fn from(commit: CommitId) -> Expected {
        Expected::At(commit)
    }
}

impl From<Option<CommitId>> for Expected {
    fn from(commit: Option<CommitId>) -> Expected {
        commit.map_or(Expected::Absent, Expected::At)
    }
}

impl Repo {
    /// Returns the branches and what they stand at, in order of their names.
    pub fn branches(&self) -> Result<Vec<(String, CommitId)>, RepoError> {
        self.state()?.names(NameKind::Branch).map(pointing)
    }

    /// Returns the tags and what they stand at, in order of their names.
    pub fn tags(&self) -> Result<Vec<(String, CommitId)>, RepoError> {
        self.state()?.names(NameKind::Tag).map(pointing)
    }

    /// Returns the branches of other repositories, such as `origin/main`, and where they stood when they were last
    /// seen.
    pub fn remotes(&self) -> Result<Vec<(String, CommitId)>, RepoError> {
        self.state()?.remotes().map(pointing)
    }

    /// Makes a branch at a commit, and returns a handle on it.
    pub fn create_branch(&self, actor: &Actor, name: &str, at: &Snapshot) -> Result<Repo, RepoError> {
        if let Some(commit) = at.commit_id() {
            // It may be a merge that nobody stored.
            self.create(actor, NameKind::Branch, name, commit, &at.state.pending)?;
        }
        self.on(name)
    }

    /// Makes a tag at a commit.
    pub fn create_tag(&self, actor: &Actor, name: &str, at: CommitId) -> Result<(), RepoError> {
        self.create(actor, NameKind::Tag, name, at, &[])
    }

    /// Moves a branch to another commit, or makes it, if it is where it is expected.
    pub fn move_branch(
        &self,
        actor: &Actor,
        name: &str,
        expected: impl Into<Expected>,
        to: CommitId,
    ) -> Result<(), RepoError> {
        self.put(actor, NameKind::Branch, name, expected.into(), Some(to))
    }

    /// Moves a tag to another commit, or makes it, if it is where it is expected.
    pub fn move_tag(
        &self,
        actor: &Actor,
        name: &str,
        expected: impl Into<Expected>,
        to: CommitId,
    ) -> Result<(), RepoError> {
        self.put(actor, NameKind::Tag, name, expected.into(), Some(to))
    }

    /// Removes a branch, if it is where it is expected. Its commits stay in the operation log.
    pub fn delete_branch(
        &self,
        actor: &Actor,
        name: &str,
        expected: impl Into<Expected>,
    ) -> Result<(), RepoError> {
        self.put(actor, NameKind::Branch, name, expected.into(), None)
    }

    /// Removes a tag, if it is where it is expected.
    pub fn delete_tag(
        &self,
        actor: &Actor,
        name: &str,
        expected: impl Into<Expected>,
    ) -> Result<(), RepoError> {
        self.put(actor, NameKind::Tag, name, expected.into(), None)
    }

    /// Gives a branch another name.
    pub fn rename_branch(&self, actor: &Actor, from: &str, to: &str) -> Result<(), RepoError> {
        self.rename(actor, NameKind::Branch, from, to)
    }

    /// Gives a tag another name.
    pub fn rename_tag(&self, actor: &Actor, from: &str, to: &str) -> Result<(), RepoError> {
        self.rename(actor, NameKind::Tag, from, to)
    }

    /// Records where branches of another repository stand, all in one step; `None` for one that it has no more. What
    /// is not named stays.
    pub fn set_remotes(
        &self,
        actor: &Actor,
        remote: &str,
        branches: &[(&str, Option<CommitId>)],
    ) -> Result<(), RepoError> {
        check_remote(remote)?;
        let mut edits = BTreeMap::new();
        for (branch, commit) in branches {
            let name = format!("{remote}/{branch}");
            check_name(&name)?;
            edits.insert(NameKind::Branch.key(&name), commit.map_or_else(Target::absent, Target::commit));
        }
        self.change(|state| {
            for commit in branches.iter().filter_map(|(_, commit)| *commit) {
                let _: Commit = read(&*state.blocks, commit.cid())?;
                cover(&self.shared, state, commit)?;
            }
            self.set(state, actor, RefKind::Remote, &edits, &[])
        })
    }

    fn create(
        &self,
        actor: &Actor,
        kind: NameKind,
        name: &str,
        at: CommitId,
        pending: &[Block],
    ) -> Result<(), RepoError> {
        check_name(name)?;
        self.change(|state| {
            if state.target(kind, name)?.settled() != Some(None) {
                return Err(RepoError::NameTaken { kind: kind.word(), name: name.to_owned() });
            }
            if !pending.iter().any(|block| block.cid() == at.cid()) {
                let _: Commit = read(&*state.blocks, at.cid())?;
                cover(&self.shared, state, at)?;
            }
            let edits = BTreeMap::from([(kind.key(name), Target::commit(at))]);
            self.set(state, actor, kind.into(), &edits, pending)
        })
    }

    fn put(
        &self,
        actor: &Actor,
        kind: NameKind,
        name: &str,
        expected: Expected,
        to: Option<CommitId>,
    ) -> Result<(), RepoError> {
        check_name(name)?;
        self.change(|state| {
            let found = state.target(kind, name)?;
            let is_expected = match expected {
                Expected::Any => to.is_some() || found != Target::absent(),
                Expected::Absent => found == Target::absent(),
                Expected::At(commit) => found == Target::commit(commit),
            };
            if expected == Expected::Any && !is_expected {
                return Err(unknown(state, kind, name)?);
            }
            if !is_expected {
                let found = found.adds.into_iter().flatten().collect();
                return Err(RepoError::NameMoved { kind: kind.word(), name: name.to_owned(), found });
            }
            if let Some(to) = to {
                let _: Commit = read(&*state.blocks, to.cid())?;
                cover(&self.shared, state, to)?;
            }
            let edits = BTreeMap::from([(kind.key(name), to.map_or_else(Target::absent, Target::commit))]);
            self.set(state, actor, kind.into(), &edits, &[])
        })
    }

    fn rename(&self, actor: &Actor, kind: NameKind, from: &str, to: &str) -> Result<(), RepoError> {
        check_name(to)?;
        self.change(|state| {
            let target = state.target(kind, from)?;
            if target == Target::absent() {
                return Err(unknown(state, kind, from)?);
            }
            if state.target(kind, to)? != Target::absent() {
                return Err(RepoError::NameTaken { kind: kind.word(), name: to.to_owned() });
            }
            let edits = BTreeMap::from([(kind.key(from), Target::absent()), (kind.key(to), target)]);
            self.set(state, actor, kind.into(), &edits, &[])
        })
    }

    /// Points names elsewhere, unless anything changed since `state` was read. What is as it was makes no operation.
    fn set(
        &self,
        state: &State,
        actor: &Actor,
        kind: RefKind,
        targets: &BTreeMap<Vec<u8>, Target>,
        pending: &[Block],
    ) -> Result<(Swap, ()), RepoError> {
        let staged = Arc::new(Staged::new(Arc::clone(&state.blocks)));
        pending.iter().try_for_each(|block| staged.put(block.clone()))?;
        let edits =
            targets.iter().map(|(key, target)| Edit { key: key.clone().into(), value: target.encode() });
        let trees = state.trees.over(Arc::clone(&staged) as Arc<dyn BlockRead>);
        let set = |map: Cid| trees.tree(map).mutate(edits, &mut Arc::clone(&staged)).map(|map| *map.root());
        let view = match kind {
            RefKind::Remote => View { remotes: set(state.view.remotes)?, ..state.view.clone() },
            RefKind::Branch | RefKind::Tag => View { refs: set(state.view.refs)?, ..state.view.clone() },
        };
        if view == state.view {
            return Ok((Swap::Done, ()));
        }
        let (swap, _): (Swap, OperationId) =
            self.shared.publish(state, &view, OperationKind::Refs, actor, &staged, &[])?;
        Ok((swap, ()))
    }
}

/// Where names point; of several, while sides disagree, the first.
fn pointing(names: Vec<(String, Target)>) -> Vec<(String, CommitId)> {
    let first = |target: &Target| target.adds.iter().flatten().next().copied();
    names.into_iter().filter_map(|(name, target)| first(&target).map(|commit| (name, commit))).collect()
}

fn unknown(state: &State, kind: NameKind, name: &str) -> Result<RepoError, RepoError> {
    let known = state.names(kind)?.into_iter().map(|(name, _)| name);
    Ok(RepoError::Unknown { spec: name.to_owned(), similar: similar(name, known) })
}
