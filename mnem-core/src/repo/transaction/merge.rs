//! Merging in a transaction: other states, single commits, commits taken back. All are staged like any change; to look
//! and drop the transaction is a dry run.
//!
//! What was staged before becomes part of a state that nobody stored, the merge is made of that, and what comes after are
//! edits of the result. Only what the commit refers to in the end is stored.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::Transaction;
use crate::cid::Cid;
use crate::id::{ActorId, ChangeId, CommitId, EdgeId, EntityId, NodeId, SessionId};
use crate::object::{Commit, Object, Time};
use crate::port::{BlockRead, BlockReadExt};
use crate::repo::commit::Made;
use crate::repo::cover::cover;
use crate::repo::dag;
use crate::repo::delta::Differ;
use crate::repo::entity::{self, Entity};
use crate::repo::error::RepoError;
use crate::repo::handle::Repo;
use crate::repo::merge::fields::Three;
use crate::repo::merge::{Maps, Merge, versions};
use crate::repo::resolve::IntoRevision;
use crate::repo::snapshot::{At, Snapshot};
use crate::staged::Staged;
use crate::tree::{KeyRange, Order};

/// What a transaction has merged.
pub(super) struct Merging {
    started: Snapshot,
    /// What the commit will follow.
    parents: Vec<CommitId>,
    /// The last merge's sides: the staged state before it, and the other.
    sides: Option<Box<[Snapshot; 2]>>,
    /// Set while the commit would be one that is there.
    is_forward: bool,
}

impl Merging {
    pub(super) const fn started(&self) -> &Snapshot {
        &self.started
    }
}

/// Whether a merge into a branch that did not move by itself may move the branch to the other's commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FastForward {
    /// If nothing else is staged by the time of the commit. The branch then stands at the other's commit; there is none
    /// of its own, and no message. So branches that take from each other in turn come to rest.
    #[default]
    IfPossible,
    /// There is always a commit, with both as its parents.
    Never,
}

/// What a merge did to the staged state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MergeReport {
    /// There was nothing to merge: all of it is there already.
    pub is_up_to_date: bool,
    /// The branch just moves to the other's commit, unless something else is staged.
    pub is_fast_forward: bool,
    /// Nodes that came, went or changed.
    pub nodes: u64,
    /// Edges that came, went or changed.
    pub edges: u64,
    /// Fields of those that came, went or changed.
    pub fields: u64,
    /// What is in conflict that was not before.
    pub in_conflict: u64,
}

impl fmt::Display for MergeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_up_to_date {
            return f.write_str("already up to date");
        }
        let MergeReport { nodes, edges, fields, in_conflict, .. } = self;
        write!(f, "{nodes} nodes and {edges} edges taken, {fields} fields, {in_conflict} in conflict")?;
        if self.is_fast_forward { f.write_str("; fast-forward") } else { Ok(()) }
    }
}

impl Transaction {
    /// Merges another state: what changed there since the states had something in common. What the sides disagree on is
    /// in conflict, to be [settled](Self::resolve) now or later, by anyone. The commit will have both as its parents.
    ///
    /// Histories that never met are merged as if both had started from nothing.
    pub fn merge(&mut self, other: impl IntoRevision) -> Result<MergeReport, RepoError> {
        self.merge_with(other, FastForward::default())
    }

