//! `mnem search`

use clap::Args;
use mnem::ann::{HashNgram, Hybrid};
use mnem::object::Node;
use mnem::{NodeId, Snapshot, Top, Vectors};
use serde_json::json;

use crate::args::At;
use crate::context::Context;
use crate::embed;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find;
use crate::output::{Fields, Paint, Record, Text};
use crate::report;
use crate::values::to_json;

pub(crate) const EXAMPLES: &str = "  mnem schema declare does text --words && mnem search algebra
  mnem search 'weaves algebra' -n 3 --label Machine
  mnem embed && mnem search --like 'elaborate pieces of music'
  mnem embed && mnem search music --like 'elaborate pieces'\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Search {
    /// Words, as they stand in properties that are declared with --words
    #[arg(value_name = "WORDS", required_unless_present_any = ["like", "vector"])]
    words: Vec<String>,
    /// What is like this text, by vectors that an embedder made; beside words, by both
    #[arg(long, value_name = "TEXT", conflicts_with = "vector")]
    like: Option<String>,
    /// What is near to these numbers: '[0.1, 0.2]'
    #[arg(long, value_name = "NUMBERS", allow_hyphen_values = true)]
    vector: Option<String>,
    /// Who made the vectors: hash-ngram/1, NAME=COMMAND, or beside --vector the name of a model; else that of the settings
    #[arg(long, value_name = "EMBEDDER")]
    embedder: Option<String>,
    /// No more than so many, the best first
    #[arg(short = 'n', long, value_name = "COUNT", default_value = "10")]
    limit: usize,
    /// Only nodes that carry it
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,
    #[command(flatten)]
    at: At,
}

impl Search {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let now = self.at.state(&context.open()?)?;
        if self.like.is_some() || self.vector.is_some() {
            return self.near(context, &now);
        }
        let schema = now.schema()?;
        let searched: Vec<String> = schema
            .properties()
            .filter(|property| property.words)
            .map(|property| property.name.to_string())
            .collect();
        if searched.is_empty() {
            context
                .output
                .hint("no property is found by its words yet: mnem schema declare PROPERTY text --words")?;
            return Ok(Exit::Done);
        }
        // Of those that are left out nobody knows ahead how many there are.
        let asked = if self.label.is_some() { usize::MAX } else { self.limit };
        let mut left = self.limit;
        for hit in now.search_words(&self.words.join(" "), asked)? {
            let node = now.require(hit.node)?;
            if left == 0 {
                break;
            }
            if self.label.as_deref().is_some_and(|label| !node.labels.has(label)) {
                continue;
            }
            left -= 1;
            context.output.data(&Hit::new(node, hit.score, &searched, "words".to_owned()))?;
        }
        Ok(Exit::Done)
    }

    /// Finds by vectors, or by vectors and words.
    fn near(&self, context: &mut Context<'_>, now: &Snapshot) -> Result<Exit, Failure> {
        let said = context.embedder(self.embedder.as_deref());
        let (model, vector) = match (&self.vector, &self.like) {
            (Some(numbers), _) => {
                let vector: Vec<f32> = serde_json::from_str(numbers).map_err(|_| {
                    Failure::bad_word(format!("`{numbers}` is no list of numbers")).hint("write '[0.1, 0.2]'")
                })?;
                (said.split('=').next().unwrap_or(said).to_owned(), vector)
            }
            (None, like) => {
                let embedder = embed::embedder(said)?;
                let text = like.as_deref().unwrap_or_default();
                let vector = embedder.embed(&[text])?.pop().unwrap_or_default();
                (embedder.name().to_owned(), vector)
            }
        };
        let mut top = Top::k(self.limit);
        if let Some(label) = &self.label {
            top = top.among(mnem::label(label.as_str()));
        }
        let vectors = Vectors::of(&model);
        let found: Vec<(NodeId, f64)> = if self.words.is_empty() {
            let hits = vectors.search(now, &vector, &top)?;
            hits.iter().map(|hit| (hit.node, f64::from(hit.score))).collect()
        } else {
            let hybrid = Hybrid::new(top).vector(&vector).words(&self.words.join(" "));
            vectors.search_hybrid(now, &hybrid)?.iter().map(|hit| (hit.node, hit.score)).collect()
        };
        let by = if self.words.is_empty() { model.clone() } else { format!("words and {model}") };
        for (node, score) in found {
            let node = now.require(node)?;
            let told: Vec<String> = embed::texts_of(&node).map(|(name, _)| name.to_owned()).collect();
            context.output.data(&Hit::new(node, score, &told, by.clone()))?;
        }
        let knows = if model == HashNgram::NAME { ", which knows letters, not meaning" } else { "" };
        context.output.hint(&format!("by {by}{knows}"))?;
        Ok(Exit::Done)
    }
}

struct Hit {
    title: String,
    node: Node,
    score: f64,
    told: Vec<String>,
    by: String,
}

impl Hit {
    fn new(node: Node, score: f64, searched: &[String], by: String) -> Hit {
        let told =
            searched.iter().filter_map(|name| node.props.value(name).map(ToString::to_string)).collect();
        Hit { title: find::title(&node), node, score, told, by }
    }
}

impl Record for Hit {
    fn schema(&self) -> &'static str {
        "mnem.hit/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("score".into(), json!(self.score));
        fields.insert("by".into(), json!(self.by));
        report::node_head(&self.node, fields);
        fields.insert("props".into(), to_json(&self.node.props));
        fields.insert("title".into(), json!(self.title));
    }

    fn text(&self, text: &mut Text) {
        text.painted(Paint::Id, &format!("{:.2}", self.score)).plain("  ").plain(&self.title);
        for told in &self.told {
            text.plain("  ").plain(told);
        }
        text.end();
    }
}
