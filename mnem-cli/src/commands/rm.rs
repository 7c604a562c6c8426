//! `mnem rm`

use clap::Args;
use mnem::EntityId;

use crate::args::Record;
use crate::context::Context;
use crate::edit::{EditOf, about};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find;

pub(crate) const EXAMPLES: &str = "  mnem rm Machine/Engine --dry-run     what would go, its edges included
  mnem rm Machine/Engine\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Rm {
    /// Nodes or edges: LABEL/NAME, or ids
    #[arg(value_name = "ENTITY", required = true)]
    entities: Vec<String>,
    /// Only say what would be removed
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    record: Record,
}

impl Rm {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let mut edit = EditOf::begin(context, &self.record)?;
        let base = edit.base();
        let found =
            self.entities.iter().map(|text| find::entity(&base, text)).collect::<Result<Vec<_>, _>>()?;
        for id in found {
            match id {
                EntityId::Node(id) => {
                    // An edge goes with the first of its ends.
                    for edge in base.edges_out(id, ..)?.chain(base.edges_in(id, ..)?) {
                        edit.touch(edge?.id);
                    }
                    if edit.tx.get(id)?.is_some() {
                        edit.tx.remove(id)?;
                    }
                }
                EntityId::Edge(id) => {
                    if edit.tx.get(id)?.is_some() {
                        edit.tx.remove(id)?;
                    }
                }
            }
            edit.touch(id);
        }
        if self.dry_run {
            return edit.pretend(context);
        }
        edit.commit(context, |changes| about("rm", changes))
    }
}
