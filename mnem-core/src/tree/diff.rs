//! What differs between two trees, without reading what they share.

use std::cmp::Ordering;

use bytes::Bytes;

use super::path::Frame;
use super::{Entry, KeyRange, Order, Tree, TreeError, TreeStore, value_link};
use crate::cid::Cid;

/// One key whose value differs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    /// The key.
    pub key: Bytes,
    /// Its value in the first tree.
    pub before: Option<Bytes>,
    /// Its value in the second tree.
    pub after: Option<Bytes>,
}

/// Walks the differences between two trees. Owned; nodes are read when they are reached; after an error it has ended.
#[derive(Debug)]
pub struct Diff {
    before: Walk,
    after: Walk,
    range: KeyRange,
    order: Order,
    ended: bool,
    /// Where what both have is noted, if anybody asked.
    shared: Option<Vec<Cid>>,
}

/// What two trees have in common, and what not.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    /// Where both lead: the nodes that were passed over, and the values, which are links, that did not change. What lies
    /// below a node is not named again.
    pub(crate) shared: Vec<Cid>,
    /// The keys whose values differ.
    pub(crate) changes: Vec<Change>,
}

impl Tree {
    /// Walks what must change in a range of this tree to make it equal to `other`. Costs what differs, not what is
    /// there; of equal trees nothing is read. For the first few, take no more of them.
    pub fn diff(&self, other: &Tree, range: KeyRange, order: Order) -> Diff {
        let ended = self.root == other.root;
        let (before, after) = (Walk::new(self, order), Walk::new(other, order));
        Diff { before, after, range, order, ended, shared: None }
    }

    /// Tells what `other` has in common with this tree from what it has not. Costs what differs.
    pub(crate) fn compare(&self, other: &Tree) -> Result<Compared, TreeError> {
        if self.root == other.root {
            return Ok(Compared { shared: vec![self.root], changes: Vec::new() });
        }
        let mut diff = self.diff(other, KeyRange::ALL, Order::Ascending);
        diff.shared = Some(Vec::new());
        let changes = diff.by_ref().collect::<Result<_, _>>()?;
        Ok(Compared { shared: diff.shared.unwrap_or_default(), changes })
    }
}

impl Iterator for Diff {
    type Item = Result<Change, TreeError>;

