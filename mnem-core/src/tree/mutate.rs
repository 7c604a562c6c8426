//! Changes a tree by a sorted batch of edits, at the cost of what changes.
//!
//! Level by level from the leaves up: the nodes in which edits fall are cut anew, going on to the right until an old
//! and a new node end at the same entry; from there on the old nodes stand. What changed is the list of edits of the
//! level above.

use std::ops::Range;

use bytes::Bytes;

use super::build::{Levels, check_entry, check_key};
use super::chunker::{Child, Chunker, Made, empty_leaf};
use super::node::{Node, child_tail};
use super::path::{Frame, Path};
use super::{BlockSink, Tree, TreeError, TreeStore};
use crate::cid::Cid;

/// What becomes of one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Edit {
    /// The key.
    pub key: Bytes,
    /// Its value from now on; `None` removes the key, if it is there.
    pub value: Option<Bytes>,
}

impl Tree {
    /// Returns the tree with `edits`, whose keys must ascend, made to it. The nodes that it has and this tree has not
    /// go to `sink`.
    pub fn mutate(
        &self,
        edits: impl IntoIterator<Item = Edit>,
        sink: &mut dyn BlockSink,
    ) -> Result<Tree, TreeError> {
        self.try_mutate(edits.into_iter().map(Ok), sink)
    }

    /// The same for edits that come from something that can fail. What was given to `sink` before a failure is of no
    /// use.
    pub fn try_mutate<E: From<TreeError>>(
        &self,
        edits: impl IntoIterator<Item = Result<Edit, E>>,
        sink: &mut dyn BlockSink,
    ) -> Result<Tree, E> {
        let mut at = 0;
        let mut last = Bytes::new();
        let changes = edits.into_iter().map(move |edit| -> Result<Change, E> {
            let change = check_edit(edit?, &last, at)?;
            last = change.key.clone();
            at += 1;
            Ok(change)
        });
        let changes = Lookahead::start(changes)?;
        if changes.head().is_none() {
            return Ok(self.clone());
        }
        let root = self.store.root_frame(&self.root)?;
        let top = root.node.level();
        let mut output = Output { sink, held: Vec::new() };
        let mut row = Pass::new(&self.store, 0, &mut output).run(&root, changes)?;
        for level in 1..=top {
            let changes = row.changes();
            if changes.is_empty() {
                return Ok(self.clone());
            }
            let changes = Lookahead::start(changes.into_iter().map(Ok::<_, TreeError>))?;
            row = Pass::new(&self.store, level, &mut output).run(&root, changes)?;
        }
        let root = self.crown(&row.new, top, output)?;
        Ok(self.store.tree(root))
    }

    /// Finds the root of a tree whose nodes at the level of the old root are `nodes`.
    fn crown(&self, nodes: &[Child], top: u8, output: Output<'_>) -> Result<Cid, TreeError> {
        match nodes {
            [] => output.only(empty_leaf(), &self.root),
            [node] => {
                let frame = self.lowest_root(node, &output.held)?;
                let root = *frame.node.cid();
                output.finish(frame.node.level())?;
                Ok(root)
            }
            nodes => {
                let level = top.checked_add(1).ok_or(TreeError::Overflow)?;
                let mut levels = Levels::new(level);
                for node in nodes {
                    levels.push_child(&self.store.rule, node, output.sink)?;
                }
                let root = levels.finish(&self.store.rule, output.sink)?;
                Ok(root.expect("nodes were pushed"))
            }
        }
    }

    /// Goes down from the one node of a level while it has but one child.
    fn lowest_root(&self, node: &Child, held: &[Made]) -> Result<Frame, TreeError> {
        let load = |cid: &Cid| match held.iter().find(|made| made.child.cid == *cid) {
            Some(made) => self.store.admit(cid, Some(made.block.clone())),
            None => self.store.load(cid),
        };
        let mut frame = Frame::root(load(&node.cid)?);
        while frame.node.level() > 0 && frame.node.len() == 1 {
            let (child, _) = frame.node.child(0);
            frame = frame.enter(0, load(&child)?)?;
        }
        Ok(frame)
    }
}

