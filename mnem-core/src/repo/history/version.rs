//! Versions as people and programs see them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::rows::Touched;
use crate::cid::Cid;
use crate::id::{ActorId, CommitId, EntityId};
use crate::object::{Commit, Edge, Node, Object, Time};
use crate::port::BlockReadExt;
use crate::repo::delta::{Deltas, Differ};
use crate::repo::error::RepoError;
use crate::repo::merge::open::Fields;
use crate::repo::merge::versions::{self, Merged};
use crate::repo::snapshot::Snapshot;

/// A commit, as far as it says who wrote something, when and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// The commit.
    pub commit: CommitId,
    /// When it was made.
    pub time: Time,
    /// In whose name.
    pub actor: ActorId,
    /// Who wrote what it records, or, if the commit does not say, the actor's name, if it is known.
    pub name: Option<Arc<str>>,
    /// What it is about.
    pub message: Arc<str>,
}

/// `2026-11-21 10:04  ada  Correct the year`.
impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.time.to_string();
        let minutes = time.find('T').and_then(|at| time.get(..at + 6)).unwrap_or(&time);
        write!(f, "{}  ", minutes.replace('T', " "))?;
        match &self.name {
            Some(name) => f.write_str(name)?,
            None if self.actor == ActorId::SYSTEM => f.write_str("system")?,
            None => write!(f, "{}", self.actor)?,
        }
        if self.message.is_empty() { Ok(()) } else { write!(f, "  {}", self.message) }
    }
}

/// One commit's touch on a node or edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Which.
    pub entity: EntityId,
    /// The commit that made the version.
    pub writer: Writer,
    /// The versions that the commit's parents have, in their order; none if it has no parents.
    pub old: Vec<Option<Cid>>,
    /// The version that the commit has; `None` if it removed the entity.
    pub new: Option<Cid>,
    /// The fields that it has otherwise than every parent, each beside what the first parent has.
    pub deltas: Deltas,
    /// Names of the fields that sides of a merge disagree on in this version.
    pub disputed: Vec<String>,
}

/// `2026-11-21 10:04  ada  Correct the year  born 1815 -> 1816`.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.writer)?;
        if self.new.is_none() {
            return f.write_str("  removed");
        }
        match self.deltas.is_empty() {
            false => write!(f, "  {}", self.deltas)?,
            // Unlike every side, though each field is as some side has it.
            true if self.old.len() > 1 && self.disputed.is_empty() => f.write_str("  merged")?,
            true => {}
        }
        if !self.disputed.is_empty() {
            write!(f, "  in conflict: {}", self.disputed.join(", "))?;
        }
        Ok(())
    }
}

/// Reads what the versions of one answer are made of.
pub(super) struct Versions {
    snapshot: Snapshot,
    /// Few actors make many versions.
    names: BTreeMap<ActorId, Option<Arc<str>>>,
}

impl Versions {
    pub(super) fn new(snapshot: &Snapshot) -> Versions {
        Versions { snapshot: snapshot.clone(), names: BTreeMap::new() }
    }

    pub(super) fn version(&mut self, commit: CommitId, touched: Touched) -> Result<Version, RepoError> {
        let writer = self.writer(commit)?;
        let (deltas, disputed) = match touched.entity {
            EntityId::Node(_) => self.differences::<Node>(&touched)?,
            EntityId::Edge(_) => self.differences::<Edge>(&touched)?,
        };
        let Touched { entity, old, new } = touched;
        Ok(Version { entity, writer, old, new, deltas, disputed })
    }

    pub(super) fn writer(&mut self, id: CommitId) -> Result<Writer, RepoError> {
        let Commit { time, actor, author, message, .. } = self.snapshot.ancestor(id)?;
        let name = match author {
            Some(author) => Some(author),
            None => self.name(actor)?,
        };
        Ok(Writer { commit: id, time, actor, name, message })
    }

    fn name(&mut self, actor: ActorId) -> Result<Option<Arc<str>>, RepoError> {
        if let Some(name) = self.names.get(&actor) {
            return Ok(name.clone());
        }
        let name = self.snapshot.actor_name(actor)?.map(Arc::from);
        self.names.insert(actor, name.clone());
        Ok(name)
    }

    fn differences<T: Object + Fields + Differ>(
        &self,
        touched: &Touched,
    ) -> Result<(Deltas, Vec<String>), RepoError> {
        let new = self.shown::<T>(touched.new)?;
        let version = |of: &Option<Merged<T>>| of.as_ref().map(|merged| merged.version.clone());
        let mut parents = touched.old.iter().map(|old| self.shown::<T>(*old).map(|old| version(&old)));
        let first = parents.next().transpose()?.flatten();
        let mut deltas = T::differ(first.as_ref(), version(&new).as_ref());
        for other in parents {
            let others = T::differ(other?.as_ref(), version(&new).as_ref());
            deltas.retain(|field| others.has(field));
        }
        Ok((deltas, new.map(|new| new.disputed).unwrap_or_default()))
    }

    /// Returns an entity as a snapshot would show it.
    pub(super) fn shown<T: Object + Fields>(
        &self,
        version: Option<Cid>,
    ) -> Result<Option<Merged<T>>, RepoError> {
        let blocks = &*self.snapshot.state.blocks;
        version.map(|cid| versions::shown(blocks, &blocks.require(&cid)?)).transpose()
    }
}
