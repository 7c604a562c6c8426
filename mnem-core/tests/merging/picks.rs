//! Single commits made here or taken back, and some changes of a state.

use mnem_core::repo::RepoError;
use mnem_core::{EntityId, NodeId, props};

use crate::support::{commit, int, me, set, two};

#[test]
fn a_picked_commit_brings_its_change_and_nothing_else() {
    let (repo, letters, ada) = two();
    set(&letters, ada, "early", 1);
    let wanted = set(&letters, ada, "wanted", 2);
    set(&letters, ada, "late", 3);
    set(&repo, ada, "here", 4);
    let now = commit(&repo, |tx| tx.cherry_pick(&wanted).unwrap());
    let node = now.require(ada).unwrap();
    assert_eq!((node.get::<i64>("wanted").unwrap(), node.get::<i64>("here").unwrap()), (2, 4));
    assert_eq!((node.props.value("early"), node.props.value("late")), (None, None));
    assert_eq!(now.commit().unwrap().parents.len(), 1);
    let mut tx = repo.begin(&me()).unwrap();
    tx.cherry_pick(&wanted).unwrap();
    assert!(tx.is_empty(), "it is there already");
}

#[test]
fn a_commit_is_taken_back_and_what_came_after_stays() {
    let (repo, _, ada) = two();
    let wrong = commit(&repo, |tx| {
        tx.set(ada, "born", 1800).unwrap();
        tx.add_node("Mistake", props! {}).unwrap();
    });
    set(&repo, ada, "died", 1852);
    let now = commit(&repo, |tx| tx.revert(&wrong).unwrap());
    assert_eq!((int(&now, ada, "born"), int(&now, ada, "died")), (Some(1815), Some(1852)));
    assert_eq!((now.labelled("Mistake").unwrap().count(), now.conflicts().unwrap().len()), (0, 0));
    let again = commit(&repo, |tx| tx.revert(&now).unwrap());
    assert_eq!((int(&again, ada, "born"), again.labelled("Mistake").unwrap().count()), (Some(1800), 1));
    set(&repo, ada, "born", 1801);
    let disputed = commit(&repo, |tx| tx.revert(&again).unwrap());
    assert_eq!(disputed.conflict(ada).unwrap().unwrap(), ["born"], "it was changed again since");
}

#[test]
fn the_first_commit_can_be_taken_back_and_picked() {
    let (repo, _, ada) = two();
    let first = repo.head().unwrap();
    let now = commit(&repo, |tx| tx.revert(&first).unwrap());
    assert_eq!(now.get(ada).unwrap(), None);
    let now = commit(&repo, |tx| tx.cherry_pick(&first).unwrap());
    assert_eq!(int(&now, ada, "born"), Some(1815));
}

#[test]
fn a_merge_is_taken_back_along_one_parent() {
    let (repo, letters, ada) = two();
    set(&letters, ada, "theirs", 1);
    set(&repo, ada, "ours", 2);
    let merge = commit(&repo, |tx| tx.merge("letters").unwrap());
    let mut tx = repo.begin(&me()).unwrap();
    assert!(matches!(tx.revert(&merge), Err(RepoError::NeedsMainline { parents: 2, .. })));
    assert!(matches!(tx.revert_merge(&merge, 0), Err(RepoError::NeedsMainline { .. })));
    assert!(matches!(tx.revert_merge(&merge, 3), Err(RepoError::NeedsMainline { .. })));
    assert!(matches!(tx.cherry_pick(&merge), Err(RepoError::NeedsMainline { .. })));
    tx.revert_merge(&merge, 1).unwrap();
    let now = tx.commit("without letters").unwrap();
    assert_eq!((int(&now, ada, "theirs"), int(&now, ada, "ours")), (None, Some(2)));
    let now = commit(&repo, |tx| tx.cherry_pick_merge(&merge, 1).unwrap());
    assert_eq!(int(&now, ada, "theirs"), Some(1));
}

#[test]
fn a_selection_brings_what_is_wanted_and_what_that_needs() {
    let (repo, letters, ada) = two();
    let [bob, eve, joe] = [b"bob", b"eve", b"joe"].map(|name| NodeId::of_key("person", name));
    let mut edge = None;
    commit(&letters, |tx| {
        tx.set(ada, "born", 1816).unwrap();
        for id in [bob, eve, joe] {
            tx.add_node_as(id, "Person", props! {}).unwrap();
        }
        edge = Some(tx.add_edge(bob, "knows", eve, props! {}).unwrap());
        tx.add_edge(joe, "knows", ada, props! {}).unwrap();
    });
    let wanted = EntityId::Edge(edge.unwrap());
    let now = commit(&repo, |tx| tx.merge_only("letters", |id| id == wanted).unwrap());
    assert!(
        now.get(bob).unwrap().is_some() && now.get(eve).unwrap().is_some(),
        "the ends come with the edge"
    );
    assert_eq!((now.get(joe).unwrap(), int(&now, ada, "born")), (None, Some(1815)));
    assert_eq!((now.edge_count().unwrap(), now.commit().unwrap().parents.len()), (1, 1));
    // The rest comes with a merge, as if nothing had been picked.
    let all = commit(&repo, |tx| tx.merge("letters").unwrap());
    assert_eq!((all.node_count().unwrap(), all.edge_count().unwrap()), (4, 2));
    assert_eq!(all.conflicts().unwrap(), []);
    // A node that goes takes its edges along.
    commit(&letters, |tx| tx.remove(bob).unwrap());
    let now = commit(&repo, |tx| tx.merge_only("letters", |id| id == EntityId::Node(bob)).unwrap());
    assert_eq!((now.get(bob).unwrap(), now.edge_count().unwrap()), (None, 1));
}
