//! Moving blocks: read on one side, put on the other, visited once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Synced;
use super::alike::Alike;
use super::claims;
use super::error::SyncError;
use crate::block::Block;
use crate::cid::Cid;
use crate::id::{CommitId, EntityId};
use crate::object::Commit;
use crate::port::{BlockRead, CidStream, Lease, Store, StoreError};
use crate::progress::{Listener, Progress};
use crate::repo::reach::{Bounds, Place, Walk};
use crate::repo::state::State;
use crate::tree::{NodeCache, TreeStore};

/// Memory for nodes that are compared.
const CACHE_BYTES: u64 = 8 << 20;

/// The listener hears after so many blocks.
const BLOCKS_A_WORD: u64 = 64;

/// What blocks are put under.
pub(super) enum Under {
    /// That of the state that names will be moved from.
    State(Arc<State>),
    /// One of its own: there is no state yet.
    Nothing(Lease),
}

impl Under {
    pub(super) fn lease(&self) -> &Lease {
        match self {
            Under::State(state) => state.lease(),
            Under::Nothing(lease) => lease,
        }
    }
}

/// Blocks that were put already, by half of their hash.
#[derive(Default)]
pub(super) struct Arrived(HashSet<[u8; 16]>);

impl Arrived {
    /// Notes a block, and says whether it is new.
    pub(super) fn note(&mut self, cid: &Cid) -> bool {
        self.0.insert(half(cid))
    }

    fn has(&self, cid: &Cid) -> bool {
        self.0.contains(&half(cid))
    }
}

fn half(cid: &Cid) -> [u8; 16] {
    let (first, _) = cid.digest().split_first_chunk().expect("a digest has 32 bytes");
    *first
}

/// Reads blocks where they are to go, else where they come from; and puts whatever was read, under the lease.
pub(super) struct Carried {
    pub(super) there: Option<Arc<dyn BlockRead>>,
    pub(super) here: Arc<dyn Store>,
    pub(super) under: Under,
    /// Put under the lease before.
    arrived: Arrived,
    /// Nothing is put: it is only worked out what would be moved.
    pub(super) is_dry: bool,
    moved: Mutex<Moved>,
}

#[derive(Default)]
struct Moved {
    blocks: u64,
    bytes: u64,
    /// What a dry run met: it may ask again.
    dry: Arrived,
}

impl Carried {
    pub(super) fn new(there: Option<Arc<dyn BlockRead>>, here: Arc<dyn Store>, under: Under) -> Carried {
        let (arrived, moved) = (Arrived::default(), Mutex::default());
        Carried { there, here, under, arrived, is_dry: false, moved }
    }

    fn lock(&self) -> MutexGuard<'_, Moved> {
        // Nothing panics while it is held.
        self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, block: &Block) {
        let mut moved = self.lock();
        if self.is_dry && !moved.dry.note(block.cid()) {
            return;
        }
        moved.blocks += 1;
        moved.bytes += block.bytes().len() as u64;
    }

    /// Puts blocks that come by themselves.
    pub(super) fn put(&mut self, blocks: &[Block]) -> Result<(), StoreError> {
        let cids: Vec<Cid> = blocks.iter().map(|block| *block.cid()).collect();
        let present = self.here.has_many(&cids)?;
        self.here.put_leased(self.under.lease(), blocks)?;
        for (block, is_present) in blocks.iter().zip(present) {
            if self.arrived.note(block.cid()) && !is_present {
                self.count(block);
            }
        }
        Ok(())
    }

    fn take(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        let mut found = self.here.get_many(cids)?;
        let absent: Vec<usize> = (0..cids.len()).filter(|i| found[*i].is_none()).collect();
        let wanted: Vec<Cid> = absent.iter().map(|i| cids[*i]).collect();
        if let Some(there) = self.there.as_ref().filter(|_| !wanted.is_empty()) {
            for (i, block) in absent.into_iter().zip(there.get_many(&wanted)?) {
                let Some(block) = block else { continue };
                self.count(&block);
                found[i] = Some(block);
            }
        }
        if self.is_dry {
            return Ok(found);
        }
        let put: Vec<Block> =
            found.iter().flatten().filter(|block| !self.arrived.has(block.cid())).cloned().collect();
        self.here.put_leased(self.under.lease(), &put)?;
        Ok(found)
    }
}

impl BlockRead for Carried {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        Ok(self.take(&[*cid])?.pop().flatten())
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        self.take(cids)
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.here.has(cid)
    }

    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        self.here.has_many(cids)
    }

    fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
        self.here.scan(after)
    }
}

/// Moves what roots reach.
pub(super) struct Carrier<'a, 'b> {
    pub(super) carried: Arc<Carried>,
    walk: Walk,
    /// Over what is carried: what was compared was read.
    trees: TreeStore,
    listener: &'a mut Listener<'b>,
    visited: u64,
    /// Commits that were reached, with their generations.
    commits: Vec<(u64, CommitId)>,
    /// Commits that were moved with all that they reach.
    taken: HashSet<CommitId>,
}

