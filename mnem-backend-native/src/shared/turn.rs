//! Turns: who may write, from when to when.
//!
//! Threads of one process share a turn: the first one takes it, and catches up; the last one ends it. When another process
//! waits, threads that come late stand at the door until the turn has ended.
//!
//! Used by: everything that writes. Threads: any.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::thread::{self, ThreadId};

use mnem_core::port::Fault;

use super::board::Notice;
use super::{Cursor, Seen, Sharing, follow, others};
use crate::engine::Inner;
use crate::wal::Wal;

/// So many threads pass the door before somebody looks whether another process waits.
const PASSED_MAX: u32 = 16;

/// The way to this process's turn.
#[derive(Debug, Default)]
pub(super) struct Door {
    /// Threads that are in, each as often as it went in: whoever is in already passes a closed door, or it would wait
    /// for itself.
    inside: Vec<ThreadId>,
    /// Threads that went in since the turn began, or since somebody looked.
    passed: u32,
    is_closed: bool,
}

/// The right to write, shared by the threads of this process.
#[must_use = "it ends when it is dropped"]
pub(crate) struct Turn<'a> {
    shared: Option<(&'a Inner, &'a Sharing)>,
    thread: ThreadId,
}

impl Inner {
    /// Waits until this process may write, and knows what others have written.
    pub(crate) fn turn(&self) -> Result<Turn<'_>, Fault> {
        let Some(sharing) = &self.sharing else {
            return Ok(Turn { shared: None, thread: thread::current().id() });
        };
        let board = sharing.own_board()?;
        if !self.options.mode.writes() {
            return Err(Fault::ReadOnly);
        }
        let mut door = sharing.door.lock().unwrap_or_else(PoisonError::into_inner);
        let thread = thread::current().id();
        while door.is_closed && !door.inside.contains(&thread) {
            door = sharing.is_open.wait(door).unwrap_or_else(PoisonError::into_inner);
        }
        if door.inside.is_empty() {
            self.health.check()?;
            board.take_turn()?;
            if let Err(error) = follow::catch_up(self, sharing) {
                sharing.in_turn.store(false, Ordering::Release);
                board.end_turn();
                return Err(error);
            }
            door.passed = 0;
        }
        door.inside.push(thread);
        door.passed += 1;
        if door.passed >= PASSED_MAX {
            door.passed = 0;
            door.is_closed = board.is_wanted();
        }
        Ok(Turn { shared: Some((self, sharing)), thread })
    }
}

impl Inner {
    /// Does what is left to do of opening. The turn was taken for it.
    pub(super) fn in_first_turn(&self, work: impl FnOnce() -> Result<(), Fault>) -> Result<(), Fault> {
        let sharing = self.sharing.as_ref().expect("it is shared");
        let thread = thread::current().id();
        sharing.door.lock().unwrap_or_else(PoisonError::into_inner).inside.push(thread);
        sharing.in_turn.store(true, Ordering::Release);
        let _turn = Turn { shared: Some((self, sharing)), thread };
        work()
    }

    /// Closes the store for this process; the last one who can write it leaves it as one that is used alone.
    pub(crate) fn leave(&self) {
        let Some(sharing) = &self.sharing else { return };
        let Some(member) = &sharing.member else { return };
        if !self.options.mode.writes() {
            return member.leave(false);
        }
        let turn = self.turn();
        let is_collecting =
            turn.is_ok() && sharing.notice().is_collecting && !sharing.has_ended(&sharing.notice());
        let others = others::read_all(sharing.vfs.as_ref(), &sharing.root, Some(member.id));
        if turn.is_ok() && others.is_ok_and(|others| !others::has_writer(&others)) {
            // What was acknowledged is in the log: if this fails, the next open does it.
            let _ = self.checkpoint();
        }
        member.leave(is_collecting || turn.is_err());
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Some((inner, sharing)) = self.shared else { return };
        let mut door = sharing.door.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = door.inside.iter().position(|inside| *inside == self.thread) {
            door.inside.swap_remove(at);
        }
        if door.inside.is_empty() {
            sharing.end_turn(inner);
            door.is_closed = false;
            sharing.is_open.notify_all();
        }
    }
}

