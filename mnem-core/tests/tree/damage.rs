//! R3: forged and damaged trees are errors that say which node and why.

use std::sync::Arc;

use mnem_core::codec::{Malformed, Writer};
use mnem_core::tree::{Damage, KeyRange, NODE_BYTES_MAX, Order, Tree, TreeError, TreeParams};
use mnem_core::{Block, Cid, CidClass, Codec};

use crate::support::{Blocks, Model, Random, SHRUNKEN, build, reachable, store};

/// Never cut except at 4 KiB: so a forged node of a few entries is cut nowhere.
const WIDE: TreeParams = TreeParams { min: 4096, max: 4096, shift: 41, seed: [0; 32] };

/// Cut after every entry of a leaf, and after every second one above.
const NARROW: TreeParams = TreeParams { min: 0, max: 1, shift: 0, seed: [0; 32] };

pub(crate) fn leaf(keys: &[&[u8]]) -> Block {
    let mut writer = Writer::new();
    writer.map(2);
    writer.text("e");
    writer.list(keys.len());
    for key in keys {
        writer.list(2);
        writer.bytes(key);
        writer.null();
    }
    writer.text("l");
    writer.uint(0);
    Block::new(Codec::DagCbor, writer.into_bytes())
}

pub(crate) fn inner(level: u64, children: &[(&[u8], &Block, u64)]) -> Block {
    let mut writer = Writer::new();
    writer.map(2);
    writer.text("e");
    writer.list(children.len());
    for (key, child, count) in children {
        writer.list(3);
        writer.bytes(key);
        writer.link(child.cid());
        writer.uint(*count);
    }
    writer.text("l");
    writer.uint(level);
    Block::new(Codec::DagCbor, writer.into_bytes())
}

fn tree(params: &TreeParams, nodes: &[&Block]) -> Tree {
    let blocks = Blocks::new();
    blocks.add(nodes.iter().map(|node| (*node).clone()));
    store(&blocks, params).tree(*nodes[0].cid())
}

/// Reads all of a tree, every way there is, and returns the error, which must be the same for all.
#[track_caller]
fn damage(tree: &Tree) -> (Cid, Damage) {
    let read = |order| tree.range(KeyRange::ALL, order).find_map(Result::err);
    let errors = [read(Order::Ascending), read(Order::Descending)];
    let [Some(TreeError::Damaged { cid, what }), Some(TreeError::Damaged { cid: other, what: why })] = errors
    else {
        panic!("read without finding damage: {errors:?}")
    };
    assert_eq!((cid, &what), (other, &why));
    (cid, what)
}

#[track_caller]
fn refuses(params: &TreeParams, nodes: &[&Block], damaged: &Block, why: &Damage) {
    assert_eq!(damage(&tree(params, nodes)), (*damaged.cid(), why.clone()));
}

fn reads(params: &TreeParams, nodes: &[&Block]) -> usize {
    tree(params, nodes).iter().collect::<Result<Vec<_>, _>>().unwrap().len()
}

#[test]
fn a_leaf_is_checked_by_itself() {
    assert_eq!(reads(&WIDE, &[&leaf(&[b"a", b"b", b"c"])]), 3);
    let alone = |keys: &[&[u8]], why| refuses(&WIDE, &[&leaf(keys)], &leaf(keys), &why);
    alone(&[b"b", b"a"], Damage::Order(1));
    alone(&[b"a", b"a"], Damage::Order(1));
    alone(&[b""], Damage::KeyLength(0));
    alone(&[b"a", &[b'x'; 1025]], Damage::KeyLength(1));
    refuses(&NARROW, &[&leaf(&[b"a", b"b"])], &leaf(&[b"a", b"b"]), &Damage::Uncut(0));
}

#[test]
fn other_fields_are_refused() {
    let with = |write: &dyn Fn(&mut Writer)| {
        let mut writer = Writer::new();
        write(&mut writer);
        let node = Block::new(Codec::DagCbor, writer.into_bytes());
        damage(&tree(&WIDE, &[&node])).1
    };
    let empty = |writer: &mut Writer, fields, level| {
        writer.map(fields);
        writer.text("e");
        writer.list(0);
        writer.text("l");
        writer.uint(level);
    };
    assert_eq!(with(&|writer| writer.map(0)), Damage::Shape);
    assert!(matches!(with(&|writer| writer.list(0)), Damage::Encoding(_)));
    let more = |writer: &mut Writer| {
        empty(writer, 3, 0);
        writer.text("m");
        writer.null();
    };
    assert_eq!(with(&more), Damage::Shape);
    assert_eq!(with(&|writer| empty(writer, 2, 1)), Damage::Level { expected: 0, found: 1 });
    let trailing = |writer: &mut Writer| {
        empty(writer, 2, 0);
        writer.null();
    };
    assert!(matches!(with(&trailing), Damage::Encoding(why) if why.what == Malformed::Trailing));
    let wide = |writer: &mut Writer| {
        writer.map(2);
        writer.text("e");
        writer.list(1);
        writer.list(4);
    };
    assert!(matches!(with(&wide), Damage::Encoding(_) | Damage::Shape));
}

