//! LMDB, with its defaults; for cold reads without the read-ahead of the system.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use heed::types::Bytes;
use heed::{CompactionOption, Database, Env, EnvFlags, EnvOpenOptions, RoTxn, WithoutTls};
use mnem_core::{Block, Cid};

use super::engines::{Engine, Memory};

pub(crate) struct Lmdb {
    env: Env<WithoutTls>,
    path: PathBuf,
    blocks: Database<Bytes, Bytes>,
    heads: Database<Bytes, Bytes>,
    /// A transaction for each reader that ever read at the same time, used again and again.
    readers: Mutex<Vec<RoTxn<'static, WithoutTls>>>,
}

pub(crate) fn open(path: &Path, memory: Memory) -> Box<dyn Engine> {
    let path = path.join("lmdb");
    fs::create_dir_all(&path).expect("a folder");
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(64 << 30).max_dbs(2);
    // Sound: nobody else changes the file, nobody opens it twice, and reading ahead changes nothing but times.
    #[expect(unsafe_code, reason = "LMDB maps its file into memory")]
    let env = unsafe {
        if matches!(memory, Memory::Cold) {
            options.flags(EnvFlags::NO_READ_AHEAD);
        }
        options.open(&path)
    };
    let env = env.expect("open");
    let mut txn = env.write_txn().expect("a transaction");
    let blocks = env.create_database(&mut txn, Some("blocks")).expect("open");
    let heads = env.create_database(&mut txn, Some("heads")).expect("open");
    txn.commit().expect("commit");
    Box::new(Lmdb { env, path, blocks, heads, readers: Mutex::default() })
}

impl Lmdb {
    fn reader(&self) -> RoTxn<'static, WithoutTls> {
        let ready = self.readers.lock().expect("no panic").pop();
        ready.unwrap_or_else(|| self.env.clone().static_read_txn().expect("a transaction"))
    }
}

impl Engine for Lmdb {
    fn commit(&self, head: usize, blocks: &[Block]) {
        self.readers.lock().expect("no panic").clear();
        let mut txn = self.env.write_txn().expect("a transaction");
        for block in blocks {
            self.blocks.put(&mut txn, &block.cid().to_bytes(), block.bytes()).expect("put");
        }
        let last = blocks.last().expect("a commit has blocks").cid().to_bytes();
        self.heads.put(&mut txn, &head.to_le_bytes(), &last).expect("put");
        txn.commit().expect("commit");
    }
    fn get(&self, cid: &Cid, see: &mut dyn FnMut(&[u8])) -> bool {
        let txn = self.reader();
        let found = self.blocks.get(&txn, &cid.to_bytes()).expect("get").map(see).is_some();
        self.readers.lock().expect("no panic").push(txn);
        found
    }
    fn scan(&self, see: &mut dyn FnMut(&[u8])) {
        let txn = self.reader();
        self.blocks.iter(&txn).expect("scan").for_each(|entry| see(entry.expect("scan").1));
    }
    fn delete(&self, cids: &[Cid]) {
        self.readers.lock().expect("no panic").clear();
        for cids in cids.chunks(10_000) {
            let mut txn = self.env.write_txn().expect("a transaction");
            cids.iter().for_each(|cid| {
                self.blocks.delete(&mut txn, &cid.to_bytes()).expect("delete");
            });
            txn.commit().expect("commit");
        }
    }
    /// Copies what lives: LMDB never gives space back in place.
    fn reclaim(&self) {
        let copy = self.path.join("copy.mdb");
        self.env.copy_to_path(&copy, CompactionOption::Enabled).expect("copy");
        fs::rename(&copy, self.path.join("data.mdb")).expect("rename");
    }
}
