//! Nothing that is wrong with what is live is overlooked.

use std::sync::Arc;

use ipld_core::ipld::Ipld;
use mnem_core::object::Object;
use mnem_core::port::{BlockRead, Row};
use mnem_core::repo::CheckReport;
use mnem_core::tree::{Edit, TreeStore, link_value, value_link};
use mnem_core::{Block, Cid, Codec, Commit, MemoryStore, NodeId};

use crate::forge::{
    Forge, HISTORY, INDEX, Rotten, as_node, dag_cbor, encoded, history_row, index_row, link, node, root_of,
};
use crate::kit::{Random, full, options, rich, shown};

/// What is there to be damaged.
struct Example {
    forge: Forge,
    live: Vec<Cid>,
    derived: Vec<Cid>,
    /// Tree nodes that heads reach, with at least two entries.
    nodes: Vec<Cid>,
    inner: Vec<Cid>,
    commits: Vec<Cid>,
    operations: Vec<Cid>,
    edges: Vec<Cid>,
}

impl Example {
    fn new(seed: u64) -> Example {
        let store = MemoryStore::new();
        drop(rich(&store, seed, 60));
        let forge = Forge::of(&store);
        let live: Vec<Cid> = forge.live().into_iter().collect();
        let derived = forge.indexes().difference(&forge.live()).copied().collect();
        let parsed: Vec<(Cid, Ipld)> = live
            .iter()
            .filter(|cid| cid.codec() == Codec::DagCbor)
            .map(|cid| (*cid, forge.ipld(cid)))
            .collect();
        let of_kind = |kind: &str| {
            let is_kind = |value: &Ipld| field(value, "_kind") == Some(Ipld::String(kind.to_owned()));
            parsed.iter().filter(|(_, value)| is_kind(value)).map(|(cid, _)| *cid).collect::<Vec<Cid>>()
        };
        let nodes_where = |is: fn(usize, i128) -> bool| {
            let fits = |value: &Ipld| as_node(value).is_some_and(|(entries, level)| is(entries.len(), level));
            parsed.iter().filter(|(_, value)| fits(value)).map(|(cid, _)| *cid).collect::<Vec<Cid>>()
        };
        Example {
            nodes: nodes_where(|entries, _| entries >= 2),
            inner: nodes_where(|entries, level| level > 0 && entries >= 2),
            commits: of_kind("commit"),
            operations: of_kind("operation"),
            edges: of_kind("edge"),
            live,
            derived,
            forge,
        }
    }

    fn field(&self, cid: &Cid, name: &str, value: Ipld) -> Forge {
        let Ipld::Map(mut map) = self.forge.ipld(cid) else { unreachable!("objects are maps") };
        map.insert(name.to_owned(), value);
        self.forge.replace(*cid, encoded(&Ipld::Map(map)))
    }

    fn number(&self, cid: &Cid, name: &str) -> i128 {
        match field(&self.forge.ipld(cid), name) {
            Some(Ipld::Integer(number)) => number,
            other => unreachable!("{name} is {other:?}"),
        }
    }

    fn rows(&self, table: mnem_core::port::RowTable) -> Vec<usize> {
        let rows = self.forge.rows.iter().enumerate();
        rows.filter(|(_, row)| row.table == table).map(|(at, _)| at).collect()
    }

    fn with_row(&self, at: usize, row: Row) -> Forge {
        let mut forged = self.forge.clone();
        forged.rows[at] = row;
        forged
    }

    fn commit(&self, random: &Random) -> Commit {
        let cid = random.pick(&self.commits);
        Commit::from_block(&self.forge.blocks[cid]).unwrap()
    }

    fn trees(&self) -> TreeStore {
        let store: Arc<dyn BlockRead> = Arc::new(self.forge.store());
        TreeStore::new(store, &options(0).tree_params).unwrap()
    }

