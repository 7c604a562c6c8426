//! The ports on a [`StorageEngine`]: each call becomes one request, or a few where it is large.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use mnem_core::port::{
    BlockRead, Blockstore, CidStream, Collector, CollectorError, Compact, Cycle, Deleted, Fault, HeadsError,
    HeadsUpdate, Lease, LeaseId, LeaseKeeper, Namespace, OpHeadsStore, Row, RowStream, RowTable, SideError,
    SideTable, Store, StoreError, StoreSnapshot, Swap, WriteBatch, check_rows, check_size,
};
use mnem_core::{Block, Cid, OperationId};

use crate::direct::{PLACES_MAX, write_ahead};
use crate::engine::{Handle, Inner, StorageEngine};
use crate::keys;
use crate::open::KIND;
use crate::plan::{Answer, Request, after_prefix, rows_bytes};
use crate::shared::refresh;
use crate::snapshot::Snapshot;
use crate::view::{Found, Source, Tip, locator, row_value};

/// Blocks and rows beyond this go into records of their own.
const REQUEST_BYTES_MAX: usize = 8 << 20;

/// So many values are fetched ahead of those that are read.
const READ_AHEAD: usize = 64;

/// So many blocks are deleted with one record.
const DELETE_MAX: usize = 4096;

/// How many keys a stream reads at a time.
const BATCH_ITEMS: usize = 256;

/// Cuts a list into pieces of at most [`REQUEST_BYTES_MAX`] bytes, or one item.
fn pieces<T>(items: &[T], bytes_of: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let mut pieces = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, item) in items.iter().enumerate() {
        let more = bytes_of(item);
        if bytes + more > REQUEST_BYTES_MAX && index > start {
            pieces.push(&items[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += more;
    }
    if start < items.len() {
        pieces.push(&items[start..]);
    }
    pieces
}

impl Inner {
    fn put(self: &Arc<Self>, lease: Option<LeaseId>, blocks: &[Block]) -> Result<(), StoreError> {
        check_size(blocks)?;
        if let (Some(lease), true) = (lease, blocks.is_empty()) {
            return Ok(self.collection().check_live(lease)?);
        }
        let _turn = self.turn()?;
        for piece in blocks.chunks(PLACES_MAX) {
            let (blocks, placed) = write_ahead(self, lease, piece)?;
            self.submit(Request::Put { lease, blocks, placed })?;
        }
        Ok(())
    }

    fn put_rows(self: &Arc<Self>, rows: &[Row]) -> Result<(), StoreError> {
        for piece in pieces(rows, |row| rows_bytes(std::slice::from_ref(row))) {
            self.submit(Request::Rows(piece.to_vec()))?;
        }
        Ok(())
    }

    /// Reads many blocks, in the order in which they lie on the disk; the system fetches some while others are read.
    pub(crate) fn get_many(&self, tip: &Tip, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        let mut blocks = vec![None; cids.len()];
        let mut order: Vec<usize> = (0..cids.len()).collect();
        // Neighbours in the index share its pages.
        order.sort_unstable_by_key(|index| &cids[*index]);
        let mut places = Vec::new();
        for index in order {
            match tip.find(&self.data, &cids[index])? {
                None => {}
                Some(Found::Here(block)) => blocks[index] = Some(block),
                Some(Found::At(place)) => places.push((place, index)),
            }
        }
        places.sort_unstable_by_key(|(place, _)| place.granule);
        for window in places.chunks(READ_AHEAD) {
            self.data.prefetch(window.iter().map(|(place, _)| *place));
            for (place, index) in window {
                blocks[*index] = Some(self.data.block(place, &cids[*index])?);
            }
        }
        Ok(blocks)
    }

    pub(crate) fn has(&self, tip: &Tip, cid: &Cid) -> Result<bool, StoreError> {
        Ok(tip.has(&self.data, &keys::block_key(cid))?)
    }
}

/// Streams CIDs: `tip` says what is seen, batch by batch.
pub(crate) fn scan(
    inner: Arc<Handle>,
    after: Option<Cid>,
    tip: impl Fn(&Inner) -> Arc<Tip> + Send + 'static,
) -> CidStream {
    let mut from = match after {
        Some(cid) => Bound::Excluded(keys::block(&cid)),
        None => Bound::Unbounded,
    };
    let mut batch = VecDeque::new();
    let mut is_over = false;
    Box::new(std::iter::from_fn(move || {
        if batch.is_empty() && !is_over {
            let start = from.as_ref().map(|key| &**key);
            match tip(&inner).list(&inner.data, start, &[keys::HEADS], BATCH_ITEMS) {
                Ok(found) => batch = found.into_iter().map(|(key, _)| key).collect(),
                Err(error) => {
                    is_over = true;
                    return Some(Err(error.into()));
                }
            }
            is_over = batch.is_empty();
            if let Some(last) = batch.back() {
                from = Bound::Excluded(last.clone());
            }
        }
        let key: keys::Key = batch.pop_front()?;
        let cid = keys::cid(&key).ok_or_else(|| inner.data.corrupt("an index page", "the key of a block"));
        is_over |= cid.is_err();
        Some(cid.map_err(StoreError::from))
    }))
}

fn swap(answer: Answer) -> Swap {
    match answer {
        Answer::Moved => Swap::Moved,
        _ => Swap::Done,
    }
}

impl BlockRead for StorageEngine {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        Ok(self.inner.newest()?.block(&self.inner.data, cid)?)
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        let tip = self.inner.newest()?;
        self.inner.get_many(&tip, cids)
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        let tip = self.inner.newest()?;
        self.inner.has(&tip, cid)
    }

    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        let tip = self.inner.newest()?;
        cids.iter().map(|cid| self.inner.has(&tip, cid)).collect()
    }

    fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
        self.inner.newest()?;
        Ok(scan(self.inner.clone(), after, Inner::tip_to_keep))
    }
}

