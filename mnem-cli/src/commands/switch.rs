//! `mnem switch`

use clap::Args;
use mnem::{Options, Repo};
use serde_json::json;

use super::branch::standing_at;
use crate::args::{self, Write};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Paint, Record, Text};
use crate::report::short;

pub(crate) const EXAMPLES: &str = "  mnem switch letters
  mnem switch --create drafts      make it here, then work on it\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Switch {
    /// The branch
    #[arg(value_name = "BRANCH")]
    branch: String,
    /// Where to make it; else here
    #[arg(value_name = "REVISION", requires = "create")]
    at: Option<String>,
    /// Make it first, where this one stands
    #[arg(short, long)]
    create: bool,
    #[command(flatten)]
    write: Write,
}

struct Switched {
    branch: String,
    commit: Option<String>,
}

impl Switch {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let (repo, actor) = context.open_to_write(&self.write)?;
        if self.create {
            repo.create_branch(&actor, &self.branch, &args::state(&repo, self.at.as_deref())?)?;
        } else {
            check_is_there(&repo, &self.branch)?;
        }
        context.place()?.set_branch(&self.branch)?;
        let commit = repo.on(&self.branch)?.head()?.commit_id().map(|id| id.to_string());
        context.output.report(&Switched { branch: self.branch.clone(), commit })?;
        if std::env::var_os("MNEM_BRANCH").is_some_and(|branch| *branch != *self.branch) {
            context.output.hint("MNEM_BRANCH is set, and stays stronger than what was chosen here")?;
        }
        Ok(Exit::Done)
    }
}

fn check_is_there(repo: &Repo, branch: &str) -> Result<(), Failure> {
    // The first branch is there before its first commit.
    if branch == Options::BRANCH {
        return Ok(());
    }
    match standing_at("branch", branch, &repo.branches()?) {
        Err(failure) if failure.candidates.is_empty() => {
            Err(failure.hint(format!("make it with `mnem switch --create {branch}`")))
        }
        other => other.map(drop),
    }
}

impl Record for Switched {
    fn schema(&self) -> &'static str {
        "mnem.switch/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("branch".into(), json!(self.branch));
        if let Some(commit) = &self.commit {
            fields.insert("commit".into(), json!(commit));
        }
    }

    fn text(&self, text: &mut Text) {
        text.plain("on branch ").painted(Paint::Name, &self.branch);
        if let Some(commit) = &self.commit {
            text.plain(" at ").painted(Paint::Id, &short(commit));
        }
        text.end();
    }
}
