//! R1 to R5: derived rows.

use std::collections::BTreeMap;

use super::lab::{Lab, LabExt};
use super::sample::{Random, TABLE, advance, block, blocks, commit, head, noise_bytes, update};
use super::store::wherever_the_power_fails;
use super::suite::Checked;
use crate::Store;
use crate::port::{
    BlockReadExt, Namespace, ROW_KEY_BYTES_MAX, ROW_VALUE_BYTES_MAX, Row, RowTable, SideError, Swap,
    WriteBatch,
};

const OTHER: RowTable = RowTable::new("other-sample");

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;
type Listed = Result<Vec<(Vec<u8>, Vec<u8>)>, SideError>;

fn put(key: &[u8], value: &[u8]) -> Row {
    Row { table: TABLE, key: key.to_vec().into(), value: Some(value.to_vec().into()) }
}

fn remove(key: &[u8]) -> Row {
    Row { table: TABLE, key: key.to_vec().into(), value: None }
}

fn listed(store: &dyn Store, table: RowTable, from: &[u8]) -> Listed {
    store.rows(table, from)?.map(|row| row.map(|(key, value)| (key.to_vec(), value.to_vec()))).collect()
}

/// Keys of all lengths that are hard to keep: empty, with zeros, prefixes of each other, and the longest.
fn keys() -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> =
        [&b""[..], b"\0", b"\0\0", b"a", b"a\0", b"a\0b", b"ab", b"b", b"\xff", b"\xff\xff"]
            .map(<[u8]>::to_vec)
            .to_vec();
    keys.push(vec![b'/'; 40]);
    keys.push(vec![b'k'; ROW_KEY_BYTES_MAX]);
    keys.push(vec![b'k'; ROW_KEY_BYTES_MAX - 1]);
    keys
}

pub(super) fn r1_a_row_reads_as_it_was_put(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let keys = keys();
    let mut model = Rows::new();
    let mut random = Random::new(1);
    for step in 0..400 {
        let key = &keys[random.below(keys.len())];
        if random.below(4) == 0 {
            store.put_rows(&[remove(key)])?;
            model.remove(key);
        } else {
            let value = noise_bytes(step, [0, 1, 100, 5_000][random.below(4)]);
            store.put_rows(&[put(key, &value)])?;
            model.insert(key.clone(), value);
        }
        let asked = &keys[random.below(keys.len())];
        assert_eq!(store.row(TABLE, asked)?.as_deref(), model.get(asked).map(Vec::as_slice), "{asked:?}");
    }
    // Within one call the last change of a key counts.
    store.put_rows(&[put(b"a", b"1"), remove(b"a"), put(b"a", b"2"), put(b"b", b"1"), remove(b"b")])?;
    model.insert(b"a".to_vec(), b"2".to_vec());
    model.remove(&b"b"[..]);
    assert_eq!(listed(&*store, TABLE, b"")?, model.into_iter().collect::<Vec<_>>());
    assert_eq!(store.row(OTHER, b"a")?, None, "tables are apart");
    Ok(())
}

pub(super) fn r1_a_damaged_row_is_absent(lab: &dyn Lab) -> Checked {
    for seed in 0..8 {
        let store = lab.open()?;
        let key = format!("key {seed}").into_bytes();
        let value = noise_bytes(seed, 300);
        store.put_rows(&[put(&key, &value), put(b"good", b"value")])?;
        advance(&*store, &[], &block("head", 0))?;
        store.sync()?;
        if store.row(TABLE, &key)?.is_none() {
            continue; // rows may be lost
        }
        drop(store);
        lab.damage(&value, seed);
        let store = lab.open()?;
        assert_eq!(store.row(TABLE, &key)?, None, "a damaged row was read");
        assert!(
            listed(&*store, TABLE, b"")?.iter().all(|(found, _)| *found != key),
            "a damaged row was listed"
        );
        store.put_rows(&[put(&key, b"again")])?;
        assert_eq!(store.row(TABLE, &key)?.as_deref(), Some(&b"again"[..]));
    }
    Ok(())
}

pub(super) fn r1_rows_are_whole_or_absent_wherever_the_power_fails(lab: &dyn Lab) -> Checked {
    let value = |attempt: usize, key: usize| noise_bytes((attempt * 8 + key) as u64, 700);
    wherever_the_power_fails(
        lab,
        |store, attempt| {
            let rows: Vec<Row> = (0..3).map(|key| put(&[b'0' + key], &value(attempt, key.into()))).collect();
            store.put_rows(&rows)?;
            let old = store.heads(&Namespace::default())?;
            let new = block("attempt", attempt);
            let lease = store.lease(&[])?;
            let heads = crate::port::HeadsUpdate::advance(Namespace::default(), &old, head(&new));
            Ok(commit(store, &lease, &[new], &heads)? == Swap::Done)
        },
        |store, attempt, _| {
            for key in 0..3 {
                if let Some(found) = store.row(TABLE, &[b'0' + key])? {
                    let known = (0..=attempt).any(|attempt| found == value(attempt, key.into()));
                    assert!(known, "cut {attempt}: a row holds what nobody put");
                }
            }
            Ok(())
        },
    )
}

