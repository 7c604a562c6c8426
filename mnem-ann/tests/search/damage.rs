//! A kept tree that is damaged is dropped and made anew: never an answer, never a crash.

use std::sync::Arc;

use mnem::memory::MemoryStore;
use mnem::object::Metric;
use mnem::port::{RowTable, SideTable as _};
use mnem::tree::{Edit, TreeStore};
use mnem::{Cid, Snapshot, tree::TreeParams};
use mnem_ann::{Top, Vectors};

use crate::kit::{MODEL, Random, State, node, on, turn_into};

/// A state whose tree is kept, and its root.
fn kept(store: &Arc<MemoryStore>) -> (Snapshot, State, Cid) {
    let repo = on(Arc::clone(store) as _, 12, Metric::L2);
    let mut random = Random::new(4);
    let state: State = (0..300).map(|number| (number, random.vector(12))).collect();
    let now = turn_into(&repo, &State::new(), &state);
    let root = Vectors::of(MODEL).keep(&now).unwrap().unwrap().root;
    (now, state, root)
}

/// Names another tree than the true one, as somebody would who can write rows.
fn forge(now: &Snapshot, root: &Cid, edit: Edit) {
    let trees = TreeStore::new(now.blocks(), &TreeParams::V1).unwrap();
    let mut writer = now.derived_writer();
    let forged = trees.tree(*root).mutate([edit], &mut writer).unwrap();
    let source = now.vectors_root(MODEL).unwrap().unwrap();
    writer.name("vector-codes/1 12", &source, forged.root()).unwrap();
}

#[test]
fn forged_codes_are_refused_reported_and_made_anew() {
    let short = bytes::Bytes::from_static(&[0x43, 1, 2, 3]);
    let no_bytes = bytes::Bytes::from_static(&[0x01]);
    let mut out_of_range = vec![0x54];
    out_of_range.extend([0x80; 20]);
    let long = out_of_range.clone().into();
    for (key, value) in [
        (node(7).as_bytes().to_vec(), Some(short)),
        (node(7).as_bytes().to_vec(), Some(no_bytes)),
        (node(7).as_bytes().to_vec(), Some(long)),
        (node(7).as_bytes().to_vec(), None),
        (vec![1, 2, 3], Some(bytes::Bytes::from_static(&[0x40]))),
    ] {
        let store = Arc::new(MemoryStore::new());
        let (now, state, root) = kept(&store);
        forge(&now, &root, Edit { key: key.into(), value });
        let vectors = Vectors::of(MODEL);
        for number in [7, 8] {
            let hits = vectors.search(&now, &state[&number], &Top::k(1)).unwrap();
            assert_eq!((hits[0].node, hits[0].score), (node(number), 0.0));
        }
        assert_eq!(vectors.stats().dropped, 1, "{:?}", vectors.stats());
        assert!(vectors.stats().last_damage.is_some());
        assert_eq!(vectors.verify(&now).unwrap(), None, "the row is gone");
        assert_eq!(vectors.keep(&now).unwrap().unwrap().root, root);
        assert_eq!(vectors.verify(&now).unwrap(), Some(true));
    }
}

#[test]
fn a_block_that_is_missing_costs_time_alone() {
    let store = Arc::new(MemoryStore::new());
    let (now, state, root) = kept(&store);
    let tree = now.trees().tree(root);
    assert!(tree.len().unwrap() == 300);
    let source = now.vectors_root(MODEL).unwrap().unwrap();
    // A root that nobody has: as if it had been collected.
    let absent = Cid::of(mnem::Codec::DagCbor, b"absent");
    now.derived_writer().name("vector-codes/1 12", &source, &absent).unwrap();
    let vectors = Vectors::of(MODEL);
    assert_eq!(vectors.search(&now, &state[&9], &Top::k(1)).unwrap()[0].node, node(9));
    store.clear_rows(RowTable::new("index")).unwrap();
    assert_eq!(vectors.verify(&now).unwrap(), None);
    assert_eq!(vectors.keep(&now).unwrap().unwrap().root, root);
}
