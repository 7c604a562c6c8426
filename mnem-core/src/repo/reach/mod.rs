//! Walking everything that some blocks reach: what a collection keeps, what a check looks at, what an exchange sends.
//!
//! Invariants
//!  W1  Each block comes once, before what it leads to, depth first in the order of its links: equal roots give an equal
//!      walk, whatever store it is read from.
//!  W2  A block that was walked is not entered again, so a walk costs the distinct blocks, not the paths to them.
//!  W3  Memory is 24 bytes a block, what is open, and what was read ahead, which is bounded.
//!  W4  What may be absent is said by the link that leads there, by the boundary, and by nothing else. Any other absence
//!      is an error that names the block and who points there; the walk can be gone on with.
//!
//! Used by: `collect`, `erase`, checks and exchange. Threads: a walk has one owner, and can be sent.

mod links;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub use links::{Bond, Link, Place, links};

use crate::block::Block;
use crate::cid::Cid;
use crate::codec::DecodeError;
use crate::id::EntityId;
use crate::object::{Object, Operation, kind_of};
use crate::port::{BlockRead, StoreError};

/// How many blocks are read at once.
const AHEAD_BLOCKS: usize = 64;

/// How many bytes of blocks that were read ahead are kept. What is given up is read again.
const AHEAD_BYTES_MAX: usize = 16 << 20;

/// Where a walk ends though there is more.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    /// What stands under these ids is passed by.
    pub erased: Arc<HashSet<EntityId>>,
    /// These may be absent: what lies there was left out of a partial copy, or is past the horizon. What is there is
    /// followed all the same.
    pub may_be_absent: Arc<HashSet<Cid>>,
    /// These are not entered.
    pub stop_at: Arc<HashSet<Cid>>,
    /// Operations are not followed to those before them.
    pub operations_alone: bool,
}

/// A block that was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The block.
    pub block: Block,
    /// Where it stands.
    pub place: Place,
    /// What led there first; `None` for a root.
    pub from: Option<Cid>,
}

/// Why a walk could not go on there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReachError {
    /// A block that must be there is not.
    #[error("block {cid}{} is missing", pointed(.from))]
    Missing {
        /// The block.
        cid: Cid,
        /// Where it stands.
        place: Place,
        /// What points there; `None` for a root.
        from: Option<Cid>,
    },
    /// A block is not what its place says.
    #[error("block {cid} is damaged: {why}")]
    Damaged {
        /// The block.
        cid: Cid,
        /// Where it stands.
        place: Place,
        /// What is wrong with it.
        #[source]
        why: DecodeError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn pointed(from: &Option<Cid>) -> String {
    from.map_or_else(String::new, |from| format!(", which {from} points to,"))
}

/// A walk under way. Ends with `None`; more roots may be added then, and what was walked stays walked.
pub struct Walk {
    blocks: Arc<dyn BlockRead>,
    bounds: Bounds,
    seen: Seen,
    /// What stands under erased ids.
    passed: HashSet<[u8; 16]>,
    /// The next one last.
    open: Vec<Open>,
    ahead: HashMap<Cid, Option<Block>>,
    ahead_bytes: usize,
}

#[derive(Clone, Copy)]
struct Open {
    link: Link,
    from: Option<Cid>,
}

impl Walk {
    /// Starts without roots.
    pub fn new(blocks: Arc<dyn BlockRead>, bounds: Bounds) -> Walk {
        let (seen, passed) = (Seen::default(), HashSet::new());
        Walk { blocks, bounds, seen, passed, open: Vec::new(), ahead: HashMap::new(), ahead_bytes: 0 }
    }

    /// Adds a root that must be there. It comes before what is open.
    pub fn add(&mut self, root: Cid, place: Place) {
        self.open.push(Open { link: Link { cid: root, place, bond: Bond::Part }, from: None });
    }

    /// Adds a root that may be absent, as all below it may.
    pub fn add_if_there(&mut self, root: Cid, place: Place) {
        self.open.push(Open { link: Link { cid: root, place, bond: Bond::Loose }, from: None });
    }

    /// Changes the bounds of what comes next.
    pub fn bounds_mut(&mut self) -> &mut Bounds {
        &mut self.bounds
    }

    /// Says whether a block was reached, or may have been: two that share the first half of their hash are one here.
    pub fn has(&self, cid: &Cid) -> bool {
        self.seen.0.contains_key(&print(cid))
    }

    /// Says whether a block was passed by because it stands under an erased id. It may have been reached otherwise.
    pub fn has_passed(&self, cid: &Cid) -> bool {
        self.passed.contains(&print(cid))
    }

    /// Returns how many blocks were reached.
    pub fn len(&self) -> usize {
        self.seen.0.len()
    }

    /// Says whether nothing was reached.
    pub fn is_empty(&self) -> bool {
        self.seen.0.is_empty()
    }

    /// Returns what was reached, for [`has`](Self::has) without the rest.
    pub fn into_reached(self) -> ReachedSet {
        ReachedSet(self.seen)
    }

    /// Goes on to the next block. After an error about a block it can be gone on with, past that block.
    pub fn advance(&mut self) -> Result<Option<Reached>, ReachError> {
        while let Some(Open { link, from }) = self.open.pop() {
            let Link { cid, place, bond } = link;
            let is_new = match self.seen.meet(&cid, place, bond) {
                Met::Before => continue,
                Met::Otherwise => false,
                Met::New => true,
            };
            let Some(block) = self.read(&cid)? else {
                self.seen.forget(&cid, is_new);
                if bond == Bond::Loose || self.bounds.may_be_absent.contains(&cid) {
                    continue;
                }
                return Err(ReachError::Missing { cid, place, from });
            };
            let damaged = |why| ReachError::Damaged { cid, place, why };
            let found = links(&block, place, &self.bounds.erased).map_err(damaged)?;
            if place != Place::Object && !self.bounds.erased.is_empty() {
                let all = links(&block, place, &HashSet::new()).map_err(damaged)?;
                let passed = all.iter().filter(|link| !found.contains(link));
                self.passed.extend(passed.map(|link| print(&link.cid)));
            }
            let is_alone = self.bounds.operations_alone && is_operation(&block, &found);
            for mut link in found.into_iter().rev() {
                let is_out = self.bounds.stop_at.contains(&link.cid) || is_alone && link.bond == Bond::Parent;
                if bond == Bond::Loose {
                    link.bond = Bond::Loose; // what only a loose link leads to promises nothing of what is below it
                }
                if !is_out && self.seen.would_enter(&link) {
                    self.open.push(Open { link, from: Some(cid) });
                }
            }
            if is_new {
                return Ok(Some(Reached { block, place, from }));
            }
        }
        Ok(None)
    }

    /// Reads a block, and those that are open next with it.
    fn read(&mut self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        if let Some(found) = self.ahead.remove(cid) {
            self.ahead_bytes -= bytes(&found);
            return Ok(found);
        }
        if self.ahead_bytes > AHEAD_BYTES_MAX || self.ahead.len() > AHEAD_BLOCKS * AHEAD_BLOCKS {
            self.ahead.clear();
            self.ahead_bytes = 0;
        }
        let mut wanted = vec![*cid];
        for Open { link, .. } in self.open.iter().rev().take(AHEAD_BLOCKS - 1) {
            let is_here = wanted.contains(&link.cid) || self.ahead.contains_key(&link.cid);
            if !is_here && self.seen.would_enter(link) {
                wanted.push(link.cid);
            }
        }
        let mut found = self.blocks.get_many(&wanted)?.into_iter();
        let first = found.next().flatten();
        for (cid, block) in wanted.into_iter().skip(1).zip(found) {
            self.ahead_bytes += bytes(&block);
            self.ahead.insert(cid, block);
        }
        Ok(first)
    }
}

impl Iterator for Walk {
    type Item = Result<Reached, ReachError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

impl std::fmt::Debug for Walk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Walk({} reached, {} open)", self.seen.0.len(), self.open.len())
    }
}

