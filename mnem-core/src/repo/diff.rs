//! What differs between two states: nodes and edges that came, went or changed, and in which fields.
//!
//! Costs what differs, not what is there: of what both states share nothing is read, and the first answer comes
//! before the rest is looked for.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use super::change::{Change, Changed, DiffStat};
use super::entity::{self, Entity};
use super::error::{RepoError, damaged_key};
use super::merge::versions;
use super::snapshot::Snapshot;
use crate::cid::Cid;
use crate::id::{EdgeId, EntityId, NodeId};
use crate::port::BlockReadExt;
use crate::tree::{self, KeyRange, Order};

/// Which changes are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Only {
    /// Nodes that carry a label, in either state.
    Label(Arc<str>),
    /// These nodes and edges. They are looked up; nothing else is looked at.
    Entities(BTreeSet<EntityId>),
}

impl Only {
    /// Nodes that carry a label, in either state.
    pub fn label(label: &str) -> Only {
        Only::Label(label.into())
    }

    /// These nodes and edges.
    pub fn entities(ids: impl IntoIterator<Item = impl Into<EntityId>>) -> Only {
        Only::Entities(ids.into_iter().map(Into::into).collect())
    }
}

impl From<EntityId> for Only {
    fn from(id: EntityId) -> Only {
        Only::entities([id])
    }
}

impl From<NodeId> for Only {
    fn from(id: NodeId) -> Only {
        Only::entities([id])
    }
}

impl From<EdgeId> for Only {
    fn from(id: EdgeId) -> Only {
        Only::entities([id])
    }
}

impl Snapshot {
    /// Walks what must change in this state to make it the other: nodes, then edges, each in the order of their ids.
    /// For the first few, take no more of them; for the way back, ask the other state.
    pub fn diff_to(&self, other: &Snapshot) -> Diff {
        Diff {
            from: self.clone(),
            to: other.clone(),
            labels: Vec::new(),
            entities: None,
            after: None,
            at: Stage::Start,
        }
    }
}

/// The differences between two states. Ends after its first error.
#[must_use = "a difference reads nothing until it is walked"]
pub struct Diff {
    from: Snapshot,
    to: Snapshot,
    labels: Vec<Arc<str>>,
    entities: Option<BTreeSet<EntityId>>,
    after: Option<EntityId>,
    at: Stage,
}

enum Stage {
    Start,
    Nodes(tree::Diff),
    Edges(tree::Diff),
    /// One after the other, where these alone are asked for.
    Each(std::vec::IntoIter<EntityId>),
    End,
}

impl Diff {
    /// Leaves out everything else. Called again, it leaves what both have in common.
    pub fn only(mut self, what: impl Into<Only>) -> Diff {
        match what.into() {
            Only::Label(label) => self.labels.push(label),
            Only::Entities(ids) => {
                let both = match self.entities.take() {
                    Some(before) => before.intersection(&ids).copied().collect(),
                    None => ids,
                };
                self.entities = Some(both);
            }
        }
        self
    }

    /// Goes on behind a node or edge: what a walk gave up to it is not given again.
    pub fn after(mut self, entity: EntityId) -> Diff {
        self.after = Some(entity);
        self
    }

    /// Counts what differs. No version is read, unless labels were asked for.
    pub fn stat(mut self) -> Result<DiffStat, RepoError> {
        let mut stat = DiffStat::default();
        while let Some(place) = self.place()? {
            let counts = match place.entity {
                EntityId::Node(_) => &mut stat.nodes,
                EntityId::Edge(_) => &mut stat.edges,
            };
            if self.labels.is_empty() || self.carries_labels(&self.read(place)?) {
                counts.count(place.old.is_some(), place.new.is_some());
            }
        }
        Ok(stat)
    }

    fn start(&mut self) {
        self.at = match (&self.entities, self.after) {
            (Some(ids), after) => {
                let ids: Vec<EntityId> = ids.iter().copied().filter(|id| Some(*id) > after).collect();
                Stage::Each(ids.into_iter())
            }
            // Under labels there are nodes only: edges carry none.
            (None, Some(EntityId::Edge(_))) if !self.labels.is_empty() => Stage::End,
            (None, Some(EntityId::Edge(id))) => Stage::Edges(self.trees::<EdgeId>(Some(id))),
            (None, Some(EntityId::Node(id))) => Stage::Nodes(self.trees::<NodeId>(Some(id))),
            (None, None) => Stage::Nodes(self.trees::<NodeId>(None)),
        };
    }

