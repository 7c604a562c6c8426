//! mnem, on the backends.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mnem::object::{Property, ValueType};
use mnem::query::{Query, prop};
use mnem::{Actor, NodeId, Repo, Snapshot, Store, props};
use mnem_backend_native::{StorageEngine, StorageOptions};

use super::{Memory, Record};

struct Ours {
    repo: Repo,
    me: Actor,
    ids: Vec<NodeId>,
    marked: Snapshot,
    branches: usize,
}

pub(crate) fn native(path: &Path) -> Box<dyn Memory> {
    let store = StorageEngine::open_or_init(path.join("store"), StorageOptions::default()).expect("open");
    open(Arc::new(store), path)
}

pub(crate) fn redb(path: &Path) -> Box<dyn Memory> {
    open(Arc::new(mnem_backend_redb::open_or_init(path.join("store")).expect("open")), path)
}

pub(crate) fn memory(path: &Path) -> Box<dyn Memory> {
    open(Arc::new(mnem::memory::MemoryStore::new()), path)
}

fn open(store: Arc<dyn Store>, _: &Path) -> Box<dyn Memory> {
    let repo = Repo::open_or_init(store, mnem::system_options()).expect("a repository");
    let me = Actor::named("bench");
    let head = repo.head().expect("a head");
    if head.commit_id().is_none() {
        let mut tx = repo.begin(&me).expect("a transaction");
        tx.declare(Property::new("name", ValueType::Text).indexed()).expect("a property");
        tx.commit("schema").expect("a commit");
    }
    let marked = repo.head().expect("a head");
    Box::new(Ours { repo, me, ids: Vec::new(), marked, branches: 0 })
}

impl Ours {
    fn head(&self) -> Snapshot {
        self.repo.head().expect("a head")
    }

    fn set_on(repo: &Repo, me: &Actor, ids: &[NodeId], nodes: &[usize], seen: i64) {
        let mut tx = repo.begin(me).expect("a transaction");
        nodes.iter().for_each(|node| tx.set(ids[*node], "seen", seen).expect("set"));
        tx.commit("set").expect("a commit");
    }
}

impl Memory for Ours {
    fn add(&mut self, records: &[Record]) {
        let mut tx = self.repo.begin(&self.me).expect("a transaction");
        for record in records {
            let props = props! { name: record.name.as_str(), text: record.text.as_str() };
            let id = tx.add_node("Claim", props).expect("a node");
            if let Some(about) = record.about {
                tx.add_edge(id, "about", self.ids[about], props! {}).expect("an edge");
            }
            self.ids.push(id);
        }
        tx.commit("add").expect("a commit");
    }

    fn set(&mut self, nodes: &[usize], seen: i64) {
        Ours::set_on(&self.repo, &self.me, &self.ids, nodes, seen);
    }

    fn get(&mut self, node: usize) -> bool {
        let head = self.head();
        // A repository that was opened again is asked for the first node that it has.
        let Some(id) = self.ids.get(node) else {
            return head.nodes().next().is_some_and(|node| node.is_ok());
        };
        head.get(*id).expect("get").is_some()
    }

    fn neighbours(&mut self, node: usize) -> Option<usize> {
        Some(self.head().edges_out(self.ids[node], "about").expect("edges").count())
    }

    fn by_name(&mut self, name: &str) -> Option<bool> {
        let query: Query<NodeId> = Query::nodes(prop("name").equals(name));
        let head = self.head();
        Some(head.find(&query).expect("find").next().is_some_and(|found| found.is_ok()))
    }

    fn mark(&mut self) {
        self.marked = self.head();
    }

    fn get_marked(&mut self, node: usize) -> bool {
        self.marked.get(self.ids[node]).expect("get").is_some()
    }

    fn history(&mut self, node: usize) -> Option<usize> {
        let history = self.head().history(self.ids[node]);
        Some(history.inspect(|version| assert!(version.is_ok())).count())
    }

    fn diff(&mut self) -> Option<usize> {
        let diff = self.marked.diff_to(&self.head());
        Some(diff.inspect(|change| assert!(change.is_ok())).count())
    }

    fn merge(&mut self, left: &[usize], right: &[usize]) -> Option<Duration> {
        self.branches += 1;
        let name = format!("side-{}", self.branches);
        let side = self.repo.create_branch(&self.me, &name, &self.head()).expect("a branch");
        Ours::set_on(&side, &self.me, &self.ids, left, 100);
        Ours::set_on(&self.repo, &self.me, &self.ids, right, 200);
        let start = Instant::now();
        let mut tx = self.repo.begin(&self.me).expect("a transaction");
        tx.merge(name.as_str()).expect("a merge");
        tx.commit("merge").expect("a commit");
        Some(start.elapsed())
    }

    fn clone_to(&mut self, folder: &Path) -> Option<()> {
        let kind = self.repo.store().kind();
        let url =
            if kind == "memory" { "memory:".to_owned() } else { format!("{kind}:{}", folder.display()) };
        let copy = mnem::store::init(&url).expect("a store");
        mnem::copy(&**self.repo.store(), &*copy, &mut mnem::quiet).expect("a copy");
        Some(())
    }
}