impl<'a, 'b> Carrier<'a, 'b> {
    /// `like` brings the parameters that all trees must be cut by.
    pub(super) fn new(
        carried: Carried,
        like: &TreeStore,
        bounds: Bounds,
        listener: &'a mut Listener<'b>,
    ) -> Result<Carrier<'a, 'b>, SyncError> {
        let carried = Arc::new(carried);
        let blocks = Arc::clone(&carried) as Arc<dyn BlockRead>;
        let cache = NodeCache::new(like.params(), CACHE_BYTES).map_err(|_| SyncError::IncompatibleTrees)?;
        let trees = TreeStore::with_cache(Arc::clone(&blocks), Arc::new(cache));
        Ok(Carrier {
            carried,
            walk: Walk::new(blocks, bounds),
            trees,
            listener,
            visited: 0,
            commits: Vec::new(),
            taken: HashSet::new(),
        })
    }

    /// Moves what a block reaches, but for what lies under `stops`.
    pub(super) fn take(&mut self, root: Cid, place: Place, stops: HashSet<Cid>) -> Result<(), SyncError> {
        self.walk.bounds_mut().stop_at = Arc::new(stops);
        self.walk.add(root, place);
        while let Some(reached) = self.walk.advance()? {
            if let Some(commit) = claims::check(&reached, &self.trees)? {
                self.commits.push((commit.generation, CommitId::new(*reached.block.cid())));
            }
            self.visited += 1;
            if self.visited.is_multiple_of(BLOCKS_A_WORD) {
                self.tell("blocks", self.visited, None)?;
            }
        }
        Ok(())
    }

    /// Where what is moved is read as trees.
    pub(super) const fn trees(&self) -> &TreeStore {
        &self.trees
    }

    /// Changes the bounds of what comes next.
    pub(super) fn bounds_mut(&mut self) -> &mut Bounds {
        self.walk.bounds_mut()
    }

    pub(super) fn tell(
        &mut self,
        step: &'static str,
        done: u64,
        total: Option<u64>,
    ) -> Result<(), SyncError> {
        let progress = Progress::new(step, done, total);
        if (self.listener)(&progress).is_break() { Err(SyncError::Stopped) } else { Ok(()) }
    }

    /// Where what was moved can be read.
    fn arrived(&self) -> &dyn BlockRead {
        if self.carried.is_dry { &*self.carried } else { &*self.carried.here }
    }

    /// Moves a commit after those of its parents that are to be moved. Of the rest `known` ones are reached by the state at
    /// hand, which reads them; the others are left out, and nothing is concluded from what is there of them.
    pub(super) fn take_commit(
        &mut self,
        id: CommitId,
        known: &HashSet<CommitId>,
        state: &TreeStore,
    ) -> Result<(), SyncError> {
        let commit: Commit = crate::repo::read::read(&*self.carried, id.cid())?;
        let mut stops: HashSet<Cid> = commit.parents.iter().map(|parent| *parent.cid()).collect();
        for parent in &commit.parents {
            let before = match (known.contains(parent), self.taken.contains(parent)) {
                (true, _) => state,
                (false, true) => &self.trees,
                (false, false) => continue,
            };
            // A known one may be what unites several heads, and not be stored yet.
            let parent: Commit = crate::repo::read::read(before.blocks(), parent.cid())?;
            Alike { before, after: &self.trees }.note(&parent, &commit, &mut stops)?;
        }
        self.take(*id.cid(), Place::Object, stops)?;
        self.taken.insert(id);
        Ok(())
    }

    /// Checks how the commits that were reached follow each other, and says what was moved.
    pub(super) fn finish(mut self) -> Result<(Arc<Carried>, Synced), SyncError> {
        self.commits.sort_unstable();
        let total = self.commits.len() as u64;
        for (done, (_, id)) in std::mem::take(&mut self.commits).into_iter().enumerate() {
            if (done as u64).is_multiple_of(BLOCKS_A_WORD) {
                self.tell("history", done as u64, Some(total))?;
            }
            claims::check_commit(self.arrived(), id)?;
        }
        let Moved { blocks, bytes, .. } = *self.carried.lock();
        Ok((self.carried, Synced { blocks, bytes, commits: total, ..Synced::default() }))
    }
}

/// Operations that the log of a state ends before: nobody looks behind them, though they may be there.
pub(super) fn horizon(state: &State) -> Result<HashSet<Cid>, SyncError> {
    Ok(crate::repo::collect::horizon::read(&state.trees, state.view.config)?)
}

/// The ids of what was erased.
pub(super) fn erased(state: &State) -> Result<HashSet<EntityId>, SyncError> {
    erased_in(&state.trees, state.view.erased)
}

/// The ids in a set.
pub(super) fn erased_in(trees: &TreeStore, set: Cid) -> Result<HashSet<EntityId>, SyncError> {
    let mut found = HashSet::new();
    for entry in trees.tree(set).iter() {
        found.extend(EntityId::from_key(&entry?.key));
    }
    Ok(found)
}
