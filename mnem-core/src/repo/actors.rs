//! Names of actors. Commits and operations hold ids; the settings of the repository say whose they are.
//!
//! Bytes: FORMAT.md, "Actors". A name is written with the first operation in it, and never again.

use std::sync::Arc;

use super::error::RepoError;
use super::options::Actor;
use super::snapshot::Snapshot;
use super::state::State;
use crate::cid::Cid;
use crate::codec::{Reader, Writer};
use crate::id::ActorId;
use crate::port::BlockRead;
use crate::staged::Staged;
use crate::tree::Edit;

/// Longest name that is kept, in bytes. Whoever has a longer one is known by id alone.
pub const ACTOR_NAME_BYTES_MAX: usize = 200;

impl Snapshot {
    /// Returns the name of an actor, if anything was done in it here.
    pub fn actor_name(&self, actor: ActorId) -> Result<Option<String>, RepoError> {
        let Some(value) = self.tree(self.state.view.config).get(&key(actor))? else { return Ok(None) };
        let damaged =
            |why| RepoError::Damaged { what: "the name of an actor", cid: self.state.view.config, why };
        let mut reader = Reader::new(&value);
        let name = reader.text().map_err(damaged)?.to_owned();
        reader.end().map_err(damaged)?;
        Ok(Some(name))
    }
}

/// Returns the settings with the name of an actor among them.
pub(super) fn with_name(
    state: &State,
    config: Cid,
    actor: &Actor,
    staged: &Arc<Staged>,
) -> Result<Cid, RepoError> {
    let key = key(actor.id());
    let blocks = Arc::clone(staged) as Arc<dyn BlockRead>;
    let settings = state.trees.over(blocks).tree(config);
    let is_known_by_id = actor.id() == ActorId::SYSTEM || actor.name().len() > ACTOR_NAME_BYTES_MAX;
    if is_known_by_id || settings.get(&key)?.is_some() {
        return Ok(config);
    }
    let mut writer = Writer::new();
    writer.text(actor.name());
    let edit = Edit { key: key.into(), value: Some(writer.into_bytes().into()) };
    Ok(*settings.mutate([edit], &mut Arc::clone(staged))?.root())
}

/// Says whether a setting is the name of an actor.
pub(super) fn is_key(key: &[u8]) -> bool {
    key.starts_with(b"a/")
}

/// Says whether a setting under such a key is a name.
pub(super) fn is_sound(key: &[u8], value: &[u8]) -> bool {
    let mut reader = Reader::new(value);
    let is_name = reader.text().is_ok_and(|name| name.len() <= ACTOR_NAME_BYTES_MAX);
    key.len() == 2 + 16 && is_name && reader.end().is_ok()
}

fn key(actor: ActorId) -> Vec<u8> {
    [&b"a/"[..], actor.as_bytes()].concat()
}
