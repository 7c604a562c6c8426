//! Why nothing was taken over.

use std::io;

use crate::cid::Cid;
use crate::exchange::CarError;
use crate::id::CommitId;
use crate::port::{CollectorError, HeadsError, SideError, StoreError};
use crate::repo::error::RepoError;
use crate::repo::reach::ReachError;
use crate::tree::TreeError;

/// Why a clone, fetch, push, export or import was not done. No name moved. Blocks that were moved by then stay until
/// they are collected: the same call, made again, finds them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The branch went another way over there: fetch, merge, and push again.
    #[error(
        "branch {branch} cannot be moved to {}: it {} there; fetch and merge first",
        .ours.short(),
        .theirs.map_or_else(|| "is in dispute".to_owned(), |theirs| format!("is at {}", theirs.short()))
    )]
    NotFastForward {
        /// The branch.
        branch: String,
        /// Where it was to be moved.
        ours: CommitId,
        /// Where it is.
        theirs: Option<CommitId>,
    },
    /// A tag stands elsewhere over there, and tags do not move by themselves.
    #[error("tag {tag} stands at another commit there already")]
    TagTaken {
        /// The tag.
        tag: String,
    },
    /// The two repositories cut their trees differently.
    #[error("the two repositories cut their trees by different parameters, and exchange none")]
    IncompatibleTrees,
    /// What was to be taken over lacks a block.
    #[error("block {cid}{} is not there", .from.map_or_else(String::new, |from| format!(", which {from} points to,")))]
    Incomplete {
        /// The block.
        cid: Cid,
        /// What points there.
        from: Option<Cid>,
    },
    /// A block is not what its place, or what it says of others, asks for.
    #[error("block {cid} is refused: {why}")]
    Untrue {
        /// The block.
        cid: Cid,
        /// What is wrong with it.
        why: String,
    },
    /// The other side has erased what this one has not.
    #[error(
        "{entities} entities were erased there and not here; take that over too, or leave the commits there"
    )]
    ErasedThere {
        /// How many.
        entities: usize,
    },
    /// This side has erased what the other has not.
    #[error(
        "{entities} entities were erased here and not there; give that over too, or keep the commits here"
    )]
    ErasedHere {
        /// How many.
        entities: usize,
    },
    /// The archive holds something else.
    #[error("the archive has {found}; it is to have a whole repository, or commits, as its roots")]
    NotOurs {
        /// What it has.
        found: &'static str,
    },
    /// All of it is left out.
    #[error("there is nothing to export: what is to be left out reaches all of it")]
    NothingNew,
    /// The archive could not be read.
    #[error(transparent)]
    Archive(#[from] CarError),
    /// The archive could not be written.
    #[error("cannot write the archive: {0}")]
    Write(#[source] io::Error),
    /// The listener asked for it.
    #[error("stopped as asked; the same call again goes on")]
    Stopped,
    /// One of the repositories could not answer or change.
    #[error(transparent)]
    Repo(RepoError),
}

/// What is missing has one name, whoever noticed.
impl From<RepoError> for SyncError {
    fn from(why: RepoError) -> SyncError {
        match why {
            RepoError::Store(StoreError::Absent { cid }) | RepoError::Tree(TreeError::Missing { cid }) => {
                SyncError::Incomplete { cid, from: None }
            }
            why => SyncError::Repo(why),
        }
    }
}

impl From<StoreError> for SyncError {
    fn from(why: StoreError) -> SyncError {
        RepoError::from(why).into()
    }
}

impl From<HeadsError> for SyncError {
    fn from(why: HeadsError) -> SyncError {
        RepoError::from(why).into()
    }
}

impl From<SideError> for SyncError {
    fn from(why: SideError) -> SyncError {
        RepoError::from(StoreError::from(why)).into()
    }
}

impl From<CollectorError> for SyncError {
    fn from(why: CollectorError) -> SyncError {
        RepoError::from(why).into()
    }
}

impl From<TreeError> for SyncError {
    fn from(why: TreeError) -> SyncError {
        RepoError::from(why).into()
    }
}

impl From<ReachError> for SyncError {
    fn from(why: ReachError) -> SyncError {
        match why {
            ReachError::Missing { cid, from, .. } => SyncError::Incomplete { cid, from },
            ReachError::Damaged { cid, why, .. } => SyncError::Untrue { cid, why: why.to_string() },
            ReachError::Store(why) => why.into(),
        }
    }
}
