//! Which figures are shown, and how.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::figures::{Results, Spread};
use crate::{blocks, repository, trees, vectors};

/// Figures of one group of scenarios, a line for each contender.
pub(crate) struct Table {
    pub(crate) group: &'static str,
    pub(crate) title: &'static str,
    pub(crate) says: &'static str,
    pub(crate) columns: &'static [Column],
    /// Which column is drawn.
    pub(crate) chart: Option<usize>,
}

pub(crate) struct Column {
    pub(crate) head: &'static str,
    pub(crate) scenario: &'static str,
    pub(crate) figure: &'static str,
    pub(crate) better: Better,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
    /// Shown, not compared.
    Neither,
}

const fn more(head: &'static str, scenario: &'static str, figure: &'static str) -> Column {
    Column { head, scenario, figure, better: Better::More }
}

const fn less(head: &'static str, scenario: &'static str, figure: &'static str) -> Column {
    Column { head, scenario, figure, better: Better::Less }
}

const fn also(head: &'static str, scenario: &'static str, figure: &'static str) -> Column {
    Column { head, scenario, figure, better: Better::Neither }
}

pub(crate) const TABLES: &[Table] = &[
    Table {
        group: "blocks",
        title: "Durable commits of 1 block",
        says: "S1: one thread. The block and a head, durable on return.",
        columns: &[
            more("commits/s", "s1", "commits/s"),
            less("p50 us", "s1", "p50 us"),
            also("p99 us", "s1", "p99 us"),
            also("cpu us", "s1", "cpu us"),
            also("bytes written", "s1", "written bytes"),
            also("syncs", "s1", "syncs/commit"),
            also("writes", "s1", "writes/commit"),
        ],
        chart: Some(0),
    },
    Table {
        group: "blocks",
        title: "Durable commits of 1 block by 8 threads",
        says: "S1x8: each thread moves a head of its own.",
        columns: &[
            more("commits/s", "s1x8", "commits/s"),
            less("p50 us", "s1x8", "p50 us"),
            also("p99 us", "s1x8", "p99 us"),
            also("bytes written", "s1x8", "written bytes"),
        ],
        chart: Some(0),
    },
    Table {
        group: "blocks",
        title: "Durable commits of 32 blocks",
        says: "S2: one thread.",
        columns: &[
            more("commits/s", "s2", "commits/s"),
            less("p50 us", "s2", "p50 us"),
            also("p99 us", "s2", "p99 us"),
            also("cpu us", "s2", "cpu us"),
            also("bytes written", "s2", "written bytes"),
            also("syncs", "s2", "syncs/commit"),
            also("writes", "s2", "writes/commit"),
        ],
        chart: Some(0),
    },
    Table {
        group: "blocks",
        title: "Import",
        says: "S3: all blocks in commits of 10,000, each durable. Size on the disk after closing, by the payload; a log that is used again and again apart.",
        columns: &[
            more("blocks/s", "s3", "blocks/s"),
            more("with close", "s3", "blocks/s with close"),
            also("cpu us", "s3", "cpu us"),
            also("bytes written", "s3", "written bytes"),
            less("size/payload", "s3", "size/payload"),
            also("log MiB", "s3", "log MiB"),
            also("memory MiB", "s3", "memory MiB"),
        ],
        chart: Some(0),
    },
    Table {
        group: "blocks",
        title: "Hot reads",
        says: "S4, S5, S6: everything fits in memory and was read before; every byte is looked at. Last column: all blocks in the engine's best order, opened anew with its defaults.",
        columns: &[
            more("gets/s", "s4", "gets/s"),
            more("two threads", "s4x2", "gets/s"),
            more("absent keys/s", "s5", "gets/s"),
            more("scan in memory, blocks/s", "s6 in memory", "blocks/s"),
            more("scan, blocks/s", "s6", "blocks/s"),
        ],
        chart: Some(0),
    },
    Table {
        group: "blocks",
        title: "Cold reads",
        says: "S7: the system's cache is dropped, read-ahead is off where an engine can be told. Open; single gets of distinct keys; then 64 keys at a time where an engine can do that. The line of the floor is a raw read of 16 KiB past all caches.",
        columns: &[
            less("open ms", "s7", "open ms"),
            less("p50 us", "s7", "p50 us"),
            also("p99 us", "s7", "p99 us"),
            also("reads/get", "s7", "reads/get"),
            less("with leaves in memory, p50 us", "s7 warm leaves", "p50 us"),
            also("reads/get", "s7 warm leaves", "reads/get"),
            less("many, us/key", "s7", "many us/key"),
        ],
        chart: None,
    },
    Table {
        group: "blocks",
        title: "Delete half, give the space back",
        says: "S8: size on the disk after it, by what is left.",
        columns: &[
            less("both, s", "s8", "both s"),
            also("deletes/s", "s8", "deletes/s"),
            also("reclaim s", "s8", "reclaim s"),
            less("size/live", "s8", "size/live"),
        ],
        chart: None,
    },
    Table {
        group: "repository",
        title: "Commits of facts",
        says: "New nodes in one durable commit, into a repository of so many; a change of one property of one node; import by 10,000.",
        columns: &[
            less("of 1, ms", "commit of 1", "ms"),
            less("of 100, ms", "commit of 100", "ms"),
            less("of 10,000, ms", "commit of 10,000", "ms"),
            less("change of 1, ms", "change of 1", "ms"),
            more("import, nodes/s", "import", "nodes/s"),
            also("bytes for 1", "commit of 1", "written bytes"),
        ],
        chart: Some(0),
    },
    Table {
        group: "repository",
        title: "Questions to facts",
        says: "Single questions, each asked as a program would, the current state being looked up each time.",
        columns: &[
            less("get, us", "get", "us"),
            less("neighbours, us", "neighbours", "us"),
            less("find by property, us", "find by property", "us"),
            less("get in the past, us", "get in the past", "us"),
            less("history of one, ms", "history of one", "ms"),
        ],
        chart: Some(0),
    },
    Table {
        group: "repository",
        title: "Comparing, merging, copying, opening facts",
        says: "A diff over 100 changed nodes, a merge of two sides with 100 each, a second repository with everything, opening.",
        columns: &[
            less("diff, ms", "diff of 100", "ms"),
            less("merge, ms", "merge of 100 and 100", "ms"),
            less("clone, s", "clone", "s"),
            less("open, ms", "open and get one", "ms"),
            less("size, MiB", "size", "MiB"),
            also("memory, MiB", "size", "memory MiB"),
        ],
        chart: None,
    },
    Table {
        group: "repository",
        title: "Many small commits",
        says: "A node or a change each, on 1,000 nodes: 10,000 commits (the rival 500), their speed, what they take on the disk, and a get in the state before all of them.",
        columns: &[
            more("commits/s", "small commits", "commits/s"),
            less("KiB a commit", "small commits", "KiB/commit"),
            less("get at the start, us", "small commits", "get in the past us"),
        ],
        chart: None,
    },
    Table {
        group: "trees",
        title: "Trees",
        says: "In memory. Times in microseconds.",
        columns: &[
            less("build", "build", "us"),
            less("get", "get, hot", "us"),
            less("change 1", "change 1", "us"),
            less("change 100", "change 100", "us"),
            less("change 10,000", "change 10000", "us"),
            less("diff of 1", "diff of 1", "us"),
            less("diff of 100", "diff of 100", "us"),
            less("diff of 10,000", "diff of 10000", "us"),
            less("merge of 100", "merge of 100 and 100", "us"),
            less("merge of 10,000", "merge of 10000 and 10000", "us"),
        ],
        chart: None,
    },
    Table {
        group: "vectors",
        title: "Nearest vectors",
        says: "384 dimensions around 500 centers: the ten nearest of 200 questions, beside the truth. The set is easy: it ranks speed, and checks that nobody buys it with recall. Building ours is a commit of nodes and vectors, and the index of them. Last columns: the index after 100 of the vectors changed.",
        columns: &[
            less("build, s", "nearest", "build s"),
            less("search p50, us", "nearest", "p50 us"),
            also("p99, us", "nearest", "p99 us"),
            more("recall@10", "nearest", "recall"),
            less("memory, MiB", "nearest", "memory MiB"),
            also("change, ms", "nearest", "change ms"),
            also("change, MB", "nearest", "change MB"),
        ],
        chart: Some(1),
    },
];

