//! `mnem export`

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use mnem::Snapshot;
use mnem::object::{Edge, Node};
use serde_json::{Value as Json, json};

use crate::args::At;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Record, Text};
use crate::progress::Meter;
use crate::report::{edge_head, node_head};
use crate::values::to_json;

pub(crate) const EXAMPLES: &str =
    "  mnem export > all.jsonl              one state, a line for each node and edge
  mnem export --at v1 -o v1.jsonl\n";

/// What the first line says.
pub(crate) const SCHEMA: &str = "mnem.graph/1";

/// Arguments.
#[derive(Args)]
pub(crate) struct Export {
    /// Where to; else stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    at: At,
}

impl Export {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let now = self.at.state(&context.open()?)?;
        let mut meter = Meter::start("exported", context.output.wants_progress());
        let Some(path) = &self.output else {
            write(&now, &mut meter, |line| context.output.raw(line.as_bytes()))?;
            return Ok(Exit::Done);
        };
        let failed = |error: std::io::Error| Failure::file("write", path, &error);
        let mut file = BufWriter::new(File::create(path).map_err(failed)?);
        write(&now, &mut meter, |line| file.write_all(line.as_bytes()).map_err(failed))?;
        file.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)?;
        let (nodes, edges) = (now.node_count()?, now.edge_count()?);
        context.output.report(&Exported {
            file: path.display().to_string(),
            nodes,
            edges,
            took: meter.end(),
        })?;
        Ok(Exit::Done)
    }
}

fn write(
    now: &Snapshot,
    meter: &mut Meter,
    mut each: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut head = Fields::new();
    head.insert("schema".into(), json!(SCHEMA));
    if let (Some(id), Some(commit)) = (now.commit_id(), now.commit()) {
        head.insert("params".into(), json!(commit.params.to_string()));
        head.insert("commit".into(), json!(id.to_string()));
    }
    each(&format!("{}\n", Json::Object(head)))?;
    for node in now.nodes() {
        each(&format!("{}\n", node_line(&node?)?))?;
        meter.count();
    }
    for edge in now.edges() {
        each(&format!("{}\n", edge_line(&edge?)))?;
        meter.count();
    }
    Ok(())
}

fn node_line(node: &Node) -> Result<Json, Failure> {
    let mut fields = Fields::new();
    node_head(node, &mut fields);
    fields.insert("props".into(), to_json(&node.props));
    if node.content.is_some() {
        let message = format!("node {} has content, which has no line form yet", node.id);
        return Err(
            Failure::new("unsupported", Exit::Failure, message).hint("copy the store as a whole instead")
        );
    }
    Ok(Json::Object(fields))
}

fn edge_line(edge: &Edge) -> Json {
    let mut fields = Fields::new();
    edge_head(edge, &mut fields);
    fields.insert("props".into(), to_json(&edge.props));
    Json::Object(fields)
}

struct Exported {
    file: String,
    nodes: u64,
    edges: u64,
    took: String,
}

impl Record for Exported {
    fn schema(&self) -> &'static str {
        "mnem.export/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("file".into(), json!(self.file));
        fields.insert("nodes".into(), json!(self.nodes));
        fields.insert("edges".into(), json!(self.edges));
    }

    fn text(&self, text: &mut Text) {
        text.plain(&format!(
            "wrote {}: {} nodes, {} edges, {}",
            self.file, self.nodes, self.edges, self.took
        ))
        .end();
    }
}
