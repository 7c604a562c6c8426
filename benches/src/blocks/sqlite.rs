//! SQLite: a table of blobs with a unique key, in the mode that its users choose for speed.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use mnem_core::{Block, Cid};
use rusqlite::{Connection, OptionalExtension, params};

use super::engines::{Engine, Memory};

struct Sqlite {
    path: PathBuf,
    memory: Memory,
    writer: Mutex<Connection>,
    /// A connection for each reader that ever read at the same time, used again and again.
    readers: Mutex<Vec<Connection>>,
}

pub(crate) fn open(path: &Path, memory: Memory) -> Box<dyn Engine> {
    let path = path.join("sqlite");
    let writer = connect(&path, memory);
    let tables = "CREATE TABLE IF NOT EXISTS blocks (cid BLOB UNIQUE NOT NULL, bytes BLOB NOT NULL);
                  CREATE TABLE IF NOT EXISTS heads (name INTEGER PRIMARY KEY, cid BLOB NOT NULL);";
    writer.execute_batch(tables).expect("tables");
    Box::new(Sqlite { path, memory, writer: Mutex::new(writer), readers: Mutex::default() })
}

fn connect(path: &Path, memory: Memory) -> Connection {
    let connection = Connection::open(path).expect("open");
    connection.pragma_update(None, "journal_mode", "WAL").expect("a pragma");
    connection.pragma_update(None, "synchronous", "FULL").expect("a pragma");
    if matches!(memory, Memory::Large) {
        connection.pragma_update(None, "cache_size", -(3 << 20)).expect("a pragma");
    }
    connection
}

impl Engine for Sqlite {
    fn commit(&self, head: usize, blocks: &[Block]) {
        let mut writer = self.writer.lock().expect("no panic");
        let txn = writer.transaction().expect("a transaction");
        {
            let mut insert = txn.prepare_cached("INSERT OR IGNORE INTO blocks VALUES (?1, ?2)").expect("SQL");
            for block in blocks {
                insert.execute(params![block.cid().to_bytes(), &block.bytes()[..]]).expect("insert");
            }
            let last = blocks.last().expect("a commit has blocks").cid().to_bytes();
            let mut head_row =
                txn.prepare_cached("INSERT OR REPLACE INTO heads VALUES (?1, ?2)").expect("SQL");
            head_row.execute(params![head as i64, last]).expect("insert");
        }
        txn.commit().expect("commit");
    }

    fn get(&self, cid: &Cid, see: &mut dyn FnMut(&[u8])) -> bool {
        let ready = self.readers.lock().expect("no panic").pop();
        let reader = ready.unwrap_or_else(|| connect(&self.path, self.memory));
        let found = {
            let mut select = reader.prepare_cached("SELECT bytes FROM blocks WHERE cid = ?1").expect("SQL");
            let look = |row: &rusqlite::Row<'_>| row.get_ref(0)?.as_blob().map(&mut *see).map_err(Into::into);
            select.query_row(params![cid.to_bytes()], look).optional().expect("get").is_some()
        };
        self.readers.lock().expect("no panic").push(reader);
        found
    }

    fn scan(&self, see: &mut dyn FnMut(&[u8])) {
        let writer = self.writer.lock().expect("no panic");
        let mut select = writer.prepare("SELECT bytes FROM blocks").expect("SQL");
        let mut rows = select.query([]).expect("scan");
        while let Some(row) = rows.next().expect("scan") {
            see(row.get_ref(0).expect("a column").as_blob().expect("a blob"));
        }
    }

    fn delete(&self, cids: &[Cid]) {
        for cids in cids.chunks(10_000) {
            let mut writer = self.writer.lock().expect("no panic");
            let txn = writer.transaction().expect("a transaction");
            {
                let mut delete = txn.prepare_cached("DELETE FROM blocks WHERE cid = ?1").expect("SQL");
                for cid in cids {
                    delete.execute(params![cid.to_bytes()]).expect("delete");
                }
            }
            txn.commit().expect("commit");
        }
    }

    fn reclaim(&self) {
        let writer = self.writer.lock().expect("no panic");
        writer.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);").expect("vacuum");
    }
}
