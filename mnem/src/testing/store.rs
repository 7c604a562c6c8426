//! T1 to T5: blocks, heads and rows in one step.

use super::blocks::{all, assert_stale_without_lease};
use super::lab::{Lab, LabExt};
use super::sample::{TABLE, advance, block, blocks, commit, forged_lease, head, namespace, noise, update};
use super::suite::Checked;
use crate::error::Error;
use crate::port::{
    BlockReadExt, HeadsError, HeadsUpdate, LeaseId, Namespace, ROW_VALUE_BYTES_MAX, Row, StoreError, Swap,
    WriteBatch,
};
use crate::{BLOCK_BYTES_MAX, Block, Codec, OperationId, Store};

fn default_heads(store: &dyn Store) -> Result<Vec<OperationId>, HeadsError> {
    store.heads(&Namespace::default())
}

pub(super) fn row(key: &str, value: &str) -> Row {
    Row { table: TABLE, key: key.to_owned().into(), value: Some(value.to_owned().into()) }
}

pub(super) fn t1_a_commit_stays_when_the_store_is_closed(lab: &dyn Lab) -> Checked {
    let mut store = lab.open()?;
    let mut old: Vec<Block> = Vec::new();
    for round in 0..4 {
        let new = blocks(&format!("round {round}"), 40);
        let lease = store.lease(&[])?;
        let heads = update(&[&new[0]], &old.iter().take(1).collect::<Vec<_>>());
        assert_eq!(commit(&*store, &lease, &new, &heads)?, Swap::Done);
        drop(lease);
        store = lab.reopen(store)?;
        for block in new.iter().chain(&old) {
            store.require(block.cid())?;
        }
        assert_eq!(default_heads(&*store)?, [head(&new[0])]);
        old = new;
    }
    Ok(())
}

/// Lets the power fail after every number of disk calls that a piece of work makes, and looks at what is left.
/// `work` gets the number of the attempt and says whether it was acknowledged; `look` is told.
pub(super) fn wherever_the_power_fails(
    lab: &dyn Lab,
    mut work: impl FnMut(&dyn Store, usize) -> Result<bool, Error>,
    mut look: impl FnMut(&dyn Store, usize, bool) -> Checked,
) -> Checked {
    const CALLS_MAX: u64 = 2_000;
    for calls in 0..CALLS_MAX {
        let attempt = usize::try_from(calls).expect("few");
        let store = lab.open()?;
        lab.cut_power(calls, calls);
        let acknowledged = work(&*store, attempt).unwrap_or(false);
        drop(store);
        let store = lab.open()?;
        look(&*store, attempt, acknowledged)?;
        if attempt % 2 == 1 {
            // Time for the store to settle: crashes alone, one after the other, could leave more and more to tidy.
            store.put(&block("settled", attempt))?;
            drop(store.begin_cycle()?);
            store.sync()?;
        }
        drop(store);
        // Three in a row, so that cuts between the acknowledgement and the end are seen too.
        if acknowledged && calls >= 3 && calls.is_multiple_of(4) {
            return Ok(());
        }
    }
    panic!("no commit was acknowledged within {CALLS_MAX} disk calls");
}

pub(super) fn t1_a_commit_is_whole_or_absent_wherever_the_power_fails(lab: &dyn Lab) -> Checked {
    let mut old: Vec<OperationId> = Vec::new();
    let parts = |attempt: usize| blocks(&format!("attempt {attempt}"), 4);
    let mut found = vec![];
    wherever_the_power_fails(
        lab,
        |store, attempt| {
            let new = parts(attempt);
            let lease = store.lease(&[])?;
            store.put_leased(&lease, &new[..1])?;
            let old = default_heads(store)?;
            let heads = HeadsUpdate::advance(Namespace::default(), &old, head(&new[3]));
            let rows = [row("newest", &attempt.to_string())];
            let batch = WriteBatch { blocks: &new[1..], heads: &heads, rows: &rows };
            Ok(store.commit(&lease, &batch)? == Swap::Done)
        },
        |store, attempt, acknowledged| {
            let heads = default_heads(store)?;
            let (new, is_new) = (parts(attempt), heads == [head(&parts(attempt)[3])]);
            // On plain files old heads go one by one after the new one shows: a crash may leave any of them beside it.
            let only_known = heads.iter().all(|found| *found == head(&new[3]) || old.contains(found));
            let is_between = heads.contains(&head(&new[3])) && only_known;
            assert!(is_new || heads == old || is_between, "cut {attempt}: heads are {heads:?}");
            assert!(is_new || !acknowledged, "cut {attempt}: an acknowledged commit is gone");
            if heads.contains(&head(&new[3])) {
                for block in &new {
                    assert_eq!(&store.require(block.cid())?, block, "cut {attempt}");
                }
            }
            for head in &heads {
                store.require(head.cid())?;
            }
            assert!(!heads.is_empty() || old.is_empty(), "cut {attempt}: all heads are gone");
            let row = store.row(TABLE, b"newest")?;
            let ahead =
                row.as_deref() == Some(attempt.to_string().as_bytes()) && !heads.contains(&head(&new[3]));
            assert!(!ahead, "cut {attempt}: the row survived without its head");
            old = heads;
            found.push(is_new);
            Ok(())
        },
    )?;
    assert!(found.contains(&false), "no cut came before the commit: nothing was shown");
    Ok(())
}

