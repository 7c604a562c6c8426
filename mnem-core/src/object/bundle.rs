//! A bundle: the one root of a whole repository in a file.

use super::Unknown;
use super::fields::{self, Broken, FieldReader, FieldWriter, Layout, rule};
use crate::cid::Cid;
use crate::codec::{DecodeError, Reader};
use crate::id::OperationId;

/// Version of the bundle, in the field `v`.
const VERSION: u64 = 1;

/// A whole repository, or all of it on this side of a boundary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The repository's parameters.
    pub params: Cid,
    /// Head operations, ascending.
    pub heads: Vec<OperationId>,
    /// Root of the set of CIDs that are left out. They are keys, not links: a walk does not look for them.
    pub boundary: Cid,
    /// Root of the set of erased entities.
    pub erased: Cid,
    /// Fields of newer versions.
    pub unknown: Unknown,
}

impl Layout for Bundle {
    const KIND: &'static str = "bundle";
    const FIELDS: &'static [&'static str] = &["v", "params", "heads", "boundary", "erased"];

    fn write(&self, out: &mut FieldWriter) {
        out.uint("v", VERSION);
        out.link("params", &self.params);
        out.links("heads", self.heads.iter().map(OperationId::cid));
        out.link("boundary", &self.boundary);
        out.link("erased", &self.erased);
    }

    fn read(fields: &mut FieldReader<'_>) -> Result<Bundle, DecodeError> {
        if fields.required("v", Reader::uint)? != VERSION {
            return Err(fields.broken(&Broken { field: "v", why: "is not 1, the version that is known" }));
        }
        Ok(Bundle {
            params: fields.link("params")?,
            heads: fields.required("heads", fields::links)?.into_iter().map(OperationId::new).collect(),
            boundary: fields.link("boundary")?,
            erased: fields.link("erased")?,
            unknown: fields.rest(),
        })
    }

    fn check(&self) -> Result<(), Broken> {
        rule(fields::ascends(&self.heads), "heads", "does not ascend")?;
        rule(!self.heads.is_empty(), "heads", "is empty")
    }

    fn unknown(&self) -> &Unknown {
        &self.unknown
    }
}
