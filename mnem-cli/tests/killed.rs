//! Commands that are killed at any moment: the repository opens, a full check finds nothing, and the same command again
//! completes what was begun. `MNEM_LONG=1` kills each 200 times.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fmt::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::Shell;

const NODES: u64 = 1500;

fn rounds() -> u32 {
    if std::env::var_os("MNEM_LONG").is_some() { 200 } else { 3 }
}

/// Lines to import: nodes and a chain of edges between them. `kind` tells them from those of other files.
fn lines(kind: u64) -> String {
    let mut lines = "{\"schema\":\"mnem.graph/1\"}\n".to_owned();
    let id = |n: u64, of: u64| format!("01a1fd8c-6900-7{kind:03x}-a{of:03x}-{n:012x}");
    for n in 0..NODES {
        let node = id(n, 0);
        writeln!(lines, "{{\"node\":\"{node}\",\"labels\":[\"Thing\"],\"props\":{{\"n\":{n}}}}}").unwrap();
    }
    for n in 1..NODES {
        let (edge, src, dst) = (id(n, 1), id(n - 1, 0), id(n, 0));
        let ends = format!("\"src\":\"{src}\",\"type\":\"next\",\"dst\":\"{dst}\"");
        writeln!(lines, "{{\"edge\":\"{edge}\",{ends},\"props\":{{}}}}").unwrap();
    }
    lines
}

/// Draws a number below `end` from the time: what a kill hits differs in every run, and that is what is wanted.
fn drawn(end: Duration) -> Duration {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos();
    end.mul_f64(f64::from(nanos.wrapping_mul(2_654_435_761) >> 8) / f64::from(1u32 << 24))
}

/// Kills a command again and again, each time in the repository that `prepared` makes.
fn kill(line: &[&str], prepared: impl Fn() -> Shell, is_complete: impl Fn(&Shell)) {
    let shell = prepared();
    let started = Instant::now();
    shell.ok(&format!("mnem {}", line.join(" ")));
    let takes = started.elapsed();
    is_complete(&shell);
    let mut killed = 0;
    for round in 0..rounds() {
        let shell = prepared();
        let (out, err) = (Stdio::null(), Stdio::null());
        let mut running = shell.mnem().args(line).stdout(out).stderr(err).spawn().unwrap();
        std::thread::sleep(drawn(takes));
        running.kill().unwrap();
        killed += u32::from(!running.wait().unwrap().success());
        shell.ok("mnem status");
        let checked = shell.run("mnem fsck --full");
        assert_eq!(checked.exit, 0, "round {round}: {}{}", checked.out, checked.err);
        shell.ok(&format!("mnem {}", line.join(" ")));
        is_complete(&shell);
        shell.ok("mnem fsck --full");
    }
    assert!(killed > 0 || rounds() < 10, "it is killed before it ends");
}

fn nodes(shell: &Shell) -> u64 {
    shell.run("mnem stats --json").json()[0]["nodes"].as_u64().unwrap()
}

#[test]
fn an_import_that_was_killed_is_completed_by_the_next() {
    for store in ["native", "simple", "redb"] {
        let prepared = || {
            let shell = Shell::new();
            shell.ok(&format!("mnem init --store {store}"));
            std::fs::write(shell.folder().join("all.jsonl"), lines(0)).unwrap();
            shell
        };
        kill(&["import", "all.jsonl"], prepared, |shell| assert_eq!(nodes(shell), NODES, "{store}"));
    }
}

#[test]
fn a_merge_that_was_killed_is_completed_by_the_next() {
    let prepared = || {
        let shell = Shell::with_story();
        std::fs::write(shell.folder().join("one.jsonl"), lines(1)).unwrap();
        std::fs::write(shell.folder().join("two.jsonl"), lines(2)).unwrap();
        shell.ok("mnem import one.jsonl && MNEM_BRANCH=letters mnem import two.jsonl");
        shell
    };
    kill(&["merge", "letters"], prepared, |shell| assert_eq!(nodes(shell), 3 + 2 * NODES));
}
