//! What a whole repository agrees on.

use std::sync::Arc;

use super::Unknown;
use super::fields::{self, Broken, FieldReader, FieldWriter, Layout, rule};
use crate::codec::{DecodeError, Reader, Writer};
use crate::id::RepoId;
use crate::tree::TreeParams;

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

impl Layout for Params {
    const KIND: &'static str = "params";
    const FIELDS: &'static [&'static str] = &["v", "repo", "tree", "merge", "needs", "may"];

    fn write(&self, out: &mut FieldWriter) {
        out.uint("v", VERSION);
        out.field("repo", |w| w.bytes(self.repo.as_bytes()));
        out.field("tree", |w| write_tree(&self.tree, w));
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
            tree: fields.map("tree", read_tree)?,
            merge: fields.required("merge", Reader::uint)?,
            needs: fields.required("needs", |r| fields::list(r, fields::text))?,
            may: fields.required("may", |r| fields::list(r, fields::text))?,
            unknown: fields.rest(),
        })
    }

    fn check(&self) -> Result<(), Broken> {
        rule(fields::ascends(&self.needs), "needs", "does not ascend")?;
        rule(fields::ascends(&self.may), "may", "does not ascend")?;
        rule(self.tree.are_sound(), "tree", "makes trees that cannot be read back")
    }

    fn unknown(&self) -> &Unknown {
        &self.unknown
    }
}

fn write_tree(tree: &TreeParams, writer: &mut Writer) {
    let mut out = FieldWriter::default();
    out.uint("min", tree.min.into());
    out.uint("max", tree.max.into());
    out.uint("shift", tree.shift.into());
    out.field("seed", |w| w.bytes(&tree.seed));
    out.finish(&Unknown::default(), writer);
}

fn read_tree(fields: &mut FieldReader<'_>) -> Result<TreeParams, DecodeError> {
    let tree = TreeParams {
        min: fields.required("min", fields::number)?,
        max: fields.required("max", fields::number)?,
        shift: fields.required("shift", fields::number)?,
        seed: fields.required("seed", fields::array)?,
    };
    // Another parameter would cut other trees: better not read than read wrongly.
    rule(fields.rest().is_empty(), "tree", "has a parameter that is not known")
        .map_err(|it| fields.broken(&it))?;
    Ok(tree)
}
