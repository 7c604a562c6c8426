//! The tree of edges in the side table.
//!
//! Bytes: FORMAT.md, "Nearest-neighbour edges".

use std::sync::Arc;

use bytes::Bytes;
use mnem_core::codec::{Reader, Writer};
use mnem_core::object::Model;
use mnem_core::port::{BlockRead, CidStream, Row, RowTable, SideTable, Store, StoreError};
use mnem_core::repo::Snapshot;
use mnem_core::tree::{Tree, TreeError, TreeStore};
use mnem_core::{Block, Cid, Staged};

use super::lists::Lists;
use super::rows::Rows;
use super::{KnnEdgeIndex, NEIGHBORS_MAX};
use crate::code_tree::{IndexDamage, definition, encode_changed, node_of, sources_before};
use crate::error::SearchError;
use crate::question::Nearness;
use crate::vectors::Vectors;

/// Blocks of trees of edges, under the class and the digest of their CIDs. A store in redb keeps them in a table of its own.
pub const KNN_BLOCKS: RowTable = RowTable::new("knn-edges");

/// Which tree has the edges of which vectors.
pub const KNN_ROWS: RowTable = RowTable::new("knn");

/// A place of a list: the neighbour, and the measure.
const PLACE_BYTES: usize = 20;

const _: () = assert!(NEIGHBORS_MAX * PLACE_BYTES < mnem_core::tree::ENTRY_BYTES_MAX);

/// How many bytes of rows are written at once.
const BATCH_BYTES: usize = 1 << 20;

/// Blocks that lie in rows.
struct SideBlocks(Arc<dyn Store>);

fn key_of(cid: &Cid) -> Bytes {
    [&[cid.class().number()][..], cid.digest()].concat().into()
}

impl BlockRead for SideBlocks {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        let bytes = self.0.row(KNN_BLOCKS, &key_of(cid))?;
        // A row that is damaged is absent: what is derived is made anew.
        Ok(bytes.and_then(|bytes| Block::verify(*cid, bytes).ok()))
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        cids.iter().map(|cid| self.get(cid)).collect()
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.get(cid)?.is_some())
    }

    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        cids.iter().map(|cid| self.has(cid)).collect()
    }

    fn scan(&self, _: Option<Cid>) -> Result<CidStream, StoreError> {
        Ok(Box::new(std::iter::empty()))
    }
}

/// Reads trees of edges: what is staged, and what is kept.
pub(super) fn trees(snapshot: &Snapshot, staged: &Arc<Staged>) -> TreeStore {
    snapshot.trees().over(Arc::clone(staged) as Arc<dyn BlockRead>)
}

fn staged_over(snapshot: &Snapshot) -> Arc<Staged> {
    Arc::new(Staged::new(Arc::new(SideBlocks(Arc::clone(snapshot.store())))))
}

/// Builds the tree of all lists.
pub(super) fn build(
    snapshot: &Snapshot,
    rows: &Rows,
    lists: &Lists,
) -> Result<(Arc<Staged>, Cid), SearchError> {
    let staged = staged_over(snapshot);
    let trees = trees(snapshot, &staged);
    let mut sink = Arc::clone(&staged);
    let mut builder = trees.builder(&mut sink);
    for slot in rows.in_order() {
        builder.push(rows.node(slot).as_bytes(), &list_value(rows, lists, slot))?;
    }
    let root = builder.finish()?;
    Ok((staged, root))
}

/// Returns the value of a list.
pub(super) fn list_value(rows: &Rows, lists: &Lists, slot: u32) -> Bytes {
    let mut bytes = Vec::with_capacity(lists.k() * PLACE_BYTES);
    for (other, measure) in lists.sorted(slot, rows) {
        bytes.extend_from_slice(rows.node(other).as_bytes());
        bytes.extend_from_slice(&measure.to_le_bytes());
    }
    let mut writer = Writer::with_capacity(bytes.len() + 8);
    writer.bytes(&bytes);
    writer.into_bytes().into()
}

/// Reads kept lists. Each node must have the list that has as many places as there can be.
fn read_lists(tree: &Tree, rows: &Rows, k: usize) -> Result<Lists, IndexDamage> {
    let (expected, found) = (rows.alive() as u64, tree.len()?);
    if expected != found {
        return Err(IndexDamage::Count { expected, found });
    }
    let mut lists = Lists::new(rows.slots(), k);
    for entry in tree.iter() {
        let entry = entry?;
        let slot = rows.slot(node_of(&entry.key)?).ok_or(IndexDamage::Entry)?;
        let mut reader = Reader::new(&entry.value);
        let bytes = reader.bytes().map_err(|_| IndexDamage::Entry)?;
        reader.end().map_err(|_| IndexDamage::Entry)?;
        let (places, rest) = bytes.as_chunks::<PLACE_BYTES>();
        if !rest.is_empty() || places.len() != k.min(rows.alive() - 1) {
            return Err(IndexDamage::Entry);
        }
        for place in places {
            let (node, measure) = place.split_at(16);
            let other = rows.slot(node_of(node)?).filter(|other| *other != slot).ok_or(IndexDamage::Entry)?;
            let measure = f32::from_le_bytes(measure.try_into().map_err(|_| IndexDamage::Entry)?);
            if measure.is_nan() {
                return Err(IndexDamage::Entry);
            }
            lists.show(slot, other, measure, rows);
        }
    }
    Ok(lists)
}

