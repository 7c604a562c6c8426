//! Ancestry: walks over commits and over operations, by the same rules.
//!
//! Every walk visits descendants before their ancestors, because the generation of a parent is below that of its
//! child. So what a walk costs is bounded by how far it goes back, never by the whole history.

use std::collections::{BTreeMap, BinaryHeap, HashSet};

use super::error::RepoError;
use super::operations::parent_of;
use super::read::{decode, read};
use super::state::State;
use crate::block::Block;
use crate::cid::Cid;
use crate::codec::{DecodeError, Malformed};
use crate::id::{CommitId, OperationId};
use crate::object::{Commit, Operation, Skip, Time, skip_depth};
use crate::port::{BlockRead, BlockReadExt, StoreError};

/// What a walk needs to know of a step.
#[derive(Clone)]
pub(super) struct Step<Id> {
    pub(super) generation: u64,
    time: Time,
    pub(super) parents: Vec<Id>,
}

/// Ids of a history.
pub(super) trait DagId: Copy + Ord + std::hash::Hash {
    /// What people call one.
    const WHAT: &'static str;

    fn block(self) -> Cid;
    fn decode(block: &Block) -> Result<Step<Self>, RepoError>;

    /// Reads what lies there; `None` if that was pruned.
    fn find(self, blocks: &dyn BlockRead) -> Result<Option<Step<Self>>, RepoError> {
        blocks.get(&self.block())?.map(|block| Self::decode(&block)).transpose()
    }

    /// Reads what must lie there.
    fn step(self, blocks: &dyn BlockRead) -> Result<Step<Self>, RepoError> {
        Self::decode(&blocks.require(&self.block())?)
    }

    fn pruned(self, horizon: Time) -> RepoError {
        RepoError::Pruned { what: Self::WHAT, cid: self.block(), horizon }
    }
}

impl DagId for CommitId {
    const WHAT: &'static str = "commit";

    fn block(self) -> Cid {
        *self.cid()
    }

    fn decode(block: &Block) -> Result<Step<CommitId>, RepoError> {
        let commit: Commit = decode(block)?;
        Ok(Step { generation: commit.generation, time: commit.time, parents: commit.parents })
    }
}

impl DagId for OperationId {
    const WHAT: &'static str = "operation";

    fn block(self) -> Cid {
        *self.cid()
    }

    fn decode(block: &Block) -> Result<Step<OperationId>, RepoError> {
        let operation: Operation = decode(block)?;
        Ok(Step { generation: operation.generation, time: operation.time, parents: operation.parents })
    }
}

const LEFT: u8 = 1;
const RIGHT: u8 = 2;
/// Below a common ancestor: itself one, but not among the best.
const STALE: u8 = 4;

/// Returns the best common ancestors of two sets: those that no other common ancestor descends from. Ascending.
pub(super) fn merge_bases<Id: DagId>(
    blocks: &dyn BlockRead,
    left: &[Id],
    right: &[Id],
) -> Result<Vec<Id>, RepoError> {
    let mut walk = Walk { blocks, seen: BTreeMap::new(), open: BinaryHeap::new(), undecided: 0 };
    left.iter().try_for_each(|id| walk.visit(*id, LEFT, None))?;
    right.iter().try_for_each(|id| walk.visit(*id, RIGHT, None))?;
    let mut bases = Vec::new();
    while let Some((id, marks, step)) = walk.next() {
        let is_common = marks & (LEFT | RIGHT) == LEFT | RIGHT;
        if is_common && marks & STALE == 0 {
            bases.push(id);
        }
        let inherited = if is_common { LEFT | RIGHT | STALE } else { marks };
        step.parents.iter().try_for_each(|parent| walk.visit(*parent, inherited, Some(&step)))?;
    }
    bases.sort_unstable();
    Ok(bases)
}

/// Returns those that no other one is known to descend from, in the same order.
pub(super) fn tips<Id: DagId>(blocks: &dyn BlockRead, of: &[Id]) -> Result<Vec<Id>, RepoError> {
    let mut tips = Vec::new();
    for (at, id) in of.iter().enumerate() {
        let mut is_followed = false;
        for other in of[..at].iter().chain(&of[at + 1..]) {
            is_followed = is_followed
                || match is_ancestor(blocks, *id, *other) {
                    // Whether it is followed is not known any more: then it speaks for itself.
                    Err(RepoError::Pruned { .. }) => false,
                    is_ancestor => is_ancestor?,
                };
        }
        if !is_followed {
            tips.push(*id);
        }
    }
    Ok(tips)
}

