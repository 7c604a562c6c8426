//! The log: what opening would apply, and what is wrong with it.

use mnem_core::Block;
use mnem_core::port::{Fault, OpenError};
use mnem_vfs::{OpenMode, VfsFile, VfsFileExt};

use super::{Ailment, Changes, Doctor, Examination};
use crate::bytes::StoreId;
use crate::changes;
use crate::keys;
use crate::memtable::Value;
use crate::superblock::Superblock;
use crate::wal::scan::{End, From, LOST, RECORD, Segments, scan};
use crate::wal::segment::{self, SegmentFile, SegmentHeader};

/// Reads the log from where the superblock says, and returns what it adds.
pub(super) fn examine(
    doctor: &Doctor,
    numbers: &[u32],
    superblock: &Superblock,
    report: &mut Examination,
) -> Result<Changes, OpenError> {
    let mut changes = Changes::new();
    let segments = open(doctor, numbers, superblock.id, report)?;
    report.log_segments = segments.files.len() as u64;
    report.log_bytes = segments.files.iter().map(|(file, _)| file.bytes).sum();
    let mut wrong = Vec::new();
    let read = replay(&segments, superblock, |key, value| {
        if let Some(Value::Bytes(bytes)) = &value
            && let Some(cid) = keys::cid(&key)
            && Block::verify(cid, bytes.clone()).is_err()
        {
            wrong.push(cid);
        }
        changes.insert(key, value);
    });
    wrong.iter().for_each(|cid| report.find(Ailment::LogBlock, cid));
    match read {
        Ok(end) => {
            report.log_records = end.records;
            report.log_end = end.position;
            if end.has_tail {
                let at = format_args!("{}, log position {}", doctor.root.display(), end.position);
                report.find(Ailment::LogTail, at);
            }
        }
        Err(Fault::Corrupt { what, at }) => {
            let ailment = match what {
                LOST => Ailment::LogLost,
                RECORD => Ailment::LogRecord,
                _ => Ailment::LogSegmentMissing,
            };
            report.find(ailment, at);
        }
        Err(error) => report.find(Ailment::Unreadable, error),
    }
    Ok(changes)
}

/// Hands every change to `apply` that opening would apply, in order.
pub(super) fn replay(
    segments: &Segments<'_>,
    superblock: &Superblock,
    mut apply: impl FnMut(keys::Key, Option<Value>),
) -> Result<End, Fault> {
    let from = From {
        position: superblock.lsn,
        segment: superblock.segment,
        chain: superblock.chain,
        epoch: superblock.epoch,
        txn: superblock.txn,
    };
    scan(segments, from, None, |_, raw| {
        changes::decode(raw)?.into_iter().for_each(|(key, value)| apply(key, value));
        Some(())
    })
}

/// Opens all segments for reading.
pub(super) fn open<'a>(
    doctor: &'a Doctor,
    numbers: &[u32],
    store: StoreId,
    report: &mut Examination,
) -> Result<Segments<'a>, OpenError> {
    let mut files = Vec::new();
    for number in numbers {
        let path = segment::path(&doctor.root, *number);
        let (file, handle, begins) = open_segment(doctor, store, *number)?;
        if file.header.is_none() && begins.iter().any(|byte| *byte != 0) {
            let ailment = match SegmentHeader::owner(&begins) {
                Some(owner) if owner != store => Ailment::LogSegmentForeign,
                _ => Ailment::LogSegmentDamaged,
            };
            report.find(ailment, path.display());
        }
        files.push((file, handle));
    }
    Ok(Segments { dir: &doctor.root, store, files })
}

type Opened = (SegmentFile, Box<dyn VfsFile>, Vec<u8>);

/// Opens a segment for reading, and returns what it begins with.
fn open_segment(doctor: &Doctor, store: StoreId, number: u32) -> Result<Opened, Fault> {
    let path = segment::path(&doctor.root, number);
    let fault = |action, error| segment::fault(action, &path, error);
    let file = doctor.vfs.open(&path, OpenMode::Read).map_err(|error| fault("open", error))?;
    let bytes = file.len().map_err(|error| fault("measure", error))?;
    let mut begins = vec![0; segment::HEADER_BYTES];
    let read = file.read_up_to_at(&mut begins, 0).map_err(|error| fault("read", error))?;
    begins.truncate(read);
    let header = SegmentHeader::decode(store, &begins);
    Ok((SegmentFile { number, bytes, header }, file, begins))
}
