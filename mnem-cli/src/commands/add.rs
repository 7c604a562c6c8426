//! `mnem add`

use clap::Args;
use mnem::NodeId;
use mnem::object::Labels;
use mnem::value::Props;

use crate::args::Record;
use crate::context::Context;
use crate::edit::{EditOf, about};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::values;

pub(crate) const EXAMPLES: &str = "  mnem add Person name=Ada born=1815
  mnem add Person --label Author name=Mary 'tags=[\"novel\", 1818]'
  mnem add Note text='\"01234\"' -m 'A number that is text'\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Add {
    /// What kind of thing it is
    #[arg(value_name = "LABEL")]
    label: String,
    /// What is known of it: JSON where it parses, text where not
    #[arg(value_name = "NAME=VALUE")]
    props: Vec<String>,
    /// A further label; may be repeated
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// An id of your own; else it is drawn
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    #[command(flatten)]
    record: Record,
}

impl Add {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        if self.label.contains('=') {
            return Err(Failure::bad_word(format!("`{}` is no label", self.label))
                .hint("say first what kind of thing it is: mnem add Person name=Ada"));
        }
        let labels = std::iter::once(&self.label).chain(&self.labels).map(String::as_str);
        let labels = Labels::new(labels)?;
        let props = props(&self.props)?;
        let mut edit = EditOf::begin(context, &self.record)?;
        let id = match &self.id {
            Some(id) => {
                let id: NodeId = id.parse().map_err(|_| {
                    Failure::bad_word(format!("`{id}` is no id"))
                        .hint("ids are UUIDs in small letters, with hyphens")
                })?;
                edit.tx.add_node_as(id, labels, props)?;
                id
            }
            None => edit.tx.add_node(labels, props)?,
        };
        edit.touch(id);
        edit.commit(context, |changes| about("add", changes))
    }
}

/// Reads properties. A name that stands twice is a slip.
pub(crate) fn props(pairs: &[String]) -> Result<Props, Failure> {
    let mut props = Props::new();
    for text in pairs {
        let (name, value) = values::pair(text)?;
        if props.set(name, value)?.is_some() {
            return Err(Failure::bad_word(format!("`{name}` is given twice")));
        }
    }
    Ok(props)
}
