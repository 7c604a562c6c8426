//! Archives: whole repositories and ranges, over all kinds of stores, and what anybody may have written.

use std::sync::Arc;

use mnem::exchange::{CarDamage, CarError, CarReader, CarWriter};
use mnem::memory::MemoryStore;
use mnem::object::{Commit, Object as _, Time};
use mnem::port::BlockReadExt as _;
use mnem::testing::labs;
use mnem::{Archive, Block, Cid, Codec, CommitId, Fetch, Repo, RepoError, Store, SyncError, quiet};

use crate::kit::{
    assert_has_all, assert_says_the_same, assert_states, commit, fresh, me, note, options, reached,
    repo_namespace, set, story,
};

fn export(repo: &Repo, what: &Archive) -> Vec<u8> {
    let mut bytes = Vec::new();
    let exported = repo.export_archive(&mut bytes, what, &mut quiet).unwrap();
    assert_eq!(exported.bytes, bytes.len() as u64);
    bytes
}

fn restore(bytes: &[u8], seed: u64) -> Result<Repo, SyncError> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let made = Repo::from_archive(Arc::clone(&store), options(seed), bytes, &mut quiet);
    if made.is_err() {
        assert!(store.heads(&repo_namespace()).unwrap().is_empty(), "nothing is half there");
    }
    made.map(|(repo, _)| repo)
}

fn tip(repo: &Repo) -> CommitId {
    repo.head().unwrap().commit_id().unwrap()
}

/// Roots and blocks of an archive, to be changed.
fn opened(bytes: &[u8]) -> (Vec<Cid>, Vec<Block>) {
    let mut car = CarReader::new(bytes).unwrap();
    let blocks = car.by_ref().collect::<Result<_, _>>().unwrap();
    (car.roots().to_vec(), blocks)
}

fn closed(roots: &[Cid], blocks: &[Block]) -> Vec<u8> {
    let mut car = CarWriter::new(Vec::new(), roots).unwrap();
    blocks.iter().for_each(|block| car.put(block).unwrap());
    car.finish().unwrap()
}

#[test]
fn a_whole_repository_comes_back_as_it_was_and_is_exported_to_the_same_bytes_from_every_kind_of_store() {
    let first = fresh();
    story(&first);
    let bytes = export(&first, &Archive::Whole);
    let (roots, blocks) = opened(&bytes);
    assert_eq!(roots.len(), 1);
    assert_eq!(*blocks[0].cid(), roots[0], "the root comes first");
    let mut cids: Vec<Cid> = blocks.iter().map(|block| *block.cid()).collect();
    cids.sort_unstable();
    cids.dedup();
    assert_eq!(cids.len(), blocks.len(), "no block comes twice");
    for lab in labs() {
        let (copy, synced) =
            Repo::from_archive(lab.open().unwrap(), options(2), bytes.as_slice(), &mut quiet).unwrap();
        assert_eq!((synced.blocks, synced.bytes > 1000), (blocks.len() as u64, true));
        drop(copy);
        let copy = Repo::open(lab.open().unwrap(), options(3)).unwrap();
        assert_has_all(&copy, &first);
        assert_eq!(
            copy.store().heads(&repo_namespace()).unwrap(),
            first.store().heads(&repo_namespace()).unwrap()
        );
        assert!(export(&copy, &Archive::Whole) == bytes, "{}: other bytes", lab.name());
        let again = Repo::from_archive(Arc::clone(copy.store()), options(4), bytes.as_slice(), &mut quiet);
        assert!(matches!(again, Err(SyncError::Repo(RepoError::Exists { .. }))));
    }
}

#[test]
fn blocks_may_come_in_any_order_and_twice() {
    let first = fresh();
    story(&first);
    let (roots, mut blocks) = opened(&export(&first, &Archive::Whole));
    blocks.sort_unstable_by_key(|block| *block.cid());
    let twice = [blocks.clone(), blocks].concat();
    assert_has_all(&restore(&closed(&roots, &twice), 2).unwrap(), &first);
}

