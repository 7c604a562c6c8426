//! How long a command takes that has little to say, as a whole process, in a repository with a long history. The history
//! has 100,000 commits, or `MNEM_COMMITS`; run it alone, on an optimised build.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::process::Stdio;
use std::time::{Duration, Instant};

use common::Shell;
use mnem::{Actor, props};

const RUNS: usize = 21;

/// The middle of many runs, warm.
fn middle(shell: &Shell, line: &[&str]) -> Duration {
    let run = || {
        let started = Instant::now();
        assert!(shell.mnem().args(line).stdout(Stdio::null()).status().unwrap().success());
        started.elapsed()
    };
    run();
    let mut took: Vec<Duration> = (0..RUNS).map(|_| run()).collect();
    took.sort_unstable();
    took[RUNS / 2]
}

#[test]
#[ignore = "long: makes a repository of 100,000 commits"]
fn a_long_history_does_not_make_commands_start_later() {
    let commits: i64 = std::env::var("MNEM_COMMITS").map_or(100_000, |count| count.parse().unwrap());
    let shell = Shell::new();
    shell.ok("mnem init");
    let url = format!("native:{}", shell.folder().join(".mnem/store").display());
    let repo = mnem::open(&url).unwrap();
    let actor = Actor::named("ada");
    let mut tx = repo.begin(&actor).unwrap();
    let node = tx.add_node("Counter", props! { name: "n", n: 0i64 }).unwrap();
    tx.commit("start").unwrap();
    for n in 1..commits {
        let mut tx = repo.begin(&actor).unwrap();
        tx.set(node, "n", n).unwrap();
        tx.commit("count").unwrap();
    }
    drop(repo);
    let (log, status) = (middle(&shell, &["log", "-n", "1"]), middle(&shell, &["status"]));
    println!("{commits} commits: log -n 1 {log:?}, status {status:?}");
    if !cfg!(debug_assertions) {
        let most = Duration::from_millis(20);
        assert!(log <= most && status <= most, "log -n 1 {log:?}, status {status:?}");
    }
}