fn check_edit(edit: Edit, last: &[u8], at: u64) -> Result<Change, TreeError> {
    match &edit.value {
        Some(value) => check_entry(&edit.key, value)?,
        None => check_key(&edit.key)?,
    }
    // No key is empty, so the first is above the empty one that stands for none.
    if *edit.key <= *last {
        return Err(TreeError::Unsorted { at });
    }
    Ok(Change { key: edit.key, tail: edit.value.map(|value| (value, 1)) })
}

/// An edit of any level.
struct Change {
    key: Bytes,
    /// What follows the key, and the count of entries below; `None` removes.
    tail: Option<(Bytes, u64)>,
}

/// A stream whose next item is known.
struct Lookahead<I> {
    head: Option<Change>,
    rest: I,
}

impl<E, I: Iterator<Item = Result<Change, E>>> Lookahead<I> {
    fn start(mut rest: I) -> Result<Self, E> {
        Ok(Lookahead { head: rest.next().transpose()?, rest })
    }

    const fn head(&self) -> Option<&Change> {
        self.head.as_ref()
    }

    /// Takes the next item if its key is not above `limit`.
    fn take(&mut self, limit: Option<&[u8]>) -> Result<Option<Change>, E> {
        match (&self.head, limit) {
            (Some(change), Some(limit)) if *change.key > *limit => Ok(None),
            (None, _) => Ok(None),
            _ => Ok(std::mem::replace(&mut self.head, self.rest.next().transpose()?)),
        }
    }
}

/// Where new nodes go. The first of each level is held back: if it stays the only one, it may be a root that turns
/// out to have one child, and then it is not part of the tree.
struct Output<'s> {
    sink: &'s mut dyn BlockSink,
    held: Vec<Made>,
}

impl Output<'_> {
    fn put(&mut self, made: Made, is_first: bool) -> Result<(), TreeError> {
        if is_first {
            self.held.push(made);
            return Ok(());
        }
        self.release()?;
        Ok(self.sink.put(made.block)?)
    }

    /// A level has two nodes: so it, and all below it, belongs to the tree.
    fn release(&mut self) -> Result<(), TreeError> {
        for made in self.held.drain(..) {
            self.sink.put(made.block)?;
        }
        Ok(())
    }

    /// Writes what is held up to the level of the root.
    fn finish(self, root: u8) -> Result<(), TreeError> {
        for made in self.held.into_iter().filter(|made| made.level <= root) {
            self.sink.put(made.block)?;
        }
        Ok(())
    }

    /// Writes `block` alone, unless it is `old`.
    fn only(self, block: crate::Block, old: &Cid) -> Result<Cid, TreeError> {
        let cid = *block.cid();
        if cid != *old {
            self.sink.put(block)?;
        }
        Ok(cid)
    }
}

/// Old nodes that were visited and new ones in their place, both from left to right.
struct Row {
    old: Vec<Child>,
    new: Vec<Child>,
}

impl Row {
    /// Returns what must change in the level above.
    fn changes(self) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut old = self.old.into_iter().peekable();
        let remove = |node: Child| Change { key: node.last, tail: None };
        for node in self.new {
            while let Some(gone) = old.next_if(|old| old.last < node.last) {
                changes.push(remove(gone));
            }
            if old.next_if(|old| old.last == node.last).as_ref() != Some(&node) {
                let tail = child_tail(&node.cid, node.count).into();
                changes.push(Change { key: node.last, tail: Some((tail, node.count)) });
            }
        }
        changes.extend(old.map(remove));
        changes
    }
}