#[test]
fn a_range_holds_what_is_new_and_goes_only_where_the_rest_is() {
    let first = fresh();
    story(&first);
    let old = tip(&first);
    let behind = restore(&export(&first, &Archive::Whole), 2).unwrap();
    let stranger = fresh();
    note(&stranger, "elsewhere");
    for n in 0..5 {
        let id = note(&first, &format!("new {n}"));
        set(&first, id, "seen", n);
    }
    let range = export(&first, &Archive::of(tip(&first)).without(old));
    let (roots, blocks) = opened(&range);
    assert_eq!((roots[0], *blocks[0].cid()), (*tip(&first).cid(), roots[0]));
    let all = opened(&export(&first, &Archive::of(tip(&first)))).1.len();
    assert!(blocks.len() * 2 < all, "{} of {all}", blocks.len());

    let synced =
        behind.import_archive(&me(), range.as_slice(), &Fetch::from("file"), "main", &mut quiet).unwrap();
    assert_eq!((synced.commits, synced.blocks), (10, blocks.len() as u64));
    assert_eq!(behind.remotes().unwrap(), [("file/main".to_owned(), tip(&first))]);
    commit(&behind, |tx| tx.merge("file/main").unwrap());
    assert_states(&behind, &first);
    assert!(export(&behind, &Archive::of(tip(&behind)).without(old)) == range, "other bytes");
    reached(behind.store());

    let nothing = first.export_archive(Vec::new(), &Archive::of(old).without(tip(&first)), &mut quiet);
    assert!(matches!(nothing, Err(SyncError::NothingNew)));

    let refused = stranger.import_archive(&me(), range.as_slice(), &Fetch::from("file"), "main", &mut quiet);
    assert!(matches!(refused, Err(SyncError::Incomplete { .. })));
    assert!(stranger.remotes().unwrap().is_empty());
    assert!(matches!(restore(&range, 3), Err(SyncError::NotOurs { .. })));
}

#[test]
fn a_whole_repository_can_be_taken_over_like_a_fetch() {
    let first = fresh();
    story(&first);
    let bytes = export(&first, &Archive::Whole);
    let other = fresh();
    note(&other, "mine");
    let synced =
        other.import_archive(&me(), bytes.as_slice(), &Fetch::from("file"), "main", &mut quiet).unwrap();
    assert!(synced.commits > 5);
    let names: Vec<String> = other.remotes().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["file/letters", "file/main"]);
    assert_eq!(other.tags().unwrap(), first.tags().unwrap());
    assert_eq!(
        other.at("file/main").unwrap().conflicts().unwrap(),
        first.head().unwrap().conflicts().unwrap()
    );
    reached(other.store());
    let again =
        other.import_archive(&me(), bytes.as_slice(), &Fetch::from("file"), "main", &mut quiet).unwrap();
    assert_eq!((again.blocks, again.commits, again.names.len()), (0, 0, 0));
}

#[test]
fn an_archive_that_is_cut_off_at_any_byte_is_refused_whole() {
    let first = fresh();
    note(&first, "alone");
    let bytes = export(&first, &Archive::Whole);
    for end in 0..bytes.len() {
        match restore(&bytes[..end], 2) {
            Err(SyncError::Archive(CarError::Truncated { at, .. })) => assert_eq!(at, end as u64),
            Err(SyncError::Incomplete { .. }) => {} // between two blocks
            other => panic!("{end} of {}: {other:?}", bytes.len()),
        }
    }
    assert_says_the_same(&restore(&bytes, 2).unwrap(), &first);
}