fn row_key(snapshot: &Snapshot, model: &Model, k: usize, source: &Cid) -> Vec<u8> {
    let definition = format!("knn/1 {} {k} {}", model.metric.as_str(), definition(model.dim));
    let hash = blake3::hash(definition.as_bytes());
    [snapshot.namespace().as_str().as_bytes(), &[0], &source.to_bytes(), &hash.as_bytes()[..16]].concat()
}

fn check(key: &[u8], root: &Cid) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key("mnem knn row v1");
    hasher.update(key).update(&root.to_bytes());
    let mut check = [0; 16];
    check.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    check
}

fn encode(key: &[u8], root: &Cid) -> Bytes {
    let mut writer = Writer::new();
    writer.list(2);
    writer.link(root);
    writer.bytes(&check(key, root));
    writer.into_bytes().into()
}

fn decode(key: &[u8], value: &[u8]) -> Option<Cid> {
    let mut reader = Reader::new(value);
    if reader.list().ok()? != 2 {
        return None;
    }
    let root = reader.link().ok()?;
    let is_intact = reader.bytes().ok()? == check(key, &root);
    reader.end().ok().filter(|()| is_intact).map(|()| root)
}

impl KnnEdgeIndex {
    /// Keeps the edges in the side table of the store, for every program that opens it. Returns how many bytes of blocks were
    /// written: those that are new since it was opened.
    pub fn keep(&self, snapshot: &Snapshot) -> Result<u64, SearchError> {
        let side: &dyn SideTable = &**snapshot.store();
        let mut written = 0;
        let (mut rows, mut bytes) = (Vec::new(), 0);
        for block in self.staged.take() {
            bytes += block.bytes().len();
            written += block.bytes().len() as u64;
            rows.push(Row {
                table: KNN_BLOCKS,
                key: key_of(block.cid()),
                value: Some(block.bytes().clone()),
            });
            if bytes > BATCH_BYTES {
                side.put_rows(&rows).map_err(StoreError::from)?;
                (rows, bytes) = (Vec::new(), 0);
            }
        }
        let key = row_key(snapshot, &self.model, self.k, &self.source);
        let value = Some(encode(&key, &self.root));
        rows.push(Row { table: KNN_ROWS, key: key.into(), value });
        side.put_rows(&rows).map_err(StoreError::from)?;
        Ok(written)
    }

    /// Opens kept edges: of this state, or of a commit before it.
    pub(super) fn kept(
        vectors: &Vectors,
        snapshot: &Snapshot,
        model: &Model,
        k: usize,
        source: &Cid,
        dropped: &mut Option<String>,
    ) -> Result<Option<KnnEdgeIndex>, SearchError> {
        let own = std::iter::once(*source);
        for before in own.chain(sources_before(snapshot, vectors.model(), source)?) {
            let Some(root) = named(snapshot, model, k, &before)? else { continue };
            let most =
                usize::try_from(snapshot.vector_count(vectors.model())?).unwrap_or(usize::MAX) / 4 + 64;
            let Some(changed) = encode_changed(snapshot, model, (&before, source), most)? else { continue };
            let view = vectors.cache.view(snapshot, model, &before)?;
            let nearness = Nearness::of(model)?;
            let rows = Rows::of(&view, nearness);
            let staged = staged_over(snapshot);
            let lists = match read_lists(&trees(snapshot, &staged).tree(root), &rows, k) {
                Ok(lists) => lists,
                Err(IndexDamage::Tree(TreeError::Store(why))) => return Err(why.into()),
                Err(why) => {
                    *dropped = Some(why.to_string());
                    forget(snapshot, model, k, &before);
                    continue;
                }
            };
            let model = model.clone();
            let mut index =
                KnnEdgeIndex { model, nearness, k, source: before, root, rows, lists, staged, dropped: None };
            if before != *source {
                index.apply(snapshot, source, &changed)?;
            }
            return Ok(Some(index));
        }
        Ok(None)
    }
}

fn named(snapshot: &Snapshot, model: &Model, k: usize, source: &Cid) -> Result<Option<Cid>, SearchError> {
    let key = row_key(snapshot, model, k, source);
    let value = snapshot.store().row(KNN_ROWS, &key).map_err(StoreError::from)?;
    Ok(value.and_then(|value| decode(&key, &value)))
}

fn forget(snapshot: &Snapshot, model: &Model, k: usize, source: &Cid) {
    let key = row_key(snapshot, model, k, source).into();
    // A store that takes no writes can be read all the same: then the next reader finds the same.
    let _removed = snapshot.store().put_rows(&[Row { table: KNN_ROWS, key, value: None }]);
}
