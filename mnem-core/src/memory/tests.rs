use std::slice;

use bytes::Bytes;

use super::MemoryStore;
use crate::block::Block;
use crate::cid::{Cid, Codec};
use crate::id::OperationId;
use crate::port::{
    BlockRead, Blockstore, Collector, CollectorError, Fault, HeadsError, HeadsUpdate, Namespace,
    OpHeadsStore, Row, RowTable, SideError, SideTable, Store, StoreError, Swap, WriteBatch,
};

const TABLE: RowTable = RowTable::new("rows");
const OTHER: RowTable = RowTable::new("other");

fn block(name: &str) -> Block {
    Block::new(Codec::Raw, name.as_bytes().to_vec())
}

fn id(block: &Block) -> OperationId {
    OperationId::new(*block.cid())
}

fn add(block: &Block) -> HeadsUpdate {
    HeadsUpdate::advance(Namespace::default(), &[], id(block))
}

fn main_update(expected: Option<&[&Block]>, add: &[&Block], remove: &[&Block]) -> HeadsUpdate {
    let ids = |blocks: &[&Block]| blocks.iter().map(|block| id(block)).collect();
    HeadsUpdate {
        namespace: Namespace::default(),
        expected: expected.map(ids),
        add: ids(add),
        remove: ids(remove),
    }
}

fn row(key: &str, value: &str) -> Row {
    let (key, value) = (key.to_owned().into(), Some(value.to_owned().into()));
    Row { table: TABLE, key, value }
}

fn all_cids(store: &dyn BlockRead) -> Vec<Cid> {
    store.scan(None).unwrap().map(Result::unwrap).collect()
}

fn sorted(blocks: &[Block]) -> Vec<Cid> {
    let mut cids: Vec<Cid> = blocks.iter().map(|block| *block.cid()).collect();
    cids.sort_unstable();
    cids
}

/// Deletes blocks as a collector that marked nothing.
fn collect(store: &MemoryStore, blocks: &[&Block]) -> u64 {
    let cycle = store.begin_cycle().unwrap();
    let cids: Vec<Cid> = blocks.iter().map(|block| *block.cid()).collect();
    store.delete_if_untouched(&cycle, &cids).unwrap().blocks
}

fn is_full<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Fault(Fault::Full { .. })))
}

#[test]
fn a_full_store_keeps_nothing_of_the_refused_call() {
    let store = MemoryStore::with_cap(10);
    let (four, five, two) = (block("1234"), block("12345"), block("12"));
    store.put(&four).unwrap();
    assert!(is_full(&store.put_many(&[five.clone(), two.clone()])));
    assert_eq!(all_cids(&store), [*four.cid()]);

    let lease = store.lease(&[]).unwrap();
    let batch = WriteBatch { blocks: slice::from_ref(&five), heads: &add(&five), rows: &[row("k", "v")] };
    assert!(is_full(&store.commit(&lease, &batch)));
    assert_eq!(all_cids(&store), [*four.cid()]);
    assert!(store.namespaces().unwrap().is_empty());
    assert_eq!(store.row(TABLE, b"k").unwrap(), None);

    let refused = store.put_rows(&[row("key", "value")]).and_then(|()| store.put_rows(&[row("a", "b")]));
    assert!(matches!(refused, Err(SideError::Fault(Fault::Full { .. }))));
    assert_eq!(store.row(TABLE, b"key").unwrap(), None);
}

#[test]
fn only_what_is_new_needs_room() {
    let store = MemoryStore::with_cap(10);
    let six = block("123456");
    store.put_many(&[six.clone(), six.clone()]).unwrap();
    store.put(&six).unwrap();
    store.put_rows(&[row("k", "123")]).unwrap();
    store.put_rows(&[row("k", "12"), row("k", "321")]).unwrap();
    assert!(is_full(&store.put(&block("x"))));
    store.put_rows(&[Row { value: None, ..row("k", "") }]).unwrap();
    store.put(&block("1234")).unwrap();
    assert!(is_full(&store.put(&block("x"))));
    assert_eq!(collect(&store, &[&six]), 1);
    store.put(&block("654321")).unwrap();
}

#[test]
fn clearing_a_table_makes_room_and_touches_no_other() {
    let store = MemoryStore::with_cap(8);
    store.put_rows(&[row("a", "1"), row("b", "2"), Row { table: OTHER, ..row("a", "3") }]).unwrap();
    store.clear_rows(TABLE).unwrap();
    assert_eq!(store.rows(TABLE, b"").unwrap().count(), 0);
    assert_eq!(store.row(OTHER, b"a").unwrap(), Some(Bytes::from_static(b"3")));
    store.put(&block("123456")).unwrap();
}

