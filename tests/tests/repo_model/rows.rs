//! Rows of indexes against indexes that are made from the maps of the commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mnem_core::codec::Reader;
use mnem_core::key::{AdjacencyKey, LabelKey};
use mnem_core::object::{Commit, Conflict, kind_of};
use mnem_core::port::{BlockRead, BlockReadExt, RowTable};
use mnem_core::tree::{TreeParams, TreeStore, value_link};
use mnem_core::{Block, Cid, Edge, Node, Object};

use crate::program::World;

/// Compares every row of every commit. FORMAT.md, "Index rows".
pub(crate) fn check(world: &World) {
    let named = named_roots(world);
    let mut checked = BTreeSet::new();
    for kept in &world.kept {
        let repo = &world.repos[0];
        for entry in repo.log(&kept.snapshot) {
            let (id, commit) = entry.unwrap();
            if checked.insert(id) && world.store.has(id.cid()).unwrap() {
                check_commit(world, &commit, &named);
            }
        }
    }
    assert!(checked.is_empty() || !named.is_empty());
}

/// Roots of indexes by the root of the map that they are made from.
fn named_roots(world: &World) -> BTreeMap<Cid, BTreeSet<Cid>> {
    let mut named: BTreeMap<Cid, BTreeSet<Cid>> = BTreeMap::new();
    for row in world.store.rows(RowTable::new("index"), b"").unwrap() {
        let (key, value) = row.unwrap();
        let source = key.strip_prefix(b"main\0").expect("rows of this repository");
        assert_eq!(source.len(), 36 + 16);
        let mut reader = Reader::new(&value);
        assert_eq!(reader.list().unwrap(), 2);
        let root = reader.link().unwrap();
        assert_eq!(reader.bytes().unwrap().len(), 16);
        named.entry(Cid::from_bytes(&source[..36]).unwrap()).or_default().insert(root);
    }
    named
}

fn check_commit(world: &World, commit: &Commit, named: &BTreeMap<Cid, BTreeSet<Cid>>) {
    let blocks: Arc<dyn BlockRead> = Arc::clone(&world.store) as Arc<dyn BlockRead>;
    let trees = TreeStore::new(blocks, &TreeParams::V1).unwrap();
    let read = |root: Cid| -> Vec<Block> {
        let entries = trees.tree(root).iter();
        entries
            .map(|entry| world.store.require(&value_link(&entry.unwrap().value).unwrap()).unwrap())
            .collect()
    };
    let root = |keys: BTreeSet<Vec<u8>>| {
        let entries = keys.into_iter().map(|key| (key, [0x40]));
        *trees.build(entries, &mut Vec::new()).unwrap().root()
    };
    let edges: Vec<Edge> = read(commit.edges).iter().flat_map(|block| sides(world, block)).collect();
    let nodes: Vec<Node> = read(commit.nodes).iter().flat_map(|block| sides(world, block)).collect();
    let adjacency = [AdjacencyKey::outgoing, AdjacencyKey::incoming]
        .map(|key| root(edges.iter().map(|edge| key(edge).to_key()).collect()));
    let labels =
        nodes.iter().flat_map(|node| node.labels.iter().map(|label| LabelKey::key_of(label, node.id)));
    let labels = root(labels.collect());
    if let (false, Some(found)) = (edges.is_empty(), named.get(&commit.edges)) {
        assert_eq!(*found, BTreeSet::from(adjacency));
    }
    if let (false, Some(found)) = (nodes.is_empty(), named.get(&commit.nodes)) {
        assert_eq!(*found, BTreeSet::from([labels]));
    }
    // Merges that nobody built on have none.
    if commit.parents.len() < 2 {
        assert!(edges.is_empty() || named.contains_key(&commit.edges));
        assert!(nodes.is_empty() || named.contains_key(&commit.nodes));
    }
}

fn sides<T: Object>(world: &World, block: &Block) -> Vec<T> {
    if kind_of(block).unwrap().as_deref() != Some(Conflict::KIND) {
        return vec![T::from_block(block).unwrap()];
    }
    let conflict = Conflict::from_block(block).unwrap();
    let versions = conflict.adds.iter().flatten();
    versions.map(|cid| T::from_block(&world.store.require(cid).unwrap()).unwrap()).collect()
}
