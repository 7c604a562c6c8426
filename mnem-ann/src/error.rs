//! Why nothing could be searched.

use mnem_core::NodeId;
use mnem_core::port::StoreError;
use mnem_core::repo::RepoError;
use mnem_core::repo::query::QueryError;
use mnem_core::tree::TreeError;

/// What is wrong with numbers that should be a vector of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// There are as many as the model says, or they are none of its vectors.
    #[error("it has {found} numbers, not {expected}")]
    Dimension {
        /// As many as the model says.
        expected: u32,
        /// As many as there are.
        found: usize,
    },
    /// A number is infinite, or none at all.
    #[error("number {at} is not finite")]
    NotFinite {
        /// Which one, from zero.
        at: usize,
    },
    /// All zeros have no angle to anything.
    #[error("it is all zeros, which has no angle to others")]
    Zero,
}

/// Why nothing could be searched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// Nothing is agreed on this model in this state, or sides of a merge disagree: `declare` it.
    #[error("there is no model `{model}` in this state; declare it first")]
    NoSuchModel {
        /// Its name.
        model: String,
    },
    /// The model is near in a way that this version does not know.
    #[error("the model `{model}` is searched by `{metric}`, which this version does not know")]
    UnknownMetric {
        /// Its name.
        model: String,
        /// The way.
        metric: String,
    },
    /// The vector that was asked with is none of the model.
    #[error("what was asked with is no vector of `{model}`: {why}")]
    Question {
        /// The model.
        model: String,
        /// What is wrong.
        #[source]
        why: Unfit,
    },
    /// The vector of a node was written when the model was another one. Set it anew, or remove it.
    #[error("the vector of node {node} is none of `{model}` as it is now: {why}")]
    Node {
        /// The node.
        node: NodeId,
        /// The model.
        model: String,
        /// What is wrong.
        #[source]
        why: Unfit,
    },
    /// Whoever watched said to stop. Nothing was named; what was written is garbage for the collector.
    #[error("stopped, as was asked")]
    Cancelled,
    /// The state could not be read.
    #[error(transparent)]
    Repo(#[from] RepoError),
}

impl From<TreeError> for SearchError {
    fn from(why: TreeError) -> SearchError {
        SearchError::Repo(why.into())
    }
}

impl From<StoreError> for SearchError {
    fn from(why: StoreError) -> SearchError {
        SearchError::Repo(why.into())
    }
}

impl From<QueryError> for SearchError {
    fn from(why: QueryError) -> SearchError {
        SearchError::Repo(why.into())
    }
}