    fn trees<E: Entity>(&self, after: Option<E>) -> tree::Diff {
        let range = match after {
            Some(id) => KeyRange::new::<[u8; 16], _>((Bound::Excluded(*id.key()), Bound::Unbounded)),
            None => KeyRange::ALL,
        };
        let [from, to] = [&self.from, &self.to].map(|side| side.tree(root_of::<E>(side)));
        from.diff(&to, range, Order::Ascending)
    }

    /// Returns the next place where the maps differ.
    fn place(&mut self) -> Result<Option<Place>, RepoError> {
        loop {
            match &mut self.at {
                Stage::Start => self.start(),
                Stage::Nodes(diff) => match diff.next().transpose()? {
                    Some(change) => return self.placed(&change, NodeId::from_bytes).map(Some),
                    None if self.labels.is_empty() => self.at = Stage::Edges(self.trees::<EdgeId>(None)),
                    None => self.at = Stage::End,
                },
                Stage::Edges(diff) => match diff.next().transpose()? {
                    Some(change) => return self.placed(&change, EdgeId::from_bytes).map(Some),
                    None => self.at = Stage::End,
                },
                Stage::Each(ids) => match ids.next() {
                    Some(entity) => {
                        let place =
                            Place { entity, old: self.from.cid_of(entity)?, new: self.to.cid_of(entity)? };
                        if place.old != place.new {
                            return Ok(Some(place));
                        }
                    }
                    None => self.at = Stage::End,
                },
                Stage::End => return Ok(None),
            }
        }
    }

    fn placed<E: Entity>(
        &self,
        change: &tree::Change,
        entity: fn([u8; 16]) -> E,
    ) -> Result<Place, RepoError> {
        let id = <[u8; 16]>::try_from(&*change.key).map_err(|_| damaged_key())?;
        let cid = |side: &Snapshot, value: &Option<bytes::Bytes>| {
            value.as_ref().map(|value| entity::link(&root_of::<E>(side), value)).transpose()
        };
        Ok(Place {
            entity: entity(id).into(),
            old: cid(&self.from, &change.before)?,
            new: cid(&self.to, &change.after)?,
        })
    }

    fn read(&self, place: Place) -> Result<Change, RepoError> {
        Ok(match place.entity {
            EntityId::Node(_) => Change::Node(self.changed::<NodeId>(place)?),
            EntityId::Edge(_) => Change::Edge(self.changed::<EdgeId>(place)?),
        })
    }

    fn changed<E: Entity>(&self, place: Place) -> Result<Changed<E::Object>, RepoError> {
        let (old, old_disputed) = version::<E>(&self.from, place.old)?;
        let (new, new_disputed) = version::<E>(&self.to, place.new)?;
        Ok(Changed { old, new, old_disputed, new_disputed })
    }

    fn carries_labels(&self, change: &Change) -> bool {
        self.labels.iter().all(|label| change.carries(label))
    }

    fn advance(&mut self) -> Result<Option<Change>, RepoError> {
        while let Some(place) = self.place()? {
            let change = self.read(place)?;
            if self.carries_labels(&change) {
                return Ok(Some(change));
            }
        }
        Ok(None)
    }
}

impl Iterator for Diff {
    type Item = Result<Change, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.at = Stage::End;
        }
        next
    }
}

impl std::iter::FusedIterator for Diff {}

/// Where two states have different versions.
#[derive(Clone, Copy)]
struct Place {
    entity: EntityId,
    old: Option<Cid>,
    new: Option<Cid>,
}

type Side<T> = (Option<T>, Option<Vec<String>>);

fn version<E: Entity>(of: &Snapshot, cid: Option<Cid>) -> Result<Side<E::Object>, RepoError> {
    let Some(cid) = cid else { return Ok((None, None)) };
    let block = of.state.blocks.require(&cid)?;
    let is_conflict = versions::conflict(&block)?.is_some();
    let shown = versions::shown(&*of.state.blocks, &block)?;
    Ok((Some(shown.version), is_conflict.then_some(shown.disputed)))
}

fn root_of<E: Entity>(of: &Snapshot) -> Cid {
    of.root::<E>().unwrap_or(of.shared.empty_root)
}

impl Snapshot {
    fn cid_of(&self, entity: EntityId) -> Result<Option<Cid>, RepoError> {
        match entity {
            EntityId::Node(id) => self.version_of(id),
            EntityId::Edge(id) => self.version_of(id),
        }
    }
}
