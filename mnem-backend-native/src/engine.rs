//! The engine: one writer at a time, who writes for all that wait; readers beside it.
//!
//! A caller queues its request, then waits for the writer's lock. Whoever gets it serves everything that is queued with
//! one flush and one sync: while that sync runs, the next group gathers. Nobody waits for company.
//!
//! Invariants
//!  H1  What is published was appended, and synced if its policy wants it: no reader sees what a failed sync may lose.
//!  H2  Requests are judged in the order in which they are logged, each after the effects of those before it.
//!  H3  No lock that readers take is held across I/O. Lock order: writer, queue, collection, tip.
//!
//! Used by: `ports`, `snapshot`. Threads: any.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use mnem_core::collection::Collection;
use mnem_core::port::{Fault, LeaseId, LeaseKeeper, StoreError};

use crate::changes;
use crate::checkpoint::checkpoint;
use crate::data::DataFile;
use crate::metrics::{Counters, StorageMetrics};
use crate::options::{StorageOptions, WalCommitPolicy};
use crate::plan::{Answer, Planner, Request};
use crate::recovery::RecoveryReport;
use crate::space::PageMap;
use crate::superblock::Superblock;
use crate::view::{Tip, Version};
use crate::wal::{Body, Lsn, Wal};

/// So many bytes of blocks and rows are written with one flush, if more wait.
const FLUSH_BYTES_MAX: usize = 8 << 20;

/// A store of pages and a log, open. Cloning it gives a second handle to the same open store; it is closed when the last
/// one, and the last snapshot and lease, is gone.
#[derive(Clone)]
pub struct StorageEngine {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) data: DataFile,
    pub(crate) options: StorageOptions,
    pub(crate) counters: Arc<Counters>,
    pub(crate) report: RecoveryReport,
    /// What messages call the store.
    pub(crate) at: String,
    pub(crate) tip: RwLock<Arc<Tip>>,
    pub(crate) collection: Mutex<Collection>,
    queue: Mutex<Vec<Waiting>>,
    writer: Mutex<Writer>,
}

/// What only the writer touches.
pub(crate) struct Writer {
    pub(crate) wal: Wal,
    /// The newest one that is durable.
    pub(crate) superblock: Superblock,
    /// Pages of the generation before it.
    pub(crate) previous: PageMap,
    /// Older versions that somebody may still read.
    pub(crate) read: Vec<(Weak<Version>, Arc<PageMap>)>,
    /// Bytes of changes in memory.
    pub(crate) table_bytes: u64,
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

impl Inner {
    #[expect(clippy::too_many_arguments, reason = "the parts of a store, put together in one place")]
    pub(crate) fn new(
        data: DataFile,
        options: StorageOptions,
        counters: Arc<Counters>,
        report: RecoveryReport,
        at: String,
        tip: Tip,
        wal: Wal,
        superblock: Superblock,
        previous: PageMap,
    ) -> Inner {
        let writer =
            Writer { wal, superblock, previous, read: Vec::new(), table_bytes: 0, unsynced_commits: 0 };
        Inner {
            data,
            options,
            counters,
            report,
            at,
            tip: RwLock::new(Arc::new(tip)),
            collection: Mutex::new(Collection::new()),
            queue: Mutex::default(),
            writer: Mutex::new(writer),
        }
    }

    pub(crate) fn tip(&self) -> Arc<Tip> {
        self.tip.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn publish(&self, tip: Tip) {
        *self.tip.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tip);
    }

    pub(crate) fn collection(&self) -> MutexGuard<'_, Collection> {
        // Each of its steps is complete by itself.
        self.collection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(|panicked| {
            let mut writer = panicked.into_inner();
            writer.wal.poison("write");
            writer
        })
    }

    fn queue(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out a request, alone or with others.
    pub(crate) fn submit(&self, request: Request) -> Result<Answer, StoreError> {
        let answer = Arc::new(Mutex::new(None));
        self.queue().push(Waiting { request: Some(request), answer: answer.clone() });
        let mut writer = self.writer();
        loop {
            if let Some(answer) = answer.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return answer;
            }
            self.lead(&mut writer);
        }
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
        let (mut commits, mut must_sync) = (0, false);
        let tip = self.tip();
        let mut planner = Planner::new(self, &tip);
        let ready = self.make_ready(writer);
        for mut one in group.drain(..) {
            let request = one.request.take().expect("a request is carried out once");
            let planned = match &ready {
                Ok(()) => planner.plan(&request),
                Err(error) => Err(again(error).into()),
            };
            match planned {
                Err(error) => one.answer(Err(error)),
                Ok((answer, changes)) => {
                    commits += u32::from(request.is_commit());
                    must_sync |= request.is_sync();
                    if !changes.is_empty() {
                        let count = u32::try_from(changes.len()).expect("a request is bounded");
                        let raw = changes::encode(&changes);
                        writer.table_bytes += raw.len() as u64;
                        bodies.push(Body::new(raw, count, writer.wal.compression()));
                        applied.push(changes);
                    }
                    waiting.push((one, answer));
                }
            }
        }
        let heads = planner.heads();
        let written = self.write(writer, &bodies, commits, must_sync);
        match written {
            Ok(lsns) => {
                if let Some(last) = lsns.last().copied() {
                    for (lsn, changes) in lsns.into_iter().zip(applied) {
                        tip.version.table.apply(lsn, changes);
                    }
                    self.publish(Tip { lsn: last, heads, version: tip.version.clone() });
                }
                waiting.into_iter().for_each(|(one, answer)| one.answer(Ok(answer)));
            }
            Err(error) => waiting.into_iter().for_each(|(one, _)| one.answer(Err(again(&error).into()))),
        }
        if self.is_due(writer, 1) {
            // What it could not do now, it can try again; `make_ready` sees to it that it does not put it off for ever.
            let _ = checkpoint(self, writer);
        }
    }

    /// The check before a group is planned. A log that no checkpoint empties does not grow without end.
    fn make_ready(&self, writer: &mut Writer) -> Result<(), Fault> {
        writer.wal.refuse_if_poisoned()?;
        if self.is_due(writer, 2) { checkpoint(self, writer) } else { Ok(()) }
    }

    fn is_due(&self, writer: &Writer, times: u64) -> bool {
        let log_bytes = writer.wal.position().0 - writer.superblock.lsn.0;
        log_bytes.max(writer.table_bytes) >= self.options.checkpoint_bytes * times
    }

    fn write(
        &self,
        writer: &mut Writer,
        bodies: &[Body],
        commits: u32,
        must_sync: bool,
    ) -> Result<Vec<Lsn>, Fault> {
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
        Ok(lsns)
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

impl LeaseKeeper for Inner {
    fn end_lease(&self, lease: LeaseId) {
        self.collection().end_lease(lease);
    }

    fn end_cycle(&self, number: u64) {
        self.collection().end(number);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut writer = self.writer();
        // What was acknowledged is in the log: if this fails, the next open does it.
        let _ = checkpoint(self, &mut writer);
    }
}

impl StorageEngine {
    /// Returns what opening found and did.
    pub fn report(&self) -> &RecoveryReport {
        &self.inner.report
    }

    /// Returns what was done since.
    pub fn metrics(&self) -> StorageMetrics {
        self.inner.counters.read()
    }

    /// Moves everything from the log into the pages, so that the next open has nothing to do.
    pub fn checkpoint(&self) -> Result<(), Fault> {
        checkpoint(&self.inner, &mut self.inner.writer())
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
