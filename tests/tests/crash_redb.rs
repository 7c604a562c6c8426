//! redb under power cuts and failing calls: every cut point of a script, every crash image, and again in recovery.
//!
//! redb is atomic and ordered, so the demand is as strict as it can be: what is found after a crash is exactly what
//! the script had made at one moment, no earlier than the last step that was acknowledged as durable and no later
//! than the step that the crash ended.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};

use mnem_backend_redb::RedbStore;
use mnem_core::port::{
    BlockRead, Blockstore, Collector, Fault, HeadsError, HeadsUpdate, Namespace, OpHeadsStore, Row, RowTable,
    SideError, SideTable, Store, StoreError, Swap, WriteBatch,
};
use mnem_core::port::{CollectorError, OpenError};
use mnem_core::{Block, Cid, Codec, OperationId};
use mnem_tests::redb::{PATH, open};
use mnem_vfs::Call;
use mnem_vfs::sim::{self, Budget, Crash, Rest, SimVfs, When};

const ROWS: RowTable = RowTable::new("crash");

/// All that a store shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    blocks: BTreeSet<Cid>,
    heads: BTreeMap<Namespace, BTreeSet<OperationId>>,
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// One step of the script. Numbers name blocks.
#[derive(Clone, Debug)]
enum Step {
    Put(u64),
    PutMany(std::ops::Range<u64>),
    Sync,
    /// Blocks, and the first of them as the only head.
    Commit(std::ops::Range<u64>),
    /// Adds and removes heads outside leases.
    Update(Option<u64>, Option<u64>),
    Delete(Vec<u64>),
    Row(u8),
    Compact,
    /// Closes the store and opens it again.
    Reopen,
}

/// Every kind of step, in an order that lets each come before and after a sync, with growths of the file between.
fn script() -> Vec<Step> {
    use Step::*;
    vec![
        Put(1),
        Commit(10..11),
        Put(2),
        Sync,
        PutMany(20..26),
        Row(1),
        Commit(30..36),
        Update(Some(20), None),
        Put(3),
        Update(None, Some(30)),
        Delete(vec![1, 21, 22]),
        Sync,
        Delete(vec![23]),
        Put(1),
        Commit(40..60),
        Put(4),
        Put(5),
        Sync,
        Reopen,
        Row(2),
        Update(Some(41), None),
        Commit(60..64),
        Delete(vec![42, 43, 44, 45, 46, 47, 48]),
        Compact,
        Put(6),
        Commit(70..71),
        PutMany(80..83),
    ]
}

/// Sizes from nothing to several pages.
fn block(n: u64) -> Block {
    let len = [0, 100, 700, 3000, 9000][usize::try_from(n % 5).unwrap()];
    let mut bytes = n.to_le_bytes().to_vec();
    bytes.resize(8 + len, u8::try_from(n % 251).unwrap());
    Block::new(Codec::Raw, bytes)
}

fn cid(n: u64) -> Cid {
    *block(n).cid()
}

fn head(n: u64) -> OperationId {
    OperationId::new(cid(n))
}

#[derive(Debug)]
enum Failed {
    Open(OpenError),
    Store(StoreError),
    Collector(CollectorError),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Failed {
        Failed::Store(error)
    }
}
impl From<HeadsError> for Failed {
    fn from(error: HeadsError) -> Failed {
        Failed::Store(error.into())
    }
}
impl From<SideError> for Failed {
    fn from(error: SideError) -> Failed {
        Failed::Store(error.into())
    }
}
impl From<Fault> for Failed {
    fn from(error: Fault) -> Failed {
        Failed::Store(error.into())
    }
}
impl From<CollectorError> for Failed {
    fn from(error: CollectorError) -> Failed {
        Failed::Collector(error)
    }
}
impl From<OpenError> for Failed {
    fn from(error: OpenError) -> Failed {
        Failed::Open(error)
    }
}

impl Failed {
    fn fault(&self) -> &Fault {
        match self {
            Failed::Open(OpenError::Fault(fault))
            | Failed::Store(
                StoreError::Fault(fault)
                | StoreError::Heads(HeadsError::Fault(fault))
                | StoreError::Side(SideError::Fault(fault)),
            )
            | Failed::Collector(CollectorError::Fault(fault)) => fault,
            other => panic!("no fault: {other:?}"),
        }
    }
}

/// What the script promises so far.
#[derive(Clone, Debug)]
struct Promise {
    /// What was to be seen after each step that was begun; the first is the empty store.
    moments: Vec<Seen>,
    /// The first of them that a crash may bring back.
    durable: usize,
}

