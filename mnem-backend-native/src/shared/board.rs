//! What processes that share a store tell each other: whose turn it is, and what is published.
//!
//! Bytes: FORMAT.md, "Native backend", "Processes". Why it suffices: DURABILITY.md, "Native backend", "Processes".
//!
//! Invariants
//!  B1  Only whoever has the turn writes a notice, to the slot that does not hold the newest: a torn one leaves the last.
//!  B2  A notice says only what a power cut after it cannot take back, as far as the policy promises so. It is not synced
//!      itself: with the last process that has the store open it loses its meaning.
//!
//! Used by: `shared`. Threads: reading any; the rest under the lock of `shared`.

use std::ops::Range;
use std::path::{Path, PathBuf};

use mnem_core::port::Fault;
use mnem_vfs::{LockKind, OpenMode, Vfs, VfsFile, VfsFileExt};

use crate::bytes::{after, get, get_u32, put};
use crate::wal::Lsn;

const TURN: &str = "turn";
const GATE: &str = "gate";

const NOTICE_BYTES: usize = 84;
const SLOT_BYTES: usize = 128;
const MAGIC_WORD: u64 = u64::from_le_bytes(*b"mnemTRN1");

const MAGIC: Range<usize> = 0..8;
const SESSION: Range<usize> = after(&MAGIC, 8);
const NUMBER: Range<usize> = after(&SESSION, 8);
const GENERATION: Range<usize> = after(&NUMBER, 8);
const LSN: Range<usize> = after(&GENERATION, 8);
const DURABLE: Range<usize> = after(&LSN, 8);
const CYCLE: Range<usize> = after(&DURABLE, 8);
const COLLECTOR: Range<usize> = after(&CYCLE, 8);
const EPOCH: Range<usize> = after(&COLLECTOR, 4);
const NONCE: Range<usize> = after(&EPOCH, 4);
const FLAGS: Range<usize> = after(&NONCE, 4);
const ZERO: Range<usize> = after(&FLAGS, 4);
const CRC: Range<usize> = after(&ZERO, 4);
const _: () = assert!(CRC.end == NOTICE_BYTES);

const FLAG_OPEN: u32 = 1;
const FLAG_COLLECTING: u32 = 2;

/// What is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notice {
    /// Random, of the time from the first process that opens the store until the last one has closed it.
    pub(crate) session: u64,
    /// Counts the notices of a session.
    pub(crate) number: u64,
    /// Somebody began to write and has not said how it ended: they are at it, or were cut off.
    pub(crate) is_open: bool,
    /// The newest checkpoint; 0: somebody is opening the store, and nothing is known yet.
    pub(crate) generation: u64,
    /// The log counts up to here.
    pub(crate) lsn: Lsn,
    /// And is durable up to here.
    pub(crate) durable: Lsn,
    /// Whoever goes on writes under these two, as if it were the same writer.
    pub(crate) epoch: u32,
    pub(crate) nonce: u32,
    /// The newest collection of the session, and who runs it.
    pub(crate) cycle: u64,
    pub(crate) collector: u64,
    /// It is not over.
    pub(crate) is_collecting: bool,
}

impl Notice {
    fn encode(&self) -> [u8; NOTICE_BYTES] {
        let mut bytes = [0; NOTICE_BYTES];
        let flags =
            if self.is_open { FLAG_OPEN } else { 0 } | if self.is_collecting { FLAG_COLLECTING } else { 0 };
        put(&mut bytes, MAGIC, MAGIC_WORD);
        put(&mut bytes, SESSION, self.session);
        put(&mut bytes, NUMBER, self.number);
        put(&mut bytes, GENERATION, self.generation);
        put(&mut bytes, LSN, self.lsn.0);
        put(&mut bytes, DURABLE, self.durable.0);
        put(&mut bytes, CYCLE, self.cycle);
        put(&mut bytes, COLLECTOR, self.collector);
        put(&mut bytes, EPOCH, self.epoch);
        put(&mut bytes, NONCE, self.nonce);
        put(&mut bytes, FLAGS, flags);
        let crc = crc32c::crc32c(&bytes[..CRC.start]);
        put(&mut bytes, CRC, crc);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Notice> {
        let bytes = bytes.get(..NOTICE_BYTES)?;
        if get(bytes, MAGIC) != MAGIC_WORD || get_u32(bytes, CRC) != crc32c::crc32c(&bytes[..CRC.start]) {
            return None;
        }
        let flags = get_u32(bytes, FLAGS);
        Some(Notice {
            session: get(bytes, SESSION),
            number: get(bytes, NUMBER),
            is_open: flags & FLAG_OPEN != 0,
            generation: get(bytes, GENERATION),
            lsn: Lsn(get(bytes, LSN)),
            durable: Lsn(get(bytes, DURABLE)),
            epoch: get_u32(bytes, EPOCH),
            nonce: get_u32(bytes, NONCE),
            cycle: get(bytes, CYCLE),
            collector: get(bytes, COLLECTOR),
            is_collecting: flags & FLAG_COLLECTING != 0,
        })
    }

    /// Says whether both publish the same moment.
    pub(crate) fn is_same_moment(&self, other: &Notice) -> bool {
        (self.session, self.epoch, self.generation, self.lsn)
            == (other.session, other.epoch, other.generation, other.lsn)
    }
}

/// The files behind it: one is locked by whoever has the turn and holds the notices, the other by whoever is next.
#[derive(Debug)]
pub(crate) struct Board {
    turn: Box<dyn VfsFile>,
    /// Absent: this process only reads.
    gate: Option<Box<dyn VfsFile>>,
    path: PathBuf,
}

impl Board {
    /// Opens it, or makes it.
    pub(crate) fn open(vfs: &dyn Vfs, root: &Path) -> Result<Board, Fault> {
        let open = |name| {
            let path = root.join(name);
            let file = vfs.open(&path, OpenMode::OpenOrCreate);
            file.map_err(|error| Fault::io("open", path.display().to_string(), error))
        };
        Ok(Board { turn: open(TURN)?, gate: Some(open(GATE)?), path: root.join(TURN) })
    }

