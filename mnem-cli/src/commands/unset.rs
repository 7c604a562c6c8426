//! `mnem unset`

use clap::Args;
use mnem::EntityId;

use crate::args::Record;
use crate::context::Context;
use crate::edit::{EditOf, about};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find;

pub(crate) const EXAMPLES: &str = "  mnem unset Person/Ada born\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Unset {
    /// A node or an edge: LABEL/NAME, or its id
    #[arg(value_name = "ENTITY")]
    entity: String,
    /// Which properties; one that is not there is no error
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    #[command(flatten)]
    record: Record,
}

impl Unset {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let mut edit = EditOf::begin(context, &self.record)?;
        let id = find::entity(&edit.base(), &self.entity)?;
        for name in &self.names {
            match id {
                EntityId::Node(id) => edit.tx.unset(id, name)?,
                EntityId::Edge(id) => edit.tx.unset(id, name)?,
            };
        }
        edit.touch(id);
        edit.commit(context, |changes| about("unset", changes))
    }
}