impl Promise {
    fn new() -> Promise {
        Promise { moments: vec![Seen::default()], durable: 0 }
    }

    fn begin(&mut self, step: &Step) {
        let mut seen = self.moments.last().unwrap().clone();
        let main = Namespace::default();
        match step {
            Step::Put(n) => seen.blocks.extend([cid(*n)]),
            Step::PutMany(numbers) => seen.blocks.extend(numbers.clone().map(cid)),
            Step::Commit(numbers) => {
                seen.blocks.extend(numbers.clone().map(cid));
                seen.heads.insert(main, [head(numbers.start)].into());
                seen.rows.insert(b"committed".to_vec(), numbers.start.to_le_bytes().to_vec());
            }
            Step::Update(add, remove) => {
                let heads = seen.heads.entry(main).or_default();
                heads.extend(add.map(head));
                remove.map(|n| heads.remove(&head(n)));
            }
            Step::Delete(numbers) => {
                seen.blocks.retain(|cid| !numbers.iter().any(|n| *block(*n).cid() == *cid));
            }
            Step::Row(n) => drop(seen.rows.insert(vec![*n], vec![*n; 500])),
            Step::Sync | Step::Compact | Step::Reopen => {}
        }
        self.moments.push(seen);
    }

    fn done(&mut self, step: &Step) {
        if matches!(step, Step::Sync | Step::Commit(_) | Step::Update(..) | Step::Compact) {
            self.durable = self.moments.len() - 1;
        }
    }

    fn assert_kept(&self, found: &Seen, context: impl Fn() -> String) {
        let allowed = &self.moments[self.durable..];
        assert!(
            allowed.contains(found),
            "{}: found {found:?}, which is none of the {} moments from {} on",
            context(),
            allowed.len(),
            self.durable
        );
    }
}

fn act(store: &RedbStore, step: &Step) -> Result<(), Failed> {
    match step {
        Step::Put(n) => store.put(&block(*n))?,
        Step::PutMany(numbers) => store.put_many(&numbers.clone().map(block).collect::<Vec<_>>())?,
        Step::Sync => store.sync()?,
        Step::Commit(numbers) => {
            let snapshot = store.snapshot()?;
            let blocks: Vec<_> = numbers.clone().map(block).collect();
            let old = snapshot.heads(&Namespace::default())?;
            let heads = HeadsUpdate::advance(Namespace::default(), &old, head(numbers.start));
            let value = Some(numbers.start.to_le_bytes().to_vec().into());
            let rows = [Row { table: ROWS, key: b"committed".to_vec().into(), value }];
            let batch = WriteBatch { blocks: &blocks, heads: &heads, rows: &rows };
            assert_eq!(store.commit(snapshot.lease(), &batch)?, Swap::Done);
        }
        Step::Update(add, remove) => {
            let (add, remove) = (add.map(head).into_iter().collect(), remove.map(head).into_iter().collect());
            let update = HeadsUpdate { add, remove, ..HeadsUpdate::default() };
            assert_eq!(store.update(&update)?, Swap::Done);
        }
        Step::Delete(numbers) => {
            let cycle = store.begin_cycle()?;
            let cids: Vec<_> = numbers.iter().map(|n| cid(*n)).collect();
            assert_eq!(store.delete_if_untouched(&cycle, &cids)?.blocks, numbers.len() as u64);
        }
        Step::Row(n) => {
            let value = Some(vec![*n; 500].into());
            store.put_rows(&[Row { table: ROWS, key: vec![*n].into(), value }])?;
        }
        Step::Compact => drop(store.compact()?),
        Step::Reopen => unreachable!("done by the caller"),
    }
    Ok(())
}

/// A disk with an empty store on it, as small as it can be: the file will have to grow.
fn made() -> SimVfs {
    let disk = SimVfs::new();
    open(&disk).unwrap().compact().unwrap();
    disk.restart(Crash::KEEPS_SYNCED)
}

/// Runs `steps` until something fails.
fn run(disk: &SimVfs, steps: &[Step], promise: &mut Promise) -> Result<(), (Option<RedbStore>, Failed)> {
    let mut store = open(disk).map_err(|error| (None, error.into()))?;
    for step in steps {
        promise.begin(step);
        if matches!(step, Step::Reopen) {
            drop(store);
            store = open(disk).map_err(|error| (None, error.into()))?;
        } else if let Err(error) = act(&store, step) {
            return Err((Some(store), error));
        }
        promise.done(step);
    }
    Ok(())
}