    /// Changes entries of a map of some commit.
    fn edited(&self, root: Cid, edits: Vec<Edit>) -> Option<Forge> {
        let mut made: Vec<Block> = Vec::new();
        let tree = self.trees().tree(root).mutate(edits, &mut made).unwrap();
        let mut forge = self.forge.clone();
        forge.blocks.extend(made.into_iter().map(|block| (*block.cid(), block)));
        let new = forge.blocks.get(tree.root())?.bytes().to_vec();
        (*tree.root() != root).then(|| forge.replace(root, new))
    }
}

/// One thing that goes wrong. `None`: there is no place for it, try another.
type Fault = fn(&Example, &Random) -> Option<(MemoryStore, Option<(Cid, usize)>)>;

fn forged(forge: &Forge) -> Option<(MemoryStore, Option<(Cid, usize)>)> {
    Some((forge.store(), None))
}

const FAULTS: &[(&str, Fault)] = &[
    ("a bit of a block flips", |of, random| {
        let bit = random.below(1 << 16);
        Some((of.forge.store(), Some((*random.pick(&of.live), bit))))
    }),
    ("a bit of an index flips", |of, random| {
        Some((of.forge.store(), Some((*random.pick(&of.derived), random.below(1 << 16)))))
    }),
    ("a block is missing", |of, random| {
        let cid = random.pick(&of.live);
        if of.forge.heads.iter().any(|head| head.cid() == cid) {
            return None; // no store lets that happen
        }
        let mut forge = of.forge.clone();
        forge.blocks.remove(cid);
        forged(&forge)
    }),
    ("a block of an index is missing", |of, random| {
        let mut forge = of.forge.clone();
        forge.blocks.remove(random.pick(&of.derived));
        forged(&forge)
    }),
    ("a count is wrong", |of, random| {
        let cid = random.pick(&of.inner);
        let (mut entries, level) = as_node(&of.forge.ipld(cid))?;
        let at = random.below(entries.len());
        let Ipld::List(parts) = &mut entries[at] else { return None };
        let Ipld::Integer(count) = &mut parts[2] else { return None };
        *count += if random.below(2) == 0 { 1 } else { 7 };
        forged(&of.forge.replace(*cid, encoded(&node(entries, level))))
    }),
    ("two entries change places", |of, random| {
        let cid = random.pick(&of.nodes);
        let (mut entries, level) = as_node(&of.forge.ipld(cid))?;
        let at = random.below(entries.len() - 1);
        entries.swap(at, at + 1);
        forged(&of.forge.replace(*cid, encoded(&node(entries, level))))
    }),
    ("an entry stands twice", |of, random| {
        let cid = random.pick(&of.nodes);
        let (mut entries, level) = as_node(&of.forge.ipld(cid))?;
        let at = random.below(entries.len());
        entries.insert(at, entries[at].clone());
        forged(&of.forge.replace(*cid, encoded(&node(entries, level))))
    }),
    ("a level is wrong", |of, random| {
        let cid = random.pick(&of.nodes);
        let (entries, level) = as_node(&of.forge.ipld(cid))?;
        forged(&of.forge.replace(*cid, encoded(&node(entries, level + 1))))
    }),
    ("a node is cut where the rule does not cut", |of, random| {
        let cid = random.pick(&of.inner);
        let (mut entries, level) = as_node(&of.forge.ipld(cid))?;
        let at = random.below(entries.len());
        let child = child_of(&entries[at])?;
        let (below, of_child) = as_node(&of.forge.ipld(&child))?;
        if below.len() < 2 {
            return None;
        }
        let (left, right) = below.split_at(1 + random.below(below.len() - 1));
        let mut forge = of.forge.clone();
        let halves = [left, right].map(|half| {
            let block = dag_cbor(&node(half.to_vec(), of_child));
            let entry = entry(half, block.cid());
            forge.blocks.insert(*block.cid(), block);
            entry
        });
        entries.splice(at..=at, halves);
        forged(&forge.replace(*cid, encoded(&node(entries, level))))
    }),
    ("two nodes are one where the rule cuts", |of, random| {
        let cid = random.pick(&of.inner);
        let (mut entries, level) = as_node(&of.forge.ipld(cid))?;
        let at = random.below(entries.len() - 1);
        let (left, right) = (child_of(&entries[at])?, child_of(&entries[at + 1])?);
        let (mut both, of_child) = as_node(&of.forge.ipld(&left))?;
        both.extend(as_node(&of.forge.ipld(&right))?.0);
        let block = dag_cbor(&node(both.clone(), of_child));
        let mut forge = of.forge.clone();
        entries.splice(at..=at + 1, [entry(&both, block.cid())]);
        forge.blocks.insert(*block.cid(), block);
        forged(&forge.replace(*cid, encoded(&node(entries, level))))
    }),
    ("a root has one child", |of, random| {
        let commit = of.commit(random);
        let root = *random.pick(&[commit.nodes, commit.edges, commit.schema]);
        let (entries, level) = as_node(&of.forge.ipld(&root))?;
        if entries.is_empty() {
            return None;
        }
        let wrapped = node(vec![entry(&entries, &root)], level + 1);
        forged(&of.forge.replace(root, encoded(&wrapped)))
    }),
    ("a length is longer than it need be", |of, random| {
        let cid = random.pick(&of.live);
        let bytes = of.forge.blocks[cid].bytes();
        if cid.codec() == Codec::Raw || !(0xa0..0xb8).contains(&bytes[0]) {
            return None;
        }
        forged(&of.forge.replace(*cid, [&[0xb8, bytes[0] - 0xa0], &bytes[1..]].concat()))
    }),
    ("bytes follow a value", |of, random| {
        let cid = random.pick(&of.live);
        if cid.codec() == Codec::Raw {
            return None;
        }
        forged(&of.forge.replace(*cid, [&of.forge.blocks[cid].bytes()[..], &[0xf6]].concat()))
    }),
    ("an object is of another kind", |of, random| {
        let cid = random.pick(&of.live);
        if cid.codec() == Codec::Raw || field(&of.forge.ipld(cid), "_kind").is_none() {
            return None;
        }
        forged(&of.field(cid, "_kind", Ipld::String("bundle".to_owned())))
    }),
    ("a generation is wrong", |of, random| {
        let cid = if random.below(2) == 0 { random.pick(&of.commits) } else { random.pick(&of.operations) };
        let wrong = of.number(cid, "gen") + 1 + i128::try_from(random.below(3)).unwrap();
        forged(&of.field(cid, "gen", Ipld::Integer(wrong)))
    }),
    ("a depth is wrong", |of, random| {
        let cid = random.pick(&of.commits);
        forged(&of.field(cid, "depth", Ipld::Integer(of.number(cid, "depth") + 1)))
    }),
    ("a skip link leads elsewhere", |of, random| {
        let cid = random.pick(&of.commits);
        let skip = field(&of.forge.ipld(cid), "skip")?;
        // Whatever lies behind it but the right one.
        let behind = of.forge.reach([*cid]);
        let others = of.commits.iter().filter(|it| behind.contains(it) && link(it) != skip && it != &cid);
        let others: Vec<Cid> = others.copied().collect();
        if others.is_empty() {
            return None;
        }
        forged(&of.field(cid, "skip", link(random.pick(&others))))
    }),
    ("the time of a skip link is wrong", |of, random| {
        let cid = random.pick(&of.commits);
        field(&of.forge.ipld(cid), "skip")?;
        forged(&of.field(cid, "skip_time", Ipld::Integer(of.number(cid, "skip_time") - 1)))
    }),
    ("a commit is not later than its parent", |of, random| {
        let cid = random.pick(&of.commits);
        field(&of.forge.ipld(cid), "skip")?;
        forged(&of.field(cid, "time", Ipld::Integer(1)))
    }),
    ("an index is that of another map", |of, random| {
        let rows = of.rows(INDEX);
        let (at, other) = (*random.pick(&rows), *random.pick(&rows));
        let (row, root) = (&of.forge.rows[at], root_of(&of.forge.rows[other]));
        if root_of(row) == root {
            return None;
        }
        forged(&of.with_row(at, index_row(row, &root)))
    }),
    ("the history of a commit is that of another", |of, random| {
        let rows = of.rows(HISTORY);
        let (at, other) = (*random.pick(&rows), *random.pick(&rows));
        let body = |at: usize| of.forge.rows[at].value.clone().unwrap().slice(16..);
        if body(at) == body(other) || of.forge.rows[at].key.len() != of.forge.rows[other].key.len() {
            return None;
        }
        forged(&of.with_row(at, history_row(&of.forge.rows[at], &body(other))))
    }),
    ("the history of a commit leaves something out", |of, random| {
        let at = *random.pick(&of.rows(HISTORY));
        let row = &of.forge.rows[at];
        let Ok(Ipld::List(mut parts)) = mnem_core::codec::decode(&row.value.as_ref().unwrap()[16..]) else {
            return None;
        };
        let Ipld::List(own) = &mut parts[2] else { return None };
        own.pop()?;
        forged(&of.with_row(at, history_row(row, &encoded(&Ipld::List(parts)))))
    }),
    ("a row is torn", |of, random| {
        let at = random.below(of.forge.rows.len());
        let row = &of.forge.rows[at];
        let mut value = row.value.clone().unwrap().to_vec();
        match random.below(3) {
            0 => value.truncate(random.below(value.len())),
            1 => value.push(0),
            _ => {
                let bit = random.below(value.len() * 8);
                value[bit / 8] ^= 1 << (bit % 8);
            }
        }
        forged(&of.with_row(at, Row { value: Some(value.into()), ..row.clone() }))
    }),
    ("an edge leads to nowhere", |of, random| {
        let cid = random.pick(&of.edges);
        let end = if random.below(2) == 0 { "src" } else { "dst" };
        forged(&of.field(cid, end, Ipld::Bytes(vec![9; 16])))
    }),
    ("an edge is at the place of another", |of, random| {
        let cid = random.pick(&of.edges);
        forged(&of.field(cid, "id", Ipld::Bytes(vec![9; 16])))
    }),
    ("a node goes and its edges stay", |of, random| {
        let commit = of.commit(random);
        let trees = of.trees();
        let edge = trees.tree(commit.edges).iter().next()?.unwrap();
        let cid = value_link(&edge.value)?;
        let Some(Ipld::Bytes(src)) = field(&of.forge.ipld(&cid), "src") else { return None };
        of.edited(commit.nodes, vec![Edit { key: src.into(), value: None }]).and_then(|forge| forged(&forge))
    }),
    ("a node is at the place of another", |of, random| {
        let commit = of.commit(random);
        let trees = of.trees();
        let length = trees.tree(commit.nodes).len().unwrap();
        let nth = |n: u64| trees.tree(commit.nodes).nth(n % length.max(1)).unwrap();
        let (one, other) = (nth(random.next())?, nth(random.next())?);
        of.edited(commit.nodes, vec![Edit { key: one.key, value: Some(other.value) }])
            .and_then(|forge| forged(&forge))
    }),
    ("what is in conflict is not listed", |of, random| {
        let commit = of.commit(random);
        let trees = of.trees();
        let length = trees.tree(commit.conflicts).len().unwrap();
        let entry = trees.tree(commit.conflicts).nth(random.next() % length.max(1)).unwrap()?;
        of.edited(commit.conflicts, vec![Edit { key: entry.key, value: None }])
            .and_then(|forge| forged(&forge))
    }),
    ("what is listed is not in conflict", |of, random| {
        let commit = of.commit(random);
        let value = link_value(&commit.nodes);
        let key = [&b"n"[..], NodeId::from_time_and_random(1, [1; 10]).as_bytes()].concat();
        of.edited(commit.conflicts, vec![Edit { key: key.into(), value: Some(value) }])
            .and_then(|forge| forged(&forge))
    }),
    ("a vector has no node", |of, random| {
        let commit = of.commit(random);
        let trees = of.trees();
        let map = trees.tree(commit.vectors).get(b"m").unwrap()?;
        let map = value_link(&map)?;
        let entry = trees.tree(map).iter().next()?.unwrap();
        of.edited(map, vec![Edit { key: vec![9; 16].into(), value: Some(entry.value) }])
            .and_then(|forge| forged(&forge))
    }),
];

