//! What goes from one repository to another: whole copies, what is new, archives.
//!
//! Invariants
//!  X1  A name moves only when everything that it reaches is there. All blocks go under one lease, present ones too, and
//!      the names move in one commit under that lease: what is cut short leaves blocks and no name.
//!  X2  A block that is there proves only itself. A subtree is passed by only if the state at hand reaches it, in the
//!      same place of a commit that the new one follows; else its children are visited. So what an interrupted call
//!      brought is found again, and nothing is believed of it.
//!  X3  A block that is there is not moved.
//!  X4  What arrives is what its place says: hash, encoding, the rules of objects and of tree nodes, and of a commit how
//!      it follows its parents.
//!
//! Blocks are put parents first, as they are found. DURABILITY.md, "Collection", says what guards that: nothing but
//! the commit at the end names them.
//!
//! Used by: the facade, which knows stores by URL. Threads: as the repositories that are given.

mod alike;
mod boundary;
mod carry;
mod claims;
mod clone;
mod error;
mod export;
mod fetch;
mod import;
mod missing;
mod push;
mod tracking;

use std::fmt;
use std::sync::Arc;

use super::operations::NameChange;
use super::options::Actor;
use super::shared::Shared;
use super::state::State;
use crate::block::Block;
use crate::id::OperationId;
use crate::object::{OperationKind, View};
use crate::port::{HeadsUpdate, Row, Swap, WriteBatch};
use crate::staged::Staged;

pub use clone::Origin;
pub use error::SyncError;
pub use export::{Archive, Exported};
pub use fetch::Fetch;
pub use push::Push;
pub(super) use tracking::check_remote;

/// What a call moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Synced {
    /// Blocks that were not there yet.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Commits that were not known there yet.
    pub commits: u64,
    /// Names that moved, where it was asked for.
    pub names: Vec<NameChange>,
    /// Tags that stay where they were, because both sides have one of that name elsewhere.
    pub tags_kept: Vec<String>,
}

impl fmt::Display for Synced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Synced { blocks, bytes, commits, names, .. } = self;
        write!(f, "{blocks} blocks, {bytes} bytes, {commits} commits")?;
        names.iter().try_for_each(|name| write!(f, "; {name}"))
    }
}

/// Publishes names as they are to be, in one commit under the lease of the state that they were read from. What is as it
/// was makes no operation. Without `expected`, whoever moved names meanwhile is united with.
#[expect(clippy::too_many_arguments, reason = "one call, all of whose parts are needed")]
fn publish(
    shared: &Shared,
    state: &State,
    view: &View,
    kind: OperationKind,
    actor: &Actor,
    staged: &Arc<Staged>,
    rows: &[Row],
    expected: Option<Vec<OperationId>>,
) -> Result<Swap, SyncError> {
    if *view == state.view && rows.is_empty() {
        return Ok(Swap::Done);
    }
    let now = shared.options.clock.now();
    let operation = shared.stage_operation(state, view, kind, actor, now, staged)?;
    let blocks: Vec<Block> = state.pending.iter().cloned().chain(staged.blocks()).collect();
    let mut heads = HeadsUpdate::advance(shared.options.namespace.clone(), &state.heads, operation);
    heads.expected = expected;
    Ok(shared.store.commit(state.lease(), &WriteBatch { blocks: &blocks, heads: &heads, rows })?)
}
