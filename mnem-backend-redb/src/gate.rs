//! Between redb and the file: holds redb's writes back until mnem writes, and remembers the first failure.
//!
//! redb marks a file as being written as soon as it opens it, repairs one that a crash left, and records its
//! allocator when it closes. Here these writes wait in memory until the first write of mnem's own. So opening and
//! closing changes no byte, an open that is refused has changed nothing, and opening for reading can show even a
//! file that a crash left.
//!
//! Invariants
//!  G1  While the gate holds, the file is not written.
//!  G2  What is held reaches the file in redb's order, syncs included, before anything later does.
//!  G3  Reads see what is held.
//!  G4  After the first failed call, `failed` names it.
//!
//! Used by: `open` and `store`. Threads: any; redb itself orders what matters.

use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use redb::{BackendError, StorageBackend};

/// A change of the file that has to wait.
#[derive(Debug)]
enum Step {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

/// What redb writes through. Cloning it gives a second handle to the same gate.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    file: Box<dyn StorageBackend>,
    /// Locks are taken for reading only.
    reading: bool,
    open: AtomicBool,
    held: Mutex<Vec<Step>>,
    failed: OnceLock<&'static str>,
}

impl Gate {
    /// Puts a gate before `file`. It holds.
    pub(crate) fn new(file: impl StorageBackend, reading: bool) -> Gate {
        Gate {
            shared: Arc::new(Shared {
                file: Box::new(file),
                reading,
                open: AtomicBool::new(false),
                held: Mutex::new(Vec::new()),
                failed: OnceLock::new(),
            }),
        }
    }

    /// Lets everything through: first what was held, then what comes.
    pub(crate) fn open(&self) -> io::Result<()> {
        if self.is_open() {
            return Ok(());
        }
        let mut held = self.shared.held();
        if self.is_open() {
            return Ok(());
        }
        for step in held.iter() {
            match step {
                Step::Write(offset, bytes) => self.note("write", self.shared.file.write(*offset, bytes)),
                Step::SetLen(len) => self.note("resize", self.shared.file.set_len(*len)),
                Step::Sync => self.note("sync", self.shared.file.sync_data()),
            }?;
        }
        held.clear();
        self.shared.open.store(true, Ordering::Release);
        Ok(())
    }

    /// Syncs the file itself. What a process that died had written may be in the system's memory only, and nobody
    /// may be shown what a power cut can still take away.
    pub(crate) fn settle(&self) -> io::Result<()> {
        self.note("sync", self.shared.file.sync_data())
    }

