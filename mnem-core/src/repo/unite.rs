//! Several heads as one: the operation that unites them, the same for everyone who computes it.
//!
//! Invariants
//!  U1  What comes out is a function of the set of heads and of the blocks they reach: no clock, no name, no order of
//!      arrival. So two programs that unite the same heads write the same blocks.
//!  U2  Every commit that a head's names reach is reached by the united names, unless a head moved the name away.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::dag;
use super::error::RepoError;
use super::merge::RULES;
use super::merge::{self, Merge};
use super::read::read;
use super::refs::{NameKind, Target};
use super::settings;
use crate::cid::Cid;
use crate::id::{ActorId, CommitId, OperationId, SessionId};
use crate::object::{Object, Operation, OperationKind, Params, Unknown, View};
use crate::port::BlockRead;
use crate::staged::Staged;
use crate::tree::{Dispute, Tree, TreeStore};

/// The operation that unites heads, made but not stored.
pub(super) struct United {
    pub(super) id: OperationId,
    pub(super) operation: Operation,
    pub(super) view: View,
}

/// Unites heads, which ascend. What is made goes to `staged`, over which `trees` reads.
pub(super) fn unite(
    trees: &TreeStore,
    staged: &Arc<Staged>,
    heads: &[OperationId],
) -> Result<United, RepoError> {
    let work = Unite { trees, staged, merge: Merge::new(trees, staged), folded: RefCell::default() };
    let view = work.fold(heads)?;
    let operations =
        heads.iter().map(|head| read(&**staged, head.cid())).collect::<Result<Vec<Operation>, _>>()?;
    let latest = operations.iter().map(|operation| (operation.time, operation.generation));
    let block = view.to_block()?;
    let operation = Operation {
        parents: heads.to_vec(),
        generation: dag::next_generation(
            latest.clone().map(|(_, generation)| generation).max().unwrap_or(0),
        )?,
        kind: OperationKind::Merge,
        details: Unknown::default(),
        actor: ActorId::SYSTEM,
        session: SessionId::SYSTEM,
        time: latest.map(|(time, _)| time).max().unwrap_or(crate::Time::MIN),
        view: *block.cid(),
        unknown: Unknown::default(),
    };
    staged.put(block)?;
    let block = operation.to_block()?;
    let id = OperationId::new(*block.cid());
    staged.put(block)?;
    Ok(United { id, operation, view })
}

struct Unite<'a> {
    trees: &'a TreeStore,
    staged: &'a Arc<Staged>,
    merge: Merge<'a>,
    /// The views of sets of operations that were merged already: see [`Merge`] for why.
    folded: RefCell<BTreeMap<Vec<OperationId>, View>>,
}

