//! Writing archives: a whole repository, or commits.
//!
//! Bytes: FORMAT.md, "Archives". What is written depends on what is exported alone, not on the store or on the way there.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;

use super::alike::Alike;
use super::carry::{erased, horizon};
use super::error::SyncError;
use super::missing::Sides;
use crate::cid::Cid;
use crate::exchange::CarWriter;
use crate::id::CommitId;
use crate::object::{Bundle, Commit, Object, SET_VALUE, Unknown};
use crate::port::BlockRead;
use crate::progress::{Listener, Progress};
use crate::repo::handle::Repo;
use crate::repo::reach::{Bounds, Place, Walk};
use crate::repo::read::read;
use crate::repo::resolve::IntoRevision;
use crate::repo::state::State;
use crate::staged::Staged;
use crate::tree::Edit;

/// The listener hears after so many blocks.
const BLOCKS_A_WORD: u64 = 64;

/// What an archive is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Archive {
    /// Everything: commits, operations, names, settings.
    Whole,
    /// Commits, and what they follow.
    Commits {
        /// The roots.
        of: Vec<CommitId>,
        /// These are left out, and what they follow: whoever takes the archive has them.
        without: Vec<CommitId>,
    },
}

impl Archive {
    /// Holds a commit, and all that it follows.
    pub fn of(commit: CommitId) -> Archive {
        Archive::Commits { of: vec![commit], without: Vec::new() }
    }

    /// Leaves out a commit, and all that it follows.
    pub fn without(self, commit: CommitId) -> Archive {
        match self {
            Archive::Whole => Archive::Whole,
            Archive::Commits { of, without } => {
                Archive::Commits { of, without: without.into_iter().chain([commit]).collect() }
            }
        }
    }
}

/// What an archive holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// Its roots.
    pub roots: Vec<Cid>,
    /// How many blocks.
    pub blocks: u64,
    /// Its length.
    pub bytes: u64,
}

impl Repo {
    /// Returns the commit that a revision means, for [`Archive`].
    pub fn commit_at(&self, revision: impl IntoRevision) -> Result<CommitId, SyncError> {
        let state = self.state()?;
        Ok(self.resolve_in(&state, &revision.into_revision()?)?)
    }

    /// Writes an archive. Equal content gives equal bytes, whatever the store. `out` should be buffered.
    pub fn export_archive(
        &self,
        out: impl Write,
        what: &Archive,
        listener: &mut Listener<'_>,
    ) -> Result<Exported, SyncError> {
        let state = self.state()?;
        let boundary = Arc::new(self.boundary()?);
        let horizon = horizon(&state)?;
        let bounds = Bounds {
            erased: Arc::new(erased(&state)?),
            may_be_absent: Arc::new(boundary.union(&horizon).copied().collect()),
            stop_at: Arc::new(horizon),
            ..Bounds::default()
        };
        match what {
            Archive::Whole => {
                let staged = Arc::new(Staged::new(Arc::clone(&state.blocks)));
                let root = bundle(&state, &boundary, &staged)?;
                write(out, staged, bounds, &[root], listener)
            }
            Archive::Commits { of, without } => {
                let mut roots: Vec<CommitId> = Vec::new();
                for root in of {
                    if !roots.contains(root) {
                        roots.push(*root);
                    }
                }
                let stop_at = Arc::new(outside(&state, &bounds, &boundary, &mut roots, without)?);
                let roots: Vec<Cid> = roots.iter().map(|root| *root.cid()).collect();
                write(out, Arc::clone(&state.blocks), Bounds { stop_at, ..bounds }, &roots, listener)
            }
        }
    }
}

fn write(
    out: impl Write,
    blocks: Arc<dyn BlockRead>,
    bounds: Bounds,
    roots: &[Cid],
    listener: &mut Listener<'_>,
) -> Result<Exported, SyncError> {
    let mut car = CarWriter::new(out, roots).map_err(SyncError::Write)?;
    let mut walk = Walk::new(blocks, bounds);
    // What is added last comes first.
    roots.iter().rev().for_each(|root| walk.add(*root, Place::Object));
    while let Some(reached) = walk.advance()? {
        car.put(&reached.block).map_err(SyncError::Write)?;
        if car.blocks().is_multiple_of(BLOCKS_A_WORD)
            && listener(&Progress::new("blocks", car.blocks(), None)).is_break()
        {
            return Err(SyncError::Stopped);
        }
    }
    let exported = Exported { roots: roots.to_vec(), blocks: car.blocks(), bytes: car.bytes() };
    car.finish().map_err(SyncError::Write)?;
    Ok(exported)
}

/// Makes the one root of a whole repository.
fn bundle(state: &State, boundary: &HashSet<Cid>, staged: &Arc<Staged>) -> Result<Cid, SyncError> {
    let trees = state.trees.over(Arc::clone(staged) as Arc<dyn BlockRead>);
    let empty = trees.build_empty(&mut Arc::clone(staged))?;
    let mut left_out: Vec<Cid> = boundary.iter().copied().collect();
    left_out.sort_unstable();
    let value = bytes::Bytes::from_static(SET_VALUE);
    let edits =
        left_out.iter().map(|cid| Edit { key: cid.to_bytes().to_vec().into(), value: Some(value.clone()) });
    let boundary = *empty.mutate(edits, &mut Arc::clone(staged))?.root();
    let mut heads = state.heads.clone();
    heads.sort_unstable();
    let bundle = Bundle {
        params: state.view.params,
        heads,
        boundary,
        erased: state.view.erased,
        unknown: Unknown::default(),
    };
    let block = bundle.to_block().map_err(crate::repo::error::RepoError::from)?;
    let root = *block.cid();
    staged.put(block)?;
    Ok(root)
}

/// Finds what an archive of commits leaves out, roots among them: what its commits have in the same place as those that they follow and
/// that are left out.
fn outside(
    state: &State,
    bounds: &Bounds,
    boundary: &HashSet<Cid>,
    roots: &mut Vec<CommitId>,
    without: &[CommitId],
) -> Result<HashSet<Cid>, SyncError> {
    if without.is_empty() {
        return Ok(HashSet::new());
    }
    let sides = Sides { there: &*state.blocks, boundary, here: &*state.blocks };
    let missing = sides.missing(roots, without)?;
    roots.retain(|root| missing.commits.contains(root));
    if roots.is_empty() {
        return Err(SyncError::NothingNew);
    }
    let mut walk = Walk::new(Arc::clone(&state.blocks), bounds.clone());
    let mut outside = HashSet::new();
    let alike = Alike { before: &state.trees, after: &state.trees };
    for id in missing.commits {
        let commit: Commit = read(&*state.blocks, id.cid())?;
        let mut stops: HashSet<Cid> = commit.parents.iter().map(|parent| *parent.cid()).collect();
        for parent in &commit.parents {
            if let Some(block) = state.blocks.get(parent.cid())? {
                alike.note(&crate::repo::read::decode(&block)?, &commit, &mut stops)?;
            }
        }
        walk.bounds_mut().stop_at = Arc::new(stops.clone());
        walk.add(*id.cid(), Place::Object);
        while walk.advance()?.is_some() {}
        outside.extend(stops);
    }
    outside.retain(|cid| !walk.has(cid));
    Ok(outside)
}
