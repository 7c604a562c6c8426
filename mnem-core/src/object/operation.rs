//! An operation: one step of the repository itself. Who moved which names.

use super::fields::{self, Broken, FieldReader, FieldWriter, Layout, rule, rule_unknown};
use super::{Time, Unknown, Word};
use crate::cid::Cid;
use crate::codec::{DecodeError, Malformed, Reader, Writer};
use crate::id::{ActorId, EntityId, OperationId, SessionId};

/// One step of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What it follows, ascending; several where operations ran side by side.
    pub parents: Vec<OperationId>,
    /// One more than the greatest of its parents; 1 without parents.
    pub generation: u64,
    /// What was done.
    pub kind: OperationKind,
    /// Further fields of the kind, of newer versions.
    pub details: Unknown,
    /// In whose name.
    pub actor: ActorId,
    /// In which run of which program.
    pub session: SessionId,
    /// When this store saw it.
    pub time: Time,
    /// All names as it left them.
    pub view: Cid,
    /// Fields of newer versions.
    pub unknown: Unknown,
}

/// What an operation did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationKind {
    /// Made the repository.
    Init,
    /// Moved a branch to a new commit.
    Commit,
    /// Made, moved or removed names.
    Refs,
    /// United operations that ran side by side.
    Merge,
    /// Put all names back as an operation left them.
    Restore {
        /// That operation.
        to: OperationId,
    },
    /// Took an operation back.
    Revert {
        /// That operation.
        of: OperationId,
    },
    /// Took back the last operation not yet undone.
    Undo {
        /// That operation.
        of: OperationId,
    },
    /// Took back an undo.
    Redo {
        /// That undo.
        of: OperationId,
    },
    /// Changed settings.
    Config,
    /// Took over what came from elsewhere.
    Import,
    /// Removed what nothing needs.
    Gc,
    /// Erased entities for good.
    Erase {
        /// Which, ascending.
        entities: Vec<EntityId>,
    },
    /// One that a newer version knows. All its fields are details.
    Other(Word),
}

impl OperationKind {
    /// Returns the kind of this name, if it has no fields of its own; one that is not known is
    /// [`Other`](Self::Other).
    pub fn from_name(name: &str) -> Option<OperationKind> {
        Some(match name {
            "init" => OperationKind::Init,
            "commit" => OperationKind::Commit,
            "refs" => OperationKind::Refs,
            "merge" => OperationKind::Merge,
            "config" => OperationKind::Config,
            "import" => OperationKind::Import,
            "gc" => OperationKind::Gc,
            "restore" | "revert" | "undo" | "redo" | "erase" => return None,
            other => OperationKind::Other(Word::new(other)),
        })
    }

    /// Returns the kind's name.
    pub fn name(&self) -> &str {
        match self {
            OperationKind::Init => "init",
            OperationKind::Commit => "commit",
            OperationKind::Refs => "refs",
            OperationKind::Merge => "merge",
            OperationKind::Restore { .. } => "restore",
            OperationKind::Revert { .. } => "revert",
            OperationKind::Undo { .. } => "undo",
            OperationKind::Redo { .. } => "redo",
            OperationKind::Config => "config",
            OperationKind::Import => "import",
            OperationKind::Gc => "gc",
            OperationKind::Erase { .. } => "erase",
            OperationKind::Other(word) => word.as_str(),
        }
    }

    const fn fields(&self) -> &'static [&'static str] {
        match self {
            OperationKind::Restore { .. } => &["name", "to"],
            OperationKind::Revert { .. } | OperationKind::Undo { .. } | OperationKind::Redo { .. } => {
                &["name", "of"]
            }
            OperationKind::Erase { .. } => &["name", "entities"],
            _ => &["name"],
        }
    }

    fn write(&self, details: &Unknown, writer: &mut Writer) {
        let mut out = FieldWriter::default();
        out.field("name", |w| w.text(self.name()));
        match self {
            OperationKind::Restore { to } => out.link("to", to.cid()),
            OperationKind::Revert { of } | OperationKind::Undo { of } | OperationKind::Redo { of } => {
                out.link("of", of.cid());
            }
            OperationKind::Erase { entities } => out.field("entities", |w| {
                w.list(entities.len());
                entities.iter().for_each(|entity| w.bytes(&entity.to_key()));
            }),
            _ => {}
        }
        out.finish(details, writer);
    }

    fn read(fields: &mut FieldReader<'_>) -> Result<(OperationKind, Unknown), DecodeError> {
        let operation = |r: &mut Reader<'_>| r.link().map(OperationId::new);
        let name = fields.required("name", Reader::text)?;
        let kind = match name {
            "restore" => OperationKind::Restore { to: fields.required("to", operation)? },
            "revert" => OperationKind::Revert { of: fields.required("of", operation)? },
            "undo" => OperationKind::Undo { of: fields.required("of", operation)? },
            "redo" => OperationKind::Redo { of: fields.required("of", operation)? },
            "erase" => {
                OperationKind::Erase { entities: fields.required("entities", |r| fields::list(r, entity))? }
            }
            name => OperationKind::from_name(name).expect("those with fields of their own are above"),
        };
        Ok((kind, fields.rest()))
    }
}

fn entity(reader: &mut Reader<'_>) -> Result<EntityId, DecodeError> {
    let refused = reader.error(Malformed::Expected { expected: "the key of a node or an edge" });
    EntityId::from_key(reader.bytes()?).ok_or(refused)
}

impl Layout for Operation {
    const KIND: &'static str = "operation";
    const FIELDS: &'static [&'static str] = &["parents", "gen", "kind", "actor", "session", "time", "view"];

    fn write(&self, out: &mut FieldWriter) {
        out.links("parents", self.parents.iter().map(OperationId::cid));
        out.uint("gen", self.generation);
        out.field("kind", |w| self.kind.write(&self.details, w));
        out.field("actor", |w| w.bytes(self.actor.as_bytes()));
        out.field("session", |w| w.bytes(self.session.as_bytes()));
        out.field("time", |w| w.int(self.time.micros()));
        out.link("view", &self.view);
    }

    fn read(fields: &mut FieldReader<'_>) -> Result<Operation, DecodeError> {
        let (kind, details) = fields.map("kind", OperationKind::read)?;
        Ok(Operation {
            parents: fields.required("parents", |r| fields::list(r, |r| r.link().map(OperationId::new)))?,
            generation: fields.required("gen", Reader::uint)?,
            kind,
            details,
            actor: fields.required("actor", fields::array).map(ActorId::from_bytes)?,
            session: fields.required("session", fields::array).map(SessionId::from_bytes)?,
            time: fields.required("time", fields::time)?,
            view: fields.link("view")?,
            unknown: fields.rest(),
        })
    }

    fn check(&self) -> Result<(), Broken> {
        rule(fields::ascends(&self.parents), "parents", "does not ascend")?;
        let first = self.parents.is_empty();
        rule(
            self.generation > 0 && (self.generation == 1) == first,
            "gen",
            "is one exactly without parents",
        )?;
        let ascends = match &self.kind {
            // By key: that is the order of the bytes.
            OperationKind::Erase { entities } => entities.is_sorted_by(|a, b| a.to_key() < b.to_key()),
            _ => true,
        };
        rule(ascends, "kind", "the erased entities do not ascend")?;
        rule_unknown(&self.details, self.kind.fields())
    }

    fn unknown(&self) -> &Unknown {
        &self.unknown
    }
}