fn field(of: &Ipld, name: &str) -> Option<Ipld> {
    match of {
        Ipld::Map(map) => map.get(name).cloned(),
        _ => None,
    }
}

fn child_of(entry: &Ipld) -> Option<Cid> {
    match entry {
        Ipld::List(parts) => match parts.get(1) {
            Some(Ipld::Link(cid)) if parts.len() == 3 => Cid::try_from(cid).ok(),
            _ => None,
        },
        _ => None,
    }
}

/// The entry of a child that has these entries.
fn entry(of: &[Ipld], cid: &Cid) -> Ipld {
    let parts = |entry: &Ipld| match entry {
        Ipld::List(parts) => parts.clone(),
        _ => unreachable!("entries are lists"),
    };
    let count = of.iter().map(|entry| match parts(entry).get(2) {
        Some(Ipld::Integer(count)) => *count,
        _ => 1,
    });
    let last = parts(of.last().unwrap())[0].clone();
    Ipld::List(vec![last, link(cid), Ipld::Integer(count.sum())])
}

fn check(store: MemoryStore, flipped: Option<(Cid, usize)>) -> CheckReport {
    let rotten = Rotten::new(store);
    if let Some((cid, bit)) = flipped {
        rotten.rot(cid, bit);
    }
    full(rotten)
}

