//! Keeping indexes: extending them from commit to commit, and building them from a whole map.

use std::sync::Arc;

use super::edits::{KeyEdits, When};
use super::{Index, rows};
use crate::cid::Cid;
use crate::object::Commit;
use crate::port::{BlockRead, Row};
use crate::repo::entity;
use crate::repo::error::RepoError;
use crate::repo::read::decode;
use crate::repo::shared::Shared;
use crate::repo::state::State;
use crate::staged::Staged;
use crate::tree::{KeyRange, Order, Tree, TreeError, TreeStore};

/// Extends the index of one commit by `edits` to that of the next, and returns the rows that are missing.
pub(in crate::repo) fn extend(
    shared: &Shared,
    state: &State,
    index: &Index,
    (base, commit): (Option<&Commit>, &Commit),
    edits: KeyEdits,
    staged: &Arc<Staged>,
) -> Result<Vec<Row>, RepoError> {
    let before = base.map_or(&shared.empty_root, |base| index.source(base));
    let after = index.source(commit);
    let named = |source, tree: &Tree| rows::row(&shared.options.namespace, index, source, tree.root());
    let mut missing = Vec::new();
    let known = match (rows::find(shared, state, index, before)?, base) {
        (Some(_), _) if before == after => return Ok(missing),
        (Some(root), _) => Some(over(state, staged).tree(root)),
        // A merge has no rows before somebody commits on top of it.
        (None, Some(base)) => {
            derive(shared, state, index, base, staged)?.inspect(|tree| missing.push(named(before, tree)))
        }
        (None, None) => None,
    };
    let tree = match known.map(|tree| apply(&tree, edits, staged)) {
        Some(Ok(tree)) => tree,
        // Of what a row names, parts may have been collected. It is derived: nothing is lost.
        None | Some(Err(TreeError::Missing { .. })) => build(state, index, after, staged)?,
        Some(Err(why)) => return Err(why.into()),
    };
    if before != after || missing.is_empty() {
        missing.push(named(after, &tree));
    }
    Ok(missing)
}

/// Extends the index of a parent, where one has it, by what changed since: a merge has one parent at least whose
/// indexes were written with it.
pub(super) fn derive(
    shared: &Shared,
    state: &State,
    index: &Index,
    commit: &Commit,
    staged: &Arc<Staged>,
) -> Result<Option<Tree>, RepoError> {
    for parent in &commit.parents {
        let Some(parent) = state.block(parent.cid())? else { continue };
        let parent: Commit = decode(&parent)?;
        let before = index.source(&parent);
        let Some(root) = rows::find(shared, state, index, before)? else { continue };
        let edits = match changed(&over(state, staged), index, before, index.source(commit), staged) {
            Err(RepoError::Tree(TreeError::Missing { .. })) => continue, // nothing is kept of the parent but itself
            edits => edits?,
        };
        match apply(&over(state, staged).tree(root), edits, staged) {
            Err(TreeError::Missing { .. }) => {}
            tree => return Ok(Some(tree?)),
        }
    }
    Ok(None)
}

fn apply(tree: &Tree, edits: KeyEdits, staged: &Arc<Staged>) -> Result<Tree, TreeError> {
    tree.mutate(edits.into_edits_of(tree)?, &mut Arc::clone(staged))
}

/// Collects what becomes of an index from one map to another.
fn changed(
    trees: &TreeStore,
    index: &Index,
    before: &Cid,
    after: &Cid,
    staged: &Arc<Staged>,
) -> Result<KeyEdits, RepoError> {
    let mut edits = KeyEdits::new(index);
    for change in trees.tree(*before).diff(&trees.tree(*after), KeyRange::ALL, Order::Ascending) {
        let change = change?;
        for (root, value, when) in [(before, change.before, When::Before), (after, change.after, When::After)]
        {
            if let Some(value) = value {
                edits.entity(&**staged, &entity::link(root, &value)?, when)?;
            }
        }
    }
    Ok(edits)
}

fn over(state: &State, staged: &Arc<Staged>) -> TreeStore {
    state.trees.over(Arc::clone(staged) as Arc<dyn BlockRead>)
}

/// Extends the index `root` of one map to that of another. `trees` reads over `staged`.
pub(in crate::repo) fn extended(
    trees: &TreeStore,
    index: &Index,
    (before, root): (&Cid, &Cid),
    after: &Cid,
    staged: &Arc<Staged>,
) -> Result<Tree, RepoError> {
    let edits = changed(trees, index, before, after, staged)?;
    Ok(apply(&trees.tree(*root), edits, staged)?)
}

/// Builds an index from the map `source`. Keys are sorted in memory.
pub(super) fn build(
    state: &State,
    index: &Index,
    source: &Cid,
    staged: &Arc<Staged>,
) -> Result<Tree, RepoError> {
    anew(&over(state, staged), index, source, staged)
}

/// The same for whoever has no state. `trees` reads over `staged`.
pub(in crate::repo) fn anew(
    trees: &TreeStore,
    index: &Index,
    source: &Cid,
    staged: &Arc<Staged>,
) -> Result<Tree, RepoError> {
    let mut keys = KeyEdits::new(index);
    for entry in trees.tree(*source).iter() {
        keys.entity(&**staged, &entity::link(source, &entry?.value)?, When::After)?;
    }
    let empty = trees.build_empty(&mut Vec::new())?;
    let entries = keys.into_edits_of(&empty)?.into_iter().filter_map(|edit| Some((edit.key, edit.value?)));
    Ok(trees.build(entries, &mut Arc::clone(staged))?)
}
