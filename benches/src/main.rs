//! mnem-bench: the same work on mnem and beside its rivals, in one run.
//!
//! `mnem-bench --quick` and `mnem-bench --full`; README.md of this folder says more. Each contender works in a process
//! of its own ([`child`]), turn by turn with the others ([`run`]); medians of the rounds become a report ([`report`]).

mod blocks;
mod child;
mod figures;
mod instructions;
mod machine;
mod options;
mod random;
mod report;
mod repository;
mod run;
mod syncs;
mod text;
mod trees;
mod vectors;

use std::path::Path;
use std::process::ExitCode;

use child::Task;
use figures::Results;
use options::{Options, USAGE};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match &arguments.iter().map(|word| &**word).collect::<Vec<_>>()[..] {
        ["child", ..] => child(&arguments[1..]),
        ["count", operation, times] => {
            instructions::work(operation, times.parse().unwrap_or(1));
            Ok(())
        }
        ["instructions"] => instructions::run(false),
        ["instructions", "--record"] => instructions::run(true),
        ["report", results, docs] => report_of(Path::new(results), Path::new(docs)),
        _ => measure(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn child(arguments: &[String]) -> Result<(), String> {
    let task = Task::read(arguments).ok_or(USAGE)?;
    match &*task.group {
        "blocks" => blocks::run(&task),
        "trees" => trees::run(&task),
        "repository" => repository::run(&task),
        "vectors" => vectors::run(&task),
        other => return Err(format!("no group is named {other}")),
    }
    Ok(())
}

fn report_of(results: &Path, docs: &Path) -> Result<(), String> {
    let results = Results::read(results).map_err(|error| format!("{}: {error}", results.display()))?;
    report::write(&results, docs).map_err(|error| format!("{}: {error}", docs.display()))
}

fn measure(arguments: &[String]) -> Result<(), String> {
    let options = Options::read(arguments)?;
    let results = run::run(&options);
    let lines = options.folder.join("results.jsonl");
    results.write(&lines).map_err(|error| format!("{}: {error}", lines.display()))?;
    println!("{}", report::text(&results));
    println!("results: {}", lines.display());
    let Some(docs) = &options.docs else { return Ok(()) };
    let busy = results.busy();
    if !busy.is_empty() && !options.even_if_busy {
        return Err(format!(
            "nothing is published: other programs used the processors during all rounds of\n  {}\nRepeat on a quiet \
             machine, or say --even-if-busy.",
            busy.join("\n  ")
        ));
    }
    report::write(&results, docs).map_err(|error| format!("{}: {error}", docs.display()))
}
