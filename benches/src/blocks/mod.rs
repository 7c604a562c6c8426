//! What do blocks cost: writing, reading, scanning and deleting them, beside other engines?
//!
//! Varies: engine, scenario. Fixed: blocks ([`Text`]), disk, a process for each, a sync for each commit.
//!
//! s1 durable commits of 1 block, s1x8 the same on 8 threads, s2 of 32, s3 import by 10,000, hot: s4 and s4x2 random gets
//! on one and two threads, s5 gets of what is absent, s6 all blocks; s7 open and cold gets, s8 delete half and give space
//! back.

mod canopy;
pub(crate) mod engines;
mod fjall_kv;
mod floor;
mod lmdb;
mod ours;
mod redb_raw;
#[cfg(feature = "rocksdb")]
mod rocks;
mod sqlite;

use std::collections::BTreeSet;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use mnem_core::cid::Codec;
use mnem_core::{Block, Cid};
use mnem_vfs::{Advice, OpenMode, RealVfs, Vfs};

use crate::child::{Meter, Task, disk_bytes, per_second};
use crate::machine;
use crate::options::{Mode, Options};
use crate::random::Random;
use crate::run::settings;
use crate::text::Text;
use engines::{Engine, KINDS, Keeps, Kind, Memory};

const COLD_GETS: usize = 2000;
const IMPORT_BLOCKS: usize = 10_000;

/// Returns what is to be done in each round, in this order.
pub(crate) fn plan(options: &Options) -> Vec<Task> {
    let quick = options.mode == Mode::Quick;
    let (one, eight, many) = if quick { (500, 2000, 100) } else { (5000, 20_000, 1000) };
    let gets = if quick { 50_000 } else { 500_000 };
    let scenarios = [("s1", one), ("s1x8", eight), ("s2", many), ("s3", 0), ("hot", 0), ("s7", 0), ("s8", 0)];
    let mut tasks = Vec::new();
    for (scenario, commits) in scenarios {
        // What is imported is read and deleted by the others.
        let is_needed =
            scenario == "s3" && ["hot", "s7", "s8"].iter().any(|name| options.wants_scenario(name));
        if !options.wants_scenario(scenario) && !is_needed {
            continue;
        }
        for kind in KINDS {
            let is_wanted = options.wants_contender(kind.name)
                && (options.mode == Mode::Full || kind.quick)
                && takes_part(kind.keeps, scenario);
            if !is_wanted {
                continue;
            }
            tasks.push(Task {
                group: "blocks".to_owned(),
                contender: kind.name.to_owned(),
                scenario: scenario.to_owned(),
                size: options.blocks.min(kind.blocks_max),
                folder: options.folder.join(format!("blocks-{}", kind.name.replace([' ', ','], "-"))),
                settings: settings([("commits", commits.min(kind.blocks_max / 20)), ("gets", gets)]),
            });
        }
    }
    tasks
}

fn takes_part(keeps: Keeps, scenario: &str) -> bool {
    match scenario {
        "s1" | "s1x8" | "s2" | "s3" => true,
        "s7" => keeps != Keeps::InMemory,
        "s8" => keeps == Keeps::OnDisk,
        _ => keeps != Keeps::Nothing,
    }
}

/// A child's work.
pub(crate) fn run(task: &Task) {
    let kind = KINDS.iter().find(|kind| kind.name == task.contender).expect("an engine of this name");
    let text = Text::new(42);
    let commits = task.setting("commits");
    match &*task.scenario {
        "s1" => say_commits(task, kind, commits, 1, 1),
        "s1x8" => say_commits(task, kind, commits, 1, 8),
        "s2" => say_commits(task, kind, commits, 32, 1),
        "s3" => import(task, kind, &text.blocks(0..task.size)),
        "hot" => hot(task, kind, &text.blocks(0..task.size)),
        "s7" if kind.keeps == Keeps::Nothing => {
            task.say_times("s7 raw read", floor::raw_reads(&task.folder.join("log"), COLD_GETS));
        }
        "s7" => {
            let cids: Vec<Cid> = text.blocks(0..task.size).iter().map(|block| *block.cid()).collect();
            cold(task, kind, &cids);
        }
        "s8" => shrink(task, kind, &text.blocks(0..task.size)),
        other => panic!("no scenario is named {other}"),
    }
}

