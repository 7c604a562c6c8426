//! Counts the steps of what takes long, and tells some of them.

use std::ops::ControlFlow;

use mnem_core::progress::{Listener, Progress};

use crate::error::SearchError;

/// How many steps are done between two reports.
const STEPS: u64 = 1024;

/// Counts steps and reports some of them.
pub(crate) struct Watched<'a> {
    listener: &'a mut Listener<'a>,
    step: &'static str,
    done: u64,
}

impl<'a> Watched<'a> {
    pub(crate) fn new(step: &'static str, listener: &'a mut Listener<'a>) -> Watched<'a> {
        Watched { listener, step, done: 0 }
    }

    /// One more of `total` is done, and it took a while.
    pub(crate) fn step_of(&mut self, total: u64) -> Result<(), SearchError> {
        self.done += 1;
        self.tell(total)
    }

    /// One more of `total` is done.
    pub(crate) fn step(&mut self, total: u64) -> Result<(), SearchError> {
        self.done += 1;
        if !self.done.is_multiple_of(STEPS) && self.done != total {
            return Ok(());
        }
        self.tell(total)
    }

    fn tell(&mut self, total: u64) -> Result<(), SearchError> {
        match (self.listener)(&Progress::new(self.step, self.done, Some(total))) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(SearchError::Cancelled),
        }
    }
}
