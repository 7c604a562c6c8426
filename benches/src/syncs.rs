//! How many calls of the system a commit makes, seen from outside, the same way for everybody.
//!
//! `strace` counts the calls of two children, of which one makes more commits; the difference is what commits cost,
//! without opening and closing.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use crate::blocks;
use crate::child::Task;
use crate::figures::{Figure, Results};
use crate::options::Options;

const FEW: usize = 100;
const MANY: usize = 300;
const CALLS: &str = "fsync,fdatasync,sync_file_range,msync,write,pwrite64,writev,pwritev,pwritev2";

pub(crate) fn count(options: &Options, results: &mut Results) {
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("no strace: system calls are not counted");
        return;
    }
    for task in blocks::plan(options) {
        if !matches!(&*task.scenario, "s1" | "s2") {
            continue;
        }
        let (Some(few), Some(many)) = (calls(&task, FEW), calls(&task, MANY)) else { continue };
        let per_commit = |names: &[&str]| {
            let of =
                |calls: &BTreeMap<String, f64>| names.iter().filter_map(|name| calls.get(*name)).sum::<f64>();
            (of(&many) - of(&few)) / (MANY - FEW) as f64
        };
        let figures = [
            ("syncs/commit", per_commit(&["fsync", "fdatasync", "msync"])),
            ("writes/commit", per_commit(&["write", "pwrite64", "writev", "pwritev", "pwritev2"])),
        ];
        for (figure, value) in figures {
            results.add(Figure {
                group: task.group.clone(),
                scenario: task.scenario.clone(),
                size: task.size,
                contender: task.contender.clone(),
                figure: figure.to_owned(),
                value,
                round: 0,
                busy: false,
            });
        }
        let _ = fs::remove_dir_all(&task.folder);
    }
}

fn calls(task: &Task, commits: usize) -> Option<BTreeMap<String, f64>> {
    let mut task = task.clone();
    task.settings.insert("commits".to_owned(), commits);
    let counts = task.folder.with_extension("strace");
    let program = std::env::current_exe().expect("this program");
    let output = Command::new("strace")
        .args(["-f", "-qq", "-c", "-e", &format!("trace={CALLS}"), "-o"])
        .arg(&counts)
        .arg(program)
        .args(task.arguments())
        .output();
    let text = fs::read_to_string(&counts).ok()?;
    let _ = fs::remove_file(&counts);
    output.ok()?.status.success().then(|| read(&text))
}

/// Columns: share, seconds, microseconds a call, calls, errors if any, name.
fn read(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .filter_map(|words| Some(((*words.last()?).to_owned(), words.get(3)?.parse().ok()?)))
        .filter(|(name, _)| name != "total")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_calls_is_read() {
        let text = "% time     seconds  usecs/call     calls    errors syscall\n------ --- ---\n 98.13    0.030166         150       201           fdatasync\n  1.87    0.000574           1       301         2 pwrite64\n100.00    0.030740                   502         2 total\n";
        assert_eq!(read(text), BTreeMap::from([("fdatasync".into(), 201.0), ("pwrite64".into(), 301.0)]));
    }
}
