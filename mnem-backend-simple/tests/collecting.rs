//! Leases, cycles, deletes and snapshots, between handles of one folder.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use mnem_backend_simple::SimpleStore;
use mnem_core::cid::Codec;
use mnem_core::port::{
    BlockRead, Blockstore, Collector, CollectorError, Cycle, HeadsUpdate, Namespace, OpHeadsStore, Store,
    StoreError, Swap, WriteBatch,
};
use mnem_core::{Block, Cid, OperationId};
use mnem_vfs::{SimVfs, Vfs};

/// Two processes on one folder.
struct Two {
    disk: SimVfs,
    one: SimpleStore,
    other_process: SimVfs,
    other: SimpleStore,
}

fn two() -> Two {
    let disk = SimVfs::new();
    let other_process = disk.process();
    let one = SimpleStore::init_with(Arc::new(disk.clone()), "/s").unwrap();
    let other = SimpleStore::open_with(Arc::new(other_process.clone()), "/s").unwrap();
    Two { disk, one, other_process, other }
}

fn block(text: &str) -> Block {
    Block::new(Codec::Raw, text.as_bytes().to_vec())
}

fn set_head(store: &SimpleStore, block: &Block) {
    let update = HeadsUpdate::advance(Namespace::default(), &[], OperationId::new(*block.cid()));
    assert_eq!(store.update(&update).unwrap(), Swap::Done);
}

fn deletes(store: &SimpleStore, cycle: &Cycle, cid: &Cid) -> bool {
    store.delete_if_untouched(cycle, &[*cid]).unwrap().blocks == 1
}

fn set_aside(disk: &SimVfs) -> usize {
    disk.list("/s/aside".as_ref()).unwrap().count()
}

#[test]
fn what_nobody_needs_goes_and_can_come_back() {
    let Two { disk, one, other, .. } = two();
    let garbage = block("garbage");
    one.put(&garbage).unwrap();
    let cycle = other.begin_cycle().unwrap();
    let deleted = other.delete_if_untouched(&cycle, &[*garbage.cid(), *block("never").cid()]).unwrap();
    assert_eq!((deleted.blocks, deleted.bytes), (1, 7));
    assert!(!one.has(garbage.cid()).unwrap());
    assert_eq!(one.get(garbage.cid()).unwrap(), None);
    assert_eq!(one.scan(None).unwrap().count(), 0);
    assert_eq!(set_aside(&disk), 0, "nobody reads, so nothing is set aside");
    one.put(&garbage).unwrap();
    assert_eq!(other.get(garbage.cid()).unwrap(), Some(garbage));
}

#[test]
fn what_is_put_since_the_cycle_began_stays_in_it() {
    let Two { one, other, .. } = two();
    let (old, twice) = (block("old"), block("twice"));
    one.put_many(&[old.clone(), twice.clone()]).unwrap();
    let cycle = other.begin_cycle().unwrap();
    one.put(&twice).unwrap();
    assert!(!deletes(&other, &cycle, twice.cid()));
    assert!(deletes(&other, &cycle, old.cid()));
    let next = other.begin_cycle().unwrap();
    assert!(deletes(&other, &next, twice.cid()));
}

#[test]
fn what_a_live_lease_put_stays_in_every_cycle() {
    let Two { one, other, .. } = two();
    let staged = block("staged");
    one.put(&staged).unwrap();
    let lease = one.lease(&[]).unwrap();
    one.put_leased(&lease, std::slice::from_ref(&staged)).unwrap();
    for _ in 0..2 {
        let cycle = other.begin_cycle().unwrap();
        assert!(!deletes(&other, &cycle, staged.cid()));
    }
    let cycle = other.begin_cycle().unwrap();
    drop(lease);
    assert!(!deletes(&other, &cycle, staged.cid()), "a head may rest on it");
    let cycle = other.begin_cycle().unwrap();
    assert!(deletes(&other, &cycle, staged.cid()));
}

#[test]
fn leases_and_cycles_end_with_their_process() {
    let Two { disk, one, other_process, other } = two();
    let staged = block("staged");
    let lease = other.lease(&[]).unwrap();
    other.put_leased(&lease, std::slice::from_ref(&staged)).unwrap();
    let cycle = other.begin_cycle().unwrap();
    let touches = |disk: &SimVfs| disk.list("/s/cycles/1/touched".as_ref()).unwrap().count();
    one.put(&block("a")).unwrap();
    assert_eq!(touches(&disk), 1, "the cycle is announced");
    other_process.kill();
    one.put(&block("b")).unwrap();
    assert_eq!(touches(&disk), 1, "the cycle is over");
    let mine = one.begin_cycle().unwrap();
    assert!(mine.number() > cycle.number());
    assert!(deletes(&one, &mine, staged.cid()));
    assert_eq!(disk.list("/s/leases".as_ref()).unwrap().count(), 0, "leases of the dead are removed");
}

