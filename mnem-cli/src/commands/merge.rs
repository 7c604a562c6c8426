//! `mnem merge`

use clap::Args;
use mnem_core::repo::FastForward;

use crate::args::Record;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::merging;

pub(crate) const EXAMPLES: &str =
    "  mnem merge letters --dry-run     what would be taken, what is in conflict
  mnem merge letters\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Merge {
    /// What to merge: a branch, a tag or a commit
    #[arg(value_name = "REVISION")]
    other: String,
    /// Make a commit even where the branch could just move on
    #[arg(long)]
    no_ff: bool,
    /// Only say what would be taken, and what would be in conflict
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    record: Record,
}

impl Merge {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let forward = if self.no_ff { FastForward::Never } else { FastForward::IfPossible };
        let about = format!("merge {}", self.other);
        merging::run(context, &self.record, self.dry_run, &about, |tx| tx.merge_with(&self.other, forward))
    }
}
