//! One state of a repository's names: what the heads of one moment say together.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use super::collect::horizon;
use super::error::RepoError;
use super::index::Built;
use super::read::read;
use super::refs::{NameKind, Target, check_name};
use crate::block::Block;
use crate::cid::Cid;
use crate::id::{CommitId, OperationId};
use crate::object::{Operation, Time, View};
use crate::port::{BlockRead, Lease, Namespace, StoreSnapshot};
use crate::staged::Staged;
use crate::tree::{KeyRange, Order, TreeError, TreeStore};

/// Where every name points, and the blocks to follow them in. Fixed, and kept from the collector while it lives.
pub(super) struct State {
    stored: Arc<dyn StoreSnapshot>,
    /// The heads that were read as one.
    pub(super) heads: Vec<OperationId>,
    /// The head, or the operation that unites several: the same for everyone, whether or not it is stored yet.
    pub(super) operation: OperationId,
    pub(super) generation: u64,
    pub(super) time: Time,
    pub(super) view: View,
    /// What has to be stored before anything can rest on this state: nothing, if there is one head.
    pub(super) pending: Vec<Block>,
    /// Reads the store, and what is pending.
    pub(super) blocks: Arc<dyn BlockRead>,
    pub(super) trees: TreeStore,
    /// Indexes that are not in the store, built for reading.
    pub(super) built: Built,
    horizon: OnceLock<HashSet<Cid>>,
}

impl State {
    /// Reads the present state. `trees` brings the rule and the cache.
    pub(super) fn read(
        stored: Arc<dyn StoreSnapshot>,
        namespace: &Namespace,
        trees: &TreeStore,
    ) -> Result<State, RepoError> {
        let heads = stored.heads(namespace)?;
        State::of(stored, heads, namespace, trees)
    }

    /// Reads the state that `heads` give.
    pub(super) fn of(
        stored: Arc<dyn StoreSnapshot>,
        heads: Vec<OperationId>,
        namespace: &Namespace,
        trees: &TreeStore,
    ) -> Result<State, RepoError> {
        if heads.is_empty() {
            return Err(RepoError::NoRepository { namespace: namespace.to_string() });
        }
        let below: Arc<dyn BlockRead> = Arc::clone(&stored) as Arc<dyn BlockRead>;
        // What another head follows has nothing to add.
        let tips = super::dag::tips(&*below, &heads)?;
        if let [tip] = tips.as_slice() {
            let operation: Operation = read(&*below, tip.cid())?;
            let view = read(&*below, &operation.view)?;
            let trees = trees.over(Arc::clone(&below));
            return Ok(State {
                stored,
                operation: *tip,
                generation: operation.generation,
                time: operation.time,
                heads,
                view,
                pending: Vec::new(),
                blocks: below,
                trees,
                built: Built::default(),
                horizon: OnceLock::new(),
            });
        }
        let staged = Arc::new(Staged::new(below));
        let trees = trees.over(Arc::clone(&staged) as Arc<dyn BlockRead>);
        let united = super::unite::unite(&trees, &staged, &tips)?;
        let pending = staged.blocks();
        Ok(State {
            stored,
            operation: united.id,
            generation: united.operation.generation,
            time: united.operation.time,
            heads,
            view: united.view,
            pending,
            blocks: staged,
            trees,
            built: Built::default(),
            horizon: OnceLock::new(),
        })
    }

    /// Returns the same names with more blocks that are pending.
    pub(super) fn with(&self, staged: Arc<Staged>) -> State {
        State {
            stored: Arc::clone(&self.stored),
            heads: self.heads.clone(),
            operation: self.operation,
            generation: self.generation,
            time: self.time,
            view: self.view.clone(),
            built: Built::default(),
            horizon: self.horizon.clone(),
            pending: self.pending.iter().cloned().chain(staged.blocks()).collect(),
            trees: self.trees.over(Arc::clone(&staged) as Arc<dyn BlockRead>),
            blocks: staged,
        }
    }

    pub(super) fn lease(&self) -> &Lease {
        self.stored.lease()
    }

    /// Returns the operations that are not kept any more and that kept ones follow. What lies there may still be there for
    /// a while, but nobody may rest on it.
    pub(super) fn horizon(&self) -> Result<&HashSet<Cid>, RepoError> {
        if let Some(horizon) = self.horizon.get() {
            return Ok(horizon);
        }
        let horizon = horizon::read(&self.trees, self.view.config)?;
        Ok(self.horizon.get_or_init(|| horizon))
    }

    /// Returns where a name points.
    pub(super) fn target(&self, kind: NameKind, name: &str) -> Result<Target, RepoError> {
        self.target_in(self.view.refs, kind, name)
    }

    /// Returns where a name of another repository, such as `origin/main`, pointed when it was last seen.
    pub(super) fn remote(&self, kind: NameKind, name: &str) -> Result<Target, RepoError> {
        self.target_in(self.view.remotes, kind, name)
    }

    fn target_in(&self, map: Cid, kind: NameKind, name: &str) -> Result<Target, RepoError> {
        // What cannot be a key of the map is no name in it.
        if check_name(name).is_err() {
            return Ok(Target::absent());
        }
        let value = self.trees.tree(map).get(&kind.key(name))?;
        Target::decode(value.as_deref()).map_err(|why| RepoError::Damaged { what: "name", cid: map, why })
    }

    /// Returns all names of a kind, in order.
    pub(super) fn names(&self, kind: NameKind) -> Result<Vec<(String, Target)>, RepoError> {
        self.names_in(self.view.refs, kind)
    }

    /// Returns the branches of other repositories, in order.
    pub(super) fn remotes(&self) -> Result<Vec<(String, Target)>, RepoError> {
        self.names_in(self.view.remotes, NameKind::Branch)
    }

    fn names_in(&self, map: Cid, kind: NameKind) -> Result<Vec<(String, Target)>, RepoError> {
        let entries = self.trees.tree(map).range(KeyRange::prefix(&kind.key("")), Order::Ascending);
        entries
            .map(|entry| {
                let entry = entry?;
                let damaged = |why| RepoError::Damaged { what: "name", cid: map, why };
                let target = Target::decode(Some(&entry.value)).map_err(damaged)?;
                let (_, name) =
                    NameKind::from_key(&entry.key).ok_or(RepoError::Tree(TreeError::Damaged {
                        cid: map,
                        what: crate::tree::Damage::Shape,
                    }))?;
                Ok((name.to_owned(), target))
            })
            .collect()
    }

    /// Returns the commit that a branch stands at; `None` before its first.
    pub(super) fn branch_tip(&self, name: &str) -> Result<Option<CommitId>, RepoError> {
        let target = self.target(NameKind::Branch, name)?;
        // While sides disagree whether a branch was removed, those that kept it speak.
        Ok(target.settled().unwrap_or_else(|| target.adds.iter().flatten().next().copied()))
    }

    pub(super) fn block(&self, cid: &Cid) -> Result<Option<Block>, RepoError> {
        Ok(self.blocks.get(cid)?)
    }
}