#[test]
fn a_snapshot_shows_what_was_deleted_since_and_the_store_does_not() {
    let store = MemoryStore::new();
    let (head, loose, early) = (block("head"), block("loose"), block("early"));
    store.put_many(&[head.clone(), loose.clone(), early.clone()]).unwrap();
    let _ = store.update(&add(&head)).unwrap();
    let first = store.snapshot().unwrap();
    assert_eq!(collect(&store, &[&early]), 1);
    let second = store.snapshot().unwrap();
    assert_eq!(collect(&store, &[&loose]), 1);

    assert_eq!(all_cids(&store), [*head.cid()]);
    assert_eq!(store.has_many(&[*loose.cid(), *head.cid()]).unwrap(), [false, true]);
    assert_eq!(all_cids(first.as_ref()), sorted(&[head.clone(), loose.clone(), early.clone()]));
    assert_eq!(all_cids(second.as_ref()), sorted(&[head.clone(), loose.clone()]), "`early` was gone by then");
    assert_eq!(first.get(early.cid()).unwrap(), Some(early.clone()));
    assert_eq!(second.get_many(&[*early.cid(), *loose.cid()]).unwrap(), [None, Some(loose.clone())]);
}

#[test]
fn what_is_set_aside_takes_room_until_the_last_older_snapshot_ends() {
    let store = MemoryStore::with_cap(4);
    let four = block("1234");
    store.put(&four).unwrap();
    let (first, second) = (store.snapshot().unwrap(), store.snapshot().unwrap());
    collect(&store, &[&four]);
    let late = store.snapshot().unwrap();
    drop(first);
    assert!(is_full(&store.put(&block("x"))));
    drop(second);
    store.put(&block("4321")).unwrap();
    assert_eq!(late.get(four.cid()).unwrap(), None);
}

#[test]
fn a_block_that_is_put_while_set_aside_is_there_again() {
    let store = MemoryStore::with_cap(4);
    let four = block("1234");
    store.put(&four).unwrap();
    let snapshot = store.snapshot().unwrap();
    collect(&store, &[&four]);
    store.put(&four).unwrap();
    assert_eq!(store.get(four.cid()).unwrap(), Some(four.clone()));
    collect(&store, &[&four]);
    assert_eq!(snapshot.get(four.cid()).unwrap(), Some(four.clone()));
    store.put(&four).unwrap();
    drop(snapshot);
    assert!(store.has(four.cid()).unwrap());
}

#[test]
fn a_stream_keeps_its_snapshot() {
    let store = MemoryStore::new();
    let blocks: Vec<Block> = (0..600).map(|n| block(&n.to_string())).collect();
    store.put_many(&blocks).unwrap();
    let snapshot = store.snapshot().unwrap();
    let stream = snapshot.scan(None).unwrap();
    drop(snapshot);
    collect(&store, &blocks.iter().collect::<Vec<_>>());
    assert!(all_cids(&store).is_empty());
    assert_eq!(stream.map(Result::unwrap).collect::<Vec<_>>(), sorted(&blocks));
}

#[test]
fn a_snapshot_keeps_its_heads_and_can_be_committed_on() {
    let store = MemoryStore::new();
    let (old, new, newer) = (block("old"), block("new"), block("newer"));
    store.put_many(&[old.clone(), new.clone()]).unwrap();
    let main = Namespace::default();
    let _ = store.update(&add(&old)).unwrap();
    let snapshot = store.snapshot().unwrap();
    let _ = store.update(&HeadsUpdate::advance(main.clone(), &[id(&old)], id(&new))).unwrap();
    assert_eq!(snapshot.heads(&main).unwrap(), [id(&old)]);
    assert_eq!(store.heads(&main).unwrap(), [id(&new)]);
    assert!(store.lease(&[*old.cid()]).is_ok(), "the snapshot's lease holds it");

    let batch = WriteBatch { blocks: slice::from_ref(&newer), heads: &add(&newer), rows: &[row("k", "v")] };
    assert_eq!(store.commit(snapshot.lease(), &batch).unwrap(), Swap::Done);
    assert!(store.row(TABLE, b"k").unwrap().is_some());
    drop(snapshot);
    assert!(matches!(store.lease(&[*old.cid()]), Err(CollectorError::Stale)));
}

#[test]
fn a_scan_gives_what_stays_once_while_others_write_and_delete() {
    let store = MemoryStore::new();
    let blocks: Vec<Block> = (0..1000).map(|n| block(&n.to_string())).collect();
    store.put_many(&blocks).unwrap();
    let all = sorted(&blocks);
    let mut stream = store.scan(Some(all[9])).unwrap().map(Result::unwrap);
    let mut seen = vec![stream.next().unwrap()];
    let cycle = store.begin_cycle().unwrap();
    store.delete_if_untouched(&cycle, &all[500..600]).unwrap();
    seen.extend(stream);
    assert!(seen.is_sorted_by(|a, b| a < b));
    assert_eq!(seen, [&all[10..500], &all[600..]].concat());
}

