//! `mnem search`

use clap::Args;
use mnem::object::Node;
use serde_json::json;

use crate::args::At;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find;
use crate::output::{Fields, Paint, Record, Text};
use crate::report;
use crate::values::to_json;

pub(crate) const EXAMPLES: &str = "  mnem schema declare does text --words && mnem search algebra
  mnem search 'weaves algebra' -n 3 --label Machine\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Search {
    /// Words, as they stand in properties that are declared with --words
    #[arg(value_name = "WORDS", required = true)]
    words: Vec<String>,
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
            context.output.data(&Hit::new(node, hit.score, &searched))?;
        }
        Ok(Exit::Done)
    }
}

struct Hit {
    title: String,
    node: Node,
    score: f64,
    told: Vec<String>,
}

impl Hit {
    fn new(node: Node, score: f64, searched: &[String]) -> Hit {
        let told =
            searched.iter().filter_map(|name| node.props.value(name).map(ToString::to_string)).collect();
        Hit { title: find::title(&node), node, score, told }
    }
}

impl Record for Hit {
    fn schema(&self) -> &'static str {
        "mnem.hit/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("score".into(), json!(self.score));
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
