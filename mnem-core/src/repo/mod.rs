//! The repository: states, names, and how they change.
//!
//! [`Repo`] opens states and moves names, a [`Snapshot`] answers every question to one state, a [`Transaction`] makes a
//! commit. Reading writes nothing; a commit is one atomic step of the store.
//!
//! Used by: the facade. Threads: every handle is `Send`, and `Repo` and `Snapshot` are shared freely.

mod actors;
mod change;
mod check;
mod collect;
mod commit;
mod cover;
mod dag;
mod delta;
mod derived;
mod diff;
mod digits;
mod entity;
mod error;
mod feed;
mod fork;
mod handle;
mod history;
mod import;
mod index;
mod init;
mod log;
mod merge;
mod moment;
mod names;
mod newest;
mod operations;
mod options;
mod prefix;
mod put_back;
pub mod query;
pub mod reach;
mod read;
mod refs;
mod resolve;
mod revision;
mod schema;
mod settings;
mod share;
mod shared;
mod similar;
mod snapshot;
mod state;
mod transaction;
mod undo;
mod unite;
mod vectors;

pub use actors::ACTOR_NAME_BYTES_MAX;
pub use change::{Change, ChangeKind, Changed, Counts, DiffStat};
pub use check::{
    Affected, CheckLevel, CheckOptions, CheckReport, Checked, Finding, Flaw, Part, Place, Repair, check,
};
pub use collect::{Automatic, Collected, KEPT_DAYS, KEPT_OPERATIONS, Reason, Retention};
pub use delta::{Delta, Deltas, Differ, Ends, Field};
pub use derived::DerivedWriter;
pub use diff::{Diff, Only};
pub use entity::Entity;
pub use error::RepoError;
pub use feed::{Event, Feed, FeedToken, Turn, Watch};
pub use fork::Fork;
pub use handle::Repo;
pub use history::{Blame, History, Version, Writer};
pub use import::{Commits, Import, ImportOptions, ImportReport, Present};
pub use index::{DistinctValues, Hit, Hits, ValueRange, WordHit};
pub use log::Log;
pub use merge::fields::Disputed;
pub use moment::{IntoMoment, Moment};
pub use names::Expected;
pub use operations::{Moved, NameChange, OpLog, Recorded};
pub use options::{Actor, Clock, Options, Randomness};
pub use refs::{NAME_BYTES_MAX, RefKind};
pub use resolve::IntoRevision;
pub use revision::{Base, REVISION_BYTES_MAX, Revision, RevisionError, Step};
pub use schema::Schema;
pub use share::{Archive, Exported, Fetch, Origin, Push, SyncError, Synced};
pub use snapshot::{EdgeTypes, Edges, Entities, Labelled, Snapshot};
pub use transaction::{Conflict, FastForward, MergeReport, Resolve, Transaction};
pub use undo::Scope;
pub use vectors::{ChangedVector, ModelVectors, VectorDiff, VectorError};
