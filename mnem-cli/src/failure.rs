//! What goes wrong: a stable word for programs, a sentence for people, and what to do next.

use std::error::Error as _;
use std::io;

use mnem::backup::BackupError;
use mnem::port::{Fault, OpenError, StoreError};
use mnem::{BadUrl, Error, Moment, RepoError, SyncError};

use crate::exit::Exit;

/// Why a command was not done.
#[derive(Debug)]
pub(crate) struct Failure {
    /// A stable word for programs.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// What lies behind it, outermost first.
    pub(crate) causes: Vec<String>,
    pub(crate) hint: Option<String>,
    /// What may have been meant.
    pub(crate) candidates: Vec<String>,
    pub(crate) exit: Exit,
    broken_pipe: bool,
}

impl Failure {
    /// Makes one without a hint.
    pub(crate) fn new(code: &'static str, exit: Exit, message: impl Into<String>) -> Failure {
        Failure {
            code,
            message: message.into(),
            causes: Vec::new(),
            hint: None,
            candidates: Vec::new(),
            exit,
            broken_pipe: false,
        }
    }

    /// Adds what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what may have been meant.
    pub(crate) fn candidates(mut self, candidates: Vec<String>) -> Failure {
        self.candidates = candidates;
        self
    }

    /// Says that what was written cannot be understood.
    pub(crate) fn bad_word(message: impl Into<String>) -> Failure {
        Failure::new("usage", Exit::Usage, message)
    }

    /// Says what the parser of the command line says.
    pub(crate) fn usage(error: &clap::Error) -> Failure {
        let text = error.render().to_string();
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let message = lines.next().unwrap_or("bad usage").trim_start_matches("error: ").to_owned();
        let hint = lines.find_map(|line| line.strip_prefix("tip: ")).map(str::to_owned);
        Failure::bad_word(message).hint(hint.unwrap_or_else(|| "see `mnem help`".to_owned()))
    }

    /// Says that a file could not be read or written.
    pub(crate) fn file(action: &str, path: &std::path::Path, error: &io::Error) -> Failure {
        let mut failure = Failure::new("io", Exit::Failure, format!("cannot {action} {}", path.display()));
        failure.causes.push(error.to_string());
        failure
    }

    /// Says whether nobody reads the output any more.
    pub(crate) const fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }
}

impl From<io::Error> for Failure {
    /// Of writing output; other files name their place: [`Failure::file`].
    fn from(error: io::Error) -> Failure {
        let mut failure = Failure::new("io", Exit::Failure, format!("cannot write the output: {error}"));
        failure.broken_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        failure
    }
}

impl From<RepoError> for Failure {
    fn from(error: RepoError) -> Failure {
        Error::from(error).into()
    }
}

impl From<mnem::value::ValueError> for Failure {
    fn from(error: mnem::value::ValueError) -> Failure {
        Error::from(error).into()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let code = error.code();
        let mut failure = Failure::new(code, exit_of(code), error.to_string());
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // Wrappers that say what they wrap would say it twice.
            if !failure.message.contains(&text) {
                failure.causes.push(text);
            }
            source = cause.source();
        }
        failure.hint = hint(&error);
        match error {
            Error::Repo(RepoError::Unknown { similar, .. }) => failure.candidates = similar,
            Error::Repo(RepoError::Ambiguous { spec, candidates }) => {
                failure.message = format!("`{spec}` may be any of {}", candidates.len());
                failure.candidates = candidates;
            }
            _ => {}
        }
        failure
    }
}

fn exit_of(code: &str) -> Exit {
    match code {
        "missing" | "not-a-store" | "no-repository" => Exit::NoRepository,
        "locked" => Exit::Locked,
        "unknown" | "no-such-entity" | "nothing-there" => Exit::NotFound,
        "corrupt" | "absent" => Exit::Damage,
        "bad-url" | "bad-revision" | "value" | "bad-name" => Exit::Usage,
        _ => Exit::Failure,
    }
}

