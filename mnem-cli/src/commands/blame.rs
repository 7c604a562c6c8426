//! `mnem blame`

use clap::Args;
use mnem::{Blame as Lines, EntityId, Writer};
use mnem_core::Time;
use serde_json::json;

use super::{writer_fields, writer_name};
use crate::args::At;
use crate::clock;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find;
use crate::output::{Fields, Paint, Record, Text};
use crate::report::short;
use crate::when;

pub(crate) const EXAMPLES: &str = "  mnem blame Person/Ada\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Blame {
    /// A node or an edge: LABEL/NAME, or its id
    #[arg(value_name = "ENTITY")]
    entity: String,
    #[command(flatten)]
    at: At,
}

impl Blame {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let now = self.at.state(&context.open()?)?;
        let id = find::entity(&now, &self.entity)?;
        let found = match id {
            EntityId::Node(id) => now.blame(id)?,
            EntityId::Edge(id) => now.blame(id)?,
        };
        let lines: Lines = found.unwrap_or_default();
        let width = lines.iter().map(|(field, _)| field.to_string().chars().count()).max().unwrap_or(0);
        for (field, writer) in lines.iter() {
            let (now, zone) = (clock::now(), context.zone_minutes);
            context.output.data(&Line { id, field: field.to_string(), width, writer, now, zone })?;
        }
        Ok(Exit::Done)
    }
}

struct Line<'a> {
    id: EntityId,
    field: String,
    width: usize,
    writer: &'a Writer,
    now: Time,
    zone: i16,
}

impl Record for Line<'_> {
    fn schema(&self) -> &'static str {
        "mnem.blame/1"
    }

    fn fields(&self, fields: &mut Fields) {
        let entity = match self.id {
            EntityId::Node(_) => "node",
            EntityId::Edge(_) => "edge",
        };
        fields.insert(entity.into(), json!(self.id.to_string()));
        fields.insert("field".into(), json!(self.field));
        writer_fields(self.writer, fields);
    }

    fn text(&self, text: &mut Text) {
        text.painted(Paint::Name, &format!("{:<width$}", self.field, width = self.width)).plain("  ");
        text.painted(Paint::Id, &short(&self.writer.commit)).plain("  ");
        text.painted(Paint::Dim, &when::for_people(self.writer.time, self.now, self.zone)).plain("  ");
        text.plain(&writer_name(self.writer)).plain("  ");
        text.plain(self.writer.message.lines().next().unwrap_or_default()).end();
    }
}
