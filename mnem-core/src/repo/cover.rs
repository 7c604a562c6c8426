//! Making sure that what a name or a commit will refer to is kept while that is written.
//!
//! Whoever writes may refer to what its lease reaches, and to what it put under it: DURABILITY.md, "Collection". A commit
//! that was found by its id may be reached by nothing, and be on its way out. Then all of it is put again.

use std::sync::Arc;

use super::dag;
use super::error::RepoError;
use super::reach::{Bounds, Place, Walk};
use super::read::read;
use super::refs::NameKind;
use super::shared::Shared;
use super::state::State;
use crate::block::Block;
use crate::id::CommitId;
use crate::object::Commit;

/// How many blocks are put at once.
const BLOCKS: usize = 256;

/// Makes a commit one that what is committed under the lease of `state` may refer to.
pub(super) fn cover(shared: &Shared, state: &State, commit: CommitId) -> Result<(), RepoError> {
    let is_pending = state.pending.iter().any(|block| block.cid() == commit.cid());
    if is_pending || is_named(state, commit)? {
        return Ok(());
    }
    let mut walk = Walk::new(Arc::clone(&state.blocks), Bounds::default());
    walk.add(*commit.cid(), Place::Object);
    loop {
        let some = walk.by_ref().take(BLOCKS).map(|reached| Ok(reached?.block));
        let some = some.collect::<Result<Vec<Block>, RepoError>>()?;
        if some.is_empty() {
            return Ok(());
        }
        shared.store.put_leased(state.lease(), &some)?;
    }
}

/// Says whether a name leads there, cheap ways first.
fn is_named(state: &State, commit: CommitId) -> Result<bool, RepoError> {
    let (branches, tags) = (state.names(NameKind::Branch)?, state.names(NameKind::Tag)?);
    let named = branches.into_iter().chain(tags).chain(state.remotes()?);
    let mut tips: Vec<CommitId> = named.flat_map(|(_, target)| target.adds.into_iter().flatten()).collect();
    tips.sort_unstable();
    tips.dedup();
    if tips.contains(&commit) {
        return Ok(true);
    }
    let blocks = &*state.blocks;
    let depth = read::<Commit>(blocks, commit.cid())?.depth;
    let on_line =
        |tip: &CommitId| matches!(dag::at_depth(blocks, *tip, depth), Ok(Some(found)) if found == commit);
    if tips.iter().any(on_line) {
        return Ok(true);
    }
    for tip in tips {
        match dag::is_ancestor(blocks, commit, tip) {
            Ok(true) => return Ok(true),
            Ok(false) | Err(RepoError::Pruned { .. }) => {}
            Err(why) => return Err(why),
        }
    }
    Ok(false)
}
