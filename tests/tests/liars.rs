//! The suite notices: backends that break one promise each, and the check that must find it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use mnem::memory::MemoryStore;
use mnem::port::{
    BlockRead, Blockstore, CidStream, Collector, CollectorError, Compact, Cycle, Deleted, HeadsError,
    HeadsUpdate, Lease, Namespace, OpHeadsStore, OpenError, Row, RowStream, RowTable, SideError, SideTable,
    Store, StoreError, StoreSnapshot, Swap, WriteBatch,
};
use mnem::testing::{Abilities, Lab, Shown, run};
use mnem::{Block, Cid, Codec, OperationId};

/// How a store breaks its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    None,
    /// Loses every seventh block.
    LosesBlocks,
    /// Gives the bytes of another block.
    WrongBytes,
    /// Lists twice what was stored twice.
    ListsTwice,
    /// Takes the empty block for none.
    NoEmptyBlock,
    /// Answers questions in the order of CIDs.
    ForgetsOrder,
    /// Drops what repeats in a question.
    ForgetsRepeats,
    /// Lists in another order.
    ScansBackwards,
    /// Begins with the CID that was asked to be passed by.
    ScansFromAfter,
    /// Reads the whole list before it gives the first.
    ScanCollects,
    /// Writes the blocks before one that is too large.
    WritesBeforeRefusing,
    /// Removes the last head.
    MayBeEmpty,
    /// Removes old heads before it adds new ones.
    RemovesFirst,
    /// Compares and swaps in two steps.
    SwapsInTwoSteps,
    /// Reads the heads, changes them, writes them back.
    LosesUpdates,
    /// Makes any CID a head.
    HeadsWithoutBlocks,
    /// Has one set of heads for all.
    OneNamespace,
    /// Shows heads before blocks.
    HeadsBeforeBlocks,
    /// Shows rows before heads.
    RowsBeforeHeads,
    /// Asks nobody for a lease.
    CommitsWithoutLease,
    /// A snapshot is the store.
    SnapshotIsNow,
    /// Reads the heads of a snapshot when asked.
    SnapshotHeadsMove,
    /// Writes rows of a commit that is then refused.
    RowsStay,
    /// Gives rows of another key.
    WrongRow,
    /// Starts after the key that was asked for.
    RowsAfterFrom,
    /// Forgets that rows have limits.
    LongRows,
    /// Clears every table.
    ClearsAll,
    /// Grants every lease.
    GrantsAll,
    /// Puts under a lease as if there were none.
    PutsUnleased,
    /// Leaves roots of leases out.
    ForgetsRoots,
    /// Deletes what was put since.
    IgnoresTouches,
    /// Deletes for any cycle.
    AnyCycle,
    /// Keeps a cycle going when heads change outside a lease.
    CycleGoesOn,
    /// Says that it deleted.
    DeletesNothing,
    /// Leases never end.
    LeasesStay,
}

#[derive(Clone)]
struct Liar {
    lie: Lie,
    inner: MemoryStore,
    memory: Arc<Memory>,
}

#[derive(Default)]
struct Memory {
    puts: AtomicUsize,
    leases: Mutex<Vec<Lease>>,
    cycles: Mutex<Vec<Cycle>>,
}

impl Liar {
    fn new(lie: Lie) -> Liar {
        Liar { lie, inner: MemoryStore::new(), memory: Arc::default() }
    }

    fn is(&self, lie: Lie) -> bool {
        self.lie == lie
    }

    fn other(&self, namespace: &Namespace) -> Namespace {
        if self.is(Lie::OneNamespace) { Namespace::default() } else { namespace.clone() }
    }
}

impl BlockRead for Liar {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        match self.lie {
            Lie::WrongBytes => {
                Ok(self.inner.get(cid)?.map(|_| Block::new(Codec::Raw, &b"something else"[..])))
            }
            Lie::NoEmptyBlock => Ok(self.inner.get(cid)?.filter(|block| !block.bytes().is_empty())),
            _ => self.inner.get(cid),
        }
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        let mut cids = cids.to_vec();
        match self.lie {
            Lie::ForgetsOrder => cids.sort_unstable(),
            Lie::ForgetsRepeats => cids.dedup(),
            _ => {}
        }
        self.inner.get_many(&cids)
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.inner.has(cid)
    }

    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        self.inner.has_many(cids)
    }

    fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
        let scan = self.inner.scan(after)?;
        Ok(match self.lie {
            Lie::ScansBackwards => Box::new(scan.collect::<Vec<_>>().into_iter().rev()),
            Lie::ScanCollects => Box::new(scan.collect::<Vec<_>>().into_iter()),
            Lie::ListsTwice => Box::new(scan.flat_map(|cid| match cid {
                Ok(cid) => vec![Ok(cid), Ok(cid)],
                Err(error) => vec![Err(error)],
            })),
            Lie::ScansFromAfter => Box::new(after.map(Ok).into_iter().chain(scan)),
            _ => scan,
        })
    }
}

