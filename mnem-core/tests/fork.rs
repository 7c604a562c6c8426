//! Forks: whatever is done in one is what the same does to a copy, and the store below sees nothing of it.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which the lint does not see as such")]

mod kit;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use mnem_core::port::{
    BlockRead, Blockstore, CidStream, Collector, CollectorError, Compact, Cycle, Deleted, HeadsError,
    HeadsUpdate, Lease, Namespace, OpHeadsStore, Row, RowStream, RowTable, SideError, SideTable, Store,
    StoreError, StoreSnapshot, Swap, WriteBatch,
};
use mnem_core::repo::{Actor, Repo, RepoError, Snapshot};
use mnem_core::{Block, Cid, EdgeId, MemoryStore, NodeId, OperationId, props};
use proptest::prelude::*;

/// Counts every call that could change something.
struct Watched {
    inner: MemoryStore,
    writes: AtomicU64,
}

impl Watched {
    fn new() -> Arc<Watched> {
        Arc::new(Watched { inner: MemoryStore::new(), writes: AtomicU64::new(0) })
    }

    fn written(&self) -> &MemoryStore {
        self.writes.fetch_add(1, Ordering::Relaxed);
        &self.inner
    }

    fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }
}

#[deny(clippy::missing_trait_methods)]
impl BlockRead for Watched {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        self.inner.get(cid)
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        self.inner.get_many(cids)
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.inner.has(cid)
    }

    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        self.inner.has_many(cids)
    }

    fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
        self.inner.scan(after)
    }
}

#[deny(clippy::missing_trait_methods)]
impl Blockstore for Watched {
    fn put(&self, block: &Block) -> Result<(), StoreError> {
        self.written().put(block)
    }

    fn put_many(&self, blocks: &[Block]) -> Result<(), StoreError> {
        self.written().put_many(blocks)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.written().sync()
    }
}

#[deny(clippy::missing_trait_methods)]
impl OpHeadsStore for Watched {
    fn namespaces(&self) -> Result<Vec<Namespace>, HeadsError> {
        self.inner.namespaces()
    }

    fn heads(&self, namespace: &Namespace) -> Result<Vec<OperationId>, HeadsError> {
        self.inner.heads(namespace)
    }

    fn update(&self, update: &HeadsUpdate) -> Result<Swap, HeadsError> {
        self.written().update(update)
    }
}

#[deny(clippy::missing_trait_methods)]
impl SideTable for Watched {
    fn row(&self, table: RowTable, key: &[u8]) -> Result<Option<Bytes>, SideError> {
        self.inner.row(table, key)
    }

    fn rows(&self, table: RowTable, from: &[u8]) -> Result<RowStream, SideError> {
        self.inner.rows(table, from)
    }

    fn put_rows(&self, rows: &[Row]) -> Result<(), SideError> {
        self.written().put_rows(rows)
    }

    fn clear_rows(&self, table: RowTable) -> Result<(), SideError> {
        self.written().clear_rows(table)
    }
}

#[deny(clippy::missing_trait_methods)]
impl Collector for Watched {
    fn lease(&self, roots: &[Cid]) -> Result<Lease, CollectorError> {
        self.inner.lease(roots)
    }

    fn put_leased(&self, lease: &Lease, blocks: &[Block]) -> Result<(), StoreError> {
        self.written().put_leased(lease, blocks)
    }

    fn begin_cycle(&self) -> Result<Cycle, CollectorError> {
        self.written().begin_cycle()
    }

    fn delete_if_untouched(&self, cycle: &Cycle, cids: &[Cid]) -> Result<Deleted, CollectorError> {
        self.written().delete_if_untouched(cycle, cids)
    }

    fn compact(&self, how: Compact) -> Result<(), CollectorError> {
        self.written().compact(how)
    }
}

#[deny(clippy::missing_trait_methods)]
impl Store for Watched {
    fn commit(&self, lease: &Lease, batch: &WriteBatch<'_>) -> Result<Swap, StoreError> {
        self.written().commit(lease, batch)
    }

