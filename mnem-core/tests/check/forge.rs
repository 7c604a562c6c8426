//! Damaged copies of a store: blocks that read as other bytes, and blocks that were made anew with all that leads to
//! them, so that every hash is right.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ipld_core::ipld::Ipld;
use mnem_core::codec::{self, links};
use mnem_core::port::{
    BlockRead, CidStream, CollectorError, Compact, Cycle, Deleted, Fault, HeadsError, HeadsUpdate, Lease,
    Namespace, Row, RowStream, RowTable, SideError, StoreError, StoreSnapshot, Swap, WriteBatch,
};
use mnem_core::{
    Block, Blockstore, Cid, Codec, Collector, MemoryStore, OpHeadsStore, OperationId, SideTable, Store,
};

pub(crate) const INDEX: RowTable = RowTable::new("index");
pub(crate) const HISTORY: RowTable = RowTable::new("history");

/// All that a store holds.
#[derive(Clone)]
pub(crate) struct Forge {
    pub(crate) blocks: BTreeMap<Cid, Block>,
    pub(crate) heads: Vec<OperationId>,
    pub(crate) rows: Vec<Row>,
}

impl Forge {
    pub(crate) fn of(store: &MemoryStore) -> Forge {
        let cids = store.scan(None).unwrap().map(Result::unwrap);
        let blocks = cids.map(|cid| (cid, store.get(&cid).unwrap().unwrap())).collect();
        let rows = [INDEX, HISTORY].into_iter().flat_map(|table| {
            let rows = store.rows(table, b"").unwrap().map(Result::unwrap);
            rows.map(move |(key, value)| Row { table, key, value: Some(value) }).collect::<Vec<Row>>()
        });
        Forge { blocks, heads: store.heads(&Namespace::default()).unwrap(), rows: rows.collect() }
    }

    pub(crate) fn store(&self) -> MemoryStore {
        let store = MemoryStore::new();
        store.put_many(&self.blocks.values().cloned().collect::<Vec<Block>>()).unwrap();
        let heads = HeadsUpdate { add: self.heads.clone(), ..HeadsUpdate::default() };
        assert_eq!(store.update(&heads).unwrap(), Swap::Done);
        store.put_rows(&self.rows).unwrap();
        store
    }

    pub(crate) fn links(&self, cid: &Cid) -> Vec<Cid> {
        self.blocks.get(cid).map_or_else(Vec::new, |block| links(cid.codec(), block.bytes()).unwrap())
    }

    /// Returns what `roots` reach.
    pub(crate) fn reach(&self, roots: impl IntoIterator<Item = Cid>) -> BTreeSet<Cid> {
        let mut open: Vec<Cid> = roots.into_iter().collect();
        let mut met = BTreeSet::new();
        while let Some(cid) = open.pop() {
            if met.insert(cid) {
                open.extend(self.links(&cid));
            }
        }
        met
    }

    pub(crate) fn live(&self) -> BTreeSet<Cid> {
        self.reach(self.heads.iter().map(|head| *head.cid()))
    }

    /// The trees that rows name.
    pub(crate) fn indexes(&self) -> BTreeSet<Cid> {
        self.reach(self.rows.iter().filter(|row| row.table == INDEX).map(root_of))
    }

    pub(crate) fn ipld(&self, cid: &Cid) -> Ipld {
        codec::decode(self.blocks[cid].bytes()).unwrap()
    }

    /// Puts other bytes in the place of a block, and makes all that leads to it anew, up to the heads.
    pub(crate) fn replace(&self, old: Cid, bytes: Vec<u8>) -> Forge {
        let new = Block::new(old.codec(), bytes);
        let mut forged = self.clone();
        let mut moved = BTreeMap::from([(old, *new.cid())]);
        forged.blocks.insert(*new.cid(), new);
        let mut leads = BTreeMap::from([(old, true)]);
        for head in &mut forged.heads {
            if self.leads_to(*head.cid(), &mut leads) {
                *head = OperationId::new(self.remake(*head.cid(), &leads, &mut moved, &mut forged.blocks));
            }
        }
        forged
    }

