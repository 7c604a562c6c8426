//! Blocks, heads and rows: what they cost, and what damage does.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use mnem_backend_simple::SimpleStore;
use mnem_core::cid::{CidClass, Codec};
use mnem_core::port::{
    BlockRead, Blockstore, Collector, Fault, HeadsError, HeadsUpdate, Namespace, OpHeadsStore, Row, RowTable,
    SideTable, Store, StoreError, Swap, WriteBatch,
};
use mnem_core::{BLOCK_BYTES_MAX, Block, Cid, OperationId};
use mnem_vfs::sim::{Calls, Fault as DiskFault, When};
use mnem_vfs::{Call, CountingVfs, OpenMode, SimVfs, Vfs};

type Disk = CountingVfs<SimVfs>;

fn on_sim() -> (Disk, SimpleStore) {
    let disk = CountingVfs::new(SimVfs::new());
    let store = SimpleStore::init_with(Arc::new(disk.clone()), "/s").unwrap();
    (disk, store)
}

fn block(text: &str) -> Block {
    Block::new(Codec::Raw, text.as_bytes().to_vec())
}

fn blocks(name: &str, count: usize) -> Vec<Block> {
    (0..count).map(|n| block(&format!("{name} {n}"))).collect()
}

fn head(block: &Block) -> OperationId {
    OperationId::new(*block.cid())
}

fn path_of(root: &str, cid: &Cid) -> PathBuf {
    let digest: String = cid.digest().iter().map(|byte| format!("{byte:02x}")).collect();
    PathBuf::from(root)
        .join("objects")
        .join(cid.class().number().to_string())
        .join(&digest[..2])
        .join(&digest[2..])
}

fn commit(store: &SimpleStore, blocks: &[Block], old: &[&Block], new: &Block) -> Result<Swap, StoreError> {
    let lease = store.lease(&[]).unwrap();
    let old: Vec<_> = old.iter().map(|block| head(block)).collect();
    let heads = HeadsUpdate::advance(Namespace::default(), &old, head(new));
    store.commit(&lease, &WriteBatch { blocks, heads: &heads, rows: &[] })
}

#[test]
fn a_commit_of_32_blocks_takes_at_most_five_syncs() {
    let (disk, store) = on_sim();
    let first = blocks("first", 32);
    let before = disk.counts();
    assert_eq!(commit(&store, &first, &[], &first[0]).unwrap(), Swap::Done);
    let made = (disk.counts() - before).syncs();
    let second = blocks("second", 32);
    let before = disk.counts();
    assert_eq!(commit(&store, &second, &[&first[0]], &second[0]).unwrap(), Swap::Done);
    let replaced = (disk.counts() - before).syncs();
    println!("syncs of a commit of 32 blocks: {made} with a first head, {replaced} in place of a head");
    assert_eq!((made, replaced), (3, 4));
    assert_eq!(store.heads(&Namespace::default()).unwrap(), [head(&second[0])]);
}

#[test]
fn a_duplicate_put_costs_no_byte_and_no_sync() {
    let (disk, store) = on_sim();
    let given = blocks("b", 8);
    store.put_many(&given).unwrap();
    let before = disk.counts();
    store.put_many(&given).unwrap();
    store.put(&given[3]).unwrap();
    let cost = disk.counts() - before;
    assert_eq!((cost.bytes_written, cost.syncs(), cost.renames), (0, 0, 0));
}

#[test]
fn a_batch_costs_one_sync() {
    let (disk, store) = on_sim();
    let before = disk.counts();
    store.put_many(&blocks("b", 100)).unwrap();
    assert_eq!((disk.counts() - before).syncs(), 1);
    let before = disk.counts();
    store.put(&block("one more")).unwrap();
    let cost = disk.counts() - before;
    assert_eq!((cost.syncs(), cost.sync_data), (1, 1));
}

#[test]
fn scan_ascends_over_all_classes_and_starts_anywhere() {
    let (_, store) = on_sim();
    let mut given: Vec<Block> = (0..300)
        .map(|n: u32| {
            let bytes = n.to_le_bytes().to_vec();
            Block::verify(Cid::of_class(CidClass::ALL[n as usize % 4], &bytes), bytes).unwrap()
        })
        .collect();
    store.put_many(&given).unwrap();
    given.sort_by_key(|block| *block.cid());
    let cids: Vec<Cid> = given.iter().map(|block| *block.cid()).collect();
    let scan = |after| store.scan(after).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(scan(None), cids);
    for at in [0, 1, 74, 75, 150, 298, 299] {
        assert_eq!(scan(Some(cids[at])), cids[at + 1..], "{at}");
    }
}

