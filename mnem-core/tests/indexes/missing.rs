//! Blocks of indexes that are gone: what is asked is answered in full all the same.

use std::sync::Arc;

use mnem_core::codec::{Reader, links};
use mnem_core::port::{BlockRead, BlockReadExt, RowTable, SideTable};
use mnem_core::repo::{Repo, Snapshot};
use mnem_core::{Cid, Codec, Collector, MemoryStore, NodeId, Store, props};

use crate::kit::{commit, options, repo_in};

const SPOKES: u64 = 220;

const ROWS: RowTable = RowTable::new("index");

fn node(n: u64) -> NodeId {
    NodeId::from_time_and_random(n, [1; 10])
}

/// A hub and many spokes: indexes of several levels.
fn graph(store: &MemoryStore, spokes: u64) -> Snapshot {
    commit(&repo_in(Arc::new(store.clone()) as Arc<dyn Store>), |tx| {
        for n in 0..=spokes {
            tx.add_node_as(node(n), "Spoke", props! { n: i64::try_from(n).unwrap() }).unwrap();
        }
        for n in 1..=spokes {
            tx.add_edge(node(0), "to", node(n), props! {}).unwrap();
            tx.add_edge(node(n), "from", node(0), props! {}).unwrap();
        }
    })
}

/// Opened anew: nothing is in memory.
fn reopen(store: &MemoryStore) -> Repo {
    Repo::open(Arc::new(store.clone()) as Arc<dyn Store>, options(2)).unwrap()
}

/// Asks for everything, so that every block of every index is read.
fn answers(at: &Snapshot) -> [Vec<NodeId>; 3] {
    let nodes = || (0..=SPOKES).map(node);
    let out = nodes().flat_map(|node| at.edges_out(node, ..).unwrap());
    let into = nodes().flat_map(|node| at.edges_in(node, ..).unwrap());
    [
        at.labelled("Spoke").unwrap().map(|node| node.unwrap().id).collect(),
        out.map(|edge| edge.unwrap().dst).collect(),
        into.map(|edge| edge.unwrap().src).collect(),
    ]
}

/// The roots that rows name.
fn named(store: &MemoryStore) -> Vec<Cid> {
    let rows = store.rows(ROWS, b"").unwrap();
    let root = |value: &[u8]| {
        let mut reader = Reader::new(value);
        reader.list().unwrap();
        reader.link().unwrap()
    };
    rows.map(|row| root(&row.unwrap().1)).collect()
}

fn delete(store: &MemoryStore, cid: Cid) {
    let cycle = store.begin_cycle().unwrap();
    assert_eq!(store.delete_if_untouched(&cycle, &[cid]).unwrap().blocks, 1);
}

/// What lies right below the roots of indexes.
fn inner_blocks(store: &MemoryStore) -> Vec<Cid> {
    let below = |root: Cid| links(Codec::DagCbor, store.require(&root).unwrap().bytes()).unwrap();
    named(store).into_iter().flat_map(below).collect()
}

#[test]
fn whichever_block_of_an_index_is_missing_it_is_built_again_and_the_answer_is_whole() {
    let example = MemoryStore::new();
    let expected = answers(&graph(&example, SPOKES));
    let inner = inner_blocks(&example);
    assert!(inner.len() >= 9, "{} blocks", inner.len());
    for gone in inner {
        let store = MemoryStore::new();
        drop(graph(&store, SPOKES));
        delete(&store, gone);
        let repo = reopen(&store);
        let head = repo.head().unwrap();
        assert_eq!(answers(&head), expected);
        assert_eq!(named(&store).len(), 2, "the row goes");
        assert!(!store.has(&gone).unwrap(), "reading writes no block");
        assert_eq!(
            head.labelled("Spoke").unwrap().count(),
            expected[0].len(),
            "and again, from what was built"
        );
        drop(head);
        // The next commit brings the index back, whole.
        commit(&repo, |tx| tx.set_labels(node(0), ["Hub", "Spoke"]).unwrap());
        commit(&repo, |tx| tx.add_edge(node(0), "to", node(0), props! {}).unwrap());
        let again = reopen(&store).head().unwrap();
        let rows = named(&store).len();
        assert_eq!(answers(&again)[0], expected[0]);
        assert_eq!(answers(&again)[2].len(), expected[2].len() + 1);
        assert_eq!(named(&store).len(), rows, "nothing is missing any more");
    }
}

#[test]
fn a_root_that_is_missing_is_as_good_as_no_row() {
    let store = MemoryStore::new();
    let expected = answers(&graph(&store, SPOKES));
    for root in named(&store) {
        delete(&store, root);
    }
    assert_eq!(answers(&reopen(&store).head().unwrap()), expected);
}
