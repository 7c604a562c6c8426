//! Finds the commits that touched an entity, or all that was touched in a span of time.
//!
//! Commits are left newest first, and a commit is younger than its parents: when one is left, everything that leads to
//! it was left before. A row says what need not be looked at; without a row, a commit is compared with its parents.

use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Range;
use std::sync::Arc;

use super::prints::print;
use super::rows::{CommitRow, Own, Rows, Touched};
use super::touched::{AllTouched, root_of, version_at};
use crate::cid::Cid;
use crate::codec::{DecodeError, Malformed};
use crate::id::{CommitId, EntityId};
use crate::object::{Commit, Time};
use crate::repo::dag::read_ancestor;
use crate::repo::error::RepoError;
use crate::repo::snapshot::Snapshot;

/// One commit's touch on an entity.
pub(super) struct Touch {
    pub(super) commit: CommitId,
    pub(super) time: Time,
    pub(super) touched: Touched,
}

/// Commits that were met and not left yet.
struct Frontier {
    snapshot: Snapshot,
    open: BinaryHeap<(Time, CommitId)>,
    last: Option<CommitId>,
    /// Those of them that were read already.
    read: BTreeMap<CommitId, Arc<Commit>>,
}

/// A commit that is left.
#[derive(Clone)]
struct Left {
    id: CommitId,
    time: Time,
    commit: Option<Arc<Commit>>,
}

impl Frontier {
    fn new(snapshot: &Snapshot) -> Frontier {
        let open = snapshot.at.iter().map(|at| (at.commit.time, at.id)).collect();
        Frontier { snapshot: snapshot.clone(), open, last: None, read: BTreeMap::new() }
    }

    fn next(&mut self) -> Option<Left> {
        loop {
            let (time, id) = self.open.pop()?;
            if self.last.replace(id) != Some(id) {
                return Some(Left { id, time, commit: self.read.remove(&id) });
            }
        }
    }

    fn row(&self, id: CommitId) -> Result<Option<CommitRow>, RepoError> {
        self.rows().get(id)
    }

    fn rows(&self) -> Rows<'_> {
        Rows::of(&self.snapshot.shared)
    }

    /// Meets the parents of a commit, or what its skip link leads to.
    fn meet(
        &mut self,
        left: &Left,
        others: impl IntoIterator<Item = (CommitId, Time)>,
    ) -> Result<(), RepoError> {
        for (id, time) in others {
            if time >= left.time {
                let what = Malformed::Field { name: "time", why: "is not after that of its parents" };
                let why = DecodeError { what, at: 0 };
                return Err(RepoError::Damaged { what: "a history", cid: *left.id.cid(), why });
            }
            self.open.push((time, id));
        }
        Ok(())
    }

    fn commit(&self, left: &Left) -> Result<Arc<Commit>, RepoError> {
        match &left.commit {
            Some(commit) => Ok(Arc::clone(commit)),
            None => self.snapshot.ancestor(left.id).map(Arc::new),
        }
    }

    /// Reads the parents of a commit, and meets them.
    fn parents(&mut self, left: &Left, commit: &Commit) -> Result<Vec<Arc<Commit>>, RepoError> {
        let mut parents = Vec::with_capacity(commit.parents.len());
        for id in &commit.parents {
            let parent = match self.read.get(id) {
                Some(parent) => Arc::clone(parent),
                None => Arc::new(read_ancestor(&*self.snapshot.state.blocks, *id, commit)?),
            };
            self.meet(left, [(*id, parent.time)])?;
            self.read.insert(*id, Arc::clone(&parent));
            parents.push(parent);
        }
        Ok(parents)
    }
}

/// The commits that touched one entity, newest first.
pub(super) struct OfEntity {
    entity: EntityId,
    print: u32,
    frontier: Frontier,
    /// What the entity is in commits that were read and not left yet.
    versions: BTreeMap<CommitId, Option<Cid>>,
}

impl OfEntity {
    pub(super) fn new(snapshot: &Snapshot, entity: EntityId) -> OfEntity {
        let frontier = Frontier::new(snapshot);
        OfEntity { entity, print: print(entity), frontier, versions: BTreeMap::new() }
    }

    fn advance(&mut self) -> Result<Option<Touch>, RepoError> {
        while let Some(left) = self.frontier.next() {
            let version = self.versions.remove(&left.id);
            let touched = match self.by_row(&left)? {
                Some(known) => known,
                None => self.by_comparing(&left, version)?,
            };
            if let Some(touched) = touched {
                return Ok(Some(Touch { commit: left.id, time: left.time, touched }));
            }
        }
        Ok(None)
    }

