//! Checks a whole store: everything that the heads of all its repositories reach, block by block, and everything that
//! is derived from it.
//!
//! | step | of each | is looked at |
//! |---|---|---|
//! | operations | operation and its view | object, generation, time; what its maps of names have that the first parent's have not |
//! | commits | commit | object, generation, depth, time, skip link |
//! | states | commit | what its maps have that those of the first parent have not: nodes of the trees, entities, content, vectors, ends of edges, conflicts |
//! | derived | commit, row | indexes and history are what follows from the blocks |
//!
//! Invariants
//!  K1  A finding never ends the check: what lies beside and behind it is looked at, as far as it can be reached.
//!  K2  A clean answer of a full check says: every block that a head reaches is there, is what its name says, and is what
//!      the format asks at every place where it stands; and each derived row equals what is made from the blocks anew.
//!  K3  A check by itself writes nothing. With repair it writes blocks that are named by their hash, and derived rows.
//!
//! Memory grows with the number of commits and operations, a few hundred bytes each, not with what they hold. What a
//! commit shares with its first parent is not read again. Not looked at: what leases alone keep, and garbage.
//!
//! Used by: `mnem fsck`, tests. Threads: states are checked side by side on the [`Executor`] that is given.

mod commits;
mod derived;
mod entities;
mod impact;
mod maps;
mod operations;
mod report;
mod source;
mod work;

use std::collections::HashSet;
use std::sync::Arc;

use super::error::RepoError;
use super::handle::Repo;
use crate::cid::Cid;
use crate::port::{BlockRead, Store};
use crate::progress::{self, Listener};
use crate::tree::{Executor, Serial};
use source::Source;
use work::{Findings, Work};

pub use report::{Affected, CheckReport, Checked, Finding, Flaw, Part, Place, Repair};

/// How much is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckLevel {
    /// Names, history and trees; of what trees lead to, whether it is there. Nothing of what is derived.
    Fast,
    /// Everything.
    #[default]
    Full,
}

/// How to check.
#[derive(Clone)]
pub struct CheckOptions<'a> {
    /// How much is looked at.
    pub level: CheckLevel,
    /// Derives again what is derived and wrong.
    pub repair: bool,
    /// A store that may have the blocks that this one lost: they are taken from there, and written to this one.
    pub from: Option<Arc<dyn BlockRead>>,
    /// Operations and commits that may be absent: past the horizon, or left out of a partial copy.
    pub may_be_absent: Arc<HashSet<Cid>>,
    /// What runs side by side.
    pub executor: &'a dyn Executor,
    /// How many findings are kept. More are counted.
    pub findings_max: usize,
    /// How much memory checked tree nodes may take.
    pub node_cache_bytes: u64,
}

impl CheckOptions<'_> {
    /// Returns the usual ones: everything is looked at, nothing is written.
    pub fn new() -> CheckOptions<'static> {
        CheckOptions {
            level: CheckLevel::Full,
            repair: false,
            from: None,
            may_be_absent: Arc::default(),
            executor: &Serial,
            findings_max: 10_000,
            node_cache_bytes: 32 << 20,
        }
    }
}

impl Default for CheckOptions<'_> {
    fn default() -> Self {
        CheckOptions::new()
    }
}

/// Checks all repositories of a store. Needs none of them to open. A check that is ended early is not clean.
pub fn check(
    store: &Arc<dyn Store>,
    options: &CheckOptions<'_>,
    listener: &mut Listener<'_>,
) -> Result<CheckReport, RepoError> {
    let source = Arc::new(Source::new(Arc::clone(store), options.from.clone())?);
    let findings = Findings::new(options.findings_max);
    let mut report = CheckReport { is_complete: true, ..CheckReport::default() };
    for namespace in store.namespaces()? {
        let heads = source.moment().heads(&namespace)?;
        if heads.is_empty() {
            continue; // it is younger than the moment that is looked at
        }
        report.checked.namespaces += 1;
        let Some(work) = Work::open(&source, store, &findings, options, namespace, &heads)? else { continue };
        if work.run(&heads, options.executor, &mut report.checked, listener)?.is_break() {
            report.is_complete = false;
            break;
        }
    }
    (report.checked.blocks, report.checked.bytes) = source.counts();
    (report.findings, report.left_out) = findings.into_parts();
    Ok(report)
}

impl Repo {
    /// Checks everything in the store of this repository, and says what it found.
    pub fn check(&self, options: &CheckOptions<'_>) -> Result<CheckReport, RepoError> {
        check(self.store(), options, &mut progress::quiet)
    }
}