#[test]
fn scan_passes_a_folder_that_is_larger_than_what_it_holds() {
    let (disk, store) = on_sim();
    let crowded = "/s/objects/1/7f";
    disk.create_dir("/s/objects/1".as_ref()).unwrap();
    disk.create_dir(crowded.as_ref()).unwrap();
    let count = 3 * 1024 + 5;
    let names = (0..count).map(|n| format!("{n:062x}")).chain(["no block".to_owned()]);
    for name in names {
        disk.open(format!("{crowded}/{name}").as_ref(), OpenMode::CreateNew).unwrap();
    }
    let cids: Vec<Cid> = store.scan(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(cids.len(), count);
    assert!(cids.is_sorted_by(|a, b| a < b));
}

#[test]
fn damage_is_reported_with_the_file_and_mended_by_a_put() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    let store = SimpleStore::init(root).unwrap();
    let block = block("some bytes");
    store.put(&block).unwrap();
    let path = path_of(root, block.cid());
    for damaged in [&b""[..], b"some", b"Some bytes", b"some bytes and more"] {
        fs::write(&path, damaged).unwrap();
        match store.get(block.cid()) {
            Err(StoreError::Fault(Fault::Corrupt { at, .. })) => assert_eq!(at, path.to_str().unwrap()),
            other => panic!("{other:?}"),
        }
        if damaged.len() != block.bytes().len() {
            store.put(&block).unwrap();
            assert_eq!(store.get(block.cid()).unwrap().as_ref(), Some(&block));
        }
    }
}

#[test]
fn a_block_over_the_limit_refuses_its_whole_batch() {
    let (disk, store) = on_sim();
    let before = disk.counts();
    let given = [block("fine"), Block::new(Codec::Raw, vec![0; BLOCK_BYTES_MAX + 1])];
    assert!(matches!(store.put_many(&given), Err(StoreError::TooLarge { .. })));
    assert_eq!((disk.counts() - before).bytes_written, 0);
    assert!(!store.has(given[0].cid()).unwrap());
    let largest = Block::new(Codec::Raw, vec![0; BLOCK_BYTES_MAX]);
    store.put(&largest).unwrap();
    assert_eq!(store.get(largest.cid()).unwrap(), Some(largest));
}

#[test]
fn heads_name_present_blocks_and_are_never_none() {
    let (_, store) = on_sim();
    let (a, b) = (block("a"), block("b"));
    store.put(&a).unwrap();
    let main = Namespace::default();
    let update = |expected: Option<&[&Block]>, add: &[&Block], remove: &[&Block]| {
        let heads = |blocks: &[&Block]| blocks.iter().map(|block| head(block)).collect::<Vec<_>>();
        let update = HeadsUpdate {
            namespace: main.clone(),
            expected: expected.map(heads),
            add: heads(add),
            remove: heads(remove),
        };
        store.update(&update)
    };
    assert!(matches!(update(None, &[&b], &[]), Err(HeadsError::Absent { .. })));
    assert!(store.namespaces().unwrap().is_empty());
    assert_eq!(update(Some(&[]), &[&a], &[]).unwrap(), Swap::Done);
    store.put(&b).unwrap();
    assert_eq!(update(Some(&[&b]), &[&b], &[&a]).unwrap(), Swap::Moved);
    assert!(matches!(update(None, &[], &[&a]), Err(HeadsError::WouldBeEmpty { .. })));
    assert_eq!(update(Some(&[&a]), &[&b], &[&a]).unwrap(), Swap::Done);
    assert_eq!(store.heads(&main).unwrap(), [head(&b)]);
    assert_eq!(update(None, &[&b], &[&b]).unwrap(), Swap::Done, "what is added stays");
    assert_eq!(store.namespaces().unwrap(), [main]);
}

#[test]
fn after_a_failed_sync_the_handle_writes_nothing_and_reads_on() {
    for nth in 0..4 {
        let (disk, store) = on_sim();
        let first = blocks("first", 2);
        assert_eq!(commit(&store, &first, &[], &first[0]).unwrap(), Swap::Done);
        disk.inner().inject(When::Nth(Calls::Syncs, nth), DiskFault::Eio);
        let second = blocks("second", 2);
        assert!(commit(&store, &second, &[&first[0]], &second[0]).is_err(), "{nth}");
        assert!(matches!(store.put(&second[1]), Err(StoreError::Fault(Fault::Poisoned { .. }))), "{nth}");
        assert_eq!(store.get(first[0].cid()).unwrap().as_ref(), Some(&first[0]));
        let snapshot = store.snapshot().unwrap();
        assert!(!snapshot.heads(&Namespace::default()).unwrap().is_empty());
        let anew = SimpleStore::open_with(Arc::new(disk), "/s").unwrap();
        anew.put(&second[1]).unwrap();
    }
}

