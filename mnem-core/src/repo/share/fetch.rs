//! Fetching: what another repository has and this one has not, under the other's name.

use std::collections::HashSet;
use std::sync::Arc;

use super::carry::{Carried, Carrier, Under, erased};
use super::error::SyncError;
use super::missing::Sides;
use super::tracking::Targets;
use super::{Synced, boundary, publish, tracking};
use crate::cid::Cid;
use crate::object::{OperationKind, View};
use crate::port::{BlockRead, Row, Swap};
use crate::progress::Listener;
use crate::repo::handle::Repo;
use crate::repo::options::Actor;
use crate::repo::reach::Bounds;
use crate::repo::refs::{NameKind, RefKind, Target};
use crate::repo::state::State;
use crate::staged::Staged;
use crate::tree::Edit;

/// What to take over from another repository.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetch {
    /// What the other repository is called here.
    pub remote: String,
    /// Whether what was erased there is erased here too.
    pub take_erasures: bool,
}

impl Fetch {
    /// Takes over all branches, as those of a repository of that name, and the tags that are not here.
    pub fn from(remote: impl Into<String>) -> Fetch {
        Fetch { remote: remote.into(), take_erasures: false }
    }

    /// What was erased there is erased here too.
    pub fn take_erasures(self) -> Fetch {
        Fetch { take_erasures: true, ..self }
    }
}

/// Names of another repository that are to be taken over.
pub(super) struct Offer {
    pub(super) branches: Vec<(String, Target)>,
    pub(super) tags: Vec<(String, Target)>,
}

impl Offer {
    pub(super) fn of(theirs: &State) -> Result<Offer, SyncError> {
        Ok(Offer { branches: theirs.names(NameKind::Branch)?, tags: theirs.names(NameKind::Tag)? })
    }
}

impl Repo {
    /// Takes over what another repository has and this one has not. Its branches are known here under its name, such as
    /// `origin/main`; branches of this repository stay where they are. Tags that are not here are made.
    pub fn fetch_from(
        &self,
        actor: &Actor,
        theirs: &Repo,
        how: &Fetch,
        listener: &mut Listener<'_>,
    ) -> Result<Synced, SyncError> {
        let state = theirs.state()?;
        let ours = Arc::new(self.shared.state()?);
        let offer = Offer::of(&state)?;
        let carried = Carried::new(
            Some(Arc::clone(&state.blocks)),
            Arc::clone(self.store()),
            Under::State(Arc::clone(&ours)),
        );
        let there = Arc::clone(&state.blocks);
        let boundary = theirs.boundary()?;
        let taking = Taking { repo: self, actor, ours, there, theirs: Some(&state), offer, boundary, how };
        taking.run(carried, listener)
    }
}

/// One fetch, from wherever the blocks come.
pub(super) struct Taking<'a> {
    pub(super) repo: &'a Repo,
    pub(super) actor: &'a Actor,
    pub(super) ours: Arc<State>,
    /// Where what is offered can be read.
    pub(super) there: Arc<dyn BlockRead>,
    /// The state that offers, if a whole one does.
    pub(super) theirs: Option<&'a State>,
    pub(super) offer: Offer,
    /// What the other side may lack.
    pub(super) boundary: HashSet<Cid>,
    pub(super) how: &'a Fetch,
}