/// Damages a store so often, in every way in turn.
fn inject(faults: usize, seed: u64) {
    let example = Example::new(seed);
    assert!(example.derived.len() > 100 && example.inner.len() > 50, "there is little to damage");
    assert_eq!(shown(&full(example.forge.store())), Vec::<String>::new());
    let random = Random::new(seed);
    let mut overlooked = Vec::new();
    for n in 0..faults {
        let (name, fault) = FAULTS[n % FAULTS.len()];
        let made = (0..1000).find_map(|_| fault(&example, &random));
        let Some((store, flipped)) = made else { panic!("there is no place where {name}") };
        let report = check(store, flipped);
        let names_it = flipped.is_none_or(|(cid, _)| report.findings.iter().any(|it| it.cid == Some(cid)));
        if report.is_clean() || report.findings.is_empty() || !names_it {
            overlooked.push(format!("{n}: {name} {flipped:?}"));
        }
    }
    assert_eq!(overlooked, Vec::<String>::new(), "of {faults}");
}

#[test]
fn whatever_is_wrong_with_live_bytes_is_found() {
    inject(FAULTS.len() * 6, 1);
}

/// About five minutes.
#[test]
#[ignore = "long: run it when the check or the format changes"]
fn of_ten_thousand_faults_none_is_overlooked() {
    inject(10_000, 2);
}

#[test]
fn what_is_wrong_with_dead_bytes_changes_no_answer() {
    let example = Example::new(1);
    let dead = Block::new(Codec::DagCbor, encoded(&Ipld::String("nobody needs it".to_owned())));
    let mut forge = example.forge.clone();
    forge.blocks.insert(*dead.cid(), dead.clone());
    let report = check(forge.store(), Some((*dead.cid(), 3)));
    assert_eq!(shown(&report), Vec::<String>::new());
    assert_eq!(report.checked.commits, full(example.forge.store()).checked.commits);
}
