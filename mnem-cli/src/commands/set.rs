//! `mnem set`

use clap::Args;
use mnem::EntityId;

use super::add::props;
use crate::args::Record;
use crate::context::Context;
use crate::edit::{EditOf, about};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find;

pub(crate) const EXAMPLES: &str = "  mnem set Person/Ada born=1816 died=1852
  mnem set Person/Ada 'names=[\"Augusta\", \"Ada\"]'\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Set {
    /// A node or an edge: LABEL/NAME, or its id
    #[arg(value_name = "ENTITY")]
    entity: String,
    /// JSON where it parses, text where not
    #[arg(value_name = "NAME=VALUE", required = true)]
    props: Vec<String>,
    #[command(flatten)]
    record: Record,
}

impl Set {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let props = props(&self.props)?;
        let mut edit = EditOf::begin(context, &self.record)?;
        let id = find::entity(&edit.base(), &self.entity)?;
        for (name, value) in props.iter() {
            match id {
                EntityId::Node(id) => edit.tx.set(id, name, value)?,
                EntityId::Edge(id) => edit.tx.set(id, name, value)?,
            }
        }
        edit.touch(id);
        edit.commit(context, |changes| about("set", changes))
    }
}
