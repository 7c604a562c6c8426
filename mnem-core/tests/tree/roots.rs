//! Roots that an independent model of the tree computed: FORMAT.md, "Trees". Other roots mean a new format version.

use std::sync::Arc;

use mnem_core::tree::TreeParams;
use mnem_core::{Cid, Codec};

use crate::support::{Blocks, Model, Random, build};

#[track_caller]
fn check(n: u32, key: impl Fn(u32) -> Vec<u8>, root: &str, blocks: usize) {
    let value = |i: u32| mnem_core::tree::link_value(&Cid::of(Codec::Raw, &i.to_le_bytes())).to_vec();
    let model: Model = (0..n).map(|i| (key(i), value(i))).collect();
    let store: Arc<Blocks> = Blocks::new();
    let tree = build(&store, &TreeParams::V1, &model);
    assert_eq!(tree.root().to_string(), root);
    assert_eq!(store.len(), blocks);
}

#[test]
fn golden_roots_are_frozen() {
    let be128 = |i: u32| u128::from(i).to_be_bytes().to_vec();
    let text = |i: u32| format!("key-{i:06}").into_bytes();
    check(0, be128, "bafyr4iajvkaenlaxdakz23rwabhkcube7xfked4zpjlvbift2a74paabim", 1);
    check(1, be128, "bafyr4ibz2o3crzv5qg4q4rhlfkgtsibybdscqw5l3klhihlriyv5ag5oxe", 1);
    check(100, be128, "bafyr4idnuinda2haihv2wpbt7re7rnlplp6q2e7iypwx25q4yfkcv3zjta", 1);
    check(1000, be128, "bafyr4ihw4wttrhjg53alc6holkechy3ie5swsuk7y7qgxixdha2at6mdvq", 17);
    check(1000, text, "bafyr4idtluys4q6kczri46l6cobsydvx2phpuzkhakd7a6pjizsjzx7e44", 15);
    check(5000, be128, "bafyr4idrflpalgco3uzeddit4guudrswfnmjczpg7en3uhq3kev75laexi", 72);
}

#[test]
fn a_thousand_random_key_sets_have_the_roots_of_the_model() {
    let lines = include_str!("../../../tests/fixtures/v1/tree_roots.txt").lines();
    let mut sets = 0;
    for line in lines {
        let fields: Vec<&str> = line.split(' ').collect();
        let number = |i: usize| fields[i].parse::<u64>().unwrap();
        let narrow = |i: usize| u32::try_from(number(i)).unwrap();
        let seed = [u8::try_from(number(6)).unwrap(); 32];
        let params =
            TreeParams { min: narrow(3), max: narrow(4), shift: u8::try_from(number(5)).unwrap(), seed };
        let model = Random(number(0)).model(number(1), number(2));
        assert_eq!(build(&Blocks::new(), &params, &model).root().to_string(), fields[7], "{line}");
        sets += 1;
    }
    assert_eq!(sets, 1000);
}
