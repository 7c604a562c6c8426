//! What arrives is what its place says.

use super::error::SyncError;
use crate::block::Block;
use crate::cid::{Cid, Codec};
use crate::codec::DecodeError;
use crate::id::CommitId;
use crate::object::{
    Bundle, Commit, Conflict, Edge, Model, Node, Object, Operation, Params, Property, View, kind_of,
};
use crate::port::BlockRead;
use crate::repo::dag;
use crate::repo::error::RepoError;
use crate::repo::reach::{Place, Reached};
use crate::repo::read::read;
use crate::tree::TreeStore;

/// Checks a block by itself. Returns the commit, if it is one.
pub(super) fn check(reached: &Reached, trees: &TreeStore) -> Result<Option<Commit>, SyncError> {
    let block = &reached.block;
    if reached.place != Place::Object {
        return trees.check_alone(block).map(|()| None).map_err(|why| untrue(block.cid(), &why));
    }
    if block.cid().codec() == Codec::Raw {
        return Ok(None);
    }
    // Blocks of others, to which values link, have no kind; newer versions have kinds that are not known here.
    let Ok(Some(kind)) = kind_of(block) else { return Ok(None) };
    if kind == Params::KIND {
        return check_params(block, trees).map(|()| None);
    }
    let checked: Result<(), DecodeError> = match kind.as_str() {
        Node::KIND => Node::from_block(block).map(drop),
        Edge::KIND => Edge::from_block(block).map(drop),
        Commit::KIND => return Commit::from_block(block).map(Some).map_err(|why| untrue(block.cid(), &why)),
        Operation::KIND => Operation::from_block(block).map(drop),
        View::KIND => View::from_block(block).map(drop),
        Conflict::KIND => Conflict::from_block(block).map(drop),
        Bundle::KIND => Bundle::from_block(block).map(drop),
        Property::KIND => Property::from_block(block).map(drop),
        Model::KIND => Model::from_block(block).map(drop),
        _ => Ok(()),
    };
    checked.map(|()| None).map_err(|why| untrue(block.cid(), &why))
}

fn check_params(block: &Block, trees: &TreeStore) -> Result<(), SyncError> {
    let params = Params::from_block(block).map_err(|why| untrue(block.cid(), &why))?;
    if params.tree != *trees.params() {
        return Err(SyncError::IncompatibleTrees);
    }
    match params.needs.first() {
        Some(needs) => Err(RepoError::Newer { needs: needs.to_string() }.into()),
        None => Ok(()),
    }
}

/// Checks what a commit says of its place in the history, all of which is in `blocks` before it.
pub(super) fn check_commit(blocks: &dyn BlockRead, id: CommitId) -> Result<(), SyncError> {
    let commit: Commit = read(blocks, id.cid())?;
    let place = match dag::place(blocks, &commit.parents) {
        Ok(place) => place,
        // Past a boundary nobody can say.
        Err(RepoError::Pruned { .. } | RepoError::Store(crate::port::StoreError::Absent { .. })) => {
            return Ok(());
        }
        Err(why) => return Err(why.into()),
    };
    let wrong = |why: &str| Err(SyncError::Untrue { cid: *id.cid(), why: why.to_owned() });
    if (place.generation, place.depth) != (commit.generation, commit.depth) {
        return wrong("its generation or depth is not what its parents give");
    }
    if place.skip != commit.skip {
        return wrong("its skip link does not lead where it must");
    }
    if place.latest.is_some_and(|latest| latest >= commit.time) {
        return wrong("it is not later than its parents");
    }
    Ok(())
}

fn untrue(cid: &Cid, why: &dyn std::fmt::Display) -> SyncError {
    SyncError::Untrue { cid: *cid, why: why.to_string() }
}
