//! What is in conflict, and settling it: one conflict at a time, whole or field by field, by anyone, whenever.

use std::sync::Arc;

use super::Transaction;
use crate::block::Block;
use crate::cid::Cid;
use crate::id::{EntityId, NodeId};
use crate::key::ConflictKey;
use crate::object::{Edge, Model, Node, Property, SchemaKey, Why};
use crate::port::{BlockRead, BlockReadExt};
use crate::repo::entity::{self, Entity};
use crate::repo::error::RepoError;
use crate::repo::merge::fields::Disputed;
use crate::repo::merge::open::Fields;
use crate::repo::merge::versions::{self, Decided, Versions};
use crate::repo::read::read as read_object;
use crate::repo::snapshot::Snapshot;
use crate::staged::Staged;
use crate::value::{Value, ValueError};

/// Something that sides disagree on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflict {
    key: ConflictKey,
    /// The fields that differ. Those of a conflict over a removal or a vector may be none.
    pub fields: Vec<Disputed>,
    /// Whether a side removed it that another side changed or needs.
    pub is_removed: bool,
    /// Why it is in conflict, where its fields do not say it.
    pub why: Option<Why>,
    /// The vectors that sides set, as raw blocks, if it is one.
    pub vectors: Vec<Cid>,
}

impl Conflict {
    /// Returns what is in conflict: what [`Transaction::resolve`] takes.
    pub const fn key(&self) -> &ConflictKey {
        &self.key
    }
}

/// An answer to a conflict.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolve {
    how: How,
    only: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum How {
    Value(Option<Value>),
    Ours,
    Theirs,
    Keep,
    Remove,
    Node(Box<Node>),
    Edge(Box<Edge>),
    Bad(ValueError),
}

impl Resolve {
    /// A disputed property is to be this. Other fields stay in dispute; with the last one the conflict is settled, and
    /// what a side removed stays.
    pub fn value<V>(field: &str, value: V) -> Resolve
    where
        V: TryInto<Value>,
        ValueError: From<V::Error>,
    {
        let how = match value.try_into() {
            Ok(value) => How::Value(Some(value)),
            Err(why) => How::Bad(why.into()),
        };
        Resolve { how, only: Some(field.to_owned()) }
    }

    /// A disputed property is not to be there.
    pub fn absent(field: &str) -> Resolve {
        Resolve { how: How::Value(None), only: Some(field.to_owned()) }
    }

    /// What is in dispute is to be as on the side that merged; what is not stays merged.
    pub const fn ours() -> Resolve {
        Resolve { how: How::Ours, only: None }
    }

    /// What is in dispute is to be as on the side that was merged; what is not stays merged.
    pub const fn theirs() -> Resolve {
        Resolve { how: How::Theirs, only: None }
    }

    /// It is to be as it is shown, and to stay.
    pub const fn keep() -> Resolve {
        Resolve { how: How::Keep, only: None }
    }

    /// It is to go: a node with its edges.
    pub const fn remove() -> Resolve {
        Resolve { how: How::Remove, only: None }
    }

    /// Answers for one disputed field only.
    pub fn only(self, field: &str) -> Resolve {
        Resolve { only: Some(field.to_owned()), ..self }
    }
}

impl From<Node> for Resolve {
    /// It is to be this version, whatever the sides say.
    fn from(node: Node) -> Resolve {
        Resolve { how: How::Node(Box::new(node)), only: None }
    }
}

impl From<Edge> for Resolve {
    /// It is to be this version, whatever the sides say.
    fn from(edge: Edge) -> Resolve {
        Resolve { how: How::Edge(Box::new(edge)), only: None }
    }
}

impl Snapshot {
    /// Returns what sides disagree on at `key`; `None` if nothing is in conflict there.
    pub fn conflict_at(&self, key: impl Into<ConflictKey>) -> Result<Option<Conflict>, RepoError> {
        let key = key.into();
        let Some(root) = self.commit().map(|commit| commit.conflicts) else { return Ok(None) };
        let Some(value) = self.tree(root).get(&key.to_key())? else { return Ok(None) };
        let block = self.state.blocks.require(&entity::link(&root, &value)?)?;
        let blocks = &*self.state.blocks;
        let found = match &key {
            ConflictKey::Node(_) => read::<Node>(blocks, &block, key)?,
            ConflictKey::Edge(_) => read::<Edge>(blocks, &block, key)?,
            ConflictKey::Schema(SchemaKey::Property(_)) => read::<Property>(blocks, &block, key)?,
            ConflictKey::Schema(SchemaKey::Model(_)) => read::<Model>(blocks, &block, key)?,
            ConflictKey::Vector { .. } => {
                let Some(conflict) = versions::conflict(&block)? else { return Ok(None) };
                Conflict {
                    key,
                    fields: Vec::new(),
                    is_removed: conflict.adds.contains(&None),
                    why: conflict.why,
                    vectors: conflict.adds.into_iter().flatten().collect(),
                }
            }
        };
        Ok(Some(found))
    }
}

