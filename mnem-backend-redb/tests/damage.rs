//! Damaged files: one flipped bit anywhere is an error or harmless, never a panic and never other bytes; and what
//! reading one by one cannot notice, `check` does.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::*;
use mnem_backend_redb::{RedbStore, StorageBackend, open_or_init};
use mnem_core::Block;
use mnem_core::port::{BlockRead, Namespace, OpHeadsStore};
use redb::backends::InMemoryBackend;

/// Bytes of a store with three hundred blocks and some heads, closed.
fn made(expected: &[Block]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = open_or_init(&path).unwrap();
    for part in expected.chunks(40) {
        let old = store.heads(&Namespace::default()).unwrap();
        let done = commit(&store, part, &main_heads(&old[..old.len() / 2], head(&part[0])), &[]);
        assert!(done.is_ok());
    }
    drop(store);
    std::fs::read(&path).unwrap()
}

fn opened(bytes: &[u8]) -> Option<RedbStore> {
    let file = InMemoryBackend::new();
    file.set_len(bytes.len() as u64).unwrap();
    file.write(0, bytes).unwrap();
    RedbStore::open_with_backend(file, "damaged").ok()
}

/// What reading notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Noticed {
    NotOpened,
    Error,
    /// Something is missing, and nothing says so.
    Absent,
    Nothing,
}

fn read_all(store: &RedbStore, expected: &[Block], heads: &[mnem_core::OperationId]) -> Noticed {
    let mut noticed = Noticed::Nothing;
    for block in expected {
        noticed = noticed.min(match store.get(block.cid()) {
            Ok(Some(found)) => {
                assert_eq!(found, *block);
                Noticed::Nothing
            }
            Ok(None) => Noticed::Absent,
            Err(_) => Noticed::Error,
        });
    }
    let listed: Result<Vec<_>, _> = store.scan(None).unwrap().take(10_000).collect();
    noticed = noticed.min(match listed {
        Ok(cids) if cids.len() == expected.len() => Noticed::Nothing,
        Ok(_) => Noticed::Absent,
        Err(_) => Noticed::Error,
    });
    noticed.min(match store.heads(&Namespace::default()) {
        Ok(found) if found == heads => Noticed::Nothing,
        Ok(_) => Noticed::Absent,
        Err(_) => Noticed::Error,
    })
}

#[test]
fn flipped_bit_is_an_error_or_harmless_and_check_finds_what_reading_cannot() {
    // redb panics on some of these, which becomes an error: the words would only fill the screen.
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or("", |at| at.file());
        if !place.contains("redb-") {
            eprintln!("{info}");
        }
    }));
    let expected = blocks(0..300, 64);
    let bytes = made(&expected);
    let whole = opened(&bytes).unwrap();
    let heads = whole.heads(&Namespace::default()).unwrap();
    assert!(heads.len() > 1);
    assert_eq!(read_all(&whole, &expected, &heads), Noticed::Nothing);
    assert!(whole.check().unwrap());

    let mut counts = std::collections::BTreeMap::new();
    // An odd step meets every offset within pages and entries, and every bit.
    for (n, at) in (0..bytes.len()).step_by(101).enumerate() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (n % 8);
        let noticed =
            opened(&damaged).map_or(Noticed::NotOpened, |store| read_all(&store, &expected, &heads));
        if noticed == Noticed::Absent {
            let checked = opened(&damaged).unwrap().check();
            assert!(!matches!(checked, Ok(true)), "the bit at {at} hides something and passes the check");
        }
        *counts.entry(noticed).or_insert(0) += 1;
    }
    println!("of {} flipped bits: {counts:?}", bytes.len().div_ceil(101));
    assert!(counts[&Noticed::Error] > 10);
}

#[test]
fn file_that_is_cut_off_is_an_error() {
    let bytes = made(&blocks(0..300, 64));
    for len in (1..bytes.len()).step_by(1021) {
        if let Some(store) = opened(&bytes[..len]) {
            let noticed = read_all(&store, &blocks(0..300, 64), &[]);
            assert!(noticed < Noticed::Nothing, "cut to {len}");
        }
    }
}
