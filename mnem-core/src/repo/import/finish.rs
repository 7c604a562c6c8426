//! The commit of an import: indexes, names and the operation.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

use super::{Import, Work};
use crate::block::Block;
use crate::id::{CommitId, NodeId};
use crate::object::{Commit, Node, Object, OperationKind};
use crate::port::{BlockRead, BlockReadExt, HeadsUpdate, Row, Swap, WriteBatch};
use crate::progress::{Listener, Progress};
use crate::repo::collect;
use crate::repo::commit::Made;
use crate::repo::dag;
use crate::repo::entity;
use crate::repo::error::RepoError;
use crate::repo::history;
use crate::repo::index::{Bulk, Index};
use crate::repo::merge::Maps;
use crate::repo::options::Actor;
use crate::repo::refs::{NameKind, Target};
use crate::repo::snapshot::{At, Snapshot};
use crate::staged::Staged;
use crate::tree::{Edit, Tree};

impl Import {
    /// Commits what there is, and returns the state that it makes; `None` if nothing is new.
    pub(super) fn commit(&mut self, listener: &mut Listener<'_>) -> Result<Option<Snapshot>, RepoError> {
        if self.work.recorded == 0 {
            return Ok(None);
        }
        self.spill()?;
        let indexes = self.work.make_indexes(listener)?;
        let head = self.work.publish(&self.repo.branch, &self.actor, &self.options.message, &indexes)?;
        self.report.commits.extend(head.commit_id());
        Ok(Some(head))
    }
}

impl Work {
    fn make_indexes(&mut self, listener: &mut Listener<'_>) -> Result<Vec<Tree>, RepoError> {
        let total = u64::try_from(self.indexes.len()).ok();
        let mut made = Vec::new();
        for (done, index) in (0..).zip(&mut self.indexes) {
            if listener(&Progress::new("indexed", done, total)) == ControlFlow::Break(()) {
                return Err(RepoError::Stopped);
            }
            index.end(&self.trees, &mut self.ahead)?;
            self.ahead.put_all()?;
            made.push(index.finish(&self.trees, &mut self.ahead)?);
            self.ahead.put_all()?;
        }
        for (index, tree) in self.indexes.iter().zip(&made) {
            self.check_unique(index, tree)?;
        }
        Ok(made)
    }

    fn check_unique(&self, index: &Bulk, finished: &Tree) -> Result<(), RepoError> {
        let Index::Property(name) = index.index() else { return Ok(()) };
        if !self.schema.property(name).is_some_and(|property| property.unique) {
            return Ok(());
        }
        let nodes = self.nodes.root();
        index.check_unique(&self.trees, finished, |node: NodeId| {
            let Some(value) = self.trees.tree(nodes).get(node.as_bytes())? else { return Ok(None) };
            let block = self.base.shared.store.require(&entity::link(&nodes, &value)?)?;
            let damaged = |why| RepoError::Damaged { what: Node::KIND, cid: *block.cid(), why };
            Ok(Node::from_block(&block).map_err(damaged)?.props.value(name).cloned())
        })
    }

    /// Writes the commit and the operation, and shows them.
    fn publish(
        &self,
        branch: &str,
        actor: &Actor,
        message: &str,
        indexes: &[Tree],
    ) -> Result<Snapshot, RepoError> {
        let Snapshot { shared, state, .. } = &self.base;
        let staged = Arc::new(Staged::new(Arc::clone(&shared.store) as Arc<dyn BlockRead>));
        let (id, commit) = self.stage_commit(actor, message, &staged)?;
        let rows = self.indexes.iter().zip(indexes).map(|(index, tree)| index.row(shared, &commit, tree));
        let mut rows: Vec<Row> = rows.collect();
        rows.extend(history::record(shared, state, id, &staged)?);

        let trees = state.trees.over(Arc::clone(&staged) as Arc<dyn BlockRead>);
        let key = Bytes::from(NameKind::Branch.key(branch));
        let edit = Edit { key, value: Target::commit(id).encode() };
        let refs = trees.tree(state.view.refs).mutate([edit], &mut Arc::clone(&staged))?;
        let mut view = state.view.clone();
        view.refs = *refs.root();
        let kind = OperationKind::Commit;
        let operation = shared.stage_operation(state, &view, kind, actor, commit.time, &staged)?;
        let blocks: Vec<Block> = staged.blocks();
        let heads = HeadsUpdate::advance(shared.options.namespace.clone(), &state.heads, operation);
        let batch = WriteBatch { blocks: &blocks, heads: &heads, rows: &rows };
        match shared.store.commit(state.lease(), &batch)? {
            Swap::Done => {}
            Swap::Moved => unreachable!("nothing was expected of the heads"),
        }
        let at = Some(Arc::new(At { id, commit }));
        let state = Arc::new(shared.state_at(operation)?);
        collect::after_commit(shared, state.generation);
        Ok(Snapshot { shared: Arc::clone(shared), state, branch: Arc::clone(&self.base.branch), at })
    }

    fn stage_commit(
        &self,
        actor: &Actor,
        message: &str,
        staged: &Staged,
    ) -> Result<(CommitId, Commit), RepoError> {
        let shared = &self.base.shared;
        let base = self.base.commit().map_or_else(|| Maps::empty(shared.empty_root), Maps::of);
        let parents: Vec<CommitId> = self.base.commit_id().into_iter().collect();
        let place = dag::place(staged, &parents)?;
        let made = Made {
            params: shared.params_cid,
            parents,
            change: shared.draw_change(),
            actor: actor.id(),
            session: shared.session,
            time: shared.time_after(place.latest)?,
            message,
        };
        let maps = Maps { nodes: self.nodes.root(), edges: self.edges.root(), ..base };
        let commit = made.commit(&place, maps);
        let block = commit.to_block()?;
        let id = CommitId::new(*block.cid());
        staged.put(block)?;
        Ok((id, commit))
    }
}