/// Contenders in the order in which they are shown.
pub(crate) fn contenders(group: &str) -> Vec<&'static str> {
    match group {
        "blocks" => blocks::engines::KINDS.iter().map(|kind| kind.name).collect(),
        "repository" => repository::CONTENDERS.to_vec(),
        "vectors" => vectors::CONTENDERS.to_vec(),
        _ => trees::CONTENDERS.to_vec(),
    }
}

/// Sizes that a table has figures of, most of them one.
pub(crate) fn sizes(table: &Table, results: &Results) -> Vec<usize> {
    let spreads =
        table.columns.iter().map(|column| results.spreads(table.group, column.scenario, column.figure));
    let sizes: BTreeSet<usize> =
        spreads.flat_map(|spreads| spreads.into_keys().map(|(size, _)| size)).collect();
    if table.group == "blocks" {
        // A contender that is slow gets fewer blocks, in the same table.
        return sizes.into_iter().max().into_iter().collect();
    }
    sizes.into_iter().collect()
}

/// The spread of one cell.
pub(crate) fn cell(
    table: &Table,
    column: &Column,
    size: usize,
    contender: &str,
    results: &Results,
) -> Option<Spread> {
    let spreads = results.spreads(table.group, column.scenario, column.figure);
    let exact = spreads.get(&(size, contender.to_owned())).copied();
    let any = || spreads.iter().find(|((_, name), _)| name == contender).map(|(_, spread)| *spread);
    exact.or_else(|| if table.group == "blocks" { any() } else { None })
}

