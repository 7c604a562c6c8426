//! Moving between backends: all blocks, then all heads.
//!
//! Invariants
//!  M1  No head is written before every block that the source's snapshot shows is in the destination.
//!  M2  All blocks are put under one lease, present ones too: a collection of the destination that runs meanwhile,
//!      or begins, takes none of them. So a copy reads its whole source, and writes only what is missing.
//!  M3  A copy that was cut short leaves blocks and no heads, or the heads of whole namespaces; the next one goes on.
//!  M4  Memory is bounded by a piece of blocks, not by the store.
//!
//! The source may be written to meanwhile: its snapshot fixes the heads that are copied. Blocks that come later may
//! be copied or not.

use std::collections::BTreeSet;

use mnem_core::object::{Object as _, Operation};
use mnem_core::port::{
    BlockRead, CollectorError, HeadsError, HeadsUpdate, Lease, Namespace, Store, StoreError, StoreSnapshot,
    Swap, WriteBatch,
};
use mnem_core::{Block, Cid, OperationId};

use mnem_core::progress::{Listener, Progress};

/// How many blocks are read and put at once. Those that mnem makes have at most 1 MiB.
const PIECE_BLOCKS_MAX: usize = 32;

/// How often the heads of one namespace are tried while others move them.
const ATTEMPTS_MAX: usize = 16;

/// What a copy did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// Blocks that the source has.
    pub blocks: u64,
    /// Those of them that the destination lacked.
    pub written: u64,
    /// Bytes of those.
    pub written_bytes: u64,
    /// Namespaces whose heads are now those of the source.
    pub namespaces: u64,
}

/// Copies every block, then the heads of every namespace, to a store of any kind. Heads that the destination has
/// and the source does not are replaced if the source's heads descend from them; else nothing moves in that
/// namespace, and the answer is [`CopyError::Diverged`].
pub fn copy(src: &dyn Store, dst: &dyn Store, listener: &mut Listener<'_>) -> Result<Copied, CopyError> {
    let snapshot = src.snapshot()?;
    let mut heads = Vec::new();
    for namespace in src.namespaces()? {
        // A namespace may be younger than the snapshot.
        let ids = snapshot.heads(&namespace)?;
        if !ids.is_empty() {
            refuse_if_diverged(&*snapshot, dst, &namespace, &ids)?;
            heads.push((namespace, ids));
        }
    }
    let lease = dst.lease(&[]).map_err(|error| match error {
        CollectorError::Fault(fault) => StoreError::Fault(fault),
        _ => StoreError::Stale,
    })?;
    let mut copied = Copied::default();
    copy_blocks(&*snapshot, dst, &lease, &mut copied, listener)?;
    let total = Some(heads.len() as u64);
    for (namespace, ids) in heads {
        tell(listener, &Progress::new("heads", copied.namespaces, total))?;
        move_heads(&*snapshot, dst, &lease, &namespace, &ids)?;
        copied.namespaces += 1;
    }
    // Blocks that no head reaches are durable too, also where no head moved.
    dst.sync()?;
    Ok(copied)
}

fn copy_blocks(
    src: &dyn StoreSnapshot,
    dst: &dyn Store,
    lease: &Lease,
    copied: &mut Copied,
    listener: &mut Listener<'_>,
) -> Result<(), CopyError> {
    let mut cids = src.scan(None)?;
    loop {
        let piece = cids.by_ref().take(PIECE_BLOCKS_MAX).collect::<Result<Vec<Cid>, StoreError>>()?;
        if piece.is_empty() {
            return Ok(());
        }
        // Absent are only blocks that came after the snapshot and went again.
        let blocks: Vec<Block> = src.get_many(&piece)?.into_iter().flatten().collect();
        let asked: Vec<Cid> = blocks.iter().map(|block| *block.cid()).collect();
        let present = dst.has_many(&asked)?;
        dst.put_leased(lease, &blocks)?;
        for (block, _) in blocks.iter().zip(present).filter(|(_, present)| !present) {
            copied.written += 1;
            copied.written_bytes += block.bytes().len() as u64;
        }
        copied.blocks += blocks.len() as u64;
        tell(listener, &Progress::new("blocks", copied.blocks, None))?;
    }
}

