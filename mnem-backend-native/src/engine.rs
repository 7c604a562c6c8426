//! The engine: one writer at a time, who writes for all that wait; readers beside it.
//!
//! A caller queues its request, then waits for the writer's lock. Whoever gets it serves everything that is queued with
//! one flush and one sync: while that sync runs, the next group gathers. Nobody waits for company.
//!
//! Invariants
//!  H1  What is published was appended, and synced if its policy wants it: no reader sees what a failed sync may lose.
//!  H2  Requests are judged in the order in which they are logged, each after the effects of those before it.
//!  H3  No lock that readers take is held across I/O. Lock order: maintenance, writer, queue, collection.
//!
//! Used by: `ports`, `snapshot`. Threads: any.

use std::fmt;
use std::mem;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};
use mnem_core::collection::Collection;
use mnem_core::port::{Fault, LeaseId, LeaseKeeper, StoreError};
use mnem_vfs::Vfs;

use crate::background;
use crate::changes;
use crate::checkpoint::{Maintenance, checkpoint, turn_over};
use crate::data::DataFile;
use crate::health::Health;
use crate::metrics::{Counters, StorageMetrics};
use crate::options::{MaintenancePolicy, StorageOptions, WalCommitPolicy};
use crate::plan::{self, Answer, Planner, Request};
use crate::recovery::RecoveryReport;
use crate::retired::Retired;
use crate::shared::{Sharing, Writing, needs, refresh};
use crate::space::{PageMap, RunId, Space};
use crate::view::Tip;
use crate::wal::{Body, Lsn, Parts, Wal};

/// So many bytes of blocks and rows are written with one flush, if more wait.
const FLUSH_BYTES_MAX: usize = 8 << 20;

/// A store of pages and a log, open. Cloning it gives a second handle to the same open store; it is closed when the last
/// one, and the last snapshot and lease, is gone.
#[derive(Clone)]
pub struct StorageEngine {
    pub(crate) inner: Arc<Handle>,
}

/// What users of an open store share: when the last one is gone, the store is closed.
pub(crate) struct Handle(Arc<Inner>);

impl Deref for Handle {
    type Target = Arc<Inner>;

    fn deref(&self) -> &Arc<Inner> {
        &self.0
    }
}

impl Handle {
    pub(crate) fn new(inner: Inner) -> Handle {
        Handle(Arc::new(inner))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

pub(crate) struct Inner {
    vfs: Arc<dyn Vfs>,
    root: PathBuf,
    pub(crate) data: DataFile,
    pub(crate) options: StorageOptions,
    pub(crate) counters: Arc<Counters>,
    pub(crate) health: Arc<Health>,
    pub(crate) report: RecoveryReport,
    /// What messages call the store.
    pub(crate) at: String,
    pub(crate) space: Space,
    pub(crate) retired: Retired,
    /// Absent: no other process may have it open.
    pub(crate) sharing: Option<Sharing>,
    tip: ArcSwap<Tip>,
    pub(crate) collection: Mutex<Collection>,
    queue: Mutex<Vec<Waiting>>,
    writer: Mutex<Writer>,
    maintenance: Mutex<Maintenance>,
    /// Bytes of log, or of changes in memory, since the last freeze.
    pending_bytes: AtomicU64,
    pub(crate) is_scheduled: AtomicBool,
    is_closed: AtomicBool,
}

/// What only the writer touches.
pub(crate) struct Writer {
    pub(crate) wal: Wal,
    /// Commits that were acknowledged before they were durable.
    unsynced_commits: u32,
}

/// A request, and where its answer goes.
struct Waiting {
    request: Option<Request>,
    answer: Arc<Mutex<Option<Result<Answer, StoreError>>>>,
}

impl Waiting {
    fn answer(&self, answer: Result<Answer, StoreError>) {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(answer);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Only after a panic of the one who was to answer.
        self.answer(Err(Fault::Poisoned { action: "write" }.into()));
    }
}

/// The parts of a store, put together in one place.
pub(crate) struct Assembly {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) root: PathBuf,
    pub(crate) data: DataFile,
    pub(crate) options: StorageOptions,
    pub(crate) report: RecoveryReport,
    pub(crate) at: String,
    pub(crate) tip: Tip,
    pub(crate) wal: Wal,
    pub(crate) maintenance: Maintenance,
    /// Bytes of changes that were found in the log.
    pub(crate) pending_bytes: u64,
    pub(crate) sharing: Option<Sharing>,
}

impl Inner {
    pub(crate) fn new(parts: Assembly) -> Inner {
        let Assembly { vfs, root, data, options, report, at, tip, wal, maintenance, pending_bytes, sharing } =
            parts;
        Inner {
            vfs,
            root,
            counters: data.counters.clone(),
            health: data.health.clone(),
            data,
            options,
            report,
            at,
            space: Space::new(),
            retired: Retired::default(),
            sharing,
            tip: ArcSwap::from_pointee(tip),
            collection: Mutex::new(Collection::new()),
            queue: Mutex::default(),
            writer: Mutex::new(Writer { wal, unsynced_commits: 0 }),
            maintenance: Mutex::new(maintenance),
            pending_bytes: AtomicU64::new(pending_bytes),
            is_scheduled: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
        }
    }