impl Blockstore for Liar {
    fn put(&self, block: &Block) -> Result<(), StoreError> {
        self.put_many(std::slice::from_ref(block))
    }

    fn put_many(&self, blocks: &[Block]) -> Result<(), StoreError> {
        match self.lie {
            Lie::WritesBeforeRefusing => blocks.iter().try_for_each(|block| self.inner.put(block)),
            Lie::LosesBlocks => blocks.iter().try_for_each(|block| {
                let lost = self.memory.puts.fetch_add(1, Ordering::SeqCst) % 7 == 6;
                if lost { Ok(()) } else { self.inner.put(block) }
            }),
            _ => self.inner.put_many(blocks),
        }
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.inner.sync()
    }
}

impl OpHeadsStore for Liar {
    fn namespaces(&self) -> Result<Vec<Namespace>, HeadsError> {
        self.inner.namespaces()
    }

    fn heads(&self, namespace: &Namespace) -> Result<Vec<OperationId>, HeadsError> {
        let heads = self.inner.heads(&self.other(namespace))?;
        Ok(match self.lie {
            // A set of one never changes hands through nothing in memory; a liar says that it does.
            Lie::RemovesFirst if self.memory.puts.load(Ordering::SeqCst) % 2 == 1 => Vec::new(),
            _ => heads,
        })
    }

    fn update(&self, update: &HeadsUpdate) -> Result<Swap, HeadsError> {
        let update = &HeadsUpdate { namespace: self.other(&update.namespace), ..update.clone() };
        match self.lie {
            Lie::MayBeEmpty => match self.inner.update(update) {
                Err(HeadsError::WouldBeEmpty { .. }) => Ok(Swap::Done),
                other => other,
            },
            Lie::RemovesFirst => {
                self.memory.puts.fetch_add(1, Ordering::SeqCst);
                std::thread::yield_now();
                let result = self.inner.update(update);
                self.memory.puts.fetch_add(1, Ordering::SeqCst);
                result
            }
            Lie::SwapsInTwoSteps => {
                let Some(expected) = &update.expected else { return self.inner.update(update) };
                let mut expected = expected.clone();
                expected.sort_unstable();
                if self.inner.heads(&update.namespace)? != expected {
                    return Ok(Swap::Moved);
                }
                std::thread::sleep(std::time::Duration::from_millis(2));
                self.inner.update(&HeadsUpdate { expected: None, ..update.clone() })
            }
            Lie::LosesUpdates => {
                let seen = self.inner.heads(&update.namespace)?;
                let keeps = seen.iter().filter(|id| !update.remove.contains(id)).copied();
                let add: Vec<_> = keeps.chain(update.add.iter().copied()).collect();
                std::thread::sleep(std::time::Duration::from_micros(300));
                let now = self.inner.heads(&update.namespace)?;
                let remove = now.into_iter().filter(|id| !add.contains(id)).collect();
                self.inner.update(&HeadsUpdate { add, remove, ..update.clone() })
            }
            Lie::HeadsWithoutBlocks => match self.inner.update(update) {
                Err(HeadsError::Absent { .. }) => Ok(Swap::Done),
                other => other,
            },
            Lie::CycleGoesOn => {
                let lease = self.inner.lease(&[]).map_err(|_| HeadsError::Absent { head: update.add[0] })?;
                let batch = WriteBatch { blocks: &[], heads: update, rows: &[] };
                match self.inner.commit(&lease, &batch) {
                    Ok(swap) => Ok(swap),
                    Err(StoreError::Heads(error)) => Err(error),
                    Err(error) => panic!("{error}"),
                }
            }
            _ => self.inner.update(update),
        }
    }
}

impl SideTable for Liar {
    fn row(&self, table: RowTable, key: &[u8]) -> Result<Option<Bytes>, SideError> {
        match self.lie {
            Lie::WrongRow => self.inner.row(table, if key == b"ab" { b"a" } else { key }),
            _ => self.inner.row(table, key),
        }
    }

