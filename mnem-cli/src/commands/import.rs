//! `mnem import`
//!
//! Line by line, in bounded memory, in one commit or in several. What is there already as the line says it is passed over:
//! a run of several that was cut short is completed by running it again.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::PathBuf;

use clap::Args;
use mnem::object::{Edge, EdgeType, Labels, Node};
use mnem::value::Props;
use mnem::{Actor, Commits, EdgeId, ImportOptions, ImportReport, NodeId, Present, Repo, RepoError};
use serde_json::{Value as Json, json};

use super::clone::begins_as_archive;
use super::export::SCHEMA;
use crate::args;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Paint, Record, Text, counted};
use crate::progress::Meter;
use crate::sharing::{self, Moved};

pub(crate) const EXAMPLES: &str = "  mnem export > all.jsonl && mnem import all.jsonl
  mnem import all.jsonl --replace -m 'as it was exported'
  mnem import all.jsonl --each 100000
  mnem import all.car --remote file    its branches are then file/main and so on\n";

/// Longest line. An object has at most 1 MiB, and its text is not much longer.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// Arguments.
#[derive(Args)]
pub(crate) struct Import {
    /// Lines of JSON, as `mnem export` writes them, or an archive; - for stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What is there in another version becomes as the file says; else it is an error
    #[arg(long)]
    replace: bool,
    /// Commit after each so many nodes and edges, so that a run that was cut short can go on; else there is one commit
    #[arg(long, value_name = "N")]
    each: Option<u64>,
    /// What the other repository of an archive is called here
    #[arg(long, value_name = "NAME", default_value = "archive", hide_default_value = true)]
    remote: String,
    #[command(flatten)]
    record: args::Record,
}

/// What was done.
struct Done {
    report: ImportReport,
    took: String,
}

impl Import {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let failed = |error: io::Error| Failure::file("read", &self.file, &error);
        let mut input: Box<dyn BufRead> = if self.file.as_os_str() == "-" {
            Box::new(io::stdin().lock())
        } else {
            Box::new(BufReader::new(File::open(&self.file).map_err(failed)?))
        };
        let (repo, actor) = context.open_to_write(&self.record.write)?;
        if begins_as_archive(input.fill_buf().map_err(failed)?) {
            return self.archive(context, &repo, &actor, input);
        }
        let mut meter = Meter::start("imported", context.output.wants_progress());
        let file = self.file.display();
        let options = ImportOptions {
            commits: self.each.map_or(Commits::One, Commits::Each),
            present: if self.replace { Present::Replace } else { Present::Refuse },
            message: self.record.message.clone().unwrap_or_else(|| format!("import {file}")),
            ..ImportOptions::default()
        };
        let mut import = repo.import(&actor, options)?;
        match self.read(input, &mut import, &mut meter) {
            Ok(()) => {
                let report = import.finish()?;
                context.output.report(&Done { report, took: meter.end() })?;
                Ok(Exit::Done)
            }
            Err(failure) => {
                let made = import.report().commits.len();
                let so_far = match made {
                    0 => "nothing is recorded".to_owned(),
                    made => format!("{made} commits before that are made; run it again to go on"),
                };
                let hint = failure.hint.clone().map_or_else(String::new, |hint| format!("{hint}; "));
                Err(failure.hint(format!("{hint}{so_far}")))
            }
        }
    }

    fn archive(
        &self,
        context: &mut Context<'_>,
        repo: &Repo,
        actor: &Actor,
        input: Box<dyn BufRead>,
    ) -> Result<Exit, Failure> {
        let mut meter = Meter::start("imported", context.output.wants_progress());
        let how = mnem::Fetch::from(&self.remote);
        let mut listener = sharing::listener(&mut meter);
        let taken = repo.import_archive(actor, input, &how, repo.branch(), &mut listener);
        let synced = taken.map_err(mnem::Error::from)?;
        drop(listener);
        let (remote, took) = (self.remote.clone(), meter.end());
        let (schema, verb) = ("mnem.fetch/1", "imported as");
        context.output.report(&Moved { schema, verb, remote, synced, dry_run: false, took })?;
        Ok(Exit::Done)
    }

    fn read(
        &self,
        mut input: Box<dyn BufRead>,
        import: &mut mnem::Import,
        meter: &mut Meter,
    ) -> Result<(), Failure> {
        let mut line = Vec::new();
        let mut number = 0_u64;
        loop {
            number += 1;
            let at = |failure: Failure| at_line(number, failure);
            line.clear();
            let read = input.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line);
            let bytes = read.map_err(|error| at(Failure::file("read", &self.file, &error)))?;
            if bytes == 0 {
                break;
            }
            if bytes as u64 > LINE_BYTES_MAX {
                return Err(at(Failure::bad_word("it is longer than 16 MiB")));
            }
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            take(&line, number, import).map_err(at)?;
            meter.count();
        }
        if number == 1 {
            return Err(at_line(1, Failure::bad_word(format!("it is to say {SCHEMA}, but there is none"))));
        }
        Ok(())
    }
}

fn take(line: &[u8], number: u64, import: &mut mnem::Import) -> Result<(), Failure> {
    let json: Json =
        serde_json::from_slice(line).map_err(|error| Failure::bad_word(format!("it is no JSON: {error}")))?;
    let Json::Object(fields) = json else { return Err(Failure::bad_word("it is no object")) };
    if number == 1 {
        return head(&fields);
    }
    let taken = if fields.contains_key("node") {
        import.node(node(&fields)?)
    } else if fields.contains_key("edge") {
        import.edge(edge(&fields)?)
    } else {
        return Err(Failure::bad_word("it is neither a node nor an edge"));
    };
    taken.map_err(|why| match why {
        RepoError::Differs { .. } => Failure::from(why).hint("--replace makes it as the file says"),
        why => why.into(),
    })
}

fn at_line(number: u64, mut failure: Failure) -> Failure {
    failure.message = format!("line {number}: {}", failure.message);
    // A line that cannot be taken is no slip on the command line.
    if failure.exit == Exit::Usage {
        (failure.code, failure.exit) = ("bad-line", Exit::Failure);
    }
    failure
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
        let ImportReport { nodes, edges, present, commits, .. } = &self.report;
        fields.insert("nodes".into(), json!(nodes));
        fields.insert("edges".into(), json!(edges));
        fields.insert("present".into(), json!(present));
        fields.insert("commits".into(), json!(commits.len()));
    }

    fn text(&self, text: &mut Text) {
        let ImportReport { nodes, edges, present, commits, .. } = &self.report;
        text.painted(Paint::Added, "+").plain(&format!(
            " {}, {}",
            counted(*nodes, "node"),
            counted(*edges, "edge")
        ));
        if *present > 0 {
            text.plain(&format!("; {present} were there already"));
        }
        text.plain(&format!("; {}, {}", counted(commits.len() as u64, "commit"), self.took)).end();
    }
}