fn read<T: Fields>(blocks: &dyn BlockRead, block: &Block, key: ConflictKey) -> Result<Conflict, RepoError> {
    let versions = Versions::<T>::of(blocks, block)?;
    Ok(Conflict {
        key,
        fields: versions.disputed(blocks)?,
        is_removed: versions.is_absent,
        vectors: Vec::new(),
        why: versions.why,
    })
}

impl Transaction {
    /// Returns what is in conflict here: what was when this started, with what was merged, less what was settled.
    pub fn conflicts(&self) -> Result<Vec<Conflict>, RepoError> {
        let mut open = Vec::new();
        for key in self.base.conflicts()? {
            if !self.is_settled(&key) {
                open.extend(self.base.conflict_at(key)?);
            }
        }
        Ok(open)
    }

    fn is_settled(&self, key: &ConflictKey) -> bool {
        match key {
            ConflictKey::Node(id) => self.nodes.contains_key(id),
            ConflictKey::Edge(id) => self.edges.contains_key(id),
            ConflictKey::Schema(key) => {
                self.schema.as_ref().is_some_and(|schema| schema.entries().contains_key(key))
            }
            ConflictKey::Vector { .. } => self.vectors.keys().any(|other| other == *key),
        }
    }

    /// Settles a conflict, or one field of it. A node or edge may also be given whole; then it need not be in conflict.
    pub fn resolve(&mut self, key: impl Into<ConflictKey>, how: impl Into<Resolve>) -> Result<(), RepoError> {
        let (key, resolve) = (key.into(), how.into());
        match (&key, resolve.how) {
            (ConflictKey::Node(id), How::Node(version)) => self.resolve_as(*id, *version),
            (ConflictKey::Edge(id), How::Edge(version)) => self.resolve_as(*id, *version),
            (_, How::Node(_) | How::Edge(_)) => Err(RepoError::NotInConflict { key }),
            (_, How::Bad(why)) => Err(why.into()),
            (ConflictKey::Node(id), How::Remove) => self.remove(*id),
            (ConflictKey::Edge(id), How::Remove) => self.remove(*id),
            (_, how) => {
                let conflict = self.conflict_here(&key)?;
                let asked = Asked { conflict: &conflict, how: &how, only: resolve.only.as_deref() };
                match &key {
                    ConflictKey::Node(id) => self.settle_entity(*id, &asked),
                    ConflictKey::Edge(id) => self.settle_entity(*id, &asked),
                    ConflictKey::Schema(SchemaKey::Property(_)) => self.settle_schema::<Property>(&asked),
                    ConflictKey::Schema(SchemaKey::Model(_)) => self.settle_schema::<Model>(&asked),
                    ConflictKey::Vector { model, node } => self.settle_vector(model, *node, &asked),
                }
            }
        }
    }

    fn conflict_here(&self, key: &ConflictKey) -> Result<Conflict, RepoError> {
        let found = if self.is_settled(key) { None } else { self.base.conflict_at(key)? };
        found.ok_or_else(|| RepoError::NotInConflict { key: key.clone() })
    }

    fn resolve_as<E: Entity>(&mut self, id: E, version: E::Object) -> Result<(), RepoError> {
        if E::id(&version) != id {
            return Err(RepoError::OtherId { id: id.into(), found: E::id(&version).into() });
        }
        self.require(id)?;
        E::check(&version, self)?;
        self.schema()?.check::<E>(&version, &self.base.sides(id)?)?;
        self.change_to(id, version)?;
        match id.into() {
            EntityId::Node(node) => self.settle_kept_vectors(node),
            EntityId::Edge(_) => Ok(()),
        }
    }

    fn settle_entity<E: Entity>(&mut self, id: E, asked: &Asked<'_>) -> Result<(), RepoError> {
        let answer = self.answer::<E::Object>(asked, |snapshot| snapshot.version_of(id))?;
        let scratch = Staged::new(Arc::clone(&self.base.state.blocks));
        match answer.settle(&scratch)? {
            Decided::One(None) => self.remove(id),
            Decided::One(Some(cid)) => self.resolve_as(id, read_object(&scratch, &cid)?),
            Decided::Conflict(_) => self.fold(|merge, maps| {
                let decided = answer.settle(merge.staged())?;
                merge.with(maps, asked.conflict.key(), decided)
            }),
        }
    }

