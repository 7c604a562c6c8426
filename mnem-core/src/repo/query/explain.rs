//! What a query does before it is run: each index, each scan, each check.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::in_order::Wanted;
use super::plan::{Look, Plan};
use super::query::Query;
use super::subject::Subject;
use crate::repo::error::RepoError;
use crate::repo::snapshot::Snapshot;

impl Snapshot {
    /// Says how a page of a query is answered here, without answering it.
    pub fn explain<E: Subject>(&self, query: &Query<E>) -> Result<Explanation, RepoError> {
        let plan = self.plan(query)?;
        let page = Wanted::First(u64::from(query.page_size) + 1);
        let ordered = self.orders(query, &plan, page)?;
        let by = query.order.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let mut steps = Vec::new();
        let action = |what: Does, says: &str| Action { depth: 0, what, says: says.to_owned(), entries: None };
        let check = action(Does::Check, &query.predicate.to_string());
        if ordered.is_some() {
            steps.push(Action { entries: ordered, ..action(Does::Index, &format!("{} by {by}", E::WORD)) });
            steps.extend((!query.predicate.is_anything()).then(|| check.clone()));
            steps.push(action(Does::Rest, &format!("{} without a place there", E::WORD)));
        }
        explain::<E>(&plan, usize::from(ordered.is_some()), &mut steps);
        steps.extend((!plan.decides && ordered.is_none()).then_some(check));
        if ordered.is_none() && !query.order.is_empty() {
            steps.push(action(Does::Sort, &by));
        }
        Ok(Explanation { steps })
    }
}

fn explain<E: Subject>(plan: &Plan, depth: usize, steps: &mut Vec<Action>) {
    let (what, says, parts): (_, String, &[Plan]) = match &plan.look {
        Look::Nowhere => (Does::Nothing, E::WORD.to_owned(), &[]),
        Look::Everywhere => (Does::Scan, E::WORD.to_owned(), &[]),
        Look::Index(lookup) => (Does::Index, lookup.says.clone(), &[]),
        Look::Both(parts) => (Does::Both, String::new(), parts),
        Look::Either(parts) => (Does::Either, String::new(), parts),
    };
    steps.push(Action { depth, what, says, entries: Some(plan.entries) });
    parts.iter().for_each(|part| explain::<E>(part, depth + 1, steps));
}

/// How a query is answered: as data, and as text for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// What is done, one after the other.
    pub steps: Vec<Action>,
}

/// One thing that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// How many steps it is part of.
    pub depth: usize,
    /// What is done.
    pub what: Does,
    /// With what.
    pub says: String,
    /// How many entries it has at most.
    pub entries: Option<u64>,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Does {
    /// Nothing can be found.
    Nothing,
    /// Everything is read.
    Scan,
    /// Part of an index is read.
    Index,
    /// What all parts have.
    Both,
    /// What one part has at least.
    Either,
    /// What was found is read and checked.
    Check,
    /// What was found is put in order in memory.
    Sort,
    /// Done in the end, if so much of the answer is asked for.
    Rest,
}

impl Explanation {
    /// Says whether everything is read.
    pub fn scans(&self) -> bool {
        self.steps.iter().any(|step| step.what == Does::Scan)
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.steps.iter().enumerate() {
            let (line, indent) = (if at > 0 { "\n" } else { "" }, "  ".repeat(step.depth));
            let word = match step.what {
                Does::Nothing => "nothing to find among",
                Does::Scan => "scan all",
                Does::Index => "index:",
                Does::Both => "what is in all of",
                Does::Either => "what is in one of",
                Does::Check => "check:",
                Does::Sort => "sort by",
                Does::Rest => "in the end,",
            };
            write!(f, "{line}{indent}{word}")?;
            if !step.says.is_empty() {
                write!(f, " {}", step.says)?;
            }
            if let Some(entries) = step.entries {
                write!(f, " ({entries} {})", if entries == 1 { "entry" } else { "entries" })?;
            }
        }
        Ok(())
    }
}
