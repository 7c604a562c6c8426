//! Cursors: where they go on, and where they do not.

use mnem_core::repo::query::{Cursor, Page, Predicate, Query, QueryError, label, prop};
use mnem_core::repo::{Actor, Repo, RepoError, Snapshot};
use mnem_core::{NodeId, props};

use crate::kit::{change, fresh};

fn note(repo: &Repo, count: i64) -> Snapshot {
    change(repo, |tx| {
        for n in 0..count {
            tx.add_node("Note", props! { n: n }).unwrap();
        }
    })
}

fn numbers(page: &Page<NodeId>) -> Vec<i64> {
    page.items().iter().map(|node| node.get("n").unwrap()).collect()
}

#[test]
fn page_two_shows_the_state_of_page_one() {
    let repo = fresh(1);
    let first_state = note(&repo, 5);
    for query in [Query::nodes(label("Note")), Query::nodes(label("Note")).order_by(prop("n").ascending())] {
        let query = query.page_size(3);
        let one = first_state.page(&query, None).unwrap();
        assert_eq!(numbers(&one), [0, 1, 2]);
        let now = note(&repo, 1);
        let cursor: Cursor =
            serde_json::from_str(&serde_json::to_string(one.next().unwrap()).unwrap()).unwrap();
        let two = repo.at_cursor(&cursor).unwrap().page(&query, Some(&cursor)).unwrap();
        assert_eq!(numbers(&two), [3, 4]);
        assert!(two.next().is_none());
        assert!(matches!(
            now.page(&query, Some(&cursor)),
            Err(RepoError::Query(QueryError::CursorOfAnotherState { cursor: of, .. })) if of == cursor.commit()
        ));
    }
}

#[test]
fn a_cursor_of_a_merge_that_nobody_stored_opens_that_merge() {
    let repo = fresh(2);
    note(&repo, 2);
    let (mut one, mut two) =
        (repo.begin(&Actor::named("one")).unwrap(), repo.begin(&Actor::named("two")).unwrap());
    one.add_node("Note", props! { n: 2 }).unwrap();
    two.add_node("Note", props! { n: 3 }).unwrap();
    one.commit("one").unwrap();
    two.commit("two").unwrap();
    let query = Query::nodes(label("Note")).page_size(3);
    let merged = repo.head().unwrap();
    let page = merged.page(&query, None).unwrap();
    let cursor = page.next().unwrap().to_string().parse::<Cursor>().unwrap();
    let opened = repo.at_cursor(&cursor).unwrap();
    assert_eq!(opened.commit_id(), merged.commit_id());
    assert_eq!(opened.page(&query, Some(&cursor)).unwrap().items().len(), 1);
    note(&repo, 1);
    let later = repo.at_cursor(&cursor).unwrap();
    assert_eq!(later.commit_id(), merged.commit_id(), "stored by now, it is found by its id");
}

#[test]
fn a_cursor_belongs_to_its_query_whatever_the_size_of_pages() {
    let repo = fresh(3);
    let state = note(&repo, 5);
    let query = Query::nodes(label("Note"));
    let cursor = state.page(&query.clone().page_size(2), None).unwrap().next().unwrap().clone();
    assert_eq!(numbers(&state.page(&query.clone().page_size(9), Some(&cursor)).unwrap()), [2, 3, 4]);
    for other in [
        Query::nodes(label("Other")),
        Query::nodes(Predicate::anything()),
        query.clone().order_by(prop("n").ascending()),
    ] {
        assert!(matches!(
            state.page(&other, Some(&cursor)),
            Err(RepoError::Query(QueryError::CursorOfAnotherQuery))
        ));
    }
    let edges = Query::edges(Predicate::anything());
    assert!(matches!(
        state.page(&edges, Some(&cursor)),
        Err(RepoError::Query(QueryError::CursorOfAnotherQuery))
    ));
}

#[test]
fn a_cursor_into_another_repository_is_refused() {
    let query = Query::nodes(label("Note")).page_size(1);
    let cursor = note(&fresh(4), 2).page(&query, None).unwrap().next().unwrap().clone();
    let other = fresh(5);
    assert!(matches!(other.at_cursor(&cursor), Err(RepoError::Query(QueryError::StateGone { .. }))));
    assert!(matches!(
        other.head().unwrap().page(&query, Some(&cursor)),
        Err(RepoError::Query(QueryError::CursorOfAnotherState { found: None, .. }))
    ));
}

#[test]
fn a_page_that_is_just_full_is_the_last_if_nothing_follows() {
    let state = note(&fresh(6), 4);
    for query in [Query::nodes(label("Note")), Query::nodes(label("Note")).order_by(prop("n").descending())] {
        assert!(state.page(&query.clone().page_size(4), None).unwrap().next().is_none());
        assert!(state.page(&query.page_size(3), None).unwrap().next().is_some());
    }
}

/// Ten in ten thousand, and they are the last: a limit that came before the filter would miss them.
#[test]
fn a_selective_filter_is_not_lost_behind_the_size_of_a_page() {
    let state = note(&fresh(7), 3_000);
    let query = Query::nodes(label("Note").and(prop("n").at_least(2_990))).page_size(4);
    let page = state.page(&query, None).unwrap();
    assert_eq!(numbers(&page), [2_990, 2_991, 2_992, 2_993]);
    assert_eq!(state.find(&query).unwrap().count(), 10);
}