pub(crate) fn markdown(table: &Table, results: &Results) -> String {
    let mut text = String::new();
    for size in sizes(table, results) {
        let of = if table.group == "blocks" { "blocks" } else { "entries" };
        let of = match table.group {
            "repository" => "nodes",
            "vectors" => "vectors",
            _ => of,
        };
        let _ = write!(text, "## {}, {} {of}\n\n{}\n\n| |", table.title, thousands(size as f64), table.says);
        for column in table.columns {
            let _ = write!(text, " {} |", column.head);
        }
        text.push_str("\n|---|");
        table.columns.iter().for_each(|_| text.push_str("---:|"));
        text.push('\n');
        for contender in contenders(table.group) {
            let cells: Vec<Option<Spread>> =
                table.columns.iter().map(|column| cell(table, column, size, contender, results)).collect();
            if cells.iter().all(Option::is_none) {
                continue;
            }
            let _ = write!(text, "| {contender} |");
            for cell in cells {
                let _ = write!(text, " {} |", cell.map_or("–".to_owned(), shown));
            }
            text.push('\n');
        }
        text.push('\n');
    }
    text
}

fn shown(spread: Spread) -> String {
    let mark = if spread.busy { "~" } else { "" };
    let median = short(spread.median);
    if spread.rounds == 1 {
        return format!("{mark}{median}");
    }
    format!("{mark}{median} ({}–{})", short(spread.min), short(spread.max))
}

/// Three digits that count, and no more than needed.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        100.0.. => thousands(value),
        10.0..100.0 => format!("{value:.1}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.2}"),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_show_three_digits() {
        assert_eq!(
            [1234567.0, 123.4, 99.94, 1.2345, 0.0].map(short),
            ["1,234,567", "123", "99.9", "1.23", "0"]
        );
    }
}
