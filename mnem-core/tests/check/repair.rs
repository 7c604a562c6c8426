//! What is derived is made again, what is lost comes from another store, and a finding says what it touches.

use std::collections::BTreeSet;
use std::sync::Arc;

use mnem_core::port::{BlockRead, Row};
use mnem_core::repo::{Affected, CheckOptions, CheckReport, Finding, Flaw, Part, Repair};
use mnem_core::{Cid, EntityId, MemoryStore, Node, NodeId, Object, Store};

use crate::forge::{Forge, INDEX, Rotten, index_row, root_of};
use crate::kit::{checked, commit, full, node, rich, shown};

fn example(seed: u64) -> Forge {
    let store = MemoryStore::new();
    drop(rich(&store, seed, 40));
    Forge::of(&store)
}

fn mended(store: impl Store + 'static, from: Option<MemoryStore>) -> CheckReport {
    let store: Arc<dyn Store> = Arc::new(store);
    let from = from.map(|from| Arc::new(from) as Arc<dyn BlockRead>);
    checked(&store, &CheckOptions { repair: true, from, ..CheckOptions::new() })
}

#[test]
fn blocks_that_are_missing_come_from_another_store() {
    let forge = example(1);
    let heads: BTreeSet<Cid> = forge.heads.iter().map(|head| *head.cid()).collect();
    let mut holes = forge.clone();
    let lost: Vec<Cid> = forge.live().into_iter().filter(|cid| !heads.contains(cid)).step_by(3).collect();
    for cid in &lost {
        holes.blocks.remove(cid);
    }
    let store = holes.store();
    let without = full(store.clone());
    assert!(!without.is_clean());
    assert!(lost.iter().all(|cid| !store.has(cid).unwrap()), "a check by itself writes nothing");
    let report = mended(store.clone(), Some(forge.store()));
    assert!(report.is_clean(), "{:?}", shown(&report));
    let fetched = report.findings.iter().filter(|it| it.repair == Repair::Fetched);
    assert_eq!(fetched.filter_map(|it| it.cid).collect::<BTreeSet<Cid>>(), lost.iter().copied().collect());
    assert_eq!(shown(&full(store)), Vec::<String>::new());
}

#[test]
fn bytes_that_rotted_are_replaced_from_another_store() {
    let forge = example(2);
    for cid in forge.live().into_iter().step_by(17) {
        let store = Rotten::new(forge.store());
        store.rot(cid, 5);
        let report = mended(store.clone(), Some(forge.store()));
        assert!(report.is_clean(), "{:?}", shown(&report));
        assert_eq!(report.findings.len(), 1, "{:?}", shown(&report));
        assert_eq!((report.findings[0].flaw, report.findings[0].cid), (Flaw::Unreadable, Some(cid)));
        assert_eq!(shown(&full(store)), Vec::<String>::new());
    }
}

#[test]
fn a_store_that_does_not_have_the_block_either_helps_nothing() {
    let forge = example(2);
    let cid = forge.live().into_iter().nth(40).unwrap();
    let store = Rotten::new(forge.store());
    store.rot(cid, 5);
    let report = mended(store.clone(), Some(MemoryStore::new()));
    assert!(!report.is_clean());
    assert_eq!(report.findings[0].repair, Repair::No);
}

