//! When a fact was true in the world, beside when it was recorded: ordinary properties, by agreement.
//!
//! `valid_from` and `valid_to` are integers, microseconds since 1970, UTC. A fact is valid from the first of them on and
//! before the second; where one is absent, that end is open. Declare them indexed to look by them.

use super::predicate::{Predicate, prop};
use super::query::Query;
use crate::object::Time;
use crate::repo::error::RepoError;
use crate::repo::transaction::Transaction;

/// The property that says when a fact begins to be true.
pub const VALID_FROM: &str = "valid_from";

/// The property that says when a fact is true no more.
pub const VALID_TO: &str = "valid_to";

/// It is true at this moment.
pub fn valid_at(time: Time) -> Predicate {
    let has_begun = prop(VALID_FROM).absent().or(prop(VALID_FROM).at_most(time.micros()));
    let goes_on = prop(VALID_TO).absent().or(prop(VALID_TO).above(time.micros()));
    has_begun.and(goes_on)
}

/// It is true no more at this moment.
pub fn ended_by(time: Time) -> Predicate {
    prop(VALID_TO).at_most(time.micros())
}

impl Transaction {
    /// Removes the edges and the nodes that are true no more at a moment; the edges at such a node go with it. Returns
    /// how many had ended. Older commits keep them.
    pub fn remove_ended(&mut self, by: Time) -> Result<u64, RepoError> {
        let edges = self.remove_where(&Query::edges(ended_by(by)))?;
        Ok(edges + self.remove_where(&Query::nodes(ended_by(by)))?)
    }
}
