//! What a check found.

use std::fmt;

use bytes::Bytes;

use crate::cid::Cid;
use crate::id::{CommitId, EntityId};
use crate::port::Namespace;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Flaw {
    /// A block that must be there is not.
    Missing,
    /// The store cannot give the bytes that belong to the name.
    Unreadable,
    /// The block is not canonical, or not the object that belongs there.
    Object,
    /// A tree node breaks a rule, by itself or at its place.
    Tree,
    /// What a commit or operation says of its place in the history is not so.
    Ancestry,
    /// Something refers to what is not there.
    Closure,
    /// The map of conflicts and the maps that have them do not agree.
    Conflicts,
    /// An entry of a map is none that can be there.
    Entry,
    /// A set that only grows lost something.
    Shrunk,
    /// A derived row does not say what follows from the blocks.
    Stale,
    /// A derived row cannot be read.
    Torn,
}

impl Flaw {
    /// Returns the word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Flaw::Missing => "missing",
            Flaw::Unreadable => "unreadable",
            Flaw::Object => "object",
            Flaw::Tree => "tree",
            Flaw::Ancestry => "ancestry",
            Flaw::Closure => "closure",
            Flaw::Conflicts => "conflicts",
            Flaw::Entry => "entry",
            Flaw::Shrunk => "shrunk",
            Flaw::Stale => "stale",
            Flaw::Torn => "torn",
        }
    }
}

/// Which part of a repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Part {
    /// An operation.
    Operation,
    /// A view.
    View,
    /// The parameters.
    Params,
    /// Branches and tags.
    Refs,
    /// Names of other repositories.
    Remotes,
    /// Settings and names of actors.
    Config,
    /// Erased entities.
    Erased,
    /// Signatures.
    Sigs,
    /// A commit.
    Commit,
    /// The map of nodes, and nodes.
    Nodes,
    /// The map of edges, and edges.
    Edges,
    /// The set of erased entities of a commit.
    Tombs,
    /// The map of conflicts.
    Conflicts,
    /// The schema.
    Schema,
    /// The map of models.
    Models,
    /// The vectors of a model.
    Vectors,
    /// Large content of a node.
    Content,
    /// An index, by its definition.
    Index(String),
    /// Rows of the history of entities.
    History,
}

impl Part {
    /// Returns the word for it.
    pub const fn word(&self) -> &'static str {
        match self {
            Part::Operation => "operation",
            Part::View => "view",
            Part::Params => "params",
            Part::Refs => "refs",
            Part::Remotes => "remotes",
            Part::Config => "config",
            Part::Erased => "erased",
            Part::Sigs => "sigs",
            Part::Commit => "commit",
            Part::Nodes => "nodes",
            Part::Edges => "edges",
            Part::Tombs => "tombs",
            Part::Conflicts => "conflicts",
            Part::Schema => "schema",
            Part::Models => "models",
            Part::Vectors => "vectors",
            Part::Content => "content",
            Part::Index(_) => "index",
            Part::History => "history",
        }
    }

    /// Says whether it can be made again from the rest.
    pub const fn is_derived(&self) -> bool {
        matches!(self, Part::Index(_) | Part::History)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Index(definition) => write!(f, "index {definition}"),
            part => f.write_str(part.word()),
        }
    }
}

/// Where in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which repository of the store.
    pub namespace: Namespace,
    /// Which part.
    pub part: Part,
    /// The root of the tree, if it is one.
    pub root: Option<Cid>,
    /// Keys above this one; all if absent.
    pub after: Option<Bytes>,
    /// Keys up to this one; all if absent.
    pub last: Option<Bytes>,
}

/// Which entities are touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Affected {
    /// None.
    Nothing,
    /// This one.
    One(EntityId),
    /// All of one kind, `node` or `edge`, whose ids lie in the stretch of the place.
    Range {
        /// The kind.
        kind: &'static str,
        /// How many, if that is known.
        count: Option<u64>,
    },
}

/// What became of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Nothing was tried, or nothing can be.
    No,
    /// It was derived again from what is there.
    Rebuilt,
    /// The block came from the other store.
    Fetched,
    /// It was tried, and failed.
    Failed(String),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What is wrong.
    pub flaw: Flaw,
    /// What exactly.
    pub detail: String,
    /// Which block, if it is one.
    pub cid: Option<Cid>,
    /// Where it is.
    pub place: Place,
    /// Commits whose state it touches, oldest first: the first of them.
    pub commits: Vec<CommitId>,
    /// How many there are, as far as that was counted.
    pub commits_total: u64,
    /// Which nodes or edges it touches.
    pub affected: Affected,
    /// What became of it.
    pub repair: Repair,
}

impl Finding {
    /// Says whether it is only of what can be made again from the rest.
    pub const fn is_derived(&self) -> bool {
        self.place.part.is_derived()
    }

    /// Says whether it is mended.
    pub const fn is_repaired(&self) -> bool {
        matches!(self.repair, Repair::Rebuilt | Repair::Fetched)
    }

    /// Says what to do about it.
    pub const fn advice(&self) -> &'static str {
        match (&self.repair, self.flaw) {
            (Repair::Rebuilt | Repair::Fetched, _) => "nothing: it is mended",
            _ if self.is_derived() => "rebuild it: check again with repair",
            (_, Flaw::Missing | Flaw::Unreadable) => {
                "fetch it from another copy: check again with repair and a store that has it"
            }
            _ => "restore what it touches from another copy; what does not lead through it is intact",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place.part, self.detail)?;
        if let Some(cid) = &self.cid {
            write!(f, " ({cid})")?;
        }
        Ok(())
    }
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// Repositories.
    pub namespaces: u64,
    /// Operations.
    pub operations: u64,
    /// Commits.
    pub commits: u64,
    /// Blocks that were read.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows of side tables.
    pub rows: u64,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// What is wrong, as it was met.
    pub findings: Vec<Finding>,
    /// Findings that had no room.
    pub left_out: u64,
    /// How much was looked at.
    pub checked: Checked,
    /// Nobody ended the check before it had looked at everything.
    pub is_complete: bool,
}

impl CheckReport {
    /// Says whether everything was looked at and nothing is wrong, or nothing is any more.
    pub fn is_clean(&self) -> bool {
        self.is_complete && self.left_out == 0 && self.findings.iter().all(Finding::is_repaired)
    }
}
