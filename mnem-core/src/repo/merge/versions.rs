//! What lies at an entity's key: one version, or a conflict of several.
//!
//! A conflict is written from the values that count, field by field: FORMAT.md, "Conflicts". So the order in which sides
//! were merged does not show, and what sides agree on is the same in each of its versions.

use super::fields::{self, Again, Disputed, Outcome, Three, unite};
use super::open::{Fields, Parts};
use super::schema::Types;
use crate::block::Block;
use crate::cid::Cid;
use crate::codec::{DecodeError, Malformed};
use crate::object::{Conflict, Object, Why, kind_of};
use crate::port::{BlockRead, BlockReadExt};
use crate::repo::error::RepoError;
use crate::repo::read::{decode, read};
use crate::staged::Staged;
use crate::value::Value;

/// What lies at a key.
#[derive(Clone)]
pub(in crate::repo) struct Versions<T> {
    /// Whether its absence counts.
    pub(in crate::repo) is_absent: bool,
    pub(in crate::repo) present: Vec<(Cid, T)>,
    /// What the sides of a conflict were made from.
    base: Option<Cid>,
    pub(in crate::repo) why: Option<Why>,
}

/// What a merge makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::repo) enum Decided {
    One(Option<Cid>),
    Conflict(Cid),
}

impl Decided {
    pub(in crate::repo) fn cid(self) -> Option<Cid> {
        match self {
            Decided::One(cid) => cid,
            Decided::Conflict(cid) => Some(cid),
        }
    }

    pub(in crate::repo) fn conflict(self) -> Option<Cid> {
        match self {
            Decided::One(_) => None,
            Decided::Conflict(cid) => Some(cid),
        }
    }
}

impl<T: Fields> Versions<T> {
    /// Reads what lies at `cid`.
    pub(in crate::repo) fn read(blocks: &dyn BlockRead, cid: Option<Cid>) -> Result<Versions<T>, RepoError> {
        match cid {
            Some(cid) => Versions::of(blocks, &blocks.require(&cid)?),
            None => Ok(Versions { is_absent: true, present: Vec::new(), base: None, why: None }),
        }
    }

    /// Reads what lies in a block.
    pub(in crate::repo) fn of(blocks: &dyn BlockRead, block: &Block) -> Result<Versions<T>, RepoError> {
        let Some(conflict) = conflict(block)? else {
            let present = vec![(*block.cid(), decode(block)?)];
            return Ok(Versions { is_absent: false, present, base: None, why: None });
        };
        let present = conflict.adds.iter().flatten().map(|cid| Ok((*cid, read(blocks, cid)?)));
        Ok(Versions {
            is_absent: conflict.adds.contains(&None),
            present: present.collect::<Result<_, RepoError>>()?,
            base: conflict.removes.iter().flatten().next().copied(),
            why: conflict.why,
        })
    }

    fn is_settled_apart(&self) -> bool {
        self.why == Some(Why::Settled)
    }

    fn open(&self) -> Vec<Parts> {
        self.present.iter().map(|(_, version)| version.open()).collect()
    }

    fn is_like(&self, other: &Versions<T>) -> bool {
        self.present.iter().map(|(cid, _)| cid).eq(other.present.iter().map(|(cid, _)| cid))
    }

    /// What the versions show together: of a field in dispute the first value that is there. `None` if there is none.
    pub(in crate::repo) fn shown(&self) -> Result<Option<T>, RepoError> {
        match &self.present[..] {
            [] => Ok(None),
            [(_, version)] => Ok(Some(version.clone())),
            [(_, first), ..] => Ok(Some(first.close(Outcome::of(&self.open())?.shown()?)?)),
        }
    }

    /// The fields that the versions differ in.
    pub(in crate::repo) fn disputed(&self, blocks: &dyn BlockRead) -> Result<Vec<Disputed>, RepoError> {
        let base = self.read_base(blocks)?.map(|base| base.open());
        Ok(Outcome::of(&self.open())?.disputed(base.as_ref()))
    }

    fn read_base(&self, blocks: &dyn BlockRead) -> Result<Option<T>, RepoError> {
        self.base.map(|cid| read(blocks, &cid)).transpose()
    }

    /// What others start from if they start from this: its one version or, of several, what these have in common.
    fn common(&self, blocks: &Staged) -> Result<Option<Cid>, RepoError> {
        match &self.present[..] {
            [] => Ok(None),
            [(cid, _)] => Ok(Some(*cid)),
            [(_, first), ..] => {
                let before = self.read_base(blocks)?.map(|base| base.open());
                let common = fields::common(&self.open(), before.as_ref())?.expect("there are versions");
                put(blocks, &first.close(common)?).map(Some)
            }
        }
    }

