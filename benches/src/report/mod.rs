//! From results to a page: tables, charts, aims, and where we lose.

mod aims;
mod chart;
mod tables;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::blocks::engines::KINDS;
use crate::figures::Results;
use tables::TABLES;

/// What a program cannot know: why figures are as they are. Written by hand.
const ANNEX: &str = include_str!("../../annex.md");
const LOCK: &str = include_str!("../../Cargo.lock");

/// Writes the page, its charts and the results below `docs`.
pub(crate) fn write(results: &Results, docs: &Path) -> std::io::Result<()> {
    let folder = docs.join("benchmarks");
    fs::create_dir_all(&folder)?;
    results.write(&folder.join("results.jsonl"))?;
    for table in TABLES.iter().filter(|table| table.chart.is_some()) {
        for (name, svg) in chart::draw(table, results) {
            fs::write(folder.join(name), svg)?;
        }
    }
    fs::write(docs.join("BENCHMARKS.md"), page(results))
}

/// Returns the tables alone.
pub(crate) fn text(results: &Results) -> String {
    TABLES.iter().map(|table| tables::markdown(table, results)).collect()
}

fn page(results: &Results) -> String {
    let mut page = String::new();
    let (header, machine) = (&results.header, &results.header.machine);
    let _ = write!(
        page,
        "# Benchmarks\n\n\
         Made by `mnem-bench --{}` ([benches/README.md](../benches/README.md)), {}. Rounds: {}; contenders in turn, each \
         in a process of its own; medians, and in brackets least and greatest. The values themselves: \
         [benchmarks/results.jsonl](benchmarks/results.jsonl).\n\n\
         Machine: {} cores ({}), {} GiB of memory, {}, Linux {}, {}. One machine, one disk: ratios carry over better \
         than times, and differences below 30 % are no findings.\n\n",
        header.mode,
        machine.date,
        header.rounds,
        machine.cores,
        machine.processor,
        machine.memory_gib,
        machine.file_system,
        machine.kernel,
        machine.compiler,
    );
    let busy = results.busy();
    if !busy.is_empty() {
        let _ = write!(
            page,
            "**The machine was busy.** Other programs used the processors in all rounds of {} of the measurements; their \
             figures bear a `~` and are worth little.\n\n",
            busy.len()
        );
    }
    page.push_str(&aims::section(results));
    page.push_str(&aims::losses(results));
    for table in TABLES {
        page.push_str(&tables::markdown(table, results));
        for (name, _) in chart::draw(table, results) {
            let _ = write!(page, "![{}](benchmarks/{name})\n\n", table.title);
        }
    }
    page.push_str(&contenders());
    page.push_str(ANNEX);
    page
}

fn contenders() -> String {
    let mut text = "## Who took part\n\n| contender | version | options |\n|---|---|---|\n".to_owned();
    for kind in KINDS {
        let _ = writeln!(text, "| {} | {} | {} |", kind.name, version(kind.package), kind.options);
    }
    let _ = write!(
        text,
        "| rival | mnem-core 0.1.7, mnem-backend-redb 0.1.7 | as published |\n\
         | git | {} | a file for each node; fast-import, `core.fsync=all` |\n\n\
         Each commit of each is durable when it returns (fdatasync or more), but for the hash map and the memory backend. \
         LMDB writes its meta page through a descriptor that syncs by itself, which its count of syncs does not show.\n\n",
        crate::machine::said(std::process::Command::new("git").arg("--version")).replace("git version ", ""),
    );
    text
}

/// Returns the version of a package in the lock file, ours if it is one of ours.
fn version(package: &str) -> &str {
    let lines: Vec<&str> = LOCK.lines().collect();
    let wanted = format!("name = \"{package}\"");
    let found = lines.windows(2).filter(|pair| pair[0] == wanted).map(|pair| pair[1]);
    // Ours and the rival's have the same name: ours is the lower version.
    found.map(|line| line.trim_start_matches("version = ").trim_matches('"')).min().unwrap_or("–")
}
