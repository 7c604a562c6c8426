//! T7: what an operation reads and writes, counted. The bounds are those that the format was chosen for; they hold
//! without a cache, for trees of a million entries of 16-byte keys and links.

use std::sync::Arc;

use bytes::Bytes;
use mnem_core::Block;
use mnem_core::counting::Counting;
use mnem_core::tree::{Dispute, Edit, KeyRange, NodeCache, Order, Tree, TreeError, TreeParams, TreeStore};

use crate::support::{Blocks, Random};

struct Lab {
    random: Random,
    keys: Vec<[u8; 16]>,
    blocks: Arc<Blocks>,
    counting: Arc<Counting>,
    tree: Tree,
}

impl Lab {
    fn new(n: usize) -> Lab {
        let mut random = Random(3);
        let mut keys: Vec<[u8; 16]> = (0..n).map(|_| random.bytes(16).try_into().unwrap()).collect();
        keys.sort_unstable();
        let blocks = Blocks::new();
        let counting = Arc::new(Counting::new(blocks.clone()));
        let store = TreeStore::new(counting.clone(), &TreeParams::V1).unwrap();
        let entries = keys.iter().map(|key| (key, random.link()));
        let tree = store.build(entries, &mut blocks.as_ref()).unwrap();
        Lab { random, keys, blocks, counting, tree }
    }

    /// Draws `n` edits with new values: of keys that are there, or of keys that `key` draws.
    fn updates(&mut self, n: usize) -> Vec<Edit> {
        let keys: Vec<[u8; 16]> = (0..n).map(|_| self.keys[self.random.index(self.keys.len())]).collect();
        self.edits(keys)
    }

    fn inserts(&mut self, n: usize, prefix: &[u8]) -> Vec<Edit> {
        let key = |random: &mut Random| -> [u8; 16] {
            [prefix, &random.bytes(16)[prefix.len()..]].concat().try_into().unwrap()
        };
        let keys = (0..n).map(|_| key(&mut self.random)).collect();
        self.edits(keys)
    }

    fn edits(&mut self, mut keys: Vec<[u8; 16]>) -> Vec<Edit> {
        keys.sort_unstable();
        keys.dedup();
        let value = |random: &mut Random| Some(Bytes::from(random.link()));
        keys.iter()
            .map(|key| Edit { key: Bytes::copy_from_slice(key), value: value(&mut self.random) })
            .collect()
    }

    /// Makes the edits, and returns the tree with how many nodes were written and read.
    fn mutate(&mut self, edits: Vec<Edit>) -> (Tree, u64, u64) {
        let mut made: Vec<Block> = Vec::new();
        self.counting.take_reads();
        let tree = self.tree.mutate(edits, &mut made).unwrap();
        let (written, read) = (made.len() as u64, self.counting.take_reads());
        self.blocks.add(made);
        (tree, written, read)
    }

    /// Repeats an operation and checks the worst of what it writes and reads.
    #[track_caller]
    fn check(
        &mut self,
        what: &str,
        writes_max: u64,
        reads_max: u64,
        mut run: impl FnMut(&mut Lab) -> (u64, u64),
    ) {
        let runs: Vec<(u64, u64)> = (0..20).map(|_| run(self)).collect();
        let worst = |of: fn(&(u64, u64)) -> u64| runs.iter().map(of).max().unwrap();
        let mean = |of: fn(&(u64, u64)) -> u64| runs.iter().map(of).sum::<u64>() as f64 / runs.len() as f64;
        let (written, read) = (|run: &(u64, u64)| run.0, |run: &(u64, u64)| run.1);
        println!(
            "{what}: writes {:.1} at most {} of {writes_max}, reads {:.1} at most {} of {reads_max}",
            mean(written),
            worst(written),
            mean(read),
            worst(read)
        );
        assert!(worst(written) <= writes_max && worst(read) <= reads_max, "{what}");
    }
}

fn check_bounds(n: usize) {
    let mut lab = Lab::new(n);
    lab.check("one get", 0, 4, |lab| {
        let key = lab.keys[lab.random.index(lab.keys.len())];
        lab.counting.take_reads();
        assert!(lab.tree.get(&key).unwrap().is_some());
        (0, lab.counting.take_reads())
    });
    lab.check("one update", 5, 14, |lab| {
        let edits = lab.updates(1);
        let (_, written, read) = lab.mutate(edits);
        (written, read)
    });
    lab.check("100 appended", 10, 14, |lab| {
        let edits = lab.inserts(100, &[0xff; 8]);
        let (_, written, read) = lab.mutate(edits);
        (written, read)
    });
    lab.check("100 inserted", 210, 700, |lab| {
        let edits = lab.inserts(100, b"");
        let (_, written, read) = lab.mutate(edits);
        (written, read)
    });
    for (changes, reads_max) in [(1, 10), (100, 420)] {
        lab.check(&format!("diff of {changes}"), 0, reads_max, |lab| {
            let edits = lab.updates(changes);
            let (other, ..) = lab.mutate(edits);
            let diff = lab.tree.diff(&other, KeyRange::ALL, Order::Ascending);
            assert!(diff.filter(Result::is_ok).count().abs_diff(changes) <= 1);
            (0, lab.counting.take_reads())
        });
    }
    lab.check("first of 100 differences", 0, 8, |lab| {
        let edits = lab.updates(100);
        let (other, ..) = lab.mutate(edits);
        lab.tree.diff(&other, KeyRange::ALL, Order::Descending).next().unwrap().unwrap();
        (0, lab.counting.take_reads())
    });
    lab.check("diff of equal roots", 0, 0, |lab| {
        assert_eq!(lab.tree.diff(&lab.tree, KeyRange::ALL, Order::Ascending).count(), 0);
        (0, lab.counting.take_reads())
    });
    lab.check("merge of 10 and 10", 60, 250, |lab| {
        let (left, right) = (lab.updates(10), lab.updates(10));
        let ((left, ..), (right, ..)) = (lab.mutate(left), lab.mutate(right));
        let mut made: Vec<Block> = Vec::new();
        left.merge(&lab.tree, &right, greater, &mut made).unwrap();
        (made.len() as u64, lab.counting.take_reads())
    });
}

