//! Blocks, heads and rows to test with: always the same ones for the same numbers.

use crate::codec::Writer;
use crate::error::Error;
use crate::port::{
    HeadsUpdate, Lease, LeaseId, LeaseKeeper, Namespace, RowTable, StoreError, Swap, WriteBatch,
};
use crate::{Block, Cid, CidClass, Codec, OperationId, Store};
use std::sync::Arc;

/// A table that no program uses.
pub(crate) const TABLE: RowTable = RowTable::new("sample");

/// Returns a small block that differs from all others in `series` and `number`.
pub(crate) fn block(series: &str, number: usize) -> Block {
    Block::new(Codec::Raw, format!("{series} {number}").into_bytes())
}

/// Returns `count` of them.
pub(crate) fn blocks(series: &str, count: usize) -> Vec<Block> {
    (0..count).map(|number| block(series, number)).collect()
}

/// Returns a block of `length` bytes that no compression makes shorter.
pub(crate) fn noise(seed: u64, length: usize) -> Block {
    Block::new(Codec::Raw, noise_bytes(seed, length))
}

/// Returns the bytes of [`noise`].
pub(crate) fn noise_bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    (0..length).map(|_| random.next().to_le_bytes()[0]).collect()
}

/// Returns a block of any class, found by hashing, as one from another system would be.
pub(crate) fn of_class(class: CidClass, bytes: Vec<u8>) -> Block {
    Block::verify(Cid::of_class(class, &bytes), bytes).expect("hashed just now")
}

/// Returns a block that links to others.
pub(crate) fn parent(series: &str, number: usize, children: &[Cid]) -> Block {
    let mut writer = Writer::new();
    writer.list(children.len() + 1);
    writer.text(&format!("{series} {number}"));
    for child in children {
        writer.link(child);
    }
    Block::new(Codec::DagCbor, writer.into_bytes())
}

/// Returns the head that a block stands for.
pub(crate) fn head(block: &Block) -> OperationId {
    OperationId::new(*block.cid())
}

/// Returns heads in the order in which they are listed.
pub(crate) fn sorted(mut heads: Vec<OperationId>) -> Vec<OperationId> {
    heads.sort_unstable();
    heads
}

/// Returns a namespace of this name.
pub(crate) fn namespace(name: &str) -> Namespace {
    Namespace::new(name).expect("names in tests are good")
}

/// Returns an update of the default namespace that expects nothing.
pub(crate) fn update(add: &[&Block], remove: &[&Block]) -> HeadsUpdate {
    let ids = |blocks: &[&Block]| blocks.iter().map(|block| head(block)).collect();
    HeadsUpdate { namespace: Namespace::default(), expected: None, add: ids(add), remove: ids(remove) }
}

/// Commits without rows.
pub(crate) fn commit(
    store: &dyn Store,
    lease: &Lease,
    blocks: &[Block],
    heads: &HeadsUpdate,
) -> Result<Swap, StoreError> {
    store.commit(lease, &WriteBatch { blocks, heads, rows: &[] })
}

/// Commits `new` as the head that takes the place of `old`, under the lease of a snapshot.
pub(crate) fn advance(store: &dyn Store, old: &[&Block], new: &Block) -> Result<(), Error> {
    let snapshot = store.snapshot()?;
    let swap = commit(store, snapshot.lease(), std::slice::from_ref(new), &update(&[new], old))?;
    assert_eq!(swap, Swap::Done, "an update that expects nothing takes place");
    Ok(())
}

/// Returns a lease that no store granted.
pub(crate) fn forged_lease(id: LeaseId) -> Lease {
    Lease::new(id, Arc::new(NoKeeper))
}

/// Keeps nothing.
pub(crate) struct NoKeeper;

impl LeaseKeeper for NoKeeper {
    fn end_lease(&self, _: LeaseId) {}

    fn end_cycle(&self, _: u64) {}
}

/// Numbers that look random and are the same each time (xorshift64*).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    /// Returns a number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next()).expect("32 bits") % end
    }
}
