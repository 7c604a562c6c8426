//! Appending: encodes a flush, finds room for it, writes it once.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use mnem_core::port::Fault;
use mnem_vfs::{OpenMode, Vfs, VfsFile, VfsFileExt};

use super::Lsn;
use super::record::{RECORD_HEADER_BYTES, RecordHeader};
use super::segment::{self, SEGMENT_HEADER_BYTES, SegmentHeader, fault};
use crate::bytes::{StoreId, wide};
use crate::health::Health;
use crate::metrics::Counters;
use crate::options::{Compression, SEGMENT_BYTES_MIN};

/// Records are compressed from this size on: there it is the room in the log that counts.
const COMPRESSED_BYTES_MIN: usize = 256 << 10;

/// The changes of one transaction, encoded and compressed.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) raw_len: u32,
    pub(crate) changes: u32,
    is_lz4: bool,
    stored: Vec<u8>,
}

impl Body {
    pub(crate) fn new(raw: Vec<u8>, changes: u32, compression: Compression) -> Body {
        let raw_len = u32::try_from(raw.len()).expect("a record is bounded");
        // Compressing takes longer than writing does, and a checkpoint compresses the values once more.
        let is_long = raw.len() >= COMPRESSED_BYTES_MIN;
        let packed = if is_long { compression.shrink(&raw) } else { None };
        Body { raw_len, changes, is_lz4: packed.is_some(), stored: packed.unwrap_or(raw) }
    }

    fn bytes(&self) -> u64 {
        wide(RECORD_HEADER_BYTES + self.stored.len())
    }
}

/// A segment and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) number: u32,
    /// Room in the file; what its header says may be less.
    pub(crate) bytes: u64,
    /// Where what it holds ends, which a checkpoint has yet to cover. Absent: it is free.
    pub(crate) end: Option<Lsn>,
}

/// Where an appender goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resume {
    pub(crate) position: Lsn,
    pub(crate) chain: u32,
    pub(crate) txn: u64,
    /// Its records have this epoch.
    pub(crate) epoch: u32,
    pub(crate) nonce: u32,
}

/// The log of an open store.
pub(crate) struct Wal {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    store: StoreId,
    compression: Compression,
    segment_bytes_max: u64,
    counters: Arc<Counters>,
    health: Arc<Health>,
    file: Box<dyn VfsFile>,
    number: u32,
    active: SegmentHeader,
    /// All other segments.
    others: Vec<Placed>,
    position: Lsn,
    durable: Lsn,
    /// The active segment has bytes that no sync covered.
    is_dirty: bool,
    chain: u32,
    txn: u64,
    epoch: u32,
    nonce: u32,
}

/// What a log is made of, apart from where it goes on.
pub(crate) struct Parts {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) dir: PathBuf,
    pub(crate) store: StoreId,
    pub(crate) compression: Compression,
    pub(crate) segment_bytes_max: u64,
    pub(crate) counters: Arc<Counters>,
    pub(crate) health: Arc<Health>,
}

impl Wal {
    /// Goes on in `active`, at a position inside it or at its end. All before it is durable.
    pub(crate) fn resume(
        parts: Parts,
        file: Box<dyn VfsFile>,
        number: u32,
        active: SegmentHeader,
        others: Vec<Placed>,
        at: Resume,
    ) -> Wal {
        assert!(at.position >= active.first_record() && at.position <= active.end(), "inside the segment");
        let Parts { vfs, dir, store, compression, segment_bytes_max, counters, health } = parts;
        Wal {
            vfs,
            dir,
            store,
            compression,
            segment_bytes_max,
            counters,
            health,
            file,
            number,
            active,
            others,
            position: at.position,
            durable: at.position,
            is_dirty: false,
            chain: at.chain,
            txn: at.txn,
            epoch: at.epoch,
            nonce: at.nonce,
        }
    }

    /// Only what is before `durable` is known to be so: the writer before left the rest to the next sync.
    pub(crate) fn durable_up_to(&mut self, durable: Lsn) {
        self.durable = durable.min(self.position);
        self.is_dirty = self.durable < self.position;
    }

    pub(crate) fn durable(&self) -> Lsn {
        self.durable
    }

    /// Returns where the next record goes.
    pub(crate) fn position(&self) -> Lsn {
        self.position
    }

    pub(crate) fn chain(&self) -> u32 {
        self.chain
    }

