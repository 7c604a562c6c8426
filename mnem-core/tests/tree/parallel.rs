//! A parallel build gives the bytes of a serial one.

use std::collections::BTreeSet;

use mnem_core::tree::{Executor, Serial, TreeError, TreeParams};
use mnem_core::{Block, Cid};

use crate::support::{Blocks, Random, SHRUNKEN, store};

struct Threads(usize);

impl Executor for Threads {
    fn run<'a>(&self, tasks: Vec<Box<dyn FnOnce() + Send + 'a>>) {
        std::thread::scope(|scope| tasks.into_iter().for_each(|task| drop(scope.spawn(task))));
    }

    fn width(&self) -> usize {
        self.0
    }
}

#[test]
fn a_parallel_build_makes_the_nodes_of_a_serial_one() {
    // The last never cuts by chance: there the parts meet nowhere, and the join cuts all of them anew.
    let uncut = TreeParams { min: 4096, max: 4096, ..TreeParams::V1 };
    for params in SHRUNKEN.iter().chain([&TreeParams::V1, &uncut]) {
        for n in [0, 1, 5000, 20_000] {
            let entries: Vec<_> = Random(n).model(n, 0).into_iter().collect();
            let trees = store(&Blocks::new(), params);
            let mut serial: Vec<Block> = Vec::new();
            let expected = trees.build(entries.iter().map(|(k, v)| (k, v)), &mut serial).unwrap();
            let expected_cids: BTreeSet<Cid> = serial.iter().map(|block| *block.cid()).collect();
            for width in [1, 2, 3, 8] {
                let mut made: Vec<Block> = Vec::new();
                let tree = trees.build_parallel(&entries, &Threads(width), &mut made).unwrap();
                assert_eq!(tree.root(), expected.root(), "{n} entries on {width}");
                assert_eq!(made.len(), expected_cids.len());
                assert_eq!(made.iter().map(|block| *block.cid()).collect::<BTreeSet<_>>(), expected_cids);
            }
        }
    }
}

#[test]
fn a_parallel_build_refuses_keys_out_of_order_between_parts() {
    let mut entries: Vec<_> = Random(1).model(10_000, 0).into_iter().collect();
    let middle = entries.len() / 2;
    entries.swap(middle - 1, middle);
    let trees = store(&Blocks::new(), &TreeParams::V1);
    for width in [1, 2] {
        let refused = trees.build_parallel(&entries, &Threads(width), &mut Vec::new());
        assert!(matches!(refused, Err(TreeError::Unsorted { at }) if at == middle as u64));
    }
    let serial = trees.build_parallel(&entries[..10], &Serial, &mut Vec::new());
    assert!(serial.is_ok());
}
