//! Nearest-neighbour edges, and rows that span pages.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use bytes::Bytes;
use mnem_backend_redb::{KNN_EDGES_TABLE, RedbStore, load_knn_edges, open_or_init, store_knn_edges};
use mnem_core::port::{Blockstore, Row, RowTable, SideTable};
use mnem_core::{Block, Cid, Codec};
use redb::{Database, ReadableDatabase as _, ReadableTableMetadata as _};

const ROWS: RowTable = RowTable::new("rows");
const NEXT: RowTable = RowTable::new("rows2");

#[test]
fn knn_edges_load_as_they_were_stored_and_missing_ones_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = open_or_init(&path).unwrap();
    let edges = Bytes::from(vec![7; 5000]);
    let cid = store_knn_edges(&store, edges.clone()).unwrap();
    assert_eq!(cid, Cid::of(Codec::Raw, &edges));
    assert_eq!(store_knn_edges(&store, edges.clone()).unwrap(), cid, "again");
    store_knn_edges(&store, Bytes::new()).unwrap();
    store.sync().unwrap();
    drop(store);

    let store = RedbStore::open(&path).unwrap();
    assert_eq!(load_knn_edges(&store, &cid).unwrap(), Some(edges));
    assert_eq!(load_knn_edges(&store, &Cid::of(Codec::Raw, b"")).unwrap(), Some(Bytes::new()));
    assert_eq!(load_knn_edges(&store, &Cid::of(Codec::Raw, b"missing")).unwrap(), None);
}

#[test]
fn damaged_knn_edges_are_missing_until_stored_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let edges = Bytes::from_static(b"edges");
    let cid = store_knn_edges(&open_or_init(&path).unwrap(), edges.clone()).unwrap();
    {
        let db = Database::create(&path).unwrap();
        let transaction = db.begin_write().unwrap();
        let mut key = [cid.class().number(); 33];
        key[1..].copy_from_slice(cid.digest());
        transaction.open_table(KNN_EDGES_TABLE).unwrap().insert(&key, &b"other"[..]).unwrap();
        transaction.commit().unwrap();
    }
    let store = open_or_init(&path).unwrap();
    assert_eq!(load_knn_edges(&store, &cid).unwrap(), None);
    store_knn_edges(&store, edges.clone()).unwrap();
    assert_eq!(load_knn_edges(&store, &cid).unwrap(), Some(edges));
}

#[test]
fn blocks_of_edges_are_rows_in_the_table_of_edges_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = open_or_init(&path).unwrap();
    let table = RowTable::new("knn-edges");
    let block = |n: u32| Block::new(Codec::DagCbor, vec![u8::try_from(n % 251).unwrap(); 3000 + n as usize]);
    let key =
        |block: &Block| Bytes::from([&[block.cid().class().number()], &block.cid().digest()[..]].concat());
    let row = |key: Bytes, value: Option<Bytes>| Row { table, key, value };
    let mut all: Vec<(Bytes, Bytes)> = (0..900).map(|n| (key(&block(n)), block(n).bytes().clone())).collect();
    all.sort();
    let rows: Vec<Row> = all.iter().map(|(key, value)| row(key.clone(), Some(value.clone()))).collect();
    store.put_rows(&rows).unwrap();
    store
        .put_rows(&[row(all[3].0.clone(), None), row(all[5].0.clone(), Some(Bytes::from_static(b"other")))])
        .unwrap();
    store.put_rows(&[row(Bytes::from_static(b"short"), Some(Bytes::from_static(b"other")))]).unwrap();
    store.sync().unwrap();
    drop(store);
    let database = Database::open(&path).unwrap();
    let found = database.begin_read().unwrap().open_table(KNN_EDGES_TABLE).unwrap().len().unwrap();
    assert_eq!(found, 898);
    drop(database);

    let store = RedbStore::open(&path).unwrap();
    let (third, fifth) = (all.remove(3), all.remove(4));
    let read = |from: &[u8]| store.rows(table, from).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    assert!(read(b"") == all);
    assert!(read(&third.0) == all[3..] && read(&all[7].0[..5]) == all[7..]);
    assert!(read(&[&all[7].0[..], &[0]].concat()) == all[8..]);
    assert_eq!(store.row(table, &all[0].0).unwrap(), Some(all[0].1.clone()));
    assert_eq!(store.row(table, &fifth.0).unwrap(), None);
    assert_eq!(store.row(table, b"short").unwrap(), None);
    store.clear_rows(table).unwrap();
    assert!(read(b"").is_empty());
}

#[test]
fn rows_stream_in_order_over_many_pages_and_end_with_their_table() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_or_init(folder.path().join("store.redb")).unwrap();
    let key = |n: u32| Bytes::copy_from_slice(&n.to_be_bytes());
    let value =
        |n: u32| Bytes::from(vec![u8::try_from(n % 251).unwrap(); usize::try_from(n % 3000).unwrap()]);
    let all: Vec<_> = (0..3000).map(|n| (key(n), value(n))).collect();
    let rows: Vec<Row> = all
        .iter()
        .map(|(key, value)| Row { table: ROWS, key: key.clone(), value: Some(value.clone()) })
        .collect();
    store.put_rows(&rows).unwrap();
    store.put_rows(&[Row { table: NEXT, key: key(0), value: Some(value(9)) }]).unwrap();

    let read = |from: &[u8]| store.rows(ROWS, from).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    assert!(read(b"") == all);
    assert!(read(&key(1000)) == all[1000..]);
    assert!(read(&[255; 8]).is_empty());
    store.clear_rows(ROWS).unwrap();
    assert!(read(b"").is_empty());
    assert_eq!(store.row(NEXT, &key(0)).unwrap(), Some(value(9)));
}
