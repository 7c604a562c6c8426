//! Three processes that write one store and three that read it, killed at any moment, again and again: nothing that was
//! acknowledged is lost, and no reader ever sees a head without its blocks. `MNEM_LONG=1` kills 1,000 times.
//!
//! A child is this test program again, told by its environment which part it plays. It never ends by itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use std::{env, io, thread};

use common::{OPTIONS, block};
use mnem_backend_native::{MaintenancePolicy, StorageEngine, StorageMode, StorageOptions};
use mnem_core::port::{BlockRead, HeadsUpdate, Namespace, OpHeadsStore, Store, Swap, WriteBatch};
use mnem_core::{Block, OperationId};

const WRITERS: u64 = 3;
const READERS: u64 = 3;

const FOLDER: &str = "MNEM_PROCESSES_FOLDER";
const PART: &str = "MNEM_PROCESSES_PART";

fn open(folder: &str, mode: StorageMode) -> StorageEngine {
    let options = StorageOptions { mode, maintenance: MaintenancePolicy::Background, ..OPTIONS };
    StorageEngine::open(folder, options).unwrap()
}

fn namespace(writer: u64) -> Namespace {
    Namespace::new(&format!("writer-{writer}")).unwrap()
}

/// The blocks of a commit; the last one, the head, says how many they are and which.
fn blocks(writer: u64, number: u64) -> Vec<Block> {
    let sizes: &[usize] = if number % 9 == 4 { &[33_000, 900, 20] } else { &[700, 20] };
    let seed = writer * 1_000_000_000 + number * 10;
    (0..).zip(sizes).map(|(index, size)| block(seed + index, *size)).collect()
}

fn head(writer: u64, number: u64) -> OperationId {
    OperationId::new(*blocks(writer, number).last().unwrap().cid())
}

/// Finds out which commit is the newest, looking from one that is not newer.
fn newest(heads: &[OperationId], writer: u64, from: u64) -> u64 {
    match heads {
        [] => 0,
        [newest] => (from..from + 100_000)
            .find(|number| head(writer, *number) == *newest)
            .expect("a head that was made"),
        many => panic!("{} heads", many.len()),
    }
}

fn write(store: &StorageEngine, writer: u64) {
    let mut out = io::stdout();
    let mut number = newest(&store.heads(&namespace(writer)).unwrap(), writer, 0);
    loop {
        number += 1;
        let blocks = blocks(writer, number);
        let snapshot = store.snapshot().unwrap();
        let old = snapshot.heads(&namespace(writer)).unwrap();
        let heads = HeadsUpdate::advance(namespace(writer), &old, head(writer, number));
        let batch = WriteBatch { blocks: &blocks, heads: &heads, rows: &[] };
        assert_eq!(store.commit(snapshot.lease(), &batch).unwrap(), Swap::Done);
        writeln!(out, "\nacknowledged {writer} {number}").unwrap();
        out.flush().unwrap();
    }
}

fn read(store: &StorageEngine, part: u64) {
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    let mut out = io::stdout();
    for round in 0_u64.. {
        let snapshot = store.snapshot().unwrap();
        for writer in 0..WRITERS {
            let last = seen.get(&writer).copied().unwrap_or(0);
            let number = newest(&snapshot.heads(&namespace(writer)).unwrap(), writer, last);
            assert!(number >= last, "a reader never goes back");
            for block in
                (last.max(number.saturating_sub(3)) + 1..=number).flat_map(|number| blocks(writer, number))
            {
                assert_eq!(snapshot.get(block.cid()).unwrap(), Some(block));
            }
            seen.insert(writer, number);
        }
        if round % 50 == 0 {
            writeln!(out, "\nread {part} {round}").unwrap();
            out.flush().unwrap();
        }
    }
}

