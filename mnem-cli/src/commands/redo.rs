//! `mnem redo`

use clap::Args;

use super::undo::{Taken, nothing, scope};
use crate::args::Write;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

pub(crate) const EXAMPLES: &str = "  mnem undo && mnem redo       what was undone last is done again\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Redo {
    /// The newest undo, whoever made it
    #[arg(long)]
    anyone: bool,
    #[command(flatten)]
    write: Write,
}

impl Redo {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let (repo, actor) = context.open_to_write(&self.write)?;
        let Some(redone) = repo.redo(&actor, scope(self.anyone))? else {
            return Err(nothing("there is no undo to take back, or something else was done since"));
        };
        context.output.report(&Taken::new("redid", "mnem undo", redone, &repo)?)?;
        Ok(Exit::Done)
    }
}
