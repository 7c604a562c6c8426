//! `mnem neighbors`

use clap::Args;
use mnem::object::Edge;
use mnem::{NodeId, RepoError, Snapshot};
use serde_json::json;

use crate::args::At;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find;
use crate::output::{Fields, Paint, Record, Text};
use crate::report;
use crate::values::to_json;

pub(crate) const EXAMPLES: &str = "  mnem neighbors Person/Ada
  mnem neighbors Machine/Engine --in --type described\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Neighbors {
    /// A node: LABEL/NAME, or its id
    #[arg(value_name = "ENTITY")]
    node: String,
    /// Only edges that start here
    #[arg(long, conflicts_with = "only_in")]
    out: bool,
    /// Only edges that end here
    #[arg(long = "in")]
    only_in: bool,
    /// Only edges of this type
    #[arg(long = "type", value_name = "TYPE")]
    edge_type: Option<String>,
    /// No more than so many
    #[arg(short = 'n', long, value_name = "COUNT")]
    limit: Option<usize>,
    #[command(flatten)]
    at: At,
}

impl Neighbors {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let now = self.at.state(&context.open()?)?;
        let node = find::node(&now, &self.node)?;
        let mut left = self.limit.unwrap_or(usize::MAX);
        for goes_out in [true, false] {
            if (goes_out && self.only_in) || (!goes_out && self.out) {
                continue;
            }
            let edges = match (goes_out, self.edge_type.as_deref()) {
                (true, Some(of)) => now.edges_out(node, of)?,
                (true, None) => now.edges_out(node, ..)?,
                (false, Some(of)) => now.edges_in(node, of)?,
                (false, None) => now.edges_in(node, ..)?,
            };
            for edge in edges.take(left) {
                left -= 1;
                context.output.data(&Neighbor::of(&now, edge?, goes_out)?)?;
            }
        }
        Ok(Exit::Done)
    }
}

struct Neighbor {
    edge: Edge,
    goes_out: bool,
    node: NodeId,
    title: String,
}

impl Neighbor {
    fn of(now: &Snapshot, edge: Edge, goes_out: bool) -> Result<Neighbor, RepoError> {
        let node = if goes_out { edge.dst } else { edge.src };
        Ok(Neighbor { title: find::title_of(now, node.into())?, node, edge, goes_out })
    }
}

impl Record for Neighbor {
    fn schema(&self) -> &'static str {
        "mnem.neighbor/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("node".into(), json!(self.node.to_string()));
        fields.insert("title".into(), json!(self.title));
        fields.insert("direction".into(), json!(if self.goes_out { "out" } else { "in" }));
        report::edge_head(&self.edge, fields);
        fields.insert("props".into(), to_json(&self.edge.props));
    }

    fn text(&self, text: &mut Text) {
        let (from, to) = if self.goes_out { (" -", "-> ") } else { ("<-", "-  ") };
        text.plain(from).painted(Paint::Name, &self.edge.edge_type).plain(to).plain(&self.title);
        let props: Vec<String> =
            self.edge.props.iter().map(|(name, value)| format!("{name} {value}")).collect();
        if !props.is_empty() {
            text.plain("  ").plain(&props.join(", "));
        }
        text.end();
    }
}
