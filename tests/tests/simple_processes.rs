//! Several processes on one folder of the simple backend, on the real file system.
//!
//! A child is this test program again, told by its environment which part it plays.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::env;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mnem_backend_simple::SimpleStore;
use mnem_core::cid::Codec;
use mnem_core::port::{
    BlockRead, BlockReadExt, Blockstore, Collector, HeadsUpdate, Namespace, OpHeadsStore, Swap,
};
use mnem_core::{Block, OperationId};

const PLACE: &str = "MNEM_TEST_PLACE";
const PART: &str = "MNEM_TEST_PART";

const RACERS: usize = 8;
const RACES: usize = 12;

/// Blocks that everybody puts and one deletes, and how often each putter goes through them.
const SHARED_BLOCKS: usize = 12;
const ROUNDS: usize = 5;
const PAUSE: Duration = Duration::from_millis(10);
const DELETES_MAX: u64 = 40;

fn children(test: &str, count: usize, place: &Path) -> Vec<Child> {
    let start = |part: usize| {
        Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads", "1"])
            .env(PLACE, place)
            .env(PART, part.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    (0..count).map(start).collect()
}

/// Waits for a child and returns the lines that it marked with `!`.
fn said(child: Child) -> Vec<String> {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "a child failed");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| Some(line.split_once('!')?.1.to_owned())).collect()
}

/// The store and the part to play, in a child.
fn part() -> Option<(SimpleStore, usize)> {
    let part = env::var(PART).ok()?.parse().unwrap();
    Some((SimpleStore::open(env::var(PLACE).unwrap()).unwrap(), part))
}

fn put_text(store: &SimpleStore, text: &str) -> OperationId {
    let block = Block::new(Codec::Raw, text.as_bytes().to_vec());
    store.put(&block).unwrap();
    OperationId::new(*block.cid())
}

fn racer_head(racer: usize, race: usize) -> String {
    format!("racer {racer}, head {race}")
}