pub(super) fn r2_clearing_rows_changes_no_block_and_no_head(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let head_block = block("head", 0);
    store.put_many(&blocks("kept", 20))?;
    advance(&*store, &[], &head_block)?;
    store.put_rows(&[put(b"a", b"1"), put(b"b", b"2")])?;
    store.put_rows(&[Row { table: OTHER, ..put(b"a", b"3") }])?;
    store.clear_rows(TABLE)?;
    assert!(listed(&*store, TABLE, b"")?.is_empty());
    assert_eq!(listed(&*store, OTHER, b"")?, [(b"a".to_vec(), b"3".to_vec())], "other tables stay");
    store.clear_rows(TABLE)?;
    store.put_rows(&[put(b"a", b"4")])?;
    assert_eq!(listed(&*store, TABLE, b"")?, [(b"a".to_vec(), b"4".to_vec())]);
    for block in blocks("kept", 20) {
        store.require(block.cid())?;
    }
    assert_eq!(store.heads(&Namespace::default())?, [head(&head_block)]);
    Ok(())
}

pub(super) fn r2_damaged_rows_keep_no_store_from_opening(lab: &dyn Lab) -> Checked {
    for seed in 0..8 {
        let store = lab.open()?;
        let value = noise_bytes(seed, 300);
        store.put_rows(&[put(b"row", &value)])?;
        advance(&*store, &[], &block("head", 0))?;
        store.sync()?;
        if store.row(TABLE, b"row")?.is_none() {
            continue; // rows may be lost
        }
        drop(store);
        lab.damage(&value, seed);
        let store = lab.open()?;
        assert_eq!(store.heads(&Namespace::default())?, [head(&block("head", 0))]);
        store.require(block("head", 0).cid())?;
        store.put(&block("after", 0))?;
        store.clear_rows(TABLE)?;
        assert!(listed(&*store, TABLE, b"")?.is_empty());
    }
    Ok(())
}

pub(super) fn r3_rows_ascend_from_the_first_key_asked_for(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let mut model = Rows::new();
    let mut random = Random::new(3);
    let random_keys = (0..300).map(|at| noise_bytes(at, 1 + random.below(6)));
    for key in keys().into_iter().chain(random_keys) {
        let value = noise_bytes(key.len() as u64, 20);
        store.put_rows(&[put(&key, &value)])?;
        store.put_rows(&[put(&key, &value)])?;
        model.insert(key, value);
    }
    store.put_rows(&[Row { table: OTHER, ..put(b"z", b"other") }])?;
    for from in keys().into_iter().chain((1000..1020).map(|at| noise_bytes(at, 2))).chain([vec![0xff; 30]]) {
        let expected: Vec<_> =
            model.range(from.clone()..).map(|(key, value)| (key.clone(), value.clone())).collect();
        assert_eq!(listed(&*store, TABLE, &from)?, expected, "from {from:?}");
    }
    assert_eq!(listed(&*store, OTHER, b"")?.len(), 1);
    assert!(listed(&*store, RowTable::new("never-used"), b"")?.is_empty());
    Ok(())
}

pub(super) fn r4_a_row_over_its_limit_is_refused_with_its_whole_call(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let too_large = |what: &str, row: Row| -> Checked {
        let answer = store.put_rows(&[put(b"before", b"1"), row, put(b"after", b"1")]);
        assert!(matches!(answer, Err(SideError::TooLarge { table: TABLE })), "{what}: {answer:?}");
        assert!(listed(&*store, TABLE, b"")?.is_empty(), "{what}: rows of a refused call are there");
        Ok(())
    };
    let longest = vec![b'k'; ROW_KEY_BYTES_MAX];
    let largest = vec![b'v'; ROW_VALUE_BYTES_MAX];
    too_large("key", put(&[&longest[..], b"k"].concat(), b""))?;
    too_large("removed key", remove(&[&longest[..], b"k"].concat()))?;
    too_large("value", put(b"", &[&largest[..], b"v"].concat()))?;
    store.put_rows(&[put(&longest, &largest)])?;
    assert_eq!(store.row(TABLE, &longest)?.as_deref(), Some(&largest[..]));
    Ok(())
}

pub(super) fn r5_rows_are_visible_on_return(lab: &dyn Lab) -> Checked {
    let handles = lab.handles(2)?;
    handles[0].put_rows(&[put(b"a", b"1")])?;
    assert_eq!(handles[1].row(TABLE, b"a")?.as_deref(), Some(&b"1"[..]));
    let lease = handles[0].lease(&[])?;
    let (new, rows) = (block("head", 0), [put(b"a", b"2"), put(b"b", b"2")]);
    let heads = update(&[&new], &[]);
    let batch = WriteBatch { blocks: &[new], heads: &heads, rows: &rows };
    assert_eq!(handles[0].commit(&lease, &batch)?, Swap::Done);
    for key in [b"a", b"b"] {
        assert_eq!(handles[1].row(TABLE, key)?.as_deref(), Some(&b"2"[..]), "with the commit");
    }
    if lab.abilities().keeps {
        drop(lease);
        drop(handles);
        let store = lab.reopen(lab.open()?)?;
        for (key, value) in listed(&*store, TABLE, b"")? {
            assert_eq!(value, b"2", "{key:?}");
        }
    }
    Ok(())
}
