//! Power cuts, lost syncs and failing calls under the simple backend, on the simulated disk.
//!
//! One script, two processes. After each cut, every image that the cut can leave is opened and compared with what
//! had been acknowledged: that is all there; what was under way is there whole or not at all; heads are never
//! none and never name what is absent; what was deleted stays deleted; no bytes are wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../../mnem-backend-simple/tests/no_whole_sync/mod.rs"]
mod no_whole_sync;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::Arc;

use mnem_backend_simple::SimpleStore;
use mnem_core::cid::Codec;
use mnem_core::port::{
    BlockRead, Blockstore, Collector, HeadsUpdate, Namespace, OpHeadsStore, OpenError, Row, RowTable,
    SideTable, Store, StoreSnapshot, Swap, WriteBatch,
};
use mnem_core::{Block, Cid, OperationId};
use mnem_vfs::sim::{Budget, Calls, Crash, Fault, When};
use mnem_vfs::{Call, SimVfs, Vfs};
use no_whole_sync::NoWholeSync;

const PLACE: &str = "/s";
const TABLE: RowTable = RowTable::new("derived");

type Heads = BTreeMap<Namespace, BTreeSet<OperationId>>;

/// Every block of the script has its name as its bytes, longer than a sector so that it can be torn.
fn block(name: &str) -> Block {
    Block::new(Codec::Raw, format!("{name} ").repeat(600 / (name.len() + 1) + 1).into_bytes())
}

fn cid(name: &str) -> Cid {
    *block(name).cid()
}

fn head(name: &str) -> OperationId {
    OperationId::new(cid(name))
}

fn main_heads() -> Namespace {
    Namespace::default()
}

fn side_heads() -> Namespace {
    Namespace::new("side").unwrap()
}

/// What was acknowledged, and what is under way.
#[derive(Clone, Default)]
struct World {
    is_made: bool,
    known: BTreeMap<Cid, Block>,
    /// Put and not deleted, durable or not.
    stored: BTreeSet<Cid>,
    durable: BTreeSet<Cid>,
    gone: BTreeSet<Cid>,
    going: BTreeSet<Cid>,
    heads: Heads,
    /// Other heads that may be there: what a step under way may have got to.
    may_be: Vec<Heads>,
    /// What a head needs.
    needs: BTreeMap<OperationId, Vec<Cid>>,
    rows: BTreeMap<&'static str, BTreeSet<Option<&'static str>>>,
}

/// The script's actors.
struct Run {
    disk: SimVfs,
    vfs: fn(SimVfs) -> Arc<dyn Vfs>,
    one: Option<SimpleStore>,
    other: Option<SimpleStore>,
    snapshot: Option<Box<dyn StoreSnapshot>>,
    world: World,
}

