//! Laws of trees on any bytes: property tests put random ones to them, fuzzing puts chosen ones.

#![allow(unreachable_pub, reason = "public where fuzzing includes this file")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use mnem_core::codec::{self, Writer};
use mnem_core::port::{BlockRead, CidStream, StoreError};
use mnem_core::tree::{
    BlockSink, Change, Dispute, Edit, Entry, KeyRange, NodeCache, Order, Tree, TreeError, TreeParams,
    TreeStore,
};
use mnem_core::{Block, Cid, Codec};

/// From never cut to cut wherever it is allowed.
const PARAMS: [TreeParams; 4] = [
    TreeParams { min: 0, max: 1, shift: 0, seed: [0; 32] },
    TreeParams { min: 0, max: 64, shift: 52, seed: [0; 32] },
    TreeParams { min: 16, max: 200, shift: 53, seed: [1; 32] },
    TreeParams { min: 32_000, max: 32_000, shift: 41, seed: [0; 32] },
];

/// Draws small numbers from the front of the bytes; zero when there are none left.
struct Draw<'a>(&'a [u8]);

impl Draw<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    /// A key of one to three bytes, mostly of few kinds, so that keys meet.
    fn key(&mut self) -> Vec<u8> {
        let len = 1 + self.below(3);
        (0..len).map(|_| self.byte() % 16).collect()
    }

    fn value(&mut self) -> Vec<u8> {
        let mut writer = Writer::new();
        match self.below(4) {
            0 => writer.null(),
            1 => writer.uint(u64::from(self.byte())),
            2 => writer.bytes(&vec![self.byte(); self.0.len() % 100]),
            _ => writer.link(&Cid::of(Codec::Raw, &[self.byte()])),
        }
        writer.into_bytes()
    }
}

#[derive(Default)]
struct Blocks(Mutex<BTreeMap<Cid, Block>>);

impl Blocks {
    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeMap<Cid, Block>> {
        self.0.lock().expect("nothing panics while it is held")
    }
}

impl BlockSink for &Blocks {
    fn put(&mut self, block: Block) -> Result<(), StoreError> {
        self.locked().insert(*block.cid(), block);
        Ok(())
    }
}

impl BlockRead for Blocks {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        Ok(self.locked().get(cid).cloned())
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        cids.iter().map(|cid| self.get(cid)).collect()
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.locked().contains_key(cid))
    }

    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        cids.iter().map(|cid| self.has(cid)).collect()
    }

    fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
        let cids: Vec<Cid> = self.locked().keys().copied().filter(|cid| Some(*cid) > after).collect();
        Ok(Box::new(cids.into_iter().map(Ok)))
    }
}

fn store(params: &TreeParams) -> (Arc<Blocks>, TreeStore) {
    let blocks = Arc::new(Blocks::default());
    let store = TreeStore::new(blocks.clone(), params).expect("parameters of this file are sound");
    (blocks, store)
}

/// Reads the same behind a cache, which holds a few nodes or all.
fn cached(blocks: &Arc<Blocks>, trees: &TreeStore, cache_bytes: u64) -> TreeStore {
    let cache = NodeCache::new(trees.params(), cache_bytes).expect("parameters of this file are sound");
    TreeStore::with_cache(blocks.clone(), Arc::new(cache))
}

/// Any bytes are no node, or the one node that holds what it holds.
pub fn a_node_is_refused_or_the_only_one_of_its_content(bytes: &[u8]) {
    for params in &PARAMS {
        let (blocks, trees) = store(params);
        let node = Block::new(Codec::DagCbor, bytes.to_vec());
        let cid = *node.cid();
        (&mut &*blocks).put(node).expect("memory takes all");
        read_everything(&blocks, &trees.tree(cid));
    }
}

/// Nodes put together without regard for the rules make trees that are refused, or are the only ones of their content.
pub fn a_forged_tree_is_refused_or_the_only_one_of_its_content(bytes: &[u8]) {
    let mut draw = Draw(bytes);
    let (blocks, trees) = store(&PARAMS[draw.below(PARAMS.len())]);
    let mut made: Vec<Forged> = Vec::new();
    while !draw.0.is_empty() && made.len() < 40 {
        let node = forge(&mut draw, &made);
        (&mut &*blocks).put(node.block.clone()).expect("memory takes all");
        made.push(node);
    }
    if let Some(root) = made.last() {
        read_everything(&blocks, &trees.tree(*root.block.cid()));
    }
}

struct Forged {
    block: Block,
    level: u8,
    last: Vec<u8>,
    count: u64,
}

