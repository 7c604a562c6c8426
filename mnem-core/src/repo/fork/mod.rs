//! A repository in memory over a snapshot: to try things out, and to keep them or not.
//!
//! Invariants
//!  F1  The store below sees no write before [`keep`](Fork::keep), and one atomic step then.
//!  F2  Making a fork reads a few blocks and copies one, however large the repository is.
//!  F3  What is kept lands as if the fork had committed side by side with whoever else did since: united by the rules
//!      that unite all operations, with every commit and operation of the fork.
//!
//! Used by: programs that ask "what if", and tests that destroy what they like. Threads: a fork is a repository like any
//! other, and so are the clones of its handle.

mod overlay;
mod rows;

use std::sync::Arc;

use super::collect::Going;
use super::error::RepoError;
use super::handle::Repo;
use super::options::{Actor, Options};
use super::refs::{NameKind, Target};
use super::schema::Schemas;
use super::shared::Shared;
use super::snapshot::Snapshot;
use super::state::State;
use crate::block::Block;
use crate::id::OperationId;
use crate::object::OperationKind;
use crate::port::{BlockRead, BlockReadExt, HeadsUpdate, Store, Swap, WriteBatch};
use crate::staged::Staged;
use crate::tree::Edit;
use overlay::Overlay;

/// A copy-on-write repository over a snapshot. Whatever takes a [`Repo`] can be given [`repo`](Self::repo). Dropping it
/// discards what was done in it.
#[must_use = "a dropped fork is gone"]
pub struct Fork {
    below: Snapshot,
    overlay: Arc<Overlay>,
    repo: Repo,
    /// Whether the branch stood at the snapshot's commit.
    is_at_tip: bool,
}

impl Snapshot {
    /// Starts a repository in memory whose branch stands at this state. Nothing that is done there touches the store
    /// below.
    pub fn fork(&self) -> Result<Fork, RepoError> {
        let State { blocks, operation, pending, .. } = &*self.state;
        let first = if pending.is_empty() { vec![blocks.require(operation.cid())?] } else { pending.clone() };
        let namespace = &self.shared.options.namespace;
        let overlay = Overlay::new(Arc::clone(blocks), Arc::clone(&self.shared.store));
        let overlay = Arc::new(overlay.started(namespace, &first, *operation)?);
        let shared = Shared {
            store: Arc::clone(&overlay) as Arc<dyn Store>,
            options: Options { collect: None, ..self.shared.options.clone() },
            session: self.shared.options.draw_session(),
            params_cid: self.shared.params_cid,
            empty_root: self.shared.empty_root,
            trees: Arc::clone(&self.shared.trees),
            schemas: Schemas::default(),
            going: Going::default(),
        };
        let repo = Repo { shared: Arc::new(shared), branch: Arc::clone(&self.branch), past: None };
        let is_at_tip = self.state.branch_tip(&self.branch)? == self.commit_id();
        if !is_at_tip {
            self.move_branch(&repo.shared)?;
        }
        Ok(Fork { below: self.clone(), overlay, repo, is_at_tip })
    }

    /// Lets the branch of a fork begin at the commit that is shown.
    fn move_branch(&self, fork: &Shared) -> Result<(), RepoError> {
        let state = fork.state()?;
        let staged = Arc::new(Staged::new(Arc::clone(&state.blocks)));
        let trees = state.trees.over(Arc::clone(&staged) as Arc<dyn BlockRead>);
        let key = NameKind::Branch.key(&self.branch).into();
        let value = self.commit_id().and_then(|commit| Target::commit(commit).encode());
        let refs = trees.tree(state.view.refs).mutate([Edit { key, value }], &mut Arc::clone(&staged))?;
        let mut view = state.view.clone();
        view.refs = *refs.root();
        let (nobody, now) = (Actor::named("fork"), fork.options.clock.now());
        let operation = fork.stage_operation(&state, &view, OperationKind::Refs, &nobody, now, &staged)?;
        let heads = HeadsUpdate::advance(fork.options.namespace.clone(), &state.heads, operation);
        let batch = WriteBatch { blocks: &staged.blocks(), heads: &heads, rows: &[] };
        // Nobody else knows the fork yet.
        let (Swap::Done | Swap::Moved) = fork.store.commit(state.lease(), &batch)?;
        Ok(())
    }
}

impl Fork {
    /// Returns the fork as a repository.
    pub const fn repo(&self) -> &Repo {
        &self.repo
    }

    /// Returns the state that it began with.
    pub const fn base(&self) -> &Snapshot {
        &self.below
    }

    /// Lands every commit of the fork, and whatever else was done to its names, in the store below, in one atomic step.
    /// What others did there since is united with it. Returns the state of the branch after.
    ///
    /// Refused if the fork began at a state that the branch was not at: landing it would take back what came after.
    pub fn keep(self) -> Result<Snapshot, RepoError> {
        if !self.is_at_tip {
            return Err(RepoError::ForkOfThePast { branch: self.below.branch.to_string() });
        }
        let Snapshot { shared, state, branch, .. } = &self.below;
        // The heads first: whoever still commits to the fork only adds blocks.
        let heads = self.overlay.heads_now(&shared.options.namespace)?;
        let is_untouched = heads == [state.operation];
        if !is_untouched {
            self.publish(heads)?;
        }
        let present = Repo { shared: Arc::clone(shared), branch: Arc::clone(branch), past: None };
        present.head()
    }

    fn publish(&self, heads: Vec<OperationId>) -> Result<(), RepoError> {
        let Snapshot { shared, state, .. } = &self.below;
        let blocks: Vec<Block> = self.overlay.new_blocks()?;
        let rows = self.overlay.new_rows();
        let namespace = shared.options.namespace.clone();
        let heads = HeadsUpdate { namespace, expected: None, add: heads, remove: state.heads.clone() };
        let batch = WriteBatch { blocks: &blocks, heads: &heads, rows: &rows };
        match shared.store.commit(state.lease(), &batch)? {
            Swap::Done => Ok(()),
            Swap::Moved => unreachable!("nothing was expected of the heads"),
        }
    }
}

impl std::fmt::Debug for Fork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fork of {:?}", self.below)
    }
}
