//! Repositories that come out alike in every run, and branches of them.

use mnem_core::repo::{Repo, Snapshot, Transaction};
use mnem_core::{NodeId, Value, props};

pub(crate) use crate::kit::{Random, fresh, me};

/// Commits what `change` does.
pub(crate) fn commit<T>(repo: &Repo, change: impl FnOnce(&mut Transaction) -> T) -> Snapshot {
    let mut tx = repo.begin(&me()).unwrap();
    let _made = change(&mut tx);
    tx.commit("a change").unwrap()
}

/// Makes a branch where this one stands.
pub(crate) fn branch(repo: &Repo, name: &str) -> Repo {
    repo.create_branch(&me(), name, &repo.head().unwrap()).unwrap()
}

/// A repository with one node, and a branch of it.
pub(crate) fn two() -> (Repo, Repo, NodeId) {
    let repo = fresh();
    let id = NodeId::of_key("person", b"ada");
    commit(&repo, |tx| tx.add_node_as(id, "Person", props! { name: "Ada", born: 1815 }).unwrap());
    let letters = branch(&repo, "letters");
    (repo, letters, id)
}

pub(crate) fn set(repo: &Repo, id: NodeId, name: &str, value: impl Into<Value>) -> Snapshot {
    commit(repo, |tx| tx.set(id, name, value).unwrap())
}

pub(crate) fn int(at: &Snapshot, id: NodeId, name: &str) -> Option<i64> {
    at.require(id).unwrap().get(name).unwrap()
}

/// The roots of all primary maps: what a state is.
pub(crate) fn roots(at: &Snapshot) -> [mnem_core::Cid; 6] {
    let commit = at.commit().unwrap();
    [commit.nodes, commit.edges, commit.tombs, commit.conflicts, commit.schema, commit.vectors]
}