type Outcome = Result<(), Box<dyn Error>>;
type Step = (&'static str, fn(&mut Run) -> Outcome);

fn plain(disk: SimVfs) -> Arc<dyn Vfs> {
    Arc::new(disk)
}

fn folder_by_folder(disk: SimVfs) -> Arc<dyn Vfs> {
    Arc::new(NoWholeSync(disk))
}

impl Run {
    fn one(&self) -> &SimpleStore {
        self.one.as_ref().unwrap()
    }

    fn other(&self) -> &SimpleStore {
        self.other.as_ref().unwrap()
    }

    fn open(&mut self) -> Outcome {
        self.one = Some(SimpleStore::open_or_init_with((self.vfs)(self.disk.clone()), PLACE)?);
        self.world.is_made = true;
        self.other = Some(SimpleStore::open_with((self.vfs)(self.disk.process()), PLACE)?);
        Ok(())
    }

    fn know(&mut self, names: &[&str]) -> Vec<Block> {
        let blocks: Vec<Block> = names.iter().map(|name| block(name)).collect();
        for block in &blocks {
            self.world.known.insert(*block.cid(), block.clone());
            self.world.gone.remove(block.cid());
        }
        blocks
    }

    fn stored(&mut self, names: &[&str]) {
        self.world.stored.extend(names.iter().map(|name| cid(name)));
    }

    fn put(&mut self, by_one: bool, names: &[&str]) -> Outcome {
        let blocks = self.know(names);
        let store = if by_one { self.one() } else { self.other() };
        match &blocks[..] {
            [single] => store.put(single)?,
            several => store.put_many(several)?,
        }
        self.stored(names);
        Ok(())
    }

    fn sync(&mut self) -> Outcome {
        self.one().sync()?;
        self.world.durable = self.world.stored.clone();
        Ok(())
    }

    /// Says what a step is about to do to the heads, and what it then has done.
    fn expect(&mut self, update: &HeadsUpdate) -> Heads {
        let old = self.world.heads.get(&update.namespace).cloned().unwrap_or_default();
        let with_both: BTreeSet<_> = old.iter().chain(&update.add).copied().collect();
        let new: BTreeSet<_> =
            with_both.iter().filter(|head| !update.remove.contains(head)).copied().collect();
        let with = |set: &BTreeSet<OperationId>| {
            let mut heads = self.world.heads.clone();
            heads.insert(update.namespace.clone(), set.clone());
            heads
        };
        // Old heads go one by one, after the new ones are durable: a cut may leave any of them.
        let removed: Vec<_> = with_both.difference(&new).copied().collect();
        let some_left = (0..1u32 << removed.len()).map(|left| {
            let kept = (0..removed.len()).filter(|n| left >> n & 1 == 1).map(|n| removed[n]);
            new.iter().copied().chain(kept).collect()
        });
        self.world.may_be = some_left.map(|set| with(&set)).collect();
        with(&new)
    }

    fn done(&mut self, heads: Heads) {
        self.world.heads = heads;
        self.world.may_be.clear();
        self.world.durable = self.world.stored.clone();
    }

    /// `names[0]` becomes the only head of a namespace; it needs `names` and `also`.
    fn commit(&mut self, namespace: &Namespace, names: &[&str], also: &[&str], rows: &[Row]) -> Outcome {
        let blocks = self.know(names);
        let needs = names.iter().chain(also).map(|name| cid(name)).collect();
        self.world.needs.insert(head(names[0]), needs);
        let old: Vec<_> = self.world.heads.get(namespace).into_iter().flatten().copied().collect();
        let heads = HeadsUpdate::advance(namespace.clone(), &old, head(names[0]));
        let after = self.expect(&heads);
        let lease = self.one().lease(&[])?;
        let also = self.know(also);
        self.one().put_leased(&lease, &also)?;
        let _done = self.one().commit(&lease, &WriteBatch { blocks: &blocks, heads: &heads, rows })?;
        self.stored(names);
        self.done(after);
        Ok(())
    }

    fn delete(&mut self, names: &[&str]) -> Outcome {
        let cycle = self.other().begin_cycle()?;
        for name in names {
            self.world.durable.remove(&cid(name));
            self.world.stored.remove(&cid(name));
            self.world.going.insert(cid(name));
            let deleted = self.other().delete_if_untouched(&cycle, &[cid(name)])?;
            assert_eq!(deleted.blocks, 1, "{name}");
            self.world.going.remove(&cid(name));
            self.world.gone.insert(cid(name));
        }
        Ok(())
    }
}

fn row(key: &'static str, value: Option<&'static str>) -> Row {
    Row { table: TABLE, key: key.as_bytes().into(), value: value.map(|value| value.as_bytes().into()) }
}

const SCRIPT: &[Step] = &[
    ("make", Run::open),
    ("put one", |run| run.put(true, &["a"])),
    ("sync one", Run::sync),
    ("put several", |run| run.put(false, &["b", "c", "d"])),
    ("sync several", Run::sync),
    ("commit a first head", |run| run.commit(&main_heads(), &["first", "f1", "f2", "f3"], &["a", "b"], &[])),
    ("put elsewhere, unsynced", |run| run.put(false, &["e"])),
    ("commit what was put elsewhere, and rows", |run| {
        run.world.rows.insert("k", [None, Some("v1")].into());
        let rows = [row("k", Some("v1"))];
        run.commit(&main_heads(), &["second", "e"], &["f1"], &rows)?;
        assert_eq!(run.one().row(TABLE, b"k")?.unwrap(), "v1");
        Ok(())
    }),
    ("change rows", |run| {
        run.world.rows.insert("k", [None, Some("v1"), Some("v2")].into());
        run.world.rows.insert("l", [None, Some("w")].into());
        Ok(run.one().put_rows(&[row("k", Some("v2")), row("l", Some("w"))])?)
    }),
    ("put a head, unsynced", |run| run.put(true, &["third"])),
    ("update to it", |run| {
        run.world.needs.insert(head("third"), vec![cid("third")]);
        let mut update = HeadsUpdate::advance(main_heads(), &[head("second")], head("third"));
        update.expected = Some(vec![head("second")]);
        let after = run.expect(&update);
        let _done = run.other().update(&update)?;
        run.done(after);
        Ok(())
    }),
    ("commit elsewhere in the same store", |run| run.commit(&side_heads(), &["side", "s1"], &["c"], &[])),
    ("open anew", |run| {
        run.one = None;
        run.other = None;
        run.open()
    }),
    ("delete", |run| run.delete(&["d", "f2"])),
    ("delete under a snapshot", |run| {
        run.snapshot = Some(run.one().snapshot()?);
        run.delete(&["f3"])?;
        assert_eq!(run.snapshot.as_ref().unwrap().get(&cid("f3"))?, Some(block("f3")));
        run.snapshot = None;
        Ok(())
    }),
    ("collect what was set aside", |run| {
        drop(run.other().begin_cycle()?);
        run.world.rows.insert("l", [None, Some("w")].into());
        Ok(run.one().put_rows(&[row("l", None)])?)
    }),
    ("commit what was deleted", |run| run.commit(&main_heads(), &["fourth", "d", "f3"], &["f2"], &[])),
];

/// Runs the script up to its first error. Returns what was acknowledged by then, and the step that failed.
fn play(disk: &SimVfs, vfs: fn(SimVfs) -> Arc<dyn Vfs>) -> (World, Option<&'static str>) {
    let world = World::default();
    let mut run = Run { disk: disk.clone(), vfs, one: None, other: None, snapshot: None, world };
    for (name, step) in SCRIPT {
        if step(&mut run).is_err() {
            return (run.world, Some(name));
        }
    }
    (run.world, None)
}

/// Compares a store with what was acknowledged before.
fn check(disk: &SimVfs, vfs: fn(SimVfs) -> Arc<dyn Vfs>, world: &World) -> Outcome {
    let store = match SimpleStore::open_with(vfs(disk.clone()), PLACE) {
        Ok(store) => store,
        Err(OpenError::Missing { .. }) if !world.is_made => {
            SimpleStore::open_or_init_with(vfs(disk.clone()), PLACE)?
        }
        Err(error) => return Err(error.into()),
    };
    let present = check_blocks(&store, world)?;
    check_heads(&store, world, &present)?;
    for (key, allowed) in &world.rows {
        let value = store.row(TABLE, key.as_bytes())?;
        if !allowed.iter().any(|one| one.map(str::as_bytes) == value.as_deref()) {
            return Err(format!("row {key} reads {value:?}").into());
        }
    }
    Ok(())
}

fn check_blocks(store: &SimpleStore, world: &World) -> Result<BTreeSet<Cid>, Box<dyn Error>> {
    let scanned: Vec<Cid> = store.scan(None)?.collect::<Result<_, _>>()?;
    if !scanned.is_sorted_by(|a, b| a < b) {
        return Err("the scan is out of order".into());
    }
    let present: BTreeSet<Cid> = scanned.into_iter().collect();
    for (cid, block) in &world.known {
        let found = store.get(cid)?;
        if found.as_ref().is_some_and(|found| found != block) {
            return Err("wrong bytes".into());
        }
        if found.is_some() != present.contains(cid) || found.is_some() != store.has(cid)? {
            return Err("scan, has and get disagree".into());
        }
        if found.is_none() && world.durable.contains(cid) {
            return Err(format!("{:?} is lost", &block.bytes()[..8]).into());
        }
        if found.is_some() && world.gone.contains(cid) {
            return Err(format!("{:?} is back", &block.bytes()[..8]).into());
        }
    }
    Ok(present)
}

fn check_heads(store: &SimpleStore, world: &World, present: &BTreeSet<Cid>) -> Outcome {
    let mut heads = Heads::new();
    for namespace in store.namespaces()? {
        heads.insert(namespace.clone(), store.heads(&namespace)?.into_iter().collect());
    }
    if heads != world.heads && !world.may_be.contains(&heads) {
        return Err(format!("heads are {heads:?}").into());
    }
    for head in heads.values().flatten() {
        if let Some(absent) = world.needs[head].iter().find(|cid| !present.contains(cid)) {
            // What a head of the script no longer needs is deleted on purpose.
            if !world.gone.contains(absent) && !world.going.contains(absent) {
                return Err(format!("{head} rests on an absent block").into());
            }
        }
    }
    Ok(())
}

/// What is certain after a restart: what is there. Nothing is under way any more.
fn restarted(disk: &SimVfs, world: &World) -> World {
    let mut world = World { may_be: Vec::new(), heads: Heads::new(), ..world.clone() };
    // A copy, so that its calls do not count.
    let Ok(store) = SimpleStore::open_with(plain(disk.restart(Crash::KEEPS_ALL)), PLACE) else {
        return world;
    };
    world.is_made = true;
    world.durable = store.scan(None).unwrap().map(Result::unwrap).collect();
    world.stored = world.durable.clone();
    for namespace in store.namespaces().unwrap() {
        let heads = store.heads(&namespace).unwrap().into_iter().collect();
        world.heads.insert(namespace, heads);
    }
    world
}

/// One more commit after a restart, to see that the store is of use. Cut or not, it obeys the same rules.
fn go_on(disk: &SimVfs, vfs: fn(SimVfs) -> Arc<dyn Vfs>, world: &World) -> (World, Outcome) {
    let world = restarted(disk, world);
    let mut run = Run { disk: disk.clone(), vfs, one: None, other: None, snapshot: None, world };
    let outcome = run.open().and_then(|()| run.commit(&main_heads(), &["last", "l1"], &["a"], &[]));
    (run.world, outcome)
}

fn calls_of_the_script(vfs: fn(SimVfs) -> Arc<dyn Vfs>) -> u64 {
    let disk = SimVfs::new();
    let (world, failed) = play(&disk, vfs);
    assert_eq!(failed, None);
    check(&disk, vfs, &world).unwrap();
    disk.calls()
}

const FEW: Budget = Budget { exhaustive_units_max: 4, each_max: 24, random: 6, tears: 1 };

fn survives_every_cut(vfs: fn(SimVfs) -> Arc<dyn Vfs>, budget: Budget) {
    let calls = calls_of_the_script(vfs);
    let (mut images, mut seen) = (0u64, BTreeSet::new());
    for cut in 0..=calls {
        let disk = SimVfs::new();
        disk.cut_at(cut);
        let (world, failed) = play(&disk, vfs);
        for (crash, image) in disk.crash_images(budget) {
            seen.insert(image.image_hash());
            images += 1;
            if let Err(error) = check(&image, vfs, &world) {
                panic!(
                    "cut at call {cut} in {failed:?}, {crash:?}: {error}\nunsynced: {:#?}",
                    disk.unsynced()
                );
            }
        }
    }
    println!("{calls} calls; {images} images checked, {} of them distinct", seen.len());
}

#[test]
fn a_power_cut_anywhere_keeps_what_was_acknowledged() {
    survives_every_cut(plain, FEW);
}

#[test]
fn so_it_does_where_folders_are_synced_one_by_one() {
    survives_every_cut(folder_by_folder, Budget { each_max: 8, random: 4, tears: 0, ..FEW });
}

#[test]
fn a_second_cut_while_going_on_keeps_it_too() {
    let calls = calls_of_the_script(plain);
    let (mut images, mut seen) = (0u64, BTreeSet::new());
    for cut in (0..=calls).step_by(5) {
        let disk = SimVfs::new();
        disk.cut_at(cut);
        let (world, _) = play(&disk, plain);
        for seed in 0..2 {
            let crash = Crash::random(seed + cut);
            let whole = disk.restart(crash);
            let (after, outcome) = go_on(&whole, plain, &world);
            outcome.unwrap_or_else(|error| panic!("cut at {cut}, {crash:?}: {error}"));
            check(&whole.restart(Crash::KEEPS_SYNCED), plain, &after).unwrap();
            for second in (0..whole.calls()).step_by(5) {
                let again = disk.restart(crash);
                again.cut_at(second);
                let (after, _) = go_on(&again, plain, &world);
                for crash in [Crash::KEEPS_SYNCED, Crash::KEEPS_ALL, Crash::random(second)] {
                    let image = again.restart(crash);
                    seen.insert(image.image_hash());
                    images += 1;
                    check(&image, plain, &after)
                        .unwrap_or_else(|error| panic!("cuts at {cut} and {second}, {crash:?}: {error}"));
                }
            }
        }
    }
    println!("{images} images checked after a second cut, {} of them distinct", seen.len());
}

/// Names each sync of the script that could be left out without any image telling.
fn unnoticed_syncs(vfs: fn(SimVfs) -> Arc<dyn Vfs>) -> Vec<String> {
    let whole = SimVfs::new();
    play(&whole, vfs);
    let syncs = whole.calls_where(Call::is_sync);
    let mut unnoticed = Vec::new();
    for (n, sync) in syncs.iter().enumerate() {
        // What a lost sync leaves open, the next ones of its kind close: look until then.
        let until = syncs.get(n + 4).copied().unwrap_or(whole.calls());
        let noticed = (*sync + 1..=until).any(|cut| {
            let disk = SimVfs::new();
            disk.inject(When::Call(*sync), Fault::IgnoredSync);
            disk.cut_at(cut);
            let (world, _) = play(&disk, vfs);
            disk.crash_images(FEW).any(|(_, image)| check(&image, vfs, &world).is_err())
        });
        if !noticed {
            let disk = SimVfs::new();
            disk.cut_at(*sync);
            let (_, step) = play(&disk, vfs);
            let kinds = [Call::SyncData, Call::SyncDir, Call::SyncFileSystem];
            let kind =
                kinds.iter().find(|kind| whole.calls_where(|call| call == **kind).contains(sync)).unwrap();
            unnoticed.push(format!("{kind:?} in {:?}, call {sync}", step.unwrap_or("?")));
        }
    }
    println!(
        "{} syncs, {} of them could be left out unnoticed: {unnoticed:#?}",
        syncs.len(),
        unnoticed.len()
    );
    unnoticed
}

/// The sync that begins a cycle has nothing to do in the script, where every change of heads was synced by who made
/// it: it is there for those who were killed before they could. The test below notices its absence.
#[test]
fn leaving_out_any_one_sync_is_noticed() {
    let unnoticed = unnoticed_syncs(plain);
    let begins_a_cycle = |sync: &String| sync.starts_with("SyncFileSystem");
    assert!(unnoticed.iter().all(begins_a_cycle) && unnoticed.len() <= 3, "{unnoticed:#?}");
}

/// A process is killed between removing a head and syncing that removal; another one deletes what only the removed
/// head needs, until the power fails. Returns the disk as it is then, and how many calls there were before the delete.
fn delete_after_a_kill(cycle_syncs: bool, cut: u64) -> (SimVfs, u64) {
    let disk = SimVfs::new();
    let killed = disk.process();
    let one = SimpleStore::open_or_init_with(plain(killed.clone()), PLACE).unwrap();
    let commit = |name: &str, update: &HeadsUpdate| {
        let lease = one.lease(&[]).unwrap();
        let batch = WriteBatch { blocks: &[block(name)], heads: update, rows: &[] };
        assert_eq!(one.commit(&lease, &batch).unwrap(), Swap::Done);
    };
    commit("old", &HeadsUpdate::advance(main_heads(), &[], head("old")));
    let before = disk.faults_fired();
    disk.inject(When::Nth(Calls::Of(Call::SyncDir), 1), Fault::IgnoredSync);
    commit("new", &HeadsUpdate::advance(main_heads(), &[head("old")], head("new")));
    assert_eq!(disk.faults_fired(), before + 1, "the removal of the old head is synced last");
    killed.kill();

    let other = SimpleStore::open_with(plain(disk.process()), PLACE).unwrap();
    if !cycle_syncs {
        disk.inject(When::Nth(Calls::Syncs, 0), Fault::IgnoredSync);
    }
    let cycle = other.begin_cycle().unwrap();
    assert_eq!(cycle.roots(), [cid("new")]);
    let calls = disk.calls();
    disk.cut_at(calls + cut);
    let deleted = other.delete_if_untouched(&cycle, &[cid("old")]);
    assert!(deleted.is_ok_and(|deleted| deleted.blocks == 1) || disk.calls() >= calls + cut);
    (disk, calls)
}

/// Says whether every head has its block, whenever the power fails and whatever that leaves.
fn heads_keep_their_blocks(cycle_syncs: bool) -> bool {
    let (whole, begun) = delete_after_a_kill(cycle_syncs, u64::MAX / 2);
    (0..=whole.calls() - begun).all(|cut| {
        delete_after_a_kill(cycle_syncs, cut).0.crash_images(Budget::default()).all(|(_, image)| {
            let store = SimpleStore::open_with(plain(image), PLACE).unwrap();
            let heads = store.heads(&main_heads()).unwrap();
            !heads.is_empty() && heads.iter().all(|head| store.has(head.cid()).unwrap())
        })
    })
}

#[test]
fn a_collection_deletes_nothing_that_heads_may_come_back_for() {
    assert!(heads_keep_their_blocks(true));
    assert!(!heads_keep_their_blocks(false), "the sync that begins a cycle must be missed");
}

#[test]
fn a_failing_call_anywhere_is_an_error_or_does_no_harm() {
    let calls = calls_of_the_script(plain);
    let mut failures = 0;
    for fault in [Fault::Eio, Fault::NoSpace, Fault::Interrupted, Fault::Short(7)] {
        for call in 0..calls {
            let disk = SimVfs::new();
            disk.inject(When::Call(call), fault);
            let (world, failed) = play(&disk, plain);
            disk.clear_faults();
            failures += u32::from(failed.is_some());
            let of = |what: &str| format!("{fault:?} at call {call} in {failed:?}, {what}");
            if world.is_made {
                check(&disk, plain, &world).unwrap_or_else(|error| panic!("{}: {error}", of("opened anew")));
            }
            for crash in [Crash::KEEPS_SYNCED, Crash::random(call)] {
                let image = disk.restart(crash);
                check(&image, plain, &world).unwrap_or_else(|error| panic!("{}: {error}", of("restarted")));
                let (after, outcome) = go_on(&image, plain, &world);
                outcome.unwrap_or_else(|error| panic!("{}: {error}", of("going on")));
                check(&image.restart(Crash::KEEPS_SYNCED), plain, &after)
                    .unwrap_or_else(|error| panic!("{}: {error}", of("after going on")));
            }
        }
    }
    println!("{} calls failed in four ways, {failures} scripts ended with an error", calls);
}
