//! T8: the ends of what is allowed.

use bytes::Bytes;
use mnem_core::codec::{Malformed, Writer};
use mnem_core::tree::{
    ENTRY_BYTES_MAX, Edit, KEY_BYTES_MAX, NODE_BYTES_MAX, Tree, TreeError, TreeParams, UnsoundParams,
    VALUE_DEPTH_MAX,
};
use mnem_core::{Block, Cid};

use crate::support::{Blocks, Model, Random, SHRUNKEN, build, byte_string, store};

fn put(key: &[u8], value: Vec<u8>) -> Edit {
    Edit { key: Bytes::copy_from_slice(key), value: Some(value.into()) }
}

fn remove(key: &[u8]) -> Edit {
    Edit { key: Bytes::copy_from_slice(key), value: None }
}

fn mutate(tree: &Tree, blocks: &Blocks, edits: impl IntoIterator<Item = Edit>) -> (Tree, Vec<Cid>) {
    let mut made: Vec<Block> = Vec::new();
    let tree = tree.mutate(edits, &mut made).unwrap();
    let cids = made.iter().map(|block| *block.cid()).collect();
    blocks.add(made);
    (tree, cids)
}

#[test]
fn no_edits_and_edits_without_effect_write_nothing() {
    for params in SHRUNKEN.iter().chain([&TreeParams::V1]) {
        for n in [0, 1, 35, 2000] {
            let model = Random(n).model(n, 0);
            let blocks = Blocks::new();
            let tree = build(&blocks, params, &model);
            let same = model.iter().step_by(3).map(|(key, value)| put(key, value.clone()));
            let absent = (0..20u8).map(|i| remove(&[i * 12]));
            for edits in [Vec::new(), same.collect(), absent.collect()] {
                let (after, made) = mutate(&tree, &blocks, edits);
                assert_eq!((after.root(), made), (tree.root(), Vec::new()));
            }
        }
    }
}

#[test]
fn removing_down_to_few_entries_leaves_the_tree_of_those() {
    for params in SHRUNKEN.iter().chain([&TreeParams::V1]) {
        for left in [0, 1, 35] {
            for skip in [0, 700, 1965] {
                let mut model = Random(4).model(2000, 0);
                let blocks = Blocks::new();
                let tree = build(&blocks, params, &model);
                let keep: Vec<Vec<u8>> = model.keys().skip(skip).take(left).cloned().collect();
                let edits: Vec<Edit> =
                    model.keys().filter(|key| !keep.contains(key)).map(|key| remove(key)).collect();
                let (after, _) = mutate(&tree, &blocks, edits);
                model.retain(|key, _| keep.contains(key));
                assert_eq!(after.root(), build(&Blocks::new(), params, &model).root());
            }
        }
    }
}

#[test]
fn keys_below_and_above_the_whole_tree_are_taken() {
    for params in SHRUNKEN.iter().chain([&TreeParams::V1]) {
        let mut random = Random(6);
        let mut model: Model =
            (0..1500).map(|_| ([&[7], &random.bytes(15)[..]].concat(), random.link())).collect();
        let blocks = Blocks::new();
        let mut tree = build(&blocks, params, &model);
        for first in [0, 9] {
            let more: Model =
                (0..400).map(|_| ([&[first], &random.bytes(15)[..]].concat(), random.link())).collect();
            (tree, _) = mutate(&tree, &blocks, more.iter().map(|(key, value)| put(key, value.clone())));
            model.extend(more);
            assert_eq!(tree.root(), build(&Blocks::new(), params, &model).root());
        }
    }
}

#[test]
fn shortest_and_longest_keys_and_values_larger_than_a_node_are_taken() {
    let key = |i: u64, len: usize| Random(i).bytes(len);
    let large = byte_string(&vec![7; ENTRY_BYTES_MAX - KEY_BYTES_MAX - 16]);
    for params in SHRUNKEN.iter().chain([&TreeParams::V1]) {
        let mut model: Model = (0..40).map(|i| (key(i, KEY_BYTES_MAX), byte_string(b""))).collect();
        model.extend((0..60).map(|i| (key(i, 1), byte_string(&[1; 100]))));
        let blocks = Blocks::new();
        let mut tree = build(&blocks, params, &model);
        for i in 0..4 {
            let value = if i % 2 == 0 { large.clone() } else { byte_string(&[9; 20_000]) };
            model.insert(key(i, 500), value.clone());
            (tree, _) = mutate(&tree, &blocks, [put(&key(i, 500), value)]);
            assert_eq!(tree.root(), build(&Blocks::new(), params, &model).root());
        }
        let found: Vec<_> = tree.iter().map(|entry| entry.unwrap()).collect();
        assert!(found.iter().map(|entry| &*entry.key).eq(model.keys().map(Vec::as_slice)));
        assert!(model.iter().all(|(key, value)| tree.get(key).unwrap().as_deref() == Some(value)));
    }
}