    fn snapshot(&self) -> Result<Box<dyn StoreSnapshot>, StoreError> {
        self.inner.snapshot()
    }

    fn kind(&self) -> &'static str {
        self.inner.kind()
    }
}

/// One step of a random program.
#[derive(Clone, Debug)]
enum Step {
    Add(u8),
    Set(usize, i64),
    Link(usize, usize),
    Remove(usize),
    /// Two transactions that do not see each other.
    Side(usize, i64),
    Branch(u8),
}

fn steps(count: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..4u8).prop_map(Step::Add),
        3 => (0..99usize, 0..9i64).prop_map(|(at, value)| Step::Set(at, value)),
        2 => (0..99usize, 0..99usize).prop_map(|(src, dst)| Step::Link(src, dst)),
        1 => (0..99usize).prop_map(Step::Remove),
        1 => (0..99usize, 0..9i64).prop_map(|(at, value)| Step::Side(at, value)),
        1 => (0..3u8).prop_map(Step::Branch),
    ];
    prop::collection::vec(step, count)
}

fn nodes(repo: &Repo) -> Vec<NodeId> {
    repo.head().unwrap().nodes().map(|node| node.unwrap().id).collect()
}

fn run(repo: &Repo, steps: &[Step]) {
    let (ada, bob) = (Actor::named("ada"), Actor::named("bob"));
    for step in steps {
        let there = nodes(repo);
        let at = |i: &usize| there.get(i % there.len().max(1)).copied();
        let mut tx = repo.begin(&ada).unwrap();
        match step {
            Step::Add(label) => {
                tx.add_node(format!("L{label}").as_str(), props! { n: 0 }).unwrap();
            }
            Step::Set(i, value) => {
                if let Some(id) = at(i) {
                    tx.set(id, "n", *value).unwrap();
                }
            }
            Step::Link(i, j) => {
                if let (Some(src), Some(dst)) = (at(i), at(j)) {
                    tx.add_edge(src, "to", dst, props! {}).unwrap();
                }
            }
            // One with edges stays.
            Step::Remove(i) => drop(at(i).map(|id| tx.remove(id))),
            Step::Side(i, value) => {
                let mut other = repo.begin(&bob).unwrap();
                other.add_node("Side", props! { n: *value }).unwrap();
                if let Some(id) = at(i) {
                    other.set(id, "m", *value).unwrap();
                }
                other.commit("side").unwrap();
                tx.add_node("Side", props! { n: 1 }).unwrap();
            }
            Step::Branch(name) => {
                let name = format!("branch{name}");
                if repo.branches().unwrap().iter().all(|(there, _)| *there != name) {
                    repo.create_branch(&ada, &name, &repo.head().unwrap()).unwrap();
                }
                let mut tx = repo.on(&name).unwrap().begin(&bob).unwrap();
                tx.add_node("Aside", props! { n: 2 }).unwrap();
                tx.commit("aside").unwrap();
            }
        }
        tx.commit("step").unwrap();
    }
}

/// All that a state shows, by every index.
fn all(snapshot: &Snapshot) -> (Vec<String>, Vec<EdgeId>, Vec<NodeId>) {
    let nodes: Vec<_> = snapshot.nodes().map(Result::unwrap).collect();
    let out = nodes.iter().flat_map(|node| snapshot.edges_out(node.id, ..).unwrap());
    let out = out.map(|edge| edge.unwrap().id).collect();
    let labelled = ["L0", "L1", "L2", "L3", "Side", "Aside"];
    let labelled = labelled.iter().flat_map(|label| snapshot.labelled(label).unwrap());
    let labelled = labelled.map(|node| node.unwrap().id).collect();
    (nodes.iter().map(|node| format!("{node:?}")).collect(), out, labelled)
}

