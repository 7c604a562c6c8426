//! What a process that shares a store still needs, as a list of records that only grows.
//!
//! Bytes: FORMAT.md, "Native backend", "Processes".
//!
//! Invariant: what is not whole at the end was not relied upon yet.
//!
//! Used by: `member` (writes), `others` (reads).

use std::ops::Range;

use mnem_core::Cid;
use mnem_core::cid::CID_BYTES;

use crate::bytes::{Reader, wide};
use crate::space::PageMap;

/// Kind, length of the payload, checksum of both and of the payload.
const HEADER_BYTES: usize = 9;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// The first one. The list was written anew so many times; whether its owner may write the store.
    Hello { moves: u64, is_writer: bool },
    /// Pages that must stay as they are. In place of all that were named before.
    Pages(PageMap),
    /// More of these.
    MorePages(Vec<Range<u64>>),
    /// A lease, and its roots.
    Lease { number: u64, roots: Vec<Cid> },
    /// Blocks that were put, by eight bytes of their digests, under a lease or (0) under none.
    Puts { number: u64, prints: Vec<u64> },
    /// A lease is over.
    End { number: u64 },
}

const HELLO: u8 = 1;
const PAGES: u8 = 2;
const MORE_PAGES: u8 = 3;
const LEASE: u8 = 4;
const PUTS: u8 = 5;
const END: u8 = 6;

/// What stands for a block among those that were put.
pub(crate) fn print(cid: &Cid) -> u64 {
    let (first, _) = cid.digest().split_first_chunk::<8>().expect("a digest has 32 bytes");
    u64::from_le_bytes(*first)
}

impl Record {
    /// Lays it out at the end of `out`.
    pub(crate) fn append(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + HEADER_BYTES, 0);
        let kind = match self {
            Record::Hello { moves, is_writer } => {
                out.extend(moves.to_le_bytes());
                out.push(u8::from(*is_writer));
                HELLO
            }
            Record::Pages(map) => {
                out.extend(map.to_bytes(map.end()));
                PAGES
            }
            Record::MorePages(pages) => {
                pages.iter().for_each(|run| {
                    out.extend(run.start.to_le_bytes());
                    out.extend(run.end.to_le_bytes());
                });
                MORE_PAGES
            }
            Record::Lease { number, roots } => {
                out.extend(number.to_le_bytes());
                roots.iter().for_each(|root| out.extend(root.to_bytes()));
                LEASE
            }
            Record::Puts { number, prints } => {
                out.extend(number.to_le_bytes());
                prints.iter().for_each(|print| out.extend(print.to_le_bytes()));
                PUTS
            }
            Record::End { number } => {
                out.extend(number.to_le_bytes());
                END
            }
        };
        let length = u32::try_from(out.len() - start - HEADER_BYTES).expect("a record is bounded");
        out[start] = kind;
        out[start + 1..start + 5].copy_from_slice(&length.to_le_bytes());
        let crc = checksum(&out[start..]);
        out[start + 5..start + HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
    }

    fn decode(kind: u8, payload: &[u8]) -> Option<Record> {
        let mut reader = Reader(payload);
        let record = match kind {
            HELLO => {
                let moves = reader.number(8)?;
                Record::Hello { moves, is_writer: reader.number(1)? != 0 }
            }
            PAGES => return Some(Record::Pages(PageMap::from_bytes(payload))),
            MORE_PAGES => {
                let mut pages = Vec::new();
                while !reader.0.is_empty() {
                    let start = reader.number(8)?;
                    pages.push(start..reader.number(8)?);
                }
                Record::MorePages(pages)
            }
            LEASE => {
                let number = reader.number(8)?;
                let mut roots = Vec::new();
                while !reader.0.is_empty() {
                    roots.push(Cid::from_bytes(reader.take(CID_BYTES)?).ok()?);
                }
                Record::Lease { number, roots }
            }
            PUTS => {
                let number = reader.number(8)?;
                let mut prints = Vec::new();
                while !reader.0.is_empty() {
                    prints.push(reader.number(8)?);
                }
                Record::Puts { number, prints }
            }
            END => Record::End { number: reader.number(8)? },
            _ => return None,
        };
        reader.0.is_empty().then_some(record)
    }
}

/// Over kind, length and payload: all of a record but the checksum itself.
fn checksum(record: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&record[..5]), &record[HEADER_BYTES..])
}

/// Goes through a list: each record, and where it begins. Ends where one is not whole.
pub(crate) fn records(bytes: &[u8]) -> impl Iterator<Item = (u64, Record)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let mut reader = Reader(&bytes[at..]);
        let kind = u8::try_from(reader.number(1)?).ok()?;
        let length = reader.length(4)?;
        let crc = reader.number(4)?;
        let payload = reader.take(length)?;
        let record = &bytes[at..at + HEADER_BYTES + length];
        if u64::from(checksum(record)) != crc {
            return None;
        }
        let begin = wide(at);
        at += record.len();
        Some((begin, Record::decode(kind, payload)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mnem_core::cid::Codec;

    #[test]
    fn records_round_trip_and_what_is_cut_or_flipped_ends_the_list() {
        let mut map = PageMap::of_slots();
        map.insert(70..75);
        let list = [
            Record::Hello { moves: 7, is_writer: true },
            Record::Pages(map),
            Record::MorePages(vec![5..9, 100..101]),
            Record::Lease { number: 1, roots: vec![Cid::of(Codec::Raw, b"root")] },
            Record::Puts { number: 0, prints: vec![1, u64::MAX] },
            Record::End { number: 1 },
        ];
        let mut bytes = Vec::new();
        let mut starts = Vec::new();
        for record in &list {
            starts.push(wide(bytes.len()));
            record.append(&mut bytes);
        }
        let (found, read): (Vec<u64>, Vec<Record>) = records(&bytes).unzip();
        assert_eq!((found, read.as_slice()), (starts.clone(), list.as_slice()));
        for cut in 0..bytes.len() {
            let whole = starts.iter().filter(|start| **start > 0 && **start <= wide(cut)).count();
            assert_eq!(records(&bytes[..cut]).count(), whole, "cut at {cut}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let hit = starts.iter().rposition(|start| *start <= wide(bit / 8)).unwrap();
            assert_eq!(records(&bytes).count(), hit, "bit {bit}");
        }
    }
}
