//! Part of an answer, and where to go on.
//!
//! The text of a cursor: FORMAT.md, "Queries".

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::QueryError;
use super::ids::{Id, after};
use super::order::place;
use super::query::Query;
use super::subject::Subject;
use crate::cid::Cid;
use crate::codec::{Reader, Writer};
use crate::id::{CommitId, OperationId};
use crate::repo::error::RepoError;
use crate::repo::handle::Repo;
use crate::repo::snapshot::Snapshot;
use crate::repo::state::State;

/// First item of a cursor's bytes. Other bytes, other number.
const VERSION: i64 = 1;

/// Longest text of a cursor. What is longer was not made here.
const TEXT_BYTES_MAX: usize = 1 << 16;

impl Snapshot {
    /// Returns the first items of an answer or, with a cursor, those behind it.
    ///
    /// By id, a range of an index is walked whole for every page, though only what the page shows is read; in the order
    /// of that property the walk begins at the cursor and ends with the page. An order that no index has goes through
    /// all that is found, and keeps no more in memory than two pages.
    pub fn page<E: Subject>(&self, query: &Query<E>, cursor: Option<&Cursor>) -> Result<Page<E>, RepoError> {
        query.check()?;
        let Some(commit) = self.commit_id() else {
            return match cursor {
                Some(cursor) => Err(cursor.of_another_state(None)),
                None => Ok(Page { items: Vec::new(), next: None }),
            };
        };
        let fingerprint = query.fingerprint()?;
        if let Some(cursor) = cursor {
            if cursor.query != fingerprint {
                return Err(QueryError::CursorOfAnotherQuery.into());
            }
            if cursor.commit != commit {
                return Err(cursor.of_another_state(Some(commit)));
            }
        }
        let size = usize::try_from(query.page_size).unwrap_or(usize::MAX);
        // One more than asked for: so the end is known for what it is.
        let mut items = self.items(query, cursor.map(|cursor| cursor.last), size.saturating_add(1))?;
        let is_more = items.len() > size;
        items.truncate(size);
        let last = items.last().filter(|_| is_more).map(|version| *E::id(version).key());
        let next = last.map(|last| Cursor { commit, heads: self.unstored_heads(), query: fingerprint, last });
        Ok(Page { items, next })
    }

    fn items<E: Subject>(
        &self,
        query: &Query<E>,
        last: Option<Id>,
        count: usize,
    ) -> Result<Vec<E::Object>, RepoError> {
        if !query.order.is_empty() {
            // The state is the one that the cursor was made in: what it names is still there.
            let last = match last.map(E::from_key) {
                Some(id) => {
                    let version = self.get(id)?.ok_or(QueryError::BadCursor)?;
                    Some((place(E::props(&version), &query.order), id))
                }
                None => None,
            };
            return self.first_in_order(query, last.as_ref(), count);
        }
        let from = match last {
            Some(last) => match after(&last) {
                Some(from) => Some(from),
                None => return Ok(Vec::new()),
            },
            None => None,
        };
        self.matches(query, from)?.take(count).collect()
    }

    /// Returns what the shown commit has to be made of again, if it is a merge that may not be stored.
    fn unstored_heads(&self) -> Vec<OperationId> {
        if self.state.pending.is_empty() { Vec::new() } else { self.state.heads.clone() }
    }
}

impl Repo {
    /// Opens the state that a cursor was made in: page two shows the state of page one.
    pub fn at_cursor(&self, cursor: &Cursor) -> Result<Snapshot, RepoError> {
        let state = self.state()?;
        if state.block(cursor.commit.cid())?.is_some() {
            return self.snapshot(state, Some(cursor.commit));
        }
        if cursor.heads.is_empty() {
            return Err(QueryError::StateGone { commit: cursor.commit }.into());
        }
        let stored = Arc::from(self.shared.store.snapshot()?);
        let namespace = &self.shared.options.namespace;
        let state = State::of(stored, cursor.heads.clone(), namespace, &self.shared.tree_store())?;
        if state.block(cursor.commit.cid())?.is_none() {
            return Err(QueryError::StateGone { commit: cursor.commit }.into());
        }
        self.snapshot(Arc::new(state), Some(cursor.commit))
    }
}

/// Part of an answer.
#[derive(Debug)]
pub struct Page<E: Subject> {
    items: Vec<E::Object>,
    next: Option<Cursor>,
}

impl<E: Subject> Page<E> {
    /// Returns what was found.
    pub fn items(&self) -> &[E::Object] {
        &self.items
    }

    /// Returns where the next page begins; `None` if this was the last.
    pub const fn next(&self) -> Option<&Cursor> {
        self.next.as_ref()
    }

    /// Takes the page apart.
    pub fn into_parts(self) -> (Vec<E::Object>, Option<Cursor>) {
        (self.items, self.next)
    }
}

/// Where a page ended: the state, the query, and the last item. A short text; nobody has to keep it a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    commit: CommitId,
    /// What that commit merges, if it was not stored.
    heads: Vec<OperationId>,
    query: Id,
    last: Id,
}

impl Cursor {
    /// Returns the commit whose state the pages show.
    pub const fn commit(&self) -> CommitId {
        self.commit
    }

    fn of_another_state(&self, found: Option<CommitId>) -> RepoError {
        QueryError::CursorOfAnotherState { cursor: self.commit, found }.into()
    }

    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.list(5);
        writer.int(VERSION);
        writer.link(self.commit.cid());
        writer.list(self.heads.len());
        self.heads.iter().for_each(|head| writer.link(head.cid()));
        writer.bytes(&self.query);
        writer.bytes(&self.last);
        writer.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Option<Cursor> {
        let mut reader = Reader::new(bytes);
        if reader.list().ok()? != 5 || reader.int().ok()? != VERSION {
            return None;
        }
        let commit = CommitId::new(reader.link().ok()?);
        let heads: Result<Vec<Cid>, _> = (0..reader.list().ok()?).map(|_| reader.link()).collect();
        let heads = heads.ok()?.into_iter().map(OperationId::new).collect();
        let query = reader.bytes().ok()?.try_into().ok()?;
        let last = reader.bytes().ok()?.try_into().ok()?;
        reader.end().ok()?;
        Some(Cursor { commit, heads, query, last })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(&self.encode()))
    }
}

impl FromStr for Cursor {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Cursor, QueryError> {
        let fits = text.len() <= TEXT_BYTES_MAX;
        let bytes = fits.then(|| BASE64URL_NOPAD.decode(text.as_bytes()).ok()).flatten();
        bytes.and_then(|bytes| Cursor::decode(&bytes)).ok_or(QueryError::BadCursor)
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Cursor, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