    fn next(&mut self) -> Option<Result<Change, TreeError>> {
        if self.ended {
            return None;
        }
        let next = self.advance().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

impl std::iter::FusedIterator for Diff {}

impl Diff {
    fn advance(&mut self) -> Result<Option<Change>, TreeError> {
        self.before.start()?;
        self.after.start()?;
        loop {
            self.before.settle(&self.range);
            self.after.settle(&self.range);
            if self.skip_alike() {
                continue;
            }
            match (self.before.head(), self.after.head()) {
                (Head::Node { cid, .. }, Head::Node { cid: other, .. }) if cid == other => {
                    if let Some(shared) = &mut self.shared {
                        shared.push(cid);
                    }
                    self.before.skip();
                    self.after.skip();
                }
                (Head::Node { level, .. }, Head::Node { level: other, .. }) => {
                    if level >= other {
                        self.before.open()?;
                    }
                    if other >= level {
                        self.after.open()?;
                    }
                }
                (Head::Node { .. }, _) => self.before.open()?,
                (_, Head::Node { .. }) => self.after.open()?,
                (Head::End, Head::End) => return Ok(None),
                (Head::Entry, Head::End) => return Ok(Some(self.removed())),
                (Head::End, Head::Entry) => return Ok(Some(self.added())),
                (Head::Entry, Head::Entry) => return Ok(Some(self.compare())),
            }
        }
    }

    /// Passes over entries that are equal byte for byte, be they values or children, and says whether there were any.
    fn skip_alike(&mut self) -> bool {
        let mut skipped = false;
        while let (Some((before, i)), Some((after, j))) = (self.before.current(), self.after.current()) {
            let alike = match self.order {
                Order::Ascending => before.node.alike(i, &after.node, j),
                Order::Descending => usize::from(before.node.entry(i) == after.node.entry(j)),
            };
            if alike == 0 {
                break;
            }
            if let Some(shared) = &mut self.shared {
                let entries = i..i + alike; // whoever asks goes upwards
                shared.extend(entries.filter_map(|i| match before.node.level() {
                    0 => value_link(&before.node.value_bytes(i)),
                    _ => Some(before.node.child(i).0),
                }));
            }
            self.before.skip_many(alike);
            self.after.skip_many(alike);
            skipped = true;
        }
        skipped
    }

    fn removed(&mut self) -> Change {
        let Entry { key, value } = self.before.take();
        Change { key, before: Some(value), after: None }
    }

    fn added(&mut self) -> Change {
        let Entry { key, value } = self.after.take();
        Change { key, before: None, after: Some(value) }
    }

    /// Takes the lesser of two entries, or both if their keys are equal: then their values are not.
    fn compare(&mut self) -> Change {
        let keys = self.before.key().cmp(self.after.key());
        match if self.order == Order::Ascending { keys } else { keys.reverse() } {
            Ordering::Less => self.removed(),
            Ordering::Greater => self.added(),
            Ordering::Equal => {
                let Entry { key, value } = self.before.take();
                Change { key, before: Some(value), after: Some(self.after.take().value) }
            }
        }
    }
}

/// What a walk stands before.
enum Head {
    /// A node that is not opened.
    Node {
        level: u8,
        cid: Cid,
    },
    Entry,
    End,
}

/// Goes through a tree and opens a node only when told to.
#[derive(Debug)]
struct Walk {
    store: TreeStore,
    order: Order,
    root: Root,
    /// In each, `at` is how many entries lie before the walk, as in a cursor.
    open: Vec<Frame>,
}

#[derive(Debug)]
enum Root {
    Unread(Cid),
    /// Read, because its level must be known, but to be skipped if it is a node of the other tree.
    Closed(Frame),
    Opened,
}

impl Walk {
    fn new(tree: &Tree, order: Order) -> Walk {
        Walk { store: tree.store.clone(), order, root: Root::Unread(tree.root), open: Vec::new() }
    }

    fn start(&mut self) -> Result<(), TreeError> {
        if let Root::Unread(cid) = &self.root {
            let frame = self.store.root_frame(cid)?;
            // An empty root is passed over at once: met as a child of the other tree, where it may not be, the same
            // node would count as shared and not be looked at.
            self.root = if frame.node.len() == 0 { Root::Opened } else { Root::Closed(frame) };
        }
        Ok(())
    }

    fn index(&self, frame: &Frame) -> Option<usize> {
        match self.order {
            Order::Ascending => Some(frame.at).filter(|at| *at < frame.node.len()),
            Order::Descending => frame.at.checked_sub(1),
        }
    }

    /// Leaves nodes that are done, and passes over what is outside of the range without opening it.
    fn settle(&mut self, range: &KeyRange) {
        while let Some(frame) = self.open.last() {
            let Some(i) = self.index(frame) else {
                self.open.pop();
                continue;
            };
            let is_outside = if frame.node.level() == 0 {
                !range.contains(frame.node.key(i))
            } else {
                range.starts_above(frame.node.key(i))
                    || frame.after(i).is_some_and(|after| range.ends_at_or_below(after))
            };
            if !is_outside {
                break;
            }
            self.skip();
        }
    }

    fn head(&self) -> Head {
        if let Root::Closed(frame) = &self.root {
            return Head::Node { level: frame.node.level(), cid: *frame.node.cid() };
        }
        let Some((frame, i)) = self.current() else { return Head::End };
        match frame.node.level() {
            0 => Head::Entry,
            level => Head::Node { level: level - 1, cid: frame.node.child(i).0 },
        }
    }

    fn current(&self) -> Option<(&Frame, usize)> {
        let frame = self.open.last()?;
        Some((frame, self.index(frame)?))
    }

    fn key(&self) -> &[u8] {
        let (frame, i) = self.current().expect("the head is an entry");
        frame.node.key(i)
    }

    fn take(&mut self) -> Entry {
        let (frame, i) = self.current().expect("the head is an entry");
        let entry = Entry { key: frame.node.key_bytes(i), value: frame.node.value_bytes(i) };
        self.skip();
        entry
    }

    fn skip(&mut self) {
        if let Root::Closed(_) = self.root {
            self.root = Root::Opened;
        } else {
            self.skip_many(1);
        }
    }

    fn skip_many(&mut self, entries: usize) {
        if let Some(frame) = self.open.last_mut() {
            match self.order {
                Order::Ascending => frame.at += entries,
                Order::Descending => frame.at -= entries,
            }
        }
    }

    fn open(&mut self) -> Result<(), TreeError> {
        let mut frame = match std::mem::replace(&mut self.root, Root::Opened) {
            Root::Closed(frame) => frame,
            _ => {
                let (frame, i) = self.current().expect("the head is a node");
                let child = self.store.child_frame(frame, i)?;
                self.skip();
                child
            }
        };
        frame.at = if self.order == Order::Ascending { 0 } else { frame.node.len() };
        self.open.push(frame);
        Ok(())
    }
}
