//! How many instructions do hot operations take? Counted, not timed: the same on a busy machine.
//!
//! valgrind counts two children of this program, of which one does the operation more often; the difference is the
//! operation. `instructions.txt` holds what was recorded; more than 3 % above it fails. Counts depend on the compiler and
//! on what the processor offers (recorded: x86-64 with AVX2): record anew where either changes, in a commit of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use mnem::{Actor, NodeId, Repo, props};
use mnem_backend_native::{MaintenancePolicy, StorageEngine, StorageOptions};
use mnem_core::port::{
    BlockRead, Blockstore, Collector, HeadsUpdate, Namespace, OpHeadsStore, Store, Swap, WriteBatch,
};
use mnem_core::{Cid, MemoryStore, OperationId};

use crate::random::Random;
use crate::text::Text;
use crate::trees::ours::Lab;

const RISE_MAX: f64 = 0.03;
const ENTRIES: usize = 10_000;

/// An operation, and how often it is done to be counted.
const OPERATIONS: [(&str, usize); 9] = [
    ("native: get of a block, hit", 20_000),
    ("native: get of an absent block", 20_000),
    ("native: put of a block", 1000),
    ("native: commit of a block", 1000),
    ("tree: get", 20_000),
    ("tree: change of 1", 500),
    ("tree: get, nodes decoded each time", 500),
    ("repository: commit of 1, in memory", 100),
    ("repository: get of a node, in memory", 5000),
];

/// Counts, and compares or records.
pub(crate) fn run(record: bool) -> Result<(), String> {
    let baseline = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.txt");
    let mut counts = BTreeMap::new();
    for (operation, times) in OPERATIONS {
        let (few, many) = (counted(operation, times)?, counted(operation, 2 * times)?);
        let each = (many - few) / times as f64;
        println!("{operation}: {each:.0}");
        counts.insert(operation.to_owned(), each);
    }
    if record {
        let lines = counts.iter().map(|(operation, count)| format!("{operation}: {count:.0}\n"));
        return fs::write(&baseline, lines.collect::<String>()).map_err(|error| error.to_string());
    }
    let text = fs::read_to_string(&baseline).map_err(|error| format!("{}: {error}", baseline.display()))?;
    let risen = risen(&read(&text), &counts);
    if risen.is_empty() { Ok(()) } else { Err(format!("more than before:\n  {}", risen.join("\n  "))) }
}

fn read(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter_map(|line| line.rsplit_once(": "));
    lines.filter_map(|(name, count)| Some((name.to_owned(), count.parse().ok()?))).collect()
}

fn risen(before: &BTreeMap<String, f64>, now: &BTreeMap<String, f64>) -> Vec<String> {
    let worse = now.iter().filter_map(|(name, count)| {
        let Some(before) = before.get(name) else { return Some(format!("{name}: not recorded")) };
        (*count > before * (1.0 + RISE_MAX)).then(|| format!("{name}: {count:.0}, recorded {before:.0}"))
    });
    worse.collect()
}

/// Returns the instructions of a whole child.
fn counted(operation: &str, times: usize) -> Result<f64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["count", operation, &times.to_string()])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find_map(|line| line.split_once("Collected :"));
    let count = line.and_then(|(_, count)| count.trim().parse().ok());
    count.ok_or_else(|| format!("{operation}: valgrind did not count\n{text}"))
}

/// A child's work: what is needed for it, and the operation `times` times.
pub(crate) fn work(operation: &str, times: usize) {
    match operation.split_once(':') {
        Some(("native", _)) => native(operation, times),
        Some(("tree", _)) => tree(operation, times),
        _ => repository(operation, times),
    }
}

fn scratch() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("mnem-bench-count-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    folder
}

fn native(operation: &str, times: usize) {
    let folder = scratch();
    // Without a second thread: what that does between two counts is not always the same.
    let options = StorageOptions { maintenance: MaintenancePolicy::Inline, ..StorageOptions::default() };
    let store = StorageEngine::init(&folder, options).expect("a store");
    let blocks = Text::new(1).blocks(0..4 * 1000);
    store.put_many(&blocks[2000..]).expect("put");
    store.checkpoint().expect("a checkpoint");
    let cids: Vec<Cid> = blocks[2000..].iter().map(|block| *block.cid()).collect();
    cids.iter().for_each(|cid| assert!(store.get(cid).expect("get").is_some()));
    let mut random = Random(3);
    match operation {
        "native: get of a block, hit" => {
            (0..times)
                .for_each(|_| drop(store.get(&cids[random.below(cids.len())]).expect("get").expect("it")));
        }
        "native: get of an absent block" => {
            let absent: Vec<Cid> = blocks[..1000].iter().map(|block| *block.cid()).collect();
            (0..times).for_each(|_| assert!(store.get(&absent[random.below(1000)]).expect("get").is_none()));
        }
        "native: put of a block" => blocks[..times].iter().for_each(|block| store.put(block).expect("put")),
        _ => {
            let name = Namespace::new("count").expect("a name");
            for block in &blocks[..times] {
                let old = store.heads(&name).expect("heads");
                let heads = HeadsUpdate::advance(name.clone(), &old, OperationId::new(*block.cid()));
                let lease = store.lease(&[]).expect("a lease");
                let batch = WriteBatch { blocks: std::slice::from_ref(block), heads: &heads, rows: &[] };
                assert_eq!(store.commit(&lease, &batch).expect("a commit"), Swap::Done);
            }
        }
    }
    drop(store);
    let _ = fs::remove_dir_all(&folder);
}

fn tree(operation: &str, times: usize) {
    let mut random = Random(7);
    let mut entries: Vec<([u8; 16], u64)> = (0..ENTRIES).map(|_| (random.key(), random.next())).collect();
    entries.sort_unstable();
    let lab = Lab::new(&entries);
    match operation {
        "tree: get" => (0..times).for_each(|_| assert!(lab.get(&entries[random.below(ENTRIES)].0))),
        "tree: change of 1" => (0..times).for_each(|_| {
            let key = entries[random.below(ENTRIES)].0;
            drop(lab.mutate(&vec![(key, random.next())]));
        }),
        _ => {
            let tree = lab.uncached();
            (0..times)
                .for_each(|_| drop(tree.get(&entries[random.below(ENTRIES)].0).expect("get").expect("it")));
        }
    }
}

fn repository(operation: &str, times: usize) {
    let repo = Repo::init(Arc::new(MemoryStore::new()), mnem::system_options()).expect("a repository");
    let me = Actor::named("count");
    let mut tx = repo.begin(&me).expect("a transaction");
    let ids: Vec<NodeId> =
        (0..1000).map(|number| tx.add_node("Claim", props! { number: number }).expect("a node")).collect();
    tx.commit("all").expect("a commit");
    let mut random = Random(5);
    if operation.contains("get") {
        let head = repo.head().expect("a head");
        return (0..times).for_each(|_| drop(head.require(ids[random.below(1000)]).expect("a node")));
    }
    for number in 0..times {
        let mut tx = repo.begin(&me).expect("a transaction");
        tx.set(ids[random.below(1000)], "number", number as i64).expect("set");
        tx.commit("one").expect("a commit");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rise_above_three_in_a_hundred_is_found() {
        let before = read("tree: get: 100\nnative: put of a block: 1000\n");
        assert_eq!(risen(&before, &read("tree: get: 103\nnative: put of a block: 500\n")), [""; 0]);
        assert_eq!(risen(&before, &read("tree: get: 104")), ["tree: get: 104, recorded 100"]);
        assert_eq!(risen(&before, &read("new: 1")), ["new: not recorded"]);
    }
}
