//! `mnem show`

use clap::Args;
use serde_json::json;

use super::log::Line;
use crate::args;
use crate::clock;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Paint, Record, Text};

pub(crate) const EXAMPLES: &str = "  mnem show
  mnem show main~1\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Show {
    /// Which state; else the present one
    #[arg(value_name = "REVISION")]
    revision: Option<String>,
}

impl Show {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let now = args::state(&context.open()?, self.revision.as_deref())?;
        let (Some(id), Some(commit)) = (now.commit_id(), now.commit()) else {
            return Err(Failure::new(
                "nothing-there",
                Exit::NotFound,
                format!("there is no commit on {} yet", now.branch()),
            )
            .hint("record something: mnem add Person name=Ada"));
        };
        let line = Line::new(&now, id, commit.clone(), clock::now(), context.zone_minutes)?;
        let shown = Shown { line, nodes: now.node_count()?, edges: now.edge_count()? };
        context.output.data(&shown)?;
        Ok(Exit::Done)
    }
}

struct Shown {
    line: Line,
    nodes: u64,
    edges: u64,
}

impl Record for Shown {
    fn schema(&self) -> &'static str {
        "mnem.show/1"
    }

    fn fields(&self, fields: &mut Fields) {
        self.line.fields(fields);
        fields.insert("nodes".into(), json!(self.nodes));
        fields.insert("edges".into(), json!(self.edges));
    }

    fn text(&self, text: &mut Text) {
        text.plain("commit  ").painted(Paint::Id, &self.line.id.to_string()).end();
        for parent in &self.line.commit.parents {
            text.plain("parent  ").painted(Paint::Id, &parent.to_string()).end();
        }
        text.plain("actor   ").plain(&self.line.actor).end();
        text.plain("time    ").plain(&self.line.commit.time.to_string()).end();
        text.plain(&format!("holds   {} nodes, {} edges", self.nodes, self.edges)).end();
        text.end();
        for line in self.line.commit.message.lines() {
            text.plain("    ").plain(line).end();
        }
    }
}
