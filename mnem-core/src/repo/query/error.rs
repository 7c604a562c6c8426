//! Why a question cannot be answered.

use super::predicate::PREDICATE_DEPTH_MAX;
use super::query::PAGE_SIZE_MAX;
use crate::id::CommitId;
use crate::value::ValueError;

/// A question that has no answer as it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The text is not that of a cursor. Start again without one.
    #[error("this is no cursor")]
    BadCursor,
    /// The cursor was made for another query.
    #[error("the cursor belongs to another query")]
    CursorOfAnotherQuery,
    /// The cursor was made for another state. [`Repo::at_cursor`](crate::repo::Repo::at_cursor) opens that one.
    #[error("the cursor belongs to commit {cursor}, not to this state")]
    CursorOfAnotherState {
        /// The commit that it was made for.
        cursor: CommitId,
        /// The commit that was asked.
        found: Option<CommitId>,
    },
    /// The state of a cursor is not kept any more, or is one of another repository. Start again without a cursor.
    #[error("the state of the cursor, commit {commit}, is not here")]
    StateGone {
        /// The commit that it was made for.
        commit: CommitId,
    },
    /// The upper bound lies below the lower one.
    #[error("no value of `{property}` lies from {lower} to {upper}: the range is upside down")]
    UpsideDown {
        /// The property.
        property: String,
        /// Its lower bound.
        lower: String,
        /// Its upper bound.
        upper: String,
    },
    /// Only values of one kind lie in a range; integers and floats are one kind.
    #[error("a range of `{property}` from {lower} to {upper} has no order")]
    NoOrder {
        /// The property.
        property: String,
        /// The kind of its lower bound.
        lower: &'static str,
        /// The kind of its upper bound.
        upper: &'static str,
    },
    /// The predicate speaks of something that what is asked for does not have.
    #[error("{what} is a question to {of}, not to {asked}")]
    NotAskable {
        /// What it speaks of.
        what: &'static str,
        /// What has it.
        of: &'static str,
        /// What is asked for.
        asked: &'static str,
    },
    /// And, or and not nest too deep.
    #[error("predicates nest at most {PREDICATE_DEPTH_MAX} deep")]
    TooDeep,
    /// A page holds something, and fits in memory.
    #[error("a page of {found}: it has 1 to {PAGE_SIZE_MAX} items")]
    PageSize {
        /// What was asked for.
        found: u64,
    },
    /// The form of a query is not this one.
    #[error("not a query: {expected} expected, where {found} is")]
    Form {
        /// What would have been right.
        expected: &'static str,
        /// What is there, cut short.
        found: String,
    },
    /// What was given to compare with is no value.
    #[error(transparent)]
    Value(#[from] ValueError),
}