fn fresh(task: &Task, kind: &Kind) -> Box<dyn Engine> {
    let _ = fs::remove_dir_all(&task.folder);
    fs::create_dir_all(&task.folder).expect("a folder");
    (kind.open)(&task.folder, Memory::Default)
}

/// Touches every byte.
fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte)).sum()
}

/// Commits on a fresh store.
fn say_commits(task: &Task, kind: &Kind, commits: usize, size: usize, threads: usize) {
    let warm_up = Text::new(7).blocks(0..50);
    let blocks = Text::new(42).blocks(0..commits * size);
    let engine = fresh(task, kind);
    warm_up.iter().for_each(|block| engine.commit(0, std::slice::from_ref(block)));
    let (start, meter) = (Instant::now(), Meter::start());
    let times: Vec<Duration> = thread::scope(|scope| {
        let parts = blocks.chunks(size * commits.div_ceil(threads)).enumerate();
        let workers: Vec<_> = parts
            .map(|(head, part)| {
                let engine = &engine;
                scope.spawn(move || {
                    let commit = |blocks| {
                        let start = Instant::now();
                        engine.commit(head, blocks);
                        start.elapsed()
                    };
                    part.chunks(size).map(commit).collect::<Vec<_>>()
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect()
    });
    let time = start.elapsed();
    meter.say(task, &task.scenario, commits);
    task.say("commits/s", per_second(commits, time));
    task.say_times(&task.scenario, times);
}

/// Imports everything; what follows reads it.
fn import(task: &Task, kind: &Kind, blocks: &[Block]) {
    let payload: usize = blocks.iter().map(|block| block.bytes().len()).sum();
    let before_mib = machine::own_memory_mib();
    let engine = fresh(task, kind);
    let (start, meter) = (Instant::now(), Meter::start());
    let mut most_mib = 0_f64;
    for batch in blocks.chunks(IMPORT_BLOCKS) {
        engine.commit(0, batch);
        most_mib = most_mib.max(machine::own_memory_mib());
    }
    let time = start.elapsed();
    meter.say(task, "s3", blocks.len());
    task.say("blocks/s", per_second(blocks.len(), time));
    task.say("memory MiB", most_mib - before_mib);
    drop(engine);
    task.say("blocks/s with close", per_second(blocks.len(), start.elapsed()));
    if kind.keeps == Keeps::OnDisk {
        let (log, rest) = disk_bytes(&task.folder);
        task.say("size/payload", rest as f64 / payload as f64);
        task.say("log MiB", log as f64 / f64::from(1 << 20));
    }
}

/// Reads when everything is in memory, and scans with and without it.
fn hot(task: &Task, kind: &Kind, blocks: &[Block]) {
    let engine = if kind.keeps == Keeps::InMemory {
        let engine = fresh(task, kind);
        blocks.chunks(IMPORT_BLOCKS).for_each(|batch| engine.commit(0, batch));
        engine
    } else {
        (kind.open)(&task.folder, Memory::Large)
    };
    let cids: Vec<Cid> = blocks.iter().map(|block| *block.cid()).collect();
    let count = task.setting("gets");
    let mut seen = 0;
    engine.scan(&mut |bytes| seen += sum(bytes));
    // Twice: some caches take in what is read again.
    for cid in cids.iter().chain(&cids) {
        assert!(engine.get(cid, &mut |bytes| seen += sum(bytes)));
    }

    let gets = |seed: u64| {
        let (mut random, mut seen) = (Random(seed), 0);
        for _ in 0..count {
            assert!(engine.get(&cids[random.below(cids.len())], &mut |bytes| seen += sum(bytes)));
        }
        seen
    };
    let (start, meter) = (Instant::now(), Meter::start());
    black_box(gets(1));
    task.say_of("s4", "gets/s", per_second(count, start.elapsed()));
    meter.say(task, "s4", count);
    let start = Instant::now();
    thread::scope(|scope| {
        let gets = &gets;
        (0..2).for_each(|thread| drop(scope.spawn(move || black_box(gets(2 + thread)))));
    });
    task.say_of("s4x2", "gets/s", per_second(2 * count, start.elapsed()));

    let absent: Vec<Cid> =
        (0..count as u64).map(|number| Cid::of(Codec::DagCbor, &number.to_le_bytes())).collect();
    let start = Instant::now();
    assert!(absent.iter().all(|cid| !engine.get(cid, &mut |_| ())));
    task.say_of("s5", "gets/s", per_second(count, start.elapsed()));

    let start = Instant::now();
    engine.scan(&mut |bytes| seen += sum(bytes));
    task.say_of("s6 in memory", "blocks/s", per_second(blocks.len(), start.elapsed()));
    drop(engine);
    if kind.keeps == Keeps::OnDisk {
        let engine = (kind.open)(&task.folder, Memory::Default);
        let start = Instant::now();
        engine.scan(&mut |bytes| seen += sum(bytes));
        task.say_of("s6", "blocks/s", per_second(blocks.len(), start.elapsed()));
    }
    black_box(seen);
}

/// Drops what the system caches of a folder's files.
fn drop_cache(path: &Path) {
    for entry in fs::read_dir(path).expect("a folder").flatten() {
        if entry.path().is_dir() {
            drop_cache(&entry.path());
        } else {
            let file = RealVfs::new().open(&entry.path(), OpenMode::Read).expect("open");
            file.sync_all().expect("sync");
            file.advise(Advice::DontNeed, 0..file.len().expect("a length")).expect("advice");
        }
    }
}

/// Single gets, once with nothing in memory, once with what is beside the values: the index.
fn cold(task: &Task, kind: &Kind, all: &[Cid]) {
    let before_mib = machine::own_memory_mib();
    let mut random = Random(7);
    let mut any = |count: usize| -> Vec<Cid> {
        let places: BTreeSet<usize> = (0..count).map(|_| random.below(all.len())).collect();
        let mut cids: Vec<Cid> = places.into_iter().map(|place| all[place]).collect();
        cids.sort_unstable_by_key(|cid| *cid.digest());
        cids
    };
    for (scenario, warm) in [("s7", false), ("s7 warm leaves", true)] {
        drop_cache(&task.folder);
        let start = Instant::now();
        let engine = (kind.open)(&task.folder, Memory::Cold);
        if !warm {
            task.say("open ms", start.elapsed().as_secs_f64() * 1e3);
        }
        let absent = (0..if warm { 100_000_u64 } else { 0 }).map(|number| number.to_le_bytes());
        absent.for_each(|bytes| assert!(!engine.get(&Cid::of(Codec::DagCbor, &bytes), &mut |_| ())));
        let before = engine.reads();
        let cids = any(COLD_GETS);
        let get = |cid| {
            let start = Instant::now();
            assert!(engine.get(cid, &mut |_| ()));
            start.elapsed()
        };
        task.say_times(scenario, cids.iter().map(get).collect());
        if let (Some(before), Some(after)) = (before, engine.reads()) {
            task.say_of(scenario, "reads/get", (after - before) as f64 / cids.len() as f64);
        }
    }
    drop_cache(&task.folder);
    let engine = (kind.open)(&task.folder, Memory::Cold);
    let cids = any(COLD_GETS * 4);
    let start = Instant::now();
    cids.chunks(64).for_each(|cids| engine.get_many(cids, &mut |_| ()));
    task.say("many us/key", start.elapsed().as_secs_f64() * 1e6 / cids.len() as f64);
    task.say("memory MiB", machine::own_memory_mib() - before_mib);
}

fn shrink(task: &Task, kind: &Kind, blocks: &[Block]) {
    // The last of a batch may be a head, and stays.
    let dead: Vec<Cid> = blocks.iter().step_by(2).map(|block| *block.cid()).collect();
    let live: usize = blocks.iter().skip(1).step_by(2).map(|block| block.bytes().len()).sum();
    let engine = (kind.open)(&task.folder, Memory::Default);
    let start = Instant::now();
    engine.delete(&dead);
    task.say("deletes/s", per_second(dead.len(), start.elapsed()));
    let start_reclaim = Instant::now();
    engine.reclaim();
    drop(engine);
    task.say("reclaim s", start_reclaim.elapsed().as_secs_f64());
    task.say("both s", start.elapsed().as_secs_f64());
    task.say("size/live", disk_bytes(&task.folder).1 as f64 / live as f64);
}
