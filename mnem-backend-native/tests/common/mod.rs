//! The script that crash tests run, what is known when it ends early, and how what is left is judged.

#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;

use mnem_backend_native::{
    Compression, MaintenancePolicy, StorageEngine, StorageMode, StorageOptions, WalCommitPolicy,
};
use mnem_core::cid::Codec;
use mnem_core::port::{
    BlockRead, Blockstore, Collector, HeadsUpdate, Namespace, OpHeadsStore, Row, RowTable, SideTable, Store,
    Swap, WriteBatch,
};
use mnem_core::{Block, OperationId};
use mnem_vfs::SimVfs;

pub(crate) const TABLE: RowTable = RowTable::new("sample");

pub(crate) const OPTIONS: StorageOptions = StorageOptions {
    mode: StorageMode::Single,
    policy: WalCommitPolicy::Always,
    compression: Compression::Lz4,
    group_bytes: 4 << 10,
    pool_bytes: 1 << 20,
    segment_bytes_max: 32 << 10,
    checkpoint_bytes: 64 << 10,
    direct_bytes: 32 << 10,
    maintenance: MaintenancePolicy::Inline,
};

/// Bytes that look random and are the same each time.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()[7]
    };
    std::iter::repeat_with(next).take(length).collect()
}

pub(crate) fn block(seed: u64, length: usize) -> Block {
    Block::new(Codec::Raw, noise(seed, length))
}

/// One commit of the script: its blocks, of which the last is the head.
#[derive(Clone)]
pub(crate) struct Step {
    pub(crate) blocks: Vec<Block>,
}

impl Step {
    pub(crate) fn new(number: u64, sizes: &[usize]) -> Step {
        let blocks = (0..).zip(sizes).map(|(index, size)| block(number * 1000 + index, *size));
        Step { blocks: blocks.collect() }
    }

    pub(crate) fn head(&self) -> OperationId {
        OperationId::new(*self.blocks.last().unwrap().cid())
    }
}

/// What is known of a store after a run that may have ended early.
#[derive(Default)]
pub(crate) struct Known {
    /// Every commit that was begun, in order.
    pub(crate) steps: Vec<Step>,
    /// So many were acknowledged.
    pub(crate) acknowledged: usize,
    /// Blocks that a collection was told to delete.
    pub(crate) deleted: BTreeSet<mnem_core::Cid>,
    /// Blocks that were put and synced.
    pub(crate) synced: Vec<Block>,
    /// What began at which call to the disk.
    pub(crate) parts: Vec<(u64, &'static str)>,
}

impl Known {
    /// Returns what a call to the disk was part of.
    pub(crate) fn part(&self, call: u64) -> &'static str {
        self.parts.iter().rev().find(|(first, _)| *first <= call).map_or("", |(_, part)| part)
    }
}

type Ran = Result<(), Box<dyn Error>>;

fn commit(store: &StorageEngine, known: &mut Known, sizes: &[usize]) -> Ran {
    let number = known.steps.len() as u64 + 1;
    let step = Step::new(number, sizes);
    known.steps.push(step.clone());
    let old = store.heads(&Namespace::default())?;
    let heads = HeadsUpdate::advance(Namespace::default(), &old, step.head());
    let row = Row { table: TABLE, key: "newest".into(), value: Some(number.to_string().into()) };
    let lease = store.lease(&[])?;
    let batch = WriteBatch { blocks: &step.blocks, heads: &heads, rows: &[row] };
    assert_eq!(store.commit(&lease, &batch)?, Swap::Done);
    known.acknowledged = known.steps.len();
    Ok(())
}

/// Create, small commits, checkpoint, close, many commits that go round the log, delete, growth, put and sync, a process
/// that is killed, close.
pub(crate) fn run(disk: &SimVfs, known: &mut Known) -> Ran {
    run_as(StorageMode::Single, disk, known)
}

