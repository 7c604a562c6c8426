//! `mnem branch`

use clap::Args;
use mnem::CommitId;
use serde_json::json;

use crate::args::{self, Write};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Paint, Record, Text};
use crate::report::short;
use crate::similar::similar;

pub(crate) const EXAMPLES: &str = "  mnem branch                   list them
  mnem branch drafts            make one here, and stay on this one
  mnem branch first main~1      make one that begins further back
  mnem branch --delete letters\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Branch {
    /// Its name
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Where it begins; else here
    #[arg(value_name = "REVISION")]
    at: Option<String>,
    /// Remove it; its commits stay in the log of operations
    #[arg(short, long, requires = "name", conflicts_with = "at")]
    delete: bool,
    #[command(flatten)]
    write: Write,
}

impl Branch {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let Some(name) = &self.name else { return list(context) };
        let (repo, actor) = context.open_to_write(&self.write)?;
        if self.delete {
            if name == repo.branch() {
                let failure = Failure::new(
                    "in-use",
                    Exit::Failure,
                    format!("`{name}` is the branch that is worked on"),
                );
                return Err(failure.hint("switch to another one first: mnem switch BRANCH"));
            }
            let commit = standing_at("branch", name, &repo.branches()?)?;
            repo.delete_branch(&actor, name, commit)?;
            return removed(context, "branch", name, commit);
        }
        let at = args::state(&repo, self.at.as_deref())?;
        let Some(commit) = at.commit_id() else {
            return Err(Failure::new(
                "nothing-there",
                Exit::NotFound,
                format!("there is no commit on {} yet for a branch to begin at", at.branch()),
            )
            .hint("record something first: mnem add Person name=Ada"));
        };
        repo.create_branch(&actor, name, &at)?;
        context.output.report(&Name {
            kind: "branch",
            name: name.clone(),
            commit: commit.to_string(),
            what: What::Made,
            is_here: false,
        })?;
        Ok(Exit::Done)
    }
}

fn list(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let repo = context.open()?;
    for (name, commit) in repo.branches()? {
        let is_here = name == repo.branch();
        context.output.data(&Name {
            kind: "branch",
            name,
            commit: commit.to_string(),
            what: What::Is,
            is_here,
        })?;
    }
    Ok(Exit::Done)
}

/// Finds a name among those that are there.
pub(crate) fn standing_at(kind: &str, name: &str, names: &[(String, CommitId)]) -> Result<CommitId, Failure> {
    if let Some((_, commit)) = names.iter().find(|(other, _)| other == name) {
        return Ok(*commit);
    }
    let similar = similar(name, names.iter().map(|(name, _)| name.as_str()));
    let failure = Failure::new("unknown", Exit::NotFound, format!("there is no {kind} `{name}`"));
    Err(match similar.first() {
        Some(name) => failure.hint(format!("did you mean {name}?")).candidates(similar),
        None => failure.hint(format!("`mnem {kind}` lists what there is")),
    })
}

/// Says that a name is gone.
pub(crate) fn removed(
    context: &mut Context<'_>,
    kind: &'static str,
    name: &str,
    commit: CommitId,
) -> Result<Exit, Failure> {
    let name =
        Name { kind, name: name.to_owned(), commit: commit.to_string(), what: What::Removed, is_here: false };
    context.output.report(&name)?;
    Ok(Exit::Done)
}

/// What is said of a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Is,
    Made,
    Removed,
}

/// A branch or a tag.
pub(crate) struct Name {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) commit: String,
    pub(crate) what: What,
    /// The one that is worked on.
    pub(crate) is_here: bool,
}

impl Record for Name {
    fn schema(&self) -> &'static str {
        if self.kind == "tag" { "mnem.tag/1" } else { "mnem.branch/1" }
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert(self.kind.into(), json!(self.name));
        fields.insert("commit".into(), json!(self.commit));
        fields.insert("removed".into(), json!(self.what == What::Removed));
        if self.kind == "branch" {
            fields.insert("here".into(), json!(self.is_here));
        }
    }

    fn text(&self, text: &mut Text) {
        if self.what == What::Removed {
            text.plain("removed ").plain(self.kind).plain(" ").painted(Paint::Name, &self.name);
            text.plain(", which was at ").painted(Paint::Id, &short(&self.commit));
            text.plain(" (back with `mnem undo`)").end();
            return;
        }
        if self.what == What::Made {
            text.plain("made ").plain(self.kind).plain(" ").painted(Paint::Name, &self.name);
            text.plain(" at ").painted(Paint::Id, &short(&self.commit)).end();
            return;
        }
        text.plain(if self.is_here { "@ " } else { "  " }).painted(Paint::Id, &short(&self.commit));
        text.plain("  ").painted(Paint::Name, &self.name).end();
    }
}
