//! The store: one redb file, its gate, and what is kept of leases while it is open.
//!
//! Invariants
//!  D1  redb's write transaction is the atomic domain: blocks, heads, cycles and deletes change within one.
//!  D2  What is visible and not yet durable is at most [`UNSYNCED_BYTES_MAX`] and one call's worth.
//!  D3  What `written` counted when it was copied to `synced` is durable.
//!
//! Lock order: `db` for reading, then a write transaction, then `collection`; each is kept until the work is done, so
//! that compaction, which waits for `db`, comes before or after all of it. Nobody who holds `collection` waits for a
//! write transaction or a sync of a commit: ending a lease is quick.
//!
//! Used by: the ports' modules, each of which implements one or two for [`RedbStore`]. Threads: any.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use mnem_core::collection::Collection;
use mnem_core::port::Fault;
use redb::{Database, Durability, ReadTransaction, ReadableDatabase, WriteTransaction};

use crate::gate::Gate;
use crate::trouble::{Trouble, contain};

/// So much may be visible without being durable; then a write pays for a sync.
pub const UNSYNCED_BYTES_MAX: u64 = 64 << 20;

/// A block, row or head weighs at least so much in that count.
pub(crate) const ENTRY_BYTES: u64 = 64;

/// Blocks, heads and derived rows in one redb file: every port of mnem. Cloning it gives a second handle to the same
/// open store; the file is released when the last one, and the last snapshot and lease, is gone.
#[derive(Clone)]
pub struct RedbStore {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    /// Locked for writing only to compact and check, which need redb to themselves. Empty only while it is dropped.
    db: RwLock<Option<Database>>,
    gate: Gate,
    /// What messages call the store.
    at: String,
    read_only: bool,
    collection: Mutex<Collection>,
    /// Weight of all that was ever committed here, durably or not.
    written: AtomicU64,
    /// Value of `written` that is known to be durable.
    synced: AtomicU64,
}

/// Whether a write is to be durable on return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durable {
    Now,
    Later,
}

/// What becomes of a write transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing happened.
    Abort,
    /// Something of this weight did. Zero: only what was committed before is to become durable.
    Commit(u64),
}

impl RedbStore {
    pub(crate) fn new(db: Database, gate: Gate, at: String, read_only: bool) -> RedbStore {
        RedbStore {
            inner: Arc::new(Inner {
                db: RwLock::new(Some(db)),
                gate,
                at,
                read_only,
                collection: Mutex::new(Collection::new()),
                written: AtomicU64::new(0),
                synced: AtomicU64::new(0),
            }),
        }
    }

    /// Gives room back to the file system: moves what lies at the end of the file to the front and cuts the rest.
    /// Says whether anything was won. Needs the store to itself: while a snapshot lives it is refused as in use.
    /// Takes time and writes in proportion to the file.
    pub fn compact(&self) -> Result<bool, Fault> {
        self.inner.exclusively(|db| Ok(db.compact()?))
    }

    /// Reads the whole file and compares it with redb's checksums. `true`: nothing was wrong. `false`: what could be
    /// repaired was. What cannot be repaired is [`Fault::Corrupt`]. Needs the store to itself, like
    /// [`compact`](Self::compact). Blocks are checked against their hashes whenever they are read; this finds what
    /// reading one by one cannot: a damaged index, which would let a block seem absent.
    pub fn check(&self) -> Result<bool, Fault> {
        self.inner.exclusively(|db| Ok(db.check_integrity()?))
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore")
            .field("at", &self.inner.at)
            .field("read_only", &self.inner.read_only)
            .finish()
    }
}

impl Inner {
    /// Returns the store's name.
    pub(crate) fn at(&self) -> &str {
        &self.at
    }

    /// Runs `call` on what is visible now.
    pub(crate) fn read<T>(
        &self,
        call: impl FnOnce(&ReadTransaction) -> Result<T, Trouble>,
    ) -> Result<T, Fault> {
        self.contain(|| call(&self.db().begin_read()?))
    }

    /// Runs `call` on what is visible now, with the bookkeeping locked: no cycle begins and no delete decides
    /// meanwhile.
    pub(crate) fn read_guarded<T>(
        &self,
        call: impl FnOnce(ReadTransaction, &mut Collection) -> Result<T, Trouble>,
    ) -> Result<T, Fault> {
        self.contain(|| {
            let db = self.db();
            let mut collection = self.collection();
            call(db.begin_read()?, &mut collection)
        })
    }

