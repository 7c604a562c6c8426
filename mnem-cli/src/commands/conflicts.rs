//! `mnem conflicts`

use clap::Args;

use crate::args::At;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::merging::Open;

pub(crate) const EXAMPLES: &str = "  mnem conflicts
  mnem conflicts --at letters\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Conflicts {
    #[command(flatten)]
    at: At,
}

impl Conflicts {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let now = self.at.state(&context.open()?)?;
        let mut exit = Exit::Done;
        for key in now.conflicts()? {
            if let Some(conflict) = now.conflict_at(&key)? {
                context.output.data(&Open::new(&now, conflict)?)?;
                exit = Exit::Conflicts;
            }
        }
        Ok(exit)
    }
}
