//! `mnem get`

use clap::Args;
use mnem::object::{Content, Edge, Node};
use mnem::value::{Props, Value};
use mnem::{RepoError, Snapshot};
use mnem_core::repo::{Conflict, Disputed};
use serde_json::json;

use crate::args::At;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find::{self, Found};
use crate::merging::{disputed_to_json, sides};
use crate::output::{Fields, Paint, Record, Text};
use crate::report;
use crate::values::to_json;

pub(crate) const EXAMPLES: &str = "  mnem get Person/Ada
  mnem get Person/Ada Machine/Engine --json
  mnem get Person/Ada --at main~1
  mnem get Person/Ada --at '*2026-10-04'      as it stood then\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Get {
    /// Nodes or edges: LABEL/NAME, or ids
    #[arg(value_name = "ENTITY", required = true)]
    entities: Vec<String>,
    #[command(flatten)]
    at: At,
}

impl Get {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let now = self.at.state(&context.open()?)?;
        let found =
            self.entities.iter().map(|text| find::entity(&now, text)).collect::<Result<Vec<_>, _>>()?;
        for id in found {
            context.output.data(&Entity::read(&now, find::read(&now, id)?)?)?;
        }
        Ok(Exit::Done)
    }
}

/// A node or an edge, whole.
pub(crate) struct Entity {
    title: String,
    found: Found,
    conflict: Option<Conflict>,
}

impl Entity {
    pub(crate) fn read(now: &Snapshot, found: Found) -> Result<Entity, RepoError> {
        let (title, conflict) = match &found {
            Found::Node(node) => (find::title(node), now.conflict_at(node.id)?),
            Found::Edge(edge) => (find::edge_title(now, edge)?, now.conflict_at(edge.id)?),
        };
        Ok(Entity { title, found, conflict })
    }

    fn disputed(&self) -> impl Iterator<Item = &Disputed> {
        self.conflict.iter().flat_map(|conflict| &conflict.fields)
    }

    /// Tells a property: of one in dispute, what the sides say.
    fn told(&self, name: &str, value: &Value) -> String {
        match self.disputed().find(|disputed| disputed.field == name) {
            Some(disputed) => format!("{name} {}", sides(disputed)),
            None => format!("{name} {value}"),
        }
    }

    const fn props(&self) -> &Props {
        match &self.found {
            Found::Node(node) => &node.props,
            Found::Edge(edge) => &edge.props,
        }
    }
}

impl Record for Entity {
    fn schema(&self) -> &'static str {
        match &self.found {
            Found::Node(_) => "mnem.node/1",
            Found::Edge(_) => "mnem.edge/1",
        }
    }

    fn fields(&self, fields: &mut Fields) {
        match &self.found {
            Found::Node(node) => node_fields(node, fields),
            Found::Edge(edge) => edge_fields(edge, fields),
        }
        fields.insert("title".into(), json!(self.title));
        if let Some(conflict) = &self.conflict {
            fields.insert("conflict".into(), conflict.fields.iter().map(disputed_to_json).collect());
        }
    }

    fn text(&self, text: &mut Text) {
        let id = match &self.found {
            Found::Node(node) => node.id.to_string(),
            Found::Edge(edge) => edge.id.to_string(),
        };
        text.plain(&self.title);
        if !self.title.ends_with(&id) {
            text.plain("  ").painted(Paint::Dim, &id);
        }
        let mut told: Vec<String> = self.props().iter().map(|(name, value)| self.told(name, value)).collect();
        // What the shown side lacks, another may have.
        let absent = self.disputed().filter(|disputed| self.props().value(&disputed.field).is_none());
        told.extend(absent.map(|disputed| format!("{} {}", disputed.field, sides(disputed))));
        if let Found::Node(node) = &self.found {
            if node.labels.len() > 1 {
                told.insert(0, format!("labels {}", node.labels.join(" ")));
            }
            match &node.content {
                Some(Content::Inline(bytes)) => told.push(format!("content of {} bytes", bytes.len())),
                Some(Content::List(_)) => told.push("content in chunks".to_owned()),
                None => {}
            }
        }
        if !told.is_empty() {
            text.plain("  ").plain(&told.join(", "));
        }
        text.end();
        if self.conflict.as_ref().is_some_and(|conflict| conflict.is_removed) {
            text.painted(Paint::Bad, "!").plain(" removed on one side, needed or changed on another").end();
        }
    }
}

fn node_fields(node: &Node, fields: &mut Fields) {
    report::node_head(node, fields);
    fields.insert("props".into(), to_json(&node.props));
}

fn edge_fields(edge: &Edge, fields: &mut Fields) {
    report::edge_head(edge, fields);
    fields.insert("props".into(), to_json(&edge.props));
}
