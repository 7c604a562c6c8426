//! Collection beside running writers: leases, cycles, and the only way to delete.
//!
//! A cycle marks what its roots reach, then deletes the rest. Between the two, others write. What keeps that safe is
//! bookkeeping in one atomic domain with the heads: who may still refer to what (leases), and what was put since
//! the cycle began (touches). The rules, with a model that loses data when any one is taken away: DURABILITY.md,
//! "Collection".

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::blockstore::StoreError;
use super::fault::Fault;
use crate::block::Block;
use crate::cid::Cid;

/// Tells leases of one process apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(u64);

impl LeaseId {
    /// Returns an id that no other lease of this process has, of whichever store.
    pub fn fresh() -> LeaseId {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        LeaseId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A backend's side of its leases and cycles: told when one is let go. Called from `drop`, so it must not wait long
/// and cannot fail.
pub trait LeaseKeeper: Send + Sync {
    /// The lease is over.
    fn end_lease(&self, lease: LeaseId);

    /// The cycle is over, if it is still the current one.
    fn end_cycle(&self, number: u64);
}

/// While it lives, what its roots reach, and what is put under it, stays. Dropping it lets go.
#[must_use = "what a dropped lease covered may be collected"]
pub struct Lease {
    id: LeaseId,
    keeper: Arc<dyn LeaseKeeper>,
}

impl Lease {
    /// For backends: wraps a lease that was granted.
    pub fn new(id: LeaseId, keeper: Arc<dyn LeaseKeeper>) -> Lease {
        Lease { id, keeper }
    }

    /// Returns which one it is.
    pub const fn id(&self) -> LeaseId {
        self.id
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.keeper.end_lease(self.id);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.id)
    }
}

/// A collection under way. Dropping it ends it; what was not deleted by then stays.
#[must_use = "a dropped cycle is over"]
pub struct Cycle {
    number: u64,
    roots: Vec<Cid>,
    keeper: Arc<dyn LeaseKeeper>,
}

impl Cycle {
    /// For backends: wraps a cycle that was announced.
    pub fn new(number: u64, roots: Vec<Cid>, keeper: Arc<dyn LeaseKeeper>) -> Cycle {
        Cycle { number, roots, keeper }
    }

    /// Returns its number; a newer cycle has a higher one.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Returns what must be marked from: all heads and all roots of live leases, when the cycle began.
    pub fn roots(&self) -> &[Cid] {
        &self.roots
    }
}

impl Drop for Cycle {
    fn drop(&mut self) {
        self.keeper.end_cycle(self.number);
    }
}

impl fmt::Debug for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cycle({}, {} roots)", self.number, self.roots.len())
    }
}

/// What a delete did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// How many blocks went.
    pub blocks: u64,
    /// How many bytes they had.
    pub bytes: u64,
}

impl std::ops::AddAssign for Deleted {
    fn add_assign(&mut self, other: Deleted) {
        self.blocks += other.blocks;
        self.bytes += other.bytes;
    }
}

/// What becomes of the room that deleted blocks and rows had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compact {
    /// It goes back to the file system, as far as it lies together or can be brought together.
    Room,
    /// The same, and no file of the store holds bytes of what was deleted any more.
    Traces,
}

/// Grants leases and deletes what nobody needs. Authoritative: heads, leases and cycles change in one atomic domain.
///
///  C1  A lease is granted only if each root is a head or a root of a live lease. Else it is `Stale`.
///  C2  What is put under a lease, even if it was there before, is not deleted while the lease lives.
///  C3  `begin_cycle` is one step: it raises the number, returns all heads and the roots of live leases, and counts
///      as touched all that live leases have put.
///  C4  What is put while a cycle is announced, even if it was there before, is not deleted by that cycle.
///  C5  A delete for a cycle that is over or not the newest is `Stale`, and deletes nothing.
///  C6  A head that is added outside a lease ends the cycle that is announced.
///  C7  A deleted block is gone from `get`, `has` and `scan`; putting it again brings it back.
///  C8  A lease ends when it is dropped, and when its process dies. A put under it is `Stale` from then on.
///  C9  `compact` changes nothing that can be read, whoever reads and writes meanwhile. One that was refused or cut short
///      has done part of it, or nothing.
pub trait Collector: Send + Sync {
    /// Asks for a lease on what `roots` reach.
    fn lease(&self, roots: &[Cid]) -> Result<Lease, CollectorError>;

    /// Stores blocks ahead of the commit that will refer to them. Visible on return, durable with the commit. They
    /// may refer only to what `lease` covers, to what was put under it before, and to each other: so children go
    /// first, and are put again even if they are there.
    fn put_leased(&self, lease: &Lease, blocks: &[Block]) -> Result<(), StoreError>;

    /// Announces a collection. One that was announced before is over.
    fn begin_cycle(&self) -> Result<Cycle, CollectorError>;

    /// Deletes those of `cids` that were not put since the cycle began. The caller deletes parents before children,
    /// so that a crash leaves no block whose children are gone.
    fn delete_if_untouched(&self, cycle: &Cycle, cids: &[Cid]) -> Result<Deleted, CollectorError>;

    /// Gives room back. Where the store is needed whole for that, snapshots and leases that live make it
    /// [`Fault::Locked`]; what cannot be done here at all is [`Fault::Unsupported`].
    fn compact(&self, how: Compact) -> Result<(), CollectorError>;
}

/// Why a lease was not granted, or a collection could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectorError {
    /// The medium failed, or the store is in a state that forbids this.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The state asked about is not current any more. Read again and retry.
    #[error("not current any more; read again and retry")]
    Stale,
}
