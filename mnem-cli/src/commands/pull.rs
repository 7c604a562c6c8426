//! `mnem pull`

use clap::Args;

use super::fetch::fetch;
use crate::args::Record;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::merging;
use crate::sharing::ORIGIN;

pub(crate) const EXAMPLES: &str =
    "  mnem pull                fetch from origin, and merge its branch of the same name
  mnem pull backup\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Pull {
    /// Which other repository
    #[arg(value_name = "REMOTE", default_value = ORIGIN, hide_default_value = true)]
    remote: String,
    #[command(flatten)]
    record: Record,
}

impl Pull {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        fetch(context, &self.remote, false, &self.record.write)?;
        let theirs = format!("{}/{}", self.remote, context.branch()?);
        merging::run(context, &self.record, false, &format!("merge {theirs}"), |tx| tx.merge(theirs.as_str()))
    }
}
