//! Taking operations back: undo, redo, revert, restore.
//!
//! Each is an operation itself, and nothing leaves the log. A name that still is where the operation put it goes back
//! to where it was. On a branch that moved on since, a new commit takes back what the operation did there, and leaves
//! what was done since: [`put_back`](super::put_back).
//!
//! Invariants
//!  Z1  What others committed since stays.
//!  Z2  With nothing done in between, undo gives the names as they were, and redo as they were before that.
//!  Z3  An operation that was taken back is passed over, unless that was taken back in turn.
//!  Z4  The set of erased entities, signatures and the names of actors only grow.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use super::actors;
use super::collect::horizon;
use super::dag;
use super::error::RepoError;
use super::handle::Repo;
use super::operations::{self, Recorded};
use super::options::Actor;
use super::put_back::{Way, put_back};
use super::refs::{NameKind, Target};
use super::shared::ATTEMPTS_MAX;
use super::state::State;
use crate::cid::Cid;
use crate::id::{ActorId, OperationId};
use crate::object::{Operation, OperationKind, View};
use crate::port::{BlockRead, Row, Swap};
use crate::staged::Staged;
use crate::tree::{Change, Edit, KeyRange, Order};

/// Whose operations are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The actor's own.
    Own,
    /// The newest, whoever made it.
    Anyone,
}

impl Repo {
    /// Takes back the last operation that is not taken back yet. Returns what was done in it; `None` if there is none.
    pub fn undo(&self, actor: &Actor, scope: Scope) -> Result<Option<Recorded>, RepoError> {
        self.take_back_last(actor, scope, Last::Done)
    }

    /// Takes back the last undo. Returns what is done again by that; `None` if there was no undo, or if something else
    /// was done since: then [`revert_op`](Self::revert_op) takes it back.
    pub fn redo(&self, actor: &Actor, scope: Scope) -> Result<Option<Recorded>, RepoError> {
        self.take_back_last(actor, scope, Last::Undone)
    }

    /// Takes back one operation of the middle. One that united several has to be taken back against one of them:
    /// [`revert_op_against`](Self::revert_op_against).
    pub fn revert_op(&self, actor: &Actor, of: OperationId) -> Result<OperationId, RepoError> {
        self.change(|state| {
            let operation = operations::kept_operation(state, of)?;
            let [parent] = operation.parents[..] else {
                let why = match operation.parents.len() {
                    0 => "it made the repository",
                    _ => "it united several operations; say against which of them",
                };
                return Err(RepoError::NotUndoable { operation: of, why });
            };
            let step = Step { of, operation, parent, kind: OperationKind::Revert { of }, word: "revert" };
            self.take_back(state, actor, &step)
        })
    }

    /// Takes back what an operation that united several brought to one of them.
    pub fn revert_op_against(
        &self,
        actor: &Actor,
        of: OperationId,
        parent: OperationId,
    ) -> Result<OperationId, RepoError> {
        self.change(|state| {
            let operation = operations::kept_operation(state, of)?;
            if !operation.parents.contains(&parent) {
                return Err(RepoError::NotUndoable { operation: of, why: "it does not follow that one" });
            }
            let step = Step { of, operation, parent, kind: OperationKind::Revert { of }, word: "revert" };
            self.take_back(state, actor, &step)
        })
    }

    /// Puts all names back as an operation left them.
    pub fn restore(&self, actor: &Actor, to: OperationId) -> Result<OperationId, RepoError> {
        self.change(|state| {
            let view = operations::view_of(state, &operations::kept_operation(state, to)?)?;
            let staged = Arc::new(Staged::new(Arc::clone(&state.blocks)));
            let stays = |change: &Change| is_kept(&change.key);
            // All settings go back but the names of actors and where the log ends.
            let config = edit(state, &staged, state.view.config, &view.config, |change| {
                Ok(if stays(change) { None } else { Some(change.after.clone()) })
            })?;
            let view = View { refs: view.refs, remotes: view.remotes, config, ..state.view.clone() };
            self.shared.publish(state, &view, OperationKind::Restore { to }, actor, &staged, &[])
        })
    }

