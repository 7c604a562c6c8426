//! Reading archives: all of it is there and checked before a name moves.

use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;

use super::carry::{Carried, Carrier, Under, erased_in, horizon};
use super::error::SyncError;
use super::fetch::{Fetch, Offer, Taking};
use super::{Synced, boundary};
use crate::block::Block;
use crate::cid::Cid;
use crate::exchange::CarReader;
use crate::id::CommitId;
use crate::object::{Bundle, Commit, Object, Params, kind_of};
use crate::port::{BlockRead, HeadsUpdate, Row, Store, Swap, WriteBatch};
use crate::progress::Listener;
use crate::progress::Progress;
use crate::repo::error::RepoError;
use crate::repo::handle::Repo;
use crate::repo::options::{Actor, Options};
use crate::repo::reach::{Bounds, Place};
use crate::repo::read::{decode, read};
use crate::repo::refs::Target;
use crate::repo::state::State;
use crate::tree::TreeStore;

/// How much is put at once.
const BATCH_BLOCKS: usize = 64;
const BATCH_BYTES: usize = 8 << 20;

impl Repo {
    /// Makes a repository of an archive that holds a whole one, in a store that holds none in that namespace: it is then
    /// what was exported, operation by operation.
    pub fn from_archive(
        store: Arc<dyn Store>,
        options: Options,
        input: impl Read,
        listener: &mut Listener<'_>,
    ) -> Result<(Repo, Synced), SyncError> {
        let exists = || RepoError::Exists { namespace: options.namespace.to_string() };
        if !store.heads(&options.namespace)?.is_empty() {
            return Err(exists().into());
        }
        let under = Under::Nothing(store.lease(&[])?);
        let mut carried = Carried::new(None, Arc::clone(&store), under);
        let roots = take_blocks(input, &mut carried, listener)?;
        let (root, bundle) = match offered(&*store, &roots)? {
            Offered::Whole(root, bundle) => (root, bundle),
            Offered::Commits(_) => {
                return Err(SyncError::NotOurs { found: "commits, and no whole repository" });
            }
        };
        let params: Params = read(&carried, &bundle.params)?;
        let blocks = Arc::clone(&store) as Arc<dyn BlockRead>;
        let trees = TreeStore::new(blocks, &params.tree).map_err(|_| SyncError::IncompatibleTrees)?;
        let mut carrier = Carrier::new(carried, &trees, Bounds::default(), listener)?;
        let left_out = left_out(carrier.trees(), bundle.boundary)?;
        let erased = erased_in(carrier.trees(), bundle.erased)?;
        let heads = bundle.heads.clone();
        let state = State::of(Arc::from(store.snapshot()?), heads, &options.namespace, &trees)?;
        let horizon = horizon(&state)?;
        carrier.bounds_mut().erased = Arc::new(erased);
        carrier.bounds_mut().may_be_absent = Arc::new(left_out.union(&horizon).copied().collect());
        carrier.take(root, Place::Object, horizon)?;
        let (carried, synced) = carrier.finish()?;
        let rows: Vec<Row> =
            left_out.iter().map(|cid| boundary::row(&options.namespace, cid, true)).collect();
        let heads = HeadsUpdate {
            namespace: options.namespace.clone(),
            expected: Some(Vec::new()),
            add: bundle.heads,
            remove: Vec::new(),
        };
        match store.commit(carried.under.lease(), &WriteBatch { blocks: &[], heads: &heads, rows: &rows })? {
            Swap::Done => Ok((Repo::open(store, options)?, synced)),
            Swap::Moved => Err(exists().into()),
        }
    }

