//! `mnem branch`

use clap::Args;
use serde_json::json;

use crate::args::{self, Write};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Paint, Record, Text};
use crate::report::short;

pub(crate) const EXAMPLES: &str = "  mnem branch                   list them
  mnem branch drafts            make one here, and stay on this one
  mnem branch first main~1      make one that begins further back\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Branch {
    /// Its name
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Where it begins; else here
    #[arg(value_name = "REVISION")]
    at: Option<String>,
    #[command(flatten)]
    write: Write,
}

impl Branch {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let Some(name) = &self.name else { return list(context) };
        let (repo, actor) = context.open_to_write(&self.write)?;
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
            is_new: true,
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
            is_new: false,
            is_here,
        })?;
    }
    Ok(Exit::Done)
}

/// A branch or a tag.
pub(crate) struct Name {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) commit: String,
    pub(crate) is_new: bool,
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
        if self.kind == "branch" {
            fields.insert("here".into(), json!(self.is_here));
        }
    }

    fn text(&self, text: &mut Text) {
        if self.is_new {
            text.plain("made ").plain(self.kind).plain(" ").painted(Paint::Name, &self.name);
            text.plain(" at ").painted(Paint::Id, &short(&self.commit)).end();
            return;
        }
        text.plain(if self.is_here { "@ " } else { "  " }).painted(Paint::Id, &short(&self.commit));
        text.plain("  ").painted(Paint::Name, &self.name).end();
    }
}
