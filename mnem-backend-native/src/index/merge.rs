//! Merging: a sorted batch of changes and the old tree make the new tree, from below, in one pass.
//!
//! Every level has one page that is being filled. Entries flow from left to right; a full page goes up as an entry of the
//! level above. A subtree without changes is taken over as it is, unless a page before it would stay thin: then its
//! pages are opened one by one until none is.
//!
//! Invariants
//!  J1  Entries reach each level in ascending order of their keys.
//!  J2  A subtree is taken over only when every level up to its own has an empty page.
//!
//! Used by: `checkpoint`. Memory: one page a level, and the numbers of old and new pages.

use mnem_core::port::Fault;

use super::{Builder, Node, Nodes};
use crate::bytes::StoreId;
use crate::keys::Key;
use crate::page::PageId;
use crate::superblock::{Pointer, Root};

/// A key's new value, or that it goes.
pub(crate) type Edit = (Key, Option<Vec<u8>>);

/// Where a merge puts what it makes.
pub(crate) trait Sink {
    /// Takes a page that is free.
    fn take(&mut self) -> PageId;
    /// Takes over a page that is finished.
    fn write(&mut self, at: Pointer, node: Node) -> Result<(), Fault>;
    /// Hears of a value that gave way to another, or to none.
    fn displaced(&mut self, value: &[u8]);
}

/// A merge under way.
pub(crate) struct Merge<'a> {
    nodes: &'a dyn Nodes,
    sink: &'a mut dyn Sink,
    store: StoreId,
    generation: u64,
    levels: Vec<Builder>,
    /// The last key that reached the leaves, unless a subtree came after it.
    last_key: Vec<u8>,
    has_last_key: bool,
    /// A separator for the leaf that is being filled: as short as tells it from what is before.
    leaf_separator: Key,
    merged: Merged,
}

/// What a merge made.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    pub(crate) root: Option<Root>,
    /// Pages of the old tree that the new one does not have.
    pub(crate) dropped: Vec<PageId>,
    pub(crate) added_keys: u64,
    pub(crate) removed_keys: u64,
}

