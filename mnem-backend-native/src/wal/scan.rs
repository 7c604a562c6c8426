//! Reading the log after a crash: which records count, and where it ends.
//!
//! Reading gathers facts, [`decide`] chooses, one loop acts.
//!
//! Used by: `load`. Threads: whoever reads to the end has the log for itself; who reads up to a published position may
//! be overtaken by writers, and then finds that the chain breaks.

use std::path::Path;

use mnem_core::port::Fault;
use mnem_vfs::{OpenMode, Vfs, VfsFile, VfsFileExt};

use super::record::Record;
use super::segment::{self, SEGMENT_HEADER_BYTES, SegmentFile, SegmentHeader, fault};
use super::{BLOCK_BYTES, Lsn};
use crate::bytes::StoreId;

/// Where the log begins that is not in the pages, as the superblock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct From {
    pub(crate) position: Lsn,
    pub(crate) segment: Lsn,
    pub(crate) chain: u32,
    pub(crate) epoch: u32,
    pub(crate) txn: u64,
}

/// Where it ends.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) position: Lsn,
    pub(crate) chain: u32,
    /// The highest epoch that was accepted.
    pub(crate) epoch: u32,
    /// The highest epoch of anything that is there. The next writer takes a higher one, so that no segment and no record
    /// of another writer is ever taken for its own.
    pub(crate) epoch_seen: u32,
    pub(crate) txn: u64,
    pub(crate) records: u64,
    /// Index of the segment that holds the end, and where it starts.
    pub(crate) segment: usize,
    pub(crate) start: Lsn,
    /// Something of this store's log stands behind the end, of a writer that did not finish.
    pub(crate) has_tail: bool,
}

/// What is known of the place where the next record should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// A record is there that passes its checksum, which covers place and store.
    pub(crate) is_intact: bool,
    /// It repeats the checksum of the record before, its epoch is no lower, its number the next, and within one epoch
    /// its nonce is the same.
    pub(crate) is_next: bool,
    /// A later record says that this place was durable.
    pub(crate) was_promised: bool,
}

/// What to do there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Apply,
    Stop,
    Refuse,
}

/// ```text
///  intact | next | promised | decision
///  yes    | yes  | –        | Apply
///  yes    | no   | no       | Stop    of an earlier lap, or of a writer that was cut off
///  no     | –    | no       | Stop    torn, or the end of the log
///  otherwise     | yes      | Refuse  what is missing here was acknowledged
/// ```
pub(crate) fn decide(facts: Facts) -> Decision {
    match (facts.is_intact && facts.is_next, facts.was_promised) {
        (true, _) => Decision::Apply,
        (false, false) => Decision::Stop,
        (false, true) => Decision::Refuse,
    }
}

/// What is damaged when a record passes its checksum and cannot be applied.
pub(crate) const RECORD: &str = "a log record";

/// What is damaged when records are gone that were acknowledged.
pub(crate) const LOST: &str = "the log (what was acknowledged is missing)";

/// The segments of a log, open.
pub(crate) struct Segments<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) store: StoreId,
    pub(crate) files: Vec<(SegmentFile, Box<dyn VfsFile>)>,
}

impl<'a> Segments<'a> {
    /// Opens all segments there are.
    pub(crate) fn open(
        vfs: &dyn Vfs,
        dir: &'a Path,
        store: StoreId,
        mode: OpenMode,
    ) -> Result<Segments<'a>, Fault> {
        let numbers = segment::numbers(vfs, dir)?.into_iter();
        let files = numbers.map(|number| segment::open(vfs, dir, store, number, mode));
        Ok(Segments { dir, store, files: files.collect::<Result<_, _>>()? })
    }

    fn headers(&self) -> impl Iterator<Item = (usize, SegmentHeader)> + '_ {
        self.files.iter().enumerate().filter_map(|(index, (file, _))| Some((index, file.header?)))
    }

    /// Finds the segment that begins at `start`. Of two the later epoch counts: the other is from a
    /// writer that was cut off.
    pub(crate) fn starting_at(&self, start: Lsn) -> Option<(usize, SegmentHeader)> {
        self.headers().filter(|(_, header)| header.start == start).max_by_key(|(_, header)| header.epoch)
    }

    /// Reads a segment from `offset` to its end, or that of its file; no further than `until` in the log.
    pub(crate) fn read(&self, index: usize, offset: u64, until: Option<Lsn>) -> Result<Vec<u8>, Fault> {
        let (segment, file) = &self.files[index];
        let path = segment::path(self.dir, segment.number);
        let size = segment.header.map_or(0, |header| header.size).min(segment.bytes);
        let start = segment.header.map_or(0, |header| header.start.0);
        let size = until.map_or(size, |until| size.min(until.0.saturating_sub(start)));
        let too_large = || Fault::Corrupt { what: "a log segment", at: path.display().to_string() };
        let length = usize::try_from(size.saturating_sub(offset)).map_err(|_| too_large())?;
        let mut bytes = vec![0; length];
        let read = file.read_up_to_at(&mut bytes, offset).map_err(|error| fault("read", &path, error))?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Says where a position is, for messages.
    fn place(&self, index: usize, at: Lsn) -> String {
        let path = segment::path(self.dir, self.files[index].0.number);
        format!("{}, log position {at}", path.display())
    }
}