    /// Opens it for reading. `None`: nobody has shared the store yet.
    pub(crate) fn open_to_read(vfs: &dyn Vfs, root: &Path) -> Result<Option<Board>, Fault> {
        let path = root.join(TURN);
        match vfs.open(&path, OpenMode::Read) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Fault::io("open", path.display().to_string(), error)),
            Ok(turn) => Ok(Some(Board { turn, gate: None, path })),
        }
    }

    fn fault(&self, action: &'static str, error: std::io::Error) -> Fault {
        Fault::io(action, self.path.display().to_string(), error)
    }

    /// Waits for the turn. Whoever wants it passes the gate first, so that nobody is passed by newcomers for ever.
    pub(crate) fn take_turn(&self) -> Result<(), Fault> {
        let gate = self.gate.as_ref().ok_or(Fault::ReadOnly)?;
        gate.lock(LockKind::Exclusive).map_err(|error| self.fault("lock", error))?;
        let taken = self.turn.lock(LockKind::Exclusive).map_err(|error| self.fault("lock", error));
        // If this fails it is let go with the handle.
        let _ = gate.unlock();
        taken
    }

    /// Lets the next one have it.
    pub(crate) fn end_turn(&self) {
        // If this fails it ends with the handle: others wait until then.
        let _ = self.turn.unlock();
    }

    /// Says whether somebody waits for the turn that this process has.
    pub(crate) fn is_wanted(&self) -> bool {
        let Some(gate) = &self.gate else { return false };
        match gate.try_lock(LockKind::Exclusive) {
            Ok(true) => {
                let _ = gate.unlock();
                false
            }
            _ => true,
        }
    }

    /// Reads the newest notice. `None`: there is none that is whole.
    pub(crate) fn read(&self) -> Result<Option<Notice>, Fault> {
        let mut bytes = [0; SLOT_BYTES + NOTICE_BYTES];
        let read = self.turn.read_up_to_at(&mut bytes, 0).map_err(|error| self.fault("read", error))?;
        let first = Notice::decode(&bytes[..read]);
        let second = bytes[..read].get(SLOT_BYTES..).and_then(Notice::decode);
        Ok(match (first, second) {
            (Some(one), Some(other)) if one.number < other.number => Some(other),
            (one, other) => one.or(other),
        })
    }

    /// Publishes a notice. Its number says which slot it takes.
    pub(crate) fn write(&self, notice: &Notice) -> Result<(), Fault> {
        let slot = (notice.number & 1) * SLOT_BYTES as u64;
        self.turn.write_all_at(&notice.encode(), slot).map_err(|error| self.fault("write", error))
    }
}

/// The layout as FORMAT.md has it.
#[cfg(test)]
pub(crate) const LAYOUT: [(&str, Range<usize>); 13] = [
    ("magic", MAGIC),
    ("session", SESSION),
    ("number", NUMBER),
    ("generation", GENERATION),
    ("lsn", LSN),
    ("durable", DURABLE),
    ("cycle", CYCLE),
    ("collector", COLLECTOR),
    ("epoch", EPOCH),
    ("nonce", NONCE),
    ("flags", FLAGS),
    ("zero", ZERO),
    ("checksum", CRC),
];

#[cfg(test)]
mod tests {
    use super::*;
    use mnem_vfs::SimVfs;

    #[test]
    fn a_torn_notice_leaves_the_one_before() {
        let disk = SimVfs::new();
        let root = Path::new("/");
        let board = Board::open(&disk, root).unwrap();
        assert_eq!(board.read().unwrap(), None);
        let notice =
            |number| Notice { session: 3, number, generation: number, lsn: Lsn(9), ..Notice::default() };
        for number in 1..6 {
            board.write(&notice(number)).unwrap();
            assert_eq!(board.read().unwrap(), Some(notice(number)));
        }
        for bit in 0..NOTICE_BYTES as u64 * 8 {
            let disk = disk.restart(mnem_vfs::sim::Keep::All);
            disk.flip_bit("/turn", SLOT_BYTES as u64 * 8 + bit).unwrap();
            let board = Board::open_to_read(&disk, root).unwrap().unwrap();
            assert_eq!(board.read().unwrap(), Some(notice(4)), "bit {bit}");
        }
    }
}
