//! mnem: git for what a program knows.
//!
//! Facts are recorded in transactions. A commit is one atomic, durable step; every state that ever was can be read like
//! the present one.
//!
//! ```
//! use mnem::{Actor, props};
//!
//! let repo = mnem::open_or_init("memory:")?; // or simple:PATH, redb:PATH
//! let mut tx = repo.begin(&Actor::named("curator"))?;
//! let ada = tx.add_node("Person", props! { name: "Ada", born: 1815 })?;
//! let engine = tx.add_node("Machine", props! { name: "Engine" })?;
//! tx.add_edge(ada, "described", engine, props! { year: 1843 })?;
//! let now = tx.commit("What Ada worked on")?; // durable and visible when it returns
//! for edge in now.edges_out(ada, "described")? {
//!     assert_eq!(now.require(edge?.dst)?.get::<&str>("name")?, "Engine");
//! }
//! # Ok::<(), mnem::Error>(())
//! ```
//!
//! * [`open`], [`init`], [`open_or_init`]: from a URL to a [`Repo`]. It opens states and moves names; a [`Snapshot`] reads
//!   one state, a [`Transaction`] makes a commit. Others may commit meanwhile, in this process or, on backends that
//!   allow it, in another: the work of both stays, and what they disagree on is a conflict that can be read and settled.
//! * [`query`]: questions as values: predicates, pages, counts, groups, walks; an index answers where one is kept.
//! * [`ann`] (feature `ann`, on unless switched off): search by nearness at any commit: [`Vectors`], [`Top`].
//! * [`store`]: the stores below, by URL; [`copy`](copy()) takes everything from one into another, of whichever kinds.
//! * [`backup`]: one moment of a store, kept elsewhere, whole or what changed since the last one; and a store made of it.
//! * [`check`](check()): looks at everything in a store, says what is wrong and what that touches, and mends what can be.
//! * [`native`]: what only the native engine has: a doctor, and repair.
//! * [`share`]: [`clone`], [`fetch`], [`push`], [`pull`] between repositories of any kinds; archives are written by
//!   `Repo::export_archive` and read by `Repo::import_archive` and `Repo::from_archive`.
//! * [`testing`] (feature `testing`): the conformance suite for backends, and `each_backend` for your own tests.
//! * [`port`]: what a backend promises, by number.

pub mod backup;
pub mod copy;
mod error;
#[cfg(feature = "native")]
pub mod native;
mod repo;
pub mod share;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod threads;
mod url;

pub use copy::{Copied, CopyError, copy};
pub use error::Error;
#[cfg(feature = "ann")]
pub use mnem_ann::{self as ann, Hits, SearchError, Top, Vectors};
pub use mnem_core::progress::{Listener, Progress, quiet};
pub use mnem_core::props;
pub use mnem_core::repo::query::{self, Query, QueryError, Walk, edge_type, label, prop};
pub use mnem_core::repo::{
    Actor, Blame, ChangedVector, Delta, Deltas, Differ, Ends, Field, Fork, History, IntoMoment, IntoRevision,
    ModelVectors, Moment, Options, Repo, RepoError, Revision, Snapshot, Transaction, VectorDiff, VectorError,
    Version, Writer,
};
pub use mnem_core::repo::{
    Affected, CheckLevel, CheckOptions, CheckReport, Checked, Finding, Flaw, Part, Place, Repair, check,
};
pub use mnem_core::repo::{Archive, Exported, Fetch, Origin, Push, SyncError, Synced};
pub use mnem_core::repo::{Automatic, Collected, KEPT_DAYS, KEPT_OPERATIONS, Reason, Retention};
pub use mnem_core::repo::{
    Change, ChangeKind, Changed, Counts, Diff, DiffStat, Event, Expected, Feed, FeedToken, Log, Moved,
    NameChange, Only, OpLog, Recorded, RefKind, Scope, Turn, Watch,
};
pub use mnem_core::repo::{Commits, Import, ImportOptions, ImportReport, Present};
pub use mnem_core::repo::{Conflict, Disputed, FastForward, MergeReport, Resolve};
pub use mnem_core::{
    ActorId, BLOCK_BYTES_MAX, Block, Blockstore, ChangeId, Cid, CidClass, CidError, CidMismatch, Codec,
    Collector, CommitId, EdgeId, EntityId, HashAlgorithm, NodeId, OpHeadsStore, OperationId, RepoId,
    SessionId, SideTable, Store, Time, codec, exchange, memory, object, port, tree, value,
};
pub use repo::{init, open, open_or_init, system_options};
pub use share::{clone, fetch, pull, push};
pub use threads::Threads;
pub use url::{BadUrl, StoreUrl};
