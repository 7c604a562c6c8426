//! What is agreed on properties and on models of vectors: data like the rest, versioned with it.
//!
//! An agreement binds what is written from then on: values that were there before stay as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::entity::{self, Entity};
use super::error::{RepoError, damaged_key};
use super::merge::versions;
use super::snapshot::Snapshot;
use super::transaction::{Changes, Transaction};
use crate::cid::Cid;
use crate::object::{Model, Property, SchemaEntry, SchemaKey};
use crate::port::{BlockRead, BlockReadExt};
use crate::tree::TreeStore;
use crate::value::{Value, ValueError};

/// How many schemas are remembered. Most commits have the one of their parent.
const REMEMBERED_MAX: usize = 8;

/// The schema of one state. Cloning is cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema(Arc<Entries>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entries {
    properties: BTreeMap<Arc<str>, Property>,
    models: BTreeMap<Arc<str>, Model>,
    in_conflict: BTreeSet<SchemaKey>,
}

impl Schema {
    /// Returns what is agreed on a property; `None` if nothing is, or sides of a merge disagree.
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.0.properties.get(name)
    }

    /// Returns what is agreed on properties, in the order of their names.
    pub fn properties(&self) -> impl Iterator<Item = &Property> {
        self.0.properties.values()
    }

    /// Returns a model of vectors; `None` if there is none of this name, or sides of a merge disagree.
    pub fn model(&self, name: &str) -> Option<&Model> {
        self.0.models.get(name)
    }

    /// Returns the models of vectors, in the order of their names.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.0.models.values()
    }

    /// Returns what sides of a merge disagree on: declare it anew to settle it.
    pub fn in_conflict(&self) -> impl Iterator<Item = &SchemaKey> {
        self.0.in_conflict.iter()
    }

    /// Refuses a value of another type than is agreed on.
    pub(super) fn check_value(&self, name: &str, value: &Value) -> Result<(), ValueError> {
        self.property(name).map_or(Ok(()), |property| property.check_value(value))
    }

    /// Refuses a version with values of other types than are agreed on, but for those that a version before has.
    pub(super) fn check<E: Entity>(
        &self,
        version: &E::Object,
        before: &[E::Object],
    ) -> Result<(), ValueError> {
        for (name, value) in E::props(version).iter() {
            let is_old = before.iter().any(|before| E::props(before).value(name) == Some(value));
            if !is_old {
                self.check_value(name, value)?;
            }
        }
        Ok(())
    }

    /// Returns where there is something, be it in conflict.
    fn keys(&self) -> impl Iterator<Item = SchemaKey> {
        let properties = self.0.properties.keys().cloned().map(SchemaKey::Property);
        let models = self.0.models.keys().cloned().map(SchemaKey::Model);
        properties.chain(models).chain(self.0.in_conflict.iter().cloned())
    }

    fn entry(&self, key: &SchemaKey) -> Option<SchemaEntry> {
        match key {
            SchemaKey::Property(name) => self.property(name).cloned().map(SchemaEntry::Property),
            SchemaKey::Model(name) => self.model(name).cloned().map(SchemaEntry::Model),
        }
    }

    /// Returns the schema with an entry set or removed.
    fn with(&self, key: &SchemaKey, entry: Option<SchemaEntry>) -> Schema {
        let mut entries = Entries::clone(&self.0);
        entries.in_conflict.remove(key);
        match (key, entry) {
            (_, Some(entry)) => entries.put(entry),
            (SchemaKey::Property(name), None) => drop(entries.properties.remove(name)),
            (SchemaKey::Model(name), None) => drop(entries.models.remove(name)),
        }
        Schema(Arc::new(entries))
    }

    /// Reads the schema under a root.
    pub(super) fn read(trees: &TreeStore, blocks: &dyn BlockRead, root: &Cid) -> Result<Schema, RepoError> {
        let mut entries = Entries::default();
        for entry in trees.tree(*root).iter() {
            let entry = entry?;
            let key = SchemaKey::from_key(&entry.key).ok_or_else(damaged_key)?;
            let cid = entity::link(root, &entry.value)?;
            let block = blocks.require(&cid)?;
            if versions::conflict(&block)?.is_some() {
                entries.in_conflict.insert(key);
                continue;
            }
            let damaged = |why| RepoError::Damaged { what: "an entry of the schema", cid, why };
            entries.put(SchemaEntry::from_block(&key, &block).map_err(damaged)?);
        }
        Ok(Schema(Arc::new(entries)))
    }
}