    /// The same, with a say about fast-forward.
    pub fn merge_with(
        &mut self,
        other: impl IntoRevision,
        forward: FastForward,
    ) -> Result<MergeReport, RepoError> {
        let theirs = self.find(other)?;
        let Some(id) = theirs.commit_id() else { return Ok(up_to_date()) };
        let blocks = Arc::clone(&self.base.state.blocks);
        // A union that was only ever read, such as one of the past, cannot be followed.
        blocks.require(id.cid())?;
        let parents = self.parents();
        for parent in &parents {
            if dag::is_ancestor(&*blocks, id, *parent)? {
                return Ok(up_to_date());
            }
        }
        let is_untouched = self.is_empty();
        let follows = match parents[..] {
            [] => true,
            [one] => dag::is_ancestor(&*blocks, one, id)?,
            _ => false,
        };
        if is_untouched && follows && (forward == FastForward::IfPossible || parents.is_empty()) {
            return self.forward(theirs);
        }
        let mut before = None;
        let report = self.fold_and_report(|merge, ours| {
            before = Some(ours.clone());
            let common = merge.common(&parents, id)?;
            let theirs = merge.maps(id)?;
            merge.states(Three { base: &common, left: ours, right: &theirs })
        })?;
        let ours = match before {
            Some(maps) => self.showing(maps)?,
            None => self.base.clone(),
        };
        let merging = self.merging();
        merging.parents.push(id);
        merging.sides = Some(Box::new([ours, theirs]));
        Ok(report)
    }

    /// Merges of another state only changes to some nodes and edges, with their vectors: those that `wanted` says, the
    /// ends that new edges need, and the edges that went with a node. The commit does not follow the other state, so the
    /// rest can be merged later.
    pub fn merge_only(
        &mut self,
        other: impl IntoRevision,
        wanted: impl Fn(EntityId) -> bool,
    ) -> Result<MergeReport, RepoError> {
        let theirs = self.find(other)?;
        let Some(id) = theirs.commit_id() else { return Ok(up_to_date()) };
        let parents = self.parents();
        self.fold_and_report(|merge, ours| {
            let common = if parents.is_empty() { merge.nothing()? } else { merge.common(&parents, id)? };
            let some = merge.selected(&common, &merge.maps(id)?, &wanted)?;
            merge.states(Three { base: &common, left: ours, right: &some })
        })
    }

    /// Makes the changes of a commit here, as if they had been made on top of this state.
    pub fn cherry_pick(&mut self, commit: impl IntoRevision) -> Result<MergeReport, RepoError> {
        let (before, after) = self.change_of(commit, None)?;
        self.apply(before, after)
    }

    /// The same of a merge: what it changed in one of its parents, counted from one.
    pub fn cherry_pick_merge(
        &mut self,
        commit: impl IntoRevision,
        mainline: usize,
    ) -> Result<MergeReport, RepoError> {
        let (before, after) = self.change_of(commit, Some(mainline))?;
        self.apply(before, after)
    }

    /// Takes the changes of a commit back, and leaves what was done since. What was changed again since is in conflict.
    pub fn revert(&mut self, commit: impl IntoRevision) -> Result<MergeReport, RepoError> {
        let (before, after) = self.change_of(commit, None)?;
        self.apply(after, before)
    }

    /// The same of a merge: what it changed in one of its parents, counted from one.
    pub fn revert_merge(
        &mut self,
        commit: impl IntoRevision,
        mainline: usize,
    ) -> Result<MergeReport, RepoError> {
        let (before, after) = self.change_of(commit, Some(mainline))?;
        self.apply(after, before)
    }

    /// The states before and after a commit; `None` where there is none.
    fn change_of(
        &self,
        commit: impl IntoRevision,
        mainline: Option<usize>,
    ) -> Result<(Option<CommitId>, Option<CommitId>), RepoError> {
        let found = self.find(commit)?;
        let Some(At { id, commit }) = found.at.as_deref() else { return Ok((None, None)) };
        let parents = &commit.parents;
        let before = match (mainline, &parents[..]) {
            (None, [] | [_]) => parents.first(),
            (Some(at), _) if (1..=parents.len()).contains(&at) => parents.get(at - 1),
            _ => return Err(RepoError::NeedsMainline { commit: *id, parents: parents.len() }),
        };
        Ok((before.copied(), Some(*id)))
    }

    fn apply(&mut self, from: Option<CommitId>, to: Option<CommitId>) -> Result<MergeReport, RepoError> {
        self.fold_and_report(|merge, ours| {
            let maps = |commit: Option<CommitId>| commit.map_or_else(|| merge.nothing(), |id| merge.maps(id));
            let (from, to) = (maps(from)?, maps(to)?);
            merge.states(Three { base: &from, left: ours, right: &to })
        })
    }