/// Without `expected`, updates of different processes unite.
#[test]
fn eight_processes_lose_no_head() {
    if let Some((store, racer)) = part() {
        let mut old = Vec::new();
        for race in 0..RACES {
            let new = put_text(&store, &racer_head(racer, race));
            let update = HeadsUpdate::advance(Namespace::default(), &old, new);
            assert_eq!(store.update(&update).unwrap(), Swap::Done);
            let heads = store.heads(&Namespace::default()).unwrap();
            assert!(heads.contains(&new) && old.iter().all(|old| !heads.contains(old)));
            old = vec![new];
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let store = SimpleStore::init(folder.path()).unwrap();
    let racers = children("eight_processes_lose_no_head", RACERS, folder.path());
    racers.into_iter().for_each(|racer| drop(said(racer)));
    let mut expected: Vec<OperationId> =
        (0..RACERS).map(|racer| put_text(&store, &racer_head(racer, RACES - 1))).collect();
    expected.sort();
    assert_eq!(store.heads(&Namespace::default()).unwrap(), expected);
}

/// With `expected`, each update that took place has exactly one successor: a chain through all of them.
#[test]
fn of_eight_processes_each_swap_builds_on_the_last() {
    let main = Namespace::default();
    if let Some((store, racer)) = part() {
        for race in 0..RACES {
            loop {
                let seen = store.heads(&main).unwrap();
                assert_eq!(seen.len(), 1, "{seen:?}");
                let new = put_text(&store, &format!("{} {racer} {race}", seen[0]));
                let update = HeadsUpdate {
                    namespace: main.clone(),
                    expected: Some(seen.clone()),
                    add: vec![new],
                    remove: seen,
                };
                if store.update(&update).unwrap() == Swap::Done {
                    break;
                }
            }
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let store = SimpleStore::init(folder.path()).unwrap();
    let first = put_text(&store, "first");
    assert_eq!(store.update(&HeadsUpdate::advance(main.clone(), &[], first)).unwrap(), Swap::Done);
    let racers = children("of_eight_processes_each_swap_builds_on_the_last", RACERS, folder.path());
    racers.into_iter().for_each(|racer| drop(said(racer)));
    let mut head = store.heads(&main).unwrap()[0];
    let mut length = 0;
    while head != first {
        let text = store.require(head.cid()).unwrap();
        let text = str::from_utf8(text.bytes()).unwrap().to_owned();
        head = text.split(' ').next().unwrap().parse().unwrap();
        length += 1;
    }
    assert_eq!(length, RACERS * RACES);
}

/// Nanoseconds on a clock that all processes share.
fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

fn shared_block(number: usize) -> Block {
    Block::new(Codec::Raw, format!("shared {number} ").repeat(100).into_bytes())
}

/// Puts every shared block, in an order of its own. Returns when the last put of each began.
fn put_shared(store: &SimpleStore, who: usize) -> Vec<u128> {
    let mut began = vec![0; SHARED_BLOCKS];
    for round in 0..ROUNDS {
        for step in 0..SHARED_BLOCKS {
            let number = (who * 5 + step * 7) % SHARED_BLOCKS;
            let start = now();
            match (who + round) % 3 {
                0 => store.put_many(&[shared_block(number), shared_block(number)]).unwrap(),
                1 => store.put(&shared_block(number)).unwrap(),
                _ => {
                    let lease = store.lease(&[]).unwrap();
                    store.put_leased(&lease, &[shared_block(number)]).unwrap();
                }
            }
            began[number] = start;
            thread::sleep(PAUSE); // else all is touched, always, and nothing is ever deleted
        }
    }
    began
}

/// Returns when the last delete of each block returned, and how many there were.
fn delete_shared(store: &SimpleStore, putting: &AtomicBool) -> (Vec<u128>, u64) {
    let mut returned = vec![0; SHARED_BLOCKS];
    let mut blocks = 0;
    // It stops while others still put, so that of each block either may come last.
    while blocks < DELETES_MAX && putting.load(Ordering::Relaxed) {
        let cycle = store.begin_cycle().unwrap();
        for (number, returned) in returned.iter_mut().enumerate() {
            let deleted = store.delete_if_untouched(&cycle, &[*shared_block(number).cid()]).unwrap();
            if deleted.blocks > 0 {
                *returned = now();
                blocks += deleted.blocks;
            }
        }
    }
    (returned, blocks)
}

fn read_shared(store: &SimpleStore, putting: &AtomicBool) {
    while putting.load(Ordering::Relaxed) {
        for number in 0..SHARED_BLOCKS {
            let block = shared_block(number);
            assert!(store.get(block.cid()).unwrap().is_none_or(|found| found == block));
        }
        let known: BTreeSet<_> = (0..SHARED_BLOCKS).map(|number| *shared_block(number).cid()).collect();
        assert!(store.scan(None).unwrap().all(|cid| known.contains(&cid.unwrap())));
    }
}

#[test]
fn eight_threads_and_four_processes_put_read_and_delete_without_a_wrong_byte() {
    if let Some((store, who)) = part() {
        for (number, began) in put_shared(&store, who).into_iter().enumerate() {
            println!("!{number} {began}");
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let store = SimpleStore::init(folder.path()).unwrap();
    let test = "eight_threads_and_four_processes_put_read_and_delete_without_a_wrong_byte";
    let processes = children(test, 4, folder.path());
    let putting = AtomicBool::new(true);
    let (last_put, (last_delete, deletes)) = thread::scope(|scope| {
        let (store, putting) = (&store, &putting);
        let putters: Vec<_> = (4..10).map(|who| scope.spawn(move || put_shared(store, who))).collect();
        let deleter = scope.spawn(move || delete_shared(store, putting));
        let reader = scope.spawn(move || read_shared(store, putting));
        let mut last_put = vec![0; SHARED_BLOCKS];
        for putter in putters {
            let began = putter.join().unwrap();
            last_put.iter_mut().zip(began).for_each(|(last, began)| *last = began.max(*last));
        }
        let lines: Vec<String> = processes.into_iter().flat_map(said).collect();
        putting.store(false, Ordering::Relaxed);
        reader.join().unwrap();
        for line in lines {
            let (number, began) = line.split_once(' ').unwrap();
            let last = &mut last_put[number.parse::<usize>().unwrap()];
            *last = began.parse::<u128>().unwrap().max(*last);
        }
        (last_put, deleter.join().unwrap())
    });
    let mut due = 0;
    for number in 0..SHARED_BLOCKS {
        let block = shared_block(number);
        let found = store.get(block.cid()).unwrap();
        assert!(found.is_none_or(|found| found == block));
        if last_put[number] > last_delete[number] {
            due += 1;
            assert!(store.has(block.cid()).unwrap(), "block {number} is lost");
        }
    }
    println!("{deletes} deletes; {due} of {SHARED_BLOCKS} blocks had to be there at the end");
    assert!(deletes > 0 && due > 0, "nothing was shown");
}
