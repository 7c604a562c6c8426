//! What do blocks cost: writing, reading, scanning and deleting them, beside other engines?
//!
//! Varies: engine, scenario. Fixed: blocks (`data`), one disk, one process, a sync for each commit. Engines take turns;
//! each figure is one line of JSON, and at the end the medians of the rounds. Usage:
//! `cargo run --release --bin blocks -- [folder=/tmp/blocks] [blocks=500000] [rounds=3] [engines=native,lmdb] [scenarios=s1,s3]`
//!
//! S1 durable commits of 1 block, S1x8 the same on 8 threads, S2 of 32, S3 import by 10,000, S4 and S4x2 random gets on one
//! and two threads, S5 gets of what is absent, S6 all blocks, S7 open and cold gets, S8 delete half and give space back.

mod data;
mod engines;
mod fjall_kv;
mod floor;
mod lmdb;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use data::{Random, Text};
use engines::{Engine, Kind, Memory, Native, Redb};
use mnem_core::cid::Codec;
use mnem_core::{Block, Cid};
use mnem_vfs::{Advice, OpenMode, RealVfs, Vfs};

const KINDS: [Kind; 6] = [
    Kind { name: "floor", open: floor::Floor::open },
    Kind { name: "native", open: Native::open },
    Kind { name: "lmdb", open: lmdb::open },
    Kind { name: "fjall", open: fjall_kv::open },
    Kind { name: "fjall-kv", open: fjall_kv::open_separated },
    Kind { name: "redb", open: Redb::open },
];

struct Options {
    folder: PathBuf,
    blocks: usize,
    rounds: usize,
    engines: Vec<String>,
    scenarios: Vec<String>,
}

impl Options {
    fn read() -> Options {
        let mut options = Options {
            folder: "/tmp/blocks".into(),
            blocks: 500_000,
            rounds: 3,
            engines: KINDS.iter().map(|kind| kind.name.to_owned()).collect(),
            scenarios: ["s1", "s1x8", "s2", "s3", "s4", "s5", "s6", "s7", "s8"].map(str::to_owned).to_vec(),
        };
        for argument in std::env::args().skip(1) {
            let (name, value) = argument.split_once('=').expect("name=value");
            let list = || value.split(',').map(str::to_owned).collect();
            match name {
                "folder" => options.folder = value.into(),
                "blocks" => options.blocks = value.parse().expect("a number"),
                "rounds" => options.rounds = value.parse().expect("a number"),
                "engines" => options.engines = list(),
                "scenarios" => options.scenarios = list(),
                _ => panic!("unknown option {name}"),
            }
        }
        options
    }

    fn wants(&self, scenario: &str) -> bool {
        self.scenarios.iter().any(|wanted| wanted == scenario)
    }
}

/// What was measured: by scenario and figure, then engine, a value for each round.
#[derive(Default)]
struct Results(BTreeMap<(&'static str, &'static str), BTreeMap<&'static str, Vec<f64>>>);

impl Results {
    fn add(&mut self, engine: &'static str, scenario: &'static str, figure: &'static str, value: f64) {
        println!(r#"{{"engine":"{engine}","scenario":"{scenario}","figure":"{figure}","value":{value:.3}}}"#);
        self.0.entry((scenario, figure)).or_default().entry(engine).or_default().push(value);
    }

    /// Adds how much of a core one of `count` took.
    fn add_cpu(&mut self, engine: &'static str, scenario: &'static str, count: usize, before: Duration) {
        let micros = (cpu() - before).as_secs_f64() * 1e6 / count as f64;
        self.add(engine, scenario, "cpu us", micros);
    }

    fn print(&mut self) {
        for ((scenario, figure), engines) in &mut self.0 {
            print!("{scenario:5} {figure:14}");
            for (engine, values) in engines {
                values.sort_by(f64::total_cmp);
                print!("  {engine} {:.2}", values[values.len() / 2]);
            }
            println!();
        }
    }
}

struct Bench {
    options: Options,
    text: Text,
    blocks: Vec<Block>,
    results: Results,
}

/// Returns how long all threads of the process have been on a core, those that ended included, in steps of 10 ms: what a
/// busy machine does not change much.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("the system counts");
    let (_, rest) = stat.rsplit_once(") ").expect("a name in brackets");
    let ticks = rest.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number"));
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// Touches every byte.
fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte)).sum()
}

