//! Streams that read a batch under the lock and hand it out without it: memory stays bounded, and a slow reader
//! holds up nobody.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::cid::Cid;
use crate::port::{CidStream, RowStream};

/// How many items are read at a time.
const BATCH_ITEMS: usize = 256;

/// Where a batch of rows begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum From<'a> {
    /// At this key or after it.
    At(&'a [u8]),
    /// After this key.
    After(&'a [u8]),
}

/// Streams what `next(after, most)` gives, which ascends.
pub(super) fn cids(
    after: Option<Cid>,
    next: impl Fn(Option<Cid>, usize) -> Vec<Cid> + Send + 'static,
) -> CidStream {
    let mut last = after;
    let batches = move || {
        let batch = next(last, BATCH_ITEMS);
        last = batch.last().copied().or(last);
        batch
    };
    Box::new(Batched { batch: VecDeque::new(), batches }.map(Ok))
}

/// Streams what `next(from, most)` gives, which ascends.
pub(super) fn rows(
    from: Bytes,
    next: impl Fn(From<'_>, usize) -> Vec<(Bytes, Bytes)> + Send + 'static,
) -> RowStream {
    let mut last: Option<Bytes> = None;
    let batches = move || {
        let batch = next(last.as_deref().map_or(From::At(&from), From::After), BATCH_ITEMS);
        if let Some((key, _)) = batch.last() {
            last = Some(key.clone());
        }
        batch
    };
    Box::new(Batched { batch: VecDeque::new(), batches }.map(Ok))
}

/// Ends with the first empty batch.
struct Batched<T, F> {
    batch: VecDeque<T>,
    batches: F,
}

impl<T, F: FnMut() -> Vec<T>> Iterator for Batched<T, F> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if self.batch.is_empty() {
            self.batch = (self.batches)().into();
        }
        self.batch.pop_front()
    }
}
