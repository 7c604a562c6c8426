//! The laws of trees, T1 to T6 and T9, on random histories.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use mnem_core::tree::{Change, Dispute, Edit, KeyRange, Order, Tree, TreeError, TreeParams};
use mnem_core::{Block, Cid};

use crate::support::{Blocks, Model, Random, SHRUNKEN, build, cases, owned, reachable};

type Edits = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// A tree with a history, and what it should hold.
struct Case {
    random: Random,
    params: TreeParams,
    kind: u64,
    blocks: Arc<Blocks>,
    tree: Tree,
    model: Model,
}

/// Runs `law` on trees of all key kinds, sizes and parameters. The number of a case names it: `MNEM_SEED` repeats it.
fn for_each_case(law: impl Fn(&mut Case)) {
    for seed in cases() {
        let mut random = Random(seed);
        let params = match random.below(5) {
            0 => TreeParams::V1,
            i => SHRUNKEN[usize::try_from(i - 1).unwrap()],
        };
        let kind = random.below(3);
        let n = [0, 1, 2, 10, 60, 300, 1500][random.index(7)];
        let model = random.model(n, kind);
        let blocks = Blocks::new();
        let tree = build(&blocks, &params, &model);
        let mut case = Case { random, params, kind, blocks, tree, model };
        let named = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| law(&mut case)));
        if let Err(failure) = named {
            eprintln!("repeat with MNEM_SEED={seed}");
            std::panic::resume_unwind(failure);
        }
    }
}

impl Case {
    /// Draws edits: inserts, updates, removals, and now and then of nearly everything.
    fn edits(&mut self) -> Edits {
        let random = &mut self.random;
        let keys: Vec<&Vec<u8>> = self.model.keys().collect();
        if random.below(8) == 0 {
            let rest = random.below(100);
            return keys
                .iter()
                .filter(|_| random.below(100) >= rest)
                .map(|key| ((*key).clone(), None))
                .collect();
        }
        let n = [0, 1, 1, 2, 5, 40, 400][random.index(7)];
        let edits: std::collections::BTreeMap<_, _> = (0..n)
            .map(|_| {
                let (key, value) = random.entry(self.kind);
                let key = match keys.get(random.index(2 * keys.len() + 1)) {
                    Some(known) => (*known).clone(),
                    None => key,
                };
                (key, if random.below(5) < 2 { None } else { Some(value) })
            })
            .collect();
        edits.into_iter().collect()
    }

    fn apply(&mut self, edits: &Edits) -> Vec<Block> {
        let mut made: Vec<Block> = Vec::new();
        self.tree = self.tree.mutate(edits.iter().map(edit), &mut made).unwrap();
        self.blocks.add(made.clone());
        change_model(&mut self.model, edits);
        made
    }

    /// Returns the tree after some edits, and its content. The case stays as it is.
    fn branch(&mut self) -> (Tree, Model) {
        let (tree, model) = (self.tree.clone(), self.model.clone());
        for _ in 0..1 + self.random.index(2) {
            let edits = self.edits();
            self.apply(&edits);
        }
        (std::mem::replace(&mut self.tree, tree), std::mem::replace(&mut self.model, model))
    }

    fn rebuilt(&self, model: &Model) -> Cid {
        *build(&Blocks::new(), &self.params, model).root()
    }
}

fn edit((key, value): &(Vec<u8>, Option<Vec<u8>>)) -> Edit {
    Edit { key: Bytes::copy_from_slice(key), value: owned(value.as_ref()) }
}

fn change_model(model: &mut Model, edits: &Edits) {
    for (key, value) in edits {
        match value {
            Some(value) => model.insert(key.clone(), value.clone()),
            None => model.remove(key),
        };
    }
}

/// T1: however a tree came to its content, a rebuild from that content has the same root.
#[test]
fn t1_root_depends_on_content_only() {
    for_each_case(|case| {
        for _ in 0..6 {
            let edits = case.edits();
            case.apply(&edits);
            assert_eq!(*case.tree.root(), case.rebuilt(&case.model), "{} edits", edits.len());
        }
    });
}

/// T2, T3: every node that is written is accepted when it is read; reading checks order, counts, levels, fan-out and
/// cuts. T4: what is read is what the model has.
#[test]
fn t2_t3_t4_every_node_is_sound_and_holds_what_the_model_has() {
    for_each_case(|case| {
        let edits = case.edits();
        case.apply(&edits);
        let found: Vec<_> = case.tree.iter().map(|entry| entry.unwrap()).collect();
        let expected = case.model.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        assert!(found.iter().map(|entry| (&*entry.key, &*entry.value)).eq(expected));
        assert_eq!(case.tree.len().unwrap(), case.model.len() as u64);
    });
}

fn model_diff(before: &Model, after: &Model, range: &KeyRange) -> Vec<Change> {
    let keys: BTreeSet<&Vec<u8>> = before.keys().chain(after.keys()).collect();
    keys.into_iter()
        .filter(|key| range.contains(key) && before.get(*key) != after.get(*key))
        .map(|key| Change {
            key: Bytes::copy_from_slice(key),
            before: owned(before.get(key)),
            after: owned(after.get(key)),
        })
        .collect()
}

fn diff(before: &Tree, after: &Tree, range: &KeyRange, order: Order) -> Vec<Change> {
    before.diff(after, range.clone(), order).map(|change| change.unwrap()).collect()
}

