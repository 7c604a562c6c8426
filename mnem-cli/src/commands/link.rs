//! `mnem link`

use clap::Args;

use super::add::props;
use crate::args::Record;
use crate::context::Context;
use crate::edit::EditOf;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find;

pub(crate) const EXAMPLES: &str = "  mnem link Person/Ada described Machine/Engine
  mnem link Person/Ada knows Person/Mary since=1833\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Link {
    /// Where it starts: a node
    #[arg(value_name = "FROM")]
    src: String,
    /// What it says of the two
    #[arg(value_name = "TYPE")]
    edge_type: String,
    /// Where it ends: a node
    #[arg(value_name = "TO")]
    dst: String,
    /// What is known of it: JSON where it parses, text where not
    #[arg(value_name = "NAME=VALUE")]
    props: Vec<String>,
    #[command(flatten)]
    record: Record,
}

impl Link {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let props = props(&self.props)?;
        let mut edit = EditOf::begin(context, &self.record)?;
        let base = edit.base();
        let src = find::node(&base, &self.src)?;
        let dst = find::node(&base, &self.dst)?;
        let id = edit.tx.add_edge(src, &self.edge_type, dst, props)?;
        edit.touch(id);
        let title = |id| find::title_of(&base, id);
        let about = format!("link {} {} {}", title(src.into())?, self.edge_type, title(dst.into())?);
        edit.commit(context, |_| about)
    }
}