    /// Tries a change of the present names until nobody changed them meanwhile.
    pub(super) fn change<T>(
        &self,
        attempt: impl Fn(&Arc<State>) -> Result<(Swap, T), RepoError>,
    ) -> Result<T, RepoError> {
        self.check_writable()?;
        for _ in 0..ATTEMPTS_MAX {
            let state = Arc::new(self.shared.state()?);
            match attempt(&state)? {
                (Swap::Done, done) => return Ok(done),
                (Swap::Moved, _) => {} // somebody else changed something, which this may rest on
            }
        }
        Err(RepoError::Contended { attempts: ATTEMPTS_MAX })
    }

    fn take_back_last(&self, actor: &Actor, scope: Scope, last: Last) -> Result<Option<Recorded>, RepoError> {
        let whose = (scope == Scope::Own).then(|| actor.id());
        self.change(|state| {
            let Some((of, operation)) = find(state, whose, last)? else { return Ok((Swap::Done, None)) };
            let Some(parent) = operation.parents.first().copied() else {
                return Err(RepoError::NotUndoable { operation: of, why: "it made the repository" });
            };
            let (kind, word) = match last {
                Last::Done => (OperationKind::Undo { of }, "undo"),
                Last::Undone => (OperationKind::Redo { of }, "redo"),
            };
            let recorded = first_done(state, of, &operation)?;
            let (swap, _) = self.take_back(state, actor, &Step { of, operation, parent, kind, word })?;
            Ok((swap, Some(recorded)))
        })
    }

    fn take_back(
        &self,
        state: &Arc<State>,
        actor: &Actor,
        step: &Step,
    ) -> Result<(Swap, OperationId), RepoError> {
        if matches!(step.operation.kind, OperationKind::Erase { .. }) {
            return Err(RepoError::NotUndoable { operation: step.of, why: "what was erased is gone" });
        }
        let made = operations::view_of(state, &step.operation)?;
        let before = operations::parent_of(state, &step.operation, step.parent)?;
        let before = operations::view_of(state, &before)?;
        let staged = Arc::new(Staged::new(Arc::clone(&state.blocks)));
        let mut rows = Vec::new();
        let refs = back(state, &staged, [&state.view.refs, &made.refs, &before.refs], |change, now| {
            self.name_back(state, actor, step.word, (change, now), &staged, &mut rows)
        })?;
        let stays = |_: &Change, _: Option<Bytes>| Ok(None);
        let remotes = back(state, &staged, [&state.view.remotes, &made.remotes, &before.remotes], stays)?;
        let config = back(state, &staged, [&state.view.config, &made.config, &before.config], stays)?;
        let view = View { refs, remotes, config, ..state.view.clone() };
        self.shared.publish(state, &view, step.kind.clone(), actor, &staged, &rows)
    }

    /// Decides where a name goes that was moved on since.
    fn name_back(
        &self,
        state: &Arc<State>,
        actor: &Actor,
        word: &str,
        (change, now): (&Change, Option<Bytes>),
        staged: &Arc<Staged>,
        rows: &mut Vec<Row>,
    ) -> Result<Option<Option<Bytes>>, RepoError> {
        let target = |value: Option<&[u8]>| {
            Target::decode(value).map_err(|why| RepoError::Damaged {
                what: "name",
                cid: state.view.refs,
                why,
            })
        };
        let now = target(now.as_deref())?;
        let (made, before) = (target(change.before.as_deref())?, target(change.after.as_deref())?);
        let Some(present) = now.settled() else {
            // Where sides disagree, the one that is taken back speaks no more.
            let terms = now.adds.len();
            let without = Target::sum(now, &made, before);
            return Ok((without.adds.len() <= terms).then(|| without.encode()));
        };
        let is_branch = NameKind::from_key(&change.key).is_some_and(|(kind, _)| kind == NameKind::Branch);
        let (Some(now), Some(Some(made)), Some(Some(before)), true) =
            (present, made.settled(), before.settled(), is_branch)
        else {
            return Ok(None);
        };
        if !dag::is_ancestor(&**staged, made, now)? {
            return Ok(None); // it was moved elsewhere: nothing is left of what is taken back
        }
        let way = Way { now, made, before };
        let commit = put_back(&self.shared, state, way, (actor, word), staged)?;
        Ok(commit.map(|(commit, more)| {
            rows.extend(more);
            Target::commit(commit).encode()
        }))
    }
}