fn bytes(block: &Option<Block>) -> usize {
    block.as_ref().map_or(0, |block| block.bytes().len())
}

fn is_operation(block: &Block, found: &[Link]) -> bool {
    let follows = found.iter().any(|link| link.bond == Bond::Parent);
    follows && matches!(kind_of(block), Ok(Some(kind)) if kind == Operation::KIND)
}

/// What a walk reached.
#[derive(Debug, Default)]
pub struct ReachedSet(Seen);

impl ReachedSet {
    /// Says whether a block was reached, or may have been.
    pub fn has(&self, cid: &Cid) -> bool {
        self.0.0.contains_key(&print(cid))
    }
}

/// What was met, by half of its hash, and in which places: a block can stand in two maps, and then leads to what it
/// leads to in either.
#[derive(Debug, Default)]
struct Seen(HashMap<[u8; 16], u16>);

enum Met {
    New,
    /// It was met, but not in this place, or only by loose links.
    Otherwise,
    Before,
}

impl Seen {
    fn meet(&mut self, cid: &Cid, place: Place, bond: Bond) -> Met {
        let met = self.0.entry(print(cid)).or_default();
        let before = *met;
        *met |= mark(place, bond);
        match before {
            0 => Met::New,
            before if before & enough(place, bond) != 0 => Met::Before,
            _ => Met::Otherwise,
        }
    }

    fn would_enter(&self, link: &Link) -> bool {
        let met = self.0.get(&print(&link.cid)).copied().unwrap_or_default();
        met & enough(link.place, link.bond) == 0
    }

    /// What turned out to be absent was not reached.
    fn forget(&mut self, cid: &Cid, is_new: bool) {
        if is_new {
            self.0.remove(&print(cid));
        }
    }
}

fn print(cid: &Cid) -> [u8; 16] {
    let (first, _) = cid.digest().split_first_chunk::<16>().expect("a digest has 32 bytes");
    *first
}

const fn mark(place: Place, bond: Bond) -> u16 {
    let bit = 1 << place as u16;
    if matches!(bond, Bond::Loose) { bit << 8 } else { bit }
}

/// Marks of which one says that there is nothing new to be found.
const fn enough(place: Place, bond: Bond) -> u16 {
    let firm = mark(place, Bond::Part);
    if matches!(bond, Bond::Loose) { firm | mark(place, bond) } else { firm }
}
