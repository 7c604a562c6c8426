//! A conflict: several versions of one thing, and the versions that they were made from.

use super::Unknown;
use super::fields::{self, Broken, FieldReader, FieldWriter, Layout, rule};
use super::word::words;
use crate::cid::Cid;
use crate::codec::{DecodeError, Kind, Reader, Writer};

/// The sum of all sides less what they have in common, in canonical form: the order in which sides were merged does
/// not show. A term is a version, or `None` where the thing is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The sides, ascending, absence first. One more than `removes`.
    pub adds: Vec<Option<Cid>>,
    /// What the sides were made from, ascending, absence first.
    pub removes: Vec<Option<Cid>>,
    /// Set where the thing is in conflict although its own versions may not be.
    pub why: Option<Why>,
    /// Fields of newer versions.
    pub unknown: Unknown,
}

words! {
    /// Why a thing is in conflict whose terms are kept uncancelled.
    Why {
        /// An edge needs the node that one side removed.
        Edge = "edge",
        /// A vector of the node changed where the other side removed it.
        Vector = "vector",
        /// Sides settled an earlier conflict, and not alike.
        Settled = "settled",
    }
}

/// What is left of terms once equal ones have cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merged {
    /// One version, or absence.
    Resolved(Option<Cid>),
    /// Several.
    Conflict(Conflict),
}

impl Conflict {
    /// Brings terms into canonical form: equal ones on both sides cancel, the rest is sorted.
    ///
    /// # Panics
    /// Unless there is one more of `adds` than of `removes`.
    pub fn from_terms(adds: Vec<Option<Cid>>, removes: Vec<Option<Cid>>) -> Merged {
        let (adds, removes) = cancel(sorted(adds), sorted(removes));
        assert_eq!(adds.len(), removes.len() + 1, "a merge has one more side than it has bases");
        if let ([add], []) = (&*adds, &*removes) {
            return Merged::Resolved(*add);
        }
        Merged::Conflict(Conflict { adds, removes, why: None, unknown: Unknown::default() })
    }

    /// Keeps the terms as they are, sorted. `why` is said of a conflict that does not come from them.
    ///
    /// # Panics
    /// Unless there is one more of `adds` than of `removes`.
    pub fn because(why: Option<Why>, adds: Vec<Option<Cid>>, removes: Vec<Option<Cid>>) -> Conflict {
        assert_eq!(adds.len(), removes.len() + 1, "a merge has one more side than it has bases");
        Conflict { adds: sorted(adds), removes: sorted(removes), why, unknown: Unknown::default() }
    }
}

fn sorted(mut terms: Vec<Option<Cid>>) -> Vec<Option<Cid>> {
    terms.sort_unstable();
    terms
}

/// Takes out of two sorted lists, one for one, what is in both.
fn cancel(adds: Vec<Option<Cid>>, removes: Vec<Option<Cid>>) -> (Vec<Option<Cid>>, Vec<Option<Cid>>) {
    let mut kept = Vec::new();
    let mut left = removes.into_iter().peekable();
    let mut unmatched = Vec::new();
    for add in adds {
        while let Some(remove) = left.next_if(|remove| *remove < add) {
            unmatched.push(remove);
        }
        if left.next_if(|remove| *remove == add).is_none() {
            kept.push(add);
        }
    }
    unmatched.extend(left);
    (kept, unmatched)
}

impl Layout for Conflict {
    const KIND: &'static str = "conflict";
    const FIELDS: &'static [&'static str] = &["adds", "removes", "why"];

    fn write(&self, out: &mut FieldWriter) {
        out.field("adds", |w| write_terms(w, &self.adds));
        out.field("removes", |w| write_terms(w, &self.removes));
        out.optional("why", self.why.as_ref(), |w, it| w.text(it.as_str()));
    }

    fn read(fields: &mut FieldReader<'_>) -> Result<Conflict, DecodeError> {
        Ok(Conflict {
            adds: fields.required("adds", |r| fields::list(r, read_term))?,
            removes: fields.required("removes", |r| fields::list(r, read_term))?,
            why: fields.optional("why", |r| r.text().map(Why::from))?,
            unknown: fields.rest(),
        })
    }

    fn check(&self) -> Result<(), Broken> {
        rule(self.adds.len() == self.removes.len() + 1, "adds", "is not one more than `removes`")?;
        rule(self.adds.is_sorted(), "adds", "is not sorted")?;
        rule(self.removes.is_sorted(), "removes", "is not sorted")?;
        if self.why.is_some() {
            return Ok(());
        }
        rule(self.adds.len() > 1, "adds", "has one term: nothing is in conflict")?;
        let (adds, _) = cancel(self.adds.clone(), self.removes.clone());
        rule(adds.len() == self.adds.len(), "adds", "holds a term that `removes` cancels")
    }

    fn unknown(&self) -> &Unknown {
        &self.unknown
    }
}

fn write_terms(writer: &mut Writer, terms: &[Option<Cid>]) {
    writer.list(terms.len());
    for term in terms {
        match term {
            Some(cid) => writer.link(cid),
            None => writer.null(),
        }
    }
}

fn read_term(reader: &mut Reader<'_>) -> Result<Option<Cid>, DecodeError> {
    match reader.kind()? {
        Kind::Null => reader.null().map(|()| None),
        _ => reader.link().map(Some),
    }
}
