//! Checks a whole tree against one that was checked before: only what the other does not have is read, and what is
//! damaged does not end the walk.
//!
//! A node is passed over if the other tree has it too, with the same neighbours: last key of the left one, whether
//! anything is to the right, and what the parent says of it. Where neighbours differ it is read again, and so are the
//! nodes along its sides: so a node that is sound in one place is found where it is not in another.
//!
//! Used by: `repo::check`. Memory: one node for each level of both trees.

use std::cmp::Ordering;
use std::sync::Arc;

use bytes::Bytes;

use super::diff::Change;
use super::node::Node;
use super::{Damage, Entry, Tree, TreeError, TreeStore, value_link};
use crate::cid::Cid;

/// What a verification comes upon.
#[derive(Debug)]
pub(crate) enum Met {
    /// A sound node that the other tree does not have at this place.
    Node(Stretch),
    /// An entry that the other tree has not, or otherwise, or one that only the other has.
    Change(Change),
    /// A node that cannot be used. What lies below is unknown: nothing is said of it.
    Bad(Stretch, TreeError),
}

/// A node, and which keys are its own: those above `after`, up to `last`. Of a root neither is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) cid: Cid,
    pub(crate) after: Option<Bytes>,
    pub(crate) last: Option<Bytes>,
    /// How many entries the parent says there are.
    pub(crate) count: Option<u64>,
}

/// Walks a tree. Owned; ends when both trees are done.
pub(crate) struct Verify {
    store: TreeStore,
    before: Vec<Item>,
    after: Vec<Item>,
    /// Keys of which nothing is known because their node is bad: above the first, up to the second.
    blind: Option<(Option<Bytes>, Option<Bytes>)>,
    is_whole: bool,
    met: Option<Met>,
}

enum Item {
    Node(Spot),
    Entry(Entry),
}

/// A child as its parent states it, in its place.
#[derive(PartialEq, Eq)]
struct Spot {
    stretch: Stretch,
    level: Option<u8>,
    is_rightmost: bool,
}

impl Spot {
    fn root(cid: Cid) -> Spot {
        let stretch = Stretch { cid, after: None, last: None, count: None };
        Spot { stretch, level: None, is_rightmost: true }
    }

    fn is_root(&self) -> bool {
        self.level.is_none()
    }

    /// Says whether all keys of this node are below those of the other.
    fn is_before(&self, other: &Spot) -> bool {
        matches!((&self.stretch.last, &other.stretch.after), (Some(last), Some(after)) if last <= after)
    }

    /// Says whether a key is below all keys of the node.
    fn is_behind(&self, key: &[u8]) -> bool {
        self.stretch.after.as_deref().is_some_and(|after| key <= after)
    }

    /// Checks what the node alone does not know.
    fn check(&self, node: &Node) -> Result<(), Damage> {
        let Some(level) = self.level else {
            return if node.level() > 0 && node.len() < 2 { Err(Damage::TooFew) } else { Ok(()) };
        };
        if node.level() != level {
            return Err(Damage::Level { expected: level, found: u64::from(node.level()) });
        }
        if Some(node.count()) != self.stretch.count {
            return Err(Damage::Count);
        }
        if node.last_key() != self.stretch.last.as_deref() {
            return Err(Damage::LastKey);
        }
        if node.len() == 0 {
            return Err(Damage::TooFew);
        }
        if self.is_behind(node.key(0)) {
            return Err(Damage::FirstKey);
        }
        if node.is_closed() || self.is_rightmost { Ok(()) } else { Err(Damage::CutEarly) }
    }
}

impl TreeStore {
    /// Checks the tree under `root` against the one under `before`, or all of it.
    pub(crate) fn verify(&self, before: Option<&Cid>, root: &Cid) -> Verify {
        let spot = |root: &Cid| Item::Node(Spot::root(*root));
        let is_same = before == Some(root);
        let items = |root: Option<&Cid>| root.filter(|_| !is_same).map(spot).into_iter().collect();
        Verify {
            store: self.clone(),
            before: items(before),
            after: items(Some(root)),
            blind: None,
            is_whole: true,
            met: None,
        }
    }
}

/// Which of the two trees goes on.
enum Next {
    Before,
    After,
    Both,
    Same,
    Removed,
    Added,
    Compare,
    End,
}

impl Verify {
    /// Says whether everything that differs was read, of both trees: else changes may be left out or made up.
    pub(crate) const fn is_whole(&self) -> bool {
        self.is_whole
    }

    fn choose(&self) -> Next {
        match (self.before.last(), self.after.last()) {
            (None, None) => Next::End,
            (Some(Item::Node(_)), None) => Next::Before,
            (None, Some(Item::Node(_))) => Next::After,
            (Some(Item::Entry(_)), None) => Next::Removed,
            (None, Some(Item::Entry(_))) => Next::Added,
            (Some(Item::Node(old)), Some(Item::Node(new))) => choose_node(old, new),
            (Some(Item::Node(old)), Some(Item::Entry(entry))) => {
                if old.is_behind(&entry.key) {
                    Next::Added
                } else {
                    Next::Before
                }
            }
            (Some(Item::Entry(entry)), Some(Item::Node(new))) => {
                if new.is_behind(&entry.key) {
                    Next::Removed
                } else {
                    Next::After
                }
            }
            (Some(Item::Entry(_)), Some(Item::Entry(_))) => Next::Compare,
        }
    }

