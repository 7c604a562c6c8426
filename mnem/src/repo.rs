//! Repositories by URL, with the system's clock and randomness.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use mnem_core::Time;
use mnem_core::repo::{Clock, Options, Randomness, Repo};

use crate::error::Error;
use crate::store;

/// Opens the repository that is there. Creates nothing. A store in memory holds none: use [`init`].
pub fn open(url: &str) -> Result<Repo, Error> {
    Ok(Repo::open(store::open(url)?, system_options())?)
}

/// Makes a repository where nothing is yet, and opens it.
pub fn init(url: &str) -> Result<Repo, Error> {
    Ok(Repo::init(store::init(url)?, system_options())?)
}

/// Opens the repository that is there, or makes it.
pub fn open_or_init(url: &str) -> Result<Repo, Error> {
    Ok(Repo::open_or_init(store::open_or_init(url)?, system_options())?)
}

/// Returns options with the system's clock and randomness, for `Repo`'s own ways to open.
pub fn system_options() -> Options {
    Options::new(Arc::new(SystemClock), Arc::new(SystemRandomness))
}

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let micros = i64::try_from(since_1970.as_micros()).ok();
        micros.and_then(Time::from_micros).unwrap_or(Time::MAX)
    }
}

struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        // Ids that repeat would pass one thing for another: better no program than that.
        getrandom::fill(bytes).expect("the system gives randomness");
    }
}