/// Says what to do next, in words of the command line.
fn hint(error: &Error) -> Option<String> {
    let hint = match error {
        Error::Url(BadUrl::NoKind { .. } | BadUrl::UnknownKind { .. } | BadUrl::NoPath { .. }) => {
            "write -R KIND:PATH, or -R PATH of a repository that is there"
        }
        Error::Open(OpenError::Missing { .. }) => "make a repository with `mnem init`, or name one with -R",
        Error::Open(OpenError::Exists { .. }) | Error::Repo(RepoError::Exists { .. }) => {
            "it can be used as it is: `mnem status`"
        }
        Error::Open(OpenError::NewerFormat { .. }) | Error::Repo(RepoError::Newer { .. }) => {
            "install a newer mnem; the store was not touched"
        }
        Error::Open(OpenError::Locked { .. } | OpenError::Fault(Fault::Locked { .. })) => {
            "try again when it is closed there, or wait longer: --wait 60"
        }
        Error::Repo(RepoError::NoRepository { .. }) => "make a repository with `mnem init`",
        Error::Repo(RepoError::Revision { .. }) => {
            "a revision is a branch, a tag or the id of a commit, then steps: main~2, v1^2, '*2026-11-01'"
        }
        Error::Repo(RepoError::Unknown { spec, similar }) => {
            return Some(match similar.first() {
                _ if Moment::parse(spec).is_some() => format!("a moment is written with a star: '*{spec}'"),
                Some(name) => format!("did you mean {name}?"),
                None => "`mnem branch`, `mnem tag` and `mnem log` list what there is".to_owned(),
            });
        }
        Error::Repo(RepoError::NothingBy { .. } | RepoError::BeforeTheFirst { .. }) => {
            "the history begins later: see `mnem log`"
        }
        Error::Repo(RepoError::Ambiguous { .. }) => "add digits",
        Error::Repo(RepoError::NoSuchEntity { .. }) => {
            "it may be on another branch, or in another state: see `mnem log`"
        }
        Error::Repo(RepoError::NameTaken { .. }) => "choose another name",
        Error::Repo(RepoError::TimeTooFarAhead { .. }) => {
            "commits follow their parents in time: leave --time out, or name a later one"
        }
        Error::Repo(RepoError::InConflict { .. }) => {
            "`mnem conflicts` shows what the sides say, `mnem resolve` settles it"
        }
        Error::Repo(RepoError::NotInConflict { .. } | RepoError::NoSides { .. }) => {
            "`mnem conflicts` lists what is in conflict, and in which fields"
        }
        Error::Repo(RepoError::NeedsMainline { .. }) => "say which parent: --mainline 1",
        Error::Sync(error) => return sync_hint(error).map(str::to_owned),
        Error::Store(StoreError::Fault(fault)) | Error::Repo(RepoError::Store(StoreError::Fault(fault))) => {
            return fault_hint(fault).map(str::to_owned);
        }
        Error::Open(OpenError::Fault(fault)) => return fault_hint(fault).map(str::to_owned),
        Error::Backup(error) => return backup_hint(error).map(str::to_owned),
        _ => return None,
    };
    Some(hint.to_owned())
}

const fn backup_hint(error: &BackupError) -> Option<&'static str> {
    Some(match error {
        BackupError::Store(StoreError::Fault(fault)) => return fault_hint(fault),
        BackupError::Damaged { .. } | BackupError::ParentMissing { .. } => {
            "`mnem backup FOLDER --list` names earlier ones: restore with --backup NUMBER; nothing was written"
        }
        BackupError::NotABackup { .. } | BackupError::Unknown { .. } => {
            "name a folder that `mnem backup` wrote; `mnem backup FOLDER --list` shows what is in it"
        }
        BackupError::NewerFormat { .. } => "install a newer mnem; nothing was written",
        BackupError::Exists { .. } => "name a folder that is new or empty",
        BackupError::Locked { .. } => "try again when the other is done",
        BackupError::Unsuitable { .. } => "name another place",
        _ => return None,
    })
}

const fn sync_hint(error: &SyncError) -> Option<&'static str> {
    match error {
        SyncError::NotFastForward { .. } => {
            Some("take over what is there first: `mnem pull`, then push again; --force leaves it behind")
        }
        SyncError::Repo(RepoError::Exists { .. }) => {
            Some("clone to a new folder, or take over what is new: `mnem fetch`")
        }
        SyncError::TagTaken { .. } => Some("--force moves it there"),
        SyncError::IncompatibleTrees => Some("carry states over as lines: `mnem export`, `mnem import`"),
        SyncError::Incomplete { .. } => Some("nothing moved; check the other side: `mnem fsck`"),
        SyncError::Untrue { .. } | SyncError::Archive(_) => {
            Some("nothing moved; get it again from where it was made")
        }
        SyncError::ErasedThere { .. } => Some("--take-erasures erases it here too"),
        SyncError::ErasedHere { .. } => Some("--give-erasures erases it there too"),
        SyncError::NothingNew => Some("leave --without out, or name an older state there"),
        SyncError::NotOurs { .. } => Some("`mnem export --car` writes such archives"),
        _ => None,
    }
}

const fn fault_hint(fault: &Fault) -> Option<&'static str> {
    match fault {
        Fault::Full { .. } => Some("make room and run the command again; nothing of it was recorded"),
        Fault::Poisoned { .. } => Some("run the command again: opening the store finds out what was kept"),
        Fault::Corrupt { .. } => {
            Some("`mnem doctor` says what is damaged; `mnem repair FOLDER` saves the rest to a new place")
        }
        _ => None,
    }
}