fn greater(dispute: Dispute) -> Result<Option<Bytes>, TreeError> {
    Ok(dispute.left.max(dispute.right))
}

#[test]
fn t7_reads_and_writes_stay_within_bounds() {
    check_bounds(100_000);
}

#[test]
#[ignore = "long: a million entries"]
fn t7_reads_and_writes_stay_within_bounds_at_a_million() {
    check_bounds(1_000_000);
}

/// With a cache, what was read once is not read again, whatever the operation.
#[test]
fn a_second_identical_operation_reads_nothing() {
    let mut lab = Lab::new(20_000);
    let cache = Arc::new(NodeCache::new(&TreeParams::V1, 64 << 20).unwrap());
    let store = TreeStore::with_cache(lab.counting.clone(), cache.clone());
    let (left, right) = (lab.updates(10), lab.inserts(10, b""));
    let ((left, ..), (right, ..)) = (lab.mutate(left), lab.mutate(right.clone()));
    let [base, left, right] = [&lab.tree, &left, &right].map(|tree| store.tree(*tree.root()));
    let key = lab.keys[77];
    let run = || {
        let mut made: Vec<Block> = Vec::new();
        base.get(&key).unwrap();
        base.get_many(&lab.keys[..50]).unwrap();
        base.prefix(&[7], Order::Descending).for_each(|entry| drop(entry.unwrap()));
        left.diff(&right, KeyRange::ALL, Order::Ascending).for_each(|change| drop(change.unwrap()));
        left.merge(&base, &right, greater, &mut made).unwrap();
        lab.counting.take_reads()
    };
    assert!(run() > 0);
    assert_eq!(run(), 0);
    assert!(cache.bytes() > 0 && cache.bytes() <= 64 << 20);
    cache.clear();
    assert!(run() > 0);
}

#[test]
fn a_cache_stays_within_its_bytes() {
    let lab = Lab::new(20_000);
    let cache = Arc::new(NodeCache::new(&TreeParams::V1, 100 << 10).unwrap());
    let tree = TreeStore::with_cache(lab.blocks.clone(), cache.clone()).tree(*lab.tree.root());
    assert_eq!(tree.iter().filter(Result::is_ok).count(), 20_000);
    assert!(cache.bytes() <= 100 << 10, "{}", cache.bytes());
}

/// Each node on the way is read once, however many keys lead through it.
#[test]
fn get_many_reads_each_node_once() {
    let lab = Lab::new(20_000);
    lab.counting.take_reads();
    assert!(lab.tree.get_many(&lab.keys).unwrap().iter().all(Option::is_some));
    assert_eq!(lab.counting.take_reads(), lab.blocks.len() as u64);
}

/// Memory is that of the nodes in work: building and merging in a tree of ten times the size takes no more.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "long: a million entries; run it alone, it measures the process"]
fn memory_does_not_grow_with_the_tree() {
    let kib = |field: &str| -> i64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
    };
    let peak_kib = |run: &mut dyn FnMut()| -> i64 {
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = kib("VmRSS");
        run();
        kib("VmHWM") - before
    };
    struct Nowhere;
    impl mnem_core::tree::BlockSink for Nowhere {
        fn put(&mut self, _: Block) -> Result<(), mnem_core::port::StoreError> {
            Ok(())
        }
    }
    for n in [100_000u64, 1_000_000] {
        let store = TreeStore::new(Blocks::new(), &TreeParams::V1).unwrap();
        let value = Random(1).link();
        let built = peak_kib(&mut || {
            let entries = (0..n).map(|i| (i.to_be_bytes(), &value));
            store.build(entries, &mut Nowhere).unwrap();
        });
        let mut lab = Lab::new(usize::try_from(n).unwrap());
        let (left, right) = (lab.updates(10), lab.updates(10));
        let ((left, ..), (right, ..)) = (lab.mutate(left), lab.mutate(right));
        let merged = peak_kib(&mut || {
            left.merge(&lab.tree, &right, greater, &mut Nowhere).unwrap();
        });
        println!("{n} entries: build takes {built} KiB, merge {merged} KiB");
        assert!(built < 8 << 10 && merged < 8 << 10, "{n}: {built} {merged}");
    }
}