#[test]
fn only_the_newest_cycle_deletes_until_it_ends() {
    let Two { one, other, .. } = two();
    let garbage = block("garbage");
    one.put(&garbage).unwrap();
    let older = one.begin_cycle().unwrap();
    let newer = other.begin_cycle().unwrap();
    let stale = |store: &SimpleStore, cycle: &Cycle, cids: &[Cid]| {
        matches!(store.delete_if_untouched(cycle, cids), Err(CollectorError::Stale))
    };
    assert!(stale(&one, &older, &[*garbage.cid()]));
    assert!(stale(&one, &older, &[]));
    drop(older);
    let staged = block("staged");
    one.put(&staged).unwrap();
    assert!(!deletes(&other, &newer, staged.cid()), "a cycle that is over ends no newer one");
    set_head(&one, &staged);
    assert!(stale(&other, &newer, &[*garbage.cid()]), "a head outside any lease ends the cycle");
    assert!(one.has(garbage.cid()).unwrap());
}

#[test]
fn a_commit_under_a_lease_leaves_the_cycle_alone() {
    let Two { one, other, .. } = two();
    let (first, second, garbage) = (block("first"), block("second"), block("garbage"));
    one.put_many(&[first.clone(), garbage.clone()]).unwrap();
    set_head(&one, &first);
    let snapshot = one.snapshot().unwrap();
    let cycle = other.begin_cycle().unwrap();
    assert_eq!(cycle.roots(), [*first.cid()]);
    let heads = HeadsUpdate::advance(
        Namespace::default(),
        &[OperationId::new(*first.cid())],
        OperationId::new(*second.cid()),
    );
    let batch = WriteBatch { blocks: std::slice::from_ref(&second), heads: &heads, rows: &[] };
    assert_eq!(one.commit(snapshot.lease(), &batch).unwrap(), Swap::Done);
    assert!(!deletes(&other, &cycle, second.cid()));
    assert!(deletes(&other, &cycle, garbage.cid()));
    let mut roots = other.begin_cycle().unwrap().roots().to_vec();
    roots.sort();
    let mut expected = [*first.cid(), *second.cid()];
    expected.sort();
    assert_eq!(roots, expected, "the snapshot's lease keeps the old head");
}

#[test]
fn a_lease_needs_a_head_or_a_leased_root() {
    let Two { one, other, .. } = two();
    let (a, b) = (block("a"), block("b"));
    one.put_many(&[a.clone(), b.clone()]).unwrap();
    assert!(matches!(one.lease(&[*a.cid()]), Err(CollectorError::Stale)));
    set_head(&one, &a);
    let lease = one.lease(&[*a.cid()]).unwrap();
    let heads =
        HeadsUpdate::advance(Namespace::default(), &[OperationId::new(*a.cid())], OperationId::new(*b.cid()));
    assert_eq!(one.update(&heads).unwrap(), Swap::Done);
    let second = other.lease(&[*a.cid()]).unwrap();
    drop(lease);
    drop(other.lease(&[*a.cid()]).unwrap());
    drop(second);
    assert!(matches!(other.lease(&[*a.cid()]), Err(CollectorError::Stale)));
    let foreign = one.lease(&[]).unwrap();
    let under_foreign = other.put_leased(&foreign, &[block("c")]);
    assert!(matches!(under_foreign, Err(StoreError::Stale)), "leases belong to their handle");
}

#[test]
fn a_snapshot_reads_what_was_deleted_since() {
    let Two { disk, one, other, .. } = two();
    let (early, late) = (block("early"), block("late"));
    one.put_many(&[early.clone(), late.clone()]).unwrap();
    let idle = other.lease(&[]).unwrap(); // has the first delete set its file aside
    let cycle = one.begin_cycle().unwrap();
    assert!(deletes(&one, &cycle, early.cid()));
    let snapshot = other.snapshot().unwrap();
    assert!(deletes(&one, &cycle, late.cid()));
    assert_eq!(set_aside(&disk), 2);

    assert_eq!(snapshot.get(early.cid()).unwrap(), None, "it was gone before");
    assert_eq!(snapshot.get(late.cid()).unwrap(), Some(late.clone()));
    assert!(snapshot.has(late.cid()).unwrap() && !other.has(late.cid()).unwrap());
    assert_eq!(snapshot.scan(None).unwrap().map(Result::unwrap).collect::<Vec<_>>(), [*late.cid()]);
    assert_eq!(other.scan(None).unwrap().count(), 0);

    drop(idle);
    drop(one.begin_cycle().unwrap());
    assert_eq!(set_aside(&disk), 1, "what only the idle lease could need is gone");
    assert_eq!(snapshot.get(late.cid()).unwrap(), Some(late));
    drop(snapshot);
    drop(one.begin_cycle().unwrap());
    assert_eq!(set_aside(&disk), 0);
}

#[test]
fn a_snapshot_of_a_handle_that_cannot_write_reads_it_too() {
    let Two { disk, one, .. } = two();
    let garbage = block("garbage");
    one.put(&garbage).unwrap();
    let reader = SimpleStore::open_read_only_with(Arc::new(disk.process()), "/s").unwrap();
    let snapshot = reader.snapshot().unwrap();
    let cycle = one.begin_cycle().unwrap();
    assert!(deletes(&one, &cycle, garbage.cid()));
    assert_eq!(snapshot.get(garbage.cid()).unwrap().as_ref(), Some(&garbage));
    assert_eq!(snapshot.scan(None).unwrap().count(), 1);
    drop(one.begin_cycle().unwrap());
    assert_eq!(snapshot.get(garbage.cid()).unwrap(), Some(garbage));
    drop(snapshot);
    drop(one.begin_cycle().unwrap());
    assert_eq!(set_aside(&disk), 0);
}
