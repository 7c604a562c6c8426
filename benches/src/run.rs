//! Rounds: every piece of work of every contender once, then all again; each in a process of its own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::child::{Said, Task};
use crate::figures::{Figure, Header, Results};
use crate::machine::{Machine, Watch};
use crate::options::{Mode, Options};
use crate::{blocks, repository, syncs, trees, vectors};

/// A piece of work that was disturbed is done again, if that is possible, this often.
const ATTEMPTS_MAX: usize = 3;
const AGAIN_MAX: Duration = Duration::from_secs(5);

/// Returns what a group does in each round.
type Plan = fn(&Options) -> Vec<Task>;

fn plan(options: &Options) -> Vec<Task> {
    let mut tasks = Vec::new();
    let groups: [(&str, Plan); 4] = [
        ("blocks", blocks::plan),
        ("trees", trees::plan),
        ("repository", repository::plan),
        ("vectors", vectors::plan),
    ];
    for (name, plan) in groups {
        if options.wants_group(name) {
            tasks.extend(plan(options));
        }
    }
    tasks
}

/// Does everything, and returns what was said.
pub(crate) fn run(options: &Options) -> Results {
    std::fs::create_dir_all(&options.folder).expect("a folder to work in");
    let machine = Machine::describe(&options.folder);
    let header = Header { mode: options.mode.name().to_owned(), rounds: options.rounds, machine };
    let mut results = Results::new(header);
    let tasks = plan(options);
    let started = Instant::now();
    for round in 0..options.rounds {
        for task in &tasks {
            if round >= task.settings.get("rounds").copied().unwrap_or(usize::MAX) {
                continue;
            }
            work(task, round, options.even_if_busy, &mut results);
        }
        for task in &tasks {
            let _ = std::fs::remove_dir_all(&task.folder);
        }
        eprintln!("round {} of {} after {:.0} s", round + 1, options.rounds, started.elapsed().as_secs_f64());
    }
    if options.wants_group("blocks") && options.wants_scenario("syncs") && options.mode == Mode::Full {
        syncs::count(options, &mut results);
    }
    results
}

fn work(task: &Task, round: usize, even_if_busy: bool, results: &mut Results) {
    let name = format!("{} {} {} {}", task.group, task.scenario, task.size, task.contender);
    for attempt in 1..=ATTEMPTS_MAX {
        let (watch, started) = (Watch::start(), Instant::now());
        let said = start(task);
        let disturbance = watch.stop();
        let Some(said) = said else {
            eprintln!("{name}: FAILED");
            return;
        };
        let busy = disturbance.is_busy();
        // Long pieces would take too long again, and what follows on what it left behind cannot be done twice.
        let is_short = started.elapsed() < AGAIN_MAX && task.scenario != "s8";
        let again = busy && !even_if_busy && is_short && attempt < ATTEMPTS_MAX;
        eprintln!(
            "{name}: {:.1} s{}",
            started.elapsed().as_secs_f64(),
            if busy { format!(", disturbed: {disturbance:.2?}") } else { String::new() }
        );
        if again {
            continue;
        }
        for Said { scenario, size, figure, value } in said {
            let (group, contender) = (task.group.clone(), task.contender.clone());
            results.add(Figure { group, scenario, size, contender, figure, value, round, busy });
        }
        return;
    }
}

/// Returns what a child said, unless it failed.
fn start(task: &Task) -> Option<Vec<Said>> {
    let program = std::env::current_exe().expect("this program");
    let mut child = Command::new(program)
        .args(task.arguments())
        .env("RAYON_NUM_THREADS", "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let said: Vec<Said> =
        lines.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok()).collect();
    child.wait().expect("a child").success().then_some(said)
}

/// Settings of a task, by name.
pub(crate) fn settings<const N: usize>(pairs: [(&str, usize); N]) -> BTreeMap<String, usize> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