/// Goes back from both sides at once, youngest first, until all that is left lies below a common ancestor.
struct Walk<'a, Id> {
    blocks: &'a dyn BlockRead,
    /// Marks of all that was met, and the way back from there.
    seen: BTreeMap<Id, (u8, Step<Id>)>,
    /// Met, but not left yet.
    open: BinaryHeap<(u64, Id)>,
    /// How many of the open ones are not stale.
    undecided: usize,
}

impl<Id: DagId> Walk<'_, Id> {
    /// Marks what was met from a child. Order and count hold only if generations fall on the way back, so that is
    /// checked: histories come from others, too.
    fn visit(&mut self, id: Id, marks: u8, child: Option<&Step<Id>>) -> Result<(), RepoError> {
        let below = child.map_or(u64::MAX, |child| child.generation);
        if let Some((known, step)) = self.seen.get_mut(&id) {
            check_below(id, step.generation, below)?;
            // It is still open: its generation is below that of the child that it is met from.
            if *known & STALE == 0 && marks & STALE != 0 {
                self.undecided -= 1;
            }
            *known |= marks;
            return Ok(());
        }
        let step = match (id.find(self.blocks)?, child) {
            (Some(step), _) => step,
            (None, Some(_)) if marks & STALE != 0 => return Ok(()), // what was pruned there decides nothing
            (None, Some(child)) => return Err(id.pruned(child.time)),
            (None, None) => return Err(StoreError::Absent { cid: id.block() }.into()),
        };
        check_below(id, step.generation, below)?;
        self.undecided += usize::from(marks & STALE == 0);
        self.open.push((step.generation, id));
        self.seen.insert(id, (marks, step));
        Ok(())
    }

    fn next(&mut self) -> Option<(Id, u8, Step<Id>)> {
        if self.undecided == 0 {
            return None;
        }
        let (_, id) = self.open.pop()?;
        let (marks, step) = self.seen.get(&id)?;
        self.undecided -= usize::from(marks & STALE == 0);
        Some((id, *marks, step.clone()))
    }
}

/// Refuses a parent that is not older than its child.
pub(super) fn check_below<Id: DagId>(id: Id, generation: u64, below: u64) -> Result<(), RepoError> {
    let what = Malformed::Field { name: "gen", why: "is not below that of what follows" };
    let damaged =
        || RepoError::Damaged { what: "a history", cid: id.block(), why: DecodeError { what, at: 0 } };
    (generation < below).then_some(()).ok_or_else(damaged)
}

/// Says whether `ancestor` is `descendant` or comes before it.
pub(super) fn is_ancestor<Id: DagId>(
    blocks: &dyn BlockRead,
    ancestor: Id,
    descendant: Id,
) -> Result<bool, RepoError> {
    let floor = ancestor.step(blocks)?.generation;
    let mut seen = HashSet::new();
    let mut cut = None;
    let mut open = vec![(descendant, Time::MAX)];
    while let Some((id, horizon)) = open.pop() {
        if id == ancestor {
            return Ok(true);
        }
        if seen.insert(id) {
            match id.find(blocks)? {
                Some(step) if step.generation > floor => {
                    open.extend(step.parents.iter().map(|parent| (*parent, step.time)));
                }
                Some(_) => {}
                None if id == descendant => return Err(StoreError::Absent { cid: id.block() }.into()),
                None => cut = Some(id.pruned(horizon)),
            }
        }
    }
    // What is kept may lead there by another way; only then is it unknown.
    cut.map_or(Ok(false), Err)
}

/// Returns the youngest operations behind a state that were made at `time` or before: the heads of that moment.
pub(super) fn operations_by(state: &State, time: Time) -> Result<Vec<OperationId>, RepoError> {
    let (head, blocks) = (state.operation, &*state.blocks);
    let (mut by_then, mut seen) = (Vec::new(), HashSet::from([head]));
    let mut open = vec![(head, read::<Operation>(blocks, head.cid())?)];
    while let Some((id, operation)) = open.pop() {
        // No operation is older than what it follows: further back nothing is younger.
        if operation.time <= time {
            by_then.push(id);
            continue;
        }
        for parent in operation.parents.iter().copied().filter(|parent| seen.insert(*parent)) {
            open.push((parent, parent_of(state, &operation, parent)?));
        }
    }
    by_then.sort_unstable();
    tips(blocks, &by_then)
}