impl Blockstore for StorageEngine {
    fn put(&self, block: &Block) -> Result<(), StoreError> {
        self.put_many(std::slice::from_ref(block))
    }

    fn put_many(&self, blocks: &[Block]) -> Result<(), StoreError> {
        self.inner.put(None, blocks)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.inner.submit(Request::Sync).map(|_| ())
    }
}

impl OpHeadsStore for StorageEngine {
    fn namespaces(&self) -> Result<Vec<Namespace>, HeadsError> {
        Ok(self.inner.newest()?.heads.keys().cloned().collect())
    }

    fn heads(&self, namespace: &Namespace) -> Result<Vec<OperationId>, HeadsError> {
        Ok(self.inner.newest()?.heads.get(namespace).into_iter().flatten().copied().collect())
    }

    fn update(&self, update: &HeadsUpdate) -> Result<Swap, HeadsError> {
        match self.inner.submit(Request::Update(update.clone())) {
            Ok(answer) => Ok(swap(answer)),
            Err(StoreError::Heads(error)) => Err(error),
            Err(StoreError::Fault(error)) => Err(error.into()),
            Err(error) => unreachable!("an update has neither lease nor blocks: {error}"),
        }
    }
}

fn compact_error(error: StoreError) -> CollectorError {
    match error {
        StoreError::Fault(error) => error.into(),
        StoreError::Stale => CollectorError::Stale,
        error => unreachable!("moves have neither heads nor rows: {error}"),
    }
}

fn side_error(error: StoreError) -> SideError {
    match error {
        StoreError::Side(error) => error,
        StoreError::Fault(error) => error.into(),
        error => unreachable!("rows have neither lease nor heads: {error}"),
    }
}

impl SideTable for StorageEngine {
    fn row(&self, table: RowTable, key: &[u8]) -> Result<Option<Bytes>, SideError> {
        Ok(self.inner.newest()?.row(&self.inner.data, &keys::row(table, key))?)
    }

    fn rows(&self, table: RowTable, from: &[u8]) -> Result<RowStream, SideError> {
        let inner = self.inner.clone();
        refresh(&inner)?;
        let prefix = keys::table(table);
        let end = after_prefix(&prefix);
        let mut from = Bound::Included(keys::row(table, from));
        let mut batch: VecDeque<(keys::Key, Source)> = VecDeque::new();
        let mut is_over = false;
        Ok(Box::new(std::iter::from_fn(move || {
            loop {
                if batch.is_empty() && !is_over {
                    let start = from.as_ref().map(|key| &**key);
                    match inner.tip().list(&inner.data, start, &end, BATCH_ITEMS) {
                        Ok(found) => batch = found.into(),
                        Err(error) => {
                            is_over = true;
                            return Some(Err(error.into()));
                        }
                    }
                    is_over = batch.is_empty();
                    if let Some((last, _)) = batch.back() {
                        from = Bound::Excluded(last.clone());
                    }
                }
                let (key, source) = batch.pop_front()?;
                let value = match source {
                    Source::Memory(value) => Ok(value.bytes().cloned()),
                    Source::Stored(stored) => {
                        locator(&inner.data, &stored).and_then(|stored| row_value(&inner.data, &stored))
                    }
                };
                match value {
                    Ok(Some(value)) => {
                        return Some(Ok((Bytes::copy_from_slice(&key[prefix.len()..]), value)));
                    }
                    Ok(None) => {} // damaged: as if it were not there
                    Err(error) => {
                        is_over = true;
                        batch.clear();
                        return Some(Err(error.into()));
                    }
                }
            }
        })))
    }

