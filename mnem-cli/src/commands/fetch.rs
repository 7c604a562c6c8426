//! `mnem fetch`

use clap::Args;

use crate::args::Write;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::progress::Meter;
use crate::sharing::{self, Moved, ORIGIN};

pub(crate) const EXAMPLES: &str = "  mnem fetch               from origin; its main is then origin/main
  mnem fetch backup\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Fetch {
    /// Which other repository
    #[arg(value_name = "REMOTE", default_value = ORIGIN, hide_default_value = true)]
    remote: String,
    /// What was erased there is erased here too
    #[arg(long)]
    take_erasures: bool,
    #[command(flatten)]
    write: Write,
}

impl Fetch {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        fetch(context, &self.remote, self.take_erasures, &self.write)?;
        Ok(Exit::Done)
    }
}

/// Fetches, and tells what came.
pub(crate) fn fetch(
    context: &mut Context<'_>,
    remote: &str,
    take_erasures: bool,
    write: &Write,
) -> Result<(), Failure> {
    let (repo, actor) = context.open_to_write(write)?;
    let theirs = sharing::open_remote(context, &repo, remote)?;
    let mut meter = Meter::start("fetched", context.output.wants_progress());
    let how = mnem::Fetch::from(remote);
    let how = if take_erasures { how.take_erasures() } else { how };
    let fetched = repo.fetch_from(&actor, &theirs, &how, &mut sharing::listener(&mut meter));
    let synced = fetched.map_err(mnem::Error::from)?;
    let (remote, took) = (remote.to_owned(), meter.end());
    context.output.report(&Moved {
        schema: "mnem.fetch/1",
        verb: "fetched from",
        remote,
        synced,
        dry_run: false,
        took,
    })
}
