//! What was aimed at, and what came of it; and where others are faster.

use std::fmt::Write as _;

use super::tables::{Better, TABLES, cell, contenders, short, sizes};
use crate::figures::Results;

struct Aim {
    what: &'static str,
    group: &'static str,
    scenario: &'static str,
    figure: &'static str,
    size: Option<usize>,
    ours: &'static str,
    than: Than,
    better: Better,
}

/// What a figure of ours is held against.
enum Than {
    /// At least so many times as good as the best of these.
    Best(f64, &'static [&'static str]),
    /// At least so many times as good as another figure of somebody.
    Other(f64, &'static str, &'static str, &'static str),
    /// At most a fixed value.
    Value(f64),
    /// At least a fixed value.
    Least(f64),
}

const fn blocks(what: &'static str, scenario: &'static str, figure: &'static str, than: Than) -> Aim {
    Aim {
        what,
        group: "blocks",
        scenario,
        figure,
        size: None,
        ours: "mnem native",
        than,
        better: Better::More,
    }
}

const fn blocks_less(what: &'static str, scenario: &'static str, figure: &'static str, than: Than) -> Aim {
    Aim { better: Better::Less, ..blocks(what, scenario, figure, than) }
}

const fn tree(what: &'static str, scenario: &'static str, than: Than) -> Aim {
    let (group, figure, size, ours) = ("trees", "us", Some(100_000), "mnem");
    Aim { what, group, scenario, figure, size, ours, than, better: Better::Less }
}

const fn facts(what: &'static str, scenario: &'static str, figure: &'static str, than: Than) -> Aim {
    let (group, size, ours) = ("repository", Some(100_000), "mnem redb");
    Aim { what, group, scenario, figure, size, ours, than, better: Better::Less }
}

const fn vectors(what: &'static str, scenario: &'static str, figure: &'static str, than: Than) -> Aim {
    let (group, size, ours) = ("vectors", Some(100_000), "mnem");
    Aim { what, group, scenario, figure, size, ours, than, better: Better::Less }
}

const DURABLE: &[&str] = &["LMDB", "fjall", "fjall-kv", "redb", "SQLite", "canopydb", "RocksDB"];

const AIMS: &[Aim] = &[
    blocks("1-block durable commits", "s1", "commits/s", Than::Best(0.9, &["fjall", "fjall-kv"])),
    blocks("the same", "s1", "commits/s", Than::Best(1.25, &["RocksDB"])),
    blocks("the same", "s1", "commits/s", Than::Best(2.2, &["LMDB", "redb"])),
    blocks("the same", "s1", "commits/s", Than::Best(0.87, &["floor"])),
    blocks("the same with 8 threads", "s1x8", "commits/s", Than::Best(2.0, DURABLE)),
    blocks("32-block durable commits", "s2", "commits/s", Than::Best(2.0, &["fjall", "fjall-kv", "RocksDB"])),
    blocks("import, durable each 10,000", "s3", "blocks/s", Than::Best(1.4, DURABLE)),
    blocks("hot random get", "s4", "gets/s", Than::Best(1.2, &["LMDB"])),
    blocks("hot random get, two threads", "s4x2", "gets/s", Than::Best(1.2, &["LMDB"])),
    blocks("get of an absent key", "s5", "gets/s", Than::Best(2.0, &["LMDB"])),
    blocks("full scan, compressed", "s6", "blocks/s", Than::Best(0.8, &["LMDB"])),
    blocks("full scan, in the pool", "s6 in memory", "blocks/s", Than::Best(1.2, &["LMDB"])),
    blocks_less(
        "cold random get, p50",
        "s7 warm leaves",
        "p50 us",
        Than::Other(0.8, "s7 raw read", "p50 us", "floor"),
    ),
    blocks_less("device reads a cold get, leaves cached", "s7 warm leaves", "reads/get", Than::Value(1.25)),
    blocks_less("device reads a cold get", "s7", "reads/get", Than::Value(2.1)),
    blocks_less("get_many of 64, us a key", "s7", "many us/key", Than::Value(20.0)),
    blocks_less(
        "size after import and close, by the payload",
        "s3",
        "size/payload",
        Than::Best(1.0 / 1.05, &["RocksDB"]),
    ),
    blocks_less("delete half and give back: time", "s8", "both s", Than::Best(1.0, &["RocksDB"])),
    blocks_less("delete half and give back: size", "s8", "size/live", Than::Best(1.0, &["RocksDB"])),
    blocks_less("open after a clean close, ms", "s7", "open ms", Than::Value(5.0)),
    tree("tree: hot get", "get, hot", Than::Best(0.25, &["BTreeMap"])),
    tree("tree: change of 1", "change 1", Than::Best(20.0, &["rival"])),
    tree("tree: change of 100", "change 100", Than::Best(20.0, &["rival"])),
    tree("tree: change of 10,000", "change 10000", Than::Best(20.0, &["rival"])),
    tree("tree: diff of 100", "diff of 100", Than::Best(20.0, &["rival"])),
    tree("tree: diff of 10,000", "diff of 10000", Than::Best(20.0, &["rival"])),
    tree("tree: merge of 100", "merge of 100 and 100", Than::Best(20.0, &["rival"])),
    tree("tree: merge of 10,000", "merge of 10000 and 10000", Than::Best(20.0, &["rival"])),
    vectors("vectors: search p50 at 100,000, us", "nearest", "p50 us", Than::Value(2000.0)),
    vectors("vectors: recall@10", "nearest", "recall", Than::Least(0.999)),
    vectors("vectors: index after 100 changed, ms", "nearest", "change ms", Than::Value(50.0)),
    vectors("vectors: the same, MB", "nearest", "change MB", Than::Value(2.0)),
    facts("repository: commit of 1, at 100,000", "commit of 1", "ms", Than::Best(1000.0, &["rival"])),
];