    /// Finds a state by the names as they were when this started.
    fn find(&self, other: impl IntoRevision) -> Result<Snapshot, RepoError> {
        let Snapshot { shared, state, branch, .. } = self.base();
        let past = Some(Arc::clone(state));
        let found = Repo { shared: Arc::clone(shared), branch: Arc::clone(branch), past }.at(other)?;
        match found.commit_id() {
            // A union that was only ever read is nowhere; it is refused where it would be followed.
            Some(id) if state.block(id.cid())?.is_some() => cover(shared, state, id)?,
            _ => {}
        }
        Ok(found)
    }

    pub(super) fn parents(&self) -> Vec<CommitId> {
        match &self.merging {
            Some(merging) => merging.parents.clone(),
            None => self.base.commit_id().into_iter().collect(),
        }
    }

    /// The states of this side and of the other, if this transaction or the commit that it starts from merged them.
    pub(super) fn sides(&self) -> Result<Option<[Snapshot; 2]>, RepoError> {
        if let Some(sides) = self.merging.as_ref().and_then(|merging| merging.sides.as_deref()) {
            return Ok(Some(sides.clone()));
        }
        let started = self.base();
        let by_hand = started.commit().filter(|commit| commit.actor != ActorId::SYSTEM);
        let Some([ours, theirs]) = by_hand.map(|commit| &commit.parents[..]) else { return Ok(None) };
        let at = |id: CommitId| -> Result<Snapshot, RepoError> {
            let Snapshot { shared, state, branch, .. } = started;
            Snapshot::new(Arc::clone(shared), Arc::clone(state), Arc::clone(branch), Some(id))
        };
        Ok(Some([at(*ours)?, at(*theirs)?]))
    }

    fn merging(&mut self) -> &mut Merging {
        let parents = self.parents();
        let started = &self.base;
        self.merging.get_or_insert_with(|| Merging {
            started: started.clone(),
            parents,
            sides: None,
            is_forward: false,
        })
    }

    /// Says whether something was merged that a commit would record.
    pub(super) fn is_merge_of_anything(&self) -> bool {
        let Some(merging) = &self.merging else { return false };
        let roots = |snapshot: &Snapshot| {
            snapshot.commit().map(|it| [it.nodes, it.edges, it.tombs, it.conflicts, it.schema, it.vectors])
        };
        let started: Vec<CommitId> = merging.started.commit_id().into_iter().collect();
        let nothing = [self.base.shared.empty_root; 6];
        merging.parents != started
            || roots(&self.base).unwrap_or(nothing) != roots(&merging.started).unwrap_or(nothing)
    }

    /// The commit that the branch just moves to, if that is all.
    pub(super) fn forwarded(&self) -> Option<&At> {
        let is_forward = self.merging.as_ref().is_some_and(|merging| merging.is_forward);
        let is_all =
            self.nodes.is_empty() && self.edges.is_empty() && self.schema.is_none() && self.vectors.is_none();
        self.base.at.as_deref().filter(|_| is_forward && is_all)
    }

    pub(super) fn into_started(self) -> Snapshot {
        match self.merging {
            Some(merging) => merging.started,
            None => self.base,
        }
    }

    fn forward(&mut self, theirs: Snapshot) -> Result<MergeReport, RepoError> {
        let ours = self.base.commit().map_or_else(|| Maps::empty(self.base.shared.empty_root), Maps::of);
        let report = report(&ours, &theirs)?;
        // Nothing of it is changed, so nothing is lost with it.
        (self.nodes, self.edges, self.schema, self.vectors) = Default::default();
        let parents = theirs.commit_id().into_iter().collect();
        let merging = self.merging();
        (merging.parents, merging.is_forward) = (parents, true);
        // Names and lease stay those of the start: what is read is there either way.
        self.base.at = theirs.at;
        Ok(MergeReport { is_fast_forward: true, ..report })
    }