#[test]
fn a_full_disk_refuses_the_call_and_keeps_the_rest() {
    let (disk, store) = on_sim();
    let first = blocks("first", 2);
    assert_eq!(commit(&store, &first, &[], &first[0]).unwrap(), Swap::Done);
    let snapshot = store.snapshot().unwrap();
    disk.inner().set_capacity(Some(6 * 4096));
    let large: Vec<Block> = (0..4).map(|n| Block::new(Codec::Raw, vec![n; 9000])).collect();
    let full = store.put_many(&large);
    assert!(matches!(full, Err(StoreError::Fault(Fault::Full { .. }))), "{full:?}");
    assert!(large.iter().all(|block| !store.has(block.cid()).unwrap()));
    disk.inner().set_capacity(Some(3 * 4096));
    let crowded = store.snapshot().unwrap();
    assert_eq!(crowded.get(first[1].cid()).unwrap().as_ref(), Some(&first[1]));
    drop((snapshot, crowded));
    disk.inner().set_capacity(None);
    store.put_many(&large).unwrap();
    assert!(large.iter().all(|block| store.has(block.cid()).unwrap()));
}

#[test]
fn where_the_file_system_cannot_be_synced_whole_folders_are() {
    let plain = SimVfs::new();
    let vfs = Arc::new(no_whole_sync::NoWholeSync(plain.clone()));
    let store = SimpleStore::init_with(vfs, "/s").unwrap();
    let given = blocks("b", 3);
    store.put_many(&given).unwrap();
    store.sync().unwrap();
    assert_eq!(commit(&store, &[], &[], &given[0]).unwrap(), Swap::Done);
    let after = plain.restart(mnem_vfs::sim::Crash::KEEPS_SYNCED);
    let store = SimpleStore::open_with(Arc::new(after), "/s").unwrap();
    assert!(given.iter().all(|block| store.get(block.cid()).unwrap().as_ref() == Some(block)));
    assert_eq!(store.heads(&Namespace::default()).unwrap(), [head(&given[0])]);
    assert_eq!(plain.counts().sync_file_system, 0);
}

mod no_whole_sync;

const TABLE: RowTable = RowTable::new("derived");

fn row(key: &[u8], value: &str) -> Row {
    Row { table: TABLE, key: key.to_vec().into(), value: Some(value.as_bytes().to_vec().into()) }
}

#[test]
fn rows_ascend_by_key_whatever_their_length() {
    let (_, store) = on_sim();
    let mut keys: Vec<Vec<u8>> = (0..40u8).flat_map(|n| [vec![n], vec![7; 40 + usize::from(n)]]).collect();
    keys.extend([vec![7; 1024], [vec![7; 70], vec![1]].concat(), Vec::new()]);
    let rows: Vec<Row> = keys.iter().map(|key| row(key, &format!("{key:?}"))).collect();
    store.put_rows(&rows).unwrap();
    keys.sort();
    keys.dedup();
    let listed = |from: &[u8]| -> Vec<Vec<u8>> {
        store.rows(TABLE, from).unwrap().map(|row| row.unwrap().0.to_vec()).collect()
    };
    assert_eq!(listed(b""), keys);
    assert_eq!(
        listed(&[7, 7]),
        keys.iter().filter(|key| key.as_slice() >= [7, 7].as_slice()).cloned().collect::<Vec<_>>()
    );
    for key in &keys {
        assert_eq!(store.row(TABLE, key).unwrap().unwrap(), format!("{key:?}").as_bytes());
    }
    store.put_rows(&[row(&keys[3], "new"), Row { value: None, ..row(&keys[4], "") }]).unwrap();
    assert_eq!(store.row(TABLE, &keys[3]).unwrap().unwrap(), "new");
    assert_eq!(store.row(TABLE, &keys[4]).unwrap(), None);
    store.clear_rows(TABLE).unwrap();
    assert!(listed(b"").is_empty());
}

#[test]
fn a_damaged_row_is_absent() {
    let (disk, store) = on_sim();
    store.put_rows(&[row(b"k", "value")]).unwrap();
    let file = "/s/rows/derived/k6b";
    for bit in 0..disk.inner().peek(file).unwrap().len() as u64 * 8 {
        disk.inner().flip_bit(file, bit).unwrap();
        assert_eq!(store.row(TABLE, b"k").unwrap(), None, "{bit}");
        assert_eq!(store.rows(TABLE, b"").unwrap().count(), 0, "{bit}");
        disk.inner().flip_bit(file, bit).unwrap();
    }
    assert_eq!(store.row(TABLE, b"k").unwrap().unwrap(), "value");
    assert!(disk.counts().syncs() > 0 && disk.inner().calls_where(|call| call == Call::SyncData).len() == 1);
}
