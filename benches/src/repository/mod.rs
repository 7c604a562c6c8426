//! What do facts cost: committing, reading, asking, looking back, comparing, merging, in mnem and in what one would take
//! in its place?
//!
//! Varies: contender, number of nodes. Fixed: nodes of about 300 bytes with a name that is indexed, an edge from every
//! tenth to an older one, one thread, a process for each contender, a sync for each commit.
//!
//! Contenders: our repository on the backends, the rival's published crates on redb, git with the same records as files
//! and its own fast import, and SQLite with a table of versions. What one of them cannot do has no figure.

mod git;
mod ours;
mod sqlite;
mod theirs;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::child::{Meter, Task, disk_bytes, per_second};
use crate::machine;
use crate::options::{Mode, Options};
use crate::random::Random;
use crate::run::settings;
use crate::text::Text;

/// A repository that is open, of whichever kind. Nodes are numbered in the order they were recorded.
pub(crate) trait Memory {
    /// One commit of new nodes.
    fn add(&mut self, records: &[Record]);
    /// One commit that sets the property `seen` of some nodes.
    fn set(&mut self, nodes: &[usize], seen: i64);
    fn get(&mut self, node: usize) -> bool;
    /// Returns how many edges leave a node.
    fn neighbours(&mut self, node: usize) -> Option<usize>;
    fn by_name(&mut self, name: &str) -> Option<bool>;
    /// Remembers this state.
    fn mark(&mut self);
    /// Reads in the remembered state.
    fn get_marked(&mut self, node: usize) -> bool;
    /// Returns how many versions a node had.
    fn history(&mut self, node: usize) -> Option<usize>;
    /// Counts the changes since the remembered state.
    fn diff(&mut self) -> Option<usize>;
    /// Sets `seen` of some nodes on a branch, of others beside it, and returns how long it takes to merge.
    fn merge(&mut self, left: &[usize], right: &[usize]) -> Option<Duration>;
    /// Makes a second repository with everything of this one.
    fn clone_to(&mut self, folder: &Path) -> Option<()>;
}

/// What a node says.
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) text: String,
    /// An older node.
    pub(crate) about: Option<usize>,
}

pub(crate) fn record(text: &Text, number: usize) -> Record {
    let mut random = Random(number as u64 ^ 0x5bd1_e995);
    let (mut bytes, length) = (Vec::new(), random.between(100, 300));
    text.write(&mut random, &mut bytes, length);
    let about = (number > 0 && number.is_multiple_of(10)).then(|| random.below(number));
    Record { name: format!("n{number}"), text: String::from_utf8(bytes).expect("letters"), about }
}

struct Kind {
    name: &'static str,
    open: fn(&Path) -> Box<dyn Memory>,
    on_disk: bool,
    nodes_max: usize,
    /// Its commits cost as much as its repository is large: few of them.
    slow: bool,
}

const KINDS: [Kind; 6] = [
    Kind { name: "mnem native", open: ours::native, on_disk: true, nodes_max: usize::MAX, slow: false },
    Kind { name: "mnem redb", open: ours::redb, on_disk: true, nodes_max: usize::MAX, slow: false },
    Kind { name: "mnem memory", open: ours::memory, on_disk: false, nodes_max: usize::MAX, slow: false },
    Kind { name: "rival", open: theirs::open, on_disk: true, nodes_max: 100_000, slow: true },
    Kind { name: "git", open: git::open, on_disk: true, nodes_max: 100_000, slow: false },
    Kind { name: "SQLite", open: sqlite::open, on_disk: true, nodes_max: usize::MAX, slow: false },
];

pub(crate) const CONTENDERS: [&str; 6] =
    ["mnem native", "mnem redb", "mnem memory", "rival", "git", "SQLite"];

