//! `mnem completions`

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Record, Text};

pub(crate) const EXAMPLES: &str = "  mnem completions bash > mnem.bash
  mnem completions zsh > _mnem
  mnem completions fish > mnem.fish\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Completions {
    /// bash, zsh, fish, elvish or powershell
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut crate::args::Args::command(), "mnem", &mut script);
        context.output.data(&Script { shell: self.shell.to_string(), script })?;
        Ok(Exit::Done)
    }
}

struct Script {
    shell: String,
    script: Vec<u8>,
}

impl Record for Script {
    fn schema(&self) -> &'static str {
        "mnem.completions/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("shell".into(), json!(self.shell));
        fields.insert("script".into(), json!(String::from_utf8_lossy(&self.script)));
    }

    fn text(&self, text: &mut Text) {
        text.generated(&self.script);
    }
}
