//! S1 to S6 and S8: what exists.

use super::lab::{Lab, LabExt};
use super::sample::{block, blocks, commit, forged_lease, head, noise, of_class, update};
use super::suite::Checked;
use crate::port::{LeaseId, StoreError, Swap, check_size};
use crate::{BLOCK_BYTES_MAX, Block, Cid, CidClass, Codec, Store};

/// Asserts that every way to read finds exactly this block.
#[track_caller]
fn assert_reads(store: &dyn Store, block: &Block) -> Checked {
    let cid = *block.cid();
    assert_eq!(store.get(&cid)?.as_ref(), Some(block), "get");
    assert_eq!(store.get_many(&[cid])?, [Some(block.clone())], "get_many");
    assert!(store.has(&cid)?, "has");
    assert_eq!(store.has_many(&[cid])?, [true], "has_many");
    Ok(())
}

/// Asserts that no way to read finds a block.
#[track_caller]
pub(super) fn assert_absent(store: &dyn Store, cid: &Cid) -> Checked {
    assert_eq!(store.get(cid)?, None, "get");
    assert_eq!(store.get_many(&[*cid])?, [None], "get_many");
    assert!(!store.has(cid)?, "has");
    assert_eq!(store.has_many(&[*cid])?, [false], "has_many");
    assert!(!all(store)?.contains(cid), "scan");
    Ok(())
}

/// Returns all CIDs.
pub(super) fn all(store: &dyn Store) -> Result<Vec<Cid>, StoreError> {
    store.scan(None)?.collect()
}

pub(super) fn s1_a_stored_block_is_readable_until_it_is_deleted(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    assert_absent(&*store, block("single", 0).cid())?;
    store.put(&block("single", 0))?;
    store.put_many(&blocks("many", 40))?;
    store.put_many(&[])?;
    let lease = store.lease(&[])?;
    store.put_leased(&lease, &blocks("leased", 3))?;
    let heads = update(&[&block("single", 0)], &[]);
    assert_eq!(commit(&*store, &lease, &blocks("committed", 3), &heads)?, Swap::Done);
    for (series, count) in [("single", 1), ("many", 40), ("leased", 3), ("committed", 3)] {
        for block in blocks(series, count) {
            assert_reads(&*store, &block)?;
        }
    }
    let gone = block("many", 7);
    let cycle = store.begin_cycle()?;
    store.delete_if_untouched(&cycle, &[*gone.cid()])?;
    assert_absent(&*store, gone.cid())?;
    assert_reads(&*store, &block("many", 8))
}

pub(super) fn s1_blocks_stay_when_the_store_is_closed(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    store.put(&block("unsynced", 0))?;
    store.put_many(&blocks("many", 40))?;
    let store = lab.reopen(store)?;
    assert_reads(&*store, &block("unsynced", 0))?;
    for block in blocks("many", 40) {
        assert_reads(&*store, &block)?;
    }
    Ok(())
}

pub(super) fn s2_storing_again_changes_nothing(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let twice = block("twice", 0);
    let lease = store.lease(&[])?;
    for _ in 0..2 {
        store.put(&twice)?;
        store.put_many(&[twice.clone(), block("other", 0), twice.clone()])?;
        store.put_leased(&lease, &[twice.clone(), twice.clone()])?;
        let swap = commit(&*store, &lease, &[twice.clone(), twice.clone()], &update(&[&twice], &[]))?;
        assert_eq!(swap, Swap::Done);
        store.sync()?;
    }
    assert_reads(&*store, &twice)?;
    let mut expected = vec![*twice.cid(), *block("other", 0).cid()];
    expected.sort_unstable();
    assert_eq!(all(&*store)?, expected);
    Ok(())
}

pub(super) fn s3_synced_blocks_survive_a_power_cut(lab: &dyn Lab) -> Checked {
    let mut synced: Vec<Block> = Vec::new();
    for round in 0..12 {
        let store = lab.open()?;
        for block in &synced {
            assert_reads(&*store, block)?;
        }
        let mut new = blocks(&format!("round {round}"), 1 + round % 5);
        store.put(&new[0])?;
        store.put_many(&new[1..])?;
        store.sync()?;
        synced.append(&mut new);
        // These may survive or not, but never as other bytes.
        store.put_many(&blocks(&format!("at risk {round}"), 3))?;
        lab.cut_power(0, round as u64);
        drop(store);
        let store = lab.open()?;
        for block in blocks(&format!("at risk {round}"), 3) {
            let found = store.get(block.cid())?;
            assert!(found.is_none() || found == Some(block), "a block that was not synced came back wrong");
        }
    }
    Ok(())
}

pub(super) fn s4_blocks_of_every_class_come_back_as_they_were(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let lengths = [1, 2, 31, 32, 33, 511, 512, 513, 4095, 4096, 4097, 65_536, (1 << 20) + 1];
    let mut stored = Vec::new();
    for (at, length) in lengths.into_iter().enumerate() {
        let class = CidClass::ALL[at % CidClass::ALL.len()];
        let zeros = vec![0; length];
        stored.push(of_class(class, noise(at as u64, length).bytes().to_vec()));
        stored.push(of_class(class, zeros));
    }
    // The same bytes in every class: four blocks that differ only in their CID's first bytes.
    stored.extend(CidClass::ALL.map(|class| of_class(class, b"same bytes".to_vec())));
    store.put_many(&stored)?;
    for block in &stored {
        assert_reads(&*store, block)?;
    }
    Ok(())
}

