//! `mnem show`

use clap::Args;
use serde_json::{Value as Json, json};

use super::diff;
use super::log::Line;
use crate::args;
use crate::clock;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Paint, Record, Text, counted};
use crate::report::Change;

pub(crate) const EXAMPLES: &str = "  mnem show
  mnem show main~1\n";

/// How many changes are shown: of a larger commit `mnem diff` shows all.
const CHANGES_MAX: usize = 1000;

/// Arguments.
#[derive(Args)]
pub(crate) struct Show {
    /// Which state; else the present one
    #[arg(value_name = "REVISION")]
    revision: Option<String>,
}

impl Show {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let repo = context.open()?;
        let now = args::state(&repo, self.revision.as_deref())?;
        let (Some(id), Some(commit)) = (now.commit_id(), now.commit()) else {
            let message = format!("there is no commit on {} yet", now.branch());
            return Err(Failure::new("nothing-there", Exit::NotFound, message)
                .hint("record something: mnem add Person name=Ada"));
        };
        let mut changes = Vec::new();
        match diff::before(&repo, &now)? {
            Some(before) => {
                for change in before.diff_to(&now).take(CHANGES_MAX + 1) {
                    changes.push(Change::new(&now, change?)?);
                }
            }
            None => {
                for node in now.nodes().take(CHANGES_MAX + 1) {
                    changes.extend(Change::of_versions(&now, (None, Some(node?)), mnem::Change::Node)?);
                }
                for edge in now.edges().take(CHANGES_MAX + 1) {
                    changes.extend(Change::of_versions(&now, (None, Some(edge?)), mnem::Change::Edge)?);
                }
            }
        }
        let is_cut = changes.len() > CHANGES_MAX;
        changes.truncate(CHANGES_MAX);
        let line = Line::new(&now, id, commit.clone(), clock::now(), context.zone_minutes)?;
        let shown = Shown { line, nodes: now.node_count()?, edges: now.edge_count()?, changes, is_cut };
        context.page();
        context.output.data(&shown)?;
        Ok(Exit::Done)
    }
}

struct Shown {
    line: Line,
    nodes: u64,
    edges: u64,
    changes: Vec<Change>,
    is_cut: bool,
}

impl Record for Shown {
    fn schema(&self) -> &'static str {
        "mnem.show/1"
    }

    fn fields(&self, fields: &mut Fields) {
        self.line.fields(fields);
        fields.insert("nodes".into(), json!(self.nodes));
        fields.insert("edges".into(), json!(self.edges));
        fields.insert("changes".into(), self.changes.iter().map(Change::to_json).collect::<Json>());
        fields.insert("cut".into(), json!(self.is_cut));
    }

    fn text(&self, text: &mut Text) {
        text.plain("commit  ").painted(Paint::Id, &self.line.id.to_string()).end();
        for parent in &self.line.commit.parents {
            text.plain("parent  ").painted(Paint::Id, &parent.to_string()).end();
        }
        text.plain("actor   ").plain(&self.line.actor).end();
        text.plain("time    ").plain(&self.line.commit.time.to_string()).end();
        text.plain(&format!("holds   {}, {}", counted(self.nodes, "node"), counted(self.edges, "edge")))
            .end();
        text.end();
        for line in self.line.commit.message.lines() {
            text.plain("    ").plain(line).end();
        }
        text.end();
        for change in &self.changes {
            change.text(text);
        }
        if self.is_cut {
            text.plain("and more: `mnem diff` shows all").end();
        }
    }
}
