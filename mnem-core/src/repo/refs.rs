//! Names: branches and tags, and where they point.
//!
//! A view holds them as one map: `b/` or `t/` and the name, to a target. Bytes: FORMAT.md, "Names".

use bytes::Bytes;

use super::error::RepoError;
use crate::cid::Cid;
use crate::codec::{DecodeError, Kind, Malformed, Reader, Writer};
use crate::id::CommitId;

/// Longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 200;

/// Whose a name is, and whether it follows commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefKind {
    /// Follows the commits that are made on it.
    Branch,
    /// Stays where it is.
    Tag,
    /// As another repository had it when it was last asked.
    Remote,
}

impl RefKind {
    pub(super) const ALL: [RefKind; 3] = [RefKind::Branch, RefKind::Tag, RefKind::Remote];

    /// Returns the word for it.
    pub const fn word(self) -> &'static str {
        match self {
            RefKind::Branch => "branch",
            RefKind::Tag => "tag",
            RefKind::Remote => "remote",
        }
    }
}

/// What kind of name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum NameKind {
    /// Follows the commits that are made on it.
    Branch,
    /// Stays where it is.
    Tag,
}

impl From<NameKind> for RefKind {
    fn from(kind: NameKind) -> RefKind {
        match kind {
            NameKind::Branch => RefKind::Branch,
            NameKind::Tag => RefKind::Tag,
        }
    }
}

impl NameKind {
    const fn prefix(self) -> &'static [u8; 2] {
        match self {
            NameKind::Branch => b"b/",
            NameKind::Tag => b"t/",
        }
    }

    /// Returns the word for it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            NameKind::Branch => "branch",
            NameKind::Tag => "tag",
        }
    }

    /// Returns where a name of this kind stands in the map.
    pub(super) fn key(self, name: &str) -> Vec<u8> {
        [self.prefix().as_slice(), name.as_bytes()].concat()
    }

    /// Reads what [`key`](Self::key) made.
    pub(super) fn from_key(key: &[u8]) -> Option<(NameKind, &str)> {
        let (prefix, name) = key.split_first_chunk::<2>()?;
        let kind = [NameKind::Branch, NameKind::Tag].into_iter().find(|kind| kind.prefix() == prefix)?;
        str::from_utf8(name).ok().filter(|name| check_name(name).is_ok()).map(|name| (kind, name))
    }
}

/// Refuses names that a revision could not spell, or that look like an id or an option.
pub(super) fn check_name(name: &str) -> Result<(), RepoError> {
    let refused = |why| Err(RepoError::BadName { name: name.chars().take(64).collect(), why });
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return refused("it has 1 to 200 bytes");
    }
    if name.chars().any(|c| c.is_control() || c.is_whitespace() || "~^*{}:\\".contains(c)) {
        return refused("spaces, control characters and any of ~ ^ * { } : \\ have other uses");
    }
    if name.starts_with(['-', '/', '@']) || name.ends_with('/') || name.contains("//") {
        return refused("it starts with `-`, `/` or `@`, ends with `/`, or holds `//`");
    }
    if name.parse::<Cid>().is_ok() {
        return refused("it is an id");
    }
    Ok(())
}

/// Where a name points: the sum of what all sides say less what they started from. Almost always one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Ascending, absence first. One more than `removes`.
    pub(super) adds: Vec<Option<CommitId>>,
    /// Ascending, absence first.
    pub(super) removes: Vec<Option<CommitId>>,
}

impl Target {
    pub(super) fn absent() -> Target {
        Target { adds: vec![None], removes: Vec::new() }
    }

    pub(super) fn commit(commit: CommitId) -> Target {
        Target { adds: vec![Some(commit)], removes: Vec::new() }
    }

    /// Returns the one commit, or the one absence, that the name points at; `None` while sides disagree.
    pub(super) fn settled(&self) -> Option<Option<CommitId>> {
        match (self.adds.as_slice(), self.removes.as_slice()) {
            ([add], []) => Some(*add),
            _ => None,
        }
    }

    /// Returns the commits that it may point at.
    pub(super) fn commits(&self) -> impl Iterator<Item = CommitId> {
        self.adds.iter().flatten().copied()
    }

    /// Adds up two sides and takes away what both started from. Terms that cancel go.
    pub(super) fn sum(left: Target, base: &Target, right: Target) -> Target {
        let mut adds = [left.adds, right.adds, base.removes.clone()].concat();
        let mut removes = Vec::new();
        for term in [left.removes, right.removes, base.adds.clone()].concat() {
            match adds.iter().position(|add| *add == term) {
                Some(at) => drop(adds.remove(at)),
                None => removes.push(term),
            }
        }
        adds.sort_unstable();
        removes.sort_unstable();
        // Sides that moved a name alike do not disagree.
        while adds.len() > 1 && adds.iter().all(|add| *add == adds[0]) {
            adds.pop();
            removes.pop();
        }
        Target { adds, removes }
    }

