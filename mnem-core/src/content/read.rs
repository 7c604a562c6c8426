//! Reads content.

use std::ops::{Bound, Range};
use std::sync::Arc;

use bytes::Bytes;

use super::{CHUNK_MAX_BYTES, ContentError};
use crate::cid::{Cid, Codec};
use crate::port::BlockRead;
use crate::tree::{Cursor, Entry, KeyRange, Order, Tree, value_link};

/// Content in chunks. Owned and cheap to clone.
#[derive(Clone)]
pub struct ContentReader {
    list: Tree,
    blocks: Arc<dyn BlockRead>,
}

impl ContentReader {
    /// Reads the content of this list, its chunks from `blocks`.
    pub fn new(list: Tree, blocks: Arc<dyn BlockRead>) -> ContentReader {
        ContentReader { list, blocks }
    }

    /// Returns how many bytes there are: where the last chunk ends. Reads no chunk.
    pub fn len_bytes(&self) -> Result<u64, ContentError> {
        match self.list.range(KeyRange::ALL, Order::Descending).next().transpose()? {
            Some(entry) => Ok(listed(&entry)?.0),
            None => Ok(0),
        }
    }

    /// Returns the bytes of `range`, chunk by chunk; what lies past the end is left out. Finds the first by a walk
    /// down the list, and reads only chunks that hold some of them.
    pub fn read(&self, range: Range<u64>) -> ContentStream {
        let after = Bound::Excluded(range.start.to_be_bytes());
        let keys = KeyRange::new((after, Bound::Unbounded));
        ContentStream {
            entries: self.list.range(keys, Order::Ascending),
            blocks: Arc::clone(&self.blocks),
            before: None,
            rest: range,
            failed: false,
        }
    }

    /// Returns all bytes, chunk by chunk.
    pub fn read_all(&self) -> ContentStream {
        self.read(0..u64::MAX)
    }
}

impl std::fmt::Debug for ContentReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContentReader").field("list", self.list.root()).finish_non_exhaustive()
    }
}

/// A stretch of content, chunk by chunk. Owned; ends after its first error.
pub struct ContentStream {
    entries: Cursor,
    blocks: Arc<dyn BlockRead>,
    /// Where the last chunk ended, once there was one: there the next must start.
    before: Option<u64>,
    rest: Range<u64>,
    failed: bool,
}

impl ContentStream {
    fn step(&mut self) -> Result<Option<Bytes>, ContentError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let Some(entry) = self.entries.next().transpose()? else { return Ok(None) };
        let (end, cid) = listed(&entry)?;
        let block = self.blocks.get(&cid)?.ok_or(ContentError::Missing { cid })?;
        let chunk = block.bytes();
        let start = self.start_of(end, chunk)?;
        self.before = Some(end);
        let from = offset(self.rest.start, start, chunk);
        let to = offset(self.rest.end, start, chunk);
        self.rest.start = end;
        Ok(Some(chunk.slice(from..to)))
    }

    /// Returns where a chunk starts that the list says ends at `end`.
    fn start_of(&self, end: u64, chunk: &Bytes) -> Result<u64, ContentError> {
        let damaged = |why| ContentError::Damaged { end, why };
        if chunk.is_empty() || chunk.len() > CHUNK_MAX_BYTES {
            return Err(damaged("the chunk is empty or too long"));
        }
        let start = end.checked_sub(chunk.len() as u64).ok_or(damaged("it starts before the content"))?;
        // Of the first chunk that is read only this is known: it begins at the wanted byte or before it.
        let fits = self.before.map_or(start <= self.rest.start, |before| start == before);
        if fits { Ok(start) } else { Err(damaged("it does not start where the one before it ends")) }
    }
}

impl Iterator for ContentStream {
    type Item = Result<Bytes, ContentError>;

    fn next(&mut self) -> Option<Result<Bytes, ContentError>> {
        if self.failed {
            return None;
        }
        let step = self.step().transpose();
        self.failed = matches!(step, Some(Err(_)));
        step
    }
}

impl std::iter::FusedIterator for ContentStream {}

impl std::fmt::Debug for ContentStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContentStream").field("rest", &self.rest).finish_non_exhaustive()
    }
}

/// Reads an entry of the list: where a chunk ends, and which it is.
fn listed(entry: &Entry) -> Result<(u64, Cid), ContentError> {
    let end = <[u8; 8]>::try_from(&entry.key[..]).map(u64::from_be_bytes);
    let damaged = |why| ContentError::Damaged { end: end.unwrap_or(0), why };
    let end = end.map_err(|_| damaged("its key is no offset"))?;
    match value_link(&entry.value) {
        Some(cid) if cid.codec() == Codec::Raw => Ok((end, cid)),
        _ => Err(damaged("it is no link to raw bytes")),
    }
}

/// Returns where `at`, a place in the content, lies in a chunk that starts at `start`; its nearer end if outside.
fn offset(at: u64, start: u64, chunk: &Bytes) -> usize {
    usize::try_from(at.saturating_sub(start)).map_or(chunk.len(), |it| it.min(chunk.len()))
}