impl Taking<'_> {
    pub(super) fn run(self, carried: Carried, listener: &mut Listener<'_>) -> Result<Synced, SyncError> {
        self.repo.check_writable()?;
        tracking::check_remote(&self.how.remote)?;
        if self.theirs.is_some_and(|theirs| theirs.trees.params() != self.ours.trees.params()) {
            return Err(SyncError::IncompatibleTrees);
        }
        let ours_erased = erased(&self.ours)?;
        let theirs_erased = self.theirs.map_or(Ok(HashSet::new()), erased)?;
        let only_theirs = theirs_erased.difference(&ours_erased).count();
        let erased = match self.how.take_erasures {
            true => ours_erased.union(&theirs_erased).copied().collect(),
            false => ours_erased,
        };
        let bounds = Bounds { erased: Arc::new(erased), ..Bounds::default() };
        let moved = self.take(carried, bounds, listener);
        match moved {
            Err(SyncError::Incomplete { .. }) if only_theirs > 0 && !self.how.take_erasures => {
                Err(SyncError::ErasedThere { entities: only_theirs })
            }
            moved => moved,
        }
    }

    fn take(
        &self,
        carried: Carried,
        bounds: Bounds,
        listener: &mut Listener<'_>,
    ) -> Result<Synced, SyncError> {
        let ours = &self.ours;
        let names = self.offer.branches.iter().chain(&self.offer.tags);
        let wanted: Vec<_> = names.flat_map(|(_, target)| target.commits()).collect();
        let sides = Sides { there: &*self.there, boundary: &self.boundary, here: &*ours.blocks };
        let missing = sides.missing(&wanted, &tracking::commits(ours)?)?;
        let mut carrier = Carrier::new(carried, &ours.trees, bounds, listener)?;
        let total = Some(missing.commits.len() as u64);
        for (done, id) in missing.commits.iter().enumerate() {
            carrier.tell("commits", done as u64, total)?;
            carrier.take_commit(*id, &missing.known, &ours.trees)?;
        }
        let (_, mut synced) = carrier.finish()?;
        let namespace = &self.repo.shared.options.namespace;
        let left_out = missing.left_out.iter().map(|cid| boundary::row(namespace, cid, true));
        // What has come is not left out any more.
        let here =
            self.repo.boundary()?.into_iter().filter(|cid| missing.commits.iter().any(|id| id.cid() == cid));
        let rows: Vec<Row> = left_out.chain(here.map(|cid| boundary::row(namespace, &cid, false))).collect();
        let staged = Arc::new(Staged::new(Arc::clone(&ours.blocks)));
        let view = self.view(&staged, &mut synced)?;
        // Whoever moved names meanwhile is united with, as with any other writer.
        let kind = OperationKind::Import;
        let (Swap::Done | Swap::Moved) =
            publish(&self.repo.shared, ours, &view, kind, self.actor, &staged, &rows, None)?;
        Ok(synced)
    }

    /// The names as they are to be.
    fn view(&self, staged: &Arc<Staged>, synced: &mut Synced) -> Result<View, SyncError> {
        let Taking { ours, theirs, .. } = self;
        let trees = ours.trees.over(Arc::clone(staged) as Arc<dyn BlockRead>);
        let mutate = |map: Cid, edits: Vec<Edit>| -> Result<Cid, SyncError> {
            Ok(*trees.tree(map).mutate(edits, &mut Arc::clone(staged))?.root())
        };
        let remotes = tracking::edits(ours, &self.how.remote, &self.offer.branches)?;
        let mut tags = Targets::new();
        for (name, target) in &self.offer.tags {
            match ours.target(NameKind::Tag, name)? {
                here if here == *target => {}
                here if here == Target::absent() => {
                    tags.insert(NameKind::Tag.key(name), target.clone());
                }
                _ => synced.tags_kept.push(name.clone()),
            }
        }
        synced.names = tracking::changes(RefKind::from, ours.view.refs, ours, &tags)?;
        synced.names.extend(tracking::changes(|_| RefKind::Remote, ours.view.remotes, ours, &remotes)?);
        let mut view = ours.view.clone();
        view.remotes = mutate(view.remotes, tracking::encoded(&remotes))?;
        view.refs = mutate(view.refs, tracking::encoded(&tags))?;
        let Some(theirs) = theirs else { return Ok(view) };
        view.sigs = mutate(view.sigs, only_there(ours, theirs, |view| view.sigs)?)?;
        if self.how.take_erasures {
            view.erased = mutate(view.erased, only_there(ours, theirs, |view| view.erased)?)?;
        }
        Ok(view)
    }
}

/// What a map that only grows has on the other side, and not here.
pub(super) fn only_there(here: &State, there: &State, map: fn(&View) -> Cid) -> Result<Vec<Edit>, SyncError> {
    let compared = here.trees.tree(map(&here.view)).compare(&there.trees.tree(map(&there.view)))?;
    let new = compared.changes.into_iter().filter(|change| change.before.is_none() && change.after.is_some());
    Ok(new.map(|change| Edit { key: change.key, value: change.after }).collect())
}
