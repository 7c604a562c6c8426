//! How many: from the indexes alone where they decide.

use super::ids::{after, candidates};
use super::plan::{Look, Plan};
use super::query::Query;
use super::subject::Subject;
use crate::repo::error::RepoError;
use crate::repo::snapshot::Snapshot;
use crate::tree::Tree;

/// How many candidates are read at once to be checked.
const BATCH: usize = 256;

impl Snapshot {
    /// Counts what a query asks for. Entities are read only where the indexes do not decide: those in conflict, and
    /// those that a part of the predicate has no index for.
    pub fn count<E: Subject>(&self, query: &Query<E>) -> Result<u64, RepoError> {
        let plan = self.plan(query)?;
        let conflicts = self.conflicts_of::<E>()?;
        match &plan.look {
            Look::Nowhere => Ok(0),
            Look::Everywhere if plan.decides => Ok(plan.entries),
            Look::Index(lookup) if plan.decides && lookup.distinct && conflicts.is_none() => Ok(plan.entries),
            _ => self.count_candidates(query, &plan, conflicts.as_ref()),
        }
    }

    fn count_candidates<E: Subject>(
        &self,
        query: &Query<E>,
        plan: &Plan,
        conflicts: Option<&Tree>,
    ) -> Result<u64, RepoError> {
        let mut ids = candidates(plan, &self.map::<E>())?;
        let mut count = 0;
        let mut unsure = Vec::new();
        let mut from = Some([0; 16]);
        while let Some(at) = from {
            let next = ids.seek(&at)?;
            from = next.and_then(|candidate| after(&candidate.id));
            if let Some(candidate) = next {
                let sure = candidate.sure && !is_disputed(conflicts, E::from_key(candidate.id))?;
                if sure { count += 1 } else { unsure.push(candidate) }
            }
            if unsure.len() >= BATCH || from.is_none() {
                let versions = self.read_candidates::<E>(&unsure)?;
                let held = versions.iter().filter(|version| query.predicate.holds::<E>(version)).count();
                count += u64::try_from(held).unwrap_or(u64::MAX);
                unsure.clear();
            }
        }
        Ok(count)
    }

    /// Returns the map of conflicts, if it has any of these entities.
    pub(in crate::repo) fn conflicts_of<E: Subject>(&self) -> Result<Option<Tree>, RepoError> {
        let Some(commit) = self.commit() else { return Ok(None) };
        let tree = self.tree(commit.conflicts);
        Ok(if tree.count(&E::conflict_keys())? > 0 { Some(tree) } else { None })
    }
}

pub(in crate::repo) fn is_disputed<E: Subject>(conflicts: Option<&Tree>, id: E) -> Result<bool, RepoError> {
    match conflicts {
        Some(tree) => Ok(tree.get(&id.conflict_key())?.is_some()),
        None => Ok(false),
    }
}