    fn fold_and_report(
        &mut self,
        change: impl FnOnce(&Merge<'_>, &Maps) -> Result<Maps, RepoError>,
    ) -> Result<MergeReport, RepoError> {
        let mut before = None;
        self.fold(|merge, ours| {
            before = Some(ours.clone());
            change(merge, ours)
        })?;
        before.map_or_else(|| Ok(MergeReport::default()), |before| report(&before, &self.base))
    }

    /// Makes a new state of the staged one, on which further edits rest.
    pub(super) fn fold(
        &mut self,
        change: impl FnOnce(&Merge<'_>, &Maps) -> Result<Maps, RepoError>,
    ) -> Result<(), RepoError> {
        let staged = Arc::new(Staged::new(Arc::clone(&self.base.state.blocks)));
        let trees = self.base.state.trees.over(Arc::clone(&staged) as Arc<dyn BlockRead>);
        let ours = self.stage_maps(&staged)?;
        let maps = change(&Merge::new(&trees, &staged), &ours)?;
        self.merging().is_forward = false;
        self.base.state = Arc::new(self.base.state.with(staged));
        self.base = self.showing(maps)?;
        (self.nodes, self.edges, self.schema, self.vectors) = Default::default();
        Ok(())
    }

    /// A state of these maps for those who read them, over what is staged.
    fn showing(&self, maps: Maps) -> Result<Snapshot, RepoError> {
        let commit = self.unstored(maps)?;
        let id = CommitId::new(*commit.to_block()?.cid());
        Ok(Snapshot { at: Some(Arc::new(At { id, commit })), ..self.base.clone() })
    }

    /// A commit of these maps. It is never stored.
    fn unstored(&self, maps: Maps) -> Result<Commit, RepoError> {
        let parents = self.parents();
        let place = dag::place(&*self.base.state.blocks, &parents)?;
        let made = Made {
            params: self.base.shared.params_cid,
            parents,
            change: ChangeId::from_bytes([0; 16]),
            actor: self.actor.id(),
            session: SessionId::SYSTEM,
            time: place.latest.and_then(|latest| latest.checked_add(1)).unwrap_or(Time::MIN),
            message: "",
        };
        Ok(made.commit(&place, maps))
    }
}

fn up_to_date() -> MergeReport {
    MergeReport { is_up_to_date: true, ..MergeReport::default() }
}

/// Counts what differs.
fn report(before: &Maps, after: &Snapshot) -> Result<MergeReport, RepoError> {
    let maps = after.commit().map_or_else(|| Maps::empty(after.shared.empty_root), Maps::of);
    let (nodes, of_nodes) = differing::<NodeId>(before.nodes, maps.nodes, after)?;
    let (edges, of_edges) = differing::<EdgeId>(before.edges, maps.edges, after)?;
    let fields = of_nodes + of_edges;
    let mut report = MergeReport { nodes, edges, fields, ..MergeReport::default() };
    let (one, two) = (after.tree(before.conflicts), after.tree(maps.conflicts));
    for change in one.diff(&two, KeyRange::ALL, Order::Ascending) {
        report.in_conflict += u64::from(change?.after.is_some());
    }
    Ok(report)
}

fn differing<E: Entity>(before: Cid, after: Cid, of: &Snapshot) -> Result<(u64, u64), RepoError>
where
    E::Object: Differ,
{
    let (mut entities, mut fields) = (0, 0);
    for change in of.tree(before).diff(&of.tree(after), KeyRange::ALL, Order::Ascending) {
        let change = change?;
        let read = |value: Option<&Bytes>, root: &Cid| -> Result<Option<E::Object>, RepoError> {
            let Some(value) = value else { return Ok(None) };
            let block = of.state.blocks.require(&entity::link(root, value)?)?;
            versions::shown_version(&*of.state.blocks, &block).map(Some)
        };
        let (old, new) = (read(change.before.as_ref(), &before)?, read(change.after.as_ref(), &after)?);
        entities += 1;
        fields += u64::try_from(E::Object::differ(old.as_ref(), new.as_ref()).len()).unwrap_or(u64::MAX);
    }
    Ok((entities, fields))
}
