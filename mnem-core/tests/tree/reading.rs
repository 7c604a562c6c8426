//! T4: what is read is what a `BTreeMap` of the same entries gives.

use std::ops::Bound;

use mnem_core::tree::{KeyRange, Order, Tree, TreeParams};

use crate::support::{Blocks, Model, Random, SHRUNKEN, build, owned};

fn for_each_tree(check: impl Fn(&mut Random, &Tree, &Model)) {
    for (i, params) in SHRUNKEN.iter().chain([&TreeParams::V1]).enumerate() {
        for n in [0, 1, 2, 35, 400, 3000] {
            let mut random = Random(n + i as u64);
            let model = random.model(n, n % 3);
            check(&mut random, &build(&Blocks::new(), params, &model), &model);
        }
    }
}

/// A key of the model, one near such a key, or any.
fn some_key(random: &mut Random, model: &Model) -> Vec<u8> {
    let any = random.bytes(3);
    let Some(mut key) = model.keys().nth(random.index(model.len().max(1))).cloned() else { return any };
    match random.below(5) {
        0 => any,
        1 => {
            key.push(0);
            key
        }
        2 => {
            key.pop();
            key.push(b'a');
            key
        }
        _ => key,
    }
}

#[test]
fn get_finds_what_the_model_has() {
    for_each_tree(|random, tree, model| {
        let keys: Vec<Vec<u8>> = (0..200).map(|_| some_key(random, model)).collect();
        for key in &keys {
            assert_eq!(tree.get(key).unwrap(), owned(model.get(key)), "{key:?}");
        }
        let expected: Vec<_> = keys.iter().map(|key| owned(model.get(key))).collect();
        assert_eq!(tree.get_many(&keys).unwrap(), expected);
    });
}

#[test]
fn ranges_walk_what_the_model_has_both_ways() {
    for_each_tree(|random, tree, model| {
        for _ in 0..30 {
            let mut ends = [some_key(random, model), some_key(random, model)];
            ends.sort();
            let [start, end] = ends;
            let bound = |random: &mut Random, key: Vec<u8>| match random.below(3) {
                0 => Bound::Included(key),
                1 => Bound::Excluded(key),
                _ => Bound::Unbounded,
            };
            let bounds = (bound(random, start), bound(random, end));
            let range = KeyRange::new::<Vec<u8>, _>(bounds.clone());
            let expected: Vec<_> = model
                .iter()
                .filter(|(key, _)| range.contains(key))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            let walk = |order| -> Vec<_> {
                let cursor = tree.range(range.clone(), order);
                cursor.map(|entry| entry.map(|e| (e.key.to_vec(), e.value.to_vec())).unwrap()).collect()
            };
            assert_eq!(walk(Order::Ascending), expected, "{bounds:?}");
            let mut backwards = walk(Order::Descending);
            backwards.reverse();
            assert_eq!(backwards, expected, "{bounds:?}");
            assert_eq!(tree.count(&range).unwrap(), expected.len() as u64);
        }
    });
}

#[test]
fn prefixes_walk_what_the_model_has() {
    for_each_tree(|random, tree, model| {
        for _ in 0..30 {
            let mut prefix = some_key(random, model);
            prefix.truncate(random.index(4));
            let expected: Vec<_> = model.keys().filter(|key| key.starts_with(&prefix)).cloned().collect();
            let found: Vec<_> =
                tree.prefix(&prefix, Order::Ascending).map(|entry| entry.unwrap().key.to_vec()).collect();
            assert_eq!(found, expected);
        }
    });
}

#[test]
fn positions_agree_with_the_model() {
    for_each_tree(|random, tree, model| {
        assert_eq!(tree.len().unwrap(), model.len() as u64);
        assert_eq!(tree.is_empty().unwrap(), model.is_empty());
        for _ in 0..100 {
            let key = some_key(random, model);
            let rank = model.range::<Vec<u8>, _>(..&key).count();
            assert_eq!(tree.rank(&key).unwrap(), rank as u64);
            let found =
                tree.nth(rank as u64).unwrap().map(|entry| (entry.key.to_vec(), entry.value.to_vec()));
            assert_eq!(found, model.iter().nth(rank).map(|(key, value)| (key.clone(), value.clone())));
        }
        assert_eq!(tree.nth(u64::MAX).unwrap(), None);
    });
}

#[test]
fn an_upside_down_range_is_empty() {
    let model = Random(1).model(100, 0);
    let tree = build(&Blocks::new(), &SHRUNKEN[0], &model);
    let range = KeyRange::new::<&[u8], _>((Bound::Included(&[200u8][..]), Bound::Included(&[100u8][..])));
    for order in [Order::Ascending, Order::Descending] {
        assert_eq!(tree.range(range.clone(), order).count(), 0);
    }
    assert_eq!(tree.count(&range).unwrap(), 0);
}
