//! Why a repository could not answer or change.

use super::moment::Moment;
use super::query::QueryError;
use super::reach::ReachError;
use super::revision::RevisionError;
use super::vectors::VectorError;
use crate::cid::Cid;
use crate::codec::DecodeError;
use crate::id::{CommitId, EdgeId, EntityId, NodeId, OperationId};
use crate::key::ConflictKey;
use crate::object::{ObjectError, Time};
use crate::port::{CollectorError, Fault, HeadsError, StoreError};
use crate::tree::TreeError;
use crate::value::{Value, ValueError};

/// Why a repository could not answer or change. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepoError {
    /// Nothing was recorded in this namespace yet.
    #[error("namespace {namespace} holds no repository; make one with `init`")]
    NoRepository {
        /// The namespace.
        namespace: String,
    },
    /// There is one already.
    #[error("namespace {namespace} holds a repository already; open it")]
    Exists {
        /// The namespace.
        namespace: String,
    },
    /// The repository was made by a newer version.
    #[error("the repository needs {needs}, which this version does not know; use a newer one")]
    Newer {
        /// What is not known.
        needs: String,
    },
    /// Not a revision.
    #[error("`{spec}` is {why}")]
    Revision {
        /// What was given.
        spec: String,
        /// What is wrong with it.
        #[source]
        why: RevisionError,
    },
    /// No name, and no start of an id.
    #[error("nothing is named `{spec}`")]
    Unknown {
        /// What was asked for.
        spec: String,
        /// Names that look like it.
        similar: Vec<String>,
    },
    /// Several ids start so.
    #[error("`{spec}` may be any of {}", .candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        spec: String,
        /// All that it may be, or the first of them.
        candidates: Vec<String>,
    },
    /// A step of a revision leads nowhere.
    #[error("`{spec}` leads back beyond the first commit")]
    BeforeTheFirst {
        /// What was asked for.
        spec: String,
    },
    /// A commit has fewer parents.
    #[error("`{spec}`: the commit has {parents} parents, not {number}")]
    NoParent {
        /// What was asked for.
        spec: String,
        /// Which parent.
        number: u32,
        /// How many there are.
        parents: usize,
    },
    /// No commit had been made by then, or the name was not there yet.
    #[error("`{spec}`: nothing is as old as {moment}")]
    NothingBy {
        /// What was asked for.
        spec: String,
        /// The moment.
        moment: Moment,
    },
    /// There is no such node or edge in this state.
    #[error("there is no {kind} {id} in this state", kind = kind_of(.id), id = .id)]
    NoSuchEntity {
        /// Which.
        id: EntityId,
    },
    /// Something is there already under this id, and an import says otherwise of it.
    #[error("{kind} {id} is there already, in another version", kind = kind_of(.id), id = .id)]
    Differs {
        /// Which.
        id: EntityId,
    },
    /// Whoever listened to long work stopped it.
    #[error("stopped; nothing is recorded of it that was not before")]
    Stopped,
    /// An edge needs both of its ends.
    #[error("edge {edge} needs node {node}, which is not there")]
    MissingEnd {
        /// The edge.
        edge: EdgeId,
        /// The end that is missing.
        node: NodeId,
    },
    /// Ids are used once.
    #[error("there is a {kind} {id} already", kind = kind_of(.id), id = .id)]
    Taken {
        /// Which.
        id: EntityId,
    },
    /// A version of one thing cannot be put in the place of another.
    #[error("a version of {kind} {found} cannot be that of {id}", kind = kind_of(.found))]
    OtherId {
        /// What it was to be a version of.
        id: EntityId,
        /// What it is a version of.
        found: EntityId,
    },
    /// Sides of a merge disagree on it: settle that first.
    #[error("{kind} {id} is in conflict; settle it with `resolve`, or remove it", kind = kind_of(.id), id = .id)]
    InConflict {
        /// Which.
        id: EntityId,
    },
    /// Somebody changed what this change rests on.
    #[error("{kind} {id} is not as it was seen", kind = kind_of(.id), id = .id)]
    Changed {
        /// Which.
        id: EntityId,
        /// The version that was seen.
        expected: Option<Cid>,
        /// The version that is there.
        found: Option<Cid>,
    },
    /// A value would be at two nodes that the schema wants at one at most.
    #[error("`{property}` is unique, and {value} would be at nodes {} and {}", .nodes[0], .nodes[1])]
    NotUnique {
        /// The property.
        property: String,
        /// The value, or an element of the list that is the value.
        value: Value,
        /// The nodes.
        nodes: [NodeId; 2],
    },
    /// A branch or tag of this name exists.
    #[error("there is a {kind} `{name}` already")]
    NameTaken {
        /// `branch` or `tag`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A branch or tag is not where it was expected.
    #[error("{kind} `{name}` {}", where_it_is(.found))]
    NameMoved {
        /// `branch` or `tag`.
        kind: &'static str,
        /// The name.
        name: String,
        /// Where it is: nowhere, or at several commits while sides disagree.
        found: Vec<CommitId>,
    },
    /// No branch or tag can have this name.
    #[error("`{name}` cannot be a name: {why}")]
    BadName {
        /// The name.
        name: String,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// A time lies too far ahead to be true.
    #[error("a time of {ahead_us} microseconds ahead is not believed")]
    TimeTooFarAhead {
        /// How far.
        ahead_us: i64,
    },
    /// A parent claims to be the last that there can be.
    #[error("a parent claims the highest generation there is; nothing can follow it")]
    GenerationsExhausted,
    /// What was asked for is not kept any more.
    #[error("{what} {cid} is not kept any more; nothing is kept before {horizon}")]
    Pruned {
        /// `commit` or `operation`.
        what: &'static str,
        /// The first one that is missing on the way back.
        cid: Cid,
        /// The time of the oldest one that is kept on that way.
        horizon: Time,
    },
    /// An operation cannot be taken back.
    #[error("operation {operation} cannot be taken back: {why}")]
    NotUndoable {
        /// The operation.
        operation: OperationId,
        /// Why not.
        why: &'static str,
    },
    /// A feed cannot be taken up from there.
    #[error("not a token of this feed: {why}")]
    BadToken {
        /// Why not.
        why: &'static str,
    },
    /// There is nothing to settle there.
    #[error("{key} is not in conflict, or not in this field")]
    NotInConflict {
        /// What was to be settled.
        key: ConflictKey,
    },
    /// A conflict of heads that were read as one has no side that is ours.
    #[error(
        "no side of {key} is ours or theirs: nobody merged it; settle it with a value, keep or remove it"
    )]
    NoSides {
        /// What was to be settled.
        key: ConflictKey,
    },
    /// A merge can be picked or taken back along one of its parents only.
    #[error("commit {commit} has {parents} parents; say along which one, counted from one")]
    NeedsMainline {
        /// The commit.
        commit: CommitId,
        /// How many there are.
        parents: usize,
    },
    /// A property cannot be counted on or appended to.
    #[error("property `{property}` is no {wanted}, or cannot grow any more")]
    CannotGrow {
        /// The property.
        property: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// The past can be read, not changed.
    #[error("this shows the names as operation {operation} left them; nothing can be changed there")]
    Past {
        /// The operation.
        operation: OperationId,
    },
    /// A fork cannot be kept that began at an older state than the branch was at: it would take back what came after.
    #[error("the fork began at an older state of {branch} than the branch was at, and cannot be kept")]
    ForkOfThePast {
        /// The branch.
        branch: String,
    },
    /// What was given is no value, name or property.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// What was given is no vector of the model.
    #[error(transparent)]
    Vector(#[from] VectorError),
    /// A question has no answer as it stands.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// An object that was to be written breaks a rule of its kind.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// A block does not hold what its place says.
    #[error("{what} {cid} is damaged: {why}")]
    Damaged {
        /// What should be there.
        what: &'static str,
        /// The block.
        cid: Cid,
        /// What is wrong with it.
        #[source]
        why: DecodeError,
    },
    /// A tree could not be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A walk over all that is kept met what should not be: check the store.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Two histories whose trees are cut by different parameters.
    #[error("heads with different tree parameters cannot be read as one")]
    IncompatibleTrees,
    /// Others changed the repository each time that this change was tried.
    #[error("gave way to other writers {attempts} times; try again")]
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
}

fn where_it_is(found: &[CommitId]) -> String {
    let ids: Vec<String> = found.iter().map(ToString::to_string).collect();
    if ids.is_empty() { "is not there".to_owned() } else { format!("is at {}", ids.join(" or ")) }
}

const fn kind_of(id: &EntityId) -> &'static str {
    match id {
        EntityId::Node(_) => "node",
        EntityId::Edge(_) => "edge",
    }
}

impl From<HeadsError> for RepoError {
    fn from(why: HeadsError) -> RepoError {
        RepoError::Store(why.into())
    }
}

impl From<CollectorError> for RepoError {
    fn from(why: CollectorError) -> RepoError {
        RepoError::Store(match why {
            CollectorError::Fault(fault) => fault.into(),
            _ => StoreError::Stale,
        })
    }
}

/// An index holds a key that none of its makers makes.
pub(super) fn damaged_key() -> RepoError {
    RepoError::Store(StoreError::Fault(Fault::Corrupt {
        what: "an index",
        at: "a key that is none".to_owned(),
    }))
}