impl<'a> Merge<'a> {
    pub(crate) fn new(
        nodes: &'a dyn Nodes,
        sink: &'a mut dyn Sink,
        store: StoreId,
        generation: u64,
    ) -> Merge<'a> {
        Merge {
            nodes,
            sink,
            store,
            generation,
            levels: vec![Builder::new(0)],
            last_key: Vec::new(),
            has_last_key: false,
            leaf_separator: Key::default(),
            merged: Merged::default(),
        }
    }

    /// Merges `edits`, which ascend, into the tree at `root`.
    pub(crate) fn run(mut self, root: Option<Root>, edits: &[Edit]) -> Result<Merged, Fault> {
        debug_assert!(edits.windows(2).all(|pair| pair[0].0 < pair[1].0), "edits ascend");
        match root {
            Some(root) if edits.is_empty() => self.merged.root = Some(root),
            Some(root) => {
                self.descend(root.at, root.level, &[], edits)?;
                self.finish()?;
            }
            None => {
                edits.iter().try_for_each(|edit| self.add(edit))?;
                self.finish()?;
            }
        }
        Ok(self.merged)
    }

    fn descend(&mut self, at: Pointer, level: u8, separator: &[u8], edits: &[Edit]) -> Result<(), Fault> {
        if edits.is_empty() && self.is_settled(level) {
            return self.take_over(at, level, separator);
        }
        let node = self.nodes.node(at, level)?;
        self.merged.dropped.push(at.page);
        if level == 0 {
            return self.merge_leaf(&node, edits);
        }
        let mut edits = edits;
        for entry in 0..node.len() {
            let count = match entry + 1 {
                next if next < node.len() => edits.partition_point(|edit| *edit.0 < *node.key(next)),
                _ => edits.len(),
            };
            let (own, rest) = edits.split_at(count);
            edits = rest;
            self.descend(node.child(entry), level - 1, node.key(entry), own)?;
        }
        Ok(())
    }

    fn merge_leaf(&mut self, leaf: &Node, edits: &[Edit]) -> Result<(), Fault> {
        let mut edits = edits.iter().peekable();
        for entry in 0..leaf.len() {
            let key = leaf.key(entry);
            while let Some(edit) = edits.next_if(|edit| *edit.0 < *key) {
                self.add(edit)?;
            }
            match edits.next_if(|edit| *edit.0 == *key) {
                None => self.push_leaf(key, leaf.value(entry))?,
                Some((_, value)) => {
                    self.sink.displaced(leaf.value(entry));
                    match value {
                        Some(value) => self.push_leaf(key, value)?,
                        None => self.merged.removed_keys += 1,
                    }
                }
            }
        }
        edits.try_for_each(|edit| self.add(edit))
    }

    /// Adds a key that the old tree does not have.
    fn add(&mut self, (key, value): &Edit) -> Result<(), Fault> {
        let Some(value) = value else { return Ok(()) };
        self.merged.added_keys += 1;
        self.push_leaf(key, value)
    }

    fn push_leaf(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        if !self.levels[0].has_room(key, value) {
            self.emit(0)?;
        }
        if self.levels[0].len() == 0 {
            self.leaf_separator = shortest_between(self.has_last_key.then_some(&*self.last_key), key);
        }
        self.levels[0].push(key, value);
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        self.has_last_key = true;
        Ok(())
    }

    fn push_child(&mut self, level: usize, separator: &[u8], at: Pointer) -> Result<(), Fault> {
        if level == self.levels.len() {
            self.levels.push(Builder::new(u8::try_from(level).expect("a tree is low")));
        }
        let child = Builder::child(at);
        if !self.levels[level].has_room(separator, &child) {
            self.emit(level)?;
        }
        self.levels[level].push(separator, &child);
        Ok(())
    }

    /// Makes a page of what a level has, and hands it to the level above.
    fn emit(&mut self, level: usize) -> Result<(), Fault> {
        let separator = self.separator(level);
        let at = self.seal(level)?;
        self.push_child(level + 1, &separator, at)
    }

    fn separator(&self, level: usize) -> Key {
        if level == 0 { self.leaf_separator.clone() } else { self.levels[level].first_key().into() }
    }

    fn seal(&mut self, level: usize) -> Result<Pointer, Fault> {
        let (node, at) = self.levels[level].seal(self.store, self.sink.take(), self.generation);
        self.sink.write(at, node)?;
        Ok(at)
    }

    /// Says whether everything up to `level` can be made into pages now without leaving a thin one.
    fn is_settled(&self, level: u8) -> bool {
        let mut comes_up = false;
        for level in 0..=usize::from(level) {
            match self.levels.get(level) {
                Some(page) if page.len() > 0 => {
                    if page.is_thin() {
                        return false;
                    }
                    comes_up = true;
                }
                // What comes up from below would be alone here.
                _ if comes_up => return false,
                _ => {}
            }
        }
        true
    }

    fn take_over(&mut self, at: Pointer, level: u8, separator: &[u8]) -> Result<(), Fault> {
        let level = usize::from(level);
        for below in 0..=level {
            if self.levels.get(below).is_some_and(|page| page.len() > 0) {
                self.emit(below)?;
            }
        }
        while self.levels.len() <= level {
            self.levels.push(Builder::new(u8::try_from(self.levels.len()).expect("a tree is low")));
        }
        self.push_child(level + 1, separator, at)?;
        self.has_last_key = false;
        Ok(())
    }

    /// Makes pages of what is left, level by level; the last one alone is the root.
    fn finish(&mut self) -> Result<(), Fault> {
        let mut level = 0;
        while level + 1 < self.levels.len() {
            if self.levels[level].len() > 0 {
                self.emit(level)?;
            }
            level += 1;
        }
        let top = &self.levels[level];
        let level = u8::try_from(level).expect("a tree is low");
        self.merged.root = match top.len() {
            0 => None,
            1 if level > 0 => Some(Root { at: top.only_child(), level: level - 1 }),
            _ => Some(Root { at: self.seal(usize::from(level))?, level }),
        };
        Ok(())
    }
}