    /// Takes over what an archive holds and this repository has not, as [`fetch_from`](Self::fetch_from) does. The
    /// branches of a whole repository are known under the name that `how` gives; commits as branches `name`, `name-2` and
    /// so on of that.
    pub fn import_archive(
        &self,
        actor: &Actor,
        input: impl Read,
        how: &Fetch,
        name: &str,
        listener: &mut Listener<'_>,
    ) -> Result<Synced, SyncError> {
        self.check_writable()?;
        let ours = Arc::new(self.shared.state()?);
        let mut carried = Carried::new(None, Arc::clone(self.store()), Under::State(Arc::clone(&ours)));
        let roots = take_blocks(input, &mut carried, listener)?;
        let there = Arc::clone(self.store()) as Arc<dyn BlockRead>;
        let (theirs, offer, boundary);
        match offered(&**self.store(), &roots)? {
            Offered::Whole(_, bundle) => {
                let params: Params = read(&carried, &bundle.params)?;
                if params.tree != *ours.trees.params() {
                    return Err(SyncError::IncompatibleTrees);
                }
                // Taken now, so that it shows what was put.
                let stored = Arc::from(self.store().snapshot()?);
                let namespace = &self.shared.options.namespace;
                let state = State::of(stored, bundle.heads, namespace, &ours.trees)?;
                carried.put(&state.pending)?; // a merge of its heads that nobody stored
                offer = Offer::of(&state)?;
                boundary = left_out(&state.trees, bundle.boundary)?;
                theirs = Some(state);
            }
            Offered::Commits(commits) => {
                let named = |(at, commit): (usize, &CommitId)| {
                    let name = if at == 0 { name.to_owned() } else { format!("{name}-{}", at + 1) };
                    (name, Target::commit(*commit))
                };
                offer = Offer { branches: commits.iter().enumerate().map(named).collect(), tags: Vec::new() };
                (theirs, boundary) = (None, HashSet::new());
            }
        }
        let there = theirs.as_ref().map_or(there, |state| Arc::clone(&state.blocks));
        let taking = Taking { repo: self, actor, ours, there, theirs: theirs.as_ref(), offer, boundary, how };
        taking.run(carried, listener)
    }
}

/// Puts all blocks of an archive, and returns its roots. Nothing names them yet.
fn take_blocks(
    input: impl Read,
    carried: &mut Carried,
    listener: &mut Listener<'_>,
) -> Result<Vec<Cid>, SyncError> {
    let mut car = CarReader::new(input)?;
    let (mut batch, mut batch_bytes): (Vec<Block>, usize) = (Vec::new(), 0);
    let mut done = 0;
    loop {
        let block = car.next().transpose()?;
        let is_end = block.is_none();
        if let Some(block) = block {
            batch_bytes += block.bytes().len();
            batch.push(block);
        }
        if is_end || batch.len() >= BATCH_BLOCKS || batch_bytes >= BATCH_BYTES {
            carried.put(&batch)?;
            done += batch.len() as u64;
            (batch, batch_bytes) = (Vec::new(), 0);
            if listener(&Progress::new("read", done, None)).is_break() {
                return Err(SyncError::Stopped);
            }
        }
        if is_end {
            return Ok(car.roots().to_vec());
        }
    }
}

/// What an archive is for.
enum Offered {
    Whole(Cid, Bundle),
    Commits(Vec<CommitId>),
}

fn offered(blocks: &dyn BlockRead, roots: &[Cid]) -> Result<Offered, SyncError> {
    if roots.is_empty() {
        return Err(SyncError::NotOurs { found: "no roots" });
    }
    let mut commits = Vec::new();
    for root in roots {
        let block = blocks.get(root)?.ok_or(SyncError::Incomplete { cid: *root, from: None })?;
        match kind_of(&block).ok().flatten().as_deref() {
            Some(Commit::KIND) if !commits.contains(&CommitId::new(*root)) => {
                commits.push(CommitId::new(*root));
            }
            Some(Commit::KIND) => {}
            Some(Bundle::KIND) if roots.iter().all(|other| other == root) => {
                return Ok(Offered::Whole(*root, decode(&block)?));
            }
            _ => return Err(SyncError::NotOurs { found: "a root that is neither" }),
        }
    }
    Ok(Offered::Commits(commits))
}

/// What a bundle says is left out.
fn left_out(trees: &TreeStore, set: Cid) -> Result<HashSet<Cid>, SyncError> {
    let mut found = HashSet::new();
    for entry in trees.tree(set).iter() {
        found.extend(Cid::from_bytes(&entry?.key));
    }
    Ok(found)
}