    /// What this process has seen last.
    pub(crate) fn tip(&self) -> Guard<Arc<Tip>> {
        self.tip.load()
    }

    /// Returns the tip for whoever keeps it.
    pub(crate) fn tip_to_keep(&self) -> Arc<Tip> {
        self.tip.load_full()
    }

    /// Returns the tip, with all that other processes have published before the call.
    pub(crate) fn newest(&self) -> Result<Guard<Arc<Tip>>, Fault> {
        refresh(self)?;
        Ok(self.tip())
    }

    /// The same, for whoever keeps it.
    pub(crate) fn newest_to_keep(&self) -> Result<Arc<Tip>, Fault> {
        refresh(self)?;
        Ok(self.tip_to_keep())
    }

    /// Under the writer's lock, or while nobody of this process writes.
    pub(crate) fn publish(&self, tip: Tip) {
        self.tip.store(Arc::new(tip));
    }

    pub(crate) fn collection(&self) -> MutexGuard<'_, Collection> {
        // Each of its steps is complete by itself.
        self.collection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(|panicked| {
            self.health.fail("write");
            panicked.into_inner()
        })
    }

    pub(crate) fn maintenance(&self) -> MutexGuard<'_, Maintenance> {
        self.maintenance.lock().unwrap_or_else(|panicked| {
            self.health.fail("checkpoint");
            panicked.into_inner()
        })
    }

    /// Under the writer's lock: what follows goes into the next checkpoint.
    pub(crate) fn begin_pending(&self) {
        self.pending_bytes.store(0, Ordering::Relaxed);
    }

    pub(crate) fn add_pending(&self, bytes: u64) {
        self.pending_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What a log of this store is made of.
    pub(crate) fn log_parts(&self) -> Parts {
        Parts {
            vfs: self.vfs.clone(),
            dir: self.root.clone(),
            store: self.data.store,
            compression: self.options.compression,
            segment_bytes_max: self.options.segment_bytes_max,
            counters: self.counters.clone(),
            health: self.health.clone(),
        }
    }

    /// A checkpoint is about to be the newest, with these pages: they, and what is still read, must stay for others too.
    pub(crate) fn need_pages(&self, used: &PageMap) -> Result<(), Fault> {
        let Some(sharing) = &self.sharing else { return Ok(()) };
        let mut pages = needs(self, None);
        pages.unite(used);
        sharing.need_pages(pages)
    }

    /// Pages are about to be referred to by a record: they must stay for others too.
    pub(crate) fn need_run(&self, run: RunId) -> Result<(), Fault> {
        match &self.sharing {
            Some(sharing) => sharing.need_more_pages(self.space.pages_ahead(run)),
            None => Ok(()),
        }
    }

    /// Adds what other processes need to `busy`; all there is, if that is unknown.
    pub(crate) fn add_pages_of_others(&self, busy: &mut PageMap) {
        let Some(sharing) = &self.sharing else { return };
        match sharing.pages_of_others() {
            Ok(Some(pages)) => busy.unite(&pages),
            _ => busy.insert(0..self.data.pages()),
        }
    }

    fn is_due(&self, times: u64) -> bool {
        self.pending_bytes.load(Ordering::Relaxed) >= self.options.checkpoint_bytes * times
    }

    /// Runs a checkpoint if one is due, for whoever does so in its own time.
    pub(crate) fn maintain(&self) {
        let Ok(_turn) = self.turn() else { return };
        let mut state = self.maintenance();
        if !self.is_closed.load(Ordering::Relaxed) && self.is_due(1) {
            // What it could not do now is tried again; `submit` sees to it that it is not put off for ever.
            let _ = checkpoint(self, &mut state);
        }
    }

    /// Moves everything into the pages that was committed before the call.
    pub(crate) fn checkpoint(&self) -> Result<(), Fault> {
        let _turn = self.turn()?;
        let mut state = self.maintenance();
        // What an attempt that failed had set aside, then the rest.
        checkpoint(self, &mut state)?;
        checkpoint(self, &mut state)
    }

    /// Writes a superblock once more, so that the older one reaches nothing that the newer one does not.
    pub(crate) fn turn_over(&self) -> Result<(), Fault> {
        let _turn = self.turn()?;
        turn_over(self, &mut self.maintenance())
    }

    fn close(&self) {
        if self.sharing.is_some() {
            self.leave();
        } else {
            // What was acknowledged is in the log: if this fails, the next open does it.
            let _ = self.checkpoint();
        }
        self.is_closed.store(true, Ordering::Relaxed);
        // Whoever maintains this store in the background may keep it in memory for a moment.
        let _ = self.data.file.unlock();
    }

    fn queue(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out a request, alone or with others.
    pub(crate) fn submit(self: &Arc<Self>, request: Request) -> Result<Answer, StoreError> {
        let turn = self.turn()?;
        if self.is_due(2) {
            // A log that no checkpoint empties does not grow without end.
            self.checkpoint()?;
        }
        let answer = Arc::new(Mutex::new(None));
        self.queue().push(Waiting { request: Some(request), answer: answer.clone() });
        let mut writer = self.writer();
        let answer = loop {
            if let Some(answer) = answer.lock().unwrap_or_else(PoisonError::into_inner).take() {
                break answer;
            }
            self.lead(&mut writer);
        };
        drop(writer);
        drop(turn);
        if self.is_due(1) {
            match self.options.maintenance {
                MaintenancePolicy::Background => background::schedule(self),
                MaintenancePolicy::Inline => self.maintain(),
            }
        }
        answer
    }

    /// Takes what is to be written together: one request that must be alone, or several up to a limit.
    fn next_group(&self) -> Vec<Waiting> {
        let mut queue = self.queue();
        let mut bytes = 0;
        let mut count = 0;
        for waiting in queue.iter() {
            let Some(request) = &waiting.request else { break };
            if count > 0 && (request.is_alone() || bytes + request.bytes() > FLUSH_BYTES_MAX) {
                break;
            }
            bytes += request.bytes();
            count += 1;
            if request.is_alone() {
                break;
            }
        }
        let rest = queue.split_off(count);
        mem::replace(&mut queue, rest)
    }

    fn lead(&self, writer: &mut Writer) {
        let mut group = self.next_group();
        let mut waiting = Vec::with_capacity(group.len());
        let mut bodies = Vec::new();
        let mut applied = Vec::new();
        let (mut commits, mut must_sync, mut bytes) = (0, false, 0);
        let tip = self.tip_to_keep();
        let mut planner = Planner::new(self, &tip);
        for mut one in group.drain(..) {
            let request = one.request.take().expect("a request is carried out once");
            let planned = match self.health.check().and_then(|()| self.note_puts(&request)) {
                Ok(()) => planner.plan(&request),
                Err(error) => Err(error.into()),
            };
            let run = request.run();
            match planned {
                Err(error) => {
                    run.into_iter().for_each(|run| self.space.abandon(run));
                    one.answer(Err(error));
                }
                Ok((answer, changes)) => {
                    commits += u32::from(request.is_commit());
                    must_sync |= request.is_sync();
                    if changes.is_empty() {
                        run.into_iter().for_each(|run| self.space.abandon(run));
                    } else {
                        let count = u32::try_from(changes.len()).expect("a request is bounded");
                        let raw = changes::encode(&changes);
                        bytes += changes::memory_bytes(&changes);
                        bodies.push(Body::new(raw, count, writer.wal.compression()));
                        applied.push((run, changes));
                    }
                    waiting.push((one, answer));
                }
            }
        }
        let ends_cycle = planner.ends_cycle();
        let heads = planner.heads();
        let before = writer.wal.position();
        match self.write(writer, &bodies, commits, must_sync) {
            Ok((lsns, writing)) => {
                if let Some(last) = lsns.last().copied() {
                    for (lsn, (run, changes)) in lsns.into_iter().zip(applied) {
                        run.into_iter().for_each(|run| self.space.logged(run, lsn));
                        tip.version.table.apply(lsn, changes);
                    }
                    self.publish(Tip { lsn: last, heads, version: tip.version.clone() });
                    let of_log = writer.wal.position().0 - before.0;
                    self.add_pending(bytes.max(of_log));
                }
                let published =
                    writing.map_or(Ok(()), |writing| writing.publish_log(&writer.wal, ends_cycle));
                for (one, answer) in waiting {
                    one.answer(published.as_ref().map(|()| answer).map_err(|error| again(error).into()));
                }
            }
            Err(error) => {
                if let Fault::Full { .. } = error {
                    // Nothing was written. After any other failure a record may be there, and refer to its pages.
                    applied.iter().filter_map(|(run, _)| *run).for_each(|run| self.space.abandon(run));
                }
                waiting.into_iter().for_each(|(one, _)| one.answer(Err(again(&error).into())));
            }
        }
    }

    fn write(
        &self,
        writer: &mut Writer,
        bodies: &[Body],
        commits: u32,
        must_sync: bool,
    ) -> Result<(Vec<Lsn>, Option<Writing<'_>>), Fault> {
        let writing = if bodies.is_empty() { None } else { Some(self.begin_writing()?) };
        let lsns = if bodies.is_empty() { Vec::new() } else { writer.wal.append(bodies)? };
        self.counters.transactions.add(bodies.len() as u64);
        writer.unsynced_commits = writer.unsynced_commits.saturating_add(commits);
        let is_due = match self.options.policy {
            WalCommitPolicy::Always => commits > 0,
            WalCommitPolicy::Every(most) => writer.unsynced_commits >= most,
            WalCommitPolicy::Never => false,
        };
        if must_sync || is_due {
            writer.wal.sync()?;
            writer.unsynced_commits = 0;
        }
        // Somebody else's sync may have failed meanwhile, and with it what this one relies on.
        self.health.check()?;
        Ok((lsns, writing))
    }

    /// Others learn what is put before it can be referred to.
    fn note_puts(&self, request: &Request) -> Result<(), Fault> {
        let Some(sharing) = &self.sharing else { return Ok(()) };
        match request.puts() {
            Some((lease, blocks, placed)) => sharing.note_puts(lease, plan::cids(blocks, placed)),
            None => Ok(()),
        }
    }
}

impl Writer {
    /// Goes on in a log that others have written to, and that is durable up to a position.
    pub(crate) fn replace_log(&mut self, wal: Wal, durable: Lsn) {
        self.wal = wal;
        self.wal.durable_up_to(durable);
        // How many commits are behind it is not known: the next one is synced.
        self.unsynced_commits = if durable < self.wal.position() { u32::MAX } else { 0 };
    }
}

/// Says the same once more: an error of the system cannot be copied, only told.
fn again(fault: &Fault) -> Fault {
    match fault {
        Fault::Full { at } => Fault::Full { at: at.clone() },
        Fault::Poisoned { action } => Fault::Poisoned { action },
        Fault::Corrupt { what, at } => Fault::Corrupt { what, at: at.clone() },
        Fault::Io { action, at, source } => {
            let copy = match source.raw_os_error() {
                Some(code) => std::io::Error::from_raw_os_error(code),
                None => std::io::Error::new(source.kind(), source.to_string()),
            };
            Fault::Io { action, at: at.clone(), source: copy }
        }
        _ => Fault::Poisoned { action: "write" },
    }
}

impl LeaseKeeper for Handle {
    fn end_lease(&self, lease: LeaseId) {
        self.end_lease_of(lease);
    }

    fn end_cycle(&self, number: u64) {
        self.collection().end(number);
        if let Some(sharing) = &self.sharing {
            sharing.end_cycle(number);
        }
    }
}

impl StorageEngine {
    /// Returns what opening found and did.
    pub fn report(&self) -> &RecoveryReport {
        &self.inner.report
    }

    /// Returns what was done since.
    pub fn metrics(&self) -> StorageMetrics {
        self.inner.counters.read(&self.inner.data.pool)
    }

    /// Moves everything from the log into the pages, so that the next open has nothing to do.
    pub fn checkpoint(&self) -> Result<(), Fault> {
        self.inner.checkpoint()
    }

    /// Closes this handle. If it is the last, what is in the log goes into the pages first; dropping it does the same,
    /// and keeps failures to itself.
    pub fn close(self) -> Result<(), Fault> {
        self.checkpoint()
    }
}

impl fmt::Debug for StorageEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageEngine").field("at", &self.inner.at).finish_non_exhaustive()
    }
}
