//! `mnem import`
//!
//! Line by line, in commits of a bounded size. What is there already as the line says it is passed over: a run that was
//! cut short is completed by running it again.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::PathBuf;

use clap::Args;
use mnem::object::{Edge, EdgeType, Labels, Node};
use mnem::value::Props;
use mnem::{Actor, EdgeId, NodeId, Repo, Transaction};
use serde_json::{Value as Json, json};

use super::export::SCHEMA;
use crate::args;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Paint, Record, Text, counted};
use crate::progress::Meter;

pub(crate) const EXAMPLES: &str = "  mnem export > all.jsonl && mnem import all.jsonl
  mnem import all.jsonl --replace -m 'as it was exported'\n";

/// Longest line. An object has at most 1 MiB, and its text is not much longer.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// A commit is made when so many entities, or so many bytes of their lines, are staged.
const STAGED_MAX: u64 = 20_000;
const STAGED_BYTES_MAX: usize = 16 << 20;

/// Arguments.
#[derive(Args)]
pub(crate) struct Import {
    /// Lines of JSON, as `mnem export` writes them; - for stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What is there in another version becomes as the file says; else it is an error
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    record: args::Record,
}

/// What was done so far.
#[derive(Default)]
struct Done {
    nodes: u64,
    edges: u64,
    present: u64,
    commits: u64,
    took: String,
}

impl Import {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let failed = |error: io::Error| Failure::file("read", &self.file, &error);
        let input: Box<dyn BufRead> = if self.file.as_os_str() == "-" {
            Box::new(io::stdin().lock())
        } else {
            Box::new(BufReader::new(File::open(&self.file).map_err(failed)?))
        };
        let (repo, actor) = context.open_to_write(&self.record.write)?;
        let mut meter = Meter::start("imported", context.output.wants_progress());
        let mut work =
            Work { import: self, repo, actor, tx: None, staged: 0, staged_bytes: 0, done: Done::default() };
        let outcome = work.run(input, &mut meter);
        let mut done = work.done;
        match outcome {
            Ok(()) => {
                done.took = meter.end();
                context.output.report(&done)?;
                Ok(Exit::Done)
            }
            Err(failure) if done.commits > 0 => {
                let so_far =
                    format!("{} nodes and {} edges before that are recorded", done.nodes, done.edges);
                let hint = failure.hint.clone().map_or_else(String::new, |hint| format!("{hint}; "));
                Err(failure.hint(format!("{hint}{so_far}; run it again to go on, or `mnem undo`")))
            }
            Err(failure) => Err(failure),
        }
    }
}

struct Work<'a> {
    import: &'a Import,
    repo: Repo,
    actor: Actor,
    tx: Option<Transaction>,
    staged: u64,
    staged_bytes: usize,
    done: Done,
}

impl Work<'_> {
    fn run(&mut self, mut input: Box<dyn BufRead>, meter: &mut Meter) -> Result<(), Failure> {
        let mut line = Vec::new();
        let mut number = 0_u64;
        loop {
            number += 1;
            let at = |failure: Failure| at_line(number, failure);
            line.clear();
            let read = input.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line);
            let bytes = read.map_err(|error| at(Failure::file("read", &self.import.file, &error)))?;
            if bytes == 0 {
                break;
            }
            if bytes as u64 > LINE_BYTES_MAX {
                return Err(at(Failure::bad_word("it is longer than 16 MiB")));
            }
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            self.line(&line, number).map_err(at)?;
            meter.count();
            if self.staged >= STAGED_MAX || self.staged_bytes >= STAGED_BYTES_MAX {
                self.commit()?;
            }
        }
        if number == 1 {
            return Err(at_line(1, Failure::bad_word(format!("it is to say {SCHEMA}, but there is none"))));
        }
        self.commit()
    }

    fn line(&mut self, line: &[u8], number: u64) -> Result<(), Failure> {
        let json: Json = serde_json::from_slice(line)
            .map_err(|error| Failure::bad_word(format!("it is no JSON: {error}")))?;
        let Json::Object(fields) = json else { return Err(Failure::bad_word("it is no object")) };
        if number == 1 {
            return head(&fields);
        }
        self.staged_bytes += line.len();
        if fields.contains_key("node") {
            let node = node(&fields)?;
            return self.node(node);
        }
        if fields.contains_key("edge") {
            let edge = edge(&fields)?;
            return self.edge(edge);
        }
        Err(Failure::bad_word("it is neither a node nor an edge"))
    }

    fn tx(&mut self) -> Result<&mut Transaction, Failure> {
        if self.tx.is_none() {
            self.tx = Some(self.repo.begin(&self.actor)?);
        }
        Ok(self.tx.as_mut().expect("was there, or was begun just now"))
    }

    fn node(&mut self, node: Node) -> Result<(), Failure> {
        let replace = self.import.replace;
        let tx = self.tx()?;
        match tx.get(node.id)? {
            Some(present) if present == node => {
                self.done.present += 1;
                return Ok(());
            }
            Some(_) if replace => tx.resolve(node.id, node)?,
            Some(_) => return Err(differs(&node.id)),
            None => tx.add_node_as(node.id, node.labels.clone(), &node.props)?,
        }
        self.done.nodes += 1;
        self.staged += 1;
        Ok(())
    }

    fn edge(&mut self, edge: Edge) -> Result<(), Failure> {
        let replace = self.import.replace;
        let tx = self.tx()?;
        match tx.get(edge.id)? {
            Some(present) if present == edge => {
                self.done.present += 1;
                return Ok(());
            }
            Some(_) if replace => tx.resolve(edge.id, edge)?,
            Some(_) => return Err(differs(&edge.id)),
            None => tx.add_edge_as(edge.id, edge.src, &edge.edge_type, edge.dst, &edge.props)?,
        }
        self.done.edges += 1;
        self.staged += 1;
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Failure> {
        let Some(tx) = self.tx.take().filter(|tx| !tx.is_empty()) else { return Ok(()) };
        let file = self.import.file.display();
        let message = self.import.record.message.clone().unwrap_or_else(|| format!("import {file}"));
        tx.commit(&message)?;
        self.done.commits += 1;
        (self.staged, self.staged_bytes) = (0, 0);
        Ok(())
    }
}

