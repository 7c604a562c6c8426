//! One simulated file: what is on the platter, what readers see, and the changes in between.
//!
//! Invariants
//!  N1  `current` is what every reader sees.
//!  N2  Unless `diverged`, `durable` with all of `unsynced` applied in order equals `current`.
//!  N3  Bytes that were durable and not written since are the same in every crash image.
//!
//! Used by: `disk`, `crash`.

use std::ops::Range;
use std::sync::Arc;

use super::Seq;
use super::content::{Content, index};

#[derive(Clone, Debug, Default)]
pub(super) struct FileNode {
    pub(super) durable: Content,
    pub(super) current: Content,
    pub(super) unsynced: Vec<(Seq, Change)>,
    /// A failed sync called pages clean that the disk never got: readers see what no sync will write.
    diverged: bool,
}

/// One thing that a power cut keeps or drops by itself.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { offset: u64, bytes: Arc<[u8]> },
    Length { from: u64, to: u64 },
}

impl FileNode {
    /// A file of a fresh image: all of it durable.
    pub(super) fn settled(content: Content) -> FileNode {
        FileNode { durable: content.clone(), current: content, unsynced: Vec::new(), diverged: false }
    }

    /// The bytes and the length they extend the file to survive independently: two changes.
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64, mut seq: impl FnMut() -> Seq) {
        let end = offset + bytes.len() as u64;
        if end > self.current.len() {
            self.set_len(end, &mut seq);
        }
        self.current.write(bytes, offset);
        self.unsynced.push((seq(), Change::Write { offset, bytes: bytes.into() }));
    }

    pub(super) fn set_len(&mut self, len: u64, seq: impl FnOnce() -> Seq) {
        let from = self.current.len();
        if len != from {
            self.current.set_len(len);
            self.unsynced.push((seq(), Change::Length { from, to: len }));
        }
    }

    pub(super) fn allocate(&mut self, range: &Range<u64>, seq: impl FnOnce() -> Seq) {
        if range.end > self.current.len() {
            self.set_len(range.end, seq);
        }
        self.current.reserve(range);
    }

    pub(super) fn sync(&mut self) {
        let changes = std::mem::take(&mut self.unsynced);
        if changes.is_empty() && !self.diverged {
            return;
        }
        for (_, change) in &changes {
            match change {
                Change::Length { to, .. } => self.durable.set_len(*to),
                Change::Write { offset, bytes } if self.diverged => self.durable.write(bytes, *offset),
                Change::Write { offset, bytes } => {
                    self.durable.adopt(&self.current, &(*offset..*offset + bytes.len() as u64));
                }
            }
        }
        // The length is no page: a failed sync does not make the system forget it.
        self.durable.set_len(self.current.len());
        self.durable.trim();
    }

    /// The disk failed, and the system calls the pages clean all the same.
    pub(super) fn fail_sync(&mut self) {
        if !self.unsynced.is_empty() {
            self.unsynced.clear();
            self.diverged = true;
        }
    }

    /// Drops clean pages from the cache: only here do readers find out what a failed sync lost.
    pub(super) fn drop_cache(&mut self, range: &Range<u64>) {
        if !self.diverged {
            return;
        }
        let mut on_disk = self.written_back();
        // The length is not cached by page: it stays.
        on_disk.set_len(self.current.len());
        let len = range.end.min(self.current.len()).saturating_sub(range.start);
        let mut bytes = vec![0; index(len)];
        on_disk.read(&mut bytes, range.start);
        self.current.write(&bytes, range.start);
    }

    /// What reads of the disk would return if every dirty page were written now.
    fn written_back(&self) -> Content {
        let mut content = self.durable.clone();
        for (_, change) in &self.unsynced {
            match change {
                Change::Length { to, .. } => content.set_len(*to),
                Change::Write { offset, bytes } => content.write(bytes, *offset),
            }
        }
        content
    }

    /// Flips a bit on the platter, in the cache, and in a write on its way between them.
    pub(super) fn flip(&mut self, bit: u64) {
        self.durable.flip(bit);
        self.current.flip(bit);
        let at = bit / 8;
        for (_, change) in self.unsynced.iter_mut().rev() {
            if let Change::Write { offset, bytes } = change
                && (*offset..*offset + bytes.len() as u64).contains(&at)
            {
                let mut flipped = bytes.to_vec();
                flipped[index(at - *offset)] ^= 1 << (bit % 8);
                *bytes = flipped.into();
                return;
            }
        }
    }
}
