//! One question to two states at once.

use std::iter::Peekable;

use super::query::Query;
use super::run::Matches;
use super::subject::Subject;
use crate::repo::error::RepoError;
use crate::repo::snapshot::Snapshot;

/// Asks two states the same and joins the answers by id: what the query finds in one of them at least, as it is in each,
/// whether or not the query finds it there too; `None` where it is not there. So what a fact was can be compared with
/// what it is: whose pay went up, what was in a state and is in another.
///
/// Ascends by id, in bounded memory; the order of the query makes no difference. For all that differs, whatever a
/// query says, a diff of the states costs less.
pub fn query_two<E: Subject>(a: &Snapshot, b: &Snapshot, query: &Query<E>) -> Result<Two<E>, RepoError> {
    Ok(Two {
        a: Some((a.clone(), a.matches(query, None)?.peekable())),
        b: Some((b.clone(), b.matches(query, None)?.peekable())),
    })
}

/// What one query found in two states. Ends after its first error.
pub struct Two<E: Subject> {
    a: Option<Side<E>>,
    b: Option<Side<E>>,
}

type Side<E> = (Snapshot, Peekable<Matches<E>>);
type Pair<T> = (Option<T>, Option<T>);

impl<E: Subject> Two<E> {
    fn advance(&mut self) -> Result<Option<Pair<E::Object>>, RepoError> {
        let (Some((a_state, a)), Some((b_state, b))) = (&mut self.a, &mut self.b) else { return Ok(None) };
        // Errors come first: an id that cannot be read is not one that is not there.
        if let Some(Err(why)) = a.next_if(Result::is_err).or_else(|| b.next_if(Result::is_err)) {
            return Err(why);
        }
        let id = |version: Option<&Result<E::Object, RepoError>>| version?.as_ref().ok().map(E::id);
        let (a_id, b_id) = (id(a.peek()), id(b.peek()));
        let Some(least) = a_id.into_iter().chain(b_id).min() else { return Ok(None) };
        let take = |state: &Snapshot, found: &mut Peekable<Matches<E>>, at: Option<E>| {
            if at == Some(least) { found.next().transpose() } else { state.get(least) }
        };
        Ok(Some((take(a_state, a, a_id)?, take(b_state, b, b_id)?)))
    }
}

impl<E: Subject> Iterator for Two<E> {
    type Item = Result<Pair<E::Object>, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().transpose();
        if matches!(next, Some(Err(_))) {
            (self.a, self.b) = (None, None);
        }
        next
    }
}