/// Returns what files take on the disk: those of a log, and others.
fn disk_bytes(path: &Path) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    let (mut log, mut rest) = (0, 0);
    for entry in fs::read_dir(path).expect("a folder").flatten() {
        let found = entry.metadata().expect("metadata");
        if found.is_dir() {
            let (more_log, more) = disk_bytes(&entry.path());
            (log, rest) = (log + more_log, rest + more);
        } else if entry.file_name().to_string_lossy().starts_with("wal-") {
            log += found.blocks() * 512;
        } else {
            rest += found.blocks() * 512;
        }
    }
    (log, rest)
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

impl Bench {
    fn kinds(&self) -> Vec<&'static Kind> {
        let is_wanted = |kind: &&Kind| self.options.engines.iter().any(|wanted| wanted == kind.name);
        KINDS.iter().filter(is_wanted).collect()
    }

    fn folder(&self, kind: &Kind) -> PathBuf {
        self.options.folder.join(kind.name)
    }

    fn fresh(&self, kind: &Kind) -> Box<dyn Engine> {
        let folder = self.folder(kind);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        (kind.open)(&folder, Memory::Default)
    }

    /// Commits on a fresh store; the figure is commits a second.
    fn commits(&mut self, scenario: &'static str, commits: usize, size: usize, threads: usize) {
        let blocks = self.text.blocks(commits * size);
        for kind in self.kinds() {
            let engine = self.fresh(kind);
            let warm_up = self.text.blocks(50);
            warm_up.iter().for_each(|block| engine.commit(0, std::slice::from_ref(block)));
            let (start, before) = (Instant::now(), cpu());
            let mut times: Vec<Duration> = thread::scope(|scope| {
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
            times.sort();
            if threads == 1 {
                self.results.add_cpu(kind.name, scenario, commits, before);
            }
            self.results.add(kind.name, scenario, "commits/s", per_second(commits, time));
            self.results.add(kind.name, scenario, "p50 us", times[commits / 2].as_secs_f64() * 1e6);
            self.results.add(kind.name, scenario, "p99 us", times[commits * 99 / 100].as_secs_f64() * 1e6);
        }
    }

    /// Imports everything; what follows reads it.
    fn import(&mut self) {
        let payload: usize = self.blocks.iter().map(|block| block.bytes().len()).sum();
        for kind in self.kinds() {
            let engine = self.fresh(kind);
            let (start, before) = (Instant::now(), cpu());
            self.blocks.chunks(10_000).for_each(|batch| engine.commit(0, batch));
            let time = start.elapsed();
            self.results.add_cpu(kind.name, "s3", self.blocks.len(), before);
            drop(engine);
            let closed = start.elapsed();
            let (log, rest) = disk_bytes(&self.folder(kind));
            let name = kind.name;
            self.results.add(name, "s3", "blocks/s", per_second(self.blocks.len(), time));
            self.results.add(name, "s3", "with close/s", per_second(self.blocks.len(), closed));
            self.results.add(name, "s3", "size/payload", rest as f64 / payload as f64);
            self.results.add(name, "s3", "log MiB", log as f64 / f64::from(1 << 20));
        }
    }

    fn hot(&mut self) {
        const GETS: usize = 500_000;
        for kind in self.kinds().into_iter().filter(|kind| kind.name != "floor") {
            let engine = (kind.open)(&self.folder(kind), Memory::Large);
            let mut seen = 0;
            engine.scan(&mut |bytes| seen += sum(bytes));
            for block in &self.blocks {
                engine.get(block.cid(), &mut |bytes| seen += sum(bytes));
            }
            let gets = |seed: u64| {
                let (mut random, mut seen) = (Random(seed), 0);
                for _ in 0..GETS {
                    let block = &self.blocks[random.below(self.blocks.len())];
                    assert!(engine.get(block.cid(), &mut |bytes| seen += sum(bytes)));
                }
                seen
            };
            let absent: Vec<Cid> =
                (0..GETS as u64).map(|number| Cid::of(Codec::DagCbor, &number.to_le_bytes())).collect();
            let name = kind.name;
            if self.options.wants("s4") {
                let (start, before) = (Instant::now(), cpu());
                std::hint::black_box(gets(1));
                self.results.add_cpu(name, "s4", GETS, before);
                self.results.add(name, "s4", "gets/s", per_second(GETS, start.elapsed()));
                let start = Instant::now();
                thread::scope(|scope| {
                    let gets = &gets;
                    (0..2)
                        .for_each(|thread| drop(scope.spawn(move || std::hint::black_box(gets(2 + thread)))));
                });
                self.results.add(name, "s4x2", "gets/s", per_second(2 * GETS, start.elapsed()));
            }
            if self.options.wants("s5") {
                let (start, before) = (Instant::now(), cpu());
                assert!(absent.iter().all(|cid| !engine.get(cid, &mut |_| ())));
                self.results.add_cpu(name, "s5", GETS, before);
                self.results.add(name, "s5", "gets/s", per_second(GETS, start.elapsed()));
            }
            if self.options.wants("s6") {
                let start = Instant::now();
                engine.scan(&mut |bytes| seen += sum(bytes));
                self.results.add(name, "s6", "hot blocks/s", per_second(self.blocks.len(), start.elapsed()));
                drop(engine);
                let engine = (kind.open)(&self.folder(kind), Memory::Default);
                let (start, before) = (Instant::now(), cpu());
                engine.scan(&mut |bytes| seen += sum(bytes));
                self.results.add_cpu(name, "s6", self.blocks.len(), before);
                self.results.add(name, "s6", "blocks/s", per_second(self.blocks.len(), start.elapsed()));
            }
            std::hint::black_box(seen);
        }
    }

    fn cold(&mut self) {
        const GETS: usize = 2000;
        for kind in self.kinds().into_iter().filter(|kind| kind.name != "floor") {
            let name = kind.name;
            drop_cache(&self.folder(kind));
            let start = Instant::now();
            let engine = (kind.open)(&self.folder(kind), Memory::Default);
            self.results.add(name, "s7", "open ms", start.elapsed().as_secs_f64() * 1e3);
            let mut random = Random(7);
            for number in 0_u64..100_000 {
                // Brings the index into memory, and no values.
                engine.get(&Cid::of(Codec::DagCbor, &number.to_le_bytes()), &mut |_| ());
            }
            let before = engine.reads();
            let mut times: Vec<Duration> = (0..GETS)
                .map(|_| {
                    let block = &self.blocks[random.below(self.blocks.len())];
                    let start = Instant::now();
                    assert!(engine.get(block.cid(), &mut |_| ()));
                    start.elapsed()
                })
                .collect();
            times.sort();
            self.results.add(name, "s7", "cold p50 us", times[GETS / 2].as_secs_f64() * 1e6);
            if let (Some(before), Some(after)) = (before, engine.reads()) {
                self.results.add(name, "s7", "reads/get", (after - before) as f64 / GETS as f64);
            }
            drop_cache(&self.folder(kind));
            let cids: Vec<Cid> =
                (0..GETS * 4).map(|_| *self.blocks[random.below(self.blocks.len())].cid()).collect();
            let start = Instant::now();
            cids.chunks(64).for_each(|cids| engine.get_many(cids, &mut |_| ()));
            let micros = start.elapsed().as_secs_f64() * 1e6 / cids.len() as f64;
            self.results.add(name, "s7", "many us/key", micros);
        }
    }

    fn shrink(&mut self) {
        let (mut dead, mut live) = (Vec::new(), 0);
        for (number, block) in self.blocks.iter().enumerate() {
            // The last of a batch may be a head.
            if number % 2 == 0 { dead.push(*block.cid()) } else { live += block.bytes().len() }
        }
        for kind in self.kinds().into_iter().filter(|kind| kind.name != "floor") {
            let engine = (kind.open)(&self.folder(kind), Memory::Default);
            let start = Instant::now();
            engine.delete(&dead);
            let name = kind.name;
            self.results.add(name, "s8", "deletes/s", per_second(dead.len(), start.elapsed()));
            let start = Instant::now();
            engine.reclaim();
            drop(engine);
            self.results.add(name, "s8", "reclaim s", start.elapsed().as_secs_f64());
            let size = disk_bytes(&self.folder(kind)).1;
            self.results.add(name, "s8", "size/live", size as f64 / live as f64);
        }
    }
}

fn main() {
    let options = Options::read();
    let mut text = Text::new(42);
    let needs_blocks = ["s3", "s4", "s5", "s6", "s7", "s8"].iter().any(|scenario| options.wants(scenario));
    let blocks = text.blocks(if needs_blocks { options.blocks } else { 0 });
    let rounds = options.rounds;
    let mut bench = Bench { options, text, blocks, results: Results::default() };
    for _ in 0..rounds {
        if bench.options.wants("s1") {
            bench.commits("s1", 5000, 1, 1);
        }
        if bench.options.wants("s1x8") {
            bench.commits("s1x8", 20_000, 1, 8);
        }
        if bench.options.wants("s2") {
            bench.commits("s2", 1000, 32, 1);
        }
        if needs_blocks && bench.options.wants("s3") {
            bench.import();
        }
        if ["s4", "s5", "s6"].iter().any(|scenario| bench.options.wants(scenario)) {
            bench.hot();
        }
        if bench.options.wants("s7") {
            bench.cold();
        }
        if bench.options.wants("s8") {
            bench.shrink();
        }
    }
    bench.results.print();
}
