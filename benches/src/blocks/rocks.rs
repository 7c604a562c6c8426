//! RocksDB, as its users set it up for durable commits: LZ4, a bloom filter, a log that is synced.

use std::path::Path;

use mnem_core::{Block, Cid};
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompressionType, FlushOptions, IteratorMode,
    Options, WriteBatch, WriteOptions,
};

use super::engines::{Engine, Memory};

struct Rocks(DB);

pub(crate) fn open(path: &Path, memory: Memory) -> Box<dyn Engine> {
    let mut table = BlockBasedOptions::default();
    table.set_bloom_filter(10.0, false);
    if matches!(memory, Memory::Large) {
        table.set_block_cache(&Cache::new_lru_cache(1536 << 20));
    }
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_block_based_table_factory(&table);
    let families = ["default", "heads"].map(|name| ColumnFamilyDescriptor::new(name, options.clone()));
    Box::new(Rocks(DB::open_cf_descriptors(&options, path.join("rocks"), families).expect("open")))
}

impl Rocks {
    fn write(&self, batch: WriteBatch) {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.0.write_opt(batch, &options).expect("write");
    }
}

impl Engine for Rocks {
    fn commit(&self, head: usize, blocks: &[Block]) {
        let mut batch = WriteBatch::default();
        blocks.iter().for_each(|block| batch.put(block.cid().to_bytes(), block.bytes()));
        let heads = self.0.cf_handle("heads").expect("a column family");
        let last = blocks.last().expect("a commit has blocks").cid().to_bytes();
        batch.put_cf(heads, head.to_le_bytes(), last);
        self.write(batch);
    }

    fn get(&self, cid: &Cid, see: &mut dyn FnMut(&[u8])) -> bool {
        self.0.get_pinned(cid.to_bytes()).expect("get").map(|value| see(&value)).is_some()
    }

    fn get_many(&self, cids: &[Cid], see: &mut dyn FnMut(&[u8])) {
        let found = self.0.multi_get(cids.iter().map(Cid::to_bytes));
        found.into_iter().for_each(|value| see(&value.expect("get").expect("it is there")));
    }

    fn scan(&self, see: &mut dyn FnMut(&[u8])) {
        self.0.iterator(IteratorMode::Start).for_each(|entry| see(&entry.expect("scan").1));
    }

    fn delete(&self, cids: &[Cid]) {
        for cids in cids.chunks(10_000) {
            let mut batch = WriteBatch::default();
            cids.iter().for_each(|cid| batch.delete(cid.to_bytes()));
            self.write(batch);
        }
    }

    fn reclaim(&self) {
        self.0.flush_opt(&FlushOptions::default()).expect("flush");
        self.0.compact_range(None::<&[u8]>, None::<&[u8]>);
    }
}