/// Reads everything; each block is compared with what was put.
fn look(store: &RedbStore) -> Seen {
    let blocks: BTreeSet<Cid> = store.scan(None).unwrap().map(Result::unwrap).collect();
    let cids: Vec<_> = blocks.iter().copied().collect();
    let stored = store.get_many(&cids).unwrap();
    assert!(
        cids.iter().zip(&stored).all(|(cid, block)| block.as_ref().is_some_and(|block| block.cid() == cid))
    );
    let namespaces = store.namespaces().unwrap().into_iter();
    let heads: BTreeMap<_, BTreeSet<_>> =
        namespaces.map(|name| (name.clone(), store.heads(&name).unwrap().into_iter().collect())).collect();
    for head in heads.values().flatten() {
        assert!(blocks.contains(head.cid()), "a head without its block");
    }
    let rows =
        store.rows(ROWS, b"").unwrap().map(|row| row.map(|(key, value)| (key.to_vec(), value.to_vec())));
    Seen { blocks, heads, rows: rows.collect::<Result<_, _>>().unwrap() }
}

fn reopened(disk: &SimVfs, context: impl Fn() -> String) -> RedbStore {
    open(disk).unwrap_or_else(|error| panic!("{}: {error}", context()))
}

/// Images of what a power cut now may leave, as far as redb is made for them: garbage must not hit the first sector.
fn images(disk: &SimVfs, budget: Budget) -> impl Iterator<Item = (Crash, SimVfs)> {
    let first_sector =
        |disk: &SimVfs| disk.peek(PATH).map(|bytes| bytes[..512.min(bytes.len())].to_vec()).ok();
    let sound = [first_sector(disk), first_sector(&disk.restart(Crash::KEEPS_SYNCED))];
    disk.crash_images(budget).filter(move |(crash, image)| {
        !matches!(crash.rest, Rest::Garbage(_)) || sound.contains(&first_sector(image))
    })
}

const SCRIPT_BUDGET: Budget = Budget { exhaustive_units_max: 4, each_max: 5, random: 5, tears: 1 };
const NESTED_BUDGET: Budget = Budget { exhaustive_units_max: 3, each_max: 4, random: 3, tears: 1 };

/// Cuts the power at each call that `recover` makes on `image`: what it had found, or that and its own put.
fn cut_recovery(image: &SimVfs, found: &Seen, seen: &mut BTreeSet<(u128, usize)>) -> u64 {
    let mut after = found.clone();
    after.blocks.insert(cid(900));
    let recover = |disk: &SimVfs| -> Result<(), Failed> {
        let store = open(disk)?;
        store.put(&block(900))?;
        Ok(store.sync()?)
    };
    let whole = image.restart(Crash::KEEPS_ALL);
    recover(&whole).unwrap();
    let mut checked = 0;
    for cut in 0..=whole.calls() {
        let disk = image.restart(Crash::KEEPS_ALL);
        disk.cut_at(cut);
        let acknowledged = recover(&disk).is_ok();
        for (crash, again) in images(&disk, NESTED_BUDGET) {
            if !seen.insert((again.image_hash(), usize::from(acknowledged))) {
                continue;
            }
            let context = || format!("recovery cut at {cut}, {crash:?}");
            let now = look(&reopened(&again, context));
            assert!(now == after || (!acknowledged && now == *found), "{}: {now:?}", context());
            checked += 1;
        }
    }
    checked
}

#[test]
fn power_cut_at_any_call_leaves_a_moment_of_the_script() {
    let whole = made();
    run(&whole, &script(), &mut Promise::new()).map_err(|(_, error)| error).unwrap();
    let cuts = whole.calls();
    let growths = whole.counts().set_lens;
    let (mut seen, mut nested_seen) = (BTreeSet::new(), BTreeSet::new());
    let (mut nested, mut found_at) = (0, BTreeMap::new());
    for cut in 0..=cuts {
        let disk = made();
        disk.cut_at(cut);
        let mut promise = Promise::new();
        let _ = run(&disk, &script(), &mut promise);
        for (crash, image) in images(&disk, SCRIPT_BUDGET) {
            if !seen.insert((image.image_hash(), promise.durable)) {
                continue;
            }
            let context = || format!("cut at {cut}, {crash:?}");
            let found = look(&reopened(&image.restart(Crash::KEEPS_ALL), context));
            promise.assert_kept(&found, context);
            let back = promise.moments.iter().rev().position(|moment| *moment == found).unwrap();
            *found_at.entry(back).or_insert(0) += 1;
            if seen.len() % 200 == 0 {
                nested += cut_recovery(&image, &found, &mut nested_seen);
            }
        }
    }
    let distinct: BTreeSet<u128> = seen.iter().map(|(hash, _)| *hash).collect();
    println!(
        "{cuts} calls ({growths} changes of length), {} distinct images, {nested} more in recovery; \
         moments back: {found_at:?}",
        distinct.len()
    );
    assert!(growths >= 4, "the file grows and shrinks within the script: {growths}");
    assert!(distinct.len() >= 1000 && nested >= 300, "enough was checked");
    assert!(found_at.len() > 1, "some crashes lose what was not acknowledged");
}