pub(super) fn section(results: &Results) -> String {
    let mut text = "## Aims\n\nRatios are how many times as good ours is.\n\n\
                    | measure | ours | aim | measured | |\n|---|---:|---|---:|---|\n"
        .to_owned();
    for aim in AIMS {
        let median = |scenario: &str, figure: &str, who: &str| {
            let spreads = results.spreads(aim.group, scenario, figure);
            let mut found = spreads
                .into_iter()
                .filter(|((size, name), _)| name == who && aim.size.is_none_or(|wanted| wanted == *size));
            found.next().map(|(_, spread)| spread.median)
        };
        let Some(ours) = median(aim.scenario, aim.figure, aim.ours) else { continue };
        let ratio = |other: f64| if aim.better == Better::More { ours / other } else { other / ours };
        let (wanted, measured, hit) = match &aim.than {
            Than::Value(value) => (format!("at most {value}"), short(ours), ours <= *value),
            Than::Least(value) => (format!("at least {value}"), short(ours), ours >= *value),
            Than::Best(least, whom) => {
                let others =
                    whom.iter().filter_map(|who| Some((median(aim.scenario, aim.figure, who)?, *who)));
                let best = others.min_by(|one, other| ratio(one.0).total_cmp(&ratio(other.0)));
                let Some((other, who)) = best else { continue };
                (
                    format!("{}x {who}", short(*least)),
                    format!("{}x", short(ratio(other))),
                    ratio(other) >= *least,
                )
            }
            Than::Other(least, scenario, figure, who) => {
                let Some(other) = median(scenario, figure, who) else { continue };
                (
                    format!("{}x {scenario}", short(*least)),
                    format!("{}x", short(ratio(other))),
                    ratio(other) >= *least,
                )
            }
        };
        let hit = if hit { "hit" } else { "**missed**" };
        let _ = writeln!(text, "| {} | {} | {wanted} | {measured} | {hit} |", aim.what, short(ours));
    }
    text.push('\n');
    text
}

/// Each compared figure in which a durable contender is better than the best of our durable backends by a tenth or more.
pub(super) fn losses(results: &Results) -> String {
    let mut text = "## Where we lose\n\nFigures in which another durable contender is better than our best durable one by \
                    a tenth or more. Reasons: the annex.\n\n| | size | ours | the best | |\n|---|---:|---:|---:|---:|\n"
        .to_owned();
    for table in TABLES {
        for size in sizes(table, results) {
            for column in table.columns.iter().filter(|column| column.better != Better::Neither) {
                let is_better = |one: f64, other: f64| (one > other) == (column.better == Better::More);
                let best = |ours: bool| {
                    let names = contenders(table.group).into_iter().filter(|name| {
                        name.starts_with("mnem") == ours
                            && !matches!(
                                *name,
                                "floor"
                                    | "hash map"
                                    | "mnem native, shared"
                                    | "mnem memory"
                                    | "mnem, cold"
                                    | "BTreeMap"
                            )
                    });
                    let found = names
                        .filter_map(|name| Some((name, cell(table, column, size, name, results)?.median)));
                    found.reduce(|one, other| if is_better(one.1, other.1) { one } else { other })
                };
                let (Some(ours), Some(theirs)) = (best(true), best(false)) else { continue };
                let ratio = if column.better == Better::More { theirs.1 / ours.1 } else { ours.1 / theirs.1 };
                if ratio >= 1.1 {
                    let _ = writeln!(
                        text,
                        "| {}: {} | {size} | {} ({}) | {} ({}) | {}x |",
                        table.title,
                        column.head,
                        short(ours.1),
                        ours.0,
                        short(theirs.1),
                        theirs.0,
                        short(ratio)
                    );
                }
            }
        }
    }
    text.push('\n');
    text
}
