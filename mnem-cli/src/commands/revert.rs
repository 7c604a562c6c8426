//! `mnem revert`

use clap::Args;

use crate::args::Record;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::merging;

pub(crate) const EXAMPLES: &str = "  mnem revert main --dry-run
  mnem revert main~1       take back what it changed; what was done since stays\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Revert {
    /// Whose changes to take back
    #[arg(value_name = "COMMIT")]
    commit: String,
    /// Of a merge: what it changed in this parent, counted from one
    #[arg(long, value_name = "NUMBER")]
    mainline: Option<usize>,
    /// Only say what would change
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    record: Record,
}

impl Revert {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let about = format!("revert {}", self.commit);
        merging::run(context, &self.record, self.dry_run, &about, |tx| match self.mainline {
            Some(mainline) => tx.revert_merge(&self.commit, mainline),
            None => tx.revert(&self.commit),
        })
    }
}
