//! Content is cut by what it holds.

use std::collections::HashSet;
use std::convert::Infallible;

use bytes::Bytes;
use mnem_core::content::{CHUNK_AIM_BYTES, CHUNK_MAX_BYTES, CHUNK_MIN_BYTES, Chunker};
use mnem_core::{Cid, Codec};
use proptest::prelude::*;

use crate::kit;

/// The same bytes on every machine.
pub(crate) fn content(name: &str, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Cuts content that comes in pieces of these lengths, over and over.
fn cut(content: &[u8], pieces: &[usize]) -> Vec<Bytes> {
    let mut chunks = Vec::new();
    let mut chunker = Chunker::new();
    let (mut rest, mut lengths) = (content, pieces.iter().cycle());
    while !rest.is_empty() {
        let (piece, next) = rest.split_at(rest.len().min(*lengths.next().expect("a length")));
        let Ok(()) = chunker.push(piece, |chunk| -> Result<(), Infallible> {
            chunks.push(chunk);
            Ok(())
        });
        rest = next;
    }
    chunks.extend(chunker.finish());
    assert!(chunks.concat() == content, "chunks are not the content");
    chunks
}

fn whole(content: &[u8]) -> Vec<Bytes> {
    cut(content, &[usize::MAX])
}

fn lengths(chunks: &[Bytes]) -> Vec<usize> {
    chunks.iter().map(Bytes::len).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn cuts_do_not_depend_on_how_content_comes_in(
        length in 0..400_000usize,
        pieces in prop::collection::vec(prop_oneof![1..100usize, 1..70_000usize], 1..6),
    ) {
        // Zeros are cut at the greatest length only: there a byte too many shows.
        for content in [content("pieces", length), vec![0; length]] {
            prop_assert_eq!(lengths(&cut(&content, &pieces)), lengths(&whole(&content)));
        }
    }
}

#[test]
fn chunks_keep_their_limits_and_come_near_the_aim() {
    let chunks = whole(&content("sizes", 32 << 20));
    let (last, others) = chunks.split_last().unwrap();
    assert!(last.len() <= CHUNK_MAX_BYTES);
    assert!(others.iter().all(|chunk| (CHUNK_MIN_BYTES..=CHUNK_MAX_BYTES).contains(&chunk.len())));
    let mean = (32 << 20) / chunks.len();
    assert!(mean.abs_diff(CHUNK_AIM_BYTES) < CHUNK_AIM_BYTES / 8, "{mean}");
    // Content without any structure to cut by.
    let zeros = whole(&vec![0; 1 << 20]);
    assert_eq!(lengths(&zeros), [CHUNK_MAX_BYTES; 4]);
}

#[test]
fn small_and_empty_content_is_one_chunk_and_none() {
    assert_eq!(lengths(&whole(&content("small", 2000))), [2000]);
    assert_eq!(lengths(&whole(&[])), [0usize; 0]);
}

fn new_chunks(old: &[u8], new: &[u8]) -> usize {
    let old: HashSet<Bytes> = whole(old).into_iter().collect();
    whole(new).iter().filter(|chunk| !old.contains(*chunk)).count()
}

#[test]
fn an_edit_in_the_middle_changes_few_chunks() {
    let old = content("edited", 5_000_000);
    let total = whole(&old).len();
    for at in (100_000..4_900_000).step_by(480_000) {
        let inserted = [&old[..at], b"one more line", &old[at..]].concat();
        let removed = [&old[..at], &old[at + 1000..]].concat();
        let mut changed = old.clone();
        changed[at] ^= 1;
        for new in [inserted, removed, changed] {
            let count = new_chunks(&old, &new);
            assert!((1..=6).contains(&count), "{count} of {total} chunks are new after an edit at {at}");
        }
    }
}

#[test]
fn identical_stretches_are_stored_once() {
    let part = content("part", 1 << 20);
    let twice = [&part[..], &content("between", 100_000), &part].concat();
    let chunks = whole(&twice);
    let distinct: HashSet<_> = chunks.iter().collect();
    let bytes: usize = distinct.iter().map(|chunk| chunk.len()).sum();
    assert!(bytes < part.len() + 100_000 + 4 * CHUNK_MAX_BYTES, "{bytes}");
    assert!(distinct.len() < chunks.len());
}

/// FORMAT.md, "Content".
#[test]
fn cuts_are_frozen() {
    let chunks = whole(&content("golden", 1 << 20));
    let lines: Vec<_> = chunks.iter().map(|it| format!("{} {}", it.len(), Cid::of(Codec::Raw, it))).collect();
    kit::golden(include_str!("../../../tests/fixtures/v1/chunks.txt"), &lines);
}
