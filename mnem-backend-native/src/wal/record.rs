//! One record of the log: a transaction, or nothing.
//!
//! Bytes: FORMAT.md, "Native backend", "Log record".
//!
//! Invariant: a [`Record`] read from a log passed its own checksum, which covers its place and its store; whether it is
//! next in line is for `scan` to decide.
//!
//! Used by: `writer`, `scan`.

use std::ops::Range;

use super::Lsn;
use crate::bytes::{StoreId, after, get, get_u32, put, wide};

/// Bytes of a record's header.
pub(crate) const RECORD_HEADER_BYTES: usize = 64;

/// Most bytes of a record's changes before compression: one value of 16 MiB, or many smaller ones, and their keys.
pub(crate) const RECORD_RAW_BYTES_MAX: usize = 48 << 20;

const MAGIC_WORD: u32 = u32::from_le_bytes(*b"mlog");

const MAGIC: Range<usize> = 0..4;
const CRC: Range<usize> = after(&MAGIC, 4);
const LSN: Range<usize> = after(&CRC, 8);
const EPOCH: Range<usize> = after(&LSN, 4);
const STORED: Range<usize> = after(&EPOCH, 4);
const RAW: Range<usize> = after(&STORED, 4);
const FLAGS: Range<usize> = after(&RAW, 4);
const TXN: Range<usize> = after(&FLAGS, 8);
const DURABLE: Range<usize> = after(&TXN, 8);
const CHANGES: Range<usize> = after(&DURABLE, 4);
const ZERO: Range<usize> = after(&CHANGES, 4);
const CHAIN: Range<usize> = after(&ZERO, 4);
const NONCE: Range<usize> = after(&CHAIN, 4);
const _: () = assert!(NONCE.end == RECORD_HEADER_BYTES);

const FLAG_LZ4: u32 = 1;
const FLAG_LAST: u32 = 2;

/// What a record's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) lsn: Lsn,
    /// Of its writer: one more at each open.
    pub(crate) epoch: u32,
    /// Of its writer, random: tells two writers apart that took the same epoch.
    pub(crate) nonce: u32,
    pub(crate) txn: u64,
    /// Everything before this was durable when the record was written.
    pub(crate) durable: Lsn,
    pub(crate) changes: u32,
    /// Checksum of the record before.
    pub(crate) chain: u32,
    pub(crate) raw_len: u32,
    pub(crate) is_lz4: bool,
    /// The last of its flush: the next one begins at the next block.
    pub(crate) is_last: bool,
}

/// A record that is what was once written at its place.
#[derive(Clone, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) header: RecordHeader,
    pub(crate) crc: u32,
    /// The changes as they are stored.
    pub(crate) payload: &'a [u8],
}

impl RecordHeader {
    /// Appends header and payload to `out`; returns the checksum, which the next record repeats.
    pub(crate) fn append(&self, store: StoreId, payload: &[u8], out: &mut Vec<u8>) -> u32 {
        let start = out.len();
        out.resize(start + RECORD_HEADER_BYTES, 0);
        out.extend_from_slice(payload);
        let record = &mut out[start..];
        let flags = if self.is_lz4 { FLAG_LZ4 } else { 0 } | if self.is_last { FLAG_LAST } else { 0 };
        put(record, MAGIC, MAGIC_WORD);
        put(record, LSN, self.lsn.0);
        put(record, EPOCH, self.epoch);
        put(record, STORED, wide(payload.len()));
        put(record, RAW, self.raw_len);
        put(record, FLAGS, flags);
        put(record, TXN, self.txn);
        put(record, DURABLE, self.durable.0);
        put(record, CHANGES, self.changes);
        put(record, CHAIN, self.chain);
        put(record, NONCE, self.nonce);
        let crc = store.checksum(self.lsn.0, &record[CRC.end..]);
        put(record, CRC, crc);
        crc
    }
}

impl<'a> Record<'a> {
    /// Reads the record that begins `bytes`, the rest of a segment, at position `at`. Lengths are compared with what is
    /// there before anything is believed.
    pub(crate) fn read(store: StoreId, at: Lsn, bytes: &'a [u8]) -> Option<Record<'a>> {
        let header = bytes.get(..RECORD_HEADER_BYTES)?;
        if get_u32(header, MAGIC) != MAGIC_WORD || get(header, LSN) != at.0 {
            return None;
        }
        let stored = usize::try_from(get(header, STORED)).ok()?;
        let end = RECORD_HEADER_BYTES.checked_add(stored)?;
        let record = bytes.get(..end)?;
        let crc = get_u32(record, CRC);
        if store.checksum(at.0, &record[CRC.end..]) != crc {
            return None;
        }
        let flags = get_u32(header, FLAGS);
        let parsed = RecordHeader {
            lsn: at,
            epoch: get_u32(header, EPOCH),
            nonce: get_u32(header, NONCE),
            txn: get(header, TXN),
            durable: Lsn(get(header, DURABLE)),
            changes: get_u32(header, CHANGES),
            chain: get_u32(header, CHAIN),
            raw_len: get_u32(header, RAW),
            is_lz4: flags & FLAG_LZ4 != 0,
            is_last: flags & FLAG_LAST != 0,
        };
        Some(Record { header: parsed, crc, payload: &record[RECORD_HEADER_BYTES..] })
    }

    /// Returns the position behind it.
    pub(crate) fn end(&self) -> Lsn {
        let end = self.header.lsn.0 + wide(RECORD_HEADER_BYTES + self.payload.len());
        if self.header.is_last { Lsn(end).next_block() } else { Lsn(end) }
    }

    /// Undoes compression. `None`: it is not what its header says.
    pub(crate) fn unpack(&self) -> Option<Vec<u8>> {
        let raw_len = usize::try_from(self.header.raw_len).ok()?;
        crate::group::unpack(self.payload, raw_len, self.header.is_lz4, RECORD_RAW_BYTES_MAX)
    }
}

/// The layout as FORMAT.md has it.
#[cfg(test)]
pub(crate) const LAYOUT: [(&str, Range<usize>); 13] = [
    ("magic", MAGIC),
    ("checksum", CRC),
    ("lsn", LSN),
    ("epoch", EPOCH),
    ("stored", STORED),
    ("raw", RAW),
    ("flags", FLAGS),
    ("txn", TXN),
    ("durable", DURABLE),
    ("changes", CHANGES),
    ("zero", ZERO),
    ("chain", CHAIN),
    ("nonce", NONCE),
];
