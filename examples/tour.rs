//! The main job in one short run: record facts, reopen, read them back, look at the past, move to another backend.
//!
//! `cargo run --release -p mnem --example tour`

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use mnem::object::{
    Commit, Labels, Node, Object as _, Operation, OperationKind, Params, Time, Unknown, View,
};
use mnem::port::{BlockRead, BlockReadExt as _, HeadsUpdate, Namespace, StoreSnapshot, Swap, WriteBatch};
use mnem::tree::{TreeParams, TreeStore, link_value, value_link};
use mnem::value::Props;
use mnem::{ActorId, Block, ChangeId, CommitId, NodeId, OperationId, RepoId, SessionId, Store};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let started = Instant::now();
    let folder = tempfile::tempdir()?;
    let url = |kind: &str, name: &str| format!("{kind}:{}", folder.path().join(name).display());
    let main_url = url("simple", "notes");

    println!("1 Record. One atomic, durable step: blocks first, then the head that makes them current.");
    let store = mnem::open_or_init(&main_url)?;
    record(&*store, "Ada", 1815)?;
    println!("  Ada, born 1815, in a store of plain files");

    println!("2 Reopen. Nothing but the store carries over.");
    drop(store);
    let store = mnem::open(&main_url)?;
    println!("  Ada, born {}", born(&store, &*store.snapshot()?, "Ada")?);

    println!("3 Travel. A snapshot keeps its moment while others write.");
    let before = store.snapshot()?;
    record(&*store, "Ada", 1816)?;
    let now = store.snapshot()?;
    println!("  then {}, now {}", born(&store, &*before, "Ada")?, born(&store, &*now, "Ada")?);

    println!(
        "4 Move. All blocks, then all heads, to a backend of another kind; again, and nothing is written."
    );
    let copy_url = url("redb", "notes.redb");
    let copy = mnem::open_or_init(&copy_url)?;
    let first = mnem::copy(&*store, &*copy, &mut mnem::quiet)?;
    let again = mnem::copy(&*store, &*copy, &mut mnem::quiet)?;
    println!("  {} blocks, {} written, then {}", first.blocks, first.written, again.written);
    same(&*store, &*copy)?;
    println!("  Ada, born {}, in a redb file", born(&copy, &*copy.snapshot()?, "Ada")?);

    println!("5 Swap. The same code on every backend; only the URL differs.");
    for url in ["memory:".to_owned(), url("simple", "other"), url("redb", "other.redb")] {
        let store = mnem::open_or_init(&url)?;
        record(&*store, "Engine", 1837)?;
        println!("  {}: Engine, {}", store.kind(), born(&store, &*store.snapshot()?, "Engine")?);
    }

    println!("6 Refuse. A place knows what it is.");
    drop((store, copy));
    for url in [main_url.replacen("simple", "redb", 1), copy_url.replacen("redb", "simple", 1)] {
        match mnem::open(&url) {
            Err(error) => println!("  {}", shown(&error.to_string(), folder.path())),
            Ok(_) => return Err("a store was opened as what it is not".into()),
        }
    }
    println!("tour ok: 6 steps in {:.2} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Records one node as the whole state, in a commit and an operation of their own.
fn record(store: &dyn Store, name: &str, born: i64) -> Outcome<()> {
    let snapshot = store.snapshot()?;
    let old = snapshot.heads(&Namespace::default())?;
    let mut blocks = Vec::new();
    let mut props = Props::new();
    props.set("born", born)?;
    let node = Node::new(NodeId::of_key("tour", name.as_bytes()), Labels::new(["Thing"])?, props);
    let params = Params {
        repo: RepoId::from_bytes([7; 16]),
        tree: TreeParams::V1,
        merge: 1,
        needs: Vec::new(),
        may: Vec::new(),
        unknown: Unknown::default(),
    };
    let params = keep(&mut blocks, params.to_block()?);
    let link = link_value(&keep(&mut blocks, node.to_block()?));
    let trees = trees(Arc::new(mnem::memory::MemoryStore::new()))?;
    let nodes = *trees.build([(node.id.as_bytes(), link)], &mut blocks)?.root();
    let empty = *trees.build_empty(&mut blocks)?.root();
    let mut generation = 0;
    for head in &old {
        generation = generation.max(Operation::from_block(&snapshot.require(head.cid())?)?.generation);
    }
    let time = Time::from_micros(1_000_000 + born).ok_or("a time out of range")?;
    let commit = Commit {
        params,
        parents: Vec::new(),
        generation: 1,
        depth: 0,
        skip: None,
        change: ChangeId::from_bytes([1; 16]),
        actor: ActorId::named("tour"),
        session: SessionId::SYSTEM,
        author: None,
        time,
        message: format!("{name} was born in {born}").into(),
        nodes,
        edges: empty,
        tombs: empty,
        conflicts: empty,
        schema: empty,
        vectors: empty,
        unknown: Unknown::default(),
    };
    let commit = CommitId::new(keep(&mut blocks, commit.to_block()?));
    let refs = *trees.build([(b"main", link_value(commit.cid()))], &mut blocks)?.root();
    let view = View {
        params,
        refs,
        remotes: empty,
        config: empty,
        erased: empty,
        sigs: empty,
        unknown: Unknown::default(),
    };
    let operation = Operation {
        parents: old.clone(),
        generation: generation + 1,
        kind: OperationKind::Commit,
        details: Unknown::default(),
        actor: ActorId::named("tour"),
        session: SessionId::SYSTEM,
        time,
        view: keep(&mut blocks, view.to_block()?),
        unknown: Unknown::default(),
    };
    let head = OperationId::new(keep(&mut blocks, operation.to_block()?));
    let heads = HeadsUpdate::advance(Namespace::default(), &old, head);
    match store.commit(snapshot.lease(), &WriteBatch { blocks: &blocks, heads: &heads, rows: &[] })? {
        Swap::Done => Ok(()),
        Swap::Moved => Err("nothing was expected, so nothing can have moved".into()),
    }
}

fn keep(blocks: &mut Vec<Block>, block: Block) -> mnem::Cid {
    let cid = *block.cid();
    blocks.push(block);
    cid
}

fn trees(blocks: Arc<dyn BlockRead>) -> Outcome<TreeStore> {
    Ok(TreeStore::new(blocks, &TreeParams::V1)?)
}

/// Reads from the head of a moment down to one property.
fn born(store: &Arc<dyn Store>, moment: &dyn StoreSnapshot, name: &str) -> Outcome<i64> {
    let head = *moment.heads(&Namespace::default())?.first().ok_or("no head")?;
    let operation = Operation::from_block(&moment.require(head.cid())?)?;
    let view = View::from_block(&moment.require(&operation.view)?)?;
    let trees = trees(store.clone())?;
    let follow = |root, key: &[u8]| -> Outcome<Block> {
        let value = trees.tree(root).get(key)?.ok_or("no such key")?;
        Ok(moment.require(&value_link(&value).ok_or("no link")?)?)
    };
    let commit = Commit::from_block(&follow(view.refs, b"main")?)?;
    let id = NodeId::of_key("tour", name.as_bytes());
    let node = Node::from_block(&follow(commit.nodes, id.as_bytes())?)?;
    Ok(node.get("born")?)
}

/// Compares every CID and every head.
fn same(a: &dyn Store, b: &dyn Store) -> Outcome<()> {
    let all = |store: &dyn Store| store.scan(None)?.collect::<Result<Vec<_>, _>>();
    let equal = all(a)? == all(b)? && a.heads(&Namespace::default())? == b.heads(&Namespace::default())?;
    if equal { Ok(()) } else { Err("the copy differs".into()) }
}

fn shown(text: &str, folder: &Path) -> String {
    text.replace(&folder.display().to_string(), "…")
}
