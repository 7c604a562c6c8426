//! Segments: files of the log, written with zeros once and used again and again.
//!
//! Bytes: FORMAT.md, "Native backend", "Log segment".
//!
//! Used by: `writer`, `scan`, `open`.

use std::ops::Range;
use std::path::{Path, PathBuf};

use mnem_core::port::Fault;
use mnem_vfs::{Kind, OpenMode, Vfs, VfsFile, VfsFileExt};

use super::{BLOCK_BYTES, Lsn};
use crate::bytes::{StoreId, after, get, get_u32, put};

/// The first block of a segment is its header.
pub(crate) const SEGMENT_HEADER_BYTES: u64 = BLOCK_BYTES;

pub(crate) const HEADER_BYTES: usize = 64;
const MAGIC_WORD: u64 = u64::from_le_bytes(*b"mnemLOG1");

const MAGIC: Range<usize> = 0..8;
const UUID: Range<usize> = after(&MAGIC, 16);
const START: Range<usize> = after(&UUID, 8);
const SIZE: Range<usize> = after(&START, 8);
const EPOCH: Range<usize> = after(&SIZE, 4);
const ZERO: Range<usize> = after(&EPOCH, 16);
const CRC: Range<usize> = after(&ZERO, 4);
const _: () = assert!(CRC.end == HEADER_BYTES);

/// Which part of the log a segment holds: the positions from `start` to `start + size`, its header included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) start: Lsn,
    pub(crate) size: u64,
    pub(crate) epoch: u32,
}

impl SegmentHeader {
    pub(crate) fn end(&self) -> Lsn {
        Lsn(self.start.0 + self.size)
    }

    /// Returns the position of the first record.
    pub(crate) fn first_record(&self) -> Lsn {
        Lsn(self.start.0 + SEGMENT_HEADER_BYTES)
    }

    pub(crate) fn encode(&self, store: StoreId) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        put(&mut bytes, MAGIC, MAGIC_WORD);
        bytes[UUID].copy_from_slice(&store.0);
        put(&mut bytes, START, self.start.0);
        put(&mut bytes, SIZE, self.size);
        put(&mut bytes, EPOCH, self.epoch);
        let crc = store.checksum(self.start.0, &bytes[..CRC.start]);
        put(&mut bytes, CRC, crc);
        bytes
    }

    pub(crate) fn decode(store: StoreId, bytes: &[u8]) -> Option<SegmentHeader> {
        let bytes = bytes.get(..HEADER_BYTES)?;
        let start = get(bytes, START);
        let size = get(bytes, SIZE);
        let is_right = get(bytes, MAGIC) == MAGIC_WORD
            && bytes[UUID] == store.0
            && get_u32(bytes, CRC) == store.checksum(start, &bytes[..CRC.start])
            && size > SEGMENT_HEADER_BYTES
            && size.is_multiple_of(BLOCK_BYTES)
            && start.is_multiple_of(BLOCK_BYTES)
            && start.checked_add(size).is_some();
        is_right.then(|| SegmentHeader { start: Lsn(start), size, epoch: get_u32(bytes, EPOCH) })
    }
}

impl SegmentHeader {
    /// Says whose segment this is, if it looks like one: it may be damaged.
    pub(crate) fn owner(bytes: &[u8]) -> Option<StoreId> {
        let bytes = bytes.get(..HEADER_BYTES).filter(|bytes| get(bytes, MAGIC) == MAGIC_WORD)?;
        Some(StoreId(bytes[UUID].try_into().ok()?))
    }
}

/// A file of the log that is there, whatever is in it.
#[derive(Clone, Debug)]
pub(crate) struct SegmentFile {
    pub(crate) number: u32,
    pub(crate) bytes: u64,
    /// Absent: it holds no part of the log.
    pub(crate) header: Option<SegmentHeader>,
}

/// Returns the path of a segment.
pub(crate) fn path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("wal-{number:04}"))
}

/// Returns the number of a segment from its name, if it is one.
pub(crate) fn number(name: &str) -> Option<u32> {
    let number = name.strip_prefix("wal-")?.parse().ok()?;
    (format!("wal-{number:04}") == name).then_some(number)
}

pub(crate) fn fault(action: &'static str, path: &Path, error: std::io::Error) -> Fault {
    Fault::io(action, path.display().to_string(), error)
}

/// Lists the segments, by number, without looking into them.
pub(crate) fn numbers(vfs: &dyn Vfs, dir: &Path) -> Result<Vec<u32>, Fault> {
    let mut numbers = Vec::new();
    for entry in vfs.list(dir).map_err(|error| fault("list", dir, error))? {
        let entry = entry.map_err(|error| fault("list", dir, error))?;
        if entry.kind == Kind::File {
            numbers.extend(entry.name.to_str().and_then(number));
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Opens a segment and reads its header.
pub(crate) fn open(
    vfs: &dyn Vfs,
    dir: &Path,
    store: StoreId,
    number: u32,
    mode: OpenMode,
) -> Result<(SegmentFile, Box<dyn VfsFile>), Fault> {
    let path = path(dir, number);
    let file = vfs.open(&path, mode).map_err(|error| fault("open", &path, error))?;
    let bytes = file.len().map_err(|error| fault("measure", &path, error))?;
    let mut header = [0; HEADER_BYTES];
    let read = file.read_up_to_at(&mut header, 0).map_err(|error| fault("read", &path, error))?;
    let header = SegmentHeader::decode(store, &header[..read]);
    Ok((SegmentFile { number, bytes, header }, file))
}

/// Makes a segment of `size` bytes, all zero and durable with its name: from now on its blocks have a place on the disk,
/// and a sync of what is written over them writes nothing else.
pub(crate) fn create(vfs: &dyn Vfs, dir: &Path, number: u32, size: u64) -> Result<Box<dyn VfsFile>, Fault> {
    const PIECE_BYTES: usize = 1 << 20;
    let path = path(dir, number);
    let file = vfs.open(&path, OpenMode::CreateNew).map_err(|error| fault("create", &path, error))?;
    let filled = (|| {
        let zeros = vec![0; PIECE_BYTES.min(usize::try_from(size).unwrap_or(PIECE_BYTES))];
        let mut at = 0;
        while at < size {
            let piece = usize::try_from(size - at).map_or(zeros.len(), |left| left.min(zeros.len()));
            file.write_all_at(&zeros[..piece], at)?;
            at += piece as u64;
        }
        file.sync_all()?;
        vfs.sync_dir(dir)
    })();
    match filled {
        Ok(()) => Ok(file),
        Err(error) => {
            drop(file);
            // Without a header it is no part of the log, whether or not this succeeds.
            let _ = vfs.remove_file(&path);
            Err(fault("write", &path, error))
        }
    }
}

/// The layout as FORMAT.md has it.
#[cfg(test)]
pub(crate) const LAYOUT: [(&str, Range<usize>); 7] = [
    ("magic", MAGIC),
    ("uuid", UUID),
    ("start", START),
    ("size", SIZE),
    ("epoch", EPOCH),
    ("zero", ZERO),
    ("checksum", CRC),
];