/// Fails one call; then what was acknowledged is there on the same machine, and stays when the power fails later.
fn fail_each_call(fault: sim::Fault, wanted: fn(Call) -> bool, expected: fn(&Fault) -> bool) -> usize {
    let whole = made();
    run(&whole, &script(), &mut Promise::new()).map_err(|(_, error)| error).unwrap();
    let mut struck = 0;
    for call in whole.calls_where(wanted) {
        let disk = made();
        disk.inject(When::Call(call), fault);
        let mut promise = Promise::new();
        let result = run(&disk, &script(), &mut promise);
        struck += usize::from(disk.faults_fired() > 0);
        let context = || format!("{fault:?} at call {call}");
        if let Err((store, error)) = result {
            assert!(expected(error.fault()), "{}: {error:?}", context());
            if let Some(store) = store {
                let refused = store.put(&block(901));
                assert!(
                    matches!(refused, Err(StoreError::Fault(Fault::Poisoned { .. }))),
                    "{}: {refused:?}",
                    context()
                );
                // Reads go on or say why not.
                if let Ok(Some(found)) = store.get(&cid(10)) {
                    assert_eq!(found, block(10));
                }
            }
        }
        let store = reopened(&disk, context);
        let found = look(&store);
        promise.assert_kept(&found, context);
        let mut after = found;
        after.blocks.insert(cid(902));
        store.put(&block(902)).unwrap();
        store.sync().unwrap();
        let image = disk.restart(Crash::KEEPS_SYNCED);
        assert_eq!(look(&reopened(&image, context)), after, "{}, then a power cut", context());
    }
    struck
}

#[test]
fn sync_that_fails_is_final_and_loses_nothing_acknowledged() {
    let is_io = |fault: &Fault| matches!(fault, Fault::Io { action: "sync" | "open", .. });
    let struck = fail_each_call(sim::Fault::Eio, Call::is_sync, is_io);
    println!("{struck} syncs failed");
    assert!(struck > 20);
}

#[test]
fn write_that_fails_is_final_and_loses_nothing_acknowledged() {
    let wanted = |call| matches!(call, Call::WriteAt | Call::SetLen);
    let is_io = |fault: &Fault| matches!(fault, Fault::Io { action: "write" | "resize", .. });
    let struck = fail_each_call(sim::Fault::Eio, wanted, is_io);
    println!("{struck} writes failed");
    assert!(struck > 50);
}

#[test]
fn read_that_fails_is_reported_and_loses_nothing_acknowledged() {
    let is_io = |fault: &Fault| matches!(fault, Fault::Io { .. });
    let struck = fail_each_call(sim::Fault::Eio, |call| matches!(call, Call::ReadAt | Call::Len), is_io);
    println!("{struck} reads failed");
    assert!(struck > 20);
}

#[test]
fn full_disk_is_reported_and_loses_nothing_acknowledged() {
    let is_full = |fault: &Fault| matches!(fault, Fault::Full { .. });
    let struck = fail_each_call(sim::Fault::NoSpace, Call::grows, is_full);
    println!("{struck} calls found the disk full");
    assert!(struck > 50);
}

#[test]
fn disk_that_ignores_syncs_is_caught() {
    let disk = made();
    disk.inject(When::Every(sim::Calls::Syncs), sim::Fault::IgnoredSync);
    let mut promise = Promise::new();
    run(&disk, &script(), &mut promise).map_err(|(_, error)| error).unwrap();
    let lost = images(&disk, NESTED_BUDGET).any(|(_, image)| match open(&image) {
        Ok(store) => !promise.moments[promise.durable..].contains(&look(&store)),
        Err(_) => true,
    });
    assert!(lost, "the simulated disk shows a missing sync");
}