impl Unite<'_> {
    fn view(&self, operation: &OperationId) -> Result<View, RepoError> {
        let operation: Operation = read(&**self.staged, operation.cid())?;
        read(&**self.staged, &operation.view)
    }

    /// Merges the views of operations, one after the other. The base of each step is what the operations merged so
    /// far have in common with the next one, merged likewise.
    fn fold(&self, operations: &[OperationId]) -> Result<View, RepoError> {
        let (first, others) = operations.split_first().expect("there is something to unite");
        if let Some(view) = self.folded.borrow().get(operations) {
            return Ok(view.clone());
        }
        let mut view = self.view(first)?;
        for (merged, next) in others.iter().enumerate() {
            let bases = match dag::merge_bases(&**self.staged, &operations[..=merged], &[*next]) {
                // What they have in common is not known any more: then a name that either side has stays.
                Err(RepoError::Pruned { .. }) => Vec::new(),
                bases => bases?,
            };
            let right = self.view(next)?;
            let base = if bases.is_empty() { self.nothing(&view)? } else { self.fold(&bases)? };
            view = self.views(&base, &view, &right)?;
        }
        self.folded.borrow_mut().insert(operations.to_vec(), view.clone());
        Ok(view)
    }

    /// The view before anything was named.
    fn nothing(&self, like: &View) -> Result<View, RepoError> {
        let empty = *self.trees.build_empty(&mut Arc::clone(self.staged))?.root();
        Ok(View { refs: empty, remotes: empty, config: empty, erased: empty, sigs: empty, ..like.clone() })
    }

    fn views(&self, base: &View, left: &View, right: &View) -> Result<View, RepoError> {
        let three = |of: fn(&View) -> &Cid| {
            let tree = |view| self.trees.tree(*of(view));
            (tree(base), tree(left), tree(right))
        };
        let names = |dispute: Dispute| self.name(&dispute, Self::settle);
        let remotes = |dispute: Dispute| self.name(&dispute, Self::newest);
        let later = |dispute: Dispute| Ok(settings::later(dispute.left, dispute.right));
        // Sets that only grow: what either side has stays.
        let either = |dispute: Dispute| Ok(dispute.left.max(dispute.right));
        Ok(View {
            params: self.params(left.params, right.params)?,
            refs: self.map(three(|view| &view.refs), names)?,
            remotes: self.map(three(|view| &view.remotes), remotes)?,
            config: self.map(three(|view| &view.config), later)?,
            erased: self.map(three(|view| &view.erased), either)?,
            sigs: self.map(three(|view| &view.sigs), either)?,
            unknown: merge::fields::unknown(&base.unknown, &left.unknown, &right.unknown),
        })
    }

    /// Returns the parameters of what is merged, if it can be.
    fn params(&self, left: Cid, right: Cid) -> Result<Cid, RepoError> {
        let (least, other) = (left.min(right), left.max(right));
        let params: Params = read(&**self.staged, &least)?;
        let others: Params = read(&**self.staged, &other)?;
        for rules in [params.merge, others.merge] {
            if rules != RULES {
                return Err(RepoError::Newer { needs: format!("version {rules} of the rules of merging") });
            }
        }
        if params.tree != others.tree {
            return Err(RepoError::IncompatibleTrees);
        }
        Ok(least)
    }

    fn map(
        &self,
        (base, left, right): (Tree, Tree, Tree),
        resolve: impl FnMut(Dispute) -> Result<Option<bytes::Bytes>, RepoError>,
    ) -> Result<Cid, RepoError> {
        Ok(*left.merge(&base, &right, resolve, &mut Arc::clone(self.staged))?.root())
    }

    /// Decides where a name points that both sides moved.
    fn name(
        &self,
        dispute: &Dispute,
        settle: fn(&Self, Target) -> Result<Target, RepoError>,
    ) -> Result<Option<bytes::Bytes>, RepoError> {
        let target = |value: &Option<bytes::Bytes>| {
            let cid = *self.trees.build_empty(&mut Vec::new())?.root();
            Target::decode(value.as_deref()).map_err(|why| RepoError::Damaged { what: "name", cid, why })
        };
        let (base, left, right) = (target(&dispute.base)?, target(&dispute.left)?, target(&dispute.right)?);
        let sum = Target::sum(left, &base, right);
        let is_branch = NameKind::from_key(&dispute.key).is_some_and(|(kind, _)| kind == NameKind::Branch);
        let settled = if is_branch { settle(self, sum)? } else { sum };
        Ok(settled.encode())
    }

    /// Of what two saw of another repository's branch, keeps what follows the rest: that is what was seen last.
    fn newest(&self, target: Target) -> Result<Target, RepoError> {
        let seen: Vec<CommitId> = target.adds.iter().flatten().copied().collect();
        match dag::tips(&**self.staged, &seen) {
            Ok(tips) => match tips.as_slice() {
                [tip] if !target.adds.contains(&None) => Ok(Target::commit(*tip)),
                _ => Ok(target),
            },
            // How they relate is not known any more: both stay, until somebody looks again.
            Err(RepoError::Pruned { .. }) => Ok(target),
            Err(why) => Err(why),
        }
    }

    /// Brings the sides of a branch together, two at a time, as far as commits can be.
    fn settle(&self, mut target: Target) -> Result<Target, RepoError> {
        while target.settled().is_none() {
            let Some((left, right, base)) = target.take_pair() else { break };
            let commit = self.commit(left, right, base)?;
            target.put_back(commit);
        }
        Ok(target)
    }

    /// One commit for two that a branch was moved to from `base`.
    fn commit(&self, left: CommitId, right: CommitId, base: Option<CommitId>) -> Result<CommitId, RepoError> {
        if left == right {
            return Ok(left);
        }
        let blocks: &dyn BlockRead = &**self.staged;
        let follows = |older, newer| -> Result<bool, RepoError> {
            // What moved the name back behind its base has to be kept: it is no descendant's business.
            let both = match base {
                Some(base) => dag::is_ancestor(blocks, base, left)? && dag::is_ancestor(blocks, base, right)?,
                None => true,
            };
            Ok(both && dag::is_ancestor(blocks, older, newer)?)
        };
        if follows(left, right)? {
            return Ok(right);
        }
        if follows(right, left)? {
            return Ok(left);
        }
        self.merge.automatic(base, left, right)
    }
}