    fn advance(&mut self) -> Option<Met> {
        loop {
            if let Some(met) = self.met.take() {
                return Some(met);
            }
            match self.choose() {
                Next::End => return None,
                Next::Before => self.open_before(),
                Next::After => self.open_after(),
                Next::Both => {
                    self.open_before();
                    self.open_after();
                }
                Next::Same => {
                    self.before.pop();
                    self.after.pop();
                }
                Next::Removed => self.removed(),
                Next::Added => self.added(),
                Next::Compare => self.compare(),
            }
        }
    }

    fn open_before(&mut self) {
        let Some(Item::Node(spot)) = self.before.pop() else { return };
        match self.store.load(&spot.stretch.cid) {
            Ok(node) if spot.check(&node).is_ok() => push(&mut self.before, &spot, &node),
            // It was reported when its own tree was looked at.
            _ => self.is_whole = false,
        }
    }

    fn open_after(&mut self) {
        let Some(Item::Node(spot)) = self.after.pop() else { return };
        let cid = spot.stretch.cid;
        let node = self.store.load(&cid).and_then(|node| match spot.check(&node) {
            Ok(()) => Ok(node),
            Err(what) => Err(TreeError::Damaged { cid, what }),
        });
        match node {
            Ok(node) => {
                push(&mut self.after, &spot, &node);
                self.met = Some(Met::Node(spot.stretch));
            }
            Err(why) => {
                self.is_whole = false;
                self.blind = Some((spot.stretch.after.clone(), spot.stretch.last.clone()));
                self.met = Some(Met::Bad(spot.stretch, why));
            }
        }
    }

    fn is_blind(&self, key: &[u8]) -> bool {
        self.blind.as_ref().is_some_and(|(after, last)| {
            after.as_deref().is_none_or(|after| after < key) && last.as_deref().is_none_or(|last| key <= last)
        })
    }

    fn removed(&mut self) {
        let Some(Item::Entry(Entry { key, value })) = self.before.pop() else { return };
        if !self.is_blind(&key) {
            self.met = Some(Met::Change(Change { key, before: Some(value), after: None }));
        }
    }

    fn added(&mut self) {
        let Some(Item::Entry(Entry { key, value })) = self.after.pop() else { return };
        self.met = Some(Met::Change(Change { key, before: None, after: Some(value) }));
    }

    fn compare(&mut self) {
        let (Some(Item::Entry(old)), Some(Item::Entry(new))) = (self.before.last(), self.after.last()) else {
            return;
        };
        match old.key.cmp(&new.key) {
            Ordering::Less => self.removed(),
            Ordering::Greater => self.added(),
            Ordering::Equal => {
                let is_changed = old.value != new.value;
                let (key, before, after) = (new.key.clone(), old.value.clone(), new.value.clone());
                self.before.pop();
                self.after.pop();
                self.met = is_changed.then_some(Met::Change(Change {
                    key,
                    before: Some(before),
                    after: Some(after),
                }));
            }
        }
    }
}

fn choose_node(old: &Spot, new: &Spot) -> Next {
    // Roots are read at once: only then it is known how high they are.
    match (old.is_root(), new.is_root()) {
        (true, true) => return Next::Both,
        (true, false) => return Next::Before,
        (false, true) => return Next::After,
        (false, false) => {}
    }
    if old == new {
        return Next::Same;
    }
    if new.is_before(old) {
        return Next::After;
    }
    if old.is_before(new) {
        return Next::Before;
    }
    match old.level.cmp(&new.level) {
        Ordering::Less => Next::After,
        Ordering::Greater => Next::Before,
        Ordering::Equal => Next::Both,
    }
}

/// Puts what a node holds on a stack, the first entry on top.
fn push(stack: &mut Vec<Item>, spot: &Spot, node: &Arc<Node>) {
    for i in (0..node.len()).rev() {
        if node.level() == 0 {
            stack.push(Item::Entry(Entry { key: node.key_bytes(i), value: node.value_bytes(i) }));
            continue;
        }
        let (cid, count) = node.child(i);
        let after = match i.checked_sub(1) {
            Some(left) => Some(node.key_bytes(left)),
            None => spot.stretch.after.clone(),
        };
        let stretch = Stretch { cid, after, last: Some(node.key_bytes(i)), count: Some(count) };
        let is_rightmost = spot.is_rightmost && i + 1 == node.len();
        stack.push(Item::Node(Spot { stretch, level: Some(node.level() - 1), is_rightmost }));
    }
}

impl Iterator for Verify {
    type Item = Met;

    fn next(&mut self) -> Option<Met> {
        self.advance()
    }
}

impl Tree {
    /// Says whether the way to `key` leads through a node, or to a link to a block.
    pub(crate) fn leads_to(&self, key: &[u8], target: &Cid) -> bool {
        let mut cid = self.root;
        let mut level = u16::MAX;
        loop {
            if cid == *target {
                return true;
            }
            let Ok(node) = self.store.load(&cid) else { return false };
            if node.level() == 0 {
                return node.find(key).and_then(|i| value_link(node.tail(i))).is_some_and(|it| it == *target);
            }
            // Levels fall on the way: what claims another one is not followed.
            if u16::from(node.level()) >= level {
                return false;
            }
            level = node.level().into();
            let below = node.below(key);
            let Some(next) = (below < node.len()).then(|| node.child(below).0) else { return false };
            cid = next;
        }
    }
}