pub(super) fn s4_damage_is_reported_not_returned(lab: &dyn Lab) -> Checked {
    for seed in 0..16 {
        let bad = noise(seed, 300);
        let good = noise(seed + 1000, 300);
        let store = lab.open()?;
        store.put_many(&[bad.clone(), good.clone()])?;
        store.sync()?;
        drop(store);
        lab.damage(bad.bytes(), seed);
        // A store that reports the damage when it is opened has reported it.
        let Ok(store) = lab.open() else { return Ok(()) };
        let found = store.get(bad.cid());
        assert!(matches!(found, Err(StoreError::Fault(_))), "get of a damaged block gave {found:?}");
        let found = store.get_many(&[*good.cid(), *bad.cid()]);
        assert!(matches!(found, Err(StoreError::Fault(_))), "get_many of a damaged block gave {found:?}");
        let found = store.snapshot()?.get(bad.cid());
        assert!(matches!(found, Err(StoreError::Fault(_))), "a snapshot's get gave {found:?}");
        assert_reads(&*store, &good)?;
    }
    Ok(())
}

pub(super) fn s5_the_empty_block_is_a_block(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let empty = Block::new(Codec::Raw, Vec::new());
    assert_absent(&*store, empty.cid())?;
    store.put(&empty)?;
    assert_reads(&*store, &empty)?;
    assert_eq!(all(&*store)?, [*empty.cid()]);
    if lab.abilities().keeps {
        store.sync()?;
        assert_reads(&*lab.reopen(store)?, &empty)?;
    }
    Ok(())
}

pub(super) fn s6_many_answer_in_the_order_of_the_question(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let stored = blocks("stored", 60);
    store.put_many(&stored)?;
    // Up, down, repeated at once and later, and some absent.
    let mut asked: Vec<Option<&Block>> = Vec::new();
    for (at, block) in stored.iter().enumerate() {
        asked.extend([Some(block), Some(block)]);
        asked.push(Some(&stored[59 - at]));
        asked.push(None);
    }
    let absent = blocks("absent", asked.len());
    let cids: Vec<Cid> =
        asked.iter().zip(&absent).map(|(block, absent)| *block.unwrap_or(absent).cid()).collect();
    let expected: Vec<Option<Block>> = asked.iter().map(|block| block.cloned()).collect();
    let present: Vec<bool> = asked.iter().map(Option::is_some).collect();
    assert_eq!(store.get_many(&cids)?, expected);
    assert_eq!(store.has_many(&cids)?, present);
    assert!(store.get_many(&[])?.is_empty() && store.has_many(&[])?.is_empty());
    let snapshot = store.snapshot()?;
    assert_eq!(snapshot.get_many(&cids)?, expected, "in a snapshot");
    assert_eq!(snapshot.has_many(&cids)?, present, "in a snapshot");
    Ok(())
}

pub(super) fn s8_a_block_over_the_limit_is_refused_with_its_whole_call(lab: &dyn Lab) -> Checked {
    let _alone = super::blocks_scan::measure_alone();
    let store = lab.open()?;
    let largest = Block::new(Codec::Raw, vec![7; BLOCK_BYTES_MAX]);
    let over = Block::new(Codec::Raw, vec![7; BLOCK_BYTES_MAX + 1]);
    assert!(check_size(std::slice::from_ref(&largest)).is_ok(), "the limit itself is allowed");
    let (before, after) = (block("before", 0), block("after", 0));
    let call = [before.clone(), over.clone(), after.clone()];
    let lease = store.lease(&[])?;
    let refused = |what: &str, result: Result<(), StoreError>| {
        let right = matches!(&result, Err(StoreError::TooLarge { cid, bytes })
            if cid == over.cid() && *bytes == BLOCK_BYTES_MAX + 1);
        assert!(right, "{what} of a block over the limit gave {result:?}");
    };
    refused("put", store.put(&over));
    refused("put_many", store.put_many(&call));
    refused("put_leased", store.put_leased(&lease, &call));
    refused("commit", commit(&*store, &lease, &call, &update(&[&before], &[])).map(|_| ()));
    assert!(all(&*store)?.is_empty(), "nothing of a refused call is stored");
    assert!(store.heads(&update(&[], &[]).namespace)?.is_empty());
    store.put(&largest)?;
    assert_reads(&*store, &largest)
}

/// What `commit` and `put_leased` answer to a lease that no store granted.
pub(super) fn assert_stale_without_lease(store: &dyn Store, id: LeaseId) -> Checked {
    let lease = forged_lease(id);
    let (old, new) = (store.heads(&update(&[], &[]).namespace)?, block("without lease", 0));
    let answer = store.put_leased(&lease, std::slice::from_ref(&new));
    assert!(matches!(answer, Err(StoreError::Stale)), "put_leased gave {answer:?}");
    let answer = commit(store, &lease, std::slice::from_ref(&new), &update(&[&new], &[]));
    assert!(matches!(answer, Err(StoreError::Stale)), "commit gave {answer:?}");
    assert_eq!(store.heads(&update(&[], &[]).namespace)?, old);
    assert!(!old.contains(&head(&new)));
    Ok(())
}
