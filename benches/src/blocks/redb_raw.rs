//! redb by itself, without mnem.

use std::path::{Path, PathBuf};
use std::sync::RwLock;

use mnem_core::{Block, Cid};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::engines::{Engine, Memory};

const BLOCKS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("blocks");
const HEADS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("heads");

/// Locked for writing by `reclaim` alone, which wants the database for itself.
struct Raw(RwLock<Database>);

pub(crate) fn open(path: &Path, memory: Memory) -> Box<dyn Engine> {
    let mut builder = Database::builder();
    if matches!(memory, Memory::Large) {
        builder.set_cache_size(3 << 30);
    }
    let path: PathBuf = path.join("redb");
    let is_new = !path.exists();
    let database = builder.create(path).expect("open");
    if is_new {
        let begin = database.begin_write().expect("a transaction");
        begin.open_table(BLOCKS).expect("a table");
        begin.open_table(HEADS).expect("a table");
        begin.commit().expect("commit");
    }
    Box::new(Raw(RwLock::new(database)))
}

impl Engine for Raw {
    fn commit(&self, head: usize, blocks: &[Block]) {
        // The default is `Durability::Immediate`.
        let txn = self.0.read().expect("no panic").begin_write().expect("a transaction");
        {
            let mut table = txn.open_table(BLOCKS).expect("a table");
            for block in blocks {
                table.insert(&block.cid().to_bytes()[..], &block.bytes()[..]).expect("insert");
            }
            let last = blocks.last().expect("a commit has blocks").cid().to_bytes();
            txn.open_table(HEADS).expect("a table").insert(head as u64, &last[..]).expect("insert");
        }
        txn.commit().expect("commit");
    }

    fn get(&self, cid: &Cid, see: &mut dyn FnMut(&[u8])) -> bool {
        let txn = self.0.read().expect("no panic").begin_read().expect("a transaction");
        let table = txn.open_table(BLOCKS).expect("a table");
        let found = table.get(&cid.to_bytes()[..]).expect("get");
        found.map(|value| see(value.value())).is_some()
    }

    fn get_many(&self, cids: &[Cid], see: &mut dyn FnMut(&[u8])) {
        let txn = self.0.read().expect("no panic").begin_read().expect("a transaction");
        let table = txn.open_table(BLOCKS).expect("a table");
        for cid in cids {
            see(table.get(&cid.to_bytes()[..]).expect("get").expect("it is there").value());
        }
    }

    fn scan(&self, see: &mut dyn FnMut(&[u8])) {
        let txn = self.0.read().expect("no panic").begin_read().expect("a transaction");
        let table = txn.open_table(BLOCKS).expect("a table");
        table.iter().expect("scan").for_each(|entry| see(entry.expect("scan").1.value()));
    }

    fn delete(&self, cids: &[Cid]) {
        for cids in cids.chunks(10_000) {
            let txn = self.0.read().expect("no panic").begin_write().expect("a transaction");
            let mut table = txn.open_table(BLOCKS).expect("a table");
            cids.iter().for_each(|cid| drop(table.remove(&cid.to_bytes()[..]).expect("remove")));
            drop(table);
            txn.commit().expect("commit");
        }
    }

    fn reclaim(&self) {
        self.0.write().expect("no panic").compact().expect("compact");
    }
}