/// Makes a node of drawn entries or of drawn earlier nodes. Mostly what it says of them is true.
fn forge(draw: &mut Draw<'_>, earlier: &[Forged]) -> Forged {
    let lie = |draw: &mut Draw<'_>| draw.byte() == 0xee;
    let level = earlier.last().map_or(0, |node| node.level.saturating_add(1)).min(draw.byte() % 4);
    let below: Vec<&Forged> = earlier.iter().filter(|node| node.level + 1 == level || lie(draw)).collect();
    let mut body = Writer::new();
    let mut count = 0u64;
    let mut last = Vec::new();
    let len = draw.below(5);
    let mut entries = 0;
    if level == 0 {
        let keys: BTreeSet<Vec<u8>> = (0..len).map(|_| draw.key()).collect();
        for key in keys {
            body.list(2);
            body.bytes(&key);
            body.encoded(&draw.value());
            count += 1;
            entries += 1;
            last = key;
        }
    } else if !below.is_empty() {
        let start = draw.below(below.len());
        for child in &below[start..below.len().min(start + len)] {
            let key = if lie(draw) { draw.key() } else { child.last.clone() };
            let stated = if lie(draw) { u64::MAX >> draw.below(64) } else { child.count };
            body.list(3);
            body.bytes(&key);
            body.link(child.block.cid());
            write_any_count(&mut body, stated);
            count = count.wrapping_add(stated);
            entries += 1;
            last = key;
        }
    }
    let stated = if lie(draw) { draw.byte() } else { level };
    let mut writer = Writer::new();
    writer.map(2);
    writer.text("e");
    writer.list(entries);
    writer.encoded(body.as_bytes());
    writer.text("l");
    writer.uint(u64::from(stated));
    Forged { block: Block::new(Codec::DagCbor, writer.into_bytes()), level, last, count }
}

/// Writes a count, also one that has no place in our own objects.
fn write_any_count(writer: &mut Writer, count: u64) {
    match i64::try_from(count) {
        Ok(_) => writer.uint(count),
        Err(_) => writer.encoded(&[&[0x1b][..], &count.to_be_bytes()].concat()),
    }
}

/// Reads a tree without a cache, and twice with one: the second time children are known.
fn read_everything(blocks: &Arc<Blocks>, tree: &Tree) {
    let known = cached(blocks, tree.store(), 1 << 20).tree(*tree.root());
    let read = [tree, &known, &known].map(|tree| read_every_way(blocks, tree));
    assert!(read[0] == read[1] && read[1] == read[2], "{read:?}");
}

/// Returns the entries of a tree. If it can be read, it is what its content makes; if not, nothing but an error comes of
/// it.
fn read_every_way(blocks: &Arc<Blocks>, tree: &Tree) -> Option<Vec<Entry>> {
    let read = |order| tree.range(KeyRange::ALL, order).collect::<Result<Vec<Entry>, TreeError>>();
    let mut sink: &Blocks = blocks;
    let empty = tree.store().build_empty(&mut sink).expect("memory takes all");
    let differences: Result<Vec<Change>, TreeError> =
        empty.diff(tree, KeyRange::ALL, Order::Ascending).collect();
    let removed = remove_all(tree, &mut Vec::new());
    match (read(Order::Ascending), read(Order::Descending)) {
        (Ok(entries), Ok(mut backwards)) => {
            backwards.reverse();
            assert_eq!(entries, backwards);
            let pairs = entries.iter().map(|entry| (&entry.key, &entry.value));
            let rebuilt = tree.store().build(pairs, &mut Vec::new()).expect("what was read can be written");
            assert_eq!(rebuilt.root(), tree.root(), "another tree of the same content is read");
            check_look_ups(tree, &entries);
            let differences = differences.expect("a tree that can be read can be compared");
            assert!(
                differences
                    .iter()
                    .map(|change| (&change.key, change.after.as_ref()))
                    .eq(entries.iter().map(|entry| (&entry.key, Some(&entry.value))))
            );
            assert_eq!(removed.expect("a tree that can be read can be changed").root(), empty.root());
            let (cid, bytes) =
                (tree.root(), blocks.get(tree.root()).expect("memory reads").expect("it was read"));
            codec::links(cid.codec(), bytes.bytes()).expect("a node is canonical");
            Some(entries)
        }
        (Err(_), Err(_)) => {
            assert!(differences.is_err(), "a tree that cannot be read has a difference to the empty one");
            // Errors or answers: there is no law for what part of a damaged tree can be used.
            let _ = (removed, tree.len(), tree.nth(1), tree.get(&[1]), tree.rank(&[1, 2]));
            None
        }
        (forth, back) => panic!("one way it reads, the other it does not: {forth:?} {back:?}"),
    }
}