    fn rows(&self, table: RowTable, from: &[u8]) -> Result<RowStream, SideError> {
        let rows = self.inner.rows(table, from)?;
        let from = from.to_vec();
        Ok(match self.lie {
            Lie::RowsAfterFrom => {
                Box::new(rows.filter(move |row| row.as_ref().is_ok_and(|(key, _)| *key != from)))
            }
            _ => rows,
        })
    }

    fn put_rows(&self, rows: &[Row]) -> Result<(), SideError> {
        match self.lie {
            Lie::LongRows => rows.iter().try_for_each(|row| self.inner.put_rows(std::slice::from_ref(row))),
            _ => self.inner.put_rows(rows),
        }
    }

    fn clear_rows(&self, table: RowTable) -> Result<(), SideError> {
        if self.is(Lie::ClearsAll) {
            self.inner.clear_rows(RowTable::new("other-sample"))?;
        }
        self.inner.clear_rows(table)
    }
}

impl Collector for Liar {
    fn lease(&self, roots: &[Cid]) -> Result<Lease, CollectorError> {
        match self.lie {
            Lie::GrantsAll => self.inner.lease(roots).or_else(|_| self.inner.lease(&[])),
            Lie::LeasesStay => {
                self.memory.leases.lock().unwrap().push(self.inner.lease(roots)?);
                self.inner.lease(roots)
            }
            Lie::ForgetsRoots => self.inner.lease(roots).and_then(|_| self.inner.lease(&[])),
            _ => self.inner.lease(roots),
        }
    }

    fn put_leased(&self, lease: &Lease, blocks: &[Block]) -> Result<(), StoreError> {
        if self.is(Lie::PutsUnleased) {
            return self.inner.put_many(blocks);
        }
        self.inner.put_leased(lease, blocks)
    }

    fn begin_cycle(&self) -> Result<Cycle, CollectorError> {
        self.inner.begin_cycle()
    }

    fn delete_if_untouched(&self, cycle: &Cycle, cids: &[Cid]) -> Result<Deleted, CollectorError> {
        match self.lie {
            Lie::IgnoresTouches | Lie::AnyCycle => {
                if self.is(Lie::IgnoresTouches) {
                    self.inner.delete_if_untouched(cycle, &[])?;
                }
                let fresh = self.inner.begin_cycle()?;
                let deleted = self.inner.delete_if_untouched(&fresh, cids)?;
                self.memory.cycles.lock().unwrap().push(fresh);
                Ok(deleted)
            }
            Lie::DeletesNothing => Ok(Deleted { blocks: cids.len() as u64, bytes: 0 }),
            _ => self.inner.delete_if_untouched(cycle, cids),
        }
    }

    fn compact(&self, how: Compact) -> Result<(), CollectorError> {
        self.inner.compact(how)
    }
}

impl Store for Liar {
    fn commit(&self, lease: &Lease, batch: &WriteBatch<'_>) -> Result<Swap, StoreError> {
        match self.lie {
            Lie::RowsStay | Lie::RowsBeforeHeads => {
                let _ = self.inner.put_rows(batch.rows);
                std::thread::sleep(std::time::Duration::from_micros(300));
                self.inner.commit(lease, batch)
            }
            Lie::HeadsBeforeBlocks => {
                let (last, first) = batch.blocks.split_last().unwrap();
                let batch = WriteBatch { blocks: std::slice::from_ref(last), ..*batch };
                let swap = self.inner.commit(lease, &batch)?;
                std::thread::sleep(std::time::Duration::from_micros(300));
                self.inner.put_leased(lease, first)?;
                Ok(swap)
            }
            Lie::CommitsWithoutLease => {
                let own = self.inner.lease(&[]).unwrap();
                self.inner.commit(&own, batch)
            }
            _ => self.inner.commit(lease, batch),
        }
    }

    fn snapshot(&self) -> Result<Box<dyn StoreSnapshot>, StoreError> {
        let inner = self.inner.snapshot()?;
        match self.lie {
            Lie::SnapshotIsNow | Lie::SnapshotHeadsMove => Ok(Box::new(Now { store: self.clone(), inner })),
            _ => Ok(inner),
        }
    }

    fn kind(&self) -> &'static str {
        "liar"
    }
}

/// A snapshot that shows what is, not what was.
struct Now {
    store: Liar,
    inner: Box<dyn StoreSnapshot>,
}

impl BlockRead for Now {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        if self.store.is(Lie::SnapshotIsNow) { self.store.get(cid) } else { self.inner.get(cid) }
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        cids.iter().map(|cid| self.get(cid)).collect()
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.inner.has(cid)
    }

    fn has_many(&self, cids: &[Cid]) -> Result<Vec<bool>, StoreError> {
        self.inner.has_many(cids)
    }

    fn scan(&self, after: Option<Cid>) -> Result<CidStream, StoreError> {
        self.inner.scan(after)
    }
}

