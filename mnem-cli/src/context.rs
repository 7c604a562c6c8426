//! What every command stands on: flags, settings, the repository, and where output goes.

use std::cell::OnceCell;
use std::thread;
use std::time::{Duration, Instant};

use mnem::port::{Fault, OpenError, StoreError};
use mnem::{Actor, Error, Options, Repo, RepoError};
use mnem_core::Time;

use crate::args::{Global, Write};
use crate::clock;
use crate::config::{self, Config};
use crate::failure::Failure;
use crate::output::Output;
use crate::place::Place;

/// How often a repository that is in use is tried.
const TRY_EVERY: Duration = Duration::from_millis(20);

/// Flags, settings, the repository, and where output goes.
pub(crate) struct Context<'a> {
    global: &'a Global,
    pub(crate) output: &'a mut Output,
    pub(crate) config: Config,
    pub(crate) zone_minutes: i16,
    place: OnceCell<Place>,
}

impl<'a> Context<'a> {
    /// Reads the settings. There need not be a repository.
    pub(crate) fn new(global: &'a Global, output: &'a mut Output) -> Result<Context<'a>, Failure> {
        let place = OnceCell::new();
        if let Ok(found) = Place::find(global.repo.as_deref()) {
            let _ = place.set(found);
        }
        let folder = place.get().and_then(|place: &Place| place.folder.as_deref());
        let config = Config::load(folder)?;
        if let Some(wait) = global.wait {
            config::check("wait", &wait.to_string())?;
        }
        let zone_minutes = config.zone_minutes()?;
        Ok(Context { global, output, config, zone_minutes, place })
    }

    /// Sends what follows through the pager, where there is one.
    pub(crate) fn page(&mut self) {
        let command = self.config.value("pager").map(str::to_owned);
        self.output.page(command.as_deref());
    }

    /// Returns what makes vectors: what was said, what is set, or what is built in.
    pub(crate) fn embedder<'s>(&'s self, said: Option<&'s str>) -> &'s str {
        said.or_else(|| self.config.value("embedder")).unwrap_or(mnem::ann::HashNgram::NAME)
    }

    /// Returns what was said of the repository, if anything was.
    pub(crate) fn repo_flag(&self) -> Option<&str> {
        self.global.repo.as_deref()
    }

    /// Returns where the repository is.
    pub(crate) fn place(&self) -> Result<&Place, Failure> {
        match self.place.get() {
            Some(place) => Ok(place),
            // The search that failed fails again, and now says why.
            None => Place::find(self.global.repo.as_deref()).map(|place| self.place.get_or_init(|| place)),
        }
    }

    /// Returns the branch that is worked on.
    pub(crate) fn branch(&self) -> Result<String, Failure> {
        if let Some(branch) = std::env::var("MNEM_BRANCH").ok().filter(|branch| !branch.is_empty()) {
            return Ok(branch);
        }
        Ok(self.place()?.branch()?.unwrap_or_else(|| Options::BRANCH.to_owned()))
    }

    /// Opens the repository to read it.
    pub(crate) fn open(&self) -> Result<Repo, Failure> {
        self.open_at(None)
    }

    /// Opens the repository to record something in it.
    pub(crate) fn open_to_write(&self, write: &Write) -> Result<(Repo, Actor), Failure> {
        let time = write.time.as_deref().map(|time| clock::time(time, self.zone_minutes)).transpose()?;
        let name = write.actor.clone().unwrap_or_else(|| self.config.actor());
        Ok((self.open_at(time)?, Actor::named(&name)))
    }

    fn open_at(&self, time: Option<Time>) -> Result<Repo, Failure> {
        let options = self.options(time)?;
        let url = &self.place()?.url;
        self.waiting(|| {
            let store = mnem::store::open(url)?;
            Ok(Repo::open(store, options.clone())?)
        })
    }

    /// Returns what to open a repository with.
    pub(crate) fn options(&self, time: Option<Time>) -> Result<Options, Failure> {
        Ok(Options { branch: self.branch()?, zone_minutes: self.zone_minutes, ..clock::options(time) })
    }

    /// Tries again and again while somebody else has the repository, as long as waiting was asked for.
    pub(crate) fn waiting<T>(&self, mut open: impl FnMut() -> Result<T, Error>) -> Result<T, Failure> {
        let wait_s = self.global.wait.map_or_else(|| self.config.wait_s(), Ok)?;
        let start = Instant::now();
        loop {
            match open() {
                Err(error) if is_locked(&error) => {
                    if start.elapsed().as_secs_f64() >= wait_s {
                        let failure = Failure::from(error);
                        return Err(failure.hint(format!("waited {wait_s} s; wait longer with --wait 60")));
                    }
                    thread::sleep(TRY_EVERY);
                }
                other => return Ok(other?),
            }
        }
    }
}

const fn is_locked(error: &Error) -> bool {
    matches!(
        error,
        Error::Open(OpenError::Locked { .. } | OpenError::Fault(Fault::Locked { .. }))
            | Error::Store(StoreError::Fault(Fault::Locked { .. }))
            | Error::Repo(RepoError::Store(StoreError::Fault(Fault::Locked { .. })))
    )
}
