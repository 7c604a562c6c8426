//! The `mnem` command.
//!
//! One module a command in [`commands`]; what they share lies beside it: [`args`] (what can be written on the command
//! line), [`context`] (finding and opening the repository), [`find`] (naming nodes and edges), [`output`] (people or
//! programs, colour, pager) and [`failure`] with [`exit`] (what goes wrong, and how the shell hears of it).
//!
//! Invariants
//!  L1  A command that fails changed nothing, unless it says so.
//!  L2  Data goes to stdout; progress, hints and errors go to stderr.
//!  L3  With `--json` every line of stdout is an object that names its schema, and so is every error.

mod args;
mod clock;
mod commands;
mod config;
mod context;
mod edit;
mod embed;
mod exit;
mod failure;
mod find;
mod graph;
mod merging;
mod output;
mod place;
mod progress;
mod report;
mod sharing;
mod similar;
mod values;
mod when;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Args;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let args = match Args::try_parse_from(&words) {
        Ok(args) => args,
        Err(error) => return refuse(&error, &words).into(),
    };
    let mut output = Output::new(&args.global);
    let outcome = Context::new(&args.global, &mut output).and_then(|mut context| {
        let exit = args.command.run(&mut context)?;
        context.output.finish()?;
        Ok(exit)
    });
    match outcome {
        Ok(exit) => exit.into(),
        // Whoever read our output has enough of it.
        Err(failure) if failure.is_broken_pipe() => Exit::Done.into(),
        Err(failure) => {
            output.failure(&failure);
            failure.exit.into()
        }
    }
}

/// Says what is wrong with a command line, or shows the help that was asked for.
fn refuse(error: &clap::Error, words: &[OsString]) -> Exit {
    if error.use_stderr() && words.iter().any(|word| word == "--json") {
        Output::json_failure(&Failure::usage(error));
        return Exit::Usage;
    }
    // There is nobody left to tell if this fails.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Done }
}
