//! What every commit is put together from, whoever makes it.

use super::dag::Place;
use super::merge::Maps;
use crate::cid::Cid;
use crate::id::{ActorId, ChangeId, CommitId, SessionId};
use crate::object::{Commit, Time};

/// Who makes a commit, and what is said of it.
pub(super) struct Made<'a> {
    pub(super) params: Cid,
    pub(super) parents: Vec<CommitId>,
    pub(super) change: ChangeId,
    pub(super) actor: ActorId,
    pub(super) session: SessionId,
    pub(super) time: Time,
    pub(super) message: &'a str,
}

impl Made<'_> {
    /// Returns the commit of a state. `place` is that of its parents.
    pub(super) fn commit(self, place: &Place, maps: Maps) -> Commit {
        Commit {
            params: self.params,
            parents: self.parents,
            generation: place.generation,
            depth: place.depth,
            skip: place.skip,
            change: self.change,
            actor: self.actor,
            session: self.session,
            author: None,
            time: self.time,
            message: self.message.into(),
            nodes: maps.nodes,
            edges: maps.edges,
            tombs: maps.tombs,
            conflicts: maps.conflicts,
            schema: maps.schema,
            vectors: maps.vectors,
            unknown: maps.unknown,
        }
    }
}
