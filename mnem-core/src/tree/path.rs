//! Ways down a tree, each node checked against what its parent says of it.
//!
//! Invariants
//!  W1  A child's level is its parent's minus one: so every way down ends.
//!  W2  A child's last key and count are those its parent states.
//!  W3  A child's first key is above the last key of its left neighbour, which may hang under another parent.
//!  W4  Only the right-most node of a level may end without the rule saying so, or have one child.
//!  W5  The root has more than one child, or is a leaf; only as a root a leaf may be empty.

use std::sync::Arc;

use super::node::Node;
use super::range::Order;
use super::{Damage, TreeError, TreeStore};
use crate::cid::Cid;

/// A node and where it stands in its tree.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) node: Arc<Node>,
    left: Option<Left>,
    /// Nothing of the level is to the right.
    pub(crate) rightmost: bool,
    /// Where the walk is: the child that it is in or, in the last frame, whatever the walk takes it for.
    pub(crate) at: usize,
}

/// The left neighbour of a node: an entry of its parent, or of a node above.
#[derive(Clone, Debug)]
struct Left {
    node: Arc<Node>,
    at: usize,
}

impl Frame {
    pub(crate) const fn root(node: Arc<Node>) -> Frame {
        Frame { node, left: None, rightmost: true, at: 0 }
    }

    /// Returns the last key of the left neighbour, if there is one.
    fn after_all(&self) -> Option<&[u8]> {
        self.left.as_ref().map(|left| left.node.key(left.at))
    }

    /// Returns the greatest key that is below all keys of child `i`, if there is one.
    pub(crate) fn after(&self, i: usize) -> Option<&[u8]> {
        if i == 0 { self.after_all() } else { Some(self.node.key(i - 1)) }
    }

    pub(crate) fn is_rightmost(&self, i: usize) -> bool {
        self.rightmost && i + 1 == self.node.len()
    }

    /// Checks a child against its place: what the node alone does not know.
    fn check_place(&self, i: usize, child: &Node) -> Result<(), TreeError> {
        let overlaps = i == 0 && self.after_all().is_some_and(|after| child.key(0) <= after);
        let what = if overlaps {
            Damage::FirstKey
        } else if !child.is_closed() && !self.is_rightmost(i) {
            Damage::CutEarly
        } else {
            return Ok(());
        };
        Err(TreeError::Damaged { cid: *child.cid(), what })
    }

    /// Puts a child that is checked against the node to its place.
    fn place(&self, i: usize, child: Arc<Node>) -> Result<Frame, TreeError> {
        self.check_place(i, &child)?;
        let left = match i.checked_sub(1) {
            Some(at) => Some(Left { node: Arc::clone(&self.node), at }),
            None => self.left.clone(),
        };
        Ok(Frame { node: child, left, rightmost: self.is_rightmost(i), at: 0 })
    }

    /// Puts a loaded child to its place.
    pub(crate) fn enter(&self, i: usize, child: Arc<Node>) -> Result<Frame, TreeError> {
        self.node.check_pair(i, &child)?;
        self.place(i, child)
    }
}

impl TreeStore {
    /// Reads a root.
    pub(crate) fn root_frame(&self, root: &Cid) -> Result<Frame, TreeError> {
        let node = self.load(root)?;
        if node.level() > 0 && node.len() < 2 {
            return Err(TreeError::Damaged { cid: *root, what: Damage::TooFew });
        }
        Ok(Frame::root(node))
    }

    /// Reads child `i` of a node above level 0.
    pub(crate) fn child_frame(&self, parent: &Frame, i: usize) -> Result<Frame, TreeError> {
        parent.place(i, self.load_child(&parent.node, i)?)
    }

    /// The same when the parent is of no more use.
    pub(crate) fn descend(&self, parent: Frame, i: usize) -> Result<Frame, TreeError> {
        let child = self.load_child(&parent.node, i)?;
        parent.check_place(i, &child)?;
        let rightmost = parent.is_rightmost(i);
        let left = match i.checked_sub(1) {
            Some(at) => Some(Left { node: parent.node, at }),
            None => parent.left,
        };
        Ok(Frame { node: child, left, rightmost, at: 0 })
    }
}

/// The way from the root to a node of one level, and along that level. Nodes on the way are read once.
#[derive(Debug)]
pub(crate) struct Path {
    level: u8,
    frames: Vec<Frame>,
}

impl Path {
    /// Starts at `root`, on the way to `level`, which is not above it.
    pub(crate) fn new(root: Frame, level: u8) -> Path {
        Path { level, frames: vec![root] }
    }

    /// Returns the node that the path has reached.
    pub(crate) fn leaf(&self) -> &Frame {
        self.frames.last().expect("the root stays until the end of the level")
    }

    pub(crate) fn leaf_mut(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("the root stays until the end of the level")
    }

    /// Goes to the node that has `key` or would have it: the first whose last key is not below it, else the
    /// right-most. Reads only what is not on the way already, if keys ascend.
    pub(crate) fn seek(&mut self, store: &TreeStore, key: &[u8]) -> Result<(), TreeError> {
        let behind = |frame: &Frame| frame.node.last_key().is_some_and(|last| last < key);
        let before = |frame: &Frame| frame.after_all().is_some_and(|after| key <= after);
        while self.frames.len() > 1 && (behind(self.leaf()) || before(self.leaf())) {
            self.frames.pop();
        }
        self.descend(store, |frame| frame.node.route(key))
    }

    /// From the root, goes to the first node with a key for which `below`, which holds for a prefix of all keys, does
    /// not hold; else to the right-most.
    pub(crate) fn seek_where(
        &mut self,
        store: &TreeStore,
        below: impl Fn(&[u8]) -> bool,
    ) -> Result<(), TreeError> {
        self.descend(store, |frame| frame.node.partition(&below).min(frame.node.len() - 1))
    }

    fn descend(&mut self, store: &TreeStore, choose: impl Fn(&Frame) -> usize) -> Result<(), TreeError> {
        while self.leaf().node.level() > self.level {
            let at = choose(self.leaf());
            self.leaf_mut().at = at;
            let child = store.child_frame(self.leaf(), at)?;
            self.frames.push(child);
        }
        Ok(())
    }

    /// Goes to the neighbour, and says whether there is one. If not, the path is at its end and not to be used again.
    pub(crate) fn step(&mut self, store: &TreeStore, order: Order) -> Result<bool, TreeError> {
        self.frames.pop();
        while let Some(frame) = self.frames.last_mut() {
            let next = match order {
                Order::Ascending => Some(frame.at + 1).filter(|at| *at < frame.node.len()),
                Order::Descending => frame.at.checked_sub(1),
            };
            let Some(at) = next else {
                self.frames.pop();
                continue;
            };
            frame.at = at;
            let child = store.child_frame(frame, at)?;
            self.frames.push(child);
            self.descend(store, |frame| match order {
                Order::Ascending => 0,
                Order::Descending => frame.node.len() - 1,
            })?;
            return Ok(true);
        }
        Ok(false)
    }
}
