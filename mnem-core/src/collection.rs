//! Who may still need a block: leases, cycles and touches, as a pure state machine.
//!
//! For backends whose atomic domain is one process: each keeps one [`Collection`] under the lock that also guards
//! its heads. Why the rules suffice, and what is lost without each: DURABILITY.md, "Collection".
//!
//! Invariants
//!  L1  While a cycle is announced, every head and every root of a live lease is a root of that cycle, or was
//!      committed since under a lease: all it reaches is marked or touched. So a lease on it needs no further check.
//!  L2  What was put under a live lease, or since the cycle began, cannot be deleted by that cycle.
//!
//! What the backend owes, in the step that it does under its lock:
//!  * a put calls [`record_put`](Collection::record_put) before it looks whether the block is there, and outside
//!    leases no cycle begins between that call and the moment the block shows;
//!  * a delete asks [`may_delete`](Collection::may_delete) and removes the block before any other put runs;
//!  * a commit calls [`record_put`](Collection::record_put) and changes the heads in one step.
//!
//! No locks, clock or I/O. Used by: `memory`, and every backend that one process owns. Threads: one, through
//! `&mut Collection`.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::cid::Cid;
use crate::port::{CollectorError, LeaseId, StoreError};

/// Leases that live, and the cycle that is announced.
#[derive(Debug, Default)]
pub struct Collection {
    /// Roots of every live lease.
    roots: HashMap<LeaseId, Vec<Cid>>,
    /// What was put under each live lease; one that put nothing has no entry.
    puts: HashMap<LeaseId, Prints>,
    cycle: Option<Announced>,
}

/// The newest cycle, until it ends.
#[derive(Debug)]
struct Announced {
    number: u64,
    /// Put since it began outside any lease, or under leases that have ended since. What live leases have put
    /// counts as touched without a copy here.
    touched: Prints,
}

/// A set of blocks, each by eight bytes of its digest: two that share these are both kept, which costs space and
/// never data, and a lease that stages millions of blocks stays small.
#[derive(Debug, Default)]
struct Prints(HashSet<u64>);

impl Prints {
    fn insert(&mut self, cid: &Cid) {
        self.0.insert(print(cid));
    }

    fn contains(&self, cid: &Cid) -> bool {
        self.0.contains(&print(cid))
    }

    /// Takes in `other`, at the cost of the smaller of the two.
    fn unite(&mut self, mut other: Prints) {
        if other.0.len() > self.0.len() {
            mem::swap(self, &mut other);
        }
        self.0.extend(other.0);
    }
}

fn print(cid: &Cid) -> u64 {
    let (first, _) = cid.digest().split_first_chunk::<8>().expect("a digest has 32 bytes");
    u64::from_le_bytes(*first)
}

/// A lease or cycle is not current any more, or a root cannot be leased. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not current any more")]
pub struct Stale;

impl From<Stale> for StoreError {
    fn from(_: Stale) -> StoreError {
        StoreError::Stale
    }
}

impl From<Stale> for CollectorError {
    fn from(_: Stale) -> CollectorError {
        CollectorError::Stale
    }
}

impl Collection {
    /// Returns one without leases and without a cycle.
    pub fn new() -> Collection {
        Collection::default()
    }

    /// Grants a lease, if each root is one of `heads` (all that the store has, of every namespace) or a root of a
    /// live lease.
    pub fn grant(&mut self, lease: LeaseId, roots: &[Cid], heads: &[Cid]) -> Result<(), Stale> {
        let leased = |root: &Cid| self.roots.values().any(|held| held.contains(root));
        if !roots.iter().all(|root| heads.contains(root) || leased(root)) {
            return Err(Stale);
        }
        let before = self.roots.insert(lease, roots.to_vec());
        assert!(before.is_none(), "{lease:?} was granted before");
        Ok(())
    }

    /// Says whether a lease lives.
    pub fn check_live(&self, lease: LeaseId) -> Result<(), Stale> {
        if self.roots.contains_key(&lease) { Ok(()) } else { Err(Stale) }
    }

