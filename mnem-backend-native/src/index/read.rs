//! Looking up and listing.

use std::ops::Bound;
use std::sync::{Arc, OnceLock};

use mnem_core::port::Fault;

use super::{Node, Nodes};
use crate::keys::Key;
use crate::superblock::{Pointer, Root};

/// An index for lookups. The pages above the leaves that these come through stay in memory, each held by its parent, so that
/// a lookup asks the pool for its leaf alone. They are fewer than a fiftieth of the leaves.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) root: Option<Root>,
    top: Arc<OnceLock<Arc<Node>>>,
}

impl Tree {
    /// Makes the index below a root; its clones share what they hold.
    pub(crate) fn new(root: Option<Root>) -> Tree {
        Tree { root, top: Arc::default() }
    }
}

/// Finds a key, and makes something of its value.
pub(crate) fn get<T>(
    nodes: &impl Nodes,
    tree: &Tree,
    key: &[u8],
    make: impl FnOnce(&[u8]) -> T,
) -> Result<Option<T>, Fault> {
    look_up(tree, key, |at, level| nodes.node(at, level), make)
}

/// Says whether a key is there, if all the pages on the way are in memory.
pub(crate) fn get_in_memory(nodes: &impl Nodes, tree: &Tree, key: &[u8]) -> Option<bool> {
    let found = look_up(tree, key, |at, level| nodes.node_in_memory(at, level).ok_or(()), |_| ());
    found.ok().map(|found| found.is_some())
}

fn look_up<T, E>(
    tree: &Tree,
    key: &[u8],
    read: impl Fn(Pointer, u8) -> Result<Arc<Node>, E>,
    make: impl FnOnce(&[u8]) -> T,
) -> Result<Option<T>, E> {
    let Some(root) = tree.root else { return Ok(None) };
    let mut node = held(&tree.top, || read(root.at, root.level))?;
    while node.level() > 1 {
        let child = node.child_for(key);
        node = held(node.held(child), || read(node.child(child), node.level() - 1))?;
    }
    let leaf;
    if node.level() == 1 {
        leaf = read(node.child(node.child_for(key)), 0)?;
        node = &leaf;
    }
    let (entry, is_there) = node.search(key);
    Ok(is_there.then(|| make(node.value(entry))))
}

fn held<E>(
    place: &OnceLock<Arc<Node>>,
    read: impl FnOnce() -> Result<Arc<Node>, E>,
) -> Result<&Arc<Node>, E> {
    match place.get() {
        Some(node) => Ok(node),
        None => read().map(|node| place.get_or_init(|| node)),
    }
}

/// Lists at most `most` entries from `from` on, in order.
pub(crate) fn range(
    nodes: &dyn Nodes,
    root: Option<Root>,
    from: Bound<&[u8]>,
    most: usize,
) -> Result<Vec<(Key, Vec<u8>)>, Fault> {
    let mut found = Vec::new();
    if let Some(root) = root {
        collect(nodes, root.at, root.level, from, most, &mut found)?;
    }
    Ok(found)
}

fn collect(
    nodes: &dyn Nodes,
    at: Pointer,
    level: u8,
    from: Bound<&[u8]>,
    most: usize,
    found: &mut Vec<(Key, Vec<u8>)>,
) -> Result<(), Fault> {
    let node = nodes.node(at, level)?;
    let first = match from {
        Bound::Unbounded => 0,
        Bound::Included(key) | Bound::Excluded(key) if level > 0 => node.child_for(key),
        Bound::Included(key) => node.search(key).0,
        Bound::Excluded(key) => {
            let (entry, is_there) = node.search(key);
            entry + usize::from(is_there)
        }
    };
    for entry in first..node.len() {
        if found.len() >= most {
            break;
        }
        if level == 0 {
            found.push((node.key(entry).into(), node.value(entry).to_vec()));
        } else {
            // Behind the first child, everything is behind `from`.
            let from = if entry == first { from } else { Bound::Unbounded };
            collect(nodes, node.child(entry), level - 1, from, most, found)?;
        }
    }
    Ok(())
}

/// Takes a key and its value; an error ends the walk.
type OnValue<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), Fault> + 'a;

/// Hands every page and every entry to `page` and `value`, in the order of the keys.
pub(crate) fn for_each_value(
    nodes: &dyn Nodes,
    root: Option<Root>,
    page: &mut dyn FnMut(Pointer),
    value: &mut OnValue<'_>,
) -> Result<(), Fault> {
    match root {
        Some(root) => walk(nodes, root.at, root.level, page, value),
        None => Ok(()),
    }
}

fn walk(
    nodes: &dyn Nodes,
    at: Pointer,
    level: u8,
    page: &mut dyn FnMut(Pointer),
    value: &mut OnValue<'_>,
) -> Result<(), Fault> {
    page(at);
    let node = nodes.node(at, level)?;
    for entry in 0..node.len() {
        if level == 0 {
            value(node.key(entry), node.value(entry))?;
        } else {
            walk(nodes, node.child(entry), level - 1, page, value)?;
        }
    }
    Ok(())
}