impl Sharing {
    fn end_turn(&self, inner: &Inner) {
        let mut seen = self.seen();
        let Some(board) = self.board.get() else { return };
        let has_failed = inner.health.check().is_err();
        if has_failed && !seen.notice.is_open {
            // What reached the disk is unknown: whoever is next finds out, as at opening.
            seen.notice.is_open = true;
            // If this fails too, the next one who opens the store alone does so anyway.
            let _ = seen.write(board);
        }
        if seen.notice.is_collecting && self.has_ended(&seen.notice) {
            seen.notice.is_collecting = false;
            let _ = seen.write(board);
        }
        if let Some(member) = &self.member {
            // A longer list does no harm.
            let _ = member.tidy(|| seen.notice.is_collecting);
        }
        self.in_turn.store(false, Ordering::Release);
        drop(seen);
        board.end_turn();
    }
}

impl Seen {
    /// Publishes what is noted.
    pub(super) fn write(&mut self, board: &super::Board) -> Result<(), Fault> {
        self.notice.number += 1;
        board.write(&self.notice)
    }
}

/// Something is being written that a crash could cut in two: until it is done, the board says so.
#[must_use = "what it covers is over when it is dropped"]
pub(crate) struct Writing<'a> {
    shared: Option<(&'a Inner, &'a Sharing)>,
}

impl Inner {
    /// Begins to write what a crash could cut in two. In a turn.
    pub(crate) fn begin_writing(&self) -> Result<Writing<'_>, Fault> {
        let Some(sharing) = &self.sharing else { return Ok(Writing { shared: None }) };
        let mut seen = sharing.seen();
        if !seen.notice.is_open {
            seen.notice.is_open = true;
            if let Err(error) = seen.write(sharing.own_board()?) {
                seen.notice.is_open = seen.writing > 0;
                return Err(error);
            }
        }
        seen.writing += 1;
        Ok(Writing { shared: Some((self, sharing)) })
    }
}

impl Writing<'_> {
    /// Publishes what was appended to the log. `ends_cycle`: a head was added that no lease covers.
    pub(crate) fn publish_log(self, wal: &Wal, ends_cycle: bool) -> Result<(), Fault> {
        self.publish(|seen| {
            seen.notice.lsn = wal.position();
            seen.notice.durable = wal.durable();
            seen.notice.is_collecting &= !ends_cycle;
            seen.cursor = Cursor::of_log(seen.cursor.generation, wal);
        })
    }

    /// Publishes a checkpoint. From now on nobody begins to read an older one.
    pub(crate) fn publish_checkpoint(self, generation: u64) -> Result<(), Fault> {
        self.publish(|seen| {
            seen.notice.generation = generation;
            seen.cursor.generation = generation;
        })
    }

    fn publish(mut self, change: impl FnOnce(&mut Seen)) -> Result<(), Fault> {
        let Some((inner, sharing)) = self.shared.take() else { return Ok(()) };
        let mut seen = sharing.seen();
        seen.writing -= 1;
        change(&mut seen);
        seen.notice.is_open = seen.writing > 0;
        seen.write(sharing.own_board()?).inspect_err(|_| {
            // It is done, and others do not know.
            seen.notice.is_open = true;
            inner.health.fail("write");
        })
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let Some((inner, sharing)) = self.shared.take() else { return };
        let mut seen = sharing.seen();
        seen.writing -= 1;
        if seen.writing == 0 && inner.health.check().is_ok() {
            // It failed and left everything as it was.
            seen.notice.is_open = false;
            if let Some(board) = sharing.board.get() {
                let _ = seen.write(board);
            }
        }
    }
}

impl Sharing {
    /// Returns what is published, as far as this process knows.
    pub(super) fn notice(&self) -> Notice {
        self.seen().notice
    }
}
