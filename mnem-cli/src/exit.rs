//! How the shell hears what became of a command: the one home of exit codes.

use std::process::ExitCode;

/// What became of a command. Whatever has no number of its own is a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Not done.
    Failure = 1,
    /// The command line cannot be understood.
    Usage = 2,
    /// Done, and conflicts are left to settle.
    Conflicts = 3,
    /// Stored bytes are damaged.
    Damage = 4,
    /// There is no repository.
    NoRepository = 10,
    /// Somebody else has the repository, and waiting was in vain.
    Locked = 11,
    /// What was named is not there.
    NotFound = 12,
}

/// What each code means, for the help.
pub(crate) const MEANINGS: &str = "\
Exit codes:
  0 done           1 failure            2 bad usage       3 conflicts are left
  4 damage found   10 no repository     11 locked         12 not found
  130 interrupted; what was reported as done stays done";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}
