//! `mnem push`

use clap::Args;

use crate::args::Write;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::progress::Meter;
use crate::sharing::{self, Moved, ORIGIN};

pub(crate) const EXAMPLES: &str = "  mnem push                          this branch, to origin
  mnem push backup --all --tags
  mnem push origin main --dry-run    only say what would move\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Push {
    /// Which other repository
    #[arg(value_name = "REMOTE", default_value = ORIGIN, hide_default_value = true)]
    remote: String,
    /// Which branches; else the one that is worked on
    #[arg(value_name = "BRANCH")]
    branches: Vec<String>,
    /// All branches
    #[arg(long, conflicts_with = "branches")]
    all: bool,
    /// All tags too
    #[arg(long)]
    tags: bool,
    /// Remove the branches over there
    #[arg(short, long, requires = "branches")]
    delete: bool,
    /// Move branches that went another way there, and tags that stand elsewhere
    #[arg(short, long)]
    force: bool,
    /// What was erased here is erased there too
    #[arg(long)]
    give_erasures: bool,
    /// Only say what would move
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    write: Write,
}

impl Push {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let (repo, actor) = context.open_to_write(&self.write)?;
        let theirs = sharing::open_remote(context, &repo, &self.remote)?;
        let what = self.what(repo.branches()?.into_iter().map(|(name, _)| name), &context.branch()?);
        let mut meter = Meter::start("pushed", context.output.wants_progress());
        let pushed =
            repo.push_to(&actor, &theirs, Some(&self.remote), &what, &mut sharing::listener(&mut meter));
        let synced = pushed.map_err(mnem::Error::from)?;
        let (remote, took) = (self.remote.clone(), meter.end());
        let (schema, verb, dry_run) = ("mnem.push/1", "pushed to", self.dry_run);
        context.output.report(&Moved { schema, verb, remote, synced, dry_run, took })?;
        Ok(Exit::Done)
    }

    fn what(&self, all: impl Iterator<Item = String>, here: &str) -> mnem::Push {
        let mut what = mnem::Push::default();
        if self.delete {
            what = self.branches.iter().fold(what, mnem::Push::delete);
        } else if self.all {
            what = all.fold(what, mnem::Push::and);
        } else if self.branches.is_empty() {
            what = what.and(here);
        } else {
            what = self.branches.iter().fold(what, mnem::Push::and);
        }
        if self.tags {
            what = what.tags();
        }
        if self.force {
            what = what.force();
        }
        if self.give_erasures {
            what = what.give_erasures();
        }
        if self.dry_run { what.dry_run() } else { what }
    }
}
