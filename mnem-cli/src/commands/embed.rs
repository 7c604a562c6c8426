//! `mnem embed`

use clap::Args;
use mnem::NodeId;
use serde_json::json;

use crate::args::Record;
use crate::context::Context;
use crate::embed;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Text};

pub(crate) const EXAMPLES: &str = "  mnem config set embedder hash-ngram/1 && mnem embed
  mnem embed --embedder hash-ngram/1 -m 'Vectors of all that is here'\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Embed {
    /// What makes vectors: hash-ngram/1, or NAME=COMMAND; else that of the settings
    #[arg(long, value_name = "EMBEDDER")]
    embedder: Option<String>,
    #[command(flatten)]
    record: Record,
}

impl Embed {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let embedder = embed::embedder(context.embedder(self.embedder.as_deref()))?;
        let (repo, actor) = context.open_to_write(&self.record.write)?;
        let mut tx = repo.begin(&actor)?;
        let nodes: Vec<NodeId> =
            tx.base().nodes().map(|node| Ok(node?.id)).collect::<Result<_, mnem::RepoError>>()?;
        let vectors = embed::stage(&mut tx, &*embedder, &nodes)?;
        let name = embedder.name().to_owned();
        let now = if tx.is_empty() {
            tx.base().clone()
        } else {
            tx.commit(&self.record.message.clone().unwrap_or_else(|| format!("embed by {name}")))?
        };
        embed::keep(&now, &name)?;
        context.output.report(&Embedded { embedder: name, vectors, nodes: nodes.len() })?;
        Ok(Exit::Done)
    }
}

struct Embedded {
    embedder: String,
    vectors: u64,
    nodes: usize,
}

impl crate::output::Record for Embedded {
    fn schema(&self) -> &'static str {
        "mnem.embed/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("embedder".into(), json!(self.embedder));
        fields.insert("vectors".into(), json!(self.vectors));
        fields.insert("nodes".into(), json!(self.nodes));
    }

    fn text(&self, text: &mut Text) {
        let line = format!("{}: {} new vectors, {} nodes", self.embedder, self.vectors, self.nodes);
        text.plain(&line).end();
    }
}
