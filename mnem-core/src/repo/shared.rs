//! What all handles on one open repository share: the store, the options, the cache, and how states are read and
//! operations are written.

use std::sync::Arc;

use super::actors;
use super::collect::Going;
use super::dag;
use super::error::RepoError;
use super::options::{Actor, Options};
use super::schema::Schemas;
use super::state::State;
use crate::block::Block;
use crate::cid::Cid;
use crate::id::{ChangeId, OperationId, SessionId};
use crate::object::{Object, Operation, OperationKind, Time, Unknown, View};
use crate::port::{BlockRead, HeadsUpdate, Row, Store, Swap, WriteBatch};
use crate::staged::Staged;
use crate::tree::{NodeCache, TreeStore};

/// How often a writer tries to publish the union of several heads before it starts from it unpublished.
const RECONCILE_ATTEMPTS_MAX: u32 = 16;

/// How often a change that rests on what others may change is tried.
pub(super) const ATTEMPTS_MAX: u32 = 64;

/// How far ahead of the caller's clock a time may lie.
const AHEAD_MAX_US: i64 = 24 * 3600 * 1_000_000;

/// What all handles on one open repository share.
pub(super) struct Shared {
    pub(super) store: Arc<dyn Store>,
    pub(super) options: Options,
    pub(super) session: SessionId,
    pub(super) params_cid: Cid,
    pub(super) empty_root: Cid,
    pub(super) trees: Arc<NodeCache>,
    pub(super) schemas: Schemas,
    pub(super) going: Going,
}

impl Shared {
    /// Reads the present state.
    pub(super) fn state(&self) -> Result<State, RepoError> {
        let stored = Arc::from(self.store.snapshot()?);
        State::read(stored, &self.options.namespace, &self.tree_store())
    }

    /// Reads the present state and, if it has several heads, publishes the operation that unites them.
    ///
    /// Without this, writers that start from different sets of heads would each unite their own: then the next common
    /// ancestors are several, and theirs too, and uniting grows dearer with each round. As it is, of several writers one
    /// publishes, the others start from that, and every two operations have one youngest ancestor.
    pub(super) fn reconciled(&self) -> Result<State, RepoError> {
        let mut state = self.state()?;
        for _ in 0..RECONCILE_ATTEMPTS_MAX {
            if state.heads.len() < 2 {
                break;
            }
            // Of heads that another one follows nothing has to be united: whoever published that was cut short.
            let add = if state.pending.is_empty() { Vec::new() } else { vec![state.operation] };
            let remove = state.heads.iter().copied().filter(|head| *head != state.operation).collect();
            let heads = HeadsUpdate {
                namespace: self.options.namespace.clone(),
                expected: Some(state.heads.clone()),
                add,
                remove,
            };
            let batch = WriteBatch { blocks: &state.pending, heads: &heads, rows: &[] };
            match self.store.commit(state.lease(), &batch)? {
                Swap::Done | Swap::Moved => state = self.state()?, // somebody else was faster, or may have been since
            }
        }
        // Still several heads: others commit faster than they can be united. That is legal, and only dearer.
        Ok(state)
    }

    /// Reads the state as an operation left it.
    pub(super) fn state_at(&self, operation: OperationId) -> Result<State, RepoError> {
        self.state_of(vec![operation])
    }

    /// Reads the state that several operations of the past gave together.
    pub(super) fn state_of(&self, heads: Vec<OperationId>) -> Result<State, RepoError> {
        let stored = Arc::from(self.store.snapshot()?);
        State::of(stored, heads, &self.options.namespace, &self.tree_store())
    }

    pub(super) fn tree_store(&self) -> TreeStore {
        let nothing: Arc<dyn BlockRead> = Arc::clone(&self.store) as Arc<dyn BlockRead>;
        TreeStore::with_cache(nothing, Arc::clone(&self.trees))
    }

    /// Writes a view and the operation that leads to it.
    pub(super) fn stage_operation(
        &self,
        state: &State,
        view: &View,
        kind: OperationKind,
        actor: &Actor,
        time: Time,
        staged: &Arc<Staged>,
    ) -> Result<OperationId, RepoError> {
        let config = actors::with_name(state, view.config, actor, staged)?;
        let view = View { config, ..view.clone() }.to_block()?;
        let operation = Operation {
            parents: vec![state.operation],
            generation: dag::next_generation(state.generation)?,
            kind,
            details: Unknown::default(),
            actor: actor.id(),
            session: self.session,
            // However clocks run, no operation is older than what it follows.
            time: time.max(state.time),
            view: *view.cid(),
            unknown: Unknown::default(),
        };
        let block = operation.to_block()?;
        let id = OperationId::new(*block.cid());
        staged.put(view)?;
        staged.put(block)?;
        Ok(id)
    }

    /// Publishes names as they are to be, unless anything changed since `state` was read.
    pub(super) fn publish(
        &self,
        state: &State,
        view: &View,
        kind: OperationKind,
        actor: &Actor,
        staged: &Arc<Staged>,
        rows: &[Row],
    ) -> Result<(Swap, OperationId), RepoError> {
        let now = self.options.clock.now();
        let operation = self.stage_operation(state, view, kind, actor, now, staged)?;
        let blocks: Vec<Block> = state.pending.iter().cloned().chain(staged.blocks()).collect();
        let mut heads = HeadsUpdate::advance(self.options.namespace.clone(), &state.heads, operation);
        heads.expected = Some(state.heads.clone());
        let batch = WriteBatch { blocks: &blocks, heads: &heads, rows };
        Ok((self.store.commit(state.lease(), &batch)?, operation))
    }

    pub(super) fn draw_change(&self) -> ChangeId {
        let (unix_ms, random) = self.options.draw();
        ChangeId::from_time_and_random(unix_ms, random)
    }

    /// Returns the present, or the moment after `latest` if the clock is behind it.
    pub(super) fn time_after(&self, latest: Option<Time>) -> Result<Time, RepoError> {
        let now = self.options.clock.now();
        let Some(latest) = latest.filter(|latest| *latest >= now) else { return Ok(now) };
        let ahead_us = latest.micros_since(now);
        latest
            .checked_add(1)
            .filter(|_| ahead_us <= AHEAD_MAX_US)
            .ok_or(RepoError::TimeTooFarAhead { ahead_us })
    }
}
