//! Giving back what nobody needs, beside those who read and write.
//!
//! A collection marks what heads and leases reach, then deletes the rest: DURABILITY.md, "Collection" says why that loses
//! nothing. It works in slices of a few hundred blocks, between which it holds no lock, and goes on where it was.
//!
//! Invariants
//!  K1  Operations past the horizon go, and what only they reach. A commit that a kept operation's names reach stays.
//!  K2  The horizon is recorded, by an operation, before anything past it goes. Each root is marked as far as the horizon
//!      that its own names record: who began before it was moved loses nothing.
//!  K3  A derived tree stays while a row names it whose source stays. A row goes with its source.
//!  K4  Where a block is missing that must be there, nothing is deleted.
//!
//! Used by: programs, the command, and commits if [`Options::collect`](super::Options::collect) says so. Threads: any; of
//! two that collect the one that began later goes on, and the other begins anew.

mod garbage;
pub(super) mod horizon;
mod rows;
mod work;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use super::error::RepoError;
use super::handle::Repo;
use super::shared::Shared;
use crate::object::Time;
use crate::port::{Deleted, StoreError};
use crate::progress::{Listener, Progress};
use work::Work;

/// How many operations are kept at least, whatever their number by age.
pub const KEPT_OPERATIONS: u64 = 10_000;

/// For how many days operations are kept at least, however many they are.
pub const KEPT_DAYS: u32 = 90;

/// How many blocks are worked on between two reports of progress: of the order of a millisecond.
const SLICE_BLOCKS: usize = 256;

/// How often a collection begins anew when another one takes its place.
const ATTEMPTS_MAX: u32 = 8;

/// Which operations stay: the newest, by count or by age, whichever are more. Commits on branches always do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// So many of the newest operations stay; one at least.
    pub operations: u64,
    /// So do those of so many days.
    pub days: u32,
}

impl Retention {
    /// Keeps every operation.
    pub const ALL: Retention = Retention { operations: u64::MAX, days: u32::MAX };

    fn micros(&self) -> i64 {
        i64::from(self.days).saturating_mul(24 * 3600 * 1_000_000)
    }
}

impl Default for Retention {
    fn default() -> Retention {
        Retention { operations: KEPT_OPERATIONS, days: KEPT_DAYS }
    }
}

/// Collection after commits, by whoever commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Automatic {
    /// What stays.
    pub retention: Retention,
    /// A commit pays for at most so many milliseconds of it, and one block's worth.
    pub slice_ms: u32,
}

impl Default for Automatic {
    fn default() -> Automatic {
        Automatic { retention: Retention::default(), slice_ms: 10 }
    }
}

/// Why something is not needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// An operation past the horizon, or what only such ones reach.
    Expired,
    /// A version of what was erased.
    Erased,
    /// A derived tree that no row names.
    Derived,
    /// What was put and never published, or what a writer wrote who was overtaken.
    Dropped,
}

impl Reason {
    /// Returns it in words.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Expired => "expired operations",
            Reason::Erased => "erased",
            Reason::Derived => "derived, without source",
            Reason::Dropped => "never published",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a collection found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collected {
    /// Blocks that are needed.
    pub kept_blocks: u64,
    /// What is not, and why.
    pub garbage: BTreeMap<Reason, Deleted>,
    /// What was deleted of that. The rest was put again meanwhile.
    pub deleted: Deleted,
    /// Operations that went past the horizon.
    pub expired_operations: u64,
    /// The time of the oldest operation that stays, if the horizon moved.
    pub horizon: Option<Time>,
    /// Derived rows that went with their sources.
    pub rows: u64,
}

impl Collected {
    /// Returns all that is not needed.
    pub fn garbage(&self) -> Deleted {
        self.garbage.values().fold(Deleted::default(), |mut sum, of| {
            sum += *of;
            sum
        })
    }
}

impl Repo {
    /// Deletes what nobody needs. Others read and write meanwhile; `listener` hears of it a few hundred blocks at a time,
    /// and may stop it: what was not deleted then goes with the next one.
    ///
    /// Retention is this repository's; of others in the same store all operations stay. The space is free for new blocks;
    /// [`compact`](crate::port::Collector::compact) gives it back to the file system.
    pub fn collect(&self, retention: Retention, listener: &mut Listener<'_>) -> Result<Collected, RepoError> {
        self.check_writable()?;
        for _ in 0..ATTEMPTS_MAX {
            let work = Work::begin(&self.shared, retention)?;
            match self.run(work, listener) {
                Err(RepoError::Store(StoreError::Stale)) => {} // another collection began, or heads came from outside
                done => return done,
            }
        }
        Err(RepoError::Contended { attempts: ATTEMPTS_MAX })
    }

