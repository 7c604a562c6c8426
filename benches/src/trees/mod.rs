//! What do trees cost, beside a map that has no versions and beside another tree of blocks?
//!
//! Varies: contender, operation, number of changes. Fixed: 16-byte random keys, links as values, blocks in memory, one
//! thread, a process for each contender. The other tree, which builds all of itself anew for each change, is not asked
//! beyond 100,000 entries. "mnem, cold" runs with the processor's caches emptied before each turn.

pub(crate) mod ours;
mod theirs;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::child::Task;
use crate::options::{Mode, Options};
use crate::random::Random;
use crate::run::settings;

/// Key, and the number whose block the value links to.
pub(crate) type Entries = Vec<([u8; 16], u64)>;

const TURNS: usize = 5;
const GETS: usize = 20_000;
const THEIRS_ENTRIES_MAX: usize = 100_000;
const CHANGES: [usize; 3] = [1, 100, 10_000];
pub(crate) const CONTENDERS: [&str; 4] = ["mnem", "mnem, cold", "rival", "BTreeMap"];

pub(crate) fn plan(options: &Options) -> Vec<Task> {
    let sizes: &[usize] = if options.mode == Mode::Quick { &[10_000] } else { &[100_000, 1_000_000] };
    let mut tasks = Vec::new();
    for size in sizes {
        for contender in CONTENDERS {
            let is_wanted = options.wants_contender(contender)
                && options.wants_scenario("trees")
                && (contender != "rival" || *size <= THEIRS_ENTRIES_MAX);
            if is_wanted {
                tasks.push(Task {
                    group: "trees".to_owned(),
                    contender: contender.to_owned(),
                    scenario: "trees".to_owned(),
                    size: *size,
                    folder: options.folder.join("trees"),
                    settings: settings([]),
                });
            }
        }
    }
    tasks
}

/// More bytes than any cache of a processor has.
struct Evict(Vec<u64>);

impl Evict {
    fn new(is_wanted: bool) -> Evict {
        Evict(vec![1; if is_wanted { 64 << 20 } else { 0 } / 8])
    }

    fn all(&mut self) {
        self.0.iter_mut().for_each(|word| *word += 1);
        black_box(&self.0);
    }
}

fn ask(task: &Task, question: &str, per: usize, evict: &mut Evict, run: &mut dyn FnMut()) {
    let mut times: Vec<Duration> = Vec::new();
    // The first turn warms up and is not counted.
    for turn in 0..=TURNS {
        evict.all();
        let start = Instant::now();
        run();
        if turn > 0 {
            times.push(start.elapsed());
        }
    }
    times.sort();
    task.say_of(question, "us", times[TURNS / 2].as_secs_f64() * 1e6 / per as f64);
}

fn entries(random: &mut Random, n: usize) -> Entries {
    let map: BTreeMap<[u8; 16], u64> = (0..n).map(|_| (random.key(), random.next())).collect();
    map.into_iter().collect()
}

/// Half updates, half inserts.
fn edits(random: &mut Random, entries: &Entries, n: usize) -> Entries {
    let map: BTreeMap<[u8; 16], u64> = (0..n)
        .map(|i| {
            (if i % 2 == 0 { entries[random.below(entries.len())].0 } else { random.key() }, random.next())
        })
        .collect();
    map.into_iter().collect()
}

/// A child's work.
pub(crate) fn run(task: &Task) {
    let mut random = Random(7);
    let all = entries(&mut random, task.size);
    let keys: Vec<[u8; 16]> = (0..GETS).map(|_| all[random.below(all.len())].0).collect();
    let sides: Vec<(Entries, Entries)> =
        CHANGES.iter().map(|n| (edits(&mut random, &all, *n), edits(&mut random, &all, *n))).collect();
    let mut evict = Evict::new(task.contender == "mnem, cold");
    match &*task.contender {
        "BTreeMap" => {
            let build = || all.iter().copied().collect::<BTreeMap<_, _>>();
            ask(task, "build", 1, &mut evict, &mut || drop(black_box(build())));
            let map = build();
            let get = || assert!(keys.iter().all(|key| map.contains_key(black_box(key))));
            ask(task, "get, hot", GETS, &mut evict, &mut { get });
        }
        "rival" => {
            ask(task, "build", 1, &mut evict, &mut || drop(theirs::Lab::new(&all)));
            let lab = theirs::Lab::new(&all);
            ask(task, "get, hot", GETS, &mut evict, &mut || assert!(keys.iter().all(|key| lab.get(key))));
            for (n, (left, right)) in CHANGES.into_iter().zip(&sides) {
                let (least, made) = (left.len(), (lab.mutate(left), lab.mutate(right)));
                ask(task, &format!("change {n}"), 1, &mut evict, &mut || {
                    lab.mutate(left);
                });
                ask(task, &format!("diff of {n}"), 1, &mut evict, &mut || {
                    assert!(lab.diff(&made.0) >= least)
                });
                ask(task, &format!("merge of {n} and {n}"), 1, &mut evict, &mut || {
                    lab.merge(&made.0, &made.1);
                });
            }
        }
        _ => {
            ask(task, "build", 1, &mut evict, &mut || drop(ours::Lab::new(&all)));
            let lab = ours::Lab::new(&all);
            ask(task, "get, hot", GETS, &mut evict, &mut || assert!(keys.iter().all(|key| lab.get(key))));
            for (n, (left, right)) in CHANGES.into_iter().zip(&sides) {
                let (least, made) = (left.len(), (lab.mutate(left), lab.mutate(right)));
                ask(task, &format!("change {n}"), 1, &mut evict, &mut || drop(lab.mutate(left)));
                ask(task, &format!("diff of {n}"), 1, &mut evict, &mut || {
                    assert!(lab.diff(&made.0) >= least)
                });
                ask(task, &format!("merge of {n} and {n}"), 1, &mut evict, &mut || {
                    lab.merge(&made.0, &made.1);
                });
            }
        }
    }
}
