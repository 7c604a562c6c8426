//! What lies at an entity's key: one version, or a conflict of several.

use crate::block::Block;
use crate::cid::Cid;
use crate::codec::{DecodeError, Malformed};
use crate::object::{Conflict, Merged as Summed, Object, kind_of};
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
    ///
    /// A conflict is taken away from a side that still holds it whole. `None` if neither does: both have settled it,
    /// and to take it away all the same would take with it what they chose.
    pub(in crate::repo) fn sum(left: &Terms, base: &Terms, right: &Terms) -> Option<Terms> {
        if base.removes.is_empty() {
            let removes = [&left.removes[..], &right.removes, &base.adds].concat();
            return Some(Terms { adds: [&left.adds[..], &right.adds].concat(), removes });
        }
        let rest = |side: &Terms| side.without(base).or_else(|| side.without_sum(base));
        let (changed, rest) = match (rest(left), rest(right)) {
            (_, Some(rest)) => (left, rest),
            (Some(rest), None) => (right, rest),
            (None, None) => return None,
        };
        Some(Terms {
            adds: [&changed.adds[..], &rest.adds].concat(),
            removes: [&changed.removes[..], &rest.removes].concat(),
        })
    }

    /// The terms of a conflict may cancel, if it does not come from them. Other conflicts that arose from it have its
    /// sum only.
    fn without_sum(&self, other: &Terms) -> Option<Terms> {
        let sum = match Conflict::from_terms(other.adds.clone(), other.removes.clone()) {
            Summed::Resolved(cid) => Terms::plain(cid),
            Summed::Conflict(conflict) => Terms { adds: conflict.adds, removes: conflict.removes },
        };
        (self.adds.len() > 1).then(|| self.without(&sum)).flatten()
    }

    fn without(&self, other: &Terms) -> Option<Terms> {
        Some(Terms {
            adds: without(&self.adds, &other.adds)?,
            removes: without(&self.removes, &other.removes)?,
        })
    }
}

/// Takes terms out of others, one for one; `None` unless all of them are there.
fn without(terms: &[Option<Cid>], out: &[Option<Cid>]) -> Option<Vec<Option<Cid>>> {
    let mut left = terms.to_vec();
    for term in out {
        left.remove(left.iter().position(|it| it == term)?);
    }
    Some(left)
}

/// Reads a block as a conflict, if it is one.
pub(in crate::repo) fn conflict(block: &Block) -> Result<Option<Conflict>, RepoError> {
    let damaged = |why| RepoError::Damaged { what: "an object", cid: *block.cid(), why };
    match kind_of(block).map_err(damaged)?.as_deref() {
        Some(Conflict::KIND) => {
            let conflict: Conflict = decode(block)?;
            let what = Malformed::Field { name: "adds", why: "has no side that is there" };
            let is_there = conflict.adds.iter().any(Option::is_some);
            is_there.then_some(Some(conflict)).ok_or_else(|| damaged(DecodeError { what, at: 0 }))
        }
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
    merged(blocks, &Terms { adds: conflict.adds, removes: conflict.removes }, &[])
}

/// Makes one version of terms of which one at least is there, unlike others where they disagree.
pub(in crate::repo) fn merged<T: Object + Fields>(
    blocks: &dyn BlockRead,
    terms: &Terms,
    unlike: &[T],
) -> Result<Merged<T>, RepoError> {
    let adds = present::<T>(blocks, &terms.adds)?;
    let removes = terms.removes.iter().map(|term| term.map(|cid| read(blocks, &cid)).transpose());
    let removes = removes.collect::<Result<Vec<Option<T>>, _>>()?;
    let adds: Vec<&T> = adds.iter().collect();
    let removes: Vec<Option<&T>> = removes.iter().map(Option::as_ref).collect();
    Ok(T::merge(&adds, &removes, &unlike.iter().collect::<Vec<_>>())?)
}

/// Reads every side of what lies in a block that is there: the one version, or those of a conflict.
pub(in crate::repo) fn sides<T: Object>(blocks: &dyn BlockRead, block: &Block) -> Result<Vec<T>, RepoError> {
    match conflict(block)? {
        Some(conflict) => present(blocks, &conflict.adds),
        None => Ok(vec![decode(block)?]),
    }
}

/// Reads those terms that are there.
pub(in crate::repo) fn present<T: Object>(
    blocks: &dyn BlockRead,
    terms: &[Option<Cid>],
) -> Result<Vec<T>, RepoError> {
    terms.iter().flatten().map(|cid| read(blocks, cid)).collect()
}