pub(crate) fn plan(options: &Options) -> Vec<Task> {
    let sizes: &[usize] =
        if options.mode == Mode::Quick { &[1000, 10_000] } else { &[0, 10_000, 100_000, 1_000_000] };
    let mut tasks = Vec::new();
    for (scenario, sizes) in [("facts", sizes), ("small commits", &[0])] {
        if !options.wants_scenario(scenario) {
            continue;
        }
        for size in sizes {
            for kind in &KINDS {
                if !options.wants_contender(kind.name) || *size > kind.nodes_max {
                    continue;
                }
                if options.mode == Mode::Quick && kind.slow && *size > 1000 {
                    continue;
                }
                let rounds = match *size {
                    0..10_000 if scenario == "facts" => usize::MAX,
                    10_000 if !kind.slow => usize::MAX,
                    100_000 if !kind.slow => 2,
                    _ => 1,
                };
                let commits = match (scenario, options.mode, kind.slow) {
                    ("small commits", Mode::Full, false) => 10_000,
                    ("small commits", Mode::Full, true) | ("small commits", _, false) => 500,
                    ("small commits", _, true) => 50,
                    (_, Mode::Quick, false) => 30,
                    (_, _, true) if *size >= 10_000 => 2,
                    (_, _, true) => 10,
                    _ => 200,
                };
                tasks.push(Task {
                    group: "repository".to_owned(),
                    contender: kind.name.to_owned(),
                    scenario: scenario.to_owned(),
                    size: *size,
                    folder: options.folder.join(format!("repository-{}", kind.name.replace(' ', "-"))),
                    settings: settings([("commits", commits), ("rounds", rounds)]),
                });
            }
        }
    }
    tasks
}

/// A child's work.
pub(crate) fn run(task: &Task) {
    let kind = KINDS.iter().find(|kind| kind.name == task.contender).expect("a contender of this name");
    let _ = fs::remove_dir_all(&task.folder);
    fs::create_dir_all(&task.folder).expect("a folder");
    let lab = Lab { task, kind, text: Text::new(42), random: Random(11), nodes: 0 };
    match &*task.scenario {
        "facts" => lab.facts(),
        "small commits" => lab.small_commits(),
        other => panic!("no scenario is named {other}"),
    }
}

struct Lab<'a> {
    task: &'a Task,
    kind: &'a Kind,
    text: Text,
    random: Random,
    nodes: usize,
}

