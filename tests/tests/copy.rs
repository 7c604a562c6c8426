//! Moving between backends, over all pairs of them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use mnem::object::{Object as _, Operation, OperationKind, Time, Unknown};
use mnem::port::{BlockReadExt as _, HeadsUpdate, Namespace, Swap, WriteBatch};
use mnem::testing::{Lab, labs};
use mnem::{
    ActorId, Block, Cid, Codec, CopyError, Error, OperationId, Progress, SessionId, Store, copy, quiet,
};

fn main_heads() -> Namespace {
    Namespace::default()
}

fn blocks(series: &str, count: usize) -> Vec<Block> {
    (0..count).map(|at| Block::new(Codec::Raw, format!("{series} {at}").into_bytes())).collect()
}

/// An operation that follows `parents`; `view` makes it differ from others.
fn operation(parents: &[OperationId], generation: u64, view: &Block) -> Block {
    let mut parents = parents.to_vec();
    parents.sort_unstable();
    let operation = Operation {
        parents,
        generation,
        kind: OperationKind::Commit,
        details: Unknown::default(),
        actor: ActorId::SYSTEM,
        session: SessionId::SYSTEM,
        time: Time::from_micros(1).unwrap(),
        view: *view.cid(),
        unknown: Unknown::default(),
    };
    operation.to_block().unwrap()
}

/// Commits an operation with a block of its own and returns it.
fn work(store: &dyn Store, what: &str, old: &[OperationId], generation: u64) -> OperationId {
    let view = Block::new(Codec::Raw, what.as_bytes().to_vec());
    let block = operation(old, generation, &view);
    let id = OperationId::new(*block.cid());
    let snapshot = store.snapshot().unwrap();
    let heads = HeadsUpdate::advance(main_heads(), old, id);
    let batch = WriteBatch { blocks: &[view, block], heads: &heads, rows: &[] };
    assert_eq!(store.commit(snapshot.lease(), &batch).unwrap(), Swap::Done);
    id
}

fn cids(store: &dyn Store) -> Vec<Cid> {
    store.scan(None).unwrap().collect::<Result<_, _>>().unwrap()
}

#[track_caller]
fn assert_same(a: &dyn Store, b: &dyn Store) {
    assert_eq!(cids(a), cids(b));
    assert_eq!(a.namespaces().unwrap(), b.namespaces().unwrap());
    for namespace in a.namespaces().unwrap() {
        assert_eq!(a.heads(&namespace).unwrap(), b.heads(&namespace).unwrap(), "{namespace}");
    }
    for cid in cids(a) {
        assert_eq!(a.require(&cid).unwrap(), b.require(&cid).unwrap());
    }
}

/// Runs `check` on every pair of backends, each with a fresh source and a fresh destination.
fn each_pair(check: impl Fn(&dyn Lab, &dyn Lab)) {
    for src in labs() {
        for dst in labs() {
            // A lab goes with its store; the source of the next pair is another one.
            let fresh = labs().into_iter().find(|lab| lab.name() == src.name()).unwrap();
            println!("from {} to {}", fresh.name(), dst.name());
            check(&*fresh, &*dst);
        }
    }
}

/// Two namespaces, several heads in one of them, shared blocks, garbage, and the empty block.
fn fill(store: &dyn Store) {
    let first = work(store, "first", &[], 1);
    work(store, "left", &[first], 2);
    work(store, "right", &[first], 2);
    store.put_many(&blocks("loose", 150)).unwrap();
    store.put(&Block::new(Codec::Raw, Vec::new())).unwrap();
    let side = HeadsUpdate::advance(Namespace::new("side").unwrap(), &[], first);
    assert_eq!(store.update(&side).unwrap(), Swap::Done);
    assert_eq!(store.heads(&main_heads()).unwrap().len(), 2);
}

#[test]
fn copy_has_the_same_blocks_and_heads_and_lasts() {
    each_pair(|src, dst| {
        let (src, copied) = (src.open().unwrap(), dst.open().unwrap());
        fill(&*src);
        let report = copy(&*src, &*copied, &mut quiet).unwrap();
        assert_eq!((report.blocks, report.namespaces), (cids(&*src).len() as u64, 2));
        assert_eq!(report.written, report.blocks);
        assert_same(&*src, &*copied);
        drop(copied);
        assert_same(&*src, &*dst.open().unwrap());
    });
}

#[test]
fn second_copy_writes_nothing_and_a_later_one_only_what_is_new() {
    each_pair(|src, dst| {
        let (src, dst) = (src.open().unwrap(), dst.open().unwrap());
        fill(&*src);
        copy(&*src, &*dst, &mut quiet).unwrap();
        let again = copy(&*src, &*dst, &mut quiet).unwrap();
        assert_eq!((again.written, again.written_bytes), (0, 0));
        let old = src.heads(&main_heads()).unwrap();
        work(&*src, "more", &old, 3);
        assert_eq!(copy(&*src, &*dst, &mut quiet).unwrap().written, 2);
        assert_same(&*src, &*dst);
    });
}

