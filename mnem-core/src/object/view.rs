//! A view: where every name points.

use super::Unknown;
use super::fields::{Broken, FieldReader, FieldWriter, Layout};
use crate::cid::Cid;
use crate::codec::DecodeError;

/// Where every name points. Each field but the first is the root of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The repository's parameters.
    pub params: Cid,
    /// Branches and tags.
    pub refs: Cid,
    /// Names as other repositories had them.
    pub remotes: Cid,
    /// Settings.
    pub config: Cid,
    /// Erased entities. Only grows.
    pub erased: Cid,
    /// Signatures, detached from what they sign.
    pub sigs: Cid,
    /// Fields of newer versions.
    pub unknown: Unknown,
}

impl Layout for View {
    const KIND: &'static str = "view";
    const FIELDS: &'static [&'static str] = &["params", "refs", "remotes", "config", "erased", "sigs"];

    fn write(&self, out: &mut FieldWriter) {
        out.link("params", &self.params);
        out.link("refs", &self.refs);
        out.link("remotes", &self.remotes);
        out.link("config", &self.config);
        out.link("erased", &self.erased);
        out.link("sigs", &self.sigs);
    }

    fn read(fields: &mut FieldReader<'_>) -> Result<View, DecodeError> {
        Ok(View {
            params: fields.link("params")?,
            refs: fields.link("refs")?,
            remotes: fields.link("remotes")?,
            config: fields.link("config")?,
            erased: fields.link("erased")?,
            sigs: fields.link("sigs")?,
            unknown: fields.rest(),
        })
    }

    fn check(&self) -> Result<(), Broken> {
        Ok(())
    }

    fn unknown(&self) -> &Unknown {
        &self.unknown
    }
}
