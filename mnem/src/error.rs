//! What any call of mnem can fail with: one variant for each port, and one for each way to ask for the wrong thing.

use mnem_core::exchange::CarError;
use mnem_core::port::{CollectorError, Fault, HeadsError, OpenError, SideError, StoreError};
use mnem_core::repo::query::QueryError;
use mnem_core::repo::reach::ReachError;
use mnem_core::repo::{RepoError, SyncError};
use mnem_core::value::ValueError;

use crate::backup::BackupError;
use crate::copy::CopyError;
use crate::url::BadUrl;

/// Any failure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL names no store.
    #[error(transparent)]
    Url(#[from] BadUrl),
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Blocks could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Heads could not be read or changed.
    #[error(transparent)]
    Heads(#[from] HeadsError),
    /// Derived rows could not be read or written.
    #[error(transparent)]
    Side(#[from] SideError),
    /// A lease was not granted, or a collection could not go on.
    #[error(transparent)]
    Collector(#[from] CollectorError),
    /// The repository could not answer or change.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// What was given is no value, or a property is not what it was taken for.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// Nothing could be searched by nearness.
    #[cfg(feature = "ann")]
    #[error(transparent)]
    Search(mnem_ann::SearchError),
    /// A copy did not finish.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// A backup was not made, or not made a store of.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// A damaged store could not be repaired.
    #[cfg(feature = "native")]
    #[error(transparent)]
    Repair(#[from] crate::native::RepairError),
    /// Nothing was taken over from another repository, or given to it.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// A test of several backends failed on this one.
    #[cfg(feature = "testing")]
    #[error("on {backend}: {source}")]
    OnBackend {
        /// Which backend.
        backend: &'static str,
        /// How.
        source: Box<Error>,
    },
}

impl Error {
    /// Returns a stable word for programs to match on; the text is for people and may improve.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Url(_) => "bad-url",
            Error::Open(error) => open_code(error),
            Error::Store(error) => store_code(error),
            Error::Heads(error) => heads_code(error),
            Error::Side(SideError::Fault(fault)) => fault_code(fault),
            Error::Side(SideError::TooLarge { .. }) => "too-large",
            Error::Collector(CollectorError::Fault(fault)) => fault_code(fault),
            Error::Collector(CollectorError::Stale) => "stale",
            Error::Repo(error) => repo_code(error),
            Error::Value(_) => "value",
            #[cfg(feature = "ann")]
            Error::Search(error) => search_code(error),
            Error::Copy(CopyError::Store(error)) => store_code(error),
            Error::Copy(CopyError::Heads(error)) => heads_code(error),
            Error::Copy(CopyError::Stopped) => "stopped",
            Error::Copy(CopyError::Diverged { .. }) => "diverged",
            Error::Copy(CopyError::Contended { .. }) => "contended",
            Error::Backup(error) => backup_code(error),
            #[cfg(feature = "native")]
            Error::Repair(error) => repair_code(error),
            Error::Sync(error) => sync_code(error),
            #[cfg(feature = "testing")]
            Error::OnBackend { source, .. } => source.code(),
            // The ports' errors are open for more variants.
            _ => "other",
        }
    }
}

#[cfg(feature = "ann")]
impl From<mnem_ann::SearchError> for Error {
    fn from(error: mnem_ann::SearchError) -> Error {
        match error {
            mnem_ann::SearchError::Repo(error) => Error::Repo(error),
            error => Error::Search(error),
        }
    }
}

#[cfg(feature = "ann")]
fn search_code(error: &mnem_ann::SearchError) -> &'static str {
    use mnem_ann::SearchError;
    match error {
        SearchError::Cancelled => "stopped",
        SearchError::Repo(error) => repo_code(error),
        _ => "vector",
    }
}

fn open_code(error: &OpenError) -> &'static str {
    match error {
        OpenError::Missing { .. } => "missing",
        OpenError::NotAStore { .. } => "not-a-store",
        OpenError::Exists { .. } => "exists",
        OpenError::NotPermitted { .. } => "not-permitted",
        OpenError::OtherKind { .. } => "other-kind",
        OpenError::NewerFormat { .. } => "newer-format",
        OpenError::Locked { .. } => "locked",
        OpenError::Fault(fault) => fault_code(fault),
        _ => "other",
    }
}

fn sync_code(error: &SyncError) -> &'static str {
    match error {
        SyncError::NotFastForward { .. } => "not-fast-forward",
        SyncError::TagTaken { .. } => "taken",
        SyncError::IncompatibleTrees => "incompatible-trees",
        SyncError::Incomplete { .. } => "incomplete",
        SyncError::Untrue { .. } => "hostile",
        SyncError::ErasedThere { .. } | SyncError::ErasedHere { .. } => "erased",
        SyncError::NotOurs { .. } => "not-ours",
        SyncError::NothingNew => "nothing-new",
        SyncError::Archive(CarError::Io { .. }) | SyncError::Write(_) => "io",
        SyncError::Archive(_) => "bad-archive",
        SyncError::Stopped => "stopped",
        SyncError::Repo(error) => repo_code(error),
        _ => "other",
    }
}

