//! Leases and collections over several processes: each keeps its own as if it were alone, and reads those of the others.
//!
//! The rules: DURABILITY.md, "Collection". A collection is announced on the board before the others' lists are read, so
//! a lease is in a list that is read, or its owner sees the announcement and asks once more. Puts, deletes and changes of
//! heads happen in turns, and what a put is to be remembered for is written before the record of the log.
//!
//! Used by: `ports`, `snapshot`, `plan`, `engine`. Threads: any.

use std::collections::HashSet;
use std::sync::{Arc, MutexGuard, PoisonError};

use mnem_core::Cid;
use mnem_core::collection::Stale;
use mnem_core::port::{CollectorError, Fault, LeaseId};

use super::board::Notice;
use super::journal::print;
use super::others::{self, Ends};
use super::{Sharing, refresh};
use crate::engine::Inner;
use crate::view::Tip;

/// How often a lease is asked for again because a collection began meanwhile.
const ATTEMPTS_MAX: usize = 100;

/// The collection of this process, with what it knows of the others.
pub(crate) struct Announced {
    /// Its numbers here and on the board.
    number: u64,
    cycle: u64,
    is_over: bool,
    /// What leases of others had put when it began.
    touched: HashSet<u64>,
    ends: Ends,
}

impl Sharing {
    fn announced(&self) -> MutexGuard<'_, Option<Announced>> {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn own(&self) -> u64 {
        self.member.as_ref().map_or(0, |member| member.id)
    }

    /// Says whether the collection on the board is one of this process that is over.
    pub(super) fn has_ended(&self, notice: &Notice) -> bool {
        notice.collector == self.own()
            && self.announced().as_ref().is_none_or(|own| own.is_over || own.cycle != notice.cycle)
    }

    /// Announces a collection of this process. Returns the roots of the others' leases. In a turn.
    fn announce(&self, number: u64) -> Result<Vec<Cid>, Fault> {
        let board = self.own_board()?;
        let mut seen = self.seen();
        seen.notice.cycle += 1;
        seen.notice.collector = self.own();
        seen.notice.is_collecting = true;
        seen.write(board)?;
        let cycle = seen.notice.cycle;
        drop(seen);
        let others = others::read_all(self.vfs.as_ref(), &self.root, Some(self.own()))?;
        let (leased, ends) = others::leased(&others);
        let announced = Announced { number, cycle, is_over: false, touched: leased.puts, ends };
        *self.announced() = Some(announced);
        Ok(leased.roots)
    }

    /// Returns what others have touched that the collection must spare, if it is still the newest. In a turn.
    fn touched(&self, number: u64) -> Result<HashSet<u64>, CollectorError> {
        let notice = self.notice();
        let announced = self.announced();
        let own = announced.as_ref().filter(|own| {
            own.number == number
                && notice.is_collecting
                && (notice.cycle, notice.collector) == (own.cycle, self.own())
        });
        let own = own.ok_or(CollectorError::Stale)?;
        let others = others::read_all(self.vfs.as_ref(), &self.root, Some(self.own()))?;
        let mut touched = others::put_since(&others, &own.ends);
        touched.extend(&own.touched);
        Ok(touched)
    }

    /// Writes down what is about to be put. In a turn.
    pub(crate) fn note_puts<'a>(
        &self,
        lease: Option<LeaseId>,
        cids: impl Iterator<Item = &'a Cid>,
    ) -> Result<(), Fault> {
        if lease.is_none() && !self.notice().is_collecting {
            return Ok(());
        }
        let prints: Vec<u64> = cids.map(print).collect();
        match &self.member {
            Some(member) if !prints.is_empty() => member.put(lease, prints),
            _ => Ok(()),
        }
    }

    pub(crate) fn end_lease(&self, lease: LeaseId) {
        if let Some(member) = &self.member {
            member.end_lease(lease);
        }
    }

    pub(crate) fn end_cycle(&self, number: u64) {
        if let Some(own) = self.announced().as_mut().filter(|own| own.number == number) {
            own.is_over = true;
        }
    }

    fn leased_roots(&self) -> Result<Vec<Cid>, Fault> {
        let others = others::read_all(self.vfs.as_ref(), &self.root, Some(self.own()))?;
        Ok(others::leased(&others).0.roots)
    }
}

