//! S7: listing what exists, in order and in bounded memory.

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::blocks::all;
use super::lab::Lab;
use super::sample::{block, blocks, of_class};
use super::suite::Checked;
use super::threads::{Pace, Stop, beside};
use crate::{Block, Cid, CidClass};

/// Held by the checks that measure memory, or need much of it: they must not meet in one process.
pub(super) fn measure_alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // A check that failed leaves nothing behind that could disturb the next.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn of_all_classes(count: usize) -> Vec<Block> {
    (0..count).map(|at| of_class(CidClass::ALL[at % 4], format!("class {at}").into_bytes())).collect()
}

fn sorted_cids(blocks: &[Block]) -> Vec<Cid> {
    let mut cids: Vec<Cid> = blocks.iter().map(|block| *block.cid()).collect();
    cids.sort_unstable();
    cids
}

pub(super) fn s7_scan_ascends_and_gives_each_cid_once(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    assert!(all(&*store)?.is_empty(), "an empty store lists nothing");
    let stored = of_all_classes(700);
    store.put_many(&stored)?;
    store.put_many(&stored[100..200])?;
    assert_eq!(all(&*store)?, sorted_cids(&stored));
    let snapshot = store.snapshot()?;
    assert_eq!(snapshot.scan(None)?.collect::<Result<Vec<_>, _>>()?, sorted_cids(&stored), "in a snapshot");
    // A stream is owned: it goes on when the handle that made it is gone.
    let mut stream = store.scan(None)?;
    let first = stream.next().transpose()?;
    drop((snapshot, store));
    let rest = stream.collect::<Result<Vec<_>, _>>()?;
    assert_eq!((first, rest.len()), (sorted_cids(&stored).first().copied(), 699));
    Ok(())
}

pub(super) fn s7_scan_goes_on_after_any_cid(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let stored = of_all_classes(300);
    store.put_many(&stored)?;
    let cids = sorted_cids(&stored);
    let absent = sorted_cids(&blocks("absent", 40));
    for after in cids.iter().step_by(7).chain(&absent).chain([&Cid::MIN, &cids[299]]) {
        let found = store.scan(Some(*after))?.collect::<Result<Vec<_>, _>>()?;
        let expected: Vec<Cid> = cids.iter().filter(|cid| *cid > after).copied().collect();
        assert_eq!(found, expected, "after {after}");
    }
    Ok(())
}

pub(super) fn s7_scan_beside_writers_misses_nothing_that_stays(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let (stays, goes) = (blocks("stays", 600), blocks("goes", 200));
    store.put_many(&stays)?;
    store.put_many(&goes)?;
    let expected = sorted_cids(&stays);
    let pace = Pace::default();
    let writer = |stop: &Stop| {
        let mut number = 0;
        while stop.goes_on() {
            store.put(&block("comes", number))?;
            if number.is_multiple_of(8) {
                let cycle = store.begin_cycle()?;
                let gone = goes[number / 8 % goes.len()].cid();
                store.delete_if_untouched(&cycle, &[*gone])?;
            }
            number += 1;
            pace.tick();
        }
        Ok(())
    };
    beside(vec![Box::new(writer)], |stop| {
        for _ in 0..6 {
            let found = all(&*store)?;
            assert!(found.is_sorted_by(|a, b| a < b), "out of order, or twice");
            let missed = expected.iter().filter(|cid| found.binary_search(cid).is_err()).count();
            assert_eq!(missed, 0, "blocks that stayed were not listed");
            pace.keep(0, stop);
        }
        Ok(())
    })
}

/// Many scans that stand still after their first CID: if each held the whole list, that would be seen.
pub(super) fn s7_scan_needs_memory_that_does_not_grow_with_the_store(lab: &dyn Lab) -> Checked {
    const BLOCKS: usize = 6_000;
    const SCANS: usize = 1_000;
    const BYTES_EACH_MAX: usize = 100 << 10; // the whole list has 33 bytes for each block: 193 KiB
    let _alone = measure_alone();
    let store = lab.open()?;
    for piece in blocks("many", BLOCKS).chunks(1000) {
        store.put_many(piece)?;
    }
    let first = store.scan(None)?.next().transpose()?;
    let Some(before) = resident_bytes() else {
        println!("memory cannot be measured on this system");
        return Ok(());
    };
    let mut scans = Vec::with_capacity(SCANS);
    for _ in 0..SCANS {
        let mut scan = store.scan(None)?;
        assert_eq!(scan.next().transpose()?, first);
        scans.push(scan);
    }
    let grown = resident_bytes().unwrap_or(before).saturating_sub(before);
    assert!(grown < SCANS * BYTES_EACH_MAX, "{SCANS} scans of {BLOCKS} blocks need {grown} bytes");
    Ok(())
}

/// Memory of this process, where the system tells.
fn resident_bytes() -> Option<usize> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()? << 10)
}
