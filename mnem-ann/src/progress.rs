//! How far something has come that takes long, and whether it should go on.

use std::ops::ControlFlow;

use crate::error::SearchError;

/// How many steps are done between two reports.
const STEPS: u64 = 1024;

/// How far something has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// So many are done.
    pub done: u64,
    /// Of so many.
    pub total: u64,
}

/// Is told how far it has come, and says whether to go on.
pub type Watch<'a> = dyn FnMut(Progress) -> ControlFlow<()> + 'a;

/// Does not look, and lets everything go on.
pub fn unwatched(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Counts steps and reports some of them.
pub(crate) struct Watched<'a> {
    watch: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
    done: u64,
}

impl<'a> Watched<'a> {
    pub(crate) fn new(watch: &'a mut dyn FnMut(Progress) -> ControlFlow<()>) -> Watched<'a> {
        Watched { watch, done: 0 }
    }

    /// One more of `total` is done.
    pub(crate) fn step(&mut self, total: u64) -> Result<(), SearchError> {
        self.done += 1;
        if !self.done.is_multiple_of(STEPS) && self.done != total {
            return Ok(());
        }
        match (self.watch)(Progress { done: self.done, total }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(SearchError::Cancelled),
        }
    }
}
