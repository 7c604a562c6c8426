//! Writes content.

use bytes::Bytes;

use super::{Chunker, ContentError};
use crate::block::Block;
use crate::cid::Codec;
use crate::object::{CONTENT_INLINE_BYTES_MAX, Content};
use crate::tree::{BlockSink, Builder, TreeStore, link_value};

/// Takes content piece by piece and hands its blocks on as they become complete. Memory does not grow with it.
pub struct ContentWriter<'s> {
    chunker: Chunker,
    list: Builder<'s>,
    length: u64,
}

impl<'s> ContentWriter<'s> {
    /// Starts content whose blocks go to `sink`. The list is cut by the parameters of `store`.
    pub fn new(store: &TreeStore, sink: &'s mut dyn BlockSink) -> ContentWriter<'s> {
        ContentWriter { chunker: Chunker::new(), list: store.builder(sink), length: 0 }
    }

    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ContentError> {
        let ContentWriter { chunker, list, length } = self;
        chunker.push(bytes, |chunk| put(list, length, chunk))
    }

    /// Ends the content and returns what the node holds of it: all of it if it is short, else the root of its list.
    pub fn finish(mut self) -> Result<Content, ContentError> {
        let last = self.chunker.finish().unwrap_or_default();
        if self.length == 0 && last.len() <= CONTENT_INLINE_BYTES_MAX {
            return Ok(Content::Inline(last));
        }
        if !last.is_empty() {
            put(&mut self.list, &mut self.length, last)?;
        }
        Ok(Content::List(self.list.finish()?))
    }
}

impl std::fmt::Debug for ContentWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContentWriter").field("length", &self.length).finish_non_exhaustive()
    }
}

fn put(list: &mut Builder<'_>, length: &mut u64, chunk: Bytes) -> Result<(), ContentError> {
    *length += chunk.len() as u64;
    let block = Block::new(Codec::Raw, chunk);
    let cid = *block.cid();
    // The chunk before the list that links to it.
    list.sink().put(block)?;
    Ok(list.push(&length.to_be_bytes(), &link_value(&cid))?)
}
