//! `mnem query`

use clap::Args;
use mnem::{NodeId, Snapshot};
use mnem_core::repo::query::{self, Explanation, Predicate, Query as Question, prop};
use serde_json::json;

use super::get::Entity;
use crate::args::At;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find::{self, Found};
use crate::output::{Fields, Record, Text};
use crate::values;

pub(crate) const EXAMPLES: &str = "  mnem query Person 'born>=1800' 'born<1900' --order born
  mnem query Machine does --count
  mnem query --edges described --from Person/Ada 'year>1840'
  mnem query Person '!died' --at v1 --explain\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Query {
    /// Only nodes of this label; with --edges, only edges of this type
    #[arg(value_name = "LABEL")]
    label: Option<String>,
    /// What must hold: NAME=V, NAME!=V, NAME<V, <=, >, >=, NAME^=PREFIX, NAME (is there), !NAME (is not)
    #[arg(value_name = "CONDITION")]
    conditions: Vec<String>,
    /// Edges, not nodes
    #[arg(long)]
    edges: bool,
    /// Edges that start at this node
    #[arg(long, value_name = "ENTITY", requires = "edges")]
    from: Option<String>,
    /// Edges that end at this node
    #[arg(long, value_name = "ENTITY", requires = "edges")]
    to: Option<String>,
    /// By this property, ascending; -NAME descending; may be repeated
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    order: Vec<String>,
    /// No more than so many
    #[arg(short = 'n', long, value_name = "COUNT")]
    limit: Option<usize>,
    /// Only how many there are
    #[arg(long, conflicts_with = "explain")]
    count: bool,
    /// Only how it would be answered
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    at: At,
}

impl Query {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let now = self.at.state(&context.open()?)?;
        let mut predicate =
            self.conditions.iter().map(|text| condition(text)).collect::<Result<Vec<_>, _>>()?;
        for (end, of) in [(&self.from, query::from as fn(NodeId) -> Predicate), (&self.to, query::to)] {
            if let Some(node) = end {
                predicate.push(of(find::node(&now, node)?));
            }
        }
        if let Some(label) = &self.label {
            let of_kind =
                if self.edges { query::edge_type(label.as_str()) } else { query::label(label.as_str()) };
            predicate.insert(0, of_kind);
        }
        let predicate = predicate.into_iter().fold(Predicate::anything(), Predicate::and);
        if self.edges {
            let asked = self.ordered(Question::edges(predicate));
            return self.answer(context, &now, &asked, Found::Edge);
        }
        let asked = self.ordered(Question::nodes(predicate));
        self.answer(context, &now, &asked, Found::Node)
    }

    fn ordered<E>(&self, mut asked: Question<E>) -> Question<E> {
        for name in &self.order {
            asked = asked.order_by(match name.strip_prefix('-') {
                Some(name) => prop(name).descending(),
                None => prop(name.as_str()).ascending(),
            });
        }
        asked
    }

    fn answer<E: query::Subject>(
        &self,
        context: &mut Context<'_>,
        now: &Snapshot,
        asked: &Question<E>,
        found: fn(E::Object) -> Found,
    ) -> Result<Exit, Failure> {
        if self.explain {
            context.output.data(&Explained(now.explain(asked)?))?;
            return Ok(Exit::Done);
        }
        if self.count {
            context.output.data(&Counted(now.count(asked)?))?;
            return Ok(Exit::Done);
        }
        context.page();
        for item in now.find(asked)?.take(self.limit.unwrap_or(usize::MAX)) {
            context.output.data(&Entity::read(now, found(item?))?)?;
        }
        Ok(Exit::Done)
    }
}

/// Reads one condition.
fn condition(text: &str) -> Result<Predicate, Failure> {
    if let Some(inner) = text.strip_prefix('!') {
        return Ok(!condition(inner)?);
    }
    let at = match text.find(['=', '<', '>', '!', '^']) {
        None if !text.is_empty() => return Ok(prop(text).present()),
        at => at.unwrap_or(0),
    };
    let (name, rest) = text.split_at(at);
    let operators = ["!=", "^=", "<=", ">=", "<", ">", "="];
    let Some((operator, value)) =
        operators.iter().find_map(|it| Some((*it, rest.strip_prefix(it)?))).filter(|_| at > 0)
    else {
        return Err(Failure::bad_word(format!("`{text}` is no condition"))
            .hint("write NAME=V, NAME!=V, NAME<V, NAME<=V, NAME>V, NAME>=V, NAME^=PREFIX, NAME or !NAME"));
    };
    let (property, value) = (prop(name), values::read(value)?);
    Ok(match operator {
        "!=" => !property.equals(value),
        "^=" => property.starts_with(value),
        "<=" => property.at_most(value),
        ">=" => property.at_least(value),
        "<" => property.below(value),
        ">" => property.above(value),
        _ => property.equals(value),
    })
}

struct Counted(u64);

impl Record for Counted {
    fn schema(&self) -> &'static str {
        "mnem.count/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("count".into(), json!(self.0));
    }

    fn text(&self, text: &mut Text) {
        text.plain(&self.0.to_string()).end();
    }
}

struct Explained(Explanation);

impl Record for Explained {
    fn schema(&self) -> &'static str {
        "mnem.explain/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("steps".into(), values::to_json(&self.0.steps));
    }

    fn text(&self, text: &mut Text) {
        for line in self.0.to_string().lines() {
            text.plain(line).end();
        }
    }
}