#[test]
fn a_claimed_length_allocates_nothing() {
    // A list of 2^62 entries, announced by nine bytes.
    let bytes = [&[0xa2, 0x61, b'e', 0x9b, 0x40][..], &[0; 7]].concat();
    let node = Block::new(Codec::DagCbor, bytes);
    assert!(matches!(damage(&tree(&WIDE, &[&node])).1, Damage::Encoding(_)));
}

#[test]
fn a_node_over_its_size_is_refused() {
    let mut writer = Writer::new();
    writer.map(2);
    writer.text("e");
    writer.list(1);
    writer.list(2);
    writer.bytes(b"key");
    writer.bytes(&vec![0; NODE_BYTES_MAX]);
    writer.text("l");
    writer.uint(0);
    let node = Block::new(Codec::DagCbor, writer.into_bytes());
    refuses(&WIDE, &[&node], &node, &Damage::Size);
}

#[test]
fn only_blocks_of_the_right_class_are_nodes() {
    let bytes = leaf(&[b"a"]).bytes().clone();
    for class in [CidClass::RawBlake3, CidClass::DagCborSha2, CidClass::RawSha2] {
        let node = Block::verify(Cid::of_class(class, &bytes), bytes.clone()).unwrap();
        refuses(&WIDE, &[&node], &node, &Damage::Class);
    }
}

#[test]
fn a_child_is_checked_against_its_parent() {
    let (a, b, c) = (leaf(&[b"a"]), leaf(&[b"b"]), leaf(&[b"c"]));
    let root = |left: (&[u8], &Block, u64), right: (&[u8], &Block, u64)| inner(1, &[left, right]);
    let good = root((b"a", &a, 1), (b"b", &b, 1));
    assert_eq!(reads(&NARROW, &[&good, &a, &b]), 2);

    let wrong = root((b"a", &a, 1), (b"c", &b, 1));
    let found =
        tree(&NARROW, &[&wrong, &a, &b]).range(KeyRange::ALL, Order::Descending).find_map(Result::err);
    assert!(matches!(found, Some(TreeError::Damaged { cid, what: Damage::LastKey }) if cid == *b.cid()));

    let wrong = root((b"a", &a, 1), (b"b", &b, 2));
    refuses(&NARROW, &[&wrong, &a, &b], &b, &Damage::Count);

    let wrong = inner(2, &[(b"a", &a, 1), (b"c", &c, 1)]);
    let found = tree(&NARROW, &[&wrong, &a, &c]).iter().find_map(Result::err);
    let level = Damage::Level { expected: 1, found: 0 };
    assert!(matches!(found, Some(TreeError::Damaged { cid, what }) if cid == *a.cid() && what == level));
}

#[test]
fn a_node_that_ends_too_early_is_refused_unless_it_is_the_last() {
    let (a, b) = (leaf(&[b"a"]), leaf(&[b"b"]));
    let root = inner(1, &[(b"a", &a, 1), (b"b", &b, 1)]);
    refuses(&WIDE, &[&root, &a, &b], &a, &Damage::CutEarly);
}

#[test]
fn a_node_that_reaches_over_its_left_neighbour_is_refused() {
    // The left neighbour hangs under another parent: only the way from the root shows it.
    let leaves: Vec<Block> = [b"b", b"d", b"e", b"g"].map(|key| leaf(&[key])).to_vec();
    let params = TreeParams { max: 2, ..NARROW };
    let left = inner(1, &[(b"b", &leaves[0], 1), (b"d", &leaves[1], 1)]);
    let right = inner(1, &[(b"e", &leaves[2], 1), (b"g", &leaves[3], 1)]);
    let root = inner(2, &[(b"d", &left, 2), (b"g", &right, 2)]);
    let mut nodes = vec![&root, &left, &right];
    nodes.extend(&leaves);
    assert_eq!(reads(&params, &nodes), 4);

    let low = leaf(&[b"c"]);
    let right = inner(1, &[(b"c", &low, 1), (b"g", &leaves[3], 1)]);
    let root = inner(2, &[(b"d", &left, 2), (b"g", &right, 2)]);
    let mut nodes = vec![&root, &left, &right, &low];
    nodes.extend(&leaves);
    refuses(&params, &nodes, &right, &Damage::FirstKey);
}

#[test]
fn counts_that_do_not_fit_are_refused() {
    let a = leaf(&[b"a"]);
    let half = 1u64 << 62;
    let root = inner(1, &[(b"a", &a, half), (b"b", &a, half)]);
    refuses(&NARROW, &[&root, &a], &root, &Damage::Count);
    let root = inner(1, &[(b"a", &a, 0), (b"b", &a, 1)]);
    refuses(&NARROW, &[&root, &a], &root, &Damage::Count);
}