    /// Keeps all versions as they are, in conflict with the absence that somebody asked for.
    pub(in crate::repo) fn keep(
        &self,
        before: &Versions<T>,
        why: Why,
        staged: &Staged,
    ) -> Result<Cid, RepoError> {
        let base = if self.base.is_some() { self.base } else { before.common(staged)? };
        let kept = Conflicted {
            is_absent: true,
            present: self.present.iter().map(|(cid, _)| *cid).collect(),
            base,
            settled_apart: self.is_settled_apart(),
            why,
        };
        kept.put(staged)
    }

    /// Decides fields, the same in every version, and whether its absence still counts. What is left may be one version.
    pub(in crate::repo) fn settle(
        &self,
        staged: &Staged,
        decided: &[(&Disputed, Option<Value>)],
        is_absent: bool,
    ) -> Result<Decided, RepoError> {
        let Some((_, exemplar)) = self.present.first() else { return Ok(Decided::One(None)) };
        let put_all = |mut parts: Parts| -> Result<Parts, RepoError> {
            for (disputed, value) in decided {
                disputed.path.put(&mut parts, value.clone())?;
            }
            Ok(parts)
        };
        let versions = self.open().into_iter().map(put_all).collect::<Result<Vec<Parts>, _>>()?;
        let base = self.read_base(staged)?.map(|base| put_all(base.open())).transpose()?;
        let base = base.map(|parts| put(staged, &exemplar.close(parts)?)).transpose()?;
        let outcome = Outcome::of(&versions)?;
        let why = self.why.clone().filter(|why| *why != Why::Settled);
        let written = Written { outcome: &outcome, is_absent, settled_apart: self.is_settled_apart(), why };
        let raw = || {
            let each = versions.iter().map(|parts| put(staged, &exemplar.close(parts.clone())?));
            each.collect()
        };
        written.put(staged, exemplar, || Ok(base), raw)
    }

    /// What a disputed field is here; of several values the first that is there.
    pub(in crate::repo) fn value(&self, of: &Disputed) -> Result<Option<Value>, RepoError> {
        let shown = self.shown()?.map(|version| version.open());
        Ok(shown.and_then(|parts| of.path.get(&parts)))
    }
}

/// Makes one thing of three: what both sides started from, and what each made of it.
pub(super) fn merge<T: Fields>(
    of: Three<&Versions<T>>,
    types: &Types<'_>,
    staged: &Staged,
) -> Result<Decided, RepoError> {
    let Three { base, left, right } = of;
    let again = Again {
        left: left.is_settled_apart() != base.is_settled_apart(),
        right: right.is_settled_apart() != base.is_settled_apart(),
    };
    let (presence, apart) = unite(&of.map(|of| Presence::of(of, base)), again);
    let is_absent = presence.contains(&Presence::Absent);
    let Some(exemplar) = left.present.first().or(right.present.first()).map(|(_, version)| version) else {
        return Ok(Decided::One(None));
    };
    if !presence.iter().any(|it| *it != Presence::Absent) {
        return Ok(Decided::One(None));
    }
    let mut open = of.map(Versions::open);
    // Made again on one side, and kept from removal on the other: what was removed is what both know.
    let mut removed: Vec<Cid> = [left, right].into_iter().filter_map(|side| side.base).collect();
    if base.present.is_empty() {
        removed.sort_unstable();
        removed.dedup();
        let known = removed.iter().map(|cid| Ok(read::<T>(staged, cid)?.open()));
        open.base = known.collect::<Result<_, RepoError>>()?;
    }
    let outcome =
        Outcome::merge(Three { base: &open.base, left: &open.left, right: &open.right }, types, again)?;
    // The mark tells this conflict from the one that was settled, so that whoever settled that has settled it.
    let settled_apart = base.is_settled_apart() ^ (again.left || again.right || apart || outcome.apart);
    let why = [left, right].into_iter().find_map(|side| side.why.clone().filter(|why| *why != Why::Settled));
    let written = Written { outcome: &outcome, is_absent, settled_apart, why };
    let raw = || {
        let all = left.present.iter().chain(&right.present).map(|(cid, _)| *cid);
        Ok(all.collect())
    };
    let start = || if base.present.is_empty() { Ok(removed.first().copied()) } else { base.common(staged) };
    written.put(staged, exemplar, start, raw)
}

/// Whether a thing is there. A side that changed it wants it to be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Presence {
    Absent,
    AsBefore,
    Changed,
}

