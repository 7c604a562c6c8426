//! Blocks and heads in one atomic, durable step.

use super::blockstore::{BlockRead, Blockstore, StoreError};
use super::collector::{Collector, Lease};
use super::heads::{HeadsError, HeadsUpdate, Namespace, OpHeadsStore, Swap};
use super::side::{Row, SideTable};
use crate::block::Block;
use crate::id::OperationId;

/// What one atomic step writes.
#[derive(Clone, Copy, Debug)]
pub struct WriteBatch<'a> {
    /// New blocks; such as are there already cost nothing.
    pub blocks: &'a [Block],
    /// What becomes current.
    pub heads: &'a HeadsUpdate,
    /// Derived rows. They show with the heads or later, never before, and may be lost in a crash.
    pub rows: &'a [Row],
}

/// A whole backend.
///
///  T1  `commit` is all or nothing, for readers and across crashes, and durable when it returns.
///  T2  No head ever names a block that is absent.
///  T3  A commit whose lease has ended is `Stale`, and changes nothing.
///  T4  A snapshot shows the heads of one moment, and every block that was present then, even if deleted since.
///  T5  A commit that is refused or loses its swap leaves no head and no row behind; its blocks may stay as garbage.
pub trait Store: Blockstore + OpHeadsStore + SideTable + Collector {
    /// Writes blocks, then heads, then rows. The blocks may refer only to what `lease` covers, to what was put under
    /// it, and to each other; a new head must be one of all these.
    fn commit(&self, lease: &Lease, batch: &WriteBatch<'_>) -> Result<Swap, StoreError>;

    /// Fixes what is visible now, for as long as the snapshot lives.
    fn snapshot(&self) -> Result<Box<dyn StoreSnapshot>, StoreError>;

    /// Returns the word that begins this backend's URLs.
    fn kind(&self) -> &'static str;
}

/// One moment of a store. Blocks that are stored later may be visible too.
pub trait StoreSnapshot: BlockRead {
    /// Returns the heads of that moment, in ascending order.
    fn heads(&self, namespace: &Namespace) -> Result<Vec<OperationId>, HeadsError>;

    /// Returns the lease that keeps what those heads reach. Work that starts from this snapshot commits under it.
    fn lease(&self) -> &Lease;
}