pub(super) fn t2_heads_have_their_blocks_wherever_the_power_fails(lab: &dyn Lab) -> Checked {
    let large = |attempt: usize| noise(attempt as u64, 20_000);
    let mut last: Vec<OperationId> = Vec::new();
    wherever_the_power_fails(
        lab,
        |store, attempt| {
            // Through the port of heads: blocks first, unsynced, then the head.
            store.put(&large(attempt))?;
            let old = default_heads(store)?;
            let heads = HeadsUpdate::advance(Namespace::default(), &old, head(&large(attempt)));
            Ok(store.update(&heads)? == Swap::Done)
        },
        |store, attempt, acknowledged| {
            let heads = default_heads(store)?;
            for head in &heads {
                store.require(head.cid())?;
            }
            if acknowledged {
                assert_eq!(heads, [head(&large(attempt))], "cut {attempt}");
            }
            assert!(!heads.is_empty() || last.is_empty(), "cut {attempt}: all heads are gone");
            last = heads;
            Ok(())
        },
    )
}

pub(super) fn t3_without_a_live_lease_nothing_is_committed(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    advance(&*store, &[], &block("head", 0))?;
    assert_stale_without_lease(&*store, LeaseId::fresh())?;
    let ended = store.lease(&[*block("head", 0).cid()])?;
    let id = ended.id();
    drop(ended);
    assert_stale_without_lease(&*store, id)?;
    // Rows are part of the step.
    let heads = update(&[&block("head", 0)], &[]);
    let batch = WriteBatch { blocks: &[], heads: &heads, rows: &[row("stale", "x")] };
    let answer = store.commit(&forged_lease(id), &batch);
    assert!(matches!(answer, Err(StoreError::Stale)), "{answer:?}");
    assert_eq!(store.row(TABLE, b"stale")?, None);
    Ok(())
}

pub(super) fn t4_a_snapshot_shows_its_moment(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let empty = store.snapshot()?;
    advance(&*store, &[], &block("head", 0))?;
    let first = store.snapshot()?;
    advance(&*store, &[&block("head", 0)], &block("head", 1))?;
    let side = HeadsUpdate::advance(namespace("side"), &[], head(&block("head", 0)));
    assert_eq!(store.update(&side)?, Swap::Done);
    let second = store.snapshot()?;
    let heads_in = |name: &str| -> Result<[Vec<OperationId>; 3], HeadsError> {
        let name = namespace(name);
        Ok([empty.heads(&name)?, first.heads(&name)?, second.heads(&name)?])
    };
    let ids = [head(&block("head", 0)), head(&block("head", 1))];
    assert_eq!(heads_in("main")?, [vec![], vec![ids[0]], vec![ids[1]]]);
    assert_eq!(heads_in("side")?, [vec![], vec![], vec![ids[0]]]);
    // The lease of a snapshot is one to commit under, and covers its heads.
    drop(store.lease(&[*ids[0].cid()])?);
    let swap = commit(&*store, first.lease(), &[block("head", 2)], &update(&[&block("head", 2)], &[]))?;
    assert_eq!(swap, Swap::Done);
    assert_eq!(first.heads(&Namespace::default())?, [ids[0]]);
    Ok(())
}

