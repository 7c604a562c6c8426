//! The schema as a merge needs it: which properties merge by themselves.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::object::{MergeType, Property, SchemaKey};
use crate::port::{BlockRead, BlockReadExt};
use crate::repo::entity;
use crate::repo::error::RepoError;
use crate::repo::merge::versions::conflict;
use crate::repo::read::decode;
use crate::tree::Tree;

/// How properties merge, asked of a schema name by name.
pub(in crate::repo) struct Types<'a> {
    source: Option<(Tree, &'a dyn BlockRead)>,
    known: RefCell<BTreeMap<String, Option<MergeType>>>,
}

impl<'a> Types<'a> {
    /// No property has a type.
    pub(super) fn none() -> Types<'static> {
        Types { source: None, known: RefCell::default() }
    }

    /// What a schema says. Nothing is read before it is asked for.
    pub(in crate::repo) fn of_schema(schema: Tree, blocks: &'a dyn BlockRead) -> Types<'a> {
        Types { source: Some((schema, blocks)), known: RefCell::default() }
    }

    /// Returns how a property merges; `None` if sides that changed it disagree. An entry in conflict says nothing.
    pub(in crate::repo) fn of(&self, name: &str) -> Result<Option<MergeType>, RepoError> {
        let Some((schema, blocks)) = &self.source else { return Ok(None) };
        if let Some(known) = self.known.borrow().get(name) {
            return Ok(known.clone());
        }
        let found = match schema.get(&SchemaKey::Property(name.into()).to_key())? {
            Some(value) => merge_type(*blocks, schema, &value)?,
            None => None,
        };
        self.known.borrow_mut().insert(name.to_owned(), found.clone());
        Ok(found)
    }
}

fn merge_type(blocks: &dyn BlockRead, schema: &Tree, value: &[u8]) -> Result<Option<MergeType>, RepoError> {
    let block = blocks.require(&entity::link(schema.root(), value)?)?;
    if conflict(&block)?.is_some() {
        return Ok(None);
    }
    let property: Property = decode(&block)?;
    Ok(Some(property.merge_type).filter(|found| *found != MergeType::Atomic))
}