    fn leads_to(&self, cid: Cid, leads: &mut BTreeMap<Cid, bool>) -> bool {
        if let Some(known) = leads.get(&cid) {
            return *known;
        }
        // All links are looked at: each must be known later.
        let mut found = false;
        for link in self.links(&cid) {
            found |= self.leads_to(link, leads);
        }
        leads.insert(cid, found);
        found
    }

    fn remake(
        &self,
        cid: Cid,
        leads: &BTreeMap<Cid, bool>,
        moved: &mut BTreeMap<Cid, Cid>,
        blocks: &mut BTreeMap<Cid, Block>,
    ) -> Cid {
        if let Some(new) = moved.get(&cid) {
            return *new;
        }
        let mut bytes = self.blocks[&cid].bytes().to_vec();
        for link in self.links(&cid).into_iter().filter(|link| leads.get(link) == Some(&true)) {
            let new = self.remake(link, leads, moved, blocks).to_bytes();
            let old = link.to_bytes();
            for at in 0..bytes.len().saturating_sub(old.len() - 1) {
                if bytes[at..].starts_with(&old) {
                    bytes[at..at + old.len()].copy_from_slice(&new);
                }
            }
        }
        let block = Block::new(cid.codec(), bytes);
        let new = *block.cid();
        moved.insert(cid, new);
        blocks.insert(new, block);
        new
    }
}

/// The tree that a row of an index names.
pub(crate) fn root_of(row: &Row) -> Cid {
    let mut reader = codec::Reader::new(row.value.as_deref().unwrap());
    reader.list().unwrap();
    reader.link().unwrap()
}

/// The row with another tree, as if whoever wrote it had meant that.
pub(crate) fn index_row(of: &Row, root: &Cid) -> Row {
    let mut hasher = blake3::Hasher::new_derive_key("mnem index row v1");
    hasher.update(&of.key);
    hasher.update(&root.to_bytes());
    let mut writer = codec::Writer::new();
    writer.list(2);
    writer.link(root);
    writer.bytes(&hasher.finalize().as_bytes()[..16]);
    Row { value: Some(writer.into_bytes().into()), ..of.clone() }
}

/// The row with another body, as if whoever wrote it had meant that.
pub(crate) fn history_row(of: &Row, body: &[u8]) -> Row {
    let mut hasher = blake3::Hasher::new_derive_key("mnem history row v1");
    hasher.update(&of.key);
    hasher.update(body);
    let value = [&hasher.finalize().as_bytes()[..16], body].concat();
    Row { value: Some(value.into()), ..of.clone() }
}

pub(crate) fn encoded(value: &Ipld) -> Vec<u8> {
    codec::encode(value).unwrap()
}

/// A tree node: its entries and its level.
pub(crate) fn as_node(value: &Ipld) -> Option<(Vec<Ipld>, i128)> {
    match value {
        Ipld::Map(map) => match (map.len(), map.get("e"), map.get("l")) {
            (2, Some(Ipld::List(entries)), Some(Ipld::Integer(level))) => Some((entries.clone(), *level)),
            _ => None,
        },
        _ => None,
    }
}

pub(crate) fn node(entries: Vec<Ipld>, level: i128) -> Ipld {
    Ipld::Map(BTreeMap::from([("e".to_owned(), Ipld::List(entries)), ("l".to_owned(), Ipld::Integer(level))]))
}

/// A store in which some blocks read as other bytes. Such a block stays as it is, whatever is put, until it is deleted.
#[derive(Clone)]
pub(crate) struct Rotten {
    pub(crate) inner: MemoryStore,
    pub(crate) bytes: Arc<Mutex<BTreeMap<Cid, Bytes>>>,
}

impl Rotten {
    pub(crate) fn new(inner: MemoryStore) -> Rotten {
        Rotten { inner, bytes: Arc::default() }
    }

    pub(crate) fn rot(&self, cid: Cid, bit: usize) {
        let mut bytes = self.inner.get(&cid).unwrap().unwrap().bytes().to_vec();
        let bit = bit % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        self.bytes.lock().unwrap().insert(cid, bytes.into());
    }
}

fn seen(
    rotten: &Mutex<BTreeMap<Cid, Bytes>>,
    cid: &Cid,
    found: Result<Option<Block>, StoreError>,
) -> Result<Option<Block>, StoreError> {
    match rotten.lock().unwrap().get(cid) {
        Some(bytes) if matches!(found, Ok(Some(_))) => {
            let what = "a block";
            Block::verify(*cid, bytes.clone())
                .map(Some)
                .map_err(|why| Fault::Corrupt { what, at: why.to_string() }.into())
        }
        _ => found,
    }
}