    /// Runs `call` and turns what redb reports, or panics with, into a fault.
    pub(crate) fn contain<T>(&self, call: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Fault> {
        contain(call).map_err(|trouble| trouble.into_fault(&self.at, &self.gate))
    }

    /// Refuses when this store takes no writes.
    pub(crate) fn check_writable(&self) -> Result<(), Fault> {
        if self.read_only {
            return Err(Fault::ReadOnly);
        }
        match self.gate.failed() {
            Some(action) => Err(Fault::Poisoned { action }),
            None => Ok(()),
        }
    }

    /// Runs `call` in a write transaction of its own. When it fails, nothing happened.
    pub(crate) fn write<T>(
        &self,
        durable: Durable,
        call: impl FnOnce(&WriteTransaction) -> Result<(T, Outcome), Trouble>,
    ) -> Result<T, Fault> {
        self.check_writable()?;
        self.contain(|| {
            self.open_gate()?;
            let db = self.db();
            let transaction = db.begin_write()?;
            let (value, outcome) = call(&transaction)?;
            match outcome {
                Outcome::Commit(weight) if weight > 0 || self.unsynced() > 0 => {
                    let now = durable == Durable::Now || self.unsynced() + weight > UNSYNCED_BYTES_MAX;
                    self.finish(transaction, now, weight)?;
                }
                Outcome::Commit(_) | Outcome::Abort => transaction.abort()?,
            }
            Ok(value)
        })
    }

    /// Like [`write`](Self::write), with the bookkeeping locked from before `call` decides until what it did shows:
    /// no put comes in between. Makes nothing durable, so that nobody waits long for the lock.
    pub(crate) fn write_guarded<T>(
        &self,
        call: impl FnOnce(&WriteTransaction, &Collection) -> Result<(T, Outcome), Trouble>,
    ) -> Result<T, Fault> {
        self.check_writable()?;
        let value = self.contain(|| {
            self.open_gate()?;
            let db = self.db();
            let transaction = db.begin_write()?;
            let collection = self.collection();
            let (value, outcome) = call(&transaction, &collection)?;
            match outcome {
                Outcome::Commit(weight) => self.finish(transaction, false, weight)?,
                Outcome::Abort => transaction.abort()?,
            }
            Ok(value)
        })?;
        if self.unsynced() > UNSYNCED_BYTES_MAX {
            self.sync()?;
        }
        Ok(value)
    }

    /// Commits. Write transactions are one at a time, so nobody else counts meanwhile.
    fn finish(&self, mut transaction: WriteTransaction, now: bool, weight: u64) -> Result<(), Trouble> {
        let written = self.written.fetch_add(weight, Ordering::SeqCst) + weight;
        transaction.set_durability(if now { Durability::Immediate } else { Durability::None })?;
        transaction.commit().inspect_err(|_| self.gate.fail("commit"))?;
        if now {
            self.synced.fetch_max(written, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Makes durable what was committed before. Costs nothing if all of it is.
    pub(crate) fn sync(&self) -> Result<(), Fault> {
        self.check_writable()?;
        if self.unsynced() == 0 {
            return Ok(());
        }
        self.write(Durable::Now, |_| Ok(((), Outcome::Commit(0))))
    }

    /// Weight of what may not be durable yet.
    fn unsynced(&self) -> u64 {
        let synced = self.synced.load(Ordering::SeqCst);
        self.written.load(Ordering::SeqCst).saturating_sub(synced)
    }

    /// Locks the bookkeeping of leases and cycles.
    pub(crate) fn collection(&self) -> MutexGuard<'_, Collection> {
        self.collection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn exclusively(&self, call: impl FnOnce(&mut Database) -> Result<bool, Trouble>) -> Result<bool, Fault> {
        self.check_writable()?;
        let done = self.contain(|| {
            self.open_gate()?;
            let mut db = self.db.write().unwrap_or_else(PoisonError::into_inner);
            let written = self.written.load(Ordering::SeqCst);
            let done = match call(db.as_mut().expect(OPEN)) {
                Err(Trouble::Redb(redb::Error::TransactionInProgress)) => None,
                other => Some(other?),
            };
            if done.is_some() {
                // Both end with a durable commit, and nobody else writes meanwhile.
                self.synced.fetch_max(written, Ordering::SeqCst);
            }
            Ok(done)
        })?;
        done.ok_or_else(|| Fault::Locked {
            at: self.at.clone(),
            by: "a snapshot or scan of this store".to_owned(),
        })
    }

    fn open_gate(&self) -> Result<(), Trouble> {
        let failed = |source| Fault::io(self.gate.failed().unwrap_or("write"), self.at.as_str(), source);
        self.gate.open().map_err(failed)?;
        Ok(())
    }

    fn db(&self) -> Db<'_> {
        Db(self.db.read().unwrap_or_else(PoisonError::into_inner))
    }
}

const OPEN: &str = "the database is taken away only when it is dropped";

/// The database, which is there.
struct Db<'a>(RwLockReadGuard<'a, Option<Database>>);

impl Deref for Db<'_> {
    type Target = Database;

    fn deref(&self) -> &Database {
        self.0.as_ref().expect(OPEN)
    }
}

impl Drop for Inner {
    /// Closing makes what was put durable, but nobody is promised that: an error has nobody to go to.
    fn drop(&mut self) {
        let db = self.db.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let _ = contain(|| {
            drop(db);
            Ok(())
        });
    }
}