fn tell(listener: &mut Listener<'_>, progress: &Progress) -> Result<(), CopyError> {
    if listener(progress).is_break() { Err(CopyError::Stopped) } else { Ok(()) }
}

/// Makes `ids` the heads of `namespace`, whoever else moves them, as long as nothing is lost by it.
fn move_heads(
    src: &dyn StoreSnapshot,
    dst: &dyn Store,
    lease: &Lease,
    namespace: &Namespace,
    ids: &[OperationId],
) -> Result<(), CopyError> {
    for _ in 0..ATTEMPTS_MAX {
        let found = refuse_if_diverged(src, dst, namespace, ids)?;
        let missing = |of: &[OperationId], from: &[OperationId]| {
            of.iter().filter(|id| !from.contains(id)).copied().collect::<Vec<_>>()
        };
        let (add, remove) = (missing(ids, &found), missing(&found, ids));
        if add.is_empty() && remove.is_empty() {
            return Ok(());
        }
        let update = HeadsUpdate { namespace: namespace.clone(), expected: Some(found), add, remove };
        match dst.commit(lease, &WriteBatch { blocks: &[], heads: &update, rows: &[] })? {
            Swap::Done => return Ok(()),
            Swap::Moved => {} // somebody moved them since they were read
        }
    }
    Err(CopyError::Contended { namespace: namespace.clone(), attempts: ATTEMPTS_MAX })
}

/// Returns the heads of the destination, all of which the source has or descends from.
fn refuse_if_diverged(
    src: &dyn StoreSnapshot,
    dst: &dyn Store,
    namespace: &Namespace,
    ids: &[OperationId],
) -> Result<Vec<OperationId>, CopyError> {
    let found = dst.heads(namespace)?;
    let mut foreign: BTreeSet<Cid> =
        found.iter().filter(|id| !ids.contains(id)).map(|id| *id.cid()).collect();
    strike_ancestors(src, ids, &mut foreign)?;
    match foreign.first() {
        Some(head) => {
            Err(CopyError::Diverged { namespace: namespace.clone(), head: OperationId::new(*head) })
        }
        None => Ok(found),
    }
}

/// Takes out of `wanted` what operations in the source descend from. Walks back along parents, and no further than
/// the oldest of `wanted`.
fn strike_ancestors(
    src: &dyn BlockRead,
    ids: &[OperationId],
    wanted: &mut BTreeSet<Cid>,
) -> Result<(), CopyError> {
    let mut oldest = u64::MAX;
    for cid in wanted.iter() {
        // What the source does not have, it does not descend from.
        let Some(operation) = operation(src, cid)? else { return Ok(()) };
        oldest = oldest.min(operation.generation);
    }
    let mut next: Vec<Cid> = ids.iter().map(|id| *id.cid()).collect();
    let mut seen: BTreeSet<Cid> = next.iter().copied().collect();
    while let Some(cid) = next.pop().filter(|_| !wanted.is_empty()) {
        let Some(operation) = operation(src, &cid)? else { continue };
        if operation.generation <= oldest {
            continue;
        }
        for parent in &operation.parents {
            wanted.remove(parent.cid());
            if seen.insert(*parent.cid()) {
                next.push(*parent.cid());
            }
        }
    }
    Ok(())
}

/// Returns the operation under `cid`; `None` if there is none.
fn operation(src: &dyn BlockRead, cid: &Cid) -> Result<Option<Operation>, CopyError> {
    Ok(src.get(cid)?.and_then(|block| Operation::from_block(&block).ok()))
}

/// Why a copy did not finish. What was copied stays: the next copy goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// One of the stores failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// One of the stores failed.
    #[error(transparent)]
    Heads(#[from] HeadsError),
    /// The listener asked for it.
    #[error("stopped as asked; copy again to go on")]
    Stopped,
    /// The destination has work that the source does not know. Fetch and merge it first, or copy to another place.
    #[error(
        "the destination's {namespace} is at {head}, which the source does not know; nothing moved there"
    )]
    Diverged {
        /// Whose heads.
        namespace: Namespace,
        /// The head that would be lost.
        head: OperationId,
    },
    /// Others moved the heads of the destination again and again. Copy again.
    #[error("others moved the heads of {namespace} {attempts} times; copy again")]
    Contended {
        /// Whose heads.
        namespace: Namespace,
        /// How often it was tried.
        attempts: usize,
    },
}
