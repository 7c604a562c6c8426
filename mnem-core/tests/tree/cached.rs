//! Trees behind a cache: nodes that were checked in one place are still checked against every other, and what the cache
//! lets go of is read again.

use std::sync::Arc;

use mnem_core::counting::Counting;
use mnem_core::tree::{Damage, NodeCache, Tree, TreeError, TreeParams, TreeStore};
use mnem_core::{Block, Cid};

use crate::damage::{inner, leaf};
use crate::support::{Blocks, Model, Random, SHRUNKEN, build};

/// Cuts after every second entry, if keys have one byte and values are null.
const PAIRS: TreeParams = TreeParams { min: 8, max: 8, shift: 41, seed: [0; 32] };

fn cached(nodes: &[&Block]) -> TreeStore {
    let blocks = Blocks::new();
    blocks.add(nodes.iter().map(|node| (*node).clone()));
    TreeStore::with_cache(blocks, Arc::new(NodeCache::new(&PAIRS, 1 << 20).unwrap()))
}

#[track_caller]
fn refuses(tree: &Tree, key: &[u8], damaged: &Block, why: &Damage) {
    for error in [tree.get(key).unwrap_err(), tree.iter().find_map(Result::err).unwrap()] {
        let TreeError::Damaged { cid, what } = error else { panic!("{error}") };
        assert_eq!((&cid, &what), (damaged.cid(), why));
    }
}

#[test]
fn a_node_known_from_one_tree_is_refused_where_it_reaches_over_a_neighbour() {
    let [one, three, low, high] =
        [[b"1", b"2"], [b"3", b"4"], [b"c", b"e"], [b"g", b"h"]].map(|[a, b]| leaf(&[a, b]));
    let over = leaf(&[b"3", b"d"]);
    let right = inner(1, &[(b"e", &low, 2), (b"h", &high, 2)]);
    let left = inner(1, &[(b"2", &one, 2), (b"4", &three, 2)]);
    let good = inner(2, &[(b"4", &left, 4), (b"h", &right, 4)]);
    let left_over = inner(1, &[(b"2", &one, 2), (b"d", &over, 2)]);
    let bad = inner(2, &[(b"d", &left_over, 4), (b"h", &right, 4)]);
    let trees = cached(&[&one, &three, &low, &high, &over, &right, &left, &good, &left_over, &bad]);
    let good = trees.tree(*good.cid());
    for _ in 0..2 {
        assert_eq!(good.iter().filter(Result::is_ok).count(), 8);
        assert!(good.get(b"e").unwrap().is_some());
    }
    refuses(&trees.tree(*bad.cid()), b"e", &low, &Damage::FirstKey);
}

#[test]
fn an_open_node_known_from_the_end_of_a_tree_is_refused_in_the_middle_of_another() {
    let [one, last] = [leaf(&[b"1", b"2"]), leaf(&[b"3"])];
    let [four, six] = [leaf(&[b"4", b"5"]), leaf(&[b"6"])];
    let good = inner(1, &[(b"2", &one, 2), (b"3", &last, 1)]);
    let right = inner(1, &[(b"5", &four, 2), (b"6", &six, 1)]);
    let bad = inner(2, &[(b"3", &good, 3), (b"6", &right, 3)]);
    let trees = cached(&[&one, &last, &four, &six, &good, &right, &bad]);
    for _ in 0..2 {
        assert!(trees.tree(*good.cid()).get(b"3").unwrap().is_some());
    }
    refuses(&trees.tree(*bad.cid()), b"3", &last, &Damage::CutEarly);
}

struct Lab {
    model: Model,
    root: Cid,
    counting: Arc<Counting>,
}

impl Lab {
    fn new(n: u64) -> Lab {
        let blocks = Blocks::new();
        let model = Random(5).model(n, 0);
        let root = *build(&blocks, &SHRUNKEN[0], &model).root();
        Lab { model, root, counting: Arc::new(Counting::new(blocks)) }
    }

    fn tree(&self, cache: &Arc<NodeCache>) -> Tree {
        TreeStore::with_cache(self.counting.clone(), cache.clone()).tree(self.root)
    }
}

fn cache(bytes: u64) -> Arc<NodeCache> {
    Arc::new(NodeCache::new(&SHRUNKEN[0], bytes).unwrap())
}

#[test]
fn what_the_cache_forgot_is_read_again() {
    let lab = Lab::new(2_000);
    let cache = cache(16 << 20);
    let tree = lab.tree(&cache);
    let key = lab.model.keys().nth(700).unwrap();
    let reads = || {
        assert_eq!(tree.get(key).unwrap().as_deref(), lab.model.get(key).map(Vec::as_slice));
        lab.counting.take_reads()
    };
    let height = reads();
    assert!(height > 3);
    assert_eq!(reads(), 0);
    cache.clear();
    assert_eq!((reads(), reads()), (height, 0));
}

#[test]
fn answers_are_right_and_memory_is_bounded_while_nodes_come_and_go() {
    let lab = Lab::new(5_000);
    let cache = cache(60 << 10);
    let tree = lab.tree(&cache);
    let keys: Vec<&Vec<u8>> = lab.model.keys().collect();
    let mut random = Random(8);
    for _ in 0..20_000 {
        let key = keys[random.index(keys.len())];
        assert_eq!(tree.get(key).unwrap().as_deref(), lab.model.get(key).map(Vec::as_slice));
    }
    assert!(lab.counting.take_reads() > 1_000);
    assert!(cache.bytes() <= 60 << 10);
}

/// Nodes that are reached without a search in the cache count as used there all the same.
#[test]
fn what_is_used_most_stays_while_others_pass() {
    let lab = Lab::new(20_000);
    let cache = cache(300 << 10);
    let tree = lab.tree(&cache);
    let hot = lab.model.keys().nth(9_000).unwrap();
    let mut reads = 0;
    let mut others = lab.model.keys().cycle().step_by(37);
    for _ in 0..200 {
        for key in others.by_ref().take(50) {
            tree.get(key).unwrap();
            lab.counting.take_reads();
            (0..2).for_each(|_| drop(tree.get(hot).unwrap()));
            reads += lab.counting.take_reads();
        }
    }
    println!("the hot path was read {reads} times over");
    assert!(reads < 100, "{reads}");
}
