//! `mnem diff`

use clap::Args;
use mnem::{DiffStat, Only, Repo, Snapshot};
use serde_json::{Value as Json, json};

use crate::args;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find;
use crate::output::{Fields, Record, Text};
use crate::report::Change;

pub(crate) const EXAMPLES: &str = "  mnem diff                         the last commit
  mnem diff v1 main                 since the tag v1
  mnem diff '*2026-10-02' --stat    counts only, since that moment
  mnem diff main~2 -- Person/Ada    one node or edge\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Diff {
    /// From which state; else the one before TO
    #[arg(value_name = "FROM")]
    from: Option<String>,
    /// To which state; else the present one
    #[arg(value_name = "TO")]
    to: Option<String>,
    /// Only these nodes and edges
    #[arg(value_name = "ENTITY", last = true)]
    entities: Vec<String>,
    /// Only nodes that carry it, at either end
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,
    /// Counts, without reading values
    #[arg(long)]
    stat: bool,
}

/// One difference of a stream.
pub(crate) struct Difference(pub(crate) Change);

impl Record for Difference {
    fn schema(&self) -> &'static str {
        "mnem.diff/1"
    }

    fn fields(&self, fields: &mut Fields) {
        self.0.fields(fields);
    }

    fn text(&self, text: &mut Text) {
        self.0.text(text);
    }
}

impl Diff {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let repo = context.open()?;
        let to = args::state(&repo, self.to.as_deref())?;
        let from = match &self.from {
            Some(from) => args::state(&repo, Some(from))?,
            None => match before(&repo, &to)? {
                Some(before) => before,
                None => return self.first(context, &to),
            },
        };
        let mut diff = from.diff_to(&to);
        if let Some(label) = &self.label {
            diff = diff.only(Only::label(label));
        }
        if !self.entities.is_empty() {
            // What is gone is looked for where it was.
            let id = |text: &String| find::entity(&to, text).or_else(|_| find::entity(&from, text));
            diff = diff.only(Only::entities(self.entities.iter().map(id).collect::<Result<Vec<_>, _>>()?));
        }
        if self.stat {
            context.output.data(&Stat(diff.stat()?))?;
            return Ok(Exit::Done);
        }
        context.page();
        for change in diff {
            context.output.data(&Difference(Change::new(&to, change?)?))?;
        }
        Ok(Exit::Done)
    }

    /// Before the first commit was nothing: all that is there is new.
    fn first(&self, context: &mut Context<'_>, to: &Snapshot) -> Result<Exit, Failure> {
        if self.stat || self.label.is_some() || !self.entities.is_empty() {
            let message = "there is nothing before the first commit to compare with";
            return Err(Failure::new("nothing-there", Exit::NotFound, message)
                .hint("`mnem diff` without options lists all of it"));
        }
        context.page();
        for_each_entity(to, |change| context.output.data(&Difference(change)))?;
        Ok(Exit::Done)
    }
}

/// Returns the state before the last commit along first parents.
pub(crate) fn before(repo: &Repo, to: &Snapshot) -> Result<Option<Snapshot>, Failure> {
    match to.commit().and_then(|commit| commit.parents.first()) {
        Some(parent) => Ok(Some(repo.at(*parent)?)),
        None => Ok(None),
    }
}

/// Walks all that a state holds, as what came.
pub(crate) fn for_each_entity(
    now: &Snapshot,
    mut each: impl FnMut(Change) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for node in now.nodes() {
        if let Some(change) = Change::of_versions(now, (None, Some(node?)), mnem::Change::Node)? {
            each(change)?;
        }
    }
    for edge in now.edges() {
        if let Some(change) = Change::of_versions(now, (None, Some(edge?)), mnem::Change::Edge)? {
            each(change)?;
        }
    }
    Ok(())
}

struct Stat(DiffStat);

impl Record for Stat {
    fn schema(&self) -> &'static str {
        "mnem.diff-stat/1"
    }

    fn fields(&self, fields: &mut Fields) {
        let counts = |it: mnem::Counts| -> Json {
            json!({ "added": it.added, "removed": it.removed, "changed": it.changed })
        };
        fields.insert("nodes".into(), counts(self.0.nodes));
        fields.insert("edges".into(), counts(self.0.edges));
    }

    fn text(&self, text: &mut Text) {
        text.plain(&self.0.to_string()).end();
    }
}
