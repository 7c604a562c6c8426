//! `mnem man`

use clap::{Args, CommandFactory as _};
use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Record, Text};
use crate::similar::similar;

pub(crate) const EXAMPLES: &str = "  mnem man > mnem.1
  mnem man diff > mnem-diff.1\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Man {
    /// Of which command; else of mnem as a whole
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

impl Man {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let mut all = crate::args::Args::command();
        all.build();
        let name = self.command.as_deref();
        let found = match name {
            None => all,
            Some(name) => all.find_subcommand(name).cloned().ok_or_else(|| {
                let names = similar(name, all.get_subcommands().map(clap::Command::get_name));
                let failure =
                    Failure::new("unknown", Exit::NotFound, format!("there is no command `{name}`"));
                let hint = names
                    .first()
                    .map_or("see `mnem help`".to_owned(), |name| format!("did you mean {name}?"));
                failure.hint(hint).candidates(names)
            })?,
        };
        let title = name.map_or("mnem".to_owned(), |name| format!("mnem-{name}"));
        let mut page = Vec::new();
        clap_mangen::Man::new(found).title(title.clone()).render(&mut page)?;
        context.output.data(&Page { title, page })?;
        Ok(Exit::Done)
    }
}

struct Page {
    title: String,
    page: Vec<u8>,
}

impl Record for Page {
    fn schema(&self) -> &'static str {
        "mnem.man/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("title".into(), json!(self.title));
        fields.insert("page".into(), json!(String::from_utf8_lossy(&self.page)));
    }

    fn text(&self, text: &mut Text) {
        text.generated(&self.page);
    }
}
