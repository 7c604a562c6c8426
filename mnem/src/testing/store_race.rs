//! T1, T2 and T4 beside writers.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::lab::{Lab, LabExt};
use super::sample::{TABLE, block, head, namespace, parent, update};
use super::store::row;
use super::suite::Checked;
use super::threads::{Job, Pace, Stop, beside};
use crate::codec::links;
use crate::error::Error;
use crate::port::{BlockRead, BlockReadExt, HeadsUpdate, Namespace, Swap, WriteBatch};
use crate::{Block, OperationId, Store};

/// Step `number` of a history: two parts, and a head that links to both.
fn step(number: usize) -> [Block; 3] {
    let parts = [block("left", number), block("right", number)];
    let top = parent("top", number, &[*parts[0].cid(), *parts[1].cid()]);
    let [left, right] = parts;
    [left, right, top]
}

fn commit_step(store: &dyn Store, number: usize, old: &[OperationId]) -> Checked {
    let blocks = step(number);
    let snapshot = store.snapshot()?;
    let heads = HeadsUpdate::advance(Namespace::default(), old, head(&blocks[2]));
    let rows = [row("newest", &number.to_string())];
    let batch = WriteBatch { blocks: &blocks, heads: &heads, rows: &rows };
    assert_eq!(store.commit(snapshot.lease(), &batch)?, Swap::Done);
    Ok(())
}

/// Asserts that the blocks of a head, and what it links to, are there.
fn assert_whole(store: &(impl BlockRead + ?Sized), id: &OperationId) -> Checked {
    let top = store.require(id.cid())?;
    for part in links(id.cid().codec(), top.bytes()).expect("made by this test") {
        store.require(&part)?;
    }
    Ok(())
}

pub(super) fn t1_no_reader_sees_half_a_commit(lab: &dyn Lab) -> Checked {
    const STEPS: usize = 120;
    let handles = lab.handles(3)?;
    commit_step(&*handles[0], 0, &[])?;
    let tops: Vec<OperationId> = (0..STEPS).map(|number| head(&step(number)[2])).collect();
    let pace = Pace::default();
    let newest = |heads: &[OperationId]| {
        heads.iter().filter_map(|id| tops.iter().position(|top| top == id)).max().expect("there is a head")
    };
    let reader = |store: &dyn Store, stop: &Stop| {
        while stop.goes_on() {
            // The row first: it shows with the heads or later, so the heads are at least as new.
            let row = store.row(TABLE, b"newest")?;
            let heads = store.heads(&Namespace::default())?;
            let row: Option<usize> = row.and_then(|row| std::str::from_utf8(&row).ok()?.parse().ok());
            assert!(row <= Some(newest(&heads)), "row {row:?} showed before its heads {}", newest(&heads));
            for id in &heads {
                assert_whole(store, id)?;
            }
            let snapshot = store.snapshot()?;
            let heads = snapshot.heads(&Namespace::default())?;
            assert!(!heads.is_empty());
            for id in &heads {
                assert_whole(&*snapshot, id)?;
            }
            pace.tick();
        }
        Ok(())
    };
    let reader = &reader;
    let readers: Vec<Job<'_>> = handles[1..]
        .iter()
        .map(|store| Box::new(move |stop: &Stop| reader(&**store, stop)) as Job<'_>)
        .collect();
    beside(readers, |stop| {
        for number in 1..STEPS {
            pace.keep(number, stop);
            commit_step(&*handles[0], number, &tops[number - 1..number])?;
        }
        Ok(())
    })
}

pub(super) fn t2_heads_have_their_blocks_beside_writers(lab: &dyn Lab) -> Checked {
    const WRITERS: usize = 3;
    const STEPS: usize = 40;
    let handles = lab.handles(WRITERS + 1)?;
    let write = |store: &dyn Store, writer: usize, stop: &Stop| {
        let mut old = Vec::new();
        for number in 0..STEPS {
            if !stop.goes_on() {
                return Ok(());
            }
            commit_step(store, writer * STEPS + number, &old)?;
            old = vec![head(&step(writer * STEPS + number)[2])];
        }
        Ok::<(), Error>(())
    };
    let write = &write;
    let done = &AtomicUsize::new(0);
    let writers: Vec<Job<'_>> = (0..WRITERS)
        .map(|writer| {
            let store = &handles[writer];
            Box::new(move |stop: &Stop| {
                let result = write(&**store, writer, stop);
                done.fetch_add(1, Ordering::Relaxed);
                result
            }) as Job<'_>
        })
        .collect();
    let store = &handles[WRITERS];
    beside(writers, |stop| {
        while done.load(Ordering::Relaxed) < WRITERS && stop.goes_on() {
            for id in store.heads(&Namespace::default())? {
                assert_whole(&**store, &id)?;
            }
        }
        Ok(())
    })?;
    let heads = store.heads(&Namespace::default())?;
    assert_eq!(heads.len(), WRITERS, "one head for each writer");
    heads.iter().try_for_each(|id| assert_whole(&**store, id))
}

/// Two namespaces that advance in turn: in any one moment the first is ahead by one step at most.
pub(super) fn t4_a_snapshot_shows_the_heads_of_one_moment(lab: &dyn Lab) -> Checked {
    const STEPS: usize = 80;
    let handles = lab.handles(2)?;
    let tops: Vec<Block> = (0..STEPS).map(|number| block("step", number)).collect();
    handles[0].put_many(&tops)?;
    let names = [namespace("leader"), namespace("follower")];
    let advance = |name: &Namespace, number: usize| -> Checked {
        let old: Vec<OperationId> = (number > 0).then(|| head(&tops[number - 1])).into_iter().collect();
        let update = HeadsUpdate::advance(name.clone(), &old, head(&tops[number]));
        assert_eq!(handles[0].update(&update)?, Swap::Done);
        Ok(())
    };
    for name in &names {
        advance(name, 0)?;
    }
    let pace = Pace::default();
    let reader = |stop: &Stop| {
        while stop.goes_on() {
            let snapshot = handles[1].snapshot()?;
            let mut newest = [0, 0];
            for (newest, name) in newest.iter_mut().zip(&names) {
                let heads = snapshot.heads(name)?;
                let positions =
                    heads.iter().filter_map(|id| tops.iter().position(|top| top.cid() == id.cid()));
                *newest = positions.max().expect("a snapshot shows heads");
                assert_eq!(snapshot.heads(name)?, heads, "the moment does not move");
            }
            let [leader, follower] = newest;
            assert!(leader == follower || leader == follower + 1, "leader {leader}, follower {follower}");
            pace.tick();
        }
        Ok(())
    };
    beside(vec![Box::new(reader)], |stop| {
        for number in 1..STEPS {
            pace.keep(number, stop);
            names.iter().try_for_each(|name| advance(name, number))?;
        }
        Ok(())
    })?;
    // Nothing but `main` is touched by a default update.
    assert!(handles[0].heads(&update(&[], &[]).namespace)?.is_empty());
    Ok(())
}
