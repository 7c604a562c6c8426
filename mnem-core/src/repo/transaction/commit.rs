//! How staged changes become a commit: new versions, maps, indexes, names and the operation, in one step of the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::{Change, Changes, Transaction};
use crate::block::Block;
use crate::cid::Cid;
use crate::id::{CommitId, EntityId, OperationId};
use crate::key::ConflictKey;
use crate::object::{Commit, Object, OperationKind};
use crate::port::{BlockRead, HeadsUpdate, Row, Swap, WriteBatch};
use crate::repo::collect;
use crate::repo::commit::Made;
use crate::repo::dag;
use crate::repo::entity::Entity;
use crate::repo::error::RepoError;
use crate::repo::history;
use crate::repo::index::{self, Index, KeyEdits};
use crate::repo::merge::Maps;
use crate::repo::refs::{NameKind, Target};
use crate::repo::shared::ATTEMPTS_MAX;
use crate::repo::snapshot::{At, Snapshot};
use crate::repo::state::State;
use crate::staged::Staged;
use crate::tree::{Edit, Tree, link_value};

impl Transaction {
    /// Makes the changes durable and visible, in one step, whatever others committed meanwhile. Returns the new state;
    /// without changes, the old one.
    pub fn commit(self, message: &str) -> Result<Snapshot, RepoError> {
        if self.is_empty() {
            return Ok(self.into_started());
        }
        self.check_unique(&self.base)?;
        let staged = Arc::new(Staged::new(Arc::clone(&self.base.state.blocks)));
        let (commit_id, commit) = match self.forwarded() {
            Some(At { id, commit }) => (*id, commit.clone()),
            None => self.stage_commit(message, &staged)?,
        };
        let mut rows = self.stage_indexes(&commit, &staged)?;
        if self.forwarded().is_none() {
            rows.extend(history::record(&self.base.shared, &self.base.state, commit_id, &staged)?);
        }
        let operation = self.stage_operation(commit_id, &commit, &staged)?;
        self.publish(operation, &staged, &rows)?;
        let at = Some(Arc::new(At { id: commit_id, commit }));
        // Read again: the new state holds a lease on the new head, where this one holds the old.
        let state = Arc::new(self.base.shared.state_at(operation)?);
        collect::after_commit(&self.base.shared, state.generation);
        Ok(Snapshot { shared: self.base.shared, state, branch: self.base.branch, at })
    }

    /// Writes the new versions, the new maps, and the commit.
    fn stage_commit(&self, message: &str, staged: &Arc<Staged>) -> Result<(CommitId, Commit), RepoError> {
        let shared = &self.base.shared;
        let parents = self.parents();
        let place = dag::place(&*self.base.state.blocks, &parents)?;
        let maps = self.stage_maps(staged)?;
        let made = Made {
            params: shared.params_cid,
            parents,
            change: shared.draw_change(),
            actor: self.actor.id(),
            session: shared.session,
            time: shared.time_after(place.latest)?,
            message,
        };
        let commit = made.commit(&place, maps);
        let block = commit.to_block()?;
        let id = CommitId::new(*block.cid());
        staged.put(block)?;
        Ok((id, commit))
    }

    /// Writes the new versions and the new maps.
    pub(super) fn stage_maps(&self, staged: &Arc<Staged>) -> Result<Maps, RepoError> {
        let base = match self.base.commit() {
            Some(commit) => Maps::of(commit),
            None => Maps::empty(self.base.shared.empty_root),
        };
        Ok(Maps {
            nodes: self.stage_map(base.nodes, &self.nodes, staged)?,
            edges: self.stage_map(base.edges, &self.edges, staged)?,
            conflicts: self.stage_conflicts(base.conflicts, staged)?,
            schema: self.stage_schema(base.schema, staged)?,
            vectors: self.vectors.stage(&self.base, base.vectors, staged)?,
            ..base
        })
    }

    fn stage_map<E: Entity>(
        &self,
        root: Cid,
        changes: &Changes<E>,
        staged: &Arc<Staged>,
    ) -> Result<Cid, RepoError> {
        let mut edits = Vec::new();
        for (id, change) in changes.iter().filter(|(_, change)| !change.is_none()) {
            let value = match change.now() {
                Some(version) => {
                    let block = version.to_block()?;
                    let value = link_value(block.cid());
                    staged.put(block)?;
                    Some(value)
                }
                None => None,
            };
            edits.push(Edit { key: Bytes::copy_from_slice(id.key()), value });
        }
        Ok(*mutate(&self.base.state, root, edits, staged)?.root())
    }

    fn stage_schema(&self, root: Cid, staged: &Arc<Staged>) -> Result<Cid, RepoError> {
        let Some(schema) = &self.schema else { return Ok(root) };
        let mut edits = BTreeMap::new();
        for (key, entry) in schema.entries() {
            let block = entry.map(|entry| entry.to_block()).transpose()?;
            let value = block.as_ref().map(|block| link_value(block.cid()));
            block.map_or(Ok(()), |block| staged.put(block))?;
            edits.insert(key.to_key(), value);
        }
        let edits = edits.into_iter().map(|(key, value)| Edit { key: key.into(), value }).collect();
        Ok(*mutate(&self.base.state, root, edits, staged)?.root())
    }