impl Inner {
    /// Grants a lease on what all heads of this moment reach, or on `roots`. Returns the moment too.
    pub(crate) fn grant(&self, lease: LeaseId, roots: Option<&[Cid]>) -> Result<Arc<Tip>, CollectorError> {
        let Some(sharing) = &self.sharing else {
            let mut collection = self.collection();
            let tip = self.tip_to_keep();
            let heads = tip.all_heads();
            collection.grant(lease, roots.unwrap_or(&heads), &heads)?;
            return Ok(tip);
        };
        for _ in 0..ATTEMPTS_MAX {
            let before = sharing.cycle()?;
            refresh(self)?;
            let tip = self.tip_to_keep();
            let heads = tip.all_heads();
            let roots = roots.unwrap_or(&heads);
            self.grant_here(sharing, lease, roots, &heads)?;
            // From now on it is seen by whoever begins a collection. One that began just now is right with what is a head
            // since: all heads are its roots, or were committed under leases that it knows of.
            if sharing.cycle()? == before {
                return Ok(tip);
            }
            refresh(self)?;
            let newest = self.tip_to_keep().all_heads();
            if roots.iter().all(|root| newest.contains(root)) {
                return Ok(tip);
            }
            self.end_lease_of(lease);
        }
        Err(CollectorError::Stale)
    }

    /// Grants a lease and writes it down.
    fn grant_here(
        &self,
        sharing: &Sharing,
        lease: LeaseId,
        roots: &[Cid],
        heads: &[Cid],
    ) -> Result<(), CollectorError> {
        let mut collection = self.collection();
        if let Err(Stale) = collection.grant(lease, roots, heads) {
            let mut held = sharing.leased_roots()?;
            held.extend(heads);
            collection.grant(lease, roots, &held)?;
        }
        if let Some(member) = sharing.member.as_ref().filter(|_| self.options.mode.writes()) {
            let written = member.begin_lease(lease, roots);
            written.inspect_err(|_| collection.end_lease(lease))?;
        }
        Ok(())
    }

    pub(crate) fn end_lease_of(&self, lease: LeaseId) {
        self.collection().end_lease(lease);
        if let Some(sharing) = &self.sharing {
            sharing.end_lease(lease);
        }
    }

    /// Announces a collection. In a turn, with the writer's lock.
    pub(crate) fn announce_cycle(&self) -> Result<(u64, Vec<Cid>), Fault> {
        let (number, mut roots) = self.collection().begin(&self.tip().all_heads());
        if let Some(sharing) = &self.sharing {
            let theirs = sharing.announce(number).inspect_err(|_| self.collection().end(number))?;
            roots.extend(theirs);
            roots.sort_unstable();
            roots.dedup();
        }
        Ok((number, roots))
    }

    /// Returns what other processes have touched since a collection began. In a turn.
    pub(crate) fn touched_by_others(&self, cycle: u64) -> Result<HashSet<u64>, CollectorError> {
        match &self.sharing {
            Some(sharing) => sharing.touched(cycle),
            None => Ok(HashSet::new()),
        }
    }
}

impl Sharing {
    /// Returns which collection is the newest, as it is on the board now.
    fn cycle(&self) -> Result<u64, Fault> {
        let notice = self.board()?.map(super::Board::read).transpose()?.flatten();
        Ok(notice.map_or(0, |notice| notice.cycle))
    }
}

/// Says whether a block is among those that were touched.
pub(crate) fn is_touched(touched: &HashSet<u64>, cid: &Cid) -> bool {
    touched.contains(&print(cid))
}