#[test]
fn an_archive_that_lacks_any_block_is_refused_by_name() {
    let first = fresh();
    note(&first, "alone");
    let (roots, blocks) = opened(&export(&first, &Archive::Whole));
    for lost in &blocks {
        let rest: Vec<Block> = blocks.iter().filter(|block| block.cid() != lost.cid()).cloned().collect();
        match restore(&closed(&roots, &rest), 2) {
            Err(SyncError::Incomplete { cid, .. }) => assert_eq!(cid, *lost.cid()),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn roots_that_are_no_repository_are_refused() {
    let first = fresh();
    note(&first, "alone");
    let (roots, blocks) = opened(&export(&first, &Archive::Whole));
    let raw = Block::new(Codec::Raw, &b"bytes"[..]);
    let view = first.head().unwrap().commit().unwrap().nodes;
    for (roots, blocks) in [
        (vec![], blocks.clone()),
        (vec![*raw.cid()], vec![raw.clone()]),
        (vec![view], blocks.clone()),
        (vec![roots[0], *tip(&first).cid()], blocks.clone()),
    ] {
        assert!(matches!(restore(&closed(&roots, &blocks), 2), Err(SyncError::NotOurs { .. })), "{roots:?}");
    }
    let absent = restore(&closed(&[*raw.cid()], &blocks), 2);
    assert!(matches!(absent, Err(SyncError::Incomplete { cid, from: None }) if cid == *raw.cid()));
    assert!(restore(&closed(&[roots[0], roots[0]], &blocks), 2).is_ok(), "one root, named twice");
    let mut wrong = closed(&roots, &blocks);
    *wrong.last_mut().unwrap() ^= 1;
    let refused = restore(&wrong, 2);
    assert!(matches!(
        refused,
        Err(SyncError::Archive(CarError::Refused { why: CarDamage::Mismatch(_), .. }))
    ));
}

/// Commits whose bytes are as they should be, and that lie about where they stand.
#[test]
fn commits_that_do_not_follow_their_parents_are_refused() {
    let first = fresh();
    let id = note(&first, "start");
    for n in 0..4 {
        set(&first, id, "seen", n);
    }
    let good = first.head().unwrap().commit().unwrap().clone();
    let older = first.at("main~2").unwrap();
    let late = Time::from_micros(good.time.micros() - 3_600_000_000).unwrap();
    let child: Commit = first.head().unwrap().commit().unwrap().clone();
    let lies = [
        Commit { generation: child.generation + 1, ..child.clone() },
        Commit { depth: child.depth - 1, ..child.clone() },
        Commit { parents: vec![older.commit_id().unwrap()], ..child.clone() },
        Commit {
            time: late,
            skip: child.skip.map(|skip| mnem::object::Skip { time: Time::MIN, ..skip }),
            ..child
        },
    ];
    for lie in lies {
        let Ok(block) = lie.to_block() else { panic!("{lie:?}") };
        let mut blocks = opened(&export(&first, &Archive::of(tip(&first)))).1;
        blocks.push(block.clone());
        let bytes = closed(&[*block.cid()], &blocks);
        let other = fresh();
        let refused = other.import_archive(&me(), bytes.as_slice(), &Fetch::from("file"), "main", &mut quiet);
        assert!(matches!(refused, Err(SyncError::Untrue { cid, .. }) if cid == *block.cid()), "{refused:?}");
        assert!(other.remotes().unwrap().is_empty());
    }
}

#[test]
fn a_tree_node_that_breaks_the_rules_is_refused() {
    let first = fresh();
    note(&first, "start");
    let good = first.head().unwrap().commit().unwrap().clone();
    // The map of edges says to be one of level 1 with a single child.
    let mut writer = mnem::codec::Writer::new();
    writer.map(2);
    writer.text("e");
    writer.list(1);
    writer.list(3);
    writer.bytes(b"key");
    writer.link(&good.edges);
    writer.uint(0);
    writer.text("l");
    writer.uint(1);
    let forged = Block::new(Codec::DagCbor, writer.into_bytes());
    let lie = Commit { edges: *forged.cid(), ..good }.to_block().unwrap();
    let mut blocks = opened(&export(&first, &Archive::of(tip(&first)))).1;
    blocks.extend([forged.clone(), lie.clone()]);
    let bytes = closed(&[*lie.cid()], &blocks);
    let refused = fresh().import_archive(&me(), bytes.as_slice(), &Fetch::from("file"), "main", &mut quiet);
    assert!(matches!(refused, Err(SyncError::Untrue { cid, .. }) if cid == *forged.cid()), "{refused:?}");
}

#[test]
fn what_lies_past_the_horizon_of_the_log_stays_behind() {
    let first = fresh();
    let id = note(&first, "start");
    for n in 0..20 {
        set(&first, id, "seen", n);
    }
    let few = mnem_core::repo::Retention { operations: 5, days: 0 };
    first.collect(few, &mut quiet).unwrap();
    let (copy, _) = first
        .clone_to(Arc::new(MemoryStore::new()), options(2), &me(), &mnem::Origin::default(), &mut quiet)
        .unwrap();
    assert_says_the_same(&copy, &first);
    let bytes = export(&first, &Archive::Whole);
    let restored = restore(&bytes, 3).unwrap();
    assert_says_the_same(&restored, &first);
    assert!(export(&restored, &Archive::Whole) == bytes);
}

#[test]
fn writing_that_fails_is_told() {
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            if taken == 0 { Err(std::io::Error::other("full")) } else { Ok(taken) }
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let first = fresh();
    note(&first, "start");
    for room in [0, 10, 100, 1000] {
        let failed = first.export_archive(Full(room), &Archive::Whole, &mut quiet);
        assert!(matches!(failed, Err(SyncError::Write(_))));
    }
    assert!(first.store().require(tip(&first).cid()).is_ok());
}
