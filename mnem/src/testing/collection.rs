//! C1 to C9: leases, cycles, and the only way to delete.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::blocks::{all, assert_absent};
use super::lab::Lab;
use super::sample::{NoKeeper, advance, block, blocks, commit, head, namespace, update};
use super::suite::Checked;
use crate::port::{CollectorError, Compact, Cycle, Deleted, Fault, HeadsUpdate, Lease, Swap};
use crate::{Block, Cid, Store};

fn cids(blocks: &[Block]) -> Vec<Cid> {
    blocks.iter().map(|block| *block.cid()).collect()
}

/// Asks for a lease and returns it if it is granted.
fn granted(store: &dyn Store, roots: &[&Block]) -> Result<Option<Lease>, CollectorError> {
    let roots: Vec<Cid> = roots.iter().map(|block| *block.cid()).collect();
    match store.lease(&roots) {
        Ok(lease) => Ok(Some(lease)),
        Err(CollectorError::Stale) => Ok(None),
        Err(error) => Err(error),
    }
}

#[track_caller]
fn assert_stale(answer: &Result<Deleted, CollectorError>) {
    assert!(matches!(answer, Err(CollectorError::Stale)), "a cycle that is over gave {answer:?}");
}

/// Begins a cycle and deletes all it is allowed to of `blocks`; returns how many went.
fn collect(store: &dyn Store, blocks: &[Block]) -> Result<u64, CollectorError> {
    let cycle = store.begin_cycle()?;
    Ok(store.delete_if_untouched(&cycle, &cids(blocks))?.blocks)
}

pub(super) fn c1_a_lease_needs_roots_that_are_held(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let (old, new, loose) = (block("head", 0), block("head", 1), block("loose", 0));
    store.put(&loose)?;
    advance(&*store, &[], &old)?;
    assert!(granted(&*store, &[])?.is_some(), "no roots need nothing");
    assert!(granted(&*store, &[&loose])?.is_none(), "a block that nothing holds");
    assert!(granted(&*store, &[&block("absent", 0)])?.is_none(), "a block that is not there");
    assert!(granted(&*store, &[&old, &loose])?.is_none(), "one of two is not held");
    let held = granted(&*store, &[&old])?;
    assert!(held.is_some(), "a head");
    advance(&*store, &[&old], &new)?;
    let second = granted(&*store, &[&old, &new])?;
    assert!(second.is_some(), "a root of a live lease, and a head");
    drop(held);
    assert!(granted(&*store, &[&old])?.is_some(), "a root of another live lease");
    drop(second);
    assert!(granted(&*store, &[&old])?.is_none(), "neither a head nor a root of a live lease any more");
    let side = HeadsUpdate::advance(namespace("side"), &[], head(&old));
    assert_eq!(store.update(&side)?, Swap::Done);
    assert!(granted(&*store, &[&old, &new])?.is_some(), "heads of two namespaces");
    Ok(())
}

pub(super) fn c1_a_lease_during_a_cycle_needs_roots_that_the_cycle_covers(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let [old, current, next, loose] = ["old", "current", "next", "loose"].map(|series| block(series, 0));
    store.put(&loose)?;
    advance(&*store, &[], &old)?;
    let held = granted(&*store, &[&old])?;
    advance(&*store, &[&old], &current)?;
    let cycle = store.begin_cycle()?;
    assert!(granted(&*store, &[&old, &current])?.is_some(), "roots of the cycle");
    assert!(granted(&*store, &[&loose])?.is_none(), "not held");
    advance(&*store, &[&current], &next)?;
    assert!(granted(&*store, &[&next])?.is_some(), "a head committed since the cycle began");
    assert!(granted(&*store, &[&current])?.is_none(), "covered, but not held any more");
    drop(held);
    assert!(granted(&*store, &[&old])?.is_none(), "covered, but not held any more");
    store.delete_if_untouched(&cycle, &[*loose.cid()])?;
    assert_absent(&*store, loose.cid())
}

pub(super) fn c2_what_is_put_under_a_lease_stays_while_it_lives(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let (old, new) = (blocks("old", 5), blocks("new", 5));
    let garbage = blocks("garbage", 5);
    store.put_many(&old)?;
    store.put_many(&garbage)?;
    let lease = store.lease(&[])?;
    store.put_leased(&lease, &old)?;
    store.put_leased(&lease, &new)?;
    let everything = [old, new, garbage.clone()].concat();
    for _ in 0..2 {
        // What it put before, it holds in every later cycle too.
        collect(&*store, &everything)?;
        assert_eq!(all(&*store)?.len(), 10, "what the lease holds, and nothing else");
    }
    // Put while a cycle is under way, and held in the next as well.
    let cycle = store.begin_cycle()?;
    store.put_leased(&lease, &garbage)?;
    assert_eq!(store.delete_if_untouched(&cycle, &cids(&garbage))?, Deleted::default());
    assert_eq!(collect(&*store, &garbage)?, 0);
    drop(lease);
    assert_eq!(collect(&*store, &everything)?, 15, "nothing holds them any more");
    Ok(())
}

