//! A repository: a store, a branch, and everything that opens states and moves names.

use std::sync::Arc;

use super::error::RepoError;
use super::options::Actor;
use super::refs::check_name;
use super::shared::Shared;
use super::snapshot::Snapshot;
use super::state::State;
use super::transaction::Transaction;
use crate::id::{CommitId, OperationId};
use crate::port::Store;

/// A store and a branch. Cloning costs a counter; clones and other programs may work at the same time.
#[derive(Clone)]
pub struct Repo {
    pub(super) shared: Arc<Shared>,
    pub(super) branch: Arc<str>,
    /// The names as they were at one moment of the past: nothing can be changed there.
    pub(super) past: Option<Arc<State>>,
}

impl Repo {
    /// Returns a handle on another branch. Nobody's branch is switched under them.
    pub fn on(&self, branch: &str) -> Result<Repo, RepoError> {
        check_name(branch)?;
        Ok(Repo { branch: branch.into(), ..self.clone() })
    }

    /// Returns the branch in use.
    pub fn branch(&self) -> &str {
        &self.branch
    }

    /// Returns the store below.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    /// Returns the present state of the branch.
    pub fn head(&self) -> Result<Snapshot, RepoError> {
        let state = self.state()?;
        let tip = state.branch_tip(&self.branch)?;
        self.snapshot(state, tip)
    }

    /// Starts changes of the branch in somebody's name. If others committed side by side, their heads are united first.
    pub fn begin(&self, actor: &Actor) -> Result<Transaction, RepoError> {
        Ok(Transaction::new(self.reconcile()?, actor.clone()))
    }

    /// Publishes what several heads say together, and returns it. Optional: the next writer does it, and readers see it
    /// either way.
    pub fn reconcile(&self) -> Result<Snapshot, RepoError> {
        self.check_writable()?;
        let state = Arc::new(self.shared.reconciled()?);
        let tip = state.branch_tip(&self.branch)?;
        self.snapshot(state, tip)
    }

    /// Returns the names: the present ones, unless this shows the past.
    pub(super) fn state(&self) -> Result<Arc<State>, RepoError> {
        match &self.past {
            Some(past) => Ok(Arc::clone(past)),
            None => Ok(Arc::new(self.shared.state()?)),
        }
    }

    /// Returns the operation whose names this shows, if it shows the past.
    pub fn operation(&self) -> Option<OperationId> {
        self.past.as_ref().map(|past| past.operation)
    }

    /// Refuses to change the past.
    pub(super) fn check_writable(&self) -> Result<(), RepoError> {
        match self.operation() {
            Some(operation) => Err(RepoError::Past { operation }),
            None => Ok(()),
        }
    }

    pub(super) fn snapshot(
        &self,
        state: Arc<State>,
        commit: Option<CommitId>,
    ) -> Result<Snapshot, RepoError> {
        Snapshot::new(Arc::clone(&self.shared), state, Arc::clone(&self.branch), commit)
    }
}

impl std::fmt::Debug for Repo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Repo({} on {}:)", self.branch, self.shared.store.kind())
    }
}