/// The same in one mode or another.
pub(crate) fn run_as(mode: StorageMode, disk: &SimVfs, known: &mut Known) -> Ran {
    let options = StorageOptions { mode, ..OPTIONS };
    let open = |process: &SimVfs| {
        StorageEngine::open_or_init_with(Arc::new(process.clone()), "/store", options.clone())
    };
    let begin = |known: &mut Known, part| known.parts.push((disk.calls(), part));
    begin(known, "make");
    drop(open(disk)?);
    begin(known, "open");
    let store = open(disk)?;
    begin(known, "commit");
    commit(&store, known, &[300])?;
    commit(&store, known, &[200, 0, 5000])?;
    begin(known, "checkpoint");
    store.checkpoint()?;
    begin(known, "commit");
    commit(&store, known, &[100])?;
    begin(known, "checkpoint");
    drop(store);
    begin(known, "open");
    let store = open(disk)?;
    begin(known, "commit");
    for _ in 0..6 {
        commit(&store, known, &[700, 9000])?;
    }
    begin(known, "delete");
    let dead = known.steps[0].blocks.iter().chain(&known.steps[4].blocks[..1]);
    let dead: Vec<_> = dead.map(|block| *block.cid()).collect();
    let cycle = store.begin_cycle()?;
    known.deleted.extend(&dead);
    store.delete_if_untouched(&cycle, &dead)?;
    drop(cycle);
    begin(known, "checkpoint");
    store.checkpoint()?;
    // Round the log: into segments that the checkpoint has set free.
    begin(known, "commit");
    for _ in 0..5 {
        commit(&store, known, &[9500])?;
    }
    // Into a segment that no commit syncs before the checkpoint.
    begin(known, "put");
    for seed in 80..84 {
        store.put(&block(seed, 9500))?;
    }
    begin(known, "checkpoint");
    store.checkpoint()?;
    begin(known, "commit");
    commit(&store, known, &[40_000, 100])?;
    begin(known, "put");
    let put = block(77, 1200);
    store.put(&put)?;
    begin(known, "sync");
    store.sync()?;
    known.synced.push(put);
    begin(known, "commit");
    commit(&store, known, &[10])?;
    begin(known, "compact");
    store.compact()?;
    begin(known, "checkpoint");
    drop(store);
    begin(known, "open");
    let process = disk.process();
    let store = open(&process)?;
    begin(known, "commit");
    commit(&store, known, &[60, 2000])?;
    store.put(&block(78, 3000))?;
    process.kill();
    drop(store);
    begin(known, "recover");
    let store = open(disk)?;
    begin(known, "commit");
    commit(&store, known, &[60, 2000])?;
    begin(known, "checkpoint");
    Ok(store.close()?)
}

/// Opens what is left and commits more, round the log.
pub(crate) fn go_on(disk: &SimVfs, known: &mut Known) -> Ran {
    let store = StorageEngine::open_or_init_with(Arc::new(disk.clone()), "/store", OPTIONS)?;
    // What an earlier run began and did not finish is not to be expected.
    let heads = store.heads(&Namespace::default())?;
    let reached = known.steps.iter().rposition(|step| heads.contains(&step.head()));
    known.steps.truncate(reached.map_or(0, |last| last + 1));
    for _ in 0..6 {
        commit(&store, known, &[9500])?;
    }
    Ok(())
}

/// Opens what is left and holds it against what is known.
pub(crate) fn look(disk: &SimVfs, known: &Known) -> Result<(), String> {
    let store = StorageEngine::open_or_init_with(Arc::new(disk.clone()), "/store", OPTIONS);
    let store = store.map_err(|error| format!("it does not open: {error}"))?;
    store.check().map_err(|error| format!("check: {error}"))?;
    let heads = store.heads(&Namespace::default()).map_err(|error| error.to_string())?;
    let reached = match heads.as_slice() {
        [] => 0,
        [head] => 1 + known.steps.iter().position(|step| step.head() == *head).ok_or("an unknown head")?,
        many => return Err(format!("{} heads", many.len())),
    };
    if reached < known.acknowledged {
        return Err(format!("commit {reached} is the newest, {} were acknowledged", known.acknowledged));
    }
    for (number, step) in (1..).zip(&known.steps) {
        for block in &step.blocks {
            let found =
                store.get(block.cid()).map_err(|error| format!("a block of commit {number}: {error}"))?;
            let may_lack = known.deleted.contains(block.cid());
            if number <= reached && found.is_none() && !may_lack {
                return Err(format!("a block of commit {number} is missing, {reached} is the newest"));
            }
            if number > reached && found.is_some() {
                return Err(format!("a block of commit {number} is there, {reached} is the newest"));
            }
        }
    }
    for block in &known.synced {
        if store.get(block.cid()).map_err(|error| error.to_string())?.is_none() {
            return Err("a synced block is missing".into());
        }
    }
    let row = store.row(TABLE, b"newest").map_err(|error| error.to_string())?;
    let expected = (reached > 0).then(|| bytes::Bytes::from(reached.to_string()));
    if row != expected {
        return Err(format!("the row says {row:?}, {reached} is the newest"));
    }
    let listed = store.scan(None).map_err(|error| error.to_string())?;
    listed.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    Ok(())
}