fn repo_code(error: &RepoError) -> &'static str {
    match error {
        RepoError::NoRepository { .. } => "no-repository",
        RepoError::Exists { .. } => "exists",
        RepoError::Newer { .. } => "newer-format",
        RepoError::Revision { .. } => "bad-revision",
        RepoError::Unknown { .. } => "unknown",
        RepoError::Ambiguous { .. } => "ambiguous",
        RepoError::BeforeTheFirst { .. } | RepoError::NothingBy { .. } | RepoError::NoParent { .. } => {
            "nothing-there"
        }
        RepoError::Past { .. } => "read-only",
        RepoError::NotUndoable { .. } => "not-undoable",
        RepoError::BadToken { .. } => "bad-token",
        RepoError::NoSuchEntity { .. } => "no-such-entity",
        RepoError::MissingEnd { .. } => "missing-end",
        RepoError::Taken { .. } | RepoError::Differs { .. } | RepoError::NameTaken { .. } => "taken",
        RepoError::Stopped => "stopped",
        RepoError::InConflict { .. } => "in-conflict",
        RepoError::NotInConflict { .. } | RepoError::NoSides { .. } => "not-in-conflict",
        RepoError::NeedsMainline { .. } => "needs-mainline",
        RepoError::Changed { .. } | RepoError::NameMoved { .. } => "changed",
        RepoError::BadName { .. } => "bad-name",
        RepoError::TimeTooFarAhead { .. } => "time-too-far-ahead",
        RepoError::Pruned { .. } => "pruned",
        RepoError::Value(_) => "value",
        RepoError::Query(error) => query_code(error),
        RepoError::Vector(_) => "vector",
        RepoError::Damaged { .. } | RepoError::Tree(_) => "corrupt",
        RepoError::Reach(ReachError::Missing { .. }) => "absent",
        RepoError::Reach(ReachError::Store(error)) => store_code(error),
        RepoError::Reach(_) => "corrupt",
        RepoError::Store(error) => store_code(error),
        RepoError::Contended { .. } => "contended",
        _ => "other",
    }
}

fn query_code(error: &QueryError) -> &'static str {
    match error {
        QueryError::BadCursor
        | QueryError::CursorOfAnotherQuery
        | QueryError::CursorOfAnotherState { .. }
        | QueryError::StateGone { .. } => "bad-cursor",
        _ => "bad-query",
    }
}

fn store_code(error: &StoreError) -> &'static str {
    match error {
        StoreError::Fault(fault) => fault_code(fault),
        StoreError::Absent { .. } => "absent",
        StoreError::TooLarge { .. } => "too-large",
        StoreError::Stale => "stale",
        StoreError::Heads(error) => heads_code(error),
        _ => "other",
    }
}

fn heads_code(error: &HeadsError) -> &'static str {
    match error {
        HeadsError::Fault(fault) => fault_code(fault),
        HeadsError::Absent { .. } => "absent",
        HeadsError::WouldBeEmpty { .. } => "would-be-empty",
        _ => "other",
    }
}

#[cfg(feature = "native")]
fn repair_code(error: &crate::native::RepairError) -> &'static str {
    use crate::native::RepairError;
    match error {
        RepairError::Open(error) => open_code(error),
        RepairError::Store(error) => store_code(error),
        _ => "corrupt",
    }
}

fn backup_code(error: &BackupError) -> &'static str {
    match error {
        BackupError::Store(error) => store_code(error),
        BackupError::Heads(error) => heads_code(error),
        BackupError::Open(error) => open_code(error),
        BackupError::Io { .. } => "io",
        BackupError::Damaged { .. } => "corrupt",
        BackupError::NotABackup { .. } => "not-a-backup",
        BackupError::NewerFormat { .. } => "newer-format",
        BackupError::ParentMissing { .. } => "absent",
        BackupError::Unknown { .. } => "unknown",
        BackupError::Exists { .. } => "exists",
        BackupError::Locked { .. } => "locked",
        BackupError::Unsuitable { .. } => "unsuitable",
        BackupError::Stopped => "stopped",
    }
}

fn fault_code(fault: &Fault) -> &'static str {
    match fault {
        Fault::Corrupt { .. } => "corrupt",
        Fault::Io { .. } => "io",
        Fault::Full { .. } => "full",
        Fault::Locked { .. } => "locked",
        Fault::Poisoned { .. } => "poisoned",
        Fault::ReadOnly => "read-only",
        Fault::Unsupported { .. } => "unsupported",
        _ => "other",
    }
}
