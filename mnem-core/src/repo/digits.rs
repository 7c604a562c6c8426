//! Objects by the first digits of their ids.

use super::error::RepoError;
use crate::cid::Cid;
use crate::id::{CommitId, OperationId};
use crate::object::{Object, kind_of};
use crate::port::BlockRead;

/// What the text of every id of an object begins with.
const HEAD: &str = "bafyr4i";

/// Digits of the text of an id.
const DIGITS: usize = 59;

/// Fewer digits would fit a good part of all blocks, and each that fits is looked at.
const PREFIX_DIGITS_MIN: usize = 2;

/// How many candidates are told.
const CANDIDATES_MAX: usize = 16;

/// How many digits people are shown.
const SHORT_DIGITS: usize = 8;

/// Finds the objects of one kind whose ids begin like this, with or without the head that all ids share. Of very
/// many, the first.
pub(super) fn find<T: Object>(blocks: &dyn BlockRead, prefix: &str) -> Result<Vec<Cid>, RepoError> {
    if let Ok(cid) = prefix.parse::<Cid>() {
        return Ok(if is_a::<T>(blocks, &cid)? { vec![cid] } else { Vec::new() });
    }
    let digits = prefix.strip_prefix(HEAD).unwrap_or(prefix);
    if digits.len() < PREFIX_DIGITS_MIN || HEAD.len() + digits.len() >= DIGITS {
        return Ok(Vec::new());
    }
    // `a` is the digit zero: the least id that begins so. What has other characters parses as none.
    let prefix = format!("{HEAD}{digits}");
    let Ok(least) = format!("{prefix:a<DIGITS$}").parse::<Cid>() else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    if is_a::<T>(blocks, &least)? {
        found.push(least);
    }
    for cid in blocks.scan(Some(least))? {
        let cid = cid?;
        if found.len() == CANDIDATES_MAX || !cid.to_string().starts_with(&prefix) {
            break;
        }
        if is_a::<T>(blocks, &cid)? {
            found.push(cid);
        }
    }
    Ok(found)
}

fn is_a<T: Object>(blocks: &dyn BlockRead, cid: &Cid) -> Result<bool, RepoError> {
    let Some(block) = blocks.get(cid)? else { return Ok(false) };
    // What is damaged, or was put there by others, is no candidate.
    Ok(kind_of(&block).ok().flatten().as_deref() == Some(T::KIND))
}

pub(super) fn ambiguous(spec: &str, candidates: &[Cid]) -> RepoError {
    RepoError::Ambiguous {
        spec: spec.to_owned(),
        candidates: candidates.iter().map(ToString::to_string).collect(),
    }
}

fn short(cid: &Cid) -> String {
    let text = cid.to_string();
    text.strip_prefix(HEAD).unwrap_or(&text).chars().take(SHORT_DIGITS).collect()
}

impl CommitId {
    /// Returns the digits that tell it from others, for people. Programs keep whole ids.
    pub fn short(&self) -> String {
        short(self.cid())
    }
}

impl OperationId {
    /// Returns the digits that tell it from others, for people. Programs keep whole ids.
    pub fn short(&self) -> String {
        short(self.cid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Commit, Conflict};
    use crate::port::Blockstore;
    use crate::{Block, MemoryStore};

    /// Conflicts are the easiest objects to make many of.
    fn object(n: u32) -> Block {
        let link = |n: u32| Some(Cid::of(crate::Codec::Raw, &n.to_be_bytes()));
        let crate::object::Merged::Conflict(conflict) =
            Conflict::from_terms(vec![link(n), link(n + 1)], vec![link(n + 2)])
        else {
            panic!("three terms do not cancel");
        };
        conflict.to_block().unwrap()
    }

    #[test]
    fn every_prefix_finds_what_begins_so() {
        let store = MemoryStore::new();
        let blocks: Vec<Block> = (0..400).map(object).collect();
        store.put_many(&blocks).unwrap();
        let mut all: Vec<Cid> = blocks.iter().map(|block| *block.cid()).collect();
        all.sort();
        for cid in all.iter().step_by(7) {
            let text = cid.to_string();
            for end in HEAD.len() + 2..=DIGITS {
                let expected: Vec<Cid> = all
                    .iter()
                    .copied()
                    .filter(|other| other.to_string().starts_with(&text[..end]))
                    .take(CANDIDATES_MAX)
                    .collect();
                assert_eq!(find::<Conflict>(&store, &text[..end]).unwrap(), expected);
                if end < DIGITS {
                    assert_eq!(find::<Conflict>(&store, &text[HEAD.len()..end]).unwrap(), expected);
                }
                assert_eq!(find::<Commit>(&store, &text[..end]).unwrap(), []);
            }
        }
    }

    #[test]
    fn what_is_no_prefix_of_an_id_finds_nothing() {
        let store = MemoryStore::new();
        store.put(&object(1)).unwrap();
        let text = object(1).cid().to_string();
        let longer = format!("{text}a");
        let upper = text[HEAD.len()..HEAD.len() + 6].to_uppercase();
        for bad in ["", "a", "main", "zz", "a1", "é", "ä-b", &longer, &upper, "bafyr4i", "bafkr4ifp"] {
            assert_eq!(find::<Conflict>(&store, bad).unwrap(), [], "{bad}");
        }
    }
}
