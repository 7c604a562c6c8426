//! The moment that a command is to have happened at, and randomness: what a repository needs from outside.

use std::sync::Arc;

use mnem::Options;
use mnem_core::Time;
use mnem_core::repo::{Clock, Moment};

use crate::failure::Failure;

/// A clock that stands still.
struct Standing(Time);

impl Clock for Standing {
    fn now(&self) -> Time {
        self.0
    }
}

/// Reads a moment that was written on the command line.
pub(crate) fn time(text: &str, zone_minutes: i16) -> Result<Time, Failure> {
    let moment = Moment::parse(text).and_then(|moment| Time::from_micros(moment.at_offset(zone_minutes)));
    moment.ok_or_else(|| {
        Failure::bad_word(format!("`{text}` is no moment"))
            .hint("write a date and, if it matters, a time: 2026-11-01, or '2026-11-01 09:00'")
    })
}

/// Returns what time it is.
pub(crate) fn now() -> Time {
    mnem::system_options().clock.now()
}

/// Returns options whose clock stands at `time`, if there is one.
pub(crate) fn options(time: Option<Time>) -> Options {
    let mut options = mnem::system_options();
    if let Some(time) = time {
        options.clock = Arc::new(Standing(time));
    }
    options
}
