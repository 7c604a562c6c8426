//! Pushing: what this repository has and another has not, and its names moved.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::carry::{Carried, Carrier, Under, erased};
use super::error::SyncError;
use super::fetch::only_there;
use super::missing::Sides;
use super::tracking::Targets;
use super::{Synced, publish, tracking};
use crate::cid::Cid;
use crate::id::CommitId;
use crate::object::{OperationKind, View};
use crate::port::{BlockRead, Swap};
use crate::progress::Listener;
use crate::repo::dag;
use crate::repo::error::RepoError;
use crate::repo::handle::Repo;
use crate::repo::operations::NameChange;
use crate::repo::options::Actor;
use crate::repo::reach::Bounds;
use crate::repo::refs::{NameKind, RefKind, Target, check_name};
use crate::repo::shared::ATTEMPTS_MAX;
use crate::repo::similar::similar;
use crate::repo::state::State;
use crate::staged::Staged;
use crate::tree::Edit;

/// What to push.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Push {
    /// Branches; none of them and no tags: all branches.
    pub branches: BTreeSet<String>,
    /// Branches that are to go over there.
    pub deleted: BTreeSet<String>,
    /// Tags.
    pub tags: BTreeSet<String>,
    /// Whether all tags are pushed.
    pub all_tags: bool,
    /// Whether branches and tags move that would lose commits over there, or stand elsewhere.
    pub force: bool,
    /// Whether what was erased here is erased there too.
    pub give_erasures: bool,
    /// Whether it is only worked out what would be done.
    pub dry_run: bool,
}

impl Push {
    /// Pushes a branch.
    pub fn branch(name: impl Into<String>) -> Push {
        Push::default().and(name)
    }

    /// Pushes all branches.
    pub fn all() -> Push {
        Push::default()
    }

    /// Pushes this branch too.
    pub fn and(mut self, name: impl Into<String>) -> Push {
        self.branches.insert(name.into());
        self
    }

    /// Removes a branch over there.
    pub fn delete(mut self, name: impl Into<String>) -> Push {
        self.deleted.insert(name.into());
        self
    }

    /// Pushes this tag too.
    pub fn tag(mut self, name: impl Into<String>) -> Push {
        self.tags.insert(name.into());
        self
    }

    /// Pushes all tags too.
    pub fn tags(self) -> Push {
        Push { all_tags: true, ..self }
    }

    /// Moves what would not be moved otherwise. What is lost is in the operation log over there.
    pub fn force(self) -> Push {
        Push { force: true, ..self }
    }

    /// What was erased here is erased there too.
    pub fn give_erasures(self) -> Push {
        Push { give_erasures: true, ..self }
    }

    /// Moves nothing, and says what would be moved.
    pub fn dry_run(self) -> Push {
        Push { dry_run: true, ..self }
    }
}

impl Repo {
    /// Gives another repository what this one has and that has not, and moves its branches to where they are here, in one
    /// commit over there. A branch that has gone another way there stays, and nothing moves, unless it is forced. Who
    /// moves names there meanwhile is seen: then it is checked again. With `remote` the branches are remembered as that
    /// repository's.
    pub fn push_to(
        &self,
        actor: &Actor,
        theirs: &Repo,
        remote: Option<&str>,
        how: &Push,
        listener: &mut Listener<'_>,
    ) -> Result<Synced, SyncError> {
        theirs.check_writable()?;
        remote.map_or(Ok(()), tracking::check_remote)?;
        let ours = self.state()?;
        let boundary = self.boundary()?;
        for _ in 0..ATTEMPTS_MAX {
            let state = Arc::new(theirs.shared.state()?);
            if ours.trees.params() != state.trees.params() {
                return Err(SyncError::IncompatibleTrees);
            }
            let giving = Giving { ours: &ours, theirs: &state, how };
            let targets = giving.targets()?;
            let there = Some(Arc::clone(&ours.blocks));
            let mut carried =
                Carried::new(there, Arc::clone(theirs.store()), Under::State(Arc::clone(&state)));
            carried.is_dry = how.dry_run;
            let mut synced = giving.move_blocks(carried, &targets, &boundary, listener)?;
            synced.names = tracking::changes(RefKind::from, state.view.refs, &state, &targets)?;
            if how.dry_run {
                return Ok(synced);
            }
            if giving.publish(actor, theirs, &targets)? == Swap::Moved {
                continue; // somebody moved names there since they were checked
            }
            if let Some(remote) = remote {
                self.remember(actor, remote, &synced.names)?;
            }
            return Ok(synced);
        }
        Err(RepoError::Contended { attempts: ATTEMPTS_MAX }.into())
    }

    /// Remembers where the branches of another repository stand after a push.
    fn remember(&self, actor: &Actor, remote: &str, names: &[NameChange]) -> Result<(), SyncError> {
        let branches = names.iter().filter(|name| name.kind == RefKind::Branch);
        let moved: Vec<(&str, Option<CommitId>)> =
            branches.map(|name| (name.name.as_str(), name.new.first().copied())).collect();
        Ok(self.set_remotes(actor, remote, &moved)?)
    }
}

/// One attempt.
struct Giving<'a> {
    ours: &'a State,
    theirs: &'a Arc<State>,
    how: &'a Push,
}

