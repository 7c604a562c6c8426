//! `mnem unlink`

use clap::Args;
use mnem::EdgeId;

use crate::args::Record;
use crate::context::Context;
use crate::edit::{EditOf, about};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find;

pub(crate) const EXAMPLES: &str = "  mnem unlink Person/Ada described Machine/Engine\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Unlink {
    /// Where it starts: a node
    #[arg(value_name = "FROM")]
    src: String,
    /// What it says of the two
    #[arg(value_name = "TYPE")]
    edge_type: String,
    /// Where it ends: a node
    #[arg(value_name = "TO")]
    dst: String,
    /// All of them, if there are several
    #[arg(long)]
    all: bool,
    /// Only say what would be removed
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    record: Record,
}

impl Unlink {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let mut edit = EditOf::begin(context, &self.record)?;
        let base = edit.base();
        let src = find::node(&base, &self.src)?;
        let dst = find::node(&base, &self.dst)?;
        let mut found: Vec<EdgeId> = Vec::new();
        for edge in base.edges_out(src, self.edge_type.as_str())? {
            let edge = edge?;
            if edge.dst == dst {
                found.push(edge.id);
            }
        }
        match found.len() {
            0 => {
                let message = format!("there is no edge {} -{}-> {}", self.src, self.edge_type, self.dst);
                return Err(Failure::new("no-such-entity", Exit::NotFound, message)
                    .hint(format!("`mnem neighbors {}` shows what there is", self.src)));
            }
            1 => {}
            _ if self.all => {}
            several => {
                let message =
                    format!("there are {several} edges {} -{}-> {}", self.src, self.edge_type, self.dst);
                return Err(Failure::new("ambiguous", Exit::Failure, message)
                    .hint("remove one by its id with `mnem rm`, or all with --all")
                    .candidates(found.iter().map(ToString::to_string).collect()));
            }
        }
        for id in found {
            edit.tx.remove(id)?;
            edit.touch(id);
        }
        if self.dry_run {
            return edit.pretend(context);
        }
        edit.commit(context, |changes| about("unlink", changes))
    }
}