impl Entries {
    fn put(&mut self, entry: SchemaEntry) {
        match entry {
            SchemaEntry::Property(property) => {
                self.properties.insert(Arc::clone(&property.name), property);
            }
            SchemaEntry::Model(model) => {
                self.models.insert(Arc::clone(&model.name), model);
            }
        }
    }
}

/// Schemas that were read of late, by their roots.
#[derive(Default)]
pub(super) struct Schemas(Mutex<Vec<(Cid, Schema)>>);

impl Schemas {
    /// Returns the schema under `root`, read by `read` if it is not remembered.
    fn get(&self, root: &Cid, read: impl FnOnce() -> Result<Schema, RepoError>) -> Result<Schema, RepoError> {
        // Only whole entries are ever in it, whoever panicked.
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, schema)) = lock().iter().find(|(known, _)| known == root) {
            return Ok(schema.clone());
        }
        let schema = read()?;
        let mut remembered = lock();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.remove(0);
        }
        remembered.push((*root, schema.clone()));
        Ok(schema)
    }
}

impl Snapshot {
    /// Returns what is agreed on properties and models in this state.
    pub fn schema(&self) -> Result<Schema, RepoError> {
        let root = self.at.as_ref().map_or(&self.shared.empty_root, |at| &at.commit.schema);
        if *root == self.shared.empty_root {
            return Ok(Schema::default());
        }
        self.shared.schemas.get(root, || Schema::read(&self.state.trees, &*self.state.blocks, root))
    }
}

/// A schema that a transaction changes.
pub(super) struct SchemaChange {
    before: Schema,
    after: Schema,
}

impl SchemaChange {
    /// Returns what is to become of each entry that changes.
    pub(super) fn entries(&self) -> BTreeMap<SchemaKey, Option<SchemaEntry>> {
        let SchemaChange { before, after } = self;
        let is_changed = |key: &SchemaKey| {
            let in_conflict = |schema: &Schema| schema.0.in_conflict.contains(key);
            in_conflict(before) != in_conflict(after) || before.entry(key) != after.entry(key)
        };
        let keys: BTreeSet<SchemaKey> = before.keys().chain(after.keys()).collect();
        keys.into_iter().filter(is_changed).map(|key| (key.clone(), after.entry(&key))).collect()
    }
}

impl Transaction {
    /// Returns the schema as this transaction has it.
    pub fn schema(&self) -> Result<Schema, RepoError> {
        match &self.schema {
            Some(change) => Ok(change.after.clone()),
            None => self.merged_base().schema(),
        }
    }

    /// Agrees on a property or a model of vectors, from the commit on. What was agreed on it before is replaced, a
    /// conflict is settled. Refused if something that this transaction writes is of another type.
    pub fn declare(&mut self, entry: impl Into<SchemaEntry>) -> Result<(), RepoError> {
        let entry = entry.into();
        entry.to_block()?;
        let after = self.schema()?.with(&entry.key(), Some(entry));
        check_staged(&after, &self.nodes)?;
        check_staged(&after, &self.edges)?;
        self.check_vectors(&after)?;
        self.change_schema(after)
    }

    /// Drops what was agreed on, and says whether anything was. What was written under it stays.
    pub fn undeclare(&mut self, key: &SchemaKey) -> Result<bool, RepoError> {
        let schema = self.schema()?;
        let is_there = schema.keys().any(|other| other == *key);
        if is_there {
            self.change_schema(schema.with(key, None))?;
        }
        Ok(is_there)
    }

    fn change_schema(&mut self, after: Schema) -> Result<(), RepoError> {
        self.schema = Some(SchemaChange { before: self.merged_base().schema()?, after });
        Ok(())
    }
}

fn check_staged<E: Entity>(schema: &Schema, changes: &Changes<E>) -> Result<(), ValueError> {
    changes.values().try_for_each(|change| match change.versions() {
        (before, [after]) => schema.check::<E>(after, before),
        _ => Ok(()),
    })
}
