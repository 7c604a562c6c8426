//! A commit: one state of everything that is known, and where it came from.

use std::sync::Arc;

use super::fields::{self, Broken, FieldReader, FieldWriter, Layout, rule};
use super::{Time, Unknown};
use crate::cid::Cid;
use crate::codec::{DecodeError, Reader};
use crate::id::{ActorId, ChangeId, CommitId, SessionId};

/// One state, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The repository's parameters.
    pub params: Cid,
    /// What it follows, in order: the first is the line that it continues.
    pub parents: Vec<CommitId>,
    /// One more than the greatest of its parents; 1 without parents.
    pub generation: u64,
    /// Distance from the first commit along first parents.
    pub depth: u64,
    /// The ancestor at [`skip_depth`](super::skip_depth); present unless this is a first commit.
    pub skip: Option<Skip>,
    /// Stays the same when the commit is rewritten.
    pub change: ChangeId,
    /// In whose name it was made.
    pub actor: ActorId,
    /// In which run of which program.
    pub session: SessionId,
    /// Who wrote what it records, where that is somebody else.
    pub author: Option<Arc<str>>,
    /// When; later than its parents.
    pub time: Time,
    /// What it is about.
    pub message: Arc<str>,
    /// Root of the map from nodes to their versions.
    pub nodes: Cid,
    /// Root of the map from edges to their versions.
    pub edges: Cid,
    /// Root of the set of erased entities.
    pub tombs: Cid,
    /// Root of the map of what is in conflict.
    pub conflicts: Cid,
    /// Root of the map of schema entries.
    pub schema: Cid,
    /// Root of the map of vectors.
    pub vectors: Cid,
    /// Fields of newer versions.
    pub unknown: Unknown,
}

/// Where a commit's skip link leads. It is no part of what the commit needs to be complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skip {
    /// The ancestor.
    pub commit: CommitId,
    /// Its time: a search by time need not read it to pass it by.
    pub time: Time,
}

impl Layout for Commit {
    const KIND: &'static str = "commit";
    const FIELDS: &'static [&'static str] = &[
        "params",
        "parents",
        "gen",
        "depth",
        "skip",
        "skip_time",
        "change",
        "actor",
        "session",
        "author",
        "time",
        "message",
        "nodes",
        "edges",
        "tombs",
        "conflicts",
        "schema",
        "vectors",
    ];

    fn write(&self, out: &mut FieldWriter) {
        out.link("params", &self.params);
        out.links("parents", self.parents.iter().map(CommitId::cid));
        out.uint("gen", self.generation);
        out.uint("depth", self.depth);
        out.optional("skip", self.skip, |w, it| w.link(it.commit.cid()));
        out.optional("skip_time", self.skip, |w, it| w.int(it.time.micros()));
        out.field("change", |w| w.bytes(self.change.as_bytes()));
        out.field("actor", |w| w.bytes(self.actor.as_bytes()));
        out.field("session", |w| w.bytes(self.session.as_bytes()));
        out.optional("author", self.author.as_ref(), |w, it| w.text(it));
        out.field("time", |w| w.int(self.time.micros()));
        out.field("message", |w| w.text(&self.message));
        out.link("nodes", &self.nodes);
        out.link("edges", &self.edges);
        out.link("tombs", &self.tombs);
        out.link("conflicts", &self.conflicts);
        out.link("schema", &self.schema);
        out.link("vectors", &self.vectors);
    }

    fn read(fields: &mut FieldReader<'_>) -> Result<Commit, DecodeError> {
        Ok(Commit {
            params: fields.link("params")?,
            parents: fields.required("parents", |r| fields::list(r, |r| r.link().map(CommitId::new)))?,
            generation: fields.required("gen", Reader::uint)?,
            depth: fields.required("depth", Reader::uint)?,
            skip: read_skip(fields)?,
            change: fields.required("change", fields::array).map(ChangeId::from_bytes)?,
            actor: fields.required("actor", fields::array).map(ActorId::from_bytes)?,
            session: fields.required("session", fields::array).map(SessionId::from_bytes)?,
            author: fields.optional("author", fields::text)?,
            time: fields.required("time", fields::time)?,
            message: fields.required("message", fields::text)?,
            nodes: fields.link("nodes")?,
            edges: fields.link("edges")?,
            tombs: fields.link("tombs")?,
            conflicts: fields.link("conflicts")?,
            schema: fields.link("schema")?,
            vectors: fields.link("vectors")?,
            unknown: fields.rest(),
        })
    }

    fn check(&self) -> Result<(), Broken> {
        let first = self.parents.is_empty();
        let mut parents = self.parents.clone();
        parents.sort_unstable();
        rule(fields::ascends(&parents), "parents", "names a commit twice")?;
        rule((self.depth == 0) == first, "depth", "is zero exactly without parents")?;
        rule((self.generation == 1) == first, "gen", "is one exactly without parents")?;
        rule(self.generation > self.depth, "gen", "is not above the depth")?;
        rule(self.skip.is_none() == first, "skip", "is absent exactly without parents")?;
        rule(self.skip.is_none_or(|skip| skip.time < self.time), "skip_time", "is not before the commit")
    }

    fn unknown(&self) -> &Unknown {
        &self.unknown
    }
}

fn read_skip(fields: &mut FieldReader<'_>) -> Result<Option<Skip>, DecodeError> {
    let commit = fields.optional("skip", Reader::link)?.map(CommitId::new);
    let time = fields.optional("skip_time", fields::time)?;
    match (commit, time) {
        (Some(commit), Some(time)) => Ok(Some(Skip { commit, time })),
        (None, None) => Ok(None),
        _ => Err(fields.broken(&Broken { field: "skip_time", why: "stands beside `skip`, never alone" })),
    }
}
