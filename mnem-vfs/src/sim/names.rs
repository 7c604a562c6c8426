//! Names of the simulated disk: which are durable, which are seen, and the changes in between.
//!
//! A power cut keeps any subset of the unsynced changes, closed under three rules, without which a file could
//! vanish that nobody removed (port clause V3):
//!  * a name that a rename gave up is taken again only if the rename survives;
//!  * a directory goes only with everything that was done in it;
//!  * a file is moved into a new directory only if the directory survives.
//!
//! Invariants
//!  E1  A node has at most one name in a tree. The root has none and is always there.
//!  E2  `durable` with all of `changes` applied in order equals `current`, unless a failed sync threw some away.
//!  E3  A change depends on earlier changes only.
//!
//! Used by: `disk`, `crash`.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::{Component, Path};
use std::sync::Arc;

use super::{NodeId, Seq};

pub(super) const ROOT: NodeId = NodeId(0);

type Name = Arc<OsStr>;

/// A place for a name: a directory and the name in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    pub(super) dir: NodeId,
    pub(super) name: Name,
}

/// Directories and what they hold, at one moment.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    dirs: BTreeMap<NodeId, BTreeMap<Name, NodeId>>,
    places: BTreeMap<NodeId, Slot>,
}

/// A change of names that no sync has made durable.
#[derive(Clone, Debug)]
pub(super) struct NameChange {
    pub(super) node: NodeId,
    /// Absent: the node is new.
    pub(super) from: Option<Slot>,
    /// Absent: the node is removed.
    pub(super) to: Option<Slot>,
    /// What `to` held.
    replaced: Option<NodeId>,
    /// Changes that survive if this one does.
    needs: Vec<Seq>,
    /// Changes that gave the directory `to` is in, and those above, their places.
    parents: Vec<Seq>,
    /// Its directory was synced, but a directory above may still vanish: survives exactly if `parents` do.
    pub(super) synced: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub(super) current: Tree,
    pub(super) durable: Tree,
    pub(super) changes: BTreeMap<Seq, NameChange>,
    /// Changes that took a directory, or renamed a file with a durable name, out of a slot.
    vacated: BTreeMap<Slot, Vec<Seq>>,
    /// Changes that gave a directory its place.
    placed: BTreeMap<NodeId, Vec<Seq>>,
}

impl Default for Tree {
    fn default() -> Tree {
        Tree { dirs: BTreeMap::from([(ROOT, BTreeMap::new())]), places: BTreeMap::new() }
    }
}

impl Tree {
    pub(super) fn is_dir(&self, node: NodeId) -> bool {
        self.dirs.contains_key(&node)
    }

    pub(super) fn place(&self, node: NodeId) -> Option<&Slot> {
        self.places.get(&node)
    }

    pub(super) fn at(&self, slot: &Slot) -> Option<NodeId> {
        self.dirs.get(&slot.dir)?.get(&slot.name).copied()
    }

    pub(super) fn entries(&self, dir: NodeId) -> impl Iterator<Item = (&Name, NodeId)> {
        self.dirs.get(&dir).into_iter().flatten().map(|(name, node)| (name, *node))
    }

    /// The first entry of `dir` behind `name`, in the order of names.
    pub(super) fn entry_after(&self, dir: NodeId, name: Option<&OsStr>) -> Option<(OsString, NodeId)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = name.map_or(Unbounded, Excluded);
        let (name, node) = self.dirs.get(&dir)?.range::<OsStr, _>((from, Unbounded)).next()?;
        Some((name.to_os_string(), *node))
    }

    pub(super) fn is_empty(&self, dir: NodeId) -> bool {
        self.entries(dir).next().is_none()
    }

    pub(super) fn resolve(&self, path: &Path) -> io::Result<NodeId> {
        let mut node = ROOT;
        for name in names_of(path)? {
            let entries = self.dirs.get(&node).ok_or(ErrorKind::NotADirectory)?;
            node = *entries.get(name).ok_or(ErrorKind::NotFound)?;
        }
        Ok(node)
    }

    pub(super) fn resolve_dir(&self, path: &Path) -> io::Result<NodeId> {
        let node = self.resolve(path)?;
        if !self.is_dir(node) {
            return Err(ErrorKind::NotADirectory.into());
        }
        Ok(node)
    }

    /// Where an entry for `path` is, or would be. The root is in no slot: `ResourceBusy`.
    pub(super) fn slot(&self, path: &Path) -> io::Result<Slot> {
        let name = *names_of(path)?.last().ok_or(ErrorKind::ResourceBusy)?;
        let dir = self.resolve_dir(path.parent().unwrap_or(Path::new("")))?;
        Ok(Slot { dir, name: name.into() })
    }

    /// All nodes below the root, the root included.
    pub(super) fn reachable(&self) -> BTreeSet<NodeId> {
        let mut found = BTreeSet::from([ROOT]);
        let mut open = vec![ROOT];
        while let Some(dir) = open.pop() {
            for (_, node) in self.entries(dir) {
                if found.insert(node) {
                    open.push(node);
                }
            }
        }
        found
    }

    /// This tree with only `nodes` in it.
    pub(super) fn restricted_to(mut self, nodes: &BTreeSet<NodeId>) -> Tree {
        self.dirs.retain(|dir, _| nodes.contains(dir));
        self.places.retain(|node, _| nodes.contains(node));
        self
    }

    pub(super) fn apply(&mut self, change: &NameChange) {
        match (&change.from, &change.to) {
            (_, Some(to)) => self.put(change.node, to),
            // A rename before it may not have survived: then the name is not this node's, or nobody's.
            (Some(from), None) if self.at(from) == Some(change.node) => self.take(change.node),
            (_, None) => {}
        }
    }

    fn put(&mut self, node: NodeId, to: &Slot) {
        self.take(node);
        if let Some(replaced) = self.at(to) {
            self.places.remove(&replaced);
        }
        self.dirs.entry(to.dir).or_default().insert(to.name.clone(), node);
        self.places.insert(node, to.clone());
    }

    fn take(&mut self, node: NodeId) {
        if let Some(place) = self.places.remove(&node)
            && let Some(entries) = self.dirs.get_mut(&place.dir)
        {
            entries.remove(&place.name);
        }
    }

    /// Whether `dir` is `node` or somewhere below it.
    pub(super) fn is_above(&self, node: NodeId, dir: NodeId) -> bool {
        self.above(dir).any(|above| above == node)
    }

    fn above(&self, dir: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(Some(dir), |dir| self.places.get(dir).map(|slot| slot.dir))
    }
}