fn same(one: &Repo, other: &Repo) {
    assert_eq!(one.branches().unwrap(), other.branches().unwrap());
    for (branch, _) in one.branches().unwrap() {
        let [one, other] = [one, other].map(|repo| repo.on(&branch).unwrap().head().unwrap());
        assert_eq!((one.operation(), one.commit_id()), (other.operation(), other.commit_id()));
        assert_eq!(all(&one), all(&other));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_fork_is_a_copy_that_writes_nothing_below(before in steps(0..12), inside in steps(1..16)) {
        let (below, beside) = (Watched::new(), Arc::new(MemoryStore::new()));
        let (options_below, options_beside) = (kit::options(1), kit::options(1));
        let repo = Repo::init(below.clone(), options_below).unwrap();
        run(&repo, &before);
        let copy = Repo::init(beside.clone(), options_beside.clone()).unwrap();
        run(&copy, &before);
        same(&repo, &copy);

        let base = repo.reconcile().unwrap();
        copy.reconcile().unwrap();
        let shown = all(&base);
        let writes = below.writes();
        let fork = base.fork().unwrap();
        // A fork is a session of its own, as a handle is that is opened.
        let copy = Repo::open(beside, options_beside).unwrap();
        same(fork.repo(), &copy);
        run(fork.repo(), &inside);
        run(&copy, &inside);
        same(fork.repo(), &copy);
        prop_assert_eq!(below.writes(), writes);
        prop_assert_eq!(&all(&base), &shown);
        prop_assert_eq!(repo.head().unwrap().operation(), base.operation());

        let kept = fork.keep().unwrap();
        prop_assert!(below.writes() <= writes + 1);
        prop_assert_eq!(kept.operation(), copy.head().unwrap().operation());
        same(&repo, &copy);
    }
}

fn me() -> Actor {
    Actor::named("me")
}

fn add(repo: &Repo, name: &str) -> NodeId {
    let mut tx = repo.begin(&me()).unwrap();
    let id = tx.add_node("Person", props! { name: name }).unwrap();
    tx.commit(name).unwrap();
    id
}

fn names(snapshot: &Snapshot) -> Vec<String> {
    let mut names: Vec<String> = snapshot
        .labelled("Person")
        .unwrap()
        .map(|node| node.unwrap().get::<String>("name").unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_dropped_fork_leaves_nothing() {
    let store = Watched::new();
    let repo = Repo::init(store.clone(), kit::options(1)).unwrap();
    add(&repo, "ada");
    let (writes, head) = (store.writes(), repo.head().unwrap());
    let fork = head.fork().unwrap();
    add(fork.repo(), "bob");
    assert_eq!(names(&fork.repo().head().unwrap()), ["ada", "bob"]);
    assert_eq!(names(fork.base()), ["ada"]);
    drop(fork);
    assert_eq!((store.writes(), names(&repo.head().unwrap())), (writes, vec!["ada".to_owned()]));
}

#[test]
fn a_fork_that_did_nothing_keeps_nothing() {
    let store = Watched::new();
    let repo = Repo::init(store.clone(), kit::options(1)).unwrap();
    add(&repo, "ada");
    let (writes, head) = (store.writes(), repo.head().unwrap());
    let kept = head.fork().unwrap().keep().unwrap();
    assert_eq!((kept.operation(), store.writes()), (head.operation(), writes));
}

#[test]
fn what_others_did_since_is_united_with_what_is_kept() {
    let repo = Repo::init(Watched::new(), kit::options(1)).unwrap();
    add(&repo, "ada");
    let [one, two] = [repo.head().unwrap().fork().unwrap(), repo.head().unwrap().fork().unwrap()];
    add(&repo, "bob");
    add(one.repo(), "eve");
    add(two.repo(), "dan");
    add(two.repo(), "fay");
    assert_eq!(names(&one.keep().unwrap()), ["ada", "bob", "eve"]);
    assert_eq!(names(&two.keep().unwrap()), ["ada", "bob", "dan", "eve", "fay"]);
    let messages: Vec<String> =
        repo.log(&repo.head().unwrap()).map(|at| at.unwrap().1.message.to_string()).collect();
    assert!(
        ["ada", "bob", "eve", "dan", "fay"].iter().all(|name| messages.iter().any(|message| message == name))
    );
}

#[test]
fn a_fork_of_heads_that_nobody_united_can_be_kept() {
    let repo = Repo::init(Watched::new(), kit::options(1)).unwrap();
    let [mut one, mut two] = [repo.begin(&me()).unwrap(), repo.begin(&me()).unwrap()];
    one.add_node("Person", props! { name: "ada" }).unwrap();
    two.add_node("Person", props! { name: "bob" }).unwrap();
    one.commit("ada").unwrap();
    two.commit("bob").unwrap();
    let fork = repo.head().unwrap().fork().unwrap();
    add(fork.repo(), "eve");
    assert_eq!(names(&fork.keep().unwrap()), ["ada", "bob", "eve"]);
    assert_eq!(repo.store().heads(&Namespace::default()).unwrap().len(), 1);
}

#[test]
fn a_fork_of_a_fork_lands_in_the_fork() {
    let repo = Repo::init(Watched::new(), kit::options(1)).unwrap();
    add(&repo, "ada");
    let outer = repo.head().unwrap().fork().unwrap();
    add(outer.repo(), "bob");
    let inner = outer.repo().head().unwrap().fork().unwrap();
    add(inner.repo(), "eve");
    assert_eq!(names(&outer.repo().head().unwrap()), ["ada", "bob"]);
    assert_eq!(names(&inner.keep().unwrap()), ["ada", "bob", "eve"]);
    assert_eq!(names(&repo.head().unwrap()), ["ada"]);
    assert_eq!(names(&outer.keep().unwrap()), ["ada", "bob", "eve"]);
}

#[test]
fn a_fork_of_an_older_state_begins_there_and_is_not_kept() {
    let store = Watched::new();
    let repo = Repo::init(store.clone(), kit::options(1)).unwrap();
    add(&repo, "ada");
    let old = repo.head().unwrap();
    add(&repo, "bob");
    let now = repo.head().unwrap();
    let first = repo.back(&now, 1).unwrap().unwrap();
    assert_eq!(first.commit_id(), old.commit_id());
    let writes = store.writes();
    let fork = first.fork().unwrap();
    assert_eq!(fork.repo().head().unwrap().commit_id(), old.commit_id());
    add(fork.repo(), "eve");
    assert_eq!(names(&fork.repo().head().unwrap()), ["ada", "eve"]);
    assert!(matches!(fork.keep(), Err(RepoError::ForkOfThePast { branch }) if branch == "main"));
    assert_eq!(
        (store.writes(), names(&repo.head().unwrap())),
        (writes, vec!["ada".to_owned(), "bob".to_owned()])
    );
    // One that began when the branch was there is united with what came after.
    let fork = old.fork().unwrap();
    add(fork.repo(), "eve");
    assert_eq!(names(&fork.keep().unwrap()), ["ada", "bob", "eve"]);
}

#[test]
fn a_fork_copies_nothing_of_a_large_repository() {
    let store = Watched::new();
    let repo = Repo::init(store.clone(), kit::options(1)).unwrap();
    let mut tx = repo.begin(&me()).unwrap();
    for n in 0..5_000 {
        tx.add_node("Person", props! { name: n.to_string() }).unwrap();
    }
    let head = tx.commit("many").unwrap();
    let fork = head.fork().unwrap();
    let inside = fork.repo().store().scan(None).unwrap().count();
    assert_eq!(inside, store.inner.scan(None).unwrap().count());
    let writes = store.writes();
    add(fork.repo(), "ada");
    assert_eq!(store.writes(), writes);
    let added = fork.repo().store().scan(None).unwrap().count() - inside;
    assert!(added < 40, "{added}");
}