/// T5: a diff is what the models differ in, its own inverse when turned around, and leads from one tree to the other.
#[test]
fn t5_diff_is_exact_and_invertible() {
    for_each_case(|case| {
        let (other, other_model) = case.branch();
        let all = KeyRange::ALL;
        let forth = diff(&case.tree, &other, &all, Order::Ascending);
        assert_eq!(forth, model_diff(&case.model, &other_model, &all));
        let back: Vec<Change> = diff(&other, &case.tree, &all, Order::Ascending)
            .into_iter()
            .map(|change| Change { before: change.after, after: change.before, key: change.key })
            .collect();
        assert_eq!(forth, back);
        let mut backwards = diff(&case.tree, &other, &all, Order::Descending);
        backwards.reverse();
        assert_eq!(forth, backwards);
        let edits = forth.into_iter().map(|change| Edit { key: change.key, value: change.after });
        let mut made: Vec<Block> = Vec::new();
        assert_eq!(case.tree.mutate(edits, &mut made).unwrap().root(), other.root());
    });
}

/// T5 on a part of the keys.
#[test]
fn t5_diff_of_a_range_is_that_part_of_the_diff() {
    for_each_case(|case| {
        let (other, other_model) = case.branch();
        for _ in 0..5 {
            let kind = case.kind;
            let mut ends = [case.random.entry(kind).0, case.random.entry(kind).0];
            ends.sort();
            let [start, end] = ends;
            let range = match case.random.below(3) {
                0 => KeyRange::new(start..end),
                1 => KeyRange::new(start..=end),
                _ => KeyRange::new((std::ops::Bound::Excluded(start), std::ops::Bound::Unbounded)),
            };
            let mut expected = model_diff(&case.model, &other_model, &range);
            assert_eq!(diff(&case.tree, &other, &range, Order::Ascending), expected);
            expected.reverse();
            assert_eq!(diff(&case.tree, &other, &range, Order::Descending), expected);
        }
    });
}

fn greater(dispute: Dispute) -> Result<Option<Bytes>, TreeError> {
    Ok(dispute.left.max(dispute.right))
}

/// T6: a merge with a resolver that knows no sides knows none either; with the base or itself it changes nothing.
#[test]
fn t6_merge_is_symmetric_and_exact() {
    for_each_case(|case| {
        let (left, left_model) = case.branch();
        let (right, right_model) = case.branch();
        let mut made: Vec<Block> = Vec::new();
        let merged = left.merge(&case.tree, &right, greater, &mut made).unwrap();
        let mirrored = right.merge(&case.tree, &left, greater, &mut made).unwrap();
        assert_eq!(merged.root(), mirrored.root());
        let keys: BTreeSet<&Vec<u8>> = left_model.keys().chain(right_model.keys()).collect();
        let expected: Model = keys
            .into_iter()
            .filter_map(|key| {
                let (b, l, r) = (case.model.get(key), left_model.get(key), right_model.get(key));
                let value = if l == r || r == b {
                    l
                } else if l == b {
                    r
                } else {
                    l.max(r)
                };
                Some((key.clone(), value?.clone()))
            })
            .collect();
        assert_eq!(*merged.root(), case.rebuilt(&expected));
        assert_eq!(left.merge(&case.tree, &case.tree, greater, &mut made).unwrap().root(), left.root());
        assert_eq!(case.tree.merge(&case.tree, &left, greater, &mut made).unwrap().root(), left.root());
        assert_eq!(left.merge(&case.tree, &left, greater, &mut made).unwrap().root(), left.root());
    });
}

/// T9: a batch writes exactly what the new tree has and the old one has not, each node once, children first.
#[test]
fn t9_what_is_written_is_what_is_new() {
    for_each_case(|case| {
        for _ in 0..4 {
            let old: BTreeSet<Cid> = reachable(&case.blocks, case.tree.root()).into_iter().collect();
            let edits = case.edits();
            let made = case.apply(&edits);
            let new: BTreeSet<Cid> = reachable(&case.blocks, case.tree.root()).into_iter().collect();
            let written: Vec<Cid> = made.iter().map(|block| *block.cid()).collect();
            let unique: BTreeSet<Cid> = written.iter().copied().collect();
            assert_eq!(written.len(), unique.len());
            assert_eq!(unique, new.difference(&old).copied().collect());
            if let Some(last) = written.last() {
                assert_eq!(last, case.tree.root());
            }
        }
    });
}

/// The resolver sees each key that both sides changed, with all three values, and its error comes out.
#[test]
fn a_failing_resolver_ends_the_merge_with_its_error() {
    #[derive(Debug)]
    enum Mine {
        Tree(#[allow(dead_code)] TreeError),
        No(Box<Dispute>),
    }
    impl From<TreeError> for Mine {
        fn from(error: TreeError) -> Mine {
            Mine::Tree(error)
        }
    }
    let blocks = Blocks::new();
    let model: Model = Random(5).model(200, 1);
    let base = build(&blocks, &SHRUNKEN[0], &model);
    let key = Bytes::copy_from_slice(model.keys().nth(100).unwrap());
    let side = |value: Option<&'static [u8]>| {
        let edit = Edit { key: key.clone(), value: value.map(Bytes::from_static) };
        base.mutate([edit], &mut blocks.as_ref()).unwrap()
    };
    let (left, right) = (side(Some(b"\x01")), side(None));
    let refused = left.merge(&base, &right, |dispute| Err(Mine::No(Box::new(dispute))), &mut blocks.as_ref());
    let expected = Dispute {
        key: key.clone(),
        base: Some(Bytes::from_static(b"\x40")),
        left: Some(Bytes::from_static(b"\x01")),
        right: None,
    };
    assert!(matches!(refused, Err(Mine::No(dispute)) if *dispute == expected));
    let merged = left.merge(&base, &right, |_| Ok::<_, TreeError>(None), &mut blocks.as_ref()).unwrap();
    assert_eq!(merged.root(), right.root());
}
