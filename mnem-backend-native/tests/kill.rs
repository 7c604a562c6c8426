//! A process that commits is killed at any moment, again and again. `MNEM_LONG=1` kills it 1,000 times.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, io, thread};

use common::{OPTIONS, block};
use mnem_backend_native::{MaintenancePolicy, StorageEngine, StorageOptions};
use mnem_core::port::{BlockRead, Collector, HeadsUpdate, Namespace, OpHeadsStore, Store, Swap, WriteBatch};
use mnem_core::{Block, OperationId};

const OPEN: StorageOptions = StorageOptions { maintenance: MaintenancePolicy::Background, ..OPTIONS };

/// Says to this program, started anew, where it is to commit.
const FOLDER: &str = "MNEM_KILL_FOLDER";

/// The blocks of a commit; the last one is its head. Every seventh is so large that it goes ahead of its record.
fn blocks(number: u64) -> Vec<Block> {
    let sizes: &[usize] = if number % 7 == 3 { &[30_000, 9_000, 10] } else { &[900, 40] };
    (0..).zip(sizes).map(|(index, size)| block(number * 10 + index, *size)).collect()
}

fn head(number: u64) -> OperationId {
    OperationId::new(*blocks(number).last().unwrap().cid())
}

/// Returns the number of the newest commit: its head is one of a list that begins at `from`.
fn newest(store: &StorageEngine, from: u64) -> u64 {
    match store.heads(&Namespace::default()).unwrap().as_slice() {
        [] => 0,
        [newest] => {
            (from..from + 10_000).find(|number| head(*number) == *newest).expect("a head that was made")
        }
        many => panic!("{} heads", many.len()),
    }
}

/// The process that is killed: it goes on where the last one was cut off, and says what was acknowledged.
#[test]
fn a_process_commits_if_it_is_told_where() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let first: u64 = env::var("MNEM_KILL_FROM").unwrap().parse().unwrap();
    let store = StorageEngine::open_or_init(&folder, OPEN).unwrap();
    let mut out = io::stdout();
    for number in newest(&store, first) + 1.. {
        let blocks = blocks(number);
        let old = store.heads(&Namespace::default()).unwrap();
        let heads = HeadsUpdate::advance(Namespace::default(), &old, head(number));
        let lease = store.lease(&[]).unwrap();
        let batch = WriteBatch { blocks: &blocks, heads: &heads, rows: &[] };
        assert_eq!(store.commit(&lease, &batch).unwrap(), Swap::Done);
        writeln!(out, "\nacknowledged {number}").unwrap();
        out.flush().unwrap();
    }
}

/// Starts the process, kills it after so many acknowledgements and a little longer, and returns the last one it gave.
fn round(folder: &Path, from: u64, commits: u64, longer: Duration) -> u64 {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "a_process_commits_if_it_is_told_where", "--nocapture"])
        .env(FOLDER, folder)
        .env("MNEM_KILL_FROM", from.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut numbers =
        lines.filter_map(|line| line.strip_prefix("acknowledged ").and_then(|number| number.parse().ok()));
    let mut last = numbers.by_ref().take(usize::try_from(commits).unwrap()).last().unwrap_or(0);
    thread::sleep(longer);
    child.kill().unwrap();
    child.wait().unwrap();
    // What it said before it was killed counts too.
    last = numbers.last().unwrap_or(last);
    last
}

#[test]
fn what_a_killed_process_was_acknowledged_is_there() {
    let rounds = if env::var_os("MNEM_LONG").is_some() { 1000 } else { 12 };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("store");
    let mut reached = 0;
    for number in 0..rounds {
        let commits = 1 + number * 7 % 23;
        let acknowledged = round(&folder, reached, commits, Duration::from_micros(number * 317 % 3000));
        let store = StorageEngine::open(&folder, OPEN).unwrap();
        let found = newest(&store, reached);
        assert!(found >= acknowledged, "{acknowledged} was acknowledged, {found} is the newest");
        assert!(acknowledged > reached, "it went on");
        for number in reached + 1..=found {
            for block in blocks(number) {
                assert_eq!(store.get(block.cid()).unwrap(), Some(block), "of commit {number}");
            }
        }
        reached = found;
        if number % 4 == 0 {
            store.check().unwrap();
        }
        store.close().unwrap();
    }
    let store = StorageEngine::open(&folder, OPEN).unwrap();
    store.check().unwrap();
    for number in 1..=reached {
        assert!(blocks(number).iter().all(|block| store.has(block.cid()).unwrap()), "commit {number}");
    }
    println!("{reached} commits in {rounds} rounds");
}
