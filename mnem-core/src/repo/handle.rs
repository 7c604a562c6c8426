//! A repository: a store, a branch, and everything that opens states and moves names.

use std::sync::Arc;

use super::dag;
use super::error::RepoError;
use super::options::{Actor, Options};
use super::read::read;
use super::refs::{NameKind, Target, check_name};
use super::snapshot::Snapshot;
use super::state::State;
use super::transaction::{ATTEMPTS_MAX, Transaction};
use crate::block::Block;
use crate::cid::Cid;
use crate::id::{CommitId, OperationId, RepoId, SessionId};
use crate::object::{Commit, Object, Operation, OperationKind, Params, Time, Unknown, View};
use crate::port::{BlockRead, HeadsUpdate, Store, Swap, WriteBatch};
use crate::staged::Staged;
use crate::tree::{Edit, NodeCache, TreeStore};

/// Version of the merge rules that this program knows.
pub(super) const MERGE_RULES: u64 = 1;

/// How often a writer tries to publish the union of several heads before it starts from it unpublished.
const RECONCILE_ATTEMPTS_MAX: u32 = 16;

/// A store and a branch. Cloning costs a counter; clones and other programs may work at the same time.
#[derive(Clone)]
pub struct Repo {
    shared: Arc<Shared>,
    branch: Arc<str>,
}

/// What all handles on one open repository share.
pub(super) struct Shared {
    pub(super) store: Arc<dyn Store>,
    pub(super) options: Options,
    pub(super) session: SessionId,
    pub(super) params_cid: Cid,
    pub(super) empty_root: Cid,
    trees: Arc<NodeCache>,
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
            if state.pending.is_empty() {
                break;
            }
            let heads = HeadsUpdate {
                namespace: self.options.namespace.clone(),
                expected: Some(state.heads.clone()),
                add: vec![state.operation],
                remove: state.heads.clone(),
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
        let stored = Arc::from(self.store.snapshot()?);
        State::of(stored, vec![operation], &self.options.namespace, &self.tree_store())
    }

    fn tree_store(&self) -> TreeStore {
        let nothing: Arc<dyn BlockRead> = Arc::clone(&self.store) as Arc<dyn BlockRead>;
        TreeStore::with_cache(nothing, Arc::clone(&self.trees))
    }
}

impl Repo {
    /// Makes a repository. Its branches start with their first commits.
    pub fn init(store: Arc<dyn Store>, options: Options) -> Result<Repo, RepoError> {
        let (unix_ms, random) = options.draw();
        let params = Params {
            repo: RepoId::from_time_and_random(unix_ms, random),
            tree: options.tree_params,
            merge: MERGE_RULES,
            needs: Vec::new(),
            may: Vec::new(),
            unknown: Unknown::default(),
        };
        let blocks = first_blocks(&params, &options)?;
        let Some(operation) = blocks.last().map(|block| OperationId::new(*block.cid())) else {
            unreachable!("a repository starts with an operation");
        };
        let heads = HeadsUpdate {
            namespace: options.namespace.clone(),
            expected: Some(Vec::new()),
            add: vec![operation],
            remove: Vec::new(),
        };
        let lease = store.lease(&[])?;
        match store.commit(&lease, &WriteBatch { blocks: &blocks, heads: &heads, rows: &[] })? {
            Swap::Done => Repo::open(store, options),
            Swap::Moved => Err(RepoError::Exists { namespace: options.namespace.to_string() }),
        }
    }

    /// Opens a repository that is there.
    pub fn open(store: Arc<dyn Store>, options: Options) -> Result<Repo, RepoError> {
        check_name(&options.branch)?;
        let heads = store.heads(&options.namespace)?;
        let first = heads
            .first()
            .ok_or_else(|| RepoError::NoRepository { namespace: options.namespace.to_string() })?;
        let blocks: &dyn BlockRead = &*store;
        let operation: Operation = read(blocks, first.cid())?;
        let view: View = read(blocks, &operation.view)?;
        let params: Params = read(blocks, &view.params)?;
        if let Some(needs) = params.needs.first() {
            return Err(RepoError::Newer { needs: needs.to_string() });
        }
        let unsound = |_| RepoError::Newer { needs: "other tree parameters".to_owned() };
        let trees = NodeCache::new(&params.tree, options.node_cache_bytes).map_err(unsound)?;
        let trees = Arc::new(trees);
        let branch = options.branch.as_str().into();
        let shared = Shared {
            session: options.draw_session(),
            params_cid: view.params,
            empty_root: empty_root(&trees)?,
            store,
            options,
            trees,
        };
        Ok(Repo { shared: Arc::new(shared), branch })
    }