pub(super) fn c3_a_cycle_begins_with_all_heads_and_roots_of_leases(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let roots = |cycle: &Cycle| cycle.roots().iter().copied().collect::<BTreeSet<_>>();
    let empty = store.begin_cycle()?;
    assert!(empty.roots().is_empty());
    let heads = blocks("head", 4);
    advance(&*store, &[], &heads[0])?;
    let lease = store.lease(&[*heads[0].cid()])?;
    advance(&*store, &[&heads[0]], &heads[1])?;
    let snapshot = store.snapshot()?;
    advance(&*store, &[&heads[1]], &heads[2])?;
    store.put(&heads[3])?;
    let side = HeadsUpdate::advance(namespace("side"), &[], head(&heads[3]));
    assert_eq!(store.update(&side)?, Swap::Done);
    let full = store.begin_cycle()?;
    assert_eq!(roots(&full), cids(&heads).into_iter().collect(), "heads, a lease's root, a snapshot's");
    assert!(full.number() > empty.number(), "a newer cycle has a higher number");
    drop((lease, snapshot));
    let last = store.begin_cycle()?;
    assert_eq!(roots(&last), cids(&heads[2..]).into_iter().collect(), "leases that ended hold nothing");
    assert!(last.number() > full.number());
    Ok(())
}

pub(super) fn c4_what_is_put_during_a_cycle_stays(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let garbage = blocks("garbage", 12);
    store.put_many(&garbage)?;
    advance(&*store, &[], &block("head", 0))?;
    let lease = store.lease(&[])?;
    let cycle = store.begin_cycle()?;
    store.put(&garbage[0])?;
    store.put_many(&garbage[1..3])?;
    store.put_leased(&lease, &garbage[3..5])?;
    let heads = update(&[&block("head", 0)], &[]);
    assert_eq!(commit(&*store, &lease, &garbage[5..7], &heads)?, Swap::Done);
    let new = block("new", 0);
    store.put(&new)?;
    let asked = [garbage.clone(), vec![new.clone()]].concat();
    let deleted = store.delete_if_untouched(&cycle, &cids(&asked))?;
    assert_eq!(deleted.blocks, 5, "what was not put since");
    for kept in garbage[..7].iter().chain([&new]) {
        assert_eq!(store.get(kept.cid())?.as_ref(), Some(kept));
    }
    for gone in &garbage[7..] {
        assert_absent(&*store, gone.cid())?;
    }
    // The next cycle is another matter.
    drop((lease, cycle));
    assert_eq!(collect(&*store, &asked)?, 8);
    Ok(())
}

pub(super) fn c5_a_cycle_that_is_over_deletes_nothing(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let garbage = blocks("garbage", 3);
    store.put_many(&garbage)?;
    let old = store.begin_cycle()?;
    let new = store.begin_cycle()?;
    assert_stale(&store.delete_if_untouched(&old, &cids(&garbage)));
    assert_stale(&store.delete_if_untouched(&old, &[]));
    // That the older handle goes does not end the newer cycle.
    drop(old);
    assert_eq!(store.delete_if_untouched(&new, &cids(&garbage[..1]))?.blocks, 1);
    let number = new.number();
    drop(new);
    let revived = Cycle::new(number, Vec::new(), Arc::new(NoKeeper));
    assert_stale(&store.delete_if_untouched(&revived, &cids(&garbage)));
    let unborn = Cycle::new(number + 1, Vec::new(), Arc::new(NoKeeper));
    assert_stale(&store.delete_if_untouched(&unborn, &cids(&garbage)));
    assert_eq!(all(&*store)?.len(), 2);
    Ok(())
}

pub(super) fn c6_heads_changed_outside_a_lease_end_the_cycle(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let garbage = blocks("garbage", 4);
    store.put_many(&garbage)?;
    store.put_many(&blocks("head", 3))?;
    advance(&*store, &[], &block("head", 0))?;
    let cycle = store.begin_cycle()?;
    // Under a lease the collection goes on.
    advance(&*store, &[&block("head", 0)], &block("head", 1))?;
    assert_eq!(store.delete_if_untouched(&cycle, &cids(&garbage[..1]))?.blocks, 1);
    let lost = HeadsUpdate { expected: Some(vec![]), ..update(&[&block("head", 2)], &[]) };
    assert_eq!(store.update(&lost)?, Swap::Moved);
    assert_eq!(store.delete_if_untouched(&cycle, &cids(&garbage[1..2]))?.blocks, 1, "no head changed");
    assert_eq!(store.update(&update(&[&block("head", 2)], &[&block("head", 1)]))?, Swap::Done);
    assert_stale(&store.delete_if_untouched(&cycle, &cids(&garbage)));
    assert_eq!(all(&*store)?.len(), 5);
    Ok(())
}