    /// Returns what [`collect`](Self::collect) would delete, if nobody else did anything. Changes nothing. What live
    /// leases keep is not known here: as long as they live less goes.
    pub fn collectable(
        &self,
        retention: Retention,
        listener: &mut Listener<'_>,
    ) -> Result<Collected, RepoError> {
        self.run(Work::pretend(&self.shared, retention)?, listener)
    }

    fn run(&self, mut work: Work, listener: &mut Listener<'_>) -> Result<Collected, RepoError> {
        while !work.step(&self.shared, SLICE_BLOCKS)? {
            let (step, done) = work.progress();
            if listener(&Progress::new(step, done, None)).is_break() {
                break;
            }
        }
        Ok(work.into_report())
    }
}

/// A collection that goes on with each commit of this handle.
#[derive(Default)]
pub(super) struct Going(Mutex<State>);

#[derive(Default)]
struct State {
    work: Option<Box<Work>>,
    /// The generation of operations from which on it is looked again whether there is something to do.
    look_at: u64,
}

/// Works for a slice, if a collection is due or under way. Somebody else's slice is not waited for. The commit before it
/// is done, so what fails here fails nothing: collection then waits for somebody who [asks](Repo::collect) for it.
pub(super) fn after_commit(shared: &Shared, generation: u64) {
    let Some(automatic) = shared.options.collect else { return };
    let Ok(mut going) = shared.going.0.try_lock() else { return };
    if let Err(why) = slice(shared, &automatic, generation, &mut going) {
        going.work = None;
        if !matches!(why, RepoError::Store(StoreError::Stale) | RepoError::Contended { .. }) {
            going.look_at = u64::MAX;
        }
    }
}

fn slice(
    shared: &Shared,
    automatic: &Automatic,
    generation: u64,
    going: &mut State,
) -> Result<(), RepoError> {
    if going.work.is_none() && generation >= going.look_at {
        // A quarter more than is to be kept: so one collection is paid for by many commits.
        let quarter = (automatic.retention.operations / 4).max(64);
        going.look_at = generation.saturating_add(quarter);
        if is_due(shared, &automatic.retention, generation, quarter)? {
            going.work = Some(Box::new(Work::begin(shared, automatic.retention)?));
        }
    }
    let Some(work) = &mut going.work else { return Ok(()) };
    let began = shared.options.clock.now();
    let slice = i64::from(automatic.slice_ms) * 1000;
    work.wait_for_leases();
    while !work.step(shared, SLICE_BLOCKS / 8)? {
        if work.is_waiting() || shared.options.clock.now().micros_since(began) >= slice {
            return Ok(());
        }
    }
    going.work = None;
    Ok(())
}

/// Estimates whether there is enough that may go: the only garbage that grows without limit is the log itself.
fn is_due(shared: &Shared, retention: &Retention, generation: u64, more: u64) -> Result<bool, RepoError> {
    let state = shared.state()?;
    let (oldest, time) = horizon::oldest(&state)?;
    let is_old = shared.options.clock.now().micros_since(time) > retention.micros();
    Ok(is_old && generation.saturating_sub(oldest) >= retention.operations.saturating_add(more))
}