    /// Opens a repository, or makes it.
    pub fn open_or_init(store: Arc<dyn Store>, options: Options) -> Result<Repo, RepoError> {
        match Repo::open(Arc::clone(&store), options.clone()) {
            Err(RepoError::NoRepository { .. }) => match Repo::init(Arc::clone(&store), options.clone()) {
                // Somebody else made it between the two.
                Err(RepoError::Exists { .. }) => Repo::open(store, options),
                other => other,
            },
            other => other,
        }
    }

    /// Returns a handle on another branch. Nobody's branch is switched under them.
    pub fn on(&self, branch: &str) -> Result<Repo, RepoError> {
        check_name(branch)?;
        Ok(Repo { shared: Arc::clone(&self.shared), branch: branch.into() })
    }

    /// Returns the branch in use.
    pub fn branch(&self) -> &str {
        &self.branch
    }

    /// Returns the store below.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    /// Returns the present state of the branch.
    pub fn head(&self) -> Result<Snapshot, RepoError> {
        let state = Arc::new(self.shared.state()?);
        let tip = state.branch_tip(&self.branch)?;
        self.snapshot(state, tip)
    }

    /// Starts changes of the branch in somebody's name. If others committed side by side, their heads are united first.
    pub fn begin(&self, actor: &Actor) -> Result<Transaction, RepoError> {
        Ok(Transaction::new(self.reconcile()?, actor.clone()))
    }

    /// Publishes what several heads say together, and returns it. Optional: the next writer does it, and readers see it
    /// either way.
    pub fn reconcile(&self) -> Result<Snapshot, RepoError> {
        let state = Arc::new(self.shared.reconciled()?);
        let tip = state.branch_tip(&self.branch)?;
        self.snapshot(state, tip)
    }

    pub(super) fn snapshot(
        &self,
        state: Arc<State>,
        commit: Option<CommitId>,
    ) -> Result<Snapshot, RepoError> {
        Snapshot::new(Arc::clone(&self.shared), state, Arc::clone(&self.branch), commit)
    }

    /// Returns the branches and what they stand at, in order of their names.
    pub fn branches(&self) -> Result<Vec<(String, CommitId)>, RepoError> {
        self.names(NameKind::Branch)
    }

    /// Returns the tags and what they stand at, in order of their names.
    pub fn tags(&self) -> Result<Vec<(String, CommitId)>, RepoError> {
        self.names(NameKind::Tag)
    }

    fn names(&self, kind: NameKind) -> Result<Vec<(String, CommitId)>, RepoError> {
        let names = self.shared.state()?.names(kind)?;
        let first = |target: &Target| target.adds.iter().flatten().next().copied();
        Ok(names
            .into_iter()
            .filter_map(|(name, target)| first(&target).map(|commit| (name, commit)))
            .collect())
    }

    /// Makes a branch at a commit, and returns a handle on it.
    pub fn create_branch(&self, actor: &Actor, name: &str, at: &Snapshot) -> Result<Repo, RepoError> {
        if let Some(commit) = at.commit_id() {
            // It may be a merge that nobody stored.
            self.create_name(actor, NameKind::Branch, name, commit, &at.state.pending)?;
        }
        self.on(name)
    }

    /// Makes a tag at a commit.
    pub fn create_tag(&self, actor: &Actor, name: &str, at: CommitId) -> Result<(), RepoError> {
        self.create_name(actor, NameKind::Tag, name, at, &[])
    }

    /// Of several who make a name at the same time, one does.
    fn create_name(
        &self,
        actor: &Actor,
        kind: NameKind,
        name: &str,
        at: CommitId,
        pending: &[Block],
    ) -> Result<(), RepoError> {
        check_name(name)?;
        for _ in 0..ATTEMPTS_MAX {
            let state = self.shared.state()?;
            if state.target(kind, name)?.settled() != Some(None) {
                return Err(RepoError::NameTaken { kind: kind.word(), name: name.to_owned() });
            }
            if !pending.iter().any(|block| block.cid() == at.cid()) {
                let _: Commit = read(&*state.blocks, at.cid())?;
            }
            match self.set_name(&state, actor, kind, name, &Target::commit(at), pending)? {
                Swap::Done => return Ok(()),
                Swap::Moved => {} // somebody else changed something, which may have been this name
            }
        }
        Err(RepoError::Contended { attempts: ATTEMPTS_MAX })
    }

