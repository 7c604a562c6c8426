//! Changing all that a query finds.

use super::{Change, Transaction};
use crate::repo::error::RepoError;
use crate::repo::query::count::is_disputed;
use crate::repo::query::{Query, Subject};
use crate::value::ValueError;

impl Transaction {
    /// Changes each node or edge that a query finds, and returns how many were changed.
    ///
    /// The query sees what this transaction wrote before, and not what this call writes. An edit that fails, or that the
    /// schema or a conflict refuses, refuses all: then nothing is changed. Order and size of pages make no difference.
    pub fn update_where<E: Subject>(
        &mut self,
        query: &Query<E>,
        mut edit: impl FnMut(&mut E::Object) -> Result<(), ValueError>,
    ) -> Result<u64, RepoError> {
        let (schema, disputed) = (self.schema()?, self.base.conflicts_of::<E>()?);
        let mut changed = Vec::new();
        for before in self.found(query)? {
            let id = E::id(&before);
            let mut after = before.clone();
            edit(&mut after)?;
            if after == before {
                continue;
            }
            if E::id(&after) != id {
                return Err(RepoError::OtherId { id: id.into(), found: E::id(&after).into() });
            }
            if !E::changes(self).contains_key(&id) && is_disputed(disputed.as_ref(), id)? {
                return Err(RepoError::InConflict { id: id.into() });
            }
            E::check(&after, self)?;
            schema.check::<E>(&after, std::slice::from_ref(&before))?;
            changed.push((id, after));
        }
        let count = u64::try_from(changed.len()).unwrap_or(u64::MAX);
        for (id, after) in changed {
            self.change_to(id, after)?;
        }
        Ok(count)
    }

    /// Removes each node, with every edge at it, or each edge that a query finds, and returns how many were found.
    ///
    /// The query sees what this transaction wrote before. What is in conflict goes as well.
    pub fn remove_where<E: Subject>(&mut self, query: &Query<E>) -> Result<u64, RepoError> {
        let found = self.found(query)?;
        for version in &found {
            self.remove(E::id(version))?;
        }
        Ok(u64::try_from(found.len()).unwrap_or(u64::MAX))
    }

    /// Finds as this transaction has it: in the state below what it has not touched, and what it has, as it is now.
    fn found<E: Subject>(&self, query: &Query<E>) -> Result<Vec<E::Object>, RepoError> {
        let mut found = Vec::new();
        for version in self.base.matches(query, None)? {
            let version = version?;
            if !E::changes(self).contains_key(&E::id(&version)) {
                found.push(version);
            }
        }
        let staged = E::changes(self).values().filter_map(Change::now);
        found.extend(staged.filter(|version| query.predicate().holds::<E>(version)).cloned());
        found.sort_by_key(E::id);
        Ok(found)
    }
}
