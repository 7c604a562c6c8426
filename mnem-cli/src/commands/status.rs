//! `mnem status`

use clap::Args;
use mnem_core::key::ConflictKey;
use serde_json::{Value as Json, json};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find;
use crate::output::{Fields, Paint, Record, Text, counted};
use crate::report::short;

pub(crate) const EXAMPLES: &str = "  mnem status\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Status {}

struct Standing {
    repository: String,
    kind: String,
    branch: String,
    commit: Option<String>,
    nodes: u64,
    edges: u64,
    conflicts: Vec<String>,
}

impl Status {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let now = context.open()?.head()?;
        let conflicts = now.conflicts()?.into_iter().map(|key| match key {
            ConflictKey::Node(id) => find::title_of(&now, id.into()),
            ConflictKey::Edge(id) => find::title_of(&now, id.into()),
            ConflictKey::Schema(key) => Ok(format!("schema {key:?}")),
            ConflictKey::Vector { model, node } => {
                Ok(format!("{} in {model}", find::title_of(&now, node.into())?))
            }
        });
        let place = context.place()?;
        let standing = Standing {
            repository: place.shown(),
            kind: place.kind().to_owned(),
            branch: now.branch().to_owned(),
            commit: now.commit_id().map(|id| id.to_string()),
            nodes: now.node_count()?,
            edges: now.edge_count()?,
            conflicts: conflicts.collect::<Result<_, _>>()?,
        };
        let exit = if standing.conflicts.is_empty() { Exit::Done } else { Exit::Conflicts };
        context.output.data(&standing)?;
        Ok(exit)
    }
}

impl Record for Standing {
    fn schema(&self) -> &'static str {
        "mnem.status/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("repository".into(), json!(self.repository));
        fields.insert("store".into(), json!(self.kind));
        fields.insert("branch".into(), json!(self.branch));
        if let Some(commit) = &self.commit {
            fields.insert("commit".into(), json!(commit));
        }
        fields.insert("nodes".into(), json!(self.nodes));
        fields.insert("edges".into(), json!(self.edges));
        fields.insert("conflicts".into(), Json::from(self.conflicts.clone()));
    }

    fn text(&self, text: &mut Text) {
        text.plain("branch ").painted(Paint::Name, &self.branch);
        match &self.commit {
            Some(commit) => text.plain(" at ").painted(Paint::Id, &short(commit)),
            None => text.plain(", without a commit yet"),
        };
        text.plain(&format!("; {}, {} store", self.repository, self.kind)).end();
        text.plain(&format!("{}, {}", counted(self.nodes, "node"), counted(self.edges, "edge"))).end();
        for conflict in &self.conflicts {
            text.painted(Paint::Bad, "!").plain(" ").plain(conflict).end();
        }
    }
}
