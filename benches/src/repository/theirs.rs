//! The newest published crates of the rival, on redb as it ships them. It has no history of a record and none of a
//! property that the past had: what is asked of the past goes commit by commit.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rival::id::{Cid, EdgeId, NodeId};
use rival::index::{PropPredicate, Query};
use rival::objects::{Edge, Node};
use rival::repo::ReadonlyRepo;
use rival::repo::merge::{MergeOutcome, MergeStrategy, merge_three_way};
use rival::store::{Blockstore, OpHeadsStore};

use super::{Memory, Record};

struct Theirs {
    repo: ReadonlyRepo,
    marked: ReadonlyRepo,
    ids: Vec<NodeId>,
    blocks: Arc<dyn Blockstore>,
    heads: Arc<dyn OpHeadsStore>,
}

pub(crate) fn open(path: &Path) -> Box<dyn Memory> {
    let path = path.join("store.redb");
    let is_new = !path.exists();
    let (blocks, heads, _) = rival_redb::open_or_init(path).expect("open");
    let open = if is_new { ReadonlyRepo::init } else { ReadonlyRepo::open };
    let repo = open(blocks.clone(), heads.clone()).expect("a repository");
    Box::new(Theirs { marked: repo.clone(), repo, ids: Vec::new(), blocks, heads })
}

fn head(repo: &ReadonlyRepo) -> Cid {
    repo.view().heads.first().expect("a commit").clone()
}

impl Theirs {
    fn set_on(&self, base: &ReadonlyRepo, nodes: &[usize], seen: i64) -> ReadonlyRepo {
        let mut tx = base.start_transaction();
        for node in nodes {
            let mut node = base.lookup_node(&self.ids[*node]).expect("get").expect("a node");
            node.props.insert("seen".to_owned(), i128::from(seen).into());
            tx.add_node(&node).expect("a node");
        }
        tx.commit("bench", "set").expect("a commit")
    }
}

impl Memory for Theirs {
    fn add(&mut self, records: &[Record]) {
        let mut tx = self.repo.start_transaction();
        for record in records {
            let id = NodeId::new_v7();
            let node = Node::new(id, "Claim")
                .with_prop("name", record.name.clone())
                .with_prop("text", record.text.clone());
            tx.add_node(&node).expect("a node");
            if let Some(about) = record.about {
                let edge = Edge::new(EdgeId::new_v7(), "about", id, self.ids[about]);
                tx.add_edge(&edge).expect("an edge");
            }
            self.ids.push(id);
        }
        self.repo = tx.commit("bench", "add").expect("a commit");
    }

    fn set(&mut self, nodes: &[usize], seen: i64) {
        self.repo = self.set_on(&self.repo, nodes, seen);
    }

    fn get(&mut self, node: usize) -> bool {
        // A store that was opened again has forgotten which ids there are; it is asked for one that is not.
        match self.ids.get(node) {
            Some(id) => self.repo.lookup_node(id).expect("get").is_some(),
            None => self.repo.lookup_node(&NodeId::new_v7()).expect("get").is_none(),
        }
    }

    fn neighbours(&mut self, node: usize) -> Option<usize> {
        Some(self.repo.outgoing_edges(&self.ids[node], Some(&["about"])).expect("edges").len())
    }

    fn by_name(&mut self, name: &str) -> Option<bool> {
        let query = Query::new(&self.repo).label("Claim").where_prop("name", PropPredicate::eq(name));
        Some(query.first().expect("find").is_some())
    }

    fn mark(&mut self) {
        self.marked = self.repo.clone();
    }

    fn get_marked(&mut self, node: usize) -> bool {
        self.marked.lookup_node(&self.ids[node]).expect("get").is_some()
    }

    fn history(&mut self, _: usize) -> Option<usize> {
        None
    }

    fn diff(&mut self) -> Option<usize> {
        let (old, new) = (self.marked.head_commit()?, self.repo.head_commit()?);
        Some(rival::prolly::diff(&*self.blocks, &old.nodes, &new.nodes).expect("a diff").len())
    }

    fn merge(&mut self, left: &[usize], right: &[usize]) -> Option<Duration> {
        let (one, other) = (self.set_on(&self.repo, left, 100), self.set_on(&self.repo, right, 200));
        let start = Instant::now();
        let strategy = MergeStrategy::Ours;
        let merged =
            merge_three_way(&self.blocks, &self.heads, head(&one), head(&other), strategy).expect("a merge");
        let MergeOutcome::Clean(_) = merged else { panic!("the sides differ in different nodes") };
        Some(start.elapsed())
    }

    fn clone_to(&mut self, _: &Path) -> Option<()> {
        None
    }
}