#[test]
fn heads_change_only_from_what_is_expected() {
    let store = MemoryStore::new();
    let (a, b, c) = (block("a"), block("b"), block("c"));
    store.put_many(&[a.clone(), b.clone(), c.clone()]).unwrap();
    let main = Namespace::default();
    let swap = |expected: Option<&[&Block]>, add: &[&Block], remove: &[&Block]| {
        store.update(&main_update(expected, add, remove)).unwrap()
    };
    assert_eq!(swap(Some(&[&a]), &[&b], &[]), Swap::Moved);
    assert!(store.heads(&main).unwrap().is_empty());
    assert_eq!(swap(Some(&[]), &[&a, &b], &[]), Swap::Done);
    assert_eq!(swap(Some(&[&b, &a]), &[&c], &[&a]), Swap::Done);
    assert_eq!(swap(None, &[&a], &[&c]), Swap::Done);
    let mut heads = store.heads(&main).unwrap();
    heads.sort_unstable();
    let mut expected = [id(&a), id(&b)];
    expected.sort_unstable();
    assert_eq!(heads, expected);

    let refused = store.update(&main_update(None, &[], &[&a, &b]));
    assert!(matches!(refused, Err(HeadsError::WouldBeEmpty { .. })));
    let refused = store.update(&main_update(None, &[&block("absent")], &[]));
    assert!(matches!(refused, Err(HeadsError::Absent { .. })));
    assert_eq!(store.heads(&main).unwrap(), expected);
}

#[test]
fn namespaces_have_heads_of_their_own_and_share_blocks() {
    let store = MemoryStore::new();
    let (a, b) = (block("a"), block("b"));
    store.put_many(&[a.clone(), b.clone()]).unwrap();
    let notes = Namespace::new("notes").unwrap();
    let _ = store.update(&add(&a)).unwrap();
    let _ = store.update(&HeadsUpdate { namespace: notes.clone(), ..add(&b) }).unwrap();
    assert_eq!(store.namespaces().unwrap(), [Namespace::default(), notes.clone()]);
    assert_eq!(store.heads(&notes).unwrap(), [id(&b)]);
    assert_eq!(store.heads(&Namespace::default()).unwrap(), [id(&a)]);
    let cycle = store.begin_cycle().unwrap();
    assert_eq!(cycle.roots(), sorted(&[a, b]), "a cycle marks from the heads of all");
}

#[test]
fn rows_stream_in_order_across_batches() {
    let store = MemoryStore::new();
    let rows: Vec<Row> = (0..600).map(|n| row(&format!("{n:03}"), "v")).collect();
    store.put_rows(&rows).unwrap();
    let keys =
        |from: &[u8]| -> Vec<Bytes> { store.rows(TABLE, from).unwrap().map(|row| row.unwrap().0).collect() };
    let all: Vec<Bytes> = rows.iter().map(|row| row.key.clone()).collect();
    assert_eq!(keys(b""), all);
    assert_eq!(keys(b"255"), all[255..]);
    assert_eq!(keys(b"2550"), all[256..]);
    assert!(keys(b"6").is_empty());
}

#[test]
fn a_commit_under_an_ended_lease_changes_nothing() {
    let store = MemoryStore::new();
    let new = block("new");
    let lease = store.lease(&[]).unwrap();
    store.end_lease(lease.id());
    let batch = WriteBatch { blocks: slice::from_ref(&new), heads: &add(&new), rows: &[row("k", "v")] };
    assert!(matches!(store.commit(&lease, &batch), Err(StoreError::Stale)));
    assert!(matches!(store.put_leased(&lease, slice::from_ref(&new)), Err(StoreError::Stale)));
    assert!(all_cids(&store).is_empty());
    assert!(store.namespaces().unwrap().is_empty());
    assert_eq!(store.row(TABLE, b"k").unwrap(), None);
}

#[test]
fn clones_are_one_store_and_threads_share_it() {
    let store = MemoryStore::new();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = store.clone();
            scope.spawn(move || {
                for n in 0..100 {
                    let new = block(&format!("{thread} {n}"));
                    let lease = store.lease(&[]).unwrap();
                    let batch = WriteBatch { blocks: slice::from_ref(&new), heads: &add(&new), rows: &[] };
                    assert_eq!(store.commit(&lease, &batch).unwrap(), Swap::Done);
                }
            });
        }
    });
    assert_eq!(store.heads(&Namespace::default()).unwrap().len(), 400, "updates without `expected` unite");
}