    /// Returns what failed first, if anything did.
    pub(crate) fn failed(&self) -> Option<&'static str> {
        self.shared.failed.get().copied()
    }

    /// Records a failure.
    pub(crate) fn fail(&self, action: &'static str) {
        let _ = self.shared.failed.set(action);
    }

    fn is_open(&self) -> bool {
        self.shared.open.load(Ordering::Acquire)
    }

    fn note<T>(&self, action: &'static str, result: io::Result<T>) -> io::Result<T> {
        if result.is_err() {
            self.fail(action);
        }
        result
    }

    /// Holds `step` back; `false` if the gate is open and it must be done instead.
    fn hold(&self, step: impl FnOnce() -> Step) -> bool {
        if self.is_open() {
            return false;
        }
        let mut held = self.shared.held();
        let holds = !self.is_open();
        if holds {
            held.push(step());
        }
        holds
    }
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, Vec<Step>> {
        // Nothing in here panics half way, so what a poisoned lock guards is whole.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Length of a file of `len` bytes after `held`.
fn held_len(held: &[Step], mut len: u64) -> u64 {
    for step in held {
        match step {
            Step::Write(offset, bytes) => len = len.max(offset.saturating_add(bytes.len() as u64)),
            Step::SetLen(new) => len = *new,
            Step::Sync => {}
        }
    }
    len
}

/// Part of `out`, which lies at `offset`, that `start..end` covers.
fn overlap(offset: u64, out: &mut [u8], start: u64, end: u64) -> (u64, &mut [u8]) {
    let from = start.clamp(offset, offset + out.len() as u64);
    let to = end.clamp(from, offset + out.len() as u64);
    let index = |at: u64| usize::try_from(at - offset).expect("lies within a slice");
    (from, &mut out[index(from)..index(to)])
}

/// Reads as if `held` had been done.
fn read_held(file: &dyn StorageBackend, held: &[Step], offset: u64, out: &mut [u8]) -> io::Result<()> {
    let len = file.len()?;
    let end = offset.checked_add(out.len() as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
    if end > held_len(held, len) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let (_, stored) = overlap(offset, out, offset, len);
    let stored_bytes = stored.len();
    file.read(offset, stored)?;
    out[stored_bytes..].fill(0);
    for step in held {
        match step {
            Step::Write(start, bytes) => {
                let (from, part) = overlap(offset, out, *start, *start + bytes.len() as u64);
                if !part.is_empty() {
                    let skip = usize::try_from(from - start).expect("lies within a slice");
                    part.copy_from_slice(&bytes[skip..skip + part.len()]);
                }
            }
            Step::SetLen(len) => overlap(offset, out, *len, u64::MAX).1.fill(0),
            Step::Sync => {}
        }
    }
    Ok(())
}

impl StorageBackend for Gate {
    fn len(&self) -> io::Result<u64> {
        let held = self.shared.held();
        let len = self.note("read", self.shared.file.len())?;
        Ok(held_len(&held, len))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.is_open() {
            return self.note("read", self.shared.file.read(offset, out));
        }
        let held = self.shared.held();
        self.note("read", read_held(&*self.shared.file, &held, offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if self.hold(|| Step::SetLen(len)) {
            return Ok(());
        }
        self.note("resize", self.shared.file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.hold(|| Step::Sync) {
            return Ok(());
        }
        self.note("sync", self.shared.file.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.hold(|| Step::Write(offset, data.to_vec())) {
            return Ok(());
        }
        self.note("write", self.shared.file.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.shared.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        if self.shared.reading {
            return self.shared.file.try_lock_shared_range(start, end);
        }
        self.shared.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.shared.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        if self.shared.reading {
            return self.shared.file.lock_shared_range(start, end);
        }
        self.shared.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.shared.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.shared.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.shared.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;

    fn memory(bytes: &[u8]) -> InMemoryBackend {
        let file = InMemoryBackend::new();
        file.set_len(bytes.len() as u64).unwrap();
        file.write(0, bytes).unwrap();
        file
    }

    fn all(file: &dyn StorageBackend) -> Vec<u8> {
        let mut bytes = vec![0xee; usize::try_from(file.len().unwrap()).unwrap()];
        file.read(0, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn held_steps_show_in_reads_and_reach_the_file_when_the_gate_opens() {
        let gate = Gate::new(memory(b"0123456789"), false);
        gate.write(2, b"ab").unwrap();
        gate.set_len(5).unwrap();
        gate.set_len(8).unwrap();
        gate.write(3, b"xyz").unwrap();
        gate.sync_data().unwrap();
        let expected = b"01axyz\0\0";
        assert_eq!(all(&gate), expected);
        for from in 0..8 {
            for to in from..=8 {
                let mut part = vec![0xee; to - from];
                gate.read(from as u64, &mut part).unwrap();
                assert_eq!(part, expected[from..to], "{from}..{to}");
            }
        }
        assert!(gate.read(4, &mut [0; 5]).is_err(), "beyond the end");
        assert_eq!(all(&*gate.shared.file), b"0123456789", "the file itself is untouched");
        gate.open().unwrap();
        assert_eq!(all(&*gate.shared.file), expected);
        gate.write(0, b"Z").unwrap();
        assert_eq!(all(&*gate.shared.file)[0], b'Z');
    }
}