impl NameChange {
    fn touches(&self, dir: NodeId) -> bool {
        self.from.iter().chain(&self.to).any(|slot| slot.dir == dir)
    }
}

impl Names {
    /// The names of a fresh image: all of them durable.
    pub(super) fn settled(tree: Tree) -> Names {
        Names { current: tree.clone(), durable: tree, ..Names::default() }
    }

    pub(super) fn link(&mut self, seq: Seq, node: NodeId, to: Slot, is_dir: bool) {
        if is_dir {
            self.current.dirs.insert(node, BTreeMap::new());
            self.durable.dirs.insert(node, BTreeMap::new());
        }
        self.record(seq, node, None, Some(to));
    }

    pub(super) fn unlink(&mut self, seq: Seq, node: NodeId, from: Slot) {
        self.record(seq, node, Some(from), None);
    }

    pub(super) fn rename(&mut self, seq: Seq, node: NodeId, from: Slot, to: Slot) {
        self.record(seq, node, Some(from), Some(to));
    }

    fn record(&mut self, seq: Seq, node: NodeId, from: Option<Slot>, to: Option<Slot>) {
        let replaced = to.as_ref().and_then(|to| self.current.at(to));
        let removed = if to.is_none() { Some(node) } else { replaced };
        let mut needs = removed.map_or(Vec::new(), |removed| self.changes_in(removed));
        needs.extend(to.iter().filter_map(|to| self.vacated.get(to)).flatten());
        let is_rename = from.is_some() && to.is_some();
        let parents = to.iter().filter(|_| is_rename).flat_map(|to| self.placing(to.dir)).collect();
        let is_dir = self.current.is_dir(node);
        // A file without a durable name may vanish, and then its slot is free anyway. So is that of a file
        // that is removed.
        let must_leave = is_dir || is_rename && self.durable.place(node).is_some();
        if let Some(from) = from.as_ref().filter(|_| must_leave) {
            self.vacated.entry(from.clone()).or_default().push(seq);
        }
        if let Some(to) = to.as_ref().filter(|_| replaced.is_some_and(|node| self.current.is_dir(node))) {
            self.vacated.entry(to.clone()).or_default().push(seq);
        }
        if is_dir && to.is_some() {
            self.placed.entry(node).or_default().push(seq);
        }
        let change = NameChange { node, from, to, replaced, needs, parents, synced: false };
        self.current.apply(&change);
        self.changes.insert(seq, change);
    }

    /// A directory goes only with everything that was done in it.
    fn changes_in(&self, node: NodeId) -> Vec<Seq> {
        if !self.current.is_dir(node) {
            return Vec::new();
        }
        self.changes.iter().filter(|(_, change)| change.touches(node)).map(|(seq, _)| *seq).collect()
    }

    fn placing(&self, dir: NodeId) -> Vec<Seq> {
        self.current.above(dir).filter_map(|dir| self.placed.get(&dir)).flatten().copied().collect()
    }

    pub(super) fn sync_dir(&mut self, dir: NodeId) {
        for change in self.changes.values_mut() {
            change.synced |= change.touches(dir);
        }
        let mut ready = BTreeSet::new();
        for (seq, change) in &self.changes {
            if change.synced && change.parents.iter().all(|parent| self.holds(*parent, &ready)) {
                ready.insert(*seq);
            }
        }
        self.make_durable(ready);
    }

    /// Whether a change is durable, or among `survivors`.
    fn holds(&self, seq: Seq, survivors: &BTreeSet<Seq>) -> bool {
        !self.changes.contains_key(&seq) || survivors.contains(&seq)
    }

