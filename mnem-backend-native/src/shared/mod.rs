//! Several processes on one store: whose turn it is to write, what the others have written, what they still read.
//!
//! Order of writes and why it suffices: DURABILITY.md, "Native backend", "Processes". Bytes: FORMAT.md, the same heading.
//!
//! Invariants
//!  X1  The log, the pages and the superblocks are written, and pages are handed out, only by whoever has the turn.
//!  X2  Whoever takes the turn knows what everybody before has written; a turn that was cut off is recovered first.
//!  X3  What is published is kept by those who read it: they say which pages they need, then look whether the checkpoint
//!      they are in is still the newest; whoever makes a checkpoint publishes it, then asks what the others need.
//!
//! `board` publishes, `member` says what this process needs (as a `journal`), `others` reads what the others need, `turn`
//! takes and ends turns, `follow` moves this process to what is published, `leases` lets collections know of all leases,
//! `enter` opens.
//!
//! Used by: `engine` and what writes. Threads: any. Lock order: door, maintenance, writer, collection, seen;
//! whoever catches up has `seen` first, while nobody else of this process can be at work.

mod board;
mod enter;
mod follow;
mod journal;
mod leases;
mod member;
mod others;
mod turn;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use mnem_core::port::{Fault, Marker};
use mnem_vfs::{LockKind, OpenMode, Vfs, VfsFile};

use self::board::Board;
use self::leases::Announced;
use self::member::Member;
use self::turn::Door;
use crate::load::Loaded;
use crate::space::PageMap;
use crate::wal::{Lsn, Wal};

#[cfg(test)]
pub(crate) use self::board::LAYOUT;
pub(crate) use self::board::Notice;
pub(crate) use self::enter::{enter, enter_to_read};
pub(crate) use self::follow::{needs, refresh};
pub(crate) use self::leases::is_touched;
pub(crate) use self::turn::Writing;

/// The part of an open store that has to do with other processes.
pub(crate) struct Sharing {
    vfs: Arc<dyn Vfs>,
    root: PathBuf,
    /// Absent: this process only reads, and nobody has shared the store yet.
    board: OnceLock<Board>,
    /// Absent: the folder cannot be written.
    member: Option<Member>,
    /// The marker file. Whoever cannot say what it needs locks it: then everything stays.
    marker: Box<dyn VfsFile>,
    needs_all: AtomicBool,
    door: Mutex<Door>,
    is_open: Condvar,
    seen: Mutex<Seen>,
    /// This process has the turn, and knows it all.
    in_turn: AtomicBool,
    announced: Mutex<Option<Announced>>,
}

/// What this process knows of the others' work.
struct Seen {
    notice: Notice,
    cursor: Cursor,
    /// How many threads of this process are writing what a crash could cut in two.
    writing: u32,
    /// Log and checkpoint state of this process are where the cursor is.
    is_writer_current: bool,
    /// Others have referred to pages that this process may take for free.
    has_foreign_pages: bool,
}

/// Where this process is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    generation: u64,
    position: Lsn,
    segment: Lsn,
    chain: u32,
    epoch: u32,
    txn: u64,
}

impl Cursor {
    fn of_loaded(loaded: &Loaded) -> Cursor {
        let end = &loaded.end;
        Cursor {
            generation: loaded.slots.newest.generation,
            position: end.position,
            segment: end.start,
            chain: end.chain,
            epoch: end.epoch,
            txn: end.txn,
        }
    }

    fn of_log(generation: u64, wal: &Wal) -> Cursor {
        Cursor {
            generation,
            position: wal.position(),
            segment: wal.segment_start(),
            chain: wal.chain(),
            epoch: wal.epoch(),
            txn: wal.txn(),
        }
    }
}

impl Sharing {
    fn new(
        vfs: &Arc<dyn Vfs>,
        root: &std::path::Path,
        board: Option<Board>,
        member: Option<Member>,
        notice: Notice,
    ) -> Result<Sharing, Fault> {
        let path = root.join(Marker::FILE);
        let marker = vfs.open(&path, OpenMode::Read);
        let marker = marker.map_err(|error| Fault::io("open", path.display().to_string(), error))?;
        let nowhere = Cursor { generation: 0, position: Lsn(0), segment: Lsn(0), chain: 0, epoch: 0, txn: 0 };
        let seen =
            Seen { notice, cursor: nowhere, writing: 0, is_writer_current: false, has_foreign_pages: false };
        Ok(Sharing {
            vfs: vfs.clone(),
            root: root.to_owned(),
            board: board.map_or_else(OnceLock::new, OnceLock::from),
            member,
            marker,
            needs_all: AtomicBool::new(false),
            door: Mutex::default(),
            is_open: Condvar::new(),
            seen: Mutex::new(seen),
            in_turn: AtomicBool::new(false),
            announced: Mutex::default(),
        })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // What is noted comes after what was done.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns where the others publish, if any ever did.
    fn board(&self) -> Result<Option<&Board>, Fault> {
        if self.board.get().is_none()
            && let Some(board) = Board::open_to_read(self.vfs.as_ref(), &self.root)?
        {
            let _ = self.board.set(board);
        }
        Ok(self.board.get())
    }

    /// The board of a process that writes: it was there before anything else.
    fn own_board(&self) -> Result<&Board, Fault> {
        self.board.get().ok_or(Fault::ReadOnly)
    }

    /// Says that these pages must stay, and no others.
    pub(crate) fn need_pages(&self, pages: PageMap) -> Result<(), Fault> {
        match self.member.as_ref().map(|member| member.need_pages(pages)) {
            Some(Ok(())) => {
                if self.needs_all.swap(false, Ordering::AcqRel) {
                    let _ = self.marker.unlock();
                }
                Ok(())
            }
            None | Some(Err(Fault::Full { .. })) => self.need_all(),
            Some(Err(error)) => Err(error),
        }
    }

    /// Says that these pages must stay too.
    pub(crate) fn need_more_pages(&self, pages: Vec<std::ops::Range<u64>>) -> Result<(), Fault> {
        if pages.is_empty() {
            return Ok(());
        }
        match self.member.as_ref().map(|member| member.need_more_pages(pages)) {
            Some(Ok(())) => Ok(()),
            None | Some(Err(Fault::Full { .. })) => self.need_all(),
            Some(Err(error)) => Err(error),
        }
    }

    /// There is no room to say what is needed, or no place: nothing may be used again.
    fn need_all(&self) -> Result<(), Fault> {
        let at = || self.root.join(Marker::FILE).display().to_string();
        self.marker.lock(LockKind::Shared).map_err(|error| Fault::io("lock", at(), error))?;
        self.needs_all.store(true, Ordering::Release);
        Ok(())
    }

    /// Returns the pages that other processes need. `None`: any of them. To be asked after a checkpoint was published.
    pub(crate) fn pages_of_others(&self) -> Result<Option<PageMap>, Fault> {
        let own = self.member.as_ref().map(|member| member.id);
        let others = others::read_all(self.vfs.as_ref(), &self.root, own)?;
        if !self.own_board()?.read()?.is_some_and(|notice| notice.is_collecting) {
            others::remove_dead(self.vfs.as_ref(), &self.root, &others);
        }
        let pages = others::pages(&others);
        Ok(pages.filter(|_| !self.is_all_needed()))
    }

    fn is_all_needed(&self) -> bool {
        if self.needs_all.load(Ordering::Acquire) {
            return true;
        }
        match self.marker.try_lock(LockKind::Exclusive) {
            Ok(true) => {
                let _ = self.marker.unlock();
                false
            }
            _ => true,
        }
    }
}
