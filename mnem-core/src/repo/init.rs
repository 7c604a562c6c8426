//! Making a repository in a store, and opening one.

use std::sync::Arc;

use super::collect::Going;
use super::error::RepoError;
use super::handle::Repo;
use super::merge::RULES;
use super::options::Options;
use super::read::read;
use super::refs::check_name;
use super::schema::Schemas;
use super::shared::Shared;
use crate::block::Block;
use crate::cid::Cid;
use crate::id::{OperationId, RepoId};
use crate::object::{Object, Operation, OperationKind, Params, Unknown, View};
use crate::port::{BlockRead, HeadsUpdate, Store, Swap, WriteBatch};
use crate::tree::{NodeCache, TreeStore};

impl Repo {
    /// Makes a repository. Its branches start with their first commits.
    pub fn init(store: Arc<dyn Store>, options: Options) -> Result<Repo, RepoError> {
        let (unix_ms, random) = options.draw();
        let params = Params {
            repo: RepoId::from_time_and_random(unix_ms, random),
            tree: options.tree_params,
            merge: RULES,
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
            schemas: Schemas::default(),
            going: Going::default(),
        };
        Ok(Repo { shared: Arc::new(shared), branch, past: None })
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