impl Giving<'_> {
    /// Where names are to point over there, all of them checked.
    fn targets(&self) -> Result<Targets, SyncError> {
        let Push { branches, deleted, tags, all_tags, .. } = self.how;
        let mut targets = Targets::new();
        let all = |kind| -> Result<BTreeSet<String>, RepoError> {
            Ok(self.ours.names(kind)?.into_iter().map(|(name, _)| name).collect())
        };
        let is_all = branches.is_empty() && deleted.is_empty() && tags.is_empty() && !all_tags;
        for name in if is_all { all(NameKind::Branch)? } else { branches.clone() } {
            let commit = self.ours(NameKind::Branch, &name)?;
            self.check_branch(&name, commit)?;
            targets.insert(NameKind::Branch.key(&name), Target::commit(commit));
        }
        for name in deleted {
            check_name(name)?;
            if self.theirs.target(NameKind::Branch, name)? == Target::absent() {
                return Err(unknown(self.theirs, NameKind::Branch, name)?.into());
            }
            targets.insert(NameKind::Branch.key(name), Target::absent());
        }
        for name in if *all_tags { all(NameKind::Tag)? } else { tags.clone() } {
            let commit = Target::commit(self.ours(NameKind::Tag, &name)?);
            let there = self.theirs.target(NameKind::Tag, &name)?;
            if there != commit && there != Target::absent() && !self.how.force {
                return Err(SyncError::TagTaken { tag: name });
            }
            targets.insert(NameKind::Tag.key(&name), commit);
        }
        Ok(targets)
    }

    /// Where a name points here.
    fn ours(&self, kind: NameKind, name: &str) -> Result<CommitId, SyncError> {
        check_name(name)?;
        match self.ours.target(kind, name)?.adds.iter().flatten().next() {
            Some(commit) => Ok(*commit),
            None => Err(unknown(self.ours, kind, name)?.into()),
        }
    }

    fn check_branch(&self, name: &str, commit: CommitId) -> Result<(), SyncError> {
        let there = self.theirs.target(NameKind::Branch, name)?;
        let is_forward = match there.settled() {
            Some(None) => true,
            Some(Some(there)) => self.follows(there, commit)?,
            None => false,
        };
        if is_forward || self.how.force {
            return Ok(());
        }
        let theirs = there.settled().flatten();
        Err(SyncError::NotFastForward { branch: name.to_owned(), ours: commit, theirs })
    }

    /// Says whether a commit of ours follows one of theirs. What is not known here is followed by nothing of ours.
    fn follows(&self, theirs: CommitId, ours: CommitId) -> Result<bool, SyncError> {
        let blocks = &*self.ours.blocks;
        if !blocks.has(theirs.cid()).map_err(RepoError::from)? {
            return Ok(false);
        }
        match dag::is_ancestor(blocks, theirs, ours) {
            Err(RepoError::Pruned { .. }) => Ok(false),
            other => Ok(other?),
        }
    }

    fn move_blocks(
        &self,
        carried: Carried,
        targets: &Targets,
        boundary: &HashSet<Cid>,
        listener: &mut Listener<'_>,
    ) -> Result<Synced, SyncError> {
        let (ours, theirs) = (erased(self.ours)?, erased(self.theirs)?);
        let only_ours = ours.difference(&theirs).count();
        let erased = if self.how.give_erasures { theirs.union(&ours).copied().collect() } else { theirs };
        let bounds = Bounds { erased: Arc::new(erased), ..Bounds::default() };
        match self.take(carried, targets, boundary, bounds, listener) {
            Err(SyncError::Incomplete { .. }) if only_ours > 0 && !self.how.give_erasures => {
                Err(SyncError::ErasedHere { entities: only_ours })
            }
            moved => moved,
        }
    }

    fn take(
        &self,
        carried: Carried,
        targets: &Targets,
        boundary: &HashSet<Cid>,
        bounds: Bounds,
        listener: &mut Listener<'_>,
    ) -> Result<Synced, SyncError> {
        let wanted: Vec<CommitId> = targets.values().flat_map(Target::commits).collect();
        let sides = Sides { there: &*self.ours.blocks, boundary, here: &*self.theirs.blocks };
        let missing = sides.missing(&wanted, &tracking::commits(self.theirs)?)?;
        if let Some(cid) = missing.left_out.iter().min() {
            // Who pushes a part of a history would leave the other side without the rest.
            return Err(SyncError::Incomplete { cid: *cid, from: None });
        }
        let mut carrier = Carrier::new(carried, &self.theirs.trees, bounds, listener)?;
        let total = Some(missing.commits.len() as u64);
        for (done, id) in missing.commits.iter().enumerate() {
            carrier.tell("commits", done as u64, total)?;
            carrier.take_commit(*id, &missing.known, &self.theirs.trees)?;
        }
        Ok(carrier.finish()?.1)
    }

    fn publish(&self, actor: &Actor, theirs: &Repo, targets: &Targets) -> Result<Swap, SyncError> {
        let state = self.theirs;
        let staged = Arc::new(Staged::new(Arc::clone(&state.blocks)));
        let trees = state.trees.over(Arc::clone(&staged) as Arc<dyn BlockRead>);
        let mutate = |map: Cid, edits: Vec<Edit>| -> Result<Cid, SyncError> {
            Ok(*trees.tree(map).mutate(edits, &mut Arc::clone(&staged))?.root())
        };
        let mut view: View = state.view.clone();
        view.refs = mutate(view.refs, tracking::encoded(targets))?;
        view.sigs = mutate(view.sigs, only_there(state, self.ours, |view| view.sigs)?)?;
        if self.how.give_erasures {
            view.erased = mutate(view.erased, only_there(state, self.ours, |view| view.erased)?)?;
        }
        let expected = Some(state.heads.clone());
        publish(&theirs.shared, state, &view, OperationKind::Refs, actor, &staged, &[], expected)
    }
}

fn unknown(state: &State, kind: NameKind, name: &str) -> Result<RepoError, RepoError> {
    let known = state.names(kind)?.into_iter().map(|(name, _)| name);
    Ok(RepoError::Unknown { spec: name.to_owned(), similar: similar(name, known) })
}
