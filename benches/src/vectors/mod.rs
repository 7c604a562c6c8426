//! What does nearness cost: building an index, keeping it, asking it, beside the libraries that are made for that?
//!
//! Varies: contender, number of vectors. Fixed: vectors of 384 dimensions around 500 centers, of length one; the ten
//! nearest of each of 200 questions, one thread, a process for each contender. Graphs are built with M = 16,
//! ef_construction = 128 and asked with ef = 64, where a library lets one choose. What is found is held against the truth.

#[cfg(feature = "vectors")]
mod graphs;
mod ours;
#[cfg(feature = "vectors")]
mod theirs;

use std::time::Instant;

use crate::child::Task;
use crate::machine;
use crate::options::{Mode, Options};
use crate::random::Random;
use crate::run::settings;

pub(crate) const DIM: usize = 384;
const CENTERS: usize = 500;
const QUESTIONS: usize = 200;
const NEAREST: usize = 10;

/// What answers. Vectors are numbered in the order they were added.
pub(crate) trait Index {
    fn search(&mut self, question: &[f32], nearest: usize) -> Vec<usize>;
    /// One commit of changed vectors and the index after it. Says how long the index took, and what it wrote.
    fn change(&mut self, _: &[(usize, Vec<f32>)]) -> Option<(f64, f64)> {
        None
    }
}

type Build = fn(&[Vec<f32>]) -> Box<dyn Index>;

const KINDS: &[(&str, Build, usize)] = &[
    ("mnem", ours::build, usize::MAX),
    ("mnem, exact", ours::build_exact, usize::MAX),
    #[cfg(feature = "vectors")]
    ("usearch", graphs::usearch, usize::MAX),
    #[cfg(feature = "vectors")]
    ("hnsw_rs", graphs::hnsw_rs, usize::MAX),
    #[cfg(feature = "vectors")]
    ("instant-distance", graphs::instant_distance, 10_000),
    #[cfg(feature = "vectors")]
    ("rival", theirs::build, 10_000),
];

pub(crate) const CONTENDERS: [&str; 6] =
    ["mnem", "mnem, exact", "usearch", "hnsw_rs", "instant-distance", "rival"];

pub(crate) fn plan(options: &Options) -> Vec<Task> {
    let sizes: &[usize] = if options.mode == Mode::Quick { &[5000] } else { &[10_000, 100_000] };
    let mut tasks = Vec::new();
    for size in sizes {
        for (contender, _, size_max) in KINDS.iter().copied() {
            let is_wanted = options.wants_contender(contender)
                && options.wants_scenario("nearest")
                && *size <= size_max
                && (options.mode == Mode::Full || size_max == usize::MAX);
            if is_wanted {
                tasks.push(Task {
                    group: "vectors".to_owned(),
                    contender: contender.to_owned(),
                    scenario: "nearest".to_owned(),
                    size: *size,
                    folder: options.folder.join("vectors"),
                    settings: settings([("rounds", if *size > 10_000 || size_max == *size { 1 } else { 2 })]),
                });
            }
        }
    }
    tasks
}

/// Near to normal.
fn number(random: &mut Random) -> f32 {
    (0..4).map(|_| (random.next() >> 40) as f32 / 16_777_216.0 - 0.5).sum()
}

fn around(random: &mut Random, center: &[f32]) -> Vec<f32> {
    let spread: Vec<f32> = center.iter().map(|at| at + 0.5 * number(random)).collect();
    let length = dot(&spread, &spread).sqrt();
    spread.iter().map(|at| at / length).collect()
}

/// In sixteen sums, so that the compiler can do them at once.
pub(crate) fn dot(one: &[f32], other: &[f32]) -> f32 {
    let mut sums = [0.0; 16];
    for (one, other) in one.chunks_exact(16).zip(other.chunks_exact(16)) {
        for (sum, (one, other)) in sums.iter_mut().zip(one.iter().zip(other)) {
            *sum += one * other;
        }
    }
    sums.iter().sum()
}

/// A child's work.
pub(crate) fn run(task: &Task) {
    let mut random = Random(1);
    let centers: Vec<Vec<f32>> =
        (0..CENTERS).map(|_| (0..DIM).map(|_| number(&mut random)).collect()).collect();
    let set: Vec<Vec<f32>> = (0..task.size).map(|at| around(&mut random, &centers[at % CENTERS])).collect();
    let questions: Vec<Vec<f32>> =
        (0..QUESTIONS).map(|at| around(&mut random, &centers[at * 7 % CENTERS])).collect();
    let truth: Vec<Vec<usize>> = questions.iter().map(|question| nearest(&set, question)).collect();

    let (_, build, _) = KINDS.iter().find(|(name, ..)| *name == task.contender).expect("a contender");
    let (start, before_mib) = (Instant::now(), machine::own_memory_mib());
    let mut index = build(&set);
    task.say("build s", start.elapsed().as_secs_f64());
    task.say("memory MiB", machine::own_memory_mib() - before_mib);

    let (mut found, mut times) = (0, Vec::new());
    index.search(&questions[0], NEAREST);
    for (question, truth) in questions.iter().zip(&truth) {
        let start = Instant::now();
        let hits = index.search(question, NEAREST);
        times.push(start.elapsed());
        found += truth.iter().filter(|number| hits.contains(number)).count();
    }
    task.say("recall", found as f64 / (QUESTIONS * NEAREST) as f64);
    task.say_times("nearest", times);
    let changes: Vec<(usize, Vec<f32>)> = (0..100)
        .map(|_| {
            let (number, center) = (random.below(task.size), random.below(CENTERS));
            (number, around(&mut random, &centers[center]))
        })
        .collect();
    if let Some((ms, bytes)) = index.change(&changes) {
        task.say("change ms", ms);
        task.say("change MB", bytes / 1e6);
    }
}

fn nearest(set: &[Vec<f32>], question: &[f32]) -> Vec<usize> {
    let mut scored: Vec<(f32, usize)> =
        set.iter().enumerate().map(|(number, vector)| (dot(vector, question), number)).collect();
    scored.select_nth_unstable_by(NEAREST, |one, other| other.0.total_cmp(&one.0));
    scored[..NEAREST].iter().map(|(_, number)| *number).collect()
}
