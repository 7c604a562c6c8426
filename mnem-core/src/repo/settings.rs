//! Settings that travel with the repository: values under names, in the view.
//!
//! Bytes, and what becomes of two that were set side by side: FORMAT.md, "Settings".

use std::sync::Arc;

use bytes::Bytes;

use super::error::RepoError;
use super::handle::Repo;
use super::options::Actor;
use super::refs::check_name;
use crate::cid::Cid;
use crate::codec::{DecodeError, Malformed, Reader, Writer};
use crate::object::{OperationKind, Time, View};
use crate::port::{BlockRead, Swap};
use crate::staged::Staged;
use crate::tree::{Edit, KeyRange, Order};
use crate::value::Value;

const PREFIX: &[u8] = b"s/";

impl Repo {
    /// Returns a setting, if it is set.
    pub fn setting(&self, name: &str) -> Result<Option<Value>, RepoError> {
        check_name(name)?;
        let state = self.state()?;
        let entry = state.trees.tree(state.view.config).get(&key(name))?;
        Ok(entry.map(|entry| read_entry(state.view.config, &entry)).transpose()?.and_then(|(_, value)| value))
    }

    /// Returns all settings, in order of their names.
    pub fn settings(&self) -> Result<Vec<(String, Value)>, RepoError> {
        let state = self.state()?;
        let map = state.view.config;
        let mut settings = Vec::new();
        for entry in state.trees.tree(map).range(KeyRange::prefix(PREFIX), Order::Ascending) {
            let entry = entry?;
            let name = std::str::from_utf8(&entry.key[PREFIX.len()..]);
            if let (Ok(name), (_, Some(value))) = (name, read_entry(map, &entry.value)?) {
                settings.push((name.to_owned(), value));
            }
        }
        Ok(settings)
    }

    /// Sets a setting, or with `None` removes it. Of two that are set side by side the later one stays.
    pub fn set_setting(
        &self,
        actor: &Actor,
        name: &str,
        value: impl Into<Option<Value>>,
    ) -> Result<(), RepoError> {
        check_name(name)?;
        let value = value.into();
        self.change(|state| {
            let settings = state.trees.tree(state.view.config);
            let before = settings.get(&key(name))?.map(|entry| read_entry(state.view.config, &entry));
            let before = before.transpose()?.and_then(|(_, value)| value);
            if before == value {
                return Ok((Swap::Done, ()));
            }
            let staged = Arc::new(Staged::new(Arc::clone(&state.blocks)));
            // As the operation's own time: never before what it follows.
            let time = self.shared.options.clock.now().max(state.time);
            let edit = edit(name, time, value.as_ref());
            let trees = state.trees.over(Arc::clone(&staged) as Arc<dyn BlockRead>);
            let config = trees.tree(state.view.config).mutate([edit], &mut Arc::clone(&staged))?;
            let view = View { config: *config.root(), ..state.view.clone() };
            let (swap, _) = self.shared.publish(state, &view, OperationKind::Config, actor, &staged, &[])?;
            Ok((swap, ()))
        })
    }
}

/// The change of the map that sets a setting, or removes it.
pub(super) fn edit(name: &str, time: Time, value: Option<&Value>) -> Edit {
    Edit { key: key(name).into(), value: Some(write_entry(time, value)) }
}

fn key(name: &str) -> Vec<u8> {
    [PREFIX, name.as_bytes()].concat()
}

/// A setting that was removed keeps the time of that: else one that was set before would come back with the next
/// union.
fn write_entry(time: Time, value: Option<&Value>) -> Bytes {
    let mut writer = Writer::new();
    writer.list(1 + usize::from(value.is_some()));
    writer.int(time.micros());
    if let Some(value) = value {
        value.write(&mut writer);
    }
    writer.into_bytes().into()
}

fn read_entry(map: Cid, entry: &[u8]) -> Result<(Time, Option<Value>), RepoError> {
    decode_entry(entry).map_err(|why| RepoError::Damaged { what: "a setting", cid: map, why })
}

fn decode_entry(entry: &[u8]) -> Result<(Time, Option<Value>), DecodeError> {
    let mut reader = Reader::new(entry);
    let refused = |why| DecodeError { what: Malformed::Field { name: "config", why }, at: 0 };
    let count = reader.list()?;
    if !(1..=2).contains(&count) {
        return Err(refused("a setting is a time, and a value if it is set"));
    }
    let time = Time::from_micros(reader.int()?).ok_or(refused("the time of a setting is out of range"))?;
    let value = if count == 2 { Some(Value::read(&mut reader)?) } else { None };
    reader.end()?;
    Ok((time, value))
}

/// Says whether an entry is a setting as it should be; `None` if its key is none of settings.
pub(super) fn is_sound(key: &[u8], entry: &[u8]) -> Option<bool> {
    let name = key.strip_prefix(PREFIX)?;
    let is_name = std::str::from_utf8(name).is_ok_and(|name| check_name(name).is_ok());
    Some(is_name && decode_entry(entry).is_ok())
}

/// Decides between two entries under one key that were written side by side: the later one stays, of two of the same
/// time the greater one. What is no setting, or is absent, is least.
pub(super) fn later(left: Option<Bytes>, right: Option<Bytes>) -> Option<Bytes> {
    let time = |entry: &Option<Bytes>| {
        entry.as_ref().and_then(|entry| decode_entry(entry).ok()).map(|(time, _)| time)
    };
    if (time(&left), &left) < (time(&right), &right) { right } else { left }
}
