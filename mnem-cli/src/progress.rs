//! Progress of long work: on stderr, if somebody sits there, after the first 300 ms; and how long it took.

use std::time::{Duration, Instant};

const QUIET_AT_FIRST: Duration = Duration::from_millis(300);
const EVERY: Duration = Duration::from_millis(100);

/// Counts items, and says from time to time how many.
pub(crate) struct Meter {
    what: &'static str,
    is_shown: bool,
    was_shown: bool,
    started: Instant,
    next: Instant,
    done: u64,
}

impl Meter {
    /// Starts to count. `is_shown`: whether anybody looks.
    pub(crate) fn start(what: &'static str, is_shown: bool) -> Meter {
        let started = Instant::now();
        Meter { what, is_shown, was_shown: false, started, next: started + QUIET_AT_FIRST, done: 0 }
    }

    /// Counts one item.
    pub(crate) fn count(&mut self) {
        self.done += 1;
        if !self.is_shown || !self.done.is_multiple_of(64) {
            return;
        }
        let now = Instant::now();
        if now >= self.next {
            self.next = now + EVERY;
            self.was_shown = true;
            eprint!("\r{} {}  {}/s ", self.what, self.done, self.per_second());
        }
    }

    /// Says how far a step is that counts by itself.
    pub(crate) fn show(&mut self, step: &str, done: u64, total: Option<u64>) {
        let now = Instant::now();
        if !self.is_shown || now < self.next {
            return;
        }
        self.next = now + EVERY;
        self.was_shown = true;
        match total {
            Some(total) => eprint!("\r\x1b[K{step} {done}/{total}"),
            None => eprint!("\r\x1b[K{step} {done}"),
        }
    }

    fn per_second(&self) -> u64 {
        let ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        self.done.saturating_mul(1000) / ms
    }

    /// Clears the line, and returns how long it took.
    pub(crate) fn end(&mut self) -> String {
        if self.was_shown {
            eprint!("\r\x1b[K");
            self.was_shown = false;
        }
        format!("in {:.1} s", self.started.elapsed().as_secs_f64())
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
