//! Content is written piece by piece and read by the stretch.

use std::sync::Arc;

use mnem_core::content::{CHUNK_MAX_BYTES, ContentError, ContentReader, ContentWriter};
use mnem_core::counting::Counting;
use mnem_core::object::{CONTENT_INLINE_BYTES_MAX, Content};
use mnem_core::port::BlockRead;
use mnem_core::tree::{TreeParams, TreeStore, link_value};
use mnem_core::{Block, Cid, Codec, MemoryStore, Staged};
use proptest::prelude::*;

use crate::chunks::content;
use crate::kit;

struct Lab {
    staged: Arc<Staged>,
    trees: TreeStore,
}

impl Lab {
    fn new() -> Lab {
        let staged = Arc::new(Staged::new(Arc::new(MemoryStore::new())));
        let trees = TreeStore::new(staged.clone(), &TreeParams::V1).expect("sound");
        Lab { staged, trees }
    }

    fn write(&self, content: &[u8]) -> Content {
        let mut sink = Arc::clone(&self.staged);
        let mut writer = ContentWriter::new(&self.trees, &mut sink);
        for piece in content.chunks(100_000) {
            writer.push(piece).expect("memory takes it");
        }
        writer.finish().expect("memory takes it")
    }

    fn list(&self, content: &[u8]) -> Cid {
        match self.write(content) {
            Content::List(root) => root,
            inline => panic!("{inline:?}"),
        }
    }

    fn reader(&self, root: Cid) -> ContentReader {
        ContentReader::new(self.trees.tree(root), self.staged.clone())
    }

    /// Makes a list by hand, as a hostile peer would.
    fn forged(&self, entries: &[(&[u8], Cid)]) -> ContentReader {
        let entries = entries.iter().map(|(key, cid)| (*key, link_value(cid)));
        let list = self.trees.build(entries, &mut Arc::clone(&self.staged)).expect("a tree");
        self.reader(*list.root())
    }

    fn chunk(&self, bytes: Vec<u8>) -> Cid {
        let block = Block::new(Codec::Raw, bytes);
        let cid = *block.cid();
        self.staged.put(block).expect("memory takes it");
        cid
    }
}

fn joined(stream: impl Iterator<Item = Result<bytes::Bytes, ContentError>>) -> Vec<u8> {
    stream.map(|chunk| chunk.expect("intact")).collect::<Vec<_>>().concat()
}

#[test]
fn short_content_stays_in_the_node() {
    let lab = Lab::new();
    for length in [0, 1, CONTENT_INLINE_BYTES_MAX] {
        let bytes = content("short", length);
        assert_eq!(lab.write(&bytes), Content::Inline(bytes.into()));
    }
    assert_eq!(lab.staged.bytes(), 0);
    let bytes = content("short", CONTENT_INLINE_BYTES_MAX + 1);
    let reader = lab.reader(lab.list(&bytes));
    assert_eq!(joined(reader.read_all()), bytes);
    assert_eq!(reader.len_bytes().unwrap(), 1025);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_stretch_is_read(
        length in 1025..900_000u64,
        from in 0..1_000_000u64,
        more in prop_oneof![0..3u64, 0..1_000_000u64],
    ) {
        let lab = Lab::new();
        let bytes = content("stretch", usize::try_from(length).expect("small"));
        let reader = lab.reader(lab.list(&bytes));
        let clip = |at: u64| usize::try_from(at.min(length)).expect("small");
        prop_assert_eq!(reader.len_bytes().expect("intact"), length);
        prop_assert!(joined(reader.read(from..from + more)) == bytes[clip(from)..clip(from + more)]);
        prop_assert!(joined(reader.read_all()) == bytes);
    }
}

#[test]
fn a_stretch_costs_what_it_is_long() {
    let lab = Lab::new();
    let bytes = content("reads", 12 << 20);
    let root = lab.list(&bytes);
    let counting = Arc::new(Counting::new(lab.staged.clone()));
    let blocks: Arc<dyn BlockRead> = counting.clone();
    let trees = TreeStore::new(blocks.clone(), &TreeParams::V1).unwrap();
    let reader = ContentReader::new(trees.tree(root), blocks);
    for from in (0..12 << 20).step_by(1_000_000) {
        let read = joined(reader.read(from..from + 10));
        assert!(read == bytes[usize::try_from(from).unwrap()..][..10]);
        // A walk down two levels, one step to the next leaf at most, and two chunks at most.
        let reads = counting.take_reads();
        assert!(reads <= 5, "{reads} blocks for 10 bytes at {from}");
    }
    reader.len_bytes().unwrap();
    assert!(counting.take_reads() <= 3);
}

#[test]
fn equal_content_has_one_list_and_an_edit_writes_little() {
    let lab = Lab::new();
    let mut bytes = content("edits", 5_000_000);
    let root = lab.list(&bytes);
    let whole = lab.staged.bytes();
    assert_eq!(lab.list(&bytes), root);
    assert_eq!(lab.staged.bytes(), whole);
    bytes.splice(2_500_000..2_500_000, *b"one more line");
    assert_ne!(lab.list(&bytes), root);
    assert!(lab.staged.bytes() - whole < 6 * CHUNK_MAX_BYTES, "{}", lab.staged.bytes() - whole);
}

#[test]
fn damaged_lists_are_named() {
    let lab = Lab::new();
    let at = |end: u64| end.to_be_bytes();
    let (ten, twenty) = (lab.chunk(vec![1; 10]), lab.chunk(vec![2; 20]));
    let good = lab.forged(&[(&at(10), ten), (&at(30), twenty)]);
    assert_eq!(joined(good.read(5..15)), [vec![1; 5], vec![2; 5]].concat());

    let check = |entries: &[(&[u8], Cid)], expected: &str| {
        let mut stream = lab.forged(entries).read_all();
        let error = stream.find_map(Result::err).expect("damage").to_string();
        assert!(error.contains(expected), "{error}");
        assert!(stream.next().is_none(), "goes on after an error");
    };
    check(&[(&at(9), ten)], "starts before the content");
    check(&[(&at(11), ten)], "does not start where");
    check(&[(&at(10), ten), (&at(31), twenty)], "does not start where");
    check(&[(&at(10), ten), (&at(29), twenty)], "does not start where");
    check(&[(b"short", ten)], "no offset");
    check(&[(&at(1), lab.chunk(vec![]))], "empty or too long");
    let long = CHUNK_MAX_BYTES + 1;
    check(&[(&at(long as u64), lab.chunk(vec![0; long]))], "empty or too long");
    check(&[(&at(10), Cid::of(Codec::DagCbor, &[1; 10]))], "no link to raw bytes");
    let absent = Cid::of(Codec::Raw, b"absent");
    check(&[(&at(10), ten), (&at(16), absent)], &format!("chunk {absent} is missing"));
}

/// FORMAT.md, "Content".
#[test]
fn lists_are_frozen() {
    let lab = Lab::new();
    let lines = [1025, 100_000, 1 << 20, 5 << 20].map(|n| format!("{n} {}", lab.list(&content("golden", n))));
    kit::golden(include_str!("../../../tests/fixtures/v1/content.txt"), &lines);
}