/// Goes through the log from `from`, hands each record that counts to `apply`, and says where it ends. With `until`, a
/// position that was published, it ends there, and what is behind is not looked at.
pub(crate) fn scan(
    segments: &Segments<'_>,
    from: From,
    until: Option<Lsn>,
    mut apply: impl FnMut(Lsn, Vec<u8>) -> Option<()>,
) -> Result<End, Fault> {
    let missing = || Fault::Corrupt {
        what: "the log (the segment that the superblock names is missing)",
        at: segments.dir.display().to_string(),
    };
    let (mut index, mut header) = segments.starting_at(from.segment).ok_or_else(missing)?;
    if from.position < header.first_record() || from.position > header.end() {
        return Err(missing());
    }
    let mut end = End {
        position: from.position,
        chain: from.chain,
        epoch: from.epoch,
        epoch_seen: from.epoch,
        txn: from.txn,
        records: 0,
        segment: index,
        start: header.start,
        has_tail: false,
    };
    let mut nonce = None;
    let mut bytes = segments.read(index, end.position.0 - header.start.0, until)?;
    let mut base = end.position;
    loop {
        if until == Some(end.position) {
            return Ok(end);
        }
        let rest = bytes.get(offset_in(base, end.position)..).unwrap_or(&[]);
        let here = Record::read(segments.store, end.position, rest);
        if let Some(record) = here.filter(|record| is_next(record, &end, nonce)) {
            let raw = record.unpack();
            raw.and_then(|raw| apply(record.header.lsn, raw))
                .ok_or_else(|| Fault::Corrupt { what: RECORD, at: segments.place(index, end.position) })?;
            nonce = Some((record.header.epoch, record.header.nonce));
            end.chain = record.crc;
            end.epoch = record.header.epoch;
            end.txn = record.header.txn;
            end.position = record.end();
            end.records += 1;
            continue;
        }
        // The rest of a segment may be too short for a flush: then the next one begins with what follows. Only the
        // chain says whether it does.
        let Some((next, next_header)) = segments.starting_at(header.end()) else { break };
        let next_bytes = segments.read(next, SEGMENT_HEADER_BYTES, until)?;
        let first = next_header.first_record();
        let follows = Record::read(segments.store, first, &next_bytes)
            .is_some_and(|record| is_next(&record, &end, nonce));
        if !follows {
            break;
        }
        (index, header, bytes, base) = (next, next_header, next_bytes, first);
        (end.segment, end.start) = (index, header.start);
        end.position = first;
    }
    if until.is_some() {
        let what = "the log (it ends before what was published)";
        return Err(Fault::Corrupt { what, at: segments.place(index, end.position) });
    }
    let tail = tail(segments, &mut end, &header)?;
    end.has_tail = tail.is_some();
    let epochs = segments.headers().map(|(_, header)| header.epoch);
    end.epoch_seen = epochs.fold(end.epoch_seen.max(end.epoch), u32::max);
    // That it is not intact or not next is why the loop ended.
    let facts = Facts { is_intact: false, is_next: false, was_promised: tail == Some(Tail::Promised) };
    match decide(facts) {
        Decision::Apply => unreachable!("what counts was applied"),
        Decision::Stop => Ok(end),
        Decision::Refuse => Err(Fault::Corrupt { what: LOST, at: segments.place(index, end.position) }),
    }
}

fn offset_in(base: Lsn, position: Lsn) -> usize {
    usize::try_from(position.0 - base.0).expect("inside what was read")
}

fn is_next(record: &Record<'_>, end: &End, nonce: Option<(u32, u32)>) -> bool {
    let header = &record.header;
    header.chain == end.chain
        && header.epoch >= end.epoch
        && header.txn == end.txn + 1
        && nonce.is_none_or(|(epoch, nonce)| header.epoch != epoch || header.nonce == nonce)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tail {
    Left,
    Promised,
}

/// Looks behind the end for flushes that say that the end was durable once: in the rest of the segment, and in those
/// that begin behind it. A segment of an earlier lap begins before.
fn tail(segments: &Segments<'_>, end: &mut End, last: &SegmentHeader) -> Result<Option<Tail>, Fault> {
    let mut found = None;
    for (index, header) in segments.headers() {
        let start = if index == end.segment {
            end.position.next_block()
        } else if header.start >= last.end() {
            header.first_record()
        } else {
            continue;
        };
        let bytes = segments.read(index, start.0 - header.start.0, None)?;
        for at in (0..bytes.len()).step_by(usize::try_from(BLOCK_BYTES).expect("a block is small")) {
            let position = Lsn(start.0 + at as u64);
            let Some(record) = Record::read(segments.store, position, &bytes[at..]) else { continue };
            end.epoch_seen = end.epoch_seen.max(record.header.epoch);
            if record.header.epoch >= end.epoch {
                let is_promised = record.header.durable > end.position;
                found = found.max(Some(if is_promised { Tail::Promised } else { Tail::Left }));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_of_facts_has_its_decision() {
        use Decision::{Apply, Refuse, Stop};
        let expected = [Stop, Refuse, Stop, Refuse, Stop, Refuse, Apply, Apply];
        for (number, expected) in (0..8).zip(expected) {
            let facts =
                Facts { is_intact: number & 4 != 0, is_next: number & 2 != 0, was_promised: number & 1 != 0 };
            assert_eq!(decide(facts), expected, "{facts:?}");
        }
    }
}
