//! Long work: how it says where it stands, and how it is stopped.

use std::fmt;
use std::ops::ControlFlow;

/// Where long work stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What is being done.
    pub step: &'static str,
    /// How many items of it are done.
    pub done: u64,
    /// How many there are, where that is known ahead.
    pub total: Option<u64>,
}

impl Progress {
    /// Says where work stands.
    pub const fn new(step: &'static str, done: u64, total: Option<u64>) -> Progress {
        Progress { step, done, total }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.total {
            Some(total) => write!(f, "{} {}/{total}", self.step, self.done),
            None => write!(f, "{} {}", self.step, self.done),
        }
    }
}

/// Hears of progress and may stop the work: nothing is lost, the next call goes on.
pub type Listener<'a> = dyn FnMut(&Progress) -> ControlFlow<()> + 'a;

/// Hears nothing and never stops.
pub fn quiet(_: &Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
