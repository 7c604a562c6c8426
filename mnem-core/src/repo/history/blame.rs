//! Who wrote each field last.

use std::collections::BTreeMap;
use std::fmt;

use super::version::{Versions, Writer};
use super::walk::OfEntity;
use crate::repo::delta::{Delta, Differ, Field};
use crate::repo::entity::Entity;
use crate::repo::error::RepoError;
use crate::repo::merge::versions::Merged;
use crate::repo::snapshot::Snapshot;

/// For each field of a node or edge, the commit that wrote it: the last one behind the state that gave it what it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blame {
    fields: BTreeMap<Field, Writer>,
}

impl Blame {
    /// Returns who wrote a property, if there is one of this name.
    pub fn property(&self, name: &str) -> Option<&Writer> {
        self.fields.get(&Field::Property(name.into()))
    }

    /// Returns who wrote a field, if it is there.
    pub fn field(&self, field: &Field) -> Option<&Writer> {
        self.fields.get(field)
    }

    /// Returns all fields that are there: what says what the entity is, the properties by name, the rest.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Field, &Writer)> {
        self.fields.iter()
    }
}

/// One line for each field: `born  2026-11-21 10:04  ada  Correct the year`.
impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().enumerate().try_for_each(|(index, (field, writer))| {
            let line_feed = if index > 0 { "\n" } else { "" };
            write!(f, "{line_feed}{field}  {writer}")
        })
    }
}

pub(super) fn blame<E: Entity>(snapshot: &Snapshot, id: E) -> Result<Option<Blame>, RepoError> {
    let mut versions = Versions::new(snapshot);
    let Some(present) = versions.shown::<E::Object>(snapshot.version_of(id)?)? else { return Ok(None) };
    let mut left: Vec<Field> = fields(None, Some(&present));
    let mut blame = Blame::default();
    for touch in OfEntity::new(snapshot, id.into()) {
        if left.is_empty() {
            break;
        }
        let touch = touch?;
        let Some(new) = versions.shown::<E::Object>(touch.touched.new)? else { continue };
        let changed_since = fields(Some(&new), Some(&present));
        let mut written = fields(None, Some(&new));
        written.retain(|field| left.contains(field) && !changed_since.contains(field));
        for old in touch.touched.old {
            let old = versions.shown::<E::Object>(old)?;
            let from_here = fields(old.as_ref(), Some(&new));
            written.retain(|field| from_here.contains(field));
        }
        if !written.is_empty() {
            let writer = versions.writer(touch.commit)?;
            left.retain(|field| !written.contains(field));
            blame.fields.extend(written.into_iter().map(|field| (field, writer.clone())));
        }
    }
    Ok(Some(blame))
}

/// Lists the fields that differ, or that are in dispute in one of the two only.
fn fields<T: Differ>(old: Option<&Merged<T>>, new: Option<&Merged<T>>) -> Vec<Field> {
    let [before, after] = [old, new].map(|merged| merged.map(|merged| &merged.version));
    let (all, differs) = (T::differ(None, after), T::differ(before, after));
    let is_disputed = |merged: Option<&Merged<T>>, field: &Field| {
        merged.is_some_and(|merged| merged.disputed.iter().any(|name| field.holds(name)))
    };
    let mut fields: Vec<Field> = differs.iter().map(Delta::field).collect();
    let settled = all.iter().map(Delta::field);
    fields.extend(settled.filter(|field| {
        old.is_some() && is_disputed(old, field) != is_disputed(new, field) && !differs.has(field)
    }));
    fields
}