    /// Takes what was settled out of the map of conflicts.
    fn stage_conflicts(&self, root: Cid, staged: &Arc<Staged>) -> Result<Cid, RepoError> {
        let nodes = self.nodes.iter().filter(|(_, change)| change.was_in_conflict);
        let edges = self.edges.iter().filter(|(_, change)| change.was_in_conflict);
        let schema = self.schema.iter().flat_map(|schema| schema.entries().into_keys());
        let keys: BTreeSet<Vec<u8>> = nodes
            .map(|(id, _)| ConflictKey::Node(*id).to_key())
            .chain(edges.map(|(id, _)| ConflictKey::Edge(*id).to_key()))
            .chain(schema.map(|key| ConflictKey::Schema(key).to_key()))
            .chain(self.vectors.keys().map(|key| key.to_key()))
            .collect();
        let edits = keys.into_iter().map(|key| Edit { key: key.into(), value: None }).collect();
        Ok(*mutate(&self.base.state, root, edits, staged)?.root())
    }

    fn stage_indexes(&self, commit: &Commit, staged: &Arc<Staged>) -> Result<Vec<Row>, RepoError> {
        if self.forwarded().is_some() {
            return Ok(Vec::new()); // whoever made the commit has seen to it
        }
        let Snapshot { shared, state, .. } = &self.base;
        let mut rows = Vec::new();
        for index in Index::kept(&self.schema()?) {
            let edits = KeyEdits::of(
                &index,
                self.nodes.values().map(Change::versions),
                self.edges.values().map(Change::versions),
            );
            rows.extend(index::extend(shared, state, &index, (self.base.commit(), commit), edits, staged)?);
        }
        Ok(rows)
    }

    /// Writes the names as they are to be, and the operation.
    fn stage_operation(
        &self,
        commit_id: CommitId,
        commit: &Commit,
        staged: &Arc<Staged>,
    ) -> Result<OperationId, RepoError> {
        let state = &self.base.state;
        let key = NameKind::Branch.key(&self.base.branch);
        let value = Target::commit(commit_id).encode();
        let refs = mutate(state, state.view.refs, vec![Edit { key: key.into(), value }], staged)?;
        let mut view = state.view.clone();
        view.refs = *refs.root();
        self.base.shared.stage_operation(
            state,
            &view,
            OperationKind::Commit,
            &self.actor,
            commit.time,
            staged,
        )
    }

    fn publish(&self, operation: OperationId, staged: &Staged, rows: &[Row]) -> Result<(), RepoError> {
        let state = &self.base.state;
        let shared = &self.base.shared;
        let made = state.pending.iter().cloned().chain(staged.blocks());
        let roots = std::iter::once(*operation.cid()).chain(rows.iter().filter_map(index::root_of));
        let blocks = needed(&made.collect::<Vec<Block>>(), roots)?;
        let mut heads = HeadsUpdate::advance(shared.options.namespace.clone(), &state.heads, operation);
        for _ in 0..ATTEMPTS_MAX {
            if !self.expected.is_empty() || self.expects_unique {
                heads.expected = Some(self.check_expected()?);
            }
            let batch = WriteBatch { blocks: &blocks, heads: &heads, rows };
            match shared.store.commit(state.lease(), &batch)? {
                Swap::Done => return Ok(()),
                Swap::Moved => {} // somebody committed since the expectations were checked
            }
        }
        Err(RepoError::Contended { attempts: ATTEMPTS_MAX })
    }

    /// Checks what was expected against the present state, and returns the heads that it was read from.
    fn check_expected(&self) -> Result<Vec<OperationId>, RepoError> {
        let shared = &self.base.shared;
        let state = Arc::new(shared.state()?);
        let heads = state.heads.clone();
        let tip = state.branch_tip(&self.base.branch)?;
        let now = Snapshot::new(Arc::clone(shared), state, Arc::clone(&self.base.branch), tip)?;
        for (id, expected) in &self.expected {
            let found = match id {
                EntityId::Node(id) => now.version_of(*id)?,
                EntityId::Edge(id) => now.version_of(*id)?,
            };
            if found != *expected {
                return Err(RepoError::Changed { id: *id, expected: *expected, found });
            }
        }
        self.check_unique(&now)?;
        Ok(heads)
    }
}

/// Leaves out what was made on the way and nothing refers to any more.
fn needed(made: &[Block], roots: impl Iterator<Item = Cid>) -> Result<Vec<Block>, RepoError> {
    let mut open: Vec<Cid> = roots.collect();
    let by_cid: BTreeMap<Cid, &Block> = made.iter().map(|block| (*block.cid(), block)).collect();
    let mut needed = BTreeSet::new();
    while let Some(cid) = open.pop() {
        if let Some(block) = by_cid.get(&cid)
            && needed.insert(cid)
        {
            let links = crate::codec::links(cid.codec(), block.bytes());
            open.extend(links.map_err(|why| RepoError::Damaged { what: "a block", cid, why })?);
        }
    }
    Ok(made.iter().filter(|block| needed.contains(block.cid())).cloned().collect())
}

fn mutate(state: &State, root: Cid, edits: Vec<Edit>, staged: &Arc<Staged>) -> Result<Tree, RepoError> {
    let blocks = Arc::clone(staged) as Arc<dyn BlockRead>;
    let mut sink = Arc::clone(staged);
    Ok(state.trees.over(blocks).tree(root).mutate(edits, &mut sink)?)
}