    pub(crate) fn txn(&self) -> u64 {
        self.txn
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(crate) fn segment_start(&self) -> Lsn {
        self.active.start
    }

    pub(crate) fn compression(&self) -> Compression {
        self.compression
    }

    /// Appends one flush, a record for each body, and returns their positions. Nothing is durable yet.
    ///
    /// A full disk leaves the log as it was; any other failure is its last write.
    pub(crate) fn append(&mut self, bodies: &[Body]) -> Result<Vec<Lsn>, Fault> {
        self.health.check()?;
        let bytes = bodies.iter().map(Body::bytes).sum();
        self.make_room(Lsn(bytes).next_block().0)?;
        let mut flush = Vec::with_capacity(usize::try_from(Lsn(bytes).next_block().0).expect("bounded"));
        let mut lsns = Vec::with_capacity(bodies.len());
        let (mut chain, mut txn) = (self.chain, self.txn);
        for (index, body) in bodies.iter().enumerate() {
            let lsn = Lsn(self.position.0 + wide(flush.len()));
            txn += 1;
            let header = RecordHeader {
                lsn,
                epoch: self.epoch,
                nonce: self.nonce,
                txn,
                durable: self.durable,
                changes: body.changes,
                chain,
                raw_len: body.raw_len,
                is_lz4: body.is_lz4,
                is_last: index + 1 == bodies.len(),
            };
            chain = header.append(self.store, &body.stored, &mut flush);
            lsns.push(lsn);
        }
        // Whole blocks: the system need not read what it is going to overwrite in part.
        flush.resize(usize::try_from(Lsn(wide(flush.len())).next_block().0).expect("bounded"), 0);
        self.write(&flush, self.position.0 - self.active.start.0)?;
        self.counters.log_bytes.add(wide(flush.len()));
        self.position = Lsn(self.position.0 + wide(flush.len()));
        (self.chain, self.txn) = (chain, txn);
        Ok(lsns)
    }

    /// Makes everything durable that was appended.
    pub(crate) fn sync(&mut self) -> Result<(), Fault> {
        self.health.check()?;
        if self.is_dirty {
            if let Err(error) = self.file.sync_data() {
                // The system may have dropped what it could not write: asking again would report success without it.
                self.health.fail("sync");
                return Err(fault("sync", &segment::path(&self.dir, self.number), error));
            }
            self.is_dirty = false;
            self.counters.log_syncs.add(1);
        }
        self.durable = self.position;
        Ok(())
    }

    /// The same, if it is not known to be durable up to `lsn`.
    pub(crate) fn sync_to(&mut self, lsn: Lsn) -> Result<(), Fault> {
        if self.durable < lsn { self.sync() } else { self.health.check() }
    }

    /// Forgets everything before the segment that begins at `start`: a durable superblock names it.
    pub(crate) fn release(&mut self, start: Lsn) {
        for segment in &mut self.others {
            segment.end = segment.end.filter(|end| *end > start);
        }
        let most = self.segment_bytes_max;
        let oversized = self.others.extract_if(.., |segment| segment.end.is_none() && segment.bytes > most);
        for segment in oversized {
            // If it stays, it is a free segment at the next open.
            let _ = self.vfs.remove_file(&segment::path(&self.dir, segment.number));
        }
    }

    fn write(&mut self, bytes: &[u8], offset: u64) -> Result<(), Fault> {
        self.is_dirty = true;
        self.file.write_all_at(bytes, offset).map_err(|error| {
            self.health.fail("write");
            fault("write", &segment::path(&self.dir, self.number), error)
        })
    }

    fn create(&mut self, number: u32, size: u64) -> Result<Box<dyn VfsFile>, Fault> {
        let made = segment::create(self.vfs.as_ref(), &self.dir, number, size);
        if matches!(&made, Err(error) if !matches!(error, Fault::Full { .. })) {
            self.health.fail("sync");
        }
        made
    }

    /// Makes sure that the active segment has room for a flush, going on to the next one if need be.
    fn make_room(&mut self, flush_bytes: u64) -> Result<(), Fault> {
        if self.position.0 + flush_bytes <= self.active.end().0 {
            return Ok(());
        }
        // W4. Later records could else survive earlier ones, in a segment that the chain leads to.
        self.sync()?;
        let needed = SEGMENT_HEADER_BYTES + flush_bytes;
        let free = |segment: &&Placed| segment.end.is_none() && segment.bytes >= needed;
        let (number, size, file) = match self.others.iter().filter(free).min_by_key(|segment| segment.number)
        {
            Some(segment) => {
                let (number, size) = (segment.number, segment.bytes);
                let path = segment::path(&self.dir, number);
                let opened = self.vfs.open(&path, OpenMode::ReadWrite);
                (number, size, opened.map_err(|error| fault("open", &path, error))?)
            }
            None => {
                let number =
                    self.others.iter().map(|segment| segment.number).max().unwrap_or(0).max(self.number);
                let number = number + 1;
                let doubled = (self.active.size * 2).clamp(SEGMENT_BYTES_MIN, self.segment_bytes_max);
                let size = doubled.max(needed);
                (number, size, self.create(number, size)?)
            }
        };
        self.others.retain(|segment| segment.number != number);
        self.others.push(Placed {
            number: self.number,
            bytes: self.active.size,
            end: Some(self.active.end()),
        });
        self.active = SegmentHeader { start: self.active.end(), size, epoch: self.epoch };
        self.file = file;
        self.number = number;
        self.position = self.active.first_record();
        let header = self.active.encode(self.store);
        self.write(&header, 0)
    }
}

impl fmt::Debug for Wal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wal")
            .field("dir", &self.dir)
            .field("position", &self.position)
            .field("durable", &self.durable)
            .finish_non_exhaustive()
    }
}