impl Presence {
    fn of<T: Fields>(of: &Versions<T>, base: &Versions<T>) -> std::collections::BTreeSet<Presence> {
        let mut all = std::collections::BTreeSet::new();
        all.extend(of.is_absent.then_some(Presence::Absent));
        if !of.present.is_empty() {
            all.insert(Presence::AsBefore);
            all.extend((!of.is_like(base)).then_some(Presence::Changed));
        }
        all
    }
}

/// An outcome on its way into blocks.
struct Written<'a> {
    outcome: &'a Outcome,
    is_absent: bool,
    settled_apart: bool,
    why: Option<Why>,
}

impl Written<'_> {
    /// `raw`: the versions that all of this was made of, for a thing that grows too large by being merged.
    fn put<T: Fields>(
        self,
        staged: &Staged,
        exemplar: &T,
        base: impl FnOnce() -> Result<Option<Cid>, RepoError>,
        raw: impl FnOnce() -> Result<Vec<Cid>, RepoError>,
    ) -> Result<Decided, RepoError> {
        let versions = self.outcome.versions()?;
        let closed =
            versions.into_iter().map(|parts| exemplar.close(parts)).collect::<Result<Vec<T>, _>>()?;
        let blocks = closed.iter().map(Object::to_block).collect::<Result<Vec<Block>, _>>();
        let mut present: Vec<Cid> = match blocks {
            Ok(blocks) => blocks.into_iter().map(|block| store(staged, block)).collect::<Result<_, _>>()?,
            Err(_) => raw()?,
        };
        present.sort_unstable();
        present.dedup();
        if let ([one], false) = (&present[..], self.is_absent) {
            return Ok(Decided::One(Some(*one)));
        }
        let why = self.why.unwrap_or(Why::Settled);
        let conflict = Conflicted {
            is_absent: self.is_absent,
            present,
            base: base()?,
            settled_apart: self.settled_apart,
            why,
        };
        conflict.put(staged).map(Decided::Conflict)
    }
}

/// A conflict on its way into a block.
struct Conflicted {
    is_absent: bool,
    present: Vec<Cid>,
    base: Option<Cid>,
    settled_apart: bool,
    /// Said only if terms would cancel.
    why: Why,
}

impl Conflicted {
    fn put(self, staged: &Staged) -> Result<Cid, RepoError> {
        let absent = self.is_absent.then_some(None);
        let adds: Vec<Option<Cid>> = absent.into_iter().chain(self.present.into_iter().map(Some)).collect();
        let removes = vec![self.base; adds.len() - 1];
        let cancel = adds.contains(&self.base);
        let why = if self.settled_apart { Some(Why::Settled) } else { cancel.then_some(self.why) };
        store(staged, Conflict::because(why, adds, removes).to_block()?)
    }
}

fn store(staged: &Staged, block: Block) -> Result<Cid, RepoError> {
    let cid = *block.cid();
    staged.put(block)?;
    Ok(cid)
}

pub(super) fn put<T: Object>(staged: &Staged, object: &T) -> Result<Cid, RepoError> {
    store(staged, object.to_block()?)
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

/// One version out of several, and what could not be made one.
pub(in crate::repo) struct Merged<T> {
    pub(in crate::repo) version: T,
    /// Names of the fields that sides disagree on.
    pub(in crate::repo) disputed: Vec<String>,
}

/// Reads an entity as it is shown: of a conflict, what the sides agree on, and of the rest the first value that is there.
pub(in crate::repo) fn shown<T: Fields>(
    blocks: &dyn BlockRead,
    block: &Block,
) -> Result<Merged<T>, RepoError> {
    let version = shown_version(blocks, block)?;
    let disputed = match conflict(block)? {
        Some(_) => Versions::<T>::of(blocks, block)?.disputed(blocks)?,
        None => Vec::new(),
    };
    Ok(Merged { version, disputed: disputed.into_iter().map(|disputed| disputed.field).collect() })
}

/// The same without what is in dispute.
pub(in crate::repo) fn shown_version<T: Fields>(
    blocks: &dyn BlockRead,
    block: &Block,
) -> Result<T, RepoError> {
    Ok(Versions::of(blocks, block)?.shown()?.expect("what is in a block is there"))
}

/// Reads every side of what lies in a block that is there: the one version, or those of a conflict.
pub(in crate::repo) fn sides<T: Object>(blocks: &dyn BlockRead, block: &Block) -> Result<Vec<T>, RepoError> {
    match conflict(block)? {
        Some(conflict) => conflict.adds.iter().flatten().map(|cid| read(blocks, cid)).collect(),
        None => Ok(vec![decode(block)?]),
    }
}
