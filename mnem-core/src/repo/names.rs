//! Branches and tags: making, moving and listing names.

use std::sync::Arc;

use super::error::RepoError;
use super::handle::Repo;
use super::options::Actor;
use super::read::read;
use super::refs::{NameKind, Target, check_name};
use super::shared::ATTEMPTS_MAX;
use super::snapshot::Snapshot;
use super::state::State;
use crate::block::Block;
use crate::id::CommitId;
use crate::object::{Commit, OperationKind, View};
use crate::port::{BlockRead, HeadsUpdate, Swap, WriteBatch};
use crate::staged::Staged;
use crate::tree::Edit;

impl Repo {
    /// Returns the branches and what they stand at, in order of their names.
    pub fn branches(&self) -> Result<Vec<(String, CommitId)>, RepoError> {
        self.names(NameKind::Branch)
    }

    /// Returns the tags and what they stand at, in order of their names.
    pub fn tags(&self) -> Result<Vec<(String, CommitId)>, RepoError> {
        self.names(NameKind::Tag)
    }

    fn names(&self, kind: NameKind) -> Result<Vec<(String, CommitId)>, RepoError> {
        let names = self.state()?.names(kind)?;
        let first = |target: &Target| target.adds.iter().flatten().next().copied();
        Ok(names
            .into_iter()
            .filter_map(|(name, target)| first(&target).map(|commit| (name, commit)))
            .collect())
    }

    /// Makes a branch at a commit, and returns a handle on it.
    pub fn create_branch(&self, actor: &Actor, name: &str, at: &Snapshot) -> Result<Repo, RepoError> {
        if let Some(commit) = at.commit_id() {
            // It may be a merge that nobody stored.
            self.create_name(actor, NameKind::Branch, name, commit, &at.state.pending)?;
        }
        self.on(name)
    }

    /// Makes a tag at a commit.
    pub fn create_tag(&self, actor: &Actor, name: &str, at: CommitId) -> Result<(), RepoError> {
        self.create_name(actor, NameKind::Tag, name, at, &[])
    }

    /// Of several who make a name at the same time, one does.
    fn create_name(
        &self,
        actor: &Actor,
        kind: NameKind,
        name: &str,
        at: CommitId,
        pending: &[Block],
    ) -> Result<(), RepoError> {
        self.check_writable()?;
        check_name(name)?;
        for _ in 0..ATTEMPTS_MAX {
            let state = self.shared.state()?;
            if state.target(kind, name)?.settled() != Some(None) {
                return Err(RepoError::NameTaken { kind: kind.word(), name: name.to_owned() });
            }
            if !pending.iter().any(|block| block.cid() == at.cid()) {
                let _: Commit = read(&*state.blocks, at.cid())?;
            }
            match self.set_name(&state, actor, kind, name, &Target::commit(at), pending)? {
                Swap::Done => return Ok(()),
                Swap::Moved => {} // somebody else changed something, which may have been this name
            }
        }
        Err(RepoError::Contended { attempts: ATTEMPTS_MAX })
    }

    /// Moves a name, unless anything changed since `state` was read.
    fn set_name(
        &self,
        state: &State,
        actor: &Actor,
        kind: NameKind,
        name: &str,
        target: &Target,
        pending: &[Block],
    ) -> Result<Swap, RepoError> {
        let staged = Arc::new(Staged::new(Arc::clone(&state.blocks)));
        let edit = Edit { key: kind.key(name).into(), value: target.encode() };
        let trees = state.trees.over(Arc::clone(&staged) as Arc<dyn BlockRead>);
        let refs = trees.tree(state.view.refs).mutate([edit], &mut Arc::clone(&staged))?;
        let view = View { refs: *refs.root(), ..state.view.clone() };
        let now = self.shared.options.clock.now();
        let operation =
            self.shared.stage_operation(state, &view, OperationKind::Refs, actor, now, &staged)?;
        let blocks: Vec<Block> =
            pending.iter().chain(&state.pending).cloned().chain(staged.blocks()).collect();
        let namespace = self.shared.options.namespace.clone();
        let mut heads = HeadsUpdate::advance(namespace, &state.heads, operation);
        heads.expected = Some(state.heads.clone());
        let batch = WriteBatch { blocks: &blocks, heads: &heads, rows: &[] };
        Ok(self.shared.store.commit(state.lease(), &batch)?)
    }
}
