//! Who is measured, behind one small trait. Every commit of each is durable when it returns, unless its line says otherwise.

use std::path::Path;

use mnem_core::{Block, Cid};

use super::{canopy, fjall_kv, floor, lmdb, ours, redb_raw, sqlite};

/// A store that is open.
pub(crate) trait Engine: Send + Sync {
    /// Stores blocks, and the last one as the head called `head`, durable on return.
    fn commit(&self, head: usize, blocks: &[Block]);
    /// Reads a block, if it is there, and hands its bytes to `see`.
    fn get(&self, cid: &Cid, see: &mut dyn FnMut(&[u8])) -> bool;
    /// Reads many; several engines can do no better than one by one.
    fn get_many(&self, cids: &[Cid], see: &mut dyn FnMut(&[u8])) {
        cids.iter().for_each(|cid| assert!(self.get(cid, see)));
    }
    /// Hands every block's bytes to `see`, in the order that suits the engine best.
    fn scan(&self, see: &mut dyn FnMut(&[u8]));
    fn delete(&self, cids: &[Cid]);
    /// Gives back the space of what was deleted.
    fn reclaim(&self);
    /// How often it read a file since it was opened, if it counts that.
    fn reads(&self) -> Option<u64> {
        None
    }
}

/// How an engine is opened, and what it takes part in.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// The package whose version the report names.
    pub(crate) package: &'static str,
    pub(crate) options: &'static str,
    pub(crate) open: fn(&Path, Memory) -> Box<dyn Engine>,
    /// What it can do. Only such scenarios are asked of it.
    pub(crate) keeps: Keeps,
    /// So many blocks at most: what is slow is not waited for.
    pub(crate) blocks_max: usize,
    /// Whether `--quick` has time for it.
    pub(crate) quick: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// Commits only: a floor, which forgets when it is closed.
    Nothing,
    /// Everything until the process ends.
    InMemory,
    OnDisk,
}

/// What an engine may keep in memory.
#[derive(Clone, Copy)]
pub(crate) enum Memory {
    Default,
    /// All data fits.
    Large,
    /// As by default, and nothing is read that nobody asked for, where an engine can be told.
    Cold,
}

const ALL: usize = usize::MAX;

pub(crate) const KINDS: &[Kind] = &[
    Kind {
        name: "floor",
        package: "",
        options: "a log in a pre-written file, one write and one fdatasync a commit, map in memory, reads by pread",
        open: floor::Log::open,
        keeps: Keeps::Nothing,
        blocks_max: ALL,
        quick: true,
    },
    Kind {
        name: "hash map",
        package: "",
        options: "of the standard library, in memory, not durable",
        open: floor::Map::open,
        keeps: Keeps::InMemory,
        blocks_max: ALL,
        quick: false,
    },
    Kind {
        name: "mnem native",
        package: "mnem-backend-native",
        options: "defaults; hot reads with a pool of 3 GiB",
        open: ours::native,
        keeps: Keeps::OnDisk,
        blocks_max: ALL,
        quick: true,
    },
    Kind {
        name: "mnem native, shared",
        package: "mnem-backend-native",
        options: "the same, opened such that other processes may open it too",
        open: ours::native_shared,
        keeps: Keeps::OnDisk,
        blocks_max: ALL,
        quick: false,
    },
    Kind {
        name: "mnem redb",
        package: "mnem-backend-redb",
        options: "defaults",
        open: ours::redb,
        keeps: Keeps::OnDisk,
        blocks_max: ALL,
        quick: true,
    },
    Kind {
        name: "mnem simple",
        package: "mnem-backend-simple",
        options: "a file each; 10,000 blocks at most",
        open: ours::simple,
        keeps: Keeps::OnDisk,
        blocks_max: 10_000,
        quick: false,
    },
    Kind {
        name: "mnem memory",
        package: "mnem-core",
        options: "not durable",
        open: ours::memory,
        keeps: Keeps::InMemory,
        blocks_max: ALL,
        quick: true,
    },
    Kind {
        name: "LMDB",
        package: "heed",
        options: "through heed; map of 64 GiB, sync commits, no TLS",
        open: lmdb::open,
        keeps: Keeps::OnDisk,
        blocks_max: ALL,
        quick: true,
    },
    Kind {
        name: "fjall",
        package: "fjall",
        options: "defaults (LZ4), SyncAll; hot reads with a cache of 1.5 GiB",
        open: fjall_kv::open,
        keeps: Keeps::OnDisk,
        blocks_max: ALL,
        quick: true,
    },
    Kind {
        name: "fjall-kv",
        package: "fjall",
        options: "the same with values kept apart, its default threshold",
        open: fjall_kv::open_separated,
        keeps: Keeps::OnDisk,
        blocks_max: ALL,
        quick: false,
    },
    Kind {
        name: "redb",
        package: "redb",
        options: "Durability::Immediate; hot reads with a cache of 3 GiB",
        open: redb_raw::open,
        keeps: Keeps::OnDisk,
        blocks_max: ALL,
        quick: true,
    },
    Kind {
        name: "SQLite",
        package: "rusqlite",
        options: "bundled; WAL, synchronous=FULL, rowid table; hot reads with a cache of 3 GiB",
        open: sqlite::open,
        keeps: Keeps::OnDisk,
        blocks_max: ALL,
        quick: true,
    },
    Kind {
        name: "canopydb",
        package: "canopydb",
        options: "commit_with(sync); hot reads with a page cache of 3 GiB",
        open: canopy::open,
        keeps: Keeps::OnDisk,
        blocks_max: ALL,
        quick: false,
    },
    #[cfg(feature = "rocksdb")]
    Kind {
        name: "RocksDB",
        package: "rocksdb",
        options: match option_env!("ROCKSDB_LIB_DIR") {
            Some(_) => {
                "the system's library; LZ4, bloom filter of 10 bits, sync log; hot reads with a cache of 1.5 GiB"
            }
            None => "LZ4, bloom filter of 10 bits, sync log; hot reads with a cache of 1.5 GiB",
        },
        open: super::rocks::open,
        keeps: Keeps::OnDisk,
        blocks_max: ALL,
        quick: false,
    },
];
