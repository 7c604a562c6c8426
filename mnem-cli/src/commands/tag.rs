//! `mnem tag`

use clap::Args;

use super::branch::{Name, What, removed, standing_at};
use crate::args::{self, Write};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

pub(crate) const EXAMPLES: &str = "  mnem tag            list them
  mnem tag v2         name this state for good
  mnem tag v0 main~1
  mnem tag --delete v1\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Tag {
    /// Its name
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Which state; else the present one
    #[arg(value_name = "REVISION")]
    at: Option<String>,
    /// Remove it
    #[arg(short, long, requires = "name", conflicts_with = "at")]
    delete: bool,
    #[command(flatten)]
    write: Write,
}

impl Tag {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let name =
            |name: String, commit: String, what| Name { kind: "tag", name, commit, what, is_here: false };
        let Some(wanted) = &self.name else {
            for (tag, commit) in context.open()?.tags()? {
                context.output.data(&name(tag, commit.to_string(), What::Is))?;
            }
            return Ok(Exit::Done);
        };
        let (repo, actor) = context.open_to_write(&self.write)?;
        if self.delete {
            let commit = standing_at("tag", wanted, &repo.tags()?)?;
            repo.delete_tag(&actor, wanted, commit)?;
            return removed(context, "tag", wanted, commit);
        }
        // What is tagged has to be stored.
        repo.reconcile()?;
        let at = args::state(&repo, self.at.as_deref())?;
        let Some(commit) = at.commit_id() else {
            return Err(Failure::new(
                "nothing-there",
                Exit::NotFound,
                format!("there is no commit on {} yet to be tagged", repo.branch()),
            )
            .hint("record something first: mnem add Person name=Ada"));
        };
        repo.create_tag(&actor, wanted, commit)?;
        context.output.report(&name(wanted.clone(), commit.to_string(), What::Made))?;
        Ok(Exit::Done)
    }
}