pub(super) fn t4_a_snapshot_shows_blocks_that_were_deleted_since(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let (kept, gone) = (blocks("kept", 20), blocks("gone", 40));
    store.put_many(&kept)?;
    store.put_many(&gone)?;
    advance(&*store, &[], &block("head", 0))?;
    let snapshot = store.snapshot()?;
    let cids: Vec<_> = gone.iter().map(|block| *block.cid()).collect();
    let cycle = store.begin_cycle()?;
    store.delete_if_untouched(&cycle, &cids[..30])?;
    let later = store.snapshot()?;
    store.delete_if_untouched(&cycle, &cids[30..])?;
    assert!(cids.iter().all(|cid| matches!(store.has(cid), Ok(false))), "they are gone from the store");
    let expected: Vec<_> = gone.iter().cloned().map(Some).collect();
    assert_eq!(snapshot.get_many(&cids)?, expected);
    assert!(snapshot.has_many(&cids)?.into_iter().all(|has| has));
    for block in gone.iter().chain(&kept) {
        assert_eq!(snapshot.get(block.cid())?.as_ref(), Some(block));
        assert!(snapshot.has(block.cid())?);
    }
    assert_eq!(later.get_many(&cids[30..])?, expected[30..], "a snapshot between two deletes");
    let mut listed: Vec<_> = kept.iter().chain(&gone).map(|block| *block.cid()).collect();
    listed.push(*block("head", 0).cid());
    listed.sort_unstable();
    assert_eq!(snapshot.scan(None)?.collect::<Result<Vec<_>, _>>()?, listed);
    assert_eq!(all(&*store)?.len(), 21);
    // Coming back while a snapshot still holds them, and going with the last snapshot.
    store.put_many(&gone[..5])?;
    drop((snapshot, later, cycle));
    for block in &gone[..5] {
        assert_eq!(store.get(block.cid())?.as_ref(), Some(block), "stored again");
    }
    let fresh = store.snapshot()?;
    assert_eq!(fresh.get(&cids[20])?, None, "a snapshot from after the delete");
    if lab.abilities().keeps {
        drop(fresh);
        let store = lab.reopen(store)?;
        assert_eq!(all(&*store)?.len(), 26, "what was deleted stays away");
    }
    Ok(())
}

pub(super) fn t5_a_refused_commit_leaves_no_head_and_no_row(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let (first, second) = (block("head", 0), block("head", 1));
    store.put_rows(&[row("kept", "old")])?;
    advance(&*store, &[], &first)?;
    let lease = store.lease(&[*first.cid()])?;
    let rows = [row("kept", "new"), row("other", "new")];
    let over = Block::new(Codec::Raw, vec![0; BLOCK_BYTES_MAX + 1]);
    let expecting = |expected: &Block| HeadsUpdate {
        expected: Some(vec![head(expected)]),
        ..update(&[&second], &[&first])
    };
    let one = [second.clone()];
    let two = [second.clone(), over];
    let long = [row("kept", "new"), row("long", &"x".repeat(ROW_VALUE_BYTES_MAX + 1))];
    let attempts: [(&str, HeadsUpdate, &[Block], &[Row]); 5] = [
        ("a swap that lost", expecting(&second), &one, &rows),
        ("no heads left", update(&[], &[&first]), &one, &rows),
        ("a head without block", update(&[&block("absent", 0)], &[]), &one, &rows),
        ("a block over the limit", update(&[&second], &[&first]), &two, &rows),
        ("a row over the limit", update(&[&second], &[&first]), &one, &long),
    ];
    for (what, heads, blocks, rows) in attempts {
        let answer = store.commit(&lease, &WriteBatch { blocks, heads: &heads, rows });
        assert!(!matches!(answer, Ok(Swap::Done)), "{what} was committed");
        assert_eq!(default_heads(&*store)?, [head(&first)], "{what}");
        assert_eq!(store.row(TABLE, b"kept")?.as_deref(), Some(&b"old"[..]), "{what}");
        assert_eq!((store.row(TABLE, b"other")?, store.row(TABLE, b"long")?), (None, None), "{what}");
    }
    // And the same commit goes through once it is right.
    let heads = expecting(&first);
    assert_eq!(store.commit(&lease, &WriteBatch { blocks: &one, heads: &heads, rows: &rows })?, Swap::Done);
    assert_eq!(store.row(TABLE, b"kept")?.as_deref(), Some(&b"new"[..]));
    Ok(())
}
