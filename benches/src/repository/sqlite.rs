//! SQLite, as a program would use it that wants a history: nodes, edges, and a table of versions.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::{Memory, Record};

struct Sqlite {
    connection: Connection,
    nodes: usize,
    marked: i64,
}

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS commits (id INTEGER PRIMARY KEY, message TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS nodes (id INTEGER PRIMARY KEY, name TEXT NOT NULL, text TEXT NOT NULL, seen INTEGER);
    CREATE INDEX IF NOT EXISTS nodes_by_name ON nodes (name);
    CREATE TABLE IF NOT EXISTS edges (src INTEGER NOT NULL, type TEXT NOT NULL, dst INTEGER NOT NULL);
    CREATE INDEX IF NOT EXISTS edges_out ON edges (src, type);
    CREATE INDEX IF NOT EXISTS edges_in ON edges (dst, type);
    CREATE TABLE IF NOT EXISTS versions (node INTEGER NOT NULL, in_commit INTEGER NOT NULL, name TEXT NOT NULL,
        text TEXT NOT NULL, seen INTEGER, PRIMARY KEY (node, in_commit)) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS versions_by_commit ON versions (in_commit);";

pub(crate) fn open(path: &Path) -> Box<dyn Memory> {
    let connection = Connection::open(path.join("sqlite")).expect("open");
    connection.pragma_update(None, "journal_mode", "WAL").expect("a pragma");
    connection.pragma_update(None, "synchronous", "FULL").expect("a pragma");
    connection.execute_batch(TABLES).expect("tables");
    Box::new(Sqlite { connection, nodes: 0, marked: 0 })
}

const VERSION: &str =
    "INSERT OR REPLACE INTO versions SELECT id, ?1, name, text, seen FROM nodes WHERE id = ?2";

impl Sqlite {
    fn one(&self, sql: &str, parameters: impl rusqlite::Params) -> bool {
        let mut select = self.connection.prepare_cached(sql).expect("SQL");
        let text: Option<String> = select.query_row(parameters, |row| row.get(0)).optional().expect("get");
        text.is_some()
    }

    fn count(&self, sql: &str, parameters: impl rusqlite::Params) -> usize {
        let mut select = self.connection.prepare_cached(sql).expect("SQL");
        let rows = select.query_map(parameters, |row| row.get::<_, i64>(0)).expect("rows");
        rows.inspect(|row| assert!(row.is_ok())).count()
    }
}

impl Memory for Sqlite {
    fn add(&mut self, records: &[Record]) {
        let txn = self.connection.transaction().expect("a transaction");
        {
            txn.prepare_cached("INSERT INTO commits (message) VALUES ('add')")
                .expect("SQL")
                .execute([])
                .expect("a row");
            let commit = txn.last_insert_rowid();
            let mut node = txn.prepare_cached("INSERT INTO nodes VALUES (?1, ?2, ?3, NULL)").expect("SQL");
            let mut version = txn.prepare_cached(VERSION).expect("SQL");
            let mut edge = txn.prepare_cached("INSERT INTO edges VALUES (?1, 'about', ?2)").expect("SQL");
            for record in records {
                let id = self.nodes as i64;
                node.execute(params![id, record.name, record.text]).expect("a row");
                version.execute(params![commit, id]).expect("a row");
                if let Some(about) = record.about {
                    edge.execute(params![id, about as i64]).expect("a row");
                }
                self.nodes += 1;
            }
        }
        txn.commit().expect("a commit");
    }

    fn set(&mut self, nodes: &[usize], seen: i64) {
        let txn = self.connection.transaction().expect("a transaction");
        {
            txn.prepare_cached("INSERT INTO commits (message) VALUES ('set')")
                .expect("SQL")
                .execute([])
                .expect("a row");
            let commit = txn.last_insert_rowid();
            let mut set = txn.prepare_cached("UPDATE nodes SET seen = ?1 WHERE id = ?2").expect("SQL");
            let mut version = txn.prepare_cached(VERSION).expect("SQL");
            for node in nodes {
                set.execute(params![seen, *node as i64]).expect("a row");
                version.execute(params![commit, *node as i64]).expect("a row");
            }
        }
        txn.commit().expect("a commit");
    }

    fn get(&mut self, node: usize) -> bool {
        self.one("SELECT text FROM nodes WHERE id = ?1", params![node as i64])
    }

    fn neighbours(&mut self, node: usize) -> Option<usize> {
        Some(self.count("SELECT dst FROM edges WHERE src = ?1 AND type = 'about'", params![node as i64]))
    }

    fn by_name(&mut self, name: &str) -> Option<bool> {
        Some(self.one("SELECT text FROM nodes WHERE name = ?1", params![name]))
    }

    fn mark(&mut self) {
        let newest = "SELECT max(id) FROM commits";
        self.marked = self.connection.query_row(newest, [], |row| row.get(0)).expect("a commit");
    }

    fn get_marked(&mut self, node: usize) -> bool {
        let then =
            "SELECT text FROM versions WHERE node = ?1 AND in_commit <= ?2 ORDER BY in_commit DESC LIMIT 1";
        self.one(then, params![node as i64, self.marked])
    }

    fn history(&mut self, node: usize) -> Option<usize> {
        Some(self.count(
            "SELECT in_commit FROM versions WHERE node = ?1 ORDER BY in_commit DESC",
            params![node as i64],
        ))
    }

    fn diff(&mut self) -> Option<usize> {
        Some(self.count("SELECT DISTINCT node FROM versions WHERE in_commit > ?1", params![self.marked]))
    }

    fn merge(&mut self, _: &[usize], _: &[usize]) -> Option<Duration> {
        None
    }

    fn clone_to(&mut self, folder: &Path) -> Option<()> {
        self.connection.execute("VACUUM INTO ?1", params![folder.display().to_string()]).expect("a copy");
        Some(())
    }
}