impl StoreSnapshot for Now {
    fn heads(&self, namespace: &Namespace) -> Result<Vec<OperationId>, HeadsError> {
        if self.store.is(Lie::SnapshotHeadsMove) {
            self.store.heads(namespace)
        } else {
            self.inner.heads(namespace)
        }
    }

    fn lease(&self) -> &Lease {
        self.inner.lease()
    }
}

struct LiarLab(Liar);

impl Lab for LiarLab {
    fn name(&self) -> &'static str {
        "liar"
    }

    fn abilities(&self) -> Abilities {
        Abilities { keeps: true, shares: true, ..Abilities::NONE }
    }

    fn open(&self) -> Result<Arc<dyn Store>, OpenError> {
        Ok(Arc::new(self.0.clone()))
    }

    fn damage(&self, _: &[u8], _: u64) {
        unreachable!("not declared");
    }

    fn cut_power(&self, _: u64, _: u64) {
        unreachable!("not declared");
    }
}

/// Says whether the check finds fault with a store that tells this lie.
fn finds_fault(check: &str, lie: Lie) -> bool {
    catch_unwind(AssertUnwindSafe(|| run(check, &LiarLab(Liar::new(lie))))).is_err()
}

macro_rules! caught {
    ($($lie:ident by $check:ident)*) => {
        $(
            #[test]
            #[allow(non_snake_case)]
            fn $lie() {
                let check = stringify!($check);
                assert_eq!(run(check, &LiarLab(Liar::new(Lie::None))), Shown::Kept, "{check} on the truth");
                assert!(finds_fault(check, Lie::$lie), "{check} believed it");
            }
        )*
    };
}

caught! {
    LosesBlocks by s1_a_stored_block_is_readable_until_it_is_deleted
    ListsTwice by s2_storing_again_changes_nothing
    WrongBytes by s4_blocks_of_every_class_come_back_as_they_were
    NoEmptyBlock by s5_the_empty_block_is_a_block
    ForgetsOrder by s6_many_answer_in_the_order_of_the_question
    ForgetsRepeats by s6_many_answer_in_the_order_of_the_question
    ScansBackwards by s7_scan_ascends_and_gives_each_cid_once
    ScansFromAfter by s7_scan_goes_on_after_any_cid
    ScanCollects by s7_scan_needs_memory_that_does_not_grow_with_the_store
    WritesBeforeRefusing by s8_a_block_over_the_limit_is_refused_with_its_whole_call
    MayBeEmpty by p1_heads_are_never_empty_after_the_first_update
    RemovesFirst by p2_no_reader_sees_neither_old_nor_new
    SwapsInTwoSteps by p3_of_racing_swaps_one_wins
    LosesUpdates by p3_updates_without_expectation_unite
    HeadsWithoutBlocks by p5_a_head_without_its_block_is_refused
    OneNamespace by p6_namespaces_do_not_touch_each_other
    HeadsBeforeBlocks by t1_no_reader_sees_half_a_commit
    RowsBeforeHeads by t1_no_reader_sees_half_a_commit
    CommitsWithoutLease by t3_without_a_live_lease_nothing_is_committed
    SnapshotIsNow by t4_a_snapshot_shows_blocks_that_were_deleted_since
    SnapshotHeadsMove by t4_a_snapshot_shows_its_moment
    RowsStay by t5_a_refused_commit_leaves_no_head_and_no_row
    WrongRow by r1_a_row_reads_as_it_was_put
    ClearsAll by r2_clearing_rows_changes_no_block_and_no_head
    RowsAfterFrom by r3_rows_ascend_from_the_first_key_asked_for
    LongRows by r4_a_row_over_its_limit_is_refused_with_its_whole_call
    GrantsAll by c1_a_lease_needs_roots_that_are_held
    PutsUnleased by c2_what_is_put_under_a_lease_stays_while_it_lives
    ForgetsRoots by c3_a_cycle_begins_with_all_heads_and_roots_of_leases
    IgnoresTouches by c4_what_is_put_during_a_cycle_stays
    AnyCycle by c5_a_cycle_that_is_over_deletes_nothing
    CycleGoesOn by c6_heads_changed_outside_a_lease_end_the_cycle
    DeletesNothing by c7_a_deleted_block_is_gone_and_can_come_back
    LeasesStay by c8_a_dropped_lease_holds_nothing
}
