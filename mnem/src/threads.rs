//! Work on several threads at once.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};

use mnem_core::tree::Executor;

/// Runs tasks on as many threads as there are processors, or as were asked for. Threads live as long as the tasks.
#[derive(Clone, Copy, Debug)]
pub struct Threads(usize);

impl Threads {
    /// Runs on one thread for each processor.
    pub fn new() -> Threads {
        Threads(std::thread::available_parallelism().map_or(1, NonZero::get))
    }

    /// Runs on so many threads.
    pub const fn of(width: NonZero<usize>) -> Threads {
        Threads(width.get())
    }
}

impl Default for Threads {
    fn default() -> Threads {
        Threads::new()
    }
}

impl Executor for Threads {
    fn run<'a>(&self, tasks: Vec<Box<dyn FnOnce() + Send + 'a>>) {
        let width = self.0.min(tasks.len());
        let tasks = Mutex::new(tasks);
        let work = || {
            loop {
                // Nothing panics while it is held.
                let next = tasks.lock().unwrap_or_else(PoisonError::into_inner).pop();
                match next {
                    Some(task) => task(),
                    None => return,
                }
            }
        };
        std::thread::scope(|scope| (0..width).for_each(|_| drop(scope.spawn(work))));
    }

    fn width(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn every_task_runs_once_before_it_returns() {
        for width in [1, 3] {
            let ran = AtomicUsize::new(0);
            let tasks = (0..10).map(|_| -> Box<dyn FnOnce() + Send + '_> {
                Box::new(|| {
                    ran.fetch_add(1, Ordering::Relaxed);
                })
            });
            Threads::of(NonZero::new(width).unwrap()).run(tasks.collect());
            assert_eq!(ran.load(Ordering::Relaxed), 10);
        }
    }
}