    fn settle_schema<T: Fields>(&mut self, asked: &Asked<'_>) -> Result<(), RepoError> {
        let ConflictKey::Schema(key) = asked.conflict.key() else { return Ok(()) };
        let key = key.to_key();
        let answer = self.answer::<T>(asked, |snapshot| {
            let Some(root) = snapshot.commit().map(|commit| commit.schema) else { return Ok(None) };
            let value = snapshot.tree(root).get(&key)?;
            value.map(|value| entity::link(&root, &value)).transpose()
        })?;
        self.fold(|merge, maps| {
            let decided = answer.settle(merge.staged())?;
            merge.with(maps, asked.conflict.key(), decided)
        })
    }

    fn settle_vector(&mut self, model: &str, node: NodeId, asked: &Asked<'_>) -> Result<(), RepoError> {
        let vector = match asked.how {
            How::Remove => None,
            How::Keep => asked.conflict.vectors.first().copied(),
            How::Ours | How::Theirs => {
                let Some(root) = self.side(asked)?.commit().map(|commit| commit.vectors) else {
                    return Ok(());
                };
                let side = self.side(asked)?;
                match side.tree(root).get(model.as_bytes())? {
                    Some(value) => {
                        let map = entity::link(&root, &value)?;
                        let value = side.tree(map).get(node.as_bytes())?;
                        value.map(|value| entity::link(&map, &value)).transpose()?
                    }
                    None => None,
                }
            }
            _ => return Err(asked.refused()),
        };
        self.fold(|merge, maps| merge.with(maps, asked.conflict.key(), Decided::One(vector)))
    }

    /// Says what becomes of each field that is asked for.
    fn answer<T: Fields>(
        &self,
        asked: &Asked<'_>,
        at: impl Fn(&Snapshot) -> Result<Option<Cid>, RepoError>,
    ) -> Result<Answer<T>, RepoError> {
        let versions = |snapshot: &Snapshot| Versions::<T>::read(&*snapshot.state.blocks, at(snapshot)?);
        let here = versions(&self.base)?;
        let all = &asked.conflict.fields;
        let fields: Vec<&Disputed> =
            all.iter().filter(|field| asked.only.is_none_or(|only| only == field.field)).collect();
        if asked.only.is_some() && fields.is_empty() {
            return Err(asked.refused());
        }
        // With the last field all is said; whoever decides about all of it wants it to be there.
        let is_absent = here.is_absent && fields.len() < all.len();
        let side = match asked.how {
            How::Remove => return Ok(Answer::Gone),
            How::Ours | How::Theirs => Some(versions(&self.side(asked)?)?),
            _ => None,
        };
        if asked.only.is_none() && side.as_ref().is_some_and(|side| side.present.is_empty()) {
            return Ok(Answer::Gone);
        }
        let mut decided = Vec::new();
        for field in fields {
            let value = match (asked.how, &side) {
                (How::Value(value), _) => {
                    let checked = value.as_ref().map_or(Ok(()), |value| {
                        self.schema()?.check_value(&field.field, value).map_err(RepoError::from)
                    });
                    checked?;
                    value.clone()
                }
                (_, Some(side)) => side.value(field)?,
                _ => here.value(field)?,
            };
            decided.push((field.clone(), value));
        }
        Ok(Answer::Fields { versions: here, decided, is_absent })
    }

    fn side(&self, asked: &Asked<'_>) -> Result<Snapshot, RepoError> {
        let sides = self.sides()?.ok_or_else(|| RepoError::NoSides { key: asked.conflict.key.clone() })?;
        let [ours, theirs] = sides;
        Ok(if *asked.how == How::Ours { ours } else { theirs })
    }
}

/// What somebody wants of a conflict.
struct Asked<'a> {
    conflict: &'a Conflict,
    how: &'a How,
    only: Option<&'a str>,
}

impl Asked<'_> {
    fn refused(&self) -> RepoError {
        RepoError::NotInConflict { key: self.conflict.key.clone() }
    }
}

enum Answer<T> {
    Gone,
    Fields { versions: Versions<T>, decided: Vec<(Disputed, Option<Value>)>, is_absent: bool },
}

impl<T: Fields> Answer<T> {
    fn settle(&self, staged: &Staged) -> Result<Decided, RepoError> {
        match self {
            Answer::Gone => Ok(Decided::One(None)),
            Answer::Fields { versions, decided, is_absent } => {
                let decided: Vec<(&Disputed, Option<Value>)> =
                    decided.iter().map(|(field, value)| (field, value.clone())).collect();
                versions.settle(staged, &decided, *is_absent)
            }
        }
    }
}