    /// Notes that blocks are put, whether or not they are there already, under a lease that must live or under
    /// none. Noting more than is then stored does no harm.
    pub fn record_put<'a>(
        &mut self,
        lease: Option<LeaseId>,
        cids: impl IntoIterator<Item = &'a Cid>,
    ) -> Result<(), Stale> {
        let prints = match lease {
            Some(lease) => {
                self.check_live(lease)?;
                self.puts.entry(lease).or_default()
            }
            None => match &mut self.cycle {
                Some(cycle) => &mut cycle.touched,
                None => return Ok(()),
            },
        };
        cids.into_iter().for_each(|cid| prints.insert(cid));
        Ok(())
    }

    /// Lets go of a lease. One that has ended before is none.
    pub fn end_lease(&mut self, lease: LeaseId) {
        self.roots.remove(&lease);
        if let (Some(put), Some(cycle)) = (self.puts.remove(&lease), &mut self.cycle) {
            // A head may rest on it that the cycle does not mark from.
            cycle.touched.unite(put);
        }
    }

    /// A head was added outside any lease: what it reaches may be neither marked nor touched, so the cycle is over.
    pub fn head_added_outside_lease(&mut self) {
        self.cycle = None;
    }

    /// Announces a cycle, in place of the one before. Returns its number and what is to be marked from: `heads`
    /// (all that the store has) and the roots of all live leases, in ascending order.
    pub fn begin(&mut self, heads: &[Cid]) -> (u64, Vec<Cid>) {
        // Of the process, not of the store: so a cycle of another store is stale here, not mistaken for ours.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        self.cycle = Some(Announced { number, touched: Prints::default() });
        let mut roots: Vec<Cid> = heads.iter().chain(self.roots.values().flatten()).copied().collect();
        roots.sort_unstable();
        roots.dedup();
        (number, roots)
    }

    /// Ends a cycle, if it is the one that is announced.
    pub fn end(&mut self, number: u64) {
        if self.check_current(number).is_ok() {
            self.cycle = None;
        }
    }

    /// Says whether a cycle is the newest, and not over.
    pub fn check_current(&self, number: u64) -> Result<(), Stale> {
        self.announced(number).map(|_| ())
    }

    /// Says whether a block that the cycle has not marked may go.
    pub fn may_delete(&self, number: u64, cid: &Cid) -> Result<bool, Stale> {
        let cycle = self.announced(number)?;
        Ok(!cycle.touched.contains(cid) && !self.puts.values().any(|put| put.contains(cid)))
    }

    fn announced(&self, number: u64) -> Result<&Announced, Stale> {
        self.cycle.as_ref().filter(|cycle| cycle.number == number).ok_or(Stale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cid::Codec;

    fn cid(name: &str) -> Cid {
        Cid::of(Codec::Raw, name.as_bytes())
    }

    fn leased(collection: &mut Collection, roots: &[Cid], heads: &[Cid]) -> LeaseId {
        let lease = LeaseId::fresh();
        collection.grant(lease, roots, heads).unwrap();
        lease
    }

    #[test]
    fn only_heads_and_leased_roots_can_be_leased() {
        let (head, other) = (cid("head"), cid("other"));
        let mut collection = Collection::new();
        assert_eq!(collection.grant(LeaseId::fresh(), &[head, other], &[head]), Err(Stale));
        let first = leased(&mut collection, &[head], &[head]);
        let second = leased(&mut collection, &[head], &[]);
        collection.end_lease(first);
        leased(&mut collection, &[head], &[]);
        collection.end_lease(second);
        leased(&mut collection, &[], &[]);
        assert_eq!(collection.begin(&[other]).1.len(), 2, "the third lease keeps its root");
    }

    #[test]
    fn a_refused_lease_is_none() {
        let mut collection = Collection::new();
        let lease = LeaseId::fresh();
        assert_eq!(collection.grant(lease, &[cid("gone")], &[]), Err(Stale));
        assert_eq!(collection.check_live(lease), Err(Stale));
        assert_eq!(collection.record_put(Some(lease), &[cid("block")]), Err(Stale));
    }

    #[test]
    fn puts_of_a_lease_count_in_every_cycle_it_lives_in() {
        let mut collection = Collection::new();
        let lease = leased(&mut collection, &[], &[]);
        collection.record_put(Some(lease), &[cid("staged")]).unwrap();
        let (first, _) = collection.begin(&[]);
        assert_eq!(collection.may_delete(first, &cid("staged")), Ok(false));
        let (second, _) = collection.begin(&[]);
        assert_eq!(collection.may_delete(second, &cid("staged")), Ok(false));
        collection.end_lease(lease);
        assert_eq!(collection.may_delete(second, &cid("staged")), Ok(false), "it may have been committed");
        let (third, _) = collection.begin(&[]);
        assert_eq!(collection.may_delete(third, &cid("staged")), Ok(true));
    }

    #[test]
    fn puts_outside_leases_count_in_the_announced_cycle_only() {
        let mut collection = Collection::new();
        collection.record_put(None, &[cid("early")]).unwrap();
        let (first, _) = collection.begin(&[]);
        collection.record_put(None, &[cid("late")]).unwrap();
        assert_eq!(collection.may_delete(first, &cid("early")), Ok(true));
        assert_eq!(collection.may_delete(first, &cid("late")), Ok(false));
        let (second, _) = collection.begin(&[]);
        assert_eq!(collection.may_delete(second, &cid("late")), Ok(true));
    }

    #[test]
    fn only_the_newest_cycle_deletes_until_it_ends() {
        let block = cid("block");
        let (mut collection, mut other) = (Collection::new(), Collection::new());
        let (first, _) = collection.begin(&[]);
        let (second, _) = collection.begin(&[]);
        assert!(second > first);
        assert_eq!(collection.may_delete(first, &block), Err(Stale));
        collection.end(first);
        assert_eq!(collection.may_delete(second, &block), Ok(true), "the end of an older one ends nothing");
        let (elsewhere, _) = other.begin(&[]);
        assert_eq!(collection.may_delete(elsewhere, &block), Err(Stale));
        collection.end(second);
        assert_eq!(collection.may_delete(second, &block), Err(Stale));
    }

    #[test]
    fn a_head_added_outside_leases_ends_the_cycle() {
        let mut collection = Collection::new();
        let (number, _) = collection.begin(&[]);
        collection.head_added_outside_lease();
        assert_eq!(collection.check_current(number), Err(Stale));
    }

    #[test]
    fn a_cycle_marks_from_heads_and_leased_roots_each_once() {
        let (head, old) = (cid("head"), cid("old"));
        let mut collection = Collection::new();
        leased(&mut collection, &[old, head], &[old, head]);
        leased(&mut collection, &[old], &[old]);
        let mut expected = vec![head, old];
        expected.sort_unstable();
        assert_eq!(collection.begin(&[head]).1, expected);
    }
}