/// The processes that are killed.
#[test]
fn a_process_plays_its_part_if_it_is_told_one() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let part: u64 = env::var(PART).unwrap().parse().unwrap();
    match part {
        writer if writer < WRITERS => write(&open(&folder, StorageMode::Shared), writer),
        // One of the readers could write, the others cannot.
        reader if reader == WRITERS => read(&open(&folder, StorageMode::Shared), reader),
        reader => read(&open(&folder, StorageMode::ReadOnly), reader),
    }
}

struct Player {
    child: Child,
    said: Receiver<String>,
    part: u64,
}

impl Player {
    fn start(folder: &Path, part: u64) -> Player {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "a_process_plays_its_part_if_it_is_told_one", "--nocapture"])
            .env(FOLDER, folder)
            .env(PART, part.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let (sender, said) = channel();
        thread::spawn(move || lines.for_each(|line| drop(sender.send(line))));
        Player { child, said, part }
    }

    /// Notes what it was acknowledged, until there is nothing more to hear for now, or, once it is killed, at all.
    fn hear(&mut self, acknowledged: &mut BTreeMap<u64, u64>, is_killed: bool) -> bool {
        let mut has_worked = false;
        loop {
            let line = if is_killed { self.said.recv().ok() } else { self.said.try_recv().ok() };
            let Some(line) = line else { return has_worked };
            if let Some((_, number)) =
                line.strip_prefix("acknowledged ").and_then(|line| line.split_once(' '))
            {
                acknowledged.insert(self.part, number.parse().unwrap());
                has_worked = true;
            }
            has_worked |= line.starts_with("read ");
        }
    }

    fn kill(mut self, acknowledged: &mut BTreeMap<u64, u64>) {
        assert!(self.child.try_wait().unwrap().is_none(), "part {} has failed", self.part);
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.hear(acknowledged, true);
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // Also if the test fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn three_writers_and_three_readers_who_are_killed_lose_nothing() {
    let kills = if env::var_os("MNEM_LONG").is_some() { 1000 } else { 18 };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("store");
    drop(StorageEngine::init(&folder, StorageOptions::default()).unwrap());
    let mut acknowledged: BTreeMap<u64, u64> = BTreeMap::new();
    let start = |part| Player::start(&folder, part);
    let mut players: Vec<Player> = (0..WRITERS + READERS).map(start).collect();
    for kill in 0..kills {
        // Each has done something since it came; then a little longer, and one is killed.
        let which = usize::try_from(kill * 5 % (WRITERS + READERS)).unwrap();
        let begun = Instant::now();
        while !players[which].hear(&mut acknowledged, false) {
            assert!(begun.elapsed() < Duration::from_secs(60), "part {which} does not come to work");
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_micros(kill * 617 % 4000));
        let part = players[which].part;
        let killed = std::mem::replace(&mut players[which], start(part));
        killed.kill(&mut acknowledged);
        for player in &mut players {
            player.hear(&mut acknowledged, false);
        }
        if kill % 6 == 5 {
            let store = open(folder.to_str().unwrap(), StorageMode::Shared);
            for (writer, number) in &acknowledged {
                let found = newest(&store.heads(&namespace(*writer)).unwrap(), *writer, *number);
                assert!(
                    found >= *number,
                    "writer {writer}: {number} was acknowledged, {found} is the newest"
                );
            }
        }
    }
    players.into_iter().for_each(|player| player.kill(&mut acknowledged));
    let store = StorageEngine::open(&folder, StorageOptions::default()).unwrap();
    store.check().unwrap();
    for (writer, number) in &acknowledged {
        let found = newest(&store.heads(&namespace(*writer)).unwrap(), *writer, *number);
        for number in 1..=found {
            for block in blocks(*writer, number) {
                assert_eq!(store.get(block.cid()).unwrap(), Some(block), "writer {writer}, commit {number}");
            }
        }
    }
    println!("{acknowledged:?} after {kills} kills");
    assert_eq!(acknowledged.len() as u64, WRITERS);
}