/// Returns the ancestor of `from` at `depth` along first parents, if it is as deep as that.
pub(super) fn at_depth(
    blocks: &dyn BlockRead,
    from: CommitId,
    depth: u64,
) -> Result<Option<CommitId>, RepoError> {
    let mut id = from;
    let mut commit: Commit = read(blocks, from.cid())?;
    while commit.depth > depth {
        let next = match (commit.skip, skip_depth(commit.depth)) {
            (Some(skip), Some(skipped)) if skipped >= depth => Some(skip.commit),
            _ => commit.parents.first().copied(),
        };
        // Without parents the depth is zero.
        let Some(next) = next else { return Ok(None) };
        commit = read_ancestor(blocks, next, &commit)?;
        id = next;
    }
    Ok((commit.depth == depth).then_some(id))
}

/// Returns the last commit along first parents that was made at `time` or before, if there is one.
pub(super) fn made_by(
    blocks: &dyn BlockRead,
    from: CommitId,
    time: Time,
) -> Result<Option<CommitId>, RepoError> {
    let mut id = from;
    let mut commit: Commit = read(blocks, from.cid())?;
    while commit.time > time {
        let next = match commit.skip {
            // Times ascend along the line: what is still too late at the link's end is too late all the way.
            Some(skip) if skip.time > time => Some(skip.commit),
            _ => commit.parents.first().copied(),
        };
        let Some(next) = next else { return Ok(None) };
        commit = read_ancestor(blocks, next, &commit)?;
        id = next;
    }
    Ok(Some(id))
}

/// Reads a commit that `child` leads to. What is absent was pruned: then all behind it is out of reach as well.
pub(super) fn read_ancestor(
    blocks: &dyn BlockRead,
    id: CommitId,
    child: &Commit,
) -> Result<Commit, RepoError> {
    match find(blocks, id)? {
        Some(commit) => Ok(commit),
        None => Err(RepoError::Pruned { what: "commit", cid: *id.cid(), horizon: horizon(blocks, child)? }),
    }
}

fn find(blocks: &dyn BlockRead, id: CommitId) -> Result<Option<Commit>, RepoError> {
    blocks.get(id.cid())?.map(|block| decode(&block)).transpose()
}

/// Returns the time of the oldest commit that is kept along first parents. Ancestors of what is pruned are, so the
/// links that skip lead there as fast as to any other.
fn horizon(blocks: &dyn BlockRead, from: &Commit) -> Result<Time, RepoError> {
    let mut oldest = from.clone();
    loop {
        let skip = oldest.skip.map(|skip| skip.commit);
        let mut ways = skip.into_iter().chain(oldest.parents.first().copied());
        match ways.find_map(|next| find(blocks, next).transpose()) {
            Some(next) => oldest = next?,
            None => return Ok(oldest.time),
        }
    }
}

/// What a new commit says of its place in the history.
pub(super) struct Place {
    pub(super) generation: u64,
    pub(super) depth: u64,
    pub(super) skip: Option<Skip>,
    /// The latest of the parents' times.
    pub(super) latest: Option<Time>,
}

/// Computes the place of a commit with these parents.
pub(super) fn place(blocks: &dyn BlockRead, parents: &[CommitId]) -> Result<Place, RepoError> {
    let mut place = Place { generation: 1, depth: 0, skip: None, latest: None };
    for (index, parent) in parents.iter().enumerate() {
        let commit: Commit = read(blocks, parent.cid())?;
        place.generation = place.generation.max(next_generation(commit.generation)?);
        place.latest = place.latest.max(Some(commit.time));
        if index == 0 {
            place.depth = commit.depth + 1; // below the generation
        }
    }
    if let (Some(parent), Some(depth)) = (parents.first(), skip_depth(place.depth))
        && let Some(target) = at_depth(blocks, *parent, depth)?
    {
        let commit: Commit = read(blocks, target.cid())?;
        place.skip = Some(Skip { commit: target, time: commit.time });
    }
    Ok(place)
}

/// Returns the generation after this one. Numbers of objects end at `i64::MAX`: only a forged parent comes near.
pub(super) fn next_generation(generation: u64) -> Result<u64, RepoError> {
    let next = generation.checked_add(1).filter(|next| i64::try_from(*next).is_ok());
    next.ok_or(RepoError::GenerationsExhausted)
}
