//! What search by nearness costs: `cargo run --release -p mnem-ann --example measure -- 100000 384`.
//!
//! Two sets of vectors, one around 500 centers and one without any: how often the default search finds what the exact one
//! finds, how long both take, what it takes to keep the codes, and what a commit of 100 changed vectors adds.

use std::time::{Duration, Instant};

use mnem::object::{Metric, Model};
use mnem::{Actor, NodeId, Repo, props};
use mnem_ann::{Top, Vectors};

const QUESTIONS: usize = 50;
const MODEL: &str = "measured";

type Failure = Box<dyn std::error::Error>;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Near to normal.
    fn number(&mut self) -> f32 {
        (0..4).map(|_| (self.next() >> 40) as f32 / 16_777_216.0 - 0.5).sum()
    }
}

fn vectors(random: &mut Random, centers: &[Vec<f32>], count: usize, dim: usize) -> Vec<Vec<f32>> {
    let spread = if centers.is_empty() { 1.0 } else { 0.5 };
    (0..count)
        .map(|at| {
            let center = centers.get(at % centers.len().max(1));
            (0..dim).map(|i| center.map_or(0.0, |center| center[i]) + spread * random.number()).collect()
        })
        .collect()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |usual: usize| arguments.next().map_or(Ok(usual), |argument| argument.parse());
    let (count, dim) = (number(100_000)?, number(384)?);
    for name in ["clustered", "isotropic"] {
        println!("{name}: {count} x {dim}");
        measure(name, count, dim)?;
    }
    Ok(())
}

fn measure(name: &str, count: usize, dim: usize) -> Result<(), Failure> {
    let mut random = Random(1);
    let centers = if name == "clustered" { vectors(&mut random, &[], 500, dim) } else { Vec::new() };
    let set = vectors(&mut random, &centers, count, dim);
    let questions = vectors(&mut random, &centers, QUESTIONS, dim);
    let repo = mnem::init("memory:")?;
    let me = Actor::named("measure");
    let mut tx = repo.begin(&me)?;
    tx.declare(Model::new(MODEL, u32::try_from(dim)?, Metric::Cosine))?;
    let mut nodes = Vec::new();
    for vector in &set {
        let node = tx.add_node("Thing", props! {})?;
        tx.set_vector(node, MODEL, vector)?;
        nodes.push(node);
    }
    let started = Instant::now();
    let first = tx.commit("all")?;
    println!("  commit of vectors and nodes {:.2} s", started.elapsed().as_secs_f64());

    let handle = Vectors::open(&repo, MODEL)?;
    let started = Instant::now();
    let kept = handle.keep(&first)?.ok_or("no vectors")?;
    println!(
        "  encode and store all {:.2} s, {:.1} MB",
        started.elapsed().as_secs_f64(),
        kept.bytes as f64 / 1e6
    );
    let stats = handle.stats();
    println!(
        "  memory {:.1} bytes a vector beyond the dimension",
        stats.memory_bytes as f64 / count as f64 - dim as f64
    );

    let top = Top::k(10);
    let (mut times, mut exact_times, mut found, mut compared) = (Vec::new(), Vec::new(), 0, 0);
    for question in &questions {
        let started = Instant::now();
        let hits = handle.search(&first, question, &top)?;
        times.push(started.elapsed());
        compared += hits.stats().exact;
        let started = Instant::now();
        let exact = handle.search_exact(&first, question, &top)?;
        exact_times.push(started.elapsed());
        found += exact.iter().filter(|hit| hits.iter().any(|other| other.node == hit.node)).count();
    }
    println!(
        "  search p50 {:.2} ms (exact, from the store: {:.1} ms), recall@10 {:.4}, {} compared exactly on average",
        median(times),
        median(exact_times),
        found as f64 / (10 * QUESTIONS) as f64,
        compared / QUESTIONS as u64
    );
    let fresh = Vectors::of(MODEL);
    let started = Instant::now();
    fresh.search(&first, &questions[0], &top)?;
    println!(
        "  first search of a program, from what is kept {:.0} ms",
        started.elapsed().as_secs_f64() * 1e3
    );
    changes(&repo, &handle, &nodes, &mut random, &questions, dim)
}

fn changes(
    repo: &Repo,
    handle: &Vectors,
    nodes: &[NodeId],
    random: &mut Random,
    questions: &[Vec<f32>],
    dim: usize,
) -> Result<(), Failure> {
    let before = repo.head()?;
    let mut tx = repo.begin(&Actor::named("measure"))?;
    for _ in 0..100 {
        let at = usize::try_from(random.next() % nodes.len() as u64)?;
        tx.set_vector(nodes[at], MODEL, &vectors(random, &[], 1, dim)[0])?;
    }
    let started = Instant::now();
    let now = tx.commit("100 vectors")?;
    let took = started.elapsed();
    let started = Instant::now();
    let kept = handle.keep(&now)?.ok_or("no vectors")?;
    println!(
        "  100 changed: commit {:.1} ms, index {:.1} ms and {:.2} MB",
        took.as_secs_f64() * 1e3,
        started.elapsed().as_secs_f64() * 1e3,
        kept.bytes as f64 / 1e6
    );
    let top = Top::k(10);
    let fresh = Vectors::of(MODEL);
    fresh.search(&now, &questions[0], &top)?;
    let mut times = Vec::new();
    for question in questions {
        let started = Instant::now();
        fresh.search(&now, question, &top)?;
        times.push(started.elapsed());
    }
    let started = Instant::now();
    fresh.search(&before, &questions[1], &top)?;
    let first_old = started.elapsed().as_secs_f64() * 1e3;
    let mut old = Vec::new();
    for question in questions {
        let started = Instant::now();
        fresh.search(&before, question, &top)?;
        old.push(started.elapsed());
    }
    println!(
        "  head {:.2} ms; the commit before: first {first_old:.2} ms, then {:.2} ms",
        median(times),
        median(old)
    );
    Ok(())
}