#[test]
fn what_has_no_room_is_refused_by_build_and_mutate() {
    let blocks = Blocks::new();
    let trees = store(&blocks, &TreeParams::V1);
    let empty = build(&blocks, &TreeParams::V1, &Model::new());
    let both = |key: &[u8], value: Vec<u8>| {
        let built = trees.build([(key, &value)], &mut Vec::new()).unwrap_err();
        let mutated = empty.mutate([put(key, value)], &mut Vec::new()).unwrap_err();
        assert_eq!(built.to_string(), mutated.to_string());
        built
    };
    let null = vec![0xf6];
    assert!(matches!(both(b"", null.clone()), TreeError::KeyLength { bytes: 0 }));
    assert!(matches!(both(&[1; 1025], null.clone()), TreeError::KeyLength { bytes: 1025 }));
    assert!(matches!(both(b"k", byte_string(&vec![0; ENTRY_BYTES_MAX])), TreeError::EntryTooLarge { .. }));
    assert!(matches!(both(b"k", vec![]), TreeError::Value(why) if why.what == Malformed::Truncated));
    assert!(matches!(both(b"k", vec![0xf6, 0xf6]), TreeError::Value(why) if why.what == Malformed::Trailing));
    assert!(matches!(both(b"k", vec![0x18, 1]), TreeError::Value(why) if why.what == Malformed::NotMinimal));
    let nested = |depth: usize| [vec![0x81; depth], null.clone()].concat();
    assert!(
        matches!(both(b"k", nested(VALUE_DEPTH_MAX + 1)), TreeError::Value(why) if why.what == Malformed::Depth)
    );
    let deep = trees.build([(b"k", nested(VALUE_DEPTH_MAX))], &mut blocks.as_ref()).unwrap();
    assert!(deep.get(b"k").unwrap().is_some());
}

#[test]
fn keys_out_of_order_are_refused_by_build_and_mutate() {
    let blocks = Blocks::new();
    let trees = store(&blocks, &TreeParams::V1);
    let tree = build(&blocks, &TreeParams::V1, &Random(1).model(500, 0));
    for keys in [[b"a", b"c", b"b"], [b"a", b"b", b"b"]] {
        let built = trees.build(keys.iter().map(|key| (key, [0xf6])), &mut Vec::new());
        assert!(matches!(built, Err(TreeError::Unsorted { at: 2 })));
        let mutated = tree.mutate(keys.iter().map(|key| remove(*key)), &mut Vec::new());
        assert!(matches!(mutated, Err(TreeError::Unsorted { at: 2 })));
    }
}

#[test]
fn unsound_parameters_make_no_store() {
    let bad = TreeParams { min: 9, max: 8, ..TreeParams::V1 };
    assert_eq!(mnem_core::tree::TreeStore::new(Blocks::new(), &bad).unwrap_err(), UnsoundParams(bad));
}

/// Keys that never end a node by chance: only the cap does, so an insert at the front moves every cut. Right, and
/// linear at worst.
#[test]
fn keys_that_never_cut_cost_at_most_the_whole_tree() {
    // With all but one bit dropped a hash is 0 or 1, and with `min` at `max` there is no chance at all.
    let params = TreeParams { min: 4096, max: 4096, ..TreeParams::V1 };
    let mut model: Model = (0..20_000u128)
        .map(|i| ((2 * i + 2).to_be_bytes().to_vec(), Random(u64::try_from(i).unwrap()).link()))
        .collect();
    let blocks = Blocks::new();
    let tree = build(&blocks, &params, &model);
    let nodes = blocks.len();
    let (front, value) = (1u128.to_be_bytes(), Random(1).link());
    let (after, made) = mutate(&tree, &blocks, [put(&front, value.clone())]);
    model.insert(front.to_vec(), value);
    assert_eq!(after.root(), build(&Blocks::new(), &params, &model).root());
    assert!(made.len() > nodes / 2, "the cuts were to move: {} of {nodes}", made.len());
    assert!(made.len() <= nodes + 2, "{} of {nodes}", made.len());
}

/// The cheapest leaf there is: levels halve and no node is left without need.
#[test]
fn one_entry_to_a_node_makes_a_tree_of_logarithmic_height() {
    let params = TreeParams { min: 0, max: 1, shift: 0, seed: [0; 32] };
    let mut model = Random(8).model(1000, 0);
    let blocks = Blocks::new();
    let tree = build(&blocks, &params, &model);
    assert!(blocks.len() < 2 * 1000 + 20, "{}", blocks.len());
    let victims: Vec<Vec<u8>> = model.keys().step_by(2).cloned().collect();
    let (after, _) = mutate(&tree, &blocks, victims.iter().map(|key| remove(key)));
    victims.iter().for_each(|key| drop(model.remove(key)));
    assert_eq!(after.root(), build(&Blocks::new(), &params, &model).root());
}

#[test]
fn no_node_is_larger_than_a_node_may_be() {
    let params = TreeParams { min: 0, max: TreeParams::MAX_LIMIT, shift: 0, seed: [0; 32] };
    let params = TreeParams { min: params.max, ..params };
    let mut model: Model = (0..400u64).map(|i| (i.to_be_bytes().to_vec(), byte_string(&[0; 64]))).collect();
    let mut writer = Writer::new();
    writer.bytes(&vec![0; ENTRY_BYTES_MAX - 16]);
    model.insert(399u64.to_be_bytes().to_vec(), writer.into_bytes());
    let mut made: Vec<Block> = Vec::new();
    store(&Blocks::new(), &params).build(&model, &mut made).unwrap();
    let largest = made.iter().map(|block| block.bytes().len()).max().unwrap();
    assert!(largest <= NODE_BYTES_MAX && largest > ENTRY_BYTES_MAX, "{largest}");
}