#[test]
fn what_is_derived_is_made_again() {
    let forge = example(3);
    let derived: Vec<Cid> = forge.indexes().difference(&forge.live()).copied().collect();
    // Blocks of indexes that are missing.
    let mut holes = forge.clone();
    for cid in derived.iter().step_by(2) {
        holes.blocks.remove(cid);
    }
    // Rows that name another tree, and rows that are torn.
    let mut stale = forge.clone();
    let rows: Vec<usize> = (0..stale.rows.len()).filter(|at| stale.rows[*at].table == INDEX).collect();
    let root = root_of(&stale.rows[rows[0]]);
    for at in rows.iter().skip(1).step_by(3) {
        stale.rows[*at] = index_row(&stale.rows[*at], &root);
    }
    let mut torn = forge.clone();
    for row in torn.rows.iter_mut().step_by(2) {
        let value = row.value.clone().unwrap();
        *row = Row { value: Some(value.slice(..value.len() - 1)), ..row.clone() };
    }
    for (name, forged) in [("holes", holes), ("stale", stale), ("torn", torn)] {
        let store = forged.store();
        let found = full(store.clone());
        assert!(!found.findings.is_empty() && found.findings.iter().all(Finding::is_derived), "{name}");
        let report = mended(store.clone(), None);
        assert!(report.is_clean(), "{name}: {:?}", shown(&report));
        assert!(report.findings.iter().all(|it| it.repair == Repair::Rebuilt));
        assert_eq!(shown(&full(store.clone())), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn an_index_that_rotted_is_made_again() {
    let forge = example(3);
    let derived: Vec<Cid> = forge.indexes().difference(&forge.live()).copied().collect();
    let store = Rotten::new(forge.store());
    for cid in derived.iter().step_by(5) {
        store.rot(*cid, 1);
    }
    assert!(!full(store.clone()).is_clean());
    assert!(mended(store.clone(), None).is_clean());
    assert_eq!(shown(&full(store)), Vec::<String>::new());
}

#[test]
fn a_finding_says_which_node_and_which_commits_it_touches() {
    let store = MemoryStore::new();
    let repo = rich(&store, 4, 40);
    let id: NodeId = node(12);
    let first = commit(&repo, |tx| tx.set(id, "name", "here it is").unwrap());
    let second = commit(&repo, |tx| tx.set(node(13), "name", "something else").unwrap());
    commit(&repo, |tx| tx.set(id, "name", "here it is not any more").unwrap());
    let at = |snapshot: &mnem_core::repo::Snapshot| snapshot.commit_id().unwrap();
    let cid = repo.at(at(&first)).unwrap().get(id).unwrap().map(|it| cid_of(&it)).unwrap();
    let rotten = Rotten::new(store);
    rotten.rot(cid, 100);
    let report = full(rotten);
    let [finding] = &report.findings[..] else { panic!("{:?}", shown(&report)) };
    assert_eq!(finding.place.part, Part::Nodes);
    assert_eq!(finding.affected, Affected::One(EntityId::Node(id)));
    assert_eq!(finding.commits, [at(&first), at(&second)]);
    assert_eq!(finding.commits_total, 2);
    assert!(!finding.is_derived());
    assert!(finding.advice().contains("another copy"), "{}", finding.advice());
}

fn cid_of(node: &Node) -> Cid {
    *node.to_block().unwrap().cid()
}

#[test]
fn whoever_listens_can_end_a_check_and_it_is_not_clean() {
    let store: Arc<dyn Store> = Arc::new(example(1).store());
    let mut steps = BTreeSet::new();
    let mut end_at = |word: &'static str| {
        let mut heard = BTreeSet::new();
        let report = mnem_core::repo::check(&store, &CheckOptions::new(), &mut |step| {
            heard.insert(step.step);
            if step.step == word {
                std::ops::ControlFlow::Break(())
            } else {
                std::ops::ControlFlow::Continue(())
            }
        });
        steps.extend(heard);
        report.unwrap()
    };
    for word in ["operations", "names", "commits", "states", "derived"] {
        let report = end_at(word);
        assert!(!report.is_complete && !report.is_clean(), "{word}");
    }
    assert!(end_at("never").is_clean());
    assert_eq!(steps.len(), 5, "{steps:?}");
}

#[test]
fn what_has_no_room_is_counted() {
    let forge = example(1);
    let mut holes = forge.clone();
    for cid in forge.indexes().difference(&forge.live()).step_by(2) {
        holes.blocks.remove(cid);
    }
    let store: Arc<dyn Store> = Arc::new(holes.store());
    let report = checked(&store, &CheckOptions { findings_max: 3, ..CheckOptions::new() });
    assert_eq!(report.findings.len(), 3);
    assert!(report.left_out > 10, "{}", report.left_out);
}