/// One operation to be taken back, and how that is to be recorded.
struct Step {
    of: OperationId,
    operation: Operation,
    parent: OperationId,
    kind: OperationKind,
    word: &'static str,
}

/// Which operation is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Done,
    Undone,
}

/// Finds the newest operation of somebody that can be taken back. What takes back comes before what it takes back.
fn find(
    state: &State,
    whose: Option<ActorId>,
    last: Last,
) -> Result<Option<(OperationId, Operation)>, RepoError> {
    let mut newest = operations::operations(state)?;
    let mut taken_back = HashSet::new();
    while let Some((cid, operation)) = newest.advance(|_, _| {})? {
        let id = OperationId::new(cid);
        if taken_back.remove(&id) {
            continue;
        }
        if let OperationKind::Undo { of } | OperationKind::Redo { of } | OperationKind::Revert { of } =
            &operation.kind
        {
            taken_back.insert(*of);
        }
        let is_meant =
            whose.is_none_or(|actor| actor == operation.actor) && operation.actor != ActorId::SYSTEM;
        match (&operation.kind, last) {
            _ if !is_meant => {}
            (OperationKind::Undo { .. }, Last::Done) | (OperationKind::Redo { .. }, Last::Undone) => {}
            (OperationKind::Undo { .. }, Last::Undone) | (_, Last::Done) => return Ok(Some((id, operation))),
            (_, Last::Undone) => return Ok(None),
        }
    }
    Ok(None)
}

/// Returns what was done in the first place, before it was taken back and forth.
fn first_done(state: &State, id: OperationId, operation: &Operation) -> Result<Recorded, RepoError> {
    let (mut id, mut operation) = (id, operation.clone());
    while let OperationKind::Undo { of } | OperationKind::Redo { of } = operation.kind {
        operation = operations::parent_of(state, &operation, of)?;
        id = of;
    }
    operations::recorded(state, id, operation)
}

/// Says whether a setting is none that anybody set.
fn is_kept(key: &[u8]) -> bool {
    actors::is_key(key) || horizon::is_key(key)
}

/// Takes a map of the view back: what still is as it was made. For the rest `moved_on` decides; `None` leaves it.
fn back(
    state: &State,
    staged: &Arc<Staged>,
    [now, made, before]: [&Cid; 3],
    mut moved_on: impl FnMut(&Change, Option<Bytes>) -> Result<Option<Option<Bytes>>, RepoError>,
) -> Result<Cid, RepoError> {
    let present = state.trees.tree(*now);
    let decide = |change: &Change| {
        if is_kept(&change.key) {
            return Ok(None);
        }
        let value = present.get(&change.key)?;
        if value == change.before { Ok(Some(change.after.clone())) } else { moved_on(change, value) }
    };
    let edits = edits(state, made, before, decide)?;
    apply(state, staged, *now, edits)
}

/// Makes those changes to a map that lead from it to another, as far as `decide` says.
fn edit(
    state: &State,
    staged: &Arc<Staged>,
    now: Cid,
    to: &Cid,
    decide: impl FnMut(&Change) -> Result<Option<Option<Bytes>>, RepoError>,
) -> Result<Cid, RepoError> {
    let edits = edits(state, &now, to, decide)?;
    apply(state, staged, now, edits)
}

fn edits(
    state: &State,
    from: &Cid,
    to: &Cid,
    mut decide: impl FnMut(&Change) -> Result<Option<Option<Bytes>>, RepoError>,
) -> Result<Vec<Edit>, RepoError> {
    let mut edits = Vec::new();
    let (from, to) = (state.trees.tree(*from), state.trees.tree(*to));
    for change in from.diff(&to, KeyRange::ALL, Order::Ascending) {
        let change = change?;
        if let Some(value) = decide(&change)? {
            edits.push(Edit { key: change.key, value });
        }
    }
    Ok(edits)
}

fn apply(state: &State, staged: &Arc<Staged>, root: Cid, edits: Vec<Edit>) -> Result<Cid, RepoError> {
    let trees = state.trees.over(Arc::clone(staged) as Arc<dyn BlockRead>);
    Ok(*trees.tree(root).mutate(edits, &mut Arc::clone(staged))?.root())
}