    /// Makes `ready` durable, and what it needs. Older changes of the same node, or of a slot that is taken
    /// now, must not be applied on top of it later: of them remains only what they removed.
    fn make_durable(&mut self, mut ready: BTreeSet<Seq>) {
        let (mut nodes, mut slots) = (BTreeSet::new(), BTreeSet::new());
        let mut absorbed = Vec::new();
        for (seq, change) in self.changes.iter().rev() {
            if ready.contains(seq) {
                ready.extend(change.needs.iter().chain(&change.parents));
                nodes.insert(change.node);
                slots.extend(change.to.clone());
            } else if nodes.contains(&change.node) {
                absorbed.push((*seq, change.replaced, change.to.clone()));
            } else if change.to.as_ref().is_some_and(|to| slots.contains(to)) {
                absorbed.push((*seq, Some(change.node), change.from.clone()));
            }
        }
        for seq in ready {
            match self.changes.remove(&seq) {
                // Earlier renames are durable or absorbed: wherever the node is, it goes.
                Some(change) if change.to.is_none() => self.durable.take(change.node),
                Some(change) => self.durable.apply(&change),
                None => {}
            }
        }
        for (seq, removed, from) in absorbed {
            self.absorb(seq, removed, from);
        }
        if self.changes.is_empty() {
            self.vacated.clear();
            self.placed.clear();
        }
    }

    /// Turns a change into the removal of a node, or into nothing.
    fn absorb(&mut self, seq: Seq, removed: Option<NodeId>, from: Option<Slot>) {
        if let Some(change) = self.changes.remove(&seq)
            && let (Some(node), Some(_)) = (removed, &from)
        {
            let parents = Vec::new();
            self.changes.insert(seq, NameChange { node, from, to: None, replaced: None, parents, ..change });
        }
    }

    pub(super) fn sync_all(&mut self) {
        *self = Names::settled(self.current.clone());
    }

    /// The disk failed: what was to be made durable never will be.
    pub(super) fn fail_sync_dir(&mut self, dir: NodeId) {
        self.changes.retain(|_, change| !change.touches(dir));
    }

    pub(super) fn fail_sync_all(&mut self) {
        self.changes.clear();
    }

    /// The names after a power cut that keeps the changes `keep` says, and what those need.
    pub(super) fn after_crash(&self, keep: impl Fn(Seq) -> bool) -> Tree {
        let mut tree = self.durable.clone();
        for seq in self.survivors(keep) {
            if let Some(change) = self.changes.get(&seq) {
                tree.apply(change);
            }
        }
        tree
    }

    /// Where a node is, or was, for people to read.
    pub(super) fn path(&self, node: NodeId) -> String {
        let mut names = Vec::new();
        let mut next = self.last_place(node);
        while let Some(slot) = next {
            names.push(slot.name.to_string_lossy());
            next = self.last_place(slot.dir);
        }
        names.reverse();
        names.join("/")
    }

    fn last_place(&self, node: NodeId) -> Option<&Slot> {
        let removed_from = || self.changes.values().rev().find(|change| change.node == node)?.from.as_ref();
        self.current.place(node).or_else(removed_from).or_else(|| self.durable.place(node))
    }

    /// What a change did, for people to read.
    pub(super) fn describe(&self, seq: Seq) -> String {
        let slot = |slot: &Slot| {
            let name = slot.name.to_string_lossy();
            if slot.dir == ROOT { name.into_owned() } else { format!("{}/{name}", self.path(slot.dir)) }
        };
        match self.changes.get(&seq).map(|change| (&change.from, &change.to)) {
            Some((Some(from), Some(to))) => format!("rename {} to {}", slot(from), slot(to)),
            Some((None, Some(to))) => format!("create {}", slot(to)),
            Some((Some(from), None)) => format!("remove {}", slot(from)),
            _ => "?".to_owned(),
        }
    }

    fn survivors(&self, keep: impl Fn(Seq) -> bool) -> BTreeSet<Seq> {
        let chosen = |(seq, change): &(&Seq, &NameChange)| !change.synced && keep(**seq);
        let mut kept: BTreeSet<Seq> = self.changes.iter().filter(chosen).map(|(seq, _)| *seq).collect();
        loop {
            let before = kept.len();
            for (seq, change) in self.changes.iter().rev() {
                if kept.contains(seq) {
                    kept.extend(change.needs.iter().chain(&change.parents));
                }
            }
            for (seq, change) in &self.changes {
                if change.synced && change.parents.iter().all(|parent| self.holds(*parent, &kept)) {
                    kept.insert(*seq);
                }
            }
            if kept.len() == before {
                return kept;
            }
        }
    }
}

/// The names along `path`, from the root. Relative paths start there too; `..` is refused, since stores that
/// need it would not be found again after a rename.
fn names_of(path: &Path) -> io::Result<Vec<&OsStr>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(ErrorKind::InvalidInput.into()),
        }
    }
    Ok(names)
}