fn check_look_ups(tree: &Tree, entries: &[Entry]) {
    assert_eq!(tree.len().expect("it was read"), entries.len() as u64);
    for (i, entry) in entries.iter().enumerate() {
        assert_eq!(tree.get(&entry.key).expect("it was read").as_ref(), Some(&entry.value));
        assert_eq!(tree.rank(&entry.key).expect("it was read"), i as u64);
        assert_eq!(tree.nth(i as u64).expect("it was read").as_ref(), Some(entry));
    }
}

/// Removes what can be read, then adds and removes keys below and above it.
fn remove_all(tree: &Tree, sink: &mut Vec<Block>) -> Result<Tree, TreeError> {
    let edits = tree.iter().map(|entry| Ok(Edit { key: entry?.key, value: None }));
    tree.try_mutate::<TreeError>(edits, sink)
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Changing, comparing and merging trees gives what the same gives on a map.
pub fn trees_behave_like_maps(bytes: &[u8]) {
    let mut draw = Draw(bytes);
    let (blocks, mut trees) = store(&PARAMS[draw.below(PARAMS.len())]);
    match draw.below(3) {
        0 => {}
        1 => trees = cached(&blocks, &trees, 8 << 10),
        _ => trees = cached(&blocks, &trees, 1 << 20),
    }
    let mut base = (trees.build_empty(&mut &*blocks).expect("memory takes all"), Model::new());
    for _ in 0..draw.below(4) {
        base = changed(&mut draw, &blocks, &base);
    }
    let left = changed(&mut draw, &blocks, &base);
    let right = changed(&mut draw, &blocks, &base);
    compare(&left, &right);
    compare(&base, &left);
    let merge = |ours: &(Tree, Model), theirs: &(Tree, Model)| {
        ours.0.merge(&base.0, &theirs.0, greater, &mut &*blocks).expect("all nodes are there")
    };
    let expected = merged(&base.1, &left.1, &right.1);
    for tree in [merge(&left, &right), merge(&right, &left)] {
        assert_eq!(tree.root(), rebuilt(&trees, &expected).root());
    }
}

fn greater(dispute: Dispute) -> Result<Option<Bytes>, TreeError> {
    Ok(dispute.left.max(dispute.right))
}

fn merged(base: &Model, left: &Model, right: &Model) -> Model {
    let keys: BTreeSet<&Vec<u8>> = left.keys().chain(right.keys()).collect();
    let value = |key| {
        let (b, l, r) = (base.get(key), left.get(key), right.get(key));
        if l == r || r == b {
            l
        } else if l == b {
            r
        } else {
            l.max(r)
        }
    };
    keys.into_iter().filter_map(|key| Some((key.clone(), value(key)?.clone()))).collect()
}

fn rebuilt(trees: &TreeStore, model: &Model) -> Tree {
    trees.build(model, &mut Vec::new()).expect("keys of a map ascend")
}

fn changed(draw: &mut Draw<'_>, blocks: &Arc<Blocks>, (tree, model): &(Tree, Model)) -> (Tree, Model) {
    let mut model = model.clone();
    let mut edits: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
    for _ in 0..draw.byte() % 64 {
        let key = match draw.below(3) {
            0 if !model.is_empty() => model.keys().nth(draw.below(model.len())).expect("it is below").clone(),
            _ => draw.key(),
        };
        edits.insert(key, if draw.below(3) == 0 { None } else { Some(draw.value()) });
    }
    let batch = edits
        .iter()
        .map(|(key, value)| Edit { key: key.clone().into(), value: value.clone().map(Bytes::from) });
    let mut made: Vec<Block> = Vec::new();
    let after = tree.mutate(batch, &mut made).expect("all nodes are there");
    for block in made {
        assert!(blocks.locked().get(block.cid()).is_none_or(|old| *old == block));
        (&mut &**blocks).put(block).expect("memory takes all");
    }
    for (key, value) in edits {
        match value {
            Some(value) => model.insert(key, value),
            None => model.remove(&key),
        };
    }
    assert_eq!(after.root(), rebuilt(tree.store(), &model).root());
    (after, model)
}

fn compare((before, old): &(Tree, Model), (after, new): &(Tree, Model)) {
    let keys: BTreeSet<&Vec<u8>> = old.keys().chain(new.keys()).collect();
    let bytes = |value: Option<&Vec<u8>>| value.map(|value| Bytes::copy_from_slice(value));
    let expected: Vec<Change> = keys
        .into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| Change {
            key: Bytes::copy_from_slice(key),
            before: bytes(old.get(key)),
            after: bytes(new.get(key)),
        })
        .collect();
    let diff = |order| before.diff(after, KeyRange::ALL, order).collect::<Result<Vec<Change>, TreeError>>();
    assert_eq!(diff(Order::Ascending).expect("all nodes are there"), expected);
    let mut backwards = diff(Order::Descending).expect("all nodes are there");
    backwards.reverse();
    assert_eq!(backwards, expected);
}
