//! How staged changes become a commit: new versions, maps, indexes, names and the operation, in one step of the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::{Change, Changes, Transaction};
use crate::block::Block;
use crate::cid::Cid;
use crate::id::{CommitId, EntityId, OperationId};
use crate::key::ConflictKey;
use crate::object::{Commit, Object, OperationKind, Unknown};
use crate::port::{BlockRead, HeadsUpdate, Row, Swap, WriteBatch};
use crate::repo::dag;
use crate::repo::entity::Entity;
use crate::repo::error::RepoError;
use crate::repo::history;
use crate::repo::index::{self, Index, KeyEdits};
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
            return Ok(self.base);
        }
        self.check_unique(&self.base)?;
        let staged = Arc::new(Staged::new(Arc::clone(&self.base.state.blocks)));
        let (commit_id, commit) = self.stage_commit(message, &staged)?;
        let mut rows = self.stage_indexes(&commit, &staged)?;
        rows.extend(history::record(&self.base.shared, &self.base.state, commit_id, &staged)?);
        let operation = self.stage_operation(commit_id, &commit, &staged)?;
        self.publish(operation, &staged, &rows)?;
        let at = Some(Arc::new(At { id: commit_id, commit }));
        // Read again: the new state holds a lease on the new head, where this one holds the old.
        let state = Arc::new(self.base.shared.state_at(operation)?);
        Ok(Snapshot { shared: self.base.shared, state, branch: self.base.branch, at })
    }

    /// Writes the new versions, the new maps, and the commit.
    fn stage_commit(&self, message: &str, staged: &Arc<Staged>) -> Result<(CommitId, Commit), RepoError> {
        let shared = &self.base.shared;
        let parents: Vec<CommitId> = self.base.commit_id().into_iter().collect();
        let place = dag::place(&*self.base.state.blocks, &parents)?;
        let base = self.base.commit();
        let empty = shared.empty_root;
        let root = |of: fn(&Commit) -> Cid| base.map_or(empty, of);
        let commit = Commit {
            params: shared.params_cid,
            parents,
            generation: place.generation,
            depth: place.depth,
            skip: place.skip,
            change: shared.draw_change(),
            actor: self.actor.id(),
            session: shared.session,
            author: None,
            time: shared.time_after(place.latest)?,
            message: message.into(),
            nodes: self.stage_map(root(|c| c.nodes), &self.nodes, staged)?,
            edges: self.stage_map(root(|c| c.edges), &self.edges, staged)?,
            tombs: root(|c| c.tombs),
            conflicts: self.stage_conflicts(root(|c| c.conflicts), staged)?,
            schema: self.stage_schema(root(|c| c.schema), staged)?,
            vectors: self.vectors.stage(&self.base, root(|c| c.vectors), staged)?,
            unknown: Unknown::default(),
        };
        let block = commit.to_block()?;
        let id = CommitId::new(*block.cid());
        staged.put(block)?;
        Ok((id, commit))
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
        let blocks: Vec<Block> = state.pending.iter().cloned().chain(staged.blocks()).collect();
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

fn mutate(state: &State, root: Cid, edits: Vec<Edit>, staged: &Arc<Staged>) -> Result<Tree, RepoError> {
    let blocks = Arc::clone(staged) as Arc<dyn BlockRead>;
    let mut sink = Arc::clone(staged);
    Ok(state.trees.over(blocks).tree(root).mutate(edits, &mut sink)?)
}