    fn put_rows(&self, rows: &[Row]) -> Result<(), SideError> {
        check_rows(rows)?;
        self.inner.put_rows(rows).map_err(side_error)
    }

    fn clear_rows(&self, table: RowTable) -> Result<(), SideError> {
        loop {
            match self.inner.submit(Request::Clear(table)).map_err(side_error)? {
                Answer::Cleared(rows) if rows > 0 => {}
                _ => return Ok(()),
            }
        }
    }
}

impl Collector for StorageEngine {
    fn lease(&self, roots: &[Cid]) -> Result<Lease, CollectorError> {
        let id = LeaseId::fresh();
        self.inner.grant(id, Some(roots))?;
        Ok(Lease::new(id, self.inner.clone()))
    }

    fn put_leased(&self, lease: &Lease, blocks: &[Block]) -> Result<(), StoreError> {
        self.inner.put(Some(lease.id()), blocks)
    }

    fn begin_cycle(&self) -> Result<Cycle, CollectorError> {
        // Under the writer's lock: no commit is between its judgement and its publication.
        let turn = self.inner.turn()?;
        let writer = self.inner.writer();
        self.inner.health.check()?;
        let (number, roots) = self.inner.announce_cycle()?;
        drop(writer);
        drop(turn);
        let keeper: Arc<dyn LeaseKeeper> = self.inner.clone();
        Ok(Cycle::new(number, roots, keeper))
    }

    fn delete_if_untouched(&self, cycle: &Cycle, cids: &[Cid]) -> Result<Deleted, CollectorError> {
        self.inner.collection().check_current(cycle.number())?;
        let mut deleted = Deleted::default();
        for piece in cids.chunks(DELETE_MAX) {
            let request = Request::Delete { cycle: cycle.number(), cids: piece.to_vec() };
            match self.inner.submit(request) {
                Ok(Answer::Deleted(more)) => deleted += more,
                Ok(answer) => unreachable!("a delete is answered with {answer:?}"),
                Err(StoreError::Stale) => return Err(CollectorError::Stale),
                Err(StoreError::Fault(error)) => return Err(error.into()),
                Err(error) => unreachable!("a delete has neither heads nor rows: {error}"),
            }
        }
        Ok(deleted)
    }

    fn compact(&self, how: Compact) -> Result<(), CollectorError> {
        match how {
            Compact::Room => {
                let _done = StorageEngine::compact(self).map_err(compact_error)?;
                Ok(())
            }
            Compact::Traces => Err(Fault::Unsupported { what: "removing traces of what was deleted" }.into()),
        }
    }
}

impl Store for StorageEngine {
    fn commit(&self, lease: &Lease, batch: &WriteBatch<'_>) -> Result<Swap, StoreError> {
        check_size(batch.blocks)?;
        check_rows(batch.rows)?;
        // What is too much for one record goes ahead under the lease, or follows: rows may be lost.
        let (ahead, last) = batch.blocks.split_at((batch.blocks.len().max(1) - 1) / PLACES_MAX * PLACES_MAX);
        if !ahead.is_empty() {
            self.inner.put(Some(lease.id()), ahead)?;
        }
        let _turn = self.inner.turn()?;
        let mut rows = pieces(batch.rows, |row| rows_bytes(std::slice::from_ref(row))).into_iter();
        let (blocks, placed) = write_ahead(&self.inner, Some(lease.id()), last)?;
        let answer = self.inner.submit(Request::Commit {
            lease: lease.id(),
            blocks,
            placed,
            heads: batch.heads.clone(),
            rows: rows.next().unwrap_or_default().to_vec(),
        })?;
        if swap(answer) == Swap::Done {
            for piece in rows {
                self.inner.submit(Request::Rows(piece.to_vec()))?;
            }
        }
        Ok(swap(answer))
    }

    fn snapshot(&self) -> Result<Box<dyn StoreSnapshot>, StoreError> {
        Ok(Box::new(Snapshot::take(&self.inner)?))
    }

    fn kind(&self) -> &'static str {
        KIND
    }
}
