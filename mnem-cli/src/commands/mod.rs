//! The commands, one a module. Each says how it is written, does it through the library, and hands records to the output.

pub(crate) mod add;
pub(crate) mod backup;
pub(crate) mod blame;
pub(crate) mod branch;
pub(crate) mod cherry_pick;
pub(crate) mod clone;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod conflicts;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod embed;
pub(crate) mod export;
pub(crate) mod fetch;
pub(crate) mod fsck;
pub(crate) mod gc;
pub(crate) mod get;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod link;
pub(crate) mod log;
pub(crate) mod man;
pub(crate) mod merge;
pub(crate) mod neighbors;
pub(crate) mod op;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod query;
pub(crate) mod redo;
pub(crate) mod remote;
pub(crate) mod repair;
pub(crate) mod resolve;
pub(crate) mod restore;
pub(crate) mod revert;
pub(crate) mod rm;
pub(crate) mod schema;
pub(crate) mod search;
pub(crate) mod set;
pub(crate) mod show;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod switch;
pub(crate) mod tag;
pub(crate) mod tour;
pub(crate) mod undo;
pub(crate) mod unlink;
pub(crate) mod unset;

use std::ops::ControlFlow;

use mnem::{ActorId, Progress, Writer};
use serde_json::json;

use crate::output::Fields;
use crate::progress::Meter;

/// Writes who wrote something, when and why.
fn writer_fields(writer: &Writer, fields: &mut Fields) {
    fields.insert("commit".into(), json!(writer.commit.to_string()));
    fields.insert("time".into(), json!(writer.time.to_string()));
    fields.insert("actor".into(), json!(writer_name(writer)));
    fields.insert("message".into(), json!(*writer.message));
}

/// Returns who wrote something: a name, or an id.
fn writer_name(writer: &Writer) -> String {
    match &writer.name {
        Some(name) => name.as_ref().to_owned(),
        None if writer.actor == ActorId::SYSTEM => "mnem".to_owned(),
        None => writer.actor.to_string(),
    }
}

/// Has a meter show where long work stands.
fn shown(meter: &mut Meter) -> impl FnMut(&Progress) -> ControlFlow<()> {
    |progress| {
        meter.show(progress.step, progress.done, progress.total);
        ControlFlow::Continue(())
    }
}
