//! Questions to a state, as data: what to find, in which order, how much at a time.
//!
//! A [`Query`] is built from [`label`], [`prop`] and their kind, or read from its one serde form; it runs on any
//! [`Snapshot`](super::Snapshot). What it finds is what [`nodes`](super::Snapshot::nodes) or
//! [`edges`](super::Snapshot::edges) show and the predicate holds for, no more and no less: an index only says where to
//! look.
//!
//! Invariants
//!  Q1  The answer does not depend on the plan: what an index cannot decide is decided on the entity.
//!  Q2  Without an order of its own an answer ascends by id. Pages are its parts: together they are the whole.
//!  Q3  A cursor goes on where its page ended, in the state and with the query that it was made for, or is refused.
//!  Q4  What comes from outside nests at most [`PREDICATE_DEPTH_MAX`] deep.
//!
//! Used by: callers of `repo`. Threads: queries and streams are `Send`; a stream holds its own snapshot.

pub(super) mod count;
mod display;
mod error;
mod explain;
mod form;
mod group;
mod ids;
mod in_order;
mod order;
mod page;
mod plan;
mod predicate;
#[expect(clippy::module_inception, reason = "the thing that the folder is named after")]
mod query;
mod reach;
mod run;
mod steps;
mod subject;
mod two;
mod valid;
mod violations;
mod walk;
mod walk_form;

pub use error::QueryError;
pub use explain::{Action, Does, Explanation};
pub use group::{Group, Grouping, Groups};
pub use order::OrderBy;
pub use page::{Cursor, Page};
pub use predicate::{PREDICATE_DEPTH_MAX, Predicate, Prop, edge_type, from, label, prop, to};
pub use query::{PAGE_SIZE_MAX, Query};
pub use reach::Via;
pub use run::Found;
pub use steps::{End, Path, Step, Steps};
pub use subject::Subject;
pub use two::{Two, query_two};
pub use valid::{VALID_FROM, VALID_TO, ended_by, valid_at};
pub use violations::{Violation, Violations};
pub use walk::{FollowedTypes, Walk};
