//! An open file of the simulated disk.
//!
//! Used by: stores under test, as [`VfsFile`]. Threads: under the lock of `sim`, released while waiting for a
//! file lock.

use std::io::{self, ErrorKind, IoSlice};
use std::ops::Range;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::thread;

use super::disk::check_range;
use super::lock::Holder;
use super::{Fault, HandleId, NodeId, ProcessId, Shared, State};
use crate::call::Call;
use crate::port::{Advice, LockKind, VfsFile};

pub(super) struct SimFile {
    pub(super) shared: Arc<Shared>,
    pub(super) process: ProcessId,
    pub(super) handle: HandleId,
    pub(super) node: NodeId,
    pub(super) writable: bool,
}

impl VfsFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let (mut state, fault) = self.begin(Call::ReadAt)?;
        let wanted = transferred(fault, buffer.len());
        let read = state.disk.file(self.node).current.read(&mut buffer[..wanted], offset);
        state.counts.bytes_read += read as u64;
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let (mut state, fault) = self.begin(Call::WriteAt)?;
        self.check_writable()?;
        let bytes = &bytes[..transferred(fault, bytes.len())];
        let written = match fault {
            Some(Fault::LostWrite) => self.lose(&mut state, offset, bytes.len())?,
            Some(Fault::Misdirected(elsewhere)) => {
                self.lose(&mut state, offset, bytes.len())?;
                state.disk.write(self.node, bytes, elsewhere)?
            }
            _ => state.disk.write(self.node, bytes, offset)?,
        };
        state.counts.bytes_written += written as u64;
        Ok(written)
    }

    fn write_vectored_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter()).copied().collect();
        self.write_at(&bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        let (state, _) = self.begin(Call::Len)?;
        Ok(state.disk.file(self.node).current.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let (mut state, _) = self.begin(Call::SetLen)?;
        if !self.writable {
            return Err(ErrorKind::InvalidInput.into());
        }
        state.disk.set_len(self.node, len)
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        let (mut state, _) = self.begin(Call::Allocate)?;
        self.check_writable()?;
        check_range(offset, len)?;
        if len == 0 {
            return Err(ErrorKind::InvalidInput.into());
        }
        state.disk.allocate(self.node, &(offset..offset + len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync(Call::SyncData)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync(Call::SyncAll)
    }

    /// Waiting for a lock that this very thread took fails with `Deadlock`, even if another thread has the
    /// handle by now: a test that fails says more than one that hangs.
    fn lock(&self, kind: LockKind) -> io::Result<()> {
        let mut state = self.prepare_lock(kind)?;
        while let Some(obstacle) = state.locks.obstacle(self.node, kind) {
            if obstacle.handle == self.handle {
                return Ok(());
            }
            if obstacle.thread == thread::current().id() {
                return Err(ErrorKind::Deadlock.into());
            }
            state = self.shared.unblocked.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.check_running(self.process)?;
        }
        self.grant(&mut state, kind);
        Ok(())
    }

    fn try_lock(&self, kind: LockKind) -> io::Result<bool> {
        let mut state = self.prepare_lock(kind)?;
        if let Some(obstacle) = state.locks.obstacle(self.node, kind) {
            return Ok(obstacle.handle == self.handle);
        }
        self.grant(&mut state, kind);
        Ok(true)
    }

    fn unlock(&self) -> io::Result<()> {
        let mut state = self.shared.lock();
        state.check_running(self.process)?;
        self.release(&mut state);
        Ok(())
    }

    fn advise(&self, advice: Advice, range: Range<u64>) -> io::Result<()> {
        let (mut state, _) = self.begin(Call::Advise)?;
        if advice == Advice::DontNeed {
            state.disk.file_mut(self.node).drop_cache(&range);
        }
        Ok(())
    }

    fn start_writeback(&self, _range: Range<u64>) -> io::Result<()> {
        self.begin(Call::StartWriteback).map(|_| ())
    }
}

impl SimFile {
    fn begin(&self, call: Call) -> io::Result<(MutexGuard<'_, State>, Option<Fault>)> {
        self.shared.begin(self.process, call)
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(rustix::io::Errno::BADF.into()) }
    }

    /// Sets the length that a write needs whose bytes go nowhere.
    fn lose(&self, state: &mut State, offset: u64, len: usize) -> io::Result<usize> {
        check_range(offset, len as u64)?;
        let end = offset + len as u64;
        if len > 0 && state.disk.file(self.node).current.len() < end {
            state.disk.set_len(self.node, end)?;
        }
        Ok(len)
    }

    fn sync(&self, call: Call) -> io::Result<()> {
        let (mut state, fault) = self.begin(call)?;
        state.sync(fault, |disk| disk.file_mut(self.node).sync(), |disk| disk.file_mut(self.node).fail_sync())
    }

    /// Gives up a lock of the other kind.
    fn prepare_lock(&self, kind: LockKind) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.shared.lock();
        state.check_running(self.process)?;
        if state.locks.held(self.node, self.handle).is_some_and(|held| held != kind) {
            self.release(&mut state);
        }
        Ok(state)
    }

    fn grant(&self, state: &mut State, kind: LockKind) {
        if state.locks.held(self.node, self.handle).is_none() {
            let thread = thread::current().id();
            let holder = Holder { handle: self.handle, process: self.process, thread, kind };
            state.locks.grant(self.node, holder);
        }
    }

    fn release(&self, state: &mut State) {
        state.locks.release(self.node, self.handle);
        self.shared.unblocked.notify_all();
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        self.release(&mut state);
        state.disk.close(self.node);
    }
}

impl std::fmt::Debug for SimFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimFile").field("node", &self.node.0).field("handle", &self.handle.0).finish()
    }
}

fn transferred(fault: Option<Fault>, len: usize) -> usize {
    match fault {
        Some(Fault::Short(most)) => len.min(most),
        _ => len,
    }
}