struct Moment {
    inner: Box<dyn StoreSnapshot>,
    bytes: Arc<Mutex<BTreeMap<Cid, Bytes>>>,
}

macro_rules! reads {
    ($of:ty) => {
        impl BlockRead for $of {
            fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
                seen(&self.bytes, cid, self.inner.get(cid))
            }
            fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
                cids.iter().map(|cid| self.get(cid)).collect()
            }
            fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
                self.inner.has(cid)
            }
            fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
                self.inner.has_many(cids)
            }
            fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
                self.inner.scan(after)
            }
        }
    };
}

reads!(Rotten);
reads!(Moment);

impl StoreSnapshot for Moment {
    fn heads(&self, namespace: &Namespace) -> Result<Vec<OperationId>, HeadsError> {
        self.inner.heads(namespace)
    }
    fn lease(&self) -> &Lease {
        self.inner.lease()
    }
}

impl Blockstore for Rotten {
    fn put(&self, block: &Block) -> Result<(), StoreError> {
        self.inner.put(block)
    }
    fn put_many(&self, blocks: &[Block]) -> Result<(), StoreError> {
        self.inner.put_many(blocks)
    }
    fn sync(&self) -> Result<(), StoreError> {
        self.inner.sync()
    }
}

impl OpHeadsStore for Rotten {
    fn namespaces(&self) -> Result<Vec<Namespace>, HeadsError> {
        self.inner.namespaces()
    }
    fn heads(&self, namespace: &Namespace) -> Result<Vec<OperationId>, HeadsError> {
        self.inner.heads(namespace)
    }
    fn update(&self, update: &HeadsUpdate) -> Result<Swap, HeadsError> {
        self.inner.update(update)
    }
}

impl SideTable for Rotten {
    fn row(&self, table: RowTable, key: &[u8]) -> Result<Option<Bytes>, SideError> {
        self.inner.row(table, key)
    }
    fn rows(&self, table: RowTable, from: &[u8]) -> Result<RowStream, SideError> {
        self.inner.rows(table, from)
    }
    fn put_rows(&self, rows: &[Row]) -> Result<(), SideError> {
        self.inner.put_rows(rows)
    }
    fn clear_rows(&self, table: RowTable) -> Result<(), SideError> {
        self.inner.clear_rows(table)
    }
}

impl Collector for Rotten {
    fn lease(&self, roots: &[Cid]) -> Result<Lease, CollectorError> {
        self.inner.lease(roots)
    }
    fn put_leased(&self, lease: &Lease, blocks: &[Block]) -> Result<(), StoreError> {
        self.inner.put_leased(lease, blocks)
    }
    fn begin_cycle(&self) -> Result<Cycle, CollectorError> {
        self.inner.begin_cycle()
    }
    fn delete_if_untouched(&self, cycle: &Cycle, cids: &[Cid]) -> Result<Deleted, CollectorError> {
        let deleted = self.inner.delete_if_untouched(cycle, cids)?;
        if deleted.blocks > 0 {
            self.bytes.lock().unwrap().retain(|cid, _| !cids.contains(cid));
        }
        Ok(deleted)
    }
    fn compact(&self, how: Compact) -> Result<(), CollectorError> {
        self.inner.compact(how)
    }
}

impl Store for Rotten {
    fn commit(&self, lease: &Lease, batch: &WriteBatch<'_>) -> Result<Swap, StoreError> {
        self.inner.commit(lease, batch)
    }
    fn snapshot(&self) -> Result<Box<dyn StoreSnapshot>, StoreError> {
        Ok(Box::new(Moment { inner: self.inner.snapshot()?, bytes: Arc::clone(&self.bytes) }))
    }
    fn kind(&self) -> &'static str {
        "rotten"
    }
}

/// Makes a tree node's link.
pub(crate) fn link(cid: &Cid) -> Ipld {
    Ipld::Link((*cid).into())
}

pub(crate) fn dag_cbor(value: &Ipld) -> Block {
    Block::new(Codec::DagCbor, encoded(value))
}