    /// Takes out the least two commits and the least base, to be made one.
    pub(super) fn take_pair(&mut self) -> Option<(CommitId, CommitId, Option<CommitId>)> {
        let first = self.adds.iter().position(Option::is_some)?;
        if self.removes.is_empty() || self.adds.len() < first + 2 {
            return None;
        }
        let base = self.removes.remove(0);
        match (self.adds.remove(first), self.adds.remove(first)) {
            (Some(left), Some(right)) => Some((left, right, base)),
            _ => unreachable!("absence sorts first"),
        }
    }

    /// Puts back what two commits became.
    pub(super) fn put_back(&mut self, commit: CommitId) {
        let at = self.adds.partition_point(|add| *add < Some(commit));
        self.adds.insert(at, Some(commit));
    }

    /// Returns the bytes for the map; `None` for a name that is not there.
    pub(super) fn encode(&self) -> Option<Bytes> {
        let mut writer = Writer::new();
        match self.settled() {
            Some(None) => return None,
            Some(Some(commit)) => writer.link(commit.cid()),
            None => {
                writer.list(2);
                write_terms(&mut writer, &self.adds);
                write_terms(&mut writer, &self.removes);
            }
        }
        Some(writer.into_bytes().into())
    }

    pub(super) fn decode(bytes: Option<&[u8]>) -> Result<Target, DecodeError> {
        let Some(bytes) = bytes else { return Ok(Target::absent()) };
        let mut reader = Reader::new(bytes);
        let target = match reader.kind()? {
            Kind::Link => Target::commit(CommitId::new(reader.link()?)),
            _ => Target::decode_terms(&mut reader)?,
        };
        reader.end()?;
        Ok(target)
    }

    fn decode_terms(reader: &mut Reader<'_>) -> Result<Target, DecodeError> {
        let refused = |why| DecodeError { what: Malformed::Field { name: "refs", why }, at: 0 };
        if reader.list()? != 2 {
            return Err(refused("a target is a link, or two lists of terms"));
        }
        let target = Target { adds: read_terms(reader)?, removes: read_terms(reader)? };
        let sorted = target.adds.is_sorted() && target.removes.is_sorted();
        if !sorted || target.adds.len() != target.removes.len() + 1 || target.settled().is_some() {
            return Err(refused("the terms of a target are not canonical"));
        }
        Ok(target)
    }
}

fn write_terms(writer: &mut Writer, terms: &[Option<CommitId>]) {
    writer.list(terms.len());
    for term in terms {
        match term {
            Some(commit) => writer.link(commit.cid()),
            None => writer.null(),
        }
    }
}

fn read_terms(reader: &mut Reader<'_>) -> Result<Vec<Option<CommitId>>, DecodeError> {
    (0..reader.list()?)
        .map(|_| match reader.kind()? {
            Kind::Null => reader.null().map(|()| None),
            _ => reader.link().map(|cid| Some(CommitId::new(cid))),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cid::Codec;

    fn commit(name: &str) -> CommitId {
        CommitId::new(Cid::of(Codec::DagCbor, name.as_bytes()))
    }

    #[test]
    fn targets_round_trip() {
        let mut adds = vec![None, Some(commit("a"))];
        adds.sort();
        let disputed = Target { adds, removes: vec![Some(commit("b"))] };
        for target in [Target::absent(), Target::commit(commit("a")), disputed] {
            let bytes = target.encode();
            assert_eq!(Target::decode(bytes.as_deref()), Ok(target));
        }
    }

    #[test]
    fn targets_that_are_not_canonical_are_refused() {
        let a = Some(commit("a"));
        for (adds, removes) in
            [(vec![a], vec![]), (vec![a, None], vec![a]), (vec![a, a], vec![]), (vec![], vec![])]
        {
            let mut writer = Writer::new();
            writer.list(2);
            write_terms(&mut writer, &adds);
            write_terms(&mut writer, &removes);
            assert!(Target::decode(Some(writer.as_bytes())).is_err(), "{adds:?} less {removes:?}");
        }
    }

    #[test]
    fn names_that_a_revision_could_not_spell_are_refused() {
        for good in ["main", "feature/x", "v1.0", "ada@home", "größe"] {
            assert!(check_name(good).is_ok(), "{good}");
            assert_eq!(NameKind::from_key(&NameKind::Tag.key(good)), Some((NameKind::Tag, good)));
        }
        let id = commit("a").to_string();
        for bad in [
            "",
            "a b",
            "a~1",
            "a^",
            "*",
            "a:b",
            "-x",
            "/a",
            "a/",
            "a//b",
            "@{x}",
            "a\n",
            &"n".repeat(201),
            &id,
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
