//! The rival's index over its own repository in memory, at ef_construction = 128 as with the others; it asks with ef = 100
//! whatever it is told.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use rival::id::NodeId;
use rival::index::VectorIndex;
use rival::objects::{Embedding, Node};
use rival::repo::ReadonlyRepo;
use rival::store::{MemoryBlockstore, MemoryOpHeadsStore};
use rival_ann::{HnswConfig, HnswVectorIndex};

use super::{DIM, Index};

struct Theirs {
    index: HnswVectorIndex,
    numbers: HashMap<NodeId, usize>,
}

pub(crate) fn build(set: &[Vec<f32>]) -> Box<dyn Index> {
    let blocks = Arc::new(MemoryBlockstore::new());
    let repo = ReadonlyRepo::init(blocks, Arc::new(MemoryOpHeadsStore::new())).expect("a repository");
    let mut tx = repo.start_transaction();
    let mut numbers = HashMap::new();
    for (number, vector) in set.iter().enumerate() {
        let id = NodeId::new_v7();
        let cid = tx.add_node(&Node::new(id, "Thing")).expect("a node");
        let bytes: Vec<u8> = vector.iter().flat_map(|at| at.to_le_bytes()).collect();
        let (model, dim) = ("bench".to_owned(), DIM as u32);
        let embedding =
            Embedding { model: model.clone(), dtype: Default::default(), dim, vector: Bytes::from(bytes) };
        tx.set_embedding(cid, model, embedding).expect("a vector");
        numbers.insert(id, number);
    }
    let repo = tx.commit("bench", "all").expect("a commit");
    let config = HnswConfig { ef_construction: 128, ..HnswConfig::default() };
    let index = HnswVectorIndex::build_from_repo_with(&repo, "bench", config).expect("an index");
    Box::new(Theirs { index, numbers })
}

impl Index for Theirs {
    fn search(&mut self, question: &[f32], nearest: usize) -> Vec<usize> {
        let hits = self.index.search(question, nearest).expect("a search");
        hits.iter().map(|hit| self.numbers[&hit.node_id]).collect()
    }
}
