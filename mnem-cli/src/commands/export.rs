//! `mnem export`

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use mnem::object::{Edge, Node};
use mnem::{Archive, Exported, Snapshot};
use serde_json::{Value as Json, json};

use crate::args::At;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Output, Record, Text, counted};
use crate::progress::Meter;
use crate::report::{edge_head, node_head};
use crate::sharing;
use crate::values::to_json;

pub(crate) const EXAMPLES: &str =
    "  mnem export > all.jsonl              one state, a line for each node and edge
  mnem export --at v1 -o v1.jsonl
  mnem export --car -o all.car         everything, past and names included
  mnem export --car --at main --without main~1 -o new.car\n";

/// What the first line says.
pub(crate) const SCHEMA: &str = "mnem.graph/1";

/// Arguments.
#[derive(Args)]
pub(crate) struct Export {
    /// Where to; else stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// An archive: the whole repository, or with --at a state and its past
    #[arg(long)]
    car: bool,
    /// Leave out of the archive this state and its past
    #[arg(long, value_name = "REVISION", requires = "car", requires = "at")]
    without: Option<String>,
    #[command(flatten)]
    at: At,
}

impl Export {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        if self.car {
            return self.archive(context);
        }
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
        context.output.report(&Lines {
            file: path.display().to_string(),
            nodes,
            edges,
            took: meter.end(),
        })?;
        Ok(Exit::Done)
    }
}

impl Export {
    fn archive(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let repo = context.open()?;
        let what = match &self.at.at {
            None => Archive::Whole,
            Some(at) => {
                let of = Archive::of(repo.commit_at(at.as_str()).map_err(mnem::Error::from)?);
                match &self.without {
                    Some(without) => of.without(repo.commit_at(without.as_str()).map_err(mnem::Error::from)?),
                    None => of,
                }
            }
        };
        let mut meter = Meter::start("exported", context.output.wants_progress());
        let Some(path) = &self.output else {
            let mut out = Raw { output: context.output, failure: None };
            let written =
                repo.export_archive(BufWriter::new(&mut out), &what, &mut sharing::listener(&mut meter));
            return match out.failure {
                Some(failure) => Err(failure),
                None => written.map(|_| Exit::Done).map_err(|error| mnem::Error::from(error).into()),
            };
        };
        let failed = |error: std::io::Error| Failure::file("write", path, &error);
        let file = File::create(path).map_err(failed)?;
        let mut listener = sharing::listener(&mut meter);
        let exported = repo.export_archive(BufWriter::new(&file), &what, &mut listener);
        let exported = exported.map_err(mnem::Error::from)?;
        drop(listener);
        file.sync_all().map_err(failed)?;
        let file = path.display().to_string();
        context.output.report(&Archived { file, exported, took: meter.end() })?;
        Ok(Exit::Done)
    }
}

/// Stdout, which fails in its own way.
struct Raw<'a> {
    output: &'a mut Output,
    failure: Option<Failure>,
}

impl Write for Raw<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.output.raw(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(failure) => {
                self.failure = Some(failure);
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Archived {
    file: String,
    exported: Exported,
    took: String,
}

impl Record for Archived {
    fn schema(&self) -> &'static str {
        "mnem.archive/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("file".into(), json!(self.file));
        fields
            .insert("roots".into(), self.exported.roots.iter().map(|root| json!(root.to_string())).collect());
        fields.insert("blocks".into(), json!(self.exported.blocks));
        fields.insert("bytes".into(), json!(self.exported.bytes));
    }

    fn text(&self, text: &mut Text) {
        let Exported { blocks, bytes, .. } = &self.exported;
        let (blocks, bytes) = (counted(*blocks, "block"), counted(*bytes, "byte"));
        text.plain(&format!("wrote {}: {blocks}, {bytes}, {}", self.file, self.took)).end();
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

struct Lines {
    file: String,
    nodes: u64,
    edges: u64,
    took: String,
}

impl Record for Lines {
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