/// One level, cut anew where it changes.
struct Pass<'a, 's> {
    store: &'a TreeStore,
    level: u8,
    chunker: Chunker,
    row: Row,
    output: &'a mut Output<'s>,
}

impl<'a, 's> Pass<'a, 's> {
    const fn new(store: &'a TreeStore, level: u8, output: &'a mut Output<'s>) -> Pass<'a, 's> {
        let row = Row { old: Vec::new(), new: Vec::new() };
        Pass { store, level, chunker: Chunker::new(level), row, output }
    }

    fn run<E: From<TreeError>>(
        mut self,
        root: &Frame,
        mut changes: Lookahead<impl Iterator<Item = Result<Change, E>>>,
    ) -> Result<Row, E> {
        let mut path = Path::new(root.clone(), self.level);
        while let Some(change) = changes.head() {
            // Nodes to the left stand: where a node ends does not depend on what follows it.
            path.seek(self.store, &change.key)?;
            loop {
                let frame = path.leaf();
                self.visit(frame, &mut changes)?;
                // An old and a new node end here: what follows is cut as before.
                if self.chunker.is_empty() {
                    break;
                }
                let more = path.step(self.store, super::Order::Ascending)?;
                assert!(more, "the right-most node leaves nothing open");
            }
        }
        Ok(self.row)
    }

    /// Merges the entries of an old node with the changes that fall into it.
    fn visit<E: From<TreeError>>(
        &mut self,
        frame: &Frame,
        changes: &mut Lookahead<impl Iterator<Item = Result<Change, E>>>,
    ) -> Result<(), E> {
        let node = &*frame.node;
        if let Some(last) = node.last_key() {
            let last = Bytes::copy_from_slice(last);
            self.row.old.push(Child { last, cid: *node.cid(), count: node.count() });
        }
        let mut at = 0;
        while at < node.len() {
            let until = changes.head().map_or(node.len(), |change| node.below(&change.key));
            self.keep(node, at..until)?;
            at = until;
            let Some(limit) = (at < node.len()).then(|| node.key(at)) else { break };
            if let Some(change) = changes.take(Some(limit))? {
                at += usize::from(*change.key == *limit);
                self.apply(&change, node)?;
            }
        }
        if frame.rightmost {
            while let Some(change) = changes.take(None)? {
                self.apply(&change, node)?;
            }
            let made = self.chunker.close();
            self.emit(made, node)?;
        }
        Ok(())
    }

    fn apply(&mut self, change: &Change, node: &Node) -> Result<(), TreeError> {
        if let Some((tail, count)) = &change.tail {
            let made = self.chunker.push(&self.store.rule, &change.key, tail, *count)?;
            self.emit(made, node)?;
        }
        Ok(())
    }

    /// Takes over entries of an old node: as one piece, where it is known how the rule decides for them.
    fn keep(&mut self, node: &Node, entries: Range<usize>) -> Result<(), TreeError> {
        let mut at = entries.start;
        while at < entries.end {
            let rest = at..entries.end;
            let (taken, made) = if self.chunker.stands_at(at, node.weight_before(at)) {
                // As it did when the node was checked.
                let ends = entries.end == node.len() && node.is_closed();
                (rest.len(), self.chunker.push_known(node, rest, ends)?)
            } else {
                self.chunker.push_until(&self.store.rule, node, rest)?
            };
            self.emit(made, node)?;
            at += taken;
        }
        Ok(())
    }

    /// Takes a node that was made of entries up to one of `old`, or up to a change that falls into it.
    fn emit(&mut self, made: Option<Made>, old: &Node) -> Result<(), TreeError> {
        let Some(made) = made else { return Ok(()) };
        let is_first = self.row.new.is_empty();
        self.row.new.push(made.child.clone());
        // Equal nodes end with the same key, so no other old node can be equal.
        if made.child.cid == *old.cid() {
            return if is_first { Ok(()) } else { self.output.release() };
        }
        self.output.put(made, is_first)
    }
}
