//! A repository whose clock is set by the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use mnem_core::port::{Blockstore, HeadsUpdate, Namespace, OpHeadsStore};
use mnem_core::repo::{Actor, Clock, Moment, Options, Randomness, Repo, Snapshot};
use mnem_core::{Cid, CommitId, MemoryStore, NodeId, OperationId, Store, Time, Value, props};

/// A clock that stands still until it is set.
#[derive(Clone)]
pub(crate) struct Hands(Arc<AtomicI64>);

impl Clock for Hands {
    fn now(&self) -> Time {
        Time::from_micros(self.0.load(Ordering::Relaxed)).unwrap()
    }
}

/// Numbers that never repeat, the same in every run.
struct Counted(AtomicU64);

impl Randomness for Counted {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).to_be_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

pub(crate) struct Bench {
    pub(crate) repo: Repo,
    pub(crate) clock: Hands,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        Bench::on(Arc::new(MemoryStore::new()))
    }

    pub(crate) fn on(store: Arc<dyn Store>) -> Bench {
        let clock = Hands(Arc::new(AtomicI64::new(micros("2026-11-01 08:00"))));
        let repo = Repo::init(store, options(&clock, 1)).unwrap();
        Bench { repo, clock }
    }

    /// Sets the clock.
    pub(crate) fn at(&self, moment: &str) {
        self.clock.0.store(micros(moment), Ordering::Relaxed);
    }

    /// Opens another store with the same clock.
    pub(crate) fn over(&self, store: Arc<dyn Store>) -> Repo {
        Repo::open(store, options(&self.clock, 77)).unwrap()
    }

    /// Opens the same store once more, as another program would.
    pub(crate) fn again(&self, seed: u64) -> Repo {
        Repo::open(Arc::clone(self.repo.store()), options(&self.clock, seed)).unwrap()
    }
}

fn options(clock: &Hands, seed: u64) -> Options {
    Options::new(Arc::new(clock.clone()), Arc::new(Counted(AtomicU64::new(seed << 40))))
}

fn micros(moment: &str) -> i64 {
    Moment::parse(moment).unwrap().at_offset(0)
}

pub(crate) fn me() -> Actor {
    Actor::named("ada")
}

pub(crate) fn add(repo: &Repo, label: &str, name: &str) -> NodeId {
    let mut tx = repo.begin(&me()).unwrap();
    let id = tx.add_node(label, props! { name: name }).unwrap();
    tx.commit(&format!("add {name}")).unwrap();
    id
}

pub(crate) fn set(repo: &Repo, actor: &Actor, id: NodeId, name: &str, value: impl Into<Value>) -> Snapshot {
    let mut tx = repo.begin(actor).unwrap();
    tx.set(id, name, value).unwrap();
    tx.commit(&format!("set {name}")).unwrap()
}

/// Copies a store without some of its blocks, as a clone without the older history lacks them.
pub(crate) fn without(store: &dyn Store, gone: &[Cid]) -> Arc<MemoryStore> {
    let copy = MemoryStore::new();
    for cid in store.scan(None).unwrap().map(Result::unwrap).filter(|cid| !gone.contains(cid)) {
        copy.put(&store.get(&cid).unwrap().unwrap()).unwrap();
    }
    let add = store.heads(&Namespace::default()).unwrap();
    let _done = copy.update(&HeadsUpdate { add, ..HeadsUpdate::default() }).unwrap();
    Arc::new(copy)
}

/// Returns a store with the same blocks whose heads are these.
pub(crate) fn as_of(store: &dyn Store, heads: &[OperationId]) -> Arc<MemoryStore> {
    united(&[store], heads)
}

/// Returns a store with the blocks of all, whose heads are these.
pub(crate) fn united(stores: &[&dyn Store], heads: &[OperationId]) -> Arc<MemoryStore> {
    let copy = MemoryStore::new();
    for store in stores {
        for cid in store.scan(None).unwrap().map(Result::unwrap) {
            copy.put(&store.get(&cid).unwrap().unwrap()).unwrap();
        }
    }
    let _done = copy.update(&HeadsUpdate { add: heads.to_vec(), ..HeadsUpdate::default() }).unwrap();
    Arc::new(copy)
}

pub(crate) fn tip(repo: &Repo) -> CommitId {
    repo.head().unwrap().commit_id().unwrap()
}