#[test]
fn a_root_with_one_child_is_refused() {
    let a = leaf(&[b"a"]);
    let root = inner(1, &[(b"a", &a, 1)]);
    refuses(&NARROW, &[&root, &a], &root, &Damage::TooFew);
}

#[test]
fn the_highest_level_is_read_and_no_higher_one() {
    let a = leaf(&[b"a"]);
    let root = inner(255, &[(b"a", &a, 1), (b"b", &a, 1)]);
    let level = Damage::Level { expected: 254, found: 0 };
    let found = tree(&NARROW, &[&root, &a]).get(b"a");
    assert!(matches!(found, Err(TreeError::Damaged { what, .. }) if what == level));
    let root = inner(256, &[(b"a", &a, 1), (b"b", &a, 1)]);
    refuses(&NARROW, &[&root, &a], &root, &Damage::Level { expected: 1, found: 256 });
}

#[test]
fn a_missing_node_is_named_by_every_operation() {
    let blocks = Blocks::new();
    let model: Model = Random(9).model(300, 0);
    let whole = build(&blocks, &SHRUNKEN[0], &model);
    let nodes = reachable(&blocks, whole.root());
    let (gone, rest) = nodes.split_last().unwrap();
    let partial = Blocks::new();
    partial.add(rest.iter().map(|cid| mnem_core::port::BlockReadExt::require(&*blocks, cid).unwrap()));
    let tree = store(&partial, &SHRUNKEN[0]).tree(*whole.root());
    let empty = build(&partial, &SHRUNKEN[0], &Model::new());
    let keys: Vec<&Vec<u8>> = model.keys().collect();
    let edits = || keys.iter().map(|key| mnem_core::tree::Edit { key: (*key).clone().into(), value: None });
    let errors = [
        tree.iter().find_map(Result::err),
        tree.range(KeyRange::ALL, Order::Descending).find_map(Result::err),
        tree.get_many(&keys).err(),
        keys.iter().find_map(|key| tree.get(key).err()),
        keys.iter().find_map(|key| tree.rank(key).err()),
        (0..300).find_map(|i| tree.nth(i).err()),
        tree.diff(&empty, KeyRange::ALL, Order::Ascending).find_map(Result::err),
        tree.mutate(edits(), &mut Vec::new()).err(),
    ];
    for error in errors {
        assert!(matches!(error, Some(TreeError::Missing { cid }) if cid == *gone), "{error:?}");
    }
}

#[test]
fn an_empty_child_is_found_even_by_a_diff_with_the_empty_tree() {
    let empty = leaf(&[]);
    let forged = inner(1, &[(b"a", &leaf(&[b"a"]), 1), (b"b", &empty, 1)]);
    let damaged = tree(&NARROW, &[&forged, &leaf(&[b"a"]), &empty]);
    assert_eq!(damage(&damaged), (*empty.cid(), Damage::Count));
    let nothing = damaged.store().tree(*empty.cid());
    for order in [Order::Ascending, Order::Descending] {
        assert!(nothing.diff(&damaged, KeyRange::ALL, order).any(|change| change.is_err()));
        assert!(damaged.diff(&nothing, KeyRange::ALL, order).any(|change| change.is_err()));
    }
}

#[test]
fn cursors_and_diffs_end_after_an_error() {
    let blocks = Blocks::new();
    let missing = store(&blocks, &WIDE).tree(*leaf(&[b"a"]).cid());
    let other = build(&blocks, &WIDE, &Model::new());
    let mut cursor = missing.iter();
    assert!(matches!(cursor.next(), Some(Err(_))) && cursor.next().is_none());
    let mut diff = other.diff(&missing, KeyRange::ALL, Order::Ascending);
    assert!(matches!(diff.next(), Some(Err(_))) && diff.next().is_none());
}

/// No single flipped bit of any node goes unnoticed or does harm: the tree reads as before (only values may differ,
/// as their CID vouches for them) or it is refused.
#[test]
fn every_flipped_bit_in_a_node_is_an_error_or_another_value() {
    let blocks = Blocks::new();
    let model: Model = Random(11).model(60, 1);
    let whole = build(&blocks, &SHRUNKEN[1], &model);
    let root = mnem_core::port::BlockReadExt::require(&*blocks, whole.root()).unwrap();
    let trees = store(&blocks, &SHRUNKEN[1]);
    for bit in 0..root.bytes().len() * 8 {
        let mut bytes = root.bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let forged = Block::new(Codec::DagCbor, bytes);
        blocks.add([forged.clone()]);
        let read: Result<Vec<_>, TreeError> = trees.tree(*forged.cid()).iter().collect();
        // An inner node has no values: each of its bits matters.
        assert!(read.is_err(), "bit {bit} of {root:?}");
    }
}

#[test]
fn types_that_readers_hold_are_owned_and_can_be_sent() {
    fn is<T: Send + Sync + 'static>() {}
    is::<Tree>();
    is::<Arc<mnem_core::tree::NodeCache>>();
    is::<mnem_core::tree::Cursor>();
    is::<mnem_core::tree::Diff>();
}
