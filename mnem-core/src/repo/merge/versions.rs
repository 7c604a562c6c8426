//! What lies at an entity's key: one version, or a conflict of several.

use crate::block::Block;
use crate::cid::Cid;
use crate::object::{Conflict, Object, kind_of};
use crate::port::{BlockRead, BlockReadExt};
use crate::repo::error::RepoError;
use crate::repo::merge::fields::{Fields, Merged};
use crate::repo::read::{decode, read};

/// The terms of what lies at a key.
pub(in crate::repo) struct Terms {
    pub(in crate::repo) adds: Vec<Option<Cid>>,
    pub(in crate::repo) removes: Vec<Option<Cid>>,
}

impl Terms {
    fn plain(cid: Option<Cid>) -> Terms {
        Terms { adds: vec![cid], removes: Vec::new() }
    }

    /// Reads the terms of what lies at `cid`.
    pub(in crate::repo) fn read(blocks: &dyn BlockRead, cid: Option<Cid>) -> Result<Terms, RepoError> {
        let Some(cid) = cid else { return Ok(Terms::plain(None)) };
        match conflict(&blocks.require(&cid)?)? {
            Some(conflict) => Ok(Terms { adds: conflict.adds, removes: conflict.removes }),
            None => Ok(Terms::plain(Some(cid))),
        }
    }

    /// Adds up two sides and takes away what both started from.
    pub(in crate::repo) fn sum(left: Terms, base: Terms, right: Terms) -> Terms {
        Terms {
            adds: [left.adds, right.adds, base.removes].concat(),
            removes: [left.removes, right.removes, base.adds].concat(),
        }
    }
}

/// Reads a block as a conflict, if it is one.
pub(in crate::repo) fn conflict(block: &Block) -> Result<Option<Conflict>, RepoError> {
    let damaged = |why| RepoError::Damaged { what: "an object", cid: *block.cid(), why };
    match kind_of(block).map_err(damaged)?.as_deref() {
        Some(Conflict::KIND) => decode(block).map(Some),
        _ => Ok(None),
    }
}

/// Reads an entity as it is shown: of a conflict, what the sides agree on, and of the rest the first side.
pub(in crate::repo) fn shown<T: Object + Fields>(
    blocks: &dyn BlockRead,
    block: &Block,
) -> Result<Merged<T>, RepoError> {
    let Some(conflict) = conflict(block)? else {
        return Ok(Merged { version: decode(block)?, disputed: Vec::new() });
    };
    let adds = present::<T>(blocks, &conflict.adds)?;
    let removes = conflict.removes.iter().map(|term| term.map(|cid| read(blocks, &cid)).transpose());
    let removes = removes.collect::<Result<Vec<Option<T>>, _>>()?;
    let adds: Vec<&T> = adds.iter().collect();
    let removes: Vec<Option<&T>> = removes.iter().map(Option::as_ref).collect();
    Ok(T::merge(&adds, &removes)?)
}

/// Reads every side of what lies in a block that is there: the one version, or those of a conflict.
pub(in crate::repo) fn sides<T: Object>(blocks: &dyn BlockRead, block: &Block) -> Result<Vec<T>, RepoError> {
    match conflict(block)? {
        Some(conflict) => present(blocks, &conflict.adds),
        None => Ok(vec![decode(block)?]),
    }
}

fn present<T: Object>(blocks: &dyn BlockRead, terms: &[Option<Cid>]) -> Result<Vec<T>, RepoError> {
    terms.iter().flatten().map(|cid| read(blocks, cid)).collect()
}
