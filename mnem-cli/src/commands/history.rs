//! `mnem history`

use clap::Args;
use mnem::{Delta, EntityId, Version};
use mnem_core::Time;
use serde_json::json;

use super::writer_fields;
use crate::args::At;
use crate::clock;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find;
use crate::output::{Fields, Paint, Record, Text};
use crate::report::{delta_to_json, short};
use crate::when;

pub(crate) const EXAMPLES: &str = "  mnem history Person/Ada
  mnem history Person/Ada born       one property
  mnem history Machine/Engine -n 1\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct History {
    /// A node or an edge: LABEL/NAME, or its id
    #[arg(value_name = "ENTITY")]
    entity: String,
    /// Only versions that changed this property
    #[arg(value_name = "PROPERTY")]
    property: Option<String>,
    /// No more than so many
    #[arg(short = 'n', long, value_name = "COUNT")]
    limit: Option<usize>,
    #[command(flatten)]
    at: At,
}

impl History {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let now = self.at.state(&context.open()?)?;
        let versions = match find::entity_that_was(&now, &self.entity)? {
            EntityId::Node(id) => now.history(id),
            EntityId::Edge(id) => now.history(id),
        };
        context.page();
        let mut left = self.limit.unwrap_or(usize::MAX);
        for version in versions {
            let version = version?;
            if left == 0 {
                break;
            }
            if self.property.as_deref().is_some_and(|name| !touches(&version, name)) {
                continue;
            }
            left -= 1;
            let (now, zone) = (clock::now(), context.zone_minutes);
            let property = self.property.clone();
            context.output.data(&Line { version, property, now, zone })?;
        }
        Ok(Exit::Done)
    }
}

fn touches(version: &Version, name: &str) -> bool {
    version.deltas.property(name).is_some() || version.disputed.iter().any(|field| field == name)
}

struct Line {
    version: Version,
    property: Option<String>,
    now: Time,
    zone: i16,
}

impl Record for Line {
    fn schema(&self) -> &'static str {
        "mnem.history/1"
    }

    fn fields(&self, fields: &mut Fields) {
        let entity = match self.version.entity {
            EntityId::Node(_) => "node",
            EntityId::Edge(_) => "edge",
        };
        fields.insert(entity.into(), json!(self.version.entity.to_string()));
        writer_fields(&self.version.writer, fields);
        fields.insert("removed".into(), json!(self.version.new.is_none()));
        fields.insert("deltas".into(), self.version.deltas.iter().map(delta_to_json).collect());
        fields.insert("conflict".into(), json!(self.version.disputed));
    }

    fn text(&self, text: &mut Text) {
        let writer = &self.version.writer;
        text.painted(Paint::Dim, &when::for_people(writer.time, self.now, self.zone)).plain("  ");
        text.painted(Paint::Id, &short(&writer.commit)).plain("  ").plain(&self.told()).plain("  ");
        text.plain(writer.message.lines().next().unwrap_or_default()).end();
    }
}

impl Line {
    /// Says what became of the entity, or of the property that was asked for.
    fn told(&self) -> String {
        if let Some(name) = &self.property {
            if self.version.disputed.contains(name) {
                return "in conflict".to_owned();
            }
            return match self.version.deltas.property(name) {
                Some(Delta::Property { new: Some(value), .. }) => value.to_string(),
                _ => "none".to_owned(),
            };
        }
        if self.version.new.is_none() {
            return "removed".to_owned();
        }
        let mut told = self.version.deltas.to_string();
        if !self.version.disputed.is_empty() {
            told.push_str(&format!("  in conflict: {}", self.version.disputed.join(", ")));
        }
        told
    }
}