    /// Returns whether the commit touched the entity, if its row says so.
    fn by_row(&mut self, left: &Left) -> Result<Option<Option<Touched>>, RepoError> {
        let Some(row) = self.frontier.row(left.id)? else { return Ok(None) };
        if let Some(segment) = &row.segment
            && self.frontier.rows().may_have(left.id, segment, self.print)? == Some(false)
        {
            self.frontier.meet(left, row.skip.map(|skip| (skip.commit, skip.time)))?;
            return Ok(Some(None));
        }
        let touched = match row.own {
            Own::Exact(touched) => touched.into_iter().find(|touched| touched.entity == self.entity),
            Own::Prints(prints) if !prints.has(self.print) => None,
            Own::Prints(_) | Own::Unknown => return Ok(None),
        };
        self.frontier.meet(left, row.parents)?;
        Ok(Some(touched))
    }

    fn by_comparing(
        &mut self,
        left: &Left,
        version: Option<Option<Cid>>,
    ) -> Result<Option<Touched>, RepoError> {
        let trees = self.frontier.snapshot.state.trees.clone();
        let commit = self.frontier.commit(left)?;
        let new = match version {
            Some(version) => version,
            None => version_at(&trees, &commit, self.entity)?,
        };
        let parents = self.frontier.parents(left, &commit)?;
        let mut old = Vec::with_capacity(parents.len());
        for (id, parent) in commit.parents.iter().zip(parents) {
            let version = match self.versions.get(id) {
                Some(version) => *version,
                None if root_of(&parent, self.entity) == root_of(&commit, self.entity) => new,
                None => version_at(&trees, &parent, self.entity)?,
            };
            self.versions.insert(*id, version);
            old.push(version);
        }
        let is_touched = if old.is_empty() { new.is_some() } else { !old.contains(&new) };
        Ok(is_touched.then_some(Touched { entity: self.entity, old, new }))
    }
}

impl Iterator for OfEntity {
    type Item = Result<Touch, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

/// All that was touched in a span of time: newest commits first, in each nodes, then edges, by id.
pub(super) struct Within {
    span: Range<Time>,
    frontier: Frontier,
    open: Option<(Left, Rest)>,
}

/// What is left to say of a commit.
type Rest = Box<dyn Iterator<Item = Result<Touched, RepoError>> + Send>;

impl Within {
    pub(super) fn new(snapshot: &Snapshot, span: Range<Time>) -> Within {
        Within { span, frontier: Frontier::new(snapshot), open: None }
    }

    fn advance(&mut self) -> Result<Option<Touch>, RepoError> {
        loop {
            if let Some((left, all)) = &mut self.open
                && let Some(touched) = all.next()
            {
                return Ok(Some(Touch { commit: left.id, time: left.time, touched: touched? }));
            }
            self.open = None;
            let Some(left) = self.frontier.next().filter(|left| left.time >= self.span.start) else {
                return Ok(None);
            };
            if left.time >= self.span.end {
                self.pass(&left)?;
            } else {
                self.enter(left)?;
            }
        }
    }

    /// Passes by a commit that is too young, and by all behind it that its row says are too young as well.
    fn pass(&mut self, left: &Left) -> Result<(), RepoError> {
        let Some(row) = self.frontier.row(left.id)? else {
            let commit = self.frontier.commit(left)?;
            return self.frontier.parents(left, &commit).map(|_| ());
        };
        if row.segment.is_some_and(|segment| segment.since >= self.span.end) {
            return self.frontier.meet(left, row.skip.map(|skip| (skip.commit, skip.time)));
        }
        self.frontier.meet(left, row.parents)
    }

    fn enter(&mut self, left: Left) -> Result<(), RepoError> {
        if let Some(CommitRow { own: Own::Exact(touched), parents, .. }) = self.frontier.row(left.id)? {
            self.frontier.meet(&left, parents)?;
            self.open = Some((left, Box::new(touched.into_iter().map(Ok))));
            return Ok(());
        }
        let commit = self.frontier.commit(&left)?;
        let parents = self.frontier.parents(&left, &commit)?;
        let Snapshot { shared, state, .. } = &self.frontier.snapshot;
        let all = AllTouched::new(state.trees.clone(), commit, parents, shared.empty_root);
        self.open = Some((left, Box::new(all)));
        Ok(())
    }
}

impl Iterator for Within {
    type Item = Result<Touch, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}
