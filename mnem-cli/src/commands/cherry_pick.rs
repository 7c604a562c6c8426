//! `mnem cherry-pick`

use clap::Args;

use crate::args::Record;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::merging;

pub(crate) const EXAMPLES: &str = "  mnem cherry-pick letters --dry-run
  mnem cherry-pick letters\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct CherryPick {
    /// Whose changes to make here
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

impl CherryPick {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let about = format!("cherry-pick {}", self.commit);
        merging::run(context, &self.record, self.dry_run, &about, |tx| match self.mainline {
            Some(mainline) => tx.cherry_pick_merge(&self.commit, mainline),
            None => tx.cherry_pick(&self.commit),
        })
    }
}