fn at_line(number: u64, mut failure: Failure) -> Failure {
    failure.message = format!("line {number}: {}", failure.message);
    // A line that cannot be taken is no slip on the command line.
    if failure.exit == Exit::Usage {
        (failure.code, failure.exit) = ("bad-line", Exit::Failure);
    }
    failure
}

fn differs(id: &impl ToString) -> Failure {
    Failure::new("taken", Exit::Failure, format!("{} is there already, in another version", id.to_string()))
        .hint("--replace makes it as the file says")
}

fn head(fields: &Fields) -> Result<(), Failure> {
    known(fields, &["schema", "params", "commit"])?;
    match fields.get("schema") {
        Some(Json::String(schema)) if schema == SCHEMA => Ok(()),
        _ => Err(Failure::bad_word(format!("it is to say {{\"schema\":\"{SCHEMA}\"}}"))),
    }
}

/// An unknown name is an error: what it means would be lost.
fn known(fields: &Fields, names: &[&str]) -> Result<(), Failure> {
    match fields.keys().find(|name| !names.contains(&name.as_str())) {
        Some(unknown) => Err(Failure::bad_word(format!("`{unknown}` means nothing here"))),
        None => Ok(()),
    }
}

fn text<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, Failure> {
    fields
        .get(name)
        .and_then(Json::as_str)
        .ok_or_else(|| Failure::bad_word(format!("`{name}` is to be text")))
}

fn id<T: std::str::FromStr>(fields: &Fields, name: &str) -> Result<T, Failure> {
    let text = text(fields, name)?;
    text.parse().map_err(|_| Failure::bad_word(format!("`{name}` is to be an id, not `{text}`")))
}

fn props(fields: &Fields) -> Result<Props, Failure> {
    let props = fields.get("props").cloned().unwrap_or_else(|| json!({}));
    serde_json::from_value(props).map_err(|error| Failure::bad_word(format!("`props`: {error}")))
}

fn node(fields: &Fields) -> Result<Node, Failure> {
    known(fields, &["node", "labels", "props"])?;
    let labels = fields.get("labels").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let labels = labels.iter().map(Json::as_str).collect::<Option<Vec<&str>>>();
    let labels = labels.ok_or_else(|| Failure::bad_word("`labels` are to be texts"))?;
    Ok(Node::new(id::<NodeId>(fields, "node")?, Labels::new(labels)?, props(fields)?))
}

fn edge(fields: &Fields) -> Result<Edge, Failure> {
    known(fields, &["edge", "src", "type", "dst", "props"])?;
    let edge_type = EdgeType::new(text(fields, "type")?)?;
    Ok(Edge::new(
        id::<EdgeId>(fields, "edge")?,
        id(fields, "src")?,
        edge_type,
        id(fields, "dst")?,
        props(fields)?,
    ))
}

impl Record for Done {
    fn schema(&self) -> &'static str {
        "mnem.import/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("nodes".into(), json!(self.nodes));
        fields.insert("edges".into(), json!(self.edges));
        fields.insert("present".into(), json!(self.present));
        fields.insert("commits".into(), json!(self.commits));
    }

    fn text(&self, text: &mut Text) {
        text.painted(Paint::Added, "+").plain(&format!(
            " {}, {}",
            counted(self.nodes, "node"),
            counted(self.edges, "edge")
        ));
        if self.present > 0 {
            text.plain(&format!("; {} were there already", self.present));
        }
        text.plain(&format!("; {}, {}", counted(self.commits, "commit"), self.took)).end();
    }
}
