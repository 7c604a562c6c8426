//! Threads that work beside each other and stop when one fails.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::suite::Checked;

/// Tells when the work is over.
pub(super) struct Stop(AtomicBool);

impl Stop {
    /// Says whether to go on.
    pub(super) fn goes_on(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }
}

/// How far readers have come: a fast writer waits for them, so that they see what lies between.
#[derive(Default)]
pub(super) struct Pace(AtomicUsize);

impl Pace {
    /// A reader has looked once more.
    pub(super) fn tick(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits, every tenth time, until somebody has looked since.
    pub(super) fn keep(&self, number: usize, stop: &Stop) {
        let before = self.0.load(Ordering::Relaxed);
        while number.is_multiple_of(10) && self.0.load(Ordering::Relaxed) == before && stop.goes_on() {
            thread::yield_now();
        }
    }
}

/// Work in a thread of its own.
pub(super) type Job<'a> = Box<dyn FnOnce(&Stop) -> Checked + Send + 'a>;

/// Runs `work` on this thread and `others` beside it until it ends, or one of them fails.
pub(super) fn beside(others: Vec<Job<'_>>, work: impl FnOnce(&Stop) -> Checked) -> Checked {
    let stop = Stop(AtomicBool::new(false));
    let guarded = |job: &mut dyn FnMut() -> Checked| {
        let result = catch_unwind(AssertUnwindSafe(job));
        if !matches!(result, Ok(Ok(()))) {
            stop.0.store(true, Ordering::Relaxed);
        }
        result
    };
    thread::scope(|scope| {
        let others: Vec<_> = others
            .into_iter()
            .map(|job| {
                let (stop, guarded) = (&stop, &guarded);
                let mut job = Some(job);
                scope.spawn(move || guarded(&mut || job.take().map_or(Ok(()), |job| job(stop))))
            })
            .collect();
        let mut work = Some(work);
        let own = guarded(&mut || work.take().map_or(Ok(()), |work| work(&stop)));
        stop.0.store(true, Ordering::Relaxed);
        let theirs: Vec<_> =
            others.into_iter().map(|thread| thread.join().and_then(|result| result)).collect();
        // What failed beside comes first: the work may have failed because of it.
        for result in theirs.into_iter().chain([own]) {
            result.unwrap_or_else(|panic| resume_unwind(panic))?;
        }
        Ok(())
    })
}

/// Runs all jobs at the same time, to their ends.
pub(super) fn together(jobs: Vec<Job<'_>>) -> Checked {
    let never = &Stop(AtomicBool::new(false));
    thread::scope(|scope| {
        let threads: Vec<_> = jobs.into_iter().map(|job| scope.spawn(move || job(never))).collect();
        let results: Vec<_> = threads.into_iter().map(thread::ScopedJoinHandle::join).collect();
        for result in results {
            result.unwrap_or_else(|panic| resume_unwind(panic))?;
        }
        Ok(())
    })
}