pub(super) fn c7_a_deleted_block_is_gone_and_can_come_back(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let stored = blocks("stored", 30);
    store.put_many(&stored)?;
    for round in 0..3 {
        let cycle = store.begin_cycle()?;
        // Twice the same, and one that is not there: neither counts.
        let mut asked = cids(&stored[..10]);
        asked.extend([*stored[0].cid(), *block("absent", 0).cid()]);
        let bytes: usize = stored[..10].iter().map(|block| block.bytes().len()).sum();
        let deleted = store.delete_if_untouched(&cycle, &asked)?;
        assert_eq!(deleted, Deleted { blocks: 10, bytes: bytes as u64 }, "round {round}");
        for gone in &stored[..10] {
            assert_absent(&*store, gone.cid())?;
        }
        assert_eq!(all(&*store)?.len(), 20);
        drop(cycle);
        store.put_many(&stored[..5])?;
        store.put(&stored[5])?;
        let lease = store.lease(&[])?;
        store.put_leased(&lease, &stored[6..10])?;
        for back in &stored {
            assert_eq!(store.get(back.cid())?.as_ref(), Some(back), "round {round}");
        }
        assert_eq!(all(&*store)?.len(), 30);
    }
    Ok(())
}

pub(super) fn c8_a_dropped_lease_holds_nothing(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let old = block("head", 0);
    advance(&*store, &[], &old)?;
    let (first, second) = (store.lease(&[*old.cid()])?, store.snapshot()?);
    let put = blocks("put", 3);
    store.put_leased(&first, &put)?;
    store.put_leased(second.lease(), &put[1..])?;
    advance(&*store, &[&old], &block("head", 1))?;
    drop(first);
    assert_eq!(collect(&*store, &put)?, 1, "what the other lease put stays");
    assert!(store.begin_cycle()?.roots().contains(old.cid()), "a snapshot's lease ends with it");
    drop(second);
    assert_eq!(collect(&*store, &put)?, 2);
    assert_eq!(store.begin_cycle()?.roots(), [*block("head", 1).cid()]);
    Ok(())
}

pub(super) fn c8_leases_end_with_the_power(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let old = block("head", 0);
    advance(&*store, &[], &old)?;
    let lease = store.lease(&[*old.cid()])?;
    store.put_leased(&lease, &blocks("put", 3))?;
    advance(&*store, &[&old], &block("head", 1))?;
    store.sync()?;
    lab.cut_power(0, 1);
    // The process is gone: nothing is told of the lease's end.
    std::mem::forget(lease);
    drop(store);
    let store = lab.open()?;
    assert_eq!(store.begin_cycle()?.roots(), [*block("head", 1).cid()]);
    assert_eq!(collect(&*store, &blocks("put", 3))?, 3);
    Ok(())
}

pub(super) fn c9_compacting_changes_nothing_that_can_be_read(lab: &dyn Lab) -> Checked {
    let some = |blocks: &[Block]| blocks.iter().cloned().map(Some).collect::<Vec<_>>();
    let store = lab.open()?;
    let (kept, gone) = (blocks("kept", 300), blocks("gone", 300));
    store.put_many(&kept)?;
    store.put_many(&gone)?;
    advance(&*store, &[], &kept[0])?;
    assert_eq!(collect(&*store, &gone)?, 300);
    for how in [Compact::Room, Compact::Traces] {
        match store.compact(how) {
            Ok(()) | Err(CollectorError::Fault(Fault::Unsupported { .. })) => {}
            Err(error) => return Err(error.into()),
        }
        assert_eq!(store.get_many(&cids(&kept))?, some(&kept));
        assert!(store.has_many(&cids(&gone))?.iter().all(|is_there| !is_there));
        assert_eq!(store.heads(&crate::port::Namespace::default())?, [head(&kept[0])]);
    }
    let snapshot = store.snapshot()?;
    match store.compact(Compact::Room) {
        Ok(()) | Err(CollectorError::Fault(Fault::Locked { .. })) => {}
        Err(error) => return Err(error.into()),
    }
    assert_eq!(snapshot.get_many(&cids(&kept))?, some(&kept));
    drop(snapshot);
    store.put_many(&gone)?;
    assert_eq!(store.get_many(&cids(&gone))?, some(&gone), "there is room again");
    Ok(())
}