impl Lab<'_> {
    fn open(&self) -> Box<dyn Memory> {
        (self.kind.open)(&self.task.folder)
    }

    fn add(&mut self, memory: &mut dyn Memory, count: usize) -> Duration {
        let records: Vec<Record> =
            (self.nodes..self.nodes + count).map(|number| record(&self.text, number)).collect();
        self.nodes += count;
        let start = Instant::now();
        memory.add(&records);
        start.elapsed()
    }

    fn any(&mut self, count: usize) -> Vec<usize> {
        let mut any: Vec<usize> = (0..count).map(|_| self.random.below(self.nodes)).collect();
        any.sort_unstable();
        any.dedup();
        any
    }

    fn say_commits(&self, question: &str, mut times: Vec<Duration>) {
        times.sort();
        self.task.say_of(question, "ms", times[times.len() / 2].as_secs_f64() * 1e3);
    }

    fn facts(mut self) {
        let mut memory = self.open();
        let start = Instant::now();
        while self.nodes < self.task.size {
            self.add(&mut *memory, 10_000.min(self.task.size - self.nodes));
        }
        if self.task.size > 0 {
            self.task.say_of("import", "nodes/s", per_second(self.task.size, start.elapsed()));
        }
        let commits = self.task.setting("commits");
        self.commits(&mut *memory, commits);
        self.reads(&mut *memory);
        self.past(&mut *memory, commits);
        if self.kind.on_disk {
            self.task.say_of("size", "MiB", disk_mib(&self.task.folder));
        }
        self.copy_and_open(memory);
        self.task.say_of("size", "memory MiB", machine::own_memory_mib());
    }

    fn commits(&mut self, memory: &mut dyn Memory, commits: usize) {
        for (question, count, times) in [
            ("commit of 1", 1, commits),
            ("commit of 100", 100, commits.div_ceil(10)),
            ("commit of 10,000", 10_000, commits.div_ceil(100).min(3)),
        ] {
            let meter = Meter::start();
            let times: Vec<Duration> = (0..times).map(|_| self.add(memory, count)).collect();
            // git works in processes of its own, which are not seen here.
            if self.kind.name != "git" {
                meter.say(self.task, question, times.len());
            }
            self.say_commits(question, times);
        }
    }

    fn reads(&mut self, memory: &mut dyn Memory) {
        // Programs that are asked through a pipe, and stores that build on demand, get fewer questions.
        let gets = self.any(10_000);
        gets.iter().for_each(|node| assert!(memory.get(*node)));
        let start = Instant::now();
        gets.iter().for_each(|node| assert!(memory.get(*node)));
        self.task.say_of("get", "us", micros_each(start, gets.len()));
        let some = &gets[..gets.len().min(1000)];
        let start = Instant::now();
        if some.iter().map(|node| memory.neighbours(*node)).all(|found| found.is_some()) {
            self.task.say_of("neighbours", "us", micros_each(start, some.len()));
        }
        let start = Instant::now();
        let names = some.iter().map(|node| memory.by_name(&format!("n{node}")));
        if names.map_while(|found| found).all(|found| found) && memory.by_name("n0").is_some() {
            self.task.say_of("find by property", "us", micros_each(start, some.len()));
        }
    }

    fn past(&mut self, memory: &mut dyn Memory, commits: usize) {
        memory.mark();
        let commits = commits.min(100);
        let times = (0..commits).map(|number| {
            // The first node changes five times among the others.
            let node = if number * 5 % commits < 5 { 0 } else { self.random.below(self.nodes) };
            let start = Instant::now();
            memory.set(&[node], number as i64);
            start.elapsed()
        });
        let times = times.collect();
        self.say_commits("change of 1", times);
        let gets = self.any(1000);
        gets.iter().for_each(|node| assert!(memory.get_marked(*node)));
        let start = Instant::now();
        gets.iter().for_each(|node| assert!(memory.get_marked(*node)));
        self.task.say_of("get in the past", "us", micros_each(start, gets.len()));
        let start = Instant::now();
        if memory.history(0).is_some() {
            self.task.say_of("history of one", "ms", start.elapsed().as_secs_f64() * 1e3);
        }
        memory.mark();
        let changed = self.any(100);
        memory.set(&changed, 7);
        let times = (0..5).map_while(|_| {
            let start = Instant::now();
            memory.diff().map(|found| {
                assert!(found >= changed.len() / 2, "{found} changes");
                start.elapsed()
            })
        });
        let times: Vec<Duration> = times.collect();
        if !times.is_empty() {
            self.say_commits("diff of 100", times);
        }
        let sides = self.any(200);
        let (left, right) = sides.split_at(sides.len() / 2);
        if let Some(time) = memory.merge(left, right) {
            self.task.say_of("merge of 100 and 100", "ms", time.as_secs_f64() * 1e3);
        }
    }

    fn copy_and_open(&mut self, mut memory: Box<dyn Memory>) {
        let copy = self.task.folder.with_extension("copy");
        let _ = fs::remove_dir_all(&copy);
        fs::create_dir_all(&copy).expect("a folder");
        let copy_to = copy.join("copy");
        let start = Instant::now();
        if memory.clone_to(&copy_to).is_some() {
            self.task.say_of("clone", "s", start.elapsed().as_secs_f64());
        }
        let _ = fs::remove_dir_all(&copy);
        drop(memory);
        if self.kind.on_disk {
            let start = Instant::now();
            let mut memory = self.open();
            assert!(memory.get(self.nodes / 2));
            self.task.say_of("open and get one", "ms", start.elapsed().as_secs_f64() * 1e3);
        }
    }

    /// Many small commits, and what they leave behind.
    fn small_commits(mut self) {
        let mut memory = self.open();
        self.add(&mut *memory, 1000);
        memory.mark();
        let commits = self.task.setting("commits");
        let start = Instant::now();
        for number in 0..commits {
            if number % 2 == 0 {
                self.add(&mut *memory, 1);
            } else {
                let node = self.random.below(self.nodes);
                memory.set(&[node], number as i64);
            }
        }
        self.task.say("commits/s", per_second(commits, start.elapsed()));
        let start = Instant::now();
        (0..1000).for_each(|node| assert!(memory.get_marked(node)));
        self.task.say("get in the past us", micros_each(start, 1000));
        drop(memory);
        if self.kind.on_disk {
            self.task.say("KiB/commit", disk_mib(&self.task.folder) * 1024.0 / commits as f64);
        }
    }
}

fn micros_each(start: Instant, count: usize) -> f64 {
    start.elapsed().as_secs_f64() * 1e6 / count as f64
}

fn disk_mib(folder: &Path) -> f64 {
    let (log, rest) = disk_bytes(folder);
    (log + rest) as f64 / f64::from(1 << 20)
}