/// Returns the shortest prefix of `key` that is above `before`; all of it, if that is not known.
fn shortest_between(before: Option<&[u8]>, key: &[u8]) -> Key {
    let Some(before) = before else { return key.into() };
    let common = before.iter().zip(key).take_while(|(one, other)| one == other).count();
    key[..(common + 1).min(key.len())].into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::collections::{BTreeMap, HashMap};
    use std::ops::Bound;
    use std::sync::Arc;

    use crate::index::{Tree, for_each_value, get, range};
    use crate::page::Page;
    use crate::space::{Allocator, PageMap};
    use bytes::Bytes;

    const STORE: StoreId = StoreId([7; 16]);

    #[derive(Default)]
    struct Pages(RefCell<HashMap<u64, Bytes>>);

    impl Nodes for Pages {
        fn node(&self, at: Pointer, level: u8) -> Result<Arc<Node>, Fault> {
            let bytes = self.0.borrow()[&at.page.0].to_vec();
            let node = Node::new(Page::open(STORE, at.page, at.crc, bytes).unwrap()).unwrap();
            assert_eq!(node.level(), level);
            Ok(Arc::new(node))
        }

        fn node_in_memory(&self, at: Pointer, level: u8) -> Option<Arc<Node>> {
            self.node(at, level).ok()
        }
    }

    type Model = BTreeMap<Key, Vec<u8>>;

    struct New<'a> {
        pages: &'a Pages,
        allocator: Allocator,
        written: Vec<PageId>,
    }

    impl Sink for New<'_> {
        fn take(&mut self) -> PageId {
            PageId(self.allocator.take(1, 1).start)
        }
        fn write(&mut self, at: Pointer, node: Node) -> Result<(), Fault> {
            self.written.push(at.page);
            self.pages.0.borrow_mut().insert(at.page.0, node.image().clone());
            Ok(())
        }
        fn displaced(&mut self, _value: &[u8]) {}
    }

    /// Returns also which pages are new.
    fn apply(pages: &Pages, used: &mut PageMap, root: Option<Root>, edits: &[Edit]) -> (Merged, Vec<PageId>) {
        let mut new = New { pages, allocator: Allocator::new(used.clone()), written: Vec::new() };
        let merged = Merge::new(pages, &mut new, STORE, 1).run(root, edits).unwrap();
        new.written.iter().for_each(|page| used.insert(page.0..page.0 + 1));
        (merged, new.written)
    }

    fn check(pages: &Pages, used: &PageMap, root: Option<Root>, model: &Model) {
        let mut reached = PageMap::of_slots();
        let mut listed = Vec::new();
        let mut page = |at: Pointer| reached.insert(at.page.0..at.page.0 + 1);
        for_each_value(pages, root, &mut page, &mut |key, value| {
            listed.push((Key::from(key), value.to_vec()));
            Ok(())
        })
        .unwrap();
        assert_eq!(listed, model.clone().into_iter().collect::<Vec<_>>());
        assert_eq!(reached.count(), used.count(), "every page that is not dropped is reached");
        let tree = Tree::new(root);
        for key in model.keys().step_by(7) {
            assert_eq!(get(pages, &tree, key, <[u8]>::to_vec).unwrap().as_ref(), model.get(key));
            let mut absent = key.to_vec();
            absent.push(0);
            assert_eq!(get(pages, &tree, &absent, <[u8]>::to_vec).unwrap().as_ref(), model.get(&*absent));
            let (from, exact) = (Bound::Excluded(&**key), Bound::Included(&**key));
            let after = model.range::<[u8], _>((from, Bound::Unbounded)).take(3);
            let after: Vec<_> = after.map(|(key, value)| (key.clone(), value.clone())).collect();
            assert_eq!(range(pages, root, from, 3).unwrap(), after);
            assert_eq!(range(pages, root, exact, 1).unwrap()[0].0, *key);
        }
    }

    /// However a tree came to its content: it lists, finds and leaves out what a map does.
    #[test]
    fn a_tree_is_a_sorted_map_after_any_merges() {
        for seed in 0..30_u64 {
            let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut next = |below: u64| {
                random ^= random >> 12;
                random ^= random << 25;
                random ^= random >> 27;
                (random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % below
            };
            let pages = Pages::default();
            let mut used = PageMap::of_slots();
            let (mut model, mut root) = (Model::new(), None);
            let space = [50, 3000, 100_000][usize::try_from(seed % 3).unwrap()];
            let long = seed % 5 == 4;
            for _ in 0..12 {
                let mut edits = BTreeMap::new();
                let count = 1 + next(700);
                let removes = next(10);
                let start = next(space);
                for _ in 0..count {
                    // Some batches in one corner, some everywhere.
                    let number = if removes % 2 == 0 { next(space) } else { (start + next(300)) % space };
                    let mut key =
                        number.wrapping_mul(if removes % 2 == 0 { 1 } else { 3 }).to_be_bytes().to_vec();
                    if long && number % 3 == 0 {
                        key.resize(1058, b'k');
                    }
                    let value = (next(10) >= removes).then(|| vec![7; usize::try_from(next(15)).unwrap()]);
                    edits.insert(Key::from(key), value);
                }
                for (key, value) in &edits {
                    match value {
                        Some(value) => drop(model.insert(key.clone(), value.clone())),
                        None => drop(model.remove(key)),
                    }
                }
                let before = used.clone();
                let edits: Vec<Edit> = edits.into_iter().collect();
                let (merged, written) = apply(&pages, &mut used, root, &edits);
                assert!(written.iter().all(|page| !before.contains(page.0)), "X1");
                merged.dropped.iter().for_each(|page| used.remove(*page));
                root = merged.root;
                check(&pages, &used, root, &model);
            }
            let all: Vec<Edit> = model.keys().map(|key| (key.clone(), None)).collect();
            let (merged, _) = apply(&pages, &mut used, root, &all);
            assert_eq!(merged.root, None, "nothing is left of nothing");
        }
    }

    #[test]
    fn removing_most_keys_leaves_few_pages() {
        let pages = Pages::default();
        let mut used = PageMap::of_slots();
        let key = |number: u32| Key::from(number.to_be_bytes().as_slice());
        let all: Vec<Edit> = (0..20_000).map(|number| (key(number), Some(vec![1; 14]))).collect();
        let root = apply(&pages, &mut used, None, &all).0.root;
        let most: Vec<Edit> =
            (0..20_000).filter(|number| number % 50 != 0).map(|number| (key(number), None)).collect();
        let (merged, written) = apply(&pages, &mut used, root, &most);
        assert!(written.len() <= 5, "{}", written.len());
        assert_eq!(merged.removed_keys, 19_600);
    }

    #[test]
    fn a_small_change_rewrites_one_path() {
        let pages = Pages::default();
        let mut used = PageMap::of_slots();
        let key = |number: u32| Key::from(number.to_be_bytes().as_slice());
        let all: Vec<Edit> = (0..20_000).map(|number| (key(number), Some(vec![1; 14]))).collect();
        let (first, _) = apply(&pages, &mut used, None, &all);
        let edit = (key(10_000), Some(vec![2; 14]));
        let (merged, written) = apply(&pages, &mut used, first.root, &[edit]);
        assert_eq!(written.len(), usize::from(first.root.unwrap().level) + 1);
        assert_eq!(merged.dropped.len(), written.len());
    }
}
