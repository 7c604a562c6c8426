//! S1, T2 and C1 to C7 at once: collection beside writers and readers.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::lab::{Lab, LabExt};
use super::sample::{Random, block, blocks, commit, head, parent};
use super::suite::Checked;
use super::threads::{Job, Stop, beside};
use crate::codec::links;
use crate::error::Error;
use crate::port::{BlockRead, BlockReadExt, CollectorError, HeadsUpdate, Namespace, StoreError, Swap};
use crate::{Block, Cid, Store};

/// Returns everything that `roots` reach; what is missing is an error.
pub(super) fn reached(
    store: &(impl BlockRead + ?Sized),
    roots: impl IntoIterator<Item = Cid>,
) -> Result<BTreeSet<Cid>, StoreError> {
    let mut seen: BTreeSet<Cid> = roots.into_iter().collect();
    let mut next: Vec<Cid> = seen.iter().copied().collect();
    while let Some(cid) = next.pop() {
        let block = store.require(&cid)?;
        let found = links(cid.codec(), block.bytes()).expect("made by this test");
        next.extend(found.into_iter().filter(|link| seen.insert(*link)));
    }
    Ok(seen)
}

/// Takes all that no head and no lease reaches, as a collector does. A cycle that ended on the way took less.
fn collect(store: &dyn Store) -> Result<u64, Error> {
    let cycle = store.begin_cycle()?;
    let marked = reached(store, cycle.roots().iter().copied())?;
    let mut garbage = Vec::new();
    for cid in store.scan(None)? {
        let cid = cid?;
        if !marked.contains(&cid) {
            garbage.push(cid);
        }
    }
    // Tops link to parts, never the other way: parents go first.
    garbage.sort_by_key(|cid| std::cmp::Reverse(cid.codec()));
    let mut deleted = 0;
    for piece in garbage.chunks(50) {
        match store.delete_if_untouched(&cycle, piece) {
            Ok(piece) => deleted += piece.blocks,
            Err(CollectorError::Stale) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(deleted)
}

const PARTS: usize = 12;

/// One step of a writer: some parts that are there in some other version, some that are not, some put ahead.
fn write_step(store: &dyn Store, writer: usize, number: usize, random: &mut Random) -> Checked {
    let name = Namespace::new(&format!("writer-{writer}")).expect("a good name");
    let snapshot = store.snapshot()?;
    let old = snapshot.heads(&name)?;
    let parts: Vec<Block> = (0..4).map(|_| block("part", random.below(PARTS))).collect();
    store.put_leased(snapshot.lease(), &parts[..2])?;
    let mut children: Vec<Cid> = parts.iter().map(|part| *part.cid()).collect();
    // Sharing: a part of the version that this one replaces is linked again without being put again.
    for id in old.iter().chain(&snapshot.heads(&Namespace::new("writer-0").expect("a good name"))?) {
        let top = snapshot.require(id.cid())?;
        children.extend(links(id.cid().codec(), top.bytes()).expect("made by this test").first());
    }
    let top = parent(&format!("writer {writer}"), number, &children);
    let heads = HeadsUpdate::advance(name, &old, head(&top));
    let mut new = parts[2..].to_vec();
    new.push(top);
    match commit(store, snapshot.lease(), &new, &heads)? {
        Swap::Done => Ok(()),
        Swap::Moved => panic!("nothing was expected"),
    }
}

pub(super) fn t2_collection_beside_writers_takes_nothing_that_is_reached(lab: &dyn Lab) -> Checked {
    const WRITERS: usize = 2;
    const STEPS: usize = 60;
    let handles = lab.handles(WRITERS + 2)?;
    let written = &AtomicUsize::new(0);
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for (writer, store) in handles[..WRITERS].iter().enumerate() {
        jobs.push(Box::new(move |stop: &Stop| {
            let mut random = Random::new(writer as u64 + 1);
            for number in 0..STEPS {
                if !stop.goes_on() {
                    break;
                }
                write_step(&**store, writer, number, &mut random)?;
            }
            written.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }));
    }
    let reader = &handles[WRITERS];
    jobs.push(Box::new(move |stop: &Stop| {
        while stop.goes_on() {
            let snapshot = reader.snapshot()?;
            for name in reader.namespaces()? {
                reached(&*snapshot, snapshot.heads(&name)?.iter().map(|id| *id.cid()))?;
            }
        }
        Ok(())
    }));
    let store = &handles[WRITERS + 1];
    let mut deleted = 0;
    beside(jobs, |stop| {
        while written.load(Ordering::Relaxed) < WRITERS && stop.goes_on() {
            deleted += collect(&**store)?;
        }
        Ok(())
    })?;
    deleted += collect(&**store)?;
    assert!(deleted > 0, "there was nothing to collect: nothing was shown");
    let mut kept = BTreeSet::new();
    for name in store.namespaces()? {
        kept.extend(reached(&**store, store.heads(&name)?.iter().map(|id| *id.cid()))?);
    }
    let present: BTreeSet<Cid> = store.scan(None)?.collect::<Result<_, _>>()?;
    assert_eq!(present, kept, "after the last collection there is what heads reach, and nothing else");
    Ok(())
}

/// When the last put of a block that was acknowledged began, and when the last delete of it returned.
#[derive(Clone, Copy, Default)]
struct Times {
    put_began: u64,
    delete_returned: u64,
}

pub(super) fn s1_threads_that_put_read_and_delete_see_no_wrong_byte_and_lose_none(lab: &dyn Lab) -> Checked {
    const PUTTERS: usize = 4;
    const ROUNDS: usize = 60;
    let handles = lab.handles(PUTTERS + 3)?;
    let shared = &blocks("shared", 40);
    let clock = &AtomicU64::new(1);
    let now = || clock.fetch_add(1, Ordering::SeqCst);
    let times = &Mutex::new(vec![Times::default(); shared.len()]);
    let finished = &AtomicUsize::new(0);
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for (putter, store) in handles[..PUTTERS].iter().enumerate() {
        jobs.push(Box::new(move |stop: &Stop| {
            let mut random = Random::new(putter as u64 + 10);
            for _ in 0..ROUNDS {
                if !stop.goes_on() {
                    break;
                }
                let at = random.below(shared.len());
                let began = now();
                if random.below(2) == 0 {
                    store.put(&shared[at])?;
                } else {
                    store.put_many(&shared[at..=at])?;
                }
                let mut times = times.lock().expect("held for moments");
                times[at].put_began = times[at].put_began.max(began);
            }
            finished.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }));
    }
    for store in &handles[PUTTERS..PUTTERS + 2] {
        jobs.push(Box::new(move |stop: &Stop| {
            while stop.goes_on() {
                for block in shared {
                    let found = store.get(block.cid())?;
                    assert!(found.is_none() || found.as_ref() == Some(block), "a wrong byte");
                }
            }
            Ok(())
        }));
    }
    let store = &handles[PUTTERS + 2];
    beside(jobs, |stop| {
        let mut random = Random::new(99);
        while finished.load(Ordering::SeqCst) < PUTTERS && stop.goes_on() {
            let at = random.below(shared.len());
            let cycle = store.begin_cycle()?;
            store.delete_if_untouched(&cycle, &[*shared[at].cid()])?;
            let mut times = times.lock().expect("held for moments");
            times[at].delete_returned = now();
        }
        Ok(())
    })?;
    let times = times.lock().expect("all threads ended");
    for (times, block) in times.iter().zip(shared) {
        if times.put_began > times.delete_returned {
            assert_eq!(store.get(block.cid())?.as_ref(), Some(block), "put after the last delete, and gone");
        }
    }
    Ok(())
}
