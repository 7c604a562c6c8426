//! What do trees cost, beside a map that has no versions and beside another tree of blocks?
//!
//! Varies: operation, number of changes. Fixed: 16-byte random keys, links as values, blocks in memory, one thread, one
//! process. Contenders take turns, and the median of their turns is shown. `cargo run --release -- 100000 1000000`;
//! the other tree, which builds all of itself anew for each change, runs up to 100,000 entries. Words after the sizes
//! choose questions: `-- 1000000 get`.

mod ours;
mod random;
mod theirs;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use random::Random;

/// Key, and the number whose block the value links to.
type Entries = Vec<([u8; 16], u64)>;

const TURNS: usize = 9;
const GETS: usize = 20_000;
const THEIRS_ENTRIES_MAX: usize = 100_000;

/// One contender in one question: a name and what it does in its turn.
type Contender<'a> = (&'static str, Box<dyn FnMut() + 'a>);

fn ask(question: &str, per: usize, mut contenders: Vec<Contender<'_>>) {
    let mut words = std::env::args().skip(1).filter(|word| word.parse::<usize>().is_err()).peekable();
    if words.peek().is_some() && !words.any(|word| question.contains(&word)) {
        return;
    }
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); contenders.len()];
    // The first turn of each warms up and is not counted.
    for turn in 0..=TURNS {
        for ((_, run), times) in contenders.iter_mut().zip(&mut times) {
            let start = Instant::now();
            run();
            if turn > 0 {
                times.push(start.elapsed());
            }
        }
    }
    print!("{question:32}");
    for ((name, _), times) in contenders.iter().zip(&mut times) {
        times.sort();
        let nanos = times[times.len() / 2].as_nanos() as f64 / per as f64;
        print!("  {name} {:>12.3} us", nanos / 1000.0);
    }
    println!();
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

fn run(n: usize) {
    let mut random = Random(7);
    let all = entries(&mut random, n);
    println!("{n} entries");
    let with_theirs = n <= THEIRS_ENTRIES_MAX;
    build(&all, with_theirs);
    let ours = ours::Lab::new(&all);
    let theirs = with_theirs.then(|| theirs::Lab::new(&all));
    get(&mut random, &all, &ours, theirs.as_ref());
    for changes in [1, 100, 10_000] {
        let left = edits(&mut random, &all, changes);
        let right = edits(&mut random, &all, changes);
        versions(&ours, theirs.as_ref(), &left, &right);
    }
}

fn build(all: &Entries, with_theirs: bool) {
    let mut contenders: Vec<Contender<'_>> = vec![
        ("ours", Box::new(|| drop(ours::Lab::new(all)))),
        ("map", Box::new(|| drop(all.iter().copied().collect::<BTreeMap<_, _>>()))),
    ];
    if with_theirs {
        contenders.push(("theirs", Box::new(|| drop(theirs::Lab::new(all)))));
    }
    ask("build", 1, contenders);
}

fn get(random: &mut Random, all: &Entries, ours: &ours::Lab, theirs: Option<&theirs::Lab>) {
    let keys: Vec<[u8; 16]> = (0..GETS).map(|_| all[random.below(all.len())].0).collect();
    let map: BTreeMap<[u8; 16], u64> = all.iter().copied().collect();
    let mut contenders: Vec<Contender<'_>> = vec![
        ("ours", Box::new(|| assert!(keys.iter().all(|key| ours.get(key))))),
        ("map", Box::new(|| assert!(keys.iter().all(|key| map.get(std::hint::black_box(key)).is_some())))),
    ];
    if let Some(theirs) = theirs {
        contenders.push(("theirs", Box::new(|| assert!(keys.iter().all(|key| theirs.get(key))))));
    }
    ask("get, hot", GETS, contenders);
}

fn versions(ours: &ours::Lab, theirs: Option<&theirs::Lab>, left: &Entries, right: &Entries) {
    let n = left.len();
    let (our_left, our_right) = (ours.mutate(left), ours.mutate(right));
    let their_sides = theirs.map(|theirs| (theirs.mutate(left), theirs.mutate(right)));
    let theirs = theirs.zip(their_sides.as_ref());

    let mut contenders: Vec<Contender<'_>> = vec![("ours", Box::new(|| drop(ours.mutate(left))))];
    if let Some((theirs, _)) = theirs {
        contenders.push(("theirs", Box::new(|| drop(theirs.mutate(left)))));
    }
    ask(&format!("change {n}"), 1, contenders);

    let mut contenders: Vec<Contender<'_>> = vec![("ours", Box::new(|| assert!(ours.diff(&our_left) >= n)))];
    if let Some((theirs, (their_left, _))) = theirs {
        contenders.push(("theirs", Box::new(move || assert!(theirs.diff(their_left) >= n))));
    }
    ask(&format!("diff of {n}"), 1, contenders);

    let mut contenders: Vec<Contender<'_>> = vec![("ours", Box::new(|| ours.merge(&our_left, &our_right)))];
    if let Some((theirs, (their_left, their_right))) = theirs {
        contenders.push(("theirs", Box::new(move || theirs.merge(their_left, their_right))));
    }
    ask(&format!("merge of {n} and {n}"), 1, contenders);
}

fn main() {
    let sizes: Vec<usize> = std::env::args().skip(1).filter_map(|size| size.parse().ok()).collect();
    for n in if sizes.is_empty() { vec![100_000] } else { sizes } {
        run(n);
    }
}