#[test]
fn copy_that_was_stopped_goes_on_where_it_was() {
    each_pair(|src, dst| {
        let (src, dst) = (src.open().unwrap(), dst.open().unwrap());
        fill(&*src);
        let total = cids(&*src).len() as u64;
        let mut written = 0;
        let mut stops = 0;
        for steps in 1.. {
            let mut left = steps;
            let mut listener = |_: &Progress| {
                left -= 1;
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let before = cids(&*dst).len() as u64;
            let result = copy(&*src, &*dst, &mut listener);
            written += cids(&*dst).len() as u64 - before;
            match result {
                Err(CopyError::Stopped) => stops += 1,
                Ok(report) => {
                    assert_eq!(report.blocks, total);
                    break;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(stops > 3, "stopped only {stops} times");
        assert_eq!(written, total, "each block was written once");
        assert_same(&*src, &*dst);
    });
}

#[test]
fn stopped_copy_has_moved_no_head() {
    let labs = labs();
    let (src, dst) = (labs[0].open().unwrap(), labs[1].open().unwrap());
    fill(&*src);
    let mut stop = |progress: &Progress| {
        assert_eq!((progress.step, progress.total), ("blocks", None));
        ControlFlow::Break(())
    };
    assert!(matches!(copy(&*src, &*dst, &mut stop), Err(CopyError::Stopped)));
    assert!(dst.namespaces().unwrap().is_empty());
}

#[test]
fn copy_beside_a_writer_is_complete_for_the_heads_it_took() {
    each_pair(|src, dst| {
        let (src, dst) = (src.open().unwrap(), dst.open().unwrap());
        src.put_many(&blocks("bulk", 300)).unwrap();
        let first = work(&*src, "step 0", &[], 1);
        let done = AtomicBool::new(false);
        let history = thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut history = vec![first];
                while history.len() < 20 || (!done.load(Ordering::Relaxed) && history.len() < 400) {
                    // A store in memory would outrun any copy.
                    thread::sleep(Duration::from_millis(1));
                    let at = history.len();
                    let next = work(&*src, &format!("step {at}"), &history[at - 1..], at as u64 + 1);
                    history.push(next);
                }
                history
            });
            for _ in 0..3 {
                copy(&*src, &*dst, &mut quiet).unwrap();
                let heads = dst.heads(&main_heads()).unwrap();
                assert_eq!(heads.len(), 1, "one of the heads that the source had");
                let mut next = heads.first().copied();
                while let Some(id) = next {
                    let operation = Operation::from_block(&dst.require(id.cid()).unwrap()).unwrap();
                    dst.require(&operation.view).unwrap();
                    next = operation.parents.first().copied();
                }
            }
            done.store(true, Ordering::Relaxed);
            writer.join().unwrap()
        });
        assert!(history.contains(&dst.heads(&main_heads()).unwrap()[0]));
        copy(&*src, &*dst, &mut quiet).unwrap();
        assert_same(&*src, &*dst);
    });
}

#[test]
fn work_of_the_destination_is_never_dropped() {
    each_pair(|src, dst| {
        let (src, dst) = (src.open().unwrap(), dst.open().unwrap());
        let first = work(&*src, "first", &[], 1);
        copy(&*src, &*dst, &mut quiet).unwrap();
        work(&*src, "there", &[first], 2);
        let own = work(&*dst, "here", &[first], 2);
        let before = cids(&*dst);
        match copy(&*src, &*dst, &mut quiet) {
            Err(CopyError::Diverged { namespace, head }) => {
                assert_eq!((namespace, head), (main_heads(), own));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(dst.heads(&main_heads()).unwrap(), [own]);
        assert_eq!(cids(&*dst), before, "found before anything was copied");
        // Knowing the other's operation is not descending from it.
        src.put(&dst.require(own.cid()).unwrap()).unwrap();
        assert!(matches!(copy(&*src, &*dst, &mut quiet), Err(CopyError::Diverged { .. })));
        // Once it is merged, it is an ancestor.
        let both = [src.heads(&main_heads()).unwrap(), vec![own]].concat();
        work(&*src, "merged", &both, 3);
        copy(&*src, &*dst, &mut quiet).unwrap();
        assert_eq!(dst.heads(&main_heads()).unwrap(), src.heads(&main_heads()).unwrap());
    });
}

#[test]
fn collection_of_the_destination_takes_nothing_from_a_copy() {
    each_pair(|src, dst| {
        let (src, dst) = (src.open().unwrap(), dst.open().unwrap());
        fill(&*src);
        // Left by a copy that was cut short: nothing holds it but the copy that goes on.
        dst.put_many(&blocks("loose", 150)).unwrap();
        let cycle = Arc::new(std::sync::Mutex::new(None));
        let mut collect = |progress: &Progress| {
            if progress.step == "heads" {
                let cycle = cycle.lock().unwrap().take().unwrap_or_else(|| dst.begin_cycle().unwrap());
                let deleted = dst.delete_if_untouched(&cycle, &cids(&*dst)).unwrap();
                assert_eq!(deleted.blocks, 0, "a copy holds all that it has put");
            }
            ControlFlow::Continue(())
        };
        *cycle.lock().unwrap() = Some(dst.begin_cycle().unwrap());
        copy(&*src, &*dst, &mut collect).unwrap();
        assert_same(&*src, &*dst);
    });
}

#[test]
fn errors_have_words_for_programs() {
    assert_eq!(Error::from(CopyError::Stopped).code(), "stopped");
}