    /// Moves a name, unless anything changed since `state` was read.
    fn set_name(
        &self,
        state: &State,
        actor: &Actor,
        kind: NameKind,
        name: &str,
        target: &Target,
        pending: &[Block],
    ) -> Result<Swap, RepoError> {
        let staged = Arc::new(Staged::new(Arc::clone(&state.blocks)));
        let edit = Edit { key: kind.key(name).into(), value: target.encode() };
        let trees = state.trees.over(Arc::clone(&staged) as Arc<dyn BlockRead>);
        let refs = trees.tree(state.view.refs).mutate([edit], &mut Arc::clone(&staged))?;
        let view = View { refs: *refs.root(), ..state.view.clone() };
        let now = self.shared.options.clock.now();
        let operation =
            self.shared.stage_operation(state, &view, OperationKind::Refs, actor, now, &staged)?;
        let blocks: Vec<Block> =
            pending.iter().chain(&state.pending).cloned().chain(staged.blocks()).collect();
        let namespace = self.shared.options.namespace.clone();
        let mut heads = HeadsUpdate::advance(namespace, &state.heads, operation);
        heads.expected = Some(state.heads.clone());
        let batch = WriteBatch { blocks: &blocks, heads: &heads, rows: &[] };
        Ok(self.shared.store.commit(state.lease(), &batch)?)
    }

    /// Walks the commits behind a state, newest first along first parents.
    pub fn log(&self, from: &Snapshot) -> Log {
        Log {
            blocks: Arc::clone(&from.state.blocks),
            next: from.commit_id(),
            _state: Arc::clone(&from.state),
        }
    }

    /// Returns the state so many commits back along first parents, if the history is that long.
    pub fn back(&self, from: &Snapshot, count: u64) -> Result<Option<Snapshot>, RepoError> {
        let Some(at) = &from.at else { return Ok(None) };
        let Some(depth) = at.commit.depth.checked_sub(count) else { return Ok(None) };
        let found = dag::at_depth(&*from.state.blocks, at.id, depth)?;
        found.map(|commit| self.snapshot(Arc::clone(&from.state), Some(commit))).transpose()
    }

    /// Returns the last state along first parents that was committed by `time`, if there is one.
    pub fn as_of(&self, from: &Snapshot, time: Time) -> Result<Option<Snapshot>, RepoError> {
        let Some(at) = &from.at else { return Ok(None) };
        let found = dag::made_by(&*from.state.blocks, at.id, time)?;
        found.map(|commit| self.snapshot(Arc::clone(&from.state), Some(commit))).transpose()
    }
}

impl std::fmt::Debug for Repo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Repo({} on {}:)", self.branch, self.shared.store.kind())
    }
}

/// Commits along first parents, newest first. Ends after its first error.
pub struct Log {
    blocks: Arc<dyn BlockRead>,
    next: Option<CommitId>,
    /// Keeps what is walked.
    _state: Arc<State>,
}

impl Iterator for Log {
    type Item = Result<(CommitId, Commit), RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        let id = self.next.take()?;
        let commit: Result<Commit, RepoError> = read(&*self.blocks, id.cid());
        if let Ok(commit) = &commit {
            self.next = commit.parents.first().copied();
        }
        Some(commit.map(|commit| (id, commit)))
    }
}

fn empty_root(trees: &Arc<NodeCache>) -> Result<Cid, RepoError> {
    let nothing: Arc<dyn BlockRead> = Arc::new(crate::MemoryStore::new());
    let store = TreeStore::with_cache(nothing, Arc::clone(trees));
    Ok(*store.build_empty(&mut Vec::new())?.root())
}

/// Makes all that a repository starts with: the last block is its first operation.
fn first_blocks(params: &Params, options: &Options) -> Result<Vec<Block>, RepoError> {
    let mut blocks = vec![params.to_block()?];
    let nothing: Arc<dyn BlockRead> = Arc::new(crate::MemoryStore::new());
    let unsound = |_| RepoError::Newer { needs: "other tree parameters".to_owned() };
    let trees = TreeStore::new(nothing, &params.tree).map_err(unsound)?;
    let empty = *trees.build_empty(&mut blocks)?.root();
    let view = View {
        params: *blocks[0].cid(),
        refs: empty,
        remotes: empty,
        config: empty,
        erased: empty,
        sigs: empty,
        unknown: Unknown::default(),
    };
    let view = view.to_block()?;
    let operation = Operation {
        parents: Vec::new(),
        generation: 1,
        kind: OperationKind::Init,
        details: Unknown::default(),
        actor: crate::ActorId::SYSTEM,
        session: options.draw_session(),
        time: options.clock.now(),
        view: *view.cid(),
        unknown: Unknown::default(),
    };
    blocks.push(view);
    blocks.push(operation.to_block()?);
    Ok(blocks)
}
