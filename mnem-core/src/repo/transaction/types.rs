//! Changes of properties that merge by themselves: counting, appending, and the time of what is set last.

use std::sync::Arc;

use super::Transaction;
use crate::id::SessionId;
use crate::object::MergeType;
use crate::repo::entity::Entity;
use crate::repo::error::RepoError;
use crate::repo::merge::types;
use crate::repo::options::Clock;
use crate::repo::schema::Schema;
use crate::value::{List, Props, Value, ValueError};

impl Transaction {
    /// Counts a property on, or back, and returns what it stands at. Of a [counter](MergeType::Counter) what sides of a
    /// merge count adds up; of other integers both sides' change is a conflict.
    pub fn increment<E: Entity>(&mut self, id: E, name: &str, by: i64) -> Result<i64, RepoError> {
        let refused = || RepoError::CannotGrow { property: name.to_owned(), wanted: "counter" };
        let is_counter = self.merge_type(name)? == Some(MergeType::Counter);
        let part = if is_counter { self.part() } else { String::new() };
        let props = E::props_mut(self.edit(id)?);
        let old = props.value(name).cloned();
        let new = if is_counter {
            types::counted(old.as_ref(), &part, by).ok_or_else(refused)?
        } else {
            let number = match old {
                None => Some(by),
                Some(Value::Int(number)) => number.checked_add(by),
                Some(_) => None,
            };
            Value::Int(number.ok_or_else(refused)?)
        };
        let count = types::count(Some(&new)).ok_or_else(refused)?;
        props.set(name, new)?;
        Ok(count)
    }

    /// Appends to a list. Of an [append-log](MergeType::AppendLog) what sides of a merge append stays, in the order of
    /// time; of other lists both sides' change is a conflict.
    pub fn append<E: Entity>(&mut self, id: E, name: &str, value: impl Into<Value>) -> Result<(), RepoError> {
        let refused = || RepoError::CannotGrow { property: name.to_owned(), wanted: "list" };
        let is_log = self.merge_type(name)? == Some(MergeType::AppendLog);
        let (unix_ms, random) = self.base.shared.options.draw();
        let entry = *SessionId::from_time_and_random(unix_ms, random).as_bytes();
        let props = E::props_mut(self.edit(id)?);
        let old = props.value(name).cloned();
        let new = if is_log {
            types::append(old, entry, value.into()).ok_or_else(refused)?
        } else {
            let mut items: Vec<Value> = match old {
                None => Vec::new(),
                Some(Value::List(list)) => list.iter().cloned().collect(),
                Some(_) => return Err(refused()),
            };
            items.push(value.into());
            Value::List(List::new(items)?)
        };
        props.set(name, new)?;
        Ok(())
    }

    /// Sets a property, or takes it out, and returns what it was.
    pub(super) fn put<E: Entity>(
        &mut self,
        id: E,
        name: &str,
        value: Option<Value>,
    ) -> Result<Option<Value>, RepoError> {
        let schema = self.schema()?;
        let mut version = self.edit(id)?.clone();
        let props = E::props_mut(&mut version);
        let old = match value {
            Some(value) => props.set(name, value)?,
            None => props.unset(name),
        };
        self.stamp::<E>(&schema, name, &mut version)?;
        *self.edit(id)? = version;
        Ok(old)
    }

    pub(super) fn stamp<E: Entity>(
        &self,
        schema: &Schema,
        name: &str,
        version: &mut E::Object,
    ) -> Result<(), RepoError> {
        stamp::<E>(schema, name, &*self.base.shared.options.clock, version)
    }

    fn merge_type(&self, name: &str) -> Result<Option<MergeType>, RepoError> {
        Ok(self.schema()?.property(name).map(|property| property.merge_type.clone()))
    }

    /// The part of counters that nobody else counts in.
    fn part(&mut self) -> String {
        let drawn = || self.base.shared.options.draw_session().to_string();
        let part = self.part.take().unwrap_or_else(drawn);
        self.part.insert(part).clone()
    }
}

/// Notes the time of a property of which the latest value stays: after all that it replaces.
pub(in crate::repo) fn stamp<E: Entity>(
    schema: &Schema,
    name: &str,
    clock: &dyn Clock,
    version: &mut E::Object,
) -> Result<(), RepoError> {
    if schema.property(name).is_none_or(|property| property.merge_type != MergeType::Lww) {
        return Ok(());
    }
    let now = clock.now().micros();
    let times = E::times_mut(version);
    let time = match times.get(name) {
        Some(Value::Int(old)) => now.max(old.saturating_add(1)),
        _ => now,
    };
    times.insert(Arc::<str>::from(name), Value::Int(time))?;
    Ok(())
}

impl Props {
    /// Returns what a counter stands at: one that is not there, at zero. Plain integers count as they are.
    pub fn count(&self, name: &str) -> Result<i64, ValueError> {
        let value = self.value(name);
        types::count(value).ok_or_else(|| ValueError::WrongType {
            property: name.to_owned(),
            expected: "counter",
            found: value.map_or("none", Value::kind),
        })
    }

    /// Returns what was appended to a log, oldest first; of a plain list its items.
    pub fn appended(&self, name: &str) -> Result<Vec<Value>, ValueError> {
        let value = self.value(name);
        types::appended(value).ok_or_else(|| ValueError::WrongType {
            property: name.to_owned(),
            expected: "list",
            found: value.map_or("none", Value::kind),
        })
    }
}
