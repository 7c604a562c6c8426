//! What a whole repository agrees on.

use std::sync::Arc;

use super::Unknown;
use super::fields::{self, Broken, FieldReader, FieldWriter, Layout, rule};
use crate::codec::{DecodeError, Reader, Writer};
use crate::id::RepoId;

/// Version of the objects, in the field `v`.
const VERSION: u64 = 1;

/// What every commit and view of a repository names by its CID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// The repository, through all its copies.
    pub repo: RepoId,
    /// How trees are cut.
    pub tree: TreeParams,
    /// Version of the merge rules. With an unknown one nothing is merged.
    pub merge: u64,
    /// What a program must know to open the repository, ascending.
    pub needs: Vec<Arc<str>>,
    /// What a program may ignore, ascending.
    pub may: Vec<Arc<str>>,
    /// Fields of newer versions.
    pub unknown: Unknown,
}

/// How trees are cut: with other parameters the same content has other roots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeParams {
    /// Below this many bytes a node is not closed.
    pub min: u32,
    /// From this many bytes on it is.
    pub max: u32,
    /// How fast the chance to close grows in between.
    pub shift: u8,
    /// Makes the cuts unpredictable to those who choose the keys. Zero where nobody hostile does.
    pub seed: [u8; 32],
}

impl Layout for Params {
    const KIND: &'static str = "params";
    const FIELDS: &'static [&'static str] = &["v", "repo", "tree", "merge", "needs", "may"];

    fn write(&self, out: &mut FieldWriter) {
        out.uint("v", VERSION);
        out.field("repo", |w| w.bytes(self.repo.as_bytes()));
        out.field("tree", |w| self.tree.write(w));
        out.uint("merge", self.merge);
        out.field("needs", |w| fields::write_texts(w, &self.needs));
        out.field("may", |w| fields::write_texts(w, &self.may));
    }

    fn read(fields: &mut FieldReader<'_>) -> Result<Params, DecodeError> {
        if fields.required("v", Reader::uint)? != VERSION {
            return Err(fields.broken(&Broken { field: "v", why: "is not 1, the version that is known" }));
        }
        Ok(Params {
            repo: fields.required("repo", fields::array).map(RepoId::from_bytes)?,
            tree: fields.map("tree", TreeParams::read)?,
            merge: fields.required("merge", Reader::uint)?,
            needs: fields.required("needs", |r| fields::list(r, fields::text))?,
            may: fields.required("may", |r| fields::list(r, fields::text))?,
            unknown: fields.rest(),
        })
    }

    fn check(&self) -> Result<(), Broken> {
        rule(fields::ascends(&self.needs), "needs", "does not ascend")?;
        rule(fields::ascends(&self.may), "may", "does not ascend")?;
        rule(self.tree.min < self.tree.max, "tree", "the minimum is not below the maximum")?;
        rule(self.tree.shift < 64, "tree", "the shift is not below 64")
    }

    fn unknown(&self) -> &Unknown {
        &self.unknown
    }
}

impl TreeParams {
    fn write(&self, writer: &mut Writer) {
        let mut out = FieldWriter::default();
        out.uint("min", self.min.into());
        out.uint("max", self.max.into());
        out.uint("shift", self.shift.into());
        out.field("seed", |w| w.bytes(&self.seed));
        out.finish(&Unknown::default(), writer);
    }

    fn read(fields: &mut FieldReader<'_>) -> Result<TreeParams, DecodeError> {
        let tree = TreeParams {
            min: fields.required("min", fields::number)?,
            max: fields.required("max", fields::number)?,
            shift: fields.required("shift", fields::number)?,
            seed: fields.required("seed", fields::array)?,
        };
        // Another parameter would cut other trees: better not read than read wrongly.
        let rest = fields.rest();
        rule(rest.is_empty(), "tree", "has a parameter that is not known")
            .map_err(|it| fields.broken(&it))?;
        Ok(tree)
    }
}
